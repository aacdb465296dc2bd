"""From what was installed to a toolchain: without what nobody uses, stripped, relocatable.

Nothing in the finished tree tells where it was built: that is looked for, byte by byte.
"""

from __future__ import annotations

import mmap
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import run
from toolman.build import lto
from toolman.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolman.build.blueprint import Blueprint
    from toolman.build.layout import Layout

# Manuals, libtool's notes of where things were, and what only GCC's own build uses.
_USELESS = (
    "share",
    "include",
    "lib/bfd-plugins",
    "lib/*.a",
    "lib/*.la",
    "lib64",
    "libexec/gcc/*/*/install-tools",
    "lib/gcc/*/*/install-tools",
    "lib/gcc/*/*/plugin",
    "bin/*-lto-dump",
    "bin/*-gcov-dump",
    "bin/*-gcov-tool",
    "*/lib/*.la",
    "*/lib/*-gdb.py",
)
_PROGRAMS = ("bin/*", "*/bin/*", "libexec/gcc/*/*/*")
_TARGET_FILES = (
    "*/lib/**/*.a",
    "*/lib/**/*.o",
    "*/lib/**/*.so*",
    "lib/gcc/**/*.a",
    "lib/gcc/**/*.o",
)
_ALIASES = {"cc": "gcc"}


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What the finished tree holds; for `toolchain.json`."""

    sysroot: str
    tools: Mapping[str, str]


def finish(plan: Blueprint, layout: Layout, strip: str) -> Finished:
    """Finish `layout.out` where it is; `strip` is the host's program.

    Raises:
        BuildError: something is left in it that names a directory of this build.
    """
    tree = layout.out
    _remove(tree)
    if plan.musl:
        _link_interpreter(plan, layout)
    own = tree / "bin" / f"{plan.triple}-strip"
    _strip(strip, "--strip-all", _programs(tree))
    _strip(own, "--strip-debug", _files(tree, _TARGET_FILES))
    _write_specs(plan, layout)
    lto.write_placeholders(tree)
    _check_names_no_directory(layout)
    return Finished(sysroot=plan.triple, tools=_tools(tree, plan.triple))


def _remove(tree: Path) -> None:
    for pattern in _USELESS:
        for path in tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _link_interpreter(plan: Blueprint, layout: Layout) -> None:
    # musl's installation makes it absolute.
    path = layout.sysroot / plan.target.platform.interp["musl"].lstrip("/")
    path.unlink(missing_ok=True)
    path.symlink_to("libc.so")


def _strip(program: str | Path, how: str, files: Iterator[Path]) -> None:
    words = [str(path) for path in files]
    options = [how, "--enable-deterministic-archives"]
    if words:
        run.check("stripping", [program, *options, *words])


def _programs(tree: Path) -> Iterator[Path]:
    for path in _files(tree, _PROGRAMS):
        if path.stat().st_mode & 0o111:
            yield path


def _files(tree: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    """Each file once, though it may have several names; no links, no linker scripts."""
    seen = set()
    for pattern in patterns:
        for path in sorted(tree.glob(pattern)):
            if path.is_symlink() or not path.is_file() or path.stat().st_ino in seen:
                continue
            with path.open("rb") as file:
                head = file.read(8)
            if head[:4] == b"\x7fELF" or (head == b"!<arch>\n" and path.stat().st_size > len(head)):
                seen.add(path.stat().st_ino)
                yield path


def _write_specs(plan: Blueprint, layout: Layout) -> None:
    """Beside GCC's parts it reads a file `specs` instead of what is built in."""
    gcc = layout.out / "bin" / f"{plan.triple}-gcc"
    own = run.check("asking gcc for its specs", [gcc, "-dumpspecs"])
    directory = Path(run.check("asking gcc", [gcc, "-print-libgcc-file-name"]).strip()).parent
    more = f"*link:\n+ {_link(plan, directory)}\n\n" if plan.musl else ""
    # One blank line between two specs: GCC calls a file with two of them malformed.
    own = own.rstrip("\n") + "\n\n"
    (directory / "specs").write_text(own + more, "utf-8")


def _link(plan: Blueprint, directory: Path) -> str:
    """What the linker is told beside what GCC tells it; `directory` is where GCC's parts are."""
    # musl's own default, 128 KiB, is less than C code written for glibc lives with (go.md, 3.4).
    words = [f"-z stack-size={plan.thread_stack}"]
    if plan.target.platform.name == "riscv64":
        # ld 2.44 leaves some references to a dynamic linker, which a static PIE has not, and C++
        # programs die at their first exception; not if no symbol can be seen from outside.
        (directory / "static-pie.map").write_text("{ local: *; };\n", "utf-8")
        words.append("%{static-pie:--version-script static-pie.map%s}")
    return " ".join(words)


def _check_names_no_directory(layout: Layout) -> None:
    words = [os.fsencode(layout.work.parent)]
    found = [path for path in sorted(layout.out.rglob("*")) if _names(path, words)]
    if found:
        names = ", ".join(str(path.relative_to(layout.out)) for path in found[:5])
        raise BuildError(f"{len(found)} files name the directory they were built in: {names}")


def _names(path: Path, words: list[bytes]) -> bool:
    if path.is_symlink() or not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(data.find(word) >= 0 for word in words)


def _tools(tree: Path, triple: str) -> dict[str, str]:
    """`gcc` → `bin/aarch64-linux-musl-gcc`."""
    found = {}
    for path in sorted((tree / "bin").glob(f"{triple}-*")):
        name = path.name.removeprefix(f"{triple}-")
        if not name[-1].isdigit():
            found[name] = f"bin/{path.name}"
    for alias, name in _ALIASES.items():
        found.setdefault(alias, found[name])
    return found
