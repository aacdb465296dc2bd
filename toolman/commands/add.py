"""`toolman add`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from toolman import choose
from toolman.commands import output
from toolman.context import BuildOptions
from toolman.libraries import choice, laying, packages

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context
    from toolman.toolchain import Toolchain

SUMMARY = "add libraries to a target: built once, laid into its sysroot"
EXAMPLES = """\
  toolman add arm64-musl zlib sqlite          static, from pinned sources
  toolman add arm64-musl openssl@3.0          a version, or how it begins; it replaces another
  toolman add arm64-musl curl --shared        .so files beside the static ones
  toolman add arm64-gnu libpq-dev             any package of the host's own distribution
  toolman list --libraries                    what there is
Then `#cgo pkg-config: zlib`, `-lz`, CMake's find_package and pkg-config find them. What a library
needs comes with it. toolman remove takes them away again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="an installed target, in any spelling")
    parser.add_argument("library", nargs="+", metavar="LIBRARY[@VERSION]")
    parser.add_argument("--libc", choices=("musl", "gnu"), help="for a platform named without one")
    parser.add_argument("--shared", action="store_true", help="with .so files, too")
    output.add_jobs(parser)
    parser.add_argument("--keep-work", action="store_true", help="keep what was built in between")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    build = BuildOptions(jobs=args.jobs, keep_work=args.keep_work)
    ctx = replace(ctx, build=build)
    chosen = choose.choose(args.target, ctx.store, libc=args.libc, directory=ctx.directory)
    before = choose.installed(chosen, ctx.store)
    more = [packages.wish(word, before, shared=args.shared) for word in args.library]
    made = laying.ensure(before, choice.added(choice.of(before.about.libraries), more), ctx)
    tell(made, before, args, ctx)
    return 0


def tell(made: Toolchain, before: Toolchain, args: argparse.Namespace, ctx: Context) -> None:
    """Say what libraries a target has now, and which have come and gone."""
    if args.json:
        output.print_json({"target": made.name, "path": str(made.path), "libraries": rows(made)})
        return
    old = {str(one) for one in before.about.libraries}
    new = {str(one) for one in made.about.libraries}
    for one in sorted(new - old):
        ctx.reporter.step(f"{made.name}: {one} added")
    for one in sorted(old - new):
        ctx.reporter.step(f"{made.name}: {one} removed")
    if made == before:
        ctx.reporter.step(f"{made.name} is as it was: {', '.join(sorted(new)) or 'no libraries'}")


def rows(found: Toolchain) -> list[dict[str, Any]]:
    """Its libraries, for JSON."""
    return [asdict(one) for one in found.about.libraries]
