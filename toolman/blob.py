"""Blobs: bytes of a repository that are known by their digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Blob:
    """Something that lies beside the archives."""

    sha256: str
    size: int
    """Bytes."""


def parse(row: Mapping[str, Any]) -> Blob:
    """What an index says of a blob.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    if not DIGEST.fullmatch(row["sha256"]) or not is_count(row["size"]):
        raise ValueError(f"a wrong entry: {row['sha256']!r}")
    return Blob(sha256=row["sha256"], size=row["size"])


def is_count(value: object) -> bool:
    """Whether it counts something: a whole number, and no truth value."""
    return type(value) is int and value >= 0
