"""What the origins have now that is newer than an installed toolchain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolman import locking, recipe
from toolman.errors import AbsentError
from toolman.origins import distro, prebuilt, source
from toolman.request import MALLOCS, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolman.context import Context
    from toolman.origins import Plan
    from toolman.toolchain import Description, Toolchain


@dataclass(frozen=True, kw_only=True)
class Newer:
    """A plan for a toolchain that is newer than the one called so; for `install.ensure_exactly`."""

    old: Toolchain
    planned: Plan
    gcc: str
    """Its version, where that is known; else the old one's."""
    digest: str | None
    """The new one's, where that is known."""
    changes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.old.name

    def is_met_by(self, about: Description) -> bool:
        return about.origin == self.old.about.origin and about.digest == self.digest

    def plan(self, ctx: Context) -> tuple[str, Plan]:
        del ctx
        return self.old.about.origin, self.planned

    def check(self, about: Description) -> None:
        """Nothing: what came meanwhile is newer still."""


def newer(old: Toolchain, ctx: Context, wish: Request | None = None) -> Newer | None:
    """What its origin has now in place of `old`; None if that is nothing newer.

    Of a `wish` its GCC and its recipe are kept to: what a project's pin says of that target. An
    index is asked as `install` does; ask it before by `index.refresh`.

    Raises:
        NetworkError, IntegrityError: as the origins raise.
    """
    look = _LOOK.get(old.about.origin)
    return look(old, _request(old, wish), ctx) if look else None


def _prebuilt(old: Toolchain, request: Request, ctx: Context) -> Newer | None:
    if old.about.publisher:  # its newer ones come with a newer toolman
        return None
    try:
        plan = prebuilt.plan(request, ctx)
    except AbsentError:
        return None
    assert isinstance(plan, prebuilt.Plan)  # no publisher was asked for
    gcc, digest = plan.archive.about.version, plan.archive.sha256
    if digest == old.about.digest or _version(gcc) < _version(old.about.version):
        return None
    again = f"another archive of {plan.indexes[0].name}"
    said = again if gcc == old.about.version else f"GCC {gcc}"
    return Newer(old=old, planned=plan, gcc=gcc, digest=digest, changes=(said,))


def _distro(old: Toolchain, request: Request, ctx: Context) -> Newer | None:
    if distro.offers(request, ctx):
        return None
    plan = locking.fresh(distro.plan(request, ctx), ctx)
    if plan.digest == old.about.digest:
        return None
    changes = locking.changes(old.about.components, plan.components) or ["finished otherwise"]
    gcc = old.about.version
    return Newer(old=old, planned=plan, gcc=gcc, digest=plan.digest, changes=tuple(changes))


def _source(old: Toolchain, request: Request, ctx: Context) -> Newer | None:
    if source.offers(request, ctx) is None:
        plan = source.plan(request, ctx)
        gcc = plan.recipe.components["gcc"]
        if _version(gcc) > _version(old.about.version):
            return Newer(old=old, planned=plan, gcc=gcc, digest=None, changes=(f"GCC {gcc}",))
    label = old.about.recipe
    if label not in {one.name for one in recipe.recipes()}:
        return None  # the user's own
    request = replace(request, recipe=label)
    if source.offers(request, ctx):
        return None
    plan = source.plan(request, ctx)
    if locking.made_of(plan, old.about):
        return None
    gcc = plan.recipe.components["gcc"]
    changes = locking.changes(old.about.components, plan.parts)
    return Newer(old=old, planned=plan, gcc=gcc, digest=None, changes=tuple(changes))


def _request(old: Toolchain, wish: Request | None) -> Request:
    about = old.about
    malloc = about.malloc if about.malloc != MALLOCS[0] else None
    found = Request(target=about.target, languages=about.languages, malloc=malloc)
    return replace(found, gcc=wish.gcc, recipe=wish.recipe) if wish else found


def _version(text: str) -> list[int]:
    return [int(part) for part in text.split(".") if part.isdigit()]


_LOOK: dict[str, Callable[[Toolchain, Request, Context], Newer | None]] = {
    prebuilt.NAME: _prebuilt,
    distro.NAME: _distro,
    source.NAME: _source,
}
