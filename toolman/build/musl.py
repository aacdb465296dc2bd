"""musl: headers before the compiler is built, the library when there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman.build import flags, headers
from toolman.build.step import Command, Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toolman.build.blueprint import Blueprint
    from toolman.build.layout import Layout

HEADERS = "musl: headers"
COMPILED = "musl: objects"
INSTALLED = "musl: library"


def steps(plan: Blueprint, layout: Layout, *, compiled: str, libgcc: str) -> Iterator[Step]:
    """`compiled` and `libgcc` name the steps that make them; objects need only the first."""
    where = layout.objects("musl")
    yield flags.source(plan, layout, "musl", 1)
    apart = layout.objects("musl-headers")
    yield Step(
        name=HEADERS,
        commands=(_headers(plan, layout, apart),),
        needs=("musl: source", headers.INSTALLED),
        owns=(apart,),
        seconds=1,
    )
    yield Step(
        name=COMPILED,
        commands=(_configure(plan, layout), flags.make(where, "lib/libc.a")),
        needs=(compiled, HEADERS),
        owns=(where,),
        seconds=45,
    )
    install = (f"DESTDIR={layout.sysroot}", "install")
    yield Step(
        name=INSTALLED,
        # libc.so is linked with libgcc.a.
        commands=(flags.make(where), flags.make(where, *install)),
        needs=(COMPILED, libgcc),
        seconds=15,
    )


def compiler(plan: Blueprint, layout: Layout) -> tuple[str, ...]:
    """The words of the C compiler before it is installed."""
    gcc = layout.objects("gcc") / "gcc"
    return (f"{gcc}/xgcc", f"-B{gcc}/", f"--sysroot={layout.sysroot}")


def _headers(plan: Blueprint, layout: Layout, where: Path) -> Command:
    # Not in the source tree: some are made for one machine, and other targets share the tree.
    source = layout.source("musl")
    words = (
        *("-f", f"{source}/Makefile", f"srcdir={source}"),
        f"ARCH={plan.target.platform.musl}",
        "prefix=",
        f"DESTDIR={layout.sysroot}",
        "install-headers",
    )
    return flags.make(where, *words)


def _configure(plan: Blueprint, layout: Layout) -> Command:
    tools = str(layout.out / "bin" / plan.triple)
    hidden = flags.hide(layout.shared, layout.work)
    options = [
        f"--target={plan.triple}",
        "--prefix=",
        "--syslibdir=/lib",
        "--enable-optimize",
        *plan.configure.get("musl", ()),
    ]
    env = {
        "CC": " ".join(compiler(plan, layout)),
        "LIBCC": f"{layout.objects('gcc')}/{plan.triple}/libgcc/libgcc.a",
        # How to optimize what, musl knows best.
        "CFLAGS": " ".join(hidden),
        "AR": f"{tools}-ar",
        "RANLIB": f"{tools}-ranlib",
    }
    return flags.configure(layout.source("musl"), layout.objects("musl"), options, env)
