"""Repositories by their URL: on a server, in a directory, or in a registry."""

from __future__ import annotations

import json
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

from toolman import artifact, fetch, registry
from toolman.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toolman.metadata import Get

_NOT_FOUND = (403, 404)  # 403 is what object stores answer where nobody may list what there is


@contextmanager
def fetcher(url: str) -> Iterator[Get]:
    """What gives the signed files of the repository at `url` to `metadata.read`.

    Raises:
        NetworkError, IntegrityError: the registry has no repository under that name.
    """
    with fetch.contents() as content:

        def get(path: str, most: int) -> bytes | None:
            try:
                return content(f"{url}/{path}", most)
            except NetworkError as error:
                if error.status in _NOT_FOUND:
                    return None
                raise

        yield artifact.Repository(url, content).get if registry.is_oci(url) else get


def sparing(get: Get, known: Path) -> Get:
    """The same, but for the index that the file `known` holds: it is named by its digest, so who
    asks for it again gets the same, and checks it as ever."""
    try:
        content: bytes = json.loads(known.read_bytes())["index"].encode()
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return get
    here = f"targets/{sha256(content).hexdigest()}.index.json"
    return lambda path, most: content if path == here else get(path, most)
