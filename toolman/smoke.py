"""The proof that a finished tree compiles, given before it enters the store."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from toolman import run
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
    """Compile and link a program of each language, all at once, and look at what came out.

    Raises:
        BuildError: it failed, or the program is for another machine.
    """
    languages = [one for one in made.about.languages if one in _SOURCES]
    programs = {one: work / f"smoke-{one}" for one in languages}
    argvs = {one: _prepare(made, one, program) for one, program in programs.items()}
    with ExitStack() as stack:
        running = {one: stack.enter_context(run.start(argv)) for one, argv in argvs.items()}
        from toolman import elf  # 10 ms: the compilers are at work meanwhile

        for one, program in programs.items():
            run.succeeded(f"a first {one} program", argvs[one], running[one].finish())
            machine = elf.machine_of(program)
            if made.target.platform not in machine.platforms:
                raise BuildError(f"{made.name} makes programs for {machine}")


def _prepare(made: Toolchain, language: str, program: Path) -> list[str | Path]:
    """The command that makes `program`, and what it compiles."""
    tool, extension, text = _SOURCES[language]
    source = program.with_name(f"smoke.{extension}")
    source.write_text(text, "utf-8")
    static = ["-static"] if made.target.libc == "musl" else []
    return [made.tool(tool), *static, source, "-o", program]
