"""A user in a project, with apt's archive and an index to install from.

A plugin of pytest: `debian`, `apt`, `machine`, `alone` and `author` are fixtures.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from archive import Machine, Package, changeable, serve

from toolman import repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archive import Archive, Done, Server
    from published import Repository


class User:
    """Somebody in a project, with apt's archive and, if he has added it, the index of `corp`."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.file = machine.directory / "toolman.lock"
        self.pin('targets = ["arm64-musl"]')

    def pin(self, text: str) -> None:
        (self.machine.directory / "toolman.toml").write_text(text)

    def __call__(self, *words: str | Path) -> Done:
        return self.machine.toolman(*words)

    def good(self, *words: str | Path) -> Done:
        done = self(*words)
        assert done.code == 0, done.err
        return done

    def fails(self, code: int, *words: str) -> str:
        """What an expected failure says: one error, and a hint."""
        done = self(*words)
        assert (done.code, len(done.errors)) == (code, 1), done.err
        assert "Traceback" not in done.err
        assert "hint: " in done.err
        return done.err

    def locked(self, name: str = "arm64-musl") -> dict[str, Any]:
        found: dict[str, Any] = tomllib.loads(self.file.read_text())["target"][name]
        return found

    def active(self, name: str = "arm64-musl") -> dict[str, Any]:
        (row,) = [one for one in self.machine.listed() if one["name"] == name and one["active"]]
        return row


@pytest.fixture
def debian(tmp_path: Path) -> Archive:
    return changeable(tmp_path / "debian")


@pytest.fixture
def apt(debian: Archive) -> Iterator[Server]:
    """What serves apt."""
    with serve(debian) as server:
        yield server


@pytest.fixture
def machine(tmp_path: Path, apt: Server) -> Machine:
    return Machine(tmp_path / "user", apt.url)


@pytest.fixture
def alone(machine: Machine) -> User:
    """Somebody who knows no index."""
    return User(machine)


@pytest.fixture
def author(alone: User, corp: Repository, server: Server) -> User:
    alone.good("index", "add", "corp", server.url, "--root", corp.path("metadata/1.root.json"))
    return alone


def republish(corp: Repository, user: User, **changes: Any) -> None:
    """Another archive of arm64-musl, in the place of what there was."""
    repository.remove(corp.opened(), [one.sha256 for one in corp.opened().archives])
    corp.add("arm64-musl", **changes)
    user.good("index", "refresh")


def upgrade(debian: Archive, name: str, version: str) -> None:
    """A newer version of a package, in the place of the old one."""
    (old,) = [one for one in debian.rows if one.name == name]
    debian.remove(name)
    values = {key: getattr(old, key) for key in ("name", "files", "architecture", "depends")}
    debian.add(Package(**values, version=version))
    debian.write_lists()
