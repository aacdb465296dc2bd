"""What a command works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from toolman.report import Reporter, Silent
from toolman.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolman.host import Host
    from toolman.paths import Paths


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How a toolchain is built from source; nothing in here changes what comes out."""

    jobs: int | None = None
    """How many at once; None: one for each processor."""
    keep_work: bool = False
    timeline: Path | None = None
    """Where to write a trace of the steps."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The host, the user's directories and environment, and where progress goes."""

    host: Host
    paths: Paths
    environ: Mapping[str, str]
    reporter: Reporter = field(default_factory=Silent)
    directory: Path = field(default_factory=Path.cwd)
    build: BuildOptions = BuildOptions()

    @property
    def store(self) -> Store:
        return Store(self.paths)
