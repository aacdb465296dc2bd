"""Real Go, real compilers, real qemu: what an environment builds is as asked for, whatever the
flags. Each Go version, target, and command that builds, with {no C, C of the standard
library, own C, own C++}.

A part is one version and one target, as `-k 1.27-arm64-musl`. The oldest and the newest version
with one target are in every run; `.ci/run --full` has all. The parts of a version share Go's build
cache, which stays until the last of them is done: a run that was stopped goes on from there.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest
import tools
from conftest import activated, isolated
from go_cells import CELLS, COMMANDS, PRINTS, Go, text_of
from test_built import EVERY, FIRST, built

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Runner

# Go 1.20 can be had nowhere that the tests get Go from.
VERSIONS = ["1.19", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26", "1.27"]
TARGETS = ("arm64-musl", "amd64-musl", "armv7-musl", "riscv64-musl")
TARGETS += ("arm64-gnu", "arm64-gnu --static")
SAMPLE = ("1.19-arm64-musl", "1.27-arm64-musl")


def parts() -> Iterator[pytest.param]:
    for version in VERSIONS:
        for target in TARGETS:
            name = f"{version}-{target.replace(' -', '')}"
            marks = [pytest.mark.xdist_group(version)]
            marks += [] if name in SAMPLE else [pytest.mark.slow]
            yield pytest.param((version, target), id=name, marks=marks)


def environment(
    words: str, toolman: Runner, user: Path, home: Path | None = None
) -> dict[str, str]:
    """That of `toolman env WORDS`, over that of a user who has set nothing."""
    name, *options = words.split()
    before = isolated(user) | {"TOOLMAN_HOME": str(home or home_of(name))}
    return activated(name, toolman, before, *options)


def home_of(target: str) -> Path:
    """A TOOLMAN_HOME with C and C++ for `target`; musl's is built here, for Debian's has no C++,
    and what another test has built will do."""
    if target.endswith("musl"):
        return built(target, "c++" if target == FIRST else EVERY[target])
    home = tools.CACHE / f"home-{tools.digest()}-{target}-c++"
    tools.install(home, target, "--with", "c++")
    return home


@pytest.fixture
def go(request: pytest.FixtureRequest, toolman: Runner, tmp_path: Path) -> Iterator[Go]:
    version, target = request.param
    cache = tools.CACHE / "go-matrix" / version
    yield Go(environment(target, toolman, tmp_path / "user"), version, tmp_path / "go", cache)
    if target == TARGETS[-1]:
        shutil.rmtree(cache)


@pytest.mark.parametrize("go", list(parts()), indirect=True)
def test_no_cell_is_wrong(
    go: Go, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    version, target = request.node.callspec.params["go"]
    assert f"go{version}." in go("version")
    begin = time.monotonic()
    wrong = {(command, name): go.cell(command, name) for command in COMMANDS for name in PRINTS}
    record_property(CELLS, text_of((version, target), wrong, time.monotonic() - begin))
    assert not {cell: why for cell, why in wrong.items() if why}
