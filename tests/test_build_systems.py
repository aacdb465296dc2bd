"""CMake and Meson, the real ones: configured, built, and the tests run under qemu."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import buildtools
import pytest
import tools

from toolman import elf

if TYPE_CHECKING:
    from conftest import Runner

ROOT = Path(__file__).parents[1]
SYSTEMS = ("cmake", "meson", "autotools", "cargo", "conan")
BUILDS = {
    "cmake": (
        "cmake -G Ninja -B build && cmake --build build && "
        "ctest --test-dir build --no-tests=error --output-on-failure"
    ),
    "meson": (
        'meson setup --cross-file "$(toolman env --file --format meson {words})" build && '
        "meson compile -C build && meson test -C build --print-errorlogs"
    ),
}
# A program that is run while the project is configured, and a library that only the host has.
ASKING = {
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.20)
project(asking C)
include(CheckCSourceRuns)
check_c_source_runs("int main(void) { return 0; }" RUNS)
find_package(PkgConfig REQUIRED)
pkg_check_modules(OURS hostonly)
find_package(ZLIB)
message(STATUS "runs=${RUNS} found=${OURS_FOUND}${ZLIB_FOUND}")
""",
    "meson.build": """\
project('asking', 'c')
answer = meson.get_compiler('c').run('int main(void) { return 7; }').returncode()
found = dependency('hostonly', required: false).found()
zlib = dependency('zlib', required: false, method: 'cmake').found()
message('runs=@0@ found=@1@@2@'.format(answer, found, zlib))
""",
}
CXX = {
    "CMakeLists.txt": """\
cmake_minimum_required(VERSION 3.20)
project(hello CXX)
enable_testing()
add_executable(hello hello.cc)
add_test(NAME hello COMMAND hello)
""",
    "meson.build": "project('hello', 'cpp')\ntest('hello', executable('hello', 'hello.cc'))\n",
    "hello.cc": '#include <iostream>\nint main() { std::cout << "hello" << std::endl; }\n',
}


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{buildtools.pypi()}:{os.environ['PATH']}")


@pytest.fixture
def greet(tmp_path: Path) -> Path:
    """A copy of examples/greet."""
    return Path(shutil.copytree(ROOT / "examples/greet", tmp_path / "greet"))


@pytest.fixture
def odd_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "it's a `home`  {{#}} & $(ü)*"
    monkeypatch.setenv("TOOLMAN_HOME", str(home))
    monkeypatch.setenv("TOOLMAN_CACHE", str(tools.CACHE / "toolman"))
    return home


def script(text: str, cwd: Path) -> str:
    argv = [tools.find("dash"), "-euc", text]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def build(system: str, words: str, cwd: Path) -> str:
    return script(f"eval $(toolman env {words}); {BUILDS[system].format(words=words)}", cwd)


def lay(files: dict[str, str], directory: Path) -> Path:
    directory.mkdir()
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


@pytest.mark.parametrize("system", BUILDS)
@pytest.mark.parametrize(
    ("words", "linkage"),
    [
        ("linux/arm64", "static"),
        ("linux/arm64 --dynamic", "dynamic"),
        ("arm64-gnu", "dynamic"),
        ("arm64-gnu --static", "static"),
    ],
)
def test_a_project_is_built_and_its_tests_run(
    command: Path, greet: Path, system: str, words: str, linkage: str
) -> None:
    build(system, words, greet)
    # Meson builds what a test needs, and `compile` the rest.
    report = elf.inspect(greet / "build/greet")
    assert (str(report.machine), report.linkage) == ("linux/arm64", linkage)
    assert script(f"toolman run {words.split()[0]} build/greet you", greet) == "hello you\n"


@pytest.mark.parametrize("system", BUILDS)
def test_cxx(
    toolman: Runner, command: Path, tmp_path: Path, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tools.CACHE / f"home-{tools.digest()}-c++"
    tools.install(home, "arm64-gnu", "--with", "c++")
    monkeypatch.setenv("TOOLMAN_HOME", str(home))
    build(system, "arm64-gnu", lay(CXX, tmp_path / "hello"))
    assert str(elf.inspect(tmp_path / "hello/build/hello").machine) == "linux/arm64"


@pytest.mark.parametrize("system", BUILDS)
def test_a_cxx_compiler_of_the_host_is_not_taken(
    command: Path, tmp_path: Path, system: str
) -> None:
    project = lay(CXX, tmp_path / "hello")
    file = f'"$(toolman env --file --format {system} arm64-musl)"'
    words = {
        "cmake": f"cmake -B build --toolchain {file}",
        "meson": f"meson setup --cross-file {file} build",
    }
    argv = [tools.find("dash"), "-euc", words[system]]
    done = subprocess.run(argv, cwd=project, capture_output=True, text=True)
    assert done.returncode != 0
    said = {"cmake": "aarch64-linux-musl-g++", "meson": "'cpp' compiler binary not defined"}
    assert said[system] in done.stdout + done.stderr


@pytest.mark.parametrize("system", BUILDS)
@pytest.mark.parametrize("words", ["arm64-musl", "arm64-gnu"])
def test_programs_run_and_libraries_of_the_host_are_not_found(
    command: Path, tmp_path: Path, system: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = lay({"hostonly.pc": "Name: x\nDescription: x\nVersion: 1\n"}, tmp_path / "host")
    monkeypatch.setenv("PKG_CONFIG_PATH", str(host))
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{tools.find('pkg-config').parent}")
    project = lay(ASKING, tmp_path / "asking")
    said = script(
        f"eval $(toolman env {words}); {BUILDS[system].split('&&')[0]}".format(words=words), project
    )
    assert {"cmake": "runs=1 found=FALSE", "meson": "runs=7 found=falsefalse"}[system] in said


@pytest.mark.usefixtures("odd_home")
@pytest.mark.parametrize("system", BUILDS)
def test_a_home_with_odd_characters(
    toolman: Runner, command: Path, greet: Path, system: str
) -> None:
    assert toolman("install", "arm64-musl").code == 0
    build(system, "arm64-musl", greet)
    assert elf.inspect(greet / "build/greet").linkage == "static"


def test_options_are_in_what_is_printed(command: Path, greet: Path) -> None:
    script("toolman env arm64-gnu --static --cpu graviton3 --format cmake > toolchain.cmake", greet)
    words = "-DCMAKE_TOOLCHAIN_FILE=toolchain.cmake -DCMAKE_EXPORT_COMPILE_COMMANDS=ON"
    script(f"cmake -G Ninja -B build {words} && cmake --build build", greet)
    commands = json.loads((greet / "build/compile_commands.json").read_text())
    assert all("-march=armv8.4-a" in one["command"] for one in commands)
    assert elf.inspect(greet / "build/greet").linkage == "static"
    said = script("toolman env arm64-musl --dynamic --march armv8.1-a --format meson", greet)
    assert "c_args = ['-march=armv8.1-a']" in said
    assert "-static" not in said


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("words", [["arm64-musl"], ["arm64-musl", "--dynamic"], ["arm64-gnu"]])
def test_the_file_holds_what_is_printed(
    toolman: Runner, command: Path, system: str, words: list[str]
) -> None:
    file = toolman("env", "--file", "--format", system, *words)
    assert file.code == 0, file.err
    assert Path(file.out.strip()).read_text() == toolman("env", "--format", system, *words).out


def test_show_names_every_file(toolman: Runner, command: Path) -> None:
    files = json.loads(toolman("show", "--json", "linux/arm64").out)["files"]
    assert {*SYSTEMS, "bazel"} == {*files}
    assert all(Path(one).exists() for one in files.values())


def test_no_file_is_there_for_what_differs(toolman: Runner, command: Path) -> None:
    done = toolman("env", "--file", "--format", "cmake", "--march", "armv8.1-a", "arm64-musl")
    assert (done.code, done.out) == (2, "")
    assert "print what differs" in done.err


def test_an_unknown_format_names_the_nearest(toolman: Runner, command: Path) -> None:
    done = toolman("env", "--format", "mesn", "arm64-musl")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: unknown format 'mesn'\nhint: did you mean meson?\n"


def test_variables_need_no_build_system(command: Path) -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "toolman", "env", "arm64-musl"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "toolman.systems" in imported
    assert not {one for one in imported if one.startswith("toolman.systems.")}
