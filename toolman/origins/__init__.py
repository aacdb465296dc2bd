"""Origins: the ways to get a toolchain's bytes.

An origin is a module with
    offers(request, ctx) → None, or the reason why it cannot meet the request;
    plan(request, ctx) → what it would fetch and do, a `Plan`;
    make(plan, tree, ctx) → the description of the tree that it has finished in `tree`;
    clean(description, ctx): that tree is in the store, what else it took can go.
`install` asks them in the order of design.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from toolman.digest import sha256
from toolman.recipe import load_recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from toolman.context import Context
    from toolman.fetch import Download
    from toolman.request import Request
    from toolman.toolchain import Description


class Part(Protocol):
    """Something to be fetched: a package, a source. Its size is in bytes."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size(self) -> int: ...


class Plan(Protocol):
    """How an origin would meet a request."""

    @property
    def request(self) -> Request: ...

    @property
    def parts(self) -> Sequence[Part]:
        """All that goes in."""

    @property
    def download(self) -> int:
        """Bytes that are not here yet."""

    @property
    def summary(self) -> str:
        """As in `35 packages of debian12`."""

    def space(self, ctx: Context) -> Mapping[Path, int]:
        """Bytes that it takes in the directories of `ctx`."""


def meets(about: Description, request: Request) -> bool:
    """Whether a toolchain is all that `request` asks of one for its target.

    Raises:
        InputError: the recipe that `request` names is wrong.
    """
    version = request.gcc is None or f"{about.version}.".startswith(f"{request.gcc}.")
    recipe = request.recipe is None or load_recipe(request.recipe).label == about.recipe
    malloc = request.malloc in (None, about.malloc)
    publisher = request.publisher in (None, about.publisher)
    languages = set(request.languages) <= set(about.languages)
    return languages and version and recipe and malloc and publisher


def obtain(wanted: Download, ctx: Context) -> None:
    """Have the file `wanted.path` with the right digest: from the cache, or fetched.

    Raises:
        NetworkError: no mirror gives it.
        IntegrityError: what they give has another digest.
    """
    if wanted.path.exists() and sha256(wanted.path) == wanted.sha256:
        return
    from toolman import fetch  # a tenth of a second: kept off what is there

    wanted.path.unlink(missing_ok=True)
    with ctx.reporter.bar(f"fetching {wanted.name}", wanted.size or 0) as advance:
        trouble = fetch.fetch([wanted], advance, warn=ctx.reporter.step)
    for error in trouble.values():
        raise error
