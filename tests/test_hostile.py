"""Tarballs that were made to do harm: each is refused as a whole, and nothing of it is left.

Every one is offered by a catalogue with its right digest, so that nothing but the reader stands
between it and the user.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import re
import stat
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
import shapes
import zstandard

from toolman import cli, tarball
from toolman.archive import Limits
from toolman.errors import IntegrityError
from toolman.rooted import Rooted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMITS = Limits(unpacked=100 << 20, members=1000)
END = bytes(1024)


def header(
    name: str | bytes,
    kind: bytes = b"0",
    to: str | bytes = "",
    *,
    size: int | bytes = 0,
    mode: int = 0o644,
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
) -> bytes:
    """One header block as a program without scruples writes it; its checksum is right."""
    octal = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(512)
    fields = {0: _bytes(name), 100: b"%07o\0" % mode, 124: octal, 136: b"00000000000\0"}
    fields |= {156: kind, 157: _bytes(to), 257: magic, 345: prefix}
    for place, value in fields.items():
        block[place : place + len(value)] = value
    assert len(block) == 512
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def file(name: str | bytes, data: bytes = b"x", *, mode: int = 0o644) -> bytes:
    return header(name, size=len(data), mode=mode) + padded(data)


def directory(name: str) -> bytes:
    return header(name, b"5", mode=0o755)


def symlink(name: str, to: str) -> bytes:
    return header(name, b"2", to)


def hard_link(name: str, to: str) -> bytes:
    return header(name, b"1", to)


def pax(kind: bytes = b"x", /, **records: str | bytes) -> bytes:
    return extended(kind, b"".join(record(*one) for one in records.items()))


def record(key: str, value: str | bytes) -> bytes:
    rest = b" " + key.encode() + b"=" + _bytes(value) + b"\n"
    size = len(rest) + 1
    while len(b"%d" % size) + len(rest) != size:
        size += 1
    return b"%d" % size + rest


def extended(kind: bytes, content: bytes) -> bytes:
    return header("pax", kind, size=len(content)) + padded(content)


def gnu_long(kind: bytes, name: str) -> bytes:
    return extended(kind, name.encode() + b"\0")


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def xz_of_large_dictionary(data: bytes) -> bytes:
    """A small file whose header asks for 1.5 GiB of memory."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 16}]
    made = bytearray(lzma.compress(data, lzma.FORMAT_XZ, filters=filters))
    length = (made[12] + 1) * 4
    place = made.index(b"\x21\x01", 12, 12 + length) + 2
    made[place] = 40  # the dictionary's size; what follows is the header's own checksum
    made[12 + length - 4 : 12 + length] = zlib.crc32(made[12 : 12 + length - 4]).to_bytes(
        4, "little"
    )
    return bytes(made)


def zst_of_large_window(data: bytes) -> bytes:
    """A frame that asks for 2 GiB of memory."""
    stored = b"\x01" + b"" if not data else (len(data) << 3 | 1).to_bytes(3, "little") + data
    return b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(31 - 10) << 3]) + stored


def gz_of_zeros(size: int) -> bytes:
    """A tarball with a file of so many zeros, a thousandth of it."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed:
        packed.write(header("top/zeros", size=size))
        for _ in range(size >> 20):
            packed.write(bytes(1 << 20))
        packed.write(END)
    return out.getvalue()


GOOD = directory("top") + file("top/a")
OUT = "../" * 40 + "tmp/toolman-was-here"

# By name: the members, and what is said of them.
MEMBERS: dict[str, tuple[bytes, str]] = {
    # Names that lead out.
    "a name with dots": (file("top/../../escaped"), "a member called"),
    "dots in the middle": (file("top/a/../../../escaped"), "a member called"),
    "many dots": (file(f"top/{OUT}"[:99]), "a member called"),
    "an absolute name": (file("/tmp/toolman-was-here"), "a member called"),
    "two slashes in front": (file("//tmp/toolman-was-here"), "a member called"),
    "dots in a pax path": (pax(path="top/../../escaped") + file("top/a"), "a member called"),
    "an absolute pax path": (pax(path="/tmp/was-here") + file("top/a"), "a member called"),
    "dots in a GNU long name": (gnu_long(b"L", "top/../../x") + file("top/a"), "a member called"),
    "dots in ustar's prefix": (
        header("escaped", size=0, prefix=b"top/../.."),
        "a member called",
    ),
    "another top directory": (GOOD + file("other/a"), "is not in its directory"),
    "a file beside the top": (GOOD + file("beside"), "is not in its directory"),
    "the top is a file": (file("top"), "is not in its directory"),
    "the top is a link": (symlink("top", "/tmp"), "is not in its directory"),
    # Links that lead out, and what would be written through them.
    "an absolute symlink": (symlink("top/a", "/etc/passwd"), "an absolute link"),
    "a symlink with dots": (symlink("top/a", "../x"), "leads out of it"),
    "a symlink far up": (symlink("top/b/a", "../../../../etc"), "leads out of it"),
    "a symlink in a pax header": (
        pax(linkpath="../../etc") + symlink("top/a", "b"),
        "leads out of it",
    ),
    "a symlink in a GNU header": (
        gnu_long(b"K", "../../etc") + symlink("top/a", "b"),
        "leads out of it",
    ),
    "a chain of symlinks": (
        directory("top/d/e")
        + symlink("top/l1", "d/e")
        + symlink("top/l2", "l1/../..")
        + symlink("top/l3", "l2/.."),
        "leads out of it",
    ),
    "a link to the top, and up from there": (
        symlink("top/d", ".") + symlink("top/x", "d/.."),
        "leads out of it",
    ),
    "links in a circle": (symlink("top/a", "b") + symlink("top/b", "a"), "in a circle"),
    "a link to itself": (symlink("top/a", "a"), "in a circle"),
    "links that double": (
        b"".join(symlink(f"top/l{n}", f"l{n + 1}/l{n + 1}") for n in range(40))
        + symlink("top/l40", "."),
        "in a circle",
    ),
    "a symlink to nothing": (symlink("top/a", ""), "leads to"),
    "a symlink with a line's end": (symlink("top/a", "b\nc"), "leads to"),
    "a file through a symlink": (
        symlink("top/d", "/tmp") + file("top/d/toolman-was-here"),
        "an absolute link",
    ),
    "a file through an inner symlink": (
        symlink("top/d", ".") + file("top/d/a"),
        "twice: as symlink and as directory",
    ),
    "a symlink where a directory was": (
        directory("top/d") + symlink("top/d", "..") + file("top/d/a"),
        "twice: as directory and as symlink",
    ),
    "a symlink where a file was": (GOOD + symlink("top/a", "b"), "twice: as file and as symlink"),
    "a file where a symlink was": (
        symlink("top/a", "b") + file("top/a"),
        "twice: as symlink and as file",
    ),
    "a hard link to the outside": (hard_link("top/a", "/etc/passwd"), "a member called"),
    "a hard link with dots": (hard_link("top/a", "top/../../x"), "a member called"),
    "a hard link to another top": (hard_link("top/a", "etc/passwd"), "is not in its directory"),
    "a hard link to a symlink": (
        symlink("top/s", "a") + file("top/a") + hard_link("top/h", "top/s"),
        "a link to no file",
    ),
    "a hard link to a directory": (
        directory("top/d") + hard_link("top/h", "top/d"),
        "a link to no file",
    ),
    "a hard link to a hard link": (
        GOOD + hard_link("top/h", "top/a") + hard_link("top/i", "top/h"),
        "a link to no file",
    ),
    "a hard link to nothing": (hard_link("top/h", "top/gone"), "a link to no file"),
    "a hard link to itself": (hard_link("top/h", "top/h"), "a link to no file"),
    "a hard link with data": (
        GOOD + header("top/h", b"1", "top/a", size=512) + file("top/b", b"y" * 500)[:512],
        "a wrong size",
    ),
    # What is neither file nor directory nor link.
    "a character device": (header("top/null", b"3"), "no file, directory or link"),
    "a block device": (header("top/sda", b"4"), "no file, directory or link"),
    "a FIFO": (header("top/fifo", b"6"), "no file, directory or link"),
    "a contiguous file": (header("top/a", b"7"), "no file, directory or link"),
    "a multi-volume file": (header("top/a", b"M"), "no file, directory or link"),
    "a volume's label": (header("top", b"V"), "no file, directory or link"),
    "an unknown kind": (header("top/a", b"Z"), "no file, directory or link"),
    "a GNU sparse file": (
        header("top/a", b"S", magic=b"ustar  \0", size=512) + bytes(512),
        "no file, directory or link",
    ),
    "a pax sparse file": (
        pax(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}) + file("top/a"),
        "says b'GNU.sparse.major'",
    ),
    "a pax sparse map": (pax(**{"GNU.sparse.map": "0,1"}) + file("top/a"), "GNU.sparse.map"),
    # Names of no use, or of two meanings.
    "no name": (file(""), "a member called ''"),
    "an empty pax path": (pax(path="") + file("top/a"), "a member called ''"),
    "a NUL in a pax path": (pax(path="top/a\0b") + file("top/a"), "x00b"),
    "a line's end in a name": (file("top/a\nerror: b"), "nerror: b"),
    "an escape sequence in a name": (file("top/a\x1b[2J"), "x1b"),
    "a name written backwards": (file("top/a\u202egnp.exe"), "u202e"),
    "a name that is no UTF-8": (file(b"top/\xff"), "is damaged"),
    "a pax path that is no UTF-8": (pax(path=b"top/\xff") + file("top/a"), "not UTF-8"),
    "a name in another encoding": (pax(hdrcharset="BINARY") + file("top/a"), "hdrcharset"),
    "an empty part": (file("top//a"), "a member called"),
    "a file with a slash behind": (pax(path="top/a/") + file("top/a"), "a member called"),
    "a long part": (pax(path=f"top/{'a' * 256}") + file("top/a"), "a member called"),
    "a long name": (pax(path="top/" + "a" * 200 + "/b" * 500) + file("top/a"), "a member called"),
    "a deep name": (pax(path="top" + "/d" * 64) + file("top/a"), "a member called"),
    "the same file twice": (file("top/b") + GOOD + file("top/b"), "twice: as file and as file"),
    "the same file by another spelling": (GOOD + file("top/./a"), "twice: as file and as file"),
    "a file, and below it another": (GOOD + file("top/a/b"), "twice: as file and as directory"),
    "a directory where a file was": (GOOD + directory("top/a"), "twice: as file and as directory"),
    "a hard link where a file was": (GOOD + file("top/b") + hard_link("top/b", "top/a"), "twice"),
    # Headers that lie, or that programs read differently.
    "a pax size": (pax(size="0") + file("top/a", b"x" * 512), "says b'size'"),
    "a pax size for all": (pax(b"g", size="0") + file("top/a"), "says b'size'"),
    "a pax path for all": (pax(b"g", path="top/z") + file("top/a"), "says b'path'"),
    "another size of star's": (pax(**{"SCHILY.realsize": "9"}) + file("top/a"), "realsize"),
    "a path twice": (
        extended(b"x", record("path", "top/a") + record("path", "top/b")) + file("top/c"),
        "two names",
    ),
    "a GNU and a pax name": (
        gnu_long(b"L", "top/b") + pax(path="top/c") + file("top/a"),
        "two names",
    ),
    "a record of length 0": (extended(b"x", b"0 path=top/b\n") + file("top/a"), "is damaged"),
    "a record that is too long": (extended(b"x", b"99 path=top/b\n") + file("top/a"), "is damaged"),
    "a record that is too short": (extended(b"x", b"9 path=top/b\n") + file("top/a"), "is damaged"),
    "a record of a huge length": (
        extended(b"x", b"9" * 5000 + b" path=top/b\n") + file("top/a"),
        "is damaged",
    ),
    "a negative size": (header("top/a", size=b"\xff" * 12), "is damaged|wrong size|too long"),
    "a huge size": (header("top/a", size=b"77777777777\0"), "more than"),
    "a base-256 size": (
        header("top/a", size=b"\x80" + (1 << 80).to_bytes(11, "big")),
        "more than",
    ),
    "a size that is no number": (header("top/a", size=b"12x456789ab\0"), "is damaged"),
    "a wrong checksum": (b"T" + file("top/a")[1:], "is damaged"),
    "a directory with data": (header("top/d", b"5", size=512) + bytes(512), "a wrong size"),
    "a symlink with data": (header("top/d", b"2", "a", size=512) + bytes(512), "a wrong size"),
    "a huge pax header": (header("x", b"x", size=1 << 30), "too long"),
    "a huge GNU name": (header("x", b"L", size=1 << 30), "too long"),
    "a name without a member": (GOOD + pax(path="top/b"), "half a header"),
    "an empty block in between": (GOOD + bytes(512) + file("top/b"), "in the middle"),
    "members without number": (
        GOOD + b"".join(file(f"top/{n}", b"") for n in range(2000)),
        "more than 1000 members",
    ),
    "one directory without number": (directory("top/d") * 2000, "more than 1000 members"),
    "directories without number": (
        b"".join(file(f"top/{n}/a/b/c/d/e", b"") for n in range(300)),
        "more than 1000 members",
    ),
}


def tar(members: bytes) -> bytes:
    return members + END


GOOD_TAR = tar(GOOD)
# By name: the file, and what is said of it.
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing at all": (lambda: b"", "no gz, bz2, xz or zst"),
    "a page of HTML": (lambda: b"<!DOCTYPE html><title>Not found</title>", "no gz, bz2"),
    "a plain tar": (lambda: GOOD_TAR, "no gz, bz2, xz or zst"),
    "a zip": (lambda: b"PK\x03\x04" + bytes(100), "no gz, bz2, xz or zst"),
    "gz of something else": (lambda: gzip.compress(b"#!/bin/sh\n" * 200), "is damaged"),
    "gz of nothing": (lambda: gzip.compress(b""), "ends too early"),
    "a truncated gz": (lambda: gzip.compress(os.urandom(9000))[:5000], "is damaged|too early"),
    "a truncated xz": (lambda: lzma.compress(GOOD_TAR)[:-20], "too early"),
    "a truncated bz2": (lambda: bz2.compress(GOOD_TAR)[:-5], "too early"),
    "a truncated zst": (lambda: zstandard.compress(GOOD_TAR)[:-5], "too early"),
    "a gz without its checksum": (lambda: gzip.compress(GOOD_TAR)[:-8], "too early"),
    "a truncated tar": (lambda: gzip.compress(GOOD_TAR[:700]), "too early"),
    "a tar without an end": (lambda: gzip.compress(GOOD), "too early"),
    "a tar with half an end": (lambda: gzip.compress(GOOD + bytes(512)), "too early"),
    "a changed gz": (lambda: _changed(gzip.compress(GOOD_TAR)), "compression is damaged"),
    "a changed xz": (lambda: _changed(lzma.compress(GOOD_TAR)), "compression is damaged"),
    "a changed bz2": (lambda: _changed(bz2.compress(GOOD_TAR)), "compression is damaged"),
    "a changed zst": (lambda: _changed(_checked_zst(GOOD_TAR)), "zstd decompressor error"),
    "garbage behind gz": (lambda: gzip.compress(GOOD_TAR) + b"garbage", "follows its end"),
    "garbage behind xz": (lambda: lzma.compress(GOOD_TAR) + b"garbage", "follows its end"),
    "garbage behind bz2": (lambda: bz2.compress(GOOD_TAR) + b"garbage", "follows its end"),
    "garbage behind zst": (lambda: zstandard.compress(GOOD_TAR) + b"garbage", "follows its end"),
    "garbage behind the tar": (lambda: gzip.compress(GOOD_TAR + b"garbage"), "follows its end"),
    "a second tar behind the first": (lambda: gzip.compress(GOOD_TAR * 2), "follows its end"),
    "two gz": (lambda: gzip.compress(GOOD_TAR) * 2, "follows its end"),
    "a tar in two gz": (lambda: gzip.compress(GOOD) + gzip.compress(END), "too early"),
    "two xz": (lambda: lzma.compress(GOOD_TAR) * 2, "follows its end"),
    "two bz2": (lambda: bz2.compress(GOOD_TAR) * 2, "follows its end"),
    "two zst": (lambda: zstandard.compress(GOOD_TAR) * 2, "follows its end"),
    "a bomb": (lambda: gz_of_zeros(200 << 20), "more than"),
    "a bomb below the cap": (lambda: gz_of_zeros(80 << 20), "more than"),
    "a bomb of padding": (lambda: gzip.compress(GOOD_TAR + bytes(200 << 20)), "more than"),
    "a bomb in a bomb": (
        lambda: gzip.compress(tar(file("top/a.gz", gz_of_zeros(200 << 20))) + b"!"),
        "follows its end",
    ),
    "an xz that takes all memory": (lambda: xz_of_large_dictionary(GOOD_TAR), "[Mm]emory"),
    "a zst that takes all memory": (lambda: zst_of_large_window(GOOD_TAR), "memory"),
}
EVERY = {
    name: (lambda made=made: gzip.compress(tar(made[0])), made[1]) for name, made in MEMBERS.items()
}
EVERY |= FILES


def _changed(data: bytes) -> bytes:
    middle = len(data) * 2 // 3
    return data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1 :]


def _checked_zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def snapshot(root: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_mtime_ns) for path in root.rglob("*"))


def unpacked(archive: Path, place: Path, **where: str) -> Path:
    """What a good tarball gives."""
    into = place / "into"
    into.mkdir()
    tarball.unpack(archive, into, LIMITS, **where)
    return into


@pytest.mark.parametrize("name", EVERY)
def test_nothing_of_it_is_taken(name: str, tmp_path: Path) -> None:
    make, said = EVERY[name]
    archive, into = tmp_path / "a.tar", tmp_path / "deep/er/into"
    archive.write_bytes(make())
    into.mkdir(parents=True)
    before = snapshot(tmp_path)
    with pytest.raises(IntegrityError, match=said) as caught:
        tarball.unpack(archive, into, LIMITS, top="top", sysroot="sysroot")
    assert str(caught.value).startswith(f"{archive} is refused: ")
    assert "\n" not in str(caught.value)
    assert [path for path, _ in snapshot(tmp_path)] == [path for path, _ in before]
    assert not list(into.iterdir())
    assert not os.path.lexists("/tmp/toolman-was-here")


@pytest.mark.parametrize("name", EVERY)
def test_who_installs_it_is_told_to_stop(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, said = EVERY[name]
    archive, home = tmp_path / "a.tar", tmp_path / "home"
    archive.write_bytes(make())
    row = shapes.row(archive, unpacked=LIMITS.unpacked, members=LIMITS.members)
    settings = {
        "TOOLMAN_HOME": home,
        "TOOLMAN_CACHE": tmp_path / "cache",
        "TOOLMAN_CATALOGUE": shapes.catalogue(tmp_path / "catalogue.toml", row),
    }
    for key, value in settings.items():
        monkeypatch.setenv(key, str(value))
    assert cli.main(["install", "arm64-musl", "--publisher", "someone"]) == 4
    *_, line = capsys.readouterr().err.splitlines()
    assert re.match(rf"error: \S+ is refused: .*({said})", line)
    left = {path.name for path in home.rglob("*") if not path.is_dir()}
    assert left <= {"arm64-musl.lock", "libraries-arm64-musl.lock"}
    assert not os.path.lexists("/tmp/toolman-was-here")


COMPRESSED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
}


@pytest.mark.parametrize("kind", COMPRESSED)
def test_what_is_good_is_taken(kind: str, tmp_path: Path) -> None:
    members = (
        directory("./")
        + directory("./top")
        + pax(b"g", comment="0123abcd")
        + file("./top/bin/gcc", b"#!/bin/sh\n", mode=0o6777)
        + pax(mtime="1.5", path="top/straße")
        + file("top/stra", b"y" * 70_000)
        + gnu_long(b"L", "top/" + "n" * 150)
        + file("n")
        + hard_link("top/bin/cc", "./top/bin/gcc")
        + symlink("top/lib64", "lib")
        + symlink("top/usr", ".")
        + symlink("top/lib/x", "../usr/bin/gcc")
        + symlink("top/dangling", "nowhere/at/all")
        + directory("top/lib")
        + header("top/old/", b"\0")
    )
    archive = tmp_path / "a.tar"
    archive.write_bytes(COMPRESSED[kind](tar(members) + bytes(8192)))
    into = unpacked(archive, tmp_path)
    found = {str(path.relative_to(into)): path for path in into.rglob("*")}
    links = ["dangling", "lib/x", "lib64", "usr"]
    assert sorted(found) == sorted(
        ["bin", "bin/cc", "bin/gcc", "lib", "n" * 150, "old", "straße", *links]
    )
    assert found["bin/gcc"].read_bytes() == b"#!/bin/sh\n"
    assert found["straße"].read_bytes() == b"y" * 70_000
    assert found["bin/cc"].samefile(found["bin/gcc"])
    assert [str(found[name].readlink()) for name in links[:2]] == [
        "nowhere/at/all",
        "../usr/bin/gcc",
    ]


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_modes_are_its_own(mask: int, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    kept = file("top/gcc", mode=0o7555) + file("top/d/text", mode=0o1666)
    archive.write_bytes(gzip.compress(tar(kept)))
    before = os.umask(mask)
    try:
        into = unpacked(archive, tmp_path)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in into.rglob("*")}
    assert modes == {"gcc": 0o755, "d": 0o755, "text": 0o644}


def test_an_absolute_link_is_meant_from_the_sysroot(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    members = file("top/t/sys/lib/libc.so") + symlink("top/t/sys/lib/a/ld.so.1", "/lib/libc.so")
    archive.write_bytes(gzip.compress(tar(members)))
    into = unpacked(archive, tmp_path, sysroot="t/sys")
    assert str((into / "t/sys/lib/a/ld.so.1").readlink()) == "../libc.so"
    archive.write_bytes(gzip.compress(tar(members + symlink("top/t/sys2", "/lib"))))
    (tmp_path / "other").mkdir()
    with pytest.raises(IntegrityError, match="'t/sys2' is an absolute link, to '/lib'"):
        unpacked(archive, tmp_path / "other", sysroot="t/sys")


def test_a_name_that_the_file_system_has_already_is_no_other_file(tmp_path: Path) -> None:
    # What a file system that ignores case makes of `a` and `A`.
    archive, into = tmp_path / "a.tar", tmp_path / "into"
    archive.write_bytes(gzip.compress(GOOD_TAR))
    into.mkdir()
    (into / "a").write_text("the other")
    with pytest.raises(IntegrityError, match="two of its names are one here: 'a'"):
        tarball.unpack(archive, into, LIMITS)
    assert not list(into.iterdir())


@pytest.mark.parametrize("call", ["open", "mkdir", "link", "symlink"])
@pytest.mark.parametrize("trouble", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_whatever_stops_it_nothing_is_left(
    call: str, trouble: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, into = tmp_path / "a.tar", tmp_path / "into"
    links = symlink("top/d/s", "../a") + hard_link("top/d/h", "top/a")
    archive.write_bytes(gzip.compress(tar(GOOD + file("top/d/b") + links)))
    into.mkdir()
    real = getattr(os, call)
    calls: list[object] = []

    def stop(what: object, *words: object, **named: object) -> object:
        calls.append(what)
        if what in ("b", "d", "a", "../a") and (call != "open" or what == "b"):
            raise trouble
        return real(what, *words, **named)

    monkeypatch.setattr(os, call, stop)
    with pytest.raises(type(trouble)):
        tarball.unpack(archive, into, LIMITS)
    monkeypatch.undo()
    assert calls
    assert not list(into.iterdir())


def test_memory_is_bounded(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(gz_of_zeros(60 << 20))
    tracemalloc.start()
    try:
        into = unpacked(archive, tmp_path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (into / "zeros").stat().st_size == 60 << 20
    assert most < 8 << 20


def test_there_are_enough_of_them() -> None:
    assert len(EVERY) >= 40


def test_a_link_that_somebody_else_plants_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "into").mkdir()
    (tmp_path / "into/d").symlink_to("../outside")
    (tmp_path / "into/f").symlink_to("../outside/new")
    with Rooted(tmp_path / "into") as root:
        makers: list[Callable[[str], None]] = [
            root.directory,
            lambda name: root.file(name, [b"x"], executable=False),
            lambda name: root.symlink(name, "x"),
            lambda name: root.hard_link(name, "f"),
        ]
        for make in makers:
            with pytest.raises(NotADirectoryError):
                make("d/x")
            with pytest.raises(IntegrityError, match="two of its names are one here: 'f'"):
                make("f")
    assert not list((tmp_path / "outside").iterdir())
