"""Other programs: the only user of `subprocess`."""

from __future__ import annotations

import errno
import os
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from toolman.errors import BuildError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

_LAST_LINES = 20
_PATIENCE = 3  # seconds that a program gets to end
_LONGEST = 1 << 20  # bytes of a program's output that are kept
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
# A small process waits for a word, and becomes the program when its parent, a shell, is gone.
_LAUNCH = """exec 3<&0; (read -r _; exec "$@" <"/dev/null" 3<&-) <&3 >&2 & echo $!"""
_WATCH = "trap '' TERM; read -r _; kill -TERM 0; sleep 1; kill -KILL 0"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A program that has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A program that has been measured."""

    code: int
    """As `Finished.code`: negative for a signal."""
    in_time: bool
    """Whether it has ended by itself."""
    seconds: float
    peak: int
    """The most memory that it had at a time, KiB (ru_maxrss)."""
    said: str
    """Its output and its errors, in the order in which they came."""


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


class Jobs:
    """Programs whose output goes into logs. They end when toolman does, however it ends.

    With all of their children they are one process group. The group's first program waits for
    the end of a pipe that only toolman holds, so for its death too, and then kills the group.
    Another pipe is held by every program, and ends with the last one.
    """

    def __init__(self) -> None:
        self._held, self._hold = os.pipe()
        self._watch = subprocess.Popen(
            ["sh", "-c", _WATCH],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._ended = False

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        fds: Sequence[int] = (),
    ) -> int:
        """Run `argv` to its end; the exit code. After `end`, nothing is begun any more."""
        with self._lock, log.open("ab") as file:
            if self._ended:
                return -signal.SIGTERM
            process = subprocess.Popen(
                argv,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=(*fds, self._hold),
                process_group=self._watch.pid,
            )
            self._running.add(process)
        try:
            return process.wait()
        finally:
            self._running.discard(process)

    def end(self) -> None:
        """End them all: politely first, so that `make` deletes what is half written."""
        with self._lock:
            self._ended = True
        os.killpg(self._watch.pid, signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE
        for process in list(self._running):
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0))
        self._kill()

    def are_ended(self) -> bool:
        return self._ended

    def __enter__(self) -> Jobs:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        os.close(self._hold)
        # What was killed may still be writing into what the next step would delete.
        select.select([self._held], [], [], _PATIENCE)
        os.close(self._held)
        self._watch.communicate()

    def _kill(self) -> None:
        # The group is there until its first program has been waited for.
        os.killpg(self._watch.pid, signal.SIGKILL)


def run(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Finished:
    """Run `argv` to its end, whatever its exit code.

    Raises:
        InputError: there is no such program.
    """
    with start(argv, env=env, cwd=cwd) as process:
        return process.finish()


def answer(argv: Sequence[str], text: str, seconds: float) -> Finished:
    """Run `argv` with `text` on its standard input, for so long at most.

    Raises:
        InputError: there is no such program, or it does not end.
    """
    try:
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, errors="replace", timeout=seconds
        )
    except OSError as error:
        raise InputError(f"cannot run {argv[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise InputError(f"{argv[0]} has not ended after {seconds:.0f} seconds") from None
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr)


def measure(
    argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, limit: float
) -> Measured:
    """Run `argv`, for `limit` seconds at most; not from two threads at a time.

    Linux counts for a program's peak what the process had that became it (exec_mmap in
    fs/exec.c). A child of Python's would have Python's peak, so it is a shell's, of which only
    about 1 MiB counts; and since no shell tells its children's peak, toolman adopts it.
    """
    import ctypes  # as in `syncing`

    prctl = ctypes.CDLL(None).prctl
    prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(
                ["sh", "-c", _LAUNCH, "sh", *map(str, argv)],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                process_group=0,
            ) as shell,
        ):
            return _adopted(shell, limit, said)
    finally:
        prctl(_SUBREAPER, 0, 0, 0, 0)


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
    return succeeded(step, argv, run(argv, env=env, cwd=cwd))


def succeeded(step: str, argv: Sequence[str | Path], done: Finished) -> str:
    """The standard output of `argv`, which has ended as `done`.

    Raises: as `check`.
    """
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


def _end_group(group: int) -> None:
    """End what is left of a process group whose orphans are this process's children."""
    with suppress(ChildProcessError, ProcessLookupError):
        os.waitpid(-group, os.WNOHANG)  # raises where nothing is left
        os.killpg(group, signal.SIGKILL)
        while True:
            os.waitpid(-group, 0)


def _adopted(shell: subprocess.Popen[bytes], limit: float, said: BinaryIO) -> Measured:
    """Let the child of `shell`, which `measure` has begun, become its program; and wait for it."""
    assert shell.stdin
    assert shell.stdout
    pid = int(shell.stdout.readline())
    shell.wait()
    late = threading.Event()

    def end() -> None:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
            late.set()

    timer = threading.Timer(limit, end)
    timer.start()
    began = time.perf_counter()
    try:
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - began
    finally:
        timer.cancel()
        _end_group(shell.pid)
    said.seek(0)
    return Measured(
        code=os.waitstatus_to_exitcode(status),
        in_time=not late.is_set(),
        seconds=seconds,
        peak=usage.ru_maxrss,
        said=said.read(_LONGEST).decode("utf-8", "replace"),
    )
