"""A project's pin, `toolman.toml`: what it wants. No commands, no URLs, no paths.

    targets = ["arm64-musl", "amd64-gnu"]    the first is what no word at all means
    languages = ["c++"]                      for every target
    libraries = ["zlib", "openssl@3.5"]      for every target, see: toolman list --libraries

    [target.arm64-musl]                      what differs for one of them
    languages = ["c++", "gccgo"]             in place of those for every target
    gcc = "15"                               a version, or how it begins
    malloc = "mimalloc"                      the allocator inside musl's libc.a
    recipe = "gcc-15-musl"                   a recipe that comes with toolman
    origin = "source"                        prebuilt, distro or source
    libraries = ["sqlite"]                   in place of those for every target

It is taken as a whole: with one mistake in it, all of its mistakes are listed.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolman import schema
from toolman import target as targets
from toolman.errors import InputError
from toolman.request import MALLOCS, ORIGINS, Request, languages
from toolman.schema import Key
from toolman.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PIN = "toolman.toml"

_KEYS = {
    "targets": Key(kind="texts", required=True),
    "languages": Key(kind="texts"),
    "libraries": Key(kind="texts"),
    "target": Key(kind="headed tables"),
}
_TARGET = {
    "languages": Key(kind="texts"),
    "libraries": Key(kind="texts"),
    "gcc": Key(kind="text"),
    "malloc": Key(kind="text"),
    "recipe": Key(kind="text"),
    "origin": Key(kind="text"),
}
_HINT = "the keys are explained in docs/projects.md"
_LIBRARY = re.compile(r"[a-z0-9][a-z0-9.+-]*(@[0-9][\w.+-]*)?")
_CHOICES = {"malloc": MALLOCS, "origin": ORIGINS}


@dataclass(frozen=True, kw_only=True)
class Want:
    """A toolchain that a project wants, and from where; origin None: wherever it is."""

    request: Request
    origin: str | None = None
    libraries: tuple[str, ...] = ()
    """As `toolman add` takes them: `openssl@3.5`."""

    @property
    def target(self) -> Target:
        return self.request.target


@dataclass(frozen=True, kw_only=True)
class Pin:
    """What a `toolman.toml` says: a want for each target, in its order; at least one."""

    file: Path
    wants: tuple[Want, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(one.target for one in self.wants)


def find_pin(directory: Path) -> Pin | None:
    """The nearest `toolman.toml` at or above `directory`.

    Raises:
        InputError: it is not one; all of its mistakes are listed.
    """
    for parent in (directory, *directory.parents):
        if found := pin_at(parent):
            return found
    return None


def pin_at(directory: Path) -> Pin | None:
    """The `toolman.toml` in `directory`.

    Raises:
        InputError: as `find_pin`.
    """
    file = directory / PIN
    return _read(file) if file.is_file() else None


def needed(directory: Path) -> Pin:
    """As `find_pin`, for a command that is nothing without one.

    Raises:
        InputError: there is none, too.
    """
    found = find_pin(directory)
    if found is None:
        raise InputError(
            f"there is no {PIN} here or above",
            hint=f"""echo 'targets = ["arm64-musl"]' > {PIN}""",
        )
    return found


def _read(file: Path) -> Pin:
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: {error}") from error
    wrong = list(schema.mistakes(values, _KEYS))
    fit = schema.fitting(values, _KEYS)
    found, more = _targets(fit.get("targets", ()))
    wrong += more
    if not found and not wrong:
        wrong.append("targets: names none")
    wrong += _wrong_languages(fit, "")
    wrong += _wrong_libraries(fit, "")
    tables, more = _tables(fit.get("target", {}), found)
    wrong += more
    if wrong:
        counted = f"{len(wrong)} mistake{'s' * (len(wrong) != 1)}"
        raise InputError("\n  ".join([f"{file}: {counted}", *wrong]), hint=_HINT)
    wants = [_want(one, {**fit, **tables.get(one.name, {})}) for one in found]
    return Pin(file=file, wants=tuple(wants))


def _targets(words: Sequence[str]) -> tuple[list[Target], list[str]]:
    """The targets that `words` mean, and what is wrong with them."""
    found: list[Target] = []
    wrong = []
    for word in words:
        try:
            one = _target(word)
        except InputError as error:
            wrong.append(f"targets: {error} ({error.hint})")
            continue
        if one in found:
            wrong.append(f"targets: '{word}' names {one} twice")
        found.append(one)
    return found, wrong


def _target(word: str) -> Target:
    found = targets.parse(word)
    return found if isinstance(found, Target) else Target(platform=found, libc="musl")


def _tables(
    said: Mapping[str, dict[str, Any]], known: Sequence[Target]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The tables by the name of their target, and what is wrong with them."""
    tables: dict[str, dict[str, Any]] = {}
    wrong = []
    for word, table in said.items():
        where = f"target.{word}"
        target = _heading(word, known)
        if isinstance(target, str):
            wrong.append(f"{where}: {target}")
        elif target.name in tables:
            wrong.append(f"{where}: {target} has a table already")
        else:
            tables[target.name] = table
        wrong += _wrong_table(table, f"{where}.")
    return tables, wrong


def _heading(word: str, known: Sequence[Target]) -> Target | str:
    """The target of a table; what is wrong with its heading otherwise."""
    try:
        found = _target(word)
    except InputError as error:
        return f"{error} ({error.hint})"
    if found in known:
        return found
    return f"'{found}' is not among the targets{schema.meant(found.name, map(str, known))}"


def _wrong_table(table: Mapping[str, Any], where: str) -> Iterator[str]:
    yield from schema.mistakes(table, _TARGET, where)
    fit = schema.fitting(table, _TARGET)
    yield from _wrong_languages(fit, where)
    yield from _wrong_libraries(fit, where)
    for key, known in _CHOICES.items():
        word = fit.get(key)
        if word and word not in known:
            near = schema.meant(word, known)
            yield f"{where}{key}: '{word}' is none of {', '.join(known)}{near}"
    recipe = fit.get("recipe", "")
    if "/" in recipe or recipe.endswith(".toml"):
        yield f"{where}recipe: must be a name of toolman list --recipes, not a file"
    if recipe and "gcc" in fit:
        yield f"{where}gcc: the recipe says which GCC it is"


def _wrong_languages(fit: Mapping[str, Any], where: str) -> Iterator[str]:
    for word in fit.get("languages", ()):
        try:
            languages([word])
        except InputError as error:
            yield f"{where}languages: {error} ({error.hint})"


def _wrong_libraries(fit: Mapping[str, Any], where: str) -> Iterator[str]:
    words = fit.get("libraries", ())
    for word in words:
        if not _LIBRARY.fullmatch(word):
            yield f"{where}libraries: '{word}' is no library, as zlib or openssl@3.5"
    names = [word.partition("@")[0] for word in words]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{where}libraries: '{name}' stands there twice"


def _want(target: Target, table: Mapping[str, Any]) -> Want:
    said = {key: table.get(key) for key in ("gcc", "malloc", "recipe")}
    spoken = languages(table.get("languages", ()))
    request = Request(target=target, languages=spoken, **said)
    libraries = tuple(table.get("libraries", ()))
    return Want(request=request, origin=table.get("origin"), libraries=libraries)
