"""Go programs: the one on PATH, one by its path, or a version that Go fetches by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import offline, run
from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_INSTALL = "install Go: https://go.dev/dl"
_VERSION = re.compile(r"(go)?(\d+\.\d+(\.\d+)?((rc|beta)\d+)?)")


@dataclass(frozen=True, kw_only=True)
class Go:
    """A Go: `environ` makes the `go` of a shell be it."""

    version: str
    """`go1.27.3`."""
    program: Path
    environ: Mapping[str, str]


def find(
    words: Sequence[str], environ: Mapping[str, str], directory: Path, scratch: Path
) -> list[Go]:
    """The Go that each word means, each once; without words, that on PATH.

    A version is asked of the go on PATH by GOTOOLCHAIN, so it may fetch that. What has another
    name than `go` gets this one below `scratch`.

    Raises:
        InputError: there is no such Go.
    """
    found: dict[str, Go] = {}
    for number, word in enumerate(words or [""]):
        one = _find(word, environ, directory, scratch / f"go{number}")
        same = found.setdefault(one.version, one)
        if same is not one:
            raise InputError(f"--go {word}: it is {one.version}, as {same.program} is already")
    return [*found.values()]


def _find(word: str, environ: Mapping[str, str], directory: Path, scratch: Path) -> Go:
    env = dict(environ)
    if offline.on():
        env["GOPROXY"] = "off"
    if "/" in word:
        # Only as that very Go: another GOROOT, or a newer Go that go.mod names, is none.
        env.pop("GOROOT", None)
        env["GOTOOLCHAIN"] = "local"
        return _asked(word, _program(word), env, directory, scratch)
    program = run.which("go", environ.get("PATH"))
    if program is None:
        raise InputError("go is not on PATH", hint=f"{_INSTALL}, or: --go PATH")
    if not word:
        return _asked(program, Path(program), env, directory, scratch)
    version = _VERSION.fullmatch(word)
    if version is None:
        hint = "--go 1.27.3, or the path of a go program: --go ./go/bin/go"
        raise InputError(f"--go: '{word}' is no version of Go", hint=hint)
    env["GOTOOLCHAIN"] = f"go{version[2]}"
    found = _asked(word, Path(program), env, directory, scratch)
    if found.version != env["GOTOOLCHAIN"]:
        hint = "GOTOOLCHAIN is known since Go 1.21; or: --go PATH"
        raise InputError(f"--go {word}: {program} stays {found.version}", hint=hint)
    return found


def _program(word: str) -> Path:
    if run.which(word) is None:
        hint = "give the path of a go program, as ./go/bin/go"
        raise InputError(f"--go {word}: no such program", hint=hint)
    return Path(word)


def _asked(word: str, program: Path, env: Mapping[str, str], directory: Path, scratch: Path) -> Go:
    """`program`, once it has said its version where it is to build."""
    if program.name != "go":
        scratch.mkdir()
        (scratch / "go").symlink_to(program)
    first = program.parent if program.name == "go" else scratch
    environ = {**env, "PATH": f"{first}:{env.get('PATH', '')}"}
    done = run.run([first / "go", "env", "GOVERSION"], env=environ, cwd=directory)
    version = done.out.strip()
    if done.code or not version.startswith("go"):
        said = done.err.strip().splitlines() or [f"{program} is no go program"]
        hint = "see: go help toolchain" if "GOTOOLCHAIN" in env else None
        raise InputError(f"go {word}: {said[-1]}", hint=hint)
    return Go(version=version.split()[0], program=program, environ=environ)
