"""Repositories: made, signed and kept, by several at once, and killed at every step."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from conftest import CHECKOUT
from published import Reader, Repository, names, packed, signed

from toolman import cli, index, repository, run
from toolman.errors import InputError, IntegrityError
from toolman.lifetimes import Lifetimes

if TYPE_CHECKING:
    from pathlib import Path

    from archive import Server
    from conftest import Runner


def litter(corp: Repository) -> list[Path]:
    return [path for path in corp.place.rglob(".*") if path.is_file() or path.parent == corp.place]


def test_the_commands_make_a_repository(toolman: Runner, tmp_path: Path) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    words = ("repo", "--keys", "keys")
    done = toolman("publish", "init", *words, "--json", env=env, cwd=tmp_path)
    assert done.code == 0, done.err
    assert json.loads(done.out)["root"] == str(tmp_path / "repo/metadata/1.root.json")
    for name in ("arm64-musl", "riscv64-musl"):
        packed(tmp_path, name)
    files = ("arm64-musl.tar.zst", "riscv64-musl.tar.zst")
    done = toolman("publish", "add", "repo", *files, "--keys", "keys", env=env, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "2 added; the repository holds 2" in done.err
    said = json.loads(toolman("publish", "list", "repo", "--json", env=env, cwd=tmp_path).out)
    first = said["archives"][0]
    file = tmp_path / files[0]
    assert (first["toolchain"]["target"], first["size"]) == ("arm64-musl", file.stat().st_size)
    blob = tmp_path / "repo" / index.blob_path(first["sha256"])
    assert blob.read_bytes() == file.read_bytes()
    assert said["expires"].keys() == {"root", "targets", "snapshot", "timestamp"}
    text = toolman("publish", "list", "repo", env=env, cwd=tmp_path).out
    assert text.split()[:3] == ["SHA256", "TARGET", "GCC"]
    done = toolman("publish", "remove", *words, first["sha256"][:8], env=env, cwd=tmp_path)
    assert done.code == 0, done.err
    assert not blob.exists()
    for action in ("refresh", "rotate"):
        done = toolman("publish", action, *words, env=env, cwd=tmp_path)
        assert done.code == 0, done.err
    assert (tmp_path / "repo/metadata/2.root.json").exists()


def test_an_archive_is_described_by_what_is_in_it(tmp_path: Path) -> None:
    file = packed(tmp_path, "arm64-musl")
    (tmp_path / "work").mkdir()
    found = repository.describe(file, tmp_path / "work")
    # toolchain.json, the top, bin, and in it gcc, cc and a second name of gcc.
    assert found.files == 6
    files = ("toolchain.json", "bin/gcc")
    assert found.unpacked == sum(
        (tmp_path / "tree-arm64-musl" / name).stat().st_size for name in files
    )
    assert (found.about.target.name, found.about.version) == ("arm64-musl", "14.2.0")
    assert not list((tmp_path / "work").iterdir())


def test_the_index_is_the_same_in_any_order_and_survives_a_round_trip(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    found = [
        repository.describe(packed(tmp_path, name), tmp_path / "work")
        for name in ("arm64-musl", "riscv64-musl", "arm64-gnu")
    ]
    text = index.dump(found)
    assert index.dump([*reversed(found), found[0]]) == text
    assert index.dump(index.parse(text)) == text
    assert {one.about.digest for one in index.parse(text)} == {"ab" * 32}
    assert b"http" not in text


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda text: text[:-9],
        lambda text: text.replace(b'"sha256": "', b'"sha256": "../'),
        lambda text: text.replace(b'"name": "arm64', b'"name": "../arm64'),
        lambda text: text.replace(b'"files": 6', b'"files": -6'),
        lambda text: text.replace(b'"files": 6', b'"files": true'),
        lambda text: text.replace(b'"files": 6', b'"files": "6"'),
        lambda text: text.replace(b'"tools"', b'"tulls"'),
        lambda text: b"[]",
        lambda text: b"",
    ],
)
def test_what_is_no_index_is_refused(tmp_path: Path, spoilt: Any) -> None:
    (tmp_path / "work").mkdir()
    found = repository.describe(packed(tmp_path, "arm64-musl"), tmp_path / "work")
    text = index.dump([found])
    assert spoilt(text) != text
    with pytest.raises(IntegrityError, match="no index of toolman"):
        index.parse(spoilt(text))


def test_what_an_older_toolman_does_not_know_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    found = repository.describe(packed(tmp_path, "arm64-musl"), tmp_path / "work")
    text = index.dump([found, replace(found, sha256="0" * 64)])
    future = text.replace(b'"target": "arm64-musl"', b'"target": "quantum-musl"', 1)
    assert len(index.parse(future)) == 1
    with pytest.raises(InputError, match="newer kind"):
        index.parse(b'"schema": 2'.join(text.rsplit(b'"schema": 1', 1)))


def test_keys_are_for_their_owner_alone(corp: Repository) -> None:
    assert stat.S_IMODE(corp.keys.stat().st_mode) == 0o700
    files = sorted(corp.keys.glob("*.pem"))
    assert [path.name.split("-")[0] for path in files] == ["online", *["root"] * 3, "targets"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    published = [path for path in corp.directory.rglob("*") if path.is_file()]
    assert not [path for path in published if b"PRIVATE" in path.read_bytes()]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("init", "new", "--keys", "new/keys"), "is for everybody"),
        (("init", "new", "--keys", "k", "--threshold", "4"), "4 of 3 keys cannot sign"),
        (("init", "new", "--keys", "k", "--threshold", "0"), "'0' is not a number"),
        (("init", "corp/repo", "--keys", "k"), "corp/repo is not empty"),
        (("init", "new", "--keys", "corp/keys"), "corp/keys is not empty"),
        (("add", "corp/repo", "none", "--keys", "corp/keys"), "there is no file"),
        (("add", "corp/none", "none", "--keys", "corp/keys"), "is no repository"),
        (("add", "corp/repo", "none", "--keys", "none"), "there are no keys in"),
        (("add", "corp/repo", "--keys", "corp/keys"), "required: archive"),
        (("add", "corp/repo", "x"), "required: --keys"),
        (("remove", "corp/repo", "0000000000", "--keys", "corp/keys"), "no archives have a"),
        (("remove", "corp/repo", "", "--keys", "corp/keys"), "have a digest that begins"),
        (("rotate", "corp/repo", "--keys", "corp/keys", "--threshold", "9"), "9 of 3 keys"),
        (("list", "none"), "is no repository"),
        ((), "required: ACTION"),
        (("ad",), "invalid choice: 'ad'"),
    ],
)
def test_wrong_input_is_one_line_and_changes_nothing(
    toolman: Runner, corp: Repository, tmp_path: Path, words: tuple[str, ...], error: str
) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path.parent / f"{tmp_path.name}-home")}
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    done = toolman("publish", *words, env=env, cwd=tmp_path)
    assert done.code == 2, done.err
    assert done.err.startswith("error: ")
    assert error in done.err.splitlines()[0]
    after = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_no_archive_is_refused(toolman: Runner, corp: Repository, tmp_path: Path) -> None:
    file = packed(tmp_path, "riscv64-musl")
    cut = tmp_path / "cut.tar.zst"
    cut.write_bytes(file.read_bytes()[:-20])
    linked = packed(tmp_path, "armv7-musl", root="/opt/mine")
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    for bad in (cut, linked, corp.keys / "root.json"):
        done = toolman("publish", "add", corp.directory, file, bad, "--keys", corp.keys, env=env)
        assert done.code == 4, done.err
        assert done.err.splitlines()[-1].startswith("error: ")
    assert names(corp.opened().archives) == ["arm64-musl"]


def test_adding_twice_is_adding_once(corp: Repository) -> None:
    corp.add("arm64-musl")
    assert names(corp.opened().archives) == ["arm64-musl"]


def test_each_machine_needs_its_keys_only(corp: Repository, tmp_path: Path) -> None:
    keys = {path.name.split("-")[0]: path for path in corp.keys.glob("*.pem")}
    keys["targets"].rename(tmp_path / "targets.pem")
    corp.refresh()
    with pytest.raises(InputError, match="0 of the targets keys") as caught:
        corp.add("riscv64-musl")
    assert keys["targets"].name in str(caught.value.hint)
    keys["root"].rename(tmp_path / "root.pem")
    (tmp_path / "targets.pem").rename(keys["targets"])
    corp.rotate("online")  # two of three are left
    next(corp.keys.glob("root-*")).unlink()
    before = sorted(corp.keys.iterdir())
    with pytest.raises(InputError, match="1 of the root keys"):
        corp.rotate("online")
    assert sorted(corp.keys.iterdir()) == before


def test_a_refresh_lasts_and_says_what_will_expire(
    toolman: Runner, corp: Repository, tmp_path: Path
) -> None:
    corp.refresh(Lifetimes(timestamp=-1, snapshot=-1))
    words = ("publish", "refresh", corp.directory, "--keys", corp.keys)
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    done = toolman(*words, "--timestamp-days", "9", env=env)
    assert done.code == 0, done.err
    assert "warning" not in done.err
    ends = corp.opened().state.ends
    assert 8.9 < (ends["timestamp"].timestamp() - time.time()) / 86400 <= 9
    assert signed(corp.current("targets"))["version"] == 2
    corp.add("riscv64-musl", lasts=Lifetimes(targets=20))
    (key,) = corp.keys.glob("targets-*")
    key.rename(tmp_path / key.name)
    done = toolman(*words, env=env)
    assert done.code == 0, done.err
    assert "warning: targets expires on" in done.err
    (tmp_path / key.name).rename(key)
    done = toolman(*words, env=env)
    assert "warning" not in done.err
    assert signed(corp.current("targets"))["version"] == 4


def test_nothing_is_signed_that_others_have_put_there(corp: Repository, tmp_path: Path) -> None:
    """Who has the web server, and a repository of his own, must not get our signature."""
    (tmp_path / "evil").mkdir()
    evil = Repository(tmp_path / "evil")
    evil.add("riscv64-musl")
    corp.restore(evil.directory)
    with pytest.raises(IntegrityError, match="is damaged"):
        corp.add("arm64-gnu")
    version = signed(evil.path("metadata/timestamp.json"))["version"]
    assert signed(corp.path("metadata/timestamp.json"))["version"] == version


def test_the_page_is_for_people_and_runs_nothing(corp: Repository, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    file = packed(corp.place, "riscv64-musl", languages=("c", "<script>alert(1)</script>"))
    repository.add(corp.opened(), {file: repository.describe(file, work)})
    text = corp.path("index.html").read_text()
    assert "arm64-musl" in text
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "http" not in text
    for one in corp.opened().archives:
        assert f'href="{index.blob_path(one.sha256)}"' in text


def test_without_cryptography_one_reads_but_does_not_sign(
    corp: Repository, server: Server, tmp_path: Path
) -> None:
    """Verified in pure Python by a process that cannot import it."""
    code = "import sys; sys.modules['cryptography'] = None; from toolman import cli; "
    code += "sys.exit(cli.main(sys.argv[1:]))"
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TOOLMAN_HOME": str(tmp_path / "home")}

    def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", code, *map(str, words)]
        return subprocess.run(argv, env=env, capture_output=True, text=True)

    root = corp.path("metadata/1.root.json")
    done = call("index", "add", "corp", server.url, "--root", root)
    assert done.returncode == 0, done.stderr
    for words in (
        ("init", tmp_path / "new", "--keys", tmp_path / "k"),
        ("refresh", corp.directory, "--keys", corp.keys),
    ):
        done = call("publish", *words)
        assert done.returncode == 2, done.stderr
        assert "error: to sign, toolman needs the library cryptography" in done.stderr
        assert "hint: in toolman's checkout: scripts/install --publish" in done.stderr
    assert not (tmp_path / "new").exists()
    corp.path("metadata/timestamp.json").write_bytes(
        corp.path("metadata/timestamp.json")
        .read_bytes()
        .replace(b'"version": 1', b'"version": 7')
        .replace(b'"version":2', b'"version":7')
    )
    done = call("index", "refresh")
    assert done.returncode == 4, done.stderr


def test_two_publishers_at_once_lose_nothing(corp: Repository, tmp_path: Path) -> None:
    targets = ("riscv64-musl", "armv7-musl", "arm64-gnu", "amd64-musl")
    files = [packed(tmp_path, name) for name in targets]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TOOLMAN_HOME": str(tmp_path / "home")}
    words = [sys.executable, "-m", "toolman", "publish", "add", corp.directory]
    started = [subprocess.Popen([*words, file, "--keys", corp.keys], env=env) for file in files]
    assert [process.wait() for process in started] == [0] * len(files)
    assert sorted(names(corp.opened().archives)) == sorted(["arm64-musl", *targets])


MOMENTS = ("before-blob", "before-index", "before-targets", "before-snapshot", "before-timestamp")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_while_publishing_leaves_the_old_state(
    corp: Repository, server: Server, tmp_path: Path, moment: str
) -> None:
    reader = Reader(tmp_path / "old")
    reader.add(server.url, corp.root)
    marker = tmp_path / "marker"
    env = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "TOOLMAN_HOME": str(tmp_path / "home"),
        "TOOLMAN_TEST_CHECKPOINT": moment,
        "TOOLMAN_TEST_MARKER": str(marker),
    }
    file = packed(tmp_path, "riscv64-musl")
    words = [sys.executable, "-m", "toolman", "publish", "add", corp.directory, file]
    with subprocess.Popen([*words, "--keys", corp.keys], env=env) as process:
        while not marker.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert reader.refresh() == ["arm64-musl"]
    fresh = Reader(tmp_path / "fresh")
    fresh.add(server.url, corp.root)
    assert fresh.known() == ["arm64-musl"]
    corp.add("riscv64-musl")
    assert reader.refresh() == fresh.refresh() == ["arm64-musl", "riscv64-musl"]
    assert litter(corp) == []


def test_a_kill_of_init_leaves_nothing_that_hinders(tmp_path: Path) -> None:
    env = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "TOOLMAN_HOME": str(tmp_path / "home"),
        "TOOLMAN_TEST_CHECKPOINT": "before-timestamp",
        "TOOLMAN_TEST_MARKER": str(tmp_path / "marker"),
    }
    words = [sys.executable, "-m", "toolman", "publish", "init", "repo", "--keys", "keys"]
    with subprocess.Popen(words, env=env, cwd=tmp_path) as process:
        while not (tmp_path / "marker").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert not (tmp_path / "repo").exists()
    del env["TOOLMAN_TEST_CHECKPOINT"]
    subprocess.run(words, env=env, cwd=tmp_path, check=True)
    assert sorted(path.name for path in tmp_path.glob("*[rk]e*")) == ["keys", "marker", "repo"]
    assert not [path for path in tmp_path.glob(".*") if path.name.startswith((".repo", ".keys"))]


def test_a_copy_is_read_like_the_repository(
    toolman: Runner, corp: Repository, server: Server, tmp_path: Path
) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    root = corp.path("metadata/1.root.json")
    words = ("mirror", "sync", server.url, tmp_path / "copy", "--root", root, "--json")
    done = toolman(*words, env=env)
    assert done.code == 0, done.err
    assert json.loads(done.out)["fetched"] == 1
    corp.rotate("root")
    corp.rotate("online")
    corp.add("riscv64-musl")
    server.seen.clear()
    done = toolman(*words, env=env)
    assert (json.loads(done.out)["fetched"], len(json.loads(done.out)["archives"])) == (1, 2)
    first, second = corp.opened().archives
    assert first.sha256 not in server.seen
    assert second.sha256 in server.seen
    server.stop()
    reader = Reader(tmp_path / "reader")
    reader.add((tmp_path / "copy").as_uri(), corp.root)
    assert reader.known() == ["arm64-musl", "riscv64-musl"]
    copied = (tmp_path / "copy" / index.blob_path(second.sha256)).read_bytes()
    assert copied == corp.path(index.blob_path(second.sha256)).read_bytes()


def test_a_mirror_that_is_wrong_is_named_and_the_next_one_asked(
    toolman: Runner, corp: Repository, server: Server, tmp_path: Path
) -> None:
    bad = corp.saved("bad")
    (blob,) = bad.glob("blobs/sha256/*/*")
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[::-1])
    (bad / "metadata/timestamp.json").unlink()
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    words = ("mirror", "sync", bad, server.url, tmp_path / "copy", "--root")
    done = toolman(*words, corp.path("metadata/1.root.json"), env=env)
    assert done.code == 0, done.err
    assert f"warning: {bad.as_uri()}: " in done.err
    assert f"{blob.as_uri()} is not what is pinned" in done.err
    right = corp.path(str(blob.relative_to(bad))).read_bytes()
    assert (tmp_path / "copy" / blob.relative_to(bad)).read_bytes() == right


def test_a_copy_never_becomes_older(
    toolman: Runner, corp: Repository, server: Server, tmp_path: Path
) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    root = corp.path("metadata/1.root.json")
    words = ("mirror", "sync", server.url, tmp_path / "copy", "--root", root)
    before = corp.saved("before")
    corp.add("riscv64-musl")
    assert toolman(*words, env=env).code == 0
    stamp = (tmp_path / "copy/metadata/timestamp.json").read_bytes()
    corp.restore(before)
    done = toolman(*words, env=env)
    assert done.code == 4, done.err
    assert (tmp_path / "copy/metadata/timestamp.json").read_bytes() == stamp


def test_a_copy_deletes_only_when_told(
    toolman: Runner, corp: Repository, server: Server, tmp_path: Path
) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    root = corp.path("metadata/1.root.json")
    words = ("mirror", "sync", server.url, tmp_path / "copy", "--root", root)
    assert toolman(*words, env=env).code == 0
    (one,) = corp.opened().archives
    corp.add("riscv64-musl")
    repository.remove(corp.opened(), [one.sha256])
    assert toolman(*words, env=env).code == 0
    blob = tmp_path / "copy" / index.blob_path(one.sha256)
    assert blob.exists()
    assert toolman(*words, "--delete", env=env).code == 0
    assert not blob.exists()
    assert len(list((tmp_path / "copy/blobs").rglob("??/*"))) == 1


def test_the_commands_are_in_the_order_in_which_one_meets_them() -> None:
    assert [name for name in cli.COMMANDS if name in ("pack", "index", "publish", "mirror")] == [
        "pack",
        "index",
        "publish",
        "mirror",
    ]


def test_what_nothing_names_goes_after_a_month(corp: Repository, reader: Reader) -> None:
    corp.add("riscv64-musl")
    corp.refresh()
    before = {path: path.stat().st_mtime for path in corp.directory.rglob("*.json")}
    month = time.time() - 31 * 86400
    young = corp.path("metadata/1.snapshot.json")
    for path in before:
        if path != young:
            os.utime(path, (month, month))
    corp.refresh()
    left = sorted(str(path.relative_to(corp.directory)) for path in corp.directory.rglob("*.json"))
    assert left[:-1] == [
        "metadata/1.root.json",
        "metadata/1.snapshot.json",
        "metadata/3.targets.json",
        "metadata/5.snapshot.json",
        "metadata/timestamp.json",
    ]
    assert left[-1].startswith("targets/")
    assert reader.refresh() == ["arm64-musl", "riscv64-musl"]
    assert repository.read(corp.directory).targets.signed.version == 3


def test_lifetimes_are_known_without_signing(toolman: Runner) -> None:
    script = "import sys; from toolman.commands import publish; print(*sys.modules)"
    done = run.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(CHECKOUT)})
    assert done.code == 0, done.err
    assert "toolman.lifetimes" in done.out.split()
    assert not {"toolman.signing", "tuf", "cryptography"} & {*done.out.split()}
    assert "365" in toolman("publish", "init", "--help").out
