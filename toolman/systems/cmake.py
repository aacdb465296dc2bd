"""CMake: a toolchain file, for CMAKE_TOOLCHAIN_FILE or `cmake --toolchain`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toolman.systems import Setup

_LANGUAGES = {"C": "gcc", "CXX": "g++", "Fortran": "gfortran"}


def text(setup: Setup) -> str:
    return "".join(f"{line}\n" for line in _lines(setup))


def _lines(setup: Setup) -> Iterator[str]:
    yield "set(CMAKE_SYSTEM_NAME Linux)"
    yield f"set(CMAKE_SYSTEM_PROCESSOR {setup.target.platform.cmake})"
    for language, tool in _LANGUAGES.items():
        # Without its name, CMake would take the host's C++ compiler.
        if setup.has(tool) or language == "CXX":
            yield f"set(CMAKE_{language}_COMPILER {_word(setup.shim(tool))})"
            if setup.flags:
                yield f'set(CMAKE_{language}_FLAGS_INIT "{" ".join(setup.flags)}")'
    yield f"set(CMAKE_SYSROOT {_word(setup.sysroot)})"
    yield "set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)"
    for kind in ("LIBRARY", "INCLUDE", "PACKAGE"):
        yield f"set(CMAKE_FIND_ROOT_PATH_MODE_{kind} ONLY)"
    yield f'set(PKG_CONFIG_EXECUTABLE {_word(setup.pkg_config)} CACHE FILEPATH "of the target")'
    yield f"set(CMAKE_CROSSCOMPILING_EMULATOR {_word(setup.run)})"
    if setup.static:
        yield "set(CMAKE_EXE_LINKER_FLAGS_INIT -static)"
        # Or CMake switches to dynamic libraries behind a library, and libc's is then taken.
        yield "set(CMAKE_LINK_SEARCH_START_STATIC ON)"
        yield "set(CMAKE_LINK_SEARCH_END_STATIC ON)"


def _word(path: Path) -> str:
    """A quoted argument. A `;` divides lists even so: CMake finds no compiler by such a path."""
    return '"' + re.sub(r'(["\\$])', r"\\\1", str(path)) + '"'
