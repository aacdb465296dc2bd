"""Packed toolchains: equal trees are equal bytes, and come back as they were."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tools
import zstandard
from conftest import CHECKOUT

from toolman import archive, sbom, toolchain
from toolman.errors import InputError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Runner

LONG = "include/" + "/".join(["a_rather_long_name"] * 8) + "/x.h"
FILES = {
    "toolchain.json": "{}\n",
    "bin/gcc": "#!/bin/sh\n",
    "bin-2": "sorts before bin/\n",
    "lib/libc.a": "x" * 300_000,
    "lib/straße.h": "",
    LONG: "long\n",
}
LINKS = {"bin/cc": "gcc", "usr": ".", "lib/far": "../" + LONG, "lib/gone": "nowhere"}
# Second names of files, as `install` makes them.
SAME = {"bin/aarch64-linux-musl-gcc": "bin/gcc", "aarch64-linux-musl/bin/ld": "bin/gcc"}
HELLO = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'


def made(root: Path, *, backwards: bool = False, mode: int = 0o444) -> Path:
    """A tree with all that may be in one."""
    turn = reversed if backwards else list
    for name, text in turn(FILES.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode | 0o111 if name == "bin/gcc" else mode)
    for name, to in turn(LINKS.items()):
        (root / name).symlink_to(to)
    for name, to in turn(SAME.items()):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).hardlink_to(root / to)
    (root / "empty").mkdir()
    return root


def packed(root: Path, into: Path, **options: Any) -> bytes:
    tree = archive.Tree(root=root, top="arm64-musl-1", first="toolchain.json")
    archive.pack(tree, into, lambda _: None, **options)
    return into.read_bytes()


def seen(root: Path) -> dict[str, object]:
    """All that an archive keeps of a tree."""
    found: dict[str, object] = {}
    inodes: dict[int, str] = {}
    for path in sorted(root.rglob("*")):
        name, about = str(path.relative_to(root)), path.lstat()
        if path.is_symlink():
            found[name] = os.readlink(path)  # noqa: PTH115 - pathlib changes its text
        elif path.is_dir():
            found[name] = None
        else:
            first = inodes.setdefault(about.st_ino, name)
            found[name] = (path.read_bytes(), bool(about.st_mode & 0o100), first)
    return found


def members(file: Path) -> list[tarfile.TarInfo]:
    with file.open("rb") as opened:
        plain = zstandard.ZstdDecompressor().stream_reader(opened).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        return tar.getmembers()


def crafted(into: Path, *shaped: tuple[str, bytes, str], padding: bytes = b"") -> Path:
    """An archive with these members: name, type, content or link."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, kind, text in shaped:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o755
            if kind == tarfile.REGTYPE:
                member.size = len(text)
            else:
                member.linkname = text
            tar.addfile(member, io.BytesIO(text.encode()))
    into.write_bytes(zstandard.ZstdCompressor().compress(plain.getvalue() + padding))
    return into


def test_equal_trees_are_equal_bytes(tmp_path: Path) -> None:
    first = packed(made(tmp_path / "one"), tmp_path / "one.tar.zst")
    other = made(tmp_path / "some where/else", backwards=True, mode=0o600)
    for path in other.rglob("*"):
        os.utime(path, (1e9, 1.1e9), follow_symlinks=False)
    shutil.copytree(other, tmp_path / "copy", symlinks=True, copy_function=os.link)
    assert packed(other, tmp_path / "two.tar.zst") == first
    assert packed(tmp_path / "copy", tmp_path / "three.tar.zst") == first
    (other / "bin-2").chmod(0o700)
    assert packed(other, tmp_path / "four.tar.zst") != first


def test_files_can_be_added_and_replaced(tmp_path: Path) -> None:
    root = made(tmp_path / "tree")
    added = {"bin-2": b"other", "zlib": b"new"}
    tree = archive.Tree(root=root, top="t", first="toolchain.json", added=added)
    done = archive.pack(tree, tmp_path / "a", lambda _: None)
    (tmp_path / "out").mkdir()
    archive.unpack(tmp_path / "a", tmp_path / "out")
    expected = {name: (text, False, name) for name, text in added.items()}
    assert seen(tmp_path / "out") == {**seen(root), **expected}
    assert done.unpacked == archive.size(tmp_path / "out")
    assert archive.member(tmp_path / "a", "zlib") == b"new"
    assert archive.member(tmp_path / "a", "zlib2") is None
    with pytest.raises(IntegrityError, match="bin is no description"):
        archive.member(tmp_path / "a", "bin")


def test_nothing_of_this_machine_goes_in(tmp_path: Path) -> None:
    packed(made(tmp_path / "tree"), tmp_path / "a.tar.zst", mtime=7)
    found = members(tmp_path / "a.tar.zst")
    names = [member.name for member in found]
    assert names[:2] == ["arm64-musl-1/toolchain.json", "arm64-musl-1"]
    assert names[2:] == sorted(names[2:])
    assert {one.name.split("/")[0] for one in found} == {"arm64-musl-1"}
    for one in found:
        assert (one.mtime, one.uid, one.gid, one.uname, one.gname) == (7, 0, 0, "", "")
        assert one.mode in ((0o777,) if one.issym() else (0o755, 0o644))
    linked = {one.name: one.linkname for one in found if one.islnk()}
    # The first name in the order of the archive is the file.
    assert linked == {
        "arm64-musl-1/bin/aarch64-linux-musl-gcc": "arm64-musl-1/aarch64-linux-musl/bin/ld",
        "arm64-musl-1/bin/gcc": "arm64-musl-1/aarch64-linux-musl/bin/ld",
    }


def test_the_description_can_be_read_without_the_rest(tmp_path: Path) -> None:
    root = made(tmp_path / "tree")
    (root / "noise").write_bytes(os.urandom(1 << 20))
    whole = packed(root, tmp_path / "a.tar.zst")
    (tmp_path / "head.tar.zst").write_bytes(whole[: 1 << 18])
    assert archive.first(tmp_path / "head.tar.zst") == ("arm64-musl-1/toolchain.json", b"{}\n")


def test_what_comes_out_is_what_went_in(tmp_path: Path) -> None:
    root = made(tmp_path / "tree")
    first = packed(root, tmp_path / "a.tar.zst")
    (tmp_path / "out").mkdir()
    archive.unpack(tmp_path / "a.tar.zst", tmp_path / "out")
    assert seen(tmp_path / "out") == seen(root)
    assert packed(tmp_path / "out", tmp_path / "again.tar.zst") == first


@pytest.mark.parametrize("with_", ["tar", "busybox"])
def test_the_usual_programs_read_it(tmp_path: Path, with_: str) -> None:
    root = made(tmp_path / "tree")
    packed(root, tmp_path / "a.tar.zst")
    words = [tools.find("zstd"), "-q", "-d", "--rm", tmp_path / "a.tar.zst"]
    subprocess.run(words, check=True)
    program = [with_] if with_ == "tar" else [tools.find("busybox"), "tar"]
    subprocess.run([*program, "-xf", "a.tar"], cwd=tmp_path, check=True)
    assert seen(tmp_path / "arm64-musl-1") == seen(root)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda root: (root / "bad").symlink_to("/etc"), "leads out of the toolchain, to /etc"),
        (lambda root: (root / "lib/bad").symlink_to("../../x"), "leads out of the toolchain"),
        (lambda root: os.mkfifo(root / "bad"), "is no file, directory or link"),
    ],
)
def test_what_no_toolchain_holds_is_refused(
    tmp_path: Path, spoil: Callable[[Path], object], what: str
) -> None:
    root = made(tmp_path / "tree")
    spoil(root)
    (tmp_path / "a.tar.zst").write_text("before")
    with pytest.raises(InputError, match=what):
        packed(root, tmp_path / "a.tar.zst")
    assert (tmp_path / "a.tar.zst").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.zst", "tree"]


TOP = (("t/toolchain.json", tarfile.REGTYPE, "{}"), ("t", tarfile.DIRTYPE, ""))


@pytest.mark.parametrize(
    "shaped",
    [
        (),
        TOP[1:],
        TOP[:1],
        (*TOP[:1], ("t/a", tarfile.REGTYPE, "a")),
        (("toolchain.json", tarfile.REGTYPE, "{}"),),
        (("../toolchain.json", tarfile.REGTYPE, "{}"),),
        (("t/toolchain.json", tarfile.SYMTYPE, "/etc/passwd"), TOP[1]),
        (*TOP, ("t/../../escaped", tarfile.REGTYPE, "a")),
        (*TOP, ("/escaped", tarfile.REGTYPE, "a")),
        (*TOP, ("escaped", tarfile.REGTYPE, "a")),
        (*TOP, ("u/escaped", tarfile.REGTYPE, "a")),
        (*TOP, ("t/.", tarfile.DIRTYPE, "")),
        (*TOP, ("t/a//b", tarfile.REGTYPE, "a")),
        (*TOP, ("t/b", tarfile.REGTYPE, "a"), ("t/a", tarfile.REGTYPE, "a")),
        (*TOP, ("t/a", tarfile.REGTYPE, "a"), ("t/a", tarfile.REGTYPE, "b")),
        (*TOP, ("t/toolchain.json", tarfile.REGTYPE, "{1}")),
        (*TOP, ("t/a/b", tarfile.REGTYPE, "a")),
        (*TOP, ("t/a", tarfile.SYMTYPE, ".."), ("t/a/escaped", tarfile.REGTYPE, "a")),
        (*TOP, ("t/a", tarfile.SYMTYPE, "../..")),
        (*TOP, ("t/a", tarfile.SYMTYPE, "/etc")),
        (*TOP, ("t/a", tarfile.LNKTYPE, "/etc/passwd")),
        (*TOP, ("t/a", tarfile.LNKTYPE, "t/b")),
        (*TOP, ("t/a", tarfile.SYMTYPE, "b"), ("t/b", tarfile.LNKTYPE, "t/a")),
        (*TOP, ("t/a", tarfile.FIFOTYPE, "")),
        (*TOP, ("t/a", tarfile.CHRTYPE, "")),
    ],
)
def test_an_archive_of_another_shape_is_refused(
    tmp_path: Path, shaped: tuple[tuple[str, bytes, str], ...]
) -> None:
    into = tmp_path / "deep" / "into"
    into.mkdir(parents=True)
    file = crafted(tmp_path / "a.tar.zst", *shaped)
    with pytest.raises(IntegrityError, match=r"is no archive of toolman's: "):
        archive.unpack(file, into)
    outside = [path for path in tmp_path.rglob("*") if not path.is_relative_to(into)]
    assert sorted(outside) == [file, into.parent]


def test_the_crafted_archive_itself_is_of_the_right_shape(tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    archive.unpack(crafted(tmp_path / "a", *TOP, ("t/a", tarfile.REGTYPE, "a")), into)
    assert seen(into).keys() == {"toolchain.json", "a"}


def test_files_of_every_size_come_back(tmp_path: Path) -> None:
    """About the sizes of a tar's blocks, of the reader's buffers, and of all of them."""
    root = made(tmp_path / "tree")
    for edge in (512, 1 << 20, 6 << 20):
        for size in (edge - 513, edge - 512, edge - 1, edge, edge + 1, 2 * edge + 511):
            (root / f"lib/{size}").write_bytes(os.urandom(max(size, 0)))
    packed(root, tmp_path / "a.tar.zst", level=1)
    (tmp_path / "out").mkdir()
    archive.unpack(tmp_path / "a.tar.zst", tmp_path / "out")
    assert seen(tmp_path / "out") == seen(root)


def test_names_of_every_length_come_back(tmp_path: Path) -> None:
    root = made(tmp_path / "tree")
    for length in (*range(70, 110), 255):
        name = "n" * length
        (root / name).write_text(name)
        (root / f"{name[:-1]}l").symlink_to(name)
        (root / f"{name[:-1]}s").hardlink_to(root / name)
    packed(root, tmp_path / "a.tar.zst", level=1)
    (tmp_path / "out").mkdir()
    archive.unpack(tmp_path / "a.tar.zst", tmp_path / "out")
    assert seen(tmp_path / "out") == seen(root)


def test_what_is_unpacked_can_be_read_by_all_and_written_by_none(tmp_path: Path) -> None:
    packed(made(tmp_path / "tree"), tmp_path / "a.tar.zst")
    (tmp_path / "out").mkdir()
    before = os.umask(0o077)
    try:
        archive.unpack(tmp_path / "a.tar.zst", tmp_path / "out")
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) for name in FILES}
    assert modes == {name: 0o555 if name == "bin/gcc" else 0o444 for name in FILES}


def test_the_disks_failure_is_told_and_nothing_waits(tmp_path: Path) -> None:
    root = made(tmp_path / "tree")
    (root / "big").write_bytes(bytes(64 << 20))
    packed(root, tmp_path / "a.tar.zst", level=1)
    (tmp_path / "out/lib").mkdir(parents=True)
    before = len([*Path("/proc/self/fd").iterdir()]), threading.active_count()
    with pytest.raises(FileExistsError) as caught:
        archive.unpack(tmp_path / "a.tar.zst", tmp_path / "out")
    assert caught.value.filename == str(tmp_path / "out")
    assert (len([*Path("/proc/self/fd").iterdir()]), threading.active_count()) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head[:100] + b"0000999\0" + head[108:],  # the mode is no octal number
        lambda head: head[:124] + b"-0000000001\0" + head[136:],
        lambda head: head[:124] + b"\x80" + head[125:],  # a size in GNU's base 256
        lambda head: head[:257] + b"ustar\00000" + head[265:],  # POSIX's format
        lambda head: head[:345] + b"prefix" + head[351:],
        lambda head: head[:156] + b"L" + head[157:],  # a long name without end
        lambda head: head[:156] + b"x" + head[157:],
        lambda head: head[:156] + b"S" + head[157:],
        lambda head: b"t/a\0b" + head[5:],
    ],
)
def test_a_header_of_another_kind_is_refused(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    file = crafted(tmp_path / "a", *TOP, ("t/a", tarfile.REGTYPE, "a"))
    plain = zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read()
    head = change(plain[1536:2048])
    assert head[:148] != plain[1536:1684] or head[156:] != plain[1692:2048]
    total = sum(head[:148]) + sum(head[156:]) + 8 * 32
    head = head[:148] + b"%06o\0 " % total + head[156:]
    file.write_bytes(zstandard.ZstdCompressor().compress(plain[:1536] + head + plain[2048:]))
    (tmp_path / "into").mkdir()
    with pytest.raises(IntegrityError, match=r"is no archive of toolman's: "):
        archive.unpack(file, tmp_path / "into")


def test_a_wrong_checksum_of_a_header_is_refused(tmp_path: Path) -> None:
    file = crafted(tmp_path / "a", *TOP, ("t/a", tarfile.REGTYPE, "a"))
    plain = bytearray(zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read())
    plain[1538] += 1
    file.write_bytes(zstandard.ZstdCompressor().compress(bytes(plain)))
    (tmp_path / "into").mkdir()
    with pytest.raises(IntegrityError, match="a header is damaged"):
        archive.unpack(file, tmp_path / "into")


@pytest.mark.parametrize("size", [0, 512, 1024, 1536, 2048, 2560, 3072, 3100, 5000, 10239])
def test_a_tar_that_ends_too_early_is_refused(tmp_path: Path, size: int) -> None:
    """Which its zstd frame does not tell: it is whole."""
    file = crafted(tmp_path / "a", *TOP, ("t/a", tarfile.REGTYPE, "a"))
    plain = zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read()
    file.write_bytes(zstandard.ZstdCompressor().compress(plain[:size]))
    (tmp_path / "into").mkdir()
    with pytest.raises(IntegrityError, match=r"is no archive of toolman's: "):
        archive.unpack(file, tmp_path / "into")


@pytest.mark.parametrize(
    ("limits", "good"),
    [((1, 3), True), ((0, 3), False), ((1, 2), False), ((300, 300), True)],
)
def test_no_more_is_unpacked_than_was_announced(
    tmp_path: Path, limits: tuple[int, int], good: bool
) -> None:
    top = (("t/toolchain.json", tarfile.REGTYPE, ""), TOP[1])
    file = crafted(tmp_path / "a", *top, ("t/a", tarfile.REGTYPE, "a"))
    (tmp_path / "into").mkdir()
    most = archive.Limits(unpacked=limits[0], members=limits[1])
    if good:
        archive.unpack(file, tmp_path / "into", most)
        return
    with pytest.raises(IntegrityError, match="it holds more than it should"):
        archive.unpack(file, tmp_path / "into", most)
    assert not (tmp_path / "into/a").exists()


@pytest.mark.parametrize("padding", [b"\0" * 40960, b"\0" * 10240 + b"x" * 512])
def test_nothing_may_follow_the_end(tmp_path: Path, padding: bytes) -> None:
    (tmp_path / "into").mkdir()
    file = crafted(tmp_path / "a", *TOP, ("t/a", tarfile.REGTYPE, "a"), padding=padding)
    with pytest.raises(IntegrityError, match="follows its end"):
        archive.unpack(file, tmp_path / "into")


def test_every_damage_is_found(tmp_path: Path) -> None:
    good = packed(made(tmp_path / "tree"), tmp_path / "a.tar.zst", level=1)
    flipped = [
        good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :] for at in range(0, len(good), 7)
    ]
    cut = [good[:at] for at in (*range(0, len(good), 13), len(good) - 1)]
    skipped = b"\x50\x2a\x4d\x18\x01\0\0\0x"  # a frame that every zstd skips
    longer = [good + b"x", good + good, good + bytes(4), good + skipped, skipped + good]
    damaged = tmp_path / "damaged"
    for number, data in enumerate((*flipped, *cut, *longer)):
        damaged.write_bytes(data)
        into = tmp_path / f"into{number}"
        into.mkdir()
        try:
            archive.unpack(damaged, into)
        except IntegrityError:
            continue
        # Some bits of a zstd frame's header mean nothing; then nothing is different.
        assert seen(into) == seen(tmp_path / "tree"), number
        assert number < len(flipped)


def test_a_real_toolchain_works_where_it_is_unpacked(
    toolman: Runner, home: Path, tmp_path: Path
) -> None:
    env = {"TOOLMAN_HOME": str(home)}
    words = ("pack", "arm64-musl", "--level", "3", "--json", "-o")
    first = toolman(*words, tmp_path, env=env, cwd=tmp_path)
    assert first.code == 0, first.err
    said = json.loads(first.out)
    file, about = Path(said["path"]), said["toolchain"]
    digest = about["digest"][:12]
    assert file.name == f"arm64-musl-{about['version']}-{digest}-{about['host']}.tar.zst"
    assert said["size"] == file.stat().st_size
    assert (
        subprocess.run(["sha256sum", file], capture_output=True, text=True).stdout.split()[0]
        == (said["sha256"])
    )
    assert json.loads(archive.first(file)[1])["digest"] == about["digest"]

    (tmp_path / "moved here").mkdir()
    archive.unpack(file, tmp_path / "moved here")
    tree, unpacked = Path(about["path"]), seen(tmp_path / "moved here")
    # One that an older toolman installed has none, but its archive does.
    found = toolchain.read(tree)
    assert found
    document = {sbom.FILE: (sbom.of(found), False, sbom.FILE)}
    assert unpacked == {**seen(tree), **document}
    size = sum(len(one[0]) for one in unpacked.values() if isinstance(one, tuple))
    assert said["unpacked"] == size
    gcc = json.loads((tmp_path / "moved here/toolchain.json").read_text())["tools"]["gcc"]
    (tmp_path / "a.c").write_text(HELLO)
    argv = [tmp_path / "moved here" / gcc, "-static", "a.c", "-o", "program"]
    subprocess.run(argv, cwd=tmp_path, check=True)
    assert toolman("run", "linux/arm64", tmp_path / "program", env=env).out == "hello\n"

    shutil.copytree(home, tmp_path / "home", symlinks=True)
    again = toolman(
        *words, "again.tar.zst", env={"TOOLMAN_HOME": str(tmp_path / "home")}, cwd=tmp_path
    )
    assert json.loads(again.out)["sha256"] == said["sha256"]
    assert (tmp_path / "again.tar.zst").read_bytes() == file.read_bytes()


def test_the_output_names_file_sizes_and_digest(
    toolman: Runner, home: Path, tmp_path: Path
) -> None:
    env = {"TOOLMAN_HOME": str(home), "SOURCE_DATE_EPOCH": "1700000000"}
    done = toolman("pack", "linux/arm64", "--level", "1", "-o", "a", env=env, cwd=tmp_path)
    assert done.code == 0, done.err
    rows = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert rows.keys() == {"file", "packed", "unpacked", "sha256", "provenance"}
    assert rows["file"] == str(tmp_path / "a")
    assert len(rows["sha256"]) == 64
    assert {one.mtime for one in members(tmp_path / "a")} == {1700000000}
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("words", "settings", "error"),
    [
        (("arm64-musl", "--level", "23"), {}, "'23' is not a number from 1 to 22"),
        (("arm64-musl", "--level", "x"), {}, "'x' is not a number from 1 to 22"),
        (("arm64-musl", "-o", "no/a"), {}, "there is no directory"),
        (("riscv64-musl",), {}, "riscv64-musl is not installed"),
        (("arm64-musl",), {"SOURCE_DATE_EPOCH": "-1"}, "SOURCE_DATE_EPOCH is '-1'"),
        (("arm64-musl",), {"SOURCE_DATE_EPOCH": "8589934592"}, "not a number of seconds"),
        ((), {}, "required: target"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    toolman: Runner,
    home: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    settings: dict[str, str],
    error: str,
) -> None:
    env = {"TOOLMAN_HOME": str(home), **settings}
    done = toolman("pack", *words, env=env, cwd=tmp_path)
    assert done.code == 2
    assert error in done.err.splitlines()[0]
    assert list(tmp_path.iterdir()) == []


def test_a_linked_toolchain_is_refused_with_the_reason(
    toolman: Runner, home: Path, tmp_path: Path
) -> None:
    listed = toolman("list", "--json", env={"TOOLMAN_HOME": str(home)})
    paths = {one["name"]: one["path"] for one in json.loads(listed.out)["toolchains"]}
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    linked = toolman("link", "mine", Path(paths["arm64-gnu"], "usr"), env=env)
    assert linked.code == 0, linked.err
    done = toolman("pack", "mine", env=env, cwd=tmp_path)
    assert done.code == 2
    assert done.err.splitlines()[0].startswith("error: mine is linked: its files in ")
    assert not list(tmp_path.glob("*.zst"))


def test_a_full_disk_leaves_nothing(home: Path, tmp_path: Path) -> None:
    env = {**os.environ, "TOOLMAN_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    words = [sys.executable, "-m", "toolman", "pack", "arm64-musl", "--level", "1", "-o", "a"]
    # As good as a disk of 4 MB.
    limited = ["bash", "-c", 'ulimit -f 4096; exec "$@"', "-", *words]
    done = subprocess.run(limited, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: File too large: {tmp_path / 'a'}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_one_leaves_nothing(home: Path, tmp_path: Path, number: int) -> None:
    env = {**os.environ, "TOOLMAN_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    words = [sys.executable, "-m", "toolman", "pack", "arm64-musl"]
    with subprocess.Popen(words, env=env, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(60) != 0
    assert list(tmp_path.iterdir()) == []
