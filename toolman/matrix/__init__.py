"""One program in many builds: what each comes to, in size, start-up time and memory.

A *cell* is one build: a toolchain, a Go, a compiler, and cgo off, dynamic or static. Without cgo
no libc is in the program, so there is one such cell for each platform and Go.

`matrix.json` (schema 1):
    package     the program's import path
    method      how the figures were got
        toolman, host {system, machine, kernel, processors}
        go          [{version, program}]
        toolchains  [{name, target, gcc, origin, digest, malloc}]
        qemu        by platform: what qemu-user says of its version
        runs, run_args, time_limit (seconds), ldflags, tags
    cells       in the order in which they were asked for:
        label, platform, target, toolchain (digest), malloc: the last three null without cgo
        cgo         "off", "dynamic" or "static"
        compiler    "gc" or "gccgo"
        go          "go1.27.3"
        state       "ok", "failed", or "not possible": it cannot work by design
        why, hint   one line each, of a cell that is not ok; else null
        log         the last lines of a failed build or run
        size        bytes; null if nothing was built
        verified    {ok, failures, …}: as `toolman verify --json` says it; null likewise
        notes       what else is to be known of it
        run         {how, why, seconds, median, peak}: `how` is "native" or "qemu", null with the
                    reason in `why`; `seconds` of each run, `peak` in KiB, with qemu its own; null
                    if it was not to be run
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from toolman.elf import Report
    from toolman.matrix.goes import Go
    from toolman.target import Platform
    from toolman.toolchain import Toolchain

Cgo = Literal["off", "dynamic", "static"]
Compiler = Literal["gc", "gccgo"]
State = Literal["ok", "failed", "not possible"]
How = Literal["native", "qemu"]
CGO: tuple[Cgo, ...] = ("off", "dynamic", "static")
COMPILERS: tuple[Compiler, ...] = ("gc", "gccgo")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One build. Without cgo, the toolchain only names the platform."""

    toolchain: Toolchain
    go: Go
    compiler: Compiler
    cgo: Cgo
    malloc: str
    label: str = ""
    impossible: str | None = None
    """Why it cannot work."""
    cure: str | None = None

    @property
    def platform(self) -> Platform:
        return self.toolchain.target.platform

    @property
    def place(self) -> str:
        """The toolchain, or what counts of it: `arm64-musl`, `linux/arm64`."""
        return str(self.platform) if self.cgo == "off" else self.toolchain.name


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be built and run, in every cell alike."""

    directory: Path
    package: str
    ldflags: str = ""
    tags: str = ""
    runs: int = 10
    """0: it is not run."""
    run_args: Sequence[str] = ()
    limit: float = 10
    """Seconds that a run may take."""


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The runs of a program, or why there are none."""

    how: How | None
    why: str | None = None
    seconds: tuple[float, ...] = ()
    peak: int | None = None
    """KiB, the highest of all runs."""

    @property
    def median(self) -> float | None:
        return statistics.median(self.seconds) if self.seconds else None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What has become of a cell; see the module."""

    cell: Cell
    state: State = "ok"
    why: str | None = None
    hint: str | None = None
    log: tuple[str, ...] = ()
    program: Path | None = None
    size: int | None = None
    report: Report | None = None
    failures: tuple[str, ...] = ()
    """Of the verification."""
    notes: tuple[str, ...] = ()
    run: Runs | None = None


@dataclass(frozen=True, kw_only=True)
class Method:
    """How the figures were got."""

    toolman: str
    host: Mapping[str, str | int]
    go: Sequence[Go]
    toolchains: Sequence[Toolchain]
    qemu: Mapping[str, str]
    """By platform: what qemu-user says of its version."""
    gccgo: bool
    """Whether it was asked for."""
    wish: Wish
