"""Running a target's programs here: directly where the host can, else under qemu-user."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toolman import elf, kernel, recipe, run
from toolman.errors import AbsentError, InputError
from toolman.origins import apt, distro

if TYPE_CHECKING:
    from pathlib import Path

    from toolman.context import Context
    from toolman.target import Platform
    from toolman.toolchain import Toolchain

_STORED = "qemu-user"


def command(program: Path, platform: Platform, chosen: Toolchain | None, ctx: Context) -> list[str]:
    """The words that run `program`; its own arguments follow them.

    A dynamic program finds its interpreter and libraries in the sysroot of `chosen`. Where qemu
    is not needed, its `/proc/self/exe` is then that interpreter.

    Raises:
        InputError: it is no program for `platform`, or needs a toolchain that is not there.
    """
    report = elf.inspect(program)
    if report.machine is None or platform not in report.machine.platforms:
        raise InputError(f"{program} is for {report.machine}, not for {platform}")
    dynamic = report.interpreter is not None
    native = ctx.host.is_native(platform)
    fits = chosen and report.libc in (chosen.target.libc, None)
    using = chosen if dynamic and fits else None
    if dynamic and not using and not native:
        name = f"{platform.name}-{report.libc or 'gnu'}"
        hint = f"toolman install {name}, then: toolman run {name} {program}"
        raise InputError(f"{program} is dynamic, and needs the sysroot of {name}", hint=hint)
    if not native and not kernel.runs(platform, ctx.host.machine):
        sysroot = ["-L", str(using.sysroot)] if using else []
        return [find(platform, ctx), *sysroot, str(program)]
    # A bare name would be looked for on PATH.
    words = [str(program.absolute())]
    return [*_loader(using), *words] if using else words


def find(platform: Platform, ctx: Context) -> str:
    """qemu-user's program for `platform`: from PATH, else from the store, else unpacked there.

    Raises:
        InputError: it is nowhere, and the host's archive has none.
        NetworkError, IntegrityError: fetching it failed.
    """
    found = present(platform, ctx)
    if found is None:
        _unpack(ctx)
        found = present(platform, ctx)
    if found is None:
        raise InputError(f"there is no qemu-{platform.qemu}", hint="install qemu-user")
    return found


def present(platform: Platform, ctx: Context) -> str | None:
    """qemu-user's program for `platform`, if it is on PATH or in the store."""
    names = [f"qemu-{platform.qemu}", f"qemu-{platform.qemu}-static"]
    stored = [str(entry / "usr/bin") for entry in ctx.store.entries(f"{_STORED}-")]
    path = ":".join([ctx.environ.get("PATH", ""), *stored])
    return next(filter(None, (run.which(name, path) for name in names)), None)


def _loader(chosen: Toolchain) -> list[str]:
    """The sysroot's dynamic linker, which runs the program named after it; [] if it has none."""
    # musl's is its libc; the name that programs have for it may be a link to the host's.
    gnu = PurePosixPath(chosen.target.platform.interp["gnu"]).name
    name = "libc.so" if chosen.target.libc == "musl" else gnu
    directories = [chosen.sysroot / one for one in ("lib", "usr/lib", "lib64", "usr/lib64")]
    found = next((one / name for one in directories if (one / name).exists()), None)
    return [str(found), "--library-path", ":".join(map(str, directories))] if found else []


def _unpack(ctx: Context) -> None:
    if not apt.available():
        raise InputError("no qemu-user on PATH, and no apt-get to get it with")
    archive = apt.Archive(cache=ctx.paths.cache, host=ctx.host)
    wait = f"waiting for another toolman ({_STORED})"
    with ctx.store.lock(_STORED, lambda: ctx.reporter.step(wait)):
        if ctx.store.entries(f"{_STORED}-"):
            return
        for package in recipe.load("distro")["qemu"]["packages"]:
            if _unpack_package(package, archive, ctx):
                return


def _unpack_package(package: str, archive: apt.Archive, ctx: Context) -> bool:
    try:
        closure = archive.closure([package], ctx.reporter)
    except AbsentError:
        return False
    deb = next(deb for deb in closure if deb.name == package)
    ctx.reporter.step(f"unpacking {package} {deb.version} privately, once")
    with ctx.store.stage(_STORED) as work:
        tree = work / "tree"
        distro.unpack(archive, [deb], lambda _: tree, ctx.reporter)
        # Since Debian 13 the static package holds only links into the other one.
        if not any(path.exists() for path in tree.glob("usr/bin/qemu-*")):
            return False
        digest = hashlib.sha256(deb.sha256.encode()).hexdigest()[:12]
        ctx.store.add(tree, f"{_STORED}-{deb.version.replace(':', '_')}-{digest}")
    return True
