"""`toolman run`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import choose, qemu
from toolman.errors import InputError
from toolman.run import replace, which

if TYPE_CHECKING:
    from toolman.context import Context

SUMMARY = "run a target's program here, under qemu-user where that is needed"
EXAMPLES = """\
  toolman run linux/arm64 ./hello --flag
  go test -exec "toolman run linux/arm64" ./...
qemu-user is taken from PATH, or unpacked privately from the host's archive at the first use.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="a target, in any spelling, or a linked name")
    parser.add_argument("program", help="the program's file")
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="…", help="its arguments")


def run(args: argparse.Namespace, ctx: Context) -> int:
    choice = choose.choose(args.target, ctx.store, directory=ctx.directory)
    program = _program(args.program, ctx)
    chosen = ctx.store.active(choice.name)
    words = qemu.command(program, choice.target.platform, chosen, ctx)
    replace([*words, *args.argv], ctx.environ)


def _program(word: str, ctx: Context) -> Path:
    found = word if "/" in word else which(word, ctx.environ.get("PATH"))
    path = Path(found or word)
    if not path.is_file():
        raise InputError(f"{word}: no such program", hint="give its path, as ./hello")
    return path
