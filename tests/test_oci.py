"""Repositories in registries: pushed from a directory, read, installed, copied back."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certificates
import pytest
import registries
from conftest import CHECKOUT
from published import Reader, Repository, packed
from registries import PASSWORD, USER, Handler, Registry

from toolman import artifact, fetch, index, mirror, push, registry, repository, sbom, upload
from toolman.errors import InputError, IntegrityError, NetworkError
from toolman.lifetimes import Lifetimes
from toolman.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Runner

TITLE = "org.opencontainers.image.title"


pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture
def reg() -> Iterator[Registry]:
    with registries.registry() as found:
        yield found


def ignored(_: object) -> None:
    pass


def pushed(corp: Repository, url: str) -> int:
    """Push; how many archives were new."""
    with registry.Session() as session:
        up = Upload(registry.parse(url), session)
        content = push.read(corp.directory, url, ignored)
        lacking = push.missing(content, up)
        push.push(content, lacking, up, ignored)
    return len(lacking)


def said(reg: Registry, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reg.state.manifests[reference][1])
    return found


def writes(reg: Registry) -> list[str]:
    return [str(one) for one in reg.seen if one.method not in ("GET", "HEAD")]


def row(content: bytes) -> dict[str, Any]:
    """How manifests speak of a manifest."""
    digest = hashlib.sha256(content).hexdigest()
    return artifact.descriptor(registry.MANIFEST, digest, len(content))


# Pushing


def test_what_is_pushed_is_read_and_copied_as_from_any_server(
    corp: Repository, reg: Registry, tmp_path: Path
) -> None:
    assert pushed(corp, reg.oci) == 1
    reg.seen.clear()
    reader = Reader(tmp_path / "reader")
    made = reader.add(reg.oci, corp.root)
    # What is small stands in the manifest.
    assert [str(one) for one in reg.seen] == ["GET /v2/team/toolchains/manifests/toolman-index"]
    assert reader.known() == ["arm64-musl"]
    (one,) = corp.opened().archives
    assert index.blob_urls(made, one) == (f"{reg.oci}@sha256:{one.sha256}",)
    copy = tmp_path / "copy"
    held, files = mirror.read([reg.oci], corp.root, copy, ignored)
    mirror.download(mirror.missing(held, copy), [reg.oci], copy, ignored, ignored)
    mirror.finish(held, files, copy)
    copied = [path for path in copy.rglob("*") if path.is_file()]
    assert copy / index.blob_path(one.sha256) in copied
    for path in copied:
        assert path.read_bytes() == corp.path(str(path.relative_to(copy))).read_bytes()


def test_the_registry_holds_what_the_specification_calls_artifacts(
    corp: Repository, reg: Registry
) -> None:
    corp.add("riscv64-musl")
    assert pushed(corp, reg.oci) == 2
    one = next(one for one in corp.opened().archives if one.about.name == "arm64-musl")
    (inner,) = said(reg, "arm64-musl-14.2.0")["manifests"]
    platform = one.about.target.platform.docker and {"os": "linux", "architecture": "amd64"}
    assert inner["platform"] == platform
    assert inner["artifactType"] == "application/vnd.toolman.toolchain.v1"
    made = said(reg, inner["digest"])
    assert inner["size"] == len(reg.state.manifests[inner["digest"]][1])
    assert made["artifactType"] == inner["artifactType"]
    assert made["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert reg.state.blobs[made["config"]["digest"]] == b"{}"
    (layer,) = made["layers"]
    assert layer["mediaType"] == "application/vnd.toolman.toolchain.v1.tar+zstd"
    assert (layer["digest"], layer["size"]) == (f"sha256:{one.sha256}", one.size)
    assert layer["annotations"][TITLE].endswith(".tar.zst")
    assert made["annotations"]["org.opencontainers.image.version"] == "14.2.0"
    names = {name for name in reg.state.manifests if not name.startswith("sha256:")}
    assert names == {"toolman-index", "arm64-musl-14.2.0", "riscv64-musl-14.2.0"}
    for layer in said(reg, "toolman-index")["layers"]:
        path = corp.path(layer["annotations"][TITLE])
        assert reg.state.blobs[layer["digest"]] == path.read_bytes()


def test_hosts_of_one_version_share_a_tag(corp: Repository, reg: Registry, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    files = {}
    for host in ("debian12-aarch64", "debian12-armv7l", "any-s390x", "any-mips"):
        (tmp_path / host).mkdir()
        file = packed(tmp_path / host, "arm64-musl", host=host, version="14.2.0+x~1")
        files[file] = repository.describe(file, work)
    repository.add(corp.opened(), files)
    pushed(corp, reg.oci)
    platforms = [one["platform"] for one in said(reg, "arm64-musl-14.2.0_x_1")["manifests"]]
    expected = ["linux/mips", "linux/s390x", "linux/arm64", "linux/arm/v7"]
    assert ["/".join([one.pop("os"), *one.values()]) for one in platforms] == expected


def test_nothing_is_sent_twice(corp: Repository, reg: Registry) -> None:
    pushed(corp, reg.oci)
    before = dict(reg.state.manifests)
    reg.seen.clear()
    assert pushed(corp, reg.oci) == 0
    assert writes(reg) == []
    assert reg.state.manifests == before
    corp.add("riscv64-musl")
    (new,) = [one for one in corp.opened().archives if one.about.name == "riscv64-musl"]
    assert pushed(corp, reg.oci) == 1
    archives = [one.split("digest=sha256:")[1] for one in writes(reg) if "digest=" in one]
    assert new.sha256 in archives
    assert len(archives) == 5  # with index, targets, snapshot and timestamp


def test_the_last_tag_comes_last(corp: Repository, reg: Registry) -> None:
    pushed(corp, reg.oci)
    order = writes(reg)
    manifests = [number for number, one in enumerate(order) if "/manifests/" in one]
    inner = next(number for number in manifests if "/manifests/sha256:" in order[number])
    tag = next(number for number in manifests if "/manifests/arm64" in order[number])
    (archive,) = corp.opened().archives
    sent = next(number for number, one in enumerate(order) if archive.sha256 in one)
    assert sent < inner < tag < len(order) - 1
    assert order[-1].endswith("/manifests/toolman-index")


def test_what_is_older_does_not_replace_what_is_newer(corp: Repository, reg: Registry) -> None:
    before = corp.saved("before")
    corp.add("riscv64-musl")
    pushed(corp, reg.oci)
    reg.seen.clear()
    corp.restore(before)
    with pytest.raises(IntegrityError, match="version"):
        pushed(corp, reg.oci)
    assert writes(reg) == []


def test_another_repository_is_not_replaced(
    corp: Repository, reg: Registry, tmp_path: Path
) -> None:
    pushed(corp, reg.oci)
    reg.seen.clear()
    other = Repository(tmp_path / "other")
    with pytest.raises(InputError, match="holds another repository"):
        pushed(other, reg.oci)
    assert writes(reg) == []


def test_a_tag_of_others_is_not_replaced(corp: Repository, reg: Registry) -> None:
    reg.state.manifests[artifact.TAG] = registry.INDEX, artifact.image_index([])
    with pytest.raises(IntegrityError, match="no repository of toolman's"):
        pushed(corp, reg.oci)
    assert writes(reg) == []


def test_what_has_expired_is_not_pushed(reg: Registry, tmp_path: Path) -> None:
    corp = Repository(tmp_path / "corp", lasts=Lifetimes(timestamp=0))
    with pytest.raises(IntegrityError, match="timestamp expired"):
        pushed(corp, reg.oci)
    assert writes(reg) == []


def test_after_expiry_the_new_signatures_are_pushed(
    corp: Repository, reg: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the registry has may be of yesterday."""
    corp.refresh(Lifetimes(timestamp=1))
    pushed(corp, reg.oci)
    later = time.time() + 2 * 86400
    stamp = json.loads(corp.path("metadata/timestamp.json").read_bytes())
    assert stamp["signed"]["expires"] < time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(later))
    corp.refresh()
    assert pushed(corp, reg.oci) == 0
    reader = Reader(tmp_path / "reader")
    reader.add(reg.oci, corp.root)
    assert reader.known() == ["arm64-musl"]


def test_new_root_keys_go_along(corp: Repository, reg: Registry, tmp_path: Path) -> None:
    reader = Reader(tmp_path / "reader")
    pushed(corp, reg.oci)
    first = corp.root
    reader.add(reg.oci, first)
    corp.rotate("root")
    corp.rotate("online")
    corp.add("riscv64-musl")
    pushed(corp, reg.oci)
    assert reader.refresh() == ["arm64-musl", "riscv64-musl"]
    other = Reader(tmp_path / "other")
    other.add(reg.oci, first)
    assert other.known() == ["arm64-musl", "riscv64-musl"]


def test_a_damaged_archive_is_not_pushed(corp: Repository, reg: Registry) -> None:
    (one,) = corp.opened().archives
    blob = corp.path(index.blob_path(one.sha256))
    blob.chmod(0o644)
    content = blob.read_bytes()
    for wrong in (content[::-1], content[:-1]):
        blob.write_bytes(wrong)
        with pytest.raises(IntegrityError, match="is not what the index says"):
            pushed(corp, reg.oci)
    blob.unlink()
    with pytest.raises(IntegrityError, match="is not what the index says"):
        pushed(corp, reg.oci)
    assert writes(reg) == []


def test_what_the_registry_has_lost_is_sent_again(corp: Repository, reg: Registry) -> None:
    pushed(corp, reg.oci)
    for lost in list(reg.state.blobs):
        kept = dict(reg.state.blobs)
        del reg.state.blobs[lost]
        pushed(corp, reg.oci)
        assert reg.state.blobs == kept


@pytest.mark.parametrize(
    "moment", ["before-upload", "before-manifests", "before-tags", "before-last-tag"]
)
def test_a_push_that_is_killed_changes_nothing_and_is_gone_on_with(
    corp: Repository, reg: Registry, tmp_path: Path, moment: str
) -> None:
    pushed(corp, reg.oci)
    corp.add("riscv64-musl")
    marker = tmp_path / "marker"
    env = {
        "PYTHONPATH": str(CHECKOUT),
        "TOOLMAN_HOME": str(tmp_path / "home"),
        "TOOLMAN_TEST_CHECKPOINT": moment,
        "TOOLMAN_TEST_MARKER": str(marker),
    }
    words = [sys.executable, "-m", "toolman", "publish", "push", str(corp.directory), reg.oci]
    with subprocess.Popen(words, env=env) as process:
        while not marker.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    reader = Reader(tmp_path / "reader")
    reader.add(reg.oci, corp.root)
    assert reader.known() == ["arm64-musl"]
    pushed(corp, reg.oci)
    assert reader.refresh() == ["arm64-musl", "riscv64-musl"]


# Uploads


@pytest.fixture
def up(reg: Registry) -> Iterator[Upload]:
    with registry.Session() as session:
        yield Upload(registry.parse(reg.oci), session)


CONTENT = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def send(up: Upload) -> None:
    up.blob(DIGEST, len(CONTENT), lambda start, end: iter([CONTENT[start:end]]))


def login(reg: Registry) -> None:
    path = Path.home() / ".docker/config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"auths": {reg.host: {"username": USER, "password": PASSWORD}}}))


@pytest.mark.parametrize("auth", ["", "basic", "bearer"])
def test_a_blob_is_sent(reg: Registry, up: Upload, auth: str) -> None:
    reg.state.auth = auth
    login(reg)
    send(up)
    assert reg.state.blobs == {f"sha256:{DIGEST}": CONTENT}
    scopes = [one.path.partition("scope=")[2] for one in reg.asked("/token")]
    assert scopes == ["repository%3Ateam%2Ftoolchains%3Apull%2Cpush"] * (auth == "bearer")


def test_a_token_that_ends_during_an_upload(reg: Registry, up: Upload) -> None:
    reg.state.auth = "bearer"
    login(reg)

    def forget(handler: Handler) -> bool:
        if handler.headers["Authorization"] == "Bearer secret-token-0":
            reg.state.tokens[0] = "another one"
        return False

    reg.state.rules["PUT"] = forget
    send(up)
    assert reg.state.blobs == {f"sha256:{DIGEST}": CONTENT}


def test_what_is_too_large_goes_in_pieces(
    reg: Registry, up: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "_CHUNK", 100000)
    reg.state.largest = 120000
    send(up)
    assert reg.state.blobs == {f"sha256:{DIGEST}": CONTENT}
    pieces = reg.asked("PATCH")
    assert [one.headers["Content-Range"] for one in pieces] == [
        "0-99999",
        "100000-199999",
        "200000-255999",
    ]
    # Each goes where the answer to the one before says.
    assert [one.path.partition("_state=")[2] for one in pieces] == ["x0", "x100000", "x200000"]


def test_pieces_are_not_smaller_than_the_registry_wants(
    reg: Registry, up: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "_CHUNK", 1000)
    reg.state.largest = 130000
    place = "/v2/team/toolchains/blobs/uploads/z"
    reg.state.rules["POST"] = lambda handler: handler.say(
        202, Location=place, OCI_Chunk_Min_Length="128000"
    )
    send(up)
    assert len(reg.asked("PATCH")) == 2


@pytest.mark.parametrize("code", [429, 500, 503])
def test_who_is_busy_is_asked_again(reg: Registry, up: Upload, code: int) -> None:
    for method in ("HEAD", "POST", "PUT"):
        left = [code]
        reg.state.rules[method] = lambda handler, left=left: bool(left) and handler.say(left.pop())
    up.small(CONTENT)
    assert reg.state.blobs == {f"sha256:{DIGEST}": CONTENT}


def test_what_is_refused_is_the_registrys_fault(reg: Registry, up: Upload) -> None:
    with pytest.raises(NetworkError, match=f"{reg.host}: 400 Bad Request DIGEST_INVALID") as caught:
        up.blob("0" * 64, len(CONTENT), lambda start, end: [CONTENT[start:end]])
    assert caught.value.exit_code == 3
    reg.state.rules["POST"] = lambda handler: handler.say(200)
    with pytest.raises(NetworkError, match="answers with 200, not 202"):
        send(up)


@pytest.mark.parametrize("place", ["", "ftp://127.0.0.1/x", "http://[", "http://a:b/"])
def test_an_upload_that_leads_nowhere(reg: Registry, up: Upload, place: str) -> None:
    reg.state.rules["POST"] = lambda handler: handler.say(202, Location=place)
    with pytest.raises(NetworkError, match="sends uploads to"):
        send(up)


def test_an_upload_that_leads_elsewhere_gets_no_password(reg: Registry, up: Upload) -> None:
    reg.state.auth = "basic"
    login(reg)
    other = reg.url.replace("127.0.0.1", "localhost")

    def away(handler: Handler) -> bool:
        if "Authorization" not in handler.headers:
            return False
        return handler.say(202, Location=f"{other}/elsewhere?x=y")

    reg.state.rules["POST"] = away
    reg.state.rules["/elsewhere"] = lambda handler: handler.say(201)
    send(up)
    (asked,) = reg.asked("PUT")
    assert asked.path == f"/elsewhere?x=y&digest=sha256:{DIGEST}"
    assert asked.authorization is None


def test_an_upload_does_not_leave_tls(
    reg: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certificates.made(tmp_path, "127.0.0.2")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with registries.registry("127.0.0.2", certificate) as secure, registry.Session() as session:
        secure.state.rules["POST"] = lambda handler: handler.say(202, Location=f"{reg.url}/x")
        with pytest.raises(NetworkError, match="without TLS; its proxy should"):
            send(Upload(registry.parse(secure.oci), session))
        secure.state.rules.clear()
        send(Upload(registry.parse(secure.oci), session))
    assert reg.seen == []


def test_a_tag_is_moved_only_if_it_means_something_else(reg: Registry, up: Upload) -> None:
    one, two = artifact.image_index([]), artifact.image_index([], annotations={"a": "b"})
    for content, sent in ((one, 1), (one, 1), (two, 2), (one, 3)):
        up.tag("x", registry.INDEX, content)
        assert len(reg.asked("PUT")) == sent
        assert reg.state.manifests["x"] == (registry.INDEX, content)


# What refers to an archive


def referring(reg: Registry, subject: str) -> dict[str, bytes]:
    """What the registry gives by media type to who asks for it."""
    if reg.state.referrers:
        rows = json.loads(Handler._referring(_asking(reg), subject))["manifests"]
    else:
        rows = said(reg, subject.replace(":", "-"))["manifests"]
    found = {}
    for one in rows:
        made = said(reg, one["digest"])
        assert made["artifactType"] == one["artifactType"]
        assert made["subject"]["digest"] == subject
        (layer,) = made["layers"]
        found[one["artifactType"]] = reg.state.blobs[layer["digest"]]
    return found


def _asking(reg: Registry) -> Any:
    class Asking:
        server = reg

    return Asking()


@pytest.mark.parametrize("known", [True, False])
def test_bytes_are_attached_to_a_manifest(reg: Registry, up: Upload, known: bool) -> None:
    reg.state.referrers = known
    subject = row(artifact.manifest("a/b", []))
    up.small(artifact.EMPTY)
    for kind, data in (("x/y", b"one"), ("x/z", b"two"), ("x/y", b"one")):
        up.refer(subject, kind, data)
    assert referring(reg, subject["digest"]) == {"x/y": b"one", "x/z": b"two"}
    fallback = subject["digest"].replace(":", "-")
    assert (fallback in reg.state.manifests) != known
    if not known:
        assert len(said(reg, fallback)["manifests"]) == 2


@pytest.mark.parametrize(
    "rows", [[{"digest": "sha256:x", "artifactType": "of/others"}], [7, None], "no list", None]
)
def test_what_others_have_attached_stays(reg: Registry, up: Upload, rows: Any) -> None:
    reg.state.referrers = False
    subject = row(artifact.manifest("a/b", []))
    tag = subject["digest"].replace(":", "-")
    there = {"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": rows}
    reg.state.manifests[tag] = registry.INDEX, json.dumps(there).encode()
    reg.state.manifests["sha256:x"] = registry.MANIFEST, b"{}"
    up.small(artifact.EMPTY)
    up.refer(subject, "x/y", b"one")
    found = [one["artifactType"] for one in said(reg, tag)["manifests"]]
    assert found == [*(["of/others"] if rows and isinstance(rows[0], dict) else []), "x/y"]


def test_an_archive_comes_with_sbom_and_provenance(
    toolman: Runner, reg: Registry, home: Path, tmp_path: Path
) -> None:
    env = {"TOOLMAN_HOME": str(home)}
    done = toolman("pack", "arm64-musl", "--level", "1", "-o", tmp_path / "a", env=env)
    assert done.code == 0, done.err
    corp = Repository(tmp_path / "corp")
    work = tmp_path / "work"
    work.mkdir()
    repository.add(corp.opened(), {tmp_path / "a": repository.describe(tmp_path / "a", work)})
    pushed(corp, reg.oci)
    (inner,) = next(
        said(reg, name)["manifests"] for name in reg.state.manifests if name.startswith("arm64")
    )
    expected = {
        "application/spdx+json": sbom.of_archive(tmp_path / "a"),
        "application/vnd.in-toto+json": (tmp_path / "a.provenance.json").read_bytes(),
    }
    assert referring(reg, inner["digest"]) == expected
    # Readers find the statement by the digest in the signed index, too.
    (one,) = corp.opened().archives
    assert one.provenance
    url = registry.parse(reg.oci).blob(one.provenance.sha256)
    assert fetch.content(url, 1 << 20) == expected["application/vnd.in-toto+json"]


# The command


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("none", "oci://127.0.0.1:1/a"), "is no repository"),
        (("corp/repo", "oci://127.0.0.1:1"), "names nothing in a registry"),
        (("corp/repo", "https://example.org/a"), "names nothing in a registry"),
        (("corp/repo", "oci://127.0.0.1:1/a:tag"), "is in a repository, and none itself"),
        (("corp/repo",), "required: URL"),
        (("corp/repo", "oci://127.0.0.1:1/a", "--keys", "x"), "unrecognized arguments"),
    ],
)
def test_wrong_input_is_one_line(
    toolman: Runner, corp: Repository, tmp_path: Path, words: tuple[str, ...], error: str
) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    done = toolman("publish", "push", *words, env=env, cwd=tmp_path)
    assert done.code == 2, done.err
    assert error in done.err.splitlines()[0]
    assert done.err.startswith("error: ")


def test_nobody_answers(toolman: Runner, corp: Repository, tmp_path: Path) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    done = toolman("publish", "push", corp.directory, "oci://127.0.0.1:1/a", env=env)
    assert done.code == 3
    assert done.err == "error: 127.0.0.1:1: Connection refused\n"


def test_the_command_says_what_was_new(
    toolman: Runner, corp: Repository, reg: Registry, tmp_path: Path
) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    words = ("publish", "push", corp.directory, reg.oci)
    done = toolman(*words, env=env)
    assert (done.code, done.err.splitlines()[-1]) == (0, f"{reg.oci} holds 1 archive, 1 new")
    done = toolman(*words, "--json", env=env)
    found = json.loads(done.out)
    assert (found["pushed"], found["bytes"], len(found["archives"])) == (0, 0, 1)


def test_a_copy_is_no_registry(toolman: Runner, corp: Repository, tmp_path: Path) -> None:
    root = corp.path("metadata/1.root.json")
    words = ("mirror", "sync", corp.directory, "oci://127.0.0.1:1/a", "--root", root)
    done = toolman(*words, env={"TOOLMAN_HOME": str(tmp_path / "home")}, cwd=tmp_path)
    assert done.code == 2
    assert done.err.startswith("error: a copy is made in a directory\nhint: into a registry")
    assert not list(tmp_path.glob("oci*"))


def test_an_index_that_is_none(
    toolman: Runner, corp: Repository, reg: Registry, tmp_path: Path
) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / "home")}
    words = ("--root", corp.path("metadata/1.root.json"))
    done = toolman("index", "add", "corp", reg.oci, *words, env=env)
    assert done.code == 3
    assert f"{reg.oci} holds no repository" in done.err
    assert "hint: to make one: toolman publish push" in done.err
    done = toolman("index", "add", "corp", "oci://No/Where", *words, env=env)
    assert done.code == 2
    assert "names nothing in a registry" in done.err
    assert not list((tmp_path / "home/indexes").glob("[a-z]*"))
