"""`toolman override`."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import choose, store
from toolman import target as targets
from toolman.commands import output
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from toolman.context import Context
    from toolman.target import Target

    Chosen = dict[Path, list[Target]]

SUMMARY = "choose the target that a platform, or no word at all, means in a directory"
EXAMPLES = """\
  toolman override set arm64-gnu             here and below, linux/arm64 now means arm64-gnu
  toolman override set arm64-gnu --path DIR
  toolman override list
  toolman override unset                     forget what was chosen for this directory
It is yours alone, and wins over a toolman.toml in the same directory or above.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    one = output.add_action(actions, "set", "choose a target for a directory")
    one.add_argument("target", help="a target with its libc, as arm64-gnu")
    _add_path(one)
    one = output.add_action(actions, "unset", "forget what was chosen for a directory")
    _add_path(one)
    output.add_json(output.add_action(actions, "list", "show what was chosen"))


def run(args: argparse.Namespace, ctx: Context) -> int:
    _ACTIONS[args.action](args, ctx)
    return 0


def _set(args: argparse.Namespace, ctx: Context) -> None:
    chosen = targets.with_libc(args.target)
    where = _directory(args, ctx)
    if not where.is_dir():
        raise InputError(f"{where} is no directory", hint="name one that is there: --path DIR")
    with _changing(ctx) as every:
        every[where] = choose.first_of_each([chosen, *every.get(where, [])])
    ctx.reporter.step(f"{chosen.platform} means {chosen} in {where} and below")


def _unset(args: argparse.Namespace, ctx: Context) -> None:
    where = _directory(args, ctx)
    if where not in choose.overrides(ctx.store):
        raise InputError(f"nothing is chosen for {where}", hint="see: toolman override list")
    with _changing(ctx) as every:
        every.pop(where, None)
    ctx.reporter.step(f"nothing is chosen for {where} any more")


def _list(args: argparse.Namespace, ctx: Context) -> None:
    rows = sorted(choose.overrides(ctx.store).items())
    if args.json:
        values = [
            {"directory": str(where), "targets": [one.name for one in chosen]}
            for where, chosen in rows
        ]
        output.print_json({"overrides": values})
        return
    if not rows:
        ctx.reporter.step("nothing is chosen for any directory")
        return
    lines = [
        (str(where), " ".join(one.name for one in chosen), "" if where.is_dir() else "is gone")
        for where, chosen in rows
    ]
    output.table([("DIRECTORY", "TARGETS", ""), *lines])


def _add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--path", type=Path, metavar="DIR", help="not this directory, but that")


def _directory(args: argparse.Namespace, ctx: Context) -> Path:
    # As the working directory is known: without links.
    return (ctx.directory / (args.path or ".")).resolve()


@contextmanager
def _changing(ctx: Context) -> Iterator[Chosen]:
    """What is chosen, to be changed; the file is there only if something is.

    The launcher looks at it: without the file, it answers by itself.
    """
    store.check_writable(ctx.paths.data)
    with ctx.store.lock("override", lambda: None):
        every = choose.overrides(ctx.store)
        yield every
        rows = {str(where): [one.name for one in every[where]] for where in sorted(every)}
        if rows:
            text = json.dumps({"schema": 1, "directories": rows}, indent=1)
            store.write(ctx.paths.overrides, text + "\n")
        else:
            ctx.paths.overrides.unlink(missing_ok=True)


_ACTIONS = {"set": _set, "unset": _unset, "list": _list}
