"""Repositories of small archives, a server before them, and users who read them.

A plugin of pytest: `corp`, `server` and `reader` are fixtures.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from archive import HOST, MACHINES, Files, compiler, serve

from toolman import archive, index, repository, target, toolchain
from toolman.context import Context
from toolman.paths import Paths
from toolman.signing import Lifetimes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from archive import Server

    from toolman.index import Archive, Index

LASTS = Lifetimes()


@dataclass
class Said:
    """A reporter that remembers."""

    lines: list[str] = field(default_factory=list)

    def step(self, text: str) -> None:
        self.lines.append(text)


class Repository:
    """A repository in a directory, with its keys."""

    def __init__(self, place: Path, *, lasts: Lifetimes = LASTS) -> None:
        self.place = place
        self.directory = place / "repo"
        self.keys = place / "keys"
        repository.init(self.directory, self.keys, lasts=lasts)

    @property
    def root(self) -> bytes:
        return self.path("metadata/1.root.json").read_bytes()

    def path(self, name: str) -> Path:
        return self.directory / name

    def opened(self) -> repository.Opened:
        return repository.opened(self.directory, self.keys)

    def add(self, *names: str, lasts: Lifetimes = LASTS, **changes: Any) -> None:
        """Publish archives of targets: `arm64-musl`; `changes` are of their descriptions."""
        files = [packed(self.place, name, **changes) for name in names]
        work = self.place / "work"
        work.mkdir(exist_ok=True)
        found = {path: repository.describe(path, work) for path in files}
        repository.add(self.opened(), found, lasts)

    def refresh(self, lasts: Lifetimes = LASTS) -> None:
        repository.refresh(self.opened(), lasts)

    def rotate(self, owner: Any, **numbers: int) -> None:
        repository.rotate(self.opened(), owner, **numbers)

    def saved(self, name: str) -> Path:
        """A copy of what is published now."""
        return shutil.copytree(self.directory, self.place / name)

    def restore(self, saved: Path, *patterns: str) -> None:
        """Put files of an earlier copy back: what an attacker on the way can do."""
        for pattern in patterns or ("**/*",):
            for path in saved.glob(pattern):
                if path.is_file():
                    to = self.directory / path.relative_to(saved)
                    to.parent.mkdir(parents=True, exist_ok=True)
                    to.unlink(missing_ok=True)
                    shutil.copyfile(path, to)

    def current(self, role: str) -> Path:
        """The newest metadata of a role."""
        found = self.directory.glob(f"metadata/*.{role}.json")
        return max(found, key=lambda path: int(path.name.split(".")[0]))


class Reader:
    """A user's machine that reads indexes, in this process."""

    def __init__(self, place: Path, environ: Mapping[str, str] = {}) -> None:
        self.said = Said()
        paths = Paths(data=place / "home" / HOST.key, cache=place / "cache")
        reporter: Any = self.said
        self.ctx = Context(host=HOST, paths=paths, environ=environ, reporter=reporter)

    def add(self, url: str, root: bytes, *mirrors: str) -> Index:
        return index.add("corp", [url, *mirrors], root, self.ctx)

    def refresh(self) -> list[str]:
        return names(index.refresh(index.find("corp", self.ctx), self.ctx))

    def known(self) -> list[str]:
        return names(index.known(index.find("corp", self.ctx)))

    def archives(self) -> index.Catalogue:
        return index.archives(index.find("corp", self.ctx), self.ctx)


@pytest.fixture
def corp(tmp_path: Path) -> Repository:
    """A repository with one archive."""
    (tmp_path / "corp").mkdir()
    made = Repository(tmp_path / "corp")
    made.add("arm64-musl")
    return made


@pytest.fixture
def server(corp: Repository) -> Iterator[Server]:
    """What serves it."""
    with serve(Files(corp.directory)) as server:
        yield server


@pytest.fixture
def reader(corp: Repository, server: Server, tmp_path: Path) -> Reader:
    """Somebody who trusts the repository, and has read it once."""
    made = Reader(tmp_path / "reader")
    made.add(server.url, corp.root)
    return made


def names(found: list[Archive] | tuple[Archive, ...]) -> list[str]:
    return [one.about.target.name for one in found]


def packed(place: Path, name: str, **changes: Any) -> Path:
    """An archive of a very small toolchain, whose compiler is `archive.compiler`."""
    found = target.parse(name)
    assert isinstance(found, target.Target)
    about = toolchain.Description(
        **{
            "name": name,
            "target": found,
            "version": "14.2.0",
            "digest": "ab" * 32,
            "origin": "source",
            "languages": ("c",),
            "host": HOST.key,
            "sysroot": "sysroot",
            "tools": {"gcc": "bin/gcc"},
            **changes,
        }
    )
    tree = place / f"tree-{name}"
    if not tree.exists():
        (tree / "bin").mkdir(parents=True)
        machine = MACHINES.get(found.platform.triple["gnu"], r"\076\000")
        (tree / "bin/gcc").write_text(compiler(found.triple, machine))
        (tree / "bin/gcc").chmod(0o755)
        (tree / "bin/cc").symlink_to("gcc")
        (tree / "bin/aarch64-linux-musl-gcc").hardlink_to(tree / "bin/gcc")
    toolchain.write(tree, about)
    into = place / f"{name}.tar.zst"
    archive.pack(
        archive.Tree(root=tree, top=f"{name}-1", first=toolchain.FILE),
        into,
        lambda _: None,
        level=1,
    )
    return into


def signed(path: Path) -> dict[str, Any]:
    """What a file of metadata says."""
    found: dict[str, Any] = json.loads(path.read_bytes())["signed"]
    return found
