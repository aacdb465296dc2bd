"""musl, built from the archive's source package for a cross compiler that has none."""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

from toolman import run
from toolman.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toolman.target import Target


def build(files: Sequence[Path], compiler: Path, target: Target, aside: Path) -> None:
    """Build the source package `files` into `aside/target`, laid out as Debian's musl-dev is.

    `aside/helpers` holds make and patch. The distribution's patches are applied.

    Raises:
        BuildError: a step failed, or the package is not of the shape of Debian's.
    """
    tree = aside / "musl"
    tree.mkdir()
    _unpack(_one(files, ".orig.tar"), tree, strip=1)
    _unpack(_one(files, ".debian.tar"), tree, strip=0)
    tools = aside / "helpers/usr/bin"
    series = tree / "debian/patches/series"
    lines = series.read_text("utf-8").splitlines() if series.exists() else []
    for name in [line.split()[0] for line in lines if line.strip() and line[0] != "#"]:
        patch = tree / "debian/patches" / name
        run.check(f"patch {name}", [tools / "patch", "-p1", "-i", patch], cwd=tree)
    prefix = str(compiler.parent / target.platform.triple["gnu"]) + "-"
    flags = [
        f"--target={target.triple}",
        "--prefix=/usr",
        f"--includedir=/usr/include/{target.triple}",
        f"--libdir=/usr/lib/{target.triple}",
        "--syslibdir=/lib",
        f"CROSS_COMPILE={prefix}",
        f"CC={compiler}",
        f"CFLAGS=-O2 -ffile-prefix-map={tree}=musl",
    ]
    run.check("musl: configure", ["sh", "./configure", *flags], cwd=tree)
    jobs = f"-j{os.cpu_count() or 1}"
    run.check("musl: make", [tools / "make", jobs], cwd=tree)
    run.check("musl: install", [tools / "make", f"DESTDIR={aside / 'target'}", "install"], cwd=tree)


def _one(files: Sequence[Path], kind: str) -> Path:
    found = [path for path in files if kind in path.name and not path.name.endswith(".asc")]
    if len(found) != 1:
        raise BuildError(f"musl's source package holds {len(found)} files {kind}*, not one")
    return found[0]


def _unpack(archive: Path, into: Path, strip: int) -> None:
    """Regular files only, each below `into`; the archive's digest has been checked."""
    with tarfile.open(archive) as opened:
        for member in opened:
            parts = member.name.removeprefix("./").split("/")[strip:]
            if not member.isfile() or not parts or ".." in parts:
                continue
            path = into.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = opened.extractfile(member)
            assert stream
            path.write_bytes(stream.read())
            path.chmod(0o755 if member.mode & 0o100 else 0o644)
