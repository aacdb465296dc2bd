"""From words to the libraries that a target gets: versions, dependencies, the order to build.

The set is always taken as a whole: what is laid already, with what a command adds or takes away.
What nobody has asked for and nothing needs any more goes.
"""

from __future__ import annotations

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
    """The wishes that have led to what is laid."""
    return [Wish(name=o.name, version=o.version, shared=o.shared) for o in laid if o.asked]


def added(before: Sequence[Wish], more: Sequence[Wish]) -> list[Wish]:
    """`before` with `more`; of one library the version that is named last."""
    wishes = {one.name: one for one in before}
    for one in more:
        old = wishes.get(one.name)
        version = one.version or (old.version if old else None)
        wishes[one.name] = replace(one, version=version, shared=one.shared or _is_shared(old))
    return list(wishes.values())


def without(before: Sequence[Wish], names: Sequence[str]) -> list[Wish]:
    """`before` but for `names`.

    Raises:
        InputError: one of them is not there.
    """
    known = [one.name for one in before]
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
    for name in sorted(asked):
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
    needs = [next((o for o in some if o in asked), some[0]) for some in known.needs]
    for other in needs:
        _add(other, asked, found)
    # Who links a library dynamically wants what that needs likewise.
    shared = any(one.shared for one in asked.values() if one.name == name or _needs(one, name))
    found[name] = Chosen(
        recipe=known,
        version=known.version(said.version if said else None),
        shared=shared,
        asked=said is not None,
        needs=tuple(needs),
    )


def _needs(one: Wish, name: str) -> bool:
    """Whether what is wished for needs the library `name`, directly or not."""
    every = [other for some in recipe.load(one.name).needs for other in some]
    return name in every or any(_needs(Wish(name=other), name) for other in every)


def _is_shared(one: Wish | None) -> bool:
    return one is not None and one.shared


def _excluded(one: str, other: str, asked: Mapping[str, Wish]) -> InputError:
    text = f"{one} and {other} exclude each other: they have the same headers and symbols"
    hint = "keep one of them: toolman remove TARGET " + (other if other in asked else one)
    return InputError(text, hint=hint)
