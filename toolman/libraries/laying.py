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
from toolman.errors import BuildError, InputError
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
    chosen = choice.resolved([one for one in wishes if one.origin != packages.ORIGIN])
    packed = [one for one in wishes if one.origin == packages.ORIGIN]
    built = _stored(chosen, packed, base, ctx)
    if built is not None and (present := _laid(base, built, ctx)):
        return _active(present, ctx)
    name = library.lock(str(base.target))
    wait = f"waiting for another toolman ({name})"
    # Held until they are laid, for gc takes what nothing uses.
    with ctx.store.lock(name, lambda: ctx.reporter.step(wait)):
        every = building.build(chosen, base, ctx)
        built = [_asked(every[one.name], one) for one in chosen]
        built += [packages.have(one, base, ctx) for one in packed]
        return _active(_laid(base, built, ctx) or _lay(base, built, ctx), ctx)


def follow(before: Toolchain | None, made: Toolchain, ctx: Context) -> Toolchain:
    """Lay the libraries that `before` has over `made`, which has taken its place.

    Raises: as `ensure`.
    """
    if before is None or not before.about.libraries or made.about.base or made.about.root:
        return made
    names = ", ".join(map(str, before.about.libraries))
    ctx.reporter.step(f"{made.name}: its libraries are laid over it, too: {names}")
    return ensure(made, choice.of(before.about.libraries), ctx)


def want(found: Toolchain, words: Sequence[str], ctx: Context) -> Toolchain:
    """Have the libraries that `words` name, as `openssl@3.5`, beside those that are there.

    Raises: as `ensure`.
    """
    if not words:
        return found
    more = [packages.wish(word, found) for word in words]
    return ensure(found, choice.added(choice.of(found.about.libraries), more), ctx)


def renew(broken: Toolchain, ctx: Context) -> None:
    """Lay a damaged toolchain with libraries once more; what it is laid of is renewed before,
    for a hard link shares the damage.

    Raises:
        ToolmanError: as `install.renew` and `ensure` raise.
    """
    from toolman import install

    base = base_of(broken, ctx)
    if _is_damaged(base.path):
        install.renew(base, ctx)
    for one in broken.about.libraries:
        path = ctx.paths.store / one.entry(str(broken.target))
        if _is_damaged(path):
            drop(path, str(broken.target), ctx)
    drop(broken.path, str(broken.target), ctx)
    ensure(base, choice.of(broken.about.libraries), ctx)


def drop(path: Path, target: str, ctx: Context) -> None:
    """Take a damaged entry of a target's libraries out of the store."""
    name = library.lock(target)
    with ctx.store.lock(name, lambda: None), ctx.store.removed(path, name):
        checkpoint("mid-drop")


def _is_damaged(path: Path) -> bool:
    from toolman import manifest

    checked = manifest.check(path) if path.is_dir() else None
    return checked is not None and bool(checked.differences)


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
        place = ctx.store.add(tree, about.entry, sealed=True)
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
