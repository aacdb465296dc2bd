"""What nothing uses any more, in the store and in the cache.

- toolchains that were superseded: of those of one name all but the one that it means now, and
  the one that its libraries were laid over. One that a running program was started from, or
  whose environment names it, stays;
- libraries that no toolchain in use has;
- what commands that were killed have left in `staging/`;
- work directories of builds, and downloads that were broken off, untouched for a week.

Whatever somebody holds the lock of stays, and is looked at again the next time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import archive, cache, library, locks, partial, store
from toolman.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolman.cache import Item
    from toolman.library import Built
    from toolman.paths import Paths
    from toolman.store import Store
    from toolman.toolchain import Toolchain

_OLD = partial.ABANDONED


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """Something to delete."""

    kind: str
    """`toolchain`, `library`, `staging`, `build` or `part`."""
    path: Path
    size: int
    """Bytes."""
    found: Toolchain | Built | Item | None = None


def garbage(where: Store) -> list[Garbage]:
    """What `collect` would delete now."""
    return [*_toolchains(where), *_libraries(where), *_staged(where.paths), *_cached(where.paths)]


def collect(one: Garbage, where: Store) -> bool:
    """Delete it; False if it is in use by now."""
    if isinstance(one.found, cache.Item):
        return cache.remove(one.found, where.paths.cache)
    if isinstance(one.found, library.Built):
        return _remove_library(one.found, where)
    if one.found:
        return _remove(one.found, where)
    name, lock_directory = _lock_of(one.path, where.paths)
    with locks.idle(lock_directory, name) as free, suppress(OSError):
        if free:
            store.remove_tree(one.path)
            return True
    return False


def _toolchains(where: Store) -> Iterator[Garbage]:
    every = where.toolchains()
    active = {name: where.active(name) for name in {one.name for one in every}}
    bases = {one.about.base for one in active.values() if one}
    superseded = [o for o in every if active[o.name] != o and o.path.name not in bases]
    used = _used([one.path for one in superseded])
    for one in superseded:
        size = _size(one.path)
        if one.path not in used and size is not None:
            yield Garbage(kind="toolchain", path=one.path, size=size, found=one)


def _libraries(where: Store) -> Iterator[Garbage]:
    used = _laid(where)
    for path in where.entries():
        found = library.read(path)
        size = _size(path) if found and path.name not in used else None
        if size is not None:
            yield Garbage(kind="library", path=path, size=size, found=found)


def _laid(where: Store) -> set[str]:
    """The entries of the libraries in the toolchains that names mean."""
    active = [where.active(name) for name in {one.name for one in where.toolchains()}]
    return {row.entry(str(one.target)) for one in active if one for row in one.about.libraries}


def _size(path: Path) -> int | None:
    """Bytes of a tree; None if somebody has deleted it meanwhile."""
    try:
        return archive.size(path) if path.exists() else None
    except FileNotFoundError:
        return None


def _remove(doomed: Toolchain, where: Store) -> bool:
    with locks.idle(where.paths.locks, doomed.name) as free:
        # Perhaps somebody has switched to it, or removed it, meanwhile.
        active = where.active(doomed.name)
        used = active == doomed or (active and active.about.base == doomed.path.name)
        if not free or used or not doomed.path.is_dir():
            return False
        with where.removed(doomed.path, doomed.name):
            checkpoint("mid-gc")
    return True


def _remove_library(doomed: Built, where: Store) -> bool:
    with locks.idle(where.paths.locks, library.lock(doomed.target)) as free:
        if not free or doomed.path.name in _laid(where) or not doomed.path.is_dir():
            return False
        with where.removed(doomed.path, library.lock(doomed.target)):
            return True


def _used(paths: list[Path]) -> set[Path]:
    """Those that the programs of this user were started from, or were told of."""
    found = set()
    for process in Path("/proc").glob("[0-9]*") if paths else ():
        said = _said(process)
        found |= {path for path in paths if os.fsencode(path) in said}
    return found


def _said(process: Path) -> bytes:
    with suppress(OSError):
        program = os.fsencode((process / "exe").readlink())
        return program + b"\0" + (process / "environ").read_bytes()
    return b""


def _staged(paths: Paths) -> Iterator[Garbage]:
    every = [*store.below(paths.staging), *store.below(paths.cache / "staging")]
    for path in every:
        name, lock_directory = _lock_of(path, paths)
        with locks.idle(lock_directory, name) as free:
            size = _size(path)
            if free and size is not None:
                yield Garbage(kind="staging", path=path, size=size)


def _lock_of(path: Path, paths: Paths) -> tuple[str, Path]:
    ours = path.is_relative_to(paths.data)
    return path.name.rpartition(".")[0], paths.locks if ours else paths.cache / "locks"


def _cached(paths: Paths) -> Iterator[Garbage]:
    for one in cache.older(cache.items(paths.cache), _OLD):
        if one.kind == "parts" or (one.kind == "builds" and one.path.name != "shared"):
            yield Garbage(kind=one.kind.removesuffix("s"), path=one.path, size=one.size, found=one)
