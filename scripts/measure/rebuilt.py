"""A benchmark of what a Go developer does all day: change a line of C, build again."""

from __future__ import annotations

import shutil
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import rows
from rows import CHECKOUT, Bench, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rows import Words

NOTES = """\
rebuild  A line of examples/hello-cgo's C is changed, then `go build`: by toolman's environment for
         arm64-musl, as it is by default, against `zig cc -target aarch64-linux-musl` of PyPI's
         ziglang, with the flags that make that program static, too. All caches are warm.
         Run only if it is named.
"""

_GO = "1.27"
_ZIG = "0.17.1"
_STATIC = ("-tags=netgo,osusergo", "-ldflags=-linkmode=external -extldflags=-static")


def rebuild(bench: Bench) -> Iterator[Row]:
    """How long a build takes after a line of C has changed."""
    go = _go(bench)
    zig = f"{_zig(bench)} cc -target aarch64-linux-musl"
    theirs = {"GOOS": "linux", "GOARCH": "arm64", "CGO_ENABLED": "1", "CC": zig}
    theirs["ZIG_GLOBAL_CACHE_DIR"] = str(bench.kept / "zig-cache")
    sides = [
        _side(bench, "ours", _ours(bench, go), ["go", "build"]),
        _side(bench, "theirs", {**bench.environ, **theirs}, [go, "build", *_STATIC]),
    ]
    for warm in sides:
        warm()
    times, other = rows.rounds(sides, 5 if bench.quick else 15)
    yield rows.paired("rebuild hello-cgo", times, "zig cc", other, 1.2)


def _ours(bench: Bench, go: Path) -> dict[str, str]:
    """The environment of a shell that has said what README says."""
    path = f"{bench.launcher.parent}:{go.parent}:{bench.environ['PATH']}"
    script = 'eval "$(toolman env linux/arm64)" && exec env -0'
    said = rows.call(["sh", "-euc", script], {**bench.environ, "PATH": path})
    return dict(one.split("=", 1) for one in said.split("\0") if one)


def _side(bench: Bench, name: str, environ: Mapping[str, str], words: Words) -> Callable[[], float]:
    """What changes a line in a tree of its own, and measures the build."""
    tree = bench.scratch / name
    shutil.copytree(CHECKOUT / "examples/hello-cgo", tree)
    own = {**environ, "GOCACHE": str(bench.scratch / f"{name}-cache")}
    numbers = count()

    def changed() -> float:
        with (tree / "counter.c").open("a") as file:
            file.write(f"int changed_{next(numbers)};\n")
        return rows.timed(words, own, tree)

    return changed


def _go(bench: Bench) -> Path:
    return Path(rows.tool(bench, f"go({_GO!r})"))


def _zig(bench: Bench) -> Path:
    where = bench.kept / f"zig-{_ZIG}"
    if not where.exists():
        rows.say("getting zig, by pip")
        fresh = bench.scratch / "zig"
        words: Words = ["install", "-q", "--no-deps", "--target", fresh, f"ziglang=={_ZIG}"]
        rows.call([sys.executable, "-m", "pip", *words])
        fresh.rename(where)
    return where / "ziglang/zig"
