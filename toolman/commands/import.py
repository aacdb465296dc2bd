"""`toolman import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import index, install, store
from toolman.commands import output
from toolman.errors import InputError
from toolman.request import Request

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from toolman.context import Context
    from toolman.exported import Export
    from toolman.index import Archive, Index

SUMMARY = "install what `toolman export` wrote; verified, and without a network"
EXAMPLES = """\
  toolman import tools.tar
  toolman import tools.tar --root corp-root.json     where the index is not known yet
  toolman import tools.tar --no-install              into the cache; install later, offline
Nothing in the file is believed but what the keys of that root have signed. It must be no older
than what was seen of the index, and its signatures must not have expired.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="what toolman export wrote")
    parser.add_argument(
        "--root", type=Path, metavar="FILE", help="the root of its index, from somebody you trust"
    )
    parser.add_argument("--index", metavar="NAME", help="which index it is, or is to be, here")
    parser.add_argument("--no-install", action="store_true", help="only put it into the cache")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    from toolman import exported

    for directory in (ctx.paths.data, ctx.paths.cache):
        store.check_writable(directory)
    path = ctx.directory / args.file
    with exported.opened(path) as file:
        one = _learned(file, args, ctx)
        carried = [some for some in index.known(one) if file.has(some)]
        _cache(file, carried, ctx)
    chosen = [] if args.no_install else _runnable(carried, ctx)
    results = [_installed(some, one, ctx) for some in chosen]
    if args.json:
        rows = [some.to_json() for some in carried]
        values: dict[str, Any] = {"index": one.name, "archives": rows}
        installed = [{**output.summary(some.toolchain), "fresh": some.fresh} for some in results]
        output.print_json({**values, "installed": installed})
    elif not chosen:
        ctx.reporter.step(f"index {one.name}: {output.archives(len(carried))} put into the cache")
    return 0


def _learned(file: Export, args: argparse.Namespace, ctx: Context) -> Index:
    """The index that the file is of, with the news from it.

    Raises:
        InputError: it is not known here, and no root was given; or another was.
        IntegrityError: the file is not what the keys of that root have signed.
    """
    name = args.index or file.index
    root = output.root_of(ctx.directory / args.root) if args.root else None
    if name not in {one.name for one in index.indexes(ctx)}:
        if root is None:
            hint = "give its root: --root FILE; or its name here: --index NAME"
            raise InputError(f"there is no index {name!r} here", hint=hint)
        return index.add(name, [], root, ctx, file.get)
    one = index.find(name, ctx)
    if root not in (None, (one.directory / "root.json").read_bytes()):
        hint = f"give no --root; or, to trust the new one: toolman index remove {name}"
        raise InputError(f"index {name} is known, by another root", hint=hint)
    index.refresh(one, ctx, file.get)
    return one


def _cache(file: Export, carried: Sequence[Archive], ctx: Context) -> None:
    from toolman.origins import prebuilt

    total = sum(some.size for some in carried)
    store.check_space({ctx.paths.cache: total})
    with store.unwinding(), ctx.reporter.bar("importing", total) as advance:
        for some in carried:
            file.copy(some, prebuilt.cached(some, ctx.paths.cache), advance)


def _runnable(carried: Sequence[Archive], ctx: Context) -> list[Archive]:
    """Of each target the archive that this host takes."""
    from toolman.origins import prebuilt

    targets = {some.about.target.name: some.about.target for some in carried}
    found = [prebuilt.best(carried, Request(target=one), ctx.host) for one in targets.values()]
    return [some for some in found if some]


def _installed(some: Archive, one: Index, ctx: Context) -> install.Result:
    from toolman.origins import prebuilt

    result = install.ensure_exactly(prebuilt.Listed(archive=some, index=one), ctx)
    output.tell_installed(result, ctx)
    return result
