"""What of an installed library is kept, and made to work from anywhere.

Headers, static and shared libraries, .pc files: no programs, no manuals, no libtool archives,
which name places that are no more. A .pc file finds the rest relative to itself. Debug
information goes, and the times and owners in the archives, so that equal sources give equal
bytes. A file that names a directory of this machine is an error.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from toolman import run
from toolman.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from toolman.libraries.systems import Job

_PREFIX = "/usr"
_HERE = "${pcfiledir}/../.."
LIBRARY = re.compile(r".+\.a|.+\.so(\.[\d.]+)?")
_PLACE = re.compile(r"(?:(?<![\w.}/-])|(?<=-[IL]))/usr(?=/|\s|$)")
_USUAL = {"exec_prefix": "${prefix}", "libdir": "${prefix}/lib", "includedir": "${prefix}/include"}


def finish(job: Job, tree: Path, strip: Path, secrets: Sequence[str]) -> None:
    """Put what is kept of the installed library into the new directory `tree`.

    `secrets` are directories of this machine.

    Raises:
        BuildError: the library lacks what its recipe promises, or names one of `secrets`.
    """
    installed = job.out / _PREFIX.lstrip("/")
    (tree / "lib/pkgconfig").mkdir(parents=True)
    if (installed / "include").is_dir():
        shutil.copytree(installed / "include", tree / "include", symlinks=True)
    for path in sorted((installed / "lib").glob("*")):
        if LIBRARY.fullmatch(path.name):
            shutil.copy2(path, tree / "lib" / path.name, follow_symlinks=False)
    for name, to in job.chosen.recipe.links.items():
        (tree / "lib" / name).symlink_to(to)
    _strip(tree / "lib", strip, shared=job.chosen.shared)
    _write_pcs(job, installed, tree / "lib/pkgconfig")
    if not any((tree / "lib").glob("*.a")):
        raise BuildError(f"{job.chosen.name} has installed no static library below {installed}")
    _check_secrets(job.chosen.name, tree, secrets)


def _strip(libraries: Path, strip: Path, *, shared: bool) -> None:
    for path in sorted(libraries.iterdir()):
        if path.is_symlink() or not path.is_file():
            continue
        if path.suffix == ".a":
            run.check("strip", [strip, "-g", "-D", path])
            path.chmod(0o644)
        elif not shared:
            path.unlink()
        elif path.read_bytes()[:4] == b"\x7fELF":  # else a script of the linker's
            run.check("strip", [strip, "-g", path])


def _write_pcs(job: Job, installed: Path, into: Path) -> None:
    recipe = job.chosen.recipe
    found = {path.name: path for path in installed.glob("*/pkgconfig/*.pc")}
    for name, path in found.items():
        text = path.read_text("utf-8")
        # What it was built against will be in the same place.
        for tree in job.needs:
            text = text.replace(f" -L{tree}/lib", "").replace(f" -I{tree}/include", "")
        (into / name).write_text(relocatable(text), "utf-8")
    for name, libs in recipe.pc.items():
        lines = [f"prefix={_HERE}", *(f"{key}={value}" for key, value in _USUAL.items()), ""]
        lines += [f"Name: {name}", f"Description: {recipe.summary}"]
        lines += [f"Version: {job.chosen.version}", f"Libs: -L${{libdir}} {libs}"]
        (into / f"{name}.pc").write_text("\n".join([*lines, "Cflags: -I${includedir}", ""]))
    missing = [name for name in recipe.pkgconfig if not (into / f"{name}.pc").exists()]
    if missing:
        raise BuildError(f"{job.chosen.name} has installed no {', '.join(missing)}.pc")


def relocatable(text: str) -> str:
    """A .pc file's text with all places relative to itself."""
    lines = []
    for line in text.splitlines():
        key, sign, _ = line.partition("=")
        if sign and key.strip() == "prefix":
            lines.append(f"prefix={_HERE}")
        else:
            lines.append(_PLACE.sub("${prefix}", line))
    if not any(line.startswith("prefix=") for line in lines):
        lines.insert(0, f"prefix={_HERE}")
    return "\n".join([*lines, ""])


def _check_secrets(name: str, tree: Path, secrets: Sequence[str]) -> None:
    words = [os.fsencode(secret) for secret in secrets]
    for path in _files(tree):
        text = path.read_bytes()
        for word in words:
            if word in text:
                where = path.relative_to(tree)
                raise BuildError(f"{name}: {where} names a directory of this machine: {word!r}")


def _files(tree: Path) -> Iterator[Path]:
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path
