"""The order of versions: of upstream's releases, and of Debian's packages.

Upstream: numbers by their value, and what is behind one, `1.1.1` < `1.1.1a` < `1.1.1w` <
`1.1.1.1`; `3.0.0-beta2` and its like come before `3.0.0`, and `1.3.0` is `1.3`. What separates
them does not count. Debian: deb-version(7).
"""

from __future__ import annotations

import re

LONGEST = 80  # characters

_PARTS = re.compile(r"\d+|[a-z]+", re.ASCII)
_BEFORE = {"dev": 0, "alpha": 1, "beta": 2, "pre": 3, "rc": 4}
_EARLY, _END, _LETTERS, _NUMBER = range(4)

Key = list[tuple[int, int, str]]


def upstream(text: str) -> Key:
    """What sorts upstream's versions."""
    parts: Key = []
    for word in _PARTS.findall(text.lower()):
        if word.isdecimal():
            parts.append((_NUMBER, int(word), ""))
            continue
        while parts and parts[-1] == (_NUMBER, 0, ""):
            parts.pop()
        early = word in _BEFORE
        parts.append((_EARLY, _BEFORE[word], "") if early else (_LETTERS, 0, word))
    while parts and parts[-1] == (_NUMBER, 0, ""):
        parts.pop()
    return [*parts, (_END, 0, "")]


def debian(text: str) -> list[list[tuple[list[int], int]]]:
    """What sorts the versions of Debian's packages."""
    epoch, colon, rest = text.partition(":")
    if not colon:
        epoch, rest = "0", text
    version, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return [_debian_part(part) for part in (epoch, version, revision)]


def _debian_part(text: str) -> list[tuple[list[int], int]]:
    """Words and numbers by turns, a word first; the end is an empty one and 0."""
    pairs = re.findall(r"([^0-9]*)([0-9]*)", text)
    parts = [(_word(word), int(number or 0)) for word, number in pairs if word or number]
    end = (_word(""), 0)
    return parts if parts[-1:] == [end] else [*parts, end]


def _word(text: str) -> list[int]:
    """`~` sorts before the end, letters after it, and all else after letters."""
    return [*(0 if c == "~" else ord(c) + 256 * (not c.isalpha()) for c in text), 1]
