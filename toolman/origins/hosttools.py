"""What a build from source runs on the host: a compiler, make, bison and their like.

A tool of the host's counts if it works; a compiler, if a static C++ program of its making runs.
What is missing is unpacked from the host's own archive into the store, once, as entries that
are no toolchains:

    build-tools-<digest12>/path/<tool>/<tool>           link to its program in the entry
    build-compiler-<version>-<digest12>/path/compiler/  gcc, g++, ar …: the origin distro's
                                                        toolchain for the host itself

Each tool has a directory of its own, so that only those which the host lacks come before its own
on PATH. The packages are data, `recipes/hosttools.toml`.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import recipe, run, store
from toolman.errors import BuildError, InputError
from toolman.origins import apt, distro, finish
from toolman.request import Request
from toolman.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from toolman.context import Context
    from toolman.host import Host
    from toolman.origins.deb import Deb

COMPILER = "compiler"
PYTHON = "python3"
BINUTILS = ("ar", "as", "ld", "nm", "objcopy", "objdump", "ranlib", "readelf", "strip")

# Raise their names with what is done to the trees, for the entries are found by name alone.
_TOOLS = "build-tools"
_COMPILER = "build-compiler"
_HELPER = "patchelf"
# The host has these, of one build with its dynamic linker.
_HOST_LIBRARIES = ("libc6", "libgcc-s1", "libstdc++6")
_C = '#include <stdio.h>\nint main(void) { return puts("works") < 0; }\n'
_CXX = """\
#if __GNUC__ < 9
#error "version 9 or later is needed"
#endif
#include <iostream>
int main() { std::cout << "works" << std::endl; }
"""
_PROGRAMS = (("gcc", "c", _C), ("g++", "cc", _CXX))


@dataclass(frozen=True, kw_only=True)
class HostTools:
    """How to reach the tools of one build."""

    path: tuple[Path, ...]
    """Directories to put in front of PATH; none where the host has everything."""
    environ: Mapping[str, str]
    """What the privately unpacked ones need: M4, BISON_PKGDATADIR …"""

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` with these tools in front."""
        path = [*map(str, self.path), environ.get("PATH", os.defpath)]
        return {**environ, **self.environ, "PATH": ":".join(path)}


def needed(target: Target) -> tuple[str, ...]:
    """The tools that a build of a toolchain for `target` takes."""
    needs = recipe.load("hosttools")["needs"]
    return (*needs["any"], *needs.get(target.libc, ()))


def find(needs: Iterable[str], ctx: Context) -> HostTools:
    """The tools `needs`, names of the recipe: the host's that work, the others private ones.
    One that the recipe calls optional is gone without where there is no apt.

    Raises:
        InputError: some are missing, all of which are named, and the host has no apt.
        NetworkError, IntegrityError: the packages could not be had, or are forged.
        BuildError: an unpacked tool does not work.
    """
    lacking = _lacking(needs, ctx.environ)
    environ = {"PYTHON_PROG": sys.executable} if lacking.pop(PYTHON, None) else {}
    if not apt.available():
        lacking = {name: why for name, why in lacking.items() if not _optional(name)}
        if lacking:
            raise _missing(lacking, ctx.host)
    for name, why in lacking.items():
        ctx.reporter.detail(f"{name}: {why}")
    path: list[Path] = []
    programs = sorted(set(lacking) - {COMPILER})
    if programs:
        entry = _have(_TOOLS, programs, ctx)
        path += [entry / "path" / name for name in programs]
        environ |= _environ(entry, programs, ctx.host)
    if COMPILER in lacking:
        path.append(_have(_COMPILER, [COMPILER], ctx) / "path" / COMPILER)
    return HostTools(path=tuple(path), environ=environ)


def _lacking(needs: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Tool → why the host's does not do, for those that do not."""
    looked_at = {name: _trouble(name, environ) for name in needs}
    return {name: why for name, why in looked_at.items() if why}


def _trouble(name: str, environ: Mapping[str, str]) -> str | None:
    """Why the tool that `name` means in `environ` does not do; None if it works."""
    if name == COMPILER:
        return _compiler_trouble(environ)
    row = _row(name)
    done, why = _tried([name, *row.get("probe", ["--version"])], environ)
    if why or "least" not in row:
        return why
    told = re.search(r"\d+(\.\d+)+", done)
    if told is None:
        return "tells no version"
    if _number(told[0]) < _number(row["least"]):
        return f"is {told[0]}, {row['least']} or later is needed"
    return None


def _compiler_trouble(environ: Mapping[str, str]) -> str | None:
    for name in BINUTILS:
        _, why = _tried([name, "--version"], environ)
        if why:
            return f"{name} {why}"
    with tempfile.TemporaryDirectory(prefix="toolman-") as work:
        for name, extension, text in _PROGRAMS:
            source, program = Path(work, f"works.{extension}"), Path(work, name)
            source.write_text(text, "utf-8")
            _, why = _tried([name, "-static", "-o", str(program), str(source)], environ)
            if why:
                return f"{name} -static {why}"
            said, why = _tried([str(program)], environ)
            if why or said != "works\n":
                return f"{name} makes programs that do not run"
    return None


def _tried(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[str, str | None]:
    """What `argv` prints, and why it does not work."""
    program = run.which(argv[0], environ.get("PATH", os.defpath))
    if program is None:
        return "", "is not on PATH"
    try:
        done = run.run([program, *argv[1:]], env=environ)
    except (InputError, OSError) as error:
        return "", f"does not run: {error}"
    if done.code:
        said = [line for line in done.err.splitlines() if "error" in line or "cannot" in line]
        return "", f"fails: {said[0] if said else f'exit {done.code}'}"
    return done.out, None


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _optional(name: str) -> bool:
    return bool(_row(name).get("optional"))


def _row(name: str) -> dict[str, Any]:
    row: dict[str, Any] = recipe.load("hosttools")["tools"][name]
    return row


def _missing(lacking: Mapping[str, str], host: Host) -> InputError:
    text = ", ".join(f"{name} ({why})" for name, why in lacking.items())
    distribution, command = _distribution(host)
    packages = {word for name in lacking for word in _package(name, distribution).split()}
    return InputError(
        f"this host lacks what a build from source needs: {text}",
        hint=f"{command} {' '.join(sorted(packages))}",
    )


def _distribution(host: Host) -> tuple[str, str]:
    """The row that `host` belongs to, and its command; of an unknown one, Debian's names."""
    system = re.sub(r"[\d.]*$", "", host.system)
    for name, row in recipe.load("hosttools")["distributions"].items():
        if system in row["ids"]:
            return name, row["command"]
    return "debian", "install:"


def _package(name: str, distribution: str) -> str:
    names: dict[str, str] = _row(name).get("package", {})
    return names.get(distribution) or names.get("any") or name


def _have(kind: str, names: Sequence[str], ctx: Context) -> Path:
    """The store's entry of `kind` that holds `names`, made if there is none."""
    found = _stored(kind, names, ctx)
    if found:
        return found
    for directory in (ctx.paths.data, ctx.paths.cache):
        store.check_writable(directory)
    wait = f"waiting for another toolman ({kind})"
    with ctx.store.lock(kind, lambda: ctx.reporter.step(wait)):
        found = _stored(kind, names, ctx)
        if found:
            return found
        with ctx.store.stage(kind) as work:
            if kind == _COMPILER:
                return _make_compiler(work, ctx)
            return _make_tools(names, work, ctx)


def _stored(kind: str, names: Sequence[str], ctx: Context) -> Path | None:
    for entry in ctx.store.entries(f"{kind}-"):
        if all((entry / "path" / name).is_dir() for name in names):
            return entry
    return None


def _make_tools(names: Sequence[str], work: Path, ctx: Context) -> Path:
    ctx.reporter.step(f"unpacking {', '.join(names)} privately, once, for the host lacks them")
    archive = apt.Archive(cache=ctx.paths.cache, host=ctx.host)
    try:
        trees = finish.Trees(tree=work / "tree", aside=work / "aside")
        debs = _unpack(names, archive, trees, ctx)
    except apt.StaleError:
        archive.refresh(ctx.reporter)
        trees = finish.Trees(tree=work / "again", aside=work / "aside-again")
        debs = _unpack(names, archive, trees, ctx)
    finish.merge_usr(trees.tree)
    finish.set_rpaths(trees, ctx.host)
    for name in names:
        _link(trees.tree, name, {name: f"usr/bin/{_row(name).get('file', name)}"})
    _check(trees.tree, names, ctx)
    digest = hashlib.sha256("".join(sorted(deb.sha256 for deb in debs)).encode()).hexdigest()
    return ctx.store.add(trees.tree, f"{_TOOLS}-{digest[:12]}")


def _unpack(
    names: Sequence[str], archive: apt.Archive, trees: finish.Trees, ctx: Context
) -> list[Deb]:
    wanted = [_package(name, "debian") for name in names]
    kept = list(_kept(archive.closure([*wanted, _HELPER], ctx.reporter), wanted))
    total = sum(deb.size for deb in kept)
    store.check_space({ctx.paths.cache: total, ctx.paths.data: distro.UNPACKED * total})

    def place(deb: Deb) -> Path:
        return trees.helpers if deb.name == _HELPER else trees.tree

    distro.unpack(archive, kept, place, ctx.reporter)
    return [deb for deb in kept if deb.name != _HELPER]


def _kept(closure: Sequence[Deb], wanted: Sequence[str]) -> Iterator[Deb]:
    """The packages themselves, and the libraries that they need."""
    for deb in closure:
        library = deb.name.startswith("lib") and deb.name not in _HOST_LIBRARIES
        if library or deb.name in (*wanted, _HELPER):
            yield deb


def _make_compiler(work: Path, ctx: Context) -> Path:
    target = Target(platform=ctx.host.platform, libc="gnu")
    request = Request(target=target, languages=("c", "c++"))
    reason = distro.offers(request, ctx)
    if reason:
        raise InputError(f"no g++ that works, and none to be had: {reason}", hint="install g++")
    ctx.reporter.step("unpacking g++ privately, once, for the host has none that links -static")
    chosen = distro.plan(request, ctx)
    store.check_space(chosen.space(ctx))
    tree = work / "tree"
    tree.mkdir()
    about = distro.make(chosen, tree, ctx)
    _link(tree, COMPILER, about.tools)
    _check(tree, [COMPILER], ctx)
    # Without a toolchain.json, so it is none that the user has installed.
    return ctx.store.add(tree, f"{_COMPILER}-{about.version}-{about.digest[:12]}")


def _link(tree: Path, name: str, programs: Mapping[str, str]) -> None:
    """Make `path/<name>` with the `programs`: name → file below `tree`."""
    directory = tree / "path" / name
    directory.mkdir(parents=True)
    for program, file in programs.items():
        (directory / program).symlink_to(f"../../{file}")


def _check(tree: Path, names: Sequence[str], ctx: Context) -> None:
    path = tuple(tree / "path" / name for name in names)
    private = HostTools(path=path, environ=_environ(tree, names, ctx.host))
    trouble = _lacking(names, private.environment(ctx.environ))
    if trouble:
        text = ", ".join(f"{name} {why}" for name, why in trouble.items())
        raise BuildError(f"privately unpacked tools do not work: {text}")


def _environ(tree: Path, names: Sequence[str], host: Host) -> dict[str, str]:
    triple = host.platform.triple["gnu"]
    return {
        variable: str(tree / below.replace("{triple}", triple))
        for name in names
        if name != COMPILER
        for variable, below in _row(name).get("environ", {}).items()
    }
