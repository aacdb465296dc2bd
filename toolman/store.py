"""The store: this host's toolchains, each complete or absent.

A tree is made in `staging/`, on the same file system, and enters the store by one rename,
after its data has been synced. So a kill at any moment leaves the store as it was, or with a
complete new entry. Locks save double work and nothing else: two makers of one entry both
finish, and the second finds the first one's tree in its place.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolman import toolchain
from toolman.checkpoint import checkpoint
from toolman.errors import InputError, ToolmanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from toolman.paths import Paths
    from toolman.toolchain import Toolchain

_PATIENCE = 1.0  # seconds before saying that another toolman is at work


@dataclass(frozen=True)
class Store:
    """The toolchains below `paths`."""

    paths: Paths

    def toolchains(self) -> list[Toolchain]:
        """All installed toolchains, by name."""
        found = (toolchain.read(path) for path in self.entries())
        return [one for one in found if one]

    def entries(self, prefix: str = "") -> list[Path]:
        """The directories in the store whose names begin with `prefix`, sorted."""
        try:
            names = sorted(os.listdir(self.paths.store))
        except FileNotFoundError:
            return []
        return [self.paths.store / name for name in names if name.startswith(prefix)]

    def active(self, name: str) -> Toolchain | None:
        """The toolchain that `name` means now."""
        if "/" in name:
            return None
        link = self.paths.active / name
        if link.is_symlink():
            found = toolchain.read(link.parent / link.readlink())
            if found:
                return replace(found, path=self.paths.store / found.path.name)
        named = [one for one in self.toolchains() if one.name == name]
        return max(named, key=lambda one: one.path.stat().st_mtime, default=None)

    def activate(self, chosen: Toolchain) -> None:
        """Make `chosen` the toolchain that its name means."""
        link(self.paths.active / chosen.name, f"../store/{chosen.path.name}")

    @contextmanager
    def stage(self, name: str) -> Iterator[Path]:
        """An empty directory to make something in; gone afterwards. Hold `lock(name)`."""
        work = self.paths.staging / f"{name}.{secrets.token_hex(4)}"
        work.mkdir(parents=True)
        try:
            yield work
        finally:
            remove_tree(work)

    def add(self, tree: Path, entry: str) -> Path:
        """Move the finished `tree` into the store as `entry`; its place there.

        Raises:
            OSError: the file system's, as ENOSPC.
        """
        place = self.paths.store / entry
        place.parent.mkdir(parents=True, exist_ok=True)
        _make_readonly(tree)
        checkpoint("before-sync")
        _sync_file_system(tree)
        checkpoint("before-rename")
        try:
            tree.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        checkpoint("after-rename")
        return place

    def remove(self, entry: Path, name: str) -> None:
        """Take `entry` out of the store by one rename, then delete it. Hold `lock(name)`."""
        self.paths.staging.mkdir(parents=True, exist_ok=True)
        grave = self.paths.staging / f"{name}.{secrets.token_hex(4)}"
        entry.rename(grave)
        checkpoint("after-unlink")
        remove_tree(grave)

    @contextmanager
    def lock(self, name: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Be the only one who makes or removes `name`; `waiting` is called if that takes long."""
        import filelock  # 45 ms: kept off the read commands

        lock = self._lock(name)
        try:
            lock.acquire(timeout=_PATIENCE)
        except filelock.Timeout:
            waiting()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def sweep(self) -> None:
        """Delete what killed commands left in `staging`. Never fails, never waits."""
        try:
            leftovers = list(self.paths.staging.iterdir())
        except OSError:
            return
        for work in leftovers:
            self._sweep_one(work)

    def _sweep_one(self, work: Path) -> None:
        import filelock

        lock = self._lock(work.name.rpartition(".")[0])
        try:
            with lock.acquire(blocking=False):
                remove_tree(work)
        except (filelock.Timeout, OSError):
            return

    def _lock(self, name: str) -> filelock.BaseFileLock:  # type: ignore[name-defined] # noqa: F821
        import filelock

        self.paths.locks.mkdir(parents=True, exist_ok=True)
        path = self.paths.locks / f"{name}.lock"
        return filelock.FileLock(path, fallback_to_soft=False)


def link(path: Path, to: str) -> None:
    """Make `path` a symlink to `to`, in one step; nothing if it already is."""
    if links_to(path, to):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fresh.symlink_to(to)
    fresh.replace(path)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Make `path` hold `text`, in one step; nothing if it already does."""
    if holds(path, text):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        fresh.write_bytes(_bytes(text))
        fresh.chmod(mode)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def append(path: str, text: str) -> None:
    """Add `text` to the end of a file that is another program's."""
    with open(path, "a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def links_to(path: Path, to: str) -> bool:
    """Whether `path` is a symlink to `to`."""
    try:
        return str(path.readlink()) == to
    except OSError:
        return False


def holds(path: Path, text: str) -> bool:
    """Whether `path` is a file with `text`, and no link."""
    try:
        return path.read_bytes() == _bytes(text) and not path.is_symlink()
    except OSError:
        return False


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def remove_tree(path: Path) -> None:
    """Delete a tree, read-only directories included; nothing if it is not there."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path, onerror=_make_writable)


def check_space(directory: Path, needed: int) -> None:
    """Refuse before the first byte if fewer than `needed` bytes are free.

    Raises:
        ToolmanError: too little space.
    """
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise ToolmanError(
            f"{directory} has {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB are needed",
            hint="free some space, or set TOOLMAN_HOME to another disk",
        )


def check_writable(directory: Path) -> None:
    """Make `directory`, and refuse now rather than halfway if it cannot be written.

    Raises:
        InputError: it cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / f".{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"cannot write {directory}: {error.strerror}",
            hint="correct its permissions, or set TOOLMAN_HOME to another directory",
        ) from error


def _make_readonly(tree: Path) -> None:
    for directory, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(directory, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                os.chmod(path, stat.S_IMODE(mode) & 0o555)


def _sync_file_system(tree: Path) -> None:
    import ctypes  # 10 ms: kept off the read commands

    # One syncfs costs a tenth of an fsync for every file (reference/managers.md, 2.2).
    descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(tree))
    finally:
        os.close(descriptor)


def _make_writable(function: Callable[..., object], path: str, _: object) -> None:
    os.chmod(os.path.dirname(path), 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, 0o700)
    function(path)
