"""Which programs of other platforms this host's kernel runs itself: 386 on amd64, and such.

Asked of the kernel by a program that does nothing but end. No table knows how the kernel was
built, what the processor still has, or what a container forbids. The program lies in memory, so
that no file is left and no mount without execution matters; a kernel that runs nothing from
there does not run it, and qemu-user is right.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from toolman import run
from toolman.errors import InputError

if TYPE_CHECKING:
    from toolman.target import Platform

_BASE = 0x400000
_HEADERS = 52 + 32  # bytes of the file header and one program header
# By machine: e_machine, e_flags (ARM's say EABI 5, or Linux refuses), and the code of exit(0).
_PROGRAMS = {
    "386": (3, 0, bytes.fromhex("31db 31c0 40 cd80")),
    "ARM": (40, 0x5000000, bytes.fromhex("0000a0e3 0170a0e3 000000ef")),
}


def runs(platform: Platform, machine: str) -> bool:
    """Whether programs for `platform` run without qemu on this host, which is a `machine`."""
    # A Python that was built for an old libc has no memfd_create.
    if machine not in platform.runs_on or not hasattr(os, "memfd_create"):
        return False
    try:
        with os.fdopen(os.memfd_create("toolman-probe"), "wb", 0) as file:
            file.write(probe(platform))
            return run.run([f"/proc/{os.getpid()}/fd/{file.fileno()}"]).code == 0
    except (OSError, InputError):
        return False


def probe(platform: Platform) -> bytes:
    """An ELF file that ends with exit code 0, for a `platform` that `runs_on` something."""
    machine, flags, code = _PROGRAMS[platform.elf["machine"]]
    size = _HEADERS + len(code)
    ident = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")  # 32 bits, little endian
    header = struct.pack(
        "<HHIIIIIHHHHHH", 2, machine, 1, _BASE + _HEADERS, 52, 0, flags, 52, 32, 1, 0, 0, 0
    )
    segment = struct.pack("<IIIIIIII", 1, 0, _BASE, _BASE, size, size, 5, 0x10000)
    return ident + header + segment + code
