"""`toolman sync`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolman import lockfile, project
from toolman.commands import lock, output
from toolman.context import BuildOptions

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context
    from toolman.install import Result

SUMMARY = "install exactly what toolman.lock says"
EXAMPLES = """\
  toolman sync                locks first where toolman.lock does not fit toolman.toml
  toolman sync --locked       in CI: fails there instead
What else is installed stays, but the locked toolchains become the ones that their names mean.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--locked", action="store_true", help="fail if toolman.lock does not fit toolman.toml"
    )
    output.add_jobs(parser)
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    ctx = replace(ctx, build=BuildOptions(jobs=args.jobs))
    pin = project.needed(ctx.directory)
    held = lockfile.read(lockfile.beside(pin))
    found = lock.checked(held, pin, ctx) if args.locked else lock.renewed(held, pin, ctx)
    from toolman import install, locking
    from toolman.libraries import choice, laying

    wanted = [locking.exactly(one, ctx) for one in found.toolchains]
    libraries = [locking.libraries(one) for one in found.toolchains]
    results = []
    for one, wishes in zip(wanted, libraries, strict=True):
        results.append(install.ensure_exactly(one, ctx))
        _tell(results[-1], ctx)
        if wishes:
            made = results[-1].toolchain
            laying.ensure(made, choice.added(choice.of(made.about.libraries), wishes), ctx)
    if args.json:
        output.print_json({"toolchains": [_row(one) for one in results]})
    return 0


def _tell(result: Result, ctx: Context) -> None:
    made = result.toolchain
    state = "installed" if result.fresh else "is the locked one"
    ctx.reporter.step(f"{made.name} {state}: gcc {made.about.version}, origin {made.about.origin}")


def _row(result: Result) -> dict[str, Any]:
    return {**output.summary(result.toolchain), "fresh": result.fresh}
