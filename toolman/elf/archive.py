"""The members of an `ar` archive, as GNU and BSD write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from toolman.elf.image import HEAD, Machine, machine_in, named, printable
from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"!<arch>\n"

_HEADER = 60
_SYMBOL_TABLES = (b"/", b"/SYM64/", b"__.SYMDEF", b"__.SYMDEF SORTED", b"__.SYMDEF_64")
_MOST_MEMBERS = 100_000
_MOST_NAMES = 64 << 20  # bytes
_LONGEST_NAME = 255


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file in an archive; `machine` is None for what is not ELF."""

    name: str
    machine: Machine | None


def members(path: Path, stream: BinaryIO, size: int) -> Iterator[Member]:
    """The members in their order, without symbol and name tables.

    A long name stands in the table `//` (GNU: `/12` is its offset there) or before the
    contents (BSD: `#1/12` is its length).

    Raises:
        InputError: the archive is cut off or damaged.
    """
    names = b""
    offset = len(MAGIC)
    for _ in range(_MOST_MEMBERS):
        if offset >= size:
            return
        stream.seek(offset)
        name, length = _header(path, stream.read(_HEADER), size - offset)
        offset += _HEADER + length + length % 2
        if name == b"//":
            names = stream.read(min(length, _MOST_NAMES))
            continue
        if name.startswith(b"#1/") and name[3:].isdigit():
            inside = min(int(name[3:]), length)
            name = stream.read(inside)[:_LONGEST_NAME].rstrip(b"\0")
            length -= inside
        if name not in _SYMBOL_TABLES:
            head = stream.read(min(HEAD, length))
            yield Member(name=_resolved(name, names), machine=machine_in(head))
    raise _damaged(path, f"it has more than {_MOST_MEMBERS} members")


def _header(path: Path, header: bytes, left: int) -> tuple[bytes, int]:
    """The name as written and the length in bytes; `left` is what remains of the file."""
    digits = header[48:58].rstrip(b" ")
    if header[58:] != b"`\n" or not digits.isdigit():
        raise _damaged(path, "a member's header is wrong or cut off")
    if _HEADER + int(digits) > left:
        raise InputError(
            f"{named(path)}: damaged archive: a member ends beyond the end of the file"
        )
    return header[:16].rstrip(b" "), int(digits)


def _resolved(name: bytes, names: bytes) -> str:
    if name.startswith(b"/") and name[1:].isdigit():
        start = int(name[1:])
        name = names[start : start + _LONGEST_NAME].split(b"\n", 1)[0]
    return printable(name.removesuffix(b"/"))


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{named(path)}: damaged archive: {why}")
