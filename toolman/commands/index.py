"""`toolman index`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import index, report, web
from toolman.commands import output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from toolman.context import Context
    from toolman.index import Archive, Index

SUMMARY = "say whose prebuilt archives to trust: signed lists of them"
EXAMPLES = """\
  toolman index add corp https://example.org/toolchains --root corp-root.json
  toolman index add corp oci://registry.example.org/team/toolchains --root corp-root.json
  toolman index add stick /media/stick/toolchains --root corp-root.json
  toolman index add corp https://a.example.org/t https://b.example.org/t --root corp-root.json
                                     (the same repository at two places)
  toolman index list --json
  toolman index refresh              ask all of them now; `install` does so once an hour
  toolman index remove corp
"""
_NONE = "no index was added; see: toolman index add --help"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    one = output.add_action(actions, "add", "trust a repository")
    one.add_argument("name", help="what to call it here")
    one.add_argument("url", nargs="+", help="where it is, then its mirrors; or a directory")
    one.add_argument(
        "--root", type=Path, required=True, metavar="FILE", help="its root, from somebody you trust"
    )
    output.add_json(one)
    output.add_json(output.add_action(actions, "list", "show what was added"))
    one = output.add_action(actions, "refresh", "ask now what a repository holds")
    one.add_argument("name", nargs="?", help="which one; all without")
    output.add_json(one)
    one = output.add_action(actions, "remove", "trust a repository no more")
    one.add_argument("name", help="which one")
    output.add_json(one)


def run(args: argparse.Namespace, ctx: Context) -> int:
    _ACTIONS[args.action](args, ctx)
    return 0


def _add(args: argparse.Namespace, ctx: Context) -> None:
    made = index.add(args.name, args.url, output.root_of(ctx.directory / args.root), ctx)
    held = index.known(made)
    if args.json:
        output.print_json({"index": _summary(made, held)})
    else:
        ctx.reporter.step(_held(made, held))


def _list(args: argparse.Namespace, ctx: Context) -> None:
    rows = [(one, index.last(one)) for one in index.indexes(ctx)]
    if args.json:
        values = [
            {
                **_summary(one, kept.archives if kept else ()),
                "age": round(kept.age) if kept else None,
            }
            for one, kept in rows
        ]
        output.print_json({"indexes": values})
        return
    if not rows:
        ctx.reporter.step(_NONE)
        return
    lines = [("NAME", "ARCHIVES", "ASKED", "URL")]
    for one, kept in rows:
        asked = f"{report.ago(kept.age)} ago" if kept else "never"
        url = web.shown(one.urls[0]) if one.urls else "(by import)"
        lines.append((one.name, str(len(kept.archives) if kept else 0), asked, url))
    output.table(lines)


def _refresh(args: argparse.Namespace, ctx: Context) -> None:
    chosen = [index.find(args.name, ctx)] if args.name else index.indexes(ctx)
    found = [(one, index.refresh(one, ctx)) for one in chosen]
    if args.json:
        output.print_json({"indexes": [_summary(one, held) for one, held in found]})
        return
    if not found:
        ctx.reporter.step(_NONE)
    for one, held in found:
        ctx.reporter.step(_held(one, held))


def _remove(args: argparse.Namespace, ctx: Context) -> None:
    index.remove(args.name, ctx)
    if args.json:
        output.print_json({"removed": args.name})
    else:
        ctx.reporter.step(f"index {args.name} removed; what was installed from it stays")


def _held(one: Index, held: Sequence[Archive]) -> str:
    targets = sorted({some.about.target.name for some in held})
    said = f": {', '.join(targets)}" if targets else ""
    return f"index {one.name}: {output.archives(len(held))}{said}"


def _summary(one: Index, held: Sequence[Archive]) -> dict[str, Any]:
    return {
        "name": one.name,
        "urls": [web.shown(url) for url in one.urls],
        "archives": [_row(some) for some in held],
    }


def _row(one: Archive) -> dict[str, Any]:
    values = one.to_json()
    for key in ("schema", "tools", "components"):
        del values["toolchain"][key]
    return values


_ACTIONS = {"add": _add, "list": _list, "refresh": _refresh, "remove": _remove}
