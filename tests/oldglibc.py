"""A real glibc 2.17, of CentOS 7's age: that of the sysroots in npm's @napi-rs/cross-toolchain.

The package for each machine is 45 MB; of it the libraries are kept, in the cache of `tools`.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from typing import IO, TYPE_CHECKING

import tools

from toolman.errors import ToolmanError

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "2.17"
_PACKAGES = {
    "aarch64": "@napi-rs/cross-toolchain-x64-target-aarch64@1.0.3",
    "x86_64": "@napi-rs/cross-toolchain-x64-target-x86_64@1.0.0",
}
_WHERE = "/sysroot/lib/"


def libraries(machine: str) -> Path:
    """The directory with its ld.so, libc.so.6 …

    Raises:
        ToolmanError: it cannot be had without npm.
    """
    tree = tools.CACHE / f"glibc-{VERSION}" / machine
    with tools.made(tree) as into:
        if into:
            _unpack(_fetched(_PACKAGES[machine], into), into)
    return tree


def _fetched(package: str, into: Path) -> Path:
    npm = shutil.which("npm", path=tools.ENVIRON.get("PATH"))
    if npm is None:
        raise ToolmanError(f"a real glibc {VERSION} comes from npm, which is not on PATH")
    words = [npm, "pack", "--silent", package]
    subprocess.run(words, cwd=into, env=tools.ENVIRON, check=True, capture_output=True)
    (found,) = into.glob("*.tgz")
    return found


def _unpack(package: Path, into: Path) -> None:
    with tarfile.open(package) as outer:
        for member in outer:
            if member.name.endswith(".tar.xz"):
                contents = outer.extractfile(member)
                assert contents is not None
                _unpack_libraries(contents, into)
    package.unlink()


def _unpack_libraries(contents: IO[bytes], into: Path) -> None:
    with tarfile.open(fileobj=contents, mode="r|xz") as inner:
        for member in inner:
            name = member.name.rpartition(_WHERE)[2]
            if _WHERE in member.name and ".so" in name and "/" not in name:
                inner.extract(member.replace(name=name), into, filter="data")
