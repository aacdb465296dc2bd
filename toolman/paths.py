"""Where toolman keeps its files; the only reader of TOOLMAN_HOME and TOOLMAN_CACHE.

<data>/<host>/store/<name>-<version>-<digest12>/    complete or absent, files read-only
<data>/<host>/staging/                              work under way; same file system
<data>/<host>/active/<name>                         link to the toolchain in use
<data>/<host>/shims/  env/                          written from the above, never by hand
<data>/<host>/defaults.json                         what `toolman default` chose
<data>/<host>/overrides.json                        what `toolman override` chose
<data>/<host>/locks/                                never deleted
<data>/indexes/<name>/                              what an index has signed; for all hosts
<data>/advisories.json                              known vulnerabilities; for all hosts
<cache>/                                            can be deleted at any time
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolman.host import Host


@dataclass(frozen=True, kw_only=True)
class Paths:
    """The directories of one user on one host."""

    data: Path
    cache: Path

    @property
    def store(self) -> Path:
        return self.data / "store"

    @property
    def staging(self) -> Path:
        return self.data / "staging"

    @property
    def active(self) -> Path:
        return self.data / "active"

    @property
    def shims(self) -> Path:
        return self.data / "shims"

    @property
    def env(self) -> Path:
        return self.data / "env"

    @property
    def locks(self) -> Path:
        return self.data / "locks"

    @property
    def indexes(self) -> Path:
        return self.data.parent / "indexes"

    @property
    def advisories(self) -> Path:
        return self.data.parent / "advisories.json"

    @property
    def defaults(self) -> Path:
        return self.data / "defaults.json"

    @property
    def overrides(self) -> Path:
        return self.data / "overrides.json"

    @classmethod
    def from_env(cls, environ: Mapping[str, str], host: Host) -> Paths:
        """The user's directories: TOOLMAN_HOME and TOOLMAN_CACHE, else the XDG ones.

        Raises:
            InputError: no compiler could work in such a directory.
        """
        home = environ.get("TOOLMAN_HOME") or platformdirs.user_data_dir("toolman")
        _check(home)
        cache = environ.get("TOOLMAN_CACHE") or platformdirs.user_cache_dir("toolman")
        return cls(data=Path(home).absolute() / host.key, cache=Path(cache).absolute())


def _check(home: str) -> None:
    # GCC drops the backslash on the way to its linker; cgo refuses the double quote; no list
    # of directories can hold the colon.
    if re.search(r'[\\":\x00-\x1f\x7f]', home):
        raise InputError(
            f"toolchains cannot be kept in {home!r}: GCC and Go lose backslashes, double quotes,"
            " colons and control characters in paths",
            hint="set TOOLMAN_HOME to another directory",
        )
