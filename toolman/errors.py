"""The expected failures; their exit code tells the user's next step.

Whatever else escapes is a bug of toolman's: `cli` prints its traceback and exits 70.
"""

from __future__ import annotations

EXIT_BUG = 70


class ToolmanError(Exception):
    """An expected failure, shown as `error: …` and `hint: …` without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class InputError(ToolmanError):
    """The command, a file or a setting is wrong: correct it."""

    exit_code = 2


class AbsentError(InputError):
    """This place does not hold what was asked for; another one may."""


class NetworkError(ToolmanError):
    """The network or a server failed: try again."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str | None = None, status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        """HTTP's, where a server gave one."""


class IntegrityError(ToolmanError):
    """The bytes are not the pinned ones: stop. Never retried, never skipped."""

    exit_code = 4


class BuildError(ToolmanError):
    """A step of making a toolchain failed: read its log."""

    exit_code = 5
