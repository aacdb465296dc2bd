"""`toolman gc` and `cache`: what nothing uses goes, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from archive import CHECKOUT, HOST, Machine, ended, kill_group, wait_for

from toolman import cache, gc, locks, partial, publish, store, target, toolchain
from toolman.paths import Paths
from toolman.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


WEEK = 7 * 86400


@pytest.fixture
def where(tmp_path: Path) -> Store:
    return Store(Paths(data=tmp_path / "home" / HOST.key, cache=tmp_path / "cache"))


def add(where: Store, name: str, digest: str) -> Path:
    """A toolchain, which becomes the active one of its name."""
    found = target.parse("arm64-musl")
    assert isinstance(found, target.Target)
    about = toolchain.Description(
        name=name,
        target=found,
        version="14.2.0",
        digest=digest * 64,
        origin="source",
        languages=("c",),
        host=HOST.key,
        sysroot="sysroot",
        tools={"gcc": "bin/gcc"},
    )
    tree = where.paths.data / f"tree-{name}-{digest}"
    (tree / "bin").mkdir(parents=True)
    shutil.copyfile("/bin/sleep", tree / "bin/gcc")
    (tree / "bin/gcc").chmod(0o755)
    toolchain.write(tree, about)
    place = where.add(tree, about.entry)
    publish.publish(where, toolchain.Toolchain(path=place, about=about))
    return place


def old(path: Path, seconds: float = WEEK + 60) -> Path:
    """Let it be as old."""
    for one in (*path.rglob("*"), path):
        os.utime(one, (time.time() - seconds,) * 2, follow_symlinks=False)
    return path


def file(path: Path, data: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def paths(where: Store) -> list[Path]:
    return [one.path for one in gc.garbage(where)]


def collect(where: Store) -> list[Path]:
    return [one.path for one in gc.garbage(where) if gc.collect(one, where)]


def test_superseded_toolchains_go_and_others_stay(where: Store) -> None:
    first, second = add(where, "arm64-musl", "a"), add(where, "arm64-musl", "b")
    other = add(where, "mine", "c")
    plain = where.paths.store / "qemu-user-1-0123456789ab"
    plain.mkdir()
    (found,) = gc.garbage(where)
    assert (found.kind, found.path) == ("toolchain", first)
    assert found.size == sum(one.stat().st_size for one in first.rglob("*") if one.is_file())
    assert collect(where) == [first]
    assert where.entries() == sorted([second, other, plain])
    assert list(where.paths.staging.iterdir()) == []
    assert publish.is_current(where)
    assert collect(where) == []


def test_the_one_that_was_switched_back_to_stays(where: Store) -> None:
    first, second = add(where, "arm64-musl", "a"), add(where, "arm64-musl", "b")
    (found,) = gc.garbage(where)
    publish.publish(where, toolchain.read(first))
    assert not gc.collect(found, where)
    assert collect(where) == [second]


@pytest.mark.parametrize("how", ["program", "environment"])
def test_what_a_running_program_uses_stays(where: Store, how: str) -> None:
    first = add(where, "arm64-musl", "a")
    words = [first / "bin/gcc"] if how == "program" else ["sleep"]
    env = {} if how == "program" else {"CGO_LDFLAGS": f"--sysroot={first}/sysroot -static"}
    with subprocess.Popen([*words, "60"], env={**os.environ, **env}) as process:
        try:
            add(where, "arm64-musl", "b")
            wait_for(lambda: str(first).encode() in gc._said(_proc(process)), "the program")
            assert collect(where) == []
        finally:
            process.kill()
    assert collect(where) == [first]


def _proc(process: subprocess.Popen[bytes]) -> Path:
    return Path(f"/proc/{process.pid}")


def test_what_is_being_installed_stays(where: Store) -> None:
    first = add(where, "arm64-musl", "a")
    add(where, "arm64-musl", "b")
    with other_process(where.paths.locks, "arm64-musl"):
        assert collect(where) == []
    assert collect(where) == [first]


@contextmanager
def other_process(directory: Path, name: str) -> Iterator[None]:
    """Another process that holds a lock."""
    script = (
        "import sys, pathlib; from toolman import locks\n"
        f"with locks.locked(pathlib.Path({str(directory)!r}), {name!r}, lambda: None):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        yield
        process.kill()


def test_what_was_left_in_staging_goes(where: Store) -> None:
    ours = file(where.paths.staging / "arm64-musl.0123abcd/tree/bin/gcc").parents[2]
    theirs = file(where.paths.cache / "staging/apt.0123abcd/one.deb").parent
    with other_process(where.paths.cache / "locks", "apt"):
        assert collect(where) == [ours]
    assert collect(where) == [theirs]


def test_old_parts_and_builds_go(where: Store) -> None:
    place, cache_ = where.paths.cache / "sha256", where.paths.cache
    new, gone = file(place / "aa.part"), file(place / "bb.part")
    notes = [file(place / "aa.part.json"), file(place / "bb.part.json")]
    young, build = cache_ / "build/arm64-musl-1", cache_ / "build/arm64-musl-2"
    file(young / "done/gcc")
    file(build / "done/gcc")
    shared = file(cache_ / "build/shared/gcc-1/configure").parents[1]
    kept = file(place / "cc")
    for path in (gone, notes[1], build, young, shared, kept):
        old(path)
    file(young / "log/gcc.log")
    with other_process(cache_ / "locks", "build-arm64-musl-2"):
        assert sorted(collect(where)) == [gone]
    assert sorted(collect(where)) == [build]
    assert [path.exists() for path in (new, *notes, young, shared, kept)] == [
        True,
        True,
        False,
        True,
        True,
        True,
    ]


def test_a_part_that_somebody_writes_is_not_dropped(tmp_path: Path) -> None:
    place = tmp_path / "aa"
    with partial.held(place, "ab" * 32, lambda: None) as part:
        part.begin("url", None)
        part.write(b"data")
        old(tmp_path / "aa.part")
        assert partial.old(tmp_path) == [tmp_path / "aa.part"]
        assert not partial.drop(tmp_path / "aa.part")
    assert partial.drop(tmp_path / "aa.part")
    assert list(tmp_path.iterdir()) == []
    assert not partial.drop(tmp_path / "aa.part")


def test_any_command_sweeps_old_parts(machine: Machine) -> None:
    new, gone = (file(machine.cache / f"sha256/{name}.part") for name in ("aa", "bb"))
    old(gone)
    machine.toolman("list")
    assert (new.exists(), gone.exists()) == (True, False)


def test_a_finished_download_is_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real = os.fdatasync

    def sync(descriptor: int) -> None:
        done.append(f"synced {os.fstat(descriptor).st_size}, named {(tmp_path / 'aa').exists()}")
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", sync)
    digest = hashlib.sha256(b"data").hexdigest()
    with partial.held(tmp_path / "aa", digest, lambda: None) as part:
        part.begin("url", None)
        part.write(b"data")
        part.finish()
    assert done == ["synced 4, named False"]


def test_the_command_says_what_it_frees(machine: Machine) -> None:
    machine.install("arm64-musl")
    where = machine.store
    (active,) = where.entries()
    before = shutil.copytree(active, where.paths.store / "arm64-musl-0-aaaaaaaaaaaa", symlinks=True)
    left = file(machine.data / "staging/arm64-musl.0123abcd/half").parent
    done = machine.toolman("gc", "--dry-run", "--json")
    said = json.loads(done.out)
    assert {row["path"] for row in said["deleted"]} == {str(before), str(left)}
    assert said["bytes"] == sum(row["bytes"] for row in said["deleted"]) > 4
    assert (before.exists(), left.exists()) == (True, True)
    done = machine.toolman("gc")
    assert done.err.splitlines()[-1] == f"{said['bytes'] / 1e6:.1f} MB freed"
    assert json.loads(machine.toolman("gc", "--json").out)["deleted"] == []
    assert machine.installed() == ["arm64-musl"]
    assert machine.is_published()


@pytest.mark.parametrize("moment", ["after-unlink", "mid-gc"])
def test_a_kill_in_its_midst(machine: Machine, moment: str) -> None:
    machine.install("arm64-musl")
    (active,) = machine.store.entries()
    shutil.copytree(active, active.parent / "arm64-musl-0-aaaaaaaaaaaa", symlinks=True)
    marker = machine.directory / "marker"
    env = {"TOOLMAN_TEST_CHECKPOINT": moment, "TOOLMAN_TEST_MARKER": str(marker)}
    process = machine.start("gc", env=env)
    wait_for(marker.exists, moment, process)
    kill_group(process)
    ended(process)
    assert machine.toolman("gc").code == 0
    assert machine.installed() == ["arm64-musl"]
    assert machine.is_published()


def test_many_at_once_lose_nothing(machine: Machine) -> None:
    machine.install("arm64-musl")
    (active,) = machine.store.entries()
    for number in range(8):
        copy = active.parent / f"arm64-musl-{number}-aaaaaaaaaaaa"
        shutil.copytree(active, copy, symlinks=True)
    words = [("gc",), ("install", "arm64-musl"), ("install", "arm64-gnu"), ("gc",)] * 3
    running = [machine.start(*one) for one in words]
    done = [ended(one) for one in running]
    assert [one.code for one in done] == [0] * len(done), [one.err for one in done]
    assert machine.toolman("gc").code == 0
    assert machine.installed() == ["arm64-gnu", "arm64-musl"]
    assert machine.is_published()


@pytest.fixture
def filled(where: Store) -> dict[str, list[Path]]:
    """A cache with something of each kind."""
    place = where.paths.cache
    found = {
        "archives": [file(place / "sha256/aa", b"\x28\xb5\x2f\xfd archive")],
        "sources": [file(place / "sha256/bb", b"tarball")],
        "packages": [file(place / "apt/debs/one.deb"), file(place / "apt/debs/two.deb")],
        "lists": [file(place / "apt/host/lists/Packages").parents[1], file(place / "apt/host.bin")],
        "builds": [
            file(place / "build/arm64-musl-1/done/gcc").parents[1],
            file(place / "build/shared/done/gcc").parents[1],
        ],
        "ccache": [file(place / "build/shared/ccache/0/object").parents[1]],
        "parts": [file(place / "sha256/cc.part")],
    }
    file(place / "sha256/cc.part.json")
    file(place / "locks/apt.lock")
    return found


def test_the_kinds_of_the_cache(where: Store, filled: dict[str, list[Path]]) -> None:
    found = cache.items(where.paths.cache)
    assert {kind: [one.path for one in found if one.kind == kind] for kind in cache.KINDS} == filled
    sizes = {one.path.name: one.size for one in found}
    assert sizes["aa"] == len(b"\x28\xb5\x2f\xfd archive")
    assert cache.items(where.paths.cache / "nothing") == []


def test_what_is_in_use_is_not_removed(where: Store, filled: dict[str, list[Path]]) -> None:
    place = where.paths.cache
    for lock, kinds in (
        ("apt", ["packages", "lists"]),
        ("build-arm64-musl-1", ["builds", "ccache"]),
    ):
        with other_process(place / "locks", lock):
            found = [one for one in cache.items(place) if one.kind in kinds]
            assert not any(cache.remove(one, place) for one in found)
    assert all(path.exists() for some in filled.values() for path in some)
    for one in cache.items(place):
        assert cache.remove(one, place)
    assert cache.items(place) == []
    assert (place / "locks/apt.lock").exists()


def test_the_commands_of_the_cache(machine: Machine) -> None:
    machine.install("arm64-musl")
    assert machine.toolman("cache", "dir").out == f"{machine.cache}\n"
    said = json.loads(machine.toolman("cache", "size", "--json").out)
    kinds = {kind: row["items"] for kind, row in said["kinds"].items() if row["items"]}
    assert kinds == {"packages": 7, "lists": kinds["lists"]}
    table = machine.toolman("cache", "size").out.splitlines()
    assert table[0].split() == ["KIND", "ITEMS", "MB"]
    assert table[-1].split()[0] == "all"
    done = machine.toolman("cache", "clean", "--older-than", "1")
    assert done.err.splitlines()[-1] == "0.0 MB freed"
    debs = sorted((machine.cache / "apt/debs").iterdir())
    old(debs[0], 2 * 86400)
    cleaned = json.loads(machine.toolman("cache", "clean", "--older-than", "1", "--json").out)
    assert (cleaned["kinds"]["packages"]["items"], cleaned["in_use"]) == (1, 0)
    assert sorted((machine.cache / "apt/debs").iterdir()) == debs[1:]
    assert machine.toolman("cache", "clean", "--older-than", "-1").code == 2
    assert machine.toolman("cache", "clean", "-q").err == ""
    assert json.loads(machine.toolman("cache", "size", "--json").out)["bytes"] == 0
    assert machine.installed() == ["arm64-musl"]
    machine.forget(cache=False)
    machine.install("arm64-musl")


def test_a_kill_while_the_cache_is_cleaned(machine: Machine) -> None:
    shared = machine.cache / "build/shared"
    file(shared / "done/gcc")
    file(shared / "binutils-1/configure")
    file(shared / "ccache/object")
    marker = machine.directory / "marker"
    env = {"TOOLMAN_TEST_CHECKPOINT": "mid-clean", "TOOLMAN_TEST_MARKER": str(marker)}
    # The ccache is an item of its own, and younger.
    for path in (shared / "done", shared / "binutils-1"):
        old(path, 3 * 86400)
    old_itself = (time.time() - 3 * 86400,) * 2
    os.utime(shared, old_itself)
    process = machine.start("cache", "clean", "--older-than", "2", env=env)
    wait_for(marker.exists, "mid-clean", process)
    kill_group(process)
    ended(process)
    assert not (shared / "done").exists()
    assert (shared / "binutils-1").exists()  # made anew by who next builds: nothing says it is done
    assert machine.toolman("cache", "clean").code == 0
    assert machine.litter() == []
    assert list(store.below(shared)) == []


def test_idle_is_for_one(tmp_path: Path) -> None:
    with locks.idle(tmp_path, "a") as first, locks.idle(tmp_path, "b") as second:
        assert (first, second) == (True, True)
    with other_process(tmp_path, "a"), locks.idle(tmp_path, "a") as third:
        assert not third
