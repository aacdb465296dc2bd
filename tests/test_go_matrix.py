"""Real Go, real musl gcc, real qemu: what an environment builds is static, whatever the flags.

One build a Go version and a set of flags makes all of `programs/`, so that a version compiles
its standard library no more often than the flags require.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tools

from toolman import elf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

PROGRAMS = Path(__file__).parent / "programs"
VERSIONS = ["1.19", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26", "1.27"]
FLAGS = {
    "plain": [],
    "trimpath": ["-trimpath"],
    "ldflags": ["-ldflags", "-s -w"],
    "tags": ["-tags", "x"],
    "ldflags and tags": ["-ldflags=-s -w", "-tags=x"],
    "extldflags": ["-ldflags", "-linkmode external -extldflags '-Wl,-z,stack-size=1048576'"],
    "pie": ["-buildmode=pie"],
}
PRINTS = {
    "pure": "pure arm64 {tag}",
    "std": "std arm64 {tag} root 443",
    "own": "own arm64 {tag} 1 call, 0.5",
}


class Go:
    """One Go version behind the shim, in an environment of its own."""

    def __init__(self, env: dict[str, str], program: Path, scratch: Path) -> None:
        shims = env["PATH"].split(os.pathsep)[0]
        self.env = {
            **env,
            "PATH": f"{shims}:{program.parent}:{os.environ['PATH']}",
            "GOCACHE": str(scratch / "cache"),
            "GOPATH": str(scratch / "gopath"),
            "GOENV": "off",
            "GOTOOLCHAIN": "local",
        }
        self.scratch = scratch

    def __call__(self, *args: str, **env: str) -> str:
        done = subprocess.run(
            ["go", *args],
            cwd=PROGRAMS,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def build(self, *args: str, **env: str) -> Path:
        """The directory of the programs that `go build ARGS` made."""
        into = self.scratch / "out"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        self("build", "-o", str(into), *args, **env)
        return into


@pytest.fixture(
    scope="module", params=[pytest.param(v, marks=pytest.mark.xdist_group(v)) for v in VERSIONS]
)
def go(
    request: pytest.FixtureRequest,
    arm64_musl: dict[str, str],
    go_version: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Go]:
    scratch = tmp_path_factory.mktemp("go")
    found = Go(arm64_musl, go_version(request.param), scratch)
    assert f"go{request.param}." in found("version")
    yield found
    found("clean", "-cache", "-modcache")
    shutil.rmtree(scratch)


@pytest.mark.parametrize("flags", FLAGS)
def test_is_static_and_runs(go: Go, flags: str) -> None:
    args = FLAGS[flags]
    made = go.build(*args, "./...")
    assert sorted(path.name for path in made.iterdir()) == sorted(PRINTS)
    tag = "tagged" if "tags" in flags.split() else "plain"
    for name, text in PRINTS.items():
        report = elf.inspect(made / name)
        assert report.linkage == ("static-pie" if flags == "pie" else "static"), name
        assert report.machine is not None
        assert report.machine.name == "AARCH64"
        assert report.stripped is ("-s -w" in " ".join(args)), name
        assert _run(made / name) == text.format(tag=tag)
        if flags == "extldflags":
            assert report.stack_size == 1048576


def test_merges_flags_of_goflags(go: Go) -> None:
    goflags = f"{go.env['GOFLAGS']} -ldflags=-s -tags=x"
    made = go.build("./std", GOFLAGS=goflags)
    report = elf.inspect(made / "std")
    assert (report.linkage, report.stripped) == ("static", True)
    assert _run(made / "std") == PRINTS["std"].format(tag="tagged")


def test_cgo_can_be_switched_off(go: Go) -> None:
    made = go.build("./pure", "./std", CGO_ENABLED="0")
    for name in ("pure", "std"):
        assert elf.inspect(made / name).linkage == "static"
        assert _run(made / name) == PRINTS[name].format(tag="plain")


def test_go_test_makes_a_static_program(go: Go) -> None:
    made = go.scratch / "std.test"
    go("test", "./std", "-c", "-o", str(made), "-tags=x")
    assert elf.inspect(made).linkage == "static"
    assert _run(made) == PRINTS["std"].format(tag="tagged") + "\nPASS"


def _run(program: Path) -> str:
    words = [tools.find("qemu-aarch64-static"), program]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
