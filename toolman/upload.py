"""Writing to an OCI registry: blobs, manifests, tags, and what refers to a manifest.

Whatever is there already is not sent again. A registry shows a blob or a manifest only when all
of it has come and has its digest; of an upload that was stopped it keeps nothing for long.
"""

from __future__ import annotations

import json
from hashlib import sha256 as hashed
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from toolman import again, artifact, registry, web
from toolman.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from toolman.registry import Reference, Session
    from toolman.web import Reply

    Blocks = Callable[[int, int], Iterable[bytes]]

_T = TypeVar("_T")

_CHUNK = 32 << 20  # bytes of a piece, where a whole upload is refused for its size
_PATIENCE = 60.0  # seconds that a registry may ask for: who pushes has time
_MANIFESTS = {"Accept": f"{registry.MANIFEST}, {registry.INDEX}"}
_BYTES = {"Content-Type": "application/octet-stream"}
_FOUND, _CREATED, _ACCEPTED, _NOT_FOUND, _TOO_LARGE = 200, 201, 202, 404, 413


class Upload:
    """What is written to one repository. Whatever fails is a NetworkError; a file with
    credentials that cannot be used an InputError."""

    def __init__(self, at: Reference, session: Session) -> None:
        self._at = at
        self._session = session

    def has(self, sha256: str) -> bool:
        """Whether a blob is there."""
        return self._head(f"blobs/sha256:{sha256}") is not None

    def blob(self, sha256: str, size: int, blocks: Blocks) -> None:
        """Send a blob; `blocks` gives it from one offset to another, perhaps more than once."""
        self._patiently(lambda: self._send(sha256, size, blocks))

    def small(self, data: bytes) -> None:
        """Send a small blob, unless it is there."""
        sha256 = hashed(data).hexdigest()
        if not self.has(sha256):
            self.blob(sha256, len(data), lambda start, end: [data[start:end]])

    def has_manifest(self, digest: str) -> bool:
        """Whether the manifest `sha256:…` is there."""
        return self._head(f"manifests/{digest}") is not None

    def manifest(self, kind: str, data: bytes) -> Reply:
        """Send a manifest, which is then known by its digest."""
        return self._put(f"sha256:{hashed(data).hexdigest()}", kind, data)

    def tag(self, tag: str, kind: str, data: bytes) -> None:
        """Make a manifest what `tag` means."""
        present = self._head(f"manifests/{tag}")
        if present is None or present != f"sha256:{hashed(data).hexdigest()}":
            self._put(tag, kind, data)

    def refer(self, subject: Mapping[str, Any], kind: str, data: bytes) -> None:
        """Attach bytes of a media type to the manifest `subject`."""
        self.small(data)
        layer = artifact.descriptor(kind, hashed(data).hexdigest(), len(data))
        manifest = artifact.manifest(kind, [layer], subject=subject)
        row = artifact.descriptor(
            registry.MANIFEST, hashed(manifest).hexdigest(), len(manifest), artifactType=kind
        )
        reply = self.manifest(registry.MANIFEST, manifest)
        if "OCI-Subject" not in reply.headers:
            # The registry does not know of it: the specification has a tag for that.
            self._list(subject["digest"].replace(":", "-"), row)

    def _list(self, tag: str, row: Mapping[str, Any]) -> None:
        """Have a row in the image index `tag`, with what others have put there."""
        rows = [one for one in self._listed(tag) if one.get("digest") != row["digest"]]
        self.tag(tag, registry.INDEX, artifact.image_index([*rows, row]))

    def _listed(self, tag: str) -> list[dict[str, Any]]:
        url = self._at.tagged(tag)

        def once() -> bytes:
            with self._session.ask(url) as answer:
                return web.bounded(answer, url, registry.MOST)

        found = self._unless_absent(once)
        rows = [] if found is None else json.loads(found).get("manifests")
        return [one for one in rows if isinstance(one, dict)] if isinstance(rows, list) else []

    def _head(self, path: str) -> str | None:
        """The digest of what is there, as far as the registry tells it; None if there is
        nothing."""

        def once() -> str:
            url = f"{self._at.base}/{path}"
            reply = self._session.send(self._at, "HEAD", url, _MANIFESTS)
            return reply.headers.get("Docker-Content-Digest", "")

        return self._unless_absent(once)

    def _put(self, reference: str, kind: str, data: bytes) -> Reply:
        url = f"{self._at.base}/manifests/{reference}"
        headers = {"Content-Type": kind}

        def once() -> Reply:
            return _expect(
                self._session.send(self._at, "PUT", url, headers, lambda: data), _CREATED
            )

        return self._patiently(once)

    def _send(self, sha256: str, size: int, blocks: Blocks) -> None:
        last = f"digest=sha256:{sha256}"
        place = self._begin()[0]
        try:
            headers = {**_BYTES, "Content-Length": str(size)}
            self._finish(place, last, headers, lambda: blocks(0, size))
        except web.Failure as error:
            if error.status != _TOO_LARGE:
                raise
            place = self._send_pieces(size, blocks)
            self._finish(place, last, _BYTES, bytes)

    def _send_pieces(self, size: int, blocks: Blocks) -> str:
        """Send a blob in pieces; where to finish it."""
        place, least = self._begin()
        step = max(_CHUNK, least)
        for start in range(0, size, step):
            end = min(start + step, size)
            length = {"Content-Range": f"{start}-{end - 1}", "Content-Length": str(end - start)}
            headers, piece = {**_BYTES, **length}, _piece(blocks, start, end)
            reply = self._session.send(self._at, "PATCH", place, headers, piece)
            place = registry.location(self._at, place, _expect(reply, _ACCEPTED))
        return place

    def _begin(self) -> tuple[str, int]:
        """Where to send an upload, and how small its pieces may be."""
        url = f"{self._at.base}/blobs/uploads/"
        reply = _expect(self._session.send(self._at, "POST", url), _ACCEPTED)
        least = reply.headers.get("OCI-Chunk-Min-Length", "")
        return registry.location(self._at, url, reply), int(least) if least.isdecimal() else 0

    def _finish(
        self,
        place: str,
        digest: str,
        headers: Mapping[str, str],
        content: Callable[[], bytes | Iterable[bytes]],
    ) -> None:
        url = f"{place}{'&' if urlsplit(place).query else '?'}{digest}"
        _expect(self._session.send(self._at, "PUT", url, headers, content), _CREATED)

    def _unless_absent(self, once: Callable[[], _T]) -> _T | None:
        try:
            return self._patiently(once)
        except NetworkError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def _patiently(self, once: Callable[[], _T]) -> _T:
        try:
            return again.patiently(once, _PATIENCE)
        except web.Failure as error:
            raise NetworkError(f"{self._at.host}: {error}", status=error.status) from error


def _piece(blocks: Blocks, start: int, end: int) -> Callable[[], Iterable[bytes]]:
    return lambda: blocks(start, end)


def _expect(reply: Reply, status: int) -> Reply:
    if reply.status != status:
        raise web.Failure(f"answers with {reply.status}, not {status}", reply.status)
    return reply
