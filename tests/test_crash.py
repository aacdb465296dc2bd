"""kill -9 at every named moment and at random ones; Ctrl-C; a request to end.

Whatever the moment: what is installed is complete, nothing stays behind, and the same command
succeeds when it is given again.
"""

from __future__ import annotations

import random
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import archive
import pytest
import tools
from archive import Machine, ended, kill_group, wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from archive import Server

INSTALL = ("install", "arm64-musl")
UNINSTALL = ("uninstall", "arm64-musl")
DEFAULT = ("default", "arm64-gnu")
LINK = ("link", "mine", "linked")
# What reaches each checkpoint.
MOMENTS = {
    "after-lock": [INSTALL],
    "mid-seed": [INSTALL],
    "after-lists": [INSTALL],
    "after-download": [INSTALL],
    "after-unpack": [INSTALL],
    "before-smoke": [INSTALL],
    "before-sync": [INSTALL, LINK],
    "before-rename": [INSTALL, LINK],
    "after-rename": [INSTALL, LINK],
    "before-publish": [INSTALL],
    "after-activate": [INSTALL, LINK],
    "mid-publish": [INSTALL, UNINSTALL, DEFAULT, LINK],
    "after-unlink": [UNINSTALL],
}
# Of origin source: tests/test_source_stops.py kills there.
OF_SOURCE = {"before-stamp"}
# These are killed at in test_publish.
OF_PUBLISH = {"before-blob"}
# These in test_oci.
OF_PUSH = {"before-upload", "before-manifests", "before-tags", "before-last-tag"}
# And at these in test_libraries.
OF_LIBRARIES = {"before-laid", "mid-drop"}
# And at these in test_manifest, test_exported and test_gc.
OF_CARE = {"before-renewed", "before-imported", "before-exported", "mid-gc", "mid-clean"}
CHUNKS, MOMENTS_EACH = 5, 10


@pytest.fixture
def server() -> Iterator[Server]:
    with archive.serve(archive.common()) as server:
        yield server


@pytest.fixture
def machine(tmp_path: Path, server: Server) -> Machine:
    made = Machine(tmp_path, server.url)
    made.fetch_host_lists()
    return made


def test_every_checkpoint_has_its_kill() -> None:
    package = archive.CHECKOUT / "toolman"
    text = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    assert set(re.findall(r'\bcheckpoint\("([^"]+)"\)', text)) == {
        *MOMENTS,
        *OF_SOURCE,
        *OF_PUBLISH,
        *OF_PUSH,
        *OF_CARE,
        *OF_LIBRARIES,
    }


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        pytest.param(moment, words, id=f"{moment}-{words[0]}")
        for moment, commands in MOMENTS.items()
        for words in commands
    ],
)
def test_survives_a_kill_at(moment: str, words: tuple[str, ...], machine: Machine) -> None:
    if words != INSTALL:
        machine.install()
        machine.make_linkable()
    kill_at(moment, machine.start(*words, env=parked_at(moment, machine)), machine)

    assert set(machine.installed()) <= {"arm64-musl", "mine"}
    assert machine.is_published()
    again = machine.toolman(*words)
    assert again.code == (2 if words == UNINSTALL else 0), again.err
    assert machine.installed() == after(words)
    assert machine.is_published()


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_survives_kills_at_random_moments(chunk: int, machine: Machine) -> None:
    chance = random.Random(chunk)
    begin = time.monotonic()
    machine.install()
    duration = time.monotonic() - begin
    for round_ in range(MOMENTS_EACH):
        machine.forget(cache=chance.random() < 0.5)
        process = machine.start(*INSTALL)
        time.sleep(chance.uniform(0, duration))
        alone = chance.random() < 0.5
        process.kill() if alone else kill_group(process)
        ended(process)

        context = f"chunk {chunk}, round {round_}, alone {alone}"
        assert set(machine.installed()) <= {"arm64-musl"}, context
        assert machine.is_published(), context
        machine.install()
        assert machine.installed() == ["arm64-musl"], context
        assert machine.is_published(), context


@pytest.mark.parametrize(
    "moment", ["after-lock", "after-unpack", "before-rename", "after-activate"]
)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_cleans_up_when_told_to_end(number: int, code: int, moment: str, machine: Machine) -> None:
    process = machine.start(*INSTALL, env=parked_at(moment, machine))
    wait_for(marker(machine).exists, moment, process)
    process.send_signal(number)
    done = ended(process)
    assert (done.code, "Traceback" in done.err) == (code, False), done.err
    assert machine.litter() == []
    assert machine.installed() == []
    assert machine.is_published()
    machine.install()
    assert machine.installed() == ["arm64-musl"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("to", ["toolman", "its group"])
def test_ends_a_download_when_told_to_end(
    number: int, code: int, to: str, machine: Machine, server: Server
) -> None:
    waiting, go_on = [], []

    def hang() -> None:
        waiting.append(1)
        wait_for(lambda: go_on, "the end of the test")

    server.rules["musl-dev"] = archive.after(hang)
    process = machine.start(*INSTALL)
    wait_for(lambda: waiting, "the download", process)
    begin = time.monotonic()
    if to == "toolman":
        process.send_signal(number)
    else:
        kill_group(process, number)
    done = ended(process)
    assert done.code == code, done.err
    assert time.monotonic() - begin < 3
    assert machine.litter() == []
    wait_for(lambda: not members(process.pid), "the end of apt-get")
    go_on.append(1)


def test_an_ignored_hangup_stays_ignored(machine: Machine) -> None:
    env = parked_at("after-unpack", machine)
    process = machine.start(*INSTALL, env=env, before=["nohup"])
    wait_for(marker(machine).exists, "the checkpoint", process)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None
    kill_group(process)
    ended(process)


@pytest.mark.slow
def test_survives_kills_with_the_real_archive(tmp_path: Path) -> None:
    """The real packages take long enough that the kills fall into each step."""
    chance = random.Random(0)
    machine = Machine(tmp_path, "")
    machine.settings = {
        key: value for key, value in tools.ENVIRON.items() if "proxy" in key.lower()
    }
    machine.settings |= {"TOOLMAN_CACHE": str(tools.CACHE / "toolman"), "APT_CONFIG": ""}
    machine.install()
    machine.forget(cache=False)
    begin = time.monotonic()
    machine.install()
    duration = time.monotonic() - begin
    for _ in range(10):
        machine.forget(cache=False)
        process = machine.start(*INSTALL)
        time.sleep(chance.uniform(0, duration))
        process.kill() if chance.random() < 0.5 else kill_group(process)
        ended(process)
        assert set(machine.installed()) <= {"arm64-musl"}
    machine.install()
    assert machine.installed() == ["arm64-musl"]


def marker(machine: Machine) -> Path:
    return machine.directory / "marker"


def parked_at(moment: str, machine: Machine) -> dict[str, str]:
    return {"TOOLMAN_TEST_CHECKPOINT": moment, "TOOLMAN_TEST_MARKER": str(marker(machine))}


def kill_at(moment: str, process: subprocess.Popen[str], machine: Machine) -> None:
    wait_for(marker(machine).exists, moment, process)
    kill_group(process)
    ended(process)


def after(words: tuple[str, ...]) -> list[str]:
    """What is installed after `words`, given where arm64-musl was, and given again."""
    return {"uninstall": [], "link": ["arm64-musl", "mine"]}.get(words[0], ["arm64-musl"])


def members(group: int) -> list[str]:
    """The programs in a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, fields = stat.read_text().rpartition(")")
        except OSError:
            continue
        state, _, its_group = fields.split()[:3]
        if int(its_group) == group and state != "Z":
            found.append(name)
    return found
