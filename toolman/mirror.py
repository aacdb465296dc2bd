"""Copies of repositories, made without keys.

A copy is what a reader would have verified: metadata from a trusted root on, archives by digest.
It never becomes older than it is. Archives come first and `timestamp.json` last, so that a copy
that was stopped is the old one, and the next command fetches only what is missing.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import fetch, index, metadata, remote, repository, web

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toolman.blob import Blob
    from toolman.index import Archive
    from toolman.metadata import Files, Get


def read(
    urls: Sequence[str], root: bytes, into: Path, warn: Callable[[str], object]
) -> tuple[list[Archive], Files]:
    """What the repository at the first good one of `urls` holds, and its files, verified.

    Raises:
        InputError: `root` is no root.
        NetworkError, IntegrityError: as `web.first_good`; also if it is older than the copy in
            `into`.
    """
    return web.first_good(urls, lambda url: _read(url, root, into), "", warn)


def missing(held: Sequence[Archive], into: Path) -> list[Archive]:
    """The archives that the copy in `into` lacks."""
    return [one for one in held if not all(_is_there(blob, into) for blob in one.blobs)]


def download(
    lacking: Sequence[Archive],
    urls: Sequence[str],
    into: Path,
    advance: Callable[[int], object],
    warn: Callable[[str], object],
) -> None:
    """Fetch archives into the copy.

    Raises:
        NetworkError: an archive is nowhere to be had.
        IntegrityError: it is not what the index says.
    """
    wanted = [
        fetch.Download(
            name=f"{one.about.name} for {one.about.host} ({blob.sha256[:12]})",
            urls=tuple(index.blob_url(url, blob.sha256) for url in urls),
            sha256=blob.sha256,
            size=blob.size,
            path=into / index.blob_path(blob.sha256),
            mirrors=True,
        )
        for one in lacking
        for blob in one.blobs
    ]
    for error in fetch.fetch(wanted, advance, warn).values():
        raise error


def finish(held: Sequence[Archive], files: Files, into: Path, *, delete: bool = False) -> None:
    """Make the copy say what its archives are; `delete` the ones that are listed no more."""
    repository.publish(into, files, held)
    if delete:
        listed = {index.blob_path(blob.sha256) for one in held for blob in one.blobs}
        for path in (into / "blobs/sha256").glob("??/*"):
            if str(path.relative_to(into)) not in listed:
                path.unlink()


def _read(url: str, root: bytes, into: Path) -> tuple[list[Archive], Files]:
    with remote.fetcher(url) as get:
        return _read_by(get, root, into)


def _read_by(get: Get, root: bytes, into: Path) -> tuple[list[Archive], Files]:
    seen: Files = {}

    def remember(path: str, most: int) -> bytes | None:
        found: bytes | None = get(path, most)
        if found is not None:
            seen[path] = found
        return found

    with tempfile.TemporaryDirectory() as scratch:
        _seed(into / "metadata", Path(scratch))
        held = index.parse(metadata.read(Path(scratch), root, remember))
    version = metadata.root_version(root)
    roots: Files = {f"metadata/{version}.root.json": root}
    files = roots | metadata.roots_before(version, get) | seen
    # In the order to write them.
    order = ("index.json", "root.json", "targets.json", "snapshot.json", "timestamp.json")
    return held, {path: files[path] for end in order for path in files if path.endswith(end)}


def _seed(copied: Path, kept: Path) -> None:
    """Begin with what the copy says now, so that nothing older is taken for news."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        data = (copied / "timestamp.json").read_bytes()
        (kept / "timestamp.json").write_bytes(data)
        version = int(json.loads(data)["signed"]["meta"]["snapshot.json"]["version"])
        data = (copied / f"{version}.snapshot.json").read_bytes()
        (kept / "snapshot.json").write_bytes(data)
        version = int(json.loads(data)["signed"]["meta"]["targets.json"]["version"])
        (kept / "targets.json").write_bytes((copied / f"{version}.targets.json").read_bytes())


def _is_there(one: Archive | Blob, into: Path) -> bool:
    try:
        return (into / index.blob_path(one.sha256)).stat().st_size == one.size
    except OSError:
        return False
