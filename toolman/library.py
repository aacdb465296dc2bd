"""A library: built for one toolchain, in the store under its own name, and laid into sysroots.

`library.json` stands at the head of its tree, beside `include/` and `lib/` (schema 1):
    name version     as its recipe calls them
    license          SPDX
    digest           sha256 of all that went into it: two equal digests are the same bytes
    sha256           of its source
    shared           whether it has .so files beside the static ones
    needs            the names of the libraries that it was built against
    origin           `source`, or `distro`: a package of the host's distribution
    target           `arm64-musl`
    toolchain        the entry of the toolchain whose compiler has built it
In a `toolchain.json` each library that is laid there has a row, with `asked`: whether the user
has named it, or another library needs it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = "library.json"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Library:
    """What a library is; see the module."""

    name: str
    version: str
    license: str
    digest: str
    sha256: str
    shared: bool = False
    needs: tuple[str, ...] = ()
    origin: str = "source"
    asked: bool = True

    def entry(self, target: str) -> str:
        """Its directory's name in the store."""
        version = self.version.replace(":", "_")
        return f"{self.name}-{version}-{target}-{self.digest[:12]}"

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, kw_only=True)
class Built:
    """A library in the store."""

    path: Path
    about: Library
    target: str
    toolchain: str


def lock(target: str) -> str:
    """The name of the lock, and of the staging, of who makes or removes a target's libraries."""
    return f"libraries-{target}"


def write(tree: Path, about: Library, target: str, toolchain: str) -> None:
    """Put the description at the head of `tree`."""
    row = asdict(about)
    del row["asked"]
    values = {"schema": SCHEMA, "target": target, "toolchain": toolchain, **row}
    (tree / FILE).write_text(json.dumps(values, indent=1) + "\n", "utf-8")


def read(tree: Path) -> Built | None:
    """The library at `tree`; None where there is none, a damaged one, or an unknown schema."""
    try:
        values = json.loads((tree / FILE).read_text("utf-8"))
        if values.pop("schema") != SCHEMA:
            return None
        target, toolchain = values.pop("target"), values.pop("toolchain")
        return Built(path=tree, about=parse(values), target=target, toolchain=toolchain)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def parse(row: Mapping[str, Any]) -> Library:
    """A row of a `toolchain.json`.

    Raises:
        TypeError, KeyError, AttributeError: it is none.
    """
    unknown = row.keys() - {one.name for one in fields(Library)}
    if unknown:
        raise KeyError(*unknown)
    return Library(**{**row, "needs": tuple(row.get("needs", ()))})
