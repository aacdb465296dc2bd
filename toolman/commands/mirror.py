"""`toolman mirror`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolman import index, store
from toolman.commands import output
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context

SUMMARY = "copy a repository, verified, without its keys"
EXAMPLES = """\
  toolman mirror sync https://example.org/toolchains /srv/www/toolchains --root root.json
  toolman mirror sync https://example.org/toolchains /media/stick/toolchains --root root.json
  toolman mirror sync oci://registry.example.org/team/toolchains /srv/www/t --root root.json
Say it again to bring the copy up to date: only what is missing is fetched. A copy is as good as
the repository, until its timestamp expires (3 days): sync it each day.
"""
_SCHEMES = [(f"{one}:",) for one in ("oci", "oci+http", "https", "http", "file")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    one = output.add_action(actions, "sync", "make or update a copy")
    one.add_argument("url", nargs="+", help="the repository, then mirrors of it")
    one.add_argument("directory", type=Path, metavar="DIR", help="the copy")
    one.add_argument(
        "--root", type=Path, required=True, metavar="FILE", help="its root, from somebody you trust"
    )
    one.add_argument(
        "--delete", action="store_true", help="delete the archives that it lists no more"
    )
    output.add_json(one)


def run(args: argparse.Namespace, ctx: Context) -> int:
    from toolman import mirror

    if args.directory.parts[:1] in _SCHEMES:
        hint = "into a registry: toolman publish push DIR oci://…"
        raise InputError("a copy is made in a directory", hint=hint)
    into = ctx.directory / args.directory
    root = output.root_of(ctx.directory / args.root)
    urls = [index.url_of(one, ctx.directory) for one in args.url]
    store.check_writable(into)
    with store.unwinding():
        held, files = mirror.read(urls, root, into, ctx.reporter.step)
        lacking = mirror.missing(held, into)
        size = sum(one.size for one in lacking)
        store.check_space({into: size})
        with ctx.reporter.bar(f"fetching {output.archives(len(lacking))}", size) as advance:
            mirror.download(lacking, urls, into, advance, ctx.reporter.step)
        mirror.finish(held, files, into, delete=args.delete)
    if args.json:
        values = {"archives": [one.to_json() for one in held], "fetched": len(lacking)}
        output.print_json({**values, "bytes": size})
    else:
        ctx.reporter.step(f"{into} holds {output.archives(len(held))}, {len(lacking)} of them new")
    return 0
