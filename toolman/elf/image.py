"""One ELF file, every read of which is checked: the only module that knows pyelftools.

pyelftools gives the layout of the structures. Where they stand, how many there are and how
large they may be is decided here, so that a truncated or hostile file is an `InputError` in
bounded time and memory.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NoReturn

from elftools.common.exceptions import ELFError
from elftools.elf.enums import ENUM_E_MACHINE

from toolman.errors import InputError
from toolman.target import Platform, platforms

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

HEAD = 20  # bytes: e_ident, e_type, e_machine, at the same place in every ELF file

_MAGIC = b"\x7fELF"
_FOREIGN = (
    (b"!<thin>\n", "it is a thin archive, which only names its members"),
    (b"MZ", "it is a Windows program"),
    (b"\xcf\xfa\xed\xfe", "it is a macOS program"),
    (b"\xca\xfe\xba\xbe", "it is a macOS program"),
    (b"\0asm", "it is WebAssembly"),
    (b"#!", "it is a script"),
)
_MOST_ENTRIES = 20_000  # of any table; real programs have dozens
_MOST_BYTES = 256 << 20  # of any read
_LONGEST_STRING = 1024
_WRITABLE, _ALLOCATED, _EXECUTABLE = 1, 2, 4  # SHF_


@dataclass(frozen=True, kw_only=True)
class Machine:
    """`e_machine` without EM_, the class in bits, the byte order: `elf` of `targets.toml`."""

    name: str
    bits: int
    endian: Literal["little", "big"]

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The platforms of this machine: two for ARM, none where toolman has no such."""
        key = {"machine": self.name, "bits": self.bits, "endian": self.endian}
        return tuple(platform for platform in platforms() if platform.elf == key)

    def __str__(self) -> str:
        """`linux/arm64`; what they have in common (`linux/arm`) where there are several."""
        found = [str(platform).split("/") for platform in self.platforms]
        if not found:
            return f"{self.name} ({self.bits} bits, {self.endian} endian)"
        return "/".join(parts[0] for parts in zip(*found, strict=False) if len({*parts}) == 1)


def machine_in(head: bytes) -> Machine | None:
    """The machine that the first `HEAD` bytes of a file name, None where it is not ELF."""
    if len(head) < HEAD or not head.startswith(_MAGIC):
        return None
    bits = {1: 32, 2: 64}.get(head[4])
    endian = _ENDIAN.get(head[5])
    if bits is None or endian is None:
        return None
    number = int.from_bytes(head[18:HEAD], endian)
    return Machine(name=_machine_names().get(number, hex(number)), bits=bits, endian=endian)


def identify(path: Path, head: bytes) -> Machine:
    """`machine_in`, for a file that must be ELF.

    Raises:
        InputError: it is not; the message says what it looks like.
    """
    machine = machine_in(head)
    if machine is None:
        raise InputError(f"{named(path)}: not an ELF file or archive: {_guess(head)}")
    return machine


def named(path: Path) -> str:
    """`path` in a message: one line, whatever the name."""
    return printable(os.fsencode(path))


def printable(raw: bytes) -> str:
    """A name from outside, without anything that a terminal would obey."""
    text = raw.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class Image:
    """The headers of one ELF file, and its parts on demand. A relocatable has no rows here."""

    def __init__(self, path: Path, stream: BinaryIO, size: int) -> None:
        from elftools.elf.elffile import ELFFile  # 30 ms, which a machine alone does not take

        self.path, self._stream, self._size = path, stream, size
        stream.seek(0)
        self.machine = identify(path, stream.read(HEAD))
        try:
            self._elf = ELFFile(stream)
        except ELFError as error:
            self.damaged(str(error))
        self.type: str | int = self._elf["e_type"]
        self.structs: Any = self._elf.structs
        self.segments = self._table("program", "ph", self.structs.Elf_Phdr)
        self.sections = self._table("section", "sh", self.structs.Elf_Shdr)
        self._check_extents()

    def damaged(self, why: str) -> NoReturn:
        """Raise the one error of a file that contradicts itself."""
        raise InputError(f"{named(self.path)}: damaged ELF file: {why}")

    def every(self, kind: str) -> Iterator[Any]:
        """The program headers of a kind, `PT_LOAD`."""
        return (segment for segment in self.segments if segment["p_type"] == kind)

    def first(self, kind: str) -> Any:
        """The first program header of a kind, or None."""
        return next(self.every(kind), None)

    def offset(self, address: int) -> int:
        """Where in the file the byte stands that is loaded at `address`."""
        for segment in self.every("PT_LOAD"):
            if 0 <= address - segment["p_vaddr"] < segment["p_filesz"]:
                break
        else:
            self.damaged(f"nothing is loaded at address {address:#x}")
        return int(address - segment["p_vaddr"] + segment["p_offset"])

    def read(self, offset: int, size: int, what: str) -> bytes:
        """`size` bytes at `offset` in the file; `what` names them in an error."""
        if offset + size > self._size:
            self.damaged(f"{what} ends beyond the end of the file")
        if size > _MOST_BYTES:
            self.damaged(f"{what} has {size} bytes")
        self._stream.seek(offset)
        return self._stream.read(size)

    def parse(self, row: Any, offset: int, what: str) -> Any:
        """One of `structs` at `offset`, as a mapping of its fields."""
        return row.parse(self.read(offset, row.sizeof(), what))

    def string(self, offset: int, what: str) -> str:
        """The text that starts at `offset` and ends with a zero byte."""
        if offset >= self._size:
            self.damaged(f"{what} is beyond the end of the file")
        raw = self.read(offset, min(_LONGEST_STRING, self._size - offset), what)
        text, end, _ = raw.partition(b"\0")
        if not end:
            self.damaged(f"{what} has no end")
        return printable(text)

    @property
    def stripped(self) -> bool:
        """Whether the symbol table is gone."""
        return self._symbol_table is None

    def symbols(self, names: Collection[str]) -> dict[str, int]:
        """The addresses of those of `names` that the file defines."""
        if self._symbol_table is None:
            return {}
        table, texts = self._symbol_table
        row = self.structs.Elf_Sym
        size = row.sizeof()
        wanted = {at: name for name in names for at in _places(texts, name.encode() + b"\0")}
        # Parsing each of 100,000 symbols takes seconds; their first word is the name.
        words = array("I", table[: len(table) // size * size])[:: size // 4]
        if self.machine.endian != sys.byteorder:
            words.byteswap()
        hits = (n * size for n, word in enumerate(words) if word in wanted)
        found = (row.parse(table[at : at + size]) for at in itertools.islice(hits, _MOST_ENTRIES))
        return {wanted[s["st_name"]]: s["st_value"] for s in found if s["st_shndx"] != "SHN_UNDEF"}

    def has_text(self, *texts: bytes) -> bool:
        """Whether one of `texts` stands in the read-only data."""
        return any(text in piece for _, piece in self._read_only_data() for text in texts)

    def has_abi_note(self) -> bool:
        """Whether it has the note `NT_GNU_ABI_TAG`, which glibc's crt1.o brings."""
        head = b"".join(n.to_bytes(4, self.machine.endian) for n in (4, 16, 1)) + b"GNU\0"
        sizes = ((s["p_offset"], min(s["p_filesz"], 4096)) for s in self.every("PT_NOTE"))
        return any(head in self.read(start, size, "a note") for start, size in sizes)

    def code(self, block: int, overlap: int) -> Iterator[tuple[int, bytes]]:
        """The code in pieces of `block` + `overlap` bytes, each with its address."""
        return self._pieces(self._loaded_sections(_EXECUTABLE), block, overlap)

    def _table(self, what: str, key: str, row: Any) -> list[Any]:
        start, count, size = (self._elf[f"e_{key}{x}"] for x in ("off", "num", "entsize"))
        if start == 0:
            return []
        if count == 0 and key == "sh":  # 65280 or more: the first row holds the number
            count = self.parse(row, start, "the section table")["sh_size"]
        if count and size != row.sizeof():
            self.damaged(f"a {what} header of {size} bytes")
        if start + count * size > self._size:
            self.damaged(f"the {what} table ends beyond the end of the file")
        if self.type == "ET_REL":
            return []  # -ffunction-sections makes tens of thousands, and none is of use
        if count > _MOST_ENTRIES:
            self.damaged(f"it has {count} {what} headers")
        return [self.parse(row, start + n * size, f"a {what} header") for n in range(count)]

    def _check_extents(self) -> None:
        """Find what was cut off; Go and others write the tables before the contents."""
        ends = [row["p_offset"] + row["p_filesz"] for row in self.every("PT_LOAD")]
        for row in self.sections:
            if row["sh_type"] not in ("SHT_NOBITS", "SHT_NULL"):
                ends.append(row["sh_offset"] + row["sh_size"])
        if max(ends, default=0) > self._size:
            self.damaged(f"it should have at least {max(ends)} bytes, but has {self._size}")

    @functools.cached_property
    def _symbol_table(self) -> tuple[bytes, bytes] | None:
        for section in self.sections:
            if section["sh_type"] == "SHT_SYMTAB" and section["sh_link"] < len(self.sections):
                texts = self.sections[section["sh_link"]]
                return (
                    self.read(section["sh_offset"], section["sh_size"], "the symbol table"),
                    self.read(texts["sh_offset"], texts["sh_size"], "the string table"),
                )
        return None

    def _loaded_sections(self, flags: int) -> Iterator[tuple[int, int, int]]:
        """Offset, size and address of the sections that have just `flags`."""
        mask = _WRITABLE | _ALLOCATED | _EXECUTABLE
        for s in self.sections:
            if s["sh_type"] == "SHT_PROGBITS" and s["sh_flags"] & mask == _ALLOCATED | flags:
                yield s["sh_offset"], s["sh_size"], s["sh_addr"]

    def _read_only_data(self) -> Iterator[tuple[int, bytes]]:
        places = self._loaded_sections(0)
        if not self.sections:
            places = ((s["p_offset"], s["p_filesz"], s["p_vaddr"]) for s in self.every("PT_LOAD"))
        return self._pieces(places, block=4 << 20, overlap=64)

    def _pieces(
        self, places: Iterable[tuple[int, int, int]], block: int, overlap: int
    ) -> Iterator[tuple[int, bytes]]:
        left = _MOST_BYTES  # of all places together, for hostile ones overlap
        for start, size, address in places:
            for at in range(0, min(size, left), block):
                length = min(block + overlap, size - at)
                yield address + at, self.read(start + at, length, "a section")
            left -= size


_ENDIAN: dict[int, Literal["little", "big"]] = {1: "little", 2: "big"}


@functools.cache
def _machine_names() -> dict[int, str]:
    numbers = {name: n for name, n in ENUM_E_MACHINE.items() if name.startswith("EM_")}
    return {n: name.removeprefix("EM_") for name, n in numbers.items()}


def _guess(head: bytes) -> str:
    if not head:
        return "it is empty"
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            return what
    if _MAGIC.startswith(head[:4]):
        return "its ELF header is damaged"
    is_text = all(byte >= 32 or byte in b"\t\n\r" for byte in head)
    return "it is text" if is_text else "the format is unknown"


def _places(texts: bytes, name: bytes) -> Iterator[int]:
    """Where `name` stands; more than once, as a name may be the end of a longer one."""
    at = texts.find(name)
    for _ in range(256):
        if at < 0:
            return
        yield at
        at = texts.find(name, at + 1)
