"""What is known of the messages of failed builds: `data/failures.toml`."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILE = Path(__file__).parent / "data/failures.toml"
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LONGEST = 4000  # letters of a line that are looked at


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A message that somebody has met before."""

    match: re.Pattern[str]
    about: str
    text: str
    cure: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """A known message in a log."""

    line: int
    """Its number, from 1."""
    said: str
    about: str
    text: str
    cure: str
    source: str


@cache
def known() -> tuple[Failure, ...]:
    """All rows, in their order."""
    rows = tomllib.loads(FILE.read_text("utf-8"))["failure"]
    return tuple(Failure(**{**row, "match": re.compile(row["match"])}) for row in rows)


def recognise(lines: Iterable[str]) -> Iterator[Recognised]:
    """What of a log is known; each cause once, where it is met first."""
    told = set()
    for number, line in enumerate(lines, 1):
        found = _recognised(number, _COLOURS.sub("", line[:_LONGEST]).strip())
        if found and (found.text, found.cure) not in told:
            told.add((found.text, found.cure))
            yield found


def _recognised(number: int, said: str) -> Recognised | None:
    for one in known():
        if match := one.match.search(said):
            return Recognised(
                line=number,
                said=said,
                about=one.about,
                text=_filled(one.text, match),
                cure=_filled(one.cure, match),
                source=one.source,
            )
    return None


def _filled(text: str, match: re.Match[str]) -> str:
    """With what the groups have found; of alternatives only those count that have matched."""
    found = [match[0], *(group for group in match.groups() if group is not None)]
    return re.sub(r"\{(\d)\}", lambda one: found[int(one[1])], text)
