"""`toolman cache`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from toolman import cache, store
from toolman.commands import output

if TYPE_CHECKING:
    from toolman.context import Context

SUMMARY = "show and empty the cache: downloads, and what builds go on with"
EXAMPLES = """\
  toolman cache dir
  toolman cache size
  toolman cache clean --older-than 30      what nothing was written to for 30 days
  toolman cache clean                      all of it; installed toolchains need nothing of it
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    output.add_json(output.add_action(actions, "dir", "print where it is"))
    output.add_json(output.add_action(actions, "size", "show what it holds, by kind"))
    one = output.add_action(actions, "clean", "delete it, but for what is in use")
    one.add_argument("--older-than", type=_days, metavar="DAYS", default=0.0)
    output.add_json(one)


def run(args: argparse.Namespace, ctx: Context) -> int:
    _ACTIONS[args.action](args, ctx)
    return 0


def _dir(args: argparse.Namespace, ctx: Context) -> None:
    if args.json:
        output.print_json({"directory": str(ctx.paths.cache)})
    else:
        print(ctx.paths.cache)


def _size(args: argparse.Namespace, ctx: Context) -> None:
    found = cache.items(ctx.paths.cache)
    if args.json:
        output.print_json({"directory": str(ctx.paths.cache), **_sums(found)})
        return
    sums = _sums(found)["kinds"]
    rows = [("KIND", "ITEMS", "MB")]
    for kind, one in sums.items():
        rows.append((kind, str(one["items"]), f"{one['bytes'] / 1e6:.1f}"))
    total = sum(one.size for one in found)
    output.table([*rows, ("all", str(len(found)), f"{total / 1e6:.1f}")])


def _clean(args: argparse.Namespace, ctx: Context) -> None:
    store.check_writable(ctx.paths.cache)
    every = cache.items(ctx.paths.cache)
    # Without a limit what a wrong clock has dated into the future, too.
    doomed = cache.older(every, args.older_than * 86400) if args.older_than else every
    with ctx.reporter.bar("cleaning", sum(one.size for one in doomed)) as advance:
        gone, busy = [], 0
        for one in doomed:
            if cache.remove(one, ctx.paths.cache):
                gone.append(one)
            else:
                busy += 1
            advance(one.size)
    if args.json:
        output.print_json({**_sums(gone), "in_use": busy})
        return
    left = f"; {busy} left, which are in use or cannot be deleted" if busy else ""
    ctx.reporter.step(f"{sum(one.size for one in gone) / 1e6:.1f} MB freed{left}")


def _sums(found: list[cache.Item]) -> dict[str, Any]:
    kinds = {}
    for kind in cache.KINDS:
        sizes = [one.size for one in found if one.kind == kind]
        kinds[kind] = {"items": len(sizes), "bytes": sum(sizes)}
    return {"bytes": sum(one.size for one in found), "kinds": kinds}


def _days(text: str) -> float:
    if text.isascii() and text.isdigit() and len(text) < 6:
        return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of days")


_ACTIONS = {"dir": _dir, "size": _size, "clean": _clean}
