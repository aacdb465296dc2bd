"""Build systems: the files by which CMake, Meson and others use a toolchain.

One module for each, imported when its file is asked for: `toolman env` prints variables and has
no use for them. A file looks for libraries in the sysroot alone, through the target's pkg-config,
and runs the target's programs by the `run` shim.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from toolman import environment

if TYPE_CHECKING:
    from pathlib import Path

    from toolman.paths import Paths
    from toolman.target import Target
    from toolman.toolchain import Toolchain

EXTENSIONS = {
    "cmake": "cmake",
    "meson": "meson.ini",
    "autotools": "config.site",
    "cargo": "cargo.toml",
    "conan": "conan",
    "bazel": "bazel",
}
"""Of each system's file; Bazel's is a directory."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a build system has to be told; `flags` are for all compilers, such as `-march=`."""

    chosen: Toolchain
    paths: Paths
    static: bool
    flags: tuple[str, ...] = ()

    @property
    def target(self) -> Target:
        return self.chosen.target

    @property
    def sysroot(self) -> Path:
        return self.chosen.sysroot

    @property
    def pkg_config(self) -> Path:
        return self.shim("pkg-config")

    @property
    def run(self) -> Path:
        """Runs a program of the target, under qemu-user where that is needed."""
        return self.shim("run")

    def shim(self, tool: str) -> Path:
        return self.paths.shims / f"{environment.prefix(self.chosen)}-{tool}"

    def has(self, tool: str) -> bool:
        return tool in self.chosen.about.tools


def both(chosen: Toolchain, paths: Paths) -> tuple[Setup, Setup]:
    """What is said in the files that `publish` writes: the default, and the other linkage."""
    static = environment.default_static(chosen)
    first = Setup(chosen=chosen, paths=paths, static=static)
    return first, replace(first, static=not static)


def path(system: str, setup: Setup) -> Path:
    """Where the file of a system is."""
    directory = environment.files(setup.chosen, setup.paths, static=setup.static)
    return directory / f"{setup.chosen.name}.{EXTENSIONS[system]}"


def files(setup: Setup) -> dict[Path, str]:
    """All systems' files, with what is in them."""
    place = path("bazel", setup)
    module = {place / name: said for name, said in _module("bazel").files(setup).items()}
    return module | {path(one, setup): text(one, setup) for one in EXTENSIONS if one != "bazel"}


def text(system: str, setup: Setup) -> str:
    """What is in the file of a system; of Bazel, what a project says to use its directory."""
    found: str = _module(system).text(setup)
    return found


def _module(system: str) -> Any:
    return importlib.import_module(f"{__name__}.{system}")
