"""Go programs for other targets than arm64-musl, and their tests run by `toolman run`."""

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
    from conftest import Runner

PROGRAMS = Path(__file__).parent / "programs"
SLOW = ("amd64-musl", "armv7-musl", "386-musl", "riscv64-musl", "ppc64le-musl", "s390x-musl")
SLOW += ("amd64-gnu", "armv7-gnu", "386-gnu", "riscv64-gnu", "ppc64le-gnu", "s390x-gnu")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the programs, with the newest Go first on PATH and a cache that stays."""
    go = tools.go("1.27")
    monkeypatch.setenv("PATH", f"{go.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("GOTOOLCHAIN", "local")
    monkeypatch.setenv("GOCACHE", str(tools.CACHE / "go-build"))
    monkeypatch.setenv("GOPATH", str(tmp_path / "gopath"))
    return Path(shutil.copytree(PROGRAMS, tmp_path / "programs"))


def script(checkout: Path, text: str) -> str:
    argv = [tools.find("dash"), "-euc", text]
    done = subprocess.run(argv, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("words", "linkage"),
    [
        ("arm64-gnu", {"pure": "static", "std": "dynamic", "own": "dynamic"}),
        ("arm64-gnu --static", {"pure": "static", "std": "static", "own": "static"}),
    ],
)
def test_glibc_programs_are_as_asked_for_and_run(
    command: Path, checkout: Path, words: str, linkage: dict[str, str]
) -> None:
    script(checkout, f"eval $(toolman env {words}); mkdir out; go build -o out/ ./pure ./std ./own")
    assert {
        path.name: elf.inspect(path).linkage for path in (checkout / "out").iterdir()
    } == linkage
    for name in linkage:
        assert script(checkout, f"toolman run arm64-gnu out/{name}").startswith(f"{name} arm64")


@pytest.mark.parametrize("option", ['-exec "toolman run linux/arm64"', ""])
def test_go_test_runs_under_qemu(command: Path, checkout: Path, option: str) -> None:
    text = f"eval $(toolman env linux/arm64); go test -v {option} ./std"
    assert "--- PASS" in script(checkout, text)


def test_go_run_runs_under_qemu(command: Path, checkout: Path) -> None:
    text = "eval $(toolman env linux/arm64); go run ./own"
    assert script(checkout, text).startswith("own arm64")
    assert script(checkout, "toolman exec arm64-gnu -- go run ./own").startswith("own arm64")


def test_a_build_in_a_home_with_odd_characters(
    toolman: Runner, command: Path, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "it's a $HOME  with ü*"
    monkeypatch.setenv("TOOLMAN_HOME", str(home))
    monkeypatch.setenv("TOOLMAN_CACHE", str(tools.CACHE / "toolman"))
    assert toolman("install", "arm64-musl").code == 0
    for shell in ("dash", "bash", "zsh"):
        text = (
            "set -eu; eval $(toolman env linux/arm64); go build -o own.out ./own; "
            "go build -o std.out -ldflags '-s -w' ./std; go run ./own"
        )
        argv = [tools.find(shell), "-c", text]
        done = subprocess.run(argv, cwd=checkout, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("own arm64")
        assert {elf.inspect(checkout / f"{n}.out").linkage for n in ("own", "std")} == {"static"}


@pytest.mark.slow
@pytest.mark.parametrize("target", SLOW)
def test_every_target_builds_and_runs_go(
    toolman: Runner,
    command: Path,
    checkout: Path,
    target: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TOOLMAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TOOLMAN_CACHE", str(tools.CACHE / "toolman"))
    done = toolman("install", target)
    assert done.code == 0, done.err
    script(
        checkout, f"eval $(toolman env {target}); mkdir out; go build -o out/ ./pure ./std ./own"
    )
    for name in ("pure", "std", "own"):
        assert script(checkout, f"toolman run {target} out/{name}").startswith(name)
        if target.endswith("musl"):
            assert elf.inspect(checkout / "out" / name).linkage == "static"
