"""A toolchain: an installed tree that describes itself in `toolchain.json`.

The file stands at the head of the tree (schema 1):
    name        what `env`, `which` … call it: the target's name, or the user's for a linked one
    target      `arm64-musl`
    version     of its compiler
    digest      sha256 of all that went into it: two equal digests are the same bytes
    origin      `distro`, `linked` …
    languages   what it compiles: `c`, `c++`, `gccgo`, `fortran`
    host        the host that it runs on
    root        of a linked one: the user's directory; else null, the tree itself
    sysroot     the target's headers and libraries, relative to the root
    tools       `gcc` → its file, relative to the root
    components  what it was made of: name, version, sha256, size in bytes
    recipe      of one that was built from source: its recipe's label; else null
    malloc      likewise: the allocator of its libc.a, if it is musl's
    publisher   of another publisher's: its name in the catalogue; else null
Where libraries are laid into the sysroot, and only there (see `library`):
    base        the entry in the store that they were laid over
    libraries   a row for each
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import library
from toolman import target as targets
from toolman.errors import InputError
from toolman.target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolman.library import Library

FILE = "toolchain.json"
SBOM = "sbom.spdx.json"
"""Beside it: what the toolchain is made of; see `sbom`."""
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Component:
    """One package or source inside a toolchain."""

    name: str
    version: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Description:
    """What `toolchain.json` says; see the module."""

    name: str
    target: Target
    version: str
    digest: str
    origin: str
    languages: tuple[str, ...]
    host: str
    sysroot: str
    tools: Mapping[str, str]
    components: tuple[Component, ...] = ()
    root: str | None = None
    recipe: str | None = None
    malloc: str | None = None
    publisher: str | None = None
    base: str | None = None
    libraries: tuple[Library, ...] = ()

    @property
    def entry(self) -> str:
        """Its directory's name in the store."""
        return f"{self.name}-{self.version}-{self.digest[:12]}"

    def to_json(self) -> dict[str, Any]:
        values = {field: getattr(self, field) for field in self.__dataclass_fields__}
        values["target"] = self.target.name
        values["tools"] = dict(sorted(self.tools.items()))
        values["components"] = [asdict(component) for component in self.components]
        values["libraries"] = [asdict(one) for one in self.libraries]
        if self.base is None:
            del values["base"], values["libraries"]
        return {"schema": SCHEMA, **values}


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """An installed toolchain: where it is, and what it says of itself."""

    path: Path
    about: Description

    @property
    def name(self) -> str:
        return self.about.name

    @property
    def target(self) -> Target:
        return self.about.target

    @property
    def root(self) -> Path:
        """Where its files are: the tree, or the user's directory of a linked one."""
        return Path(self.about.root) if self.about.root else self.path

    @property
    def sysroot(self) -> Path:
        return self.root / self.about.sysroot

    def tool(self, name: str) -> Path:
        """The file of the tool `gcc`, `ar` …

        Raises:
            InputError: it has no such tool.
        """
        try:
            return self.root / self.about.tools[name]
        except KeyError:
            known = ", ".join(sorted(self.about.tools))
            raise InputError(f"{self.name} has no {name}", hint=f"it has: {known}") from None


def write(tree: Path, about: Description) -> None:
    """Put the description at the head of `tree`."""
    text = json.dumps(about.to_json(), indent=1) + "\n"
    (tree / FILE).write_text(text, "utf-8")


def read(tree: Path) -> Toolchain | None:
    """The toolchain at `tree`; None where there is none, a damaged one, or an unknown schema."""
    try:
        about = parse(json.loads((tree / FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, InputError):
        return None
    return Toolchain(path=tree, about=about) if about else None


def loads(text: bytes) -> Description | None:
    """What the text of somebody's `toolchain.json` says; None if it is none that is known."""
    try:
        return parse(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, InputError):
        return None


def parse(said: Mapping[str, Any]) -> Description | None:
    """What a `toolchain.json` says; None if it is of an unknown schema."""
    values = dict(said)
    if values.pop("schema", None) != SCHEMA:
        return None
    found = targets.parse(values.pop("target"))
    assert isinstance(found, Target)
    components = tuple(Component(**row) for row in values.pop("components"))
    languages = tuple(values.pop("languages"))
    libraries = tuple(map(library.parse, values.pop("libraries", ())))
    return Description(
        target=found, components=components, languages=languages, libraries=libraries, **values
    )
