"""The members of an archive of ours, made in a directory while the rest is still decompressed.

The tar must be of the very shape that `archive.pack` writes: GNU's, its members in their order,
each below a directory that was one before. Another thread decompresses: a compiler is a few
thousand files, and the kernel takes as long to make them as zstd to decompress them. Files come
out read-only.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from toolman.errors import IntegrityError

if TYPE_CHECKING:
    from pathlib import Path

_RECORD = 10240  # bytes; a tar ends at a multiple
_BLOCK = 512
_BUFFER = 1 << 20  # bytes; a multiple of `_BLOCK`, so that no header is cut in two
_BUFFERS = 6  # so many are decompressed ahead
_MAGIC = b"ustar  \0"
_OCTAL = re.compile(rb"([0-7]{1,11})[ \0]*")
_LONGEST = 4096  # bytes of a name, as the kernel has it
_FILE, _HARD, _SOFT, _DIRECTORY = b"0", b"1", b"2", b"5"
_LONG = {b"L": "name", b"K": "link"}  # members that hold a long name of the next one


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that an archive may hold."""

    unpacked: int
    """Bytes of its files."""
    members: int


class Plain(Protocol):
    """Where the tar comes from."""

    def readinto(self, into: memoryview, /) -> int: ...


def unpack(plain: Plain, into: Path, limits: Limits | None = None) -> None:
    """Make the members of the tar `plain` in the empty directory `into`, without its top directory.

    Raises:
        IntegrityError: it is of another shape, or passes its limits.
        OSError: the file system's, as ENOSPC.
    """
    buffers = [memoryview(bytearray(_BUFFER)) for _ in range(_BUFFERS)]
    with closing(_Maker(into)) as maker, ThreadPoolExecutor(1) as pool:
        reader = _Reader(limits, maker)
        ahead = deque(pool.submit(_fill, plain, buffer) for buffer in buffers)
        while blocks := ahead.popleft().result():
            try:
                reader.read(blocks)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(into)) from error
            ahead.append(pool.submit(_fill, plain, blocks))
        reader.end()


def stays(name: bytes, to: bytes) -> bool:
    """Whether the symlink `name`, relative to a tree, leads to a place in that tree."""
    where = posixpath.normpath(posixpath.join(posixpath.dirname(name), to))
    return not to.startswith(b"/") and bool(to) and where.split(b"/")[0] != b".."


def require(good: bool, text: str) -> None:
    """Raise an IntegrityError unless it is `good`."""
    if not good:
        raise IntegrityError(text)


class _Reader:
    """Has made what the blocks of a tar say."""

    def __init__(self, limits: Limits | None, maker: _Maker) -> None:
        self._limits = limits
        self._maker = maker
        self._unpacked = self._members = 0
        self._shape = _Shape()
        self._left = 0  # bytes of the content that follow
        self._long: dict[str, bytearray] = {}
        self._into: bytearray | None = None  # where a long name goes
        self._padding = 0

    def read(self, blocks: memoryview) -> None:
        """Take the next blocks.

        Raises:
            IntegrityError: they are of another shape, or pass the limits.
            OSError: the file system's.
        """
        require(len(blocks) % _BLOCK == 0, "it ends too early")
        at = 0
        while at < len(blocks):
            if self._left:
                size = min(self._left, len(blocks) - at)
                self._content(blocks[at : at + size])
                at += -(-size // _BLOCK) * _BLOCK
            else:
                self._header(bytes(blocks[at : at + _BLOCK]))
                at += _BLOCK

    def end(self) -> None:
        """See that it was a whole tree, and that nothing follows but padding.

        Raises:
            IntegrityError: else.
        """
        require(self._shape.whole, "it has no top directory")
        ended = not self._left and not self._long and self._padding >= 2 * _BLOCK
        require(ended, "it ends too early")
        require(self._padding < 2 * _BLOCK + _RECORD, "something follows its end")

    def _header(self, head: bytes) -> None:
        if not any(head):
            self._padding += _BLOCK
            return
        require(not self._padding, "something follows its end")
        size, kind = _number(head[124:136]), head[156:157]
        chksum = sum(head) - sum(head[148:156]) + 8 * ord(" ")
        good = head[257:265] == _MAGIC and _number(head[148:156]) == chksum and not any(head[345:])
        require(good, "a header is damaged")
        if kind in _LONG:
            require(0 < size <= _LONGEST and _LONG[kind] not in self._long, "a name is too long")
            self._into = self._long[_LONG[kind]] = bytearray()
            self._left = size
            return
        name, link = self._name("name", head[:100]), self._name("link", head[157:257])
        self._check_limits(size)
        self._member(kind, name, link, size, bool(_number(head[100:108]) & 0o100))

    def _name(self, which: str, short: bytes) -> bytes:
        """The name in the header, or the long one that came before it."""
        name, _, rest = bytes(self._long.pop(which, short)).partition(b"\0")
        require(not any(rest), "a name is damaged")
        return name

    def _check_limits(self, size: int) -> None:
        self._unpacked += size
        self._members += 1
        if self._limits:
            within = self._unpacked <= self._limits.unpacked
            within = within and self._members <= self._limits.members
            require(within, "it holds more than it should")

    def _member(self, kind: bytes, name: bytes, link: bytes, size: int, program: bool) -> None:
        maker = self._maker
        place = self._shape.place(kind, name)
        require(kind == _FILE or not size, f"{_shown(name)} has a content")
        if kind == _FILE:
            self._left = size
            maker.begin(place, program)
            if not size:
                maker.finish()
        elif kind == _DIRECTORY:
            if place:
                maker.directory(place)
        elif kind == _SOFT:
            require(stays(place, link), f"{_shown(place)} leads out of it")
            maker.link(place, link)
        elif kind == _HARD:
            before = self._shape.file(link)
            require(before is not None, f"{_shown(place)} is a link to what is not before it")
            assert before is not None
            maker.same(place, before)
        else:
            raise IntegrityError(f"{_shown(name)} is no file, directory or link")

    def _content(self, part: memoryview) -> None:
        self._left -= len(part)
        if self._into is not None:
            self._into += part
            if not self._left:
                self._into = None
            return
        self._maker.write(part)
        if not self._left:
            self._maker.finish()


class _Shape:
    """What has been in the archive, and what may come next."""

    def __init__(self) -> None:
        self._top = b""
        self._first = b""
        self._last: bytes | None = None
        self._directories = {b""}
        self._files: set[bytes] = set()

    @property
    def whole(self) -> bool:
        """Whether there was a tree at all."""
        return self._last is not None

    def place(self, kind: bytes, name: bytes) -> bytes:
        """The member's path below the top directory; in its turn, and nowhere else."""
        found = self._in_turn(kind, name.removesuffix(b"/") if kind == _DIRECTORY else name)
        if kind == _DIRECTORY:
            self._directories.add(found)
        elif kind == _FILE:
            self._files.add(found)
        return found

    def file(self, name: bytes) -> bytes | None:
        """The path of a file that was in it before."""
        found = name.removeprefix(self._top + b"/")
        return found if found in self._files else None

    def _in_turn(self, kind: bytes, name: bytes) -> bytes:
        if not self._top:
            self._top, _, self._first = name.partition(b"/")
            good = kind == _FILE and self._first and b"/" not in self._first
            require(bool(good) and self._top not in (b".", b".."), "its first member is no file")
            return self._first
        if self._last is None:
            require(kind == _DIRECTORY and name == self._top, "it has no top directory")
            self._last = b""
            return b""
        top, inside = self._top + b"/", name[len(self._top) + 1 :]
        plain = posixpath.normpath(inside) == inside and inside not in (b".", self._first)
        require(name.startswith(top) and plain, f"{_shown(name)} has no place in it")
        parent = posixpath.dirname(inside)
        require(parent in self._directories, f"{_shown(inside)} is in no directory")
        require(inside > self._last, f"{_shown(inside)} is not in its turn")
        self._last = inside
        return inside


class _Maker:
    """Makes files below a directory, whatever happens to its path meanwhile."""

    def __init__(self, into: Path) -> None:
        self._into = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._file = -1
        self._mode = 0

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        os.close(self._into)

    def begin(self, name: bytes, program: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._mode = 0o555 if program else 0o444
        self._file = os.open(name, flags, self._mode, dir_fd=self._into)

    def write(self, part: memoryview) -> None:
        while part:
            part = part[os.write(self._file, part) :]

    def finish(self) -> None:
        os.fchmod(self._file, self._mode)  # whatever the umask is
        file, self._file = self._file, -1
        os.close(file)

    def directory(self, name: bytes) -> None:
        os.mkdir(name, dir_fd=self._into)

    def link(self, name: bytes, to: bytes) -> None:
        os.symlink(to, name, dir_fd=self._into)

    def same(self, name: bytes, before: bytes) -> None:
        places = {"src_dir_fd": self._into, "dst_dir_fd": self._into}
        os.link(before, name, **places, follow_symlinks=False)


def _fill(plain: Plain, buffer: memoryview) -> memoryview:
    """What has come into the buffer; less than it takes is the last."""
    filled = 0
    while filled < len(buffer) and (size := plain.readinto(buffer[filled:])):
        filled += size
    return buffer[:filled]


def _number(field: bytes) -> int:
    found = _OCTAL.fullmatch(field)
    require(found is not None, "a header is damaged")
    assert found
    return int(found[1], 8)


def _shown(name: bytes) -> str:
    return os.fsdecode(name)
