"""One text for sh, dash, bash and zsh, whether `$(toolman env …)` stands in quotes or not.

Without quotes the shell breaks the text at blanks and newlines, joins the words by one blank,
and takes `*?[` for patterns of file names, all before `eval` sees any quote. So every
statement stands on one line and ends in `;`; there is no comment, no control flow, no glob
character and no run of blanks; and a byte that could be misread is spelled in octal, for
`printf` (a builtin of all of them) to make.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolman.errors import InputError
from toolman.shell.syntax import MARK, SAVED, SCHEME, Prepend, Syntax, octets

if TYPE_CHECKING:
    from collections.abc import Sequence

# Everything else means something to one of the shells, be it only in a pattern.
_SAFE = r"A-Za-z0-9_/.,:@%=+\-"
_PLAIN = re.compile(f"[{_SAFE} ]*")
# printf would take a leading `-` for an option.
_SPECIAL = re.compile(f"^-|%|[^{_SAFE}]")


def assign(name: str, value: str) -> str:
    return f"export {name}={_word(name, value)};"


def unset(name: str) -> str:
    return f"unset {name};"


def prepend(statement: Prepend) -> list[str]:
    """A separator is put behind the last element, the text moves to the front, it goes again.

    Only so can a text with nothing behind it be recognised the second time. The assignments
    stand apart from `export`, for in an assignment no shell breaks up what it expands.
    """
    name = statement.name
    first, edge = _word(name, statement.first), _word(name, statement.separator)
    return [
        f"{name}=${{{name}:+${name}{edge}}};",
        f"{name}={first}${{{name}#{first}}};",
        f"{name}=${{{name}%{edge}}};",
        f"export {name};",
    ]


def save(names: Sequence[str]) -> str:
    values = "".join(f"${{{name}+{MARK}{name}=${name}}}" for name in names)
    return f'export {SAVED}="${{{SAVED}-{SCHEME}{values}}}";'


def _word(name: str, value: str) -> str:
    if _PLAIN.fullmatch(value) and "  " not in value:
        return f"'{value}'"
    if value.endswith("\n"):
        # `$(printf …)` would drop it.
        hint = f"remove the newline from the end of {name}"
        raise InputError(f"the value of {name} ends in a newline, which sh would lose", hint=hint)
    return f"\"$(printf '{_SPECIAL.sub(_escape, octets(value))}')\""


def _escape(found: re.Match[str]) -> str:
    return "%%" if found[0] == "%" else f"\\{ord(found[0]):03o}"


SYNTAX = Syntax(assign=assign, unset=unset, prepend=prepend, save=save, failure="false;")
