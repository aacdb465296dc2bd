"""Benchmarks of origin `prebuilt`: installs from a local server and from the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import built
import rows
from rows import Bench, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NOTES = """\
prebuilt An archive of what `build` built last, from a server in this machine into an empty home,
         and from the cache into one. toolman checks digests, compiles a first program with each
         compiler, syncs and writes shims. The peers check nothing; both end with sync -f, or
         do not, where it says so. Trees stay until the end: ext4 is slow to reuse the
         inodes of files that were just deleted. Run only if it is named.
listed   list, show, which and default, against env where a pin asks for Python.
"""

_TARGET = "arm64-musl"
_FETCHED = 'curl -sSf "$url" | zstd -dc | tar -x -C "$tree"'
_CACHED = 'zstd -dc "$file" | tar -x -C "$tree"'
_SYNCED = ' && sync -f "$tree"'


@dataclass(frozen=True, kw_only=True)
class Published:
    """A repository with one archive, and a server before it."""

    root: Path
    blob: Path
    url: str


def prebuilt(bench: Bench) -> Iterator[Row]:
    """How long an install takes, against what unpacks the same bytes and does no more."""
    for name in ("curl", "zstd"):
        if not shutil.which(name):
            raise SystemExit(f"error: this benchmark needs {name} on PATH")
    with _published(bench) as made:
        numbers = iter(range(1000))

        def place() -> Path:
            return bench.scratch / f"prebuilt{next(numbers)}"

        sides = [
            lambda: _install(bench, made, place(), cached=False),
            lambda: _peer(bench, made, _FETCHED + _SYNCED, place()),
            lambda: _peer(bench, made, _FETCHED, place()),
            lambda: _install(bench, made, place(), cached=True),
            lambda: _peer(bench, made, _CACHED + _SYNCED, place()),
            lambda: _peer(bench, made, _CACHED, place()),
        ]
        times = rows.rounds(sides, 3 if bench.quick else 7)
    fetched, piped, unsynced, cached, unpacked, loose = times
    yield rows.paired("install over HTTP", fetched, "curl | zstd | tar, sync", piped, 1.15)
    yield rows.paired("install over HTTP", fetched, "the same without sync", unsynced, None)
    yield rows.paired("install from the cache", cached, "zstd | tar, sync", unpacked, 1.0)
    yield rows.paired("install from the cache", cached, "the same without sync", loose, None)


def commands(bench: Bench) -> dict[str, Sequence[str | Path]]:
    """What `listed` compares with `env`."""
    return {
        "list": [bench.launcher, "list"],
        "show": [bench.launcher, "show", _TARGET],
        "which": [bench.launcher, "which", "gcc", "--target", _TARGET],
        "default": [bench.launcher, "default", _TARGET],
    }


def pack(bench: Bench) -> Path:
    """The archive of what was built last; packing takes minutes, so it is kept."""
    gcc = built.compiler(bench)
    place = bench.kept / "packed" / f"{gcc.resolve().parents[1].name}.tar.zst"
    if not place.exists():
        rows.say(f"packing {_TARGET}")
        place.parent.mkdir(exist_ok=True)
        command: list[str | Path] = [bench.launcher, "pack", "-q", "-o", place, _TARGET]
        rows.call(command, built.environment(bench))
    return place


def publish(bench: Bench, archive: Path, place: Path) -> Path:
    """A repository with the archive, in `place`."""
    repository = place / "repository"
    keys: list[str | Path] = ["--keys", place / "keys"]
    rows.call([bench.launcher, "publish", "init", "-q", repository, *keys], bench.environ)
    rows.call([bench.launcher, "publish", "add", "-q", repository, archive, *keys], bench.environ)
    return repository


@contextmanager
def served(bench: Bench, repository: Path) -> Iterator[str]:
    """The URL of a server before a repository."""
    words: list[str | Path] = [sys.executable, Path(__file__).with_name("server.py"), repository]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=bench.environ) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


@contextmanager
def _published(bench: Bench) -> Iterator[Published]:
    place = bench.scratch / "published"
    place.mkdir()
    repository = publish(bench, pack(bench), place)
    blobs = sorted(repository.glob("blobs/sha256/*/*"), key=lambda path: path.stat().st_size)
    with served(bench, repository) as url:
        root = repository / "metadata/1.root.json"
        yield Published(root=root, blob=blobs[-1], url=url)


def _install(bench: Bench, made: Published, place: Path, *, cached: bool) -> float:
    """Seconds of an install into an empty home that knows the index."""
    environ = rows.own_home(bench, place)
    words: list[str | Path] = [bench.launcher, "index", "add", "-q", "local", made.url]
    rows.call([*words, "--root", made.root], environ)
    if cached:
        kept = place / "cache/sha256" / made.blob.name
        kept.parent.mkdir(parents=True)
        shutil.copyfile(made.blob, kept)
    command: list[str | Path] = [bench.launcher, "install", "-q", _TARGET, "--origin", "prebuilt"]
    return rows.timed(command, environ)


def _peer(bench: Bench, made: Published, script: str, place: Path) -> float:
    place.mkdir()
    shutil.copyfile(made.blob, place / "file")
    url = f"{made.url}/blobs/sha256/{made.blob.name[:2]}/{made.blob.name}"
    own: Mapping[str, str] = {"url": url, "file": str(place / "file"), "tree": str(place)}
    words = ["bash", "-euo", "pipefail", "-c", script]
    return rows.timed(words, {**os.environ, **own})
