"""The host: the machine that the compilers run on."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from toolman.errors import InputError
from toolman.target import Platform, platforms


@dataclass(frozen=True, kw_only=True)
class Host:
    """A release of a distribution on an architecture."""

    system: str
    """ID and VERSION_ID of os-release in one word: `debian12`."""
    codename: str
    """VERSION_CODENAME of os-release: `bookworm`; may be empty."""
    machine: str
    """What `uname -m` prints."""

    @property
    def key(self) -> str:
        """Names this host's part of the data directory: `debian12-x86_64`.

        The launcher (`data/launcher.sh`) composes the same word.
        """
        return f"{self.system}-{self.machine}"

    @property
    def platform(self) -> Platform:
        """The host as a platform.

        Raises:
            InputError: the table has no such machine.
        """
        for row in platforms():
            if row.uname == self.machine:
                return row
        raise InputError(f"toolman does not know this machine: {self.machine}")

    def is_native(self, platform: Platform) -> bool:
        """Whether `platform` is this host's own; what else it can run, the kernel knows."""
        return platform.uname == self.machine

    @classmethod
    def current(cls) -> Host:
        """This machine. Works without os-release too, as on a bare container."""
        try:
            release = platform.freedesktop_os_release()
        except OSError:
            release = {}
        system = release.get("ID", "linux") + release.get("VERSION_ID", "")
        codename = release.get("VERSION_CODENAME", "")
        return cls(system=system, codename=codename, machine=platform.machine())
