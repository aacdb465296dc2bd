"""GCC's own C torture execute tests: with a toolchain, and beside it with a peer's.

Each test is compiled, linked statically and run, under qemu-user where that is needed. Which are
linked dynamically, and which of the tests' directives count, is said in `torture`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import peers
import suite
import torture
import trial
from tqdm import tqdm
from trial import Compiler, Outcome

from toolman import choose, elf, qemu, run
from toolman import target as targets
from toolman.context import Context
from toolman.errors import InputError, ToolmanError
from toolman.host import Host
from toolman.paths import Paths
from toolman.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from toolman.target import Platform

    Results = Mapping[str, Sequence[Outcome]]  # by level

LEVELS = ("-O0", "-O2", "-Os", "-O2 -flto")

_EXAMPLES = """\
A compiler is a toolman target that is installed, or the path of a GCC. --against takes as well
`debian:14`: Debian's cross GCC of that major version, for the same platform. It is unpacked below
toolman's cache at its first use, from the release of Debian that has it, whatever this host's is.
`debian` alone means the major version of the compiler under test.

  scripts/conformance arm64-musl --against debian
  scripts/conformance arm64-musl --level=-O0 --level='-O2 -flto' --sample 100
  scripts/conformance arm64-gnu --only 'builtins/*' --source gcc-14.2.0.tar.xz

Without --source the tests are those that come with the source of that very GCC, which is in
toolman's cache if it was built here, and else is fetched. A test counts if either compiler can
take it; one that only the other can take counts as not passed. Exit code 1: fewer passed than
with the peer.
"""


def main() -> int:
    """Run what the command line says; the exit code."""
    options = _arguments()
    # A test that aborts, as many do if they fail, would leave a core file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    host = Host.current()
    try:
        ctx = Context(host=host, paths=Paths.from_env(os.environ, host), environ=os.environ)
        return _conform(options, ctx)
    except ToolmanError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code


def _conform(options: argparse.Namespace, ctx: Context) -> int:
    with tempfile.TemporaryDirectory(prefix="toolman-conformance-") as scratch:
        compilers = list(_compilers(options, ctx, Path(scratch)))
        execute = suite.find(options.source, compilers[0].version, ctx)
        cases = _chosen(torture.cases(execute), options)
        print(f"{len(cases)} tests of {execute}", file=sys.stderr)
        attempt = partial(_attempt, options=options, cases=cases, scratch=Path(scratch))
        results = _listed([attempt(compiler) for compiler in compilers])
    _print(compilers, results)
    if options.json:
        options.json.write_text(json.dumps(_values(compilers, results), indent=1) + "\n", "utf-8")
    passed = [[_passed(outcomes) for outcomes in one.values()] for one in results]
    return int(any(ours < theirs for ours, theirs in zip(passed[0], passed[-1], strict=True)))


def _compilers(options: argparse.Namespace, ctx: Context, scratch: Path) -> Iterator[Compiler]:
    gcc = _gcc(options.compiler, ctx)
    platform = _platform(gcc)
    ours = _compiler(options.compiler, gcc, platform, ctx, scratch)
    yield ours
    word = options.against or ""
    if word.partition(":")[0] == "debian":
        major = word.partition(":")[2] or ours.version.partition(".")[0]
        gcc = peers.debian_gcc(major, platform, ctx).tool("gcc")
        yield _compiler(word, gcc, platform, ctx, scratch)
    elif word:
        yield _compiler(word, _gcc(word, ctx), platform, ctx, scratch)


def _gcc(word: str, ctx: Context) -> Path:
    if "/" in word:
        return Path(word).absolute()
    return choose.installed(choose.choose(word, ctx.store), ctx.store).tool("gcc")


def _compiler(name: str, gcc: Path, platform: Platform, ctx: Context, scratch: Path) -> Compiler:
    version = run.check("asking gcc", [gcc, "-dumpfullversion"]).strip()
    triple = run.check("asking gcc", [gcc, "-dumpmachine"]).strip()
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        runner = _runner(gcc, platform, ctx, Path(place))
        dynamic = _dynamic(gcc, Path(place))
        has = {name for name in torture.PROBES if _probe(name, gcc, runner, Path(place))}
    machine = torture.Machine(
        triple=triple.replace("-linux-", "-unknown-linux-"), has=torture.HOSTED | has
    )
    return Compiler(
        name=name, gcc=gcc, version=version, machine=machine, runner=runner, dynamic=dynamic
    )


def _runner(gcc: Path, platform: Platform, ctx: Context, place: Path) -> tuple[str, ...]:
    """The words before a program that run it here."""
    source, program = place / "empty.c", place / "empty"
    source.write_text("int main(void) { return 0; }\n", "utf-8")
    run.check("compiling an empty program", [gcc, "-static", source, "-o", program])
    return tuple(qemu.command(program, platform, None, ctx)[:-1])


def _dynamic(gcc: Path, place: Path) -> tuple[str, ...]:
    """Flags by which a program finds this compiler's libc, whatever libc the host has."""
    program = place / "dynamic"
    run.check("compiling a dynamic program", [gcc, place / "empty.c", "-o", program])
    name = Path(elf.inspect(program).interpreter or "").name
    loader, libc = (
        Path(run.check("asking gcc", [gcc, f"-print-file-name={one}"]).strip())
        for one in (name, "libc.so")
    )
    return (f"-Wl,--dynamic-linker={loader}", f"-Wl,-rpath,{libc.parent}")


def _probe(name: str, gcc: Path, runner: Sequence[str], place: Path) -> bool:
    source = place / f"{name}.c"
    source.write_text(torture.PROBES[name] + "\n", "utf-8")
    return trial.build_and_run(gcc, [*trial.STATIC, source], runner, place)[0] == "pass"


def _platform(gcc: Path) -> Platform:
    found = targets.parse(run.check("asking gcc", [gcc, "-dumpmachine"]).strip())
    return found.platform if isinstance(found, Target) else found


def _chosen(cases: list[torture.Case], options: argparse.Namespace) -> list[torture.Case]:
    """Those that `--only` names, and of them `--sample` many, evenly."""
    kept = [case for case in cases if fnmatchcase(case.name, options.only)]
    if not kept:
        raise InputError(f"no test is called '{options.only}'")
    wanted = min(options.sample or len(kept), len(kept))
    return [kept[index * len(kept) // wanted] for index in range(wanted)]


def _attempt(
    compiler: Compiler,
    *,
    options: argparse.Namespace,
    cases: Sequence[torture.Case],
    scratch: Path,
) -> Results:
    results = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        for level in options.level or LEVELS:
            found = pool.map(partial(trial.attempt, compiler, level=level, scratch=scratch), cases)
            # Shows nothing where stderr is no terminal.
            bar = tqdm(found, f"{compiler.name} {level}", len(cases), leave=False, disable=None)
            results[level] = list(bar)
    return results


def _listed(results: Sequence[Results]) -> list[Results]:
    """Only the tests that one of the compilers can take, at each level."""
    kept = {}
    for level in results[0]:
        rows = zip(*(one[level] for one in results), strict=True)
        kept[level] = [row for row in rows if any(one.result != "unsupported" for one in row)]
    return [
        {level: [row[index] for row in rows] for level, rows in kept.items()}
        for index in range(len(results))
    ]


def _passed(outcomes: Sequence[Outcome]) -> int:
    return sum(outcome.result == "pass" for outcome in outcomes)


def _print(compilers: Sequence[Compiler], results: Sequence[Results]) -> None:
    names = [f"{one.name} (GCC {one.version})" for one in compilers]
    print(f"{'':12}", *(f"{name:>32}" for name in names))
    for level in results[0]:
        print(f"{level:12}", *(f"{_rate(one[level]):>32}" for one in results))
    if len(results) == 1:
        _print_failures("", results[0], lambda _: True)
        return
    ours, theirs = results
    both = _failed(ours) & _failed(theirs)
    _print_failures(f" with {names[0]} alone", ours, lambda key: key not in both)
    _print_failures(f" with {names[1]} alone", theirs, lambda key: key not in both)
    _print_failures(" with both", ours, lambda key: key in both)


def _rate(outcomes: Sequence[Outcome]) -> str:
    passed, every = _passed(outcomes), len(outcomes)
    return f"{passed} of {every}, {100 * passed / max(every, 1):.2f} %"


def _failed(results: Results) -> set[tuple[str, str]]:
    every = (one for outcomes in results.values() for one in outcomes)
    return {(one.test, one.level) for one in every if one.result != "pass"}


def _print_failures(
    where: str, results: Results, wanted: Callable[[tuple[str, str]], bool]
) -> None:
    every = (one for outcomes in results.values() for one in outcomes)
    rows = [one for one in every if one.result != "pass" and wanted((one.test, one.level))]
    print(f"\nfailed{where}: {len(rows)}")
    for one in sorted(rows, key=lambda one: one.test):
        print(f"  {one.test:30} {one.level:10} {one.result}: {one.said}")


def _values(compilers: Sequence[Compiler], results: Sequence[Results]) -> dict[str, object]:
    """What `--json` writes: schema 1."""
    return {
        "schema": 1,
        "compilers": [
            {
                "name": compiler.name,
                "gcc": str(compiler.gcc),
                "version": compiler.version,
                "levels": {
                    level: {"tests": len(outcomes), "passed": _passed(outcomes)}
                    for level, outcomes in found.items()
                },
                "failed": [
                    asdict(one)
                    for outcomes in found.values()
                    for one in outcomes
                    if one.result != "pass"
                ],
            }
            for compiler, found in zip(compilers, results, strict=True)
        ],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/conformance",
        description="GCC's own C torture execute tests, most linked statically, under qemu-user.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("compiler", help="the one to test, as in: arm64-musl")
    parser.add_argument("--against", metavar="COMPILER", help="one to compare it with")
    levels = ", ".join(f"'{level}'" for level in LEVELS)
    parser.add_argument(
        "--level",
        action="append",
        metavar="FLAGS",
        help=f"flags to test with; may be given several times (default: {levels})",
    )
    parser.add_argument("--only", default="*", metavar="PATTERN", help="tests of such names")
    parser.add_argument("--sample", type=_count, metavar="N", help="N tests of all, evenly")
    where = "GCC's tarball or directory, or a version: whose tests to take"
    parser.add_argument("--source", metavar="SOURCE", help=where)
    parser.add_argument("--jobs", type=_count, default=os.cpu_count() or 2, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    return parser.parse_args()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
