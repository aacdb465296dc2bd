"""The catalogue: toolchains that other publishers offer, as files of their own kind.

`data/catalogue.toml` explains its keys, and holds only what two or more places state the same
sha256 of. TOOLMAN_CATALOGUE names a file of the user's that is read instead: whom to trust is then
theirs to say, but nothing is taken there without its digest, either.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import request, schema, target
from toolman.archive import Limits
from toolman.errors import InputError
from toolman.schema import Key
from toolman.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolman.host import Host

BUILT_IN = Path(__file__).parent / "data/catalogue.toml"
VARIABLE = "TOOLMAN_CATALOGUE"
SCHEMA = 1

_DIGEST = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_PATH = re.compile(rf"{_WORD.pattern}(/{_WORD.pattern})*")
_URL = re.compile(r"(https?|file)://\S+")
# Where a row has none. Such toolchains take some hundred MB and some thousand files.
_LIMITS = {"unpacked": 3 << 30, "members": 200_000}
_TOP = {
    "schema": Key(kind="number", required=True),
    "publisher": Key(kind="tables", required=True),
    "toolchain": Key(kind="tables", required=True),
}
_PUBLISHER = {
    "name": Key(kind="text", required=True),
    "title": Key(kind="text", required=True),
    "about": Key(kind="text"),
    "licence": Key(kind="text", required=True),
    "wrapped": Key(kind="text"),
}
_TOOLCHAIN = {
    **{
        name: Key(kind="text", required=True)
        for name in ("publisher", "release", "target", "host", "gcc", "triple", "sha256")
    },
    **{name: Key(kind="text", required=True) for name in ("top", "sysroot")},
    "languages": Key(kind="texts", required=True),
    "urls": Key(kind="texts", required=True),
    "components": Key(kind="table of text"),
    **{name: Key(kind="number") for name in ("sources", "size", *_LIMITS)},
    "note": Key(kind="text"),
}


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """Who offers toolchains, and what all of theirs have in common."""

    name: str
    title: str
    licence: str
    about: str = ""
    wrapped: str = ""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One toolchain for one host."""

    publisher: Publisher
    release: str
    target: Target
    host: str
    gcc: str
    triple: str
    languages: tuple[str, ...]
    urls: tuple[str, ...]
    sha256: str
    size: int | None
    """Bytes of the file; None: not known."""
    top: str
    sysroot: str
    limits: Limits
    components: Mapping[str, str]
    """Versions by name."""
    note: str
    """For people; may be empty."""

    def fits(self, wanted: request.Request, host: Host) -> bool:
        """Whether it runs on `host` and is what was asked for."""
        version = wanted.gcc is None or f"{self.gcc}.".startswith(f"{wanted.gcc}.")
        languages = set(wanted.languages) <= set(self.languages)
        plain = not (wanted.recipe or wanted.malloc) and wanted.publisher in (
            None,
            self.publisher.name,
        )
        same = self.target == wanted.target and self.runs_on(host)
        return version and languages and plain and same

    def runs_on(self, host: Host) -> bool:
        """Whether its programs are for the machine and the system that toolman runs on."""
        return self.host == f"{sys.platform}-{host.machine}"


def offers(environ: Mapping[str, str]) -> list[Offer]:
    """All that is in the catalogue, of each publisher the newest first.

    Raises:
        InputError: a catalogue of the user's is wrong; all of its mistakes are listed.
    """
    named = environ.get(VARIABLE)
    file = Path(named) if named else BUILT_IN
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: {error}", hint=f"{VARIABLE} names it") from error
    issues = list(_mistakes(values))
    if issues:
        raise InputError(f"{file}: {'; '.join(issues)}", hint=f"as in {BUILT_IN}")
    publishers = {row["name"]: Publisher(**row) for row in values["publisher"]}
    return [_offer(row, publishers) for row in values["toolchain"]]


def publishers(environ: Mapping[str, str]) -> list[str]:
    """The names of those who offer something.

    Raises: as `offers`.
    """
    return list(dict.fromkeys(one.publisher.name for one in offers(environ)))


def _offer(row: dict[str, Any], publishers: Mapping[str, Publisher]) -> Offer:
    found = target.parse(row["target"])
    assert isinstance(found, Target)
    caps = {name: row.get(name, most) for name, most in _LIMITS.items()}
    same = {name: row[name] for name in ("release", "host", "gcc", "triple", "sha256")}
    return Offer(
        publisher=publishers[row["publisher"]],
        target=found,
        languages=tuple(row["languages"]),
        urls=tuple(row["urls"]),
        size=row.get("size"),
        top=row["top"],
        sysroot=row["sysroot"],
        limits=Limits(**caps),
        components=row.get("components", {}),
        note=row.get("note", ""),
        **same,
    )


def _mistakes(values: dict[str, Any]) -> Iterator[str]:
    if values.get("schema") != SCHEMA:
        yield f"schema: must be {SCHEMA}"
    yield from schema.mistakes(values, _TOP)
    fitting = schema.fitting(values, _TOP)
    rows = fitting.get("publisher", [])
    for row in rows:
        yield from schema.mistakes(row, _PUBLISHER, "publisher.")
    names = [row["name"] for row in rows if isinstance(row.get("name"), str)]
    for number, row in enumerate(fitting.get("toolchain", []), 1):
        where = f"toolchain {number}, "
        found = list(schema.mistakes(row, _TOOLCHAIN, where))
        yield from found or (f"{where}{text}" for text in _wrong(row, names))


def _wrong(row: dict[str, Any], publishers: list[str]) -> Iterator[str]:
    """What is wrong in a row whose values are of the right kinds."""
    if row["publisher"] not in publishers:
        yield f"publisher: {row['publisher']} is not described"
    if not _is_target(row["target"]):
        yield f"target: {row['target']} is none"
    if not _DIGEST.fullmatch(row["sha256"]):
        yield "sha256: must be 64 of 0-9 and a-f"
    yield from (f"languages: {one} is unknown" for one in _unknown(row["languages"]))
    yield from (f"urls: {url} is none" for url in row["urls"] if not _URL.fullmatch(url))
    for name in ("release", "host", "gcc", "triple", "top"):
        if not _WORD.fullmatch(row[name]):
            yield f"{name}: {row[name]!r} is no word"
    if not _PATH.fullmatch(row["sysroot"]):
        yield f"sysroot: {row['sysroot']!r} is no path below the top directory"


def _is_target(word: str) -> bool:
    try:
        return isinstance(target.parse(word), Target)
    except InputError:
        return False


def _unknown(languages: list[str]) -> list[str]:
    return [one for one in languages if one not in request.LANGUAGES]
