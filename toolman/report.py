"""How long work says what it is doing; `cli` decides what that looks like."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Reporter(Protocol):
    """Where progress goes: a bar on a terminal, plain lines elsewhere, nothing with -q."""

    def step(self, text: str) -> None:
        """Say what is being done now."""

    def detail(self, text: str) -> None:
        """Say something that only -v shows."""

    def bar(self, text: str, total: int) -> AbstractContextManager[Callable[[int], object]]:
        """Show `text` with a bar of `total` bytes; call the value with each advance in bytes."""

    def progress(self, text: str, total: float) -> AbstractContextManager[Progress]:
        """Show `text` with a bar of `total` seconds of estimated work."""

    def table(self, lines: Sequence[str]) -> AbstractContextManager[Table]:
        """Show `lines`, each of which changes until it is done."""


class Table(Protocol):
    """Lines that change in their places; where they cannot, each that is done is said."""

    def show(self, number: int, text: str, *, done: bool) -> None:
        """Let the line `number`, from 0, be `text`."""


class Progress(Protocol):
    """A bar for work whose parts are only estimated."""

    def say(self, text: str) -> None:
        """Say that `text` begins, where there is no bar to show it."""

    def at(self, seconds: float, text: str) -> None:
        """Show that `seconds` of the estimate are done, and `text` is under way."""


class Silent:
    """Says nothing."""

    def step(self, text: str) -> None:
        del text

    def detail(self, text: str) -> None:
        del text

    def bar(self, text: str, total: int) -> AbstractContextManager[Callable[[int], object]]:
        del text, total
        return nullcontext(_ignore)

    def progress(self, text: str, total: float) -> AbstractContextManager[Progress]:
        del text, total
        return nullcontext(_NoProgress())

    def table(self, lines: Sequence[str]) -> AbstractContextManager[Table]:
        del lines
        return nullcontext(_NoTable())


class _NoTable:
    def show(self, number: int, text: str, *, done: bool) -> None:
        del number, text, done


class _NoProgress:
    def say(self, text: str) -> None:
        del text

    def at(self, seconds: float, text: str) -> None:
        del seconds, text


def _ignore(advance: int) -> None:
    del advance


def ago(seconds: float) -> str:
    """A time in words."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
