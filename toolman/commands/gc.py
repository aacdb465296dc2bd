"""`toolman gc`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman import gc, publish, store
from toolman.commands import output

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context

SUMMARY = "delete what nothing uses: superseded toolchains, what was broken off"
EXAMPLES = """\
  toolman gc --dry-run
  toolman gc
Of each name the toolchain stays that the name means now, and those that running programs use. A
shell that was set up before an update wants its `eval $(toolman env …)` again. What can be had
again is in the cache: see toolman cache.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    if not args.dry_run:
        store.check_writable(ctx.paths.data)
    found = gc.garbage(ctx.store)
    gone = found if args.dry_run else [one for one in found if gc.collect(one, ctx.store)]
    if not args.dry_run:
        publish.recover(ctx.store)
    size = sum(one.size for one in gone)
    if args.json:
        rows = [{"kind": one.kind, "path": str(one.path), "bytes": one.size} for one in gone]
        output.print_json({"dry_run": args.dry_run, "bytes": size, "deleted": rows})
        return 0
    for one in gone:
        ctx.reporter.step(f"{one.kind:<10} {one.size / 1e6:8.1f} MB  {one.path}")
    verb = "would be freed" if args.dry_run else "freed"
    ctx.reporter.step(f"{size / 1e6:.1f} MB {verb}")
    return 0
