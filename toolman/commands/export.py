"""`toolman export`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import choose, index, report, store
from toolman.commands import output
from toolman.errors import InputError, NetworkError
from toolman.host import Host
from toolman.request import Request, languages

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from toolman.context import Context
    from toolman.index import Archive, Index

SUMMARY = "write toolchains of an index into one file, for machines without a network"
EXAMPLES = """\
  toolman export tools.tar arm64-musl
  toolman export tools.tar arm64-musl armv7-musl --host debian12-x86_64 --host ubuntu24.04-x86_64
and there, where the index is known or its root is at hand:
  toolman import tools.tar
  toolman import tools.tar --root corp-root.json
The file is good until the timestamp of the index expires; the message says when that is.
"""
_HOST = re.compile(r"[a-z0-9._]+-[a-z0-9_]+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the file to write")
    parser.add_argument("target", nargs="+", help="a target, in any spelling")
    parser.add_argument(
        "--host",
        action="append",
        metavar="HOST",
        help="who will use them, as debian12-x86_64 (default: this one)",
    )
    parser.add_argument(
        "--with", dest="languages", default="", metavar="LANG,…", help="c++, gccgo, fortran"
    )
    parser.add_argument("--index", metavar="NAME", help="of which index (default: the first)")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    from toolman import exported
    from toolman.origins import prebuilt

    into = ctx.directory / args.file
    if into.is_dir() or not into.parent.is_dir():
        raise InputError(f"{into} can be no file")
    one, chosen = _chosen(args, ctx)
    files = exported.signed(one)
    plans = [prebuilt.of_index(some, one, ctx) for some in chosen]
    total = sum(some.size for some in chosen)
    missing = sum(plan.download for plan in plans)
    store.check_writable(ctx.paths.cache)
    store.check_space({ctx.paths.cache: missing})
    for plan in plans:
        prebuilt.obtain(plan, ctx)
    store.check_space({into.parent: total})
    blobs = {plan.archive.sha256: plan.place for plan in plans}
    with store.unwinding(), ctx.reporter.bar("exporting", total) as advance:
        exported.write(into, one, files, blobs, advance)
    size = into.stat().st_size
    if args.json:
        values = {"file": str(into), "index": one.name, "bytes": size}
        rows = [some.to_json() for some in chosen]
        output.print_json({**values, "until": exported.until(files), "archives": rows})
        return 0
    held = f"{output.archives(len(chosen))} of index {one.name}, {size / 1e6:.1f} MB"
    ctx.reporter.step(f"{into}: {held}; to be imported before {exported.until(files)}")
    return 0


def _chosen(args: argparse.Namespace, ctx: Context) -> tuple[Index, list[Archive]]:
    """The first index that has all that is asked for, and which archives those are."""
    targets = [choose.choose(word, ctx.store, directory=ctx.directory) for word in args.target]
    wanted = languages(word for word in args.languages.split(",") if word)
    asked = {one.target.name: Request(target=one.target, languages=wanted) for one in targets}
    hosts = [_host(word) for word in dict.fromkeys(args.host)] if args.host else [ctx.host]
    known = [index.find(args.index, ctx)] if args.index else index.indexes(ctx)
    lacking = ["no index is known"]
    for one in known:
        found, lacking = _of(_asked(one, ctx), list(asked.values()), hosts)
        if not lacking:
            return one, list({some.sha256: some for some in found}.values())
        lacking = [f"{text} in index {one.name}" for text in lacking]
    raise InputError(
        f"there is {lacking[0]}" if known else lacking[0],
        hint="what an index lacks comes there by: toolman pack, toolman publish add",
    )


def _of(
    held: Sequence[Archive], requests: Sequence[Request], hosts: Sequence[Host]
) -> tuple[list[Archive], list[str]]:
    """The archives for each request and host, and the words for what there is none of."""
    from toolman.origins import prebuilt

    found, lacking = [], []
    for request in requests:
        for host in hosts:
            best = prebuilt.best(held, request, host)
            if best:
                found.append(best)
            else:
                lacking.append(f"no {request} for {host.key}")
    return found, lacking


def _asked(one: Index, ctx: Context) -> list[Archive]:
    """What an index says now: the younger its signatures, the longer is the file good."""
    try:
        return index.refresh(one, ctx)
    except NetworkError as error:
        kept = index.last(one)
        if kept is None:
            raise
        ctx.reporter.step(f"warning: {error}; taking what it said {report.ago(kept.age)} ago")
        return list(kept.archives)


def _host(word: str) -> Host:
    if not _HOST.fullmatch(word):
        raise InputError(f"{word!r} is no host", hint="as in: debian12-x86_64, ubuntu24.04-aarch64")
    system, _, machine = word.rpartition("-")
    return Host(system=system, codename="", machine=machine)
