"""Repositories in OCI registries: written from a directory; see `artifact` for what lies where.

Blobs come first, then the manifests that name them, then tags, and the tag `toolman-index`, which
is all that readers ask for by name, last. So a reader, or a kill, at any moment sees the old
state or the new one, and the next push sends only what is missing. The registry checks every
digest, and nothing older than what it holds is pushed over it. One pusher at a time.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from hashlib import sha256 as hashed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import (
    artifact,
    fetch,
    index,
    metadata,
    mirror,
    provenance,
    registry,
    sbom,
    target,
)
from toolman.checkpoint import checkpoint
from toolman.digest import sha256
from toolman.errors import InputError, IntegrityError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from toolman.blob import Blob
    from toolman.index import Archive
    from toolman.metadata import Files
    from toolman.upload import Upload

_KIND = "application/vnd.toolman.toolchain.v1"
_LAYER = f"{_KIND}.tar+zstd"
_IMAGE = "org.opencontainers.image"
_BLOCK = 1 << 20
_NO_TAG = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_TAG = 128
_FIRST_ROOT = "metadata/1.root.json"
_METADATA = re.compile(r"metadata/[a-z0-9.]+")
_NOT_FOUND = 404


@dataclass(frozen=True, kw_only=True)
class Content:
    """What is to be in a registry: a directory, verified."""

    directory: Path
    archives: Sequence[Archive]
    files: Files

    def path(self, one: Archive | Blob) -> Path:
        return self.directory / index.blob_path(one.sha256)


def read(directory: Path, url: str, warn: Callable[[str], object]) -> Content:
    """What the repository in `directory` holds, if that may replace what is at `url`.

    Raises:
        InputError: there is no repository, or there is another one in the registry.
        NetworkError: the registry cannot be reached.
        IntegrityError: the directory is damaged, expired, or older than what the registry has.
    """
    try:
        root = (directory / _FIRST_ROOT).read_bytes()
    except OSError as error:
        raise InputError(f"{directory} is no repository: {error.strerror}") from error
    own = [directory.resolve().as_uri()]
    with tempfile.TemporaryDirectory() as present, tempfile.TemporaryDirectory() as nothing:
        if _read_present(url, root, Path(present)):
            mirror.read(own, root, Path(present), warn)
        held, files = mirror.read(own, root, Path(nothing), warn)
    return Content(directory=directory, archives=held, files=files)


def missing(content: Content, upload: Upload) -> list[Archive]:
    """The archives that the registry lacks.

    Raises:
        NetworkError: it does not answer.
    """
    return [one for one in content.archives if not upload.has(one.sha256)]


def push(
    content: Content,
    lacking: Sequence[Archive],
    upload: Upload,
    advance: Callable[[int], object],
) -> None:
    """Send what is missing; `advance` is told the bytes of archives as they go.

    Raises:
        NetworkError: the registry refuses something, or cannot be reached.
        IntegrityError: an archive in the directory is damaged.
    """
    for one in lacking:
        _send(one, content.path(one), upload, advance)
    upload.small(artifact.EMPTY)
    checkpoint("before-manifests")
    tags: dict[str, list[dict[str, Any]]] = {}
    for one in content.archives:
        tags.setdefault(_tag(one), []).append(_archive(one, content, upload))
    checkpoint("before-tags")
    for tag, rows in tags.items():
        upload.tag(tag, registry.INDEX, artifact.image_index(rows))
    for data in content.files.values():
        upload.small(data)
    checkpoint("before-last-tag")
    upload.tag(artifact.TAG, registry.MANIFEST, artifact.signed(content.files))


def _read_present(url: str, root: bytes, into: Path) -> bool:
    """Put what is signed in the registry below `into`; whether there is a repository."""
    with fetch.contents() as content:
        try:
            present = artifact.Repository(url, content)
        except NetworkError as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        if present.get(_FIRST_ROOT, metadata.ROOT_MOST) != root:
            raise InputError(
                f"{url} holds another repository",
                hint="push to another place; or delete its tag toolman-index, if it is yours",
            )
        (into / "metadata").mkdir()
        for path in present.paths:
            if _METADATA.fullmatch(path):
                (into / path).write_bytes(present.get(path, metadata.ROOT_MOST) or b"")
    return True


def _archive(one: Archive, content: Content, upload: Upload) -> dict[str, Any]:
    """Send the artifact of an archive; its row in an image index."""
    data = _manifest(one)
    row = artifact.descriptor(registry.MANIFEST, hashed(data).hexdigest(), len(data))
    if not upload.has_manifest(row["digest"]):
        # What refers to it goes first: if it is there, all of that is.
        for kind, attached in _attached(one, content):
            upload.refer(row, kind, attached)
        upload.manifest(registry.MANIFEST, data)
    return {**row, "platform": _platform(one), "artifactType": _KIND}


def _attached(one: Archive, content: Content) -> Iterator[tuple[str, bytes]]:
    """What refers to an archive: what it is made of, and how it was made."""
    document = sbom.of_archive(content.path(one))
    if document is not None:
        yield sbom.MEDIA_TYPE, document
    if one.provenance:
        path = content.path(one.provenance)
        _check(path, one.provenance)
        yield provenance.MEDIA_TYPE, path.read_bytes()


def _check(path: Path, blob: Archive | Blob) -> None:
    if not path.is_file() or sha256(path) != blob.sha256:
        hint = "take it from a copy, or add the archive again"
        raise IntegrityError(f"{path} is not what the index says", hint=hint)


def _send(one: Archive, path: Path, upload: Upload, advance: Callable[[int], object]) -> None:
    _check(path, one)
    told = 0

    def tell(size: int) -> None:
        nonlocal told
        advance(size - told)
        told = size

    def blocks(start: int, end: int) -> Iterator[bytes]:
        tell(start)
        with path.open("rb") as file:
            file.seek(start)
            while block := file.read(min(_BLOCK, end - file.tell())):
                yield block
                tell(file.tell())

    checkpoint("before-upload")
    upload.blob(one.sha256, one.size, blocks)


def _manifest(one: Archive) -> bytes:
    """The artifact of an archive."""
    about = one.about
    title = f"{about.entry}-{about.host}.tar.zst"
    layer = artifact.descriptor(_LAYER, one.sha256, one.size, annotations={artifact.TITLE: title})
    said = {
        artifact.TITLE: f"{about.target.name}: GCC {about.version} ({', '.join(about.languages)})",
        f"{_IMAGE}.version": about.version,
        "toolman.host": about.host,
        "toolman.target": about.target.name,
    }
    if one.provenance:
        # So that it is another manifest, to which it is attached.
        said["toolman.provenance"] = f"sha256:{one.provenance.sha256}"
    return artifact.manifest(_KIND, [layer], annotations=said)


def _tag(one: Archive) -> str:
    return _NO_TAG.sub("_", f"{one.about.target.name}-{one.about.version}")[:_LONGEST_TAG]


def _platform(one: Archive) -> dict[str, str]:
    """The host that an archive is for, as images have it."""
    machine = one.about.host.rpartition("-")[2]
    known = [row.docker for row in target.platforms() if row.uname == machine]
    parts = (known[0] if known else f"linux/{machine}").split("/")
    return dict(zip(("os", "architecture", "variant"), parts, strict=False))
