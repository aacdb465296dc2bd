"""The sysroot's first contents: its directories, and Linux's headers for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman.build import flags
from toolman.build.step import Command, Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toolman.build.blueprint import Blueprint
    from toolman.build.layout import Layout

SYSROOT = "sysroot: directories"
INSTALLED = "linux-headers: installation"


def steps(plan: Blueprint, layout: Layout) -> Iterator[Step]:
    """The sysroot, then the headers; libc's own headers come over them."""
    yield Step(
        name=SYSROOT,
        commands=tuple(_directories(plan, layout)),
        owns=(layout.out,),
        seconds=0.1,
    )
    debian = plan.sources["linux-headers"].debian
    where = layout.objects("linux-headers")
    install = _of_debian(where, layout) if debian else _of_kernel(where, plan, layout)
    yield Step(
        name=INSTALLED,
        commands=(flags.unpack(plan, "linux-headers", where, strip=0 if debian else 1), *install),
        needs=(SYSROOT,),
        owns=(where,),
        seconds=2 if debian else 30,
    )


def _directories(plan: Blueprint, layout: Layout) -> Iterator[Command]:
    root = layout.sysroot
    yield Command(argv=("mkdir", "-p", str(root / "include"), str(root / "lib")), cwd=layout.work)
    # One directory, by whichever name a program's or GCC's habits call it.
    links = {"usr": "."}
    if plan.target.platform.elf["bits"] == 64:
        links["lib64"] = "lib"
    if plan.target.platform.name == "riscv64":
        links["lib/lp64d"] = "."
    for name, to in links.items():
        yield Command(argv=("ln", "-sfn", to, str(root / name)), cwd=layout.work)


def _of_debian(where: Path, layout: Layout) -> list[Command]:
    """A package `linux-libc-dev-…-cross` holds them as they are."""
    return [flags.shell(where, f'cp -R usr/*/include/. "{layout.sysroot}/include"')]


def _of_kernel(where: Path, plan: Blueprint, layout: Layout) -> list[Command]:
    return [
        # The rule `headers_install` would need rsync.
        flags.make(where, f"ARCH={plan.target.platform.kernel}", "headers"),
        # Every libc has scsi/ of its own.
        flags.shell(
            where, "find usr/include ! -name '*.h' -type f -delete; rm -rf usr/include/scsi"
        ),
        flags.shell(where, f'cp -R usr/include/. "{layout.sysroot}/include"'),
    ]
