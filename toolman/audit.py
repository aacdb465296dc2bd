"""Which known vulnerabilities the parts of installed toolchains have.

A library or a component of a build has upstream's version, and what its patches fix is not open.
A distribution mends its packages without a new upstream version: those are judged by what is
known of that distribution, and where nothing is, upstream's versions make a finding `unclear`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from toolman import recipe, sbom
from toolman.advisories import SEVERITIES
from toolman.libraries import recipe as libraries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from toolman.advisories import Advisory, Affected, Known
    from toolman.library import Library
    from toolman.recipe import Recipe
    from toolman.toolchain import Component, Toolchain

State = Literal["open", "unclear", "patched", "ignored"]

STATES: tuple[State, ...] = ("open", "unclear", "patched", "ignored")
_DISTRO = "distro"
_SYSTEM = re.compile(r"debian(?P<release>\d+)-.*")
# Debian's binary packages by their upstream; what is not here is not looked at.
_PACKAGES = (
    ("glibc", r"libc6(-.*)?|libc-(dev-)?bin|libc-dev-bin.*"),
    ("musl", r"musl(-.*)?"),
    ("binutils", r"binutils(-.*)?|lib(binutils|ctf|ctf-nobfd0|sframe.*|gprofng.*)"),
    ("gcc", r"(gcc|g\+\+|cpp|gccgo|gfortran)-\d.*|lib(gcc|stdc\+\+|go|gfortran|cc1).*"),
    ("zlib", r"zlib1g(-.*)?"),
    ("zstd", r"libzstd(1|-dev).*"),
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something with a version."""

    name: str
    """As in advisories."""
    version: str
    kind: Literal["library", "component"]
    packaged: bool = False
    """Whether it is a distribution's package, with a version of its own."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An advisory that hits a part."""

    target: str | None
    part: Part
    advisory: Advisory
    state: State
    fixed: str | None
    """The first version without it, if there is one."""
    cure: str | None
    """What to type, if toolman has a version without it."""


def parts(found: Toolchain) -> list[Part]:
    """What can be looked at of a toolchain, each version once."""
    about = found.about
    if about.origin == _DISTRO:
        every = [one for row in about.components for one in _packaged(row)]
    else:
        every = [Part(name=o.name, version=o.version, kind="component") for o in about.components]
    return list(dict.fromkeys([*every, *map(_laid, about.libraries)]))


def look(found: Toolchain, known: Known, ignored: Collection[str] = ()) -> list[Finding]:
    """What hits a toolchain, the worst first."""
    patches = sbom.fixes(found) if found.about.components else {}
    rows = []
    for part in parts(found):
        fixed = patches.get(part.name, ()) if part.kind == "component" else ()
        for one in _of(part, known, found):
            state: State = "patched" if one.advisory.id in fixed else one.state
            rows.append(replace(one, target=found.name, state=state))
    return _sorted(_cured(one, found, known) for one in _without(rows, ignored))


def look_at(part: Part, known: Known, ignored: Collection[str] = ()) -> list[Finding]:
    """What hits a part that is in no toolchain."""
    return _sorted(_without(_of(part, known, None), ignored))


def _of(part: Part, known: Known, found: Toolchain | None) -> Iterator[Finding]:
    for advisory in known.advisories:
        said = [one for one in advisory.affected if _is_of(one, part, found)]
        own = [one for one in said if one.ecosystem]
        state: State = "unclear" if part.packaged and not own else "open"
        for one in own or said:
            version = part.version if one.ecosystem else _upstream(part)
            if one.hits(version):
                fixed = one.fixed(version)
                yield Finding(
                    target=None, part=part, advisory=advisory, state=state, fixed=fixed, cure=None
                )
                break


def _is_of(one: Affected, part: Part, found: Toolchain | None) -> bool:
    """Whether these versions are of the part, where it is."""
    if one.package != part.name:
        return False
    if one.ecosystem and not (part.packaged and one.ecosystem == _ecosystem(found)):
        return False
    return not one.arches or found is None or found.target.triple.partition("-")[0] in one.arches


def _ecosystem(found: Toolchain | None) -> str | None:
    system = _SYSTEM.fullmatch(found.about.host) if found else None
    return f"Debian:{system['release']}" if system else None


def _without(rows: Iterable[Finding], ignored: Collection[str]) -> Iterator[Finding]:
    for one in rows:
        yield replace(one, state="ignored") if one.advisory.id in ignored else one


def _sorted(rows: Iterable[Finding]) -> list[Finding]:
    def order(one: Finding) -> tuple[int, int, str, str]:
        severity = one.advisory.severity
        bad = SEVERITIES.index(severity) if severity else len(SEVERITIES)
        return STATES.index(one.state), bad, one.part.name, one.advisory.id

    return sorted(rows, key=order)


def _cured(one: Finding, found: Toolchain, known: Known) -> Finding:
    if one.state in ("patched", "ignored"):
        return one
    library = one.part.kind == "library"
    cure = _other_library(one, found, known) if library else _other_toolchain(one, found)
    return replace(one, cure=cure)


def _other_library(one: Finding, found: Toolchain, known: Known) -> str | None:
    """The version to add: the first that nothing hits, else the first that this does not."""
    if one.part.name not in libraries.names():
        return None
    hits: dict[str, set[str]] = {}
    for version in libraries.load(one.part.name).versions:
        part = replace(one.part, version=version, packaged=False)
        hits[version] = {row.advisory.id for row in _of(part, known, found)}
    good = [version for version, ids in hits.items() if one.advisory.id not in ids]
    good.sort(key=lambda version: len(hits[version]))
    return f"toolman add {found.name} {one.part.name}@{good[0]}" if good else None


def _other_toolchain(one: Finding, found: Toolchain) -> str | None:
    """The recipe to build by, of those that come with toolman; its own first."""
    known = [other for other in recipe.recipes() if found.target in other.targets]
    known.sort(key=lambda other: other.name != found.about.recipe)
    for other in known:
        if one.part.name in other.components and not _has(other, one, found):
            if other.name == found.about.recipe:
                return f"toolman update {found.name}"
            return f"toolman install {found.name} --origin source --recipe {other.name}"
    return None


def _has(other: Recipe, one: Finding, found: Toolchain) -> bool:
    """Whether what is built by a recipe may have the flaw, too."""
    name = one.part.name
    if any(one.advisory.id in patch.fixes for patch in other.fixes(name)):
        return False
    rows = [row for row in one.advisory.affected if row.package == name and not row.ecosystem]
    part = Part(name=name, version=other.pins(name)[0].release, kind="component")
    return not rows or any(row.hits(part.version) for row in rows if _is_of(row, part, found))


def _packaged(row: Component) -> Iterator[Part]:
    for name, pattern in _PACKAGES:
        if re.fullmatch(pattern, row.name):
            yield Part(name=name, version=row.version, kind="component", packaged=True)
            return


def _laid(one: Library) -> Part:
    packaged = one.origin == _DISTRO
    return Part(name=one.name, version=one.version, kind="library", packaged=packaged)


def _upstream(part: Part) -> str:
    """Upstream's version in that of a package: `1.3.1` of `1:1.3.dfsg+really1.3.1-1`."""
    if not part.packaged:
        return part.version
    version = part.version.partition(":")[2] or part.version
    version = version.rpartition("-")[0] or version
    version = version.rpartition("+really")[2]
    return re.split(r"[+~]|\.?dfsg", version)[0]
