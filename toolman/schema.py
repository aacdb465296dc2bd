"""Tables of TOML that users write: every mistake in them, found in one pass.

A schema is a table of keys. A mistake is one line that names the key and, where one is near,
what was probably meant.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Kind = Literal[
    "text",
    "number",
    "texts",
    "table",
    "table of text",
    "table of texts",
    "tables",
    "headed tables",
]

_SAID: dict[Kind, str] = {
    "text": 'text, as in "1.2.5"',
    "number": "a number, as in 1",
    "texts": 'a list of texts, as in ["a", "b"]',
    "table": "a table, under a heading in [brackets]",
    "table of text": 'a table of texts, as in { gcc = "14.2.0" }',
    "table of texts": 'a table of lists of texts, as in { gcc = ["--enable-lto"] }',
    "tables": "tables, each under a heading in [[double brackets]]",
    "headed tables": "tables, each under its own heading",
}


@dataclass(frozen=True, kw_only=True)
class Key:
    """What stands under a key."""

    kind: Kind
    required: bool = False


def mistakes(table: Mapping[str, Any], keys: Mapping[str, Key], where: str = "") -> Iterator[str]:
    """What of `table` does not fit `keys`; `where` goes before the name of each key."""
    for name, value in table.items():
        key = keys.get(name)
        if key is None:
            yield f"{where}{name}: unknown key{meant(name, keys)}"
        elif not _fits(value, key.kind):
            yield f"{where}{name}: must be {_SAID[key.kind]}"
    for name, key in keys.items():
        if key.required and name not in table:
            yield f"{where}{name}: missing; it is {_SAID[key.kind]}"


def fitting(table: Mapping[str, Any], keys: Mapping[str, Key]) -> dict[str, Any]:
    """The part of `table` that fits `keys`, so that a second look can find more mistakes."""
    return {
        name: value
        for name, value in table.items()
        if name in keys and _fits(value, keys[name].kind)
    }


def meant(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where something known is near, else nothing."""
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _fits(value: object, kind: Kind) -> bool:
    match kind:
        case "text":
            return isinstance(value, str) and bool(value)
        case "number":
            return isinstance(value, int) and not isinstance(value, bool) and value >= 0
        case "texts":
            return isinstance(value, list) and all(_fits(one, "text") for one in value)
        case "table":
            return isinstance(value, dict)
        case "table of text":
            return isinstance(value, dict) and all(_fits(one, "text") for one in value.values())
        case "table of texts":
            return isinstance(value, dict) and all(_fits(one, "texts") for one in value.values())
        case "tables":
            return isinstance(value, list) and all(isinstance(one, dict) for one in value)
        case "headed tables":
            return isinstance(value, dict) and all(isinstance(one, dict) for one in value.values())
