"""Meson: a cross file. Meson reads no variable for it: `meson setup --cross-file`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman import systems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from toolman.systems import Setup

_BINARIES = {
    "c": "gcc",
    "cpp": "g++",
    "fortran": "gfortran",
    "ar": "ar",
    "nm": "nm",
    "ranlib": "ranlib",
    "strip": "strip",
    "objcopy": "objcopy",
    "objdump": "objdump",
    "readelf": "readelf",
}


def text(setup: Setup) -> str:
    return "".join(f"{line}\n" for line in _lines(setup))


def _lines(setup: Setup) -> Iterator[str]:
    yield "[binaries]"
    for name, tool in _BINARIES.items():
        if setup.has(tool):
            yield f"{name} = {_path(setup.shim(tool))}"
    yield f"pkg-config = {_path(setup.pkg_config)}"
    # Of CMake's packages, those for which the toolchain file looks.
    yield "cmake = 'cmake'"
    yield f"exe_wrapper = {_path(setup.run)}"
    yield ""
    yield "[properties]"
    yield f"sys_root = {_path(setup.sysroot)}"
    yield f"cmake_toolchain_file = {_path(systems.path('cmake', setup))}"
    yield "needs_exe_wrapper = true"
    yield ""
    yield from _options(setup)
    yield "[host_machine]"
    platform = setup.target.platform
    yield "system = 'linux'"
    yield "kernel = 'linux'"
    yield f"cpu_family = {_word(platform.meson)}"
    yield f"cpu = {_word(platform.cmake)}"
    yield f"endian = {_word(platform.elf['endian'])}"


def _options(setup: Setup) -> Iterator[str]:
    if not (setup.flags or setup.static):
        return
    yield "[built-in options]"
    for language, tool in (("c", "gcc"), ("cpp", "g++"), ("fortran", "gfortran")):
        if setup.has(tool):
            if setup.flags:
                yield f"{language}_args = {_words(setup.flags)}"
            if setup.static:
                yield f"{language}_link_args = {_words(['-static'])}"
    if setup.static:
        # The flags are for shared libraries, too, which cannot be static.
        yield "default_library = 'static'"
        yield "prefer_static = true"
    yield ""


def _path(path: Path) -> str:
    return _word(str(path))


def _words(words: Sequence[str]) -> str:
    return f"[{', '.join(map(_word, words))}]"


def _word(word: str) -> str:
    """A string without escapes, for Meson doubles each backslash of a machine file."""
    return f"'''{word}'''" if "'" in word else f"'{word}'"
