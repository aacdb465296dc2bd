"""An environment, printed in the dialect of a shell or of a file format.

What a shell gets is a constant text: it depends on the statements alone, never on the
present environment, so it is rendered once at install and printed without Python.

The same text serves sh, bash and zsh, for `eval $(toolman env …)` cannot tell who calls.
Every text ends in a newline or is empty. It is ASCII for sh, bash, zsh, fish and json; the
others hold the values as they are. Write it with `os.fsencode`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolman.errors import InputError
from toolman.shell import fish, formats, posix, pwsh
from toolman.shell.formats import github_path
from toolman.shell.syntax import MARK, SAVED, SCHEME, Format, Prepend, Set, Statement, joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "FORMATS",
    "SAVED",
    "SHELLS",
    "Prepend",
    "Set",
    "Statement",
    "activate",
    "deactivate",
    "dialect",
    "failure",
    "github_path",
    "saved",
]

SHELLS = ("sh", "bash", "zsh", "fish", "pwsh")
FORMATS = ("github", "json", "dotenv", "make", "goenv")

_ALIASES = {"dash": "sh", "ash": "sh", "ksh": "sh", "powershell": "pwsh"}
_SYNTAX = {
    "sh": posix.SYNTAX,
    "bash": posix.SYNTAX,
    "zsh": posix.SYNTAX,
    "fish": fish.SYNTAX,
    "pwsh": pwsh.SYNTAX,
}
_FORMATS: Mapping[str, Format] = {
    "github": formats.github,
    "json": formats.json,
    "dotenv": formats.dotenv,
    "make": formats.make,
    "goenv": formats.goenv,
}


def dialect(word: str) -> str:
    """The member of `SHELLS` or `FORMATS` that `word` means.

    Raises:
        InputError: there is no such shell or format.
    """
    found = _ALIASES.get(word, word)
    if found in SHELLS or found in FORMATS:
        return found
    raise _unknown(word)


def activate(
    dialect: str,
    statements: Sequence[Statement],
    environ: Mapping[str, str] = {},
    save: Sequence[str] = (),
) -> str:
    """The text that does `statements`.

    Shells: before them, the present values of the variables `save` are remembered in
    TOOLMAN_SAVED, unless it is there already. Always pass the same names in the same order,
    whatever the target: a second activation does not add to what the first remembered.
    Formats: `environ` holds the present values that a Prepend adds to.

    Raises:
        InputError: a name or a value that the dialect cannot carry.
    """
    for statement in statements:
        _check(
            statement.name, statement.first if isinstance(statement, Prepend) else statement.value
        )
    if dialect in FORMATS:
        return _FORMATS[dialect](statements, environ)
    syntax = _SYNTAX[dialect]
    lines = [syntax.save(save)] if save else []
    for statement in statements:
        if isinstance(statement, Prepend):
            lines += syntax.prepend(statement)
        else:
            lines.append(syntax.assign(statement.name, statement.value))
    return joined(lines)


def deactivate(dialect: str, restore: Mapping[str, str | None]) -> str:
    """The text that gives each variable its value back; None unsets it.

    Raises:
        InputError: `dialect` is a format, or it cannot carry a value.
    """
    if dialect in FORMATS:
        hint = f"choose a shell: {', '.join(SHELLS)}"
        raise InputError(f"the format '{dialect}' cannot take variables back", hint=hint)
    syntax = _SYNTAX[dialect]
    lines = []
    for name, value in restore.items():
        _check(name, value or "")
        lines.append(syntax.unset(name) if value is None else syntax.assign(name, value))
    return joined(lines)


def failure(dialect: str) -> str:
    """What stdout gets when `env` fails, so that the caller's `eval` fails too."""
    return "" if dialect in FORMATS else joined([_SYNTAX[dialect].failure])


def saved(text: str, names: Sequence[str]) -> dict[str, str | None]:
    r"""What TOOLMAN_SAVED remembers of `names`, which `activate` got as `save`; None was unset.

    A value may hold anything but a literal `\037NAME=`.

    Raises:
        InputError: toolman did not write `text`.
    """
    if text.partition(MARK)[0] != SCHEME:
        hint = f"start a new shell, or: unset {SAVED}"
        raise InputError(f"{SAVED} does not hold what toolman wrote", hint=hint)
    found: list[tuple[str, int, int]] = []
    end = 0
    for name in names:
        mark = f"{MARK}{name}="
        at = text.find(mark, end)
        if at >= 0:
            end = at + len(mark)
            found.append((name, at, end))
    stops = [*(at for _, at, _ in found), len(text)][1:]
    values: dict[str, str | None] = dict.fromkeys(names)
    return values | {
        name: text[end:stop] for (name, _, end), stop in zip(found, stops, strict=True)
    }


def _unknown(word: str) -> InputError:
    import difflib  # only an error needs it

    known = [*SHELLS, *FORMATS]
    near = difflib.get_close_matches(word.lower(), [*known, *_ALIASES], n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    return InputError(f"unknown shell or format '{word}'", hint=hint)


def _check(name: str, value: str) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise InputError(f"'{name}' cannot be the name of a variable")
    if "\0" in value:
        raise InputError(f"the value of {name} holds a NUL byte, which no environment can carry")
