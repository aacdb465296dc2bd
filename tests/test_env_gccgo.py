"""`toolman env --compiler gccgo`: real shells, real Go, a real gccgo."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tools
from test_environment import SHELLS, assert_taken_back, differences, shell
from test_go_matrix import PRINTS

from toolman import elf

if TYPE_CHECKING:
    from conftest import Runner

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def gccgo_command(command: Path, gccgo_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOOLMAN_HOME", str(gccgo_home))
    return command


def test_it_names_what_go_needs(gccgo_home: Path, toolman: Runner) -> None:
    words = ("env", "arm64-gnu", "--compiler", "gccgo", "--format", "json")
    for options, flag in ((("--static",), "-static "), ((), "")):
        done = toolman(*words, *options, env={"TOOLMAN_HOME": str(gccgo_home)})
        said = json.loads(done.out)
        assert Path(said["set"]["GCCGO"]).name == "aarch64-linux-gnu-gccgo"
        assert said["set"]["CGO_LDFLAGS"] == ""
        assert said["set"]["TOOLMAN_GO_GCCGOFLAGS"].startswith(f"{flag}--sysroot=/")
        assert not {"TOOLMAN_GO_LDFLAGS", "TOOLMAN_GO_TAGS"} & {*said["set"]}
        expected = "-compiler=gccgo" + (" -gccgoflags=-static" if flag else "")
        assert said["prepend"]["GOFLAGS"]["text"] == expected
        chosen = "static,compiler=gccgo" if flag else "compiler=gccgo"
        assert said["set"]["TOOLMAN_ENV_OPTIONS"] == chosen


@pytest.mark.parametrize("target", ["arm64-musl", "arm64-gnu"])
def test_a_toolchain_without_gccgo(home: Path, toolman: Runner, target: str) -> None:
    done = toolman("env", target, "--compiler", "gccgo", env={"TOOLMAN_HOME": str(home)})
    assert (done.code, done.out) == (2, "false;\n")
    hint = f"toolman install {target} --with gccgo"
    assert done.err == f"error: {target} has no gccgo\nhint: {hint}\n"


def test_a_file_holds_the_defaults(gccgo_home: Path, toolman: Runner) -> None:
    env = {"TOOLMAN_HOME": str(gccgo_home)}
    assert toolman("env", "arm64-gnu", "--file", "--compiler", "gccgo", env=env).code == 2
    assert toolman("env", "arm64-gnu", "--file", "--compiler", "gc", env=env).code == 0
    assert toolman("env", "arm64-gnu", "--compiler", "gcc", env=env).code == 2


OWN = ["-mod=vendor", "-v -compiler=gccgo", "-v -compiler=gccgo -gccgoflags=-static"]


@pytest.mark.parametrize("flags", OWN)
@pytest.mark.parametrize("name", SHELLS)
def test_unset_takes_everything_back(gccgo_command: Path, name: str, flags: str) -> None:
    """Also where the user's own flags hold those of the environment."""
    steps = "env -0 | sort -z; printf @@@@@; {}; eval $(toolman env --unset); env -0 | sort -z"
    for options in ("", "--static"):
        there = f"eval $(toolman env arm64-gnu --compiler gccgo {options})"
        done = shell(name, steps.format(there), GOFLAGS=flags, CGO_LDFLAGS="-L/x", GCCGO="g")
        before, after = done.stdout.split("@@@@@")
        assert done.returncode == 0, done.stderr
        assert differences(before, after) == set()


@pytest.mark.parametrize("name", SHELLS)
def test_one_compiler_leaves_nothing_of_the_other(gccgo_command: Path, name: str) -> None:
    gc, gccgo = "arm64-gnu --static", "arm64-gnu --static --compiler gccgo"
    script = "eval $(toolman env {}); env -0 | sort -z"
    for first, second in ((gc, gccgo), (gccgo, gc), ("arm64-musl", gccgo), (gccgo, "arm64-musl")):
        alone = shell(name, script.format(second)).stdout
        both = shell(name, f"eval $(toolman env {first}); {script.format(second)}").stdout
        assert differences(alone, both) == set()


def test_fish_takes_it_back(gccgo_command: Path) -> None:
    script = (
        "env -0 | sort -z; printf @@@@@; "
        "toolman env -s fish arm64-gnu --compiler gccgo | source; "
        'test "$GOFLAGS" = -compiler=gccgo; or exit 3; '
        "toolman env --unset -s fish | source; env -0 | sort -z"
    )
    assert_taken_back(shell("fish", script, CGO_LDFLAGS="-L/x"))


class Builder:
    """A Go in an environment of gccgo's, behind the shim."""

    def __init__(self, toolman: Runner, home: Path, target: str, *words: str) -> None:
        self.home = {"TOOLMAN_HOME": str(home)}
        done = toolman(
            "env", target, "--compiler", "gccgo", *words, "--format", "json", env=self.home
        )
        said = json.loads(done.out)
        self.toolman, self.target = toolman, target
        self.shims = said["prepend"]["PATH"]["text"]
        self.env = {
            **os.environ,
            **said["set"],
            **self.home,
            "GOFLAGS": said["prepend"]["GOFLAGS"]["text"],
            "GOENV": "off",
            "GOTOOLCHAIN": "local",
        }

    def build(self, version: str, into: Path, *words: str, **env: str) -> str:
        """What go has said."""
        path = f"{self.shims}:{tools.go(version).parent}:{os.environ['PATH']}"
        cache = str(into.parent / "cache")
        done = subprocess.run(
            ["go", "build", "-o", f"{into}{os.sep}", *words, *(f"./{name}" for name in PRINTS)],
            cwd=PROGRAMS,
            env={**self.env, "PATH": path, "GOCACHE": cache, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def check(self, into: Path, linkage: str, tag: str = "plain") -> None:
        for name, text in PRINTS.items():
            report = elf.inspect(into / name)
            assert (str(report.machine), report.linkage) == ("linux/arm64", linkage), name
            ran = self.toolman("run", self.target, into / name, env=self.home)
            assert ran.out.strip() == f"{name} {text.format(arch='arm64', tag=tag)}", ran.err


# The oldest, the newest and one between; the others take their time.
OFTEN = ("1.19", "1.21", "1.27")
GO = [
    one if one in OFTEN else pytest.param(one, marks=pytest.mark.slow)
    for one in ("1.19", *tools.GO)
]


@pytest.mark.parametrize("version", GO)
def test_programs_are_static_and_run(
    version: str, gccgo_command: Path, gccgo_home: Path, toolman: Runner, tmp_path: Path
) -> None:
    builder = Builder(toolman, gccgo_home, "arm64-gnu", "--static")
    builder.build(version, tmp_path / "plain")
    builder.check(tmp_path / "plain", "static")
    builder.build(version, tmp_path / "own", "-gccgoflags=-O1", "-tags=x")
    builder.check(tmp_path / "own", "static", "tagged")
    flags = f"{builder.env['GOFLAGS']} -gccgoflags=-O1"
    builder.build(version, tmp_path / "goflags", GOFLAGS=flags)
    builder.check(tmp_path / "goflags", "static")


@pytest.mark.parametrize("version", GO)
def test_programs_are_dynamic_if_that_is_asked(
    version: str, gccgo_command: Path, gccgo_home: Path, toolman: Runner, tmp_path: Path
) -> None:
    builder = Builder(toolman, gccgo_home, "arm64-gnu")
    builder.build(version, tmp_path / "out")
    builder.check(tmp_path / "out", "dynamic")


@pytest.mark.parametrize("version", ["1.19", "1.27"])
def test_goenv_does_it_without_the_shim(
    version: str, gccgo_home: Path, toolman: Runner, tmp_path: Path
) -> None:
    words = ("env", "arm64-gnu", "--static", "--compiler", "gccgo", "--format", "goenv")
    done = toolman(*words, env={"TOOLMAN_HOME": str(gccgo_home)})
    (tmp_path / "goenv").write_text(done.out)
    env = {**os.environ, "GOENV": str(tmp_path / "goenv"), "GOCACHE": str(tmp_path / "cache")}
    argv = [tools.go(version), "build", "-o", f"{tmp_path}/out/", "./own", "./std"]
    subprocess.run(argv, cwd=PROGRAMS, env=env, check=True, capture_output=True)
    for name in ("own", "std"):
        assert elf.inspect(tmp_path / "out" / name).linkage == "static"


def test_the_other_compiler_is_noted(
    gccgo_command: Path, gccgo_home: Path, toolman: Runner, tmp_path: Path
) -> None:
    builder = Builder(toolman, gccgo_home, "arm64-gnu")
    said = builder.build("1.27", tmp_path / "out", "-compiler=gc")
    assert "note: this is the environment of another compiler than gc\n" in said


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.19", *tools.GO])
def test_with_musl(version: str, gccgo_command: Path, toolman: Runner, tmp_path: Path) -> None:
    from test_built import EVERY, built

    home = built("arm64-musl", EVERY["arm64-musl"])
    toolman("install", "arm64-musl", env={"TOOLMAN_HOME": str(home)})  # renders its shims anew
    for words, linkage in (((), "static"), (("--dynamic",), "dynamic")):
        builder = Builder(toolman, home, "arm64-musl", *words)
        builder.build(version, tmp_path / linkage)
        builder.check(tmp_path / linkage, linkage)
