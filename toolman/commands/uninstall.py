"""`toolman uninstall`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman import choose, install
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context

SUMMARY = "remove toolchains; the files of a linked one stay with you"
EXAMPLES = """\
  toolman uninstall arm64-musl
  toolman uninstall --all
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="*", help="a target, in any spelling, or a linked name")
    parser.add_argument("--all", action="store_true", help="remove every toolchain")


def run(args: argparse.Namespace, ctx: Context) -> int:
    if bool(args.name) == args.all:
        raise InputError("name what to remove, or give --all", hint="see: toolman list")
    names = [choose.choose(word, ctx.store).name for word in args.name]
    if args.all:
        names = sorted({one.name for one in ctx.store.toolchains()})
    for name in names:
        install.uninstall(name, ctx)
        ctx.reporter.step(f"{name} removed")
    return 0
