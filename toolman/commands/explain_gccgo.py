"""`toolman explain --compiler gccgo`: what its library and language lack for a build."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from toolman import gccgo
from toolman.commands import output
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from toolman.gccgo import Examined, Lack
    from toolman.target import Platform
    from toolman.toolchain import Toolchain

CURE = "build with gc, or keep it out of gccgo's build by //go:build !gccgo"
_MOST = 10  # lines before a build


def run(
    args: argparse.Namespace,
    packages: Sequence[str],
    build: Mapping[str, Any],
    platform: Platform,
    chosen: Toolchain | None,
) -> int:
    """1 if the build will fail; with --quiet only that is said, and of loops one line."""
    if args.svg:
        raise InputError("--svg is a picture of cgo", hint="leave --compiler gccgo away")
    has = chosen is not None and "gccgo" in chosen.about.tools
    compiler = chosen.tool("gccgo") if chosen and has else None
    found = gccgo.examine(packages, **build, gccgo=compiler, tests=args.tests)
    version = chosen.about.version if chosen and has else None
    if args.json:
        output.print_json(_as_json(found, platform, version))
    elif args.quiet:
        print("\n".join(_brief(found, packages)), end="\n" if found.lacks else "")
    else:
        print("\n".join(_lines(found, f"{platform}, gccgo {version or '(not installed)'}")))
    return int(not found.builds)


def said(one: Lack) -> str:
    """In a line: `main.go:6: imports log/slog, of Go 1.21`."""
    more = f" and {one.count - 1} more" if one.count > 1 else ""
    text = {
        "import": f"imports {one.what}" + (f", of Go {one.since}" if one.since else ""),
        "name": f"uses {one.what}, which its library does not have",
        "language": f"uses {one.what}, which its language does not have",
        "assembly": "is written for Go's assembler, and goes to the C compiler's",
        "loop": f"keeps {one.what}, a variable that is the same in all iterations here",
    }[one.kind]
    return f"{one.file}:{one.line}{more}: {text}"


def _lines(found: Examined, head: str) -> Iterator[str]:
    count = len({one.package for one in found.lacks if one.kind != "loop"})
    verb = "needs" if count == 1 else "need"
    yield f"{head}: {count} of {found.total} packages {verb} what its Go 1.18 lacks"
    for package, lacks in groupby(found.lacks, key=lambda one: (one.package, one.module)):
        yield ""
        yield f"{package[0]}  ({package[1] or 'no module'})"
        yield from (f"  {said(one)}" for one in lacks)
    if not found.builds:
        yield ""
        yield f"What to do: {CURE}"


def _brief(found: Examined, packages: Sequence[str]) -> Iterator[str]:
    loops = [one for one in found.lacks if one.kind == "loop"]
    others = [one for one in found.lacks if one.kind != "loop"]
    see = f"toolman explain --compiler gccgo {' '.join(packages)}"
    if others:
        yield "error: gccgo's library and language are those of Go 1.18, without generics"
        yield from (f"  {said(one)}" for one in others[:_MOST])
        if len(others) > _MOST:
            yield f"  and {len(others) - _MOST} more; see: {see}"
        yield f"hint: {CURE}"
    if loops:
        yield f"note: {said(loops[0])} ({len(loops)} such; see: {see})"


def _as_json(found: Examined, platform: Platform, version: str | None) -> dict[str, Any]:
    return {
        "platform": str(platform),
        "compiler": "gccgo",
        "gccgo": version,
        "lacks": [asdict(one) for one in found.lacks],
        "builds": found.builds,
        "total": found.total,
    }
