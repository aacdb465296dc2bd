"""Link-time optimization with static tools: GCC's plugin is linked into ld, ar and nm.

A static program cannot load a shared library. So binutils are linked with a `dlopen` that knows
one plugin, compiled in from GCC's source (`data/linked-plugin.c`). It is asked for by the name of
a file that has to be there, and is never read: the placeholders below.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolman.build import flags
from toolman.build.step import Command

if TYPE_CHECKING:
    from toolman.build.blueprint import Blueprint
    from toolman.build.layout import Layout

SOURCE = Path(__file__).parent.parent / "data" / "linked-plugin.c"
NAME = "liblto_plugin.so"
_SAID = "GCC's LTO plugin is linked into ld, ar and nm."


def library(plan: Blueprint, layout: Layout) -> tuple[Command, ...]:
    """Make, in the directory of binutils, the library that `libraries` names."""
    where, gcc = layout.objects("binutils"), layout.source("gcc")
    compile_ = (
        *plan.cc.split(),
        *flags.OPTIMIZE.split(),
        *flags.hide(layout.shared, layout.work, SOURCE.parent),
        *("-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-DHAVE_STDINT_H=1", "-DHAVE_SYS_WAIT_H=1"),
        f'-DBASE_VERSION="{plan.sources["gcc"].version}"',
        *(f"-I{gcc}/{name}" for name in ("lto-plugin", "include")),
        *("-c", str(SOURCE), "-o", "linked-plugin.o"),
    )
    join = "cp libiberty/libiberty.a liblinkedplugin.a; ar rD liblinkedplugin.a linked-plugin.o"
    return (
        flags.make(where, "all-libiberty"),
        Command(argv=compile_, cwd=where),
        flags.shell(where, join),
    )


def libraries(layout: Layout) -> dict[str, str]:
    """For the configures of ld, ar and the like."""
    return {"LIBS": str(layout.objects("binutils") / "liblinkedplugin.a")}


def pretend_for_gcc(layout: Layout) -> Command:
    """GCC's configure takes a linker to have plugins if it sees its own built."""
    where = layout.objects("gcc") / "gcc"
    return flags.shell(where, f': > liblto_plugin.la; echo "{_SAID}" > {NAME}')


def write_placeholders(tree: Path) -> None:
    """Where the finished tree's gcc, and ar and nm by themselves, look for the plugin."""
    for parts in (*tree.glob("libexec/gcc/*/*"), tree / "lib/bfd-plugins"):
        parts.mkdir(exist_ok=True)
        (parts / NAME).unlink(missing_ok=True)
        (parts / NAME).write_text(f"{_SAID}\n", "utf-8")
