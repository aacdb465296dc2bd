"""Debian's cross GCC of any major version, unpacked privately, to be measured against.

The packages come from the release of Debian that has that version, by this host's own apt-get
and from this host's own mirror. A newer release's programs need its libc: they are run with the
one that is unpacked with them. The tree is then finished as origin `distro` finishes its own.

    python peers.py MAJOR PLATFORM     prints the compiler's path, as for: 14 arm64
"""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import entry

from toolman import elf, store
from toolman.errors import InputError, ToolmanError
from toolman.origins import apt, distro, finish
from toolman.target import Platform, Target
from toolman.toolchain import Description, Toolchain, read, write

if TYPE_CHECKING:
    from toolman.context import Context
    from toolman.host import Host

SUITES = {"12": "bookworm", "13": "trixie", "14": "trixie", "15": "forky", "16": "forky"}
"""Where Debian has each major version."""


def debian_gcc(major: str, platform: Platform, ctx: Context) -> Toolchain:
    """Debian's `gcc-<major>` for `platform`; unpacked below toolman's cache if it is not there.

    Raises:
        InputError: Debian has none.
        NetworkError, IntegrityError: its packages could not be had.
        BuildError: they are not of the known shape.
    """
    if major not in SUITES or platform.debian is None or ctx.host.is_native(platform):
        raise InputError(f"Debian has no cross GCC {major} for {platform}")
    target = Target(platform=platform, libc="gnu")
    tree = ctx.paths.cache / "peers" / f"debian-gcc-{major}-{target}-{ctx.host.key}"

    def waiting() -> None:
        ctx.reporter.step("waiting for another script (Debian's compilers)")

    with store.locked(ctx.paths.cache / "locks", "peers", waiting):
        # Its description is written last.
        found = read(tree)
        if found is None:
            print(f"unpacking Debian's GCC {major} for {platform}, once", file=sys.stderr)
            found = _make(major, target, ctx, tree)
    return found


def _make(major: str, target: Target, ctx: Context, tree: Path) -> Toolchain:
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    package = target.triple.replace("_", "-")
    names = [f"gcc-{major}-{package}", f"libc6-dev-{target.platform.debian}-cross"]
    # The lists with sources are those that the origin `source` has too.
    archive = apt.Archive(cache=ctx.paths.cache, host=ctx.host, suite=SUITES[major], sources=True)
    debs = archive.closure(names, ctx.reporter)
    distro.unpack(archive, debs, lambda _: tree, ctx.reporter)
    _use_own_libc(tree, ctx.host)
    with tempfile.TemporaryDirectory(dir=tree.parent) as aside:
        done = finish.finish(finish.Trees(tree=tree, aside=Path(aside)), target, ctx.host)
    about = Description(
        name=f"debian-{major}",
        target=target,
        version=done.version,
        digest="",
        origin=distro.NAME,
        languages=("c",),
        host=ctx.host.key,
        sysroot=done.sysroot,
        tools=done.tools,
    )
    write(tree, about)
    return Toolchain(path=tree, about=about)


def _use_own_libc(tree: Path, host: Host) -> None:
    """Let all programs find libc and its dynamic linker in this tree, by scripts before them.

    patchelf damages such a cc1 in some versions. A script costs a millisecond.
    """
    aside = tree / "host"
    finish.merge_usr(tree)
    (tree / "usr/lib" / host.platform.triple["gnu"]).rename(aside)
    linker = host.platform.interp["gnu"]
    words = shlex.join(map(str, [aside / Path(linker).name, "--library-path", aside]))
    for number, path in enumerate(_programs(tree / "usr", linker)):
        program = path.rename(aside / f"{number}-{path.name}")
        call = f'exec {words} --argv0 "$0" {shlex.quote(str(program))} "$@"'
        path.write_text(f"#!/bin/sh\n{call}\n", "utf-8")
        path.chmod(0o755)


def _programs(tree: Path, linker: str) -> list[Path]:
    """The files that `linker` runs; the target's libc is a program too, of another one."""
    files = (path for path in sorted(tree.rglob("*")) if not path.is_symlink())
    return [path for path in files if path.is_file() and _interpreter(path) == linker]


def _interpreter(path: Path) -> str | None:
    try:
        return elf.inspect(path).interpreter
    except ToolmanError:
        return None  # no ELF file


def main() -> int:
    """Print the compiler that the command line names; the exit code."""
    major, word = sys.argv[1:]
    return entry.call(lambda ctx: print(debian_gcc(major, entry.platform(word), ctx).tool("gcc")))


if __name__ == "__main__":
    sys.exit(main())
