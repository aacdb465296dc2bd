"""`toolman sbom`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import choose, provenance, sbom, store
from toolman.digest import sha256
from toolman.errors import AbsentError, InputError

if TYPE_CHECKING:
    import argparse

    from toolman.context import Context
    from toolman.toolchain import Toolchain

SUMMARY = "show what a toolchain is made of (SPDX), or how its archive was made (SLSA)"
EXAMPLES = """\
  toolman sbom arm64-musl
  toolman sbom dist/arm64.tar.zst -o arm64.spdx.json
  toolman sbom arm64-musl --provenance        (of one that came from an index)
  toolman sbom dist/arm64.tar.zst --provenance
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="TARGET|FILE", help="a toolchain, or an archive of one")
    parser.add_argument("--libc", choices=("musl", "gnu"), help="for a platform named without one")
    parser.add_argument(
        "--provenance", action="store_true", help="the in-toto statement on the archive"
    )
    parser.add_argument("-o", dest="into", metavar="FILE", type=Path, help="write it there")


def run(args: argparse.Namespace, ctx: Context) -> int:
    file = ctx.directory / args.what
    if file.is_file():
        content = _provenance_of(file) if args.provenance else _document_of(file)
    elif "/" in args.what and file.suffix == ".zst":
        raise InputError(f"there is no file {file}")
    else:
        choice = choose.choose(args.what, ctx.store, libc=args.libc, directory=ctx.directory)
        found = choose.installed(choice, ctx.store)
        content = _published(found, ctx) if args.provenance else _document(found)
    if args.into is None:
        sys.stdout.write(content.decode())
        return 0
    into = ctx.directory / args.into
    if not into.parent.is_dir():
        raise InputError(f"there is no directory {into.parent}")
    store.write(into, content.decode())
    return 0


def _document(found: Toolchain) -> bytes:
    if found.about.root:
        raise InputError(
            f"{found.name} is linked: toolman does not know what it was made of",
            hint="it knows of those that it has installed: toolman list",
        )
    return sbom.of(found)


def _document_of(file: Path) -> bytes:
    content = sbom.of_archive(file)
    if content is None:
        hint = "toolman pack, or install it and ask for its target"
        raise AbsentError(f"{file} has no {sbom.FILE}: an older toolman packed it", hint=hint)
    return content


def _provenance_of(file: Path) -> bytes:
    beside = provenance.beside(file)
    try:
        content = beside.read_bytes()
    except FileNotFoundError:
        raise AbsentError(f"there is no {beside}", hint="toolman pack writes it") from None
    provenance.check(content, sha256(file), str(beside))
    return content


def _published(found: Toolchain, ctx: Context) -> bytes:
    """The statement that the index names, on the archive that `found` came in."""
    from toolman import fetch, index

    if found.about.origin != "prebuilt":
        raise AbsentError(
            f"{found.name} came in no archive: its origin is {found.about.origin}",
            hint=f"toolman pack {found.name} makes one, and its provenance",
        )
    for one in index.indexes(ctx):
        for archive in index.known(one):
            if archive.sha256 == found.about.digest and (blob := archive.provenance):
                wanted = fetch.Download(
                    name=f"the provenance of {found.name}",
                    urls=index.blob_urls(one, blob),
                    sha256=blob.sha256,
                    size=blob.size,
                    path=ctx.paths.cache / "sha256" / blob.sha256,
                    mirrors=True,
                )
                for error in fetch.fetch([wanted], lambda _: None, ctx.reporter.step).values():
                    raise error
                content = wanted.path.read_bytes()
                provenance.check(content, archive.sha256, wanted.name)
                return content
    hint = "toolman index refresh, or ask its publisher"
    raise AbsentError(f"no index has a provenance of {found.name}", hint=hint)
