"""A floor for glibc: what is built for 2.17 runs with a real one; what 2.17 lacks does not link."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import oldglibc
import pytest
import tools
from conftest import activated, isolated

from toolman import elf, lockfile, toolchain
from toolman.host import Host
from toolman.lockfile import Lock, Locked, Package, Packages
from toolman.origins import stubs
from toolman.target import Target, parse, spellings

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Runner

    from toolman.toolchain import Toolchain

FLOOR = "2.17"
SOURCES = Path(__file__).parent / "floor"
MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}
WHOLE = """\
glibc 2.17, made for 2.17
constructed 11, thread 8, here 7
stat 1 1
math 9.882 12.182 0.916 1.0
name abc 5, stack 1, environ 1
atexit
destructor
"""
WHOLE_CXX = """\
global up
caught deep
local of thread down
random 1, size 1, async 42, main
local of main down
global down
"""
ENDS = """\
#include <cstdio>
#include <pthread.h>
struct Held { ~Held() { puts("unwound"); } };
static void *work(void *) { Held held; pthread_exit(nullptr); }
int main()
{
    pthread_t thread;
    if (pthread_create(&thread, nullptr, work, nullptr) || pthread_join(thread, nullptr))
        return 1;
    puts("done");
}
"""
STATIC = """\
#include <cstdio>
#include <sys/stat.h>
#include <thread>
struct Early { Early() { puts("up"); } } early;
int main()
{
    int sum = 0;
    struct stat root;
    std::thread([&] { sum = stat("/", &root) == 0 ? 3 : 0; }).join();
    printf("%d\\n", sum);
}
"""
# In 2.17 they were in librt with that version, in libc with a newer one. Nobody gets the old one.
CLOCKS = re.compile(r"clock_(get|set)(time|res|cpuclockid)|clock_nanosleep")


@dataclass(frozen=True)
class User:
    """Somebody who builds for the floor, and has a machine with a real glibc 2.17."""

    made: Toolchain
    env: dict[str, str]
    scratch: Path

    @property
    def stubs(self) -> Path:
        return self.made.sysroot / f"lib/glibc-{FLOOR}"

    @property
    def old(self) -> Path:
        return oldglibc.libraries(MACHINES[self.made.target.platform.name])

    def link(self, tool: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Make `self.program`, whose interpreter, if it has one, is the old ld.so."""
        interp = Path(self.made.target.platform.interp["gnu"]).name
        argv = [self.made.tool(tool), *words, "-o", self.program]
        if not {"-static", "-static-pie"}.intersection(words):
            argv.append(f"-Wl,-dynamic-linker,{self.old / interp}")
        return subprocess.run(argv, capture_output=True, text=True)

    @property
    def program(self) -> Path:
        return self.scratch / "program"

    def run(self) -> str:
        """What `self.program` prints with glibc 2.17."""
        platform = self.made.target.platform
        argv: list[str | Path] = [self.program]
        if not Host.current().is_native(platform):
            qemu = tools.find(f"qemu-{platform.qemu}-static")
            argv = [qemu, "-E", f"LD_LIBRARY_PATH={self.old}", self.program]
        env = {**os.environ, "LD_LIBRARY_PATH": str(self.old)}
        done = subprocess.run(argv, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def home() -> Path:
    """A TOOLMAN_HOME with a toolchain for each of `MACHINES`. Tests only read it."""
    parts = [
        path.read_bytes() for path in sorted((tools.CHECKOUT / "toolman/data/glibc").iterdir())
    ]
    made = tools.CACHE / f"home-{tools.digest()}-floor-{tools.word(b''.join(parts))}"
    for name in MACHINES:
        tools.install(made, f"{name}-gnu", "--glibc", FLOOR, "--with", "c++")
    return made


@pytest.fixture
def user_of(home: Path, toolman: Runner, tmp_path: Path) -> Callable[[str], User]:
    def make(name: str) -> User:
        chosen = f"{name}-gnu.{FLOOR}"
        user = isolated(tmp_path) | {"TOOLMAN_HOME": str(home)}
        (entry,) = (home / Host.current().key / "store").glob(f"{chosen}-*")
        found = toolchain.read(entry)
        assert found is not None
        return User(found, activated(chosen, toolman, user), tmp_path)

    return make


@pytest.fixture(params=MACHINES)
def user(request: pytest.FixtureRequest, user_of: Callable[[str], User]) -> User:
    return user_of(request.param)


@pytest.mark.parametrize("flags", [[], ["-no-pie", "-O2"]], ids=["pie", "no-pie"])
def test_a_c_program_runs_with_an_old_glibc(user: User, flags: list[str], toolman: Runner) -> None:
    done = user.link("gcc", SOURCES / "whole.c", *flags, "-lm")
    assert done.returncode == 0, done.stderr
    assert user.run() == WHOLE
    assert toolman("verify", "--max-glibc", FLOOR, user.program).code == 0
    assert elf.inspect(user.program).glibc == (2, 17)


def test_a_cxx_program_runs_with_an_old_glibc(user: User, toolman: Runner) -> None:
    done = user.link("g++", SOURCES / "whole.cc")
    assert done.returncode == 0, done.stderr
    assert sorted(user.run().splitlines()) == sorted(WHOLE_CXX.splitlines())
    assert toolman("verify", "--max-glibc", FLOOR, user.program).code == 0
    assert "libstdc++.so.6" not in elf.inspect(user.program).needed


def test_the_end_of_a_cxx_thread_is_unwound(user: User) -> None:
    """glibc loads the system's libgcc_s for that; with an unwinder of its own a program aborts."""
    source = user.scratch / "ends.cc"
    source.write_text(ENDS, "utf-8")
    done = user.link("g++", source)
    assert done.returncode == 0, done.stderr
    assert user.run() == "unwound\ndone\n"


def test_a_cxx_library_can_be_shared(user: User) -> None:
    done = user.link("g++", SOURCES / "whole.cc", "-shared", "-fPIC")
    assert done.returncode == 0, done.stderr
    assert elf.inspect(user.program).glibc == (2, 17)


def test_without_the_floor_the_same_program_needs_a_newer_glibc(
    home: Path, toolman: Runner, tmp_path: Path
) -> None:
    """Otherwise the tests above would prove nothing."""
    tools.install(home, "amd64-gnu")
    env = activated("amd64-gnu", toolman, isolated(tmp_path) | {"TOOLMAN_HOME": str(home)})
    words = [env["CC"], SOURCES / "whole.c", "-lm", "-o", tmp_path / "program"]
    subprocess.run(words, check=True, env=env)
    done = toolman("verify", "--max-glibc", FLOOR, tmp_path / "program")
    assert done.code == 1
    assert "newer than 2.17" in done.err


@pytest.mark.parametrize("flag", ["-static", "-static-pie"])
def test_a_static_program_runs(user: User, flag: str) -> None:
    source = user.scratch / "static.cc"
    source.write_text(STATIC, "utf-8")
    done = user.link("g++", source, flag)
    assert done.returncode == 0, done.stderr
    assert user.run() == "up\n3\n"


@pytest.mark.parametrize("name", ["gettid", "explicit_bzero", "arc4random_buf", "mtx_lock"])
def test_what_the_floor_lacks_does_not_link(user: User, name: str) -> None:
    source = user.scratch / "use.c"
    source.write_text(f"int {name}(); int main(void) {{ return {name}(); }}\n", "utf-8")
    done = user.link("gcc", "-fno-builtin", source)
    assert done.returncode != 0
    assert f"undefined reference to `{name}'" in done.stderr


def test_every_symbol_of_a_stub_is_in_the_real_library(user: User) -> None:
    wrong = {}
    names = sorted(path.name for path in user.stubs.glob("*.so.*"))
    assert {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"} <= {*names}
    for name in names:
        offered = symbols(user, user.stubs / name)
        real = symbols(user, user.old / name) if (user.old / name).exists() else set()
        if extra := offered - real:
            wrong[name] = extra
        if name in ("libc.so.6", "libm.so.6"):
            assert len(offered) > 0.99 * len(real)
    assert wrong == {}


def symbols(user: User, library: Path) -> set[tuple[str, tuple[int, ...]]]:
    """Names and versions of what a library defines."""
    argv = [user.made.tool("readelf"), "-W", "--dyn-syms", library, library]
    printed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    found = stubs.parse(printed).get(library.name, [])
    return {(one.name, one.version) for one in found if not CLOCKS.fullmatch(one.name)}


@pytest.mark.xdist_group("go-floor")
@pytest.mark.parametrize("link", ["-linkmode=internal", "-linkmode=external"])
def test_a_go_program_with_net_runs_with_an_old_glibc(
    user: User, go_version: Callable[[str], Path], toolman: Runner, link: str
) -> None:
    interp = user.old / Path(user.made.target.platform.interp["gnu"]).name
    env = {
        **user.env,
        "PATH": f"{user.env['PATH'].partition(':')[0]}:{go_version('1.27').parent}:/usr/bin:/bin",
        "GOCACHE": str(tools.CACHE / "go-build"),
        "GOENV": "off",
        "GOTOOLCHAIN": "local",
    }
    words = ["go", "build", f"-ldflags=-I={interp} {link}", "-o", user.program, "./std"]
    where = SOURCES.parent / "programs"
    done = subprocess.run(words, cwd=where, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert user.run() == f"std {user.made.target.platform.name} plain root 443\n"
    assert toolman("verify", "--max-glibc", FLOOR, user.program).code == 0


def test_its_shims_and_variables_are_its_own(user_of: Callable[[str], User], home: Path) -> None:
    env = user_of("arm64").env
    shims = home / Host.current().key / "shims"
    assert env["CC"] == str(shims / "aarch64-linux-gnu.2.17-gcc")
    assert env["CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER"] == env["CC"]
    assert not (shims / "aarch64-linux-gnu-gcc").exists()


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("arm64-gnu.2.28", "arm64-gnu.2.28"),
        ("aarch64-linux-gnu.2.17", "arm64-gnu.2.17"),
        ("x86_64-unknown-linux-gnu.2.2.5", "amd64-gnu.2.2.5"),
        ("ARM-linux-gnueabihf.2.4", "armv7-gnu.2.4"),
    ],
)
def test_a_floor_stands_behind_any_spelling(word: str, name: str) -> None:
    found = parse(word)
    assert found.name == name
    assert word.lower() in spellings(found)
    assert parse(name) == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["install", "arm64-gnu", "--glibc", "2.99"], "the distribution has glibc 2."),
        (["install", "arm64-gnu.2.16"], "glibc for linux/arm64 begins with 2.17"),
        (["install", "riscv64-gnu", "--glibc", "2.26"], "begins with 2.27"),
        (["install", "amd64-gnu", "--glibc", "2.2"], "begins with 2.2.5"),
        (["install", "arm64-gnu", "--glibc", "two"], "--glibc: 'two' is no version"),
        (["install", "arm64-gnu.2.17", "--glibc", "2.28"], "arm64-gnu.2.17 is not for glibc 2.28"),
        (["install", "arm64-musl.2.17"], "arm64-musl has no glibc"),
        (["install", "arm64-musl", "--glibc", "2.17"], "arm64-musl is not a gnu target"),
        (["install", "arm64-gnu.2.17", "--origin", "source"], "no origin offers"),
        (["env", "linux/arm64", "--glibc", "2.17"], "arm64-gnu.2.17 is not installed"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    toolman: Runner, tmp_path: Path, words: list[str], said: str
) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home"), "TOOLMAN_CACHE": str(tools.CACHE / "toolman")}
    with tools.locked(tools.CACHE / "apt"):
        done = toolman(*words, env=env)
    assert done.code == 2
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in done.err


def test_a_lock_holds_a_floor() -> None:
    found = parse("arm64-gnu.2.28")
    assert isinstance(found, Target)
    package = Package(name="libc6-dev-arm64-cross", version="2.36-8cross1", sha256="1" * 64)
    systems = {Host.current().key: Packages(digest="0" * 64, packages=(package,), gcc="12.2.0")}
    one = Locked(target=found, origin="distro", languages=("c",), systems=systems)
    assert lockfile.parse(lockfile.dump(Lock(toolchains=(one,)))).of(found) == one
