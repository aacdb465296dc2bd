"""Origin `prebuilt`, end to end: packed and published by one user, installed by another."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import archive
import pytest
from elf_files import HELLO

from toolman import elf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive import Server
    from conftest import Runner

    from toolman.run import Finished


@dataclass(frozen=True)
class Published:
    """A repository with arm64-musl, its keys, and a server before it."""

    directory: Path
    keys: Path
    server: Server
    packed: Path

    @property
    def root(self) -> Path:
        return self.directory / "metadata/1.root.json"

    def blob(self) -> Path:
        (found,) = (path for path in self.directory.glob("blobs/sha256/*/*"))
        return found


class User:
    """Somebody whose machine has nothing yet."""

    def __init__(self, toolman: Runner, place: Path) -> None:
        self.toolman = toolman
        self.place = place
        self.env = {"TOOLMAN_HOME": str(place / "home"), "TOOLMAN_CACHE": str(place / "cache")}

    def __call__(self, *words: str | Path) -> Finished:
        return self.toolman(*words, env=self.env, cwd=self.place)

    def good(self, *words: str | Path) -> Finished:
        done = self(*words)
        assert done.code == 0, done.err
        return done


@pytest.fixture(scope="module")
def made(
    toolman: Runner, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Path]:
    """A repository, its keys, and the archive in it."""
    place = tmp_path_factory.mktemp("published")
    env = {"TOOLMAN_HOME": str(home)}
    done = toolman("pack", "arm64-musl", "--level", "3", "--json", "-o", place, env=env)
    packed = Path(json.loads(done.out)["path"])
    keys = place / "keys"
    for words in (("init", place / "repo"), ("add", place / "repo", packed)):
        done = toolman("publish", *words, "--keys", keys)
        assert done.code == 0, done.err
    return place / "repo", keys, packed


@pytest.fixture
def published(made: tuple[Path, Path, Path], tmp_path: Path) -> Iterator[Published]:
    directory, keys, packed = made
    copy = tmp_path / "repo"
    subprocess.run(["cp", "-a", directory, copy], check=True)
    with archive.serve(archive.Files(copy)) as server:
        yield Published(copy, keys, server, packed)


@pytest.fixture
def user(toolman: Runner, published: Published, tmp_path: Path) -> User:
    (tmp_path / "user").mkdir()
    found = User(toolman, tmp_path / "user")
    found.good("index", "add", "corp", published.server.url, "--root", published.root)
    return found


def compiled(user: User) -> Path:
    gcc = user.good("which", "gcc", "--target", "arm64-musl").out.strip()
    (user.place / "a.c").write_text(HELLO)
    subprocess.run([gcc, "-static", "a.c", "-o", "a"], cwd=user.place, check=True)
    return user.place / "a"


def test_what_one_packed_another_installs_and_uses(user: User, published: Published) -> None:
    done = user.good("install", "arm64-musl", "--json")
    (installed,) = json.loads(done.out)["installed"]
    assert (installed["origin"], installed["fresh"]) == ("prebuilt", True)
    assert installed["digest"] == published.blob().name
    program = compiled(user)
    assert elf.inspect(program).linkage == "static"
    assert user.good("run", "linux/arm64", program).out == "hello\n"
    assert "is already installed" in user.good("install", "arm64-musl").err


def test_a_dry_run_says_index_and_bytes(user: User, published: Published) -> None:
    said = user.good("install", "arm64-musl", "--dry-run").out
    assert "origin prebuilt, index corp: GCC" in said
    (plan,) = json.loads(user.good("install", "arm64-musl", "--dry-run", "--json").out)["plans"]
    assert plan["download"] == published.packed.stat().st_size
    assert not list(user.place.rglob("toolchain.json"))


def test_list_available_tells_what_the_indexes_hold(user: User, published: Published) -> None:
    published.server.stop()
    rows = json.loads(user.good("list", "--available", "--json").out)["targets"]
    found = {row["target"]: row["prebuilt"] for row in rows}
    assert found["arm64-musl"] == ["c"]
    assert found["amd64-musl"] == []


def test_other_bytes_are_never_unpacked(user: User, published: Published) -> None:
    blob = published.blob()
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    done = user("install", "arm64-musl")
    assert done.code == 4
    assert done.err.count("error: ") == 1
    assert not list(user.place.rglob("toolchain.json"))
    assert not list(user.place.glob("cache/sha256/*"))


def test_without_the_network_what_is_in_the_cache_is_installed(
    user: User, published: Published
) -> None:
    user.good("install", "arm64-musl")
    user.good("uninstall", "arm64-musl")
    published.server.stop()
    user.good("install", "arm64-musl", "--origin", "prebuilt")
    assert user.good("run", "linux/arm64", compiled(user)).out == "hello\n"


def test_an_archive_that_is_gone_is_the_networks_fault(user: User, published: Published) -> None:
    published.blob().unlink()
    done = user("install", "arm64-musl", "--origin", "prebuilt")
    assert done.code == 3
    assert not list(user.place.rglob("toolchain.json"))


def test_what_no_index_has_comes_from_the_next_origin(user: User) -> None:
    (plan,) = json.loads(user.good("install", "armv7-musl", "--dry-run", "--json").out)["plans"]
    assert plan["origin"] == "distro"
    done = user("install", "armv7-musl", "--origin", "prebuilt")
    assert done.code == 2
    assert "no archive for" in done.err


def test_without_an_index_prebuilt_says_how_to_add_one(toolman: Runner, tmp_path: Path) -> None:
    done = User(toolman, tmp_path)("install", "arm64-musl", "--origin", "prebuilt")
    assert done.code == 2
    assert "toolman index add" in done.err
