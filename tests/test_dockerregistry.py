"""Repositories in a registry that others have written, read by others, too."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dockerregistry
import pytest
import tools
from elf_files import HELLO
from registries import PASSWORD, USER

from toolman import elf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Runner

    from toolman.run import Finished

AUTHS = ("", "basic", "bearer")


class Company:
    """A repository with arm64-musl, and a registry for it."""

    def __init__(self, place: Path, directory: Path, packed: Path, host: str, auth: str) -> None:
        self.place = place
        self.directory = directory
        self.packed = packed
        self.url = f"oci://{host}/team/toolchains"
        self.image = f"docker://{host}/team/toolchains:"
        self.auth = auth

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.packed.read_bytes()).hexdigest()

    @property
    def root(self) -> Path:
        return self.directory / "metadata/1.root.json"


@pytest.fixture(scope="module")
def made(
    toolman: Runner, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A repository, and the archive in it."""
    place = tmp_path_factory.mktemp("published")
    env = {"TOOLMAN_HOME": str(home)}
    done = toolman("pack", "arm64-musl", "--level", "3", "--json", "-o", place, env=env)
    packed = Path(json.loads(done.out)["path"])
    for words in (("init", place / "repo"), ("add", place / "repo", packed)):
        done = toolman("publish", *words, "--keys", place / "keys")
        assert done.code == 0, done.err
    return place / "repo", packed


@pytest.fixture(params=AUTHS, ids=[auth or "open" for auth in AUTHS])
def company(
    made: tuple[Path, Path], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Company]:
    with dockerregistry.serving(tmp_path / "registry", request.param) as host:
        if request.param:
            words = ["login", "--tls-verify=false", "-u", USER, "--password-stdin", host]
            _skopeo(words, PASSWORD)
        yield Company(tmp_path, *made, host, request.param)


def _skopeo(words: list[str], text: str = "") -> str:
    argv = [tools.find("skopeo"), "--insecure-policy", *words]
    env = {**tools.ENVIRON, "HOME": str(Path.home()), "XDG_RUNTIME_DIR": str(Path.home() / "run")}
    env.pop("REGISTRY_AUTH_FILE", None)
    (Path.home() / "run").mkdir(exist_ok=True)
    done = subprocess.run(argv, input=text, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _inspected(company: Company, tag: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        _skopeo(["inspect", "--raw", "--tls-verify=false", f"{company.image}{tag}"])
    )
    return found


class User:
    """Somebody whose machine has nothing yet but what `podman login` left."""

    def __init__(self, toolman: Runner, place: Path) -> None:
        self.toolman = toolman
        self.place = place
        self.env = {
            "TOOLMAN_HOME": str(place / "home"),
            "TOOLMAN_CACHE": str(place / "cache"),
            "XDG_RUNTIME_DIR": str(Path.home() / "run"),
        }

    def __call__(self, *words: str | Path) -> Finished:
        return self.toolman(*words, env=self.env, cwd=self.place)

    def good(self, *words: str | Path) -> Finished:
        done = self(*words)
        assert done.code == 0, done.err
        return done


@pytest.fixture
def user(toolman: Runner, tmp_path: Path) -> User:
    (tmp_path / "user").mkdir()
    return User(toolman, tmp_path / "user")


def test_a_toolchain_goes_through_a_registry(company: Company, user: User) -> None:
    said = user.good("publish", "push", company.directory, company.url).err
    assert f"{company.url} holds 1 archive, 1 new" in said
    said = user.good("publish", "push", company.directory, company.url).err
    assert f"{company.url} holds 1 archive, 0 new" in said

    user.good("index", "add", "corp", company.url, "--root", company.root)
    done = user.good("install", "arm64-musl", "--json")
    (installed,) = json.loads(done.out)["installed"]
    assert installed["origin"] == "prebuilt"
    assert installed["digest"] == company.digest
    gcc = user.good("which", "gcc", "--target", "arm64-musl").out.strip()
    (user.place / "a.c").write_text(HELLO)
    subprocess.run([gcc, "-static", "a.c", "-o", "a"], cwd=user.place, check=True)
    assert elf.inspect(user.place / "a").linkage == "static"
    assert user.good("run", "linux/arm64", "a").out == "hello\n"
    user.good("sbom", "arm64-musl", "--provenance")

    copy = user.place / "copy"
    user.good("mirror", "sync", company.url, copy, "--root", company.root)
    copied = [path for path in copy.rglob("*") if path.is_file()]
    assert copy / "blobs/sha256" / company.digest[:2] / company.digest in copied
    for path in copied:
        assert path.read_bytes() == (company.directory / path.relative_to(copy)).read_bytes()


def test_skopeo_reads_what_was_pushed(company: Company, user: User) -> None:
    user.good("publish", "push", company.directory, company.url)
    (tag,) = [
        one
        for one in json.loads(_skopeo(["list-tags", "--tls-verify=false", company.image[:-1]]))[
            "Tags"
        ]
        if one.startswith("arm64-musl-")
    ]
    (inner,) = _inspected(company, tag)["manifests"]
    assert inner["platform"]["os"] == "linux"
    assert _inspected(company, "toolman-index")["artifactType"] == (
        "application/vnd.toolman.index.v1"
    )
    into = company.place / "copied"
    words = ["copy", "--all", "--src-tls-verify=false", f"{company.image}{tag}", f"dir:{into}"]
    _skopeo(words)
    assert (into / company.digest).read_bytes() == company.packed.read_bytes()
    # This registry does not know referrers: the specification has a tag for that.
    fallback = _inspected(company, inner["digest"].replace(":", "-"))
    assert sorted(one["artifactType"] for one in fallback["manifests"]) == [
        "application/spdx+json",
        "application/vnd.in-toto+json",
    ]


def test_without_a_password_nothing_is_given(company: Company, user: User) -> None:
    user.good("publish", "push", company.directory, company.url)
    user.env["XDG_RUNTIME_DIR"] = str(user.place)
    done = user("index", "add", "corp", company.url, "--root", company.root)
    assert done.code == (3 if company.auth else 0)
    if company.auth:
        assert "podman login 127.0.0.1" in done.err
        done = user("publish", "push", company.directory, company.url)
        assert done.code == 3
        assert "podman login 127.0.0.1" in done.err


def test_a_download_that_is_killed_goes_on(company: Company, user: User) -> None:
    """The registry gives closed ranges, whoever asks."""
    user.good("publish", "push", company.directory, company.url)
    user.good("index", "add", "corp", company.url, "--root", company.root)
    content = company.packed.read_bytes()
    digest = company.digest
    part = user.place / "cache/sha256" / f"{digest}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(content[:1000000])
    note = {"sha256": digest, "url": f"{company.url}@sha256:{digest}", "etag": None}
    part.with_name(f"{part.name}.json").write_text(json.dumps(note))
    user.good("install", "arm64-musl")
    log = (company.place / "registry/log").read_text()
    left = len(content) - 1000000
    assert f"http.response.status=206 http.response.written={left}" in log
