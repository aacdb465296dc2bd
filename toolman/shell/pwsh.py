"""For PowerShell: `toolman env --shell pwsh … | Out-String | Invoke-Expression`.

PowerShell (before 7.5) removes a variable that is set to the empty text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolman.shell.syntax import MARK, SAVED, SCHEME, Prepend, Syntax

if TYPE_CHECKING:
    from collections.abc import Sequence


def assign(name: str, value: str) -> str:
    return f"{_variable(name)} = {_word(value)};"


def unset(name: str) -> str:
    return f"Remove-Item -ErrorAction SilentlyContinue -LiteralPath 'Env:/{name}';"


def prepend(statement: Prepend) -> list[str]:
    name, edge = _variable(statement.name), _word(statement.separator)
    present = f"({name} + {edge}).StartsWith({_word(statement.first)}, 'Ordinal')"
    added = f"{_word(statement.text)} + $(if ({name}) {{ {edge} + {name} }})"
    return [f"if (-not {present}) {{ {name} = {added} }};"]


def save(names: Sequence[str]) -> str:
    values = "".join(
        f" + $(if (Test-Path 'Env:/{name}') {{ {_word(f'{MARK}{name}=')} + {_variable(name)} }})"
        for name in names
    )
    return f"if (-not (Test-Path 'Env:/{SAVED}')) {{ {_variable(SAVED)} = '{SCHEME}'{values} }};"


def _variable(name: str) -> str:
    return f"${{Env:{name}}}"


def _word(value: str) -> str:
    """PowerShell takes the typographic single quotes U+2018 to U+201B for quotes as well."""
    doubled = re.sub("['\u2018-\u201b]", r"\g<0>\g<0>", value)
    return f"'{doubled}'"


SYNTAX = Syntax(
    assign=assign,
    unset=unset,
    prepend=prepend,
    save=save,
    failure="throw 'toolman env failed';",
)
