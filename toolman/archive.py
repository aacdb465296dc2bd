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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

import zstandard

from toolman import untar
from toolman.digest import sha256
from toolman.errors import InputError, IntegrityError
from toolman.untar import Limits as Limits  # part of this module's interface too
from toolman.untar import require, stays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

LEVEL = 19
LEVELS = range(1, 23)

_WINDOW = 27  # log2: what every zstd reads without being told; holds most of a compiler
_BLOCK = 1 << 12  # bytes at a time to decompress; at most 128 MB come of them
_READ = 1 << 18  # the same, where what comes of it is bounded
_FRAME_HEAD = 18  # bytes, at most
_REPEATED = 1  # the type of a block that is one byte, so many times
_RECORD = tarfile.RECORDSIZE
_SMALL = 16 << 20  # bytes; a description is some kilobytes


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
    added: Mapping[str, bytes] = field(default_factory=dict)
    """Files to pack beside those of `root`, or in their place."""


@contextmanager
def written(into: Path) -> Iterator[BinaryIO]:
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
    with written(into) as file:
        packer = _Packer(tree, mtime, advance)
        with closing(_compressed(file, level)) as stream:
            packer.write(stream)
    about = into.stat()
    return Packed(path=into, sha256=sha256(into), size=about.st_size, unpacked=packer.unpacked)


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


def member(archive: Path, name: str) -> bytes | None:
    """What the small file `name`, below the top directory, holds; None if there is none.

    Raises:
        IntegrityError: it is no archive that `pack` has made.
    """
    with _opened(archive) as (tar, _):
        for one in tar:
            if one.name.partition("/")[2] == name:
                return _content(tar, one)
    return None


def unpack(archive: Path, into: Path, limits: Limits | None = None) -> None:
    """Unpack into the empty directory `into`, without the archive's top directory.

    Raises:
        IntegrityError: it is no archive that `pack` has made, is damaged, or passes its limits.
        OSError: the file system's, as ENOSPC.
    """
    with _errors(archive), archive.open("rb") as file:
        require(_frame_size(file) == os.fstat(file.fileno()).st_size, "something follows its end")
        decoder = zstandard.ZstdDecompressor(max_window_size=1 << _WINDOW)
        untar.unpack(decoder.stream_reader(file, read_size=_READ), into, limits)


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
            require(bool(block), "it ends too early")
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
        require(ended and not behind, "something follows its end")

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
        names = sorted({*_names(self._tree.root), *self._tree.added}, key=os.fsencode)
        names.remove(self._tree.first)
        with tarfile.open(
            fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8"
        ) as tar:
            for name in (self._tree.first, "", *names):
                if name in self._tree.added:
                    self._add_text(tar, name, self._tree.added[name])
                else:
                    self._add(tar, name)

    def _member(self, name: str) -> tarfile.TarInfo:
        member = tarfile.TarInfo(posixpath.join(self._tree.top, name).rstrip("/"))
        member.mtime = self._mtime
        return member

    def _add_text(self, tar: tarfile.TarFile, name: str, text: bytes) -> None:
        member = self._member(name)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
        self.unpacked += len(text)

    def _add(self, tar: tarfile.TarFile, name: str) -> None:
        path = self._tree.root / name
        about = os.lstat(path)
        member = self._member(name)
        member.mode = 0o755 if about.st_mode & 0o100 else 0o644
        if stat.S_ISDIR(about.st_mode):
            member.type, member.mode = tarfile.DIRTYPE, 0o755
        elif stat.S_ISLNK(about.st_mode):
            member.type, member.mode = tarfile.SYMTYPE, 0o777
            member.linkname = os.readlink(path)
            if not stays(os.fsencode(name), os.fsencode(member.linkname)):
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


def _compressed(file: BinaryIO, level: int) -> BinaryIO:
    # One thread: several cut the work into pieces, which are 8 % larger (measured, 16 MB each).
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, window_log=_WINDOW, enable_ldm=True, write_checksum=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    stream: BinaryIO = compressor.stream_writer(file, closefd=False)
    return stream


@contextmanager
def _errors(archive: Path) -> Iterator[None]:
    try:
        yield
    except (IntegrityError, tarfile.TarError, zstandard.ZstdError) as error:
        raise IntegrityError(f"{archive} is no archive of toolman's: {error}") from error


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[tarfile.TarFile, Frame]]:
    with _errors(archive), archive.open("rb") as file:
        frame = Frame(file)
        with tarfile.open(fileobj=frame, mode="r|", encoding="utf-8") as tar:
            yield tar, frame


def _frame_size(file: BinaryIO) -> int:
    """Bytes of the zstd frame that the file begins with, by its blocks' heads (RFC 8878, 3.1.1)."""
    number, head = file.fileno(), os.pread(file.fileno(), _FRAME_HEAD, 0)
    checksum = zstandard.get_frame_parameters(head).has_checksum
    size, last = zstandard.frame_header_size(head), 0
    while not last:
        block = os.pread(number, 3, size)
        require(len(block) == 3, "it ends too early")
        word = int.from_bytes(block, "little")
        last, kind = word & 1, word >> 1 & 3
        size += 3 + (1 if kind == _REPEATED else word >> 3)
    return size + 4 * checksum


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    good = member.isreg() and member.size <= _SMALL
    require(good, f"{member.name} is no description")
    stream = tar.extractfile(member)
    assert stream
    return stream.read()


def _names(root: Path) -> Iterator[str]:
    """Everything below `root`, as paths relative to it; links are not followed."""
    for directory, below, names in os.walk(root):
        where = os.path.relpath(directory, root)
        for name in (*below, *names):
            yield posixpath.normpath(posixpath.join(where, name))
