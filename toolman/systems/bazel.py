"""Bazel: a module with a C++ toolchain and a platform, and what a MODULE.bazel says to use it.

A module is a directory, so this system has its files in one, `env/<name>.bazel/`, and what is
printed are the lines for the project. All is loaded from where rules_cc has had it since 0.0.4,
as Bazel 9 needs it, and Bazel 4 has it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import systems
from toolman.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from toolman.systems import Setup

_CONFIG = Path(__file__).parents[1] / "data/bazel.bzl"
# By our name of the platform, that of its constraint; the others have none, and get one here.
_CPUS = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "armv7": "armv7",
    "386": "x86_32",
    "riscv64": "riscv64",
    "ppc64le": "ppc",
    "s390x": "s390x",
}
# Bazel calls "gcc" for C++, too.
_TOOLS = ("gcc", "cpp", "ar", "ld", "nm", "objcopy", "objdump", "strip", "gcov")
_CPU = '"@platforms//cpu:cpu"'
_FILES = ("all", "ar", "as", "compiler", "dwp", "linker", "objcopy", "strip")


def text(setup: Setup) -> str:
    """For the project's MODULE.bazel."""
    name = _word(_module(setup))
    return f"""\
bazel_dep(name = {name})
local_path_override(
    module_name = {name},
    path = {_word(systems.path("bazel", setup))},
)

register_toolchains({_word(f"@{_module(setup)}//:all")})
"""


def files(setup: Setup) -> dict[str, str]:
    """The module's files by name."""
    head = f"""\
module(name = {_word(_module(setup))})

bazel_dep(name = "platforms", version = "0.0.11")
bazel_dep(name = "rules_cc", version = "0.1.1")
"""
    config = _CONFIG.read_text("utf-8")
    return {
        "MODULE.bazel": head,
        "WORKSPACE.bazel": f"workspace(name = {_word(_module(setup))})\n",  # before Bazel 8
        "BUILD.bazel": _build(setup),
        "config.bzl": config,
    }


def _build(setup: Setup) -> str:
    target = setup.target
    cpu = _cpu(target.platform.name)
    known = cpu.startswith("@")
    own = f'constraint_value(\n    name = "{cpu[1:]}",\n    constraint_setting = {_CPU},\n)\n\n'
    where = _lines(["@platforms//os:linux", cpu, f":{target.libc}"])
    here = _lines(["@platforms//os:linux", _cpu(Host.current().platform.name)])
    lists = "\n".join(f'    {one}_files = ":nothing",' for one in _FILES)
    return f"""\
load("@rules_cc//cc:defs.bzl", "cc_toolchain")
load(":config.bzl", "cc_config")

package(default_visibility = ["//visibility:public"])

constraint_setting(name = "libc")

constraint_value(
    name = "{target.libc}",
    constraint_setting = ":libc",
)

{"" if known else own}platform(
    name = "platform",
    constraint_values = {where},
)

toolchain(
    name = "toolchain",
    exec_compatible_with = {here},
    target_compatible_with = {where},
    toolchain = ":cc_toolchain",
    toolchain_type = "@bazel_tools//tools/cpp:toolchain_type",
)

filegroup(name = "nothing")

cc_toolchain(
    name = "cc_toolchain",
{lists}
    toolchain_config = ":config",
)

cc_config(
    name = "config",
{"".join(f"    {name} = {value},{chr(10)}" for name, value in _attributes(setup))})
"""


def _attributes(setup: Setup) -> Iterator[tuple[str, str]]:
    yield "compile_flags", _lines(setup.flags)
    yield "cpu", _word(setup.target.platform.cmake)
    # Those of the compiler itself, of its libraries and of the sysroot are all below.
    places = (setup.chosen.root.resolve(), setup.sysroot)
    yield "include_directories", _lines(map(str, places))
    yield "libc", _word(setup.target.libc)
    yield "link_flags", _lines(["-lstdc++", "-lm"] if setup.has("g++") else [])
    yield "static", str(setup.static)
    yield "sysroot", _word(setup.sysroot)
    tools = {one: str(setup.shim(one)) for one in _TOOLS if setup.has(one)}
    entries = [f"        {_word(name)}: {_word(path)},\n" for name, path in sorted(tools.items())]
    yield "tools", f"{{\n{''.join(entries)}    }}"
    yield "triple", _word(setup.target.triple)


def _cpu(name: str) -> str:
    return f"@platforms//cpu:{_CPUS[name]}" if name in _CPUS else f":{name}"


def _module(setup: Setup) -> str:
    return f"toolman_{re.sub('[^a-z0-9]', '_', setup.chosen.name)}"


def _lines(words: Iterable[str]) -> str:
    """A list, as Bazel's formatter has it."""
    lines = "".join(f"        {_word(word)},\n" for word in words)
    return f"[\n{lines}    ]" if lines else "[]"


def _word(word: object) -> str:
    return json.dumps(str(word), ensure_ascii=False)
