"""Recipes: TOML files that say what toolchains are made of. Data, never executed."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


@functools.cache
def load(name: str) -> dict[str, Any]:
    """The recipe `name` of those that come with toolman, as parsed TOML."""
    return tomllib.loads((directory() / f"{name}.toml").read_text("utf-8"))


def directory() -> Path:
    """Where the recipes are: in the wheel below the package, in a checkout beside it."""
    inside = _HERE / "recipes"
    return inside if inside.is_dir() else _HERE.parent / "recipes"
