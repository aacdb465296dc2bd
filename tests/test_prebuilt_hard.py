"""Archives of an index, and the commands that care for them: killed at random moments, on full
disks, and many at once. What is installed stays complete, and nothing stays behind.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from typing import TYPE_CHECKING

import pytest
from archive import ended, kill_group
from test_failures import mounted

if TYPE_CHECKING:
    from archive import Done, Machine
    from projects import User
    from published import Repository

CHUNKS, MOMENTS_EACH = 8, 25
MANY, SECONDS = 16, 10.0
NAMES = ("arm64-musl", "riscv64-musl")
EXPORTED = "exported.toolman"
# What each may end with: 2 where what it is about is not there.
COMMANDS: dict[tuple[str, ...], set[int]] = {
    **{("install", name): {0} for name in NAMES},
    **{("uninstall", name): {0, 2} for name in NAMES},
    ("sync",): {0},
    ("update",): {0},
    ("gc",): {0},
    ("cache", "clean"): {0},
    ("export", EXPORTED, NAMES[0]): {0, 2},
    ("import", EXPORTED): {0, 2},
    ("index", "refresh"): {0},
    ("verify", "--store", "--repair"): {0, 2},
}
LOOKS: dict[tuple[str, ...], set[int]] = {
    ("list", "--json"): {0},
    ("env", NAMES[0]): {0, 2},
    ("show", NAMES[1]): {0, 2},
    ("cache", "size"): {0},
}


@pytest.fixture
def reader(author: User, corp: Repository) -> User:
    """Somebody who has both toolchains, an older one of them, and an exported one."""
    corp.add(NAMES[1])
    author.good("index", "refresh")
    author.good("install", *NAMES)
    corp.add(NAMES[0], version="15.1.0")
    author.good("update")
    author.good("export", EXPORTED, NAMES[0])
    return author


def is_sound(machine: Machine, context: str) -> None:
    """Every toolchain is complete, by its manifest too, and reachable."""
    assert {*machine.installed()} <= {*NAMES}, context
    assert machine.is_published(), context
    done = machine.toolman("verify", "--store")
    assert done.code == 0, f"{context}: {done.err}"


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_kill_at_any_moment_loses_nothing(chunk: int, reader: User) -> None:
    chance = random.Random(chunk)
    machine = reader.machine
    took = dict.fromkeys(COMMANDS, 0.6)
    for round_ in range(MOMENTS_EACH):
        words = chance.choice([*COMMANDS])
        process = machine.start(*words)
        time.sleep(chance.uniform(0.1, took[words]))
        process.kill() if chance.random() < 0.5 else kill_group(process)
        ended(process)
        context = f"chunk {chunk}, round {round_}, {words}"
        is_sound(machine, context)
        begin = time.monotonic()
        again = machine.toolman(*words)
        took[words] = time.monotonic() - begin
        assert again.code in COMMANDS[words], f"{context}: {again.err}"
    reader.good("install", *NAMES)
    is_sound(machine, "at the end")


@pytest.mark.parametrize(
    ("what", "room"),
    [
        *(("home", room) for room in ("size=4k", "size=16k", "size=64k")),
        *(("home", room) for room in ("nr_inodes=2", "nr_inodes=9", "nr_inodes=16")),
        *(("cache", room) for room in ("size=4k", "nr_inodes=1")),
    ],
)
@pytest.mark.parametrize("words", [("install", NAMES[0]), ("import", EXPORTED), ("sync",)])
def test_a_full_disk_is_told_and_leaves_nothing(
    words: tuple[str, ...], what: str, room: str, reader: User
) -> None:
    """Others have left so little of it."""
    machine = reader.machine
    reader.good("uninstall", "--all")
    reader.good("cache", "clean")
    directory = machine.home if what == "home" else machine.cache
    script = f"cp -a {directory} {directory}.kept; mount -t tmpfs tmpfs {directory}"
    with mounted(machine, f"{script}; cp -a {directory}.kept/. {directory}") as mounts:
        machine.before += ("env", f"--chdir={machine.directory}")  # nsenter leaves it
        there = os.statvfs(mounts.view(directory))
        key, _, left = room.partition("=")
        used = (there.f_blocks - there.f_bfree) * there.f_frsize
        if key == "nr_inodes":
            used = there.f_files - there.f_ffree
        limit = used + int(left.replace("4k", "4096").replace("k", "000"))
        mounts.run(f"mount -o remount,{key}={limit} tmpfs {directory}")
        done = machine.toolman(*words)
        assert (done.code, len(done.errors)) == (1, 1), done.err
        assert str(directory) in done.errors[0]
        assert "hint:" in done.err
        assert machine.litter() == []
        assert machine.installed() == []
        mounts.run(f"mount -o remount,size=64m,nr_inodes=10000 tmpfs {directory}")
        reader.good(*words)
        is_sound(machine, "with room")
        assert machine.installed() == [NAMES[0]]


def test_sixteen_at_once_lose_nothing(reader: User) -> None:
    wrong: list[str] = []
    users = [
        threading.Thread(target=_use, args=[reader.machine, seed, wrong]) for seed in range(MANY)
    ]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert wrong == []
    is_sound(reader.machine, "after all")
    reader.good("install", *NAMES)
    is_sound(reader.machine, "at the end")


def _use(machine: Machine, seed: int, wrong: list[str]) -> None:
    chance = random.Random(seed)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        words, codes = chance.choice([*(COMMANDS | LOOKS).items()])
        done = machine.toolman(*words)
        if done.code not in codes or not _makes_sense(done):
            wrong.append(f"{words}: {done}")


def _makes_sense(done: Done) -> bool:
    return not done.code or bool(re.fullmatch(r"error: \S+ is not installed", done.errors[0]))
