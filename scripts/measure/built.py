"""Benchmarks of origin `source`. The first builds two toolchains and takes an hour or more."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import rows
from rows import CHECKOUT, Bench, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTES = """\
build    toolman install arm64-musl --with c++ --origin source, in an empty home, and after it the
         same for armv7-musl, which shares sources and the host's libraries. The peer is
         scripts/plain-build: the same versions, make -j as many, `-g -O2`. Sources and host
         tools are there for both; unpacking counts. One round, by the clock. toolman also
         makes libgomp, which the peer does not.
speed    -O2 -c of SQLite's amalgamation (npm's better-sqlite3 carries it): user and system time.
         The peer is Debian's cross GCC of the same major version, unpacked by this script.
size     toolman pack arm64-musl: the archive, and what is in it. The goals are sizes.

build, speed and size are run only if they are named; the latter two use what `build` built last.
"""

_TARGET, _SECOND = "arm64-musl", "armv7-musl"
_RECIPE = "gcc-14-musl"
_SQLITE = "better-sqlite3@11.10.0"
_MEASURE = CHECKOUT / "scripts/measure"


def build(bench: Bench) -> Iterator[Row]:
    """How long a build takes: against the plain way, and the second against the first."""
    plain = bench.scratch / "plain"
    tarballs: list[str | Path] = [bench.venv / "bin/python", _MEASURE / "tarballs.py"]
    rows.call([*tarballs, _RECIPE, "arm64", plain / "tarballs"], bench.environ)
    rows.remove(bench.kept / "built")
    environ = environment(bench)
    rows.say(f"building {_TARGET}")
    first = rows.timed(_install(bench, _TARGET), environ)
    rows.say(f"building {_SECOND}")
    second = rows.timed(_install(bench, _SECOND), environ)
    rows.say(f"building {_TARGET} the plain way")
    jobs = ["-j", str(os.cpu_count() or 1)]
    theirs = rows.timed([CHECKOUT / "scripts/plain-build", *jobs, plain], bench.environ)
    yield rows.row(f"build {_TARGET}, c++", first, "configure, make", theirs, 0.7)
    yield rows.row(f"then {_SECOND}, c++", second, f"toolman, {_TARGET}", first, 0.85)


def speed(bench: Bench) -> Iterator[Row]:
    """How fast the compiler is."""
    gcc = compiler(bench)
    major = rows.call([gcc, "-dumpversion"]).partition(".")[0].strip()
    find: list[str | Path] = [bench.venv / "bin/python", _MEASURE / "peers.py", major, "arm64"]
    theirs = rows.call(find, bench.environ).strip()
    words: list[str | Path] = ["-O2", "-c", _sqlite(bench), "-o", bench.scratch / "sqlite3.o"]
    sides = [partial(rows.processor_time, bench, [one, *words]) for one in (gcc, theirs)]
    times, other = rows.rounds(sides, 2 if bench.quick else 6)
    yield rows.paired("compile sqlite3.c", times, f"Debian's GCC {major}", other, 1.0)


def size(bench: Bench) -> Iterator[Row]:
    """How large an archive is, and what it holds."""
    compiler(bench)
    words: list[str | Path] = [bench.launcher, "pack", "--json", "-o", bench.scratch, _TARGET]
    made = json.loads(rows.call(words, environment(bench)))
    for key, name, goal in (("size", "packed", 30), ("unpacked", "unpacked", 200)):
        ours = made[key] / 1e6
        yield Row(name=f"{_TARGET}, c++, {name}", ours=ours, goal=goal, unit="MB")


def environment(bench: Bench) -> dict[str, str]:
    """That of the home with what was built; its cache holds the sources, but nothing built."""
    place = bench.kept / "built"
    environ = rows.own_home(bench, place)
    (place / "cache").mkdir(exist_ok=True)
    for name in ("sha256", "apt"):
        link, there = place / "cache" / name, Path(bench.environ["TOOLMAN_CACHE"], name)
        there.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(there)
    return environ


def _install(bench: Bench, target: str) -> list[str | Path]:
    return [bench.launcher, "install", "-q", target, "--with", "c++", "--origin", "source"]


def compiler(bench: Bench) -> Path:
    """The compiler that was built last; it is built now, if there is none."""
    environ = environment(bench)
    rows.say(f"building {_TARGET}, unless it is there")
    rows.call(_install(bench, _TARGET), environ)
    which = rows.call([bench.launcher, "which", "gcc", "--target", _TARGET], environ)
    return Path(which.strip())


def _sqlite(bench: Bench) -> Path:
    where = bench.kept / "sqlite"
    source = where / "node_modules/better-sqlite3/deps/sqlite3/sqlite3.c"
    if not source.exists():
        rows.say("getting SQLite, by npm")
        words = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        rows.call([*words, "--prefix", where, _SQLITE])
    return source
