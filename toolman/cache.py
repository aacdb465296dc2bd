"""What lies in the cache, by kind: all of it can be had again.

archives    of toolchains, and    sources, which toolchains are built of: <cache>/sha256/
packages    of the host's archive, and their    lists: <cache>/apt/
builds      toolchains under way, and what they share; ccache too: <cache>/build/
parts       downloads that were broken off
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import locks, partial, store
from toolman.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("archives", "sources", "packages", "lists", "builds", "ccache", "parts")

_ZSTD = b"\x28\xb5\x2f\xfd"  # how an archive of ours begins; sources are of other kinds


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something that is deleted as a whole."""

    kind: str
    path: Path
    size: int
    """Bytes."""
    used: float
    """When something in it was last written, in seconds since 1970."""


def items(cache: Path) -> list[Item]:
    """All that is in the cache, but for locks and what is in `staging/`."""
    return [_item(kind, path) for kind, path in _places(cache)]


def older(found: list[Item], seconds: float) -> list[Item]:
    """Those into which nothing was written for so long."""
    before = time.time() - seconds
    return [one for one in found if one.used < before]


def remove(item: Item, cache: Path) -> bool:
    """Delete `item`; False if somebody is at work with it, or it cannot be deleted."""
    if item.kind == "parts":
        return partial.drop(item.path)
    with ExitStack() as stack:
        for name in _users(item, cache):
            if not stack.enter_context(locks.idle(cache / "locks", name)):
                return False
        with suppress(OSError):
            if item.path.is_dir():
                _bury(item.path, cache)
            else:
                item.path.unlink(missing_ok=True)
            return True
    return False


def _places(cache: Path) -> Iterator[tuple[str, Path]]:
    for path in store.below(cache / "sha256"):
        if path.suffix == ".part":
            yield "parts", path
        elif not path.name.endswith(".part.json"):
            yield ("archives" if _begins(path) == _ZSTD else "sources"), path
    yield from (("packages", path) for path in store.below(cache / "apt/debs"))
    yield from (("lists", path) for path in store.below(cache / "apt") if path.name != "debs")
    yield from (("builds", path) for path in store.below(cache / "build") if path.name != "shared")
    shared = store.below(cache / "build/shared")
    yield from (("ccache", path) for path in shared if path.name == "ccache")
    if any(path.name != "ccache" for path in shared):
        yield "builds", cache / "build/shared"


def _item(kind: str, path: Path) -> Item:
    """With its size, each file counted once."""
    sizes: dict[tuple[int, int], int] = {}
    used = 0.0
    for one in _files(path):
        with suppress(OSError):
            about = one.lstat()
            sizes[about.st_dev, about.st_ino] = about.st_size
            used = max(used, about.st_mtime)
    return Item(kind=kind, path=path, size=sum(sizes.values()), used=used)


def _files(path: Path) -> Iterator[Path]:
    yield path
    for directory, below, names in os.walk(path):
        if Path(directory) == path and path.name == "shared" and "ccache" in below:
            below.remove("ccache")  # an item of its own
        yield from (Path(directory, name) for name in (*below, *names))


def _users(item: Item, cache: Path) -> list[str]:
    """The locks of those who may be at work with it."""
    if item.kind in ("packages", "lists"):
        return ["apt"]
    if item.kind not in ("builds", "ccache"):
        return []
    if item.path.parent.name == "build" and item.path.name != "shared":
        return [f"build-{item.path.name}"]
    # What is shared, every build uses.
    return [one.stem for one in store.below(cache / "locks") if one.name.startswith("build-")]


def _bury(path: Path, cache: Path) -> None:
    """Delete a directory of which nobody then sees a half."""
    parts = [path]
    if path.name == "shared":
        # What is done is told by `done/`, so that goes first; the ccache stays.
        parts = sorted(store.below(path), key=lambda one: one.name != "done")
        parts = [one for one in parts if one.name != "ccache"]
    with (
        locks.locked(cache / "locks", "clean", lambda: None),
        store.stage(cache / "staging", "clean") as grave,
    ):
        for one in parts:
            one.rename(grave / one.name)
            checkpoint("mid-clean")


def _begins(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(_ZSTD))
    except OSError:
        return b""
