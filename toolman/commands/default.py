"""`toolman default`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from toolman import choose, publish, store
from toolman import target as targets
from toolman.commands import output

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context
    from toolman.target import Target

SUMMARY = "choose the target that a platform, or no word at all, means"
EXAMPLES = """\
  toolman default                    show what is chosen
  toolman default arm64-gnu          linux/arm64 now means arm64-gnu; `env` alone too
  toolman default --unset            forget all of it
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", help="a target with its libc, as arm64-gnu")
    parser.add_argument("--unset", action="store_true", help="forget what was chosen")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    chosen = choose.defaults(ctx.store)
    if args.unset or args.target:
        chosen = [] if args.unset else [targets.with_libc(args.target), *chosen]
        chosen = choose.first_of_each(chosen)
        _choose(chosen, ctx)
    names = [one.name for one in chosen]
    if args.json:
        output.print_json({"defaults": names})
    else:
        print("\n".join(names) if names else "nothing is chosen: musl, and a target must be named")
    return 0


def _choose(chosen: list[Target], ctx: Context) -> None:
    store.check_writable(ctx.paths.data)
    text = json.dumps({"schema": 1, "targets": [one.name for one in chosen]})
    # What is staged tells the next command, should this one be killed, to publish.
    with ctx.store.lock("default", lambda: None), ctx.store.stage("default"):
        store.write(ctx.paths.defaults, text + "\n")
        publish.publish(ctx.store)
