"""Runs steps that are lines of sh and small makefiles: order, jobs, failures, going on."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fakesrc import running_below

from toolman import store
from toolman.build.layout import Layout
from toolman.build.runner import Runner, Span, write_timeline
from toolman.build.step import Command, Step
from toolman.errors import BuildError
from toolman.report import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

JOBS = (1, 2, 3)
# Each job counts how many there are, itself included, and waits until there were enough.
MAKEFILE = """\
all: $(addprefix job-,{numbers})
job-%:
\t@mkdir -p {counts}/running {counts}/seen && mkdir {counts}/running/{name}-$*
\t@ls {counts}/running | wc -l | tee {counts}/seen/{name}-$* >{counts}/last
\t@test $$(cat {counts}/last) -lt {jobs} || touch {counts}/enough
\t@{wait}; sleep 0.1; rmdir {counts}/running/{name}-$*
"""


class Said(Silent):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.total = 0.0
        self.begun: list[str] = []
        self.shown: list[tuple[float, str]] = []

    @contextmanager
    def progress(self, text: str, total: float) -> Iterator[Said]:
        del text
        self.total = total
        yield self

    def say(self, text: str) -> None:
        self.begun.append(text)

    def at(self, seconds: float, text: str) -> None:
        self.shown.append((seconds, text))


class Workshop:
    """A build in a directory: `run` does steps, `done` tells which have run, in order."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.layout = Layout(
            cache=directory / "cache",
            name="arm64-musl-0123",
            triple="aarch64-linux-musl",
            sources={},
            hostlibs_key="",
        )
        self.said = Said()
        self.runner = self._runner(2)

    def step(self, name: str, text: str = "", needs: Sequence[str] = (), owns: str = "") -> Step:
        """A step of one line of sh; that it ran is noted before that."""
        command = Command(
            argv=("sh", "-euc", f'echo "{name}" >>{self.directory}/done; {text}'),
            cwd=self.layout.work / name,
        )
        owned = (self.layout.work / owns,) if owns else ()
        return Step(name=name, commands=(command,), needs=tuple(needs), owns=owned, seconds=10)

    def make(
        self, name: str, count: int, jobs: int, needs: Sequence[str] = (), counts: str = "counts"
    ) -> Step:
        """A step of one `make` with `count` jobs; those wait until `jobs` run at once."""
        path, place = self.directory / f"{name}.mk", self.directory / counts
        numbers = " ".join(map(str, range(count)))
        wait = until(f"test -e {place}/enough").replace("$", "$$")
        path.write_text(
            MAKEFILE.format(numbers=numbers, counts=place, name=name, jobs=jobs, wait=wait)
        )
        command = Command(argv=("make", "-f", str(path)), cwd=self.layout.work)
        return Step(name=name, commands=(command,), needs=tuple(needs))

    def run(self, *steps: Step, jobs: int = 2, env: dict[str, str] | None = None) -> None:
        self.runner = self._runner(jobs, env)
        # As whoever builds holds a lock already, in the main thread.
        with store.unwinding():
            self.runner.run(steps)

    def done(self) -> list[str]:
        """Forgotten when told."""
        path = self.directory / "done"
        names = path.read_text().split("\n")[:-1] if path.exists() else []
        path.unlink(missing_ok=True)
        return names

    def fails(self, *steps: Step) -> BuildError:
        with pytest.raises(BuildError) as caught:
            self.run(*steps)
        return caught.value

    def most(self, counts: str = "counts") -> int:
        """The most jobs of makes that ever ran at once."""
        return max(int(path.read_text()) for path in (self.directory / counts / "seen").iterdir())

    def spans(self) -> dict[str, Span]:
        return {one.name: one for one in self.runner.spans}

    def _runner(self, jobs: int, env: dict[str, str] | None = None) -> Runner:
        env = env or {"PATH": os.environ["PATH"]}
        return Runner(layout=self.layout, env=env, jobs=jobs, reporter=self.said)


def until(fact: str) -> str:
    """Wait in sh until `fact` holds, or for ten seconds."""
    return f"for i in $(seq 500); do if {fact}; then break; fi; sleep 0.02; done"


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


# Order and jobs


def test_a_step_begins_when_what_it_needs_has_ended(shop: Workshop) -> None:
    begun = {name: f"{shop.directory}/{name}-has-begun" for name in "bc"}
    wait = {name: until(f"test -e {path}") for name, path in begun.items()}
    shop.run(
        shop.step("d", needs=["b", "c"]),
        shop.step("c", f"touch {begun['c']}; {wait['b']}", needs=["a"]),
        shop.step("b", f"touch {begun['b']}; {wait['c']}", needs=["a"]),
        shop.step("a", "sleep 0.1"),
    )
    spans = shop.spans()
    assert spans["a"].end <= min(spans["b"].begin, spans["c"].begin)
    assert max(spans["b"].end, spans["c"].end) <= spans["d"].begin
    assert max(spans["b"].begin, spans["c"].begin) < min(spans["b"].end, spans["c"].end)


@pytest.mark.parametrize("jobs", JOBS)
def test_steps_side_by_side_are_no_more_than_jobs(shop: Workshop, jobs: int) -> None:
    enough = until(f"test {jobs} -le $(wc -l <{shop.directory}/done)")
    shop.run(*(shop.step(f"s{number}", enough) for number in range(6)), jobs=jobs)
    spans = list(shop.spans().values())
    at_once = [sum(one.begin <= two.begin < one.end for one in spans) for two in spans]
    assert max(at_once) == jobs


def test_the_first_of_those_that_could_begin_does(shop: Workshop) -> None:
    shop.run(*(shop.step(name) for name in "dacb"), jobs=1)
    assert shop.done() == ["d", "a", "c", "b"]


@pytest.mark.parametrize("jobs", JOBS)
def test_makes_side_by_side_share_the_jobs(shop: Workshop, jobs: int) -> None:
    shop.run(*(shop.make(name, 4, jobs) for name in "abc"), jobs=jobs)
    assert shop.most() == jobs


@pytest.mark.parametrize("jobs", JOBS)
def test_no_job_is_lost_on_the_way(shop: Workshop, jobs: int) -> None:
    """What runs last and alone has all of them."""
    early = [shop.make(f"m{number}", 3, jobs) for number in range(3)]
    early += [shop.step(f"s{number}") for number in range(3)]
    last = shop.make("last", 4, jobs, needs=[one.name for one in early], counts="last")
    shop.run(*early, last, jobs=jobs)
    assert shop.most("last") == jobs


def test_a_step_without_make_takes_one_job_of_a_make_beside_it(shop: Workshop) -> None:
    last = f"test -e {shop.directory}/counts/seen/make-3"
    shop.run(shop.step("long", until(last)), shop.make("make", 4, 1), jobs=2)
    assert shop.most() == 1


# What a step sees


def test_a_step_sees_the_environment_of_the_build_only(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CC", "CFLAGS", "LD_LIBRARY_PATH", "MAKEFLAGS", "CONFIG_SITE", "MAKEFILES"):
        monkeypatch.setenv(name, "the user's")
    out = shop.directory / "environ"
    step = Step(
        name="a",
        commands=(
            Command(
                argv=("sh", "-c", f"env >{out}"),
                cwd=shop.layout.work,
                env={"CC": "mine", "MAKEFLAGS": "-j99"},
            ),
        ),
    )
    shop.run(step, env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
    seen = dict(line.split("=", 1) for line in out.read_text().splitlines())
    flags = seen.pop("MAKEFLAGS")
    assert {name: seen[name] for name in seen if name not in ("PWD", "_", "SHLVL", "OLDPWD")} == {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "CC": "mine",
    }
    assert "-j2" in flags.split()


def test_the_log_tells_what_was_run_and_said(shop: Workshop) -> None:
    words = ("sh", "-c", "echo $A; echo wrong >&2; pwd")
    command = Command(argv=words, cwd=shop.layout.work / "x", env={"A": "two words"})
    step = Step(name="gcc: all of it", commands=(command, command))
    shop.run(step)
    log = shop.layout.work / "log/gcc-all-of-it.log"
    first, *said = log.read_text().splitlines()
    assert said[:3] == ["two words", "wrong", str(command.cwd)]
    assert said[3] == first
    again = subprocess.run(["sh", "-c", first.removeprefix("$ ")], capture_output=True, text=True)
    assert (again.stdout, again.stderr) == (f"two words\n{command.cwd}\n", "wrong\n")


def test_the_bar_tells_how_much_of_the_estimate_is_done(shop: Workshop) -> None:
    shop.run(shop.step("a", "sleep 1.2"), shop.step("b", "sleep 0.7", needs=["a"]))
    seconds = [one for one, _ in shop.said.shown]
    assert shop.said.total == 20
    assert seconds == sorted(seconds)
    assert seconds[-1] == 20
    assert 0 < seconds[1] < 10
    assert shop.said.begun == ["a", "b"]
    assert "a" in [text for _, text in shop.said.shown]


# Failures


def test_a_failure_tells_step_command_last_lines_and_log(shop: Workshop) -> None:
    text = "for i in $(seq 100); do echo line $i; done; echo the end >&2; exit 3"
    error = shop.fails(shop.step("gcc: compilers", text))
    first, *lines = str(error).splitlines()
    assert first.startswith("gcc: compilers failed (exit 3): sh -euc ")
    assert lines[-2:] == ["line 100", "the end"]
    assert 10 <= len(lines) <= 20
    log = shop.layout.work / "log/gcc-compilers.log"
    assert error.hint
    assert str(log) in error.hint
    assert "line 1\n" in log.read_text()
    assert error.exit_code == 5


def test_a_failure_ends_the_other_steps_with_all_their_programs(shop: Workshop) -> None:
    begin = time.monotonic()
    endless = shop.step("endless", "sleep 300 & (sleep 300; sleep 300) & sleep 300; echo no")
    failing = shop.step("failing", "sleep 0.5; exit 1")
    error = shop.fails(endless, failing, shop.step("never", needs=["failing"]))
    assert str(error).startswith("failing failed")
    assert time.monotonic() - begin < 10
    assert running_below(shop.directory) == []
    assert sorted(shop.done()) == ["endless", "failing"]


def test_a_failure_ends_what_does_not_want_to(shop: Workshop) -> None:
    stubborn = shop.step("stubborn", "trap '' TERM; sleep 300; sleep 300")
    shop.fails(stubborn, shop.step("failing", "sleep 0.3; exit 1"))
    assert running_below(shop.directory) == []


def test_a_failure_ends_steps_that_wait_for_a_job(shop: Workshop) -> None:
    waiting = [shop.step(f"w{number}", "sleep 300") for number in range(5)]
    begin = time.monotonic()
    shop.fails(shop.step("failing", "sleep 0.3; exit 1"), *waiting)
    assert time.monotonic() - begin < 10
    assert len(shop.done()) <= 3


def test_a_full_disk_is_told_as_such(shop: Workshop) -> None:
    text = "echo 'cc1: error: writing x.o: No space left on device'; exit 1"
    with pytest.raises(OSError, match="No space left") as caught:
        shop.run(shop.step("a", text))
    assert caught.value.errno == errno.ENOSPC


# Going on


def test_what_is_done_is_not_done_again(shop: Workshop) -> None:
    fails = shop.directory / "fails"
    fails.touch()
    steps = [
        shop.step("a"),
        shop.step("b", f"! test -e {fails}", needs=["a"], owns="b"),
        shop.step("c", needs=["b"]),
    ]
    shop.fails(*steps)
    assert shop.done() == ["a", "b"]
    fails.unlink()
    shop.run(*steps)
    assert shop.done() == ["b", "c"]
    assert shop.said.total == 20
    shop.run(*steps)
    assert shop.done() == []


def test_what_was_half_done_is_made_anew(shop: Workshop) -> None:
    """Its directories and its log, and nothing else."""
    text = f"ls; touch half; mkdir -p ../kept; touch ../kept/x; test -e {shop.directory}/go"
    step = shop.step("a", text, owns="a")
    assert "half" not in str(shop.fails(step)).splitlines()
    assert (shop.layout.work / "a/half").exists()
    assert "half" not in str(shop.fails(step)).splitlines()
    (shop.directory / "go").touch()
    shop.run(step)
    log = (shop.layout.work / "log/a.log").read_text().splitlines()
    assert [line for line in log if not line.startswith("$")] == []
    assert (shop.layout.work / "kept/x").exists()


def test_a_changed_step_is_done_again_with_all_that_needs_it(shop: Workshop) -> None:
    def steps(flag: str) -> list[Step]:
        return [
            shop.step("a"),
            shop.step("b", f": {flag}", needs=["a"]),
            shop.step("c", needs=["b"]),
            shop.step("d", needs=["a"]),
        ]

    shop.run(*steps("one"))
    shop.done()
    shop.run(*steps("two"))
    assert shop.done() == ["b", "c"]
    shop.run(*steps("two"))
    assert shop.done() == []


def test_what_somebody_has_deleted_is_made_again(shop: Workshop) -> None:
    steps = [shop.step("a", owns="a"), shop.step("b", needs=["a"]), shop.step("c")]
    shop.run(*steps)
    shop.done()
    store.remove_tree(shop.layout.work / "a")
    shop.run(*steps)
    assert shop.done() == ["a", "b"]


def test_a_shared_step_is_done_once_for_all(shop: Workshop, tmp_path: Path) -> None:
    def steps(where: Workshop) -> list[Step]:
        shared = Step(
            name="gmp: library",
            commands=(
                Command(
                    argv=("sh", "-c", f"echo gmp >>{tmp_path}/done"), cwd=where.layout.shared / "o"
                ),
            ),
            owns=(where.layout.shared / "o",),
            shared="0123",
        )
        return [shared, where.step("gcc", needs=["gmp: library"])]

    shop.run(*steps(shop))
    assert shop.done() == ["gmp", "gcc"]
    another = Workshop(tmp_path)
    another.layout = replace(shop.layout, name="armv7-musl-0123")
    another.run(*steps(another))
    assert another.done() == ["gcc"]
    # Deleted and made again, it is what it was: nobody else has to begin anew.
    store.remove_tree(shop.layout.shared)
    shop.run(*steps(shop))
    assert shop.done() == ["gmp"]


# The trace


def test_a_timeline_is_a_trace_with_an_event_for_each_step(shop: Workshop, tmp_path: Path) -> None:
    spans = [
        Span(name="a", begin=10, end=12.5),
        Span(name="b", begin=11, end=12),
        Span(name="c", begin=12, end=13),
        Span(name="d", begin=12.5, end=13),
    ]
    write_timeline(spans, tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    events = {one["name"]: one for one in trace["traceEvents"]}
    assert list(events) == ["a", "b", "c", "d"]
    assert {one["ph"] for one in events.values()} == {"X"}
    assert (events["a"]["ts"], events["a"]["dur"]) == (10_000_000, 2_500_000)
    lanes = {name: one["tid"] for name, one in events.items()}
    assert lanes == {"a": 1, "b": 2, "c": 2, "d": 1}
    assert len({one["pid"] for one in events.values()}) == 1
