"""What has come of a download: `<path>.part`, which one process at a time writes.

Beside it `<path>.part.json` tells for which digest it was begun, and by whose answer. Who is
killed leaves both, and the next one goes on. What they hold saves work and proves nothing: the
digest of the whole decides. The lock is the kernel's, on the part itself, so it ends with its
process; a part that was finished or removed while somebody waited for it is no longer under its
name, which is why that is looked at under the lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO

ABANDONED = 7 * 86400.0  # seconds after which nobody goes on with a part

_BLOCK = 1 << 20
_STRONG = re.compile(r'"[!#-~]*"')


class Part:
    """The beginning of the file `path`, whose digest is to be `sha256`."""

    def __init__(self, path: Path, sha256: str, file: FileIO) -> None:
        self._path = path
        self._sha256 = sha256
        self._file = file
        self._hash = hashlib.sha256()
        self._note: dict[str, str | None] = {}
        self.size = 0
        """Bytes that are there."""
        self.finished = False
        self.mixed = False
        """Whether they are of more than one answer: then nobody is to blame for wrong ones."""
        self._load()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def validator(self, url: str) -> str | None:
        """The strong ETag of the answer that began it, if that was one of `url`."""
        return self._note.get("etag") if self._note.get("url") == url else None

    def begin(self, url: str, etag: str | None) -> None:
        """Drop what is there; an answer of `url`, a name without secrets, begins it anew."""
        self.clear()
        self._note = {"sha256": self._sha256, "url": url, "etag": _strong(etag)}
        _note(self._path).write_text(json.dumps(self._note) + "\n", "utf-8")

    def go_on(self) -> None:
        """Another answer follows."""
        self.mixed = True

    def write(self, block: bytes) -> None:
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]
        self._hash.update(block)
        self.size += len(block)

    def clear(self) -> None:
        self._file.truncate(0)
        self._hash = hashlib.sha256()
        self._note = {}
        self.size = 0
        self.mixed = False

    def finish(self) -> None:
        """Make it the file itself, synced: a power cut leaves no empty file of that name."""
        os.fdatasync(self._file.fileno())
        _note(self._path).unlink(missing_ok=True)
        _part(self._path).replace(self._path)
        self.finished = True

    def remove(self) -> None:
        _note(self._path).unlink(missing_ok=True)
        _part(self._path).unlink(missing_ok=True)

    def _load(self) -> None:
        self._note = _read(_note(self._path), self._sha256)
        if not self._note:
            self._file.truncate(0)
        self._file.seek(0)
        while block := self._file.read(_BLOCK):
            self._hash.update(block)
            self.size += len(block)
        self.mixed = self.size > 0


@contextmanager
def held(path: Path, sha256: str, wait: Callable[[], object]) -> Iterator[Part]:
    """The part of `path`, for the caller alone; `wait` is called again and again until it is.

    Raises:
        OSError: the disk's, as ENOSPC; then nothing is left.
    """
    while (file := _lock(_part(path))) is None:
        wait()
    with file:
        part = Part(path, sha256, file)
        try:
            yield part
        except OSError:
            part.clear()
            raise
        finally:
            if not (part.size or part.finished):
                part.remove()


def drop(part: Path) -> bool:
    """Delete an abandoned `<path>.part`, and what is told of it; False if somebody writes it."""
    try:
        file = _lock(part) if part.exists() else None
        if file is None:
            return False
        with file:
            Path(f"{part}.json").unlink(missing_ok=True)
            part.unlink(missing_ok=True)
    except OSError:  # it is another user's
        return False
    return True


def old(directory: Path) -> list[Path]:
    """The abandoned `*.part` in `directory`."""
    before = time.time() - ABANDONED
    found = []
    for part in sorted(directory.glob("*.part")):
        with suppress(OSError):
            if part.stat().st_mtime < before:
                found.append(part)
    return found


def _lock(place: Path) -> FileIO | None:
    """Open `place` for the caller alone; None if another has it."""
    with ExitStack() as stack:
        file = stack.enter_context(place.open("a+b", buffering=0))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), place.stat()):
                stack.pop_all()
                return file
        except (BlockingIOError, FileNotFoundError):
            pass
    return None


def _read(note: Path, sha256: str) -> dict[str, str | None]:
    """What a note says of a part for that digest; nothing if it is damaged or of another."""
    try:
        said = json.loads(note.read_text("utf-8"))
        if said["sha256"] == sha256:
            return {"sha256": sha256, "url": said["url"], "etag": _strong(said["etag"])}
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        pass
    return {}


def _strong(etag: str | None) -> str | None:
    return etag if etag and _STRONG.fullmatch(etag) else None


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.part.json")
