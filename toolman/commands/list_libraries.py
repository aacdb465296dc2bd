"""`toolman list --libraries`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman import choose
from toolman.commands import add, output
from toolman.libraries import recipe

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context


def run(args: argparse.Namespace, ctx: Context) -> int:
    """All libraries that there are recipes of; of a target, those in its sysroot."""
    return _added(args, ctx) if args.libraries else _every(args, ctx)


def _every(args: argparse.Namespace, ctx: Context) -> int:
    known = [recipe.load(name) for name in recipe.names()]
    places: dict[str, list[str]] = {}
    for name in sorted({one.name for one in ctx.store.toolchains()}):
        found = ctx.store.active(name)
        for laid in found.about.libraries if found else ():
            places.setdefault(laid.name, []).append(name)
    if args.json:
        rows = [
            {
                "name": one.name,
                "summary": one.summary,
                "versions": one.versions,
                "needs": ["|".join(some) for some in one.needs],
                "excludes": one.excludes,
                "pkgconfig": one.pkgconfig,
                "added": places.get(one.name, []),
            }
            for one in known
        ]
        output.print_json({"libraries": rows})
        return 0
    lines = [("LIBRARY", "VERSIONS", "PKG-CONFIG", "", "ADDED TO")]
    for one in known:
        words = (", ".join(one.versions), " ".join(one.pkgconfig), one.summary)
        lines.append((one.name, *words, " ".join(places.get(one.name, []))))
    output.table(lines)
    return 0


def _added(args: argparse.Namespace, ctx: Context) -> int:
    chosen = choose.choose(args.libraries, ctx.store, directory=ctx.directory)
    found = choose.installed(chosen, ctx.store)
    if args.json:
        output.print_json({"target": found.name, "libraries": add.rows(found)})
        return 0
    if not found.about.libraries:
        ctx.reporter.step(f"{found.name} has no libraries; see: toolman add --help")
        return 0
    lines = [("LIBRARY", "VERSION", "LICENCE", "", "")]
    for one in found.about.libraries:
        users = [other.name for other in found.about.libraries if one.name in other.needs]
        why = "" if one.asked else f"for {', '.join(users)}"
        kinds = "static, shared" if one.shared else "static"
        lines.append((one.name, one.version, one.license, kinds, why))
    output.table(lines)
    return 0
