"""Which toolchain a word means, and why.

What is said in the word wins (a name, or a target with its libc), then `--libc`, then the
nearest `toolman.toml`, then `toolman default`, then musl: it gives a file that runs anywhere.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolman import target as targets
from toolman.errors import InputError
from toolman.target import Platform, Target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toolman.store import Store
    from toolman.target import Libc
    from toolman.toolchain import Toolchain

PIN = "toolman.toml"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The name of a toolchain, installed or not, and the reason for it."""

    name: str
    target: Target
    reason: str


@dataclass(frozen=True, kw_only=True)
class Pin:
    """What a project's `toolman.toml` wants: targets, no commands, no URLs."""

    file: Path
    targets: tuple[Target, ...]


def choose(
    word: str | None, store: Store, *, libc: Libc | None = None, directory: Path | None = None
) -> Choice:
    """What `word` means; without a word, what the pin or the default says.

    Raises:
        InputError: it means nothing, or the pin file is wrong.
    """
    if word is None:
        return _unsaid(store, directory)
    installed = store.active(word)
    if installed and not libc:
        return Choice(name=word, target=installed.target, reason="named")
    linked = tuple(one.name for one in store.toolchains())
    try:
        found = targets.parse(word)
    except InputError:
        raise targets.unknown_target(word, linked) from None
    if isinstance(found, Target):
        return _named(found, libc)
    return _for_platform(found, store, libc, directory)


def installed(choice: Choice, store: Store) -> Toolchain:
    """The toolchain that `choice` means.

    Raises:
        InputError: it is not installed.
    """
    found = store.active(choice.name)
    if found is None:
        hint = f"toolman install {choice.name}"
        others = [
            one.name for one in store.toolchains() if one.target.platform == choice.target.platform
        ]
        if others:
            hint += f"   (installed: {', '.join(others)})"
        raise InputError(f"{choice.name} is not installed", hint=hint)
    if not found.root.is_dir():
        hint = f"toolman link {found.name} DIR, or: toolman uninstall {found.name}"
        raise InputError(f"{found.name} is linked to {found.root}, which is gone", hint=hint)
    return found


def defaults(store: Store) -> list[Target]:
    """What `toolman default` chose, the overall default first."""
    try:
        names = json.loads(store.paths.defaults.read_text("utf-8"))["targets"]
    except (OSError, ValueError, KeyError):
        return []
    return [found for found in map(targets.parse, names) if isinstance(found, Target)]


def find_pin(directory: Path) -> Pin | None:
    """The nearest `toolman.toml` at or above `directory`.

    Raises:
        InputError: it is not one; all of its mistakes are listed.
    """
    for parent in (directory, *directory.parents):
        file = parent / PIN
        if file.is_file():
            return _read_pin(file)
    return None


def _unsaid(store: Store, directory: Path | None) -> Choice:
    pin = find_pin(directory) if directory else None
    if pin and pin.targets:
        return _choice(pin.targets[0], f"first in {pin.file}")
    chosen = defaults(store)
    if chosen:
        return _choice(chosen[0], "chosen by: toolman default")
    raise InputError("no target given", hint="name one, as in: toolman env linux/arm64")


def _named(found: Target, libc: Libc | None) -> Choice:
    if libc and libc != found.libc:
        raise InputError(
            f"{found.name} is not a {libc} target", hint=f"{found.platform.name}-{libc}"
        )
    return _choice(found, "named")


def _for_platform(
    platform: Platform, store: Store, libc: Libc | None, directory: Path | None
) -> Choice:
    if libc:
        return _choice(Target(platform=platform, libc=libc), f"--libc {libc}")
    pin = find_pin(directory) if directory else None
    pinned = _of(platform, pin.targets) if pin else None
    if pin and pinned:
        return _choice(pinned, f"pinned in {pin.file}")
    default = _of(platform, defaults(store))
    if default:
        return _choice(default, "chosen by: toolman default")
    return _choice(Target(platform=platform, libc="musl"), "musl unless something says otherwise")


def _of(platform: Platform, among: Sequence[Target]) -> Target | None:
    return next((one for one in among if one.platform == platform), None)


def _choice(target: Target, reason: str) -> Choice:
    return Choice(name=target.name, target=target, reason=reason)


def _read_pin(file: Path) -> Pin:
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: {error}") from error
    issues = [f"unknown key '{key}'" for key in values if key != "targets"]
    words = values.get("targets", [])
    if not isinstance(words, list):
        words, issues = [], [*issues, "targets is no list"]
    found = []
    for word in words:
        try:
            one = targets.parse(str(word))
            found.append(one if isinstance(one, Target) else Target(platform=one, libc="musl"))
        except InputError as error:
            issues.append(f"{error} ({error.hint})")
    if issues:
        raise InputError(f"{file}: {'; '.join(issues)}", hint='as in: targets = ["arm64-musl"]')
    return Pin(file=file, targets=tuple(found))
