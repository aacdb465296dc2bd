"""How the `go` shim merges flags, in each shell that may be /bin/sh."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from go_recorder import ACTIVE, GOFLAGS, LINK, OURS, PIE, SHELLS, Shim, set_up

if TYPE_CHECKING:
    from pathlib import Path

# The words behind `go`, and what the real go gets.
SUBCOMMANDS = ["build", "install", "list", "run", "test", "vet"]
OTHERS = ["clean", "doc", "env", "fix", "generate", "get", "help", "mod", "tool", "version", "work"]

LDFLAGS = {
    "-s": f"{LINK} -s",
    "-s -w": f"{LINK} -s -w",
    "-X 'main.v=a b'": f"{LINK} -X 'main.v=a b'",
    '-X "main.v=it\'s"': f'{LINK} -X "main.v=it\'s"',
    " -s\t-w\n": f"{LINK}  -s\t-w\n",
    "": LINK,
    "-X=main.a=b=c": f"{LINK} -X=main.a=b=c",
    "-linkmode=internal": f"{LINK} -linkmode=internal",
    # Of several -extldflags the linker takes the last.
    "-extldflags=-lm": f'{LINK} "-extldflags=-static -lm"',
    "--extldflags=-lm": f'{LINK} "--extldflags=-static -lm"',
    "-extldflags -lm -s": f'{LINK} -extldflags "-static -lm" -s',
    "-s '-extldflags=-lm -lc' -w": f"{LINK} -s '-extldflags=-static -lm -lc' -w",
    '"-extldflags=-lm -lc"': '"-extldflags=-lm -lc"',
    '-s "-extldflags=-lm -lc"': f'{LINK} -s "-extldflags=-static -lm -lc"',
    '-extldflags "-lm -lc"': f'{LINK} -extldflags "-static -lm -lc"',
    "-extldflags '-lm \"a b\"'": f"{LINK} -extldflags '-static -lm \"a b\"'",
    "-extldflags \"'a -static b'\"": f"{LINK} -extldflags \"-static 'a -static b'\"",
    "-s '-extldflags' '-lm'": f"{LINK} -s '-extldflags' '-static -lm'",
    '-extldflags=-l"m': f"{LINK} '-extldflags=-static -l\"m'",
    "-extldflags=": f'{LINK} "-extldflags=-static"',
    "-extldflags ''": f"{LINK} -extldflags '-static'",
    "-extldflags -lm -extldflags=-lc": (
        f'{LINK} -extldflags "-static -lm" "-extldflags=-static -lc"'
    ),
    # The usual spelling of what we do ourselves.
    '-linkmode external -extldflags "-static"': (
        f'{LINK} -linkmode external -extldflags "-static"'
    ),
    "-extldflags '-static -lm'": f"{LINK} -extldflags '-static -lm'",
    # It would crash with -static, and without -buildmode=pie go does not want it.
    "-extldflags=-static-pie": f'{LINK} "-extldflags=-static"',
    # No quote is left for these.
    "-extldflags=-l\"m'": f"{LINK} -extldflags=-l\"m'",
    # Go rejects these, and has to show what the user typed.
    "'-s'": "'-s'",
    "s": "s",
    "=-s": "=-s",
    "-s '-w": f"{LINK} -s '-w",
    "-extldflags '-lm": f"{LINK} -extldflags '-lm",
    "-s -extldflags": f"{LINK} -s -extldflags",
}

# Go applies these to the packages of the pattern alone, so ours stands in front as well.
PATTERNS = {
    "all=-s -w": f"all={LINK} -s -w",
    "./...=-s": f"./...={LINK} -s",
    "all=": f"all={LINK}",
    "all=-extldflags '-lm -lc'": f"all={LINK} -extldflags '-static -lm -lc'",
    " all = -s": f" all ={LINK}  -s",
}

USER_TAGS = {
    "x": "netgo,osusergo,x",
    "x,y": "netgo,osusergo,x,y",
    "x y": "netgo osusergo x y",
    "'x' 'y'": "netgo osusergo 'x' 'y'",
    "": "netgo,osusergo",
    "netgo": "osusergo,netgo",
    "netgo,osusergo": "netgo,osusergo",
    "x osusergo netgo": "x osusergo netgo",
    "netgo2": "netgo,osusergo,netgo2",
    "a*,$b": "netgo,osusergo,a*,$b",
}

# Flags before and after the place where go ends to read them. X is a -tags of the user's.
MERGED = "-tags=netgo,osusergo,x"
X = "-tags=x"
READS = [
    # A value is no flag.
    ["build", "-o", X, "-p", "4", X],
    ["build", "-o=" + X, X],
    ["build", "-gcflags", "all=-N -l", "-mod", "mod", "-toolexec", "a b", "-overlay", "f", X],
    ["list", "-f", X, "-json=Name", X],
    ["run", "-exec", X, X],
    ["vet", "-vettool", X, X],
    # A switch takes none.
    ["build", "-a", "-n", "-race", "-msan", "-asan", "-cover", "-v", "-work", "-x", X],
    ["build", "-linkshared", "-modcacherw", "-trimpath", "-json", "-buildvcs", "-v=true", X],
    ["list", "-compiled", "-deps", "-e", "-export", "-find", "-m", "-test", "-u", "-versions", X],
    ["vet", "-printf", "-json", X],
    # `go test` takes flags behind the packages.
    ["test", "./a", "./b", X],
    ["test", "./a", "-v", "-run", X, "-test.run", X, X, "-count=1"],
    ["test", "-c", "-o", X, "-short", "-failfast", "-benchmem", "-fullpath", X, "./a"],
    ["test", "-unknown", "value", X],
    ["test", "./a", "-unknown", "value", X],
]
ENDS = [
    ["build", "./a", X],
    ["build", "-v", "./a", X],
    ["build", "--", X],
    ["build", "-", X],
    ["build", "", X],
    ["run", ".", X, "-ldflags", "-s"],
    ["run", "a.go", "--", X],
    ["test", "-args", X],
    ["test", "./a", "--args", X],
    ["test", "./a", "--", X],
    ["test", "./a", "-v", "word", X],
    ["test", "-unknown=1", "word", X],
    ["test", "-unknown", "value", "word", X],
]

CHDIR = {
    ("-C", "dir", "build", "-v"): ["-C", "dir", "build", *OURS, "-v"],
    ("-C=dir", "build"): ["-C=dir", "build", *OURS],
    ("build", "-C", "dir", "-v"): ["build", "-C", "dir", *OURS, "-v"],
    ("build", "-C", "build"): ["build", "-C", "build", *OURS],
    ("build", "--C=dir", "-v"): ["build", "--C=dir", *OURS, "-v"],
    ("run", "-C", "dir", ".", "-C", "x"): ["run", "-C", "dir", *OURS, ".", "-C", "x"],
    ("test", "-C"): ["test", *OURS, "-C"],
    ("-C", "dir", "version"): ["-C", "dir", "version"],
    ("-C",): ["-C"],
    (): [],
}


@pytest.fixture(params=SHELLS, ids=lambda words: words[0])
def shim(request: pytest.FixtureRequest, tmp_path: Path) -> Shim:
    return set_up(request.param, tmp_path / "a b*")


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_puts_ours_behind_the_subcommand(shim: Shim, subcommand: str) -> None:
    assert shim.args(subcommand, "-v", "./...") == [subcommand, *OURS, "-v", "./..."]


def test_leaves_other_subcommands_alone(shim: Shim) -> None:
    for subcommand in OTHERS:
        args = [subcommand, "-ldflags=-s", "-tags", "x", "-buildmode=pie"]
        call = shim.run(*args, **ACTIVE)
        assert (call.args, call.cgo_ldflags) == (args, ACTIVE["CGO_LDFLAGS"])


def test_chdir_stays_first(shim: Shim) -> None:
    for args, expected in CHDIR.items():
        assert shim.args(*args) == expected


def test_leaves_all_alone_without_an_environment(shim: Shim) -> None:
    args = ["build", "-ldflags", "-s", "-buildmode=pie", "-tags=x", "."]
    call = shim.run(*args, GOFLAGS="-ldflags=-w", CGO_LDFLAGS="-static")
    assert call.args == args
    assert (call.goflags, call.cgo_ldflags) == ("-ldflags=-w", "-static")


# -ldflags


def test_merges_ldflags(shim: Shim) -> None:
    for given, merged in LDFLAGS.items():
        args = shim.args("build", f"-ldflags={given}", ".")
        assert args == ["build", OURS[1], f"-ldflags={merged}", "."]
        args = shim.args("build", "-v", "--ldflags", given, ".")
        assert args == ["build", OURS[1], "-v", "--ldflags", merged, "."]


def test_merges_ldflags_of_a_pattern(shim: Shim) -> None:
    for given, merged in PATTERNS.items():
        args = shim.args("build", f"-ldflags={given}", ".")
        assert args == ["build", *OURS, f"-ldflags={merged}", "."]


def test_merges_each_of_several_ldflags(shim: Shim) -> None:
    given = ["-ldflags=./a=-s", "-ldflags", "-w", "-ldflags=./b=-s"]
    expected = [f"-ldflags=./a={LINK} -s", "-ldflags", f"{LINK} -w", f"-ldflags=./b={LINK} -s"]
    assert shim.args("build", *given) == ["build", OURS[1], *expected]


def test_merges_more_words_of_ours(shim: Shim) -> None:
    ours = "-linkmode=external '-extldflags=-static -Wl,-z,stack-size=8388608'"
    given = ["build", "-tags=netgo,osusergo", "-ldflags", "-extldflags '-lm -static'"]
    expected = f"{ours} -extldflags '-static -Wl,-z,stack-size=8388608 -lm'"
    assert shim.args(*given, TOOLMAN_GO_LDFLAGS=ours)[-1] == expected
    expected = expected.replace("-static", "-static-pie")
    assert shim.args(*given, "-buildmode=pie", TOOLMAN_GO_LDFLAGS=ours)[-2] == expected


# -tags


def test_merges_tags(shim: Shim) -> None:
    for given, expected in USER_TAGS.items():
        assert shim.args("build", "-tags", given) == ["build", OURS[0], "-tags", expected]
        assert shim.args("build", f"--tags={given}") == ["build", OURS[0], f"--tags={expected}"]


def test_merges_each_of_several_tags(shim: Shim) -> None:
    expected = ["build", OURS[0], "-tags=netgo,osusergo,x", "-tags", "netgo,osusergo,y"]
    assert shim.args("build", "-tags=x", "-tags", "y") == expected


def test_adds_no_tags_where_there_are_none(shim: Shim) -> None:
    assert shim.args("build", TOOLMAN_GO_TAGS="", GOFLAGS="") == ["build", OURS[0]]


# Which words are go's


@pytest.mark.parametrize("args", READS, ids=" ".join)
def test_reads_to_the_last_flag(shim: Shim, args: list[str]) -> None:
    place = max(index for index, word in enumerate(args) if word == X)
    expected = [args[0], OURS[0], *args[1:place], MERGED, *args[place + 1 :]]
    assert shim.args(*args) == expected


@pytest.mark.parametrize("args", ENDS, ids=" ".join)
def test_leaves_the_words_of_others_alone(shim: Shim, args: list[str]) -> None:
    assert shim.args(*args) == [args[0], *OURS, *args[1:]]


def test_every_byte_survives(shim: Shim) -> None:
    odd = ["", " ", "a b", "'", '"', "\\", "\\n", "\n", "x\n", "*", "$HOME", "$(id)", "`", "~", "é"]
    odd += [os.fsdecode(b"\xff\xfe"), "-", ";", "--x y", "\t"]
    assert shim.args("run", ".", *odd) == ["run", *OURS, ".", *odd]
    flags = [word for text in odd for word in ("-o", text)]
    assert shim.args("run", *flags, *odd) == ["run", *OURS, *flags, *odd]
    for text in odd:
        stamp = f'-X "main.a={text}"' if '"' not in text else f"-X 'main.a={text}'"
        assert shim.args("run", "-ldflags", stamp)[-1] == f"{LINK} {stamp}"
        stamp = f"-extldflags=-lm {stamp}"
        merged = stamp.replace("-extldflags=-lm", '"-extldflags=-static -lm"')
        assert shim.args("run", "-ldflags", stamp)[-1] == f"{LINK} {merged}"


# GOFLAGS


def test_merges_ldflags_of_goflags(shim: Shim) -> None:
    for flag in ("-ldflags=-s", "--ldflags=-s", "'-ldflags=-s'", '"--ldflags=-s"'):
        args = shim.args("build", ".", GOFLAGS=f"{GOFLAGS} {flag}")
        assert args == ["build", f"-ldflags={LINK} -s", OURS[1], "."]


def test_merges_quoted_ldflags_of_goflags(shim: Shim) -> None:
    goflags = f"{GOFLAGS} -mod=mod '-ldflags=-s -extldflags \"-lm -lc\"' -v"
    expected = f'-ldflags={LINK} -s -extldflags "-static -lm -lc"'
    assert shim.args("build", GOFLAGS=goflags) == ["build", expected, OURS[1]]


def test_pattern_in_goflags_comes_after_ours(shim: Shim) -> None:
    args = shim.args("build", GOFLAGS=f"{GOFLAGS} -ldflags=./a=-s -ldflags=all=-w")
    patterns = [f"-ldflags=./a={LINK} -s", f"-ldflags=all={LINK} -w"]
    assert args == ["build", OURS[0], *patterns, OURS[1]]


def test_command_line_comes_after_goflags(shim: Shim) -> None:
    args = shim.args("build", "-ldflags=-w", "-tags=y", GOFLAGS=f"{GOFLAGS} -ldflags=-s -tags=x")
    assert args == [
        "build",
        f"-ldflags={LINK} -s",
        f"-ldflags={LINK} -w",
        "-tags=netgo,osusergo,y",
    ]


def test_last_tags_of_goflags_count(shim: Shim) -> None:
    args = shim.args("build", GOFLAGS=f"{GOFLAGS} -tags=x --tags=y,netgo")
    assert args == ["build", OURS[0], "-tags=osusergo,y,netgo"]


def test_needs_no_goflags(shim: Shim) -> None:
    assert shim.args("build", GOFLAGS="") == ["build", *OURS]


def test_unclosed_quote_in_goflags_is_left_to_go(shim: Shim) -> None:
    assert shim.args("build", GOFLAGS=f"{GOFLAGS} '-tags=x") == ["build", *OURS]


# What the call itself changes


@pytest.mark.parametrize(
    "flags", [["-buildmode=pie"], ["--buildmode=pie"], ["-buildmode", "pie"]], ids=" ".join
)
def test_pie_is_static_pie(shim: Shim, flags: list[str]) -> None:
    call = shim.run("build", "-ldflags=-s", *flags, ".", **ACTIVE)
    assert call.args == ["build", OURS[1], f"-ldflags={PIE} -s", *flags, "."]
    assert call.cgo_ldflags == "'--sysroot=/a -static b/c'"


def test_pie_of_goflags_is_static_pie(shim: Shim) -> None:
    env = {**ACTIVE, "GOFLAGS": f"{GOFLAGS} -buildmode=pie"}
    call = shim.run("build", **env)
    assert call.args == ["build", f"-ldflags={PIE}", OURS[1]]
    assert call.cgo_ldflags == "'--sysroot=/a -static b/c'"
    call = shim.run("build", "-buildmode=exe", **env)
    assert call.args == ["build", *OURS, "-buildmode=exe"]
    assert call.cgo_ldflags == ACTIVE["CGO_LDFLAGS"]


def test_pie_takes_the_place_of_the_users_static(shim: Shim) -> None:
    for word in ("-static", "--static", "-static-pie"):
        given = f"-extldflags '{word} -lm'"
        args = shim.args("build", "-buildmode=pie", "-ldflags", given)
        assert args[-1] == f"{PIE} -extldflags '-static-pie -lm'"


def test_pie_of_the_program_is_its_own(shim: Shim) -> None:
    args = ["run", ".", "-buildmode=pie"]
    call = shim.run(*args, **ACTIVE)
    assert call.args == ["run", *OURS, *args[1:]]
    assert call.cgo_ldflags == ACTIVE["CGO_LDFLAGS"]


@pytest.mark.parametrize("mode", ["c-shared", "plugin", "shared"])
def test_shared_object_is_not_static(shim: Shim, mode: str) -> None:
    call = shim.run("build", f"-buildmode={mode}", "-ldflags=-extldflags=-lm", **ACTIVE)
    assert call.args[-1] == '-ldflags=-linkmode=external -extldflags= "-extldflags=-lm"'
    assert call.cgo_ldflags == "'--sysroot=/a -static b/c'"


def test_without_cgo_go_links_itself(shim: Shim) -> None:
    assert shim.args("build", CGO_ENABLED="0") == ["build", "-ldflags=", OURS[1]]
    args = shim.args("build", "-ldflags=-s -extldflags=-lm", CGO_ENABLED="0")
    assert args == ["build", OURS[1], "-ldflags=-s -extldflags=-lm"]
