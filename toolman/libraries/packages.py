"""Libraries that are packages of the host's own distribution, for its gnu targets.

For a toolchain of origin `distro` the target's own packages fit best: they are of one build with
its libc, and come in seconds. `zlib` is what its recipe names for Debian, `zlib1g-dev`; any other
word is a package's own name. With a version, `zlib@1.3.1`, a library is built, as for musl.

A package comes with all that it depends on, but for what the toolchain has. Nothing of it is
installed on the host.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from toolman import library, recipe
from toolman.errors import InputError
from toolman.libraries import choice
from toolman.libraries import recipe as recipes
from toolman.library import Built, Library

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from toolman.context import Context
    from toolman.libraries.choice import Wish
    from toolman.origins.deb import Deb
    from toolman.toolchain import Toolchain

ORIGIN = "distro"
# Raise it when what is done to unpacked packages changes.
_REVISION = 1
# A toolchain has these; two of different builds would not fit.
_THERE = (
    *("libc6", "libc6-*", "libc-*", "linux-libc-dev", "libcrypt1", "libcrypt-dev", "libnsl*"),
    *("libgcc*", "libstdc++*", "gcc-*-base", "libgomp1", "libatomic1", "rpcsvc-proto", "libtirpc*"),
)


def wish(word: str, base: Toolchain, *, shared: bool = False) -> Wish:
    """What a word means for the toolchain `base`: see the module.

    Raises:
        InputError: there is no such library, or no such version of it.
    """
    name, sign, _ = word.partition("@")
    known = name in recipes.names()
    if sign or not serves(base) or (known and not recipes.load(name).debian):
        return choice.wish(word, shared=shared)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", name):
        raise InputError(f"'{word}' is no name of a library or a package")
    return choice.Wish(name=name, shared=True, origin=ORIGIN)


def serves(base: Toolchain) -> bool:
    """Whether the distribution's packages fit a toolchain."""
    return base.about.origin == ORIGIN and base.target.libc == "gnu" and not base.target.glibc


def stored(one: Wish, base: Toolchain, ctx: Context) -> Built | None:
    """The package in the store: the newest, unless the wish says which version."""
    found = [library.read(path) for path in ctx.store.entries(f"{one.name}-")]
    fitting = [
        built
        for built in found
        if built
        and (built.about.name, built.about.origin) == (one.name, ORIGIN)
        and built.toolchain == base.path.name
        and one.version in (None, built.about.version)
    ]
    return max(fitting, key=lambda built: built.path.stat().st_mtime, default=None)


def have(one: Wish, base: Toolchain, ctx: Context) -> Built:
    """The package and what it depends on, unpacked and put into the store. Hold `library.lock`.

    Raises:
        InputError: the archive has no such package for the target.
        NetworkError, IntegrityError: it could not be had, or is not what the signed lists state.
    """
    from toolman.origins import apt, distro

    found = stored(one, base, ctx)
    if found:
        return found
    target = base.target
    native = ctx.host.is_native(target.platform)
    foreign = None if native else target.platform.debian
    archive = apt.Archive(cache=ctx.paths.cache, host=ctx.host, architecture=foreign)
    name = _package(one.name)
    word = f"{name}:{foreign}" if foreign else name
    debs = list(_kept(archive.closure([word], ctx.reporter)))
    about = _about(one, name, debs, base)
    ctx.reporter.step(f"{target}: {one.name}: {len(debs)} packages of {ctx.host.system}")
    with ctx.store.stage(library.lock(str(target))) as work:
        unpacked, tree = work / "unpacked", work / "tree"
        distro.unpack(archive, debs, lambda _: unpacked, ctx.reporter)
        _take(unpacked, tree, target.platform.triple["gnu"])
        library.write(tree, about, str(target), base.path.name)
        place = ctx.store.add(tree, about.entry(str(target)))
    return Built(path=place, about=about, target=str(target), toolchain=base.path.name)


def _package(name: str) -> str:
    return (recipes.load(name).debian or name) if name in recipes.names() else name


def _kept(closure: Sequence[Deb]) -> Iterator[Deb]:
    rules = recipe.load("distro")["unpack"]["drop"]
    drop = (*_THERE, *rules["any"], *rules["cross"])
    return (deb for deb in closure if not any(fnmatch(deb.name, pattern) for pattern in drop))


def _about(one: Wish, name: str, debs: Sequence[Deb], base: Toolchain) -> Library:
    own = next((deb for deb in debs if deb.name == name), None)
    if own is None:
        raise InputError(f"{base.name} has {one.name} already: it came with the toolchain")
    parts = sorted(deb.sha256 for deb in debs)
    text = json.dumps([_REVISION, base.path.name, parts])
    return Library(
        name=one.name,
        version=own.version,
        license="NOASSERTION",  # only the packages' `copyright` files tell it
        digest=hashlib.sha256(text.encode()).hexdigest(),
        sha256=own.sha256,
        shared=True,
        asked=one.asked,
        origin=ORIGIN,
    )


def _take(unpacked: Path, tree: Path, triple: str) -> None:
    """Headers, libraries and .pc files, without Debian's directories for architectures."""
    from toolman.libraries import finish  # what runs programs: kept off what is there

    lib = tree / "lib"
    (lib / "pkgconfig").mkdir(parents=True)
    (tree / "include").mkdir()
    headers = unpacked / "usr/include"
    for place in (headers / triple, headers):
        if place.is_dir():
            shutil.copytree(place, tree / "include", symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(headers / triple, ignore_errors=True)
    shutil.rmtree(tree / "include" / triple, ignore_errors=True)
    for below in ("lib", "usr/lib"):
        for path in sorted((unpacked / below / triple).glob("*")):
            if finish.LIBRARY.fullmatch(path.name) and not path.is_dir():
                shutil.copy2(path, lib / path.name, follow_symlinks=False)
    _mend(lib)
    for path in sorted(unpacked.glob("usr/*/pkgconfig/*.pc")) + sorted(
        (unpacked / "usr/lib" / triple / "pkgconfig").glob("*.pc")
    ):
        text = finish.relocatable(path.read_text("utf-8"))
        (lib / "pkgconfig" / path.name).write_text(text.replace(f"/{triple}", ""), "utf-8")


def _mend(lib: Path) -> None:
    """Links and the linker's scripts name files elsewhere, which are beside them now."""
    for path in sorted(lib.iterdir()):
        if path.is_symlink():
            to = path.readlink()
            path.unlink()
            if (lib / to.name).exists() or (lib / to.name).is_symlink():
                path.symlink_to(to.name)
        elif path.is_file() and path.stat().st_size < 4096:
            text = path.read_text("utf-8", "replace")
            if "GNU ld script" in text or "GROUP" in text or "INPUT" in text:
                path.write_text(re.sub(r"(?<=[\s(])/\S+/", "", text), "utf-8")
