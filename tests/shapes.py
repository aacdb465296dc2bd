"""Toolchains in the shape of other publishers': directories, names, links and modes as theirs.

What works inside is the compiler that origin distro has installed for the tests.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# As Buildroot's: the real program is found by the name and the directory that it is called by.
WRAPPER = """\
#!/bin/sh
base=$(cd "$(dirname "$0")/.." && pwd -P)
exec "$base/bin/$(basename "$0").br_real" "$@"
"""
# Large, and nothing that is tested needs it.
_LEFT_OUT = ("lto1", "lto-wrapper", "plugin", "*-dwp", "*-ld.gold", "ld.gold", "libcc1*", "*-gcov*")
_LEFT_OUT_TOO = ("toolchain.json", "*-gprof", "collect2-*", "libasan*", "libtsan*", "liblsan*")


def bootlin(tree: Path, top: Path) -> None:
    """A wrapper before the compilers, libc in `<triple>/sysroot`, tools by hard links."""
    triple = "aarch64-buildroot-linux-musl"
    _rearrange(tree, top, triple, f"{triple}/sysroot")
    (top / "bin/toolchain-wrapper").write_text(WRAPPER)
    (top / "bin/toolchain-wrapper").chmod(0o755)
    for name in ("gcc", "cpp"):
        path = top / f"bin/{triple}-{name}"
        path.rename(f"{path}.br_real")
        path.symlink_to("toolchain-wrapper")
        (top / f"bin/aarch64-linux-{name}").symlink_to("toolchain-wrapper")
        (top / f"bin/aarch64-linux-{name}.br_real").symlink_to(f"{triple}-{name}.br_real")
    (top / f"bin/{triple}-cc.br_real").hardlink_to(top / f"bin/{triple}-gcc.br_real")
    (top / f"bin/{triple}-cc").symlink_to("toolchain-wrapper")
    (top / "relocate-sdk.sh").write_text("#!/bin/sh\necho this must never run >&2\nexit 1\n")
    (top / "relocate-sdk.sh").chmod(0o755)
    (top / triple / "sysroot/lib64").symlink_to("lib")


def musl_cc(tree: Path, top: Path) -> None:
    """libc in `<triple>`, and its dynamic linker an absolute link."""
    _rearrange(tree, top, "aarch64-linux-musl", "aarch64-linux-musl")
    interpreter = top / "aarch64-linux-musl/lib/ld-musl-aarch64.so.1"
    interpreter.unlink()
    interpreter.symlink_to("/lib/libc.so")


def arm(tree: Path, top: Path) -> None:
    """libc in `<triple>/libc`."""
    _rearrange(tree, top, "aarch64-none-linux-gnu", "aarch64-none-linux-gnu/libc")


def cross_tools(tree: Path, top: Path) -> None:
    """crosstool-NG's: nothing may be written."""
    triple = "aarch64-unknown-linux-musl"
    _rearrange(tree, top, triple, f"{triple}/sysroot")
    for path in sorted(top.rglob("*"), reverse=True):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o555)


def pack(top: Path, into: Path, kind: str) -> Path:
    """`top` in a tarball as `tar` would make it, compressed as `kind` says."""
    options: dict[str, Any] = {"gz": {"compresslevel": 1}, "bz2": {"compresslevel": 1}}
    options |= {"xz": {"preset": 0}}
    with tarfile.open(into, f"w:{kind}", format=tarfile.GNU_FORMAT, **options[kind]) as tar:
        tar.add(top, top.name)
    return into


def row(made: Path, **values: Any) -> dict[str, Any]:
    """A row of a catalogue for the archive `made`, of a host such as this."""
    return {
        "publisher": "someone",
        "release": "1",
        "target": "arm64-musl",
        "host": f"linux-{os.uname().machine}",
        "gcc": "12.2.0",
        "triple": "aarch64-linux-musl",
        "top": "top",
        "sysroot": "sysroot",
        "languages": ["c"],
        "urls": [made.as_uri()],
        "sha256": hashlib.sha256(made.read_bytes()).hexdigest(),
        **values,
    }


def catalogue(file: Path, *rows: dict[str, Any], **publisher: str) -> Path:
    """A catalogue of `rows`, all of one publisher."""
    about = {"name": "someone", "title": "Someone", "licence": "none", **publisher}
    tables = [("publisher", about), *(("toolchain", one) for one in rows)]
    text = "\n".join(
        "\n".join([f"[[{head}]]", *(f"{key} = {_toml(value)}" for key, value in table.items())])
        for head, table in tables
    )
    file.write_text(f"schema = 1\n{text}\n")
    return file


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(one)}' for key, one in value.items())} }}"
    return str(value) if isinstance(value, int) else "'" + str(value) + "'"


def _rearrange(tree: Path, top: Path, triple: str, sysroot: str) -> None:
    """Debian's layout to that of a GCC with its prefix at `top`, the libc in `sysroot`."""
    own = "aarch64-linux-gnu"
    left_out = shutil.ignore_patterns(*_LEFT_OUT, *_LEFT_OUT_TOO)
    shutil.copytree(tree / "usr", top, symlinks=True, ignore=left_out)
    for path in (top, *top.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o200)
    place = top / sysroot
    place.mkdir(parents=True, exist_ok=True)
    for name in ("include", "lib", "usr"):
        (top / own / name).rename(place / name)
    # Where this GCC looks for its start files.
    (top / own / "lib").symlink_to(f"../{sysroot}/lib")
    for path in sorted((top / "bin").glob(f"{own}-*")):
        name = re.sub(r"-\d+$", "", path.name.removeprefix(f"{own}-"))
        if path.exists() and not path.is_symlink():
            path.rename(top / f"bin/{triple}-{name}")
        elif path.is_symlink():
            path.unlink()
    (top / f"bin/{triple}-ld").hardlink_to(top / f"bin/{triple}-ld.bfd")
    for path in (top / own / "bin").iterdir():
        path.unlink()
        if (top / f"bin/{triple}-{path.name}").exists():
            path.symlink_to(f"../../bin/{triple}-{path.name}")
    (specs,) = top.glob(f"lib/gcc-cross/{own}/*/specs")
    text = specs.read_text().replace(f"../../{own}", f"../../{sysroot}")
    specs.write_text(text)


def installed(home: Path, name: str) -> Path:
    """The tree of a toolchain that the tests have installed."""
    (found,) = home.glob(f"*/store/{name}-*")
    return found
