"""Sources of ten lines in the place of GCC's and its kin, and a machine that builds from them.

Each has a `configure` and a makefile that record how they were called, refuse to work before what
they need is there, and install stand-ins. What a test wants to happen meanwhile is a hook: a line
of sh that the call of one rule runs. So sources stay the same when a test changes its mind.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import archive
import faketexts
import tools
from archive import Done, Machine

from toolman import target as targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from archive import Server

VERSION = "99.1"
FOUND = {"musl": "musl", "gnu": "glibc"}
NAMES = ("gcc", "binutils", "gmp", "mpfr", "mpc", "linux-headers", "musl", "glibc", "mimalloc")
# `e_machine` of ELF as the two octal escapes of `printf`, by the triple's first part.
MACHINES = {"aarch64": r"\267\000", "riscv64": r"\363\000", "x86_64": r"\076\000"}
# Of the host's tools that a build asks for, those that no makefile here calls.
_UNUSED = ("m4", "flex", "bison", "gawk")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a `configure` or of a makefile's rule."""

    name: str
    """Component and rule: `gcc all-gcc`."""
    words: tuple[str, ...]
    """What `configure` was given."""
    cwd: Path
    environ: Mapping[str, str]


class Upstream:
    """The projects' servers, a machine that builds from them, and what happens there."""

    def __init__(self, directory: Path, server: Server) -> None:
        self.directory = directory
        self.server = server
        self.control = directory / "control"
        for name in ("calls", "hooks"):
            (self.control / name).mkdir(parents=True)
        _write(self.control / "record", faketexts.RECORD)
        bin_ = directory / "bin"
        for name in _UNUSED:
            _write(bin_ / name, f"#!/bin/sh\necho {name} 99.1\n")
        _write(bin_ / "ccache", faketexts.CCACHE)
        gcc = faketexts.HOST_COMPILER.replace("@GCC@", str(tools.find("gcc")))
        _write(bin_ / "gcc", gcc.replace("@RECORD@", f"{self.control}/record"))
        self.machine = Machine(directory, server.url)
        # Not the debian host's, whose sources a test might reach.
        self.machine.sources.write_text("")
        self.machine.settings = {"PATH": f"{bin_}:{os.environ['PATH']}"}
        self.tarballs = {name: self._serve(name) for name in NAMES}
        self.recipe()

    def build(self, target: str = "arm64-musl", *words: str | Path) -> Done:
        """Build, which must succeed."""
        done = self.machine.toolman(*self.command(target, *words))
        assert done.code == 0, done.err
        return done

    def command(self, target: str = "arm64-musl", *words: str | Path) -> list[str]:
        """The words that build `target`."""
        recipe = self.directory / f"fake-{target.rpartition('-')[2]}.toml"
        chosen = ["--origin", "source", "--recipe", str(recipe)]
        return ["install", target, *chosen, "--jobs", "2", *map(str, words)]

    def recipe(self, more: str = "") -> None:
        """Write the recipes for musl and gnu; `more` tables go to the end."""
        for libc in targets.LIBCS:
            every = [one.platform.docker for one in targets.targets() if one.libc == libc]
            text = f"""\
schema = 1
name = "fake-{libc}"
summary = "ten lines each"
revision = 1
libc = "{libc}"
targets = {every}
[components]
"""
            # musl is one that no published patch is for.
            names = [one for one in NAMES if one not in FOUND.values() or one == FOUND[libc]]
            text += "".join(f'{name} = "{VERSION}"\n' for name in names)
            text += more + "".join(self.tarballs[name] for name in names)
            (self.directory / f"fake-{libc}.toml").write_text(text)

    def change(self, component: str, more: str) -> None:
        """Have another tarball of a component, in the recipes and on the server."""
        self.tarballs[component] = self._serve(component, more)
        self.recipe()

    def hook(self, call: str, text: str) -> None:
        """Have `text` run at the end of the record of `gcc all-gcc`; a failure fails the rule."""
        (self.control / "hooks" / call.replace(" ", ":")).write_text(f"{text}\n")

    def unhook(self) -> None:
        for path in (self.control / "hooks").iterdir():
            path.unlink()

    def calls(self) -> list[Call]:
        """All calls, as they came."""
        return [_call(path) for path in sorted((self.control / "calls").iterdir())]

    def names(self) -> list[str]:
        return [one.name for one in self.calls()]

    def forget_calls(self) -> None:
        for path in (self.control / "calls").iterdir():
            path.rename(self.control / f"old-{path.name}")

    def processes(self) -> list[str]:
        """The programs that run somewhere in the cache."""
        return running_below(self.machine.cache)

    def _serve(self, name: str, more: str = "") -> str:
        """Put the tarball where the server has it; its `[[source]]`."""
        content = packed(f"{name}-{VERSION}", self._files(name, more))
        path = self.server.archive.directory / f"{name}-{VERSION}.tar.gz"
        path.write_bytes(content)
        return f"""
[[source]]
component = "{name}"
version = "{VERSION}"
license = "MIT"
urls = ["{self.server.url}/{path.name}"]
size = {len(content)}
sha256 = "{hashlib.sha256(content).hexdigest()}"
"""

    def _files(self, name: str, more: str) -> dict[str, str]:
        head = f"name = {name}\nrecord = {self.control}/record {name}\nsrcdir ?= .\n"
        files = {
            "configure": faketexts.CONFIGURE.replace("@RECORD@", f"{self.control}/record"),
            "Makefile": head + faketexts.MAKEFILES.get(name, "") + more,
            "README": f"{name}\n",
        }
        files["configure"] = files["configure"].replace("@NAME@", name)
        others = {
            "gcc": {"gcc/compiler": _compiler(), "libgcc": head + faketexts.LIBGCC},
            "binutils": {"tool": faketexts.TOOL},
            "musl": {"stdio.h": "int puts(const char *);\n"},
            "glibc": {"stdio.h": "int puts(const char *);\n"},
            "mimalloc": {"src/static.c": "\n", "include/mimalloc.h": "\n"},
        }
        return {**files, **others.get(name, {})}


@contextmanager
def upstream(directory: Path) -> Iterator[Upstream]:
    """Servers and a machine in `directory`."""
    served = directory / "served"
    served.mkdir()
    with archive.serve(archive.Files(served)) as server:
        yield Upstream(directory, server)


def packed(top: str, files: Mapping[str, str]) -> bytes:
    """A tar.gz, always the same bytes but for gzip's time."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(text.encode())
            member.mode = 0o755 if text.startswith("#!") else 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


def running_below(directory: Path) -> list[str]:
    """The command lines of the programs whose working directory is in `directory`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = Path(str((process / "cwd").readlink()).removesuffix(" (deleted)"))
            if where.is_relative_to(directory) and "Z" not in _state(process):
                words = (process / "cmdline").read_bytes().split(b"\0")
                # One that is ending loses its memory, its words too, before its directory.
                if any(words):
                    found.append(b" ".join(words).decode())
        except OSError:
            continue
    return found


def _state(process: Path) -> str:
    return (process / "stat").read_text().rpartition(")")[2].split()[0]


def _compiler() -> str:
    cases = " ".join(f"{name}-*) machine='{code}' ;;" for name, code in MACHINES.items())
    return faketexts.COMPILER.replace("@CASES@", cases)


def _call(path: Path) -> Call:
    _, component, rule = path.name.split(":")
    return Call(
        name=f"{component} {rule}",
        words=_split(path / "words"),
        cwd=Path((path / "cwd").read_text().strip()),
        environ=dict(one.split("=", 1) for one in _split(path / "environ")),
    )


def _split(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text().split("\0")[:-1])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
