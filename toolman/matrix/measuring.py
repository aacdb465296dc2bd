"""Runs of one cell's program: by the host where it can, else under qemu-user, and marked so."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from toolman import kernel, qemu, run
from toolman.errors import InputError
from toolman.matrix import Runs
from toolman.matrix.building import failed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolman.context import Context
    from toolman.matrix import Cell, Outcome, Wish
    from toolman.target import Platform

_OTHERWISE = "--run-args gives it arguments, --no-run leaves this away"


def is_native(platform: Platform, ctx: Context) -> bool:
    """Whether the host itself runs programs for `platform`."""
    return ctx.host.is_native(platform) or kernel.runs(platform, ctx.host.machine)


def emulator(platform: Platform, ctx: Context) -> str | None:
    """What the qemu-user for `platform` says of its version; None if none is needed or there."""
    if is_native(platform, ctx):
        return None
    found = qemu.present(platform, ctx)
    if found is None:
        return None
    said = run.run([found, "--version"]).out.splitlines()
    return said[0].strip() if said else found


def measure(outcome: Outcome, wish: Wish, environ: Mapping[str, str], ctx: Context) -> Outcome:
    """`outcome` with the runs of its program: one that is not counted, then those wished for."""
    if not wish.runs or outcome.state != "ok":
        return outcome
    native = is_native(outcome.cell.platform, ctx)
    words = _words(outcome, native, ctx)
    if isinstance(words, str):
        return replace(outcome, run=Runs(how=None, why=words))
    done = []
    for _ in range(wish.runs + 1):
        argv = [*words, *wish.run_args]
        one = run.measure(argv, env=environ, cwd=ctx.directory, limit=wish.limit)
        if not one.in_time or one.code:
            return _stopped(outcome, one, wish)
        done.append(one)
    counted = done[1:]
    figures = Runs(
        how="native" if native else "qemu",
        seconds=tuple(round(one.seconds, 6) for one in counted),
        peak=max(one.peak for one in counted),
    )
    return replace(outcome, run=figures)


def _words(outcome: Outcome, native: bool, ctx: Context) -> Sequence[str] | str:
    """How to run it; why that cannot be, in words."""
    cell, report = outcome.cell, outcome.report
    assert outcome.program
    if not native and qemu.present(cell.platform, ctx) is None:
        return f"no qemu-{cell.platform.qemu} is here; toolman run gets it, and qemu-user is it"
    if report and report.interpreter and not native and not _has(cell, report.interpreter):
        return f"the sysroot has no {report.interpreter} for qemu to run it by"
    chosen = None if cell.cgo == "off" else cell.toolchain
    try:
        return qemu.command(outcome.program, cell.platform, chosen, ctx)
    except InputError as error:
        return str(error)


def _has(cell: Cell, interpreter: str) -> bool:
    path = cell.toolchain.sysroot / interpreter.lstrip("/")
    return path.is_symlink() or path.exists()


def _stopped(outcome: Outcome, one: run.Measured, wish: Wish) -> Outcome:
    """One that has not ended, or not well."""
    if not one.in_time:
        why = f"the program has not ended after {wish.limit:g} seconds"
    elif one.code < 0:
        why = f"the program was ended by {signal.Signals(-one.code).name}"
    else:
        why = f"the program ended with exit code {one.code}"
    lines = one.said.splitlines()
    told = failed(replace(outcome, hint=_OTHERWISE), lines, why)
    return replace(told, why=f"{why}: {told.why}" if lines and told.why != why else why)
