"""`toolman update`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolman import choose, lockfile, project
from toolman.commands import output
from toolman.context import BuildOptions
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context
    from toolman.newer import Newer
    from toolman.toolchain import Toolchain

SUMMARY = "replace installed toolchains by what their origins have now"
EXAMPLES = """\
  toolman update                  all that are in use
  toolman update arm64-musl
  toolman update --check          only tell; exit code 100 if there is something newer
What was there stays in the store. What a toolman.toml says of a target's gcc and recipe is kept to.
A toolman.lock is not changed: toolman lock --bump does that.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="*", help="a target, in any spelling; all without")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 100 if newer")
    output.add_jobs(parser)
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    ctx = replace(ctx, build=BuildOptions(jobs=args.jobs))
    installed = _named(args.target, ctx) if args.target else _all(ctx)
    found = _look(installed, ctx)
    if args.check:
        _show(found, installed, args, ctx)
        return output.FOUND if found else 0
    from toolman import install

    for one in found:
        made = install.ensure_exactly(one, ctx).toolchain
        ctx.reporter.step(f"{one.name} updated: gcc {made.about.version}, {_said(one)}")
    if args.json:
        output.print_json({"updated": [_row(one) for one in found]})
    elif not found:
        ctx.reporter.step("nothing is newer than what is installed")
    _mind_the_lock(found, ctx)
    return 0


def _named(words: list[str], ctx: Context) -> list[Toolchain]:
    found = []
    for word in words:
        choice = choose.choose(word, ctx.store, directory=ctx.directory)
        one = choose.installed(choice, ctx.store)
        if one.about.origin == "linked":
            hint = f"toolman link {one.name} DIR puts another in its place"
            raise InputError(f"{one.name} is linked: it is yours to update", hint=hint)
        found.append(one)
    return found


def _all(ctx: Context) -> list[Toolchain]:
    names = sorted({one.name for one in ctx.store.toolchains() if one.about.origin != "linked"})
    found = [one for one in map(ctx.store.active, names) if one]
    return [one for one in found if one.about.origin != "linked"]


def _look(installed: list[Toolchain], ctx: Context) -> list[Newer]:
    from toolman import index, newer

    if any(one.about.origin == "prebuilt" for one in installed):
        for one in index.indexes(ctx):
            index.refresh(one, ctx)
    pin = project.find_pin(ctx.directory)
    wishes = {one.target.name: one.request for one in pin.wants} if pin else {}
    bases = [ctx.store.base(one) or one for one in installed]
    looked = [newer.newer(one, ctx, wishes.get(one.name)) for one in bases]
    return [one for one in looked if one]


def _show(
    found: list[Newer], installed: list[Toolchain], args: argparse.Namespace, ctx: Context
) -> None:
    if args.json:
        output.print_json({"updates": [_row(one) for one in found]})
        return
    if not installed:
        ctx.reporter.step("nothing is installed that could be updated")
        return
    news = {one.name: one for one in found}
    lines = [("NAME", "ORIGIN", "GCC", "NEWER")]
    for one in installed:
        said = _said(news[one.name]) if one.name in news else "-"
        lines.append((one.name, one.about.origin, one.about.version, said))
    output.table(lines)


def _said(one: Newer) -> str:
    first, *more = one.changes
    return f"{first}, and {len(more)} more" if more else first


def _row(one: Newer) -> dict[str, Any]:
    old = one.old.about
    return {
        "name": one.name,
        "origin": old.origin,
        "installed": {"gcc": old.version, "digest": old.digest},
        "available": {"gcc": one.gcc, "digest": one.digest},
        "changes": one.changes,
    }


def _mind_the_lock(found: list[Newer], ctx: Context) -> None:
    pin = project.find_pin(ctx.directory)
    if found and pin and lockfile.beside(pin).exists():
        file = lockfile.beside(pin)
        ctx.reporter.step(f"note: {file} is as it was; toolman lock --bump changes it")
