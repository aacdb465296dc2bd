"""Where things lie while a toolchain is built.

<cache>/build/shared/<component>-<digest12>/   a source tree, patched; other toolchains use it
<cache>/build/shared/hostlibs-<digest12>/      gmp, mpfr and mpc, likewise
<cache>/build/shared/ccache/                   what was compiled for the host
<cache>/build/shared/answers/<component>-…/    what its configure scripts know of the host
<cache>/build/<name>-<digest12>/               one toolchain under way
    <component>/                               where it is compiled
    out/                                       what is installed, as DESTDIR sees it
    log/<step>.log   done/<step>               a log and a stamp for each step
<cache>/locks/                                 of shared steps

All of it can be deleted at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toolman.build.step import Step


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The directories of one toolchain's build."""

    cache: Path
    name: str
    """The target's name and a digest of all that goes in: `arm64-musl-0123456789ab`."""
    triple: str
    sources: Mapping[str, str]
    """Component → a word for its exact bytes and patches."""
    hostlibs_key: str
    """A word for all that the host's libraries depend on."""

    @property
    def shared(self) -> Path:
        return self.cache / "build" / "shared"

    @property
    def locks(self) -> Path:
        return self.cache / "locks"

    @property
    def work(self) -> Path:
        return self.cache / "build" / self.name

    @property
    def out(self) -> Path:
        return self.work / "out"

    @property
    def sysroot(self) -> Path:
        """Where the target's headers and libraries are installed."""
        return self.out / self.triple

    @property
    def hostlibs(self) -> Path:
        return self.shared / f"hostlibs-{self.hostlibs_key}"

    @property
    def objects_cache(self) -> Path:
        return self.shared / "ccache"

    def answers(self, component: str) -> Path:
        """What the configure scripts of a component have found out about the host."""
        name = f"{component}-{self.sources[component]}-{self.hostlibs_key}"
        return self.shared / "answers" / name

    def source(self, component: str) -> Path:
        """The patched source tree of a component."""
        return self.shared / f"{component}-{self.sources[component]}"

    def objects(self, component: str) -> Path:
        """Where a component is compiled."""
        return self.work / component

    def log(self, step: Step) -> Path:
        return self.work / "log" / f"{step.file}.log"

    def stamp(self, step: Step) -> Path:
        """A shared step is done for all toolchains."""
        if step.shared:
            return self.shared / "done" / f"{step.file}-{step.shared}"
        return self.work / "done" / step.file
