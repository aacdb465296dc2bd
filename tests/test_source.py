"""Origin `source` from the command line, over sources of ten lines: what it makes, and says."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import archive
import fakesrc
import pytest
from archive import Machine, ended
from fakesrc import VERSION, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archive import Done
    from fakesrc import Call

# What a user may have set for other work, and no part of a toolchain may see.
USERS_OWN = (
    "CC",
    "CXX",
    "CFLAGS",
    "LDFLAGS",
    "LD_LIBRARY_PATH",
    "CONFIG_SITE",
    "LIBS",
    "MAKEFILES",
)
# What is in the environment of every step.
OURS = {"PATH", "HOME", "TMPDIR", "LC_ALL", "TZ", "SOURCE_DATE_EPOCH", "CONFIG_SHELL", "MAKEFLAGS"}
CCACHE = {"CCACHE_DIR", "CCACHE_CONFIGPATH", "CCACHE_DEPEND", "CCACHE_MAXSIZE"}
CCACHE |= {"CCACHE_PCH_EXTSUM", "CCACHE_SLOPPINESS"}
# What a component's configure is told beside that.
TOLD = {"CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "LIBCC", "AR", "RANLIB"}
SHELLS = {"PWD", "OLDPWD", "SHLVL", "_"}
STEPS = {
    *("sysroot: directories", "linux-headers: installation", "binutils: tools"),
    *(f"{name}: source" for name in ("gcc", "binutils", "gmp", "mpfr", "mpc", "mimalloc", "musl")),
    *(f"{name}: library" for name in ("gmp", "mpfr", "mpc", "musl")),
    "mimalloc: object",
    *("musl: headers", "musl: objects", "gcc: parts"),
    *(f"gcc: {name}" for name in ("compilers", "libgcc.a", "libgcc", "libraries", "installation")),
}
HOSTLIBS = [f"{name} configure" for name in ("gmp", "mpfr", "mpc")]


@dataclass(frozen=True, kw_only=True)
class Built:
    """arm64-musl with C++, and how it was built, by a user who has set much."""

    upstream: Upstream
    done: Done
    calls: list[Call]
    tree: Path
    about: dict[str, Any]
    trace: dict[str, Any]

    def call(self, name: str) -> Call:
        (found,) = [one for one in self.calls if one.name == name]
        return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    directory = tmp_path_factory.mktemp("built")
    with fakesrc.upstream(directory) as upstream:
        users = dict.fromkeys(USERS_OWN, "users-own")
        upstream.machine.settings |= {**users, "MAKEFLAGS": "-n --warn-users-own"}
        done = upstream.build("arm64-musl", "--with", "c++", "--timeline", directory / "trace.json")
        (tree,) = upstream.machine.data.glob("store/arm64-musl-*")
        yield Built(
            upstream=upstream,
            done=done,
            calls=upstream.calls(),
            tree=tree,
            about=json.loads((tree / "toolchain.json").read_text()),
            trace=json.loads((directory / "trace.json").read_text()),
        )


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    with fakesrc.upstream(tmp_path) as upstream:
        yield upstream


def fails(upstream: Upstream, code: int, *words: str) -> str:
    """What is said of an install that must fail before anything is fetched."""
    done = upstream.machine.toolman("install", *words)
    assert (done.code, len(done.errors)) == (code, 1), done.err
    assert "Traceback" not in done.err
    assert upstream.server.seen == []
    assert upstream.calls() == []
    assert upstream.machine.installed() == []
    return done.err[done.err.index("error:") :]


# What it makes


def test_what_is_built_is_installed(built: Built) -> None:
    machine = built.upstream.machine
    assert machine.installed() == ["arm64-musl"]
    assert machine.is_published()
    about = built.about
    assert (about["origin"], about["recipe"][:10]) == ("source", "fake-musl-")
    assert (about["version"], about["malloc"]) == (VERSION, "mallocng")
    assert about["languages"] == ["c", "c++"]
    assert about["tools"]["gcc"] == "bin/aarch64-linux-musl-gcc"
    assert {one["name"] for one in about["components"]} == {
        *("gcc", "binutils", "gmp", "mpfr", "mpc", "mimalloc", "linux-headers", "musl")
    }
    served = built.upstream.server.archive.directory
    for one in about["components"]:
        content = (served / f"{one['name']}-{VERSION}.tar.gz").read_bytes()
        assert one["size"] == len(content)


def test_what_nobody_uses_is_not_in_it(built: Built) -> None:
    names = {str(path.relative_to(built.tree)) for path in built.tree.rglob("*")}
    assert "aarch64-linux-musl/include/linux/version.h" in names
    assert "lib/gcc/aarch64-linux-musl/99.1/libgcc.a" in names
    useless = ("share", "install-tools", ".la", "lto-dump", "scsi", ".install")
    assert [name for name in names if any(word in name for word in useless)] == []


def test_it_can_be_moved(built: Built) -> None:
    sysroot = built.tree / "aarch64-linux-musl"
    assert str((sysroot / "lib/ld-musl-aarch64.so.1").readlink()) == "libc.so"
    assert [path for path in built.tree.rglob("*") if path.is_symlink() and not path.exists()] == []
    links = [path.readlink() for path in built.tree.rglob("*") if path.is_symlink()]
    assert [link for link in links if link.is_absolute()] == []
    home = os.fsencode(built.upstream.directory)
    files = [path for path in built.tree.rglob("*") if path.is_file()]
    assert [path for path in files if home in path.read_bytes()] == []


def test_threads_get_a_stack_to_live_with(built: Built) -> None:
    specs = (built.tree / "lib/gcc/aarch64-linux-musl/99.1/specs").read_text()
    assert "{static:-static}" in specs, "the compiler's own are gone"
    assert "-z stack-size=8388608" in specs


def test_nothing_is_left_but_what_others_can_use(built: Built) -> None:
    cache = built.upstream.machine.cache
    assert [path.name for path in (cache / "build").iterdir()] == ["shared"]
    assert built.upstream.processes() == []


# How it is made


def test_each_configure_is_told_its_target(built: Built) -> None:
    gcc = built.call("gcc configure").words
    assert "--enable-languages=c,c++" in gcc
    assert "--target=aarch64-linux-musl" in gcc
    assert "--target=aarch64-linux-musl" in built.call("binutils configure").words
    assert "--target=aarch64-linux-musl" in built.call("musl configure").words
    for name in ("gmp", "mpfr", "mpc"):
        assert "--disable-shared" in built.call(f"{name} configure").words
    names = [one.name for one in built.calls]
    assert "gcc all-target-libstdc++-v3" in names
    assert "gcc all-target-libgo" not in names


def test_a_step_sees_nothing_of_the_users(built: Built) -> None:
    for one in built.calls:
        text = " ".join([*one.words, *one.environ.values()])
        assert "users-own" not in text, one.name
        assert " -n " not in f" {one.environ['MAKEFLAGS']} ", one.name
        if one.name.endswith("configure"):
            names = {name for name in one.environ if not name.endswith("_FOR_TARGET")}
            assert names <= OURS | CCACHE | TOLD | SHELLS, one.name
    assert built.call("gcc configure").environ["LC_ALL"] == "C"
    path = built.call("gcc all-gcc").environ["PATH"]
    assert path.split(":")[0].endswith("/out/bin")


def test_each_make_takes_its_jobs_from_the_pool(built: Built) -> None:
    for one in built.calls:
        flags = one.environ["MAKEFLAGS"]
        wanted = "-j1 " if one.name.startswith("gcc install") else "-j2 --jobserver-auth="
        assert wanted in flags, one.name


def test_the_timeline_has_each_step_once(built: Built) -> None:
    events = built.trace["traceEvents"]
    assert sorted(one["name"] for one in events) == sorted(STEPS)
    assert {one["ph"] for one in events} == {"X"}
    begin = {one["name"]: one["ts"] for one in events}
    end = {one["name"]: one["ts"] + one["dur"] for one in events}
    assert end["gcc: libgcc.a"] <= begin["musl: library"]
    assert end["musl: library"] <= begin["gcc: libgcc"]
    assert {one["tid"] for one in events} == {1, 2}


def test_a_line_tells_of_each_step(built: Built) -> None:
    lines = built.done.err.splitlines()
    assert set(lines) >= STEPS
    assert f"recipe fake-musl: GCC {VERSION}" in lines[0]
    assert "MB to download" in lines[0]
    assert "%" not in built.done.err


# What it takes to ask for it


def test_what_is_there_is_not_built_again(built: Built) -> None:
    machine = built.upstream.machine
    words = built.upstream.command("arm64-musl", "--with", "c++")
    for again in (["install", "arm64-musl"], ["install", "arm64-musl", "--with", "c++"], words):
        done = machine.toolman(*again)
        assert (done.code, "already installed" in done.err) == (0, True), done.err
    assert built.upstream.calls() == built.calls


def test_a_dry_run_tells_sources_and_bytes_and_fetches_nothing(upstream: Upstream) -> None:
    machine = upstream.machine
    words = upstream.command("arm64-musl", "--dry-run", "--json")
    (plan,) = json.loads(machine.toolman(*words).out)["plans"]
    assert plan["origin"] == "source"
    parts = {one["name"]: one for one in plan["packages"]}
    assert set(parts) == {
        *("gcc", "binutils", "gmp", "mpfr", "mpc", "mimalloc", "linux-headers", "musl")
    }
    served = upstream.server.archive.directory
    sizes = {name: (served / f"{name}-{VERSION}.tar.gz").stat().st_size for name in parts}
    assert {name: one["size"] for name, one in parts.items()} == sizes
    assert plan["download"] == sum(sizes.values())
    text = machine.toolman(*upstream.command("arm64-musl", "--dry-run")).out
    assert "origin source, recipe fake-musl: GCC 99.1" in text
    assert upstream.server.seen == []
    assert not machine.cache.exists() or not list(machine.cache.rglob("*"))
    assert machine.installed() == []


@pytest.mark.parametrize(
    ("words", "recipe", "gcc"),
    [
        (["arm64-musl"], "gcc-14-musl", "14.2.0"),
        (["arm64-musl", "--gcc", "15"], "gcc-15-musl", "15."),
        (["arm64-musl", "--gcc", "16"], "gcc-16-musl", "16."),
        (["arm64-musl", "--gcc", "14.2"], "gcc-14-musl", "14.2.0"),
        (["arm64-musl", "--recipe", "gcc-14-musl-1.2.3"], "gcc-14-musl-1.2.3", "14.2.0"),
        (["arm64-gnu"], "gcc-14-gnu", "14.2.0"),
    ],
)
def test_the_recipe_that_fits(words: list[str], recipe: str, gcc: str, upstream: Upstream) -> None:
    done = upstream.machine.toolman("install", *words, "--origin", "source", "--dry-run")
    assert done.code == 0, done.err
    assert f"recipe {recipe}: GCC {gcc}" in done.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["arm64-musl", "--recipe", "gcc-14-mulls"], "did you mean gcc-14-musl"),
        (["arm64-musl", "--recipe", "./none.toml"], "No such file"),
        (["arm64-gnu", "--recipe", "gcc-14-musl"], "the recipe gcc-14-musl has no arm64-gnu"),
        (["arm64-musl", "--gcc", "15", "--recipe", "gcc-14-musl"], "has GCC 14.2.0, not 15"),
        (["arm64-musl", "--gcc", "13"], "no recipe for musl with GCC 13"),
        (["arm64-gnu", "--malloc", "mimalloc"], "only musl's allocator can be chosen"),
        (["arm64-musl", "--malloc", "jemalloc"], "mimalloc"),
        (["armv7-musl", "--with", "gccgo"], "gccgo on musl for amd64, arm64, riscv64 only"),
        (["arm64-musl", "--jobs", "0"], "'0' is no number of jobs"),
        (["arm64-musl", "--jobs", "x"], "'x' is no number of jobs"),
        (["arm64-musl", "--jobs", "-1"], "--jobs"),
        (["arm64-musl", "--timeline", "/"], "/ is a directory"),
    ],
)
def test_a_wrong_wish_is_refused(words: list[str], says: str, upstream: Upstream) -> None:
    assert says in fails(upstream, 2, *words, "--origin", "source")


def test_a_recipe_on_disk_is_checked_before_anything_is_done(upstream: Upstream) -> None:
    upstream.recipe('glibc = "2.41.1"\nmussl = "1"\n')
    said = fails(upstream, 2, *upstream.command()[1:])
    assert "2 mistakes" in said
    assert "components.glibc" in said
    assert "components.mussl: no such component is pinned; did you mean musl" in said


def test_what_the_archive_lacks_is_built(tmp_path: Path) -> None:
    """C comes in seconds from the distribution; what has C is not built again for C."""
    with archive.serve(archive.common()) as server:
        machine = Machine(tmp_path, server.url)
        machine.install("arm64-musl")
        assert "already installed" in machine.install("arm64-musl").err
        done = machine.toolman("install", "arm64-musl", "--with", "c++", "--dry-run", "-v")
        assert done.code == 0, done.err
        assert "arm64-musl with c++: origin source, recipe gcc-14-musl" in done.out
        assert "not from distro: " in done.err
        assert "already installed" in machine.toolman("install", "arm64-musl", "--dry-run").out


# Variants


def test_a_second_target_uses_what_is_there(upstream: Upstream) -> None:
    upstream.build("arm64-musl")
    trees = {path.name for path in (upstream.machine.cache / "build/shared").iterdir()}
    upstream.forget_calls()
    done = upstream.build("riscv64-musl")
    assert {*upstream.names()}.isdisjoint(HOSTLIBS)
    assert {path.name for path in (upstream.machine.cache / "build/shared").iterdir()} == trees
    assert not [line for line in done.err.splitlines() if line.endswith(": source")]
    assert upstream.machine.installed() == ["arm64-musl", "riscv64-musl"]
    for name, machine in (("arm64", "aarch64"), ("riscv64", "riscv64")):
        (tree,) = upstream.machine.data.glob(f"store/{name}-musl-*")
        (header,) = tree.glob("*-linux-musl/include/bits/alltypes.h")
        assert header.read_text() == f"#define FOR_{machine}\n", "made for another machine"


def test_what_the_host_is_like_is_asked_once(upstream: Upstream) -> None:
    """By the scripts of every directory; what they found out about a target is its own."""
    found = [
        "ac_cv_func_mmap=${ac_cv_func_mmap=yes}",
        "ac_cv_sizeof_long=${ac_cv_sizeof_long=8}",
        "lt_cv_prog_compiler_c_o=${lt_cv_prog_compiler_c_o=yes}",
    ]
    own = [
        "ac_cv_env_target_alias_value=aarch64-linux-musl",
        "ac_cv_path_NM=${ac_cv_path_NM=/usr/bin/nm}",
        "ac_cv_prog_AR=${ac_cv_prog_AR=ar}",
        "gcc_cv_as_eh_frame=${gcc_cv_as_eh_frame=yes}",
    ]
    wrote = upstream.directory / "wrote"
    wrote.write_text("".join(f"{line}\n" for line in (*found, *own)))
    laid = upstream.directory / "laid"
    for call, name in (("binutils all", "bfd"), ("gcc all-libcpp", "build-host/libcpp")):
        text = f"mkdir -p {name}; [ ! -e {name}/config.cache ] || cat {name}/config.cache >>{laid}"
        upstream.hook(call, f"{text}; cp {wrote} {name}/config.cache")
    upstream.build("arm64-musl")
    assert not laid.exists()
    upstream.build("riscv64-musl")
    assert laid.read_text().splitlines() == found * 2


def test_targets_built_at_once_share_what_they_can(upstream: Upstream) -> None:
    for name in ("gmp all", "mpc all"):
        upstream.hook(name, "sleep 0.5")
    names = ["arm64-musl", "riscv64-musl", "arm64-musl"]
    running = [upstream.machine.start(*upstream.command(name)) for name in names]
    done = [ended(one) for one in running]
    assert [one.code for one in done] == [0, 0, 0], [one.err for one in done]
    assert upstream.machine.installed() == ["arm64-musl", "riscv64-musl"]
    names = upstream.names()
    assert [names.count(name) for name in HOSTLIBS] == [1, 1, 1]
    assert names.count("gcc configure") == 2
    said = " ".join(one.err for one in done)
    names = ["gcc", "binutils", "gmp", "mpfr", "mpc", "mimalloc", "musl"]
    sources = [f"{name}: source\n" for name in names]
    assert [said.count(name) for name in sources] == [1] * len(sources)


def test_gnu_with_every_language(upstream: Upstream) -> None:
    upstream.build("riscv64-gnu", "--with", "c++,gccgo,fortran")
    names = upstream.names()
    assert names.index("glibc install-headers") < names.index("gcc libgcc.a")
    assert names.index("gcc libgcc.a") < names.index("glibc all")
    assert names.index("glibc install") < names.index("gcc all-target-libgcc")
    (gcc,) = [one for one in upstream.calls() if one.name == "gcc configure"]
    assert "--enable-languages=c,c++,go,fortran" in gcc.words
    (tree,) = upstream.machine.data.glob("store/riscv64-gnu-*")
    assert not (tree / "riscv64-linux-gnu/etc").exists()
    assert "stack-size" not in next(tree.rglob("specs")).read_text()


def test_mimalloc_is_put_into_the_libc(upstream: Upstream) -> None:
    upstream.build("arm64-musl", "--malloc", "mimalloc")
    (tree,) = upstream.machine.data.glob("store/arm64-musl-*")
    about = json.loads((tree / "toolchain.json").read_text())
    assert about["malloc"] == "mimalloc"
    assert (tree / "aarch64-linux-musl/lib/libc.a").read_text() == "made\n"


def test_patches_of_a_recipe_are_applied(upstream: Upstream) -> None:
    patch = upstream.directory / "patches/mine/1.patch"
    patch.parent.mkdir(parents=True)
    text = "--- a/stdio.h\n+++ b/stdio.h\n@@ -1 +1 @@\n-int puts(const char *);\n+int {}(void);\n"
    patch.write_text(text.format("gets"))
    upstream.recipe('[patches]\nmusl = ["mine"]\n')
    upstream.build()
    (tree,) = upstream.machine.data.glob("store/arm64-musl-*")
    assert (tree / "aarch64-linux-musl/include/stdio.h").read_text() == "int gets(void);\n"
    assert not list(tree.rglob("*.orig"))


# What it looks like


def test_a_bar_on_a_terminal_tells_step_and_time_left(upstream: Upstream) -> None:
    upstream.hook("gcc all-gcc", "sleep 1.2")
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 100, 0, 0))
    words = [sys.executable, "-m", "toolman", *upstream.command()]
    with subprocess.Popen(words, env=upstream.machine.env, stderr=follower) as process:
        os.close(follower)
        shown = _read(leader)
    assert process.returncode == 0, shown
    bars = [one for one in shown.split("\r") if " left" in one]
    assert any("gcc: compilers" in one and "%|" in one for one in bars), shown
    percents = [int(one.partition("%|")[0].split()[-1]) for one in bars]
    assert percents == sorted(percents)
    assert "\ngcc: compilers" not in shown, "a line of its own"
    assert "arm64-musl installed" in shown


def _read(leader: int) -> str:
    content = b""
    with open(leader, "rb", buffering=0) as file, suppress(OSError):  # the terminal is closed
        while block := file.read(65536):
            content += block
    return content.decode()


def test_quiet_says_nothing(upstream: Upstream) -> None:
    done = upstream.build("arm64-musl", "-q")
    assert (done.out, done.err) == ("", "")
    assert upstream.machine.installed() == ["arm64-musl"]
