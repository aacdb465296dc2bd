"""Which of the host's package sources are taken, and what they become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toolman.origins import apt_sources, deb, musl

if TYPE_CHECKING:
    from pathlib import Path

DEB822 = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main

Types: deb
URIs: http://vendor.example/node
Suites: nodistro
Components: main
"""
LINES = """\
# a comment
deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main
deb http://mirror.example/debian-security bookworm-security main
deb http://vendor.example/apt cloud-sdk-bookworm main
deb-src http://mirror.example/debian bookworm main
"""


def written(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_only_the_releases_own_stanzas_are_taken(tmp_path: Path) -> None:
    text = apt_sources.official(written(tmp_path, "a.sources", DEB822), "bookworm")
    assert "Suites: bookworm bookworm-updates" in text
    assert "backports" not in text
    assert "vendor.example" not in text


def test_only_the_releases_own_lines_are_taken(tmp_path: Path) -> None:
    text = apt_sources.official(written(tmp_path, "a.list", LINES), "bookworm")
    assert [line.split()[0] for line in text.splitlines() if line] == ["deb", "deb", "deb-src"]
    assert "vendor.example" not in text


def test_source_packages_come_from_the_same_places(tmp_path: Path) -> None:
    stanzas = apt_sources.with_sources(
        apt_sources.official(written(tmp_path, "a.sources", DEB822), "bookworm")
    )
    assert "Types: deb deb-src" in stanzas
    lines = apt_sources.with_sources(
        "deb http://mirror.example/debian bookworm main\n"
    ).splitlines()
    assert lines[1] == "deb-src http://mirror.example/debian bookworm main"


def test_another_suite_takes_the_place_of_the_release(tmp_path: Path) -> None:
    stanzas = apt_sources.of_suite(
        apt_sources.official(written(tmp_path, "a.sources", DEB822), "bookworm"), "trixie"
    )
    assert stanzas.split("\n") == [
        "Types: deb",
        "URIs: http://mirror.example/debian",
        "Suites: trixie",
        "Components: main",
        "",
    ]
    lines = apt_sources.of_suite(
        apt_sources.official(written(tmp_path, "a.list", LINES), "bookworm"), "trixie"
    )
    assert lines.splitlines() == [
        "deb [signed-by=/k.gpg] http://mirror.example/debian trixie main",
        "deb-src http://mirror.example/debian trixie main",
    ]


@pytest.mark.parametrize(
    ("file", "name", "version", "architecture"),
    [
        ("zlib1g_1%3a1.2.13.dfsg-1_amd64.deb", "zlib1g", "1:1.2.13.dfsg-1", "amd64"),
        ("musl_1.2.3-1.dsc", "musl", "1.2.3-1", "source"),
        ("musl_1.2.3.orig.tar.gz", "musl", "1.2.3", "source"),
        ("musl_1.2.3-1.debian.tar.xz", "musl", "1.2.3-1", "source"),
    ],
)
def test_a_files_name_tells_the_package(
    file: str, name: str, version: str, architecture: str
) -> None:
    line = f"'http://mirror.example/pool/x/{file}' {file} 10 SHA256:{'0' * 64}"
    (found,) = deb.listed(f"Reading package lists...\n{line}\n")
    assert (found.name, found.version, found.architecture) == (name, version, architecture)


def test_a_source_archive_cannot_write_outside(tmp_path: Path) -> None:
    import io
    import tarfile

    archive = tmp_path / "musl.orig.tar"
    with tarfile.open(archive, "w") as made:
        for name in ("musl/configure", "musl/../../escaped", "../escaped"):
            member = tarfile.TarInfo(name)
            member.size, member.mode = 1, 0o755
            made.addfile(member, io.BytesIO(b"x"))
        link = tarfile.TarInfo("musl/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        made.addfile(link)
    into = tmp_path / "a" / "b"
    into.mkdir(parents=True)
    musl._unpack(archive, into, strip=1)
    written_files = {path for path in tmp_path.rglob("*") if not path.is_dir()} - {archive}
    assert into / "configure" in written_files
    assert all(path.is_relative_to(into) and not path.is_symlink() for path in written_files)
