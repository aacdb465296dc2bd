"""scripts/conformance: what GCC's directives mean, and the verdict on real compilers."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import tools
from conftest import CHECKOUT

from toolman import run
from toolman.host import Host

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

sys.path.append(str(CHECKOUT / "scripts/measure"))

import torture

ARM64 = torture.Machine(triple="aarch64-unknown-linux-musl", has=torture.HOSTED | {"int128"})
X86 = torture.Machine(triple="i686-unknown-linux-gnu", has=torture.HOSTED | {"ia32"})
PASSES = "int main(void) { return 0; }\n"
FAILS = "int main(void) { __builtin_abort(); }\n"


def suite(root: Path, files: Mapping[str, str]) -> Path:
    """A source tree of GCC's with these tests; its directory `execute`."""
    execute = root / "gcc/testsuite/gcc.c-torture/execute"
    for name, text in files.items():
        path = execute / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return execute


def planned(
    tmp_path: Path, text: str, machine: torture.Machine = ARM64, level: str = "-O2"
) -> list[str] | str:
    """The flags of a test of that text, or why it is not for `machine`."""
    (case,) = torture.cases(suite(tmp_path, {"a.c": text}))
    found = torture.plan(case, level.split(), machine)
    return found if isinstance(found, str) else found[0]


def test_options_are_replaced_and_additional_ones_added(tmp_path: Path) -> None:
    text = (
        '/* { dg-options "-fwrapv -w" } */\n'
        '/* { dg-options "-mno-mmx" { target { i?86-*-* x86_64-*-* } } } */\n'
        '/* { dg-additional-options "-std=gnu89" } */\n'
        '/* { dg-additional-options "-fpic" { target fpic } } */\n'
    )
    assert planned(tmp_path, text) == ["-fwrapv", "-w", "-std=gnu89", "-fpic"]
    assert planned(tmp_path, text, X86) == ["-mno-mmx", "-std=gnu89", "-fpic"]


@pytest.mark.parametrize(
    ("directive", "level", "reason"),
    [
        ("dg-require-effective-target int128", "-O2", None),
        ("dg-require-effective-target dfp", "-O2", "needs dfp"),
        ("dg-do run { target int128 }", "-O2", None),
        ("dg-do run { target dfp }", "-O2", "not for this target"),
        ('dg-skip-if "requires io" { freestanding }', "-O2", None),
        ('dg-skip-if "" { ! { i?86-*-* x86_64-*-* } }', "-O2", "skipped for this target"),
        ('dg-skip-if "x" { ! alloca } { "-O0" } { "" }', "-O0", None),
        ('dg-skip-if "x" { *-*-* } "-fomit-frame-pointer" ""', "-O2", None),
        ('dg-skip-if "x" { *-*-* } "-O1" ""', "-O1", "skipped for this target"),
        ('dg-skip-if "x" { *-*-* } { "*" } { "-O2" }', "-O2", None),
        ('dg-skip-if "x" { aarch64*-*-* && { ! dfp } }', "-O2", "skipped for this target"),
        ('dg-skip-if "x" { avr-*-* || int128 }', "-O2", "skipped for this target"),
    ],
)
def test_directives_say_whom_a_test_is_for(
    tmp_path: Path, directive: str, level: str, reason: str | None
) -> None:
    found = planned(tmp_path, f"/* {{ {directive} }} */\n", level=level)
    assert found == ([] if reason is None else reason)


def test_unconditional_flags_of_expect_files_are_taken(tmp_path: Path) -> None:
    execute = suite(
        tmp_path,
        {
            "ieee/ieee.exp": 'set additional_flags "-fno-inline"\n'
            'if [istarget "m68k-*-*"] then {\n  lappend additional_flags "-ffloat-store"\n}\n',
            "ieee/a.c": PASSES,
            "ieee/a.x": 'lappend additional_flags "-fno-ivopts" "-fno-gcse"\nreturn 0\n',
            "ieee/b.c": PASSES,
            "ieee/b.x": '  if {[string match {*-flto*} "$option"]} {\n    continue\n  }\n',
        },
    )
    a, b = torture.cases(execute)
    assert a.flags == ("-fno-inline", "-fno-ivopts", "-fno-gcse")
    assert torture.plan(b, ["-O2", "-flto"], ARM64) == "not for -O2 -flto"
    assert torture.plan(b, ["-O2"], ARM64) == (["-fno-inline"], [execute / "ieee/b.c"])


def test_builtins_are_linked_with_their_library(tmp_path: Path) -> None:
    files = ("strlen.c", "strlen-lib.c", "lib/main.c")
    execute = suite(tmp_path, {f"builtins/{name}": PASSES for name in files})
    (case,) = torture.cases(execute)
    assert case.name == "builtins/strlen.c"
    assert case.sources == tuple(execute / "builtins" / name for name in files)


TESTS = {
    "passes.c": "#include <math.h>\n" + PASSES,
    "aborts.c": FAILS,
    "does-not-compile.c": "int main(void) { return unknown; }\n",
    "needs-broken.c": f"#ifdef BROKEN\n{FAILS}#else\n{PASSES}#endif\n",
    "is-not-for-us.c": '/* { dg-skip-if "" { *-*-* } } */\n' + FAILS,
    "reads-options.c": '/* { dg-options "-DWANTED" } */\n#ifdef WANTED\n' + PASSES + "#endif\n",
}


def conform(home: Path, *words: str | Path) -> run.Finished:
    argv = [sys.executable, CHECKOUT / "scripts/measure/conformance.py", *words]
    cache = str(tools.CACHE / "toolman")
    return run.run(argv, env={**os.environ, "TOOLMAN_HOME": str(home), "TOOLMAN_CACHE": cache})


def results(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text())["compilers"]
    return found


def test_every_test_gets_its_verdict(home: Path, tmp_path: Path) -> None:
    suite(tmp_path / "gcc-src", TESTS)
    words = ("--source", tmp_path / "gcc-src", "--level=-O2", "--json", tmp_path / "out.json")
    done = conform(home, "arm64-musl", *words)
    assert done.code == 0, done.err
    assert "3 of 5, 60.00 %" in done.out
    (compiler,) = results(tmp_path / "out.json")
    assert compiler["levels"] == {"-O2": {"tests": 5, "passed": 3}}
    failed = {one["test"]: (one["result"], one["said"]) for one in compiler["failed"]}
    assert failed["aborts.c"] == ("run", "exit -6")
    assert failed["does-not-compile.c"][0] == "compile"
    assert "'unknown' undeclared" in failed["does-not-compile.c"][1]
    assert len(failed) == 2


@pytest.fixture
def broken(home: Path, tmp_path: Path) -> Path:
    """A compiler that makes one test fail, and is otherwise arm64-musl's."""
    path = tmp_path / "broken-gcc"
    (real,) = (home / Host.current().key / "shims").glob("aarch64-linux-musl-gcc")
    path.write_text(f'#!/bin/sh\nexec {real.resolve()} -DBROKEN "$@"\n', "utf-8")
    path.chmod(0o755)
    return path


def test_a_compiler_below_its_peer_is_an_error(home: Path, tmp_path: Path, broken: Path) -> None:
    suite(tmp_path / "gcc-src", TESTS)
    levels = ("--level=-O0", "--level=-O2 -g", "--source", tmp_path / "gcc-src")
    below = conform(home, broken, "--against", "arm64-musl", *levels)
    assert below.code == 1, below.err
    alone, _, both = below.out.partition("alone: 2")
    assert "broken-gcc" in alone
    assert both.count("needs-broken.c") == 2
    assert "failed with both: 4" in both
    above = conform(home, "arm64-musl", "--against", broken, *levels)
    assert above.code == 0, above.err


def test_what_only_the_peer_can_take_counts_as_failed(
    home: Path, tmp_path: Path, broken: Path
) -> None:
    (text,) = broken.read_text().splitlines()[1:]
    refused = 'case "$*" in *int128*) exit 1 ;; esac'
    broken.write_text(f"#!/bin/sh\n{refused}\n{text.replace(' -DBROKEN', '')}\n", "utf-8")
    needs = "/* { dg-require-effective-target int128 } */\n"
    suite(tmp_path / "gcc-src", {"a.c": PASSES, "b.c": needs + PASSES})
    words = ("--source", tmp_path / "gcc-src", "--level=-O2", "--json", tmp_path / "out.json")
    assert conform(home, broken, *words).code == 0
    assert results(tmp_path / "out.json")[0]["levels"] == {"-O2": {"tests": 1, "passed": 1}}
    assert conform(home, broken, "--against", "arm64-musl", *words).code == 1
    ours, theirs = results(tmp_path / "out.json")
    assert ours["levels"] == {"-O2": {"tests": 2, "passed": 1}}
    assert ours["failed"][0]["said"] == "needs int128"
    assert theirs["failed"] == []


def test_the_tests_are_taken_out_of_a_tarball(home: Path, tmp_path: Path) -> None:
    tree = tmp_path / "gcc-99.1.0"
    suite(tree, {"includes.c": '#include "../../gcc.dg/pr1.c"\n', "passes.c": PASSES})
    included = tree / "gcc/testsuite/gcc.dg"
    (included / "tree-ssa").mkdir(parents=True)
    (included / "pr1.c").write_text(PASSES)
    (included / "tree-ssa/pr2.c").write_text(PASSES)
    tarball = tmp_path / "without-a-name"
    with tarfile.open(tarball, "w:xz") as made:
        made.add(tree, tree.name)
    for _ in range(2):
        done = conform(home, "arm64-musl", "--source", tarball, "--level=-O1")
        assert done.code == 0, done.err
        assert "2 of 2, 100.00 %" in done.out
    sampled = conform(home, "arm64-musl", "--source", tarball, "--level=-O1", "--sample", "1")
    assert "1 of 1, 100.00 %" in sampled.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["amd64-gnu"], "amd64-gnu is not installed"),
        (["arm64-musl", "--source", "/dev/null"], "holds no gcc/testsuite"),
        (["arm64-musl", "--source", "9.9.9"], "no source of GCC 9.9.9"),
        (["arm64-musl", "--source", str(CHECKOUT)], "holds no gcc/testsuite"),
        (["arm64-musl", "--against", "debian:3"], "no cross GCC 3 for linux/arm64"),
    ],
)
def test_wrong_input_gets_one_clear_line(home: Path, words: list[str], said: str) -> None:
    done = conform(home, *words)
    assert done.code == 2
    assert done.err.count("error: ") == 1
    assert said in done.err
