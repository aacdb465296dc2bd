"""Bazel's module: read by Bazel's own formatter, and used by the Bazel that Debian has.

That is 4.2, with rules_cc 0.0.4: no registry has a newer one. So what the tests cannot show is how
a MODULE.bazel is resolved, which Bazel does from its own registry.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import judges
import machine
import pytest

from toolman import elf

if TYPE_CHECKING:
    from conftest import Runner

CHECKOUT = Path(__file__).parents[1]
_PACKAGES = "bazel-bootstrap bazel-rules-cc bazel-platforms qemu-user-static"
_SET_UP = f"""\
apt-get update -q
apt-get install -qy --no-install-recommends {_PACKAGES}
/opt/toolman/scripts/install
~/.local/bin/toolman install arm64-musl
"""
_BUILD = """\
PATH=~/.local/bin:$PATH
cp -R /opt/toolman/examples/greet ~/greet
cd ~/greet
cat >WORKSPACE <<END
local_repository(name = "rules_cc", path = "/usr/share/bazel/rules/cc")
local_repository(name = "platforms", path = "/usr/share/bazel/platforms")
local_repository(
    name = "toolman_arm64_musl",
    path = "$(toolman env --file --format bazel arm64-musl)",
)
register_toolchains("@toolman_arm64_musl//:all")
END
eval $(toolman env arm64-musl)
set -- --platforms=@toolman_arm64_musl//:platform --spawn_strategy=local
set -- "$@" --incompatible_enable_cc_toolchain_resolution
bazel build "$@" //...
bazel test "$@" --run_under="$(command -v aarch64-linux-musl-run)" --test_output=errors //...
cp -L bazel-bin/greet program
"""


def module(toolman: Runner, *words: str) -> Path:
    return Path(toolman("env", "--file", "--format", "bazel", *words).out.strip())


@pytest.mark.parametrize("words", [["arm64-musl"], ["arm64-gnu"], ["arm64-musl", "--dynamic"]])
def test_bazels_formatter_reads_the_files(toolman: Runner, command: Path, words: list[str]) -> None:
    files = sorted(module(toolman, *words).iterdir())
    assert {one.name for one in files} >= {"BUILD.bazel", "MODULE.bazel", "config.bzl"}
    argv = [judges.program("buildifier"), "-mode=diff", "-lint=warn", "-warnings=all", *files]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_a_project_says(toolman: Runner, command: Path, tmp_path: Path) -> None:
    said = toolman("env", "--format", "bazel", "arm64-musl").out
    assert f'path = "{module(toolman, "arm64-musl")}"' in said
    (tmp_path / "MODULE.bazel").write_text(said)
    argv = [judges.program("buildifier"), "-mode=check", tmp_path / "MODULE.bazel"]
    assert subprocess.run(argv).returncode == 0


def test_flags_are_said_to_bazel(toolman: Runner, command: Path) -> None:
    done = toolman("env", "--format", "bazel", "--march", "armv8.1-a", "arm64-musl")
    assert (done.code, done.out) == (2, "")
    assert "hint: bazel build --copt=-march=armv8.1-a\n" in done.err


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another root")
@pytest.mark.slow
def test_bazel_builds_and_runs_tests(tmp_path: Path) -> None:
    new = machine.make(tmp_path / "root", CHECKOUT)
    new("root", "sh", "-euc", _SET_UP)
    said = new("root", "sh", "-euc", _BUILD)
    assert "Executed 1 out of 1 test: 1 test passes." in said
    report = elf.inspect(tmp_path / "root/root/greet/program")
    assert (str(report.machine), report.linkage) == ("linux/arm64", "static")
