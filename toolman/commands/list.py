"""`toolman list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolman import choose, recipe, target
from toolman.commands import output
from toolman.request import LANGUAGES, Request

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from types import ModuleType

    from toolman.catalogue import Offer
    from toolman.context import Context
    from toolman.target import Target
    from toolman.toolchain import Description

    Origins = dict[str, ModuleType]

SUMMARY = "list the installed toolchains, or all targets"
EXAMPLES = """\
  toolman list
  toolman list --available
  toolman list --recipes
  toolman list --libraries             what toolman add can have
  toolman list --libraries arm64-musl  what has been added
  toolman list --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--available", action="store_true", help="all targets and who offers them")
    parser.add_argument("--recipes", action="store_true", help="what origin source can build")
    parser.add_argument(
        "--libraries",
        nargs="?",
        const="",
        metavar="TARGET",
        help="what can be added; of a target, what has been",
    )
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    if args.libraries is not None:
        from toolman.commands import list_libraries

        return list_libraries.run(args, ctx)
    if args.recipes:
        return _recipes(args)
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
    bases = {one.about.base for one in installed if one.path in active}
    lines = [("NAME", "GCC", "LANGUAGES", "ORIGIN", "")]
    for one in installed:
        notes = [] if one.path in active else ["superseded"]
        notes = ["below its libraries"] if one.path.name in bases else notes
        notes += ["default"] if one.name in defaults else []
        notes += [f"with {', '.join(map(str, one.about.libraries))}"] if one.about.base else []
        languages = ",".join(one.about.languages)
        said = (one.name, one.about.version, languages, one.about.origin, " ".join(notes))
        lines.append(said)
    output.table(lines)
    return 0


def _recipes(args: argparse.Namespace) -> int:
    known = recipe.recipes()
    if args.json:
        rows = [
            {
                "name": one.name,
                "summary": one.summary,
                "components": dict(one.components),
                "targets": [str(target) for target in one.targets],
            }
            for one in known
        ]
        output.print_json({"recipes": rows})
        return 0
    lines = [(one.name, one.summary, " ".join(map(str, one.targets))) for one in known]
    output.table([("RECIPE", "", "TARGETS"), *lines])
    return 0


def _available(args: argparse.Namespace, ctx: Context) -> int:
    names = {one.name for one in ctx.store.toolchains()}
    # A tenth of a second to import: kept off the path of the plain list.
    from toolman import catalogue
    from toolman.origins import distro, prebuilt, source

    origins: Origins = {distro.NAME: distro, source.NAME: source}
    rows = [_row(one, one.name in names, origins, ctx) for one in target.targets()]
    listed = list(prebuilt.listed(ctx))
    rows = [{**row, prebuilt.NAME: _listed(row["target"], listed)} for row in rows]
    running = [one for one in catalogue.offers(ctx.environ) if one.runs_on(ctx.host)]
    rows = [{**row, "publishers": _published(row["target"], running)} for row in rows]
    if args.json:
        output.print_json({"targets": rows})
        return 0
    lines = [
        (
            "TARGET",
            "PLATFORM",
            "TRIPLE",
            "PREBUILT",
            "FROM THIS HOST'S ARCHIVE",
            "FROM SOURCE",
            "--PUBLISHER",
            "",
        )
    ]
    for row in rows:
        columns = (prebuilt.NAME, *origins, "publishers")
        offers = [",".join(row[name]) or "-" for name in columns]
        note = "installed" if row["installed"] else ""
        lines.append((row["target"], row["platform"], row["triple"], *offers, note))
    output.table(lines)
    return 0


def _row(one: Target, installed: bool, origins: Origins, ctx: Context) -> dict[str, Any]:
    """What the recipes know; whether the archive really carries it, `install --dry-run` asks."""
    return {
        "target": one.name,
        "platform": one.platform.docker,
        "triple": one.triple,
        **{name: _languages(module, one, ctx) for name, module in origins.items()},
        "reason": origins["distro"].offers(Request(target=one), ctx),
        "installed": installed,
    }


def _listed(name: str, every: Iterable[Description]) -> list[str]:
    """What the archives for a target offer, one with another."""
    found = {
        language for about in every if about.target.name == name for language in about.languages
    }
    return [language for language in LANGUAGES if language in found]


def _published(name: str, running: Iterable[Offer]) -> dict[str, list[dict[str, Any]]]:
    """What other publishers have for a target, by publisher."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in running:
        if one.target.name == name:
            said: dict[str, Any] = {
                "release": one.release,
                "languages": one.languages,
                "sha256": one.sha256,
            }
            said |= {"components": {"gcc": one.gcc, **one.components}}
            said |= {"licence": one.publisher.licence, "note": one.note}
            found.setdefault(one.publisher.name, []).append(said)
    return found


def _languages(origin: ModuleType, one: Target, ctx: Context) -> list[str]:
    """What `origin` offers for a target."""
    wanted = {language: Request(target=one, languages=(language,)) for language in LANGUAGES}
    return [name for name, request in wanted.items() if origin.offers(request, ctx) is None]
