"""What the ELF reader refuses: other files, damaged ones, hostile ones."""

from __future__ import annotations

import os
import random
import struct
import time
from typing import TYPE_CHECKING

import pytest
from elf_files import HELLO, ar, compile_c, header, refused

from toolman.elf import inspect
from toolman.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_c(tmp_path_factory.mktemp("dynamic"))


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_c(tmp_path_factory.mktemp("static"), "-static")


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "it is empty"),
            (b"hello\n", "it is text"),
            ("grüße\n".encode(), "it is text"),
            (b"#!/bin/sh\n", "it is a script"),
            (b"MZ\x90\0", "it is a Windows program"),
            (b"\xcf\xfa\xed\xfe" + bytes(30), "it is a macOS program"),
            (b"\0\1\2\3" * 10, "the format is unknown"),
            (b"\x7fELF", "its ELF header is damaged"),
            (b"\x7fELF" + bytes(60), "its ELF header is damaged"),
        ],
    )
    def test_what_is_not_elf(self, tmp_path: Path, data: bytes, reason: str) -> None:
        file = tmp_path / "file"
        file.write_bytes(data)
        assert refused(file) == f"{file}: not an ELF file or archive: {reason}"

    def test_directory(self, tmp_path: Path) -> None:
        assert refused(tmp_path) == f"{tmp_path}: is a directory"

    def test_missing_file(self, tmp_path: Path) -> None:
        assert refused(tmp_path / "no") == f"{tmp_path / 'no'}: no such file or directory"

    def test_fifo_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        assert refused(tmp_path / "fifo").endswith("is not a regular file")

    def test_unreadable_file(self, tmp_path: Path, static: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(static.read_bytes())
        file.chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            assert refused(file) == f"{file}: permission denied"
        finally:
            os.seteuid(user)

    def test_name_of_the_file_stays_one_line(self, tmp_path: Path) -> None:
        name = os.fsdecode(b"a\nb\xff")
        (tmp_path / name).write_bytes(b"")
        assert r"a\nb\xff: not an ELF" in refused(tmp_path / name)


class TestHostile:
    """Each would cost much time or memory, or a traceback, if the file were believed."""

    @pytest.mark.parametrize(
        ("offset", "value"),
        [
            (0x20, struct.pack("<Q", 1 << 63)),  # e_phoff
            (0x28, struct.pack("<Q", 1 << 63)),  # e_shoff
            (0x36, struct.pack("<H", 0)),  # e_phentsize: every row would be the same one
            (0x38, struct.pack("<H", 0xFFFF)),  # e_phnum
            (0x3A, struct.pack("<H", 0)),  # e_shentsize
            (0x3C, struct.pack("<H", 0xFEFF)),  # e_shnum
        ],
    )
    def test_table_that_cannot_be(
        self, tmp_path: Path, dynamic: Path, offset: int, value: bytes
    ) -> None:
        data = bytearray(dynamic.read_bytes())
        data[offset : offset + len(value)] = value
        file = tmp_path / "file"
        file.write_bytes(data)
        assert "damaged ELF file" in refused(file)

    def test_huge_number_of_sections_in_the_first_one(self, tmp_path: Path) -> None:
        data = bytearray(header(62) + bytes(64))
        data[0x28:0x30] = struct.pack("<Q", 64)  # e_shoff; e_shnum is 0
        data[64 + 0x20 : 64 + 0x28] = struct.pack("<Q", 1 << 60)
        file = tmp_path / "file"
        file.write_bytes(data)
        assert "section table ends beyond" in refused(file)

    def test_many_sections_in_a_sparse_file(self, tmp_path: Path) -> None:
        data = bytearray(header(62))
        data[0x28:0x30] = struct.pack("<Q", 64)
        data[0x3C:0x3E] = struct.pack("<H", 0xFEFF)
        file = tmp_path / "file"
        file.write_bytes(data)
        os.truncate(file, 1 << 30)
        assert "65279 section headers" in refused(file)

    def test_versions_that_never_end(self, tmp_path: Path) -> None:
        """Each of 10,000 files needs the same chain of 10,000 versions."""
        count = 10_000
        files = b"".join(struct.pack("<HHIII", 1, 1, 0, 16 * (count - n), 16) for n in range(count))
        versions = struct.pack("<IHHII", 0, 0, 0, 0, 16) * (count - 1) + bytes(16)
        tags = [(5, 0x300), (0x6FFFFFFE, 0x400), (0x6FFFFFFF, count), (0, 0)]
        dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
        body = dynamic.ljust(0x100, b"\0") + b"GLIBC_2.5\0".ljust(0x100, b"\0") + files + versions
        file = tmp_path / "file"
        file.write_bytes(program_with(body))
        begin = time.monotonic()
        assert inspect(file).glibc == (2, 5)
        assert time.monotonic() - begin < 2

    def test_many_libraries_of_unprintable_names(self, tmp_path: Path) -> None:
        tags = [(5, 0x20000)] + [(1, n % 500) for n in range(7000)] + [(0, 0)]
        dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
        body = dynamic.ljust(0x20000 - 0x200, b"\0") + b"\x1b" * 1000 + bytes(2000)
        file = tmp_path / "file"
        file.write_bytes(program_with(body))
        begin = time.monotonic()
        assert all(name.isprintable() for name in inspect(file).needed)
        assert time.monotonic() - begin < 4

    def test_every_truncation_is_refused(self, tmp_path: Path, dynamic: Path) -> None:
        whole = dynamic.read_bytes()
        file = tmp_path / "file"
        choose = random.Random(1)
        for size in {*range(70), *(choose.randrange(len(whole)) for _ in range(150))}:
            file.write_bytes(whole[:size])
            assert str(file) in refused(file)

    @pytest.mark.parametrize("flags", [(), ("-shared", "-fPIC"), ("-static", "-nostdlib"), ("-c",)])
    def test_flipped_bytes_are_reported_or_refused(
        self, tmp_path: Path, flags: tuple[str, ...]
    ) -> None:
        text = "void _start(void) { for (;;) ; }" if "-nostdlib" in flags else HELLO
        whole = compile_c(tmp_path, *flags, text=text).read_bytes()
        check_flips(tmp_path / "file", whole, cases=200)

    def test_flipped_bytes_of_static_glibc(self, tmp_path: Path, static: Path) -> None:
        check_flips(tmp_path / "file", static.read_bytes(), cases=60)

    def test_flipped_bytes_of_an_archive(self, tmp_path: Path) -> None:
        members = (("/", bytes(8)), ("//", b"a_long_name.o/\n"), ("/0", header(62)))
        check_flips(tmp_path / "file", ar(*members, ("b.o/", b"text")), cases=300)


def program_with(body: bytes) -> bytes:
    """A program of one segment that loads the whole file, with PT_DYNAMIC at 0x200."""
    segment = struct.Struct("<IIQQQQQQ")
    size = 0x200 + len(body)
    rows = segment.pack(1, 4, 0, 0, 0, size, size, 4096)
    rows += segment.pack(2, 4, 0x200, 0x200, 0, len(body), len(body), 8)
    data = bytearray(header(62, kind=3) + rows)
    data[0x20:0x28] = struct.pack("<Q", 64)
    data[0x38:0x3A] = struct.pack("<H", 2)
    return bytes(data).ljust(0x200, b"\0") + body


def check_flips(file: Path, whole: bytes, cases: int) -> None:
    """Half of the flips hit the headers, where they do most harm."""
    choose = random.Random(2)
    outcomes = set()
    for case in range(cases):
        data = bytearray(whole)
        for _ in range(choose.randint(1, 8)):
            area = min(len(data), 1024) if case % 2 else len(data)
            data[choose.randrange(area)] = choose.choice((0, 1, 0x7F, 0xFF, choose.randrange(256)))
        file.write_bytes(data)
        begin = time.monotonic()
        try:
            inspect(file)
            outcomes.add("reported")
        except InputError as error:
            assert str(error).isprintable()
            outcomes.add("refused")
        assert time.monotonic() - begin < 5
    assert outcomes == {"reported", "refused"}
