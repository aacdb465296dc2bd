"""Debian's packages: what apt says of them, and what is inside."""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, BinaryIO

from toolman.errors import IntegrityError

if TYPE_CHECKING:
    from pathlib import Path

_URI = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$")
_MAGIC = b"!<arch>\n"
_HEADER = 60
_MOST_MEMBERS = 10  # a package has three


@dataclass(frozen=True, kw_only=True)
class Deb:
    """A package of the archive, as its signed lists state it."""

    name: str
    version: str
    architecture: str
    uri: str
    file: str
    size: int
    sha256: str


def listed(text: str) -> list[Deb]:
    """The packages, and files of source packages, that `apt-get --print-uris` has printed."""
    found = (_URI.match(line) for line in text.splitlines())
    return [_deb(match) for match in found if match]


def version_with(stanzas: str, package: str, file: str) -> str | None:
    """The version of the source package that has a file whose name matches `file` (fnmatch).

    `stanzas` is what `apt-cache showsrc` has printed.
    """
    for stanza in stanzas.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version): (.*)$", stanza, re.MULTILINE))
        names = [line.split()[-1] for line in stanza.splitlines() if line.startswith(" ")]
        if fields.get("Package") == package and any(fnmatch(name, file) for name in names):
            return fields.get("Version")
    return None


def copy_contents(package: Path, to: Path) -> None:
    """Copy the tar of a binary package's contents, compressed as it is, to the file `to`.

    Raises:
        IntegrityError: it is no package.
    """
    with package.open("rb") as stream, to.open("wb") as made:
        _seek_contents(stream, package)
        left = int(stream.read(_HEADER)[48:58])
        while left and (block := stream.read(min(left, 1 << 20))):
            made.write(block)
            left -= len(block)


def _seek_contents(stream: BinaryIO, package: Path) -> None:
    """Go to the header of the member `data.tar.*`; see deb(5)."""
    offset = len(_MAGIC)
    if stream.read(offset) == _MAGIC:
        for _ in range(_MOST_MEMBERS):
            header = stream.read(_HEADER)
            if header.startswith(b"data.tar"):
                stream.seek(offset)
                return
            if not header[48:58].strip().isdigit():
                break
            length = int(header[48:58])
            offset += _HEADER + length + length % 2
            stream.seek(offset)
    raise IntegrityError(f"{package.name} is no Debian package")


def _deb(match: re.Match[str]) -> Deb:
    if not match["file"].endswith(".deb"):
        return _source_file(match)
    name, version, architecture = match["file"].removesuffix(".deb").split("_")
    return Deb(
        name=name,
        version=urllib.parse.unquote(version),
        architecture=architecture,
        uri=match["uri"],
        file=match["file"],
        size=int(match["size"]),
        sha256=match["sha256"],
    )


def _source_file(match: re.Match[str]) -> Deb:
    name, _, rest = match["file"].partition("_")
    version = re.sub(r"\.(dsc|orig|debian|tar).*$", "", rest)
    return Deb(
        name=name,
        version=version,
        architecture="source",
        file=match["file"],
        size=int(match["size"]),
        sha256=match["sha256"],
        uri=match["uri"],
    )
