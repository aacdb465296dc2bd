"""The cells of Go's matrix: go's commands in the environment of a target, and what they make.

A plugin of pytest: it prints a table of the cells that a run has tried. A test hands them over by
`record_property(CELLS, text_of(…))`, for with pytest-xdist it runs in another process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tools

from toolman import elf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAMS = Path(__file__).parent / "programs"
CELLS = "cells of Go's matrix"

# What each program prints, behind its name.
PRINTS = {
    "pure": "{arch} {tag}",
    "std": "{arch} {tag} root 443",
    "own": "{arch} {tag} 1 call, 0.5",
    "cxx": "{arch} {tag} caught 0.5",
}


@dataclass(frozen=True, kw_only=True)
class Command:
    """A call of go for one program, and what is to come of it."""

    words: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    tag: str = "plain"
    stripped: bool | None = False
    """None: that is for go to say."""


COMMANDS = {
    "build": Command(words=("build",)),
    "-ldflags": Command(words=("build", "-ldflags", "-s -w"), stripped=True),
    "-tags": Command(words=("build", "-tags", "x"), tag="tagged"),
    "both": Command(words=("build", "-ldflags=-s -w", "-tags=x"), tag="tagged", stripped=True),
    "GOFLAGS": Command(
        words=("build",), env={"GOFLAGS": "-ldflags=-s -tags=x"}, tag="tagged", stripped=True
    ),
    "-extldflags": Command(words=("build", "-ldflags", "-extldflags '-Wl,-z,stack-size=1048576'")),
    "install": Command(words=("install",)),
    "run": Command(words=("run",), stripped=None),
    "vet": Command(words=("vet",)),
    "test": Command(words=("test", "-v", "-count=1"), stripped=None),
    "cgo off": Command(words=("build",), env={"CGO_ENABLED": "0"}),
    "-trimpath": Command(words=("build", "-trimpath")),
    "pie": Command(words=("build", "-buildmode=pie")),
}
"""Those that compile the standard library anew come last."""
IMPOSSIBLE = {
    # Without cgo a file that imports "C" is none of the package's.
    ("cgo off", name): "build constraints exclude all Go files"
    for name in ("own", "cxx")
}
"""The cells that cannot be, and what go says of them."""

# For threads of musl's; Go's own linker says nothing of them.
_STACKS = {"-extldflags": 1 << 20, "cgo off": None}
# What a user has on PATH as `toolman`; of what go hands to `toolman run` a copy stays in $KEPT.
_TOOLMAN = """\
#!/bin/sh
[ "$1" != run ] || [ -z "${{KEPT-}}" ] || cp -- "$3" "$KEPT"
PYTHONPATH={checkout} exec {python} -m toolman "$@"
"""


class Go:
    """One Go version behind the shim, in the environment of a target."""

    def __init__(
        self, env: Mapping[str, str], version: str, scratch: Path, cache: Path | None = None
    ) -> None:
        bin_ = scratch / "bin"
        bin_.mkdir(parents=True)
        (bin_ / "toolman").write_text(
            _TOOLMAN.format(checkout=tools.CHECKOUT, python=sys.executable)
        )
        (bin_ / "toolman").chmod(0o755)
        shims, rest = env["PATH"].split(os.pathsep, 1)
        self.scratch = scratch
        self.directory = PROGRAMS
        self.target = env["TOOLMAN_ENV"]
        self.static = "TOOLMAN_GO_LDFLAGS" in env
        self.env = {
            **env,
            "PATH": f"{shims}:{tools.go(version).parent}:{bin_}:{rest}",
            "GOCACHE": str(cache or scratch / "cache"),
            "GOPATH": str(scratch / "gopath"),
            "GOENV": "off",
            "GOTOOLCHAIN": "local",
        }

    def attempt(self, *words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.directory,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *args: str, **env: str) -> str:
        """What go prints; it must succeed."""
        done = self.attempt("go", *args, **env)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def out(self) -> Path:
        """A new, empty directory."""
        into = self.scratch / "out"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        return into

    def run(self, program: Path, *words: str | Path) -> str:
        done = self.attempt("toolman", "run", self.target, program, *words)
        return done.stdout.strip() if done.returncode == 0 else f"{done.returncode} {done.stdout}"

    def cell(self, command: str, name: str) -> str:
        """What is wrong with one program built by one of `COMMANDS`; empty if nothing is."""
        wanted = COMMANDS[command]
        env = dict(wanted.env)
        if "GOFLAGS" in env:
            env["GOFLAGS"] = f"{self.env.get('GOFLAGS', '')} {env['GOFLAGS']}"
        verb, *flags = wanted.words
        into = self.out()
        if verb == "build":
            flags = ["-o", f"{into}/", *flags]
        elif verb in ("run", "test"):
            env["KEPT"] = str(into)
            if verb == "test":
                flags = ["-exec", f"toolman run {self.target}", *flags]
        done = self.attempt("go", verb, *flags, f"./{name}", **env)
        if (command, name) in IMPOSSIBLE:
            return "" if IMPOSSIBLE[command, name] in done.stdout else done.stdout
        if done.returncode or verb == "vet":
            return done.stdout
        if verb == "install":  # for the host's own platform there is no directory of its name
            into = next(Path(self.env["GOPATH"], "bin").rglob(name)).parent
        # Of what `go run` starts without toolman, as the host can, no copy is kept.
        program = next(into.glob(f"{name}*"), None)
        said = self.run(program) if verb in ("build", "install") else done.stdout
        expected = self.prints(name, tag=wanted.tag)
        if expected not in said.splitlines():
            return f"prints {said!r}, not {expected!r}"
        return self._misbuilt(command, name, program) if program else ""

    def prints(self, name: str, *, tag: str = "plain") -> str:
        return f"{name} " + PRINTS[name].format(arch=self.env["GOARCH"], tag=tag)

    def _misbuilt(self, command: str, name: str, program: Path) -> str:
        report, wanted = elf.inspect(program), COMMANDS[command]
        linkage = self._linkage(command, name)
        if report.linkage != linkage:
            return f"is {report.linkage}, not {linkage}"
        if wanted.stripped not in (report.stripped, None):
            return f"stripped: {report.stripped}"
        stack = _STACKS.get(command, 8 << 20)
        if self.target.endswith("musl") and report.stack_size != stack:
            return f"stack: {report.stack_size}, not {stack}"
        return ""

    def _linkage(self, command: str, name: str) -> str:
        """What was asked for: a static program, or with glibc a dynamic one if it has any C."""
        if self.static:
            return "static-pie" if command == "pie" else "static"
        has_c = name != "pure" and command != "cgo off"
        return "dynamic" if has_c or command == "pie" else "static"


def text_of(part: Sequence[str], wrong: Mapping[tuple[str, str], str], seconds: float) -> str:
    """For `record_property`: what a part came to, by (command, program)."""
    marks = {
        command: "".join(
            "x" if wrong[command, name] else "-" if (command, name) in IMPOSSIBLE else "."
            for name in PRINTS
        )
        for command in COMMANDS
    }
    return json.dumps([*part, marks, round(seconds)])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for many in terminalreporter.stats.values() for one in many]
    found = [
        json.loads(str(text))
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, text in report.user_properties
        if name == CELLS
    ]
    if not found:
        return
    terminalreporter.section(f"Go: {', '.join(PRINTS)}; . right, x wrong, - not possible")
    terminalreporter.write_line(_line("go", "target", {name: name for name in COMMANDS}, "seconds"))
    for version, target, marks, seconds in sorted(found):
        terminalreporter.write_line(_line(version, target, marks, str(seconds)))


def _line(version: str, target: str, marks: Mapping[str, str], seconds: str) -> str:
    cells = [marks.get(name, "").ljust(max(len(name), len(PRINTS))) for name in COMMANDS]
    return "  ".join([version.ljust(4), target.ljust(18), *cells, seconds])
