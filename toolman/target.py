"""Platforms and targets, and every accepted spelling of them.

A *platform* is where the program will run (`linux/arm64`); a *target* adds the libc
(`arm64-musl`). Both are rows and values of `targets.toml`; no other module composes or
takes apart a triple.
"""

from __future__ import annotations

import difflib
import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Libc = Literal["musl", "gnu"]
LIBCS: tuple[Libc, ...] = ("musl", "gnu")


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

    @property
    def name(self) -> str:
        return f"{self.platform.name}-{self.libc}"

    @property
    def triple(self) -> str:
        """GNU's spelling, `aarch64-linux-musl`."""
        return self.platform.triple[self.libc]

    @property
    def rust(self) -> str:
        """Rust's target, `aarch64-unknown-linux-musl`."""
        return self.platform.rust[self.libc]

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
    `linux/arm64`, `arm64` and the aliases of the table, in any letter case.

    Raises:
        InputError: no such target; the hint holds the nearest spellings.
    """
    found = _spellings().get(word.strip().lower())
    if found is None:
        raise unknown_target(word)
    return found


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


def unknown_target(word: str, also: tuple[str, ...] = ()) -> InputError:
    """The error for `word`, which is no target nor one of the names in `also`."""
    known = dict.fromkeys([*also, *_spellings()])
    near = difflib.get_close_matches(word.strip().lower(), known, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else None
    return InputError(f"unknown target '{word}'", hint=hint or "see: toolman list --available")


def spellings(target: Target | Platform) -> list[str]:
    """Every spelling that `parse` takes for `target`."""
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
