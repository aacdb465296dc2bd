"""Indexes: added, asked, remembered; what happens without a network, and with damage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from archive import Server, fail, flipped, serve, stalled
from conftest import CHECKOUT
from published import LASTS, Reader, Repository, names

from toolman import index, repository, signing
from toolman.errors import InputError, IntegrityError, NetworkError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runner

HOUR, DAY = 3600, 86400


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Move the clock by which an index is old."""

    def move(seconds: float) -> None:
        clock = SimpleNamespace(time=lambda: time.time() + seconds)
        monkeypatch.setattr(index, "time", clock)

    return move


def left(reader: Reader) -> list[str]:
    """What is below the directory of indexes, but for locks."""
    found = reader.ctx.paths.indexes.rglob("*")
    return [path.name for path in found if path.is_file() and path.suffix != ".lock"]


def test_the_commands_add_list_refresh_and_remove(
    toolman: Runner, corp: Repository, server: Server, tmp_path: Path
) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    root = corp.path("metadata/1.root.json")
    done = toolman("index", "list", env=env)
    assert (done.code, done.out) == (0, "")
    assert "toolman index add" in done.err
    done = toolman("index", "add", "corp", f"{server.url}/", "--root", root, env=env)
    assert (done.code, done.out) == (0, ""), done.err
    assert done.err == "index corp: 1 archive: arm64-musl\n"
    corp.add("riscv64-musl")
    done = toolman("index", "refresh", env=env)
    assert done.err == "index corp: 2 archives: arm64-musl, riscv64-musl\n"
    server.stop()
    (row,) = json.loads(toolman("index", "list", "--json", env=env).out)["indexes"]
    assert (row["name"], row["urls"]) == ("corp", [server.url])
    assert [one["toolchain"]["target"] for one in row["archives"]] == ["arm64-musl", "riscv64-musl"]
    assert 0 <= row["age"] < 60
    text = toolman("index", "list", env=env).out.splitlines()
    assert text[1].split()[:2] == ["corp", "2"]
    assert toolman("index", "-q", "remove", "corp", env=env).err == ""
    assert json.loads(toolman("index", "list", "--json", env=env).out)["indexes"] == []
    done = toolman("index", "remove", "corp", "-q", env=env)
    assert done.code == 2
    assert "there is no index 'corp'" in done.err


def test_passwords_in_urls_are_not_shown(
    toolman: Runner, corp: Repository, server: Server, tmp_path: Path
) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    url = server.url.replace("://", "://me:secret@")
    root = corp.path("metadata/1.root.json")
    said = [toolman("index", "add", "corp", url, "--root", root, env=env)]
    said += [toolman("index", "list", env=env), toolman("index", "list", "--json", env=env)]
    server.rules["timestamp"] = flipped
    said += [toolman("index", "refresh", env=env)]
    server.stop()
    said += [toolman("index", "refresh", env=env)]
    said += [toolman("mirror", "sync", url, tmp_path / "copy", "--root", root, env=env)]
    assert [one.code for one in said] == [0, 0, 0, 4, 3, 3]
    assert not [one for one in said if "secret" in one.out + one.err]
    kept = tmp_path / "home" / "indexes/corp/index.json"
    assert "secret" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_a_directory_is_a_repository_too(toolman: Runner, corp: Repository, tmp_path: Path) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    root = corp.path("metadata/1.root.json")
    done = toolman("index", "add", "stick", "corp/repo", "--root", root, env=env, cwd=tmp_path)
    assert done.code == 0, done.err
    done = toolman("index", "refresh", "stick", "--json", env=env)
    assert json.loads(done.out)["indexes"][0]["urls"] == [corp.directory.as_uri()]


@pytest.mark.parametrize(
    ("name", "url", "error"),
    [
        ("../corp", "http://127.0.0.1:1", "cannot name an index"),
        (".corp", "http://127.0.0.1:1", "cannot name an index"),
        ("", "http://127.0.0.1:1", "cannot name an index"),
        ("corp", "ftp://127.0.0.1", "is no URL"),
        ("corp", "/nowhere", "is no URL"),
        ("corp", "http://127.0.0.1 /x", "is no URL"),
    ],
)
def test_wrong_input_leaves_nothing(
    corp: Repository, tmp_path: Path, name: str, url: str, error: str
) -> None:
    reader = Reader(tmp_path / "reader")
    with pytest.raises(InputError, match=error):
        index.add(name, [url], corp.root, reader.ctx)
    assert left(reader) == []


@pytest.mark.parametrize("root", [b"", b"{}", b"<html>", b"[1]", b"targets", b"cut", b"unsigned"])
def test_what_is_no_root_leaves_nothing(
    corp: Repository, server: Server, tmp_path: Path, root: bytes
) -> None:
    unsigned = json.loads(corp.root)
    unsigned["signatures"] = unsigned["signatures"][:1]
    crafted = {
        b"targets": corp.path("metadata/1.targets.json").read_bytes(),
        b"cut": corp.root[:-9],
        b"unsigned": json.dumps(unsigned).encode(),
    }
    reader = Reader(tmp_path / "reader")
    with pytest.raises(InputError, match="no root of a repository"):
        reader.add(server.url, crafted.get(root, root))
    assert left(reader) == []
    assert server.seen == []


def test_what_does_not_answer_leaves_nothing(corp: Repository, tmp_path: Path) -> None:
    reader = Reader(tmp_path / "reader")
    with pytest.raises(NetworkError, match=r"index corp, http://127\.0\.0\.1:9"):
        reader.add("http://127.0.0.1:9", corp.root)
    assert left(reader) == []


@pytest.mark.parametrize("what", ["timestamp", "snapshot", "targets.json", "index.json"])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [(fail(404), NetworkError), (fail(500), NetworkError), (flipped, IntegrityError)],
)
def test_a_file_that_is_missing_or_damaged_leaves_nothing(
    corp: Repository, server: Server, tmp_path: Path, what: str, reply: Any, kind: type[Exception]
) -> None:
    server.rules[f"{what}[^/]*$"] = reply
    reader = Reader(tmp_path / "reader")
    with pytest.raises(kind):
        reader.add(server.url, corp.root)
    assert left(reader) == []
    server.rules.clear()
    reader.add(server.url, corp.root)
    assert reader.known() == ["arm64-musl"]


def test_a_name_is_given_once(reader: Reader, corp: Repository, server: Server) -> None:
    with pytest.raises(InputError, match="there is an index 'corp' already"):
        reader.add(server.url, corp.root)
    assert reader.known() == ["arm64-musl"]


def test_an_index_is_asked_once_an_hour(
    corp: Repository, server: Server, reader: Reader, later: Any
) -> None:
    corp.add("riscv64-musl")
    server.seen.clear()
    later(HOUR - 60)
    held = reader.archives()
    assert (names(held.archives), held.stale) == (["arm64-musl"], False)
    assert HOUR - 70 < held.age < HOUR
    assert server.seen == []
    later(HOUR + 60)
    held = reader.archives()
    assert (names(held.archives), held.age, held.stale) == (
        ["arm64-musl", "riscv64-musl"],
        0,
        False,
    )
    assert "timestamp.json" in server.seen


def test_a_clock_that_was_set_back_does_not_freeze_it(
    corp: Repository, reader: Reader, later: Any
) -> None:
    corp.add("riscv64-musl")
    later(-2 * DAY)
    assert names(reader.archives().archives) == ["arm64-musl", "riscv64-musl"]


def test_nothing_new_is_two_requests(server: Server, reader: Reader) -> None:
    server.seen.clear()
    reader.refresh()
    assert [name for name in server.seen if not name.endswith("index.json")] == [
        "2.root.json",
        "timestamp.json",
    ]


def test_without_a_network_what_was_verified_last_is_taken(
    server: Server, reader: Reader, later: Any
) -> None:
    server.stop()
    later(29 * DAY)
    held = reader.archives()
    assert (names(held.archives), held.stale) == (["arm64-musl"], True)
    assert reader.said.lines == [
        "warning: index corp is out of reach; taking what it said 29 days ago"
    ]


def test_what_is_too_old_is_taken_only_when_told(
    server: Server, reader: Reader, later: Any, tmp_path: Path
) -> None:
    server.stop()
    later(31 * DAY)
    with pytest.raises(NetworkError, match="31 days ago is too old") as caught:
        reader.archives()
    assert "TOOLMAN_STALE_INDEX=1" in str(caught.value.hint)
    told = Reader(tmp_path / "reader", {"TOOLMAN_STALE_INDEX": "1"})
    assert names(told.archives().archives) == ["arm64-musl"]


def test_an_attack_is_never_answered_with_what_was_known(
    corp: Repository, server: Server, reader: Reader, later: Any
) -> None:
    server.rules["timestamp.json$"] = flipped
    later(2 * HOUR)
    with pytest.raises(IntegrityError):
        reader.archives()


@pytest.mark.parametrize("damage", ["flip", "cut", "other", "none"])
def test_damaged_local_files_are_not_trusted(
    server: Server, reader: Reader, tmp_path: Path, damage: str
) -> None:
    path = reader.ctx.paths.indexes / "corp/known.json"
    text = path.read_text()
    spoilt = {
        "flip": text.replace("14.2.0", "14.2.1"),
        "cut": text[: len(text) // 2],
        "other": "{}",
        "none": text,
    }[damage]
    path.write_text(spoilt)
    server.stop()
    if damage == "none":
        assert names(reader.archives().archives) == ["arm64-musl"]
        return
    assert reader.known() == []
    with pytest.raises(NetworkError):
        reader.archives()


def test_what_is_damaged_can_be_removed(reader: Reader, corp: Repository, server: Server) -> None:
    (reader.ctx.paths.indexes / "corp/index.json").write_text("{")
    assert index.indexes(reader.ctx) == []
    index.remove("corp", reader.ctx)
    reader.add(server.url, corp.root)
    for wrong in ("none", ".staging", "../indexes", ""):
        with pytest.raises(InputError, match="there is no index") as caught:
            index.remove(wrong, reader.ctx)
        assert caught.value.hint == "known: corp"
    assert reader.known() == ["arm64-musl"]


def test_damaged_metadata_is_fetched_anew(corp: Repository, reader: Reader) -> None:
    for path in (reader.ctx.paths.indexes / "corp/metadata").rglob("*.json"):
        if not path.is_symlink():
            path.write_bytes(path.read_bytes()[:-30])
    assert reader.refresh() == ["arm64-musl"]


def test_the_root_that_was_given_counts_not_the_one_beside_it(
    corp: Repository, reader: Reader, tmp_path: Path
) -> None:
    """What python-tuf remembers of another repository does not make that one trusted."""
    (tmp_path / "evil").mkdir()
    evil = Repository(tmp_path / "evil")
    evil.add("riscv64-musl")
    found: Any = evil
    with serve(found) as server:
        other = Reader(tmp_path / "other")
        other.add(server.url, evil.root)
    metadata = reader.ctx.paths.indexes / "corp/metadata"
    shutil.rmtree(metadata)
    shutil.copytree(other.ctx.paths.indexes / "corp/metadata", metadata, symlinks=True)
    corp.restore(evil.directory)
    with pytest.raises(IntegrityError, match="signed by 0/1 keys"):
        reader.refresh()
    assert reader.known() == ["arm64-musl"]


def test_an_index_that_has_not_changed_is_not_fetched_again(
    corp: Repository, server: Server, reader: Reader
) -> None:
    def fetched() -> list[str]:
        before = len(server.seen)
        assert reader.refresh() == names(corp.opened().archives)
        return [one for one in map(str, server.seen[before:]) if "index.json" in one]

    assert fetched() == []
    corp.add("riscv64-musl")
    assert len(fetched()) == 1
    assert fetched() == []
    known = reader.ctx.paths.indexes / "corp/known.json"
    for damaged in ("", "{}", '{"index": 1}', known.read_text().replace("riscv64", "riscv65")):
        known.write_text(damaged)
        assert len(fetched()) == 1, damaged


def test_a_mirror_takes_over_and_is_named(corp: Repository, server: Server, tmp_path: Path) -> None:
    copy: Any = SimpleNamespace(directory=shutil.copytree(corp.directory, tmp_path / "copy"))
    with serve(copy) as mirror:
        reader = Reader(tmp_path / "reader")
        made = reader.add(server.url, corp.root, mirror.url)
        (one,) = index.known(made)
        path = f"blobs/sha256/{one.sha256[:2]}/{one.sha256}"
        assert index.blob_urls(made, one) == (f"{server.url}/{path}", f"{mirror.url}/{path}")
        assert reader.said.lines == []
        server.rules["timestamp.json$"] = flipped
        assert reader.refresh() == ["arm64-musl"]
        assert reader.said.lines[0].startswith(f"warning: index corp, {server.url}: ")
        mirror.stop()
        with pytest.raises(IntegrityError):
            reader.refresh()  # what tells of an attack counts more
        server.stop()
        with pytest.raises(NetworkError):
            reader.refresh()


def test_the_index_of_a_newer_toolman_says_so(corp: Repository, reader: Reader) -> None:
    opened = corp.opened()
    newer = b'{"schema": 2, "shelves": []}'
    files = signing.updated(opened.state, opened.keys, LASTS, newer)
    repository.publish(corp.directory, files, [])
    with pytest.raises(InputError, match="newer kind"):
        reader.refresh()
    assert reader.known() == ["arm64-musl"]
    with pytest.raises(InputError, match="newer kind"):
        corp.opened()


def test_many_ask_at_once(corp: Repository, server: Server, reader: Reader, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TOOLMAN_HOME": str(tmp_path / "reader/home")}
    words = [sys.executable, "-m", "toolman", "index", "refresh", "--json"]
    corp.add("riscv64-musl")
    started = [subprocess.Popen(words, env=env, stdout=subprocess.PIPE) for _ in range(6)]
    said = [json.loads(process.communicate()[0]) for process in started]
    assert [process.returncode for process in started] == [0] * 6
    assert all(len(one["indexes"][0]["archives"]) == 2 for one in said)


@pytest.mark.parametrize("what", ["snapshot", "targets.json", "index.json"])
def test_a_kill_while_asking_leaves_it_as_it_was(
    corp: Repository, server: Server, reader: Reader, tmp_path: Path, what: str
) -> None:
    corp.add("riscv64-musl")
    server.rules[f"{what}[^/]*$"] = stalled
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TOOLMAN_HOME": str(tmp_path / "reader/home")}
    server.seen.clear()
    words = [sys.executable, "-m", "toolman", "index"]
    with subprocess.Popen([*words, "refresh"], env=env) as process:
        while not any(what in name for name in server.seen):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert reader.known() == ["arm64-musl"]
    server.rules.clear()
    assert reader.refresh() == ["arm64-musl", "riscv64-musl"]


def test_a_kill_while_adding_leaves_nothing(
    corp: Repository, server: Server, tmp_path: Path
) -> None:
    server.rules["index.json$"] = stalled
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TOOLMAN_HOME": str(tmp_path / "reader/home")}
    root = corp.path("metadata/1.root.json")
    words = [sys.executable, "-m", "toolman", "index", "add", "corp", server.url, "--root", root]
    with subprocess.Popen(words, env=env) as process:
        while not any("index.json" in name for name in server.seen):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    reader = Reader(tmp_path / "reader")
    assert index.indexes(reader.ctx) == []
    server.rules.clear()
    reader.add(server.url, corp.root)
    assert reader.known() == ["arm64-musl"]
    assert not list((reader.ctx.paths.indexes / ".staging").glob("*"))


def test_what_does_not_ask_does_not_import_tuf(reader: Reader, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TOOLMAN_HOME": str(tmp_path / "reader/home")}
    code = "import sys; from toolman import cli; cli.main(['index', 'list', '--json']); "
    code += "sys.exit('tuf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "arm64-musl" in done.stdout
