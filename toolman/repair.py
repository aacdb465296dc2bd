"""What is damaged in the store, had once more: the same bytes in the same place.

The damaged one stays until the new one takes its place, in one step: whoever uses it goes on,
and a kill, or a network that is out of reach, leaves things as they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolman import install, library, manifest, placing, publish
from toolman.checkpoint import checkpoint
from toolman.libraries import choice, laying

if TYPE_CHECKING:
    from pathlib import Path

    from toolman.context import Context
    from toolman.library import Built
    from toolman.toolchain import Toolchain


def toolchain(broken: Toolchain, ctx: Context) -> None:
    """Renew a damaged toolchain; before one with libraries what it was laid of, for a hard link
    shares the damage.

    Raises:
        InputError: the same bytes are not to be had; the hint says what to do.
        ToolmanError: as `install.renew` and `laying.over` raise.
    """
    if not broken.about.base:
        install.renew(broken, ctx)
        return
    base = laying.base_of(broken, ctx)
    if _is_damaged(base.path):
        install.renew(base, ctx)
    with placing.alone(broken.name, ctx):
        active = ctx.store.active(broken.name) == broken
        for one in broken.about.libraries:
            path = ctx.paths.store / one.entry(broken.target.name)
            if _is_damaged(path):
                _drop(path, broken.target.name, ctx)
        made = laying.over(base, choice.of(broken.about.libraries), ctx, anew=True)
        publish.publish(ctx.store, made if active else None)
        if made.path != broken.path:  # a library is built otherwise today
            _drop(broken.path, broken.name, ctx)


def built(broken: Built, ctx: Context) -> None:
    """Renew a damaged library, and the toolchain that has it. Where none in use does, it goes: who
    adds it next has it built.

    Raises: as `toolchain`.
    """
    for found in ctx.store.toolchains():
        entries = [one.entry(found.target.name) for one in found.about.libraries]
        if broken.path.name in entries and ctx.store.active(found.name) == found:
            toolchain(found, ctx)
            return
    with placing.alone(broken.target, ctx):
        _drop(broken.path, broken.target, ctx)


def _drop(path: Path, name: str, ctx: Context) -> None:
    with ctx.store.removed(path, library.lock(name)):
        checkpoint("mid-drop")


def _is_damaged(path: Path) -> bool:
    checked = manifest.check(path) if path.is_dir() else None
    return checked is not None and bool(checked.differences)
