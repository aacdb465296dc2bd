"""Conan 2, the real one, without a network: a profile that it takes, and a recipe built by it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import buildtools
import pytest
import tools

from toolman import elf
from toolman import target as targets

if TYPE_CHECKING:
    from conftest import Runner

ROOT = Path(__file__).parents[1]


@pytest.fixture
def greet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of examples/greet, with conan on PATH, which has a profile of this machine."""
    monkeypatch.setenv("PATH", f"{buildtools.pypi()}:{os.environ['PATH']}")
    monkeypatch.setenv("CONAN_HOME", str(tmp_path / "conan"))
    made = Path(shutil.copytree(ROOT / "examples/greet", tmp_path / "greet"))
    script("conan profile detect; conan remote disable '*'", made)
    return made


def script(text: str, cwd: Path) -> str:
    argv = [tools.find("dash"), "-euc", text]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def profile(words: str, cwd: Path) -> dict[str, dict[str, str]]:
    """What Conan understands of it."""
    script(f"toolman env --format conan {words} >profile", cwd)
    said = script("conan profile show -pr:h ./profile --format json", cwd)
    found: dict[str, dict[str, str]] = json.loads(said)["host"]
    return found


@pytest.mark.parametrize(("words", "linkage"), [("arm64-musl", "static"), ("arm64-gnu", "dynamic")])
def test_a_recipe_is_built_and_its_tests_run(
    command: Path, greet: Path, words: str, linkage: str
) -> None:
    script(f'conan build . --profile:host "$(toolman env --file --format conan {words})"', greet)
    report = elf.inspect(greet / "build/Release/greet")
    assert (str(report.machine), report.linkage) == ("linux/arm64", linkage)


def test_packages_of_both_libcs_are_kept_apart(command: Path, greet: Path) -> None:
    ids = set()
    for words in ("arm64-musl", "arm64-gnu"):
        host = f'--profile:host "$(toolman env --file --format conan {words})"'
        made = json.loads(script(f"conan create . {host} --format json", greet))
        ids.add(made["graph"]["nodes"]["1"]["package_id"])
    assert len(ids) == 2


def test_the_profile_is_what_was_asked_for(command: Path, greet: Path) -> None:
    said = profile("arm64-gnu --static --march armv8.1-a", greet)
    assert said["settings"]["arch"] == "armv8"
    assert said["conf"]["tools.build:cflags"] == ["-march=armv8.1-a"]
    assert said["conf"]["tools.build:exelinkflags"] == ["-static"]


@pytest.mark.parametrize("name", ["it's a home & ü", "a {{template}} {#"])
def test_a_home_with_odd_characters(
    toolman: Runner,
    command: Path,
    greet: Path,
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Conan's own toolchain for CMake takes no `{#` in paths, but its profile does."""
    home = str(tmp_path / name)
    monkeypatch.setenv("TOOLMAN_HOME", home)
    monkeypatch.setenv("TOOLMAN_CACHE", str(tools.CACHE / "toolman"))
    assert toolman("install", "arm64-musl").code == 0
    said = profile("arm64-musl", greet)["conf"]
    assert said["tools.build:sysroot"].startswith(home)
    if "{" not in name:
        script("conan build . --profile:host ./profile", greet)
        assert elf.inspect(greet / "build/Release/greet").linkage == "static"


def test_conan_knows_every_architecture(command: Path, greet: Path) -> None:
    """Those that no toolchain is installed for, by the word that a profile would have."""
    from toolman.systems import conan

    for one in targets.platforms():
        word = conan.architecture(one)
        script(f"conan profile show -pr:h default -s:h arch={word}", greet)
