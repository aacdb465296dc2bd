"""The build systems that tests run, had once on this machine: PyPI's, Debian's, crates.io's."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tools

from toolman.errors import AbsentError
from toolman.host import Host
from toolman.origins import apt, distro
from toolman.report import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toolman.origins.deb import Deb

_PYPI = ("cmake==4.4.4", "conan==2.34.0", "meson==1.12.1", "ninja==1.13.2")
_BINARIES = ("cmake/data/bin/cmake", "cmake/data/bin/ctest", "ninja/data/bin/ninja")
_SCRIPTS = {
    "conan": "-c 'from conans.conan import run; run()'",
    "meson": "-m mesonbuild.mesonmain",
}


@functools.cache
def pypi() -> Path:
    """A directory with cmake, ctest, ninja, meson and conan."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    place = tools.CACHE / "build-systems" / Host.current().key
    tree = place / f"python-{tools.word(f'{python} {_PYPI}')}"
    with tools.made(tree) as into:
        if into:
            words = ["install", "--quiet", "--target", str(into), *_PYPI]
            subprocess.run([sys.executable, "-m", "pip", *words], env=tools.ENVIRON, check=True)
            _put_on_path(into, tree)
    return tree / "path"


@functools.cache
def autotools() -> Path:
    """A directory with autoreconf, unpacked from the host's archive, and what that runs."""
    tree = tools.CACHE / "build-systems" / Host.current().key / "autotools"
    with tools.made(tree) as into:
        if into:
            # All that libtool depends on is a compiler.
            unpack(["autoconf", "automake"], into, lambda _: True)
            unpack(["libtool"], into, lambda deb: deb.name == "libtool")
            _relocate(into, tree)
    return tree / "path"


@functools.cache
def dejagnu() -> Path:
    """A directory with runtest, which libffi's tests are run by, unpacked from the archive."""
    tree = tools.CACHE / "build-systems" / Host.current().key / "dejagnu"
    with tools.made(tree) as into:
        if into:
            unpack(["dejagnu", "patchelf"], into, lambda _: True)
            tools.make_relocatable(tools.program(into, "expect"), into)
            (into / "path").mkdir()
            (library,) = [path.parent for path in into.glob("usr/share/tcltk/*/init.tcl")]
            said = f"TCL_LIBRARY={tree / library.relative_to(into)}"
            _script(into / "path/expect", f'{said} exec {tree}/usr/bin/expect "$@"')
            _script(into / "path/runtest", f'exec sh {tree}/usr/bin/runtest "$@"')
    return tree / "path"


@functools.cache
def rust() -> Path:
    """A directory with Debian's cargo and rustc, which have the library for arm64-gnu, too."""
    tree = tools.CACHE / "build-systems" / Host.current().key / "rust"
    with tools.made(tree) as into:
        if into:
            names = _rust_names()
            unpack([names["cargo"], names["rustc"], "patchelf"], into, _is_rusts)
            library = names["libstd-rust-dev"]
            unpack([f"{library}:arm64"], into, lambda deb: deb.name == library, "arm64")
            path = into / "path"
            path.mkdir()
            for name in ("cargo", "rustc"):
                program = tools.program(into, name)
                tools.make_relocatable(program, into)
                (path / name).symlink_to(f"../{program.relative_to(into)}")
    return tree / "path"


def rust_sources() -> None:
    """Put the sources of Rust's library to what `rust` has made."""
    tree = rust().parent
    with tools.locked(tree):
        if not (tree / "usr/src").exists():
            name = _rust_names()["rust-src"]
            unpack([name], tree, lambda deb: deb.name == name)


def unpack(
    packages: Sequence[str],
    into: Path,
    wanted: Callable[[Deb], bool],
    architecture: str | None = None,
) -> None:
    """Unpack those of the packages and their dependencies that are wanted, but never libc."""
    archive = apt.Archive(
        cache=tools.CACHE / "toolman", host=Host.current(), architecture=architecture
    )
    with tools.locked(tools.CACHE / "apt"):
        closure = archive.closure(packages, Silent())
        debs = [deb for deb in closure if wanted(deb) and deb.name not in tools.HOST_LIBC]
        distro.unpack(archive, debs, lambda _: into, Silent())


def source(name: str, into: Path) -> Path:
    """The source package `name` of the host's archive, as upstream had it."""
    tree = tools.CACHE / "build-systems" / Host.current().key / f"{name}-source"
    with tools.made(tree) as place:
        if place:
            archive = apt.Archive(cache=tools.CACHE / "toolman", host=Host.current(), sources=True)
            with tools.locked(tools.CACHE / "apt"):
                archive.closure([], Silent())
                files = archive.source(name)
                archive.fetch_source(name, files, Silent())
            names = [one.file for one in files]
            (tarball,) = [one for one in names if re.search(r"\.orig\.tar\.\w+$", one)]
            subprocess.run(["tar", "-xf", archive.debs / tarball, "-C", place], check=True)
    (top,) = tree.iterdir()
    return Path(shutil.copytree(top, into / name))


def _put_on_path(tree: Path, final: Path) -> None:
    path = tree / "path"
    path.mkdir()
    for file in _BINARIES:
        (path / Path(file).name).symlink_to(f"../{file}")
    # A virtual environment may go away before this.
    python = Path(sys.executable).resolve()
    for name, words in _SCRIPTS.items():
        _script(path / name, f'PYTHONPATH={final} exec {python} {words} "$@"')


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)


def _relocate(tree: Path, final: Path) -> None:
    """Let the scripts find each other, and what they come with."""
    share = ("autoconf", "automake-1.16", "aclocal", "libtool")
    for file in [*tree.glob("usr/bin/*"), *tree.glob("usr/share/auto*/**/*")]:
        text = file.read_bytes() if file.is_file() else b""
        for name in share:
            text = text.replace(f"/usr/share/{name}".encode(), f"{final}/usr/share/{name}".encode())
        if b"\0" not in text and text:
            file.write_bytes(text)
    path = tree / "path"
    path.mkdir()
    variables = {
        "AUTOM4TE": "autom4te",
        "AUTOCONF": "autoconf",
        "AUTOHEADER": "autoheader",
        "AUTOMAKE": "automake-1.16",
        "ACLOCAL": "aclocal-1.16",
        "LIBTOOLIZE": "libtoolize",
        "M4": "m4",
    }
    said = [f"{name}={final}/usr/bin/{program}" for name, program in variables.items()]
    libraries = [f"{final}/usr/share/{name}" for name in share[:2]]
    # perl-base, which every Debian has, lacks what is in perl-modules.
    modules = [*tree.glob("usr/share/perl/5.*"), *tree.glob("usr/lib/*/perl/5.*")]
    libraries += [f"{final}/{one.relative_to(tree)}" for one in modules]
    said.append(f"PERL5LIB={os.pathsep.join(libraries)}")
    _script(path / "autoreconf", f'exec env {" ".join(said)} {final}/usr/bin/autoreconf "$@"')


def _rust_names() -> dict[str, str]:
    """Debian's packages; the newest compilers of its old releases have a name of their own."""
    plain = ("cargo", "rustc", "rust-src", "libstd-rust-dev")
    newer = ("cargo-web", "rustc-web", "rust-web-src", "libstd-rust-web-dev")
    try:
        apt.Archive(cache=tools.CACHE / "toolman", host=Host.current()).closure(newer[:1], Silent())
    except AbsentError:
        newer = plain
    return dict(zip(plain, newer, strict=True))


def _is_rusts(deb: Deb) -> bool:
    """Of what rustc depends on not the compiler: it calls the host's."""
    return deb.name.startswith(("lib", "rust", "cargo", "patchelf")) and "gcc" not in deb.name
