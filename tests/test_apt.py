"""Which of the host's package sources are taken, and what they become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toolman.origins import apt_sources, deb

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
SECURITY = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
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


def test_security_updates_have_an_archive_of_their_own(tmp_path: Path) -> None:
    for name, text in (("a.list", LINES), ("a.sources", SECURITY)):
        official = apt_sources.official(written(tmp_path, name, text), "bookworm")
        said = apt_sources.of_suite(official, "trixie-security")
        assert "http://mirror.example/debian-security" in said
        assert "trixie-security" in said
        assert "bookworm" not in said
        assert apt_sources.of_suite(official, "trixie").count("security") == 0


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
