"""Benchmark of libraries: built for a target, and found again in the store."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import rows
from rows import CHECKOUT, Bench, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOTES = """\
libraries toolman add arm64-musl zlib zstd sqlite, in an empty home with a toolchain; the sources
         are in the cache. The peer, for the same tarballs, with the same compiler, -O2 -fPIC, only
         static: tar, configure, make -j, make install, one library after the other. By the clock.
         Then add a second time: where all is laid, and after `remove`, from the store; the goals
         are times. `env, with a pin` starts Python, too. Run only if it is named.
"""

_TARGET, _TRIPLE = "arm64-musl", "aarch64-linux-musl"
_NAMES = ("zlib", "zstd", "sqlite")
_MEASURE = CHECKOUT / "scripts/measure"
# Each as its README says, and no more of it than toolman makes.
_PEER = """\
set -eu
. ./tarballs/environment
out=$PWD/out CFLAGS='-O2 -fPIC'
export CC="$triple-gcc" AR="$triple-ar" RANLIB="$triple-ranlib" NM="$triple-nm" CFLAGS
unpack() {
    mkdir "$1"
    tar -xf "tarballs/$1" -C "$1" --strip-components=1
    cd "$1"
}
(
    unpack zlib
    CHOST=$triple ./configure --static --prefix=/usr
    make -j "$jobs"
    make install DESTDIR="$out"
)
(
    unpack zstd
    cd lib
    set -- CC="$CC" AR="$AR" CFLAGS="$CFLAGS" PREFIX=/usr
    make -j "$jobs" libzstd.a-mt "$@"
    make install-pc install-static install-includes DESTDIR="$out" "$@"
)
(
    unpack sqlite
    for word in FTS5 RTREE MATH_FUNCTIONS COLUMN_METADATA DBSTAT_VTAB; do
        CFLAGS="$CFLAGS -DSQLITE_ENABLE_$word"
    done
    ./configure --host="$triple" --prefix=/usr --disable-shared --disable-readline
    make -j "$jobs" libsqlite3.a
    make install-lib install-headers install-pc DESTDIR="$out"
)
"""


def libraries(bench: Bench) -> Iterator[Row]:
    """How long libraries take: the first time, and when they have been there."""
    numbers = count()
    _warm(bench, bench.scratch / "warm")
    sides = [
        lambda: _ours(bench, bench.scratch / f"ours{next(numbers)}"),
        lambda: _theirs(bench, bench.scratch / f"theirs{next(numbers)}"),
    ]
    times, other = rows.rounds(sides, 1 if bench.quick else 3)
    yield rows.paired(f"add {', '.join(_NAMES)}", times, "configure, make -j", other, 1.2)
    yield from _again(bench, bench.scratch / "warm")


def _again(bench: Bench, place: Path) -> Iterator[Row]:
    """`add` of what is laid, and of what was."""
    environ = rows.own_home(bench, place)
    pinned = place / "pinned"
    pinned.mkdir()
    (pinned / "toolman.toml").write_text(f'targets = ["{_TARGET}"]\n', "utf-8")
    add = _words(bench, "add")

    def switched() -> float:
        rows.call(_words(bench, "remove"), environ)
        return rows.timed(add, environ)

    sides = [
        lambda: rows.timed(add, environ),
        switched,
        lambda: rows.timed([bench.launcher, "env", "linux/arm64"], environ, pinned),
    ]
    there, stored, env = map(median, rows.rounds(sides, 10 if bench.quick else 50))
    for name, ours in (("add again, all laid", there), ("add again, from the store", stored)):
        yield Row(name=name, ours=ours, goal=0.1)
        yield rows.row(name, ours, "env, with a pin", env, None)


def _warm(bench: Bench, place: Path) -> None:
    """What comes from a network is in the cache afterwards."""
    rows.say(f"adding {', '.join(_NAMES)}, for their sources")
    environ = _environ(bench, place)
    rows.call(_words(bench, "add"), environ)


def _ours(bench: Bench, place: Path) -> float:
    environ = _environ(bench, place)
    return rows.timed(_words(bench, "add"), environ)


def _theirs(bench: Bench, place: Path) -> float:
    place.mkdir()
    words: list[str | Path] = [bench.venv / "bin/python", _MEASURE / "bare.py"]
    rows.call([*words, place / "tarballs", *_NAMES], bench.environ)
    path = f"{bench.home}/shims:{bench.environ['PATH']}"
    own = {"triple": _TRIPLE, "jobs": str(os.cpu_count() or 1), "PATH": path}
    return rows.timed(["sh", "-c", _PEER], {**bench.environ, **own}, place)


def _environ(bench: Bench, place: Path) -> Mapping[str, str]:
    """That of a new home with a toolchain; its cache holds what was downloaded, nothing built."""
    environ = rows.own_home(bench, place)
    (place / "cache").mkdir()
    for name in ("sha256", "apt"):
        there = Path(bench.environ["TOOLMAN_CACHE"], name)
        there.mkdir(parents=True, exist_ok=True)
        (place / "cache" / name).symlink_to(there)
    rows.call([bench.launcher, "install", "-q", _TARGET], environ)
    return environ


def _words(bench: Bench, command: str) -> list[str | Path]:
    return [bench.launcher, command, "-q", _TARGET, *_NAMES]
