"""Pins: which bytes a version of a component is, and where they can be had.

One version can have several pins, for upstream's bytes and Debian's are often not the same:
each has its own digest, and any of them is the version. Patches that upstream has published
for a component, as for CVEs, are pinned like components.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolman import schema
from toolman.schema import Key
from toolman.target import platforms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One set of bytes of a component's version; upstream's if it has `urls`, else Debian's."""

    component: str
    version: str
    """What recipes call it."""
    release: str
    """What the bytes call themselves: `6.12.93` of the series `6.12`; else as `version`."""
    license: str
    """SPDX."""
    sha256: str
    """Of the bytes that `sources.obtain` gives, not of a package around them."""
    size: int | None = None
    """Bytes, where known."""
    urls: tuple[str, ...] = ()
    """Upstream and its mirrors, in the order to try."""
    debian: str | None = None
    """A package: a source package if `file` is given, else a binary one."""
    suite: str | None = None
    """Where Debian has it: `trixie`."""
    file: str | None = None
    """The name of a file of the source package; `*` stands for what changes with a revision."""
    member: str | None = None
    """A path inside that file or package. Without it: the whole file; of a binary package, the
    tar of its contents."""
    patches: tuple[str, ...] = ()
    """Names below `patches/` beside the recipes: what exactly these bytes need."""
    platforms: tuple[str, ...] = ()
    """Names of the platforms that it serves; empty: all."""

    @property
    def filename(self) -> str:
        if self.urls:
            return self.urls[0].rpartition("/")[2]
        return (self.member or self.file or f"{self.debian}.tar").rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.component} {self.version}"


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A patch that upstream has published for versions of a component (`patch -p1`)."""

    name: str
    component: str
    versions: tuple[str, ...]
    """Those that need it."""
    fixes: tuple[str, ...]
    """As `CVE-2025-26519`."""
    commit: str
    """Upstream's. Its pins are those of the component `name` and the version `commit`."""


@dataclass(frozen=True, kw_only=True)
class Book:
    """Pins and patches."""

    pins: Mapping[tuple[str, str], tuple[Pin, ...]] = field(default_factory=dict)
    """By component and version, in the order to try."""
    patches: tuple[Patch, ...] = ()
    """In the order to apply."""

    def versions(self, component: str) -> list[str]:
        """The versions of `component` that are pinned."""
        return [version for name, version in self.pins if name == component]

    def patches_for(self, component: str, version: str) -> tuple[Patch, ...]:
        """The patches that this version needs, in order."""
        return tuple(
            one for one in self.patches if one.component == component and version in one.versions
        )

    def before(self, other: Book) -> Book:
        """This book's pins, then those of `other`."""
        pins = dict(self.pins)
        for key, more in other.pins.items():
            pins[key] = pins.get(key, ()) + more
        return Book(pins=pins, patches=self.patches + other.patches)


KEYS = {"source": Key(kind="tables"), "patch": Key(kind="tables")}

_SOURCE = {
    "component": Key(kind="text", required=True),
    "version": Key(kind="text", required=True),
    "release": Key(kind="text"),
    "license": Key(kind="text", required=True),
    "sha256": Key(kind="text", required=True),
    "size": Key(kind="number"),
    "urls": Key(kind="texts"),
    "debian": Key(kind="text"),
    "suite": Key(kind="text"),
    "file": Key(kind="text"),
    "member": Key(kind="text"),
    "patches": Key(kind="texts"),
    "platforms": Key(kind="texts"),
}
_PATCH = {
    "name": Key(kind="text", required=True),
    "component": Key(kind="text", required=True),
    "versions": Key(kind="texts", required=True),
    "fixes": Key(kind="texts", required=True),
    "commit": Key(kind="text", required=True),
}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https?://[^/\s]+/\S+")
_MIRROR = re.compile(r"\{(?P<name>[^}]*)\}(?P<rest>/.*)")


def parse(table: Mapping[str, Any], mirrors: Mapping[str, Sequence[str]]) -> tuple[Book, list[str]]:
    """The `[[source]]` and `[[patch]]` tables of a file, and all mistakes in them.

    `mirrors` are lists of URLs; `{gnu}/gcc/x.tar.xz` stands for that path on each of `gnu`.
    """
    found: list[str] = []
    pins: dict[tuple[str, str], tuple[Pin, ...]] = {}
    for number, row in enumerate(_tables(table, "source"), 1):
        wrong = list(_wrong_source(row, f"source {number}", mirrors))
        found += wrong
        if not wrong:
            pin = _pin(row, mirrors)
            key = (pin.component, pin.version)
            pins[key] = (*pins.get(key, ()), pin)
    patches = []
    for number, row in enumerate(_tables(table, "patch"), 1):
        wrong = list(schema.mistakes(row, _PATCH, f"patch {row.get('name', number)}: "))
        found += wrong
        if not wrong:
            patches.append(_patch(row))
    return Book(pins=pins, patches=tuple(patches)), found


def _tables(table: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    tables: list[dict[str, Any]] = schema.fitting(table, KEYS).get(name, [])
    return tables


def _wrong_source(
    row: Mapping[str, Any], number: str, mirrors: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    words = (row.get("component"), row.get("version"))
    where = " ".join([number, *(f"({word})" for word in words if isinstance(word, str))]) + ": "
    yield from schema.mistakes(row, _SOURCE, where)
    fit = schema.fitting(row, _SOURCE)
    if not _DIGEST.fullmatch(fit.get("sha256", "0" * 64)):
        yield f"{where}sha256: must be 64 hexadecimal digits, in lower case"
    for url in fit.get("urls", ()):
        yield from (f"{where}urls: {wrong}" for wrong in _wrong_url(url, mirrors))
    if bool(row.get("urls")) == bool(row.get("debian")):
        yield f"{where}needs either urls or debian"
    if bool(row.get("suite")) != bool(row.get("debian")):
        yield f"{where}debian and suite go together"
    known = [platform.name for platform in platforms()]
    for name in fit.get("platforms", ()):
        if name not in known:
            yield f"{where}platforms: no platform '{name}'{schema.meant(name, known)}"


def _wrong_url(url: str, mirrors: Iterable[str]) -> Iterator[str]:
    mirror = _MIRROR.fullmatch(url)
    if mirror and mirror["name"] not in mirrors:
        yield f"no mirrors {{{mirror['name']}}}{schema.meant(mirror['name'], mirrors)}"
    elif not mirror and not _URL.fullmatch(url):
        yield f"'{url}' is no http:// or https:// URL"


def _pin(row: Mapping[str, Any], mirrors: Mapping[str, Sequence[str]]) -> Pin:
    values = {"release": row["version"], **row}
    for name in ("patches", "platforms"):
        values[name] = tuple(row.get(name, ()))
    values["urls"] = tuple(one for url in row.get("urls", ()) for one in _expanded(url, mirrors))
    return Pin(**values)


def _expanded(url: str, mirrors: Mapping[str, Sequence[str]]) -> Iterator[str]:
    mirror = _MIRROR.fullmatch(url)
    if not mirror:
        yield url
        return
    for base in mirrors[mirror["name"]]:
        yield base + mirror["rest"]


def _patch(row: Mapping[str, Any]) -> Patch:
    return Patch(**{**row, "versions": tuple(row["versions"]), "fixes": tuple(row["fixes"])})
