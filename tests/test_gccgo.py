"""gccgo over musl, built here: programs with goroutines, HTTP, TLS and cgo, run again and again.

What goes wrong between threads or under the collector goes wrong seldom, hence the many runs.
The programs are a module of their own, for gccgo is at Go 1.18.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tools
from test_built import EVERY, built

from toolman import elf

if TYPE_CHECKING:
    from conftest import Runner

PROGRAMS = Path(__file__).parent / "programs/gccgo"
BUILD = ("build", "-compiler", "gccgo", "-gccgoflags=-static", "-o")
RUNS = 100
TARGETS = [name for name in EVERY if "gccgo" in EVERY[name] and name.endswith("-musl")]
PRINTS = {
    "goroutines": """\
ring 20000
floats 15600
collected 74400
moved right
recovered [runtime error: invalid memory address or nil pointer dereference \
runtime error: index out of range [1] with length 1 of its own]
deep 10000
frames true
exited deferred
signal user defined signal 1
timeout true
""",
    "web": """\
http {200 73004316}
https {8 73004316}
sealed true
signed true
address [127.0.0.1]
file end 6 far
""",
    "callbacks": """\
root 1.4142135623730951
halves 1225
threads 210
sorted [0 1 999]
error no such file or directory
errors 320
""",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=TARGETS)
def programs(
    request: pytest.FixtureRequest, toolman: Runner, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A target, and where its programs are."""
    target: str = request.param
    made = tmp_path_factory.mktemp("programs")
    settings = {"TOOLMAN_HOME": str(built(target, EVERY[target]))}
    said = json.loads(toolman("env", target, "--format", "json", env=settings).out)
    env = {
        **os.environ,
        **settings,
        **said["set"],
        "GOCACHE": str(made / "cache"),
        "GOENV": "off",
        "GOTOOLCHAIN": "local",
        # With any, cmd/go 1.27 puts a marker for gc into archives, which gccgo takes for an object.
        "CGO_LDFLAGS": "",
    }
    done = subprocess.run(
        [tools.go("1.27"), *BUILD, f"{made}{os.sep}", "./..."],
        cwd=PROGRAMS,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return target, made


@pytest.mark.parametrize("name", PRINTS)
def test_static_programs_run_a_hundred_times(
    programs: tuple[str, Path], toolman: Runner, name: str
) -> None:
    target, made = programs
    assert elf.inspect(made / name).linkage == "static"
    for _ in range(RUNS):
        done = toolman("run", target, made / name)
        assert (done.code, done.out) == (0, PRINTS[name]), done.err
