"""From a pin to its lock, and from a lock to the very toolchains that it names."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolman import index, install, lockfile, recipe
from toolman.build.blueprint import REVISION
from toolman.errors import InputError
from toolman.index import ArchiveBlob
from toolman.libraries import choice
from toolman.lockfile import Lock, Locked, Package, Packages
from toolman.origins import distro, prebuilt, source
from toolman.request import MALLOCS, Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolman.context import Context
    from toolman.index import Index
    from toolman.libraries.choice import Wish
    from toolman.origins import Part, Plan
    from toolman.project import Pin, Want
    from toolman.toolchain import Description

_BUMP = "toolman lock --bump takes what there is now"
_TOLD = 5  # changes that a message names


def lock(pin: Pin, held: Lock | None, ctx: Context, *, bump: bool = False) -> Lock:
    """What `pin` means. What is `held` and still fits stays as it is, unless `bump`.

    Raises:
        InputError: no origin offers what is wanted.
        NetworkError: an origin that may offer it is out of reach.
        IntegrityError: as the origins raise.
    """
    found = []
    if bump:
        for one in index.indexes(ctx):
            index.refresh(one, ctx)
    for want in pin.wants:
        kept = held.of(want.target) if held else None
        locked = _locked(want, kept, ctx, bump)
        found.append(_with_libraries(locked, want, None if bump else kept))
    return Lock(toolchains=tuple(found))


def exactly(locked: Locked, ctx: Context) -> install.Exactly:
    """The toolchain that is locked, for `install.ensure_exactly`.

    Raises:
        InputError: nothing is locked for this host, or this toolman builds it otherwise.
    """
    if locked.origin == source.NAME:
        return _built(locked, ctx)
    if not locked.covers(ctx.host):
        raise InputError(
            f"{locked.target} is not locked for {ctx.host.key}", hint="toolman lock, on this host"
        )
    if locked.origin == distro.NAME:
        return _Unpacked(locked, locked.systems[ctx.host.key])
    blob = locked.archive(ctx.host)
    assert blob
    return _Fetched(locked, blob)


def fresh(plan: distro.Plan, ctx: Context) -> distro.Plan:
    """The same by the lists of this moment, for those here may be a day old.

    Raises:
        NetworkError, IntegrityError: the lists could not be had, or are forged.
    """
    plan.archive.refresh(ctx.reporter)
    return distro.plan(plan.request, ctx)


def made_of(plan: source.Plan, about: Description) -> bool:
    """Whether `about` was built by the recipe and of the sources that `plan` has."""
    known = {name: {pin.sha256 for pin in some} for name, some in plan.pins.items()}
    if about.recipe != plan.recipe.label or known.keys() != {one.name for one in about.components}:
        return False
    return all(one.sha256 in known[one.name] for one in about.components)


def changes(old: Iterable[Part | Package], new: Iterable[Part | Package]) -> list[str]:
    """What differs between two lists of packages, in words."""
    before = {(one.name, one.sha256): one for one in old}
    after = {(one.name, one.sha256): one for one in new}
    gone = {one.name: one.version for key, one in before.items() if key not in after}
    come = {one.name: one.version for key, one in after.items() if key not in before}
    return [_change(name, gone.get(name), come.get(name)) for name in sorted({*gone, *come})]


def _change(name: str, old: str | None, new: str | None) -> str:
    if old == new:
        return f"{name} {new} has other bytes"
    return f"{name} {old or '(not there)'} → {new or '(gone)'}"


def _locked(want: Want, kept: Locked | None, ctx: Context, bump: bool) -> Locked:
    fitting = kept if kept and lockfile.fits(kept, want) else None
    if fitting and not bump:
        return fitting if fitting.covers(ctx.host) else _with_this_host(fitting, ctx)
    origin, plan = install.resolve(want.request, ctx, want.origin, firm=True)
    if bump and isinstance(plan, distro.Plan):
        plan = fresh(plan, ctx)
    found = _of_plan(origin, plan, ctx)
    if fitting and fitting.origin == found.origin == distro.NAME:
        # Only another host can say what it has now.
        return replace(found, systems={**fitting.systems, **found.systems})
    return found


def _with_libraries(one: Locked, want: Want, kept: Locked | None) -> Locked:
    """With those that are wanted, of the versions that are locked already if those still fit."""
    held = {row.name: row.version for row in (*kept.libraries, *kept.needed)} if kept else {}
    wishes = []
    for wish in map(choice.wish, want.libraries):
        version = held.get(wish.name, "")
        fits = version and f"{version}.".startswith(f"{wish.version or version}.")
        wishes.append(replace(wish, version=version if fits else wish.version))
    named = {wish.name for wish in wishes}
    more = [choice.Wish(name=o, version=held[o], asked=False) for o in held if o not in named]
    chosen = sorted(choice.resolved([*wishes, *more]), key=lambda one: one.name)
    rows = [(o.asked, Package(name=o.name, version=o.version, sha256=o.digest)) for o in chosen]
    return replace(
        one,
        libraries=tuple(row for asked, row in rows if asked),
        needed=tuple(row for asked, row in rows if not asked),
    )


def libraries(locked: Locked) -> list[Wish]:
    """The libraries that are locked, for `laying.ensure`.

    Raises:
        InputError: this toolman builds one otherwise than the one that locked it.
    """
    rows = [*locked.libraries, *locked.needed]
    asked = {row.name for row in locked.libraries}
    wishes = [choice.Wish(name=o.name, version=o.version, asked=o.name in asked) for o in rows]
    digests = {row.name: row.sha256 for row in rows}
    for one in choice.resolved(wishes):
        if digests.get(one.name) != one.digest:
            raise InputError(
                f"{locked.target}: this toolman builds {one.name} {one.version} otherwise",
                hint=f"take the toolman that locked it; or: {_BUMP}",
            )
    return wishes


def _with_this_host(kept: Locked, ctx: Context) -> Locked:
    if kept.origin == distro.NAME:
        more = _of_plan(*install.resolve(_request(kept), ctx, distro.NAME, firm=True), ctx)
        return replace(kept, systems={**kept.systems, **more.systems})
    for one in index.indexes(ctx):
        grown = replace(kept, archives={**_archives(one, kept, ctx), **kept.archives})
        if grown.covers(ctx.host):
            return grown
    raise InputError(
        f"{kept.target} is locked to archives with GCC {kept.gcc}, and no index has one for"
        f" {ctx.host.key}",
        hint=_BUMP,
    )


def _of_plan(origin: str, plan: Plan, ctx: Context) -> Locked:
    target, languages = plan.request.target, plan.request.languages
    plain = Locked(target=target, origin=origin, languages=languages)
    if isinstance(plan, prebuilt.Plan):
        about, (first, *_) = plan.archive.about, plan.indexes
        found = replace(
            plain, gcc=about.version, recipe=about.recipe, malloc=about.malloc, index=first.name
        )
        return replace(found, archives=_archives(first, found, ctx))
    if isinstance(plan, distro.Plan):
        return replace(plain, systems={ctx.host.key: _packages(plan)})
    assert isinstance(plan, source.Plan)
    return replace(
        plain,
        gcc=plan.recipe.components["gcc"],
        recipe=plan.recipe.label,
        malloc=_malloc(plan.request),
        digest=_digest(plan),
    )


def _archives(one: Index, locked: Locked, ctx: Context) -> dict[str, ArchiveBlob]:
    found = prebuilt.everywhere(one, lambda about: _is_same(locked, about), ctx)
    return {
        key: ArchiveBlob(sha256=row.sha256, size=row.size, unpacked=row.unpacked, files=row.files)
        for key, row in found.items()
    }


def _is_same(locked: Locked, about: Description) -> bool:
    """Whether an archive is the locked toolchain, for whatever host."""
    said = (about.target, about.version, about.recipe, about.malloc)
    same = said == (locked.target, locked.gcc, locked.recipe, locked.malloc)
    return same and set(locked.languages) <= set(about.languages)


def _packages(plan: distro.Plan) -> Packages:
    rows = {(one.name, one.version, one.sha256) for one in plan.components}
    packages = [Package(name=row[0], version=row[1], sha256=row[2]) for row in sorted(rows)]
    versions = [one.version for one in packages if re.fullmatch(r"gcc-\d+(-.*)?", one.name)]
    gcc = versions[0].partition("-")[0] if versions else None
    return Packages(gcc=gcc, digest=plan.digest, packages=tuple(packages))


def _malloc(request: Request) -> str | None:
    return request.malloc or (MALLOCS[0] if request.target.libc == "musl" else None)


def _digest(plan: source.Plan) -> str:
    """Of all that a build is made of, the host and its compiler apart."""
    inputs = {
        "revision": REVISION,
        "target": plan.request.target.name,
        "languages": plan.request.languages,
        "malloc": _malloc(plan.request),
        "recipe": plan.recipe.digest,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _request(locked: Locked) -> Request:
    return Request(target=locked.target, languages=locked.languages)


@dataclass(frozen=True)
class _Fetched:
    """A prebuilt archive: its bytes are all."""

    locked: Locked
    blob: ArchiveBlob

    @property
    def name(self) -> str:
        return self.locked.target.name

    def is_met_by(self, about: Description) -> bool:
        return (about.origin, about.digest) == (prebuilt.NAME, self.blob.sha256)

    def plan(self, ctx: Context) -> tuple[str, Plan]:
        request = replace(_request(self.locked), gcc=self.locked.gcc)
        return prebuilt.NAME, prebuilt.exactly(request, self.blob, self.locked.index or "", ctx)

    def check(self, about: Description) -> None:
        """Nothing: `prebuilt` takes no other bytes."""


@dataclass(frozen=True)
class _Unpacked:
    """Packages of this host's archive, which holds only the newest ones."""

    locked: Locked
    packages: Packages

    @property
    def name(self) -> str:
        return self.locked.target.name

    def is_met_by(self, about: Description) -> bool:
        return (about.origin, about.digest) == (distro.NAME, self.packages.digest)

    def plan(self, ctx: Context) -> tuple[str, Plan]:
        _, found = install.resolve(_request(self.locked), ctx, distro.NAME)
        assert isinstance(found, distro.Plan)
        if found.digest != self.packages.digest:
            # Perhaps whoever has locked it had newer lists.
            found = fresh(found, ctx)
        self._check(found.digest, found.components)
        return distro.NAME, found

    def check(self, about: Description) -> None:
        self._check(about.digest, about.components)

    def _check(self, digest: str, components: Iterable[Part]) -> None:
        if digest == self.packages.digest:
            return
        changed = changes(self.packages.packages, components)
        told = [*changed[:_TOLD], *([f"{len(changed) - _TOLD} more"] if changed[_TOLD:] else [])]
        raise InputError(
            f"{self.name}: the archive has not what is locked: {', '.join(told)}"
            if changed
            else f"{self.name}: this toolman finishes it otherwise than the one that locked it",
            hint=_BUMP,
        )


@dataclass(frozen=True)
class _Built:
    """A build by this toolman's recipe, which is the locked one."""

    locked: Locked
    planned: source.Plan

    @property
    def name(self) -> str:
        return self.locked.target.name

    def is_met_by(self, about: Description) -> bool:
        said = (about.origin, about.languages, about.malloc)
        wanted = (source.NAME, self.locked.languages, self.locked.malloc)
        return said == wanted and made_of(self.planned, about)

    def plan(self, ctx: Context) -> tuple[str, Plan]:
        del ctx
        return source.NAME, self.planned

    def check(self, about: Description) -> None:
        """Nothing: `source` builds what is planned."""


def _built(locked: Locked, ctx: Context) -> _Built:
    known = [one.name for one in recipe.recipes()]
    request = replace(_request(locked), recipe=locked.recipe, malloc=locked.malloc)
    if locked.recipe in known:
        _, planned = install.resolve(request, ctx, source.NAME)
        assert isinstance(planned, source.Plan)
        if _digest(planned) == locked.digest:
            return _Built(locked, planned)
    raise InputError(
        f"{locked.target}: the recipe {locked.recipe} of this toolman is not the locked one",
        hint=f"take the toolman that locked it; or: {_BUMP}",
    )
