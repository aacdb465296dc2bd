"""How a repository lies in an OCI registry.

    toolman-index          what is signed, `metadata/…` and `targets/…`: an artifact, each file a
                           layer whose title is its path; small ones stand in the manifest, too
    arm64-musl-14.2.0      the archives of a target and version: an image index, by host platform;
                           each is an artifact whose one layer is the archive itself
    sha256-<digest>        what refers to the artifact of that digest (SBOM, provenance), where
                           the registry does not keep such a list itself

Tags are for people, and so that the registry keeps what they hold. toolman reads `toolman-index`
alone, verifies it as it does files of any server, and asks for archives by their digests.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from toolman import registry, web
from toolman.errors import IntegrityError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TAG = "toolman-index"
TITLE = "org.opencontainers.image.title"
EMPTY = b"{}"
"""What the configuration of every artifact is."""

_KIND = "application/vnd.toolman.index.v1"
_FILE_KIND = "application/vnd.toolman.metadata.v1+json"
_EMPTY_KIND = "application/vnd.oci.empty.v1+json"
_INLINE = 16 << 10  # bytes; what is larger does not stand in the manifest
_INLINE_ALL = 1 << 20
_NOT_FOUND = 404
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class _File:
    sha256: str
    size: int
    data: bytes | None


def descriptor(kind: str, digest: str, size: int, **more: Any) -> dict[str, Any]:
    """How manifests speak of bytes."""
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": size, **more}


def manifest(kind: str, layers: Sequence[Mapping[str, Any]], **more: Any) -> bytes:
    """An artifact: always the same bytes."""
    empty = descriptor(_EMPTY_KIND, sha256(EMPTY).hexdigest(), len(EMPTY))
    values = {"artifactType": kind, "config": empty, "layers": layers, **more}
    return _dump(registry.MANIFEST, values)


def image_index(manifests: Sequence[Mapping[str, Any]], **more: Any) -> bytes:
    """A list of manifests: always the same bytes."""
    return _dump(registry.INDEX, {"manifests": manifests, **more})


def signed(files: Mapping[str, bytes]) -> bytes:
    """The manifest of the signed files of a repository, by their paths."""
    layers = []
    room = _INLINE_ALL
    # The files that change go first: the roots of many years are read by few.
    for path, data in sorted(files.items(), key=lambda one: (_is_root(one[0]), one[0])):
        more: dict[str, Any] = {"annotations": {TITLE: path}}
        if len(data) <= min(room, _INLINE):
            room -= len(data)
            more["data"] = base64.b64encode(data).decode()
        layers.append(descriptor(_FILE_KIND, sha256(data).hexdigest(), len(data), **more))
    return manifest(_KIND, layers)


class Repository:
    """The signed files at a URL, all of one moment; `content` fetches, as `fetch.content` does.

    Raises:
        NetworkError, IntegrityError: there is no repository.
    """

    def __init__(self, url: str, content: Callable[[str, int], bytes]) -> None:
        self._at = registry.parse(url)
        self._content = content
        try:
            self._files = _listed(content(self._at.tagged(TAG), registry.MOST))
        except NetworkError as error:
            if error.status != _NOT_FOUND:
                raise
            hint = f"to make one: toolman publish push DIR {url}"
            raise NetworkError(f"{url} holds no repository", hint=hint, status=404) from error

    @property
    def paths(self) -> list[str]:
        return list(self._files)

    def get(self, path: str, most: int) -> bytes | None:
        """The file at a path, if it has no more than so many bytes; None if there is none.

        Raises:
            NetworkError: it cannot be had.
            IntegrityError: it is larger, or not what is listed.
        """
        one = self._files.get(path)
        if one is None:
            return None
        if one.size > most:
            raise IntegrityError(f"{path} is larger than {most} bytes")
        data = one.data
        if data is None:
            data = self._content(self._at.blob(one.sha256), most)
        if sha256(data).hexdigest() != one.sha256:
            raise IntegrityError(f"{path} is not what is listed", hint=web.DAMAGED)
        return data


def _listed(content: bytes) -> dict[str, _File]:
    try:
        said = json.loads(content)
        if said["artifactType"] != _KIND:
            raise ValueError("another artifactType")
        return {row["annotations"][TITLE]: _file(row) for row in said["layers"]}
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise IntegrityError(f"the tag {TAG} is no repository of toolman's: {error!r}") from error


def _file(row: Mapping[str, Any]) -> _File:
    found = _DIGEST.fullmatch(row["digest"])
    if not found or type(row["size"]) is not int:
        raise ValueError("a wrong layer")
    data = base64.b64decode(row["data"], validate=True) if "data" in row else None
    return _File(sha256=found[1], size=row["size"], data=data)


def _is_root(path: str) -> bool:
    return path.endswith(".root.json")


def _dump(kind: str, values: Mapping[str, Any]) -> bytes:
    full = {"schemaVersion": 2, "mediaType": kind, **values}
    return json.dumps(full, indent=1, sort_keys=True).encode() + b"\n"
