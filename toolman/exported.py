"""One file with a part of a repository, for machines without a network.

It is a plain tar (its archives are compressed already), and equal contents make equal bytes:
    toolman-export.json    schema; what the index was called. Nothing else in here is believed
    metadata/  targets/    the whole signed index, and the roots before it
    blobs/                 those archives that were asked for
The paths are a repository's, see `index`, and so it is verified as one: from the root on that the
reader has, never older than what he has seen, every archive by its digest. Nothing is unpacked by
the names that are in it, and a tar with anything but plain files in it is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from toolman import archive, index, partial
from toolman.checkpoint import checkpoint
from toolman.digest import sha256
from toolman.errors import InputError, IntegrityError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from toolman.index import Archive, Index
    from toolman.metadata import Files

HEAD = "toolman-export.json"
SCHEMA = 1

_HEAD_MOST = 1 << 16  # bytes
_BLOCK = 1 << 20
_BUSY = 0.1  # seconds until it is looked again whether another process is done


class Export:
    """An exported file, open."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._members = _members(file)
        self.index = self._head()
        """What the index was called where the file was made."""

    def get(self, path: str, most: int) -> bytes | None:
        """For `metadata.read`."""
        if path not in self._members:
            return None
        start, size = self._members[path]
        if size > most:
            raise IntegrityError(f"{path} in {self._path} is larger than {most} bytes")
        self._file.seek(start)
        return self._file.read(size)

    def has(self, one: Archive) -> bool:
        return index.blob_path(one.sha256) in self._members

    def copy(self, one: Archive, place: Path, advance: Callable[[int], object]) -> None:
        """Have an archive at `place`.

        Raises:
            IntegrityError: it is not what the index says.
        """
        place.parent.mkdir(parents=True, exist_ok=True)
        with partial.held(place, one.sha256, lambda: time.sleep(_BUSY)) as part:
            if place.is_file() and sha256(place) == one.sha256:
                part.clear()
                advance(one.size)
                return
            part.begin(self._path.name, None)
            for block in self._blob(one):
                part.write(block)
                advance(len(block))
            if part.digest != one.sha256:
                part.clear()
                raise self._wrong(one, f"sha256 {part.digest}, not {one.sha256}")
            checkpoint("before-imported")
            part.finish()

    def _blob(self, one: Archive) -> Iterator[bytes]:
        start, left = self._members[index.blob_path(one.sha256)]
        if left != one.size:
            raise self._wrong(one, f"{left} bytes, not {one.size}")
        self._file.seek(start)
        while left and (block := self._file.read(min(_BLOCK, left))):
            left -= len(block)
            yield block

    def _wrong(self, one: Archive, what: str) -> IntegrityError:
        return IntegrityError(
            f"{one.about.name} in {self._path} is not what the index says: {what}",
            hint="the file is damaged, or somebody has changed it; export it anew",
        )

    def _head(self) -> str:
        try:
            values = json.loads(self.get(HEAD, _HEAD_MOST) or b"")
            if values["schema"] > SCHEMA:
                raise InputError(f"{self._path} is of a newer kind", hint="update toolman")
            return str(values["index"])
        except (ValueError, TypeError, KeyError) as error:
            raise IntegrityError(f"{self._path} is no file of toolman export") from error


@contextmanager
def opened(path: Path) -> Iterator[Export]:
    """The exported file `path`.

    Raises:
        InputError: it cannot be read.
        IntegrityError: it is none, or damaged.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    with file:
        try:
            export = Export(path, file)
        except tarfile.TarError as error:
            raise IntegrityError(f"{path} is no file of toolman export: {error}") from error
        yield export


def signed(of: Index) -> Files:
    """The files that prove to others what `of` said last; proven here, as they will do it.

    Raises:
        NetworkError: not all of them are here; the index has to be asked.
        IntegrityError: they have expired, or what is known of the index is damaged.
    """
    from toolman import metadata, remote  # a tenth of a second: kept off what does not ask

    said = index.content(of)
    kept = of.directory / "metadata"
    trusted = (of.directory / "root.json").read_bytes()
    first = metadata.root_version(trusted)
    files = {f"metadata/{first}.root.json": trusted}
    with suppress(NetworkError):
        for url in of.urls[:1]:
            with remote.fetcher(url) as get:
                files |= metadata.roots_before(first, get)
    for path in kept.glob("root_history/*.root.json"):
        files[f"metadata/{path.name}"] = path.read_bytes()
    for role in ("targets", "snapshot", "timestamp"):
        data = (kept / f"{role}.json").read_bytes()
        number = "" if role == "timestamp" else f"{json.loads(data)['signed']['version']}."
        files[f"metadata/{number}{role}.json"] = data
    files[f"targets/{hashlib.sha256(said).hexdigest()}.{metadata.INDEX}"] = said
    with tempfile.TemporaryDirectory() as scratch:
        try:
            metadata.read(Path(scratch), trusted, lambda path, _: files.get(path))
        except NetworkError as error:
            raise NetworkError(
                f"what is known of index {of.name} is not complete: {error}",
                hint=f"toolman index refresh {of.name}",
            ) from error
    return files


def until(files: Files) -> str:
    """When the first of the signatures in `files` expires, in ISO 8601."""
    every = [json.loads(data)["signed"] for path, data in files.items() if "metadata/" in path]
    roots = [one for one in every if one["_type"] == "root"]
    newest = max(roots, key=lambda one: int(one["version"]))
    return min(str(one["expires"]) for one in every if one["_type"] != "root" or one is newest)


def write(
    into: Path,
    of: Index,
    files: Files,
    blobs: Mapping[str, Path],
    advance: Callable[[int], object],
) -> None:
    """Write the file `into`, which appears complete; `blobs` are archives by their digests."""
    head = json.dumps({"schema": SCHEMA, "index": of.name}).encode() + b"\n"
    with archive.written(into) as file:
        for name, data in {HEAD: head, **dict(sorted(files.items()))}.items():
            _add(file, name, len(data), [data])
        for digest, place in sorted(blobs.items()):
            with place.open("rb") as blob:
                blocks = _told(blob, advance)
                _add(file, index.blob_path(digest), place.stat().st_size, blocks)
        file.write(bytes(2 * tarfile.BLOCKSIZE))
        checkpoint("before-exported")


def _add(file: IO[bytes], name: str, size: int, blocks: Iterable[bytes]) -> None:
    about = tarfile.TarInfo(name)
    about.size = size
    file.write(about.tobuf(tarfile.USTAR_FORMAT))
    for block in blocks:
        file.write(block)
    file.write(bytes(-size % tarfile.BLOCKSIZE))


def _told(file: IO[bytes], advance: Callable[[int], object]) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        advance(len(block))
        yield block


def _members(file: IO[bytes]) -> dict[str, tuple[int, int]]:
    """Where each member begins, and how long it is."""
    length = file.seek(0, io.SEEK_END)
    found: dict[str, tuple[int, int]] = {}
    start = 0
    while True:
        file.seek(start)
        head = file.read(tarfile.BLOCKSIZE)
        if head == bytes(tarfile.BLOCKSIZE):
            return found
        about = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
        start += tarfile.BLOCKSIZE
        plain = about.type == tarfile.REGTYPE and about.name not in found
        if not plain or not 0 <= about.size <= length - start:
            raise tarfile.ReadError(f"{about.name!r} does not belong there, or is cut off")
        found[about.name] = (start, about.size)
        start += about.size + -about.size % tarfile.BLOCKSIZE
