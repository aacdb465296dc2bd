"""A toolchain takes the place of the one that its name means: with its libraries, and at the end.

All is in the store before it is published, so that a kill or a failure at any moment leaves the
one that was there, with what is in its sysroot.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from toolman import library
from toolman import publish as publishing
from toolman.checkpoint import checkpoint
from toolman.errors import ToolmanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from toolman.context import Context
    from toolman.toolchain import Toolchain


@contextmanager
def alone(name: str, ctx: Context) -> Iterator[None]:
    """Be the only one who changes what is called `name`, and its libraries."""

    def waiting() -> None:
        ctx.reporter.step(f"waiting for another toolman ({name})")

    # In this order, for who has laid libraries takes the other one, too.
    with ctx.store.lock(library.lock(name), waiting), ctx.store.lock(name, waiting):
        yield


def followers(name: str, ctx: Context) -> Callable[[Toolchain], Toolchain]:
    """What lays the libraries that `name` has now over a toolchain. Hold `alone`.

    Raises:
        InputError: they can be laid over none.
    """
    before = ctx.store.active(name)
    if before is None or not before.about.libraries:
        return lambda made: made
    from toolman.libraries import laying  # most installs need nothing of it

    laying.check(before)
    return lambda made: laying.follow(before, made, ctx)


def publish(made: Toolchain, fresh: Sequence[Toolchain], ctx: Context) -> None:
    """Make `made` what its name means; where that cannot be done, take back it and what is
    `fresh`. Hold `alone`."""
    checkpoint("before-publish")
    paths = dict.fromkeys(one.path for one in fresh)
    before = ctx.store.active(made.name)
    if before and before.path in paths:  # without a link, the newest of that name is meant
        before = None
    try:
        publishing.publish(ctx.store, made)
    except BaseException:
        with ExitStack() as graves, suppress(OSError, ToolmanError):
            for path in paths:
                graves.enter_context(ctx.store.removed(path, made.name))
            publishing.publish(ctx.store, before)
        raise
