"""Many toolmans at once: they wait, share what one of them has fetched, and lose nothing."""

from __future__ import annotations

import random
import re
import threading
import time
from typing import TYPE_CHECKING

from archive import Done, Machine, ended, kill_group, wait_for

if TYPE_CHECKING:
    from archive import Server

MANY = 16
TARGETS = ["arm64-musl", "arm64-gnu", "riscv64-gnu"]
SECONDS = 6.0


def test_one_of_many_installs_downloads(machine: Machine, apt: Server) -> None:
    running = [machine.start("install", "arm64-musl") for _ in range(MANY)]
    done = [ended(one) for one in running]
    assert [one.code for one in done] == [0] * MANY, [one.err for one in done]
    assert sum("arm64-musl installed" in one.err for one in done) == 1
    assert sum("is already installed" in one.err for one in done) == MANY - 1
    assert len(apt.debs_seen()) == len(set(apt.debs_seen())) == 7
    assert apt.seen.count("InRelease") == 1
    assert len(list(machine.data.glob("store/*"))) == 1
    assert machine.installed() == ["arm64-musl"]
    assert machine.is_published()


def test_installs_of_several_targets_share_what_they_fetch(machine: Machine, apt: Server) -> None:
    running = [machine.start("install", name) for name in TARGETS * 3]
    done = [ended(one) for one in running]
    assert [one.code for one in done] == [0] * len(running), [one.err for one in done]
    assert len(apt.debs_seen()) == len(set(apt.debs_seen()))
    assert machine.installed() == sorted(TARGETS)
    assert machine.is_published()


def test_homes_that_share_a_cache_share_what_they_fetch(machine: Machine, apt: Server) -> None:
    homes = [machine.directory / f"home{number}" for number in range(4)]
    running = [
        machine.start("install", "arm64-musl", env={"TOOLMAN_HOME": str(home)}) for home in homes
    ]
    done = [ended(one) for one in running]
    assert [one.code for one in done] == [0] * len(homes), [one.err for one in done]
    assert len(apt.debs_seen()) == len(set(apt.debs_seen())) == 7
    assert all(list(home.glob("*/store/arm64-musl-*")) for home in homes)


def test_commands_of_all_kinds_at_once_lose_nothing(machine: Machine) -> None:
    """Each thread is a user in a hurry; what he is told must make sense at any moment."""
    machine.install(*TARGETS)
    wrong: list[str] = []
    users = [threading.Thread(target=_use, args=[machine, seed, wrong]) for seed in range(6)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert wrong == []
    assert set(machine.installed()) <= set(TARGETS)
    assert machine.is_published()
    machine.install(*TARGETS)
    assert machine.installed() == sorted(TARGETS)
    assert machine.is_published()


def test_says_that_it_waits_and_goes_on_when_the_other_is_killed(machine: Machine) -> None:
    marker = machine.directory / "marker"
    env = {"TOOLMAN_TEST_CHECKPOINT": "after-unpack", "TOOLMAN_TEST_MARKER": str(marker)}
    first = machine.start("install", "arm64-musl", env=env)
    wait_for(marker.exists, "the first install", first)
    second = machine.start("install", "arm64-musl")
    begin = time.monotonic()
    assert second.stderr
    assert second.stderr.readline() == "waiting for another toolman (arm64-musl)\n"
    assert 1 < time.monotonic() - begin < 10
    assert second.poll() is None
    kill_group(first)
    ended(first)
    done = ended(second)
    assert done.code == 0, done.err
    assert machine.installed() == ["arm64-musl"]


def test_readers_do_not_wait(machine: Machine) -> None:
    machine.install()
    marker = machine.directory / "marker"
    env = {"TOOLMAN_TEST_CHECKPOINT": "after-unlink", "TOOLMAN_TEST_MARKER": str(marker)}
    first = machine.start("uninstall", "arm64-musl", env=env)
    wait_for(marker.exists, "the uninstall", first)
    assert machine.listed() == []
    done = machine.toolman("env", "arm64-musl")
    assert (done.code, done.out, "waiting" in done.err) == (2, "false;\n", False)
    kill_group(first)
    ended(first)


def _use(machine: Machine, seed: int, wrong: list[str]) -> None:
    chance = random.Random(seed)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        name = chance.choice(TARGETS)
        # What each may end with: 2 where another user has just removed it.
        words, codes = chance.choice(
            [
                (["install", name], {0}),
                (["uninstall", name], {0, 2}),
                (["env", name], {0, 2}),
                (["which", "gcc", "--target", name], {0, 2}),
                (["list", "--json"], {0}),
                (["show", name], {0, 2}),
                (["default", name], {0}),
            ]
        )
        done = machine.toolman(*words)
        if done.code not in codes or not _is_sound(words[0], done):
            wrong.append(f"{words}: {done}")


def _is_sound(command: str, done: Done) -> bool:
    if done.code:
        return bool(re.fullmatch(r"error: \S+ is not installed", "\n".join(done.errors)))
    if command == "env":
        return "export CC=" in done.out and done.err == ""
    return not done.errors
