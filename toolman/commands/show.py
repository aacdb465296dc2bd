"""`toolman show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman import choose, environment, systems
from toolman.commands import output

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context

SUMMARY = "show what a toolchain is, where it came from, and why it is the active one"
EXAMPLES = """\
  toolman show linux/arm64
  toolman show arm64-gnu --json
  toolman show                  (what the pin or the default means here)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", help="a target, in any spelling, or a linked name")
    parser.add_argument("--libc", choices=("musl", "gnu"), help="for a platform named without one")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    choice = choose.choose(args.target, ctx.store, libc=args.libc, directory=ctx.directory)
    found = choose.installed(choice, ctx.store)
    about = found.about
    if args.json:
        values = about.to_json()
        del values["schema"]
        places = {"triple": found.target.triple, "path": str(found.path), "reason": choice.reason}
        setup, _ = systems.both(found, ctx.paths)
        files = {one: str(systems.path(one, setup)) for one in systems.EXTENSIONS}
        output.print_json({**values, **places, "sysroot": str(found.sysroot), "files": files})
        return 0
    rows = [
        ("name", found.name),
        ("why", choice.reason),
        ("target", f"{found.target} ({found.target.platform}, {found.target.triple})"),
        ("origin", f"{about.origin} of {about.host}"),
        ("gcc", about.version),
        ("languages", ", ".join(about.languages)),
        ("default", "static" if environment.default_static(found) else "dynamic"),
        ("path", str(found.root)),
        ("sysroot", str(found.sysroot)),
        ("digest", f"sha256:{about.digest}"),
    ]
    output.table(rows)
    if about.libraries:
        print()
        laid = [(o.name, o.version, f"sha256:{o.sha256[:12]}", o.license) for o in about.libraries]
        output.table(laid)
    if about.components:
        print()
        parts = [(one.name, one.version, f"sha256:{one.sha256[:12]}") for one in about.components]
        output.table(sorted(parts))
    return 0
