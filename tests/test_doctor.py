"""`toolman doctor`: the messages of failed builds, and what fights a Go project."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tools

from toolman import failures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conftest import Runner

PROGRAMS = Path(__file__).parent / "programs"
# A line of each kind, as it was seen: in the project's reference, in public threads, or here.
SAID = {
    "gcc_arm64.S:30: Error: no such instruction: `stp x29,x30,[sp,#-96]!'": "stp",
    "gcc: error: unrecognized command-line option ‘-marm’; did you mean ‘-mabm’?": "-marm",
    "cc1: error: '-fsplit-stack' is not supported by this compiler configuration": "gccgo",
    'cgo: C compiler "aarch64-linux-musl-gcc" not found: exec: no such file': "PATH",
    "build constraints exclude all Go files in /src/own": "CGO_ENABLED=1",
    "net(.text): relocation target __errno_location not defined": "internal linker",
    "loadinternal: missing Go type information for global symbol .dynsym": "internal linker",
    "net(.text): unknown symbol __errno_location": "only libc.a",
    "ld: _pkg1_.a(preferlinkext) in archive is not an object": "CGO_LDFLAGS=",
    "go build: when using gccgo toolchain, please pass linker flags using -gccgoflags": "-static",
    "fatal error: schedule: in cgo": "--origin source",
    "link: flag provided but not defined: -Xlinker": "-extldflags=-Xlinker",
    "libgcc.a(lse-init.o): undefined reference to `__getauxval'": "libgcc.a",
    "in function x: undefined reference to `__vfprintf_chk'": "_FORTIFY_SOURCE",
    "Error relocating ./a: __memcpy_chk: symbol not found": "_FORTIFY_SOURCE",
    "sqlite3-binding.c:35901:42: error: ‘pread64’ undeclared here": "1.14.18",
    "ld: a.o: undefined reference to `lseek64'": "gcc-14-musl-1.2.3",
    "a.c:1:2: error: 'pread64' undeclared here (not in a function)": "-D_LARGEFILE64_SOURCE",
    "x.c:1:1: error: unknown type name ‘off64_t’": "plain ones",
    "./libh.so: initial-exec TLS resolves to dynamic definition in ./libh.so": "54805",
    "panic: Dynamic loading not supported": "dlopen",
    "warning: Using 'dlopen' in statically linked applications requires at runtime": "second libc",
    "warning: Using 'getaddrinfo' in statically linked applications requires at runtime the shared"
    " libraries from the glibc version used for linking": "netgo",
    "./app: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found": "2.38",
    "exec /app: no such file or directory": "/app is dynamic",
    'exec: "/app": no such file or directory: unknown': "/app is dynamic",
    "qemu-aarch64: Could not open '/lib/ld-musl-aarch64.so.1': No such file": "ld-musl-aarch64",
    "bash: ./app: cannot execute binary file: Exec format error": "toolman run",
    "fork/exec /tmp/b001/x.test: exec format error": "go run and go test",
    "ld: skipping incompatible /usr/lib/libz.so when searching for -lz": "/usr/lib/libz.so",
    "ld: a.o: Relocations in generic ELF (EM: 183)": "another machine",
    "a.o: error adding symbols: file in wrong format": "another machine",
    "ld: read-only segment has dynamic relocations": "-buildmode=pie",
    "collect2: fatal error: cannot find 'ld'": "gold",
    "/usr/bin/ld: cannot find -lsqlite3: No such file or directory": "libsqlite3.a",
    "/usr/bin/ld: cannot find -lz": "libz.a",
    "go: invalid flag in #cgo LDFLAGS: -Wl,--gc-sections": "CGO_LDFLAGS_ALLOW='-Wl,--gc-sections'",
    "foo.c:1:10: fatal error: openssl/ssl.h: No such file or directory": "openssl/ssl.h",
    "main.go:3:8: package slices is not in GOROOT (/usr/lib/go/src/slices)": "slices",
    "main.go:3:8: package slices is not in std": "slices",
    "./set.go:7:1: error: expected identifier": "no generics",
    "./a.go:7:24: error: reference to undefined name ‘min’": "min may be",
    "SIGILL: illegal instruction": "--march armv8-a",
    "Illegal instruction (core dumped)": "--march armv8-a",
}
UNKNOWN = (
    *("", "ok  \texample.org/app\t0.01s", "main.go:3:8: undefined: x", "panic: oh"),
    *("stat /app: no such file or directory", "x.c:1:1: error: expected ‘;’"),
)


@pytest.mark.parametrize("line", SAID)
def test_what_builds_say_is_known(line: str) -> None:
    (found,) = failures.recognise([f"\x1b[31m{line}\x1b[0m"])
    assert found.said == line
    assert SAID[line] in f"{found.about} {found.text} {found.cure} {found.source}"
    assert "{" not in found.text + found.cure


def test_every_known_message_has_a_line_here() -> None:
    first = [next(one for one in failures.known() if one.match.search(line)) for line in SAID]
    assert {one.match for one in first} == {one.match for one in failures.known()}


@pytest.mark.parametrize("line", UNKNOWN)
def test_what_is_not_known_is_not_guessed(line: str) -> None:
    assert [*failures.recognise([line])] == []


def test_each_cause_is_told_once() -> None:
    lines = ["cannot find -lz", "cannot find -lz", "cannot find -lfoo", "x" * 10**6]
    assert [one.line for one in failures.recognise(lines)] == [1, 3]


@dataclass
class Author:
    """Somebody in a Go project, with the host's compiler and some Go."""

    toolman: Runner
    place: Path
    env: dict[str, str]

    def findings(self, env: Mapping[str, str] = {}) -> dict[str, dict[str, Any]]:
        done = self.toolman("doctor", "--json", env={**self.env, **env}, cwd=self.place)
        found = {one["about"]: one for one in json.loads(done.out)["findings"]}
        assert done.code == any(one["state"] == "broken" for one in found.values())
        return found

    def build(self, *words: str, env: Mapping[str, str]) -> str:
        """What a failing build says."""
        done = subprocess.run(
            ["go", "build", "-o", self.place / "out", *words],
            cwd=PROGRAMS,
            env={**os.environ, **self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode
        return done.stdout


@pytest.fixture(params=["1.21", "1.27"])
def author(request: pytest.FixtureRequest, toolman: Runner, tmp_path: Path) -> Author:
    (tmp_path / "go.mod").write_text("module example.org/app\n\ngo 1.20\n")
    env = {
        "PATH": f"{tools.go(request.param).parent}:{os.environ['PATH']}",
        "TOOLMAN_HOME": str(tmp_path / "home"),
        "GOENV": str(tmp_path / "goenv"),
        "GOCACHE": str(tmp_path / "gocache"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "",
    }
    return Author(toolman, tmp_path, env)


def test_a_project_that_is_well(author: Author) -> None:
    found = author.findings()
    assert found["go version"]["text"].startswith("go1.")
    assert {found[name]["state"] for name in ("go version", "CC")} == {"ok"}
    assert not {"GOROOT", "CGO_CFLAGS", "go env -w", "running", "GOAMD64"} & {*found}


def test_outside_of_a_project_go_is_not_asked(author: Author) -> None:
    (author.place / "go.mod").unlink()
    assert "go version" not in author.findings()


def test_a_compiler_of_another_machine(author: Author) -> None:
    found = author.findings({"GOARCH": "arm64", "CGO_ENABLED": "1", "CC": "gcc"})
    assert found["CC"]["state"] == "broken"
    assert "compiles for x86_64-linux-gnu, and GOARCH is arm64" in found["CC"]["text"]
    assert found["CC"]["cure"] == "eval $(toolman env linux/arm64)"
    assert found["running"]["cure"] == "go test -exec 'toolman run linux/arm64'"
    assert author.findings({"CC": "none-such"})["CC"]["text"] == "CC=none-such is not there"


def test_programs_that_the_environment_starts(author: Author, home: Path) -> None:
    author.env["TOOLMAN_HOME"] = str(home)
    shims = next(home.glob("*/shims"))
    path = f"{shims}:{author.env['PATH']}"
    found = author.findings({"GOARCH": "arm64", "PATH": path})["running"]
    assert (found["state"], found["text"].rpartition(" ")[2]) == (
        "ok",
        f"{shims}/go_linux_arm64_exec",
    )


def test_cgo_that_is_off(author: Author) -> None:
    found = author.findings({"GOARCH": "arm64"})
    assert found["cgo"]["text"].startswith("off, as by default for another platform")
    assert author.findings({"CGO_ENABLED": "0"})["cgo"]["text"].startswith("off; see")


def test_variables_that_fight(author: Author) -> None:
    (author.place / "goenv").write_text("CC=clang\nGOFLAGS=-v\n")
    found = author.findings(
        {"GOROOT": str(author.place), "CGO_CFLAGS": "-march=native", "CGO_LDFLAGS": "-static"}
    )
    assert found["GOROOT"]["state"] == "broken"
    assert found["GOROOT"]["cure"] == "unset GOROOT"
    assert "without optimization" in found["CGO_CFLAGS"]["text"]
    assert found["CGO_CFLAGS"]["cure"] == 'CGO_CFLAGS="-O2 -g -march=native"'
    assert "only cgo is net or os/user" in found["CGO_LDFLAGS"]["text"]
    assert found["go env -w"]["cure"] == "go env -u CC"


def test_a_module_that_wants_a_newer_go(author: Author) -> None:
    (author.place / "go.mod").write_text("module example.org/app\n\ngo 1.99\n")
    assert author.findings()["go version"]["state"] == "broken"
    found = author.findings({"GOTOOLCHAIN": "auto"})["go version"]
    assert (found["state"], "go will download" in found["text"]) == ("note", True)


def test_a_processor_that_lacks_features(author: Author) -> None:
    found = author.findings({"GOAMD64": "v4"})
    with Path("/proc/cpuinfo").open() as file:
        able = any("avx512vl" in line for line in file)
    assert ("GOAMD64" in found) is not able


def test_a_real_build_with_the_hosts_compiler(author: Author) -> None:
    said = author.build("./own", env={"GOARCH": "arm64", "CGO_ENABLED": "1", "CC": "gcc"})
    (author.place / "build.log").write_text(said)
    done = author.toolman("doctor", "build.log", env=author.env, cwd=author.place)
    assert done.code == 1
    assert "CC is the host's compiler, or not of GOARCH" in done.out
    assert "eval $(toolman env linux/arm64)" in done.out


def test_a_real_build_without_cgo(author: Author) -> None:
    said = author.build("./own", env={"CGO_ENABLED": "0"})
    (author.place / "build.log").write_text(said)
    done = author.toolman("doctor", "--json", "build.log", env=author.env, cwd=author.place)
    (found,) = json.loads(done.out)["failures"]
    assert (found["about"], found["log"]) == ("cgo off", "build.log")


def test_logs_that_say_nothing_known(author: Author) -> None:
    (author.place / "build.log").write_text("all is well\n")
    done = author.toolman("doctor", "build.log", env=author.env, cwd=author.place)
    assert (done.code, done.out.startswith("nothing in it is known")) == (0, True)
    done = author.toolman("doctor", "none.log", env=author.env, cwd=author.place)
    assert (done.code, "error: cannot read none.log" in done.err) == (2, True)
