"""A floor for glibc: what `arm64-gnu.2.28` links dynamically runs with glibc 2.28 and newer.

A program asks for the symbol versions that the libraries had which it was linked with, and for
libc's own start code. So the finished sysroot of the distribution is rewritten, once, for the
linker; what runs programs (`toolman run`) still finds its real libraries there:

- `lib/glibc-<floor>/` has stubs of glibc's libraries, see `stubs`; `libc.so`, `libm.so` … in `lib/`
  name those. Before 2.34 threads, dlopen and timers were libraries of their own: `libc.so` brings
  them along where a program uses them, so that no `-lpthread` has to be added for the floor's sake.
- `libc_nonshared.a` gets what the compiler's own libraries and the headers take from a newer
  glibc: `data/glibc/compat.c`. Nothing else is added: what the floor's glibc lacks must not link,
  for so a configure script finds that out.
- `crt1.o` of glibc 2.34 and later would lose the program's constructors: `data/glibc/start.c`.
- The headers say the floor's version (`__GLIBC_MINOR__`), for programs that ask, and do not ask
  sysconf for what only 2.34 answers (PTHREAD_STACK_MIN). All functions are still declared.
- Other libraries of the toolchain (libstdc++, libgomp …) need newer symbols themselves, so they are
  linked statically; of libgcc_s's unwinder there is a stub. `-static` takes libc.a as it is.

What came from where before 2.34 is data, `data/glibc/past.toml`.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import run
from toolman.errors import BuildError, InputError
from toolman.origins import stubs
from toolman.target import glibc_version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from toolman.origins.finish import Finished
    from toolman.origins.stubs import Libraries, Version
    from toolman.target import Target

REVISION = 1
"""Raised when this module's output changes."""

_DATA = Path(__file__).parents[1] / "data/glibc"
_JOBS = 2  # processes at a time, as when a tree is finished
_CRT = ("crt1.o", "Scrt1.o", "gcrt1.o")
# Those of glibc's libraries that programs are linked with, and libgcc's.
_GLIBC = re.compile(
    r"(ld-linux[\w-]*|ld64|lib(c|m|mvec|BrokenLocale|anl|dl|pthread|resolv|rt|thread_db|util|gcc_s))"
    r"\.so\.\d"
)
_MEMBER = re.compile(r"/\* member (\w+) ([\d.]+) \*/\n")
_COMPILE = ("-O2", "-fPIC", "-fvisibility=hidden", "-fno-stack-protector", "-fno-lto", "-w")
# Where the header has GNU's extensions, these would be sysconf's answers, -1 before 2.34.
_DYNAMIC_SIZE = re.compile(r"(# *define __USE_DYNAMIC_STACK_SIZE\s+)1")
_MINOR = re.compile(r"(# *define\s+__GLIBC_MINOR__\s+)(\d+)")
# Since 2.38 strtol and scanf have other names where GNU's extensions or C23 are asked for.
_C23_STRTOL = re.compile(r"(# *define\s+__GLIBC_USE_C2\w_STRTOL\s+)1")


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One toolchain that gets a floor."""

    tree: Path
    finished: Finished
    floor: Version
    aside: Path
    """For what does not stay."""
    past: Mapping[str, Any]

    @property
    def sysroot(self) -> Path:
        return self.tree / self.finished.sysroot

    @property
    def libraries(self) -> Path:
        return self.sysroot / "lib"

    @property
    def stubs(self) -> Path:
        return self.libraries / f"glibc-{'.'.join(map(str, self.floor))}"

    def tool(self, name: str) -> Path:
        return self.tree / self.finished.tools[name]

    def is_below(self, version: str) -> bool:
        return self.floor < glibc_version(version)


def check(target: Target, package: str) -> None:
    """Make sure that glibc as `package` has it, `2.36-9`, can be lowered to the target's floor.

    Raises:
        InputError: it is older than that.
    """
    has = re.match(r"\d+\.\d+", package)
    if target.glibc and has and glibc_version(target.glibc) > glibc_version(has[0]):
        hint = f"the newest: {target.platform.name}-gnu.{has[0]}; or without a floor"
        raise InputError(f"the distribution has glibc {has[0]}, not {target.glibc}", hint=hint)


def digest() -> str:
    """Changes with all that goes into a floor beside the distribution's packages."""
    files = [path.read_bytes() for path in sorted(_DATA.iterdir())]
    return hashlib.sha256(b"\0".join([str(REVISION).encode(), *files])).hexdigest()


def lower(tree: Path, finished: Finished, floor: str, aside: Path) -> None:
    """Give the finished `tree` the floor `floor`.

    Raises:
        BuildError: its glibc is not of the shape that is known.
    """
    work = _Work(
        tree=tree,
        finished=finished,
        floor=glibc_version(floor),
        aside=aside / "floor",
        past=tomllib.loads((_DATA / "past.toml").read_text("utf-8")),
    )
    work.aside.mkdir(parents=True)
    work.stubs.mkdir()
    real = _real(work)
    made = stubs.lowered(real, work.floor, work.past)
    with ThreadPoolExecutor(_JOBS) as pool:
        list(pool.map(lambda name: _make_stub(work, name, made), made))
    _link_others_statically(work)
    _name_stubs(work, made)
    _lower_headers(work)  # `compat.c` is compiled with them
    newest = {one.name: one.version for found in real.values() for one in found if one.is_default}
    _add_compat(work, newest)
    if work.floor < stubs.MERGED <= newest["__libc_start_main"]:
        _replace_start(work)


def _real(work: _Work) -> Libraries:
    """What the sysroot's own glibc has."""
    files = sorted(path for path in work.libraries.glob("*.so.*") if _GLIBC.fullmatch(path.name))
    found = stubs.parse(run.check("readelf", [work.tool("readelf"), "-W", "--dyn-syms", *files]))
    if stubs.LIBC not in found:
        raise BuildError(f"the sysroot has no {stubs.LIBC} with symbol versions")
    return found


def _make_stub(work: _Work, name: str, made: Libraries) -> None:
    text, script = work.aside / f"{name}.s", work.aside / f"{name}.map"
    text.write_text(stubs.assembly(made[name]), "utf-8")
    script.write_text(stubs.script(made[name]), "utf-8")
    words = ["-shared", "-nostdlib", f"-Wl,-soname,{name}", f"-Wl,--version-script,{script}"]
    run.check(f"a stub of {name}", [work.tool("gcc"), *words, text, "-o", work.stubs / name])


def _name_stubs(work: _Work, made: Libraries) -> None:
    """Let `-lm`, `-lpthread` … mean the stubs."""
    below = work.stubs.name
    for name, symbols in made.items():
        if name == stubs.LIBGCC:
            continue  # among the compiler's parts
        link = work.libraries / f"{name.partition('.so')[0]}.so"
        if link.is_symlink() or (symbols and not link.exists()):
            link.unlink(missing_ok=True)
            link.symlink_to(f"{below}/{name}")
    for path in work.libraries.glob("*.so"):
        if path.is_symlink() or path.stat().st_size > 4096:
            continue
        text = path.read_text("utf-8", "replace")
        if "GNU ld script" in text:
            path.write_text(_script(work, text, made), "utf-8")


def _script(work: _Work, text: str, made: Libraries) -> str:
    """A linker script that names the stubs, and before libc what was once not in it."""
    if work.floor < stubs.MERGED:
        once = dict.fromkeys(row["library"] for row in work.past["moved"])
        # libm is always asked for by name.
        needed = " ".join(one for one in once if one != "libm.so.6" and made.get(one))
        text = re.sub(r"GROUP\s*\(\s*(?=libc\.so\.6)", f"GROUP ( AS_NEEDED ( {needed} ) ", text)
    for name in (*made, "libc_nonshared.a"):
        pattern = rf"(?<=[\s(]){re.escape(name)}(?=[\s)])"
        text = re.sub(pattern, f"{work.stubs.name}/{name}", text)
    return text


def _link_others_statically(work: _Work) -> None:
    for directory in (work.libraries, _parts(work)):
        for path in directory.glob("*.so"):
            other = path.is_symlink() and not _GLIBC.fullmatch(path.readlink().name)
            if other and path.with_suffix(".a").exists():
                path.unlink()
    shared = _parts(work) / "libgcc_s.so"
    shared.unlink(missing_ok=True)
    group = f"GROUP ( {work.stubs.name}/{stubs.LIBGCC} libgcc.a )"
    shared.write_text(f"/* GNU ld script */\n{group}\n", "utf-8")


def _parts(work: _Work) -> Path:
    said = run.check("gcc", [work.tool("gcc"), "-print-libgcc-file-name"])
    return Path(said.strip()).parent


def _add_compat(work: _Work, known: Collection[str]) -> None:
    """`libc_nonshared.a` of the floor: the sysroot's own, and what programs get from us."""
    nonshared = work.stubs / "libc_nonshared.a"
    nonshared.write_bytes((work.libraries / nonshared.name).read_bytes())
    sources = []
    for name, text in _members(work):
        if name in known:  # otherwise nothing of this glibc can ask for it
            sources.append(work.aside / f"{name}.c")
            sources[-1].write_text(text, "utf-8")
    if not sources:
        return
    with ThreadPoolExecutor(_JOBS) as pool:
        objects = list(pool.map(lambda source: _compile(work, source), sources))
    run.check("libc_nonshared.a", [work.tool("ar"), "rcDs", nonshared, *objects])


def _members(work: _Work) -> Iterator[tuple[str, str]]:
    """Name and text of each part of `compat.c` that the floor takes."""
    head, *rest = _MEMBER.split((_DATA / "compat.c").read_text("utf-8"))
    for name, version, text in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        if work.is_below(version):
            yield name, head + text


def _compile(work: _Work, source: Path) -> Path:
    into = source.with_suffix(".o")
    argv: list[str | Path] = [work.tool("gcc"), *_COMPILE, f"-I{_DATA}", "-c", source, "-o", into]
    run.check(f"compiling {source.name}", argv)
    return into


def _replace_start(work: _Work) -> None:
    start = work.aside / "start.o"
    argv: list[str | Path] = [work.tool("gcc"), *_COMPILE, "-c", _DATA / "start.c", "-o", start]
    run.check("compiling start.c", argv)
    for name in _CRT:
        path, renamed = work.libraries / name, work.aside / name
        words = ["--redefine-sym", "__libc_start_main=__floor_start_main"]
        run.check(name, [work.tool("objcopy"), *words, path, renamed])
        path.unlink()
        run.check(name, [work.tool("gcc"), "-r", "-nostdlib", renamed, start, "-o", path])


def _lower_headers(work: _Work) -> None:
    include = work.sysroot / "include"
    features = include / "features.h"
    text = _MINOR.sub(rf"\g<1>{work.floor[1]}", features.read_text("utf-8"))
    if work.floor < stubs.MERGED:
        text = _DYNAMIC_SIZE.sub(r"\g<1>0", text)
    if work.is_below("2.38"):
        text = _C23_STRTOL.sub(r"\g<1>0", text)
    _write(features, text)
    for row in work.past["renamed"]:
        if work.is_below(row["until"]):
            header = include / row["header"]
            lines = [f"#define {name} __{name}" for name in row["names"].split()]
            # In front, so that what is declared is what is meant.
            _write(header, "\n".join([*lines, header.read_text("utf-8")]))
    for path in work.tree.glob("usr/**/bits/c++config.h"):
        _write(path, "\n".join([path.read_text("utf-8"), *_config_lines(work), ""]))


def _config_lines(work: _Work) -> Iterator[str]:
    """What libstdc++'s own configuration says otherwise below the floor."""
    # By the floor's version of glibc threads would be optional, and its references to them weak.
    yield from ("#undef _GLIBCXX_GTHREAD_USE_WEAK", "#define _GLIBCXX_GTHREAD_USE_WEAK 0")
    for row in work.past["unused"]:
        if work.is_below(row["until"]):
            yield from (f"#undef {name}" for name in row["names"].split())


def _write(path: Path, text: str) -> None:
    path.unlink()  # it may be linked to from elsewhere
    path.write_text(text, "utf-8")
