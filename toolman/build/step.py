"""Steps: what `plan` composes and `runner` runs. Values only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Command:
    """One program to run in `cwd`, which is made if it is not there."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    """What is added to the environment of the whole build."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A part of a build that is done, or not done."""

    name: str
    """As the user reads it, `gcc: compilers`; also names its log and its stamp."""
    commands: tuple[Command, ...]
    needs: tuple[str, ...] = ()
    """The names of steps that have to be done before."""
    owns: tuple[Path, ...] = ()
    """Directories that are made anew if the step was begun and not finished."""
    seconds: float = 1
    """How long it takes on one idle core, as measured; for the bar and the order."""
    shared: str = ""
    """Not empty: other toolchains use its result. What makes that different, in one word."""

    @property
    def file(self) -> str:
        """Its name as a file's: `gcc-compilers`."""
        return self.name.replace(": ", "-").replace(" ", "-")

    @property
    def digest(self) -> str:
        """Of all that it does; a stamp with another digest is one of another step."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()
