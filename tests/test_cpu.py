"""`toolman env --cpu` and `--march`: what GCC and Go are told is what they know."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
import tools

from toolman import cpu, target
from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conftest import Runner

PLATFORMS = {one.docker: one for one in target.platforms()}
# The distribution's compilers take every -march of their kind of machine.
COMPILERS = {
    "linux/arm64": "arm64-gnu",
    "linux/amd64": "amd64-gnu",
    "linux/arm/v7": "armv7-gnu",
    "linux/arm/v6": "armv7-gnu",
    "linux/riscv64": "riscv64-gnu",
}


@pytest.fixture(scope="module")
def compilers() -> Path:
    """A TOOLMAN_HOME with `COMPILERS`."""
    made = tools.CACHE / f"home-{tools.digest()}-cpus"
    tools.install(made, *dict.fromkeys(COMPILERS.values()))
    return made


@pytest.mark.parametrize(
    ("platform", "march", "level"),
    [
        ("linux/arm64", "armv8-a", {"GOARM64": "v8.0"}),
        ("linux/arm64", "armv8-a+crypto", {"GOARM64": "v8.0,crypto"}),
        ("linux/arm64", "armv8-a+crc+lse+aes+sha2", {"GOARM64": "v8.0,lse,crypto"}),
        ("linux/arm64", "armv8.2-a+lse+fp16", {"GOARM64": "v8.2"}),
        ("linux/arm64", "armv9.7-a", {"GOARM64": "v9.5"}),
        ("linux/arm64", "native", {}),
        ("linux/amd64", "x86-64", {"GOAMD64": "v1"}),
        ("linux/amd64", "x86-64-v3", {"GOAMD64": "v3"}),
        ("linux/amd64", "haswell", {}),
        ("linux/arm/v7", "armv6+fp", {"GOARM": "6"}),
        ("linux/riscv64", "rv64gc", {"GORISCV64": "rva20u64"}),
        ("linux/riscv64", "rv64gc_zba_zbb_zbs", {"GORISCV64": "rva22u64"}),
        ("linux/386", "i686", {}),
    ],
)
def test_go_has_a_word_for_it(platform: str, march: str, level: Mapping[str, str]) -> None:
    assert cpu.go_level(march, PLATFORMS[platform]) == level


@pytest.mark.parametrize("one", cpu.cpus(), ids=lambda one: str(one.name))
def test_gcc_and_go_know_it(one: cpu.Cpu, toolman: Runner, compilers: Path, tmp_path: Path) -> None:
    assert cpu.find(one.name.upper(), PLATFORMS[one.platform]) == one
    settings = {"TOOLMAN_HOME": str(compilers)}
    found = toolman("which", "gcc", "--target", COMPILERS[one.platform], env=settings)
    words = [found.out.strip(), f"-march={one.march}", f"-mtune={one.tune}", "-c", "-x", "c"]
    done = subprocess.run([*words, "-", "-o", tmp_path / "a.o"], input=b"int a;")
    assert done.returncode == 0
    level = cpu.go_level(one.march, PLATFORMS[one.platform])
    assert level
    env = {"GOCACHE": str(tmp_path), "GOOS": "linux", **PLATFORMS[one.platform].go, **level}
    go = [tools.go("1.27"), "list", "-f", "{{context.ToolTags}}", "errors"]
    said = subprocess.run(go, env={**os.environ, **env}, check=True, capture_output=True).stdout
    arch, (word,) = PLATFORMS[one.platform].go["GOARCH"], level.values()
    assert f"{arch}.{word.partition(',')[0]}" in said.decode().strip("[]\n").split()


def test_the_environment_has_both(toolman: Runner, home: Path) -> None:
    def env(*words: str) -> dict[str, str]:
        done = toolman("env", "--format", "json", *words, env={"TOOLMAN_HOME": str(home)})
        assert done.code == 0, done.err
        found: dict[str, str] = json.loads(done.out)["set"]
        return found

    found = env("arm64-musl", "--cpu", "raspberrypi4")
    assert found["CGO_CFLAGS"] == "-O2 -g -march=armv8-a+crc -mtune=cortex-a72 -fPIC"
    assert found["GOARM64"] == "v8.0"
    found = env("arm64-musl", "--march", "armv8.1-a")
    assert found["CGO_CXXFLAGS"] == "-O2 -g -march=armv8.1-a -fPIC"
    assert found["GOARM64"] == "v8.1"
    assert "GOARM64" not in env("arm64-musl")


def test_unset_takes_it_back(toolman: Runner, home: Path) -> None:
    settings = {"TOOLMAN_HOME": str(home), "TOOLMAN_ENV": "arm64-musl", "GOARM64": "v8.2"}
    assert "GOARM64" in toolman("env", "--unset", env=settings).out


@pytest.mark.parametrize(
    ("word", "platform", "says", "hint"),
    [
        ("rapsberrypi4", "linux/arm64", "unknown processor", "did you mean raspberrypi4?"),
        ("z80", "linux/arm64", "unknown processor 'z80'", "known: raspberrypi3"),
        ("graviton2", "linux/amd64", "graviton2 is linux/arm64, not linux/amd64", "x86-64-v2"),
        ("z80", "linux/s390x", "unknown processor", "none of it is known; or: --march"),
    ],
)
def test_what_is_not_known(word: str, platform: str, says: str, hint: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        cpu.find(word, PLATFORMS[platform])
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("march", "says", "hint"),
    [
        ("armv8-a+cryto", "invalid feature modifier", "did you mean"),
        ("rv64gc", "unknown value", "valid arguments are: armv8-a"),
    ],
)
def test_what_the_compiler_does_not_know(
    toolman: Runner, home: Path, march: str, says: str, hint: str
) -> None:
    for verb, *command in (["env"], ["exec", "true"]):
        words = ("arm64-musl", "--march", march, *command)
        done = toolman(verb, *words, env={"TOOLMAN_HOME": str(home)})
        assert (done.code, done.out) == (2, "false;\n" if verb == "env" else "")
        assert done.err.startswith(f"error: arm64-musl: {says}")
        assert hint in done.err.splitlines()[1]
