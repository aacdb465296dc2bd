"""Which libc a program was linked with, and what of a static glibc still loads shared objects.

A static glibc is no whole: the name service, `dlopen` and `iconv_open` load `libnss_*` and
friends at run time, and those must be of the very same glibc. What is told here is told from
bytes alone. A stripped file tells less: there the name service shows by a string, `dlopen`
and `iconv_open` do not show. Nor does `dlopen` on a machine that `_branches` does not know.
"""

from __future__ import annotations

import functools
import itertools
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toolman.target import Libc, platforms

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from toolman.elf.image import Image

NAME_SERVICE = (
    "getaddrinfo",
    "gethostbyname",
    "getpwnam_r",
    "getpwuid_r",
    "getgrnam_r",
    "getgrgid_r",
    "getgrouplist",
)

_GNU_MARKS = ("__libc_setup_tls",)
_MUSL_MARKS = ("__init_libc", "__libc_start_init")
_MUSL_TEXTS = (b"-0X+0X 0X-0x+0x 0x\0", b"Not a tty\0")  # of vfprintf and of strerror
_NSS_MARKS = ("__nss_database_get", "__nss_lookup_function")  # since glibc 2.33, before it
_BLOCK = 1 << 16  # bytes of code; `_calls` says why so many
_CALL_LENGTHS = {"X86_64": 5, "386": 5, "AARCH64": 4}  # bytes, by machine
_MOST_CANDIDATES = 200_000  # of a call; a bound for hostile code


def of_dynamic(
    interpreter: str | None, needed: Collection[str], versions: Collection[str]
) -> Libc | None:
    """The libc of a dynamic program or a shared library, None where nothing tells."""
    by_name = _interpreters().get(PurePosixPath(interpreter or "").name)
    if by_name:
        return by_name
    if "libc.so.6" in needed or any(version.startswith("GLIBC_") for version in versions):
        return "gnu"
    # Android's libc.so has versions, musl's has none.
    if any(n == "libc.so" or n.startswith("libc.musl-") for n in needed) and not versions:
        return "musl"
    return None


def of_static(program: Image) -> Libc | None:
    """The libc inside a static program, None where nothing tells."""
    found = program.symbols((*_GNU_MARKS, *_MUSL_MARKS))
    if found:
        return "gnu" if any(mark in found for mark in _GNU_MARKS) else "musl"
    if program.has_abi_note():
        return "gnu"
    return "musl" if program.stripped and program.has_text(*_MUSL_TEXTS) else None


def hazards(program: Image) -> tuple[str, ...]:
    """The functions in a static glibc program that load shared objects at run time.

    `name service` stands for those which a stripped file does not name.
    """
    if program.stripped:
        return ("name service",) if program.has_text(b"libnss_") else ()
    found = program.symbols((*NAME_SERVICE, *_NSS_MARKS, "iconv_open", "dlopen"))
    names = [name for name in NAME_SERVICE if name in found]
    if not names and any(mark in found for mark in _NSS_MARKS):
        names = ["name service"]
    if "iconv_open" in found:
        names.append("iconv_open")
    # From glibc 2.34 on `dlopen` is in every static program, called or not.
    if "dlopen" in found and _is_called(program, found["dlopen"]):
        names.append("dlopen")
    return tuple(names)


@functools.cache
def _interpreters() -> dict[str, Libc]:
    rows = (platform.interp.items() for platform in platforms())
    return {
        PurePosixPath(path).name: "musl" if libc == "musl" else "gnu"
        for libc, path in itertools.chain.from_iterable(rows)
    }


def _is_called(program: Image, address: int) -> bool:
    return any(itertools.islice(_calls(program, address), _MOST_CANDIDATES))


def _calls(program: Image, to: int) -> Iterator[bool]:
    """For each place in the code that might branch to `to`: whether it does.

    The upper two bytes of a branch to `to` have at most two values in a block; only where one
    of them stands is it worth to look. That is fast, for 100 MB of code have few such places.
    """
    length = _CALL_LENGTHS.get(program.machine.name)
    if length is None:
        return
    encode = functools.partial(_branches, program.machine.name, to)
    for start, code in program.code(_BLOCK, overlap=length - 1):
        for tail in {branch[-2:] for pc in (0, _BLOCK) for branch in encode(start + pc)}:
            end = code.find(tail) + 2
            while end >= 2:
                branches = encode(start + end - length)
                yield any(code.endswith(branch, 0, end) for branch in branches)
                end = code.find(tail, end - 1) + 2


def _branches(machine: str, to: int, pc: int) -> tuple[bytes, ...]:
    """A call of and a jump to `to` as encoded at `pc`, for a machine of `_CALL_LENGTHS`."""
    if machine == "AARCH64":
        words = (to - pc >> 2) % (1 << 26)
        return tuple((op << 26 | words).to_bytes(4, "little") for op in (0b100101, 0b000101))
    distance = ((to - pc - 5) % (1 << 32)).to_bytes(4, "little")
    return (b"\xe8" + distance, b"\xe9" + distance)
