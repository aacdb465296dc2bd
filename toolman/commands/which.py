"""`toolman which`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman import choose, target
from toolman.commands import output
from toolman.environment import prefix
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context
    from toolman.toolchain import Toolchain

SUMMARY = "print the file that a tool's name means"
EXAMPLES = """\
  toolman which aarch64-linux-musl-gcc
  toolman which ld --target arm64-gnu
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tool", help="a shim's name, or with --target a bare tool: gcc, ld …")
    parser.add_argument("--target", help="a target, in any spelling, or a linked name")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    found, tool = _find(args, ctx)
    path = found.tool(tool)
    if not path.exists():
        raise InputError(f"{path} is gone", hint=f"toolman install {found.name}")
    if args.json:
        output.print_json({"tool": tool, "path": str(path), "toolchain": found.name})
    else:
        print(path)
    return 0


def _find(args: argparse.Namespace, ctx: Context) -> tuple[Toolchain, str]:
    if args.target:
        choice = choose.choose(args.target, ctx.store, directory=ctx.directory)
        return choose.installed(choice, ctx.store), args.tool
    for name in {one.name for one in ctx.store.toolchains()}:
        found = ctx.store.active(name)
        head = f"{prefix(found)}-" if found else ""
        if found and args.tool.startswith(head):
            return found, args.tool.removeprefix(head)
    for one in target.targets():
        if args.tool.startswith(f"{one.triple}-"):
            raise InputError(f"{one} is not installed", hint=f"toolman install {one}")
    raise InputError(
        f"no installed toolchain has a shim '{args.tool}'",
        hint="as in: toolman which aarch64-linux-musl-gcc, toolman which gcc --target arm64-musl",
    )
