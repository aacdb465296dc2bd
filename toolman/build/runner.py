"""Runs steps: those that do not need each other side by side, under one pool of jobs.

The pool is GNU make's jobserver: a pipe that holds a token for each job. A step takes one to
run; a `make` in it takes more while they are free, and gives them back. So two steps never
start more compilers than one would, and the end of one step overlaps with the next.

A step that is done leaves a stamp with its digest, so that the next run goes on where this one
was stopped, whatever stopped it. One that was only begun has its directories made anew.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolman import run, store
from toolman.checkpoint import checkpoint
from toolman.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager
    from pathlib import Path

    from toolman.build.layout import Layout
    from toolman.build.step import Command, Step
    from toolman.report import Progress, Reporter

_TICK = 0.5  # seconds between movements of the bar
_LAST_LINES = 15
# The most of a running step's estimate that counts as done before it is.
_ALMOST = 0.95


@dataclass(frozen=True, kw_only=True)
class Span:
    """When a step ran, in seconds of `time.time()`."""

    name: str
    begin: float
    end: float


@dataclass(kw_only=True)
class Runner:
    """Runs the steps of one build."""

    layout: Layout
    env: Mapping[str, str]
    """The whole environment of every command."""
    jobs: int
    reporter: Reporter
    spans: list[Span] = field(default_factory=list)
    _running: dict[str, float] = field(default_factory=dict)

    def run(self, steps: Sequence[Step]) -> None:
        """Do what is not yet done of `steps`.

        Raises:
            BuildError: a step failed; the message names it, its command, its last lines, its log.
        """
        done = self._done(steps)
        waiting = [step for step in steps if step.name not in done]
        total = sum(step.seconds for step in waiting)
        with (
            run.Jobs() as programs,
            _jobserver(self.jobs, programs) as pool,
            self.reporter.progress(f"building {self.layout.name}", total) as progress,
            ThreadPoolExecutor(self.jobs) as threads,
        ):
            try:
                self._run(waiting, done, threads, pool, progress)
            except BaseException:
                programs.end()
                pool.release()
                threads.shutdown(cancel_futures=True)
                raise

    def _run(
        self,
        waiting: list[Step],
        done: set[str],
        threads: ThreadPoolExecutor,
        pool: _Pool,
        progress: Progress,
    ) -> None:
        underway: dict[Future[None], Step] = {}
        finished = 0.0
        while waiting or underway:
            for step in [one for one in waiting if done.issuperset(one.needs)]:
                waiting.remove(step)
                underway[threads.submit(self._do, step, pool, progress)] = step
            ended, _ = wait(underway, timeout=_TICK, return_when=FIRST_COMPLETED)
            for future in ended:
                step = underway.pop(future)
                future.result()
                done.add(step.name)
                finished += step.seconds
            progress.at(finished + self._begun(underway.values()), ", ".join([*self._running]))

    def _begun(self, steps: Iterable[Step]) -> float:
        now, running = time.time(), dict(self._running)
        each = self.jobs / max(len(running), 1)
        return sum(
            min((now - running[step.name]) * each, step.seconds * _ALMOST)
            for step in steps
            if step.name in running
        )

    def _do(self, step: Step, pool: _Pool, progress: Progress) -> None:
        with ExitStack() as held:
            if step.shared:
                held.enter_context(self._alone(step, pool))
                if self._is_done(step):
                    return
            held.enter_context(pool.token())
            begin = time.time()
            self._running[step.name] = begin
            progress.say(step.name)
            try:
                self._commands(step, pool)
            finally:
                del self._running[step.name]
                self.spans.append(Span(name=step.name, begin=begin, end=time.time()))

    def _alone(self, step: Step, pool: _Pool) -> AbstractContextManager[None]:
        """Keep other toolmans from a shared step."""
        name = f"build-{step.file}-{step.shared}"
        return store.locked(self.layout.locks, name, lambda: None, pool.programs.are_ended)

    def _commands(self, step: Step, pool: _Pool) -> None:
        for directory in step.owns:
            store.remove_tree(directory)
        log = self.layout.log(step)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        for command in step.commands:
            self._command(step, command, log, pool)
        checkpoint("before-stamp")
        store.write(self.layout.stamp(step), step.digest)

    def _command(self, step: Step, command: Command, log: Path, pool: _Pool) -> None:
        command.cwd.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ cd {command.cwd} && {_line(command)}\n")
        env = {**self.env, **command.env, "MAKEFLAGS": pool.flags}
        code = pool.programs.run(command.argv, env=env, cwd=command.cwd, log=log, fds=pool.fds)
        if code:
            raise _failure(step, command, code, log)

    def _done(self, steps: Sequence[Step]) -> set[str]:
        """The names of what need not be done again: nor has anything that it needs.

        A shared step that has to be done again gives what it gave before.
        """
        done = {step.name for step in steps if self._is_done(step)}
        shared = {step.name for step in steps if step.shared}
        while True:
            kept = {one.name for one in steps if one.name in done and {*one.needs} <= done | shared}
            if kept == done:
                return done
            done = kept

    def _is_done(self, step: Step) -> bool:
        stamped = store.holds(self.layout.stamp(step), step.digest)
        return stamped and all(directory.is_dir() for directory in step.owns)


def write_timeline(spans: Sequence[Span], path: Path) -> None:
    """Write `spans` as a trace that chrome://tracing and Perfetto open.

    The format is Chrome's Trace Event Format: complete events (`X`), microseconds. A lane
    (`tid`) is the first one that is free when a step begins.
    """
    events = []
    lanes: list[float] = []
    for span in sorted(spans, key=lambda one: one.begin):
        lane = next((i for i, end in enumerate(lanes) if end <= span.begin), len(lanes))
        lanes[lane:] = [span.end, *lanes[lane + 1 :]]
        duration = round((span.end - span.begin) * 1e6)
        event = {"name": span.name, "ph": "X", "ts": round(span.begin * 1e6), "dur": duration}
        events.append({**event, "pid": 1, "tid": lane + 1, "cat": "step"})
    store.write(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}, indent=1) + "\n")


@dataclass(frozen=True, kw_only=True)
class _Pool:
    """GNU make's jobserver, with `jobs` tokens, and the programs that run under it."""

    programs: run.Jobs
    fds: tuple[int, int]
    jobs: int

    @property
    def flags(self) -> str:
        """MAKEFLAGS, as make itself would set it for its children."""
        return f" -j{self.jobs} --jobserver-auth={self.fds[0]},{self.fds[1]}"

    @contextmanager
    def token(self) -> Iterator[None]:
        self._take()
        try:
            yield
        finally:
            os.write(self.fds[1], b"+")

    def _take(self) -> None:
        # make makes its end of the pipe non-blocking, which is ours too.
        while True:
            select.select([self.fds[0]], [], [])
            with suppress(BlockingIOError):
                os.read(self.fds[0], 1)
                return

    def release(self) -> None:
        """Let every waiting step go on, to find that it is stopped."""
        os.write(self.fds[1], b"+" * self.jobs)


@contextmanager
def _jobserver(jobs: int, programs: run.Jobs) -> Iterator[_Pool]:
    fds = os.pipe()
    os.write(fds[1], b"+" * jobs)
    try:
        yield _Pool(programs=programs, fds=fds, jobs=jobs)
    finally:
        for fd in fds:
            os.close(fd)


def _line(command: Command) -> str:
    words = [f"{name}={value}" for name, value in command.env.items()]
    return shlex.join([*(["env", *words] if words else []), *command.argv])


def _failure(step: Step, command: Command, code: int, log: Path) -> BuildError:
    text = log.read_text("utf-8", "replace")
    run.check_disk(run.Finished(code=code, out=text[-100_000:], err=""))
    lines = text.splitlines()[-_LAST_LINES:]
    said = [f"{step.name} failed (exit {code}): {_line(command)}", *lines]
    return BuildError("\n".join(said), hint=f"the whole log: {log}")
