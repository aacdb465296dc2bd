"""What the `go` shim stops, and gccgo's flags, in each shell that may be /bin/sh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from go_recorder import ACTIVE, GOFLAGS, SHELLS, Shim, set_up, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=SHELLS, ids=lambda words: words[0])
def shim(request: pytest.FixtureRequest, tmp_path: Path) -> Shim:
    return set_up(request.param, tmp_path / "a b*")


# What cannot work

MUSL = {**ACTIVE, "TOOLMAN_GO_LIBC": "musl", "GOARCH": "arm64"}
DYNAMIC = {key: MUSL[key] for key in ("TOOLMAN_ENV", "TOOLMAN_GO_LIBC", "GOARCH")}
MODES = {"c-shared": "golang/go#54805", "c-archive": "golang/go#13492", "plugin": "no dlopen"}


@pytest.mark.parametrize("mode", MODES)
def test_refuses_what_crashes_with_musl(shim: Shim, mode: str) -> None:
    for flags in ([f"-buildmode={mode}"], [f"--buildmode={mode}"], ["-v", "-buildmode", mode]):
        for env in (MUSL,) if mode == "plugin" else (MUSL, DYNAMIC):
            end = shim.end("build", *flags, ".", **env)
            assert (end.code, end.out) == (2, b"")
            said, hint = end.err.decode().splitlines()
            assert said.startswith(f"error: -buildmode={mode} does not work with musl: ")
            assert MODES[mode] in said
            cure = "--dynamic arm64-musl" if mode == "plugin" else "--libc gnu linux/arm64"
            assert hint.startswith(f"hint: eval $(toolman env {cure}); ")
    for flags in (f"-buildmode={mode}", f"--buildmode={mode}", f"'-buildmode={mode}'"):
        for command in ("build", "install", "run", "test"):
            assert shim.end(command, **{**MUSL, "GOFLAGS": f"{GOFLAGS} {flags}"}).code == 2


def test_lets_through_what_may_work(shim: Shim) -> None:
    shim.run("build", "-buildmode=plugin", **DYNAMIC)
    for mode in MODES:
        flag = f"-buildmode={mode}"
        shim.run("build", flag, **{**MUSL, "TOOLMAN_GO_CHECK": "off"})
        shim.run("build", flag, **ACTIVE)
        # Neither builds anything, the last flag counts, and a program's arguments are its own.
        shim.run("list", flag, **MUSL)
        shim.run("vet", flag, **MUSL)
        shim.run("build", flag, "-buildmode=exe", **MUSL)
        shim.run("build", "-buildmode=exe", **{**MUSL, "GOFLAGS": f"{GOFLAGS} {flag}"})
        shim.run("run", ".", flag, **MUSL)
    for mode in ("pie", "exe", "archive", "default"):
        shim.run("build", f"-buildmode={mode}", **MUSL)


# gccgo

GCCGO = {
    "TOOLMAN_ENV": "arm64-gnu",
    "TOOLMAN_GO_GCCGOFLAGS": "-static '--sysroot=/a b'",
    "GOFLAGS": "-compiler=gccgo -gccgoflags=-static",
    "CGO_LDFLAGS": "",
}
ALL = "-gccgoflags=all=-static '--sysroot=/a b'"


def test_merges_gccgoflags(shim: Shim) -> None:
    """There is no toolman on PATH to ask."""
    ours = GCCGO["TOOLMAN_GO_GCCGOFLAGS"]
    assert shim.run("build", ".", **GCCGO).args == ["build", ALL, "."]
    args = shim.run("build", "-gccgoflags", "-O1", "-ldflags=-s", "-tags=x", **GCCGO).args
    assert args == ["build", ALL, "-gccgoflags", f"{ours} -O1", "-ldflags=-s", "-tags=x"]
    args = shim.run("build", "-gccgoflags=./a=-O1", **GCCGO).args
    assert args == ["build", ALL, f"-gccgoflags=./a={ours} -O1"]
    env = {**GCCGO, "GOFLAGS": f"{GCCGO['GOFLAGS']} -gccgoflags=-O1"}
    assert shim.run("build", **env).args == ["build", ALL, f"-gccgoflags={ours} -O1"]
    assert shim.run("version", **GCCGO).args == ["version"]


def test_shared_object_of_gccgo_is_not_static(shim: Shim) -> None:
    args = shim.run("build", "-buildmode=c-shared", **GCCGO).args
    assert args == ["build", "-gccgoflags=all='--sysroot=/a b'", "-buildmode=c-shared"]


def test_notes_the_compiler_of_another_environment(shim: Shim) -> None:
    for env, flag in ((GCCGO, "gc"), (ACTIVE, "gccgo")):
        end = shim.end("build", f"-compiler={flag}", **env)
        assert (end.code, bool(end.out)) == (0, True)
        assert f"note: this is the environment of another compiler than {flag}\n" in (
            end.err.decode()
        )


ASKS = {
    ("build",): "",
    ("build", "-o", "x", "./a", "./b c"): "|./a|./b c",
    ("install", "--", "./a", "./b"): "|./a|./b",
    ("run", "a.go", "b.go", "c"): "|a.go|b.go",
    ("run", "./a", "c"): "|./a",
    ("vet", "-vettool", "x", "./a"): "|./a",
    ("test", "./a", "-run", "x", "./b", "-args", "y"): "|./a",
}


@pytest.mark.parametrize("args", ASKS, ids=" ".join)
def test_asks_toolman_of_the_packages(shim: Shim, args: tuple[str, ...]) -> None:
    """A recorder in the place of toolman: what it prints is said, and its 1 stops the build."""
    write(
        shim.root / "real" / "toolman",
        '#!/bin/sh\nIFS="|"\nprintf "%s:%s" "$GOFLAGS" "$*"\nexit "${KNOWS-0}"\n',
    )
    flags = f"{GCCGO['GOFLAGS']} -mod=mod"
    end = shim.end(*args, **{**GCCGO, "GOFLAGS": flags})
    tests = "--tests|" if args[0] in ("test", "vet") else ""
    asked = f"explain|-q|--compiler|gccgo|--target|arm64-gnu|--tags=|{tests}--"
    assert (end.code, end.err.decode()) == (0, f"{flags}:{asked}{ASKS[args]}\n")
    assert end.call.args[0] == args[0]
    assert shim.end(*args, **GCCGO, KNOWS="1").code == 2
    assert shim.end(*args, **GCCGO, KNOWS="70").code == 0
    assert shim.end(*args, **GCCGO, KNOWS="1", TOOLMAN_GO_CHECK="off").code == 0
    assert shim.end("list", **GCCGO, KNOWS="1").code == 0


def test_asks_with_the_flags_that_choose_files(shim: Shim) -> None:
    write(shim.root / "real" / "toolman", '#!/bin/sh\nprintf "%s:%s" "$GOFLAGS" "$7"\n')
    args = ["build", "-mod", "vendor", "--modfile=x.mod", "-tags=x y", "-o", "z", "."]
    end = shim.end(*args, **GCCGO)
    said = f"{GCCGO['GOFLAGS']} -mod=vendor -modfile=x.mod:--tags=x y\n"
    assert (end.code, end.err.decode()) == (0, said)
