"""Libraries for a toolchain: those in the store, and the others built and put there.

Those that do not need each other are built side by side, under one pool of jobs. What is under
way lies in the cache until it is complete, so that a stopped build goes on where it was:
    <cache>/build/libraries-<target>-<digest12>/     of one toolchain
        bin/                                         its tools, by the triple's names
        <name>-<version>-<digest12>/{source,out}     one library
        log/  done/                                  as `build.layout` says
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import library, recipe, store
from toolman.errors import InputError
from toolman.library import Built, Library

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toolman.build.layout import Layout
    from toolman.build.runner import Runner
    from toolman.context import Context
    from toolman.libraries.choice import Chosen
    from toolman.libraries.systems import Job
    from toolman.pin import Pin
    from toolman.toolchain import Toolchain

_BASIC = ("make", "sed", "grep", "awk", "find", "cmp", "diff", "tar")
_PRIVATE = ("compiler",)  # of a recipe's tools, what `hosttools` can unpack
_CODE = ("systems.py", "finish.py")


def stored(chosen: Sequence[Chosen], base: Toolchain, ctx: Context) -> dict[str, Built]:
    """Those of `chosen` that are in the store, built by `base`, by name.

    Of a version any of the pinned sources will do.
    """
    found: dict[str, Built] = {}
    for one in chosen:
        if any(name not in found for name in one.needs):
            continue
        for pin in one.recipe.pins[one.version]:
            about = _about(one, pin, base, found)
            built = library.read(ctx.paths.store / about.entry(str(base.target)))
            if built and built.about.digest == about.digest:
                found[one.name] = built
                break
    return found


def build(chosen: Sequence[Chosen], base: Toolchain, ctx: Context) -> dict[str, Built]:
    """All of `chosen`, by name; those that the store lacks are built. Hold `library.lock`.

    Raises:
        InputError: tools of the host are missing, or the cache is where nothing can be built.
        NetworkError, IntegrityError: a source could not be had, or is not the pinned one.
        BuildError: a step failed; its log is named.
    """
    found = stored(chosen, base, ctx)
    missing = [one for one in chosen if one.name not in found]
    if not missing:
        return found
    _check(missing, ctx)
    layout = _layout(base, ctx, "libraries")
    with store.locked(layout.locks, f"build-{layout.name}", lambda: _wait(layout, ctx)):
        found = stored(chosen, base, ctx)
        missing = [one for one in chosen if one.name not in found]
        works = Works(base=base, ctx=ctx, layout=layout, sources=_sources(missing, ctx))
        while missing:
            ready = [one for one in missing if found.keys() >= {*one.needs}]
            found |= works.build(ready, found)
            missing = [one for one in missing if one not in ready]
    return found


def trial(one: Chosen, base: Toolchain, ctx: Context) -> Works:
    """Where `one` can be built once more, to be tried: nothing of it gets into the store.

    Raises:
        NetworkError, IntegrityError: its source could not be had, or is not the pinned one.
    """
    return Works(
        base=base, ctx=ctx, layout=_layout(base, ctx, "checks"), sources=_sources([one], ctx)
    )


@dataclass(frozen=True, kw_only=True)
class Works:
    """Where libraries of one toolchain are built."""

    base: Toolchain
    ctx: Context
    layout: Layout
    sources: Mapping[str, tuple[Pin, Path]]
    """Of each library that may be built here, by its name."""

    def build(self, chosen: Sequence[Chosen], found: Mapping[str, Built]) -> dict[str, Built]:
        """Build `chosen` side by side, against those in `found`, for the store."""
        from toolman.libraries import systems

        jobs = [self.job(one, found) for one in chosen]
        self.runner(chosen).run([step for job in jobs for step in systems.steps(job)])
        made = {job.chosen.name: self._keep(job, found) for job in jobs}
        if not self.ctx.build.keep_work:
            for job in jobs:
                store.remove_tree(job.work)
        return made

    def job(self, one: Chosen, found: Mapping[str, Built]) -> Job:
        """What there is to do for `one`; all that it needs is in `found`."""
        from toolman.libraries.systems import Job

        pin, path = self.sources[one.name]
        about = _about(one, pin, self.base, found)
        return Job(
            chosen=one,
            target=self.base.target,
            work=self.layout.work / f"{about.name}-{about.version}-{about.digest[:12]}",
            source=path,
            patches=tuple(_patches(pin)),
            needs=tuple(found[name].path for name in _deeply(one, found)),
            machine=self.ctx.host.machine,
            cxx="g++" in self.base.about.tools,
        )

    def runner(self, chosen: Sequence[Chosen]) -> Runner:
        """Of the steps of `chosen`.

        Raises:
            InputError: tools of the host are missing.
        """
        from toolman.build.runner import Runner

        return Runner(
            layout=self.layout,
            env=self._environment(chosen),
            jobs=self.ctx.build.jobs or os.cpu_count() or 1,
            reporter=self.ctx.reporter,
        )

    def _environment(self, chosen: Sequence[Chosen]) -> dict[str, str]:
        """What each step sees: nothing of the user's that could get into what is built."""
        from toolman import run
        from toolman.origins import hosttools

        environ = self.ctx.environ
        kept = {name: environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in environ}
        more = {name for one in chosen for name in one.recipe.tools}
        basic = [*_BASIC, *(one for one in _PRIVATE if one in more)]
        if any(self.sources[one.name][0].patches for one in chosen):
            basic.append("patch")
        tools = hosttools.find(basic, self.ctx)
        env = tools.environment(kept)
        for name in sorted(more.difference(_PRIVATE)):
            if run.which(name, env["PATH"]) is None:
                text = f"this host lacks what a library needs to be built: {name}"
                raise InputError(text, hint=f"install {name}")
        bin_ = self.layout.work / "bin"
        for tool, file in self.base.about.tools.items():
            store.link(bin_ / f"{self.base.target.triple}-{tool}", str(self.base.root / file))
        clean = {"LC_ALL": "C", "TZ": "UTC", "SOURCE_DATE_EPOCH": "0"}
        shell = {"CONFIG_SHELL": "/bin/dash"} if run.which("/bin/dash") else {}
        return {**env, **clean, **shell, "PATH": f"{bin_}:{env['PATH']}"}

    def _keep(self, job: Job, found: Mapping[str, Built]) -> Built:
        """Finish an installed library, and put it into the store."""
        from toolman.libraries import finish

        about = _about(job.chosen, self.sources[job.chosen.name][0], self.base, found)
        target = str(self.base.target)
        entry = about.entry(target)
        secrets = [str(path) for path in (self.ctx.paths.cache, self.ctx.paths.store)]
        secrets += [home] if len(home := self.ctx.environ.get("HOME", "")) > 5 else []
        with self.ctx.store.stage(library.lock(target)) as work:
            tree = work / "tree"
            tree.mkdir()
            finish.finish(job, tree, self.base.tool("strip"), secrets)
            library.write(tree, about, target, self.base.path.name)
            place = self.ctx.store.add(tree, entry, anew=True)
        return Built(path=place, about=about, target=target, toolchain=self.base.path.name)


def _about(one: Chosen, pin: Pin, base: Toolchain, found: Mapping[str, Built]) -> Library:
    """What `one` is when it is built of the bytes of `pin`, against those in `found`."""
    inputs = {
        "recipe": one.recipe.digest,
        "version": one.version,
        "source": pin.sha256,
        "patches": [path.read_text("utf-8") for path in _patches(pin)],
        "toolchain": base.path.name,
        "needs": {name: found[name].about.digest for name in one.needs},
        "shared": one.shared,
        "code": _code(),
    }
    return Library(
        name=one.name,
        version=one.version,
        license=pin.license,
        digest=hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest(),
        sha256=pin.sha256,
        shared=one.shared,
        needs=one.needs,
        asked=one.asked,
    )


@functools.cache
def _code() -> str:
    """Of the procedure: what changes it may change what comes out."""
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in _CODE)).hexdigest()


def _patches(pin: Pin) -> Iterator[Path]:
    for name in pin.patches:
        yield from sorted((recipe.directory() / "libraries/patches" / name).glob("*.patch"))


def _deeply(one: Chosen, found: Mapping[str, Built]) -> list[str]:
    """The names of all that `one` is linked with, once each, itself not."""
    every: dict[str, None] = {}
    for name in one.needs:
        every[name] = None
        every |= dict.fromkeys(_needs_of(name, found))
    return list(every)


def _needs_of(name: str, found: Mapping[str, Built]) -> Iterator[str]:
    for other in found[name].about.needs:
        yield other
        yield from _needs_of(other, found)


def _sources(missing: Sequence[Chosen], ctx: Context) -> dict[str, tuple[Pin, Path]]:
    from toolman.origins import sources

    pins = {one.name: one.recipe.pins[one.version] for one in missing}
    obtained = sources.obtain(pins, ctx.paths.cache, ctx.host, ctx.reporter)
    return {name: (one.pin, one.path) for name, one in obtained.items()}


def _check(missing: Sequence[Chosen], ctx: Context) -> None:
    for one in missing:
        if one.shared and not one.recipe.can_be_shared:
            raise InputError(
                f"{one.name} is not built as a shared library", hint="leave --shared out"
            )
    for directory in (ctx.paths.data, ctx.paths.cache):
        store.check_writable(directory)
    if not set(str(ctx.paths.cache)).isdisjoint(" \t'\"$&;()<>|*?[]#~`\\"):
        raise InputError(
            f"nothing can be built in {str(ctx.paths.cache)!r}: make and configure are lost there",
            hint="set TOOLMAN_CACHE to another directory",
        )


def _layout(base: Toolchain, ctx: Context, purpose: str) -> Layout:
    from toolman.build.layout import Layout

    digest = hashlib.sha256(base.path.name.encode()).hexdigest()[:12]
    return Layout(
        cache=ctx.paths.cache,
        name=f"{purpose}-{base.target}-{digest}",
        triple=base.target.triple,
        sources={},
        hostlibs_key="",
    )


def _wait(layout: Layout, ctx: Context) -> None:
    ctx.reporter.step(f"waiting for another toolman ({layout.name})")
