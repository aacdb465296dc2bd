"""A Go module as far as a build of it has to be described: its name, its Go, its program.

Read by hand, for `toolman init` has to work where there is no Go. The syntax is that of
https://go.dev/ref/mod#go-mod-file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "go.mod"

# From Go 1.21 on `go` states the least Go that builds the module; before, it was a wish.
_STATED = (1, 21)
_LINE = r'^\s*{}\s+(?:"([^"]+)"|`([^`]+)`|([^\s"`(]+))\s*(?://.*)?$'
_VERSION = re.compile(r"(?:go)?(\d+)\.(\d+)")
_MAJOR = re.compile(r"v[2-9]|v[1-9]\d+")
_MAIN = re.compile(r"^package\s+main\b", re.MULTILINE)
_OUTSIDE = re.compile(r"=>\s*\"?(\.\./[^\s\"]*|/[^\s\"]*)")
# What stands in shell, YAML, HCL and an image's name without a quote.
_PLAIN = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*")


@dataclass(frozen=True, kw_only=True)
class Module:
    """What a `go.mod` says."""

    path: str
    go: str | None
    """The release that it needs, `1.25`; None where any does."""
    outside: tuple[str, ...]
    """Directories that replace modules, and are not below this one."""


def read(directory: Path) -> Module:
    """The module whose root is `directory`.

    Raises:
        InputError: there is none, or its `go.mod` names no module.
    """
    file = directory / FILE
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise InputError(
            f"there is no {FILE} in {directory}",
            hint="this is for Go modules: go mod init, or say it in the module's directory",
        ) from None
    except (OSError, UnicodeError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    path = _said("module", text)
    if path is None:
        raise InputError(f"{file} names no module", hint="go mod edit -module NAME")
    stated = [_release(_said(word, text)) for word in ("go", "toolchain")]
    newest = max(stated)
    return Module(
        path=path,
        go=f"{newest[0]}.{newest[1]}" if newest >= _STATED else None,
        outside=tuple(_OUTSIDE.findall(text)),
    )


def program(module: Module, package: str, directory: Path) -> str:
    """What go calls the program of `package`, a directory as `./cmd/app` of the module.

    Raises:
        InputError: that is no directory with a program, or cannot stand in a script as it is.
    """
    words = package.removeprefix("./").rstrip("/")
    if not _PLAIN.fullmatch(package) or ".." in words.split("/") or package.startswith("/"):
        raise InputError(f"--package: '{package}' is no directory below this one", hint="./cmd/app")
    if not _is_main(directory / package):
        found = [f"--package ./{one}" for one in _programs(directory)]
        hint = " or ".join(found[:3]) if found else "say --package ./DIRECTORY"
        raise InputError(f"{package} has no package main", hint=hint)
    parts = module.path.split("/") + [one for one in words.split("/") if one not in ("", ".")]
    if len(parts) > 1 and _MAJOR.fullmatch(parts[-1]):
        del parts[-1]
    name = parts[-1]
    if not _PLAIN.fullmatch(name):
        raise InputError(f"{name} is a name that scripts cannot hold as it is")
    return name


def _said(word: str, text: str) -> str | None:
    found = re.search(_LINE.format(word), text, re.MULTILINE)
    return next(filter(None, found.groups()), None) if found else None


def _release(word: str | None) -> tuple[int, int]:
    found = _VERSION.match(word or "")
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _programs(directory: Path) -> Iterator[str]:
    """Where programs usually are."""
    for one in sorted([*directory.glob("cmd/*"), *directory.glob("*")]):
        if _is_main(one):
            yield one.relative_to(directory).as_posix()


def _is_main(directory: Path) -> bool:
    return any(
        _MAIN.search(file.read_text("utf-8", "replace"))
        for file in sorted(directory.glob("*.go"))
        if not file.name.endswith("_test.go")
    )
