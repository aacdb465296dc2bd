"""What an unpacked Debian tree needs to work from anywhere, whatever the caller's environment.

Debian's GCC finds its own parts relative to itself. The rest is done here, once, so that a
shim is a plain symlink and a compiler call costs nothing more:

- the sysroot is `usr/<triple of the compiler>`, where the compiler looks by itself; musl's
  files, and the host architecture's own libc, are laid there;
- a `specs` file beside the compiler's parts, which GCC reads unasked, closes the ways out to
  the host's headers and libraries, and speaks musl where that is the libc;
- linker scripts name their parts without a directory;
- the host's libraries that the tools need are found by DT_RPATH, which unlike
  LD_LIBRARY_PATH and DT_RUNPATH the caller's environment cannot override.
"""

from __future__ import annotations

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from toolman import elf, run
from toolman.errors import BuildError, ToolmanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from toolman.host import Host
    from toolman.target import Target

# Nothing in a toolchain uses these; lto-dump alone is 28 MB.
_USELESS = ("usr/share", "usr/sbin", "etc", "var", "lib64", "usr/lib64", "usr/bin/*lto-dump*")
# Built for glibc: with musl they could only fail at the link, or worse, at run time.
_FOR_GLIBC = ("lib*san*", "libgomp*", "libitm*", "libgcc_s.so*", "libstdc++*", "libbacktrace.a")
# Ubuntu's distro_defaults switch _FORTIFY_SOURCE on, whose `__*_chk` calls musl lacks.
# C code on musl's 128 KiB thread stacks crashes where glibc's 8 MiB carry it (go.md, 3.4).
_STACK = 8 << 20
_ALIASES = {"cc": "gcc", "c++": "g++"}
_PATCHERS = 2  # each reads and writes a whole file

_SPECS = """\
*self_spec:
+ %{!-sysroot=*:--sysroot=%:getenv(GCC_EXEC_PREFIX ../../@TRIPLE@)}@MUSL@

*link_libgcc:
-L%:getenv(GCC_EXEC_PREFIX @PARTS@) -L%:getenv(GCC_EXEC_PREFIX ../../@TRIPLE@/lib)

"""
_MUSL_SPECS = """\
*distro_defaults:
%{!fno-asynchronous-unwind-tables:-fasynchronous-unwind-tables}

*libgcc:
-lgcc -lgcc_eh

*link:
+ -z stack-size=@STACK@ %{!static:%{!static-pie:%{!shared:-dynamic-linker @INTERP@}}}

"""
# libgcc asks glibc's private __getauxval whether the CPU has LSE atomics. musl's libc.a has
# the name, its libc.so hides it.
_GETAUXVAL = """\
unsigned long getauxval(unsigned long);
__attribute__((weak)) unsigned long __getauxval(unsigned long type) { return getauxval(type); }
"""


@dataclass(frozen=True, kw_only=True)
class Trees:
    """Where packages are unpacked to."""

    tree: Path
    """The toolchain."""
    aside: Path
    """What does not stay as it is."""

    @property
    def target(self) -> Path:
        return self.aside / "target"

    @property
    def helpers(self) -> Path:
        return self.aside / "helpers"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What the finished tree holds; for `toolchain.json`."""

    version: str
    sysroot: str
    tools: Mapping[str, str]


def finish(
    trees: Trees, target: Target, host: Host, build: Callable[[Path], None] | None = None
) -> Finished:
    """Finish the unpacked `trees`; the result is `trees.tree`.

    `build` makes the target's libc, with the compiler that it is given, into `trees.target`.

    Raises:
        BuildError: the packages are not of the shape that Debian's cross compilers have.
    """
    triple = target.platform.triple["gnu"]
    tree = trees.tree
    merge_usr(tree)
    _remove(tree, _USELESS)
    parts = _parts(tree, triple)
    sysroot = tree / "usr" / triple
    _tool_directory(tree, triple)
    set_rpaths(trees, host)
    tools = _tools(tree, triple)
    if build:
        build(tree / tools["gcc"])
    _lay_target(trees.target, sysroot, target)
    _relative_scripts(sysroot / "lib")
    _mend_links(parts, sysroot / "lib")
    if target.libc == "musl":
        _make_musl(parts, sysroot)
    (sysroot / "usr").symlink_to(".")
    # GCC reads the file instead of what is built in, so that has to stand in it, in front.
    own = run.check("asking gcc for its specs", [tree / tools["gcc"], "-dumpspecs"])
    (parts / "specs").write_text(own + _specs(target, parts), "utf-8")
    if target.libc == "musl":
        _add_getauxval(trees, tools, parts)
    version = run.check("asking gcc", [tree / tools["gcc"], "-dumpfullversion"]).strip()
    return Finished(version=version, sysroot=f"usr/{triple}", tools=tools)


def merge_usr(tree: Path) -> None:
    """Move what releases before /usr was merged, and Debian 12's packages, still have in `/`."""
    for name in ("bin", "lib"):
        if (tree / name).is_dir():
            _merge(tree / name, tree / "usr" / name)
            shutil.rmtree(tree / name)


def set_rpaths(trees: Trees, host: Host) -> None:
    """Let the programs in `trees.tree` find the libraries there, whatever the environment is."""
    directory = trees.tree / "usr/lib" / host.platform.triple["gnu"]
    if not directory.is_dir():
        return
    libraries = {path.name for path in directory.iterdir()}
    patchelf = trees.helpers / "usr/bin/patchelf"
    commands: dict[int, list[str | Path]] = {}  # by inode: two names may be one file
    for path in _programs(trees.tree):
        try:
            needed = elf.inspect(path).needed
        except ToolmanError:
            continue
        if libraries.intersection(needed):
            up = len(path.relative_to(trees.tree / "usr").parts) - 1
            rpath = "/".join(["$ORIGIN", *[".."] * up, "lib", directory.name])
            command: list[str | Path] = [patchelf, "--force-rpath", "--set-rpath", rpath, path]
            commands[path.stat().st_ino] = command
    with ThreadPoolExecutor(_PATCHERS) as pool:
        list(pool.map(partial(run.check, "patchelf"), commands.values()))


def _parts(tree: Path, triple: str) -> Path:
    """Where cc1 and libgcc are: `usr/lib/gcc-cross/<triple>/12`, or `usr/lib/gcc/…`."""
    found = sorted(tree.glob(f"usr/lib/gcc*/{triple}/*/libgcc.a"))
    if len(found) != 1:
        raise BuildError(f"the packages hold {len(found)} compilers for {triple}, not one")
    return found[0].parent


def _remove(tree: Path, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        for path in tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _lay_target(unpacked: Path, sysroot: Path, target: Target) -> None:
    """Lay the target's own packages over the sysroot, without Debian's directories."""
    gnu = target.platform.triple["gnu"]
    names = {f"{target.platform.debian}-linux-musl", gnu, target.triple}
    names |= {path.name for path in unpacked.glob("usr/include/*-linux-*")}
    (sysroot / "lib").mkdir(parents=True, exist_ok=True)
    for name in names:
        _merge(unpacked / "usr/include" / name, sysroot / "include")
        _merge(unpacked / "lib" / name, sysroot / "lib")
        _merge(unpacked / "usr/lib" / name, sysroot / "lib")
        shutil.rmtree(unpacked / "usr/include" / name, ignore_errors=True)
    _merge(unpacked / "usr/include", sysroot / "include")
    interp = sysroot / target.platform.interp[target.libc].lstrip("/")
    if target.libc == "musl" and not interp.exists():
        interp.unlink(missing_ok=True)
        interp.symlink_to("libc.so")


def _merge(source: Path, into: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, into, symlinks=True, dirs_exist_ok=True, copy_function=os.replace)


def _tool_directory(tree: Path, triple: str) -> None:
    """GCC looks for `as` and `ld` here; Debian's native packages rely on PATH instead."""
    directory = tree / "usr" / triple / "bin"
    directory.mkdir(parents=True, exist_ok=True)
    for path in tree.glob(f"usr/bin/{triple}-*"):
        name = path.name.removeprefix(f"{triple}-")
        if name in ("as", "ld", "ld.bfd", "ld.gold", "ar", "nm", "ranlib", "strip", "objcopy"):
            link = directory / name
            if not link.is_symlink():
                link.symlink_to(f"../../bin/{path.name}")


def _relative_scripts(directory: Path) -> None:
    # libm.a is one too, where glibc has a libmvec.
    for path in (*directory.glob("*.so"), *directory.glob("*.a")):
        if path.is_symlink() or path.stat().st_size > 4096:
            continue
        text = path.read_text("utf-8", "replace")
        if "GNU ld script" in text:
            path.write_text(re.sub(r"(?<=[\s(])/\S+/", "", text), "utf-8")


def _mend_links(parts: Path, libraries: Path) -> None:
    """Links from GCC's parts to libraries that now are in the sysroot."""
    for path in parts.iterdir():
        if path.is_symlink() and not path.exists() and (libraries / path.readlink().name).exists():
            to = os.path.relpath(libraries / path.readlink().name, parts)
            path.unlink()
            path.symlink_to(to)


def _programs(tree: Path) -> Iterator[Path]:
    """Files that run on the host: programs, and those of GCC's parts that are no objects."""
    # Since GCC 13, Debian has its programs in libexec.
    for pattern in ("usr/bin/*", "usr/lib*/gcc*/*/*/*", "usr/lib*/gcc*/*/*/plugin/*"):
        for path in sorted(tree.glob(pattern)):
            if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o111:
                yield path


def _make_musl(parts: Path, sysroot: Path) -> None:
    _remove(parts, _FOR_GLIBC)
    # musl's stddef.h, stdarg.h … must win, as they do in a GCC that was configured for musl.
    for path in (parts / "include").iterdir():
        if (sysroot / "include" / path.name).is_file():
            path.unlink()
    if not (sysroot / "lib/libc.a").is_file():
        raise BuildError("the musl packages hold no libc.a")


def _specs(target: Target, parts: Path) -> str:
    musl = target.libc == "musl"
    text = _SPECS + (_MUSL_SPECS if musl else "")
    # `usr/lib/gcc-cross/`, what GCC_EXEC_PREFIX holds when GCC reads the file.
    prefix = parts.parent.parent
    values = {
        "@TRIPLE@": target.platform.triple["gnu"],
        "@PARTS@": str(parts.relative_to(prefix)),
        "@MUSL@": " -mmusl" if musl else "",
        "@STACK@": str(_STACK),
        "@INTERP@": target.platform.interp["musl"],
    }
    for word, value in values.items():
        text = text.replace(word, value)
    return text


def _tools(tree: Path, triple: str) -> dict[str, str]:
    """`gcc` → `usr/bin/aarch64-linux-gnu-gcc-12`: names without Debian's version suffix."""
    found: dict[str, str] = {}
    for path in sorted((tree / "usr/bin").glob(f"{triple}-*")):
        if path.exists():
            name = re.sub(r"-\d+$", "", path.name.removeprefix(f"{triple}-"))
            found.setdefault(name, str(path.resolve().relative_to(tree.resolve())))
    for alias, name in _ALIASES.items():
        if name in found:
            found[alias] = found[name]
    if "gcc" not in found:
        raise BuildError(f"the packages hold no {triple}-gcc")
    return found


def _add_getauxval(trees: Trees, tools: Mapping[str, str], parts: Path) -> None:
    names = run.check("nm", [trees.tree / tools["nm"], parts / "libgcc.a"])
    if "U __getauxval" not in names:
        return
    source, member = trees.aside / "getauxval.c", trees.aside / "getauxval.o"
    source.write_text(_GETAUXVAL, "utf-8")
    compiler = trees.tree / tools["gcc"]
    run.check("getauxval", [compiler, "-O2", "-fPIC", "-c", source, "-o", member])
    run.check("getauxval", [trees.tree / tools["ar"], "rDs", parts / "libgcc.a", member])
