"""Which toolchain a word means, and why.

What is said in the word wins (a name, or a target with its libc), then `--libc`, then what is
said for the directory: `toolman override`, or a `toolman.toml`. As in rustup the nearest directory
wins, and in one directory the override, which is the user's own. Then `toolman default`, then
musl: it gives a file that runs anywhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import project
from toolman import target as targets
from toolman.errors import InputError
from toolman.target import Platform, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toolman.store import Store
    from toolman.target import Libc
    from toolman.toolchain import Toolchain


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The name of a toolchain, installed or not, and the reason for it."""

    name: str
    target: Target
    reason: str


def choose(
    word: str | None,
    store: Store,
    *,
    libc: Libc | None = None,
    glibc: str | None = None,
    directory: Path | None = None,
) -> Choice:
    """What `word` means; without a word, what the pin or the default says.

    With `glibc`, the oldest that programs must run with, it is the target with that floor.

    Raises:
        InputError: it means nothing, or the pin file is wrong.
    """
    if glibc:
        return _floored(word, store, libc or "gnu", glibc, directory)
    if word is None:
        return _unsaid(store, directory)
    installed = store.active(word)
    if installed and not libc:
        return Choice(name=word, target=installed.target, reason="named")
    linked = tuple(one.name for one in store.toolchains())
    try:
        found = targets.parse(word)
    except targets.UnknownTargetError:
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
            hint += f"   (installed: {', '.join(dict.fromkeys(others))})"
        raise InputError(f"{choice.name} is not installed", hint=hint)
    if not found.root.is_dir():
        hint = f"toolman link {found.name} DIR, or: toolman uninstall {found.name}"
        raise InputError(f"{found.name} is linked to {found.root}, which is gone", hint=hint)
    return found


def defaults(store: Store) -> list[Target]:
    """What `toolman default` chose, the overall default first."""
    try:
        return _parsed(json.loads(store.paths.defaults.read_text("utf-8"))["targets"])
    except (OSError, ValueError, KeyError):
        return []


def first_of_each(chosen: Sequence[Target]) -> list[Target]:
    """The first target of each platform."""
    seen: dict[str, Target] = {}
    for one in chosen:
        seen.setdefault(one.platform.docker, one)
    return list(seen.values())


def overrides(store: Store) -> dict[Path, list[Target]]:
    """What `toolman override` chose, by directory; of each the newest first."""
    try:
        rows: Mapping[str, list[str]] = json.loads(store.paths.overrides.read_text("utf-8"))[
            "directories"
        ]
        return {Path(where): _parsed(names) for where, names in rows.items()}
    except (OSError, ValueError, KeyError):
        return {}


def _parsed(names: Sequence[str]) -> list[Target]:
    return [found for found in map(targets.parse, names) if isinstance(found, Target)]


def _unsaid(store: Store, directory: Path | None) -> Choice:
    for found, reason in _rules(store, directory):
        return _choice(found[0], reason)
    chosen = defaults(store)
    if chosen:
        return _choice(chosen[0], "chosen by: toolman default")
    raise InputError("no target given", hint="name one, as in: toolman env linux/arm64")


def _rules(store: Store, directory: Path | None) -> Iterator[tuple[Sequence[Target], str]]:
    """What is said for the directory, the strongest first: targets, and where that is said."""
    if directory is None:
        return
    chosen, pinned = overrides(store), False
    for parent in (directory, *directory.parents):
        if parent in chosen:
            yield chosen[parent], f"chosen by: toolman override, for {parent}"
        if not pinned and (pin := project.pin_at(parent)):
            pinned = True  # one above it is another project's
            yield pin.targets, f"pinned in {pin.file}: targets"


def _floored(
    word: str | None, store: Store, libc: Libc, glibc: str, directory: Path | None
) -> Choice:
    # Said of a platform it means gnu, whatever the pin or the default would choose.
    plain = choose(word, store, libc=libc if word else None, directory=directory).target
    if plain.glibc not in (None, glibc):
        raise InputError(f"{plain} is not for glibc {glibc}", hint="name one of the two")
    return _choice(targets.with_glibc(plain, glibc), f"--glibc {glibc}")


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
    for found, reason in _rules(store, directory):
        if chosen := _of(platform, found):
            return _choice(chosen, reason)
    default = _of(platform, defaults(store))
    if default:
        return _choice(default, "chosen by: toolman default")
    return _choice(Target(platform=platform, libc="musl"), "musl unless something says otherwise")


def _of(platform: Platform, among: Sequence[Target]) -> Target | None:
    return next((one for one in among if one.platform == platform), None)


def _choice(target: Target, reason: str) -> Choice:
    return Choice(name=target.name, target=target, reason=reason)
