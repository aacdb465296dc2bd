"""Manifests, and `verify --store`: every file is what it was when it was installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from archive import CHECKOUT, HOST, Machine, compiler, kill_group, serve, wait_for
from archive import changeable as changeable_archive
from published import User, compiled, packed

from toolman import archive, manifest, repository
from toolman.errors import IntegrityError
from toolman.paths import Paths
from toolman.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from published import Published


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree in a store."""
    work = tmp_path / "work"
    (work / "bin").mkdir(parents=True)
    (work / "lib/empty").mkdir(parents=True)
    (work / "bin/gcc").write_text("#!/bin/sh\n")
    (work / "bin/gcc").chmod(0o755)
    (work / "bin/cc").symlink_to("gcc")
    (work / "bin/twin").hardlink_to(work / "bin/gcc")
    (work / "lib/crt1.o").write_bytes(b"object")
    (work / "lib/odd-\udcff").write_bytes(b"")
    where = Store(Paths(data=tmp_path / HOST.key, cache=tmp_path / "cache"))
    return where.add(work, "tiny-1-0123456789ab")


def differences(tree: Path) -> dict[str, str]:
    found = manifest.check(tree)
    assert found is not None
    return {one.path: one.what for one in found.differences}


def rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def swap(path: Path, make: Callable[[Path], object]) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    make(path)


def test_what_is_as_installed(tree: Path) -> None:
    found = manifest.check(tree)
    assert found == manifest.Checked(files=8, differences=())


def test_equal_trees_have_equal_manifests(tmp_path: Path) -> None:
    trees = [tmp_path / "one", tmp_path / "another-name"]
    for mask, tree in zip((0o022, 0o077), trees, strict=True):
        before = os.umask(mask)
        (tree / "bin").mkdir(parents=True)
        (tree / "bin/gcc").write_text("gcc")
        os.umask(before)
        manifest.seal(tree)
    texts = [(tree / manifest.FILE).read_bytes() for tree in trees]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("damage", "path", "what"),
    [
        (lambda t: rewrite(t / "lib/crt1.o", b"OBJECT"), "lib/crt1.o", "has changed"),
        (lambda t: rewrite(t / "lib/crt1.o", b""), "lib/crt1.o", "has changed"),
        (lambda t: (t / "lib/crt1.o").unlink(), "lib/crt1.o", "is missing"),
        (lambda t: (t / "bin/cc").unlink(), "bin/cc", "is missing"),
        (lambda t: (t / "lib/empty").rmdir(), "lib/empty", "is missing"),
        (lambda t: (t / "lib/new.o").touch(0o444), "lib/new.o", "does not belong there"),
        (lambda t: (t / "lib/new").mkdir(), "lib/new", "does not belong there"),
        (lambda t: (t / "bin/x").symlink_to("gcc"), "bin/x", "does not belong there"),
        (lambda t: (t / "lib/crt1.o").chmod(0o644), "lib/crt1.o", "can be written to"),
        (lambda t: (t / "lib/crt1.o").chmod(0o555), "lib/crt1.o", "has become executable"),
        (lambda t: swap(t / "bin/twin", lambda p: p.touch(0o444)), "bin/twin", "has changed"),
        (
            lambda t: swap(t / "bin/cc", lambda p: p.symlink_to("twin")),
            "bin/cc",
            "leads to twin, not to gcc",
        ),
        (lambda t: swap(t / "bin/cc", lambda p: p.touch(0o444)), "bin/cc", "is a file, not a link"),
        (
            lambda t: swap(t / "lib/crt1.o", lambda p: p.symlink_to("../bin/gcc")),
            "lib/crt1.o",
            "is a link, not a file",
        ),
        (
            lambda t: swap(t / "lib/empty", lambda p: p.touch(0o444)),
            "lib/empty",
            "is a file, not a directory",
        ),
        (
            lambda t: swap(t / "lib/crt1.o", os.mkfifo),
            "lib/crt1.o",
            "is a special file, not a file",
        ),
    ],
)
def test_damage_is_seen(tree: Path, damage: Callable[[Path], object], path: str, what: str) -> None:
    damage(tree)
    assert differences(tree) == {path: what}


def test_a_program_that_is_none_any_more(tree: Path) -> None:
    (tree / "bin/gcc").chmod(0o444)  # its other name, too
    assert set(differences(tree).values()) == {"is not executable any more"}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 1}', "flip"])
def test_a_damaged_manifest_is_seen(tree: Path, text: str) -> None:
    said = (tree / manifest.FILE).read_text()
    rewrite(tree / manifest.FILE, (text if text != "flip" else said.replace("gcc", "gcd")).encode())
    assert differences(tree) == {manifest.FILE: "is damaged"}


def test_what_cannot_be_read_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(manifest, "sha256", fail)
    assert differences(tree)["lib/crt1.o"].startswith("cannot be read: Input/output error")
    with pytest.raises(IntegrityError, match="cannot be read"):
        manifest.seal(tree)


def test_without_a_manifest_nothing_is_claimed(tree: Path) -> None:
    (tree / manifest.FILE).unlink()
    assert manifest.check(tree) is None


def test_an_archive_that_is_not_what_its_manifest_says_is_not_published(tmp_path: Path) -> None:
    packed(tmp_path, "arm64-musl")
    tree = tmp_path / "tree-arm64-musl"
    manifest.seal(tree)
    good = packed(tmp_path, "arm64-musl")
    (tmp_path / "work").mkdir()
    repository.describe(good, tmp_path / "work")
    (tree / "bin/gcc").write_text("#!/bin/rotten\n")
    wrong = packed(tmp_path, "arm64-musl")
    with pytest.raises(IntegrityError, match=r"its own manifest says: bin/aarch64-.* has changed"):
        repository.describe(wrong, tmp_path / "work")


def test_what_came_with_a_wrong_manifest_is_not_installed(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tree, copy, symlinks=True)
    rewrite(copy / "lib/crt1.o", b"OBJECT")
    where = Store(Paths(data=tmp_path / HOST.key, cache=tmp_path / "cache"))
    with pytest.raises(IntegrityError, match=r"lib/crt1\.o has changed"):
        where.add(copy, "copy-1-0123456789ab")
    assert not (where.paths.store / "copy-1-0123456789ab").exists()


def test_of_a_believed_manifest_only_the_bytes_are_believed(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    monkeypatch.setattr(manifest, "sha256", lambda path: read.append(path.name) or "anew")
    copy = tmp_path / "copy"
    shutil.copytree(tree, copy, symlinks=True)
    copy.chmod(0o755)
    (copy / "toolchain.json").write_text("written at this install")
    manifest.seal(copy, believed=True)
    assert read == ["toolchain.json"]
    before = json.loads((tree / manifest.FILE).read_text())["files"]
    after = json.loads((copy / manifest.FILE).read_text())["files"]
    assert after == {**before, "toolchain.json": ["file", "anew"]}
    (copy / "bin/gcc").chmod(0o444)
    with pytest.raises(IntegrityError, match=r"bin/gcc is not executable any more"):
        manifest.seal(copy, believed=True)


def entry(user: User) -> Path:
    (found,) = user.place.glob("home/*/store/arm64-musl-*")
    return found


def test_all_that_is_installed_is_verified(user: User, published: Published) -> None:
    user.good("install", "arm64-musl")
    done = user.good("verify", "--store")
    assert done.out.startswith("arm64-musl: ")
    assert done.out.endswith(" files, directories and links, all as installed\n")
    (row,) = json.loads(user.good("verify", "--store", "arm64-musl", "--json").out)["toolchains"]
    assert (row["name"], row["state"], row["differences"]) == ("arm64-musl", "good", [])
    # The manifest came in the archive, and is the same here but for the description.
    rows = json.loads((entry(user) / manifest.FILE).read_text())["files"]
    work = user.place / "unpacked"
    work.mkdir()
    archive.unpack(published.packed, work)
    theirs = json.loads((work / manifest.FILE).read_text())["files"]
    assert {name for name in rows if rows[name] != theirs[name]} == {"toolchain.json"}
    assert user("verify", "--store", "armv7-musl").code == 2
    assert user("verify", "--store", "--static").code == 2
    assert user("verify", "--repair", "x").code == 2
    assert user("verify").code == 2


def damage(user: User) -> Path:
    gcc = entry(user) / json.loads((entry(user) / "toolchain.json").read_text())["tools"]["gcc"]
    data = bytearray(gcc.resolve().read_bytes())
    data[-1] ^= 1
    mode = gcc.stat().st_mode
    gcc.resolve().chmod(0o755)
    gcc.resolve().write_bytes(data)
    gcc.resolve().chmod(mode)
    return gcc


def test_damage_is_told_and_repaired_from_the_cache(user: User, published: Published) -> None:
    user.good("install", "arm64-musl")
    damage(user)
    done = user("verify", "--store")
    assert done.code == 4
    assert "has changed" in done.out
    assert done.err == (
        "error: not as installed: arm64-musl\n"
        "hint: to have the same bytes again: toolman verify --store --repair arm64-musl\n"
    )
    done = user("verify", "--store", "--json")
    assert (done.code, json.loads(done.out)["toolchains"][0]["state"]) == (4, "damaged")
    published.server.stop()
    done = user.good("verify", "--store", "--repair", "--offline")
    assert "arm64-musl: was damaged, and is repaired\n" in done.out
    user.good("verify", "--store")
    user.good("run", "linux/arm64", compiled(user))
    assert list(user.place.glob("home/*/staging/*")) == []


def test_what_is_to_be_had_no_more_says_what_to_do(user: User) -> None:
    user.good("install", "arm64-musl")
    damage(user)
    user.good("index", "remove", "corp")
    done = user("verify", "--store", "--repair")
    assert done.code == 2
    assert "error: arm64-musl: its bytes are to be had no more\n" in done.err
    assert "hint: toolman uninstall arm64-musl && toolman install arm64-musl\n" in done.err
    assert entry(user).is_dir()


def test_a_description_that_is_lost_is_damage(user: User) -> None:
    user.good("install", "arm64-musl")
    rewrite(entry(user) / "toolchain.json", b'{"schema": 1}')
    assert user("list").code == 0
    done = user("verify", "--store", "--repair")
    assert done.code == 2
    assert "toolchain.json has changed" in done.out
    assert "hint: delete that directory, and install the toolchain again\n" in done.err


def test_toolchains_without_a_manifest_and_linked_ones_are_told(user: User) -> None:
    user.good("install", "arm64-musl")
    gcc = user.place / "linked/bin/aarch64-linux-gnu-gcc"
    gcc.parent.mkdir(parents=True)
    gcc.write_text(compiler("aarch64-linux-gnu"))
    gcc.chmod(0o755)
    user.good("link", "mine", "linked")
    manifest_ = entry(user) / manifest.FILE
    manifest_.unlink()
    done = user.good("verify", "--store")
    lines = dict(line.split(": ", 1) for line in done.out.splitlines())
    assert lines["arm64-musl"].startswith("was installed before there were manifests")
    assert lines["mine"] == "is linked: its files are yours"


def test_a_kill_while_it_is_repaired(user: User) -> None:
    user.good("install", "arm64-musl")
    damage(user)
    marker = user.place / "marker"
    env = {"TOOLMAN_TEST_CHECKPOINT": "before-renewed", "TOOLMAN_TEST_MARKER": str(marker)}
    process = subprocess.Popen(
        [sys.executable, "-m", "toolman", "verify", "--store", "--repair"],
        env={**os.environ, **user.env, **env, "PYTHONPATH": str(CHECKOUT)},
        cwd=user.place,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(marker.exists, "before-renewed", process)
    kill_group(process)
    process.communicate()
    assert entry(user).is_dir()
    user.good("list")  # which cleans up after it
    assert entry(user).is_dir()
    user.good("verify", "--store", "--repair")
    user.good("install", "arm64-musl")
    user.good("verify", "--store")
    user.good("run", "linux/arm64", compiled(user))
    assert list(user.place.glob("home/*/staging/*")) == []


def test_packages_of_the_host_repair_too_while_they_are_the_same(tmp_path: Path) -> None:
    found = changeable_archive(tmp_path / "archive")
    with serve(found) as server:
        machine = Machine(tmp_path, server.url)
        machine.install("arm64-musl")
        (place,) = machine.data.glob("store/*")
        victim = next(path for path in sorted(place.rglob("*.h")))
        victim.unlink()
        assert machine.toolman("verify", "--store").code == 4
        done = machine.toolman("verify", "--store", "--repair")
        assert done.code == 0, done.err
        assert machine.toolman("verify", "--store").code == 0
        assert machine.installed() == ["arm64-musl"]
