"""The files that the tests of the ELF reader read."""

from __future__ import annotations

import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from toolman.elf import inspect
from toolman.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

HELLO = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'


def compile_c(
    directory: Path, *flags: str, text: str = HELLO, name: str = "program", compiler: str = "gcc"
) -> Path:
    source, program = directory / f"{name}.c", directory / name
    source.write_text(text)
    command = [compiler, "-w", source, "-o", program, *flags]
    subprocess.run(command, check=True, capture_output=True)
    return program


def header(machine: int, *, bits: int = 64, endian: str = "little", kind: int = 2) -> bytes:
    """A whole ELF file of one header, without any table."""
    order = "<" if endian == "little" else ">"
    ident = b"\x7fELF" + bytes([bits // 32, 1 if endian == "little" else 2, 1]) + bytes(9)
    word = "I" if bits == 32 else "Q"
    sizes = (52, 32, 0, 40, 0, 0) if bits == 32 else (64, 56, 0, 64, 0, 0)
    return ident + struct.pack(f"{order}HHI3{word}I6H", kind, machine, 1, 0, 0, 0, 0, *sizes)


def ar(*members: tuple[str, bytes]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, data in members:
        fields = f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(data):<10}`\n".encode()
        parts += [fields, data, b"\n" * (len(data) % 2)]
    return b"".join(parts)


def patch_machine(path: Path, number: int) -> None:
    data = bytearray(path.read_bytes())
    data[18:20] = struct.pack("<H", number)
    path.write_bytes(data)


def refused(path: Path) -> str:
    """The one line with which `path` is refused."""
    with pytest.raises(InputError) as caught:
        inspect(path)
    message = str(caught.value)
    assert message.isprintable()
    return message
