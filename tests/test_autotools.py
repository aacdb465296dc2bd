"""Autoconf's projects, by the config.site of a target: its answers are what both libcs say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import buildtools
import pytest
import tools

from toolman import elf
from toolman import target as targets
from toolman.host import Host
from toolman.systems import autotools

if TYPE_CHECKING:
    from conftest import Runner

ROOT = Path(__file__).parents[1]
# All of Autoconf's macros that run a program, but AC_FUNC_FNMATCH's, which need a file each.
ASKING = """\
AC_INIT([asking], [1.0])
AC_PROG_CC
AC_C_BIGENDIAN
AC_FUNC_CHOWN
AC_FUNC_CLOSEDIR_VOID
AC_FUNC_FORK
AC_FUNC_GETGROUPS
AC_FUNC_GETPGRP
AC_FUNC_LSTAT
AC_FUNC_LSTAT_FOLLOWS_SLASHED_SYMLINK
AC_FUNC_MALLOC
AC_FUNC_MEMCMP
AC_FUNC_MKTIME
AC_FUNC_MMAP
AC_FUNC_REALLOC
AC_FUNC_SETPGRP
AC_FUNC_SETVBUF_REVERSED
AC_FUNC_STAT
AC_FUNC_STRCOLL
AC_FUNC_STRNLEN
AC_FUNC_STRTOD
AC_FUNC_UTIME_NULL
AC_FUNC_WAIT3
_AC_FUNC_FNMATCH_IF([POSIX], [ac_cv_func_fnmatch_works], [], [])
_AC_FUNC_FNMATCH_IF([GNU], [ac_cv_func_fnmatch_gnu], [], [])
AC_CHECK_FILES([/dev/null /dev/ptc /dev/ptmx /dev/random /dev/tty /dev/urandom /dev/zero])
AC_OUTPUT
"""
TOLD = re.compile(r"(malloc|mktime|urandom).*\(cached\)")
# A compiler whose programs run here by themselves: then nothing looks like a cross build.
RUNNING = """\
#!/bin/sh
"$COMPILER" "$@" || exit
out=a.out
before=
for word; do
    [ "$before" != -o ] || out=$word
    before=$word
done
case " $* " in *' -c '* | *' -E '*) exit ;; esac
[ -f "$out" ] || exit 0
mv "$out" "$out.program"
printf '#!/bin/sh\\nexec "%s" "%s" "$@"\\n' "$RUNNER" "$PWD/$out.program" >"$out"
chmod +x "$out"
"""


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`greet`, of examples, and `asking`, each with its configure."""
    made = tmp_path_factory.mktemp("autotools")
    shutil.copytree(ROOT / "examples/greet", made / "greet")
    (made / "asking").mkdir()
    (made / "asking/configure.ac").write_text(ASKING)
    for name in ("greet", "asking"):
        argv = [buildtools.autotools() / "autoreconf", "-fi"]
        done = subprocess.run(argv, cwd=made / name, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def build(tmp_path: Path) -> Path:
    made = tmp_path / "build"
    made.mkdir()
    return made


def script(text: str, cwd: Path, **env: str) -> str:
    argv = [tools.find("dash"), "-euc", text]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def answers(cache: Path) -> dict[str, str]:
    text = cache.read_text()
    return dict(re.findall(r"^(\w+)=\$\{\1=(\w+)\}$", text, re.MULTILINE))


@pytest.mark.parametrize("host", ["", "--host=aarch64-linux-musl"])
def test_a_project_is_built_static_and_its_tests_run(
    command: Path, projects: Path, build: Path, host: str
) -> None:
    out = script(
        f"eval $(toolman env linux/arm64); {projects}/greet/configure {host}; make; "
        "make check LOG_COMPILER=aarch64-linux-musl-run",
        build,
    )
    assert "# PASS:  1" in out
    assert "-Dmalloc=rpl_malloc" not in out
    report = elf.inspect(build / "greet")
    assert (str(report.machine), report.linkage) == ("linux/arm64", "static")
    assert "define malloc" not in (build / "config.h").read_text()


def test_a_gnu_project_has_shared_libraries(command: Path, projects: Path, build: Path) -> None:
    script(f"eval $(toolman env arm64-gnu); {projects}/greet/configure; make", build)
    assert str(elf.inspect(build / ".libs/libgreeting.so").machine) == "linux/arm64"
    assert elf.inspect(build / ".libs/greet").linkage == "dynamic"


def test_flags_of_the_users_stay(command: Path, projects: Path, build: Path) -> None:
    script(
        "toolman env --format autotools --march armv8.1-a arm64-gnu > site; "
        f"eval $(toolman env arm64-gnu); export CONFIG_SITE=$PWD/site; "
        f"{projects}/greet/configure CFLAGS=-O3 LDFLAGS=-s",
        build,
    )
    text = (build / "Makefile").read_text()
    assert "\nCFLAGS = -march=armv8.1-a -O3\n" in text
    assert "\nLDFLAGS = -s\n" in text


def test_a_project_for_the_host_is_told_nothing(command: Path, projects: Path, build: Path) -> None:
    out = script(
        f"eval $(toolman env linux/arm64); {projects}/asking/configure CC=gcc LD=ld -C", build
    )
    assert "cross compiling... no" in out
    assert not TOLD.search(out)


@pytest.mark.parametrize("libc", targets.LIBCS)
def test_configure_asks_nothing(command: Path, projects: Path, build: Path, libc: str) -> None:
    said = script(
        f"eval $(toolman env arm64-{libc}); {projects}/asking/configure -C", build
    ).splitlines()
    assert "checking whether we are cross compiling... yes" in said
    asked = [line for line in said if re.search(r"guess|cross$|assum", line)]
    assert asked == []
    target = targets.with_libc(f"arm64-{libc}")
    wanted = autotools.answers(target)
    assert wanted.items() <= answers(build / "config.cache").items()


def truth(home: Path, target: str, configure: Path, build: Path) -> dict[str, str]:
    """What the programs of a target say when they run."""
    compiler = build / "cc"
    compiler.write_text(RUNNING)
    compiler.chmod(0o755)
    triple = targets.with_libc(target).triple
    shims = home / Host.current().key / "shims"
    env = {"COMPILER": f"{shims}/{triple}-gcc", "RUNNER": f"{shims}/{triple}-run"}
    out = script(f"{configure} CC={compiler} -C", build, **env)
    assert "cross compiling... no" in out
    assert not TOLD.search(out)
    return answers(build / "config.cache")


@pytest.mark.parametrize("libc", targets.LIBCS)
def test_each_answer_is_true(home: Path, projects: Path, build: Path, libc: str) -> None:
    found = truth(home, f"arm64-{libc}", projects / "asking/configure", build)
    wanted = autotools.answers(targets.with_libc(f"arm64-{libc}"))
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.slow
@pytest.mark.parametrize("name", ["armv7", "386", "riscv64", "s390x", "ppc64le", "amd64"])
@pytest.mark.parametrize("libc", targets.LIBCS)
def test_each_answer_is_true_elsewhere(
    toolman: Runner, projects: Path, build: Path, name: str, libc: str, command: Path
) -> None:
    home = tools.CACHE / f"home-{tools.digest()}-answers"
    tools.install(home, f"{name}-{libc}")
    found = truth(home, f"{name}-{libc}", projects / "asking/configure", build)
    wanted = autotools.answers(targets.with_libc(f"{name}-{libc}"))
    assert {name: found[name] for name in wanted} == wanted


def test_a_project_of_debians_is_built_and_tested(command: Path, tmp_path: Path) -> None:
    """LibYAML: its own configure, its own tests, under qemu."""
    project = buildtools.source("libyaml", tmp_path)
    out = script(
        f"eval $(toolman env linux/arm64); {buildtools.autotools()}/autoreconf -fi; "
        "./configure; make -j2; "
        "make check LOG_COMPILER=aarch64-linux-musl-run",
        project,
    )
    assert "# PASS:  2" in out
    assert "# FAIL:  0" in out
    assert elf.inspect(project / "tests/run-parser").linkage == "static"
