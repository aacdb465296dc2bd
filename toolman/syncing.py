"""What was written reaches the disk: all of a file system at once.

One syncfs costs a tenth of an fsync for every file (reference/managers.md, 2.2).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def sync(tree: Path) -> None:
    """Have all that was written to the file system of `tree` on its disk.

    Raises:
        OSError: the file system's, as EIO.
    """
    import ctypes  # 10 ms: kept off the read commands

    descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(tree))
    finally:
        os.close(descriptor)


@contextmanager
def meanwhile(tree: Path) -> Iterator[None]:
    """Begin with it while the block runs, so that a `sync` after it finds little to do.

    Raises:
        OSError: as `sync`. The kernel tells of a failure once, so a later one would not know.
    """
    import threading

    failed = []

    def begin() -> None:
        try:
            sync(tree)
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=begin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    for error in failed:
        raise error
