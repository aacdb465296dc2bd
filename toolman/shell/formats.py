"""For files that other programs read: the result is computed here, from the environment."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from toolman.errors import InputError
from toolman.shell.syntax import Prepend, Set, Statement, joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# go help environment; PATH and what is toolman's own cannot stand there.
_GO = re.compile(r"GO[A-Z0-9]+|CGO_[A-Z]+|CC|CXX|AR|FC|GCCGO|PKG_CONFIG")


def github(statements: Sequence[Statement], environ: Mapping[str, str]) -> str:
    """For the file GITHUB_ENV; what goes in front of PATH is for `github_path`.

    The delimiter is random, or a value could end its own text and set other variables.
    """
    end = f"toolman_{os.urandom(16).hex()}"
    values = _computed([s for s in statements if not _is_path(s)], environ)
    return joined([f"{name}<<{end}\n{value}\n{end}" for name, value in values.items()])


def github_path(statements: Sequence[Statement]) -> str:
    """The lines for the file GITHUB_PATH, whose last line comes first in PATH.

    Raises:
        InputError: an element holds a newline.
    """
    lines: list[str] = []
    for statement in statements:
        if isinstance(statement, Prepend) and _is_path(statement):
            _refuse_newline("PATH", statement.text, "github")
            lines += reversed(statement.text.split(statement.separator))
    return joined(lines)


def json(statements: Sequence[Statement], environ: Mapping[str, str]) -> str:
    """`set` and `prepend` by name; the reader does the prepending, so `environ` is not used."""
    import json  # only this format needs it

    prepends = {s.name: s for s in statements if isinstance(s, Prepend)}
    document = {
        "schema": 1,
        "set": dict(sorted((s.name, s.value) for s in statements if isinstance(s, Set))),
        "prepend": {
            name: {"text": s.text, "separator": s.separator} for name, s in sorted(prepends.items())
        },
    }
    return joined([json.dumps(document, indent=2)])


def dotenv(statements: Sequence[Statement], environ: Mapping[str, str]) -> str:
    r"""`K="…"`, which a shell reads too, but for the `\n` and `\r` of the dotenv libraries."""
    values = _computed(statements, environ)
    return joined([f'{name}="{_dotenv_text(value)}"' for name, value in values.items()])


def make(statements: Sequence[Statement], environ: Mapping[str, str]) -> str:
    """Lines to include in a makefile; make adds to its own variables, not to `environ`.

    Raises:
        InputError: a value holds a newline.
    """
    return joined([_make_line(statement) for statement in statements])


def goenv(statements: Sequence[Statement], environ: Mapping[str, str]) -> str:
    """For a file that GOENV names: what cmd/go takes from there, and no more.

    It keeps to the environment's own flags: those in the user's variables go before them anyway.

    Raises:
        InputError: a value holds a newline.
    """
    lines = []
    for statement in statements:
        if _GO.fullmatch(statement.name):
            value = statement.value if isinstance(statement, Set) else statement.text
            _refuse_newline(statement.name, value, "goenv")
            lines.append(f"{statement.name}={value}")
    return joined(lines)


def _is_path(statement: Statement) -> bool:
    return isinstance(statement, Prepend) and statement.name == "PATH"


def _computed(statements: Sequence[Statement], environ: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for statement in statements:
        if isinstance(statement, Prepend):
            present = values.get(statement.name, environ.get(statement.name))
            values[statement.name] = statement.onto(present)
        else:
            values[statement.name] = statement.value
    return values


def _dotenv_text(value: str) -> str:
    text = re.sub(r'["\\$`]', r"\\\g<0>", value)
    return text.replace("\n", "\\n").replace("\r", "\\r")


def _make_line(statement: Statement) -> str:
    name = statement.name
    if isinstance(statement, Set):
        return f"export {name} := {_make_text(name, statement.value)}"
    present = f"$(if $({name}),{statement.separator}$({name}))"
    return f"export {name} := {_make_text(name, statement.text)}{present}"


def _make_text(name: str, value: str) -> str:
    """`$()` is nothing; it keeps blanks at the ends, and a last backslash, from make."""
    _refuse_newline(name, value, "make")
    text = re.sub(r"(\\*)#", r"\1\1\#", value.replace("$", "$$"))
    return f"$(){text}$()" if text != text.strip() or text.endswith("\\") else text


def _refuse_newline(name: str, value: str, format: str) -> None:
    if "\n" in value:
        hint = "remove the newline from it, or choose another format"
        raise InputError(f"the value of {name} holds a newline: not for '{format}'", hint=hint)
