"""Origin `source`: built here from pinned tarballs, as `build` says.

Sources come from upstream or Debian's archive (`sources`), tools of the host are found or
unpacked (`hosttools`), both before the first step. What is built lies in the cache until it is
complete, so that a stopped build goes on where it was.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import recipe, run, store
from toolman.build import finish
from toolman.build import plan as procedure
from toolman.build.blueprint import Blueprint, Source
from toolman.build.runner import Runner, write_timeline
from toolman.errors import InputError, ToolmanError
from toolman.origins import hosttools, sources
from toolman.toolchain import Component, Description

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolman.build.layout import Layout
    from toolman.context import Context
    from toolman.origins.hosttools import HostTools
    from toolman.origins.sources import Obtained
    from toolman.pin import Pin
    from toolman.recipe import Recipe
    from toolman.request import Request

NAME = "source"
_PREFERRED = {"musl": "gcc-14-musl", "gnu": "gcc-14-gnu"}
# libgo runs on these; on other machines musl lacks what it needs, or it was never tried.
_GCCGO_ON_MUSL = ("amd64", "arm64", "riscv64")
_COMMON = ("gcc", "binutils", "gmp", "mpfr", "mpc", "mimalloc", "linux-headers")
_LIBC = {"musl": "musl", "gnu": "glibc"}
_DISK = 4_000_000_000  # bytes of an unfinished toolchain; 2.0 GB measured with C and C++
_MEMORY = 1_500_000_000  # bytes a job may take; 741 MB the most measured (building.md)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A toolchain to be built, and what has to be fetched for it."""

    request: Request
    recipe: Recipe
    pins: Mapping[str, tuple[Pin, ...]]
    """Those that serve, by component or patch."""
    cache: Path

    @property
    def parts(self) -> list[Component]:
        """The sources; of each the bytes that are here, or else are tried first."""
        return [_part(name, self._chosen(some)) for name, some in self.pins.items()]

    @property
    def download(self) -> int:
        return sum(one.size for one in self.parts if not self._has(one.sha256))

    def _chosen(self, some: tuple[Pin, ...]) -> Pin:
        return next((pin for pin in some if self._has(pin.sha256)), some[0])

    def _has(self, digest: str) -> bool:
        return (self.cache / "sha256" / digest).exists()

    @property
    def summary(self) -> str:
        return f"recipe {self.recipe.name}: GCC {self.recipe.components['gcc']}"

    def space(self, ctx: Context) -> dict[Path, int]:
        """Bytes that it takes in the cache and in the store."""
        return {ctx.paths.cache: _DISK, ctx.paths.data: _DISK // 10}


def offers(request: Request, ctx: Context) -> str | None:
    """Why this origin cannot meet `request`; None if it can.

    Raises:
        InputError: the recipe that it names is wrong.
    """
    del ctx
    target = request.target
    found = _recipe(request)
    if found is None:
        return f"it has no recipe for {request.target.libc} with GCC {request.gcc}"
    if target not in found.targets:
        return f"the recipe {found.name} has no {target}"
    version = found.components["gcc"]
    if not _fits(version, request.gcc):
        return f"the recipe {found.name} has GCC {version}, not {request.gcc}"
    if request.malloc and target.libc != "musl":
        return "only musl's allocator can be chosen"
    musl_go = target.libc == "musl" and target.platform.name not in _GCCGO_ON_MUSL
    if "gccgo" in request.languages and musl_go:
        return f"it has gccgo on musl for {', '.join(_GCCGO_ON_MUSL)} only"
    return None


def plan(request: Request, ctx: Context) -> Plan:
    """Choose the recipe, and the pins that serve.

    Raises:
        InputError: the recipe is wrong.
    """
    found = _recipe(request)
    assert found
    names = (*_COMMON, _LIBC[request.target.libc])
    pins = sources.wanted(found, request.target.platform, names)
    return Plan(request=request, recipe=found, pins=pins, cache=ctx.paths.cache)


def make(chosen: Plan, into: Path, ctx: Context) -> Description:
    """Fetch the sources, build, and copy the finished tree to `into`, an empty directory.

    Raises:
        ToolmanError: this machine's memory does not suffice for so many jobs.
        InputError: the cache's directory cannot be built in, or tools of the host are missing and
            cannot be unpacked.
        NetworkError, IntegrityError: a source could not be had, or is not the pinned one.
        BuildError: a step failed; its log is named.
    """
    jobs = ctx.build.jobs or os.cpu_count() or 1
    _check_memory(jobs)
    _check_name(ctx.paths.cache)
    tools = hosttools.find(hosttools.needed(chosen.request.target), ctx)
    obtained = sources.obtain(chosen.pins, ctx.paths.cache, ctx.host, ctx.reporter)
    env = _environment(tools, ctx)
    blueprint = _blueprint(chosen, obtained, env["PATH"], ctx)
    where = procedure.layout(blueprint, ctx.paths.cache)
    with store.locked(where.locks, f"build-{where.name}", lambda: _wait(where, ctx)):
        finished = _build(blueprint, where, env, jobs, ctx)
        _copy(where.out, into)
    return Description(
        name=chosen.request.target.name,
        target=chosen.request.target,
        version=obtained["gcc"].pin.release,
        digest=blueprint.digest,
        origin=NAME,
        languages=chosen.request.languages,
        host=ctx.host.key,
        sysroot=finished.sysroot,
        tools=finished.tools,
        components=_components(obtained),
        recipe=chosen.recipe.label,
        malloc=blueprint.malloc if blueprint.musl else None,
    )


def clean(about: Description, ctx: Context) -> None:
    """Delete what the toolchain was built in, now that it is in the store."""
    if ctx.build.keep_work:
        return
    name = procedure.name(about.target, about.digest)
    with store.locked(ctx.paths.cache / "locks", f"build-{name}", lambda: None):
        store.remove_tree(ctx.paths.cache / "build" / name)


def _recipe(request: Request) -> Recipe | None:
    if request.recipe:
        return recipe.load_recipe(request.recipe)
    fitting = [
        one
        for one in recipe.recipes()
        if one.libc == request.target.libc and _fits(one.components["gcc"], request.gcc)
    ]
    preferred = _PREFERRED[request.target.libc]
    return min(fitting, key=lambda one: (one.name != preferred, one.name), default=None)


def _fits(version: str, wanted: str | None) -> bool:
    return wanted is None or f"{version}.".startswith(f"{wanted}.")


def _build(
    blueprint: Blueprint, where: Layout, env: Mapping[str, str], jobs: int, ctx: Context
) -> finish.Finished:
    env = {**env, **_objects(where), "PATH": f"{where.out}/bin:{env['PATH']}"}
    runner = Runner(layout=where, env=env, jobs=jobs, reporter=ctx.reporter)
    try:
        runner.run(procedure.steps(blueprint, where))
    finally:
        if ctx.build.timeline:
            write_timeline(runner.spans, ctx.build.timeline)
    ctx.reporter.step("finishing the tree")
    return finish.finish(blueprint, where, run.which("strip", env["PATH"]) or "strip")


def _wait(where: Layout, ctx: Context) -> None:
    ctx.reporter.step(f"waiting for another toolman ({where.name})")


def _check_memory(jobs: int) -> None:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if memory < jobs * _MEMORY:
        raise ToolmanError(
            f"{jobs} jobs may take {jobs * _MEMORY / 1e9:.1f} GB of memory, "
            f"and this machine has {memory / 1e9:.1f} GB",
            hint=f"try: --jobs {max(memory // _MEMORY, 1)}",
        )


def _check_name(cache: Path) -> None:
    if not re.fullmatch(r"[\w./+,@~-]+", str(cache)):
        raise InputError(
            f"nothing can be built in {str(cache)!r}: make, configure and libtool are lost where"
            " a directory's name holds blanks, quotes and the like",
            hint="set TOOLMAN_CACHE to another directory",
        )


def _copy(tree: Path, into: Path) -> None:
    """With its links, hard ones too."""
    copied: dict[int, str] = {}

    def copy(file: str, to: str) -> None:
        inode = Path(file).stat().st_ino
        if inode in copied:
            Path(to).hardlink_to(copied[inode])
        else:
            copied[inode] = shutil.copy2(file, to)

    shutil.copytree(tree, into, symlinks=True, dirs_exist_ok=True, copy_function=copy)


def _blueprint(
    chosen: Plan, obtained: Mapping[str, Obtained], path: str, ctx: Context
) -> Blueprint:
    found = chosen.recipe
    said = run.check("asking the compiler", [run.which("gcc", path) or "gcc", "--version"])
    by = "ccache " if run.which("ccache", path) else ""
    return Blueprint(
        target=chosen.request.target,
        languages=chosen.request.languages,
        sources={
            name: _source(name, found, obtained) for name in obtained if name in found.components
        },
        configure=found.configure,
        malloc=chosen.request.malloc or "mallocng",
        cc=f"{by}gcc",
        cxx=f"{by}g++",
        compiler=said.splitlines()[0],
        machine=ctx.host.machine,
        host=ctx.host.key,
    )


def _source(name: str, found: Recipe, obtained: Mapping[str, Obtained]) -> Source:
    one = obtained[name]
    fixes = [obtained[patch.name].path for patch in found.fixes(name)]
    own = found.patch_files([*one.pin.patches, *found.patches.get(name, ())])
    return Source(
        version=one.pin.release,
        file=one.path,
        sha256=one.pin.sha256,
        debian=one.pin.debian is not None,
        patches=(*fixes, *own),
    )


def _environment(tools: HostTools, ctx: Context) -> dict[str, str]:
    """What each step sees: nothing of the user's that could get into what is built."""
    kept = {name: ctx.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in ctx.environ}
    clean = {"LC_ALL": "C", "TZ": "UTC", "SOURCE_DATE_EPOCH": "0"}
    # Scripts of configure are most of a small component's time, and dash is the faster shell.
    shell = {"CONFIG_SHELL": "/bin/dash"} if run.which("/bin/dash") else {}
    return {**tools.environment(kept), **clean, **shell}


def _objects(where: Layout) -> dict[str, str]:
    """ccache's settings. It looks at the files that the compiler says it has read (DEPEND), so
    that what it does not know costs it nothing. Of precompiled headers it wants to hear that they
    hold no time of day, and depend on no macro."""
    return {
        "CCACHE_DIR": str(where.objects_cache),
        "CCACHE_CONFIGPATH": os.devnull,
        "CCACHE_DEPEND": "1",
        "CCACHE_PCH_EXTSUM": "1",
        "CCACHE_SLOPPINESS": "pch_defines,time_macros",
        "CCACHE_MAXSIZE": "2G",
    }


def _part(name: str, pin: Pin) -> Component:
    return Component(name=name, version=pin.release, sha256=pin.sha256, size=pin.size or 0)


def _components(obtained: Mapping[str, Obtained]) -> tuple[Component, ...]:
    return tuple(
        Component(
            name=name,
            version=one.pin.release,
            sha256=one.pin.sha256,
            size=one.path.stat().st_size,
        )
        for name, one in sorted(obtained.items())
    )
