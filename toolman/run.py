"""Other programs: the only user of `subprocess`."""

from __future__ import annotations

import errno
import functools
import os
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from toolman.errors import BuildError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LAST_LINES = 20
_PATIENCE = 3  # seconds that a program gets to end
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A program that has ended."""

    code: int
    out: str
    err: str


class Running:
    """A program under way; leaving the block ends it if it has not ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ended(self) -> bool:
        return self._process.poll() is not None

    def finish(self) -> Finished:
        """Wait for the end. For programs that print little: both pipes are read only here."""
        out, err = self._process.communicate()
        return Finished(code=self._process.returncode, out=out, err=err)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.ended():
            self._process.kill()
        self._process.communicate()


class Job:
    """A program under way whose output goes into a log, with all of its children.

    They are a process group of their own, so that `end` reaches them all. If toolman is killed,
    the program is told by SIGTERM, as far as the host has `setpriv`.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        fds: Sequence[int] = (),
    ) -> None:
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [*_until_death(), *argv],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=fds,
                process_group=0,
            )

    def wait(self) -> int:
        """Wait for the end; the exit code."""
        return self._process.wait()

    def end(self) -> None:
        """End it and its children: politely, so that `make` deletes what is half written."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE)


def run(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Finished:
    """Run `argv` to its end, whatever its exit code.

    Raises:
        InputError: there is no such program.
    """
    with start(argv, env=env, cwd=cwd) as process:
        return process.finish()


def start(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Running:
    """Start `argv` in the C locale, so that its messages can be read.

    Raises:
        InputError: there is no such program.
    """
    environ = {**(os.environ if env is None else env), "LC_ALL": "C.UTF-8"}
    try:
        process = subprocess.Popen(
            [str(word) for word in argv],
            env=environ,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except (FileNotFoundError, PermissionError) as error:
        raise InputError(f"cannot run {argv[0]}: {error.strerror}") from error
    return Running(process)


def check(
    step: str,
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run `argv`, which must succeed; its standard output.

    Raises:
        BuildError: it failed; the message names the step and the command and ends in its
            last lines.
        OSError: it found the disk full.
    """
    done = run(argv, env=env, cwd=cwd)
    if done.code == 0:
        return done.out
    check_disk(done)
    command = shlex.join(str(word) for word in argv)
    lines = (done.out + done.err).strip().splitlines()[-_LAST_LINES:]
    raise BuildError("\n".join([f"{step} failed (exit {done.code}): {command}", *lines]))


def check_disk(done: Finished) -> None:
    """Say of a failed program what it says only in words: that the disk is full.

    Raises:
        OSError: it is.
    """
    for number in _FULL:
        if os.strerror(number) in done.out + done.err:
            raise OSError(number, os.strerror(number))


@functools.cache
def _until_death() -> tuple[str, ...]:
    setpriv = which("setpriv")
    return (setpriv, "--pdeathsig", "TERM", "--") if setpriv else ()


def replace(argv: Sequence[str | Path], env: Mapping[str, str]) -> NoReturn:
    """Become `argv`, so that its exit code and signals are the caller's.

    Raises:
        InputError: it cannot be started.
    """
    words = [str(word) for word in argv]
    try:
        os.execvpe(words[0], words, dict(env))
    except OSError as error:
        raise InputError(f"cannot run {words[0]}: {error.strerror}") from error


def which(program: str, path: str | None = None) -> str | None:
    """The file that `program` means on PATH, or on `path`."""
    return shutil.which(program, path=path)
