"""Benchmark of the libc in static programs: musl's, as toolman builds it, against glibc's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import built
import rows
from rows import CHECKOUT, Bench, Row

from toolman.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTES = """\
libc     A static program on this host, `-O2 -fno-builtin`: musl with --malloc mimalloc, built by
         toolman, against the host's glibc. Sizes as programs have them, most of them below 64;
         four threads where it says so. Processor time. Built and run only if it is named.
"""

# What a musl without help is slow at has a goal.
_GOALS = dict.fromkeys(("malloc", "malloc-threads", "memcpy", "strlen", "qsort"), 1.1)
_ALL = (
    *("malloc", "malloc-threads", "memcpy", "memcpy-large", "memset", "memcmp"),
    *("memchr", "strlen", "strchr", "strcmp", "qsort"),
)
_TARGET = "amd64-musl"
_SOURCE = CHECKOUT / "scripts/measure/libc.c"


def libc(bench: Bench) -> Iterator[Row]:
    """How fast allocation, strings and sorting are."""
    if Host.current().machine != "x86_64":
        rows.say("libc: only on amd64, where programs of both kinds run by themselves")
        return
    ours, theirs = bench.scratch / "musl", bench.scratch / "glibc"
    words: list[str | Path] = ["-O2", "-fno-builtin", "-pthread", "-static", _SOURCE, "-o"]
    rows.call([_compiler(bench), *words, ours])
    rows.call(["gcc", *words, theirs])
    for name in _ALL:
        sides = [partial(rows.processor_time, bench, [one, name]) for one in (ours, theirs)]
        times, other = rows.rounds(sides, 3 if bench.quick else 10)
        yield rows.paired(name, times, "static, glibc", other, _GOALS.get(name))


def _compiler(bench: Bench) -> str:
    environ = built.environment(bench)
    rows.say(f"building {_TARGET}, unless it is there")
    words = ["install", "-q", _TARGET, "--origin", "source", "--malloc", "mimalloc"]
    rows.call([bench.launcher, *words], environ)
    return rows.call([bench.launcher, "which", "gcc", "--target", _TARGET], environ).strip()
