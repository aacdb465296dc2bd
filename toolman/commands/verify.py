"""`toolman verify FILE…`: what was built, and a gate for it; of `--store` see `verify_store`.

Every file is checked before the exit: 0 where all gates hold, 1 where one fails, 2 where a
file cannot be read or is no ELF file.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman.commands import output
from toolman.elf import Machine, Report, Version, inspect, named
from toolman.errors import InputError
from toolman.target import Platform, Target, parse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from toolman.context import Context

SUMMARY = "show what a program is and needs, and fail if that is not as wanted; check toolchains"
EXAMPLES = """\
  toolman verify hello
  toolman verify --static --arch linux/arm64 hello    fail in CI if it is anything else
  toolman verify --max-glibc 2.28 build/*.so          fail if 2.28 is too old for one of them
  toolman verify --store                              is every file still as it was installed?
  toolman verify --store --repair arm64-musl          and if not, have the same bytes again
"""


@dataclass(frozen=True, kw_only=True)
class Gates:
    """What the files must be; None and False ask for nothing."""

    static: bool = False
    arch: Target | Platform | None = None
    max_glibc: Version | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """A file's report and the gates that it fails, or the error in place of the report."""

    path: Path
    report: Report | None = None
    failures: tuple[str, ...] = ()
    error: InputError | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="of --store: toolchains, or all"
    )
    parser.add_argument(
        "--static",
        action="store_true",
        help="fail unless each file is one static program that runs anywhere",
    )
    parser.add_argument(
        "--arch", metavar="TARGET", help="fail unless built for it: linux/arm64, arm64-musl"
    )
    parser.add_argument(
        "--max-glibc", metavar="VERSION", help="fail if a newer glibc is needed: 2.28"
    )
    store = parser.add_argument_group("installed toolchains")
    store.add_argument("--store", action="store_true", help="check every file of toolchains")
    store.add_argument("--repair", action="store_true", help="get again what is damaged")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    gated = args.static or args.arch is not None or args.max_glibc is not None
    if args.store and not gated:
        from toolman.commands import verify_store

        return verify_store.run(args, ctx)
    if args.store or args.repair:
        raise InputError("--store and --repair are of toolchains; the other options, of programs")
    if not args.files:
        raise InputError("name files to look at", hint="or: toolman verify --store")
    gates = Gates(
        static=args.static,
        arch=None if args.arch is None else parse(args.arch),
        max_glibc=None if args.max_glibc is None else _parse_version(args.max_glibc),
    )
    results = [check(path, gates) for path in args.files]
    if args.json:
        output.print_json({"files": [_as_json(result) for result in results]})
    elif not args.quiet:
        for result in results:
            if result.report is not None:
                print("\n".join(_lines(result.report)))
    sys.stdout.flush()  # before the errors, where both go to one log
    for result in results:
        _print_errors(result)
    if any(result.error for result in results):
        return InputError.exit_code
    return 1 if any(result.failures for result in results) else 0


def check(path: Path, gates: Gates) -> Result:
    """Hold `path` against `gates`. Raises nothing: what is wrong is in the result."""
    try:
        report = inspect(path)
    except InputError as error:
        return Result(path=path, error=error)
    return Result(path=path, report=report, failures=tuple(_failures(report, gates)))


def _failures(report: Report, gates: Gates) -> Iterator[str]:
    if report.members:
        yield from _member_failures(report, gates.arch)
    elif gates.arch is not None:
        yield from _arch_failures(report, gates.arch)
    if gates.static:
        yield from _static_failures(report)
    if gates.max_glibc is not None:
        yield from _glibc_failures(report, gates.max_glibc)


def _static_failures(report: Report) -> Iterator[str]:
    if report.linkage is None or report.kind == "shared library":
        yield f"not a static program: it is {_with_article(report.kind)}"
    elif report.linkage == "dynamic":
        yield f"dynamic: needs {', '.join(_loaded(report))}"
    elif report.hazards:
        yield f"static, but {_hazard_text(report)}"


def _arch_failures(report: Report, arch: Target | Platform) -> Iterator[str]:
    if report.machine is not None and not _fits(report.machine, arch):
        yield f"built for {report.machine}, not for {_platform(arch)}"
    elif isinstance(arch, Target) and report.libc not in (None, arch.libc):
        yield f"built for {arch.platform.name}-{report.libc}, not for {arch}"


def _member_failures(report: Report, arch: Target | Platform | None) -> Iterator[str]:
    """Wrong members of an archive; without an `arch`, those unlike most of the others."""
    machines = [(m.name, m.machine) for m in report.members if m.machine is not None]
    if arch is not None:
        wrong = [(name, machine) for name, machine in machines if not _fits(machine, arch)]
        if wrong:
            yield f"{_named(wrong)} not for {_platform(arch)}"
        return
    counts = Counter(machine for _, machine in machines)
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        odd = [(name, machine) for name, machine in machines if machine != usual]
        yield f"mixes machines: most members are for {usual}, but {_named(odd)}"


def _glibc_failures(report: Report, highest: Version) -> Iterator[str]:
    if report.linkage is None:
        yield f"{_with_article(report.kind)} names no glibc version: check what is linked from it"
    elif report.glibc is not None and report.glibc > highest:
        yield f"needs GLIBC_{_dotted(report.glibc)}, newer than {_dotted(highest)}"


def _fits(machine: Machine, arch: Target | Platform) -> bool:
    return _platform(arch) in machine.platforms


def _platform(arch: Target | Platform) -> Platform:
    return arch.platform if isinstance(arch, Target) else arch


def _named(members: list[tuple[str, Machine]]) -> str:
    """`a.o (linux/amd64), b.o (linux/386) and 7 more are`"""
    shown = ", ".join(f"{name} ({machine})" for name, machine in members[:3])
    more = f" and {len(members) - 3} more" if len(members) > 3 else ""
    return f"{shown}{more} {'is' if len(members) == 1 else 'are'}"


def _loaded(report: Report) -> tuple[str, ...]:
    """The interpreter, which alone says enough, or else the libraries."""
    return (report.interpreter,) if report.interpreter else report.needed


def _hazard_text(report: Report) -> str:
    names = ", ".join(report.hazards)
    verb = "loads" if len(report.hazards) == 1 else "load"
    what = "libraries" if {"dlopen", "iconv_open"} & {*report.hazards} else "libnss_*"
    return f"{names} {verb} {what} of the very same glibc at run time"


def _parse_version(word: str) -> Version:
    if not re.fullmatch(r"\d{1,4}(\.\d{1,4}){1,2}", word, re.ASCII):
        raise InputError(f"--max-glibc: '{word}' is no version", hint="for example: 2.28")
    return tuple(map(int, word.split(".")))


def _print_errors(result: Result) -> None:
    for failure in result.failures:
        print(f"error: {named(result.path)}: {failure}", file=sys.stderr)
    if result.error is not None:
        print(f"error: {result.error}", file=sys.stderr)


def _lines(report: Report) -> Iterator[str]:
    yield named(report.path)
    for key, value in _rows(report):
        if value:
            yield f"  {key:<12}{value}"


def _rows(report: Report) -> Iterator[tuple[str, str]]:
    stripped = ", stripped" if report.stripped else ""
    linkage = f", {report.linkage}" if report.kind == "executable" else ""
    yield "kind", f"{report.kind}{linkage}{stripped}"
    yield "machine", str(report.machine or "")
    yield "members", _members_text(report) if report.kind == "archive" else ""
    yield "libc", report.libc or ""
    yield "interpreter", report.interpreter or ""
    yield "needs", ", ".join(report.needed)
    yield "versions", ", ".join(_versions(report))
    yield "stack", _size_text(report.stack_size) if report.linkage else ""
    yield "hardening", _hardening(report)
    yield "caution", _hazard_text(report) if report.hazards else ""


def _members_text(report: Report) -> str:
    counts = Counter(str(member.machine or "not ELF") for member in report.members)
    each = ", ".join(f"{count} {what}" for what, count in counts.most_common())
    return each or "none"


def _versions(report: Report) -> Iterator[str]:
    for name, version in (("GLIBC", report.glibc), ("GLIBCXX", report.glibcxx)):
        if version is not None:
            yield f"{name}_{_dotted(version)}"


def _size_text(size: int | None) -> str:
    if size is None:
        return "the system's default"
    for shift, unit in ((20, "MiB"), (10, "KiB")):
        if size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size} bytes"


def _hardening(report: Report) -> str:
    if report.relro is None:
        return ""
    return f"RELRO {report.relro}, stack {'not executable' if report.nx else 'EXECUTABLE'}"


def _with_article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeo' else 'a'} {kind}"


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _as_json(result: Result) -> dict[str, Any]:
    head: dict[str, Any] = {
        "path": str(result.path),
        "ok": result.error is None and not result.failures,
        "failures": list(result.failures),
        "error": None if result.error is None else str(result.error),
    }
    return head if result.report is None else head | report_json(result.report)


def report_json(report: Report) -> dict[str, Any]:
    return {
        "kind": report.kind,
        "linkage": report.linkage,
        "machine": _machine_json(report.machine),
        "libc": report.libc,
        "interpreter": report.interpreter,
        "needed": list(report.needed),
        "glibc": _dotted(report.glibc) if report.glibc else None,
        "glibcxx": _dotted(report.glibcxx) if report.glibcxx else None,
        "stack_size": report.stack_size,
        "relro": report.relro,
        "nx": report.nx,
        "stripped": report.stripped,
        "hazards": list(report.hazards),
        "members": [{"name": m.name, "machine": _machine_json(m.machine)} for m in report.members],
    }


def _machine_json(machine: Machine | None) -> dict[str, Any] | None:
    if machine is None:
        return None
    return {
        "name": machine.name,
        "bits": machine.bits,
        "endian": machine.endian,
        "platforms": [str(platform) for platform in machine.platforms],
    }
