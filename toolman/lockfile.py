"""`toolman.lock`: exactly which toolchains a pin means, for every host at once.

TOML, beside the pin; always the same text for the same toolchains. Schema 1, for each target:

    [target.arm64-musl]
    origin = "prebuilt"             prebuilt, distro or source
    languages = ["c", "c++"]        those that the pin wants
    gcc = "14.2.0"                  not of distro, where each host has its own
    recipe, malloc                  as in `toolchain.json`
    index = "corp"                  prebuilt: the index that named the archives
    digest = "…"                    source: of all that it is made of, the host's compiler apart
    libraries = ["zlib 1.3.1 …"]    those that the pin wants: name, version, and a digest of the
                                    recipe and the sources
    needed = ["openssl 3.5.7 …"]    those that these need

    [target.arm64-musl.archives]    prebuilt: for each host; for a machine, what runs on every Linux
    x86_64 = { sha256 = "…", size = 1, unpacked = 2, files = 3 }

    [target.arm64-gnu.systems.debian12-x86_64]    distro: for each host that has locked
    gcc = "12.2.0"
    digest = "…"                    the toolchain's
    packages = ["name version sha256"]

There are no addresses in it, so a lock makes nobody fetch from where he does not want to.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolman import store
from toolman import target as targets
from toolman.errors import InputError
from toolman.index import ArchiveBlob
from toolman.request import languages
from toolman.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from toolman.host import Host
    from toolman.project import Pin, Want

FILE = "toolman.lock"
SCHEMA = 1

_HEAD = "# Made by: toolman lock. Commit it, and do not edit it."
_AGAIN = "take it from your version control again, or write a new one: toolman lock --bump"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_NEEDED = {
    "prebuilt": ("gcc", "index", "archives"),
    "distro": ("systems",),
    "source": ("gcc", "recipe", "digest"),
}
_MORE = {"prebuilt": ("recipe", "malloc"), "distro": (), "source": ("malloc",)}
_LIBRARIES = ("libraries", "needed")
_BLOB = ("sha256", "size", "unpacked", "files")


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package of a distribution, or a library."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Packages:
    """What a toolchain of origin distro is made of on one host."""

    digest: str
    """The toolchain's."""
    packages: tuple[Package, ...]
    """By name."""
    gcc: str | None = None


@dataclass(frozen=True, kw_only=True)
class Locked:
    """One toolchain; see the module for what belongs to which origin."""

    target: Target
    origin: str
    languages: tuple[str, ...]
    gcc: str | None = None
    recipe: str | None = None
    malloc: str | None = None
    index: str | None = None
    digest: str | None = None
    libraries: tuple[Package, ...] = ()
    needed: tuple[Package, ...] = ()
    archives: Mapping[str, ArchiveBlob] = field(default_factory=dict)
    systems: Mapping[str, Packages] = field(default_factory=dict)

    def archive(self, host: Host) -> ArchiveBlob | None:
        """The archive for a host."""
        return self.archives.get(host.key) or self.archives.get(host.machine)

    def covers(self, host: Host) -> bool:
        """Whether it says what `host` gets."""
        return self.origin == "source" or bool(self.archive(host)) or host.key in self.systems


@dataclass(frozen=True, kw_only=True)
class Lock:
    """What a `toolman.lock` says; of each target one."""

    toolchains: tuple[Locked, ...]

    def of(self, target: Target) -> Locked | None:
        """What is locked for `target`."""
        return next((one for one in self.toolchains if one.target == target), None)


def beside(pin: Pin) -> Path:
    """The place of a pin's lock."""
    return pin.file.with_name(FILE)


def read(file: Path) -> Lock | None:
    """What is locked in `file`; None if there is no such file.

    Raises:
        InputError: it is damaged, or of a newer toolman.
    """
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: {error}") from error
    try:
        return parse(text)
    except InputError as error:
        raise InputError(f"{file}: {error}", hint=error.hint) from error


def write(file: Path, lock: Lock) -> None:
    """Write `file` in one step; nothing if it says so already."""
    store.write(file, dump(lock))


def parse(text: str) -> Lock:
    """What the text of a lock says.

    Raises:
        InputError: it is no such text, or of a newer toolman.
    """
    try:
        values = tomllib.loads(text)
        known = values["schema"] <= SCHEMA
        rows = values.get("target", {}) if known else {}
        lock = Lock(toolchains=tuple(_locked(name, row) for name, row in rows.items()))
    except (ValueError, TypeError, KeyError, AttributeError, InputError) as error:
        what = "a merge left its marks" if "\n<<<<<<< " in text else str(error)
        raise InputError(f"it is damaged: {what}", hint=_AGAIN) from error
    if not known:
        raise InputError("it is of a newer kind", hint="update toolman")
    return lock


def dump(lock: Lock) -> str:
    """The text of a lock."""
    ordered = sorted(lock.toolchains, key=lambda one: one.target.name)
    parts = [f"{_HEAD}\nschema = {SCHEMA}\n", *("\n".join(_lines(one)) for one in ordered)]
    return "\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def unfit(lock: Lock | None, pin: Pin, host: Host) -> list[str]:
    """Why a lock does not say what `host` gets of what `pin` wants; nothing if it does."""
    if lock is None:
        return ["there is none"]
    wrong = []
    for want in pin.wants:
        locked = lock.of(want.target)
        reason = _differs(locked, want) if locked else "is not locked"
        if not reason and locked and not locked.covers(host):
            reason = f"is not locked for {host.key}"
        wrong += [f"{want.target} {reason}"] if reason else []
    extra = [one.target for one in lock.toolchains if one.target not in pin.targets]
    return wrong + [f"{one} is not wanted" for one in extra]


def fits(locked: Locked, want: Want) -> bool:
    """Whether it is what `want` asks for."""
    return _differs(locked, want) is None


def _differs(locked: Locked, want: Want) -> str | None:
    request = want.request
    if request.languages != locked.languages:
        return f"is locked with {', '.join(locked.languages)}"
    if want.origin not in (None, locked.origin):
        return f"is locked from {locked.origin}"
    if request.gcc and not f"{locked.gcc}.".startswith(f"{request.gcc}."):
        return f"is locked with GCC {locked.gcc}"
    if request.recipe not in (None, locked.recipe):
        return f"is locked by recipe {locked.recipe}"
    if request.malloc not in (None, locked.malloc):
        return f"is locked with malloc {locked.malloc}"
    wanted = {word.partition("@")[0]: word.partition("@")[2] for word in want.libraries}
    versions = {one.name: one.version for one in locked.libraries}
    if wanted.keys() != versions.keys():
        return f"is locked with {', '.join(versions) or 'no libraries'}"
    for name, begins in wanted.items():
        if begins and not f"{versions[name]}.".startswith(f"{begins}."):
            return f"is locked with {name} {versions[name]}"
    return None


def _locked(name: str, row: Mapping[str, Any]) -> Locked:
    target = targets.parse(name)
    if not isinstance(target, Target):
        raise ValueError(f"{name} is no target")
    origin = _text(row["origin"])
    needed = ("origin", "languages", *_NEEDED[origin])
    if wrong := set(needed).difference(row) | set(row).difference(
        needed, _MORE[origin], _LIBRARIES
    ):
        raise ValueError(f"{name}: wrong or missing: {', '.join(sorted(wrong))}")
    values = {key: _PARSED.get(key, _text)(value) for key, value in row.items()}
    return Locked(target=target, **values)


def _archives(rows: Mapping[str, Any]) -> dict[str, ArchiveBlob]:
    return {_text(key): _blob(row) for key, row in rows.items()}


def _systems(rows: Mapping[str, Any]) -> dict[str, Packages]:
    return {_text(key): _packages(row) for key, row in rows.items()}


def _blob(row: Mapping[str, Any]) -> ArchiveBlob:
    numbers = [row[key] for key in _BLOB[1:]]
    if not all(type(one) is int and one >= 0 for one in numbers):
        raise ValueError(f"{numbers} are no sizes")
    _digest(row["sha256"])
    return ArchiveBlob(**row)


def _packages(row: Mapping[str, Any]) -> Packages:
    found = _rows(row["packages"])
    _text(row.get("gcc", "-"))
    _digest(row["digest"])
    return Packages(**{**row, "packages": found})


def _rows(lines: Sequence[str]) -> tuple[Package, ...]:
    found = []
    for line in lines:
        name, version, sha256 = line.split(" ")
        found.append(Package(name=name, version=version, sha256=_digest(sha256)))
    return tuple(found)


def _digest(word: str) -> str:
    if not _DIGEST.fullmatch(word):
        raise ValueError(f"{word!r} is no sha256")
    return word


def _text(word: object) -> str:
    if not isinstance(word, str) or not word:
        raise ValueError(f"{word!r} is no text")
    return word


_PARSED: dict[str, Callable[[Any], Any]] = {
    "languages": languages,
    "digest": _digest,
    "archives": _archives,
    "systems": _systems,
    "libraries": _rows,
    "needed": _rows,
}


def _lines(one: Locked) -> Iterator[str]:
    head = f"target.{_key(one.target.name)}"
    yield f"[{head}]"
    yield f"origin = {_quoted(one.origin)}"
    yield f"languages = [{', '.join(map(_quoted, one.languages))}]"
    for key in ("gcc", "recipe", "malloc", "index", "digest"):
        if value := getattr(one, key):
            yield f"{key} = {_quoted(value)}"
    for key in _LIBRARIES:
        if rows := getattr(one, key):
            yield f"{key} = ["
            yield from _package_lines(rows)
            yield "]"
    if one.archives:
        yield f"\n[{head}.archives]"
    for key, blob in sorted(one.archives.items()):
        sizes = ", ".join(f"{name} = {getattr(blob, name)}" for name in _BLOB[1:])
        yield f"{_key(key)} = {{ sha256 = {_quoted(blob.sha256)}, {sizes} }}"
    for key, system in sorted(one.systems.items()):
        yield f"\n[{head}.systems.{_key(key)}]"
        yield from [f"gcc = {_quoted(system.gcc)}"] if system.gcc else []
        yield f"digest = {_quoted(system.digest)}"
        yield "packages = ["
        yield from _package_lines(system.packages)
        yield "]"


def _package_lines(rows: Sequence[Package]) -> Iterator[str]:
    for row in rows:
        yield f"    {_quoted(f'{row.name} {row.version} {row.sha256}')},"


def _key(word: str) -> str:
    return word if _BARE.fullmatch(word) else _quoted(word)


def _quoted(text: str) -> str:
    """A text as TOML has it, which is JSON's way but for one letter."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
