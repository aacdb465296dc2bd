"""When a server that failed for a moment is asked again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

from toolman import web

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

_RETRIES = 2
_PAUSE = 0.2  # seconds before the first of them; each time twice as long
_LONGEST = 3.0


def patiently(call: Callable[[], _T], most: float = _LONGEST) -> _T:
    """What `call` gives; it is called again if that may help, after `most` seconds at most.

    Raises:
        web.Failure: its last one.
    """
    tries = 0
    while True:
        try:
            return call()
        except web.Again as error:
            if tries == _RETRIES or error.pause > most:
                raise
            time.sleep(pause(error, tries))
            tries += 1


def pause(error: web.Again, tries: int) -> float:
    """Seconds until a mirror is asked again: who failed together does not come back together."""
    usual = _PAUSE * (1 << tries) * random.uniform(0.5, 1.5)
    return max(error.pause, min(_LONGEST, usual))
