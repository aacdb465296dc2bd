"""Two directories change places in one step, so that neither name is ever without one."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_HERE = -100  # AT_FDCWD
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def swap(one: Path, other: Path) -> None:
    """Let what is at `one` and at `other`, of one file system, change places.

    Where the file system cannot do that, as NFS, it takes three renames; a kill between them
    leaves nothing at `other`.

    Raises:
        OSError: the file system's, as ENOENT.
    """
    number = _exchange(one, other)
    if number in _CANNOT:
        aside = one.with_name(f"{one.name}.aside")
        other.rename(aside)
        one.rename(other)
        aside.rename(one)
    elif number:
        raise OSError(number, os.strerror(number), str(other))


def _exchange(one: Path, other: Path) -> int:
    """The number of the error; 0 if there was none."""
    import ctypes  # 10 ms: kept off the read commands

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:  # a libc older than the kernel's call
        return errno.ENOSYS
    done = call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)
    return ctypes.get_errno() if done else 0
