"""`toolman pack`."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import archive, choose, provenance, sbom, store, toolchain
from toolman.commands import output
from toolman.errors import InputError

if TYPE_CHECKING:
    from toolman.context import Context
    from toolman.toolchain import Toolchain

SUMMARY = "pack an installed toolchain into one archive, the same bytes every time"
EXAMPLES = """\
  toolman pack arm64-musl
  toolman pack arm64-musl -o dist/               (a directory: the name is made there)
  toolman pack linux/arm64 -o arm64.tar.zst --level 3
  tar --zstd -xf arm64.tar.zst                   (works from wherever it is unpacked)
What it is made of is in it, sbom.spdx.json; how it was made is beside it, FILE.provenance.json.
SOURCE_DATE_EPOCH, if set, is the time of all that is in it; else that is 1970.
"""
_RANGE = f"{archive.LEVELS[0]} to {archive.LEVELS[-1]}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="a target, in any spelling")
    parser.add_argument("--libc", choices=("musl", "gnu"), help="for a platform named without one")
    parser.add_argument("-o", dest="into", metavar="FILE", type=Path, help="the archive to write")
    parser.add_argument(
        "--level",
        type=_level,
        metavar="N",
        default=archive.LEVEL,
        help=f"how hard to compress, {_RANGE} (default: {archive.LEVEL})",
    )
    parser.add_argument(
        "--builder",
        metavar="URI",
        type=_uri,
        default=provenance.LOCAL,
        help=f"who builds here, for the provenance (default: {provenance.LOCAL})",
    )
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    choice = choose.choose(args.target, ctx.store, libc=args.libc, directory=ctx.directory)
    found = without_libraries(choose.installed(choice, ctx.store), ctx)
    place = _place(args.into, found, ctx)
    made, beside = execute(found, place, ctx, level=args.level, builder=args.builder)
    if args.json:
        values = {**asdict(made), "path": str(made.path), "provenance": str(beside)}
        output.print_json({**values, "toolchain": output.summary(found)})
        return 0
    rows = [
        ("file", str(made.path)),
        ("packed", f"{made.size / 1e6:.1f} MB"),
        ("unpacked", f"{made.unpacked / 1e6:.1f} MB"),
        ("sha256", made.sha256),
        ("provenance", str(beside)),
    ]
    output.table(rows)
    return 0


def without_libraries(found: Toolchain, ctx: Context) -> Toolchain:
    """The toolchain that its libraries were laid over: what an archive holds.

    Raises:
        InputError: that one is gone.
    """
    base = ctx.store.base(found)
    if base is None:
        hint = f"toolman uninstall {found.name} && toolman install {found.name}"
        raise InputError(f"the toolchain below {found.name}'s libraries is gone", hint=hint)
    if base != found:
        ctx.reporter.step(f"{found.name} is packed without its libraries")
    return base


def execute(
    found: Toolchain, into: Path, ctx: Context, *, level: int, builder: str
) -> tuple[archive.Packed, Path]:
    """Pack `found` into the file `into`; the archive, and the file with its provenance.

    Raises:
        InputError: it is a linked one, or `into` is in no directory.
        IntegrityError: its SBOM is damaged.
    """
    if found.about.root:
        raise InputError(
            f"{found.name} is linked: its files in {found.root} are yours, and may change",
            hint="pack a toolchain that toolman has installed: toolman list",
        )
    if not into.parent.is_dir():
        raise InputError(f"there is no directory {into.parent}")
    mtime = _mtime(ctx.environ.get("SOURCE_DATE_EPOCH", "0"))
    document = sbom.of(found, mtime)
    top = f"{found.name}-{found.about.version}"
    added = {sbom.FILE: document}
    tree = archive.Tree(root=found.path, top=top, first=toolchain.FILE, added=added)
    total = archive.size(found.path)
    with store.unwinding(), ctx.reporter.bar(f"packing {found.name}", total) as advance:
        made = archive.pack(tree, into, advance, level=level, mtime=mtime)
        said = provenance.statement(made, found.about, document, builder)
        store.write(provenance.beside(into), said.decode())
    return made, provenance.beside(into)


def _level(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) in archive.LEVELS:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from {_RANGE}")


def _uri(text: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no URI")


def _place(into: Path | None, found: Toolchain, ctx: Context) -> Path:
    place = ctx.directory / (into or "")
    if place.is_dir():
        return place / f"{found.about.entry}-{found.about.host}.tar.zst"
    return place


def _mtime(text: str) -> int:
    # 33 bits are what a tar's header holds.
    if text.isascii() and text.isdigit() and int(text) < 1 << 33:
        return int(text)
    raise InputError(f"SOURCE_DATE_EPOCH is {text!r}, not a number of seconds since 1970")
