"""binutils: assembler, linker and their like for the target."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toolman.build import answers, flags, headers, lto
from toolman.build.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolman.build.blueprint import Blueprint
    from toolman.build.layout import Layout

INSTALLED = "binutils: tools"


def steps(plan: Blueprint, layout: Layout) -> Iterator[Step]:
    """Source, and the tools installed."""
    where = layout.objects("binutils")
    env = flags.host_environment(plan, layout.shared, layout.work)
    install = flags.make(where, flags.NO_MANUAL, f"DESTDIR={layout.out}", "install-strip")
    yield flags.source(plan, layout, "binutils", 5)
    yield Step(
        name=INSTALLED,
        commands=(
            flags.configure(layout.source("binutils"), where, _options(plan), env),
            answers.lay(layout, "binutils"),
            *lto.library(plan, layout),
            replace(flags.make(where, flags.NO_MANUAL), env=lto.libraries(layout)),
            answers.keep(layout, "binutils"),
            install,
        ),
        needs=("binutils: source", "gcc: source", headers.SYSROOT),
        owns=(where,),
        seconds=130,
    )


def _options(plan: Blueprint) -> tuple[str, ...]:
    return (
        *flags.machines(plan),
        f"--target={plan.triple}",
        # An empty prefix makes ld find its scripts and the sysroot relative to itself.
        "--prefix=",
        f"--with-sysroot=/{plan.triple}",
        # Archives hold no times and no owners.
        "--enable-deterministic-archives",
        # The compiler's own default as well: what needs an executable stack has to say so.
        "--enable-relro",
        "--enable-new-dtags",
        # As 64-bit targets have it anyway: so nearly all objects are the same for all targets.
        "--enable-64-bit-bfd",
        "--disable-multilib",
        "--disable-nls",
        "--disable-shared",
        "--disable-werror",
        # Their libraries are not on every host.
        "--without-zstd",
        "--without-debuginfod",
        "--without-system-zlib",
        # gold is no longer maintained, and Go needs it no more.
        "--disable-gold",
        "--disable-gprof",
        "--disable-gprofng",
        "--disable-gdb",
        "--disable-gdbserver",
        "--disable-sim",
        "--disable-readline",
        *plan.configure.get("binutils", ()),
    )
