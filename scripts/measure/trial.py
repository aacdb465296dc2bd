"""One test with one compiler: compiled, linked, and run."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torture
from torture import Case, Machine

if TYPE_CHECKING:
    from collections.abc import Sequence

Result = Literal["pass", "unsupported", "compile", "run"]

STATIC = ("-static",)
_TELLING = ("error", "undefined", "multiple")
_COMPILING = 300  # seconds; GCC's own limit
_RUNNING = 60


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """One of the compilers that are compared."""

    name: str
    gcc: Path
    version: str
    machine: Machine
    runner: tuple[str, ...]
    """The words before a program that run it here."""
    dynamic: tuple[str, ...]
    """The flags of a dynamic program that finds this compiler's libc."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one test."""

    test: str
    level: str
    result: Result
    said: str = ""
    """The reason, where it did not pass."""


def attempt(compiler: Compiler, case: Case, *, level: str, scratch: Path) -> Outcome:
    """Try `case` with the flags of `level`, in a directory of its own below `scratch`."""
    chosen = torture.plan(case, level.split(), compiler.machine)
    if isinstance(chosen, str):
        return Outcome(test=case.name, level=level, result="unsupported", said=chosen)
    flags, sources = chosen
    linked = compiler.dynamic if case.dynamic else STATIC
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        result, said = build_and_run(
            compiler.gcc, [*linked, *level.split(), *flags, *sources], compiler.runner, Path(place)
        )
    return Outcome(test=case.name, level=level, result=result, said=said)


def build_and_run(
    gcc: Path, words: Sequence[str | Path], runner: Sequence[str], place: Path
) -> tuple[Result, str]:
    """What a program does that is compiled with `words`, and what was said where it failed."""
    program = place / "program"
    # What DejaGnu gives too: no warnings, and libm.
    argv = [gcc, "-w", *words, "-o", program, "-lm"]
    said = _trouble(argv, place, _COMPILING)
    if said is not None:
        return "compile", said
    said = _trouble([*runner, program], place, _RUNNING)
    return ("pass", "") if said is None else ("run", said)


def _trouble(argv: Sequence[str | Path], place: Path, limit: int) -> str | None:
    """Why `argv` failed; None if it did not."""
    try:
        done = subprocess.run(
            argv,
            cwd=place,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {limit} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    errors = [line for line in lines if any(word in line for word in _TELLING)]
    return (errors or [f"exit {done.returncode}"])[0][-200:]
