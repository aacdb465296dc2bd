"""What an environment is made of, and what a dialect must be able to say."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

SAVED = "TOOLMAN_SAVED"

# TOOLMAN_SAVED is this number and a `<mark>NAME=value` for each variable that was set. The
# number also keeps it from being empty: PowerShell removes a variable that is set to ''.
SCHEME = "1"
MARK = "\037"


@dataclass(frozen=True)
class Set:
    """`name` gets `value`."""

    name: str
    value: str


@dataclass(frozen=True)
class Prepend:
    """`text` stands first among the elements of `name`, which `separator` divides.

    Doing it twice changes nothing, and no empty element appears: in PATH that would be the
    current directory. At most one for each name.
    """

    name: str
    text: str
    separator: str

    @property
    def first(self) -> str:
        """What stands in front of the other elements."""
        return self.text + self.separator

    def onto(self, value: str | None) -> str:
        """`value` with the text in front; an empty `value` counts as none."""
        if not value:
            return self.text
        return value if (value + self.separator).startswith(self.first) else self.first + value

    def off(self, value: str | None) -> str | None:
        """`value` without the first occurrence of the text; None if nothing is left.

        The text is found behind other elements too: the user may have put some in front.
        """
        edge = self.separator
        whole = f"{edge}{value or ''}{edge}".replace(f"{edge}{self.first}", edge, 1)
        return whole[len(edge) : -len(edge)] or None


Statement = Set | Prepend
Format = Callable[[Sequence[Statement], Mapping[str, str]], str]


@dataclass(frozen=True, kw_only=True)
class Syntax:
    """A shell: each function gives statements that end in `;`, without a newline in them."""

    assign: Callable[[str, str], str]
    unset: Callable[[str], str]
    prepend: Callable[[Prepend], list[str]]
    save: Callable[[Sequence[str]], str]
    failure: str


def octets(value: str) -> str:
    """One character for each byte that `value` has in an environment."""
    return os.fsencode(value).decode("latin-1")


def joined(lines: Sequence[str]) -> str:
    """`lines`, each ended by a newline."""
    return "".join(f"{line}\n" for line in lines)
