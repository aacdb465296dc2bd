"""What a build from source runs on the host: the host's own where it works, else private ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import machine
import pytest
import tools
from conftest import CHECKOUT

from toolman import elf, target
from toolman.context import Context
from toolman.errors import InputError
from toolman.host import Host
from toolman.origins import hosttools
from toolman.paths import Paths

if TYPE_CHECKING:
    from conftest import Runner

    from toolman.origins.hosttools import HostTools

# apt and what it runs itself; the rest of an ordinary system is out of sight.
BARE = ("apt", "coreutils", "dash", "dpkg", "gpgv", "sqv", "tar")
# A calculator, for which every tool has to do its work.
PROJECT = {
    "Makefile": (
        "calc: main.cc parse.tab.c lex.yy.c\n"
        "\t$(CXX) -static -x c++ -w -o $@ $^\n"
        "parse.tab.c: parse.y\n"
        "\tbison -d -o $@ $<\n"
        "lex.yy.c: scan.l number.m4 parse.tab.c\n"
        "\tm4 number.m4 scan.l | flex -o $@\n"
    ),
    "number.m4": "define(`NUMBER', `[0-9]+')dnl\n",
    "scan.l": (
        '%{\n#include "parse.tab.h"\n%}\n%option noyywrap\n%%\n'
        "NUMBER { yylval = atoi(yytext); return VALUE; }\n"
        ". { return *yytext; }\n\\n { return 0; }\n"
    ),
    "parse.y": (
        "%{\n#include <stdio.h>\nint yylex(void);\n"
        "void yyerror(const char *text) { puts(text); }\n%}\n"
        "%token VALUE\n%left '+'\n%left '*'\n%%\n"
        'all: sum { printf("%d\\n", $1); }\n'
        "sum: sum '+' sum { $$ = $1 + $3; } | sum '*' sum { $$ = $1 * $3; } | VALUE\n"
    ),
    "main.cc": '#include <iostream>\nint yyparse();\nint main() { std::cout << "= "'
    " << std::flush; return yyparse(); }\n",
}
# On a machine that has no checkout's tests: find the tools, and say how to reach them.
FIND = """
import json, os, sys
from toolman import target
from toolman.context import Context
from toolman.host import Host
from toolman.origins import hosttools
from toolman.paths import Paths
host = Host.current()
ctx = Context(host=host, paths=Paths.from_env(os.environ, host), environ=dict(os.environ))
found = hosttools.find(hosttools.needed(target.parse("arm64-gnu")), ctx)
environ = found.environment(ctx.environ) | {"CXX": "g++"}
json.dump([list(map(str, found.path)), environ], sys.stdout)
"""


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    host = Host.current()
    paths = Paths(data=tmp_path / "home" / host.key, cache=tools.CACHE / "toolman")
    return Context(host=host, paths=paths, environ=os.environ)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PATH is this directory, with only `BARE` in it."""
    directory = tmp_path / "bare"
    directory.mkdir()
    # Which of gpgv and sqv there is depends on the release.
    listed = subprocess.run(["dpkg", "-L", *BARE], capture_output=True, text=True)
    for file in map(Path, listed.stdout.splitlines()):
        if file.parent.name in ("bin", "sbin") and file.is_file():
            (directory / file.name).symlink_to(file)
    assert {"apt-get", "dpkg-deb", "tar", "ls"} <= {file.name for file in directory.iterdir()}
    monkeypatch.setenv("PATH", str(directory))
    return directory


def script(directory: Path, name: str, text: str) -> None:
    (directory / name).unlink(missing_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


def calculated(found: HostTools, work: Path) -> tuple[str, Path]:
    """What the calculator says to 2+3*4, made with the tools `found`; and the program."""
    work.mkdir()
    for name, text in PROJECT.items():
        (work / name).write_text(text)
    environ = found.environment(os.environ) | {"CXX": "g++"}
    where = environ["PATH"]
    make = next(path for one in where.split(":") if (path := Path(one, "make")).exists())
    done = subprocess.run([make], cwd=work, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said = subprocess.run([work / "calc"], input="2+3*4\n", capture_output=True, text=True)
    return said.stdout, work / "calc"


def test_a_bare_host_gets_everything_and_it_works(bare: Path, ctx: Context) -> None:
    needs = (*hosttools.needed(target.Target(platform=ctx.host.platform, libc="gnu")), "perl")
    found = hosttools.find(needs, ctx)
    said, program = calculated(found, bare.parent / "work")
    assert said == "= 14\n"
    assert elf.inspect(program).linkage == "static"
    store = ctx.paths.store
    assert {path.name for path in found.path} == set(needs) - {"tar", "python3"}
    assert all(path.is_relative_to(store) for path in found.path)
    assert found.environ["PYTHON_PROG"] == sys.executable
    environ = found.environment(os.environ)
    for argv, wanted in (
        (["gawk", "BEGIN { a[2]; a[1]; asorti(a, b); print b[1] }"], "1\n"),
        (["perl", "-MPOSIX", "-MFile::Spec", "-e", "print floor(7.5)"], "7"),
    ):
        where = next(path / argv[0] for path in found.path if path.name == argv[0])
        done = subprocess.run([where, *argv[1:]], env=environ, capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (wanted, "")


def test_the_second_time_nothing_is_fetched(bare: Path, ctx: Context) -> None:
    needs = ("m4", "make")
    first = hosttools.find(needs, ctx)
    # Still there as a command, but nothing that could fetch.
    for name in ("apt-get", "apt-config", "dpkg-deb"):
        script(bare, name, "exit 9")
    assert hosttools.find(needs, ctx) == first
    assert hosttools.find(("make",), ctx).path == first.path[1:]
    assert len(ctx.store.entries()) == 1


def test_private_tools_are_no_toolchains(bare: Path, ctx: Context, toolman: Runner) -> None:
    found = hosttools.find(("compiler", "m4"), ctx)
    gcc = next(path / "gcc" for path in found.path if path.name == "compiler")
    argv = [gcc, "-dumpfullversion"]
    version = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    names = [entry.name.rpartition("-")[0] for entry in ctx.store.entries()]
    assert names == [f"build-compiler-{version}", "build-tools"]
    assert ctx.store.toolchains() == []
    listed = toolman("list", "--json", env={"TOOLMAN_HOME": str(ctx.paths.data.parent)})
    assert json.loads(listed.out)["toolchains"] == []


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("flex", "exit 1", "fails: exit 1"),
        ("flex", "echo error: no such library >&2; exit 127", "fails: error: no such library"),
        ("make", "echo GNU Make 3.81", "is 3.81, 4.0 or later is needed"),
        ("make", "echo hello", "tells no version"),
    ],
)
def test_a_tool_that_does_not_work_is_not_taken(
    bare: Path, ctx: Context, name: str, text: str, why: str
) -> None:
    script(bare, name, text)
    assert hosttools._trouble(name, os.environ) == why
    found = hosttools.find((name,), ctx)
    assert [path.name for path in found.path] == [name]
    done = subprocess.run([found.path[0] / name, "--version"], capture_output=True, text=True)
    assert f"{name}" in done.stdout.lower()


def test_a_tool_of_the_hosts_that_works_is_taken(bare: Path, ctx: Context) -> None:
    script(bare, "bison", "echo 'bison (GNU Bison) 3.8.2'")
    found = hosttools.find(("bison",), ctx)
    assert (found.path, found.environ) == ((), {})
    assert ctx.store.entries() == []


@pytest.mark.parametrize("broken", ["-static", "run", "ranlib"])
def test_a_compiler_that_cannot_link_statically_is_not_taken(
    bare: Path, ctx: Context, broken: str
) -> None:
    for name in (*hosttools.BINUTILS, "gcc", "g++"):
        script(bare, name, f'PATH={tools.path()} exec {tools.find(name)} "$@"')
    assert hosttools._trouble("compiler", os.environ) is None
    if broken == "-static":
        fails = 'case " $* " in *" -static "*) echo "ld: cannot find -lc" >&2; exit 1 ;; esac'
        script(bare, "g++", f'{fails}\nPATH={tools.path()} exec {tools.find("g++")} "$@"')
        assert hosttools._trouble("compiler", os.environ) == (
            "g++ -static fails: ld: cannot find -lc"
        )
    elif broken == "run":
        script(bare, "g++", 'printf "#!/bin/sh\\nexit 3\\n" >"$3"; chmod +x "$3"')
        why = hosttools._trouble("compiler", os.environ)
        assert why == "g++ makes programs that do not run"
    else:
        (bare / "ranlib").unlink()
        assert hosttools._trouble("compiler", os.environ) == "ranlib is not on PATH"


@pytest.mark.parametrize(
    ("system", "hint"),
    [
        ("alpine3.20.1", "apk add bison diffutils flex g++ gawk m4 make"),
        (
            "rocky9.3",
            "dnf install bison diffutils flex gawk gcc-c++ glibc-static libstdc++-static m4 make",
        ),
        ("debian12", "apt-get install bison diffutils flex g++ gawk m4 make mawk"),
        ("plan9", "install: bison diffutils flex g++ gawk m4 make mawk"),
    ],
)
def test_without_apt_one_error_names_everything(
    bare: Path, ctx: Context, system: str, hint: str
) -> None:
    (bare / "apt-get").unlink()
    script(bare, "make", "echo GNU Make 3.81")
    lacking = ("compiler", "make", "awk", "cmp", "diff", "m4", "flex", "bison", "gawk", "python3")
    # Only some of its tools are needed: ccache is not missed.
    lacking += ("ccache",)
    other = replace(ctx, host=replace(ctx.host, system=system))
    with pytest.raises(InputError) as error:
        hosttools.find((*lacking, "tar"), other)
    assert str(error.value) == (
        "this host lacks what a build from source needs: compiler (ar is not on PATH), "
        "make (is 3.81, 4.0 or later is needed), awk (is not on PATH), cmp (is not on PATH), "
        "diff (is not on PATH), m4 (is not on PATH), flex (is not on PATH), "
        "bison (is not on PATH), gawk (is not on PATH)"
    )
    assert error.value.hint == hint
    assert hosttools.find(("ccache", "tar"), other).path == ()
    assert not ctx.paths.data.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another root")
@pytest.mark.slow
def test_on_a_new_machine_an_ordinary_user_gets_all_tools(tmp_path: Path) -> None:
    new = machine.make(tmp_path / "root", CHECKOUT)
    new("newcomer", "/opt/toolman/scripts/install", "-q")
    data = f".local/share/toolman/{Host.current().key}"
    new_home = tmp_path / "root/home/newcomer"
    (new_home / "find.py").write_text(FIND)
    for name, text in PROJECT.items():
        (new_home / name).write_text(text)
        os.chown(new_home / name, 1000, 1000)
    python = f"/home/newcomer/{data}/venv/bin/python"
    path, environ = json.loads(new("newcomer", python, "/home/newcomer/find.py"))
    names = {Path(one).name for one in path}
    assert {"compiler", "make", "m4", "flex", "bison", "gawk"} <= names
    assert all(one.startswith(f"/home/newcomer/{data}/store/build-") for one in path)
    wanted = ("PATH", "M4", "BISON_PKGDATADIR", "CXX")
    settings = [f"{name}={environ[name]}" for name in wanted]
    where = next(one for one in path if one.endswith("/make"))
    new("newcomer", "env", *settings, f"{where}/make", "-C", "/home/newcomer")
    assert "= 14" in new("newcomer", "sh", "-c", "echo 2+3*4 | /home/newcomer/calc")
    assert elf.inspect(new_home / "calc").linkage == "static"
    shutil.rmtree(new.root)
