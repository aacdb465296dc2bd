"""For fish: `toolman env --shell fish … | source`.

`eval (toolman env …)` works as well: fish breaks the text at newlines and joins it by blanks,
so every line ends in `;` and no value holds a newline as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolman.shell.syntax import MARK, SAVED, SCHEME, Prepend, Syntax, octets

if TYPE_CHECKING:
    from collections.abc import Sequence


def assign(name: str, value: str) -> str:
    # fish itself makes a list of a variable whose name ends in PATH.
    return f"set -gx {name} {_word(value)};"


def unset(name: str) -> str:
    return f"set -e {name}; or true;"


def prepend(statement: Prepend) -> list[str]:
    """`string replace` looks for a literal text; the mark ties it to the front.

    `true` at the end, for `set` leaves the status of an earlier `test` as it is.
    """
    name, edge = statement.name, _word(statement.separator)
    sought = f'{_word(MARK + statement.first)} x {_word(MARK)}"${name}"{edge}'
    return [
        f"if not string replace -q -- {sought};",
        f'if test -n "${name}"; set -gx {name} {_word(statement.first)}"${name}";',
        f"else; set -gx {name} {_word(statement.text)}; end;",
        "end; true;",
    ]


def save(names: Sequence[str]) -> str:
    values = "".join(
        f'set -q {name}; and set -gx {SAVED} "${SAVED}"{_word(f"{MARK}{name}=")}"${name}"; '
        for name in names
    )
    return f"if not set -q {SAVED}; set -gx {SAVED} {SCHEME}; {values}end; true;"


def _word(value: str) -> str:
    r"""In quotes, but a control or non-ASCII byte as `\XHH`, which stands outside of them.

    In the C locale fish takes the bytes of its input for Latin-1; it takes `\XHH` as meant.
    """
    quoted = octets(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{re.sub(r'[^ -~]+', _escape, quoted)}'"


def _escape(found: re.Match[str]) -> str:
    escapes = "".join(f"\\X{ord(byte):02x}" for byte in found[0])
    return f"'{escapes}'"


SYNTAX = Syntax(assign=assign, unset=unset, prepend=prepend, save=save, failure="false")
