"""`toolman exec`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from toolman import environment
from toolman.commands import env
from toolman.errors import InputError
from toolman.run import replace

if TYPE_CHECKING:
    from toolman.context import Context

SUMMARY = "run a command in the environment of a toolchain"
EXAMPLES = """\
  toolman exec linux/arm64 -- go build ./...
  toolman exec arm64-gnu --static --cpu graviton2 -- go build ./...
  toolman exec arm64-gnu -- make CROSS_COMPILE=aarch64-linux-gnu-
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="a target, in any spelling, or a linked name")
    env.add_choice(parser)
    # As for subcommands: from the first word on that is no option, all is the command's.
    argv = parser.add_argument(
        "argv", nargs=argparse.PARSER, metavar="-- COMMAND", default=[], help="what to run"
    )
    argv.required = False


def run(args: argparse.Namespace, ctx: Context) -> int:
    argv = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
    if not argv:
        raise InputError("no command given", hint="toolman exec linux/arm64 -- go build")
    _, said = env.asked(args, ctx)
    replace(argv, environment.applied(said, env.inactive(ctx)))
