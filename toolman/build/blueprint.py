"""What is to be built: all that a plan depends on, and nothing that it could look up."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toolman.target import Target

# Raise it when a step, a flag or the finishing changes what comes out.
REVISION = 7


@dataclass(frozen=True, kw_only=True)
class Source:
    """A component's pinned bytes, on disk and verified."""

    version: str
    file: Path
    sha256: str
    debian: bool = False
    """Whether it is Debian's repack, or what a package of Debian's holds."""
    patches: tuple[Path, ...] = ()
    """To be applied with `patch -p1`, in order."""

    @property
    def key(self) -> str:
        """A word for the patched tree that comes of it."""
        words = [self.sha256, *(_digest(path) for path in self.patches)]
        return hashlib.sha256(" ".join(words).encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """One toolchain."""

    target: Target
    languages: tuple[str, ...]
    """Of `toolman.request.LANGUAGES`."""
    sources: Mapping[str, Source]
    """By component; with a libc of its own and `linux-headers`."""
    configure: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The recipe's flags for a component, added to those that are always given."""
    malloc: str = "mallocng"
    """The allocator inside libc.a: musl's own, or `mimalloc`."""
    thread_stack: int = 8 << 20
    """Bytes of a thread's stack, unless the program is linked with `-z stack-size`."""
    cc: str = "gcc"
    """The words of the host's compilers, found on PATH."""
    cxx: str = "g++"
    compiler: str = ""
    """What the host's compiler says of itself."""
    machine: str = "x86_64"
    """The host's, as `uname -m` prints it."""
    host: str = ""

    @property
    def triple(self) -> str:
        return self.target.triple

    @property
    def musl(self) -> bool:
        return self.target.libc == "musl"

    @property
    def gcc_languages(self) -> tuple[str, ...]:
        """As GCC's `--enable-languages` spells them."""
        names = {"gccgo": "go"}
        # Go's and Fortran's run-time libraries are configured as parts of a C++ compiler.
        return tuple(names.get(one, one) for one in self.languages)

    @property
    def digest(self) -> str:
        """Equal digests are equal bytes, if the host's compiler is."""
        inputs = {
            "revision": REVISION,
            "target": self.target.name,
            "languages": self.languages,
            "sources": {name: one.key for name, one in self.sources.items()},
            "configure": {name: list(flags) for name, flags in self.configure.items()},
            "malloc": self.malloc,
            "thread_stack": self.thread_stack,
            "compiler": self.compiler,
            "host": self.host,
        }
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()

    @property
    def hostlibs_key(self) -> str:
        """Of what the host's libraries are made of."""
        words = [self.sources[name].key for name in ("gmp", "mpfr", "mpc", "mimalloc")]
        text = " ".join([str(REVISION), self.compiler, *words])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
