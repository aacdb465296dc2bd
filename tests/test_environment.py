"""`toolman env` from end to end: real shells, real make, real CMake."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tools

from toolman import elf

if TYPE_CHECKING:
    from conftest import Runner

SHELLS = ("dash", "bash", "zsh")
HELLO = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'


def shell(name: str, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [str(tools.find(name)), "-c", script]
    return subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **env})


def variables(home: Path, toolman: Runner, *words: str) -> dict[str, str]:
    done = toolman("env", *words, "--format", "json", env={"TOOLMAN_HOME": str(home)})
    assert done.code == 0, done.err
    found: dict[str, str] = json.loads(done.out)["set"]
    return found


def test_musl_is_static_by_default(home: Path, toolman: Runner) -> None:
    said = variables(home, toolman, "linux/arm64")
    sysroot = json.loads(
        toolman("show", "arm64-musl", "--json", env={"TOOLMAN_HOME": str(home)}).out
    )["sysroot"]
    assert said["GOOS"], said["GOARCH"] == ("linux", "arm64")
    assert said["CGO_ENABLED"] == "1"
    assert said["CGO_CFLAGS"] == "-O2 -g -march=armv8-a+crypto -fPIC"
    assert said["CGO_LDFLAGS"] == f"--sysroot={sysroot} -static"
    assert Path(said["CC"]).name == "aarch64-linux-musl-gcc"
    assert said["CC_aarch64_linux_gnu"] == said["CC_aarch64_unknown_linux_musl"] == said["CC"]
    assert said["CC_FOR_linux_arm64"] == said["CC"]
    assert said["CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER"] == said["CC"]


def test_gnu_is_dynamic_by_default(home: Path, toolman: Runner) -> None:
    said = variables(home, toolman, "linux/arm64", "--libc", "gnu")
    assert "-static" not in said["CGO_LDFLAGS"]
    assert "--sysroot=" in said["CGO_LDFLAGS"]
    assert "TOOLMAN_GO_LDFLAGS" not in said
    assert Path(said["CC"]).name == "aarch64-linux-gnu-gcc"


def test_static_glibc_is_possible_and_warned_of(home: Path, toolman: Runner) -> None:
    done = toolman("env", "arm64-gnu", "--static", env={"TOOLMAN_HOME": str(home)})
    assert " -static'" in done.out
    assert "libnss" in done.err


def test_march_replaces_the_targets_default(home: Path, toolman: Runner) -> None:
    said = variables(home, toolman, "linux/arm64", "--march", "armv8-a")
    assert said["CGO_CFLAGS"] == "-O2 -g -march=armv8-a -fPIC"


@pytest.mark.parametrize("name", SHELLS)
def test_three_lines_make_a_static_program(command: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.c").write_text(HELLO)
    script = f"set -eu; cd {tmp_path}; eval $(toolman env linux/arm64); $CC -static a.c -o a"
    done = shell(name, script)
    assert done.returncode == 0, done.stderr
    assert elf.inspect(tmp_path / "a").linkage == "static"


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize("words", ["riscv64-musl", "nonsense", "arm64-musl --shell nonsense"])
def test_a_failure_stops_the_script(command: Path, name: str, words: str) -> None:
    done = shell(name, f"set -e; eval $(toolman env {words}); echo reached")
    assert done.returncode != 0
    assert "reached" not in done.stdout
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize("name", SHELLS)
def test_unset_takes_everything_back(command: Path, name: str) -> None:
    steps = "env -0 | sort -z; printf @@@@@; {}; env -0 | sort -z"
    there = "eval $(toolman env linux/arm64); eval $(toolman env arm64-gnu --static)"
    back = "eval $(toolman env --unset)"
    own = {"CC": "my cc", "GOFLAGS": "-mod=vendor", "CGO_CFLAGS": "", "AR": "a|AS=b"}
    done = shell(name, steps.format(f"{there}; {back}"), **own)
    assert_taken_back(done)


@pytest.mark.parametrize("name", SHELLS)
def test_another_target_leaves_nothing_of_the_first(command: Path, name: str) -> None:
    script = "eval $(toolman env {}); env -0 | sort -z"
    alone = shell(name, script.format("arm64-gnu")).stdout
    second = shell(name, f"eval $(toolman env linux/arm64); {script.format('arm64-gnu')}").stdout
    assert differences(alone, second) == set()


@pytest.mark.parametrize("name", SHELLS)
def test_twice_is_once(command: Path, name: str) -> None:
    script = "eval $(toolman env linux/arm64);"
    once = shell(name, f"{script} env -0 | sort -z").stdout
    twice = shell(name, f"{script} {script} env -0 | sort -z").stdout
    assert differences(once, twice) == set()


def test_exec_leaves_nothing_of_an_active_environment(command: Path) -> None:
    script = "exec toolman exec arm64-gnu -- env -0"
    alone = shell("dash", script).stdout
    within = shell("dash", f"eval $(toolman env linux/arm64); {script}").stdout
    assert "TOOLMAN_ENV=arm64-gnu" in alone
    assert differences(alone, within) == set()


def assert_taken_back(done: subprocess.CompletedProcess[str]) -> None:
    """That the environments before and after `@@@@@` are the same."""
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.split("@@@@@")
    assert differences(before, after) == set()


def differences(before: str, after: str) -> set[str]:
    # zsh counts its children and remembers directories in variables of its own.
    ignored = ("_=", "OLDPWD=", "SHLVL=")
    pair = [
        {one for one in text.split("\0") if not one.startswith(ignored)} for text in (before, after)
    ]
    return pair[0] ^ pair[1]


def test_fish_sources_it_and_takes_it_back(command: Path) -> None:
    script = (
        "env -0 | sort -z; printf @@@@@; toolman env -s fish linux/arm64 | source; "
        "test (basename $CC) = aarch64-linux-musl-gcc; or exit 3; "
        "toolman env --unset -s fish | source; env -0 | sort -z"
    )
    assert_taken_back(shell("fish", script, CC="my cc"))


def test_the_file_to_source_stays_where_it_is(command: Path, home: Path) -> None:
    done = shell("dash", 'f=$(toolman env --file linux/arm64); . "$f"; echo "$f"; echo "$CC"')
    path, compiler = done.stdout.splitlines()
    assert Path(path).parent.name == "env"
    assert Path(path).name == "arm64-musl.sh"
    assert Path(compiler).name == "aarch64-linux-musl-gcc"


def test_github_gets_its_two_files(home: Path, toolman: Runner, tmp_path: Path) -> None:
    variables_, path = tmp_path / "env", tmp_path / "path"
    env = {"TOOLMAN_HOME": str(home), "GITHUB_ENV": str(variables_), "GITHUB_PATH": str(path)}
    done = toolman("env", "linux/arm64", "--format", "github", env=env)
    assert (done.code, done.out) == (0, "")
    assert "CGO_ENABLED<<" in variables_.read_text()
    assert "PATH<<" not in variables_.read_text()
    assert path.read_text().rstrip().endswith("/shims")


def test_a_makefile_can_include_it(home: Path, toolman: Runner, tmp_path: Path) -> None:
    done = toolman("env", "linux/arm64", "--format", "make", env={"TOOLMAN_HOME": str(home)})
    (tmp_path / "env.mk").write_text(done.out)
    (tmp_path / "a.c").write_text(HELLO)
    (tmp_path / "Makefile").write_text("include env.mk\na: a.c\n\t$(CC) -static -o $@ $<\n")
    subprocess.run([tools.find("make")], cwd=tmp_path, check=True, capture_output=True)
    assert str(elf.inspect(tmp_path / "a").machine) == "linux/arm64"


def test_cmake_uses_the_toolchain_file(
    home: Path, arm64_musl: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a.c").write_text(HELLO)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(a C)\nadd_executable(a a.c)\n"
    )
    argv = [tools.find("cmake"), "-S", ".", "-B", "build", "-G", "Unix Makefiles"]
    make = f"-DCMAKE_MAKE_PROGRAM={tools.find('make')}"
    subprocess.run([*argv, make], cwd=tmp_path, env=arm64_musl, check=True, capture_output=True)
    argv = [tools.find("cmake"), "--build", "build"]
    subprocess.run(argv, cwd=tmp_path, env=arm64_musl, check=True, capture_output=True)
    report = elf.inspect(tmp_path / "build/a")
    assert (str(report.machine), report.linkage) == ("linux/arm64", "static")


def test_pkg_config_never_looks_at_the_host(arm64_musl: dict[str, str], tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir()
    (host / "zlib.pc").write_text("Name: zlib\nDescription: x\nVersion: 1\nLibs: -lz\n")
    directory = tools.find("pkg-config").parent
    env = {**arm64_musl, "PKG_CONFIG_PATH": str(host)}
    env["PATH"] += f":{directory}"
    done = subprocess.run([env["PKG_CONFIG"], "--exists", "zlib"], env=env)
    assert done.returncode == 1


def test_exec_runs_a_command_in_the_environment(toolman: Runner, home: Path) -> None:
    env = {"TOOLMAN_HOME": str(home)}
    done = toolman("exec", "linux/arm64", "--", "sh", "-c", "echo $GOARCH; exit 7", env=env)
    assert (done.code, done.out) == (7, "arm64\n")


@pytest.mark.parametrize(
    "words",
    [
        ("arm64-gnu", "--static", "--cpu", "graviton2"),
        ("linux/arm64", "--libc", "gnu"),
        ("arm64-musl", "--dynamic", "--march=armv8.1-a"),
    ],
)
def test_exec_takes_what_env_takes(home: Path, toolman: Runner, words: tuple[str, ...]) -> None:
    wanted = variables(home, toolman, *words)
    name, *options = words
    for order in ([name, *options, "--"], [name, *options], [*options, name]):
        done = toolman("exec", *order, "env", "-0", env={"TOOLMAN_HOME": str(home)})
        assert done.code == 0, done.err
        found = dict(one.split("=", 1) for one in done.out.split("\0") if one)
        assert wanted.items() <= found.items()


def test_exec_leaves_the_options_of_the_command_to_it(toolman: Runner, home: Path) -> None:
    script = 'echo "$CGO_LDFLAGS" "$@"'
    words = ("arm64-gnu", "--dynamic", "sh", "-c", script, "sh", "--static", "--", "--cpu", "x")
    done = toolman("exec", *words, env={"TOOLMAN_HOME": str(home)})
    assert done.out.endswith(" --static -- --cpu x\n")
    assert "-static" not in done.out.split()[0]


def test_goenv_makes_static_programs_without_a_shell(
    toolman: Runner, home: Path, tmp_path: Path
) -> None:
    settings = {"TOOLMAN_HOME": str(home)}
    file = toolman("env", "--file", "--format", "goenv", "linux/arm64", env=settings).out.strip()
    assert (
        Path(file).read_text()
        == toolman("env", "--format", "goenv", "linux/arm64", env=settings).out
    )
    env = {**os.environ, "GOENV": file, "GOCACHE": str(tmp_path / "cache")}
    argv = [tools.go("1.27"), "build", "-o", f"{tmp_path}/out/", "./own", "./std"]
    subprocess.run(argv, cwd=Path(__file__).parent / "programs", env=env, check=True)
    for name in ("own", "std"):
        assert elf.inspect(tmp_path / "out" / name).linkage == "static"
