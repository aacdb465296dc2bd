"""`toolman audit`."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from toolman import advisories, audit, choose
from toolman.commands import output
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from toolman.advisories import Known
    from toolman.audit import Finding
    from toolman.context import Context
    from toolman.toolchain import Toolchain

SUMMARY = "which known vulnerabilities installed toolchains and their libraries have"
EXAMPLES = """\
  toolman audit                        all that are in use; exit code 100 if there is any
  toolman audit arm64-musl --json
  toolman audit --of openssl@3.0.15    of a version that is not installed
  toolman audit --ignore CVE-2025-0395 of what does not concern you
  toolman audit --refresh advisories.json    newer data, from a file or a URL
It compares versions with a list that came with toolman, or newer: docs/audit.md. Only what is open
counts for the exit code: not what a patch has fixed, nor what a distribution may have.
"""
_HEAD = ("TARGET", "PACKAGE", "VERSION", "ADVISORY", "SEVERITY", "FIXED IN", "STATE", "WHAT TO DO")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="*", help="an installed target, in any spelling")
    parser.add_argument(
        "--of", action="append", default=[], metavar="NAME@VERSION", help="of this; can be repeated"
    )
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="ID", help="do not count this one"
    )
    data = parser.add_argument_group("the list of vulnerabilities")
    data.add_argument("--refresh", metavar="URL|FILE", help="take this one before")
    data.add_argument("--sha256", metavar="DIGEST", help="if that is its digest")
    data.add_argument("--older", action="store_true", help="even if it is older than what is here")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    today = datetime.datetime.now(datetime.UTC).date()
    known = _known(args, ctx, today)
    installed = _installed(args, ctx)
    found = [one for each in installed for one in audit.look(each, known, args.ignore)]
    for word in args.of:
        found += audit.look_at(_part(word), known, args.ignore)
    if args.json:
        output.print_json(_values(found, installed, known, today))
    else:
        _show(found, installed, args, ctx)
        _tell(found, known, ctx, today)
    return output.FOUND if any(one.state == "open" for one in found) else 0


def _known(args: argparse.Namespace, ctx: Context, today: datetime.date) -> Known:
    if not args.refresh:
        for name in ("sha256", "older"):
            if getattr(args, name):
                raise InputError(f"--{name} says something of --refresh", hint="name both")
        return advisories.load(ctx.paths)
    word = args.refresh if "://" in args.refresh else str(ctx.directory / args.refresh)
    found = advisories.refresh(word, ctx.paths, today, sha256=args.sha256, older=args.older)
    count = len(found.advisories)
    ctx.reporter.step(f"{count} advisories of {found.date} are what is known from now on")
    return advisories.load(ctx.paths)


def _installed(args: argparse.Namespace, ctx: Context) -> list[Toolchain]:
    found = []
    for word in args.target:
        chosen = choose.choose(word, ctx.store, directory=ctx.directory)
        one = choose.installed(chosen, ctx.store)
        if one.about.root:
            raise InputError(
                f"{one.name} is linked: toolman does not know what it was made of",
                hint="it knows of those that it has installed: toolman list",
            )
        found.append(one)
    if not args.target and not args.of:
        names = sorted({one.name for one in ctx.store.toolchains()})
        found = [one for one in map(ctx.store.active, names) if one]
    return found


def _part(word: str) -> audit.Part:
    name, _, version = word.partition("@")
    if not name or not version:
        raise InputError(f"'{word}' is no NAME@VERSION", hint="as in --of openssl@3.0.15")
    return audit.Part(name=name, version=version, kind="library")


def _show(
    found: Sequence[Finding], installed: Sequence[Toolchain], args: argparse.Namespace, ctx: Context
) -> None:
    if not installed and not args.of:
        ctx.reporter.step("nothing is installed that could be looked at")
    for one in installed:
        if not audit.parts(one):
            ctx.reporter.step(f"note: {one.name}: what it was made of is not known")
    if found:
        output.table([_HEAD, *map(_line, found)])


def _line(one: Finding) -> tuple[str, ...]:
    said = one.advisory
    words = (said.id, said.severity or "-", one.fixed or "-", one.state, one.cure or "")
    return one.target or "-", one.part.name, one.part.version, *words


def _tell(found: Sequence[Finding], known: Known, ctx: Context, today: datetime.date) -> None:
    counts = dict.fromkeys(audit.STATES, 0)
    for one in found:
        counts[one.state] += 1
    said = [f"{count} {state}" for state, count in counts.items() if count or state == "open"]
    age = known.age(today)
    ctx.reporter.step(f"{', '.join(said)}, by what was known on {known.date}, {_days(age)} ago")
    if age > advisories.OLD:
        ctx.reporter.step(
            f"note: that is more than {advisories.OLD} days; newer: toolman audit --refresh"
        )


def _days(count: int) -> str:
    return f"{count} day{'s' * (count != 1)}"


def _values(
    found: Sequence[Finding], installed: Sequence[Toolchain], known: Known, today: datetime.date
) -> dict[str, Any]:
    return {
        "data": {
            "date": str(known.date),
            "age_days": known.age(today),
            "old": known.age(today) > advisories.OLD,
            "advisories": len(known.advisories),
            "file": str(known.file),
        },
        "targets": [
            {"name": one.name, "parts": [f"{p.name}@{p.version}" for p in audit.parts(one)]}
            for one in installed
        ],
        "findings": [_row(one) for one in found],
    }


def _row(one: Finding) -> dict[str, Any]:
    return {
        "target": one.target,
        "kind": one.part.kind,
        "packaged": one.part.packaged,
        "package": one.part.name,
        "version": one.part.version,
        "id": one.advisory.id,
        "summary": one.advisory.summary,
        "severity": one.advisory.severity,
        "source": one.advisory.source,
        "state": one.state,
        "fixed": one.fixed,
        "cure": one.cure,
    }
