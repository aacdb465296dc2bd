"""What steps of several components say in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman.build.step import Command, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from toolman.build.blueprint import Blueprint
    from toolman.build.layout import Layout

# No debug information: nobody debugs the compiler.
OPTIMIZE = "-O2 -g0 -pipe"
# Not `-static`: libtool keeps that for itself. This one it hands on, and GCC takes it as well.
STATIC = "--static"
# No manuals, so no texinfo.
NO_MANUAL = "MAKEINFO=true"
# The compilers test themselves with what remains of the test suite.
_UNBUILT = ("gcc/testsuite/[!s]*", "gcc/ada", "libphobos", "libgm2", "libgrust")


def host_environment(plan: Blueprint, *hidden: Path) -> dict[str, str]:
    """For configure: how to compile what runs on the host. Of the directories `hidden` nothing
    gets into what is compiled."""
    flags = " ".join([OPTIMIZE, *hide(*hidden)])
    return {
        "CC": plan.cc,
        "CXX": plan.cxx,
        "CFLAGS": flags,
        "CXXFLAGS": flags,
        "LDFLAGS": STATIC,
    }


def hide(*directories: Path) -> list[str]:
    """Flags of GCC by which `__FILE__` and the like name no directory of this machine."""
    return [f"-ffile-prefix-map={path}=/{number}" for number, path in enumerate(directories)]


def configure(tree: Path, where: Path, options: Sequence[str], env: Mapping[str, str]) -> Command:
    """Run the `configure` of the source tree `tree` in the directory `where`."""
    return Command(argv=("sh", str(tree / "configure"), *options), cwd=where, env=dict(env))


def machines(plan: Blueprint) -> tuple[str, str]:
    """For configure: what is built runs where it is built. Told nothing, some would use what the
    processor of this very machine can do."""
    machine = build_machine(plan)
    return (f"--build={machine}", f"--host={machine}")


def build_machine(plan: Blueprint) -> str:
    """The machine that compiles, without the processor that it happens to have."""
    return f"{plan.machine}-pc-linux-gnu"


def make(where: Path, *words: str) -> Command:
    """`make` in a directory; how many jobs, the jobserver says."""
    return Command(argv=("make", *words), cwd=where)


def shell(where: Path, text: str) -> Command:
    """A line of sh."""
    return Command(argv=("sh", "-euc", text), cwd=where)


def unpack(plan: Blueprint, component: str, where: Path, strip: int = 1) -> Command:
    """Unpack a component's source, but for what is never built: half of GCC's files."""
    without = _UNBUILT if component == "gcc" else ()
    argv = (
        "tar",
        "--extract",
        "--no-same-owner",
        f"--strip-components={strip}",
        "--no-wildcards-match-slash",
        *(f"--exclude=*/{name}" for name in without),
        f"--file={plan.sources[component].file}",
    )
    return Command(argv=argv, cwd=where)


def source(plan: Blueprint, layout: Layout, component: str, seconds: float) -> Step:
    """Unpack and patch the source tree of `component`."""
    tree = layout.source(component)
    patches = [
        Command(argv=("patch", "-p1", "--forward", "-i", str(path)), cwd=tree)
        for path in plan.sources[component].patches
    ]
    return Step(
        name=f"{component}: source",
        commands=(unpack(plan, component, tree), *patches),
        owns=(tree,),
        seconds=seconds,
        shared=layout.sources[component],
    )
