"""Shims and environment files: all that the store's contents put in the user's reach.

    shims/<triple>-gcc …          links through active/<name>, so they outlive an update
    shims/<triple>-pkg-config     sh: never looks at the host's packages
    shims/go                      sh: merges the user's flags with the environment's
    shims/go_linux_arm64_exec …   sh: by these go starts what it has built for another machine
    env/<name>.{sh,fish,ps1}      what `toolman env` prints, to be sourced
    shims/<triple>-run            sh: runs a program of the target, as `toolman run`
    env/<name>.cmake …            for build systems: see `systems`
    env/{static,dynamic}/<name>.cmake …   the same, where that is not the default
    env/<name>.goenv              Go's variables, for GOENV
    env/words/linux/arm64.sh      the .sh that this word means; the launcher prints it

Everything is derived: `publish` writes what should be there and deletes what should not, each
file in one step. Running it again changes nothing.
"""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import choose, environment, shell, store, systems, target
from toolman.checkpoint import checkpoint
from toolman.errors import ToolmanError
from toolman.target import LIBCS, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolman.paths import Paths
    from toolman.store import Store
    from toolman.toolchain import Toolchain

EXTENSIONS = {
    "sh": "sh",
    "bash": "sh",
    "zsh": "sh",
    "fish": "fish",
    "pwsh": "ps1",
    "goenv": "goenv",
}
_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What should be there: links with what they hold, files with their text."""

    links: Mapping[Path, str]
    files: Mapping[Path, str]


def publish(where: Store, chosen: Toolchain | None = None) -> None:
    """Make shims and environment files say what the store holds.

    `chosen` becomes the toolchain that its name means: under the lock, for somebody else may
    be writing what was right a moment ago.
    """
    with where.lock("publish", lambda: None), ExitStack() as staged:
        # A full disk must not keep `uninstall` from emptying it.
        with suppress(OSError):
            staged.enter_context(where.stage("publish"))
        if chosen:
            where.activate(chosen)
            checkpoint("after-activate")
        _write(where)


def apart(chosen: Toolchain, paths: Paths) -> None:
    """Shims and environment files of `chosen` alone, in `paths`, whatever its name means."""
    linked = replace(chosen, about=replace(chosen.about, root=str(chosen.root)))
    for path, to in _tool_links(linked, paths).items():
        store.link(path, to)
    files = {**_environment_files(linked, paths), paths.shims / "go": _go_shim()}
    for path, text in files.items():
        store.write(path, text, 0o755 if path.parent == paths.shims else 0o644)


def recover(where: Store) -> None:
    """Clean up after killed commands, and publish what they could not. Never fails."""
    with suppress(OSError, ToolmanError):
        if where.staged() and not is_current(where):
            publish(where)
    where.sweep()


def is_current(where: Store) -> bool:
    """Whether all is as `publish` would make it."""
    wanted = _wanted(where)
    present = {*_files(where.paths.shims), *_files(where.paths.env), *_files(where.paths.active)}
    if present != {*wanted.links, *wanted.files}:
        return False
    return all(store.links_to(path, to) for path, to in wanted.links.items()) and all(
        store.holds(path, text) for path, text in wanted.files.items()
    )


def _write(where: Store) -> None:
    wanted = _wanted(where)
    for path, to in wanted.links.items():
        store.link(path, to)
    checkpoint("mid-publish")
    for path, text in wanted.files.items():
        store.write(path, text, 0o755 if path.parent == where.paths.shims else 0o644)
    for directory in (where.paths.shims, where.paths.env, where.paths.active):
        for path in _files(directory):
            if path not in wanted.links and path not in wanted.files:
                path.unlink(missing_ok=True)


def _wanted(where: Store) -> _Wanted:
    names = sorted({one.name for one in where.toolchains()})
    active = [one for one in map(where.active, names) if one]
    links: dict[Path, str] = {}
    files: dict[Path, str] = {}
    for chosen in active:
        links[where.paths.active / chosen.name] = f"../store/{chosen.path.name}"
        links |= _tool_links(chosen, where.paths)
        files |= _environment_files(chosen, where.paths)
    links |= _word_links(where, active)
    if active:
        files[where.paths.shims / "go"] = _go_shim()
    for arch in sorted({one.target.platform.go["GOARCH"] for one in active}):
        files[where.paths.shims / f"go_linux_{arch}_exec"] = _script("go-exec.sh")
    # A linked toolchain may have a pkg-config of its own, which looks elsewhere.
    links = {path: to for path, to in links.items() if path not in files}
    return _Wanted(links=links, files=files)


def _tool_links(chosen: Toolchain, paths: Paths) -> dict[Path, str]:
    prefix = environment.prefix(chosen)
    root = chosen.about.root or f"../active/{chosen.name}"
    return {
        paths.shims / f"{prefix}-{tool}": f"{root}/{file}"
        for tool, file in chosen.about.tools.items()
    }


def _environment_files(chosen: Toolchain, paths: Paths) -> dict[Path, str]:
    said = environment.statements(chosen, paths)
    saved = environment.saved_names()
    dialects = {extension: dialect for dialect, extension in EXTENSIONS.items()}
    texts = {
        paths.env / f"{chosen.name}.{extension}": shell.activate(dialect, said, save=saved)
        for extension, dialect in dialects.items()
    }
    setup, other = systems.both(chosen, paths)
    texts |= {**systems.files(setup), **systems.files(other)}
    return {**texts, setup.pkg_config: _pkg_config(chosen), setup.run: _run(setup)}


def _pkg_config(chosen: Toolchain) -> str:
    root = chosen.sysroot
    where = ":".join(
        f"{root}/{below}/pkgconfig" for below in ("lib", "usr/lib", "usr/share", "share")
    )
    # What a static library needs is linked with it, in a dynamic program too.
    only = any(not one.shared for one in chosen.about.libraries)
    static = " --static" if environment.default_static(chosen) or only else ""
    # Of ours every .pc file finds its place by itself; another pkg-config would add the sysroot.
    sysroot = f"PKG_CONFIG_SYSROOT_DIR={shlex.quote(str(root))} " if chosen.about.root else ""
    return (
        "#!/bin/sh\n"
        f"static={static.strip()}\n"
        f"case $TOOLMAN_ENV:,$TOOLMAN_ENV_OPTIONS, in {shlex.quote(chosen.name)}:*,static,*) "
        "static=--static ;; esac\n"
        f"exec env -u PKG_CONFIG_PATH -u PKG_CONFIG_SYSROOT_DIR "
        f"PKG_CONFIG_LIBDIR={shlex.quote(where)} {sysroot}"
        'pkg-config $static "$@"\n'
    )


def _run(setup: systems.Setup) -> str:
    """A program of the target, run: `toolman/data/run.sh` with what it has to know."""
    platform, machine = setup.target.platform, os.uname().machine
    how = "ask" if machine in platform.runs_on else "qemu"
    known = {
        "_name": setup.chosen.name,
        "_how": "native" if machine == platform.uname else how,
        "_loader": platform.interp[setup.target.libc],
        "_machine": platform.qemu,
        "_sysroot": str(setup.sysroot),
        "_store": str(setup.paths.store),
    }
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in known.items()]
    return f"#!/bin/sh\n{''.join(lines)}{_script('run.sh')}"


def _word_links(where: Store, active: Sequence[Toolchain]) -> dict[Path, str]:
    """`words/linux/arm64` → `../../arm64-musl.sh`: the answers that need no thought."""
    names = {one.name for one in active}
    words: dict[str, str] = {name: name for name in names}
    for platform in {one.target.platform.docker: one.target.platform for one in active}.values():
        known = [Target(platform=platform, libc=libc) for libc in LIBCS]
        known += [one.target for one in active if one.target.glibc]
        meant = choose.choose(platform.docker, where).name
        spellings = {one.name: target.spellings(one) for one in known}
        spellings[meant] = [*spellings[meant], *target.spellings(platform)]
        for name in names.intersection(spellings):
            words |= {word: name for word in spellings[name] if word not in names}
    base = where.paths.env / "words"
    return {
        base / f"{word}.sh": f"{'../' * (word.count('/') + 1)}{name}.sh"
        for word, name in words.items()
    }


def _go_shim() -> str:
    return _script("go-checks.sh") + _script("go.sh")


def _script(name: str) -> str:
    return (_DATA / name).read_text("utf-8")


def _files(directory: Path) -> list[Path]:
    """Everything below `directory` but its directories; links are not followed."""
    found = []
    for where, below, names in os.walk(directory):
        links = [name for name in below if os.path.islink(f"{where}/{name}")]
        found += [Path(where, name) for name in (*names, *links)]
    return found
