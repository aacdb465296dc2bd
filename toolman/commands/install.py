"""`toolman install`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolman import choose, install
from toolman.commands import output
from toolman.request import Request, languages

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context
    from toolman.install import Result
    from toolman.origins.distro import Plan

SUMMARY = "install toolchains; does nothing where they are installed already"
EXAMPLES = """\
  toolman install arm64-musl
  toolman install linux/arm64 linux/amd64      (musl, unless a pin or default says otherwise)
  toolman install arm64-gnu --with c++,gccgo
  toolman install riscv64-gnu --dry-run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="+", help="a target, in any spelling")
    parser.add_argument(
        "--with", dest="languages", default="", metavar="LANG,…", help="c++, gccgo, fortran"
    )
    parser.add_argument("--libc", choices=("musl", "gnu"), help="for platforms named without one")
    parser.add_argument("--origin", choices=install.ORIGINS, help="where the bytes come from")
    parser.add_argument(
        "--dry-run", action="store_true", help="show packages and bytes, fetch nothing"
    )
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    wanted = languages(word for word in args.languages.split(",") if word)
    choices = [
        choose.choose(word, ctx.store, libc=args.libc, directory=ctx.directory)
        for word in args.target
    ]
    requests = [Request(target=one.target, languages=wanted) for one in choices]
    if args.dry_run:
        return _dry_run([install.plan(one, ctx, args.origin) for one in requests], requests, args)
    results = []
    for one in requests:
        results.append(install.ensure(one, ctx, args.origin))
        _tell(results[-1], ctx)
    if args.json:
        output.print_json({"installed": [_result(one) for one in results]})
    return 0


def _tell(result: Result, ctx: Context) -> None:
    made = result.toolchain
    state = "installed" if result.fresh else "is already installed"
    ctx.reporter.step(f"{made.name} {state}: gcc {made.about.version}, origin {made.about.origin}")
    if result.fresh:
        ctx.reporter.step(f"use it with: eval $(toolman env {made.name})")


def _result(result: Result) -> dict[str, Any]:
    return {**output.summary(result.toolchain), "fresh": result.fresh}


def _dry_run(plans: list[Plan | None], requests: list[Request], args: argparse.Namespace) -> int:
    if args.json:
        rows = [_plan(*pair) for pair in zip(plans, requests, strict=True)]
        output.print_json({"plans": rows})
        return 0
    for plan, request in zip(plans, requests, strict=True):
        if plan is None:
            print(f"{request}: already installed")
            continue
        fetched = sum(deb.size for deb in plan.missing)
        total = sum(deb.size for deb in plan.debs)
        print(f"{request}: origin distro, {total / 1e6:.1f} MB, {fetched / 1e6:.1f} MB to download")
        output.table([("", deb.name, deb.version, f"{deb.size / 1e6:.2f} MB") for deb in plan.debs])
    return 0


def _plan(plan: Plan | None, request: Request) -> dict[str, Any]:
    values: dict[str, Any] = {"target": request.target.name, "languages": request.languages}
    if plan is None:
        return {**values, "present": True, "packages": [], "download": 0}
    packages = [
        {
            "name": deb.name,
            "version": deb.version,
            "architecture": deb.architecture,
            "size": deb.size,
            "sha256": deb.sha256,
        }
        for deb in plan.debs
    ]
    download = sum(deb.size for deb in plan.missing)
    return {
        **values,
        "present": False,
        "origin": "distro",
        "packages": packages,
        "download": download,
    }
