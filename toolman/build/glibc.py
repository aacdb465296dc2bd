"""glibc: its headers as soon as there is a compiler, the library when there is a libgcc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman.build import flags
from toolman.build.step import Command, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolman.build.blueprint import Blueprint
    from toolman.build.layout import Layout

HEADERS = "glibc: headers"
INSTALLED = "glibc: library"
# What only a system needs, and a sysroot does not. Its programs go to a directory of their own,
# for the sysroot's bin is where GCC finds the target's assembler and linker.
_PROGRAMS = "programs"
_SYSTEM = (_PROGRAMS, "sbin", "libexec", "share", "var", "etc", "lib/gconv", "lib/audit")


def steps(plan: Blueprint, layout: Layout, *, compiled: str, libgcc: str) -> Iterator[Step]:
    """`compiled` and `libgcc` name the steps that make them."""
    where, root = layout.objects("glibc"), f"install_root={layout.sysroot}"
    stubs = str(layout.sysroot / "include/gnu/stubs.h")
    yield flags.source(plan, layout, "glibc", 4)
    yield Step(
        name=HEADERS,
        commands=(
            _configure(plan, layout),
            flags.make(where, "install-bootstrap-headers=yes", root, "install-headers"),
            # Which functions are stubs, only the finished library tells.
            Command(argv=("touch", stubs), cwd=where),
        ),
        needs=("glibc: source", compiled),
        owns=(where,),
        seconds=25,
    )
    yield Step(
        name=INSTALLED,
        commands=(
            flags.make(where),
            flags.make(where, root, "install"),
            flags.shell(layout.sysroot, f"rm -rf {' '.join(_SYSTEM)}"),
        ),
        needs=(HEADERS, libgcc),
        seconds=350,
    )


def _configure(plan: Blueprint, layout: Layout) -> Command:
    tools, gcc = str(layout.out / "bin" / plan.triple), layout.objects("gcc")
    options = [
        f"--build={flags.build_machine(plan)}",
        f"--host={plan.triple}",
        "--prefix=/usr",
        # The sysroot has one directory of libraries, whatever the machine's habits are.
        "--libdir=/usr/lib",
        *(f"--{name}=/{_PROGRAMS}" for name in ("bindir", "sbindir")),
        f"--with-headers={layout.sysroot}/include",
        # It asks the compiler, which is not yet where it would know them, and takes the host's.
        f"--with-binutils={layout.sysroot}/bin",
        "--disable-werror",
        "--disable-nscd",
        "--disable-timezone-tools",
        "--without-selinux",
        "libc_cv_slibdir=/lib",
        # Only some of its tests are C++, and there is no compiler for it yet but the host's.
        "libc_cv_cxx_link_ok=no",
        *plan.configure.get("glibc", ()),
    ]
    env = {
        # The compiler is not installed yet, and neither is its libgcc.
        "CC": f"{gcc}/gcc/xgcc -B{gcc}/gcc/ -B{gcc}/{plan.triple}/libgcc/"
        f" --sysroot={layout.sysroot}",
        "CFLAGS": " ".join(["-O2", *flags.hide(layout.shared, layout.work)]),
        "BUILD_CC": plan.cc,
        "AR": f"{tools}-ar",
        "RANLIB": f"{tools}-ranlib",
    }
    return flags.configure(layout.source("glibc"), layout.objects("glibc"), options, env)
