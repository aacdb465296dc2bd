"""Known vulnerabilities of what toolchains and libraries are made of: `data/advisories.json`.

A user can have a newer file (`toolman audit --refresh`); of that one and toolman's own the newer
is taken, as a whole. The rows are OSV's, cut down to what is asked of them (schema 1):
    date        when it was written
    advisories  id, summary, source (who says so), severity (if somebody has said one), affected:
        package    as recipes call it, or a source package of the ecosystem
        ecosystem  `Debian:12`; without: upstream's releases
        arches     GNU's names, where only those are hit
        events     introduced, fixed, last_affected: versions, as in OSV's ranges

What comes from outside is parsed as a whole, and nothing of it is used if anything is wrong.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import fetch, schema, store, versions
from toolman.errors import InputError, IntegrityError
from toolman.schema import Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from toolman.paths import Paths

FILE = Path(__file__).parent / "data/advisories.json"
SCHEMA = 1
MOST = 16 << 20
"""Bytes of a file."""
OLD = 90
"""Days after which it should be refreshed."""
SEVERITIES = ("critical", "high", "medium", "low")

_BEGIN, _FIX, _LAST = _EVENTS = ("introduced", "fixed", "last_affected")
_FIRST = "0"  # of OSV: before every version
_HINT = "docs/audit.md tells what it has to hold"
_ID = re.compile(r"[A-Z][A-Za-z]*-[A-Za-z0-9-]{4,40}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~_-]{0,79}", re.ASCII)
_LONGEST = 400  # characters of a summary or a source
_KEYS = {
    "schema": Key(kind="number", required=True),
    "date": Key(kind="text", required=True),
    "advisories": Key(kind="tables", required=True),
}
_ADVISORY = {
    "id": Key(kind="text", required=True),
    "summary": Key(kind="text", required=True),
    "source": Key(kind="text", required=True),
    "severity": Key(kind="text"),
    "affected": Key(kind="tables", required=True),
}
_AFFECTED = {
    "package": Key(kind="text", required=True),
    "ecosystem": Key(kind="text"),
    "arches": Key(kind="texts"),
    "events": Key(kind="tables", required=True),
}
_EVENT = {name: Key(kind="text") for name in _EVENTS}


@dataclass(frozen=True, kw_only=True)
class Affected:
    """The versions of a package that are hit."""

    package: str
    events: tuple[tuple[str, str], ...]
    """What and where, in the order of versions."""
    ecosystem: str | None = None
    arches: tuple[str, ...] = ()

    def hits(self, version: str) -> bool:
        """Whether this version has the flaw."""
        looked, hit = self._key(version), False
        for kind, where in self.events:
            at = self._key(where)
            if where != _FIRST and (at > looked or (kind == _LAST and at == looked)):
                break
            hit = kind == _BEGIN
        return hit

    def fixed(self, version: str) -> str | None:
        """The first version after this one without the flaw, if there is one."""
        fixes = (where for kind, where in self.events if kind == _FIX)
        looked = self._key(version)
        return next((where for where in fixes if self._key(where) > looked), None)

    def _key(self, version: str) -> Any:
        return _key(self.ecosystem, version)


@dataclass(frozen=True, kw_only=True)
class Advisory:
    """A flaw that somebody has published."""

    id: str
    summary: str
    source: str
    affected: tuple[Affected, ...]
    severity: str | None = None


@dataclass(frozen=True, kw_only=True)
class Known:
    """All that is known, and since when."""

    date: datetime.date
    advisories: tuple[Advisory, ...]
    file: Path

    def age(self, today: datetime.date) -> int:
        """In days."""
        return max(0, (today - self.date).days)


def load(paths: Paths) -> Known:
    """What is known here: toolman's own file, or the user's if that is newer.

    Raises:
        IntegrityError: the user's is damaged.
    """
    own = _own()
    try:
        content = paths.advisories.read_bytes()
    except FileNotFoundError:
        return own
    try:
        found = parse(content, paths.advisories)
    except InputError as error:
        hint = "delete it, or take a new one: toolman audit --refresh"
        raise IntegrityError(str(error), hint=hint) from error
    return found if found.date >= own.date else own


def refresh(
    word: str, paths: Paths, today: datetime.date, *, sha256: str | None = None, older: bool = False
) -> Known:
    """Take what the file, or what is at the URL, `word` says for what is known from now on.

    With `older` it has to be no newer than what was taken before, but than toolman's own.

    Raises:
        InputError: it is no such file, or older than that.
        IntegrityError: it is too large, or its digest is not `sha256`.
        NetworkError: it could not be had.
    """
    content = _content(word)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256.lower():
        raise IntegrityError(f"{word} has another digest than {sha256}")
    found = parse(content, word)
    if found.date > today + datetime.timedelta(days=1):
        text = f"{word} is of {found.date}, which is yet to come"
        raise InputError(text, hint=f"this host's clock says {today}")
    own = _own()
    here = own if older else load(paths)
    if found.date < here.date:
        hint = "--older takes it all the same" if found.date >= own.date else None
        raise InputError(f"{word} is of {found.date}; what is here is of {here.date}", hint=hint)
    store.write(paths.advisories, content.decode())
    return found


def parse(content: bytes, name: str | Path) -> Known:
    """What a file says; `name` is for the message.

    Raises:
        InputError: it is wrong; its first mistake is named.
    """
    try:
        values = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise InputError(f"{name} is no JSON", hint=_HINT) from None
    wrong = next(_mistakes(values), None)
    if wrong:
        raise InputError(f"{name} is no list of advisories: {wrong}", hint=_HINT)
    return Known(
        date=datetime.date.fromisoformat(values["date"]),
        advisories=tuple(map(_advisory, values["advisories"])),
        file=Path(name),
    )


def _key(ecosystem: str | None, version: str) -> Any:
    return versions.debian(version) if ecosystem else versions.upstream(version)


def _own() -> Known:
    return parse(FILE.read_bytes(), FILE)


def _content(word: str) -> bytes:
    if "://" in word:
        return fetch.content(word, MOST)
    try:
        with Path(word).open("rb") as file:
            content = file.read(MOST + 1)
    except OSError as error:
        raise InputError(f"cannot read {word}: {error.strerror}") from error
    if len(content) > MOST:
        raise IntegrityError(f"{word} is larger than {MOST} bytes")
    return content


def _advisory(row: Mapping[str, Any]) -> Advisory:
    return Advisory(**{**row, "affected": tuple(map(_affected, row["affected"]))})


def _affected(row: Mapping[str, Any]) -> Affected:
    ecosystem = row.get("ecosystem")

    def order(event: tuple[str, str]) -> Any:
        return event[1] != _FIRST, _key(ecosystem, event[1]), event[0] != _FIX

    events = sorted((next(iter(one.items())) for one in row["events"]), key=order)
    return Affected(
        package=row["package"],
        ecosystem=ecosystem,
        arches=tuple(row.get("arches", ())),
        events=tuple(events),
    )


def _mistakes(values: object) -> Iterator[str]:
    if not isinstance(values, dict):
        yield "it is no table"
        return
    if values.get("schema", SCHEMA) != SCHEMA:
        yield f"schema: this toolman knows {SCHEMA}, not {values['schema']!r}"
    yield from schema.mistakes(values, _KEYS)
    yield from _wrong_date(values.get("date"))
    for number, row in enumerate(values["advisories"]):
        where = f"advisories[{number}]."
        yield from schema.mistakes(row, _ADVISORY, where)
        yield from _wrong_advisory(row, where)
        for count, part in enumerate(row["affected"]):
            yield from _wrong_affected(part, f"{where}affected[{count}].")


def _wrong_date(text: object) -> Iterator[str]:
    try:
        if not _DATE.fullmatch(str(text)):
            raise ValueError
        datetime.date.fromisoformat(str(text))
    except ValueError:
        yield "date: must be a day, as in 2026-11-28"


def _wrong_advisory(row: Mapping[str, Any], where: str) -> Iterator[str]:
    if not _ID.fullmatch(row["id"]):
        yield f"{where}id: must be as CVE-2022-37434"
    for name in ("summary", "source"):
        if not row[name].isprintable() or len(row[name]) > _LONGEST:
            yield f"{where}{name}: must be one line of at most {_LONGEST} characters"
    if row.get("severity", SEVERITIES[0]) not in SEVERITIES:
        yield f"{where}severity: must be one of {', '.join(SEVERITIES)}"


def _wrong_affected(row: Mapping[str, Any], where: str) -> Iterator[str]:
    yield from schema.mistakes(row, _AFFECTED, where)
    names = [row["package"], row.get("ecosystem", "x"), *row.get("arches", ())]
    yield from (f"{where}{one!r} is no name" for one in _not_words(names))
    for event in row["events"]:
        yield from schema.mistakes(event, _EVENT, f"{where}events.")
        if len(event) != 1:
            yield f"{where}events: each is one of {', '.join(_EVENTS)}, and a version"
        yield from (f"{where}events: {one!r} is no version" for one in _not_words(event.values()))
    if not any(_BEGIN in event for event in row["events"]):
        yield f"{where}events: none is introduced"


def _not_words(words: Iterable[str]) -> Iterator[str]:
    yield from (one for one in words if not _WORD.fullmatch(one))
