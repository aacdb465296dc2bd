"""How a cross GCC is made: the steps in their order.

    the host's libraries (gmp, mpfr, mpc)      binutils      headers of Linux
                              \\                  |                 /
                                     GCC's compilers
                                    /               \\
       the libc's headers, libgcc.a                  musl's objects
                                    \\               /
                                     the libc, linked
                                           |
                                     shared libgcc
                                           |
              libstdc++, libatomic, libgomp, libgo, libgfortran … side by side

The result lies in `layout.out`; `finish` makes a toolchain of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman.build import binutils, gcc, glibc, headers, hostlibs, malloc, musl
from toolman.build.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from toolman.build.blueprint import Blueprint
    from toolman.build.step import Step
    from toolman.target import Target


def layout(plan: Blueprint, cache: Path) -> Layout:
    """Where the toolchain of `plan` is built below `cache`."""
    return Layout(
        cache=cache,
        name=name(plan.target, plan.digest),
        triple=plan.triple,
        sources={name: source.key for name, source in plan.sources.items()},
        hostlibs_key=plan.hostlibs_key,
    )


def name(target: Target, digest: str) -> str:
    """What the directory of a toolchain's build is called."""
    return f"{target}-{digest[:12]}"


def steps(plan: Blueprint, where: Layout) -> list[Step]:
    """All steps. Of those that could begin, the first ones do: the longest way stands first."""
    libc = musl if plan.musl else glibc
    return [
        *headers.steps(plan, where),
        *binutils.steps(plan, where),
        *hostlibs.steps(plan, where),
        *gcc.steps(plan, where, headers=libc.HEADERS, libc=libc.INSTALLED),
        *libc.steps(plan, where, compiled=gcc.COMPILED, libgcc=gcc.LIBGCC),
        *malloc.steps(plan, where),
    ]
