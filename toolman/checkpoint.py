"""Named moments at which a test can kill toolman; nothing at all outside of tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def checkpoint(name: str) -> None:
    """Park here for good if TOOLMAN_TEST_CHECKPOINT names this moment.

    TOOLMAN_TEST_MARKER names a file that is made first, so that the test knows when to kill.
    """
    if os.environ.get("TOOLMAN_TEST_CHECKPOINT") == name:
        Path(os.environ["TOOLMAN_TEST_MARKER"]).touch()
        while True:
            signal.pause()
