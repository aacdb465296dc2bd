"""`toolman completions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context

SUMMARY = "print the completions of a shell"
EXAMPLES = """\
  toolman completions bash > ~/.local/share/bash-completion/completions/toolman
  toolman completions zsh > ~/.zfunc/_toolman
  toolman completions fish > ~/.config/fish/completions/toolman.fish
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(args: argparse.Namespace, ctx: Context) -> int:
    del ctx
    import shtab

    from toolman import cli

    print(shtab.complete(cli.parser(), shell=args.shell))
    return 0
