"""What the commands' output has in common."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from toolman.context import Context
    from toolman.install import Result
    from toolman.toolchain import Toolchain

SCHEMA = 1
FOUND = 100
"""The exit code of commands that look for something and have found it; as rustup's."""

State = Literal["ok", "note", "broken"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that `doctor` looked at; `cure` is what to type or change."""

    about: str
    state: State
    text: str
    cure: str | None = None


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option of all commands that read."""
    parser.add_argument("--json", action="store_true", help="print JSON (it has a schema number)")


def add_glibc(parser: argparse.ArgumentParser) -> None:
    """The option of commands that choose a target."""
    text = "of gnu: the oldest glibc that programs must run with, as in arm64-gnu.2.28"
    parser.add_argument("--glibc", metavar="VERSION", help=text)


def add_jobs(parser: argparse._ActionsContainer) -> None:
    """The option of all commands that may build from source."""
    parser.add_argument("--jobs", "-j", type=_count, metavar="N", help="how many jobs at once")


def archives(count: int) -> str:
    """So many archives, in words."""
    return f"{count} archive{'s' * (count != 1)}"


def add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    """One of several actions of a command; -q and -v may stand behind it, too."""
    import argparse

    one = actions.add_parser(name, help=text, description=text)
    for words, said in (
        (("-q", "--quiet"), "say nothing but errors"),
        (("-v", "--verbose"), "say more"),
        (("--offline",), "never ask the network"),
    ):
        one.add_argument(*words, action="store_true", default=argparse.SUPPRESS, help=said)
    one.set_defaults(action=name)
    return one


def print_json(values: dict[str, Any]) -> None:
    """Print `values` behind the schema number."""
    print(json_text(values), end="")


def json_text(values: dict[str, Any]) -> str:
    """`values` behind the schema number, as a file's text."""
    return json.dumps({"schema": SCHEMA, **values}, indent=2) + "\n"


def summary(toolchain: Toolchain) -> dict[str, Any]:
    """A toolchain in JSON: its description and its places, without the long lists."""
    values = toolchain.about.to_json()
    for key in ("schema", "tools", "components"):
        del values[key]
    values.setdefault("libraries", [])
    return {**values, "triple": toolchain.target.triple, "path": str(toolchain.path)}


def tell_installed(result: Result, ctx: Context) -> None:
    """Say what an install has come to, and how to use it."""
    made = result.toolchain
    state = "installed" if result.fresh else "is already installed"
    ctx.reporter.step(f"{made.name} {state}: gcc {made.about.version}, origin {made.about.origin}")
    if result.fresh:
        ctx.reporter.step(f"use it with: eval $(toolman env {made.name})")


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print `rows` in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _count(word: str) -> int:
    import argparse

    if not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"'{word}' is no number of jobs")
    return int(word)


def root_of(path: Path) -> bytes:
    """The root in a file that the user names.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
