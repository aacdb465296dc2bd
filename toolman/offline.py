"""Whether the network may be asked, and what to say of bytes that it would have to give.

TOOLMAN_OFFLINE=1, which `--offline` sets, is the environment's like proxies are, so that what
toolman starts is offline too. Files on disks are no network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolman.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VARIABLE = "TOOLMAN_OFFLINE"
_CURE = "go without --offline and TOOLMAN_OFFLINE"


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Bytes that are not here."""

    url: str
    """Where they are to be had, as it may be printed."""
    sha256: str
    place: Path
    """The file that they should be, for toolman to find them."""


def on() -> bool:
    """Whether the network is not to be asked."""
    return os.environ.get(VARIABLE, "0") not in ("", "0")


def turn_on() -> None:
    """Ask the network no more, nor let what is started from now on."""
    os.environ[VARIABLE] = "1"


def lacking(missing: Sequence[Missing]) -> NetworkError:
    """Which bytes to bring here, and where to."""
    said = [f"{one.url} is missing: sha256 {one.sha256}, as {one.place}" for one in missing]
    hint = f"put it there, or {_CURE}"
    if len(said) == 1:
        return NetworkError(f"offline: {said[0]}", hint=hint)
    lines = "".join(f"\n  {one}" for one in said)
    return NetworkError(f"offline: {len(said)} files are missing{lines}", hint=hint)


def refused(what: str) -> NetworkError:
    """Something that is always asked of the network."""
    return NetworkError(f"offline: {what} is not asked", hint=_CURE)
