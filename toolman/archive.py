"""Archives of toolchains, `.tar.zst`: equal trees make equal bytes.

Nothing of the machine goes in: no times, owners or permissions beyond "executable", and members
are sorted. What is read back must be of that very shape: `unpack` takes no other archive, so a
member can neither leave the directory nor come twice. The first member describes the rest, and
can be read without it. The tar is of GNU's format, which busybox reads as well.

Equal bytes take an equal zstd, too: another version of it may compress otherwise.
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
import tarfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import zstandard

from toolman.digest import sha256
from toolman.errors import InputError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LEVEL = 19
LEVELS = range(1, 23)

_WINDOW = 27  # log2: what every zstd reads without being told; holds most of a compiler
_BLOCK = 1 << 12  # bytes at a time to decompress; at most 128 MB come of them
_RECORD = tarfile.RECORDSIZE
_FIRST_MAX = 16 << 20  # bytes; a description is some kilobytes


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A written archive."""

    path: Path
    sha256: str
    size: int
    """Bytes of the archive."""
    unpacked: int
    """Bytes of the files in it, each counted once."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """What to pack: all of `root` below the one directory `top`, `first` in front."""

    root: Path
    top: str
    first: str
    """A file in `root`."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that an archive may hold."""

    unpacked: int
    """Bytes of its files."""
    members: int


def size(root: Path) -> int:
    """Bytes of the files below `root`, a file with several names counted once."""
    files = (os.lstat(root / name) for name in _names(root))
    sizes = {(one.st_dev, one.st_ino): one.st_size for one in files if stat.S_ISREG(one.st_mode)}
    return sum(sizes.values())


def pack(
    tree: Tree, into: Path, advance: Callable[[int], object], *, level: int = LEVEL, mtime: int = 0
) -> Packed:
    """Write `tree` to the file `into`, which appears complete; `advance` gets bytes packed.

    `mtime` is the time of every member, in seconds since 1970.

    Raises:
        InputError: the tree holds what no toolchain does, or a link that leaves it.
        OSError: `into` cannot be written.
    """
    with _written(into) as file:
        packer = _Packer(tree, mtime, advance)
        with closing(_compressed(file, level)) as stream:
            packer.write(stream)
    written = into.stat().st_size
    return Packed(path=into, sha256=sha256(into), size=written, unpacked=packer.unpacked)


def first(archive: Path) -> tuple[str, bytes]:
    """The name of the first member, `<top>/<file>`, and what it holds; the rest is not read.

    Raises:
        IntegrityError: it is no archive that `pack` has made.
    """
    with _opened(archive) as (tar, _):
        member = tar.next()
        if member is None:
            raise IntegrityError("it is empty")
        return member.name, _content(tar, member)


def unpack(archive: Path, into: Path, limits: Limits | None = None) -> None:
    """Unpack into the empty directory `into`, without the archive's top directory.

    Raises:
        IntegrityError: it is no archive that `pack` has made, is damaged, or passes its limits.
        OSError: the file system's, as ENOSPC.
    """
    with _opened(archive) as (tar, frame):
        unpacker = _Unpacker(into, limits)
        for member in tar:
            unpacker.take(tar, member)
        unpacker.end()
        frame.end()


class Frame(io.RawIOBase):
    """The plain bytes of a file that is one zstd frame and nothing else."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        decoder = zstandard.ZstdDecompressor(max_window_size=1 << _WINDOW)
        self._decoder = decoder.decompressobj()
        self._plain = bytearray()

    def read(self, size: int = -1) -> bytes:
        while len(self._plain) < size and not self._decoder.eof:
            block = self._file.read(_BLOCK)
            _require(bool(block), "it ends too early")
            self._plain += self._decompressed(block)
        part = bytes(self._plain[:size])
        del self._plain[:size]
        return part

    def end(self) -> None:
        """See that nothing follows but tar's padding.

        Raises:
            IntegrityError: something does.
        """
        padding = self.read(2 * _RECORD)
        behind = self._decoder.unused_data or self._file.read(1)
        ended = self._decoder.eof and len(padding) < 2 * _RECORD and not any(padding)
        _require(ended and not behind, "something follows its end")

    def _decompressed(self, block: bytes) -> bytes:
        try:
            return self._decoder.decompress(block)
        except zstandard.ZstdError as error:
            raise IntegrityError(str(error)) from error


class _Packer:
    """Writes the members of one tree."""

    def __init__(self, tree: Tree, mtime: int, advance: Callable[[int], object]) -> None:
        self.unpacked = 0
        self._tree = tree
        self._mtime = mtime
        self._advance = advance
        self._seen: dict[tuple[int, int], str] = {}  # by inode: the first name of the file

    def write(self, stream: BinaryIO) -> None:
        names = sorted(_names(self._tree.root), key=os.fsencode)
        names.remove(self._tree.first)
        with tarfile.open(
            fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8"
        ) as tar:
            for name in (self._tree.first, "", *names):
                self._add(tar, name)

    def _add(self, tar: tarfile.TarFile, name: str) -> None:
        path = self._tree.root / name
        about = os.lstat(path)
        member = tarfile.TarInfo(posixpath.join(self._tree.top, name).rstrip("/"))
        member.mtime = self._mtime
        member.mode = 0o755 if about.st_mode & 0o100 else 0o644
        if stat.S_ISDIR(about.st_mode):
            member.type, member.mode = tarfile.DIRTYPE, 0o755
        elif stat.S_ISLNK(about.st_mode):
            member.type, member.mode = tarfile.SYMTYPE, 0o777
            member.linkname = os.readlink(path)
            if not _stays(name, member.linkname):
                raise InputError(f"{path} leads out of the toolchain, to {member.linkname}")
        elif stat.S_ISREG(about.st_mode):
            self._add_file(tar, member, path, about)
            return
        else:
            raise InputError(f"{path} is no file, directory or link")
        tar.addfile(member)

    def _add_file(
        self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, about: os.stat_result
    ) -> None:
        before = self._seen.setdefault((about.st_dev, about.st_ino), member.name)
        if before != member.name:
            member.type, member.linkname = tarfile.LNKTYPE, before
            tar.addfile(member)
            return
        member.size = about.st_size
        with path.open("rb") as file:
            tar.addfile(member, _Counted(file, self._advance))
        self.unpacked += about.st_size


class _Counted(io.RawIOBase):
    """A file that tells how far it has been read."""

    def __init__(self, file: BinaryIO, advance: Callable[[int], object]) -> None:
        super().__init__()
        self._file = file
        self._advance = advance

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(size)
        self._advance(len(part))
        return part


class _Unpacker:
    """Makes one member after the other, each below a directory that was one before."""

    def __init__(self, into: Path, limits: Limits | None) -> None:
        self._into = into
        self._limits = limits
        self._unpacked = self._members = 0
        self._top = ""
        self._first = ""
        self._last: bytes | None = None
        self._directories = {""}
        self._files: set[str] = set()

    def take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self._check_limits(member)
        name = self._name(member)
        if member.isdir():
            if name:
                (self._into / name).mkdir()
            self._directories.add(name)
        elif member.issym():
            _require(_stays(name, member.linkname), f"{name} leads out of it")
            (self._into / name).symlink_to(member.linkname)
        elif member.islnk():
            before = member.linkname.removeprefix(f"{self._top}/")
            _require(before in self._files, f"{name} is a link to what is not before it")
            (self._into / name).hardlink_to(self._into / before)
        else:
            _write(tar, member, self._into / name)
            self._files.add(name)

    def end(self) -> None:
        """See that there was a tree at all.

        Raises:
            IntegrityError: there was none.
        """
        _require(self._last is not None, "it has no top directory")

    def _check_limits(self, member: tarfile.TarInfo) -> None:
        self._unpacked += member.size
        self._members += 1
        if self._limits:
            within = self._unpacked <= self._limits.unpacked
            within = within and self._members <= self._limits.members
            _require(within, "it holds more than it should")

    def _name(self, member: tarfile.TarInfo) -> str:
        """The member's path below the top directory; in its turn, and nowhere else."""
        if not self._top:
            self._top, _, self._first = member.name.partition("/")
            good = member.isreg() and self._first and "/" not in self._first
            _require(bool(good) and self._top not in (".", ".."), "its first member is no file")
            return self._first
        if self._last is None:
            _require(member.isdir() and member.name == self._top, "it has no top directory")
            self._last = b""
            return ""
        inside, name = member.name.startswith(f"{self._top}/"), member.name[len(self._top) + 1 :]
        plain = posixpath.normpath(name) == name and name not in (".", self._first)
        _require(inside and plain, f"{member.name} has no place in it")
        _require(posixpath.dirname(name) in self._directories, f"{name} is in no directory")
        _require(os.fsencode(name) > self._last, f"{name} is not in its turn")
        self._last = os.fsencode(name)
        return name


@contextmanager
def _written(into: Path) -> Iterator[BinaryIO]:
    """A file beside `into` that takes its place when the block is done."""
    fresh = into.with_name(f".{into.name}.{os.urandom(4).hex()}")
    try:
        with fresh.open("xb") as file:
            yield file
        fresh.replace(into)
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or str(into)) from error
    finally:
        fresh.unlink(missing_ok=True)


def _compressed(file: BinaryIO, level: int) -> BinaryIO:
    # One thread: several cut the work into pieces, which are 8 % larger (measured, 16 MB each).
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, window_log=_WINDOW, enable_ldm=True, write_checksum=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    stream: BinaryIO = compressor.stream_writer(file, closefd=False)
    return stream


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[tarfile.TarFile, Frame]]:
    try:
        with archive.open("rb") as file:
            frame = Frame(file)
            with tarfile.open(fileobj=frame, mode="r|", encoding="utf-8") as tar:
                yield tar, frame
    except (IntegrityError, tarfile.TarError) as error:
        raise IntegrityError(f"{archive} is no archive of toolman's: {error}") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    _require(member.isreg() and member.size <= _FIRST_MAX, "its first member is no description")
    stream = tar.extractfile(member)
    assert stream
    return stream.read()


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    # Not `isreg`, which sparse files are too.
    _require(member.type == tarfile.REGTYPE, f"{member.name} is no file, directory or link")
    stream = tar.extractfile(member)
    assert stream
    with path.open("xb") as file:
        while block := stream.read(1 << 20):
            file.write(block)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _names(root: Path) -> Iterator[str]:
    """Everything below `root`, as paths relative to it; links are not followed."""
    for directory, below, names in os.walk(root):
        where = os.path.relpath(directory, root)
        for name in (*below, *names):
            yield posixpath.normpath(posixpath.join(where, name))


def _stays(name: str, to: str) -> bool:
    """Whether the symlink `name`, relative to a tree, leads to a place in that tree."""
    where = posixpath.normpath(posixpath.join(posixpath.dirname(name), to))
    return not to.startswith("/") and bool(to) and where.split("/")[0] != ".."


def _require(good: bool, text: str) -> None:
    if not good:
        raise IntegrityError(text)
