"""Conan 2: a profile of the machine that programs are for, `conan install --profile:host`.

Conan's own generators write toolchains for CMake, Meson and Autotools; this one's files go in
front of them. Packages for musl and for glibc are kept apart by the triple.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolman import environment, systems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolman.systems import Setup
    from toolman.target import Platform

# By our name of the platform, Conan's.
_ARCHITECTURES = {
    "amd64": "x86_64",
    "arm64": "armv8",
    "armv7": "armv7hf",
    "armv6": "armv6",
    "386": "x86",
    "loong64": "loongarch64",
}
_TRIPLET = "tools.gnu:host_triplet"


def architecture(platform: Platform) -> str:
    """Conan's word for a platform."""
    return _ARCHITECTURES.get(platform.name, platform.name)


def text(setup: Setup) -> str:
    said = "".join(f"{line}\n" for line in _lines(setup))
    # A profile is a template of Jinja's.
    return re.sub(r"\{(?=[{%#])", "{{ '{' }}", said)


def _lines(setup: Setup) -> Iterator[str]:
    yield "[settings]"
    yield "os=Linux"
    yield f"arch={architecture(setup.target.platform)}"
    yield "build_type=Release"
    yield "compiler=gcc"
    yield f"compiler.version={setup.chosen.about.version.partition('.')[0]}"
    yield "compiler.libcxx=libstdc++11"
    yield "compiler.cppstd=gnu17"
    yield ""
    yield "[conf]"
    # Lists as Python has them; of a text, Conan would take quotes for a part.
    yield from (f"{key}={value}" for key, value in _settings(setup).items())
    yield ""
    yield "[buildenv]"
    yield f"PATH=+(path){setup.paths.shims}"
    for one in environment.tools(setup.chosen, setup.paths):
        yield f"{one.name}={one.value}"


def _settings(setup: Setup) -> Mapping[str, object]:
    compilers = {"c": "gcc", "cpp": "g++", "fortran": "gfortran"}
    linkage = ["-static"] if setup.static else []
    said: dict[str, object] = {
        "tools.build:compiler_executables": {
            language: str(setup.shim(tool))
            for language, tool in compilers.items()
            if setup.has(tool)
        },
        "tools.build:cflags": list(setup.flags),
        "tools.build:cxxflags": list(setup.flags),
        "tools.build:exelinkflags": linkage,
        "tools.build:sysroot": str(setup.sysroot),
        "tools.cmake.cmaketoolchain:user_toolchain": [str(systems.path("cmake", setup))],
        "tools.gnu:pkg_config": str(setup.pkg_config),
        _TRIPLET: setup.target.triple,
        "tools.info.package_id:confs": [_TRIPLET],
        "tools.meson.mesontoolchain:extra_machine_files": [str(systems.path("meson", setup))],
    }
    return {key: value for key, value in said.items() if value}
