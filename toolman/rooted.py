"""A directory that is filled through descriptors, so that nothing is made outside of it.

Names are relative, their parts neither empty nor `.` or `..`. Every step down is one `openat` that
follows no link, and whatever is made must be new.
"""

from __future__ import annotations

import os
import posixpath
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toolman.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Rooted:
    """The directory `root`, which is there; to be used in a `with` block.

    All methods raise:
        IntegrityError: the name is taken: on some file systems by one that is written otherwise.
        OSError: the file system's, as ENOSPC.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, _DIRECTORY)

    def __enter__(self) -> Rooted:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def directory(self, name: str) -> None:
        with self._parent(name) as (parent, last):
            os.mkdir(last, 0o755, dir_fd=parent)
        with self._opened(name) as made:
            os.fchmod(made, 0o755)  # whatever the umask is

    def file(self, name: str, blocks: Iterable[bytes], *, executable: bool) -> None:
        with self._parent(name) as (parent, last):
            descriptor = os.open(last, _NEW_FILE, 0o600, dir_fd=parent)
        with os.fdopen(descriptor, "wb") as file:
            for block in blocks:
                file.write(block)
            os.fchmod(descriptor, 0o755 if executable else 0o644)

    def hard_link(self, name: str, to: str) -> None:
        with self._parent(name) as (parent, last), self._parent(to) as (where, what):
            os.link(what, last, src_dir_fd=where, dst_dir_fd=parent, follow_symlinks=False)

    def symlink(self, name: str, to: str) -> None:
        with self._parent(name) as (parent, last):
            os.symlink(to, last, dir_fd=parent)

    @contextmanager
    def _parent(self, name: str) -> Iterator[tuple[int, str]]:
        """The directory that `name` is in, and its last part."""
        above, last = posixpath.split(name)
        with self._opened(above) as directory:
            try:
                yield directory, last
            except FileExistsError as error:
                raise IntegrityError(f"two of its names are one here: {name!r}") from error

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        directory = os.dup(self._root)
        try:
            for part in name.split("/") if name else ():
                below = os.open(part, _DIRECTORY, dir_fd=directory)
                os.close(directory)
                directory = below
            yield directory
        finally:
            os.close(directory)
