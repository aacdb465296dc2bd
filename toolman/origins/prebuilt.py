"""Origin `prebuilt`: an archive that `toolman pack` made, named by a signed index; or, where that
was asked for, another publisher's (see `foreign`).

What was built from source is static, and runs on every Linux of its host's machine; what came
from a distribution runs on that release alone. Of several archives that fit, the first index's is
taken, of its own the newest GCC's, and then the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolman import archive, index, origins, store, toolchain
from toolman.digest import sha256
from toolman.errors import AbsentError, InputError, IntegrityError, NetworkError
from toolman.origins import meets
from toolman.request import Request
from toolman.toolchain import Component

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from toolman.blob import Blob
    from toolman.context import Context
    from toolman.host import Host
    from toolman.index import Archive, ArchiveBlob, Index
    from toolman.origins import foreign
    from toolman.toolchain import Description

NAME = "prebuilt"
_STATIC = "source"  # the origin whose toolchains need nothing of their host


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An archive to be fetched and unpacked."""

    request: Request
    indexes: tuple[Index, ...]
    """Those that may have it, the likeliest first."""
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
        where = f"index {self.indexes[0].name}" if self.indexes else "the cache"
        return f"{where}: GCC {self.archive.about.version}"

    def space(self, ctx: Context) -> Mapping[Path, int]:
        """Bytes that it takes in the cache and in the store."""
        return {ctx.paths.cache: self.download, ctx.paths.data: self.archive.unpacked}


def cached(found: Blob, cache: Path) -> Path:
    """Where an archive is kept in the cache."""
    return cache / "sha256" / found.sha256


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An archive of an index, for `install.ensure_exactly`."""

    archive: Archive
    index: Index

    @property
    def name(self) -> str:
        return self.archive.about.target.name

    def is_met_by(self, about: Description) -> bool:
        return about.digest == self.archive.sha256

    def plan(self, ctx: Context) -> tuple[str, Plan]:
        return NAME, of_index(self.archive, self.index, ctx)

    def check(self, about: Description) -> None:
        """Nothing: `make` has held it against its index."""


def offers(request: Request, ctx: Context) -> str | None:
    """Why this origin cannot meet `request`; None if one of the indexes may.

    Raises:
        InputError: the catalogue has no such publisher.
    """
    if index.indexes(ctx):
        return None
    if request.publisher is None:
        return "no index is known; see: toolman index add"
    from toolman.origins import foreign  # imports httpx and pyelftools: a tenth of a second

    return foreign.offers(request, ctx)


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
            if unreachable:
                ctx.reporter.step(f"warning: {unreachable}; taking what index {one.name} has")
            return Plan(request=request, indexes=(one,), archive=found, cache=ctx.paths.cache)
    if request.publisher is not None:
        if unreachable:
            ctx.reporter.step(f"warning: {unreachable}; taking what {request.publisher} offers")
        from toolman.origins import foreign

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
                return of_index(some, one, ctx)
    return None


def of_index(found: Archive, of: Index, ctx: Context) -> Plan:
    """How to install that very archive of an index."""
    about = found.about
    request = Request(target=about.target, languages=about.languages)
    return Plan(request=request, indexes=(of,), archive=found, cache=ctx.paths.cache)


def best(every: Iterable[Archive], request: Request, host: Host) -> Archive | None:
    """Of several archives the one that `host` takes for `request`, if one fits."""
    fitting = [one for one in every if _fits(one, request, host)]
    return min(fitting, key=_rank, default=None)


def exactly(request: Request, blob: ArchiveBlob, name: str, ctx: Context) -> Plan:
    """The plan for an archive that is known by its bytes, of the index `name`: no index is asked.

    Only the archive itself tells what is in it, so it is fetched: from any index that was added.

    Raises:
        InputError: it is not in the cache, and no index was added.
        NetworkError: no index has it.
        IntegrityError: it is not what `request` asks for, or an index gave other bytes.
    """
    indexes = tuple(sorted(index.indexes(ctx), key=lambda one: one.name != name))
    place = cached(blob, ctx.paths.cache)
    there = _is_there(blob, place)
    if not indexes and not there:
        raise InputError(
            f"{request.target} is locked to an archive of index {name}, and no index is known",
            hint=f"toolman index add {name} URL --root FILE",
        )
    ctx.paths.cache.mkdir(parents=True, exist_ok=True)
    store.check_space({ctx.paths.cache: 0 if there else blob.size})
    try:
        _fetch(request.target.name, blob, indexes, ctx)
    except NetworkError as error:
        hint = "try again; if that archive is gone for good: toolman lock --bump"
        raise NetworkError(str(error), hint=hint) from error
    found = _described(blob, place)
    if not found or not _fits(found, request, ctx.host):
        raise IntegrityError(
            f"the locked archive {blob.sha256} is not {request} for {ctx.host.key}",
            hint="somebody has changed the lock: take it from your version control again",
        )
    return Plan(request=request, indexes=indexes, archive=found, cache=ctx.paths.cache)


def everywhere(
    one: Index, wanted: Callable[[Description], bool], ctx: Context
) -> dict[str, Archive]:
    """Of the `wanted` archives in an index the best for every host, by the host's key; by its
    machine alone for one that runs on every Linux.

    Raises:
        NetworkError, IntegrityError: as `index.archives`.
    """
    found: dict[str, Archive] = {}
    same = [some for some in index.archives(one, ctx).archives if wanted(some.about)]
    for some in sorted(same, key=_rank, reverse=True):
        found[_runs_on(some.about)] = some

    def beaten(key: str) -> bool:
        rival = found.get(key.rpartition("-")[2], found[key])
        return _rank(rival) < _rank(found[key])

    return {key: some for key, some in sorted(found.items()) if not beaten(key)}


def make(chosen: Plan | foreign.Plan, into: Path, ctx: Context) -> Description:
    """Fetch the archive and unpack it to `into`, an empty directory.

    Raises:
        NetworkError: no mirror gives it.
        IntegrityError: it is not the archive that the index names, or see `foreign.make`.
    """
    if not isinstance(chosen, Plan):
        from toolman.origins import foreign

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
    _fetch(chosen.archive.about.name, chosen.archive, chosen.indexes, ctx)


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
    return _runs_on(about) in (host.key, host.machine)


def _runs_on(about: Description) -> str:
    """A host's key, or the machine of any host."""
    return about.host.rpartition("-")[2] if about.origin == _STATIC else about.host


def _rank(found: Archive) -> tuple[list[int], int, str]:
    version = [-int(part) for part in found.about.version.split(".") if part.isdigit()]
    return version, found.size, found.sha256


def _described(blob: ArchiveBlob, place: Path) -> Archive | None:
    """What the archive at `place` says of itself; None if no index may say that."""
    try:
        about = toolchain.loads(archive.first(place)[1])
        found = [index.Archive(**vars(blob), about=about)] if about else []
        (known,) = index.parse(index.dump(found))
    except (IntegrityError, ValueError):
        return None
    return known


def _is_there(blob: Blob, place: Path) -> bool:
    return place.exists() and sha256(place) == blob.sha256


def _fetch(name: str, found: Blob, indexes: Sequence[Index], ctx: Context) -> None:
    place = cached(found, ctx.paths.cache)
    if _is_there(found, place):
        return
    urls = tuple(url for one in indexes for url in index.blob_urls(one, found))
    if not urls:
        names = ", ".join(one.name for one in indexes)
        said = f"index {names} has no URL, and {name} is not in the cache"
        hint = "put it there, or see: toolman import --help"
        raise NetworkError(f"{said}: sha256 {found.sha256}, as {place}", hint=hint)
    from toolman.fetch import Download  # a tenth of a second: kept off what is there

    wanted = Download(
        name=name,
        urls=urls,
        sha256=found.sha256,
        size=found.size,
        path=place,
        mirrors=True,
    )
    origins.obtain(wanted, ctx)
