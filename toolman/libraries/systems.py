"""The build systems of libraries: a closed table, and the steps of one library.

A library is built where its source is unpacked, configured for `/usr`, and installed below
`out/`; `finish` takes from there what is kept.

A recipe's words may hold {triple}, {out} and {build}: the target's triple, where it is installed,
and the machine that compiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolman.build import flags
from toolman.build.step import Command, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from toolman.libraries.choice import Chosen
    from toolman.target import Target

# The directories of GCC's musl and OpenSSL's names for what they are compiled for (go.md, 6).
_OPENSSL = {
    "amd64": ("linux-x86_64", "enable-ec_nistp_64_gcc_128"),
    "386": ("linux-x86",),
    "arm64": ("linux-aarch64",),
    "armv7": ("linux-armv4",),
    "armv6": ("linux-armv4",),
    "riscv64": ("linux64-riscv64",),
    "ppc64le": ("linux-ppc64le",),
    "s390x": ("linux64-s390x",),
    "loong64": ("linux64-loongarch64",),
}
_TOOLS = {"CC": "gcc", "CXX": "g++", "AR": "ar", "RANLIB": "ranlib", "NM": "nm", "STRIP": "strip"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One library to build."""

    chosen: Chosen
    target: Target
    work: Path
    source: Path
    """The tarball."""
    patches: tuple[Path, ...]
    needs: tuple[Path, ...]
    """The trees of the libraries that it is built against."""
    machine: str
    """The host's, as `uname -m` prints it."""
    cxx: bool = False
    """Whether the toolchain has a C++ compiler."""

    @property
    def tree(self) -> Path:
        return self.work / "source"

    @property
    def place(self) -> Path:
        """Where it is built."""
        return self.tree / self.chosen.recipe.directory

    @property
    def out(self) -> Path:
        return self.work / "out"

    @property
    def build(self) -> str:
        return f"{self.machine}-pc-linux-gnu"

    @property
    def words(self) -> list[str]:
        """The recipe's words for this way of building."""
        recipe = self.chosen.recipe
        more = recipe.shared if self.chosen.shared else recipe.static
        return [self.fill(word) for word in (*recipe.options, *more)]

    def fill(self, word: str) -> str:
        values = {"triple": self.target.triple, "out": str(self.out), "build": self.build}
        for name, value in values.items():
            word = word.replace(f"{{{name}}}", value)
        return word


def steps(job: Job) -> list[Step]:
    """How the library of `job` is built."""
    configure, _ = SYSTEMS[job.chosen.recipe.system]
    name, recipe = job.chosen.name, job.chosen.recipe
    unpack = ("tar", "--extract", "--no-same-owner", "--strip-components=1", f"--file={job.source}")
    commands = (
        Command(argv=unpack, cwd=job.tree),
        *(Command(argv=("patch", "-p1", "-i", str(one)), cwd=job.tree) for one in job.patches),
        *(_with(job, one) for one in configure(job)),
    )
    destination = () if _names_out(job) else (f"DESTDIR={job.out}",)
    return [
        Step(name=f"{name}: configure", commands=commands, owns=(job.tree,), seconds=3),
        Step(
            name=f"{name}: make",
            commands=(make(job, *recipe.make),),
            needs=(f"{name}: configure",),
            seconds=recipe.seconds,
        ),
        Step(
            name=f"{name}: install",
            commands=(make(job, *destination, *recipe.install),),
            needs=(f"{name}: make",),
            owns=(job.out,),
        ),
    ]


def make(job: Job, *words: str) -> Command:
    """One of its makes."""
    _, said = SYSTEMS[job.chosen.recipe.system]
    return _with(job, flags.make(job.place, *said(job), *map(job.fill, words)))


def _with(job: Job, command: Command) -> Command:
    """The command with what each sees: the compiler, and the libraries that are there."""
    own = {name: job.fill(value) for name, value in job.chosen.recipe.variables.items()}
    where = ":".join(f"{tree}/lib/pkgconfig" for tree in job.needs)
    pkg_config = {"PKG_CONFIG": "pkg-config --static", "PKG_CONFIG_LIBDIR": where or "/nonexistent"}
    env = {**pkg_config, **_compiler(job), **command.env, **own}
    return Command(argv=command.argv, cwd=command.cwd, env=env)


def _compiler(job: Job) -> dict[str, str]:
    if job.chosen.recipe.system == "openssl":  # it puts the prefix before each itself
        return {"CFLAGS": _cflags(job, hide=False)}
    tools = {name: f"{job.target.triple}-{tool}" for name, tool in _TOOLS.items()}
    if not job.cxx:
        tools["CXX"] = tools["CC"]  # which says no by itself; without one, the host's is taken
    cflags = _cflags(job, hide=True)
    return {
        **tools,
        "CFLAGS": cflags,
        "CXXFLAGS": cflags,
        "CPPFLAGS": " ".join(f"-I{tree}/include" for tree in job.needs),
        "LDFLAGS": " ".join(f"-L{tree}/lib" for tree in job.needs),
    }


def _cflags(job: Job, *, hide: bool) -> str:
    """OpenSSL keeps the flags themselves, which would name what they hide."""
    hidden = flags.hide(job.tree, *job.needs) if hide else []
    return " ".join(["-O2", "-fPIC", *hidden, *job.chosen.recipe.cflags])


def _names_out(job: Job) -> bool:
    """Whether the recipe says by itself where to install: its Makefile has no DESTDIR."""
    return any("{out}" in word for word in job.chosen.recipe.options)


def _autotools(job: Job) -> list[Command]:
    linked = ("--enable-static", f"--{'enable' if job.chosen.shared else 'disable'}-shared")
    machines = (f"--build={job.build}", f"--host={job.target.triple}")
    return [_configured(job, *machines, *linked)]


def _plain(job: Job) -> list[Command]:
    return [_configured(job)]


def _configured(job: Job, *words: str) -> Command:
    argv = ("sh", "./configure", "--prefix=/usr", "--libdir=/usr/lib", *words, *job.words)
    return Command(argv=argv, cwd=job.place)


def _openssl(job: Job) -> list[Command]:
    linked = "shared" if job.chosen.shared else "no-shared"
    argv = (
        *("perl", "./Configure", *_OPENSSL[job.target.platform.name], linked),
        f"--cross-compile-prefix={job.target.triple}-",
        *("--prefix=/usr", "--libdir=lib", "--openssldir=/etc/ssl"),
        *job.words,
    )
    return [Command(argv=argv, cwd=job.place)]


def _cmake(job: Job) -> list[Command]:
    values = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": job.target.platform.cmake,
        "CMAKE_C_COMPILER": f"{job.target.triple}-gcc",
        "CMAKE_BUILD_TYPE": "None",  # what the flags say, and nothing else
        "CMAKE_INSTALL_PREFIX": "/usr",
        "CMAKE_INSTALL_LIBDIR": "lib",
        "CMAKE_FIND_ROOT_PATH": ";".join(map(str, job.needs)) or "/nonexistent",
        "CMAKE_FIND_ROOT_PATH_MODE_PROGRAM": "NEVER",
        "CMAKE_FIND_ROOT_PATH_MODE_LIBRARY": "ONLY",
        "CMAKE_FIND_ROOT_PATH_MODE_INCLUDE": "ONLY",
        "CMAKE_FIND_ROOT_PATH_MODE_PACKAGE": "ONLY",
        "BUILD_SHARED_LIBS": "ON" if job.chosen.shared else "OFF",
    }
    if not job.cxx:  # some name C++ among their languages, and have no line of it
        values |= {"CMAKE_CXX_COMPILER": f"{job.target.triple}-gcc"}
        values |= {"CMAKE_CXX_COMPILER_FORCED": "ON"}
    said = [f"-D{name}={value}" for name, value in values.items()]
    argv = ("cmake", "-G", "Unix Makefiles", *said, *job.words, ".")
    return [Command(argv=argv, cwd=job.place)]


def _nothing(job: Job) -> list[Command]:
    del job
    return []


def _unsaid(job: Job) -> tuple[str, ...]:
    del job
    return ()


def _all_words(job: Job) -> tuple[str, ...]:
    """For a Makefile that would set these itself: on its command line they win."""
    said = _compiler(job)
    names = ("CC", "AR", "RANLIB", "CFLAGS")
    return (*(f"{name}={said[name]}" for name in names), *job.words)


SYSTEMS: Mapping[str, tuple[Callable[[Job], list[Command]], Callable[[Job], tuple[str, ...]]]] = {
    "autotools": (_autotools, _unsaid),
    "configure": (_plain, _unsaid),
    "cmake": (_cmake, _unsaid),
    "openssl": (_openssl, _unsaid),
    "make": (_nothing, _all_words),
}
"""How each is configured, and what each of its makes is told."""
