"""Origin `prebuilt`: an archive that `toolman pack` made, named by a signed index; or, where that
was asked for, another publisher's (see `foreign`).

What was built from source is static, and runs on every Linux of its host's machine; what came
from a distribution runs on that release alone. Of several archives that fit, the first index's is
taken, of its own the newest GCC's, and then the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolman import archive, index, origins, toolchain
from toolman.digest import sha256
from toolman.errors import AbsentError, IntegrityError, NetworkError
from toolman.origins import foreign, meets
from toolman.request import Request
from toolman.toolchain import Component

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from toolman.context import Context
    from toolman.host import Host
    from toolman.index import Archive, Index
    from toolman.toolchain import Description

NAME = "prebuilt"
_STATIC = "source"  # the origin whose toolchains need nothing of their host


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An archive to be fetched and unpacked."""

    request: Request
    index: Index
    archive: Archive
    cache: Path

    @property
    def parts(self) -> list[Component]:
        about = self.archive.about
        name = f"{about.name} for {about.host}"
        found = self.archive
        return [Component(name=name, version=about.version, sha256=found.sha256, size=found.size)]

    @property
    def download(self) -> int:
        return 0 if self.place.exists() else self.archive.size

    @property
    def place(self) -> Path:
        """Where the archive is kept."""
        return cached(self.archive, self.cache)

    @property
    def summary(self) -> str:
        return f"index {self.index.name}: GCC {self.archive.about.version}"

    def space(self, ctx: Context) -> Mapping[Path, int]:
        """Bytes that it takes in the cache and in the store."""
        return {ctx.paths.cache: self.download, ctx.paths.data: self.archive.unpacked}


def cached(found: Archive, cache: Path) -> Path:
    """Where an archive is kept in the cache."""
    return cache / "sha256" / found.sha256


def offers(request: Request, ctx: Context) -> str | None:
    """Why this origin cannot meet `request`; None if one of the indexes may.

    Raises:
        InputError: the catalogue has no such publisher.
    """
    reason = None if index.indexes(ctx) else "no index is known; see: toolman index add"
    return foreign.offers(request, ctx) if reason and request.publisher is not None else reason


def plan(request: Request, ctx: Context) -> Plan | foreign.Plan:
    """Choose an archive; an index that was not asked for an hour is asked first.

    Raises:
        AbsentError: no index has one that fits, nor has the publisher.
        NetworkError: none has, and one could not be asked.
        IntegrityError: an index is not what its keys have signed.
    """
    unreachable: NetworkError | None = None
    for one in index.indexes(ctx):
        try:
            known = index.archives(one, ctx).archives
        except NetworkError as error:
            unreachable = error
            continue
        found = best(known, request, ctx.host)
        if found:
            return Plan(request=request, index=one, archive=found, cache=ctx.paths.cache)
    if request.publisher is not None:
        if unreachable:
            ctx.reporter.step(f"warning: {unreachable}; taking what {request.publisher} offers")
        return foreign.plan(request, ctx)
    if unreachable:
        raise unreachable
    names = ", ".join(one.name for one in index.indexes(ctx))
    raise AbsentError(f"no archive for {ctx.host.key} in {names}")


def again(about: Description, ctx: Context) -> Plan | None:
    """How to have the bytes of an installed toolchain once more; None if no index has them."""
    for one in index.indexes(ctx):
        for some in index.known(one):
            if some.sha256 == about.digest:
                return exactly(some, one, ctx)
    return None


def exactly(found: Archive, of: Index, ctx: Context) -> Plan:
    """How to install that very archive of an index."""
    about = found.about
    request = Request(target=about.target, languages=about.languages)
    return Plan(request=request, index=of, archive=found, cache=ctx.paths.cache)


def best(every: Iterable[Archive], request: Request, host: Host) -> Archive | None:
    """Of several archives the one that `host` takes for `request`, if one fits."""
    fitting = [one for one in every if _fits(one, request, host)]
    return min(fitting, key=_rank, default=None)


def make(chosen: Plan | foreign.Plan, into: Path, ctx: Context) -> Description:
    """Fetch the archive and unpack it to `into`, an empty directory.

    Raises:
        NetworkError: no mirror gives it.
        IntegrityError: it is not the archive that the index names, or see `foreign.make`.
    """
    if isinstance(chosen, foreign.Plan):
        return foreign.make(chosen, into, ctx)
    found = chosen.archive
    obtain(chosen, ctx)
    ctx.reporter.step(f"unpacking {found.about.name}")
    limits = archive.Limits(unpacked=found.unpacked, members=found.files)
    archive.unpack(chosen.place, into, limits)
    made = toolchain.read(into)
    if made is None or made.about != found.about:
        raise IntegrityError(f"{chosen.place.name} holds another toolchain than its index says")
    (into / toolchain.FILE).unlink()
    name = chosen.request.target.name
    return replace(found.about, name=name, origin=NAME, digest=found.sha256, host=ctx.host.key)


def obtain(chosen: Plan, ctx: Context) -> None:
    """Have the archive in the cache.

    Raises:
        NetworkError: no mirror gives it.
        IntegrityError: none gives the right bytes.
    """
    found, place = chosen.archive, chosen.place
    if place.exists() and sha256(place) == found.sha256:
        return
    if not chosen.index.urls:
        said = f"{found.about.name} is not in the cache: sha256 {found.sha256}, as {place}"
        hint = "put it there, or see: toolman import --help"
        raise NetworkError(f"index {chosen.index.name} has no URL, and {said}", hint=hint)
    from toolman.fetch import Download  # a tenth of a second: kept off what is there

    wanted = Download(
        name=found.about.name,
        urls=index.blob_urls(chosen.index, found),
        sha256=found.sha256,
        size=found.size,
        path=place,
        mirrors=True,
    )
    origins.obtain(wanted, ctx)


def clean(about: Description, ctx: Context) -> None:
    """Nothing: an archive in the cache is there for the next install."""
    del about, ctx


def listed(ctx: Context) -> Iterator[Description]:
    """What runs on this host of that which the indexes last said; never asks the network."""
    for one in index.indexes(ctx):
        for some in index.known(one):
            if _runs(some.about, ctx.host):
                yield some.about


def _fits(found: Archive, request: Request, host: Host) -> bool:
    about = found.about
    return _runs(about, host) and about.target == request.target and meets(about, request)


def _runs(about: Description, host: Host) -> bool:
    if about.origin == _STATIC:
        return about.host.rpartition("-")[2] == host.machine
    return about.host == host.key


def _rank(found: Archive) -> tuple[list[int], int]:
    return [-int(part) for part in found.about.version.split(".") if part.isdigit()], found.size
