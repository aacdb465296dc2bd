"""Repositories of small archives, a server before them, and users who read them.

A plugin of pytest: `corp`, `server` and `reader` are fixtures, of archives that hold no compiler;
`published` and `user` are of one that does.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from archive import HOST, MACHINES, Files, compiler, serve
from elf_files import HELLO

from toolman import archive, index, repository, target, toolchain
from toolman.context import Context
from toolman.lifetimes import Lifetimes
from toolman.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from archive import Server
    from conftest import Runner

    from toolman.index import Archive, Index
    from toolman.run import Finished

ZSTD = b"\x28\xb5\x2f\xfd"
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
        every = self.directory.glob("blobs/sha256/*/*")  # with what tells how it was made
        (found,) = (path for path in every if path.read_bytes().startswith(ZSTD))
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
    with serve(Files(copy)) as server:
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
