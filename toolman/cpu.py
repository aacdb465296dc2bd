"""Processors by name, and what Go calls their levels: it has words of its own."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from toolman.errors import InputError

if TYPE_CHECKING:
    from toolman.target import Platform

_FILE = Path(__file__).parent / "data/cpus.toml"


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """A row of `data/cpus.toml`; the keys are explained there."""

    name: str
    platform: str
    march: str
    tune: str
    about: str


@cache
def cpus() -> tuple[Cpu, ...]:
    """All rows, in their order."""
    rows = tomllib.loads(_FILE.read_text("utf-8"))
    return tuple(Cpu(name=name, **row) for name, row in rows.items())


def find(word: str, platform: Platform) -> Cpu:
    """The processor `word` of a platform.

    Raises:
        InputError: there is none of that name, or it is another platform's.
    """
    mine = [one.name for one in cpus() if one.platform == platform.docker]
    for one in cpus():
        if one.name == word.lower():
            if one.platform == platform.docker:
                return one
            raise InputError(f"{one.name} is {one.platform}, not {platform}", hint=_known(mine))
    near = difflib.get_close_matches(word.lower(), mine, n=1)
    hint = f"did you mean {near[0]}?" if near else f"{_known(mine)}; or: --march ARCHITECTURE"
    raise InputError(f"unknown processor '{word}'", hint=hint)


def go_level(march: str, platform: Platform) -> dict[str, str]:
    """Go's variable for what `-march` says; empty where Go has no word for it.

    GOARM64 and GORISCV64 are of Go 1.23 and newer; older ones do not look at them.
    Facts: internal/buildcfg/cfg.go of Go 1.27.
    """
    base, *extensions = march.split("+")
    arch = platform.go["GOARCH"]
    if arch == "arm64" and (found := re.fullmatch(r"armv([89])(?:\.(\d))?-a", base)):
        return {"GOARM64": _arm64(int(found[1]), int(found[2] or 0), extensions)}
    if arch == "amd64" and (found := re.fullmatch(r"x86-64(?:-(v[234]))?", base)):
        return {"GOAMD64": found[1] or "v1"}
    if arch == "arm" and (found := re.match(r"armv([567])", base)):
        return {"GOARM": found[1]}
    if arch == "riscv64" and base.startswith("rv64"):
        whole = {"zba", "zbb", "zbs"} <= {*base.split("_")}
        return {"GORISCV64": "rva22u64" if whole else "rva20u64"}
    return {}


def _arm64(major: int, minor: int, extensions: list[str]) -> str:
    """`v8.2,crypto`. From v8.1 on lse is part of it."""
    highest = {8: 9, 9: 5}
    level = f"v{major}.{min(minor, highest[major])}"
    if "lse" in extensions and (major, minor) == (8, 0):
        level += ",lse"
    if "crypto" in extensions or {"aes", "sha2"} <= {*extensions}:
        level += ",crypto"
    return level


def _known(names: list[str]) -> str:
    return f"known: {', '.join(names)}" if names else "none of it is known"
