"""Installed toolchains at work: real compilers, and qemu-user for what they make."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toolman import elf

if TYPE_CHECKING:
    from conftest import Runner

HELLO = """
#include <limits.h>
#include <linux/if.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
static atomic_long n;
static void *work(void *arg) {
    volatile char big[512 * 1024];
    big[0] = 1;
    for (int i = 0; i < 100; i++) atomic_fetch_add(&n, big[0]);
    return arg;
}
int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, 0, work, 0) || pthread_join(thread, 0)) return 1;
    printf("hello %ld\\n", n);
    return 0;
}
"""
CXX = """
#include <iostream>
#include <stdexcept>
#include <thread>
int main() {
    int n = 0;
    std::thread worker([&] { n = 42; });
    worker.join();
    try { throw std::runtime_error("caught"); }
    catch (const std::exception &e) { std::cout << n << " " << e.what() << std::endl; }
}
"""
GO = """
package main
import "fmt"
func main() { c := make(chan int); go func() { c <- 7 }(); fmt.Println("gccgo", <-c) }
"""
MUSL = ("amd64-musl", "arm64-musl", "armv7-musl", "386-musl", "riscv64-musl")
MUSL += ("ppc64le-musl", "s390x-musl")
GNU = ("amd64-gnu", "arm64-gnu", "armv7-gnu", "386-gnu", "riscv64-gnu", "ppc64le-gnu", "s390x-gnu")


class User:
    """Somebody with toolchains in `home`, working in `work`."""

    def __init__(self, toolman: Runner, home: Path, work: Path) -> None:
        self.toolman = toolman
        self.env = {"TOOLMAN_HOME": str(home)}
        self.work = work

    def tool(self, name: str, target: str) -> str:
        done = self.toolman("which", name, "--target", target, env=self.env)
        assert done.code == 0, done.err
        return done.out.strip()

    def compile(self, target: str, *flags: str, source: str = HELLO, tool: str = "gcc") -> Path:
        name = {"gcc": "a.c", "g++": "a.cc", "gccgo": "a.go", "gfortran": "a.f90"}[tool]
        (self.work / name).write_text(source)
        program = self.work / "program"
        argv = [self.tool(tool, target), *flags, name, "-o", str(program)]
        done = subprocess.run(argv, cwd=self.work, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return program

    def run(self, target: str, program: Path) -> str:
        done = self.toolman("run", target, program, env=self.env)
        assert done.code == 0, done.err
        return done.out


@pytest.fixture
def user(toolman: Runner, home: Path, tmp_path: Path) -> User:
    return User(toolman, home, tmp_path)


@pytest.mark.parametrize("target", ["arm64-musl", "arm64-gnu"])
@pytest.mark.parametrize(
    ("flags", "linkage"),
    [
        (("-static",), "static"),
        ((), "dynamic"),
        (("-static-pie",), "static-pie"),
        (("-O2", "-flto", "-static"), "static"),
        (("-O2", "-D_FORTIFY_SOURCE=2", "-march=armv8-a+crypto"), "dynamic"),
        (("-march=armv8.1-a",), "dynamic"),
    ],
)
def test_programs_of_every_linkage_run(
    user: User, target: str, flags: tuple[str, ...], linkage: str
) -> None:
    program = user.compile(target, "-pthread", *flags)
    report = elf.inspect(program)
    assert (report.linkage, str(report.machine)) == (linkage, "linux/arm64")
    assert user.run(target, program) == "hello 100\n"


def test_a_dynamic_musl_program_asks_for_musls_interpreter(user: User) -> None:
    report = elf.inspect(user.compile("arm64-musl", "-pthread"))
    assert report.interpreter == "/lib/ld-musl-aarch64.so.1"
    assert report.needed == ("libc.so",)


def test_threads_of_a_musl_program_have_stacks_that_c_code_can_live_with(user: User) -> None:
    assert elf.inspect(user.compile("arm64-musl", "-static")).stack_size == 8 << 20
    own = elf.inspect(user.compile("arm64-musl", "-static", "-Wl,-z,stack-size=1048576"))
    assert own.stack_size == 1 << 20


def test_the_callers_library_path_does_not_reach_the_compiler(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = user.work / "poison"
    poison.mkdir()
    root = Path(user.tool("gcc", "arm64-musl")).parents[1]
    libraries = list(root.glob("lib/*-linux-gnu/*.so*"))
    assert libraries
    for library in libraries:
        (poison / library.name).write_text("no library at all")
    gcc = user.tool("gcc", "arm64-musl")
    (user.work / "a.c").write_text(HELLO)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(poison))
    subprocess.run([gcc, "-static", "-O2", "-flto", "a.c", "-o", "a"], cwd=user.work, check=True)
    monkeypatch.delenv("LD_LIBRARY_PATH")
    assert user.run("arm64-musl", user.work / "a") == "hello 100\n"


@pytest.mark.parametrize("target", ["arm64-musl", "arm64-gnu"])
def test_the_hosts_headers_and_libraries_are_out_of_reach(user: User, target: str) -> None:
    gcc = user.tool("gcc", target)
    root = str(Path(gcc).parents[2])
    (user.work / "a.c").write_text(HELLO)
    said = subprocess.run(
        [gcc, "-v", "-E", "a.c"], cwd=user.work, capture_output=True, text=True, check=True
    ).stderr
    headers = said.split("search starts here:")[-1].split("End of search")[0].split()
    linked = subprocess.run(
        [gcc, "-###", "a.c"], cwd=user.work, capture_output=True, text=True, check=True
    ).stderr.splitlines()[-2]
    libraries = [word[2:].strip('"') for word in linked.split() if word.strip('"')[:2] == "-L"]
    assert headers
    assert libraries
    outside = [path for path in [*headers, *libraries] if not path.startswith(root)]
    assert outside == []


@pytest.mark.parametrize("target", ["arm64-musl", "arm64-gnu"])
def test_a_tree_works_from_any_place(user: User, target: str) -> None:
    gcc = Path(user.tool("gcc", target))
    moved = user.work / "some where"
    subprocess.run(["cp", "-al", gcc.parents[2], moved], check=True)
    (user.work / "a.c").write_text(HELLO)
    compiler = moved / gcc.relative_to(gcc.parents[2])
    subprocess.run([compiler, "-static", "a.c", "-o", "program"], cwd=user.work, check=True)
    dirs = subprocess.run([compiler, "-print-search-dirs"], capture_output=True, text=True).stdout
    assert str(gcc.parents[2]) not in dirs
    assert user.run(target, user.work / "program") == "hello 100\n"


def test_musls_own_headers_win_over_gccs(user: User) -> None:
    source = "#include <stddef.h>\n#include <stdarg.h>\n#include <stdint.h>\n"
    (user.work / "a.c").write_text(source)
    argv = [user.tool("gcc", "arm64-musl"), "-M", "a.c"]
    done = subprocess.run(argv, cwd=user.work, capture_output=True, text=True, check=True)
    assert "gcc-cross" not in done.stdout


def test_the_store_is_read_only_and_describes_itself(user: User) -> None:
    done = user.toolman("show", "linux/arm64", "--json", env=user.env)
    shown = json.loads(done.out)
    tree = Path(shown["path"])
    writable = [path for path in tree.rglob("*") if path.is_file() and path.stat().st_mode & 0o222]
    assert [path for path in writable if not path.is_symlink()] == []
    assert shown["name"] == "arm64-musl"
    assert shown["origin"] == "distro"
    assert {"musl", "musl-dev"} <= {one["name"] for one in shown["components"]}
    assert all(len(one["sha256"]) == 64 and one["size"] > 0 for one in shown["components"])


def test_a_second_install_changes_nothing(toolman: Runner, home: Path) -> None:
    env = {"TOOLMAN_HOME": str(home)}
    before = sorted(str(path) for path in home.rglob("*"))
    done = toolman("install", "arm64-musl", "--json", env={**env, "PATH": "/nowhere"})
    assert done.code == 0, done.err
    assert json.loads(done.out)["installed"][0]["fresh"] is False
    assert sorted(str(path) for path in home.rglob("*")) == before


@pytest.fixture(scope="module")
def every(toolman: Runner, tmp_path_factory: pytest.TempPathFactory) -> User:
    """All targets that the archive of Debian 12 carries."""
    import tools

    home = tmp_path_factory.mktemp("every")
    user = User(toolman, home, tmp_path_factory.mktemp("work"))
    env = {**user.env, "TOOLMAN_CACHE": str(tools.CACHE / "toolman")}
    for words in (MUSL, (*GNU, "--with", "c++,gccgo")):
        wanted = [one for one in words if one != "ppc64le-gnu"]
        done = toolman("install", *wanted, env=env)
        assert done.code == 0, done.err
    done = toolman("install", "ppc64le-gnu", env=env)
    assert done.code == 0, done.err
    return user


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("-static",), (), ("-O2", "-flto")])
@pytest.mark.parametrize("target", [*MUSL, *GNU])
def test_c_runs_on_every_target(every: User, target: str, flags: tuple[str, ...]) -> None:
    assert every.run(target, every.compile(target, "-pthread", *flags)) == "hello 100\n"


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("-static",), ()])
@pytest.mark.parametrize("target", [one for one in GNU if one != "ppc64le-gnu"])
def test_cxx_and_gccgo_run_on_gnu_targets(every: User, target: str, flags: tuple[str, ...]) -> None:
    program = every.compile(target, "-pthread", *flags, source=CXX, tool="g++")
    assert every.run(target, program) == "42 caught\n"
    program = every.compile(target, *flags, source=GO, tool="gccgo")
    assert every.run(target, program) == "gccgo 7\n"


def test_verify_calls_static_glibc_what_it_is(user: User) -> None:
    lookup = "#include <netdb.h>\nint main(void) { return !getaddrinfo(0, 0, 0, 0); }\n"
    program = user.compile("arm64-gnu", "-static", source=lookup)
    refused = user.toolman("verify", "--static", program)
    assert refused.code == 1
    assert "getaddrinfo" in refused.err
    musl = user.compile("arm64-musl", "-static", source=lookup)
    assert user.toolman("verify", "--static", "--arch", "arm64-musl", musl).code == 0
    assert user.toolman("verify", "--arch", "arm64-gnu", musl).code == 1
    assert user.toolman("verify", "--arch", "linux/amd64", musl).code == 1


def test_verify_is_a_gate_for_the_glibc_that_is_needed(user: User) -> None:
    program = user.compile("arm64-gnu", "-pthread")
    shown = json.loads(user.toolman("verify", "--json", program).out)["files"][0]
    assert shown["linkage"] == "dynamic"
    assert user.toolman("verify", "--max-glibc", "2.99", program).code == 0
    assert user.toolman("verify", "--max-glibc", "2.17", program).code == 1
    assert user.toolman("verify", "--max-glibc", "two", program).code == 2


def test_verify_finds_members_of_a_wrong_machine_in_an_archive(user: User) -> None:
    (user.work / "a.c").write_text("int a;\n")
    for target in ("arm64-musl", "arm64-gnu"):
        argv = [user.tool("gcc", target), "-c", "a.c", "-o", f"{target}.o"]
        subprocess.run(argv, cwd=user.work, check=True)
    host = user.work / "host.o"
    host.write_bytes(Path(sys.executable).resolve().read_bytes()[:4096])
    argv = [user.tool("ar", "arm64-musl"), "rc", "x.a", "arm64-musl.o", "host.o"]
    subprocess.run(argv, cwd=user.work, check=True)
    done = user.toolman("verify", "--arch", "arm64", user.work / "x.a")
    assert done.code == 1
    assert "host.o" in done.err


def test_uninstall_leaves_nothing_behind(toolman: Runner, home: Path, tmp_path: Path) -> None:
    mine = tmp_path / "home"
    shutil.copytree(home, mine, symlinks=True, copy_function=os.link)
    env = {"TOOLMAN_HOME": str(mine)}
    assert toolman("uninstall", "--all", env=env).code == 0
    (data,) = mine.iterdir()
    left = [path for path in data.rglob("*") if not path.is_dir() and path.parent.name != "locks"]
    assert left == []
    assert json.loads(toolman("list", "--json", env=env).out)["toolchains"] == []
