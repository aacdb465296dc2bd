"""`toolman link`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolman import install
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context

SUMMARY = "use a toolchain in a directory of your own, by a name"
EXAMPLES = """\
  toolman link arm64-musl /opt/aarch64-linux-musl-cross    in the place of arm64-musl
  toolman link mine /opt/aarch64-linux-musl-cross          beside it: toolman env mine
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a target that it is for, or a name of your own")
    parser.add_argument("directory", help="the directory that holds bin/*-gcc")


def run(args: argparse.Namespace, ctx: Context) -> int:
    root = Path(args.directory).absolute()
    if not root.is_dir():
        raise InputError(f"{args.directory} is no directory")
    made = install.link(args.name, root, ctx)
    ctx.reporter.step(f"{made.name} linked to {root}: {made.target}, gcc {made.about.version}")
    return 0
