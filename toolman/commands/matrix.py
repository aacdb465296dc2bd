"""`toolman matrix`."""

from __future__ import annotations

import argparse
import difflib
import os
import platform
import shlex
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from toolman import __version__, matrix, store
from toolman.commands import env, output, verify
from toolman.commands.verify import Gates
from toolman.errors import InputError
from toolman.matrix import Method, Outcome, Wish, building, cells, goes, measuring, pages
from toolman.request import MALLOCS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolman.context import Context
    from toolman.matrix import Cell
    from toolman.matrix.goes import Go

SUMMARY = "build a Go program in every way at once, verify each, and measure size, start, memory"
EXAMPLES = """\
  toolman matrix                                   the program here, for the pin's targets
  toolman matrix ./cmd/app --target arm64-musl,arm64-gnu --cgo static
  toolman matrix --go 1.22.10 --go ~/go/bin/go --output report
  toolman matrix --compiler gc,gccgo --runs 20 --json
  toolman matrix --malloc mallocng,mimalloc --run-args='--once small.json'
  toolman matrix ./cmd/server --no-run             what does not end by itself
off: CGO_ENABLED=0, one for each platform. dynamic, static: as `toolman env --dynamic`, `--static`.
Nothing is installed. A version that --go names is fetched by the go on PATH, if it has to be.
"""

_FILES = ("matrix.json", "matrix.md", "matrix.html")
_AT_ONCE = 2
_MOST_RUNS = 1000
_NO_C = "no C is in it: static without being asked, as with cgo off"
_SMALL_STACK = "it asks for no stack size: musl gives C's threads 128 KiB"
Word = TypeVar("Word", bound=str)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package", nargs="?", default=".", help="as go names it, or a directory")
    what = parser.add_argument_group("which builds; each takes several, by commas or repeated")
    for flag, metavar, said in (
        ("--target", "TARGET", "in any spelling; those of the pin, or all that are installed"),
        ("--cgo", "HOW", "off, dynamic, static; all three"),
        ("--go", "VERSION|PATH", "1.22.10, or the path of a go program; that on PATH"),
        ("--compiler", "NAME", "gc, gccgo; gc"),
        ("--malloc", "NAME", "of musl toolchains that are installed: mallocng, mimalloc"),
    ):
        what.add_argument(flag, action="append", default=[], metavar=metavar, help=said)
    parser.add_argument(
        "--ldflags", default="", metavar="FLAGS", help="for go build: --ldflags='-s -w'"
    )
    parser.add_argument("--tags", default="", metavar="TAGS", help="for go build, with commas")
    parser.add_argument("--runs", type=_number, default=10, metavar="N", help="of each program; 10")
    parser.add_argument(
        "--run-args", default="", metavar="WORDS", help="for the program: --run-args='-n 1'"
    )
    parser.add_argument(
        "--time-limit", type=_seconds, default=10, metavar="SECONDS", help="of each run; 10"
    )
    parser.add_argument("--no-run", action="store_true", help="only build, verify and weigh")
    parser.add_argument(
        "--output", "-o", type=Path, metavar="DIR", help=f"write {', '.join(_FILES)} there"
    )
    output.add_jobs(parser)
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    environ = env.inactive(ctx)
    wish = _wish(args, ctx)
    with tempfile.TemporaryDirectory(prefix="toolman-matrix-") as made:
        scratch = Path(made)
        found = goes.find(_goes(args.go, ctx), environ, wish.directory, scratch)
        chosen = _cells(args, found, wish, ctx)
        package = building.package(wish, found[0])
        if args.output:
            _make(args.output)
        outcomes = _outcomes(chosen, wish, environ, scratch, args.jobs or _AT_ONCE, ctx)
    method = _method(chosen, found, wish, ctx)
    values = pages.as_json(package, method, outcomes, _verified_json)
    if args.output:
        texts = (
            output.json_text(values),
            pages.markdown(package, method, outcomes),
            pages.html(package, method, outcomes),
        )
        for name, text in zip(_FILES, texts, strict=True):
            store.write(args.output / name, text)
    if args.json:
        output.print_json(values)
    elif not args.quiet:
        _print(package, method, outcomes)
    wrong = [one for one in outcomes if one.state == "failed"]
    for one in wrong if args.quiet else ():
        print(f"error: {one.cell.label}: {one.why}", file=sys.stderr)
    return 1 if wrong else 0


def _make(directory: Path) -> None:
    """The directory for the files, before the work that they need."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise InputError(f"--output {directory}: {said}", hint="name a directory") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise InputError(f"--output {directory}: cannot be written", hint="name another directory")


def _words(said: Sequence[str]) -> list[str]:
    return [word for one in said for word in one.split(",") if word]


def _goes(said: Sequence[str], ctx: Context) -> list[str]:
    """Versions as they are, paths from here on."""
    return [
        str(ctx.directory / Path(word).expanduser()) if "/" in word else word
        for word in _words(said)
    ]


def _wish(args: argparse.Namespace, ctx: Context) -> Wish:
    try:
        run_args = shlex.split(args.run_args)
    except ValueError as error:
        raise InputError(f"--run-args: {str(error).lower()}: {args.run_args}") from error
    inside = (ctx.directory / args.package).is_dir()
    return Wish(
        directory=(ctx.directory / args.package).resolve() if inside else ctx.directory,
        package="." if inside else args.package,
        ldflags=args.ldflags,
        tags=args.tags,
        runs=0 if args.no_run else args.runs,
        run_args=run_args,
        limit=args.time_limit,
    )


def _cells(args: argparse.Namespace, found: Sequence[Go], wish: Wish, ctx: Context) -> list[Cell]:
    return cells.choices(
        cells.toolchains(_words(args.target), ctx.store, wish.directory),
        found,
        _known("--compiler", args.compiler, matrix.COMPILERS) or matrix.COMPILERS[:1],
        _known("--cgo", args.cgo, matrix.CGO) or matrix.CGO,
        _known("--malloc", args.malloc, MALLOCS),
        ctx.store,
    )


def _known(flag: str, said: Sequence[str], known: Sequence[Word]) -> list[Word]:
    """The members of `known` that are said, each once."""
    found: dict[Word, None] = {}
    for word in _words(said):
        one = next((one for one in known if one == word), None)
        if one is None:
            near = difflib.get_close_matches(word, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise InputError(f"{flag}: there is no '{word}'", hint=hint)
        found[one] = None
    return [*found]


def _outcomes(
    chosen: Sequence[Cell],
    wish: Wish,
    environ: Mapping[str, str],
    scratch: Path,
    jobs: int,
    ctx: Context,
) -> list[Outcome]:
    """All cells built, `jobs` at a time; then run, one after the other, in peace."""
    with ctx.reporter.table([f"{one.label}: waiting" for one in chosen]) as shown:

        def built(number: int) -> Outcome:
            cell = chosen[number]
            shown.show(number, f"{cell.label}: building", done=False)
            done = _verified(building.build(cell, wish, ctx.store, scratch / str(number)))
            shown.show(number, _line(done), done=not (wish.runs and done.state == "ok"))
            return done

        pool = ThreadPoolExecutor(jobs)
        try:
            outcomes = [*pool.map(built, range(len(chosen)))]
        finally:
            pool.shutdown(cancel_futures=True)
        for number, one in enumerate(outcomes):
            if wish.runs and one.state == "ok":
                shown.show(number, f"{one.cell.label}: running", done=False)
                outcomes[number] = measuring.measure(one, wish, environ, ctx)
                shown.show(number, _line(outcomes[number]), done=True)
    return outcomes


def _verified(done: Outcome) -> Outcome:
    """`done` with what `toolman verify` says of its program."""
    if done.program is None:
        return done
    cell = done.cell
    where = cell.platform if cell.cgo == "off" else cell.toolchain.target
    result = verify.check(done.program, Gates(static=cell.cgo != "dynamic", arch=where))
    if result.report is None:
        return replace(done, state="failed", why=str(result.error))
    found = replace(done, report=result.report, failures=result.failures)
    if result.failures:
        return replace(found, state="failed", why=f"verify: {result.failures[0]}")
    notes = [*done.notes]
    if cell.cgo == "dynamic" and result.report.linkage != "dynamic":
        notes.append(_NO_C)
    if result.report.libc == "musl" and result.report.stack_size is None:
        notes.append(_SMALL_STACK)
    return replace(found, notes=tuple(notes))


def _verified_json(one: Outcome) -> dict[str, Any]:
    assert one.report
    head = {"ok": not one.failures, "failures": [*one.failures]}
    return {**head, **verify.report_json(one.report)}


def _method(chosen: Sequence[Cell], found: Sequence[Go], wish: Wish, ctx: Context) -> Method:
    toolchains = {one.toolchain.about.digest: one.toolchain for one in chosen if one.cgo != "off"}
    platforms = {str(one.platform): one.platform for one in chosen} if wish.runs else {}
    said = {name: measuring.emulator(one, ctx) for name, one in platforms.items()}
    return Method(
        toolman=__version__,
        host={
            "system": ctx.host.system,
            "machine": ctx.host.machine,
            "kernel": platform.release(),
            "processors": os.cpu_count() or 1,
        },
        go=found,
        toolchains=[*toolchains.values()],
        qemu={name: version for name, version in said.items() if version},
        gccgo=any(one.compiler == "gccgo" for one in chosen),
        wish=wish,
    )


def _line(one: Outcome) -> str:
    """A cell in the live table."""
    figures = [word for word in pages.row(one)[2:] if word]
    said = [one.why] if one.why else figures
    return f"{one.cell.label}: {', '.join([one.state, *said])}"


def _print(package: str, method: Method, outcomes: Sequence[Outcome]) -> None:
    print(package)
    output.table([pages.HEAD, *map(pages.row, outcomes)])
    for lines in (pages.remarks(outcomes), pages.method_lines(method)):
        print("".join(f"\n{line}" for line in lines))


def _number(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= _MOST_RUNS:
        raise argparse.ArgumentTypeError(f"'{word}' is no number of runs, 1 to {_MOST_RUNS}")
    return int(word)


def _seconds(word: str) -> float:
    try:
        found = float(word)
    except ValueError:
        found = 0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"'{word}' is no number of seconds")
    return found
