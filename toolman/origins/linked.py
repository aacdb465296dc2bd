"""Origin `linked`: a directory that the user owns.

Only a description enters the store; the files stay where they are.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from toolman import run
from toolman import target as targets
from toolman.errors import InputError
from toolman.target import Target
from toolman.toolchain import Description

if TYPE_CHECKING:
    from pathlib import Path

    from toolman.host import Host

NAME = "linked"
_LANGUAGES = {"c": "gcc", "c++": "g++", "gccgo": "gccgo", "fortran": "gfortran"}
_NAME = re.compile(r"[a-z0-9][a-z0-9._+-]*")


def describe(name: str, root: Path, host: Host) -> Description:
    """What the compiler at `root` is; it is asked, nothing is guessed from names.

    Raises:
        InputError: there is none, it does not answer, or it does not fit `name`.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"'{name}' cannot name a toolchain", hint="use a-z, 0-9 and . _ + -")
    gcc = _compiler(root)
    prefix = gcc.name.removesuffix("gcc")
    tools = {
        path.name.removeprefix(prefix): f"bin/{path.name}"
        for path in sorted(gcc.parent.iterdir())
        if path.name.startswith(prefix) and path.is_file()
    }
    version = _ask(gcc, "-dumpfullversion")
    found = _target(name, _ask(gcc, "-dumpmachine"))
    sysroot = _ask(gcc, "-print-sysroot")
    return Description(
        name=name,
        target=found,
        version=version,
        digest=hashlib.sha256(f"{name}\n{root}\n{version}".encode()).hexdigest(),
        origin=NAME,
        languages=tuple(one for one, tool in _LANGUAGES.items() if tool in tools),
        host=host.key,
        sysroot=sysroot or ".",
        tools=tools,
        root=str(root),
    )


def _compiler(root: Path) -> Path:
    found = sorted((root / "bin").glob("*-gcc"))
    plain = root / "bin/gcc"
    found += [plain] if plain.is_file() else []
    if not found:
        raise InputError(f"{root} holds no bin/*-gcc", hint="name a toolchain's top directory")
    return min(found, key=lambda path: len(path.name))


def _ask(gcc: Path, question: str) -> str:
    done = run.run([gcc, question])
    if done.code:
        raise InputError(f"{gcc} {question} failed: {(done.err or done.out).strip()}")
    return done.out.strip()


def _target(name: str, triple: str) -> Target:
    """The target of a compiler that calls itself `triple`; vendors (`buildroot`) do not matter."""
    parts = triple.split("-")
    plain = "-".join(parts if len(parts) < 4 else [parts[0], *parts[2:]])
    try:
        found = targets.parse(plain)
    except InputError:
        raise InputError(f"its compiler is for {triple}, which is no target of toolman's") from None
    if not isinstance(found, Target):
        raise InputError(f"its compiler is for {triple}, which names no libc")
    _check_name(name, found)
    return found


def _check_name(name: str, found: Target) -> None:
    try:
        named = targets.parse(name)
    except InputError:
        return
    if named != found:
        raise InputError(f"{name} cannot name a toolchain for {found.name}", hint=found.name)
