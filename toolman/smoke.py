"""The proof that a finished tree compiles, given before it enters the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman import elf, run
from toolman.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

    from toolman.toolchain import Toolchain

_C = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'
# Headers, library and exceptions; <iostream> would prove no more, and take six times as long.
_CXX = """\
#include <exception>
#include <new>
int main() { try { delete new int; throw std::exception(); } catch (std::exception &) {} }
"""
_GO = "package main\nfunc main() { println(1) }\n"
_SOURCES = {"c": ("gcc", "c", _C), "c++": ("g++", "cc", _CXX), "gccgo": ("gccgo", "go", _GO)}


def test(made: Toolchain, work: Path) -> None:
    """Compile and link a program of each language, and look at what came out.

    Raises:
        BuildError: it failed, or the program is for another machine.
    """
    for language in made.about.languages:
        if language in _SOURCES:
            _compile(made, work, language)


def _compile(made: Toolchain, work: Path, language: str) -> None:
    tool, extension, text = _SOURCES[language]
    source, program = work / f"smoke.{extension}", work / "smoke"
    source.write_text(text, "utf-8")
    static = ["-static"] if made.target.libc == "musl" else []
    run.check(f"a first {language} program", [made.tool(tool), *static, source, "-o", program])
    machine = elf.machine_of(program)
    if made.target.platform not in machine.platforms:
        raise BuildError(f"{made.name} makes programs for {machine}")
