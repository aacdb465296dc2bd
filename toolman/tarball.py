"""Tarballs that are not toolman's own, read as if whoever made them meant harm.

`tarfile` decodes single headers here, nothing else: it neither reads on nor writes by itself. What
is refused is refused by one line, and then nothing of the tarball is left:

- whatever is no file, directory or link: devices, FIFOs, sparse and multi-volume files;
- names that are absolute, empty, not UTF-8, hold `..` or control characters, are outside of the
  one top directory, below what is no directory, or taken;
- links that lead out, in whatever number of steps; hard links to what is no file of the tarball;
- more bytes, members or levels than are allowed, headers that contradict each other, a cut off end
  and anything behind the end.

The order makes sure of it once more: directories and files are written while there is no link to
be led astray by, then hard links, then symlinks. Owners, times and modes beyond "executable" are
dropped.
"""

from __future__ import annotations

import posixpath
import shutil
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolman import compressed
from toolman.errors import IntegrityError
from toolman.rooted import Rooted
from toolman.untar import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toolman.archive import Limits
    from toolman.compressed import Plain

_BLOCK = tarfile.BLOCKSIZE
_COPY = 1 << 20  # bytes at a time
_LONGEST_NAME = 1024  # bytes
_LONGEST_PART = 255  # bytes; more no file system takes
_DEEPEST = 64  # directories
_LONGEST = 16 << 30  # bytes of a tarball that one file is copied from
_STEPS = 1000  # parts of paths that one symlink may lead along
_LONGEST_HEADER = 64 << 10  # bytes of an extended one
# Compilers shrink to a fifth. What grows a hundredfold, and is not small, was made for that.
_RATIO = 100
_SMALL = 64 << 20  # bytes

_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
_KINDS = {tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hard link"}
_GNU = {tarfile.GNUTYPE_LONGNAME: b"path", tarfile.GNUTYPE_LONGLINK: b"linkpath"}
_NAMES = (b"path", b"linkpath")
# What else an extended header may say; all of it is dropped. Not `size`, nor what makes a file
# sparse or names otherwise encoded: readers differ on them.
_DROPPED = (b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment")
_DROPPED_KINDS = (b"SCHILY.", b"LIBARCHIVE.")
_NOT_DROPPED = (b"SCHILY.realsize", b"SCHILY.filetype")


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member as its headers state it; nothing of it has been checked."""

    name: str
    kind: str
    """`file`, `directory`, `symlink` or `hard link`."""
    size: int
    """Bytes that follow."""
    executable: bool
    to: str
    """Of links: where they lead."""


def unpack(
    archive: Path, into: Path, limits: Limits, *, top: str | None = None, sysroot: str | None = None
) -> None:
    """Unpack into the empty directory `into`, without the one top directory, `top` if given.

    An absolute symlink in the directory `sysroot`, a path below the top directory, is meant from
    there, and becomes relative; another one is refused. The digest of `archive` has been checked.

    Raises:
        IntegrityError: it breaks one of the rules above; `into` is empty then.
        OSError: the file system's, as ENOSPC; likewise.
    """
    try:
        with _opened(archive, limits.unpacked) as reader, Rooted(into) as root:
            unpacker = _Unpacker(root, limits, top, sysroot)
            for member in reader.members():
                unpacker.take(member, reader)
            unpacker.link()
    except BaseException:
        _empty(into)
        raise


def copy(archive: Path, name: str, to: Path) -> None:
    """Copy the file `name` of a tarball to the file `to`; the rest of it is not read.

    Raises:
        KeyError: it holds no such file.
        IntegrityError: it is damaged up to there.
        OSError: the file system's, as ENOSPC.
    """
    with _opened(archive, _LONGEST) as reader, to.open("wb") as made:
        for member in reader.members():
            if member.kind == "file" and member.name.removeprefix("./") == name:
                made.writelines(reader.data(member))
                return
    raise KeyError(name)


class _Reader:
    """The members of a tarball, one after the other."""

    def __init__(self, plain: Plain, most: int) -> None:
        self._plain = plain
        self._left = self._most = most
        self._following = 0  # bytes of the member, and what fills its last block

    def members(self) -> Iterator[Member]:
        """Each member, whose data can be read until the next one is asked for."""
        while member := self._member():
            yield member
        while block := self._read(_COPY):
            require(not any(block), "something follows its end")
        self._plain.end()

    def data(self, member: Member) -> Iterator[bytes]:
        """What a file holds."""
        left = member.size
        while left:
            block = self._exactly(min(left, _COPY))
            left -= len(block)
            self._following -= len(block)
            yield block

    def _member(self) -> Member | None:
        self._skip()
        said: dict[bytes, str] = {}
        while header := self._header():
            if header.type in (tarfile.XHDTYPE, tarfile.XGLTYPE):
                self._add_records(header, said)
            elif header.type in _GNU:
                text = self._extended(header).removesuffix(b"\0")
                _add(said, _GNU[header.type], text)
            else:
                return self._described(header, said)
        require(not said, "it ends after half a header")
        return None

    def _described(self, header: tarfile.TarInfo, said: dict[bytes, str]) -> Member:
        name, to = said.get(b"path", header.name), said.get(b"linkpath", header.linkname)
        kind = "file" if header.type in _FILES else _KINDS.get(header.type)
        if kind is None:
            raise IntegrityError(f"it holds what is no file, directory or link: {_shown(name)}")
        size = header.size
        require(size >= 0 and (kind == "file" or not size), f"{_shown(name)} has a wrong size")
        self._require_room(size)
        self._following = _padded(size)
        executable = bool(header.mode & 0o100)
        return Member(name=name, kind=kind, size=size, executable=executable, to=to)

    def _header(self) -> tarfile.TarInfo | None:
        """The next header; None at the end, which is two empty blocks."""
        block = self._exactly(_BLOCK)
        if not any(block):
            require(not any(self._exactly(_BLOCK)), "an empty block is in the middle of it")
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise IntegrityError(f"one of its headers is damaged: {error}") from error

    def _add_records(self, header: tarfile.TarInfo, said: dict[bytes, str]) -> None:
        for key, value in _records(self._extended(header)):
            dropped = key.startswith(_DROPPED_KINDS) and key not in _NOT_DROPPED
            if key in _NAMES and header.type == tarfile.XHDTYPE:
                _add(said, key, value)
            else:
                require(dropped or key in _DROPPED, f"one of its headers says {key[:40]!r}")

    def _extended(self, header: tarfile.TarInfo) -> bytes:
        size = header.size
        require(0 <= size <= _LONGEST_HEADER, "one of its headers is too long")
        return self._exactly(_padded(size))[:size]

    def _skip(self) -> None:
        while self._following:
            self._following -= len(self._exactly(min(self._following, _COPY)))

    def _exactly(self, size: int) -> bytes:
        found = self._read(size)
        require(len(found) == size, "it ends too early")
        return found

    def _read(self, size: int) -> bytes:
        # One more than what is left, to see whether there is more.
        found = self._plain.read(min(size, self._left + 1))
        self._require_room(len(found))
        self._left -= len(found)
        return found

    def _require_room(self, size: int) -> None:
        require(size <= self._left, f"it holds more than {self._most} bytes")


class _Unpacker:
    """Makes the members: directories and files as they come, links at the end."""

    def __init__(self, root: Rooted, limits: Limits, top: str | None, sysroot: str | None) -> None:
        self._root = root
        self._limits = limits
        self._top = top
        self._sysroot = sysroot
        self._members = 0
        self._kinds: dict[str, str] = {}
        self._hard_links: dict[str, str] = {}
        self._symlinks: dict[str, str] = {}

    def take(self, member: Member, reader: _Reader) -> None:
        self._members += 1
        name = self._below_top(member.name, member.kind)
        if name and self._claim(name, member.kind):
            if member.kind == "file":
                data = reader.data(member)
                self._root.file(name, data, executable=member.executable)
            elif member.kind == "hard link":
                self._hard_links[name] = self._below_top(member.to, "file")
            elif member.kind == "symlink":
                self._symlinks[name] = self._relative(name, member.to)
        most = self._limits.members
        count = max(self._members, len(self._kinds))
        require(count <= most, f"it holds more than {most} members")

    def link(self) -> None:
        """Make the links, now that all that is no link is there."""
        for name, to in self._hard_links.items():
            require(self._kinds.get(to) == "file", f"{_shown(name)} is a link to no file of it")
            self._root.hard_link(name, to)
        for name, to in self._symlinks.items():
            require(_stays(name, self._symlinks), f"{_shown(name)} leads out of it, or in a circle")
            self._root.symlink(name, to)

    def _below_top(self, name: str, kind: str) -> str:
        """The name without the top directory; empty for that itself."""
        parts = _parts(name.rstrip("/") if kind == "directory" else name)
        if not parts:
            require(kind == "directory", "it has a member without a name")
            return ""
        self._top = self._top or parts[0]
        good = parts[0] == self._top and (len(parts) > 1 or kind == "directory")
        require(good, f"{_shown(name)} is not in its directory {_shown(self._top)}")
        return "/".join(parts[1:])

    def _claim(self, name: str, kind: str) -> bool:
        """Whether `name` is new. Directories may come again, and those above need not come."""
        for end in (index for index, letter in enumerate(name) if letter == "/"):
            self._claim_one(name[:end], "directory")
        return self._claim_one(name, kind)

    def _claim_one(self, name: str, kind: str) -> bool:
        before = self._kinds.setdefault(name, "")
        if not before:
            self._kinds[name] = kind
            if kind == "directory":
                self._root.directory(name)
            return True
        twice = f"{_shown(name)} is in it twice: as {before} and as {kind}"
        require(before == kind == "directory", twice)
        return False

    def _relative(self, name: str, to: str) -> str:
        """Where a symlink leads, as seen from where it is."""
        good = to.isprintable() and 0 < len(to.encode()) <= _LONGEST_NAME
        require(good, f"{_shown(name)} leads to {_shown(to)}")
        if not to.startswith("/"):
            return to
        inside = self._sysroot is not None and f"{name}/".startswith(f"{self._sysroot}/")
        good = inside and ".." not in to.split("/")
        require(good, f"{_shown(name)} is an absolute link, to {_shown(to)}")
        return posixpath.relpath(f"/{self._sysroot}/{to}", f"/{posixpath.dirname(name)}")


@contextmanager
def _opened(archive: Path, most: int) -> Iterator[_Reader]:
    try:
        with archive.open("rb") as file:
            grown = _SMALL + _RATIO * archive.stat().st_size
            yield _Reader(compressed.plain(file), min(most, grown))
    except IntegrityError as error:
        raise IntegrityError(f"{archive} is refused: {error}") from error


def _records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The records of an extended header: their length, a blank, key=value, a line's end."""
    while content:
        length, _, _ = content.partition(b" ")
        size = int(length) if length.isdigit() and len(length) < 8 else 0
        key, equals, value = content[len(length) + 1 : size].partition(b"=")
        good = size <= len(content) and key and equals and value.endswith(b"\n")
        require(bool(good), "one of its extended headers is damaged")
        yield key, value[:-1]
        content = content[size:]


def _add(said: dict[bytes, str], key: bytes, text: bytes) -> None:
    require(key not in said, "one of its members has two names")
    try:
        said[key] = text.decode()
    except UnicodeDecodeError as error:
        raise IntegrityError(f"one of its names is not UTF-8: {text[:80]!r}") from error


def _parts(name: str) -> list[str]:
    """A member's name, part by part, without `.`."""
    parts = [part for part in name.split("/") if part != "."]
    good = all(parts) and ".." not in parts and name.isprintable()
    good = good and len(parts) <= _DEEPEST and len(name.encode()) <= _LONGEST_NAME
    good = good and all(len(part.encode()) <= _LONGEST_PART for part in parts)
    require(good, f"it has a member called {_shown(name)}")
    return parts


def _stays(name: str, links: dict[str, str]) -> bool:
    """Whether the symlink `name`, followed as the kernel does, never leaves the tree of `links`."""
    place = name.split("/")[:-1]
    ahead = links[name].split("/")[::-1]
    for _ in range(_STEPS):
        if not ahead:
            return True
        part = ahead.pop()
        if part == "..":
            if not place:
                return False
            place.pop()
        elif part not in ("", "."):
            place.append(part)
            if to := links.get("/".join(place)):
                place.pop()
                ahead += to.split("/")[::-1]
    return False


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _shown(name: str) -> str:
    """A name in a message: on one line, and not for ever."""
    return repr(name if len(name) <= 80 else f"{name[:80]}…")
