"""From words to the libraries that a target gets: versions, dependencies, the order to build.

The set is always taken as a whole: what is laid already, with what a command adds or takes away.
What nobody has asked for and nothing needs any more goes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolman import schema
from toolman.errors import InputError
from toolman.libraries import recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from toolman.libraries.recipe import Recipe
    from toolman.library import Library


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A library that is asked for."""

    name: str
    version: str | None = None
    """Or how it begins; None: the one that is laid, else the recipe's first."""
    shared: bool = False
    asked: bool = True
    """Else only its version is said, for those that need it."""
    origin: str = "source"
    """Or `distro`; see `packages`."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A library of the set."""

    recipe: Recipe
    version: str
    shared: bool
    asked: bool
    needs: tuple[str, ...]
    """The names of those that it is built against, which stand before it."""

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def digest(self) -> str:
        """Of its recipe and its sources, whatever builds it."""
        pins = [pin.sha256 for pin in self.recipe.pins[self.version]]
        text = json.dumps([self.recipe.digest, self.version, pins])
        return hashlib.sha256(text.encode()).hexdigest()


def wish(word: str, *, shared: bool = False) -> Wish:
    """What `openssl@3.5` means.

    Raises:
        InputError: there is no such library, or no such version of it.
    """
    name, _, version = word.partition("@")
    found = Wish(name=name, version=version or None, shared=shared)
    recipe.load(name).version(found.version)
    return found


def of(laid: Iterable[Library]) -> list[Wish]:
    """The wishes that lead to what is laid."""
    return [
        Wish(
            name=one.name,
            version=one.version,
            shared=one.shared and one.asked,
            asked=one.asked,
            origin=one.origin,
        )
        for one in laid
    ]


def added(before: Sequence[Wish], more: Sequence[Wish]) -> list[Wish]:
    """`before` with `more`; of one library the version that is named last."""
    wishes = {one.name: one for one in before}
    for one in more:
        old = wishes.get(one.name)
        version = one.version or (old.version if old else None)
        shared, asked = one.shared, one.asked
        if old and old.origin == one.origin:
            shared, asked = shared or old.shared, asked or old.asked
        elif not one.version:
            version = None
        wishes[one.name] = replace(one, version=version, shared=shared, asked=asked)
    return list(wishes.values())


def without(before: Sequence[Wish], names: Sequence[str]) -> list[Wish]:
    """`before` but for `names`.

    Raises:
        InputError: one of them is not there.
    """
    known = [one.name for one in before if one.asked]
    for name in names:
        if name not in known:
            meant = schema.meant(name, known)
            hint = f"there is {', '.join(known)}" if known else "no library has been added"
            raise InputError(f"{name} has not been added{meant}", hint=hint)
    return [one for one in before if one.name not in names]


def resolved(wishes: Sequence[Wish]) -> list[Chosen]:
    """The set that meets `wishes`: each library after those that it needs.

    Raises:
        InputError: a library is unknown, or two of them exclude each other.
    """
    asked = {one.name: one for one in wishes}
    found: dict[str, Chosen] = {}
    for name in sorted(name for name, one in asked.items() if one.asked):
        _add(name, asked, found)
    for one in found.values():
        for other in one.recipe.excludes:
            if other in found:
                raise _excluded(one.name, other, asked)
    return list(found.values())


def _add(name: str, asked: Mapping[str, Wish], found: dict[str, Chosen]) -> None:
    if name in found:
        return
    known = recipe.load(name)
    said = asked.get(name)
    needs = [_one_of(some, asked) for some in known.needs]
    for other in needs:
        _add(other, asked, found)
    # Who links a library dynamically wants what that needs likewise.
    shared = any(one.shared for one in asked.values() if one.name == name or _needs(one, name))
    found[name] = Chosen(
        recipe=known,
        version=_version(known, said),
        shared=shared,
        asked=said is not None and said.asked,
        needs=tuple(needs),
    )


def _one_of(names: Sequence[str], asked: Mapping[str, Wish]) -> str:
    """Of libraries any of which will do, the one that is asked for, or was there, or the first."""
    there = [name for name in names if name in asked]
    return next((o for o in there if asked[o].asked), there[0] if there else names[0])


def _version(known: Recipe, said: Wish | None) -> str:
    if said is None or not (said.asked or said.version in known.versions):
        return known.version(None)
    return known.version(said.version)


def _needs(one: Wish, name: str) -> bool:
    """Whether what is wished for needs the library `name`, directly or not."""
    every = [other for some in recipe.load(one.name).needs for other in some]
    return name in every or any(_needs(Wish(name=other), name) for other in every)


def _excluded(one: str, other: str, asked: Mapping[str, Wish]) -> InputError:
    names = sorted((one, other))
    text = f"{' and '.join(names)} exclude each other: they have the same headers and symbols"
    # What is there already stands before what is to come.
    there = next((name for name in asked if name in names), one)
    return InputError(text, hint=f"keep one of them: toolman remove TARGET {there}")
