"""Another publisher's toolchain, as its archive is: fetched, unpacked with distrust, looked at.

No script of the archive is run. None has to be: its GCC finds its own parts relative to itself,
and where a wrapper stands before it, which goes by the name that it is called by, the shims lead to
what is behind. What the catalogue says of it is not believed: before the tree enters the store, its
compiler has told its version, and has linked a program whose machine and libc were looked at.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolman import catalogue, elf, run, tarball
from toolman.errors import AbsentError, BuildError, InputError, IntegrityError
from toolman.origins import obtain
from toolman.toolchain import Component, Description

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from toolman.catalogue import Offer
    from toolman.context import Context
    from toolman.fetch import Download
    from toolman.request import Request

NAME = "prebuilt"
_ALIASES = {"cc": "gcc", "c++": "g++"}
_COMPILERS = {"c": "gcc", "c++": "g++", "fortran": "gfortran", "gccgo": "gccgo"}
# How much room is asked for, where the catalogue does not say it.
_LIKELY = 150_000_000  # bytes of an archive
_GROWS = 6  # times its archive's size that a toolchain takes
_LIBC = {"musl": "musl", "gnu": "glibc"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An archive of the catalogue, to be fetched and unpacked."""

    request: Request
    offer: Offer
    cache: Path

    @property
    def parts(self) -> list[Component]:
        return [self.component(self.offer.size or 0)]

    @property
    def download(self) -> int:
        return 0 if self.place.exists() else self.offer.size or 0

    @property
    def place(self) -> Path:
        """Where the archive is kept."""
        return self.cache / "sha256" / self.offer.sha256

    @property
    def summary(self) -> str:
        offer = self.offer
        more = [f"{name} {version}" for name, version in offer.components.items()]
        return f"{offer.publisher.title} {offer.release}: {', '.join([f'GCC {offer.gcc}', *more])}"

    def space(self, ctx: Context) -> Mapping[Path, int]:
        """Bytes that it takes in the cache and in the store."""
        size = self.offer.size or _LIKELY
        fetched = 0 if self.place.exists() else size
        return {ctx.paths.cache: fetched, ctx.paths.data: _GROWS * size}

    def component(self, size: int) -> Component:
        """What goes in: one archive."""
        offer = self.offer
        name = f"{offer.publisher.name} for {offer.host}"
        return Component(name=name, version=offer.release, sha256=offer.sha256, size=size)


def offers(request: Request, ctx: Context) -> str | None:
    """Why the publisher that `request` names cannot meet it; None if it can.

    Raises:
        InputError: there is no such publisher, or the catalogue is wrong.
    """
    known = catalogue.publishers(ctx.environ)
    if request.publisher not in known:
        near = difflib.get_close_matches(str(request.publisher).lower(), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        raise InputError(f"unknown publisher '{request.publisher}'", hint=hint)
    if next(fitting(request, ctx), None) is None:
        return f"{request.publisher} has no such toolchain for this host"
    return None


def fitting(request: Request, ctx: Context) -> Iterator[Offer]:
    """What of the catalogue meets `request` on this host, the best first.

    Raises:
        InputError: the catalogue is wrong.
    """
    return (one for one in catalogue.offers(ctx.environ) if one.fits(request, ctx.host))


def plan(request: Request, ctx: Context) -> Plan:
    """Choose the archive.

    Raises:
        AbsentError: the publisher has none that fits.
        InputError: see `offers`.
    """
    reason = offers(request, ctx)
    if reason:
        raise AbsentError(reason)
    return Plan(request=request, offer=next(fitting(request, ctx)), cache=ctx.paths.cache)


def make(chosen: Plan, into: Path, ctx: Context) -> Description:
    """Fetch the archive and unpack it to `into`, an empty directory.

    Raises:
        NetworkError: nobody gives it.
        IntegrityError: it is not the pinned one, breaks the rules of `tarball`, or holds something
            else than the catalogue says.
        BuildError: its programs do not run on this host.
    """
    offer = chosen.offer
    obtain(_download(chosen), ctx)
    ctx.reporter.step(f"unpacking {offer.publisher.title}'s {offer.target}")
    tarball.unpack(chosen.place, into, offer.limits, top=offer.top, sysroot=offer.sysroot)
    tools = _tools(into, offer)
    version = _version(into / tools["gcc"], offer)
    _check_sysroot(into, tools, offer)
    _check_programs(into, tools, offer)
    return Description(
        name=offer.target.name,
        target=offer.target,
        version=version,
        digest=offer.sha256,
        origin=NAME,
        languages=offer.languages,
        host=ctx.host.key,
        sysroot=offer.sysroot,
        tools=tools,
        components=(chosen.component(chosen.place.stat().st_size),),
        publisher=offer.publisher.name,
    )


def _download(chosen: Plan) -> Download:
    from toolman.fetch import Download  # a tenth of a second: kept off what is there

    offer = chosen.offer
    name = f"{offer.publisher.name}'s {offer.target}"
    return Download(
        name=name,
        urls=offer.urls,
        sha256=offer.sha256,
        size=offer.size,
        path=chosen.place,
        mirrors=True,
    )


def _tools(tree: Path, offer: Offer) -> dict[str, str]:
    """`gcc` → `bin/aarch64-buildroot-linux-musl-gcc.br_real`."""
    found: dict[str, str] = {}
    prefix, wrapped = f"{offer.triple}-", offer.publisher.wrapped
    for path in sorted((tree / "bin").glob(f"{prefix}*")):
        name = path.name.removeprefix(prefix)
        # What is wrapped sorts behind its wrapper, and takes its place.
        name = name.removesuffix(wrapped)
        if path.is_file() and not name[-1:].isdigit():
            found[name] = f"bin/{path.name}"
    for alias, name in _ALIASES.items():
        if name in found:
            found.setdefault(alias, found[name])
    missing = [one for one in offer.languages if _COMPILERS[one] not in found]
    if missing:
        raise _other(offer, f"it has no {prefix}{_COMPILERS[missing[0]]}")
    return found


def _version(gcc: Path, offer: Offer) -> str:
    """What its GCC says: the first of its programs to run."""
    try:
        done = run.run([gcc, "-dumpfullversion"])
        trouble = f"it ends with {done.code} {done.err}".strip() if done.code else None
    except (InputError, OSError) as error:  # it has no dynamic linker here, or is no program
        trouble = str(error)
    if trouble:
        raise BuildError(
            f"the programs of {offer.publisher.title} do not run on this host: {trouble}",
            hint=offer.note or "another publisher's may: toolman list --available",
        )
    version = done.out.strip()
    if not f"{version}.".startswith(f"{offer.gcc}."):
        raise _other(offer, f"its GCC is {version}, not {offer.gcc}")
    return version


def _check_sysroot(tree: Path, tools: Mapping[str, str], offer: Offer) -> None:
    said = run.check("asking gcc", [tree / tools["gcc"], "-print-sysroot"]).strip()
    if not said or (tree / said).resolve() != (tree / offer.sysroot).resolve():
        raise _other(offer, f"its GCC looks for the libc in {said or 'the host'}")


def _check_programs(tree: Path, tools: Mapping[str, str], offer: Offer) -> None:
    """Link a dynamic program: its machine and its interpreter tell what is in the sysroot."""
    source, program = tree.parent / "foreign.c", tree.parent / "foreign"
    source.write_text("int main(void) { return 0; }\n", "utf-8")
    run.check("a first program", [tree / tools["gcc"], source, "-o", program])
    platform, libc = offer.target.platform, offer.target.libc
    made = elf.inspect(program)
    if made.machine is None or platform not in made.machine.platforms:
        raise _other(offer, f"its programs are for {made.machine}")
    if made.interpreter != platform.interp[libc]:
        raise _other(offer, f"its programs are no {_LIBC[libc]} ones: {made.interpreter}")
    if not (tree / offer.sysroot / platform.interp[libc].lstrip("/")).is_file():
        raise _other(offer, f"its sysroot has no {platform.interp[libc]}")


def _other(offer: Offer, what: str) -> IntegrityError:
    return IntegrityError(
        f"{offer.publisher.title}'s {offer.top} is not what the catalogue says: {what}",
        hint="its digest is right, so the catalogue is wrong; please report it",
    )
