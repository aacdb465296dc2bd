"""Recipes of libraries: TOML files that say how each is built. Data, never executed.

`recipes/libraries/<name>.toml`; docs/libraries.md explains the keys. The versions are those of
its pins, the first of which is taken when none is asked for. A recipe is taken as a whole: with
one mistake in it, all of its mistakes are listed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolman import pin, recipe, schema
from toolman.errors import InputError
from toolman.libraries import systems
from toolman.schema import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from toolman.pin import Pin

_KEYS = {
    "schema": Key(kind="number", required=True),
    "name": Key(kind="text", required=True),
    "summary": Key(kind="text", required=True),
    "system": Key(kind="text", required=True),
    "pkgconfig": Key(kind="texts", required=True),
    "debian": Key(kind="text"),
    "needs": Key(kind="texts"),
    "excludes": Key(kind="texts"),
    "tools": Key(kind="texts"),
    "directory": Key(kind="text"),
    "options": Key(kind="texts"),
    "static": Key(kind="texts"),
    "shared": Key(kind="texts"),
    "cflags": Key(kind="texts"),
    "variables": Key(kind="table of text"),
    "make": Key(kind="texts"),
    "install": Key(kind="texts"),
    "pc": Key(kind="table of text"),
    "links": Key(kind="table of text"),
    "seconds": Key(kind="number"),
    "check": Key(kind="table"),
    "source": pin.KEYS["source"],
}
_CHECK = {
    "directory": Key(kind="text"),
    "options": Key(kind="texts"),
    "variables": Key(kind="table of text"),
    "make": Key(kind="texts"),
    "run": Key(kind="texts"),
    "counts": Key(kind="text"),
    "note": Key(kind="text"),
}
_LISTS = ("options", "static", "shared", "cflags", "make", "install", "tools")
_HINT = "the keys are explained in docs/libraries.md"
_TOOLS = ("compiler", "cmake", "perl", "pkg-config")


@dataclass(frozen=True, kw_only=True)
class Check:
    """How the library's own tests are run, in a tree of their own; by scripts/libraries only."""

    directory: str | None = None
    """In place of the recipe's."""
    options: tuple[str, ...] = ()
    """More words for its configure, or for every make where it has none."""
    variables: Mapping[str, str] = field(default_factory=dict)
    make: tuple[str, ...] = ()
    """What make is to make before, with as many jobs as there may be."""
    run: tuple[str, ...] = ()
    """What makes make run them; empty: there are none."""
    counts: str = ""
    """How it tells what passed: `automake`, `ctest`, or a pattern of the line of one test, or of
    one with a group that is their number."""
    note: str = ""
    """What of the tests is left out, and why."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a library is built."""

    name: str
    summary: str
    system: str
    """Of `systems.SYSTEMS`."""
    pkgconfig: tuple[str, ...]
    """The names of its .pc files."""
    pins: Mapping[str, tuple[Pin, ...]]
    """By version, the preferred one first."""
    debian: str | None = None
    """The package that holds it for the distribution's own gnu targets."""
    needs: tuple[tuple[str, ...], ...] = ()
    """Of each a library is needed: the one that is asked for, else the first."""
    excludes: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    """What of the host it takes beside make."""
    directory: str = "."
    """Where in the source tree it is built."""
    options: tuple[str, ...] = ()
    """Words for its configure, or for every make where it has none."""
    static: tuple[str, ...] = ()
    """More of them, for static libraries alone …"""
    shared: tuple[str, ...] = ()
    """… and for shared ones beside them."""
    cflags: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    """For the environment of its commands."""
    make: tuple[str, ...] = ()
    """What make is to make; empty: what it does unasked."""
    install: tuple[str, ...] = ("install",)
    pc: Mapping[str, str] = field(default_factory=dict)
    """.pc files that upstream does not have, by name: the words of Libs."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Names by which programs look for a library → its file in `lib`."""
    seconds: int = 5
    """How long a build takes on one idle core; for the bar."""
    check: Check = field(default_factory=Check)

    @property
    def versions(self) -> list[str]:
        return list(self.pins)

    @property
    def can_be_shared(self) -> bool:
        """Whether there is a way to .so files beside the static ones."""
        return bool(self.shared) or self.system in ("autotools", "openssl")

    @property
    def digest(self) -> str:
        """Equal for recipes that build equal libraries of equal sources."""
        names = ("system", "directory", "needs", "make", "install", "options", "static", "shared")
        values = {name: getattr(self, name) for name in (*names, "cflags", "pkgconfig")}
        for name in ("variables", "pc", "links"):
            values[name] = dict(getattr(self, name))
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def version(self, begins: str | None) -> str:
        """The version that is meant by how it begins; without, the preferred one.

        Raises:
            InputError: there is none.
        """
        for one in self.versions:
            if begins is None or f"{one}.".startswith(f"{begins}."):
                return one
        raise InputError(f"no {self.name} {begins}", hint=f"there is {', '.join(self.versions)}")


@functools.cache
def names() -> list[str]:
    """The libraries that come with toolman, by name."""
    return sorted(path.stem for path in directory().glob("*.toml"))


def load(name: str) -> Recipe:
    """The recipe of a library that comes with toolman.

    Raises:
        InputError: there is none, or it is wrong; all of its mistakes are listed.
    """
    if name not in names():
        near = schema.meant(name, names())
        raise InputError(f"unknown library '{name}'{near}", hint="see: toolman list --libraries")
    return _load(directory() / f"{name}.toml")


def directory() -> Path:
    """Where the recipes are."""
    return recipe.directory() / "libraries"


def read(file: Path) -> Recipe:
    """The recipe in `file`.

    Raises:
        InputError: it is wrong; all of its mistakes are listed.
    """
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: {error}") from error
    book, wrong = pin.parse(table, {})
    wrong += schema.mistakes(table, _KEYS)
    fit = schema.fitting(table, _KEYS)
    wrong += schema.mistakes(fit.get("check", {}), _CHECK, "check: ")
    wrong += _mistakes(fit, file)
    name = fit.get("name", "")
    wrong += [f"source: {one} is not {name}" for one, _ in book.pins if one != name]
    if not book.pins and "source" not in table:
        wrong.append("source: names none")
    if wrong:
        counted = f"{len(wrong)} mistake{'s' * (len(wrong) != 1)}"
        raise InputError("\n  ".join([f"{file}: {counted}", *wrong]), hint=_HINT)
    return _recipe(table, {version: pins for (_, version), pins in book.pins.items()})


@functools.cache
def _load(file: Path) -> Recipe:
    return read(file)


def _mistakes(table: Mapping[str, Any], file: Path) -> Iterator[str]:
    """What the schema cannot tell."""
    if table.get("schema", 1) != 1:
        yield f"schema: this toolman knows 1, not {table['schema']}"
    name = table.get("name", file.stem)
    if name != file.stem:
        yield f"name: must be that of the file, {file.stem}"
    for key, known in (("system", list(systems.SYSTEMS)), ("tools", list(_TOOLS))):
        said = table.get(key, [])
        for word in [said] if isinstance(said, str) else said:
            if word not in known:
                meant = schema.meant(word, known)
                yield f"{key}: '{word}' is none of {', '.join(known)}{meant}"
    for key in ("needs", "excludes"):
        for word in table.get(key, ()):
            yield from _wrong_names(key, word.split("|"), file)


def _wrong_names(key: str, words: Sequence[str], file: Path) -> Iterator[str]:
    known = {path.stem for path in file.parent.glob("*.toml")}
    for word in words:
        if word not in known:
            yield f"{key}: there is no library '{word}'{schema.meant(word, known)}"
        elif word == file.stem:
            yield f"{key}: names the library itself"


def _recipe(table: Mapping[str, Any], pins: Mapping[str, tuple[Pin, ...]]) -> Recipe:
    values = {key: value for key, value in table.items() if key not in ("schema", "source")}
    for key in (*_LISTS, "pkgconfig", "excludes"):
        if key in values:
            values[key] = tuple(values[key])
    values["needs"] = tuple(tuple(word.split("|")) for word in table.get("needs", ()))
    check = Check()
    if "check" in values:
        words = {key: _tuple(value) for key, value in values.pop("check").items()}
        check = Check(**words)
    return Recipe(**values, check=check, pins=pins)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
