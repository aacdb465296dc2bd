"""Where GCC's tests are: in a source tree, or in a tarball, out of which they are taken once.

They stay in toolman's cache, in `conformance/<sha256 of the tarball>/`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import recipe, run
from toolman.digest import sha256
from toolman.errors import InputError
from toolman.origins import sources

if TYPE_CHECKING:
    from toolman.context import Context

EXECUTE = "gcc/testsuite/gcc.c-torture/execute"
# Some of the tests include files of others.
_TAKEN = (EXECUTE, "gcc/testsuite/gcc.dg/pr*.c", "gcc/testsuite/gcc.dg/tree-ssa/pr*.c")


def find(source: str | None, version: str, ctx: Context) -> Path:
    """The directory of the tests in `source`: a directory, a tarball, or a version of GCC that
    toolman has pinned; without it, those of `version`.

    Raises:
        InputError: they are not there.
        NetworkError, IntegrityError: GCC's source could not be had.
    """
    path = Path(source or version)
    if path.is_dir():
        found = path if path.name == "execute" else path / EXECUTE
    elif path.exists():
        found = _extracted(path, ctx.paths.cache)
    elif "/" in str(path):
        raise InputError(f"{path}: no such file or directory")
    else:
        found = _extracted(_tarball(source or version, ctx), ctx.paths.cache)
    if not found.is_dir():
        raise InputError(f"{source} holds no {EXECUTE}")
    return found


def _tarball(version: str, ctx: Context) -> Path:
    """GCC's, from toolman's cache, or from where `toolman install` would have it."""
    pins = recipe.pins("gcc", version)
    if not pins:
        known = ", ".join(one for name, one in recipe.shipped().pins if name == "gcc")
        hint = f"give --source: a tarball, a directory, or one of {known}"
        raise InputError(f"toolman has no source of GCC {version}", hint=hint)
    obtained = sources.obtain({"gcc": pins}, ctx.paths.cache, ctx.host, ctx.reporter)
    return obtained["gcc"].path


def _extracted(tarball: Path, cache: Path) -> Path:
    tree = cache / "conformance" / sha256(tarball)
    if not tree.is_dir():
        tree.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tree.parent) as place:
            new = Path(place, "new")
            new.mkdir()
            # GNU tar sees by itself how the file is compressed.
            words = ["tar", "-x", "--strip-components=1", "--wildcards", f"-f{tarball.absolute()}"]
            done = run.run([*words, *(f"*/{path}" for path in _TAKEN)], cwd=new)
            if done.code:
                raise InputError(f"{tarball} holds no {EXECUTE}")
            new.rename(tree)
    return tree / EXECUTE
