"""Libraries in the sysroot of a toolchain: a new toolchain, of hard links.

It has the name of its base and an entry of its own in the store, named by the digests of the
base and the libraries. So a set that was laid once is found again, and what is active changes by
one rename; nothing is between a caller and the compiler.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import library, publish, toolchain
from toolman.checkpoint import checkpoint
from toolman.errors import BuildError, InputError, ToolmanError
from toolman.libraries import building, choice, packages
from toolman.toolchain import Toolchain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolman.context import Context
    from toolman.libraries.choice import Chosen, Wish
    from toolman.library import Built
    from toolman.toolchain import Description

_OWN = ("include", "lib")  # of a library's tree, what is laid


def ensure(found: Toolchain, wishes: Sequence[Wish], ctx: Context) -> Toolchain:
    """Have the libraries that meet `wishes` in the sysroot of `found`, and no others; quick and
    without network if they have been there before.

    Raises:
        InputError: two of them exclude each other, or the toolchain cannot have libraries.
        ToolmanError: as `building.build` raises.
    """
    base = base_of(found, ctx)
    chosen, packed = _parted(wishes)
    built = _stored(chosen, packed, base, ctx)
    if built is not None and (present := _laid(base, built, ctx)):
        return _active(present, ctx)
    # Held until they are laid, for gc takes what nothing uses.
    with ctx.store.lock(library.lock(str(base.target)), lambda: _wait(base.about, ctx)):
        return _active(over(base, wishes, ctx), ctx)


def over(base: Toolchain, wishes: Sequence[Wish], ctx: Context, *, anew: bool = False) -> Toolchain:
    """`base` with the libraries that meet `wishes`, in the store, and not yet what its name means;
    `anew`, though it is there. Hold `library.lock`.

    Raises: as `ensure`.
    """
    chosen, packed = _parted(wishes)
    every = building.build(chosen, base, ctx)
    built = [_asked(every[one.name], one) for one in chosen]
    built += [packages.have(one, base, ctx) for one in packed]
    present = None if anew else _laid(base, built, ctx)
    return present or _lay(base, built, ctx)


def check(before: Toolchain) -> None:
    """Refuse now what `follow` would refuse after a toolchain was made.

    Raises:
        InputError: of a library of `before` there is no such version any more.
    """
    _parted(choice.of(before.about.libraries))


def follow(before: Toolchain, made: Toolchain, ctx: Context) -> Toolchain:
    """`made`, which is about to take the place of `before`, with the libraries that this has, in
    the store. Hold `library.lock`.

    Raises: as `ensure`.
    """
    if not before.about.libraries or made.about.base:
        return made
    names = ", ".join(map(str, before.about.libraries))
    ctx.reporter.step(f"{made.name}: its libraries are laid over it, too: {names}")
    try:
        return over(made, choice.of(before.about.libraries), ctx)
    except ToolmanError:
        without = f"toolman remove {made.name} --all"
        ctx.reporter.step(f"{made.name} stays as it was; to go on without libraries: {without}")
        raise


def want(found: Toolchain, words: Sequence[str], ctx: Context) -> Toolchain:
    """Have the libraries that `words` name, as `openssl@3.5`, beside those that are there.

    Raises: as `ensure`.
    """
    if not words:
        return found
    more = [packages.wish(word, found) for word in words]
    return ensure(found, choice.added(choice.of(found.about.libraries), more), ctx)


def base_of(found: Toolchain, ctx: Context) -> Toolchain:
    """The toolchain that the libraries of `found` were laid over; itself where it has none.

    Raises:
        InputError: it is linked, or its base is gone.
    """
    if found.about.root:
        raise InputError(
            f"{found.name} is linked: its files are yours",
            hint="add the libraries to them yourself",
        )
    base = ctx.store.base(found)
    if base is None:
        hint = f"toolman uninstall {found.name} && toolman install {found.name}"
        raise InputError(f"the toolchain below {found.name}'s libraries is gone", hint=hint)
    return base


def _parted(wishes: Sequence[Wish]) -> tuple[list[Chosen], list[Wish]]:
    """Those that are built, in order, and those that are packages of the distribution."""
    packed = [one for one in wishes if one.origin == packages.ORIGIN]
    return choice.resolved([one for one in wishes if one not in packed]), packed


def _stored(
    chosen: Sequence[Chosen], packed: Sequence[Wish], base: Toolchain, ctx: Context
) -> list[Built] | None:
    """All of them, if they are in the store."""
    built = building.stored(chosen, base, ctx)
    unpacked = [packages.stored(one, base, ctx) for one in packed]
    if len(built) < len(chosen) or None in unpacked:
        return None
    return [*(_asked(built[one.name], one) for one in chosen), *filter(None, unpacked)]


def _asked(built: Built, one: Chosen) -> Built:
    return replace(built, about=replace(built.about, asked=one.asked))


def _laid(base: Toolchain, built: Sequence[Built], ctx: Context) -> Toolchain | None:
    """The toolchain `base` with the libraries in it, if it is in the store."""
    about = _about(base, built)
    found = toolchain.read(ctx.paths.store / about.entry) if about.base else base
    return found if found and found.about.digest == about.digest else None


def _about(base: Toolchain, built: Sequence[Built]) -> Description:
    if not built:
        return base.about
    rows = sorted((one.about for one in built), key=lambda one: one.name)
    text = json.dumps([base.path.name, *([one.digest, one.asked] for one in rows)])
    digest = hashlib.sha256(text.encode()).hexdigest()
    return replace(base.about, digest=digest, base=base.path.name, libraries=tuple(rows))


def _lay(base: Toolchain, built: Sequence[Built], ctx: Context) -> Toolchain:
    """Put `base` with the libraries in it into the store."""
    from toolman import manifest, sbom

    about = _about(base, built)
    with ctx.store.stage(library.lock(str(base.target))) as work:
        tree = work / "tree"
        link_tree(base.path, tree, (manifest.FILE, toolchain.FILE, toolchain.SBOM))
        for one in built:
            try:
                for part in _OWN:
                    link_tree(one.path / part, tree / about.sysroot / part)
            except FileExistsError as error:
                text = f"{one.about.name} has a file that is there already: {error.filename2}"
                raise BuildError(text) from error
        toolchain.write(tree, about)
        sbom.write(tree, about, None)
        manifest.seal(tree)
        checkpoint("before-laid")
        place = ctx.store.add(tree, about.entry, sealed=True, anew=True)
    return Toolchain(path=place, about=about)


def link_tree(source: Path, into: Path, without: Sequence[str] = ()) -> None:
    """Lay the tree `source` over `into`, each file as a hard link, symlinks as they are.

    Raises:
        FileExistsError: a file of it is there with other contents.
    """
    for where, below, names in os.walk(source):
        to = os.path.join(into, os.path.relpath(where, source))
        os.makedirs(to, exist_ok=True)
        links = [name for name in below if os.path.islink(f"{where}/{name}")]
        left_out = without if where == str(source) else ()
        for name in [*links, *names]:
            if name not in left_out:
                _link(f"{where}/{name}", f"{to}/{name}")


def _link(path: str, new: str) -> None:
    try:
        os.link(path, new, follow_symlinks=False)
    except FileExistsError:
        if not _equal(path, new):
            raise
    except OSError:  # not every file system has hard links, or so many of one file
        shutil.copy2(path, new, follow_symlinks=False)


def _equal(path: str, other: str) -> bool:
    if os.path.islink(path) or os.path.islink(other):
        with suppress(OSError):
            return os.readlink(path) == os.readlink(other)
        return False
    return Path(path).read_bytes() == Path(other).read_bytes()


def _active(chosen: Toolchain, ctx: Context) -> Toolchain:
    """Make it the one that its name means."""
    if ctx.store.active(chosen.name) == chosen and publish.is_current(ctx.store):
        return chosen
    with ctx.store.lock(chosen.name, lambda: _wait(chosen.about, ctx)):
        publish.publish(ctx.store, chosen)
    return chosen


def _wait(about: Description, ctx: Context) -> None:
    ctx.reporter.step(f"waiting for another toolman ({about.name})")
