"""What an executable, a shared library, an object or an archive says about itself.

Pure reading: nothing is run, nothing is printed. A damaged or hostile file is an `InputError`
of one line. Linkage, libraries and versions are found as the loader finds them, by program
headers; section headers serve only for the symbol table and the code.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from toolman.elf import archive, libc
from toolman.elf.archive import Member
from toolman.elf.image import HEAD, Image, Machine, identify, named
from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from toolman.target import Libc

__all__ = ["Kind", "Linkage", "Machine", "Member", "Relro", "Report", "Version"]
__all__ += ["inspect", "machine_of", "named"]

Kind = Literal["executable", "shared library", "object", "archive"]
Linkage = Literal["static", "static-pie", "dynamic"]
Relro = Literal["none", "partial", "full"]
Version = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One file. What its kind cannot have, or what nothing tells, is None or empty."""

    path: Path
    kind: Kind
    machine: Machine | None = None
    linkage: Linkage | None = None
    libc: Libc | None = None
    interpreter: str | None = None
    needed: tuple[str, ...] = ()
    glibc: Version | None = None  # the highest GLIBC_ version needed, (2, 38)
    glibcxx: Version | None = None  # the highest GLIBCXX_ version needed, (3, 4, 30)
    stack_size: int | None = None  # bytes, of PT_GNU_STACK; None: the system's default
    relro: Relro | None = None
    nx: bool | None = None  # the stack is not executable
    stripped: bool | None = None
    hazards: tuple[str, ...] = ()  # what in a static glibc loads libraries at run time
    members: tuple[Member, ...] = ()


def inspect(path: Path) -> Report:
    """The report of an ELF file or an `ar` archive.

    Raises:
        InputError: it cannot be read, is neither of the two, or is damaged.
    """
    with _opened(path) as (stream, size):
        if stream.read(len(archive.MAGIC)) == archive.MAGIC:
            found = tuple(archive.members(path, stream, size))
            return Report(path=path, kind="archive", members=found)
        return _report(Image(path, stream, size))


def machine_of(path: Path) -> Machine:
    """The machine of an ELF file, from its first bytes alone.

    Raises:
        InputError: it cannot be read or is not ELF.
    """
    with _opened(path) as (stream, _):
        return identify(path, stream.read(HEAD))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    try:
        # Opening a FIFO would otherwise wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            yield stream, _regular_size(path, os.fstat(descriptor))
    except OSError as error:
        raise InputError(f"{named(path)}: {(error.strerror or str(error)).lower()}") from error


def _regular_size(path: Path, status: os.stat_result) -> int:
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{named(path)}: is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{named(path)}: is not a regular file")
    return status.st_size


_PIE = 0x08000000  # DF_1_PIE in DT_FLAGS_1
_NOW_1 = 1  # DF_1_NOW there
_NOW = 8  # DF_BIND_NOW in DT_FLAGS
_EXECUTABLE = 1  # PF_X
_MOST_ENTRIES = 4096  # of dynamic tags, of needed versions; real files have dozens
# Symbols of this version are in no library: it stands for what the loader must be able to do.
_FEATURES = {"GLIBC_ABI_DT_RELR": "GLIBC_2.36"}

_Tags = dict[str | int, list[int]]


def _report(image: Image) -> Report:
    if image.type == "ET_REL":
        return Report(path=image.path, kind="object", machine=image.machine)
    tags = _dynamic_tags(image)
    interpreter = _interpreter(image)
    kind = _kind(image, tags, interpreter)
    needed = _strings(image, tags, tags.get("DT_NEEDED", ()), "a needed library")
    versions = _needed_versions(image, tags)
    linkage = _linkage(image, kind, interpreter, needed)
    static = linkage != "dynamic"
    its_libc = libc.of_static(image) if static else libc.of_dynamic(interpreter, needed, versions)
    stack = image.first("PT_GNU_STACK")
    return Report(
        path=image.path,
        kind=kind,
        machine=image.machine,
        linkage=linkage,
        libc=its_libc,
        interpreter=interpreter,
        needed=needed,
        glibc=_highest(versions, "GLIBC_"),
        glibcxx=_highest(versions, "GLIBCXX_"),
        stack_size=(stack and stack["p_memsz"]) or None,
        relro=_relro(image, tags),
        nx=bool(stack) and not stack["p_flags"] & _EXECUTABLE,
        stripped=image.stripped,
        hazards=libc.hazards(image) if static and its_libc == "gnu" else (),
    )


def _kind(image: Image, tags: _Tags, interpreter: str | None) -> Kind:
    if image.type == "ET_EXEC":
        return "executable"
    if image.type != "ET_DYN":
        what = {"ET_CORE": "a core dump"}.get(str(image.type), f"of type {image.type}")
        raise InputError(f"{named(image.path)}: no executable, library or object: it is {what}")
    if _flags(tags, "DT_FLAGS_1") & _PIE:
        return "executable"
    # Older linkers set no DF_1_PIE. glibc's libc.so.6 is a library with an interpreter.
    is_program = "DT_SONAME" not in tags and (interpreter or "DT_DEBUG" in tags)
    return "executable" if is_program else "shared library"


def _linkage(image: Image, kind: Kind, interpreter: str | None, needed: tuple[str, ...]) -> Linkage:
    if kind == "shared library" or interpreter or needed:
        return "dynamic"
    return "static-pie" if image.type == "ET_DYN" else "static"


def _interpreter(image: Image) -> str | None:
    segment = image.first("PT_INTERP")
    return None if segment is None else image.string(segment["p_offset"], "the interpreter")


def _relro(image: Image, tags: _Tags) -> Relro:
    if image.first("PT_GNU_RELRO") is None:
        return "none"
    flags, flags_1 = _flags(tags, "DT_FLAGS"), _flags(tags, "DT_FLAGS_1")
    now = "DT_BIND_NOW" in tags or flags & _NOW or flags_1 & _NOW_1
    return "full" if now else "partial"


def _dynamic_tags(image: Image) -> _Tags:
    tags: _Tags = {}
    segment = image.first("PT_DYNAMIC")
    row = image.structs.Elf_Dyn
    count = segment["p_filesz"] // row.sizeof() if segment else 0
    for n in range(min(count, _MOST_ENTRIES)):
        tag = image.parse(row, segment["p_offset"] + n * row.sizeof(), "the dynamic section")
        if tag["d_tag"] == "DT_NULL":
            break
        tags.setdefault(tag["d_tag"], []).append(tag["d_val"])
    return tags


def _flags(tags: _Tags, tag: str) -> int:
    return tags.get(tag, [0])[0]


def _strings(image: Image, tags: _Tags, places: Iterable[int], what: str) -> tuple[str, ...]:
    """The texts that stand at `places` in the dynamic string table."""
    if "DT_STRTAB" not in tags:
        return ()
    table = image.offset(tags["DT_STRTAB"][0])
    return tuple(image.string(table + at, what) for at in places)


def _needed_versions(image: Image, tags: _Tags) -> tuple[str, ...]:
    """The names in .gnu.version_r, which the loader finds by DT_VERNEED."""
    if "DT_VERNEED" not in tags:
        return ()
    start = image.offset(tags["DT_VERNEED"][0])
    places = (
        version["vna_name"]
        for at, file in _chain(image, image.structs.Elf_Verneed, start, "vn_next")
        for _, version in _chain(image, image.structs.Elf_Vernaux, at + file["vn_aux"], "vna_next")
    )
    return _strings(image, tags, itertools.islice(places, _MOST_ENTRIES), "a needed version")


def _chain(image: Image, row: Any, at: int, following: str) -> Iterator[tuple[int, Any]]:
    """The rows from `at` on, each of which says how far it is to the next."""
    while True:
        entry = image.parse(row, at, "the table of needed versions")
        yield at, entry
        if entry[following] == 0:
            return
        at += entry[following]


def _highest(versions: Iterable[str], prefix: str) -> Version | None:
    """The highest number behind `prefix`, (2, 38) of GLIBC_2.38."""
    number = re.compile(prefix + r"(\d{1,9}(?:\.\d{1,9}){0,3})", re.ASCII)
    matches = (number.fullmatch(_FEATURES.get(version, version)) for version in versions)
    return max((tuple(map(int, m[1].split("."))) for m in matches if m), default=None)
