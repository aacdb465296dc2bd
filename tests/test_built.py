"""Toolchains that origin `source` has built here, at work: real sources, real GCC, qemu-user.

arm64-musl with C and C++ is built in every run of the tests; the other targets and languages are
slow ones. What is built stays until toolman's procedure, its recipes or its patches change.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import shapes
import tools
from test_toolchains import CXX, GO, HELLO, User

from toolman import elf

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Runner

FORTRAN = """
program hello
    implicit none
    real(KIND) :: x
    x = 2
    if (abs(sqrt(x) ** 2 - x) < 8 * epsilon(x)) print '(a)', 'fortran'
end program
"""
OPENMP = """
#include <stdatomic.h>
#include <stdio.h>
int main(void) {
    atomic_int n = 0;
    #pragma omp parallel num_threads(4)
    n++;
    printf("%d threads\\n", n);
}
"""
WIDE = """
struct { long a[4]; } x, y;
int main(void) { __atomic_load(&x, &y, __ATOMIC_SEQ_CST); return y.a[0]; }
"""
# The variable is libgcc's own; its outline atomics ask it which kind to use.
LSE = """
#include <stdio.h>
extern _Bool __aarch64_have_lse_atomics __attribute__((visibility("hidden")));
int n;
int main(void) {
    __atomic_fetch_add(&n, 1, __ATOMIC_SEQ_CST);
    printf("%d %d\\n", n, __aarch64_have_lse_atomics);
}
"""
# A name of the large-file interfaces that musl 1.2.4 took away.
LFS64 = """
#define _GNU_SOURCE
#include <unistd.h>
int main(void) { return lseek64(-1, 0, SEEK_SET) != -1; }
"""
ALLOCATE = """
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>
int main() {
    std::vector<std::thread> threads;
    long sum[4] = {};
    for (long &one : sum)
        threads.emplace_back([&one] {
            for (int i = 0; i < 10000; i++) one += *std::make_unique<long>(1);
        });
    for (auto &one : threads) one.join();
    std::printf("%ld\\n", sum[0] + sum[1] + sum[2] + sum[3]);
}
"""
FIRST = "arm64-musl"
EVERY = {
    "amd64-musl": "c++,gccgo,fortran",
    "arm64-musl": "c++,gccgo,fortran",
    "armv7-musl": "c++,fortran",
    "386-musl": "c++",
    "riscv64-musl": "c++,gccgo",
    "arm64-gnu": "c++,gccgo,fortran",
}

NON_CALL = ("-O2", "-pthread", "-fnon-call-exceptions", "-fasynchronous-unwind-tables")
# Eight threads whose first exceptions meet in the unwinder; then one out of a signal handler.
THROWN = """
#include <atomic>
#include <csignal>
#include <iostream>
#include <thread>
#include <vector>
int main() {
    std::atomic<int> caught(0), ready(0);
    std::vector<std::thread> threads;
    for (int n = 0; n < 8; n++)
        threads.emplace_back([&] {
            for (ready++; ready < 8;) {}
            for (int i = 0; i < 500; i++)
                try { throw i; } catch (int) { caught++; }
        });
    for (auto &one : threads) one.join();
    std::cout << caught << std::flush;
    std::signal(SIGSEGV, [](int) { throw 7; });
    try { *(volatile int *)8 = 1; } catch (int n) { std::cout << " " << n << std::endl; }
}
"""


def procedure() -> str:
    """Changes with all that a built tree depends on."""
    found = [*tools.CHECKOUT.glob("toolman/build/*.py"), *tools.CHECKOUT.glob("recipes/*.toml")]
    found += tools.CHECKOUT.glob("recipes/patches/**/*")
    found += [tools.CHECKOUT / "toolman/targets.toml", tools.CHECKOUT / "toolman/origins/source.py"]
    text = b"".join(path.read_bytes() for path in sorted(found) if path.is_file())
    return hashlib.sha256(text).hexdigest()[:12]


@functools.cache
def built(target: str, languages: str, *words: str) -> Path:
    """A TOOLMAN_HOME with that toolchain."""
    name = "-".join([target, languages.replace(",", "-"), *words]).replace("/", "-")
    home = tools.CACHE / f"home-built-{procedure()}-{name}"
    words = (target, "--with", languages, "--origin", "source", *words)
    tools.install(home, *words, lock="built")
    return home


@pytest.fixture(scope="session")
def user_of(toolman: Runner, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., User]:
    def find(target: str, languages: str, *words: str) -> User:
        return User(toolman, built(target, languages, *words), tmp_path_factory.mktemp("work"))

    return find


@pytest.fixture
def user(toolman: Runner, tmp_path: Path) -> User:
    return User(toolman, built(FIRST, "c++"), tmp_path)


def tree(user: User, target: str = FIRST) -> Path:
    return Path(user.tool("gcc", target)).parents[1]


@pytest.mark.parametrize(
    ("flags", "linkage"),
    [
        (("-static",), "static"),
        ((), "dynamic"),
        (("-static-pie",), "static-pie"),
        (("-O2", "-flto", "-static"), "static"),
        (("-O2", "-march=armv8.1-a"), "dynamic"),
    ],
)
def test_programs_of_every_linkage_run(user: User, flags: tuple[str, ...], linkage: str) -> None:
    program = user.compile(FIRST, "-pthread", *flags)
    report = elf.inspect(program)
    assert (report.linkage, str(report.machine)) == (linkage, "linux/arm64")
    assert user.run(FIRST, program) == "hello 100\n"


@pytest.mark.parametrize("flags", [("-static",), (), ("-static-pie",), ("-O2", "-flto", "-static")])
def test_cxx_with_exceptions_and_threads_runs(user: User, flags: tuple[str, ...]) -> None:
    program = user.compile(FIRST, "-pthread", *flags, source=CXX, tool="g++")
    assert user.run(FIRST, program) == "42 caught\n"


@pytest.mark.parametrize("flags", [("-static",), (), ("-static-pie",)])
def test_exceptions_meet_in_threads_and_pass_signal_handlers(
    user: User, flags: tuple[str, ...]
) -> None:
    program = user.compile(FIRST, *NON_CALL, *flags, source=THROWN, tool="g++")
    for _ in range(10):
        assert user.run(FIRST, program) == "4000 7\n"


def test_a_shared_library_of_ones_own_works(user: User) -> None:
    (user.work / "own.c").write_text("int answer(void) { return 42; }\n")
    argv = [user.tool("gcc", FIRST), "-shared", "-fPIC", "own.c", "-o", "libown.so"]
    subprocess.run(argv, cwd=user.work, check=True)
    flags = (f"-L{user.work}", f"-Wl,-rpath,{user.work}", "-lown")
    program = user.compile(
        FIRST, *flags, source="int answer(void); int main(void) { return answer() != 42; }"
    )
    assert elf.inspect(program).needed == ("libown.so", "libc.so")
    assert user.run(FIRST, program) == ""


def test_openmp_and_libatomic_are_there(user: User) -> None:
    program = user.compile(FIRST, "-fopenmp", "-static", source=OPENMP)
    assert user.run(FIRST, program) == "4 threads\n"
    assert (
        user.run(
            FIRST, user.compile(FIRST, "-static", "-Wl,-u,__atomic_load", "-latomic", source=WIDE)
        )
        == ""
    )


@pytest.mark.parametrize("flags", [("-static",), (), ("-static-pie",)])
def test_outline_atomics_switch_to_lse(user: User, flags: tuple[str, ...]) -> None:
    """Both kinds are in the program, and the processor decides."""
    program = user.compile(FIRST, "-O2", *flags, source=LSE)
    words = [user.tool("objdump", FIRST), "-d", program]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "ldaddal" in shown
    assert "ldaxr" in shown
    sysroot = ["-L", str(tree(user) / "aarch64-linux-musl")]
    for processor, said in (("cortex-a53", "1 0\n"), ("max", "1 1\n")):
        argv = ["qemu-aarch64-static", "-cpu", processor, *sysroot, program]
        assert subprocess.run(argv, capture_output=True, text=True).stdout == said


def test_lto_sees_into_archives(user: User) -> None:
    """As only a linker with GCC's plugin does; the objects hold nothing else."""
    (user.work / "answer.c").write_text("int answer(void) { return 42; }\n")
    lto = ["-O2", "-flto", "-fno-fat-lto-objects"]
    argv = [user.tool("gcc", FIRST), *lto, "-c", "answer.c", "-o", "answer.o"]
    subprocess.run(argv, cwd=user.work, check=True)
    argv = [user.tool("ar", FIRST), "rcs", "libanswer.a", "answer.o"]
    subprocess.run(argv, cwd=user.work, check=True)
    names = [user.tool("nm", FIRST), "libanswer.a"]
    assert "T answer" in subprocess.run(names, cwd=user.work, capture_output=True, text=True).stdout
    main = "int answer(void);\nint main(void) { return answer() - 42; }\n"
    archive = ("-Wl,--whole-archive", str(user.work / "libanswer.a"), "-Wl,--no-whole-archive")
    program = user.compile(FIRST, *lto, "-static", *archive, source=main)
    assert user.run(FIRST, program) == ""


def test_threads_have_stacks_that_c_code_can_live_with(user: User) -> None:
    assert elf.inspect(user.compile(FIRST, "-static")).stack_size == 8 << 20
    own = elf.inspect(user.compile(FIRST, "-static", "-Wl,-z,stack-size=1048576"))
    assert own.stack_size == 1 << 20


def test_qsort_sorts_stably_and_changes_nothing_else(user: User) -> None:
    source = (tools.CHECKOUT / "tests/programs/libc/sort.c").read_text("utf-8")
    assert user.run(FIRST, user.compile(FIRST, "-O2", "-static", source=source)) == "sorted\n"


def test_host_tools_are_static_and_stripped(user: User) -> None:
    found = [path for path in tree(user).glob("bin/*") if path.is_file() and not path.is_symlink()]
    found += [path for path in tree(user).glob("libexec/gcc/*/*/*") if path.stat().st_mode & 0o111]
    assert len(found) > 20
    for path in found:
        if path.read_bytes()[:4] == b"\x7fELF":
            assert elf.inspect(path).linkage == "static", path
    sections = subprocess.run(["readelf", "-S", found[0]], capture_output=True, text=True).stdout
    assert ".symtab" not in sections


def test_the_tree_works_from_any_place(user: User) -> None:
    moved = user.work / "some where"
    subprocess.run(["cp", "-al", tree(user), moved], check=True)
    (user.work / "a.c").write_text(HELLO)
    compiler = moved / "bin/aarch64-linux-musl-gcc"
    dirs = subprocess.run([compiler, "-print-search-dirs"], capture_output=True, text=True).stdout
    assert str(tree(user)) not in dirs
    environ = {"PATH": "/nowhere"}
    argv = [compiler, "-static", "-pthread", "a.c", "-o", "program"]
    subprocess.run(argv, cwd=user.work, env=environ, check=True)
    assert user.run(FIRST, user.work / "program") == "hello 100\n"


def test_no_directory_of_the_build_is_inside(user: User) -> None:
    grep = ["grep", "-rlF", str(tools.CACHE), tree(user)]
    assert subprocess.run(grep, capture_output=True, text=True).stdout == ""
    said = subprocess.run([user.tool("gcc", FIRST), "-v"], capture_output=True, text=True).stderr
    assert "Configured with: toolman" in said


def test_the_compilers_have_an_allocator_of_their_own(user: User) -> None:
    (cc1,) = tree(user).rglob("cc1")
    assert b"mimalloc" in cc1.read_bytes()
    # It asks the allocator for figures that are glibc's.
    user.compile(FIRST, "-fmem-report")


def test_it_describes_itself(user: User) -> None:
    shown = json.loads(user.toolman("show", FIRST, "--json", env=user.env).out)
    names = {one["name"] for one in shown["components"]}
    assert {"gcc", "binutils", "musl", "gmp", "mpfr", "mpc", "mimalloc", "linux-headers"} <= names
    assert (shown["origin"], shown["recipe"], shown["malloc"]) == (
        "source",
        "gcc-14-musl",
        "mallocng",
    )
    assert all(len(one["sha256"]) == 64 and one["size"] > 0 for one in shown["components"])


def test_packed_it_is_as_small_as_promised(user: User) -> None:
    file = user.work / "packed.tar.zst"
    done = user.toolman("pack", FIRST, "-o", file, env=user.env)
    assert done.code == 0, done.err
    assert file.stat().st_size < 30_000_000
    used = subprocess.run(["du", "-sb", tree(user)], capture_output=True, text=True).stdout
    assert int(used.split()[0]) < 200_000_000


@pytest.mark.slow
@pytest.mark.parametrize("target", EVERY)
def test_every_target_runs_what_it_compiles(user_of: Callable[..., User], target: str) -> None:
    languages = EVERY[target]
    user = user_of(target, languages)
    static_pie = (("-static-pie",), ("-O2", "-static-pie"))
    for flags in (("-static",), (), *static_pie, ("-O2", "-flto", "-static")):
        assert user.run(target, user.compile(target, "-pthread", *flags)) == "hello 100\n"
        program = user.compile(target, "-pthread", *flags, source=CXX, tool="g++")
        assert user.run(target, program) == "42 caught\n"
        if not target.startswith("armv"):  # 32-bit ARM's tables cannot say it of a handler
            program = user.compile(target, *NON_CALL, *flags, source=THROWN, tool="g++")
            assert user.run(target, program) == "4000 7\n"
    for flags in (("-static",), ()):
        if "gccgo" in languages:
            program = user.compile(target, *flags, source=GO, tool="gccgo")
            assert user.run(target, program) == "gccgo 7\n"
        if "fortran" in languages:
            # 128 bits, which may be libquadmath's; 32-bit ARM has none.
            text = FORTRAN.replace("KIND", "8" if target.startswith("armv7") else "16")
            program = user.compile(target, *flags, source=text, tool="gfortran")
            assert user.run(target, program).strip() == "fortran"


def test_cxx_of_another_publisher_runs(user: User, toolman: Runner, tmp_path: Path) -> None:
    """In musl.cc's shape, which this one nearly has: its dynamic linker is an absolute link."""

    def as_musl_cc(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if member.name.endswith("ld-musl-aarch64.so.1"):
            member.linkname = "/lib/libc.so"
        return None if member.name.endswith("toolchain.json") else member

    file = tmp_path / "aarch64-linux-musl-cross.tgz"
    with tarfile.open(file, "w:gz", compresslevel=1) as tar:
        tar.add(tree(user), "top", filter=as_musl_cc)
    row = shapes.row(file, gcc="14.2.0", sysroot="aarch64-linux-musl", languages=["c", "c++"])
    other = User(toolman, tmp_path / "home", tmp_path)
    other.env |= {
        "TOOLMAN_CACHE": str(tmp_path / "cache"),
        "TOOLMAN_CATALOGUE": str(shapes.catalogue(tmp_path / "catalogue.toml", row)),
    }
    words = ("install", FIRST, "--with", "c++", "--publisher", "someone")
    done = toolman(*words, env=other.env)
    assert done.code == 0, done.err
    for flags in (("-static",), ()):
        program = other.compile(FIRST, "-pthread", *flags, source=CXX, tool="g++")
        assert user.run(FIRST, program) == "42 caught\n"


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["gcc-15-musl", "gcc-16-musl", "gcc-14-musl-1.2.3"])
def test_other_recipes_run_what_they_compile(user_of: Callable[..., User], recipe: str) -> None:
    user = user_of(FIRST, "c++", "--recipe", recipe)
    for flags in (("-static",), (), ("-static-pie",), ("-O2", "-flto", "-static")):
        assert user.run(FIRST, user.compile(FIRST, "-pthread", *flags)) == "hello 100\n"
        program = user.compile(FIRST, "-pthread", *flags, source=CXX, tool="g++")
        assert user.run(FIRST, program) == "42 caught\n"
    version = subprocess.run(
        [user.tool("gcc", FIRST), "-dumpversion"], capture_output=True, text=True, check=True
    ).stdout
    assert recipe.startswith(f"gcc-{version.partition('.')[0]}-")
    if recipe.endswith("1.2.3"):
        assert user.run(FIRST, user.compile(FIRST, "-static", source=LFS64)) == ""


@pytest.mark.slow
def test_mimalloc_is_the_allocator_of_static_programs(user_of: Callable[..., User]) -> None:
    user = user_of(FIRST, "c++", "--malloc", "mimalloc")
    for flags in (("-static",), ("-static-pie",), ("-O2", "-flto", "-static"), ()):
        program = user.compile(FIRST, "-O2", "-pthread", *flags, source=ALLOCATE, tool="g++")
        assert user.run(FIRST, program) == "40000\n"
        names = subprocess.run(
            [user.tool("nm", FIRST), program], capture_output=True, text=True, check=True
        ).stdout
        assert ("mi_malloc" in names) == bool(flags)


@pytest.mark.slow
def test_two_builds_give_the_same_bytes(toolman: Runner, tmp_path: Path) -> None:
    """In directories of other lengths, at other times, with other numbers of jobs, and with
    nothing in common: each has compiled all of it."""
    here = {
        "TOOLMAN_HOME": str(tmp_path / "home"),
        "TOOLMAN_CACHE": str(tmp_path / "a-longer-name/of-a-directory"),
    }
    sources = Path(here["TOOLMAN_CACHE"], "sha256")
    shutil.copytree(tools.CACHE / "toolman/sha256", sources, copy_function=os.link)
    words = ("--with", "c++", "--origin", "source", "--jobs", "5")
    done = toolman("install", FIRST, *words, env=here)
    assert done.code == 0, done.err
    archives = []
    for home in (here["TOOLMAN_HOME"], str(built(FIRST, "c++"))):
        file = tmp_path / f"{len(archives)}.tar.zst"
        assert toolman("pack", FIRST, "-o", file, env={"TOOLMAN_HOME": home}).code == 0
        archives.append(file.read_bytes())
    assert archives[0] == archives[1]
