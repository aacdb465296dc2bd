"""Platforms and targets, and every accepted spelling of them.

A *platform* is where the program will run (`linux/arm64`); a *target* adds the libc
(`arm64-musl`), and may add the oldest glibc that programs must run with (`arm64-gnu.2.28`, as
zig spells it). Both are rows and values of `targets.toml`; no other module composes or takes
apart a triple.
"""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Libc = Literal["musl", "gnu"]
LIBCS: tuple[Libc, ...] = ("musl", "gnu")
# The version of the oldest symbols of its glibc; facts: shlib-versions in glibc's sources.
_FIRST_GLIBC = {
    "linux/amd64": "2.2.5",
    "linux/arm64": "2.17",
    "linux/arm/v7": "2.4",
    "linux/arm/v6": "2.4",
    "linux/386": "2.0",
    "linux/riscv64": "2.27",
    "linux/ppc64le": "2.17",
    "linux/s390x": "2.2",
    "linux/loong64": "2.36",
}
_FLOORED = re.compile(r"(.+?)\.(\d{1,3}\.\d{1,3}(?:\.\d{1,3})?)", re.ASCII)
_GLIBC = re.compile(r"\d{1,3}\.\d{1,3}(\.\d{1,3})?", re.ASCII)


class UnknownTargetError(InputError):
    """A word that is no spelling of a target or platform."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """One row of `targets.toml`; the keys are explained there."""

    docker: str
    name: str
    aliases: tuple[str, ...]
    triple: Mapping[str, str]
    triples: Mapping[str, list[str]]
    go: Mapping[str, str]
    rust: Mapping[str, str]
    march: str
    flag: str
    interp: Mapping[str, str]
    elf: Mapping[str, Any]
    gcc: tuple[str, ...]
    kernel: str
    musl: str
    cmake: str
    meson: str
    qemu: str
    debian: str | None
    uname: str
    runs_on: tuple[str, ...]

    def __str__(self) -> str:
        return self.docker


@dataclass(frozen=True, kw_only=True)
class Target:
    """A platform with a libc: `arm64-musl`."""

    platform: Platform
    libc: Libc
    glibc: str | None = None
    """The floor: the oldest glibc that programs must run with; None: whatever the sysroot has."""

    @property
    def name(self) -> str:
        return f"{self.platform.name}-{self.libc}{self._floor}"

    @property
    def triple(self) -> str:
        """GNU's spelling, `aarch64-linux-musl`; with a floor zig's, `aarch64-linux-gnu.2.28`."""
        return f"{self.platform.triple[self.libc]}{self._floor}"

    @property
    def rust(self) -> str:
        """Rust's target, `aarch64-unknown-linux-musl`."""
        return self.platform.rust[self.libc]

    @property
    def _floor(self) -> str:
        return f".{self.glibc}" if self.glibc else ""

    def __str__(self) -> str:
        return self.name


@functools.cache
def platforms() -> tuple[Platform, ...]:
    """All platforms, in the order of the table."""
    text = Path(__file__).with_name("targets.toml").read_text("utf-8")
    return tuple(_row(docker, row) for docker, row in tomllib.loads(text).items())


def targets() -> Iterator[Target]:
    """All targets, musl before gnu."""
    for platform in platforms():
        for libc in LIBCS:
            yield Target(platform=platform, libc=libc)


def parse(word: str) -> Target | Platform:
    """A target where `word` names the libc, else a platform.

    Accepts `arm64-musl`, `aarch64-linux-musl`, `aarch64-unknown-linux-musl`,
    `linux/arm64`, `arm64` and the aliases of the table, in any letter case; behind a target's
    spelling the floor of its glibc, as in `arm64-gnu.2.28`.

    Raises:
        InputError: no such target; the hint holds the nearest spellings. Or it has no such glibc.
    """
    lower = word.strip().lower()
    found = _spellings().get(lower)
    floored = _FLOORED.fullmatch(lower)
    if found is None and floored and floored[1] in _spellings():
        return with_glibc(_spellings()[floored[1]], floored[2])
    if found is None:
        raise unknown_target(word)
    return found


def with_glibc(found: Target | Platform, version: str) -> Target:
    """The target whose programs run with that glibc and all that are newer.

    Raises:
        InputError: it is no version, or the platform had no glibc then, or the libc is another.
    """
    if not _GLIBC.fullmatch(version):
        raise InputError(f"--glibc: '{version}' is no version", hint="for example: 2.28")
    if isinstance(found, Platform):
        found = Target(platform=found, libc="gnu")
    if found.libc != "gnu":
        hint = f"{found.platform.name}-gnu.{version}"
        raise InputError(f"{found} has no glibc whose version could be chosen", hint=hint)
    first = _FIRST_GLIBC[found.platform.docker]
    if glibc_version(version) < glibc_version(first):
        hint = f"the oldest: {found.platform.name}-gnu.{first}"
        raise InputError(
            f"glibc for {found.platform} begins with {first}, not {version}", hint=hint
        )
    return replace(found, glibc=version)


def glibc_version(text: str) -> tuple[int, ...]:
    """`2.28` as numbers, for comparing."""
    return tuple(map(int, text.split(".")))


def with_libc(word: str) -> Target:
    """As `parse`, for a place where the libc must be named.

    Raises:
        InputError: no such target, or a platform.
    """
    found = parse(word)
    if not isinstance(found, Target):
        hint = f"{found.name}-musl or {found.name}-gnu"
        raise InputError(f"{word} names no libc", hint=hint)
    return found


def unknown_target(word: str, also: tuple[str, ...] = ()) -> UnknownTargetError:
    """The error for `word`, which is no target nor one of the names in `also`."""
    known = dict.fromkeys([*also, *_spellings()])
    near = difflib.get_close_matches(word.strip().lower(), known, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else None
    return UnknownTargetError(
        f"unknown target '{word}'", hint=hint or "see: toolman list --available"
    )


def spellings(target: Target | Platform) -> list[str]:
    """Every spelling that `parse` takes for `target`."""
    if isinstance(target, Target) and target.glibc:
        plain = replace(target, glibc=None)
        return [f"{word}.{target.glibc}" for word in spellings(plain)]
    return [word for word, found in _spellings().items() if found == target]


@functools.cache
def _spellings() -> dict[str, Target | Platform]:
    table: dict[str, Target | Platform] = {}
    for platform in platforms():
        names = [platform.name, *platform.aliases]
        for word in (platform.docker, *names):
            table[word] = platform
        for libc in LIBCS:
            target = Target(platform=platform, libc=libc)
            short = [f"{n}-{libc}" for n in names if "/" not in n]
            for word in (*short, *_triples(target)):
                table.setdefault(word, target)
    return table


def _triples(target: Target) -> Iterator[str]:
    platform, libc = target.platform, target.libc
    for triple in (target.triple, *platform.triples.get(libc, ())):
        yield triple
        yield triple.replace("-linux-", "-unknown-linux-")
    yield platform.rust[libc]


def _row(docker: str, row: dict[str, Any]) -> Platform:
    optional: dict[str, Any] = {"triples": {}, "flag": "-march", "debian": None, "runs_on": ()}
    values = {**optional, **row}
    values |= {key: tuple(values[key]) for key in ("aliases", "gcc", "runs_on")}
    return Platform(docker=docker, **values)
