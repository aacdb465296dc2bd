"""gmp, mpfr and mpc: the arithmetic of the compiler itself. Static, and shared by all targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman.build import flags
from toolman.build.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolman.build.blueprint import Blueprint
    from toolman.build.layout import Layout

NAMES = ("gmp", "mpfr", "mpc")
LAST = "mpc: library"
_SECONDS = {"gmp": 34, "mpfr": 25, "mpc": 6}


def steps(plan: Blueprint, layout: Layout) -> Iterator[Step]:
    """Each needs those before it, installed."""
    needs: tuple[str, ...] = ()
    for name in NAMES:
        yield flags.source(plan, layout, name, 1)
        yield _build(plan, layout, name, (*needs, f"{name}: source"))
        needs = (f"{name}: library",)


def _build(plan: Blueprint, layout: Layout, name: str, needs: tuple[str, ...]) -> Step:
    prefix = layout.hostlibs
    where = layout.shared / f"{name}-objects-{layout.hostlibs_key}"
    options = [*flags.machines(plan), f"--prefix={prefix}", "--disable-shared"]
    options += [f"--with-{other}={prefix}" for other in NAMES[: NAMES.index(name)]]
    env = flags.host_environment(plan, layout.shared)
    return Step(
        name=f"{name}: library",
        commands=(
            flags.configure(layout.source(name), where, options, env),
            flags.make(where, flags.NO_MANUAL),
            flags.make(where, flags.NO_MANUAL, "install"),
        ),
        needs=needs,
        owns=(where,),
        seconds=_SECONDS[name],
        shared=layout.hostlibs_key,
    )
