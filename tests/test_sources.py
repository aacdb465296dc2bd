"""Sources from upstream, else from Debian's archive: real apt-get, small archives, real sockets."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import archive
import pytest
import tools
from archive import HOST, NATIVE, Machine, Package

from toolman import recipe, run, tarball
from toolman.errors import IntegrityError, NetworkError
from toolman.origins import apt, deb, sources
from toolman.pin import Pin
from toolman.report import Silent
from toolman.target import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from archive import Server

TARBALL = b"a tarball of musl\n" * 5000
REPACKED = b"the same, repacked\n" * 4000
FIX = b"--- a\n+++ b\n"
PATH = "usr/src/gcc-14/gcc-14.2.0-dfsg.tar.xz"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def packed(files: Mapping[str, bytes]) -> bytes:
    """A tar.xz of `files`."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:xz") as archive_:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive_.addfile(member, io.BytesIO(content))
    return made.getvalue()


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source package."""

    name: str
    version: str
    files: Mapping[str, bytes]


class Suite:
    """A suite of an archive: `Packages`, `Sources` and `Release`, beside the host's own."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name

    def write(self, packages: Sequence[Package], found: Sequence[Source]) -> None:
        pool = self.directory / "pool"
        pool.mkdir(parents=True, exist_ok=True)
        lists = {f"main/binary-{NATIVE}/Packages": "", "main/source/Sources": ""}
        for package in packages:
            archive._build(package, pool / package.file)
            lists[f"main/binary-{NATIVE}/Packages"] += archive._stanza(package, pool / package.file)
        for source in found:
            lists["main/source/Sources"] += self._source(source)
        for below, text in lists.items():
            path = self.directory / "dists" / self.name / below
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        sums = "".join(
            f" {digest(text.encode())} {len(text.encode())} {below}\n"
            for below, text in lists.items()
        )
        (self.directory / "dists" / self.name / "Release").write_text(
            f"Origin: Debian\nSuite: {self.name}\nCodename: {self.name}\nComponents: main\n"
            f"Architectures: {NATIVE}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n{sums}"
        )

    def _source(self, source: Source) -> str:
        sums = ""
        dsc = f"{source.name}_{source.version}.dsc"
        for name, content in {**source.files, dsc: b"a description\n"}.items():
            (self.directory / "pool" / name).write_bytes(content)
            sums += f" {digest(content)} {len(content)} {name}\n"
        return (
            f"Package: {source.name}\nFormat: 3.0 (quilt)\nBinary: {source.name}\n"
            f"Architecture: any\nVersion: {source.version}\nDirectory: pool\n"
            f"Checksums-Sha256:\n{sums}\n"
        )


MUSL = Source(
    name="musl",
    version="1.2.5-3",
    files={
        "musl_1.2.5.orig.tar.gz": TARBALL,
        "musl_1.2.5-3.debian.tar.xz": packed({"debian/patches/fix.patch": FIX}),
    },
)
NEWER = Source(name="musl", version="1.2.6-1", files={"musl_1.2.6.orig.tar.gz": b"newer"})
GCC = Package(name="gcc-14-source", version="14.2.0-19", files={PATH: REPACKED.decode()})

UPSTREAM = Pin(
    component="gcc",
    version="14.2.0",
    release="14.2.0",
    license="MIT",
    sha256=digest(TARBALL),
    size=len(TARBALL),
    urls=("http://127.0.0.1:1/gcc.tar.gz",),
)
DEBIAN = Pin(
    component="gcc",
    version="14.2.0",
    release="14.2.0",
    license="MIT",
    sha256=digest(REPACKED),
    debian="gcc-14-source",
    suite="trixie",
    member=PATH,
)
OF_SOURCE = replace(DEBIAN, debian="musl", file="musl_1.2.5.orig.tar.gz", member=None)
MUSL_PIN = replace(OF_SOURCE, component="musl", version="1.2.5", sha256=digest(TARBALL))
FIX_PIN = replace(
    MUSL_PIN,
    component="musl-fix",
    file="musl_1.2.5-*.debian.tar.xz",
    member="debian/patches/fix.patch",
    sha256=digest(FIX),
)


class Said(Silent):
    """Remembers the steps."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)


@pytest.fixture
def trixie(tmp_path: Path) -> Suite:
    directory = tmp_path / "archive"
    archive.Archive(directory, [])
    suite = Suite(directory, "trixie")
    suite.write([GCC], [NEWER, MUSL])
    return suite


@pytest.fixture
def server(trixie: Suite) -> Iterator[Server]:
    with archive.serve(trixie) as server:
        yield server


@pytest.fixture
def machine(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path / "machine", server.url)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    return made


def obtain(machine: Machine, **pins: Sequence[Pin]) -> dict[str, sources.Obtained]:
    named = {name.replace("_", "-"): some for name, some in pins.items()}
    return sources.obtain(named, machine.cache, HOST, Silent())


def kept(machine: Machine) -> set[str]:
    return {path.name for path in (machine.cache / "sha256").glob("*")}


def litter(machine: Machine) -> list[Path]:
    return [*machine.cache.glob("staging/*"), *machine.cache.glob("sha256/*.part")]


def test_upstream_is_asked_first(machine: Machine, server: Server) -> None:
    (server.archive.directory / "gcc.tar.gz").write_bytes(TARBALL)
    pin = replace(UPSTREAM, urls=(f"{server.url}/gcc.tar.gz",))
    found = obtain(machine, gcc=[pin, DEBIAN])["gcc"]
    assert found.pin == pin
    assert found.path == machine.cache / "sha256" / digest(TARBALL)
    assert found.path.read_bytes() == TARBALL
    assert server.seen == ["gcc.tar.gz"]


def test_where_upstream_is_unreachable_debian_has_it(machine: Machine) -> None:
    said = Said()
    pins = {"gcc": [UPSTREAM, DEBIAN]}
    found = sources.obtain(pins, machine.cache, HOST, said)["gcc"]
    assert found.pin == DEBIAN
    assert found.path.read_bytes() == REPACKED
    assert said.steps[0].startswith(
        "upstream: 127.0.0.1:1: Connection refused; asking Debian's archive"
    )
    assert "trixie" in said.steps[1]
    assert litter(machine) == []


def test_files_of_source_packages_and_what_is_inside(machine: Machine, server: Server) -> None:
    found = obtain(machine, musl=[MUSL_PIN], musl_fix=[FIX_PIN])
    assert found["musl"].path.read_bytes() == TARBALL
    assert found["musl-fix"].path.read_bytes() == FIX
    # The newest version of the source package has other files, and nothing else is fetched.
    assert sorted(name for name in server.seen if name.startswith("musl")) == sorted(MUSL.files)


def test_without_a_member_a_packages_contents_are_taken(machine: Machine, tmp_path: Path) -> None:
    package = next((tmp_path / "archive/pool").glob("gcc-14-source*"))
    contents = tmp_path / "contents"
    deb.copy_contents(package, contents)
    pin = replace(DEBIAN, member=None, sha256=digest(contents.read_bytes()))
    found = obtain(machine, headers=[pin])["headers"]
    with tarfile.open(found.path) as opened:
        assert f"./{PATH}" in opened.getnames()


def test_what_is_there_is_not_fetched_again(machine: Machine, server: Server) -> None:
    obtain(machine, gcc=[UPSTREAM, DEBIAN])
    server.stop()
    assert obtain(machine, gcc=[UPSTREAM, DEBIAN])["gcc"].pin == DEBIAN


def test_what_has_rotted_on_disk_is_fetched_again(machine: Machine) -> None:
    path = obtain(machine, gcc=[DEBIAN])["gcc"].path
    path.write_bytes(REPACKED[:-1])
    assert obtain(machine, gcc=[DEBIAN])["gcc"].path.read_bytes() == REPACKED


def test_lists_are_fetched_once(machine: Machine, server: Server) -> None:
    obtain(machine, gcc=[DEBIAN])
    server.seen.clear()
    obtain(machine, musl=[MUSL_PIN])
    assert server.seen == ["musl_1.2.5.orig.tar.gz"]


def test_only_the_suites_that_pins_name_are_fetched(machine: Machine, server: Server) -> None:
    Suite(server.archive.directory, "sid").write([], [NEWER])
    newer = replace(MUSL_PIN, suite="sid", file="musl_1.2.6.orig.tar.gz", sha256=digest(b"newer"))
    obtain(machine, gcc=[DEBIAN])
    assert {path.name for path in (machine.cache / "apt").glob("suite-*")} == {
        "suite-trixie-source"
    }
    found = obtain(machine, gcc=[DEBIAN], musl=[newer])
    assert found["musl"].path.read_bytes() == b"newer"


def test_another_suite_may_have_what_the_first_one_lacks(machine: Machine, server: Server) -> None:
    Suite(server.archive.directory, "sid").write([GCC], [MUSL])
    gone = replace(DEBIAN, debian="gcc-13-source", sha256=digest(b"gone"))
    found = obtain(machine, gcc=[gone, replace(DEBIAN, suite="sid")], musl=[MUSL_PIN])
    assert found["gcc"].pin.suite == "sid"
    assert found["musl"].pin == MUSL_PIN


@pytest.mark.parametrize(
    ("pin", "why"),
    [
        (replace(DEBIAN, debian="gcc-13-source"), "Unable to locate package gcc-13-source"),
        (replace(MUSL_PIN, debian="muls"), "the archive has no musl_1.2.5.orig.tar.gz of muls"),
        (replace(MUSL_PIN, file="musl_1.1.orig.tar.gz"), "the archive has no musl_1.1.orig.tar.gz"),
        (replace(DEBIAN, member="usr/src/gcc.tar"), "holds no usr/src/gcc.tar"),
        (replace(FIX_PIN, member="debian/none.patch"), "holds no debian/none.patch"),
        (replace(DEBIAN, suite="bullseye"), "bullseye"),
    ],
)
def test_what_nobody_has_is_told(machine: Machine, pin: Pin, why: str) -> None:
    with pytest.raises(NetworkError, match="cannot get gcc\n") as caught:
        obtain(machine, gcc=[UPSTREAM, pin])
    assert "upstream: 127.0.0.1:1: Connection refused" in str(caught.value)
    assert why in str(caught.value)
    assert kept(machine) == set()
    assert litter(machine) == []


def test_what_is_not_pinned_in_debian_is_told(machine: Machine, server: Server) -> None:
    with pytest.raises(NetworkError, match=r"no package is pinned for gcc 14\.2\.0"):
        obtain(machine, gcc=[UPSTREAM], musl=[MUSL_PIN])
    assert server.seen == []


def test_a_host_without_apt_says_so(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "available", lambda: False)
    with pytest.raises(NetworkError, match="this host has no apt-get"):
        obtain(machine, gcc=[UPSTREAM, DEBIAN])


def test_an_archive_that_does_not_answer_is_told(machine: Machine, server: Server) -> None:
    server.stop()
    with pytest.raises(NetworkError, match="Debian's archive: apt-get update: "):
        obtain(machine, gcc=[UPSTREAM, DEBIAN])


@pytest.mark.parametrize(
    "pin",
    [
        replace(DEBIAN, sha256=digest(b"other")),
        replace(MUSL_PIN, sha256=digest(b"other")),
        replace(FIX_PIN, sha256=digest(b"other")),
    ],
)
def test_contents_that_are_not_as_pinned_stop(machine: Machine, pin: Pin) -> None:
    with pytest.raises(IntegrityError, match="has not the pinned sha256") as caught:
        obtain(machine, gcc=[UPSTREAM, pin])
    assert caught.value.exit_code == 4
    assert kept(machine) == set()
    assert litter(machine) == []


@pytest.mark.parametrize("reply", [archive.flipped, archive.text("<html>log in here</html>")])
def test_a_package_that_was_changed_on_the_way_stops(
    machine: Machine, server: Server, reply: archive.Callable
) -> None:
    server.rules["gcc-14-source"] = reply
    with pytest.raises(IntegrityError):
        obtain(machine, gcc=[UPSTREAM, DEBIAN])
    assert kept(machine) == set()
    assert litter(machine) == []


def test_wrong_bytes_of_upstream_are_not_made_good_by_debian(
    machine: Machine, server: Server
) -> None:
    server.rules["gcc.tar.gz"] = archive.text("<html>log in here</html>")
    pin = replace(UPSTREAM, urls=(f"{server.url}/gcc.tar.gz",), size=None)
    with pytest.raises(IntegrityError):
        obtain(machine, gcc=[pin, DEBIAN])
    assert server.seen == ["gcc.tar.gz"]


def test_lists_that_are_too_old_are_fetched_again(machine: Machine, trixie: Suite) -> None:
    obtain(machine, musl=[MUSL_PIN])
    for path in (trixie.directory / "pool").glob("gcc-14*"):
        path.unlink()
    trixie.write([replace(GCC, version="14.2.0-20")], [MUSL])
    assert obtain(machine, gcc=[DEBIAN])["gcc"].path.read_bytes() == REPACKED


def test_the_pins_of_a_recipe_for_a_platform() -> None:
    found = recipe.load_recipe("gcc-14-musl")
    wanted = sources.wanted(found, parse("armv6-musl").platform, {"gcc", "musl", "linux-headers"})
    assert list(wanted) == [
        *("gcc", "linux-headers", "musl"),
        *("musl-iconv-1", "musl-iconv-2", "musl-iconv-3", "musl-qsort"),
    ]
    assert [pin.debian for pin in wanted["linux-headers"]] == [None, "linux-libc-dev-armhf-cross"]
    assert "mimalloc" in sources.wanted(found, parse("armv6-musl").platform)


def changed(patches: Sequence[Path]) -> set[str]:
    """The files that `patches` change, as patterns for tar; not those that they make."""
    text = "".join(path.read_text("utf-8") for path in patches)
    return {f"*/{name}" for name in re.findall(r"^--- a/(\S+)", text, re.MULTILINE)}


@pytest.mark.slow
@pytest.mark.parametrize("one", recipe.recipes(), ids=lambda one: one.name)
def test_the_real_sources_are_to_be_had_and_their_patches_apply(
    one: recipe.Recipe, tmp_path: Path
) -> None:
    wanted = sources.wanted(one, one.targets[0].platform)
    found = sources.obtain(wanted, tools.CACHE / "sources", HOST, Silent())
    assert found.keys() == wanted.keys()
    for component in one.components:
        obtained = found[component]
        own = one.patch_files([*obtained.pin.patches, *one.patches.get(component, ())])
        patches = [*(found[fix.name].path for fix in one.fixes(component)), *own]
        if not patches:
            continue
        tree = tmp_path / component
        tree.mkdir()
        words = ["tar", "xf", obtained.path, "-C", tree, "--strip-components=1", "--wildcards"]
        run.check("unpack", [*words, *(changed(patches) or ["*/README"])])
        for patch in patches:
            run.check("patch", ["patch", "-p1", "-i", patch], cwd=tree)


@pytest.mark.parametrize(
    "content", [b"", b"no package", b"!<arch>\n", b"!<arch>\n" + b"x" * 60, b"!<arch>\n" * 20]
)
def test_what_is_no_package_is_told(tmp_path: Path, content: bytes) -> None:
    package = tmp_path / "x.deb"
    package.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"x.deb is no Debian package"):
        deb.copy_contents(package, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"no tar", packed({"a": b"a" * 9999})[:100]])
def test_what_is_no_tar_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"x.tar is refused: "):
        tarball.copy(path, "b", tmp_path / "out")
