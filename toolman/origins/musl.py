"""musl, built from the archive's source package for a cross compiler that has none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from toolman import run, tarball
from toolman.archive import Limits
from toolman.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toolman.target import Target


_LIMITS = Limits(unpacked=100 << 20, members=20_000)  # 1.2.3 has 2,840 files and directories


def build(files: Sequence[Path], compiler: Path, target: Target, aside: Path) -> None:
    """Build the source package `files` into `aside/target`, laid out as Debian's musl-dev is.

    `aside/helpers` holds make and patch. The distribution's patches are applied.

    Raises:
        BuildError: a step failed, or the package is not of the shape of Debian's.
    """
    tree = aside / "musl"
    for kind, directory in ((".orig.tar", tree), (".debian.tar", tree / "debian")):
        directory.mkdir()
        tarball.unpack(_one(files, kind), directory, _LIMITS)
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
