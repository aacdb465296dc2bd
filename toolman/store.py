"""The store: this host's toolchains, each complete or absent.

A tree is made in `staging/`, on the same file system, and enters the store by one rename,
after its data has been synced. So a kill at any moment leaves the store as it was, or with a
complete new entry. Locks save double work and nothing else: two makers of one entry both
finish, and the second finds the first one's tree in its place.

Who changes something keeps a directory in `staging/` until all of it is done, the shims and
environment files too. So what lies there unlocked tells that a command was killed.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import swap, syncing, toolchain
from toolman.checkpoint import checkpoint
from toolman.errors import InputError, ToolmanError
from toolman.locks import idle as idle  # these are part of this module's interface too
from toolman.locks import locked as locked
from toolman.locks import unwinding as unwinding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from toolman.paths import Paths
    from toolman.toolchain import Toolchain

_LEFT = 60.0  # seconds after which nobody is writing a temporary file any more
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ELSEWHERE = "free some space, or set TOOLMAN_HOME and TOOLMAN_CACHE to another disk"


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
        with suppress(OSError):
            found = toolchain.read(self.paths.active / (self.paths.active / name).readlink())
            if found:
                return replace(found, path=self.paths.store / found.path.name)
        named = [one for one in self.toolchains() if one.name == name]
        return max(named, key=lambda one: _changed(one.path), default=None)

    def base(self, found: Toolchain) -> Toolchain | None:
        """The toolchain that the libraries of `found` were laid over; itself if it has none;
        None if that one is gone."""
        return toolchain.read(self.paths.store / found.about.base) if found.about.base else found

    def activate(self, chosen: Toolchain) -> None:
        """Make `chosen` the toolchain that its name means."""
        link(self.paths.active / chosen.name, f"../store/{chosen.path.name}")

    @contextmanager
    def stage(self, name: str) -> Iterator[Path]:
        """An empty directory to make something in; gone afterwards. Hold `lock(name)`."""
        with stage(self.paths.staging, name) as work:
            yield work

    def add(self, tree: Path, entry: str, *, sealed: bool = False, anew: bool = False) -> Path:
        """Move the finished `tree` into the store as `entry`; its place there.

        It gets a manifest, unless it was `sealed` with one just now. What is there stays, or,
        `anew`, changes places with `tree`.

        Raises:
            IntegrityError: the tree is not what the manifest that it came with says.
            OSError: the file system's, as ENOSPC.
        """
        from toolman import manifest  # 10 ms: kept off the read commands

        if not sealed:
            manifest.seal(tree)
        place = self.paths.store / entry
        place.parent.mkdir(parents=True, exist_ok=True)
        _make_readonly(tree)
        checkpoint("before-sync")
        syncing.sync(tree)
        checkpoint("before-rename")
        try:
            tree.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if anew:
                swap.swap(tree, place)
        checkpoint("after-rename")
        return place

    @contextmanager
    def removed(self, entry: Path, name: str) -> Iterator[None]:
        """Take `entry` out of the store by one rename; it is deleted after the block.

        Takes no space, so that a full disk can be emptied. Hold `lock(name)`.
        """
        self.paths.staging.mkdir(parents=True, exist_ok=True)
        grave = self.paths.staging / f"{name}.{_unique()}"
        entry.rename(grave)
        checkpoint("after-unlink")
        try:
            yield
        finally:
            remove_tree(grave)

    def lock(self, name: str, waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """Be the only one who makes or removes `name`; see `locked`."""
        return locked(self.paths.locks, name, waiting)

    @contextmanager
    def telling_what_is_full(self) -> Iterator[None]:
        """Name the disk if one has become full.

        Raises:
            ToolmanError: one has.
        """
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise self._full(error.filename) from error

    def staged(self) -> list[Path]:
        """What is under way, or was when a command was killed."""
        return below(self.paths.staging)

    def sweep(self) -> None:
        """Delete what killed commands left. Never fails, never waits for another toolman."""
        from toolman import partial  # takes OpenSSL along: kept off the read commands

        _sweep(self.paths.staging, self.paths.locks)
        _sweep(self.paths.cache / "staging", self.paths.cache / "locks")
        for part in partial.old(self.paths.cache / "sha256"):
            partial.drop(part)
        for path in self.paths.data.glob(".*"):
            if _changed(path) < time.time() - _LEFT:
                with suppress(OSError):
                    path.unlink()

    def _full(self, file: str | None) -> ToolmanError:
        # Compilers write temporary files too.
        temporary = Path(os.environ.get("TMPDIR", "/tmp"))
        named = [Path(file).parent] if file else []
        directory = min((self.paths.data, self.paths.cache, temporary, *named), key=_room)
        return ToolmanError(f"the disk of {directory} is full", hint=_ELSEWHERE)


@contextmanager
def stage(staging: Path, name: str) -> Iterator[Path]:
    """An empty directory below `staging`; gone afterwards. Hold the lock `name`."""
    work = staging / f"{name}.{_unique()}"
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        remove_tree(work)


def _sweep(staging: Path, locks: Path) -> None:
    for work in below(staging):
        name = work.name.rpartition(".")[0]
        with idle(locks, name) as free:
            if free:
                _remove_orphaned(work)


def _remove_orphaned(work: Path) -> None:
    """Delete `work`, though a dpkg-deb whose toolman was killed may yet write into it."""
    for _ in range(10):
        with suppress(OSError):
            remove_tree(work)
            return
        time.sleep(0.1)


def below(directory: Path) -> list[Path]:
    """What is in a directory, sorted; nothing if it cannot be read."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def link(path: Path, to: str) -> None:
    """Make `path` a symlink to `to`, in one step; nothing if it already is."""
    if links_to(path, to):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{_unique()}")
    fresh.symlink_to(to)
    fresh.replace(path)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Make `path` hold `text`, in one step; nothing if it already does."""
    if holds(path, text):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{_unique()}")
    try:
        fresh.write_bytes(_bytes(text))
        fresh.chmod(mode)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


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


def check_space(needed: Mapping[Path, int]) -> None:
    """Refuse before the first byte if a directory has fewer than the `needed` bytes free.

    Raises:
        ToolmanError: too little space.
    """
    disks: dict[int, int] = {}
    for directory, size in needed.items():
        disk = directory.stat().st_dev
        disks[disk] = disks.get(disk, 0) + size
        if _free(directory) < disks[disk]:
            free, wanted = _free(directory) / 1e6, disks[disk] / 1e6
            raise ToolmanError(
                f"{directory} has {free:.1f} MB free, {wanted:.1f} MB are needed", hint=_ELSEWHERE
            )


def check_writable(directory: Path) -> None:
    """Make `directory`, and refuse now rather than halfway if it cannot be written.

    Raises:
        InputError: it cannot be made or written.
    """
    import tempfile  # 5 ms: kept off the read commands

    try:
        directory.mkdir(parents=True, exist_ok=True)
        # A file without a name: a kill leaves nothing.
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        if error.errno in _FULL:
            return  # it can be written; `check_space` tells whether there is enough
        raise InputError(
            f"cannot write {directory}: {error.strerror}",
            hint="correct its permissions, or set TOOLMAN_HOME and TOOLMAN_CACHE to others",
        ) from error


def _unique() -> str:
    return os.urandom(4).hex()  # the module `secrets` takes 5 ms to import


def _free(directory: Path) -> int:
    return shutil.disk_usage(directory).free


def _room(directory: Path) -> int:
    """Free bytes, or what the free inodes allow if that is less."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return sys.maxsize
    free = disk.f_bavail * disk.f_frsize
    return min(free, disk.f_favail * 4096) if disk.f_files else free


def _changed(path: Path) -> float:
    """When `path` was changed; long ago if it is no more."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _make_readonly(tree: Path) -> None:
    for directory, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(directory, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode) and mode & 0o222:
                os.chmod(path, stat.S_IMODE(mode) & 0o555)


def _make_writable(function: Callable[..., object], path: str, _: object) -> None:
    os.chmod(os.path.dirname(path), 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, 0o700)
    function(path)
