"""Recipes: TOML files that say what toolchains are made of. Data, never executed.

A recipe names versions of components and how they are configured; `sources.toml`, or the
recipe itself, pins the bytes of every one. docs/recipes.md explains the keys. A recipe is taken
as a whole: with one mistake in it, all of its mistakes are listed and nothing of it is used.
"""

from __future__ import annotations

import functools
import hashlib
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import pin, schema
from toolman import target as targets
from toolman.errors import InputError
from toolman.schema import Key
from toolman.target import LIBCS, Libc, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toolman.pin import Book, Patch, Pin

_HERE = Path(__file__).parent
_NOT_RECIPES = ("distro", "sources", "hosttools")
_KEYS = {
    "schema": Key(kind="number", required=True),
    "name": Key(kind="text", required=True),
    "summary": Key(kind="text", required=True),
    "revision": Key(kind="number", required=True),
    "libc": Key(kind="text", required=True),
    "targets": Key(kind="texts", required=True),
    "components": Key(kind="table of text", required=True),
    "configure": Key(kind="table of texts"),
    "patches": Key(kind="table of texts"),
    **pin.KEYS,
}
_NEEDED = ("gcc", "binutils", "gmp", "mpfr", "mpc", "mimalloc", "linux-headers")
_LIBC_COMPONENT: dict[str, str] = {"musl": "musl", "gnu": "glibc"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What toolchains are made of. Every version in it is pinned."""

    name: str
    summary: str
    revision: int
    """Raised when the output changes and no version does."""
    libc: Libc
    targets: tuple[Target, ...]
    components: Mapping[str, str]
    """Versions by name of component."""
    configure: Mapping[str, tuple[str, ...]]
    """Words for a component's configure, after those that `build` always gives."""
    patches: Mapping[str, tuple[str, ...]]
    """Names below `patches/`, applied after those of the pin."""
    book: Book
    """The pins to take them from."""
    file: Path

    def pins(self, component: str) -> tuple[Pin, ...]:
        """The pins of a component, in the order to try."""
        return self.book.pins[component, self.components[component]]

    def fixes(self, component: str) -> tuple[Patch, ...]:
        """The published patches that this version of a component needs, in order."""
        return self.book.patches_for(component, self.components[component])

    def patch_files(self, names: Sequence[str]) -> list[Path]:
        """The files that `names` below `patches/` mean: beside the recipe, else toolman's own."""
        return [path for name in names for path in _patch_files(self.file, name)]

    @property
    def label(self) -> str:
        """What tells it from other recipes: its name; of a user's file, which may change, more."""
        if self.file.parent == directory():
            return self.name
        return f"{self.name}-{self.digest[:12]}"

    @property
    def digest(self) -> str:
        """Equal for recipes that make equal toolchains."""
        names = [name for one in self.patches.values() for name in one]
        inputs = {
            "revision": self.revision,
            "libc": self.libc,
            "components": dict(self.components),
            "sources": {name: [pin.sha256 for pin in self.pins(name)] for name in self.components},
            "configure": {name: list(words) for name, words in self.configure.items()},
            "patches": [path.read_text("utf-8") for path in self.patch_files(names)],
            "fixes": [
                [one.name, one.commit] for name in self.components for one in self.fixes(name)
            ],
        }
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def recipes() -> list[Recipe]:
    """Those that come with toolman, by name."""
    names = sorted(path.stem for path in directory().glob("*.toml"))
    return [load_recipe(name) for name in names if name not in _NOT_RECIPES]


def load_recipe(word: str | Path) -> Recipe:
    """The recipe of that name, or in that file: what ends in `.toml`, or has a slash.

    Raises:
        InputError: there is none, or it is wrong; all of its mistakes are listed.
    """
    file = _file(word)
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: {error}") from error
    own, wrong = pin.parse(table, load("sources")["mirrors"])
    book = own.before(shipped())
    wrong += [*schema.mistakes(table, _KEYS), *_mistakes(schema.fitting(table, _KEYS), book, file)]
    if wrong:
        raise InputError("\n  ".join([f"{file}: {_counted(wrong)}", *wrong]), hint=_HINT)
    return _recipe(table, book, file)


def pins(component: str, version: str) -> tuple[Pin, ...]:
    """The pins of that version that come with toolman, upstream's first; () if there are none."""
    return shipped().pins.get((component, version), ())


@functools.cache
def shipped() -> Book:
    """The pins that come with toolman.

    Raises:
        InputError: `sources.toml` is wrong.
    """
    table = load("sources")
    book, wrong = pin.parse(table, table["mirrors"])
    if wrong:
        raise InputError(
            "\n  ".join([f"{directory() / 'sources.toml'}: {_counted(wrong)}", *wrong])
        )
    return book


@functools.cache
def load(name: str) -> dict[str, Any]:
    """The file `name` of those that come with toolman, as parsed TOML."""
    return tomllib.loads((directory() / f"{name}.toml").read_text("utf-8"))


def directory() -> Path:
    """Where the recipes are: in the wheel below the package, in a checkout beside it."""
    inside = _HERE / "recipes"
    return inside if inside.is_dir() else _HERE.parent / "recipes"


_HINT = "the keys are explained in docs/recipes.md"


def _file(word: str | Path) -> Path:
    if isinstance(word, Path) or "/" in word or word.endswith(".toml"):
        return Path(word)
    known = sorted(path.stem for path in directory().glob("*.toml"))
    names = [name for name in known if name not in _NOT_RECIPES]
    if word in names:
        return directory() / f"{word}.toml"
    near = schema.meant(word, names)
    hint = f"there are {', '.join(names)}; a file of yours is named by its path"
    raise InputError(f"no recipe '{word}'{near}", hint=hint)


def _mistakes(table: Mapping[str, Any], book: Book, file: Path) -> Iterator[str]:
    """What the schema cannot tell."""
    if table.get("schema", 1) != 1:
        yield f"schema: this toolman knows 1, not {table['schema']}"
    libc = table.get("libc")
    if libc and libc not in LIBCS:
        yield f"libc: '{libc}' is neither {' nor '.join(LIBCS)}"
        libc = None
    if libc:
        yield from _wrong_targets(table.get("targets", ()), libc)
    components = table.get("components", {})
    if components:
        yield from _wrong_components(components, libc, book)
    for section in ("configure", "patches"):
        for name in table.get(section, {}):
            if name not in components:
                yield f"{section}.{name}: no such component{schema.meant(name, components)}"
    for name, names in table.get("patches", {}).items():
        yield from (
            f"patches.{name}: no file or directory patches/{one} beside the recipe"
            for one in names
            if not _patch_files(file, one)
        )


def _wrong_targets(words: Sequence[str], libc: Libc) -> Iterator[str]:
    for word in words:
        try:
            _target(word, libc)
        except InputError as error:
            yield f"targets: {error}; {error.hint}"


def _target(word: str, libc: Libc) -> Target:
    found = targets.parse(word)
    if not isinstance(found, Target):
        return Target(platform=found, libc=libc)
    if found.libc != libc:
        hint = f"did you mean {found.platform}?"
        raise InputError(f"'{word}' is not of this recipe's libc, {libc}", hint=hint)
    return found


def _wrong_components(
    components: Mapping[str, str], libc: Libc | None, book: Book
) -> Iterator[str]:
    known = list(dict.fromkeys(name for name, _ in book.pins))
    for name, version in components.items():
        if name not in known:
            yield f"components.{name}: no such component is pinned{schema.meant(name, known)}"
        elif (name, version) not in book.pins:
            versions = ", ".join(book.versions(name))
            yield f"components.{name}: {version} is not pinned; {versions} are, or add a [[source]]"
    needed = [*_NEEDED, *([_LIBC_COMPONENT[libc]] if libc else [])]
    for name in needed:
        if name not in components:
            yield f"components.{name}: missing"


def _patch_files(file: Path, name: str) -> list[Path]:
    for base in (file.parent, directory()):
        path = base / "patches" / name
        if path.is_dir():
            return sorted(path.glob("*.patch"))
        if path.is_file():
            return [path]
    return []


def _recipe(table: Mapping[str, Any], book: Book, file: Path) -> Recipe:
    libc = table["libc"]
    return Recipe(
        name=table["name"],
        summary=table["summary"],
        revision=table["revision"],
        libc=libc,
        targets=tuple(_target(word, libc) for word in table["targets"]),
        components=table["components"],
        configure={name: tuple(words) for name, words in table.get("configure", {}).items()},
        patches={name: tuple(words) for name, words in table.get("patches", {}).items()},
        book=book,
        file=file,
    )


def _counted(wrong: Sequence[str]) -> str:
    return "1 mistake" if len(wrong) == 1 else f"{len(wrong)} mistakes"
