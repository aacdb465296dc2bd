"""Locks, which save double work; correctness never depends on one. The only user of filelock."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PATIENCE = 1.0  # seconds before saying that another toolman is at work


@contextmanager
def locked(
    locks: Path,
    name: str,
    waiting: Callable[[], None],
    stopped: Callable[[], bool] | None = None,
) -> Iterator[None]:
    """Hold the lock `name` in `locks`; `waiting` is called if that takes long.

    A SIGTERM or SIGHUP meanwhile unwinds, as Ctrl-C does, so that nothing is left behind. Only
    the main thread learns of them; other threads wait until `stopped` tells that it did.

    Raises:
        TimeoutError: `stopped` told so.
    """
    import filelock  # 45 ms: kept off the read commands

    lock = _lock(locks, name)
    with unwinding():
        try:
            lock.acquire(timeout=_PATIENCE)
        except filelock.Timeout:
            waiting()
            lock.acquire(cancel_check=stopped)
        try:
            yield
        finally:
            lock.release()


@contextmanager
def idle(locks: Path, name: str) -> Iterator[bool]:
    """Hold the lock `name` if that can be had at once; whether it is held."""
    try:
        lock = _lock(locks, name)
        lock.acquire(blocking=False)
    except OSError:  # which filelock's own is, too
        yield False
        return
    with unwinding():
        try:
            yield True
        finally:
            lock.release()


@contextmanager
def unwinding() -> Iterator[None]:
    """Let a SIGTERM or SIGHUP meanwhile unwind, as Ctrl-C does, so that nothing is left behind."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    # Who ignores SIGHUP, as under nohup, goes on ignoring it.
    both = (signal.SIGTERM, signal.SIGHUP)
    changed = [number for number in both if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _lock(locks: Path, name: str) -> filelock.BaseFileLock:  # type: ignore[name-defined] # noqa: F821
    import filelock

    locks.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(locks / f"{name}.lock", fallback_to_soft=False)
