"""`toolman install`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import choose, install, project
from toolman.commands import output
from toolman.context import BuildOptions
from toolman.errors import InputError
from toolman.project import Want
from toolman.request import MALLOCS, ORIGINS, Request, languages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolman.context import Context
    from toolman.install import Result
    from toolman.origins import Plan
    from toolman.toolchain import Toolchain

SUMMARY = "install toolchains; does nothing where they are installed already"
EXAMPLES = """\
  toolman install arm64-musl
  toolman install linux/arm64 linux/amd64      (musl, unless a pin or default says otherwise)
  toolman install arm64-gnu --with c++,gccgo
  toolman install arm64-gnu --glibc 2.28               (programs run on Debian 10, RHEL 8 and later)
  toolman install riscv64-gnu --dry-run
  toolman install                                      (what this project's toolman.toml wants)
  toolman install arm64-musl --with c++                (built from source: minutes)
  toolman install arm64-musl --gcc 15 --jobs 4
  toolman install arm64-musl --with c++ --publisher bootlin       (see: toolman list --available)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", nargs="*", help="a target, in any spelling; without: all of toolman.toml"
    )
    parser.add_argument(
        "--with", dest="languages", default="", metavar="LANG,…", help="c++, gccgo, fortran"
    )
    parser.add_argument("--libc", choices=("musl", "gnu"), help="for platforms named without one")
    output.add_glibc(parser)
    origins = (*ORIGINS, "linked")
    parser.add_argument("--origin", choices=origins, help="where the bytes come from")
    parser.add_argument("--publisher", metavar="NAME", help="take another publisher's toolchain")
    parser.add_argument("--gcc", metavar="VERSION", help="a version of GCC, or how it begins: 15")
    parser.add_argument("--recipe", metavar="NAME|FILE", help="build by this recipe")
    parser.add_argument("--malloc", choices=MALLOCS, help="the allocator inside musl's libc.a")
    parser.add_argument(
        "--dry-run", action="store_true", help="show packages and bytes, fetch nothing"
    )
    build = parser.add_argument_group("building from source")
    output.add_jobs(build)
    build.add_argument("--keep-work", action="store_true", help="keep what was built in between")
    build.add_argument("--timeline", type=_file, metavar="FILE", help="write the steps as a trace")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    wants = _named(args, ctx) if args.target else _pinned(args, ctx)
    build = BuildOptions(jobs=args.jobs, keep_work=args.keep_work, timeline=args.timeline)
    ctx = replace(ctx, build=build)
    if args.dry_run:
        plans = [install.plan(one.request, ctx, one.origin) for one in wants]
        return _dry_run(plans, [one.request for one in wants], args)
    results = []
    for one in wants:
        done = install.ensure(one.request, ctx, one.origin)
        output.tell_installed(done, ctx)
        laid = _with_libraries(done.toolchain, one.libraries, ctx)
        results.append(replace(done, toolchain=laid))
    if args.json:
        output.print_json({"installed": [_result(one) for one in results]})
    return 0


def _with_libraries(made: Toolchain, words: Sequence[str], ctx: Context) -> Toolchain:
    """`made` with the libraries that `words` name, beside those that are there."""
    if not words:
        return made
    from toolman.libraries import laying  # most installs need nothing of it

    return laying.want(made, words, ctx)


def _named(args: argparse.Namespace, ctx: Context) -> Sequence[Want]:
    wanted = languages(word for word in args.languages.split(",") if word)
    choices = [
        choose.choose(word, ctx.store, libc=args.libc, glibc=args.glibc, directory=ctx.directory)
        for word in args.target
    ]
    names = ("gcc", "recipe", "malloc", "publisher")
    asked = {name: getattr(args, name) for name in names}
    requests = [Request(target=one.target, languages=wanted, **asked) for one in choices]
    return [Want(request=one, origin=args.origin) for one in requests]


def _pinned(args: argparse.Namespace, ctx: Context) -> Sequence[Want]:
    pin = project.needed(ctx.directory)
    names = ("languages", "libc", "glibc", "origin", "gcc", "recipe", "malloc", "publisher")
    if any(getattr(args, name) for name in names):
        raise InputError(
            f"without a target, {pin.file} says what to install",
            hint="name the target, or write it there",
        )
    if pin.file.with_name("toolman.lock").exists():
        ctx.reporter.step("note: toolman.lock is not looked at; toolman sync installs what it says")
    return pin.wants


def _result(result: Result) -> dict[str, Any]:
    return {**output.summary(result.toolchain), "fresh": result.fresh}


def _file(word: str) -> Path:
    if Path(word).is_dir():
        raise argparse.ArgumentTypeError(f"{word} is a directory")
    return Path(word)


def _dry_run(
    plans: list[tuple[str, Plan] | None], requests: list[Request], args: argparse.Namespace
) -> int:
    if args.json:
        rows = [_plan(*pair) for pair in zip(plans, requests, strict=True)]
        output.print_json({"plans": rows})
        return 0
    for found, request in zip(plans, requests, strict=True):
        if found is None:
            print(f"{request}: already installed")
            continue
        origin, plan = found
        total = sum(part.size for part in plan.parts)
        fetched = plan.download
        print(
            f"{plan.request}: origin {origin}, {plan.summary}, {total / 1e6:.1f} MB, "
            f"{fetched / 1e6:.1f} MB to download"
        )
        output.table([("", one.name, one.version, _megabytes(one.size)) for one in plan.parts])
    return 0


def _megabytes(size: int) -> str:
    """A part's size; upstream's is not always known before it comes."""
    return f"{size / 1e6:.2f} MB" if size else "? MB"


def _plan(found: tuple[str, Plan] | None, request: Request) -> dict[str, Any]:
    values: dict[str, Any] = {"target": request.target.name, "languages": request.languages}
    if found is None:
        return {**values, "present": True, "packages": [], "download": 0}
    origin, plan = found
    packages = [
        {"name": one.name, "version": one.version, "size": one.size, "sha256": one.sha256}
        for one in plan.parts
    ]
    shown = {"present": False, "origin": origin, "packages": packages, "download": plan.download}
    return {**values, "languages": plan.request.languages, **shown}
