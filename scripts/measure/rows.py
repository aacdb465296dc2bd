"""What benchmarks share: a row of the report, the places they work in, clocks and rounds."""

from __future__ import annotations

import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

from toolman.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Words = Sequence[str | Path]

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison: what toolman takes, and its peer."""

    name: str
    ours: float
    goal: float | None
    """Of the ratio, or of our value where there is no peer; None: for information only."""
    peer: str = ""
    theirs: float | None = None
    ratio: float | None = None
    unit: Literal["s", "MB"] = "s"

    @property
    def passed(self) -> bool | None:
        if self.goal is None:
            return None
        return (self.ours if self.ratio is None else self.ratio) <= self.goal


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where everything is."""

    kept: Path
    """Below the user's cache: toolman and its peers, for the next time."""
    scratch: Path
    """On the same file system; gone afterwards."""
    environ: Mapping[str, str]
    quick: bool

    @property
    def launcher(self) -> Path:
        return self.kept / "home/.local/bin/toolman"

    @property
    def home(self) -> Path:
        """This host's part of TOOLMAN_HOME."""
        return Path(self.environ["TOOLMAN_HOME"]) / Host.current().key

    @property
    def venv(self) -> Path:
        return (self.home / "venv").resolve()


def own_home(bench: Bench, place: Path) -> dict[str, str]:
    """An environment whose TOOLMAN_HOME and TOOLMAN_CACHE are in `place`; new ones hold toolman
    and no more."""
    home = place / "home"
    venv = home / bench.home.name / "venv"
    venv.parent.mkdir(parents=True, exist_ok=True)
    venv.unlink(missing_ok=True)
    venv.symlink_to(bench.venv)
    own = {"TOOLMAN_HOME": str(home), "TOOLMAN_CACHE": str(place / "cache")}
    return {**bench.environ, **own}


def timed(argv: Words, environ: Mapping[str, str], cwd: Path | None = None) -> float:
    """Seconds that `argv` takes, beginning when the disks are quiet."""
    os.sync()
    begin = time.perf_counter()
    call(argv, environ, cwd)
    return time.perf_counter() - begin


def processor_time(bench: Bench, argv: Words) -> float:
    """Seconds that `argv` and its children take of a processor: steadier than those of a clock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, env=bench.environ, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rounds(sides: Sequence[Callable[[], float]], number: int) -> list[list[float]]:
    """The seconds of each side in each round; every other round goes backwards."""
    times: list[list[float]] = [[] for _ in sides]
    order = list(enumerate(sides))
    for _ in range(number):
        for index, measure in order:
            times[index].append(measure())
        order.reverse()
    return times


def paired(name: str, ours: list[float], peer: str, theirs: list[float], goal: float | None) -> Row:
    """A row whose ratio is the median of those of the rounds."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return replace(row(name, median(ours), peer, median(theirs), goal), ratio=median(ratios))


def row(name: str, ours: float, peer: str, theirs: float, goal: float | None) -> Row:
    """A row with the ratio of its two values."""
    return Row(name=name, ours=ours, peer=peer, theirs=theirs, ratio=ours / theirs, goal=goal)


def call(argv: Words, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What `argv` prints.

    Raises:
        SystemExit: it failed.
    """
    done = subprocess.run(argv, env=environ, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise SystemExit(f"error: exit {done.returncode}: {shlex.join(map(str, argv))}\n{said}")
    return done.stdout


def tool(bench: Bench, expression: str) -> str:
    """A program that tests/tools.py gets: `find('hyperfine')`, `go('1.27')`."""
    path = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "tests")])
    code = f"import tools; print(tools.{expression})"
    command: Words = [bench.venv / "bin/python", "-c", code]
    return call(command, {**os.environ, "PYTHONPATH": path}).strip()


def remove(tree: Path) -> None:
    """Delete a tree that may hold read-only directories."""
    shutil.rmtree(tree, ignore_errors=True)


def say(text: str) -> None:
    """Tell what is being done."""
    print(text, file=sys.stderr, flush=True)


def show(rows: Sequence[Row], load: float, notes: str) -> None:
    """Print the report; `load` is that of the machine at the start."""
    print(f"{Host.current().key}, {os.cpu_count()} CPUs, load at the start {load:.1f}\n")
    form = "{:26} {:>9}   {:22} {:>9}  {:>5}  {:>9}  {}"
    print(form.format("", "toolman", "peer", "", "ratio", "goal", ""))
    for one in rows:
        verdict = {True: "pass", False: "FAIL", None: ""}[one.passed]
        ratio = f"{one.ratio:.2f}" if one.ratio else ""
        goal = "" if one.goal is None else f"<= {one.goal:.2f}"
        if one.goal and not one.ratio:
            goal = f"<= {_amount(one.goal, one.unit)}"
        ours, theirs = _amount(one.ours, one.unit), _amount(one.theirs, one.unit)
        print(form.format(one.name, ours, one.peer, theirs, ratio, goal, verdict).rstrip())
    print(f"\n{notes}", end="")


def write(rows: Sequence[Row], file: Path) -> None:
    """Write the figures as JSON."""
    values = [{**asdict(one), "passed": one.passed} for one in rows]
    file.write_text(json.dumps({"schema": 1, "rows": values}, indent=1) + "\n", "utf-8")


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "MB":
        return f"{value:.1f} MB"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.1f} ms"
