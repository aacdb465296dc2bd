"""What the compilers are linked with: the arithmetic of gmp, mpfr and mpc, and an allocator.

All of it is static, and shared by all targets. With mimalloc in place of glibc's malloc a compiler
takes a twentieth less time (SQLite at -O2; C++ 2 to 6 %), and no more memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman.build import flags
from toolman.build.step import Command, Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toolman.build.blueprint import Blueprint
    from toolman.build.layout import Layout

_LIBRARIES = ("gmp", "mpfr", "mpc")
_ALLOCATOR = "mimalloc"
NAMES = (*_LIBRARIES, _ALLOCATOR)
"""The components."""
INSTALLED = ("mpc: library", "mimalloc: object")
_SECONDS = {"gmp": 34, "mpfr": 25, "mpc": 6}
# `-fmem-report` asks for these two, and with glibc's own the rest of its allocator would come.
_SOURCE = """\
#include "static.c"
#ifdef __GLIBC__
#include <malloc.h>
struct mallinfo mallinfo(void) { return (struct mallinfo){0}; }
#if __GLIBC_PREREQ(2, 33)
struct mallinfo2 mallinfo2(void) { return (struct mallinfo2){0}; }
#endif
#endif
"""


def steps(plan: Blueprint, layout: Layout) -> Iterator[Step]:
    """Each library needs those before it, installed."""
    needs: tuple[str, ...] = ()
    for name in _LIBRARIES:
        yield flags.source(plan, layout, name, 1)
        yield _build(plan, layout, name, (*needs, f"{name}: source"))
        needs = (f"{name}: library",)
    yield flags.source(plan, layout, _ALLOCATOR, 1)
    yield _allocator(plan, layout)


def linked(layout: Layout) -> str:
    """The flag of a linker by which a program gets the allocator. libtool lets it pass."""
    return f"-Wl,{layout.hostlibs}/mimalloc.o"


def _build(plan: Blueprint, layout: Layout, name: str, needs: tuple[str, ...]) -> Step:
    prefix = layout.hostlibs
    where = _objects(layout, name)
    options = [*flags.machines(plan), f"--prefix={prefix}", "--disable-shared"]
    options += [f"--with-{other}={prefix}" for other in _LIBRARIES[: _LIBRARIES.index(name)]]
    env = flags.host_environment(plan, layout.shared)
    return Step(
        name=f"{name}: library",
        commands=(
            flags.configure(layout.source(name), where, options, env),
            flags.make(where, flags.NO_MANUAL),
            flags.make(where, flags.NO_MANUAL, "install"),
        ),
        needs=needs,
        owns=(where,),
        seconds=_SECONDS[name],
        shared=layout.hostlibs_key,
    )


def _allocator(plan: Blueprint, layout: Layout) -> Step:
    where, tree = _objects(layout, _ALLOCATOR), layout.source(_ALLOCATOR)
    words = (
        *plan.cc.split(),
        *(*flags.OPTIMIZE.split(), "-DNDEBUG", "-DMI_MALLOC_OVERRIDE", "-fno-builtin-malloc"),
        # Thread-local data that a static program reaches without a call.
        "-ftls-model=local-exec",
        *flags.hide(layout.shared),
        *(f"-I{tree}/include", f"-I{tree}/src", "-c", "host.c", "-o", "host.o"),
    )
    put = f"install -D -m 644 host.o {layout.hostlibs}/mimalloc.o"
    return Step(
        name=INSTALLED[1],
        commands=(
            Command(argv=("sh", "-euc", 'printf %s "$1" > host.c', "sh", _SOURCE), cwd=where),
            Command(argv=words, cwd=where),
            flags.shell(where, put),
        ),
        needs=(f"{_ALLOCATOR}: source",),
        owns=(where,),
        seconds=4,
        shared=layout.hostlibs_key,
    )


def _objects(layout: Layout, name: str) -> Path:
    return layout.shared / f"{name}-objects-{layout.hostlibs_key}"
