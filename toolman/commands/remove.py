"""`toolman remove`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman import choose
from toolman.commands import add, output
from toolman.errors import InputError
from toolman.libraries import choice, laying

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context

SUMMARY = "remove libraries from a target; they stay in the store until toolman gc"
EXAMPLES = """\
  toolman remove arm64-musl zlib
  toolman remove arm64-musl --all
What only they needed goes with them.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="an installed target, in any spelling")
    parser.add_argument("library", nargs="*")
    parser.add_argument("--all", action="store_true", help="remove every library")
    parser.add_argument("--libc", choices=("musl", "gnu"), help="for a platform named without one")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    if bool(args.library) == args.all:
        hint = "see: toolman list --libraries TARGET"
        raise InputError("name the libraries to remove, or give --all", hint=hint)
    chosen = choose.choose(args.target, ctx.store, libc=args.libc, directory=ctx.directory)
    before = choose.installed(chosen, ctx.store)
    wishes = choice.of(before.about.libraries)
    left = [] if args.all else choice.without(wishes, args.library)
    made = laying.ensure(before, left, ctx)
    add.tell(made, before, args, ctx)
    return 0
