"""`--offline`: nothing is asked of the network, and what is missing is named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import archive
import pytest
from archive import HOST, Machine
from published import Reader, Repository, User, compiled, names

from toolman import fetch, index, offline, recipe, run, web
from toolman.errors import NetworkError, ToolmanError
from toolman.origins import apt, sources
from toolman.report import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive import Server
    from published import Published

DIGEST = "ab" * 32
# Before anything else is imported: whoever looks up a name or connects is noted, and fails.
GUARD = """\
import os, socket

def refuse(*words, **_):
    with open(os.environ["GUARD"], "a") as file:
        file.write(f"{words!r}\\n")
    raise OSError("a socket is opened")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


@pytest.fixture
def guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that tells who has asked the network; of the programs that are in Python."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard/sitecustomize.py").write_text(GUARD)
    monkeypatch.setenv("GUARD", str(tmp_path / "asked"))
    return tmp_path / "asked"


@pytest.fixture
def is_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(offline.VARIABLE, "1")


@pytest.fixture
def packages() -> Iterator[Server]:
    with archive.serve(archive.common()) as server:
        yield server


@pytest.fixture
def machine(tmp_path: Path, packages: Server, guard: Path) -> Machine:
    made = Machine(tmp_path, packages.url)
    made.settings["PYTHONPATH"] = f"{guard.parent / 'guard'}:{archive.CHECKOUT}"
    return made


def test_the_guard_sees_who_asks(machine: Machine, guard: Path, corp: Repository) -> None:
    root = corp.path("metadata/1.root.json")
    done = machine.toolman("index", "add", "corp", "http://127.0.0.1:9", "--root", root)
    assert done.code == 3
    assert "127.0.0.1" in guard.read_text()


@pytest.mark.usefixtures("is_offline")
def test_a_download_names_bytes_and_place(server: Server, tmp_path: Path) -> None:
    wanted = fetch.Download(
        name="musl",
        urls=(f"{server.url.replace('://', '://me:secret@')}/musl?key=secret", server.url),
        sha256=DIGEST,
        size=10,
        path=tmp_path / DIGEST,
    )
    (error,) = fetch.fetch([wanted], lambda _: None).values()
    place = tmp_path / DIGEST
    assert str(error) == f"offline: {server.url}/musl is missing: sha256 {DIGEST}, as {place}"
    assert error.exit_code == 3
    assert server.seen == []
    assert list(tmp_path.glob(f"{DIGEST}*")) == []


@pytest.mark.usefixtures("is_offline")
def test_what_was_put_there_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "by-hand").write_bytes(b"bytes")
    digest = fetch.sha256(tmp_path / "by-hand")
    place = tmp_path / digest
    (tmp_path / "by-hand").rename(place)
    wanted = fetch.Download(name="it", urls=(server.url,), sha256=digest, size=5, path=place)
    assert fetch.fetch([wanted], lambda _: None) == {}
    assert server.seen == []


@pytest.mark.usefixtures("is_offline")
def test_a_file_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "from").write_bytes(b"bytes")
    url = (tmp_path / "from").as_uri()
    assert fetch.content(url, 10) == b"bytes"
    digest = fetch.sha256(tmp_path / "from")
    far = "http://127.0.0.1:9/it"
    place = tmp_path / "to"
    wanted = fetch.Download(name="it", urls=(far, url), sha256=digest, size=5, path=place)
    assert fetch.fetch([wanted], lambda _: None) == {}


@pytest.mark.usefixtures("is_offline")
def test_nothing_gets_past_the_client(server: Server) -> None:
    with (
        web.client() as client,
        pytest.raises(web.Failure, match="offline"),
        web.ask(client, server.url),
    ):
        pass
    with pytest.raises(NetworkError, match=r"offline: .* is not asked"):
        fetch.content(server.url, 10)
    assert server.seen == []


@pytest.mark.parametrize(("value", "on"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_the_variable(monkeypatch: pytest.MonkeyPatch, value: str, on: bool) -> None:
    monkeypatch.setenv(offline.VARIABLE, value)
    assert offline.on() == on


def test_an_index_says_what_it_said(
    reader: Reader, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(offline.VARIABLE, "1")
    seen = list(server.seen)
    old = index.time.time() + 2 * index.FRESH
    monkeypatch.setattr(index.time, "time", lambda: old)
    assert names(reader.archives().archives) == ["arm64-musl"]
    monkeypatch.setattr(index.time, "time", lambda: old + index.STALE)
    with pytest.raises(NetworkError, match=r"offline: .* is not asked; .* is too old"):
        reader.archives()
    assert server.seen == seen


def test_an_archive_is_named_and_installed_when_it_is_put_there(
    user: User,
    published: Published,
    guard: Path,
) -> None:
    user.env["PYTHONPATH"] = f"{guard.parent / 'guard'}:{archive.CHECKOUT}"
    seen = list(published.server.seen)
    blob = published.blob()
    place = user.place / "cache/sha256" / blob.name
    done = user("--offline", "install", "arm64-musl")
    assert done.code == 3
    url = f"{published.server.url}/blobs/sha256/{blob.name[:2]}/{blob.name}"
    said = f"error: offline: {url} is missing: sha256 {blob.name}, as {place}\n"
    assert said in done.err
    assert not list(user.place.rglob("toolchain.json"))
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(blob, place)
    user.good("install", "arm64-musl", "--offline")
    user.good("run", "--offline", "linux/arm64", compiled(user))
    assert published.server.seen == seen
    assert not guard.exists()


def test_packages_are_named_and_apt_is_not_started(
    machine: Machine, packages: Server, guard: Path
) -> None:
    machine.fetch_host_lists()
    seen = list(packages.seen)
    done = machine.toolman("install", "arm64-gnu", "--offline")
    assert (done.code, len(done.errors)) == (3, 1), done.err
    lines = [line for line in done.err.splitlines() if " is missing: sha256 " in line]
    assert len(lines) > 1
    assert all(f"as {machine.cache}/apt/debs/" in line for line in lines)
    assert all(packages.url in line for line in lines)
    assert packages.seen == seen
    assert machine.installed() == []
    # What is named is enough: brought there by hand, the toolchain is made of it.
    for line in lines:
        url, place = line.split()[0], Path(line.rpartition(" as ")[2])
        place.write_bytes(
            (archive.common().directory / url.removeprefix(packages.url + "/")).read_bytes()
        )
    assert machine.toolman("install", "arm64-gnu", env={offline.VARIABLE: "1"}).code == 0
    assert machine.installed() == ["arm64-gnu"]
    assert packages.seen == seen
    assert not guard.exists()


def test_without_package_lists_that_is_said(machine: Machine, packages: Server) -> None:
    done = machine.toolman("install", "arm64-gnu", "--origin", "distro", "--offline")
    assert done.code == 3
    assert "offline: the package list of the host's archive is not asked" in done.err
    assert packages.seen == []


def test_old_package_lists_are_taken_as_they_are(machine: Machine, packages: Server) -> None:
    machine.install("arm64-musl")
    machine.forget(cache=False)
    for stamp in machine.cache.glob("apt/*/fetched"):
        os.utime(stamp, (0, 0))
    seen = list(packages.seen)
    assert machine.toolman("install", "arm64-musl", "--offline").code == 0
    assert packages.seen == seen


@pytest.mark.usefixtures("is_offline")
def test_sources_are_named(tmp_path: Path) -> None:
    found = recipe.load_recipe("gcc-14-musl")
    pins = sources.wanted(found, HOST.platform, ["gmp", "musl"])
    with pytest.raises(NetworkError) as caught:
        sources.obtain(pins, tmp_path, HOST, Silent())
    said = str(caught.value)
    for name in ("gmp", "musl"):
        digest = pins[name][0].sha256
        assert f"sha256 {digest}, as {tmp_path}/sha256/{digest}" in said
        assert name in said
    assert "apt" not in said


def test_it_works_where_there_is_no_network(user: User, published: Published) -> None:
    user.good("install", "arm64-musl")
    user.good("uninstall", "arm64-musl")
    done = subprocess.run(
        [
            "unshare",
            *([] if os.geteuid() == 0 else ["-r"]),
            "-n",
            sys.executable,
            "-m",
            "toolman",
            "install",
            "arm64-musl",
            "--offline",
        ],
        env={**os.environ, **user.env, "PYTHONPATH": str(archive.CHECKOUT)},
        cwd=user.place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_env_still_stops_the_shell(machine: Machine) -> None:
    done = machine.toolman("--offline", "env", "arm64-musl")
    assert (done.code, done.out) == (2, "false;\n")


def test_without_a_list_of_source_packages_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's lists, which stand in for those that were never fetched, are of binary ones."""
    said = "E: You must put some 'deb-src' URIs in your sources.list\n"
    monkeypatch.setattr(run, "run", lambda *_, **__: run.Finished(code=100, out="", err=said))
    monkeypatch.setenv(offline.VARIABLE, "1")
    (tmp_path / "apt").mkdir()
    lists = apt.Archive(cache=tmp_path, host=HOST, sources=True)
    with pytest.raises(NetworkError, match="offline: the list of source packages"):
        lists.source("musl")
    monkeypatch.setenv(offline.VARIABLE, "0")
    with pytest.raises(ToolmanError, match="deb-src"):
        lists.source("musl")
