"""`toolman list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolman import choose, target
from toolman.commands import output
from toolman.origins import distro
from toolman.request import LANGUAGES, Request

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context
    from toolman.target import Target

SUMMARY = "list the installed toolchains, or all targets"
EXAMPLES = """\
  toolman list
  toolman list --available
  toolman list --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--available", action="store_true", help="all targets and who offers them")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    return _available(args, ctx) if args.available else _installed(args, ctx)


def _installed(args: argparse.Namespace, ctx: Context) -> int:
    installed = ctx.store.toolchains()
    active = {one.path for one in filter(None, (ctx.store.active(o.name) for o in installed))}
    defaults = [one.name for one in choose.defaults(ctx.store)]
    if args.json:
        rows = [{**output.summary(one), "active": one.path in active} for one in installed]
        output.print_json({"toolchains": rows, "defaults": defaults})
        return 0
    if not installed:
        ctx.reporter.step("nothing is installed; begin with: toolman install arm64-musl")
        return 0
    lines = [("NAME", "GCC", "LANGUAGES", "ORIGIN", "")]
    for one in installed:
        notes = [] if one.path in active else ["superseded"]
        notes += ["default"] if one.name in defaults else []
        languages = ",".join(one.about.languages)
        said = (one.name, one.about.version, languages, one.about.origin, " ".join(notes))
        lines.append(said)
    output.table(lines)
    return 0


def _available(args: argparse.Namespace, ctx: Context) -> int:
    names = {one.name for one in ctx.store.toolchains()}
    rows = [_row(one, one.name in names, ctx) for one in target.targets()]
    if args.json:
        output.print_json({"targets": rows})
        return 0
    lines = [("TARGET", "PLATFORM", "TRIPLE", "FROM THIS HOST'S ARCHIVE", "")]
    for row in rows:
        offer = ",".join(row["distro"]) or row["reason"]
        note = "installed" if row["installed"] else ""
        lines.append((row["target"], row["platform"], row["triple"], offer, note))
    output.table(lines)
    return 0


def _row(one: Target, installed: bool, ctx: Context) -> dict[str, Any]:
    """What the recipe knows; whether the archive really carries it, `install --dry-run` asks."""
    offered = [
        language
        for language in LANGUAGES
        if distro.offers(Request(target=one, languages=(language,)), ctx.host) is None
    ]
    return {
        "target": one.name,
        "platform": one.platform.docker,
        "triple": one.triple,
        "distro": offered,
        "reason": distro.offers(Request(target=one), ctx.host),
        "installed": installed,
    }
