"""`toolman export` and `import`: a part of a repository in one file, verified as one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from archive import CHECKOUT, HOST, kill_group, wait_for
from published import Reader, Repository, User, compiled, names

from toolman import exported, index
from toolman.errors import InputError, IntegrityError, NetworkError
from toolman.lifetimes import Lifetimes
from toolman.origins import prebuilt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from archive import Server
    from conftest import Runner
    from published import Published

    from toolman.index import Archive, Index

Members = list[tuple[str, bytes]]


def export(reader: Reader, into: Path, *targets: str) -> Path:
    """What `toolman export` writes, of the archives that the reader's index lists."""
    one = index.find("corp", reader.ctx)
    chosen = [some for some in index.known(one) if some.about.target.name in targets]
    plans = [prebuilt.of_index(some, one, reader.ctx) for some in chosen]
    for plan in plans:
        place = plan.place
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(blob(reader, plan.archive))
    blobs = {plan.archive.sha256: plan.place for plan in plans}
    exported.write(into, one, exported.signed(one), blobs, lambda _: None)
    return into


def blob(reader: Reader, one: Archive) -> bytes:
    from urllib.request import urlopen

    (url, *_) = index.blob_urls(index.find("corp", reader.ctx), one)
    data: bytes = urlopen(url).read()
    return data


def learn(path: Path, reader: Reader, root: bytes | None = None) -> Index:
    """What `toolman import` learns, and puts into the cache."""
    with exported.opened(path) as file:
        if root:
            one = index.add(file.index, [], root, reader.ctx, file.get)
        else:
            one = index.find(file.index, reader.ctx)
            index.refresh(one, reader.ctx, file.get)
        for some in index.known(one):
            if file.has(some):
                file.copy(some, prebuilt.cached(some, reader.ctx.paths.cache), lambda _: None)
    return one


def members(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(one.name, tar.extractfile(one).read()) for one in tar]  # type: ignore[union-attr]


def written(path: Path, found: Iterable[tuple[str, bytes]], **about: Any) -> Path:
    """A tar as somebody else would write it."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in found:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for key, value in about.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(data))
    return path


def cached(reader: Reader) -> list[str]:
    return sorted(path.name for path in reader.ctx.paths.cache.glob("sha256/*"))


@pytest.fixture
def other(tmp_path: Path) -> Reader:
    """Somebody without a network."""
    return Reader(tmp_path / "other")


@pytest.fixture
def file(reader: Reader, tmp_path: Path) -> Path:
    return export(reader, tmp_path / "tools.tar", "arm64-musl")


def test_what_is_in_it(file: Path, reader: Reader, corp: Repository) -> None:
    (one,) = index.known(index.find("corp", reader.ctx))
    published = {str(path.relative_to(corp.directory)): path for path in corp.directory.rglob("*")}
    found = dict(members(file))
    assert json.loads(found.pop("toolman-export.json")) == {"schema": 1, "index": "corp"}
    assert set(found) == {
        "metadata/1.root.json",
        "metadata/2.targets.json",
        "metadata/2.snapshot.json",
        "metadata/timestamp.json",
        next(name for name in published if name.startswith("targets/") and name in found),
        index.blob_path(one.sha256),
    }
    assert all(data == published[name].read_bytes() for name, data in found.items())


def test_equal_contents_make_equal_bytes(file: Path, reader: Reader, tmp_path: Path) -> None:
    again = export(reader, tmp_path / "again.tar", "arm64-musl")
    assert again.read_bytes() == file.read_bytes()


def test_only_what_was_asked_for(
    corp: Repository, reader: Reader, tmp_path: Path, other: Reader
) -> None:
    corp.add("riscv64-musl")
    reader.refresh()
    path = export(reader, tmp_path / "tools.tar", "riscv64-musl")
    one = learn(path, other, corp.root)
    assert names(index.known(one)) == ["arm64-musl", "riscv64-musl"]
    (riscv64,) = (some for some in index.known(one) if some.about.name == "riscv64-musl")
    assert cached(other) == [riscv64.sha256]


def test_an_index_that_came_by_import_has_no_url(
    file: Path, corp: Repository, other: Reader
) -> None:
    one = learn(file, other, corp.root)
    assert one.urls == ()
    with pytest.raises(NetworkError, match="has no URL") as caught:
        index.refresh(one, other.ctx)
    assert "toolman import" in str(caught.value.hint)


def test_the_root_decides_and_not_the_file(file: Path, other: Reader, tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    evil = Repository(tmp_path / "evil")
    with pytest.raises(IntegrityError):
        learn(file, other, evil.root)
    assert index.indexes(other.ctx) == []
    assert cached(other) == []


def test_other_keys_than_those_of_the_known_index(
    file: Path, corp: Repository, other: Reader, tmp_path: Path
) -> None:
    learn(file, other, corp.root)
    (tmp_path / "evil").mkdir()
    evil = Repository(tmp_path / "evil")
    evil.add("riscv64-musl")
    theirs = [(name, (evil.directory / name).read_bytes()) for name in _signed(evil)]
    head = members(file)[0]
    forged = written(tmp_path / "forged.tar", [head, *theirs])
    with pytest.raises(IntegrityError):
        learn(forged, other)
    assert names(index.known(index.find("corp", other.ctx))) == ["arm64-musl"]


def _signed(found: Repository) -> list[str]:
    paths = [*found.directory.glob("metadata/*"), *found.directory.glob("targets/*")]
    return [str(path.relative_to(found.directory)) for path in paths]


def test_it_never_becomes_older(
    file: Path, reader: Reader, corp: Repository, other: Reader, tmp_path: Path
) -> None:
    corp.add("riscv64-musl")
    reader.refresh()
    new = export(reader, tmp_path / "new.tar", "riscv64-musl")
    learn(new, other, corp.root)
    before = cached(other)
    with pytest.raises(IntegrityError):
        learn(file, other)
    assert names(index.known(index.find("corp", other.ctx))) == ["arm64-musl", "riscv64-musl"]
    assert cached(other) == before


def test_the_same_once_more(file: Path, corp: Repository, other: Reader) -> None:
    learn(file, other, corp.root)
    before = cached(other)
    learn(file, other)
    assert cached(other) == before


def test_expired_is_expired(
    corp: Repository, reader: Reader, other: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = index.find("corp", reader.ctx)
    files = exported.signed(one)
    corp.refresh(Lifetimes(timestamp=-1))
    old = {path: (corp.directory / path).read_bytes() for path in _signed(corp)}
    exported.write(tmp_path / "old.tar", one, old, {}, lambda _: None)
    with pytest.raises(IntegrityError, match=r"timestamp expired at .* UTC, and here it is .* UTC"):
        learn(tmp_path / "old.tar", other, corp.root)
    assert index.indexes(other.ctx) == []
    assert exported.until(files) > exported.until(old)


@pytest.mark.parametrize(
    ("days", "error", "text"),
    [(-1, IntegrityError, "timestamp expired at"), (3, NetworkError, "is not complete")],
)
def test_what_others_would_refuse_is_not_exported(
    corp: Repository, reader: Reader, days: int, error: type[Exception], text: str
) -> None:
    one = index.find("corp", reader.ctx)
    corp.refresh(Lifetimes(timestamp=days))
    # As a reader has it who was killed before the snapshot came, or has waited too long.
    new = corp.path("metadata/timestamp.json").read_bytes()
    (one.directory / "metadata/timestamp.json").write_bytes(new)
    with pytest.raises(error, match=text):
        exported.signed(one)


def test_a_reader_with_an_older_root_follows(
    corp: Repository, server: Server, other: Reader, tmp_path: Path
) -> None:
    first = corp.root
    corp.rotate("root", count=3, threshold=2)
    late = Reader(tmp_path / "late")
    late.add(server.url, corp.path("metadata/2.root.json").read_bytes())
    one = learn(export(late, tmp_path / "tools.tar", "arm64-musl"), other, first)
    assert names(index.known(one)) == ["arm64-musl"]


def test_other_bytes_of_an_archive_are_not_kept(
    file: Path, corp: Repository, other: Reader, tmp_path: Path
) -> None:
    found = members(file)
    name, data = found[-1]
    assert name.startswith("blobs/")
    for number, wrong in enumerate((data[:-1] + b"?", data[:-1], data + b"?", b"")):
        path = written(tmp_path / f"{number}.tar", [*found[:-1], (name, wrong)])
        root = None if number else corp.root
        with pytest.raises(IntegrityError, match="is not what the index says"):
            learn(path, other, root)
        assert cached(other) == []


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_a_member_that_is_no_file_is_refused(file: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("more")
    member.type, member.linkname = kind, "/etc/passwd"
    end = bytes(2 * tarfile.BLOCKSIZE)
    file.write_bytes(file.read_bytes().removesuffix(end) + member.tobuf(tarfile.GNU_FORMAT) + end)
    with pytest.raises(IntegrityError, match="'more' does not belong there"), exported.opened(file):
        pass


def test_a_member_that_comes_twice_is_refused(file: Path, tmp_path: Path) -> None:
    found = members(file)
    path = written(tmp_path / "twice.tar", [*found, found[1]])
    with pytest.raises(IntegrityError, match="does not belong there"), exported.opened(path):
        pass


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: b"<html>" + data,
        lambda data: data[:700],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1024],
        lambda data: data[:1024] + data,
        lambda data: data[1024:],
        lambda data: data[:124] + b"77777777777" + data[135:],
        lambda data: data[:124] + b"\xff" * 12 + data[136:],
    ],
)
def test_what_is_no_export_is_refused(
    file: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "spoilt.tar"
    path.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(IntegrityError, match="is no file of toolman export"), exported.opened(path):
        pass


@pytest.mark.parametrize("head", [b"", b"[]", b"{}", b'{"schema": "x"}', b'{"schema": 1}', b"\xff"])
def test_a_wrong_head_is_refused(tmp_path: Path, head: bytes) -> None:
    path = written(tmp_path / "a.tar", [("toolman-export.json", head)])
    with pytest.raises(IntegrityError, match="is no file of toolman export"), exported.opened(path):
        pass


def test_one_of_tomorrow_says_so(tmp_path: Path) -> None:
    head = b'{"schema": 2, "index": "corp"}'
    path = written(tmp_path / "a.tar", [("toolman-export.json", head)])
    with pytest.raises(InputError, match="newer kind"), exported.opened(path):
        pass


def test_metadata_without_end_is_refused(
    file: Path, corp: Repository, other: Reader, tmp_path: Path
) -> None:
    found = dict(members(file)) | {"metadata/timestamp.json": bytes(1 << 20)}
    path = written(tmp_path / "a.tar", found.items())
    with pytest.raises(IntegrityError, match="is larger than"):
        learn(path, other, corp.root)


@pytest.fixture
def away(toolman: Runner, tmp_path: Path) -> User:
    """A machine that has no network, and has nothing yet."""
    (tmp_path / "away").mkdir()
    made = User(toolman, tmp_path / "away")
    made.env["TOOLMAN_OFFLINE"] = "1"
    return made


def test_one_exports_another_imports(user: User, away: User, published: Published) -> None:
    done = user.good("export", "tools.tar", "linux/arm64")
    assert "tools.tar: 1 archive of index corp, " in done.err
    assert "; to be imported before 20" in done.err
    file = user.place / "tools.tar"
    done = away("import", file)
    assert done.code == 2
    assert "there is no index 'corp' here" in done.err
    assert list(away.place.rglob("index.json")) == []
    done = away.good("import", file, "--root", published.root, "--json")
    said = json.loads(done.out)
    assert said["installed"][0]["origin"] == "prebuilt"
    assert [one["sha256"] for one in said["archives"]] == [published.blob().name]
    away.good("run", "linux/arm64", compiled(away))
    away.good("verify", "--store")
    assert "(by import)" in away.good("index", "list").out
    # Again, and from the cache when it was removed.
    assert "is already installed" in away.good("import", file).err
    away.good("uninstall", "arm64-musl")
    away.good("install", "arm64-musl")
    away.good("uninstall", "arm64-musl")
    away.good("cache", "clean")
    done = away("install", "arm64-musl", "--origin", "prebuilt")
    assert done.code == 3
    assert "arm64-musl is not in the cache: sha256 " in done.err


def test_import_without_installing(user: User, away: User, published: Published) -> None:
    user.good("export", "tools.tar", "arm64-musl", "--json")
    file = user.place / "tools.tar"
    done = away.good("import", file, "--no-install", "--root", published.root, "--index", "firm")
    assert "index firm: 1 archive put into the cache" in done.err
    assert list(away.place.rglob("toolchain.json")) == []
    assert away("import", file).code == 2  # it is called otherwise here
    away.good("install", "arm64-musl", "--origin", "prebuilt")
    done = away("import", file, "--index", "firm", "--root", "none")
    assert done.code == 2


def test_another_root_than_the_known_one_is_refused(
    user: User, away: User, published: Published, tmp_path: Path
) -> None:
    user.good("export", "tools.tar", "arm64-musl")
    file = user.place / "tools.tar"
    away.good("import", file, "--no-install", "--root", published.root)
    (tmp_path / "evil").mkdir()
    evil = Repository(tmp_path / "evil")
    done = away("import", file, "--root", evil.path("metadata/1.root.json"))
    assert done.code == 2
    assert "index corp is known, by another root" in done.err


def test_export_says_what_it_cannot(user: User, published: Published) -> None:
    done = user("export", "tools.tar", "riscv64-musl")
    assert (done.code, done.err.count("error: ")) == (2, 1)
    assert f"there is no riscv64-musl for {HOST.key} in index corp" in done.err
    assert "hint: what an index lacks comes there by: toolman pack, toolman publish add" in done.err
    assert user("export", "tools.tar", "arm64-musl", "--host", "plan9").code == 2
    assert user("export", "tools.tar", "arm64-musl", "--host", "haiku-pdp11").code == 2
    assert user("export", "tools.tar", "arm64-musl", "--index", "none").code == 2
    assert user("export", "nowhere/tools.tar", "arm64-musl").code == 2
    assert not (user.place / "tools.tar").exists()
    user.good("index", "remove", "corp")
    assert "no index is known" in user("export", "tools.tar", "arm64-musl").err


def test_export_without_a_network_takes_what_is_known(user: User, published: Published) -> None:
    user.good("export", "one.tar", "arm64-musl")
    published.server.stop()
    done = user.good("export", "two.tar", "arm64-musl", "--offline")
    assert "taking what it said" in done.err
    assert (user.place / "one.tar").read_bytes() == (user.place / "two.tar").read_bytes()


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("before-exported", ("export", "again.tar", "arm64-musl")),
        ("before-imported", ("import", "tools.tar")),
    ],
)
def test_a_kill_leaves_nothing_half_done(user: User, moment: str, words: tuple[str, ...]) -> None:
    user.good("export", "tools.tar", "arm64-musl")
    user.good("cache", "clean")
    marker = user.place / "marker"
    env = {"TOOLMAN_TEST_CHECKPOINT": moment, "TOOLMAN_TEST_MARKER": str(marker)}
    process = subprocess.Popen(
        [sys.executable, "-m", "toolman", *words],
        env={**os.environ, **user.env, **env, "PYTHONPATH": str(CHECKOUT)},
        cwd=user.place,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(marker.exists, moment, process)
    kill_group(process)
    process.communicate()
    assert not (user.place / "again.tar").exists()
    assert list(user.place.rglob("toolchain.json")) == []
    user.good(*words)
    if words[0] == "export":
        tars = [(user.place / name).read_bytes() for name in ("tools.tar", "again.tar")]
        assert tars[0] == tars[1]
    else:
        user.good("verify", "--store")
    assert list((user.place / "cache/sha256").glob("*.part*")) == []
