"""One cell's build: in the environment that `toolman env` gives, with what the cell differs in."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from toolman import environment, failures, publish, run
from toolman.errors import InputError
from toolman.matrix import Outcome
from toolman.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toolman.matrix import Cell, Wish
    from toolman.matrix.goes import Go
    from toolman.store import Store

_LAST_LINES = 40  # of a failed program's output
_LONGEST = 300  # letters of one line of why
_NEEDS_CGO = re.compile(r"(?:package )?(\S+): build constraints exclude all Go files in ")
_TROUBLE = ("error:", "undefined reference", "cannot find", "panic:", "fatal error")


def package(wish: Wish, go: Go) -> str:
    """The import path of the program that is to be built.

    Raises:
        InputError: it is not one program.
    """
    argv = ["go", "list", "-f", "{{.ImportPath}} {{.Name}}", f"-tags={wish.tags}"]
    env = {**go.environ, "GOOS": "linux", "CGO_ENABLED": "1"}
    done = run.run([*argv, "--", wish.package], env=env, cwd=wish.directory)
    if done.code:
        why, _ = explained((done.out + done.err).splitlines())
        hint = "give the directory of a Go program, as ./cmd/app"
        raise InputError(f"{wish.package}: {why}", hint=hint)
    found = [line.split() for line in done.out.splitlines()]
    if len(found) != 1:
        hint = "name one program: " + (" or ".join(path for path, _ in found[:3]) or "./cmd/app")
        raise InputError(f"{wish.package} is {len(found)} packages", hint=hint)
    path, name = found[0]
    if name != "main":
        raise InputError(f"{path} is no program: its package is {name}, not main")
    return path


def build(cell: Cell, wish: Wish, store: Store, scratch: Path) -> Outcome:
    """Build `cell` in the directory `scratch`, which is its own."""
    if cell.impossible:
        return Outcome(cell=cell, state="not possible", why=cell.impossible, hint=cell.cure)
    scratch.mkdir()
    program = scratch / "program"
    argv = ["go", "build", "-o", str(program), *_flags(cell, wish), "--", wish.package]
    env = environ(cell, store, scratch)
    done = run.run(argv, env=env, cwd=wish.directory)
    run.check_disk(done)
    if done.code == 0:
        size = program.stat().st_size
        return Outcome(cell=cell, program=program, size=size, notes=_notes(cell, wish))
    lines = (done.out + done.err).splitlines()
    needs = next(filter(None, map(_NEEDS_CGO.match, lines)), None)
    if cell.cgo == "off" and needs:
        why, hint = f"{needs[1]} has no file without cgo", "to see why: toolman explain"
        return Outcome(cell=cell, state="not possible", why=why, hint=hint)
    return failed(Outcome(cell=cell), lines, f"go build: exit code {done.code}")


def environ(cell: Cell, store: Store, scratch: Path) -> dict[str, str]:
    """The environment of `cell`: that of its toolchain, over that of its Go."""
    paths = store.paths
    active = store.active(cell.toolchain.name)
    if active is None or active.path != cell.toolchain.path:
        # The shims are those of another toolchain of the same name.
        paths = Paths(data=scratch / "home", cache=paths.cache)
        publish.apart(cell.toolchain, paths)
    said = environment.statements(
        cell.toolchain, paths, static=cell.cgo == "static", compiler=cell.compiler
    )
    found = environment.applied(said, cell.go.environ)
    if cell.cgo == "off":
        found["CGO_ENABLED"] = "0"
    return found


def failed(outcome: Outcome, lines: Sequence[str], otherwise: str) -> Outcome:
    """`outcome`, failed by what a program has said in `lines`."""
    why, hint = explained(lines)
    return replace(
        outcome,
        state="failed",
        why=why or otherwise,
        hint=outcome.hint or hint,
        log=tuple(lines[-_LAST_LINES:]),
    )


def explained(lines: Sequence[str]) -> tuple[str, str | None]:
    """The line that says why a program failed, and what is known to help."""
    for known in failures.recognise(lines):
        return known.said[:_LONGEST], known.cure
    said = [one.strip() for one in lines if one.strip() and not one.startswith("#")]
    found = [one for one in said if any(word in one for word in _TROUBLE)]
    return next(iter([*found, *said]), "")[:_LONGEST], None


def _flags(cell: Cell, wish: Wish) -> list[str]:
    flags = [f"-tags={wish.tags}"] if wish.tags else []
    return flags + ([f"-ldflags={wish.ldflags}"] if wish.ldflags and cell.compiler == "gc" else [])


def _notes(cell: Cell, wish: Wish) -> tuple[str, ...]:
    notes = []
    if cell.compiler == "gccgo" and wish.ldflags:
        notes.append("gccgo takes no -ldflags: it was built without")
    if cell.cgo == "static" and cell.toolchain.target.libc == "gnu":
        notes.append(environment.STATIC_GLIBC)
    return tuple(notes)
