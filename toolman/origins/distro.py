"""Origin `distro`: the host's own Debian or Ubuntu archive, unpacked privately.

Which packages make which toolchain is data, `recipes/distro.toml`. What has to be done to an
unpacked tree so that it works from anywhere is in `finish`.
"""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from toolman import recipe, run
from toolman.checkpoint import checkpoint
from toolman.digest import sha256
from toolman.errors import AbsentError, IntegrityError, NetworkError
from toolman.origins import apt, finish, floor, musl
from toolman.request import Request
from toolman.store import remove_tree
from toolman.toolchain import Component, Description

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from toolman.context import Context
    from toolman.host import Host
    from toolman.origins.apt import Archive, Deb
    from toolman.report import Reporter

NAME = "distro"
UNPACKED = 5  # a tree is at most so many times the size of its packages; 4.0 measured

_POLL = 0.02  # seconds between looks at the download
_UNPACKERS = 2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The packages of one toolchain, all of them resolved."""

    request: Request
    host: Host
    archive: Archive
    debs: tuple[Deb, ...]
    """Those to unpack, helpers included."""
    helpers: frozenset[str]
    """Names of packages that only the finishing needs."""
    sysroot: frozenset[str]
    """Names of packages that belong into the sysroot."""
    sources: tuple[Deb, ...] = ()
    """The files of musl's source package, where musl is built."""

    @property
    def components(self) -> tuple[Component, ...]:
        return tuple(
            Component(name=deb.name, version=deb.version, sha256=deb.sha256, size=deb.size)
            for deb in (*self.debs, *self.sources)
            if deb.name not in self.helpers
        )

    @property
    def missing(self) -> list[Deb]:
        """What is not yet downloaded."""
        every = (*self.debs, *self.sources)
        return [deb for deb in every if not (self.archive.debs / deb.file).exists()]

    @property
    def parts(self) -> tuple[Deb, ...]:
        """All that is unpacked, helpers and sources too."""
        return (*self.debs, *self.sources)

    @property
    def download(self) -> int:
        return sum(deb.size for deb in self.missing)

    @property
    def summary(self) -> str:
        return f"{len(self.components)} packages of {self.host.system}"

    def space(self, ctx: Context) -> dict[Path, int]:
        """Bytes that it takes in the cache and in the store."""
        unpacked = UNPACKED * sum(deb.size for deb in self.debs)
        return {ctx.paths.cache: self.download, ctx.paths.data: unpacked}

    @property
    def digest(self) -> str:
        """Equal for equal packages, finished in the same way for the same host."""
        inputs = {
            "revision": recipe.load("distro")["revision"],
            "host": self.host.key,
            "target": self.request.target.name,
            "languages": self.request.languages,
            "packages": sorted(component.sha256 for component in self.components),
        }
        if self.request.target.glibc:
            inputs["floor"] = floor.digest()
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def offers(request: Request, ctx: Context) -> str | None:
    """Why this origin cannot meet `request` here; None if, as far as is known, it can."""
    if not apt.available():
        return "this host has no apt-get and dpkg-deb"
    platform = request.target.platform
    if platform.debian is None:
        return f"Debian and Ubuntu have no architecture for {platform}"
    if request.special:
        return f"it has one GCC, as it is, and not {request.special}"
    wanted = [one for one in request.languages if one not in _row(request, ctx.host)]
    if wanted:
        return f"it has no {', '.join(wanted)} for {request.target.libc}"
    return None


def plan(request: Request, ctx: Context) -> Plan:
    """Resolve the packages that `request` takes.

    Raises:
        AbsentError: the archive lacks one of them.
        InputError: its glibc is older than the target's floor.
        NetworkError, IntegrityError: the lists could not be had, or are forged.
    """
    host, cache, reporter = ctx.host, ctx.paths.cache, ctx.reporter
    platform = request.target.platform
    row = _row(request, host)
    names = [_fill(name, request) for language in request.languages for name in row[language]]
    foreign = platform.debian if any(":" in name for name in names) else None
    archive = apt.Archive(cache=cache, host=host, architecture=foreign)
    helpers = recipe.load("distro")["unpack"]["helpers"]
    try:
        closure = archive.closure([*names, *helpers], reporter)
    except (AbsentError, NetworkError):
        if foreign is None:
            raise
        return _plan_with_source(request, host, cache, reporter)
    for deb in closure:
        if deb.name.startswith("libc6-dev"):
            floor.check(request.target, deb.version)
    return _sort(request, host, archive, closure, helpers)


def _plan_with_source(request: Request, host: Host, cache: Path, reporter: Reporter) -> Plan:
    row = recipe.load("distro")["cross"]["musl-source"]
    names = [_fill(name, request) for name in row["c"]]
    helpers = [*recipe.load("distro")["unpack"]["helpers"], *row["helpers"]]
    archive = apt.Archive(cache=cache, host=host, sources=True)
    closure = archive.closure([*names, *helpers], reporter)
    found = _sort(request, host, archive, closure, helpers)
    return replace(found, sources=tuple(archive.source(row["source"])))


def make(chosen: Plan, into: Path, ctx: Context) -> Description:
    """Download, verify, unpack and finish `chosen` in the empty directory `into`.

    Raises:
        NetworkError: a package could not be fetched.
        IntegrityError: one is not what the signed lists state.
        BuildError: a step of the finishing failed.
    """
    reporter = ctx.reporter
    trees = finish.Trees(tree=into, aside=into.parent / "aside")
    try:
        _unpack_into(trees, chosen, reporter)
    except apt.StaleError:
        chosen.archive.refresh(reporter)
        chosen = plan(chosen.request, ctx)
        # Some of the old packages are in there already.
        remove_tree(trees.aside)
        remove_tree(into)
        into.mkdir()
        _unpack_into(trees, chosen, reporter)
    checkpoint("after-unpack")
    build = _musl_builder(trees, chosen, reporter) if chosen.sources else None
    reporter.step("finishing the tree")
    target = chosen.request.target
    finished = finish.finish(trees, target, chosen.host, build)
    if target.glibc:
        reporter.step(f"lowering glibc to {target.glibc}")
        floor.lower(into, finished, target.glibc, trees.aside)
    return Description(
        name=target.name,
        target=target,
        version=finished.version,
        digest=chosen.digest,
        origin=NAME,
        languages=chosen.request.languages,
        host=chosen.host.key,
        sysroot=finished.sysroot,
        tools=finished.tools,
        components=chosen.components,
    )


def again(about: Description, ctx: Context) -> Plan | None:
    """How to have an installed toolchain once more; None if the archive has moved on.

    Raises:
        NetworkError, IntegrityError: as `plan`.
    """
    found = plan(Request(target=about.target, languages=about.languages), ctx)
    return found if found.digest == about.digest else None


def clean(about: Description, ctx: Context) -> None:
    """Nothing: what was unpacked is the tree itself."""
    del about, ctx


def unpack(
    archive: Archive, debs: Sequence[Deb], place: Callable[[Deb], Path], reporter: Reporter
) -> None:
    """Download `debs`, and unpack each into `place(deb)` as soon as it is there and verified.

    Raises:
        StaleError: the lists name a package that the archive no longer has.
        NetworkError, IntegrityError: see `make`.
    """
    with ThreadPoolExecutor(_UNPACKERS) as pool:
        work = []
        try:
            for deb in _verified(archive, debs, reporter):
                into = place(deb)
                into.mkdir(parents=True, exist_ok=True)
                argv: list[str | Path] = ["dpkg-deb", "--extract", archive.debs / deb.file, into]
                work.append(pool.submit(run.check, f"unpacking {deb.file}", argv))
            for one in work:
                one.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _musl_builder(trees: finish.Trees, chosen: Plan, reporter: Reporter) -> Callable[[Path], None]:
    archive = chosen.archive
    if not all(map(archive.has, chosen.sources)):
        archive.fetch_source("musl", chosen.sources, reporter)
    files = [archive.debs / one.file for one in chosen.sources]

    def build(compiler: Path) -> None:
        reporter.step("building musl from the archive's source package")
        musl.build(files, compiler, chosen.request.target, trees.aside)

    return build


def _unpack_into(trees: finish.Trees, chosen: Plan, reporter: Reporter) -> None:
    unpack(chosen.archive, chosen.debs, lambda deb: _place(chosen, trees, deb), reporter)


def _row(request: Request, host: Host) -> dict[str, list[str]]:
    kind = "native" if host.is_native(request.target.platform) else "cross"
    row: dict[str, list[str]] = recipe.load("distro")[kind][request.target.libc]
    return row


def _fill(name: str, request: Request) -> str:
    platform = request.target.platform
    package = platform.triple["gnu"].replace("_", "-")
    return name.format(package=package, debian=platform.debian)


def _sort(
    request: Request,
    host: Host,
    archive: Archive,
    closure: Sequence[Deb],
    helpers: Sequence[str],
) -> Plan:
    """Sort the closure into what is dropped, what helps, and what goes into the sysroot."""
    rules = recipe.load("distro")["unpack"]
    kind = "native" if host.is_native(request.target.platform) else "cross"
    drop = [*rules["drop"]["any"]]
    drop += rules["drop"]["cross"] if kind == "cross" else []
    drop += rules["drop"]["musl"] if request.target.libc == "musl" else []
    kept = [deb for deb in closure if not _matches(deb, drop)]
    return Plan(
        request=request,
        host=host,
        archive=archive,
        debs=tuple(sorted(kept, key=lambda deb: -deb.size)),
        helpers=frozenset(helpers),
        sysroot=frozenset(deb.name for deb in kept if _matches(deb, rules["sysroot"][kind])),
    )


def _matches(deb: Deb, patterns: Sequence[str]) -> bool:
    return any(fnmatch(deb.name, pattern) for pattern in patterns)


def _place(chosen: Plan, trees: finish.Trees, deb: Deb) -> Path:
    if deb.name in chosen.helpers:
        return trees.helpers
    return trees.target if deb.name in chosen.sysroot else trees.tree


def _verified(archive: Archive, debs: Sequence[Deb], reporter: Reporter) -> Iterator[Deb]:
    """Each of `debs` as soon as its file is there with the right digest."""
    missing = []
    for deb in debs:
        if archive.has(deb):
            yield deb
        else:
            missing.append(deb)
    if not missing:
        return
    with archive.alone(reporter):
        # Another toolman may have fetched them meanwhile.
        fetched = [deb for deb in missing if archive.has(deb)]
        yield from fetched
        yield from _downloaded(archive, [deb for deb in missing if deb not in fetched], reporter)
    checkpoint("after-download")


def _downloaded(archive: Archive, debs: Sequence[Deb], reporter: Reporter) -> Iterator[Deb]:
    if not debs:
        return
    total = sum(deb.size for deb in debs)
    with (
        reporter.bar("downloading", total) as advance,
        archive.fetch(debs) as (into, process),
    ):
        for deb in _arriving(into, debs, process):
            archive.keep(into / deb.file)
            advance(deb.size)
            yield deb


def _arriving(into: Path, debs: Sequence[Deb], process: run.Running) -> Iterator[Deb]:
    waiting = list(debs)
    while waiting:
        ended = process.ended()
        arrived = [deb for deb in waiting if _complete(into / deb.file, deb)]
        for deb in arrived:
            waiting.remove(deb)
            yield deb
        if ended:
            break
        time.sleep(_POLL)
    done = process.finish()
    if waiting or done.code:
        raise apt.download_failure(done)


def _complete(package: Path, deb: Deb) -> bool:
    try:
        if package.stat().st_size < deb.size:
            return False
    except OSError:
        return False
    if sha256(package) == deb.sha256:
        return True
    raise IntegrityError(
        f"{deb.file} is not what the archive's signed list states: sha256 {deb.sha256}",
        hint="the mirror is damaged, or somebody changes packages on the way",
    )
