"""The attacks of the TUF specification (section 1.5.2), each by a server that readers ask.

An attacker has the server, not the keys, unless the test says which ones.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from archive import Server, serve
from published import Reader, Repository, signed
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Timestamp

from toolman import mirror, repository, signing
from toolman.errors import IntegrityError, ToolmanError
from toolman.lifetimes import Lifetimes

if TYPE_CHECKING:
    from pathlib import Path


def refused(reader: Reader) -> str:
    """Why the reader takes none of it: what he knew stays as it was."""
    before = reader.known()
    with pytest.raises(IntegrityError) as caught:
        reader.refresh()
    assert reader.known() == before
    return str(caught.value)


def online(corp: Repository) -> CryptoSigner:
    """The key of snapshot and timestamp, stolen."""
    keys = signing.load_keys(corp.keys)
    (found,) = (one for path in corp.keys.glob("online-*") for one in [path.name[7:15]])
    return next(one for keyid, one in keys.signers.items() if keyid.startswith(found))


def resign(path: Path, kind: Any, key: CryptoSigner, **changes: Any) -> bytes:
    """Sign metadata anew, with other contents."""
    metadata = Metadata[Any].from_bytes(path.read_bytes())
    for name, value in changes.items():
        setattr(metadata.signed, name, value)
    metadata.signatures.clear()
    metadata.sign(key)
    return metadata.to_bytes()


def test_without_an_attack_news_arrive(corp: Repository, reader: Reader) -> None:
    assert reader.known() == ["arm64-musl"]
    corp.add("riscv64-musl")
    assert reader.refresh() == ["arm64-musl", "riscv64-musl"]


def test_arbitrary_installation_by_another_index(corp: Repository, reader: Reader) -> None:
    corp.add("riscv64-musl")
    (path,) = (one for one in corp.path("targets").iterdir() if b"riscv64" in one.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"14.2.0", b"66.6.0"))
    assert "hash" in refused(reader)


def ignored(_: object) -> None:
    pass


def test_arbitrary_installation_by_another_archive(
    corp: Repository, server: Server, tmp_path: Path
) -> None:
    into = tmp_path / "copy"
    held, _ = mirror.read([server.url], corp.root, into, ignored)
    (blob,) = corp.directory.glob("blobs/sha256/*/*")
    data = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IntegrityError):
        mirror.download(held, [server.url], into, ignored, ignored)
    assert not [path for path in into.rglob("*") if path.is_file()]


@pytest.mark.parametrize("what", ["metadata/timestamp.json", "**/*"])
def test_rollback_to_what_was_signed_before(corp: Repository, reader: Reader, what: str) -> None:
    before = corp.saved("before")
    corp.add("riscv64-musl")
    assert reader.refresh() == ["arm64-musl", "riscv64-musl"]
    corp.restore(before, what)
    assert "version" in refused(reader)


def test_rollback_with_the_online_key(corp: Repository, reader: Reader) -> None:
    """A stolen timestamp key cannot bring back an old snapshot."""
    corp.add("riscv64-musl")
    reader.refresh()
    path = corp.path("metadata/timestamp.json")
    version = signed(path)["version"]
    data = corp.path("metadata/2.snapshot.json").read_bytes()
    about = MetaFile.from_data(2, data, ["sha256"])
    forged = resign(path, Timestamp, online(corp), version=version + 1, snapshot_meta=about)
    path.write_bytes(forged)
    assert "snapshot version" in refused(reader)


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_indefinite_freeze(tmp_path: Path, role: str) -> None:
    """What nobody signs any more is not taken, and the message has both clocks in it."""
    (tmp_path / "corp").mkdir()
    lasts = Lifetimes(**{role: -1})
    corp: Any = Repository(tmp_path / "corp", lasts=lasts)
    with serve(corp) as server:
        reader = Reader(tmp_path)
        with pytest.raises(IntegrityError, match=f"{role} expired at .* and here it is") as caught:
            reader.add(server.url, corp.root)
        assert "clock" in str(caught.value.hint)
        if role in ("snapshot", "timestamp"):
            corp.refresh()
            reader.add(server.url, corp.root)


def test_freeze_of_a_reader_who_has_read_before(corp: Repository, reader: Reader) -> None:
    corp.refresh(Lifetimes(timestamp=-1))
    assert "timestamp expired at" in refused(reader)
    corp.refresh()
    assert reader.refresh() == ["arm64-musl"]


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_mix_and_match(corp: Repository, reader: Reader, role: str) -> None:
    """Everything was signed once, but not together."""
    old = corp.current(role).read_bytes()
    corp.add("riscv64-musl")
    corp.current(role).write_bytes(old)
    assert "version" in refused(reader) or "length" in refused(reader) or "hash" in refused(reader)


def test_mix_and_match_with_an_old_index(corp: Repository, reader: Reader) -> None:
    (old,) = (one for one in corp.path("targets").iterdir() if b"arm64" in one.read_bytes())
    before = set(corp.path("targets").iterdir())
    corp.add("riscv64-musl")
    (fresh,) = set(corp.path("targets").iterdir()) - before
    shutil.copyfile(old, fresh)
    assert "length" in refused(reader)


@pytest.mark.parametrize("known", [True, False])
def test_wrong_keys(
    corp: Repository, server: Server, reader: Reader, tmp_path: Path, known: bool
) -> None:
    """Another repository in the place of this one: for old readers and for new ones."""
    (tmp_path / "evil").mkdir()
    root = corp.root
    evil = Repository(tmp_path / "evil")
    for _ in range(9):
        evil.add("riscv64-musl")
    shutil.rmtree(corp.directory)
    shutil.copytree(evil.directory, corp.directory)
    if known:
        assert "signed by 0/1 keys" in refused(reader)
        return
    fresh = Reader(tmp_path / "fresh")
    with pytest.raises(IntegrityError, match="signed by 0/1 keys"):
        fresh.add(server.url, root)
    assert not [path for path in fresh.ctx.paths.indexes.rglob("*") if path.suffix == ".json"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_keys_below_the_threshold(corp: Repository, reader: Reader, count: int) -> None:
    """Two of three root keys must sign a new root; one that was stolen is not enough."""
    path = corp.path("metadata/1.root.json")
    root = Metadata[Root].from_bytes(path.read_bytes())
    keys = signing.load_keys(corp.keys).signers
    evil = CryptoSigner.generate_ed25519()
    root.signed.version = 2
    root.signed.add_key(evil.public_key, "root")
    root.signatures.clear()
    root.sign(evil)
    for keyid in [one for one in root.signed.roles["root"].keyids if one in keys][:count]:
        root.sign(keys[keyid], append=True)
    corp.path("metadata/2.root.json").write_bytes(root.to_bytes())
    if count < 2:
        assert f"signed by {count}/2 keys" in refused(reader)
    else:
        assert reader.refresh() == ["arm64-musl"]


@pytest.mark.parametrize("what", ["timestamp", "2.root", "snapshot", "targets.json", "index.json"])
def test_endless_data(corp: Repository, server: Server, reader: Reader, what: str) -> None:
    sent = 0

    def endless(handler: Any, _: bytes | None) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * 65536)
            sent += 65536

    corp.add("riscv64-musl")
    server.rules[f"{what}[^/]*$"] = endless
    began = time.monotonic()
    before = reader.known()
    with pytest.raises(ToolmanError):
        reader.refresh()
    assert time.monotonic() - began < 20
    assert reader.known() == before
    assert sent < 64 << 20
    server.rules.clear()
    assert reader.refresh() == ["arm64-musl", "riscv64-musl"]


def fast_forward(corp: Repository) -> None:
    """With the stolen online key: versions that nobody can reach any more."""
    key = online(corp)
    path = corp.path("metadata/timestamp.json")
    snapshot = resign(corp.current("snapshot"), Snapshot, key, version=1 << 30)
    corp.path(f"metadata/{1 << 30}.snapshot.json").write_bytes(snapshot)
    about = MetaFile.from_data(1 << 30, snapshot, ["sha256"])
    path.write_bytes(resign(path, Timestamp, key, version=1 << 30, snapshot_meta=about))


def test_fast_forward_recovery(corp: Repository, reader: Reader) -> None:
    """Those who fell for it come back once the key has been replaced."""
    good = corp.saved("good")
    fast_forward(corp)
    assert reader.refresh() == ["arm64-musl"]
    corp.restore(good)
    corp.add("riscv64-musl")
    assert "version" in refused(reader)
    corp.rotate("online")
    assert reader.refresh() == ["arm64-musl", "riscv64-musl"]


@pytest.mark.parametrize("owner", ["root", "targets", "online"])
def test_key_rotation_reaches_every_reader(
    corp: Repository, server: Server, reader: Reader, tmp_path: Path, owner: str
) -> None:
    before = corp.root
    old = set(corp.keys.glob(f"{owner}-*.pem"))
    corp.rotate(owner)
    for path in old:
        path.unlink()
    corp.add("riscv64-musl")
    assert reader.refresh() == ["arm64-musl", "riscv64-musl"]
    fresh = Reader(tmp_path / "fresh")
    fresh.add(server.url, before)
    assert fresh.known() == ["arm64-musl", "riscv64-musl"]


def test_a_key_that_was_replaced_signs_no_more(corp: Repository, reader: Reader) -> None:
    key = online(corp)
    corp.rotate("online")
    reader.refresh()
    path = corp.path("metadata/timestamp.json")
    corp.refresh()
    version = signed(path)["version"]
    path.write_bytes(resign(path, Timestamp, key, version=version + 1))
    assert "signed by 0/1 keys" in refused(reader)


@pytest.mark.parametrize("owner", ["targets", "online"])
def test_a_rotation_is_valid_at_every_moment(
    corp: Repository, server: Server, tmp_path: Path, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers come between any two files that it writes."""
    seen = []

    def look(name: str) -> None:
        seen.append(name)
        found = Reader(tmp_path / f"reader{len(seen)}")
        found.add(server.url, corp.root)
        assert found.known() == ["arm64-musl"]

    monkeypatch.setattr(repository, "checkpoint", look)
    corp.rotate(owner)
    look("end")
    assert seen[-3:] == ["before-timestamp", "before-root", "end"]
