"""What the programs of this directory that sh calls have in common: a user, words, an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from toolman import target as targets
from toolman.context import Context
from toolman.errors import ToolmanError
from toolman.host import Host
from toolman.paths import Paths
from toolman.target import Platform

if TYPE_CHECKING:
    from collections.abc import Callable


def call(work: Callable[[Context], object]) -> int:
    """Do `work` as the user of toolman who calls; the exit code, the error said on stderr."""
    host = Host.current()
    try:
        work(Context(host=host, paths=Paths.from_env(os.environ, host), environ=os.environ))
    except ToolmanError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


def platform(word: str) -> Platform:
    """The platform that `word` means, alone or in a target.

    Raises:
        InputError: there is none.
    """
    found = targets.parse(word)
    return found if isinstance(found, Platform) else found.platform
