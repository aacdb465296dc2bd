"""Other publishers' toolchains, end to end: archives of their shape, from a server, at work."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
import pytest
import shapes
from elf_files import HELLO
from published import Repository
from test_prebuilt import User

from toolman import catalogue, elf, manifest, target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archive import Server
    from conftest import Runner

    from toolman.run import Finished


@dataclass(frozen=True)
class Shape:
    """How a publisher's toolchain looks, and what its row says."""

    make: Callable[[Path, Path], None]
    target: str
    triple: str
    sysroot: str
    kind: str
    gcc: str
    publisher: dict[str, str]


SHAPES = {
    "bootlin": Shape(
        shapes.bootlin,
        "arm64-musl",
        "aarch64-buildroot-linux-musl",
        "aarch64-buildroot-linux-musl/sysroot",
        "xz",
        "bin/aarch64-buildroot-linux-musl-gcc.br_real",
        {"wrapped": ".br_real"},
    ),
    "musl.cc": Shape(
        shapes.musl_cc,
        "arm64-musl",
        "aarch64-linux-musl",
        "aarch64-linux-musl",
        "gz",
        "bin/aarch64-linux-musl-gcc",
        {},
    ),
    "cross-tools": Shape(
        shapes.cross_tools,
        "arm64-musl",
        "aarch64-unknown-linux-musl",
        "aarch64-unknown-linux-musl/sysroot",
        "xz",
        "bin/aarch64-unknown-linux-musl-gcc",
        {},
    ),
    "arm": Shape(
        shapes.arm,
        "arm64-gnu",
        "aarch64-none-linux-gnu",
        "aarch64-none-linux-gnu/libc",
        "xz",
        "bin/aarch64-none-linux-gnu-gcc",
        {},
    ),
}


class Published:
    """An archive of a publisher's, before a server."""

    def __init__(self, file: Path, shape: Shape) -> None:
        self.file = file
        self.shape = shape

    def row(self, url: str, **values: Any) -> dict[str, Any]:
        said = {
            "target": self.shape.target,
            "triple": self.shape.triple,
            "sysroot": self.shape.sysroot,
            "top": "the-toolchain",
            "urls": [f"{url}/{self.file.name}"],
            "components": {"binutils": "2.40"},
        }
        return shapes.row(self.file, **{**said, **values})


@pytest.fixture(scope="module")
def made(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Published]:
    """Makes the archive of a publisher, once."""
    place = tmp_path_factory.mktemp("publishers")
    done: dict[str, Published] = {}

    def make(name: str) -> Published:
        if name not in done:
            shape = SHAPES[name]
            top = place / name / "the-toolchain"
            shape.make(shapes.installed(home, shape.target), top)
            file = shapes.pack(top, place / f"{name}.tar.{shape.kind}", shape.kind)
            done[name] = Published(file, shape)
        return done[name]

    return make


@pytest.fixture
def server(made: Callable[[str], Published]) -> Iterator[Server]:
    with archive.serve(archive.Files(made("bootlin").file.parent)) as server:
        yield server


@pytest.fixture
def user(toolman: Runner, tmp_path: Path) -> User:
    (tmp_path / "user").mkdir()
    return User(toolman, tmp_path / "user")


def knows(user: User, *rows: dict[str, Any], **publisher: str) -> None:
    """The user has a catalogue of `rows`."""
    file = shapes.catalogue(user.place / "catalogue.toml", *rows, **publisher)
    user.env["TOOLMAN_CATALOGUE"] = str(file)


def error(done: Finished) -> str:
    (line,) = (line for line in done.err.splitlines() if line.startswith("error: "))
    return line


@pytest.mark.parametrize("name", SHAPES)
def test_it_is_installed_and_compiles(
    name: str, made: Callable[[str], Published], user: User, server: Server
) -> None:
    published = made(name)
    shape = published.shape
    knows(user, published.row(server.url), **shape.publisher)
    done = user.good("install", shape.target, "--publisher", "someone", "--json")
    (installed,) = json.loads(done.out)["installed"]
    expected = {
        "origin": "prebuilt",
        "publisher": "someone",
        "target": shape.target,
        "version": "12.2.0",
        "languages": ["c"],
        "sysroot": shape.sysroot,
        "digest": published.row("")["sha256"],
    }
    assert {key: installed[key] for key in expected} == expected
    # By our triple's shim, with the flags of our environment.
    (user.place / "a.c").write_text(HELLO)
    script = "$CC $CGO_CFLAGS $CGO_LDFLAGS a.c -o a"
    user.good("exec", shape.target, "--", "sh", "-c", script)
    found = elf.inspect(user.place / "a")
    assert found.libc == target.parse(shape.target).libc
    assert found.linkage == ("static" if found.libc == "musl" else "dynamic")
    static = [] if found.libc == "musl" else ["-static"]
    shim = user.good("env", shape.target, "--format", "json").out
    compiler = json.loads(shim)["set"]["CC"]
    assert compiler.endswith(f"{target.parse(shape.target).triple}-gcc")
    subprocess.run([compiler, *static, "a.c", "-o", "b"], cwd=user.place, check=True)
    assert user.good("run", "linux/arm64", "./b").out == "hello\n"
    # Nothing between the shim and the compiler that the publisher has built.
    assert Path(compiler).resolve() == (Path(installed["path"]) / shape.gcc).resolve()


def test_it_is_there_until_it_is_removed(
    made: Callable[[str], Published], user: User, server: Server
) -> None:
    published = made("musl.cc")
    knows(user, published.row(server.url))
    user.good("install", "arm64-musl", "--publisher", "someone")
    for words in ((), ("--publisher", "someone"), ("--origin", "prebuilt")):
        assert "is already installed" in user.good("install", "arm64-musl", *words).err
    user.good("uninstall", "arm64-musl")
    assert not list(user.place.rglob("toolchain.json"))
    # Once more, out of the cache, which nobody believes either.
    kept = user.place / "cache/sha256" / published.row("")["sha256"]
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    user.good("install", "arm64-musl", "--publisher", "someone")
    user.good("uninstall", "arm64-musl")
    server.stop()
    user.good("install", "arm64-musl", "--publisher", "someone")
    assert "publisher" not in user.good("install", "arm64-musl").err


def test_no_archive_runs_a_script_of_its_own(
    made: Callable[[str], Published], user: User, server: Server
) -> None:
    published = made("bootlin")
    knows(user, published.row(server.url), **published.shape.publisher)
    done = user.good("install", "arm64-musl", "--publisher", "someone")
    assert "must never run" not in done.err
    tools = json.loads(next(user.place.rglob("toolchain.json")).read_text())["tools"]
    assert tools["gcc"] == published.shape.gcc
    assert tools["cc"] == "bin/aarch64-buildroot-linux-musl-cc.br_real"
    assert tools["ld"] == "bin/aarch64-buildroot-linux-musl-ld"
    assert not [tool for tool in tools if "br_real" in tool]


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "another GCC": ({"gcc": "13.3.0"}, "its GCC is 12.2.0, not 13.3.0"),
    "the beginning of another GCC": ({"gcc": "12.20"}, "its GCC is 12.2.0, not 12.20"),
    "another libc": (
        {"target": "arm64-gnu"},
        "its programs are no glibc ones: /lib/ld-musl-aarch64.so.1",
    ),
    "another machine": ({"target": "riscv64-musl"}, "its programs are for linux/arm64"),
    "another language": ({"languages": ["c", "c++"]}, "it has no aarch64-linux-musl-g++"),
    "another triple": ({"triple": "aarch64-linux-gnu"}, "it has no aarch64-linux-gnu-gcc"),
    "another sysroot": ({"sysroot": "aarch64-linux-musl/lib"}, "its GCC looks for the libc in"),
    "another directory": ({"top": "another"}, "is not in its directory 'another'"),
    "fewer bytes unpacked": ({"unpacked": 1 << 20}, "it holds more than 1048576 bytes"),
    "fewer members": ({"members": 100}, "it holds more than 100 members"),
    "other bytes": ({"sha256": "ab" * 32}, "is not what is pinned"),
}


@pytest.mark.parametrize("name", LIES)
def test_what_is_not_as_the_catalogue_says_is_refused(
    name: str, made: Callable[[str], Published], user: User, server: Server
) -> None:
    lie, said = LIES[name]
    row = made("musl.cc").row(server.url, **lie)
    knows(user, row)
    words = ["--with", ",".join(row["languages"]), "--publisher", "someone"]
    done = user("install", row["target"], *words)
    assert done.code == 4
    assert said in error(done)
    assert ("unpacking" in done.err) == (name != "other bytes")
    assert not list(user.place.rglob("toolchain.json"))
    assert not list(user.place.glob("home/*/staging/*"))


def test_a_libc_that_is_not_in_the_sysroot_is_missed(
    home: Path, user: User, tmp_path: Path
) -> None:
    top = tmp_path / "the-toolchain"
    shapes.musl_cc(shapes.installed(home, "arm64-musl"), top)
    (top / "aarch64-linux-musl/lib/ld-musl-aarch64.so.1").unlink()
    file = shapes.pack(top, tmp_path / "a.tar.gz", "gz")
    knows(user, Published(file, SHAPES["musl.cc"]).row(tmp_path.as_uri()))
    done = user("install", "arm64-musl", "--publisher", "someone")
    assert done.code == 4
    assert "its sysroot has no /lib/ld-musl-aarch64.so.1" in error(done)


def test_a_manifest_of_a_publishers_is_not_believed(home: Path, user: User, tmp_path: Path) -> None:
    top = tmp_path / "the-toolchain"
    shapes.musl_cc(shapes.installed(home, "arm64-musl"), top)
    manifest.seal(top)
    header = top / "aarch64-linux-musl/include/stdio.h"
    header.chmod(0o644)
    header.write_text(f"{header.read_text()}\n")
    file = shapes.pack(top, tmp_path / "a.tar.gz", "gz")
    knows(user, Published(file, SHAPES["musl.cc"]).row(tmp_path.as_uri()))
    done = user("install", "arm64-musl", "--publisher", "someone")
    assert done.code == 4
    assert "aarch64-linux-musl/include/stdio.h has changed" in error(done)


@pytest.mark.parametrize(
    "program", [b"\x7fELF of another machine", b"#!/no/such/interpreter\n", b"#!/bin/sh\nexit 1\n"]
)
def test_what_does_not_run_here_says_so(program: bytes, user: User, tmp_path: Path) -> None:
    top = tmp_path / "the-toolchain"
    (top / "bin").mkdir(parents=True)
    (top / "bin/aarch64-linux-musl-gcc").write_bytes(program)
    (top / "bin/aarch64-linux-musl-gcc").chmod(0o755)
    file = shapes.pack(top, tmp_path / "a.tar.gz", "gz")
    knows(user, shapes.row(file, top="the-toolchain", note="they need another libc"))
    done = user("install", "arm64-musl", "--publisher", "someone")
    assert done.code == 5
    assert "the programs of Someone do not run on this host: " in error(done)
    assert "hint: they need another libc" in done.err
    assert not list(user.place.rglob("toolchain.json"))


def test_it_is_taken_only_when_asked_for(user: User, tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    file.write_bytes(b"")
    knows(user, shapes.row(file, languages=["c", "c++"]))
    plan = json.loads(user.good("install", "arm64-musl", "--dry-run", "--json").out)["plans"][0]
    assert plan["origin"] == "distro"
    # A build takes minutes: then it is told. (So many jobs end it before it begins.)
    words = ("install", "arm64-musl", "--with", "c++", "--jobs", "100000")
    said = user(*words).err
    assert "others have it ready: --publisher someone" in said
    knows(user, shapes.row(file))
    assert "others have it ready" not in user(*words).err


def test_an_index_of_the_users_is_asked_before(
    user: User, corp: Repository, tmp_path: Path
) -> None:
    root = tmp_path / "root.json"
    root.write_bytes(corp.root)
    user.good("index", "add", "corp", corp.directory, "--root", root)
    knows(user, shapes.row(root))
    dry = ("install", "arm64-musl", "--dry-run", "--publisher", "someone")
    assert "origin prebuilt, Someone 1: GCC 12.2.0" in user.good(*dry).out
    corp.add("arm64-musl", publisher="someone")
    user.good("index", "refresh", "corp")
    assert "origin prebuilt, index corp: GCC 14.2.0" in user.good(*dry).out
    # Without a word for whose, it is as good as any.
    assert "index corp" in user.good("install", "arm64-musl", "--dry-run").out


def test_an_index_out_of_reach_is_told(user: User, corp: Repository, tmp_path: Path) -> None:
    root = tmp_path / "root.json"
    root.write_bytes(corp.root)
    user.good("index", "add", "corp", corp.directory, "--root", root)
    knows(user, shapes.row(root))
    corp.directory.rename(tmp_path / "gone")
    (known,) = user.place.glob("home/indexes/corp/known.json")
    known.unlink()
    done = user.good("install", "arm64-musl", "--dry-run", "--publisher", "someone")
    assert "; taking what someone offers" in done.err
    assert "Someone 1" in done.out
    (tmp_path / "other").mkdir()
    other = Repository(tmp_path / "other")
    other.add("arm64-musl")
    root.write_bytes(other.root)
    user.good("index", "add", "other", other.directory, "--root", root)
    done = user.good("install", "arm64-musl", "--dry-run")
    assert "; taking what index other has" in done.err


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("--publisher", "sumone"), "unknown publisher 'sumone'", "did you mean someone?"),
        (("--publisher", "x"), "unknown publisher 'x'", "known: someone"),
        (("--publisher", ""), "unknown publisher ''", "known: someone"),
        (
            ("--publisher", "someone", "--origin", "source"),
            "what someone publishes is of origin prebuilt, not source",
            "leave --origin out",
        ),
        (
            ("--publisher", "someone", "--with", "c++"),
            "no origin offers arm64-musl with c++, the publisher someone: prebuilt: someone has "
            "no such toolchain for this host",
            "see: toolman list --available",
        ),
        (("--publisher", "someone", "--gcc", "13"), "someone has no such toolchain", "see: "),
    ],
)
def test_what_nobody_publishes(
    words: tuple[str, ...], said: str, hint: str, user: User, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"")
    knows(user, shapes.row(tmp_path / "a"), shapes.row(tmp_path / "a", host="darwin-arm64"))
    done = user("install", "arm64-musl", *words)
    assert done.code == 2
    assert said in error(done)
    assert f"hint: {hint}" in done.err
    assert not list(user.place.rglob("toolchain.json"))


def test_list_available_tells_who_has_what(user: User, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    other = shapes.row(tmp_path / "a", target="armv7-gnu", host="linux-alpha")
    said = {"components": {"musl": "1.2.3"}, "note": "for tests"}
    knows(user, shapes.row(tmp_path / "a", **said), other)
    rows = json.loads(user.good("list", "--available", "--json").out)["targets"]
    found = {row["target"]: row["publishers"] for row in rows if row["publishers"]}
    assert found == {
        "arm64-musl": {
            "someone": [
                {
                    "release": "1",
                    "languages": ["c"],
                    "sha256": hashlib.sha256(b"").hexdigest(),
                    "components": {"gcc": "12.2.0", "musl": "1.2.3"},
                    "licence": "none",
                    "note": "for tests",
                }
            ]
        }
    }
    (line,) = (x for x in user.good("list", "--available").out.splitlines() if "someone" in x)
    assert line.startswith("arm64-musl ")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a digest": ({"sha256": "AB" * 32}, "toolchain 1, sha256: must be 64 of 0-9 and a-f"),
    "a target": ({"target": "arm64"}, "toolchain 1, target: arm64 is none"),
    "a language": ({"languages": ["cobol"]}, "toolchain 1, languages: cobol is unknown"),
    "a URL": ({"urls": ["ftp://x/a"]}, "toolchain 1, urls: ftp://x/a is none"),
    "a publisher": ({"publisher": "x"}, "toolchain 1, publisher: x is not described"),
    "a top directory": ({"top": "../x"}, "toolchain 1, top: '../x' is no word"),
    "a sysroot": ({"sysroot": "a/../../x"}, "sysroot: 'a/../../x' is no path below"),
    "an absolute sysroot": ({"sysroot": "/"}, "sysroot: '/' is no path below"),
    "a triple": ({"triple": "a/b*"}, "toolchain 1, triple: 'a/b*' is no word"),
    "an unknown key": ({"sha512": "x"}, "sha512: unknown key; did you mean sha256?"),
    "a size": ({"size": "1"}, "toolchain 1, size: must be a number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_catalogue_is_the_users_to_correct(name: str, user: User, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    change, said = WRONG[name]
    knows(user, shapes.row(tmp_path / "a", **change))
    done = user("install", "arm64-musl", "--publisher", "someone")
    assert done.code == 2
    assert said in error(done)
    assert user.env["TOOLMAN_CATALOGUE"] in error(done)


def test_without_a_digest_nothing_is_taken(user: User, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    row = shapes.row(tmp_path / "a")
    del row["sha256"], row["gcc"]
    knows(user, row)
    said = error(user("install", "arm64-musl", "--publisher", "someone"))
    assert "toolchain 1, sha256: missing" in said
    assert "toolchain 1, gcc: missing" in said


def test_a_catalogue_that_is_not_there_or_no_toml(user: User) -> None:
    user.env["TOOLMAN_CATALOGUE"] = str(user.place / "none.toml")
    done = user("list", "--available")
    assert (done.code, "none.toml: " in error(done)) == (2, True)
    Path(user.env["TOOLMAN_CATALOGUE"]).write_text("[[")
    assert user("list", "--available").code == 2


def test_the_built_in_catalogue_has_two_sources_for_each_digest() -> None:
    rows = tomllib.loads(catalogue.BUILT_IN.read_text())["toolchain"]
    assert len(rows) == len(catalogue.offers({})) == len({row["sha256"] for row in rows})
    assert all(row["sources"] >= 2 for row in rows)
    assert all(url.startswith("https://") for row in rows for url in row["urls"])


def test_the_built_in_catalogue_is_consistent() -> None:
    for one in catalogue.offers({}):
        assert ("musl" in one.triple) == (one.target.libc == "musl")
        assert one.sysroot.startswith(one.triple)
        assert one.host.partition("-")[0] in ("linux", "darwin")
        first = one.urls[0].rpartition("/")[2]
        assert one.triple.split("-")[0] in ("arm", *target.spellings(one.target.platform))
        assert first.endswith((".tar.xz", ".tar.gz", ".tgz"))


def test_the_newest_of_a_publisher_comes_first() -> None:
    seen: dict[tuple[str, str, str], list[int]] = {}
    for one in catalogue.offers({}):
        key = (one.publisher.name, one.target.name, one.host)
        version = [int(part) for part in one.gcc.split(".")]
        assert seen.setdefault(key, version) >= version
