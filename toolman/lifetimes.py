"""How long signatures are good. Apart from `signing`, which takes a tenth of a second to import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Lifetimes:
    """How long a signature of each role is good, in days."""

    root: int = 365
    targets: int = 90
    snapshot: int = 7
    timestamp: int = 3
