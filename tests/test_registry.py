"""OCI registries as they are read: references, tokens, credentials; and some that misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certificates
import pytest
import registries
from registries import PASSWORD, TOKEN, USER, Handler, Registry

from toolman import artifact, credentials, fetch, registry
from toolman.errors import InputError, IntegrityError, NetworkError, ToolmanError
from toolman.fetch import Download

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(256)) * 2000
HALF = len(CONTENT) // 2
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ALICE = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
BASIC = f"Basic {ALICE}"
LOGIN = "`docker login 127.0.0.1"


pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture
def reg() -> Iterator[Registry]:
    with registries.registry() as found:
        found.add(CONTENT)
        yield found


def wanted(place: Path, *registries: Registry, name: str = "gcc") -> Download:
    urls = tuple(f"{one.oci}@sha256:{DIGEST}" for one in registries)
    path = place / "cache" / name
    size = len(CONTENT)
    return Download(name=name, urls=urls, sha256=DIGEST, size=size, path=path, mirrors=True)


def trouble(place: Path, *registries: Registry) -> str:
    """Fetch in vain; what is said."""
    return str(fetch.fetch([wanted(place, *registries)], lambda _: None)["gcc"])


def fetched(place: Path, *registries: Registry) -> bool:
    download = wanted(place, *registries)
    assert fetch.fetch([download], lambda _: None) == {}
    return download.path.read_bytes() == CONTENT


def login(host: str, row: dict[str, Any] | None = None, **more: Any) -> Path:
    """What `docker login` leaves behind."""
    path = Path.home() / ".docker/config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"auths": {host: row or {"auth": ALICE}}, **more}))
    return path


def helper(place: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """The program docker-credential-test."""
    path = place / "bin/docker-credential-test"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nread -r host\necho "$1 $host" >>{place}/asked\n{script}\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    return place / "asked"


def once(reply: registries.Reply) -> registries.Reply:
    left = [reply]
    return lambda handler: bool(left) and left.pop()(handler)


# References


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("oci://ghcr.io/a/b", "https://ghcr.io/v2/a/b"),
        ("oci://r.example.org:5000/a", "https://r.example.org:5000/v2/a"),
        ("oci+http://r.example.org/a-b/c__d/e.f", "http://r.example.org/v2/a-b/c__d/e.f"),
        ("oci://localhost:5000/a", "http://localhost:5000/v2/a"),
        ("oci://127.0.0.1/a", "http://127.0.0.1/v2/a"),
        ("oci://[::1]:5000/a", "http://[::1]:5000/v2/a"),
        ("oci://[fd00::1]/a", "https://[fd00::1]/v2/a"),
        ("oci://localhost.example.org/a", "https://localhost.example.org/v2/a"),
        ("oci://docker.io/a", "https://registry-1.docker.io/v2/library/a"),
        ("oci://docker.io/a/b", "https://registry-1.docker.io/v2/a/b"),
    ],
)
def test_where_a_repository_is(url: str, base: str) -> None:
    at = registry.parse(url)
    assert at.base == base
    again = registry.parse(at.blob(DIGEST))
    assert (again.base, again.sha256, again.tag) == (base, DIGEST, "")
    assert registry.parse(at.tagged("a-1.0_x")).tag == "a-1.0_x"


@pytest.mark.parametrize(
    "url",
    [
        "oci://",
        "oci://host",
        "oci://host/",
        "oci://host/A",
        "oci://host/a//b",
        "oci://host/a/../b",
        "oci://host/-a",
        "oci://host/a_",
        "oci://host/a?b=c",
        "oci://host/a#b",
        "oci://host/a b",
        "oci://host/a\n",
        "oci://host:port/a",
        "oci://ho/st:1/a:b:c",
        f"oci://host/{'a' * 256}",
        f"oci://host/a:{'t' * 129}",
        "oci://host/a@sha256:12",
        f"oci://host/a@sha512:{DIGEST}",
        "oci+https://host/a",
        f"oci://me:{PASSWORD}@host/a",
        f"oci://me:{PASSWORD}/x@host/a",
    ],
)
def test_what_names_nothing_in_a_registry(url: str) -> None:
    with pytest.raises(InputError, match="names nothing") as caught:
        registry.parse(url)
    assert PASSWORD not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            'Bearer realm="https://a/t?x=1",service="a, b"',
            {"bearer": {"realm": "https://a/t?x=1", "service": "a, b"}},
        ),
        ("bEARER Realm=x , Scope=y", {"bearer": {"realm": "x", "scope": "y"}}),
        (
            'Basic realm="a \\"b\\" \\\\", Bearer realm="c"',
            {"basic": {"realm": 'a "b" \\'}, "bearer": {"realm": "c"}},
        ),
        ("Negotiate, Basic", {"negotiate": {}, "basic": {}}),
        ('Bearer realm="never', {"bearer": {}, "never": {}}),
        ("", {}),
    ],
)
def test_what_a_challenge_says(text: str, found: dict[str, dict[str, str]]) -> None:
    assert registry.challenges(text) == found


def test_a_challenge_without_end_takes_no_time() -> None:
    began = time.monotonic()
    for text in ('Bearer a="' * 9000, 'B a="\\' * 9000, "Bearer " * 9000, 'a="' + "\\\\" * 40000):
        registry.challenges(text)
    assert time.monotonic() - began < 2


# Blobs


def test_bytes_come_by_their_digest(reg: Registry, tmp_path: Path) -> None:
    assert fetched(tmp_path, reg)
    (asked,) = reg.seen
    assert str(asked) == f"GET /v2/team/toolchains/blobs/sha256:{DIGEST}"
    assert asked.authorization is None
    assert asked.headers["User-Agent"].startswith("toolman/")


def cut(handler: Handler) -> bool:
    """Half of what was announced."""
    handler.say(200, CONTENT[:HALF], Content_Length=str(len(CONTENT)), ETag='"x"')
    handler.close_connection = True
    return True


def test_a_broken_download_goes_on_from_the_registry(reg: Registry, tmp_path: Path) -> None:
    """By a closed range, which all of them take; and not at the store, whose leave has an end."""
    reg.state.stores = reg.url.replace("127.0.0.1", "localhost")
    reg.state.rules["/stored/"] = once(cut)
    assert fetched(tmp_path, reg)
    first, then = reg.asked("/blobs/"), reg.asked("/stored/")
    assert [one.range for one in first] == [None, f"bytes={HALF}-{len(CONTENT) - 1}"]
    assert [one.range for one in then] == [None, f"bytes={HALF}-{len(CONTENT) - 1}"]
    assert "If-Range" not in first[1].headers


@pytest.mark.parametrize("code", [200, 416])
def test_a_range_that_is_not_given_means_all(reg: Registry, tmp_path: Path, code: int) -> None:
    def reply(handler: Handler) -> bool:
        if "Range" not in handler.headers:
            return False
        return handler.say(code, CONTENT if code == 200 else b"")

    reg.state.rules = {"/blobs/": once(cut), "/blobs": reply}
    assert fetched(tmp_path, reg)
    assert [bool(one.range) for one in reg.seen] == [False, True, False][: 3 if code == 416 else 2]


def test_other_bytes_stop_and_the_next_registry_is_asked(reg: Registry, tmp_path: Path) -> None:
    wrong = CONTENT[::-1]
    with registries.registry() as bad:
        bad.state.blobs[f"sha256:{DIGEST}"] = wrong
        with pytest.raises(IntegrityError, match=f"{bad.host}.* is not what is pinned") as caught:
            trouble(tmp_path, bad)
        assert caught.value.exit_code == 4
        assert not list((tmp_path / "cache").iterdir())
        said: list[str] = []
        assert fetch.fetch([wanted(tmp_path, bad, reg)], lambda _: None, said.append) == {}
        assert bad.host in said[0]


def test_who_asks_for_patience_gets_it(reg: Registry, tmp_path: Path) -> None:
    reg.state.rules["/blobs/"] = once(lambda handler: handler.say(429, Retry_After="1"))
    began = time.monotonic()
    assert fetched(tmp_path, reg)
    assert time.monotonic() - began >= 1
    assert len(reg.seen) == 2


def test_localhost_alone_is_asked_without_tls(tmp_path: Path) -> None:
    with registries.registry("127.0.0.2") as other:
        other.add(CONTENT)
        assert "SSL" in trouble(tmp_path, other)
        assert other.seen == []
        url = other.oci.replace("oci:", "oci+http:")
        assert fetch.content(f"{url}@sha256:{DIGEST}", len(CONTENT)) == CONTENT


# Tokens and passwords


def test_a_token_without_a_password(reg: Registry, tmp_path: Path) -> None:
    """For this repository, whatever the registry says, and with its service as it says it."""
    reg.state.auth = "anonymous"
    assert fetched(tmp_path, reg)
    first, token, second = reg.seen
    assert (first.authorization, token.authorization) == (None, None)
    assert token.path == "/token?service=a%2C+b&scope=repository%3Ateam%2Ftoolchains%3Apull"
    assert second.authorization == f"Bearer {TOKEN}-0"


def test_a_token_for_a_password(reg: Registry, tmp_path: Path) -> None:
    reg.state.auth = "bearer"
    login(reg.host)
    assert fetched(tmp_path, reg)
    assert [one.authorization for one in reg.seen] == [None, BASIC, f"Bearer {TOKEN}-0"]


def test_a_password(reg: Registry, tmp_path: Path) -> None:
    reg.state.auth = "basic"
    login(reg.host)
    assert fetched(tmp_path, reg)
    assert [one.authorization for one in reg.seen] == [None, BASIC]


def test_a_token_serves_all_downloads(reg: Registry, tmp_path: Path) -> None:
    reg.state.auth = "anonymous"
    downloads = [wanted(tmp_path, reg, name=f"gcc-{number}") for number in range(12)]
    assert fetch.fetch(downloads, lambda _: None) == {}
    assert len(reg.asked("/token")) == 1


def test_a_token_whose_time_is_over_is_not_sent(reg: Registry) -> None:
    reg.state.auth = "anonymous"
    reg.state.expires_in = 1
    with fetch.contents() as content:
        for _ in range(2):
            assert content(f"{reg.oci}@sha256:{DIGEST}", len(CONTENT)) == CONTENT
    assert [one.authorization for one in reg.asked("/blobs/")][2] is None
    assert len(reg.asked("/token")) == 2


def test_a_token_that_was_taken_back_is_asked_for_once_more(reg: Registry) -> None:
    reg.state.auth = "anonymous"
    with fetch.contents() as content:
        for _ in range(2):
            assert content(f"{reg.oci}@sha256:{DIGEST}", len(CONTENT)) == CONTENT
            reg.state.tokens = ["another one"]
    assert len(reg.asked("/token")) == 2


@pytest.mark.parametrize("expires_in", [None, -5, 1e99, "60", "soon", [], True])
def test_an_end_that_is_none_does_no_harm(reg: Registry, expires_in: Any, tmp_path: Path) -> None:
    reg.state.auth = "anonymous"
    reg.state.expires_in = expires_in
    if expires_in == "soon":
        assert "gives no token" in trouble(tmp_path, reg)
    else:
        assert fetched(tmp_path, reg)


def test_a_registry_that_is_never_content_is_left(reg: Registry, tmp_path: Path) -> None:
    reg.state.auth = "anonymous"
    reg.state.rules["/token"] = lambda handler: handler.say(200, b'{"token": "x"}')
    assert LOGIN in trouble(tmp_path, reg)
    assert [one.path.split("?")[0].rpartition("/")[2] for one in reg.seen] == [
        f"sha256:{DIGEST}",
        "token",
        f"sha256:{DIGEST}",
    ]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"<html>log in</html>", "gives no token"),
        (b'{"token": "a\\nX-Evil: b"}', "gives no token"),
        (b'{"token": 7}', "gives no token"),
        (b'{"token": ""}', "gives no token"),
        (b"[" * 100000, "gives no token"),
        (b'{"token": "' + b"x" * 2000000 + b'"}', "more than 1048576 bytes"),
    ],
)
def test_what_is_no_token(reg: Registry, tmp_path: Path, reply: bytes, said: str) -> None:
    reg.state.auth = "anonymous"
    reg.state.rules["/token"] = lambda handler: handler.say(200, reply)
    assert said in trouble(tmp_path, reg)


def test_a_token_server_that_goes_round_in_circles(reg: Registry, tmp_path: Path) -> None:
    reg.state.auth = "anonymous"
    reg.state.rules["/token"] = lambda handler: handler.say(302, Location=handler.path)
    assert "gives no token" in trouble(tmp_path, reg)
    assert len(reg.asked("/token")) == 1


def test_a_token_server_that_is_busy_is_asked_again(reg: Registry, tmp_path: Path) -> None:
    reg.state.auth = "anonymous"
    reg.state.rules["/token"] = once(lambda handler: handler.say(503))
    assert fetched(tmp_path, reg)


@pytest.mark.parametrize(
    "realm",
    [
        "",
        "ftp://a/b",
        "file:///etc/passwd",
        "/token",
        "https://",
        f"https://me:{PASSWORD}@a/",
        "http://[",
        "http://a:b/",
    ],
)
def test_what_is_no_token_server(reg: Registry, tmp_path: Path, realm: str) -> None:
    login(reg.host)
    challenge = f'Bearer realm="{realm}"'
    reg.state.rules["/blobs/"] = lambda handler: handler.say(401, WWW_Authenticate=challenge)
    said = trouble(tmp_path, reg)
    assert "no token server" in said
    assert PASSWORD not in said


def test_a_password_does_not_leave_tls(
    reg: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certificates.made(tmp_path, "127.0.0.2")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with registries.registry("127.0.0.2", certificate) as secure:
        secure.add(CONTENT)
        secure.state.auth = "bearer"
        login(secure.host)
        assert fetched(tmp_path, secure)
        challenge = f'Bearer realm="{reg.url}/token"'
        secure.state.rules["/blobs/"] = lambda handler: handler.say(401, WWW_Authenticate=challenge)
        (tmp_path / "cache/gcc").unlink()
        assert "no token server to be trusted" in trouble(tmp_path, secure)
        assert reg.seen == []


def test_nobody_to_whom_it_is_redirected_gets_a_password(reg: Registry, tmp_path: Path) -> None:
    reg.state.auth = "bearer"
    login(reg.host)
    reg.state.stores = reg.url.replace("127.0.0.1", "localhost")
    assert fetched(tmp_path, reg)
    assert [one.authorization for one in reg.asked("/stored/")] == [None]
    assert [one.authorization for one in reg.asked("/blobs/")] == [None, f"Bearer {TOKEN}-0"]


def test_nobody_to_whom_it_is_redirected_can_ask_for_one(reg: Registry, tmp_path: Path) -> None:
    login(reg.host)
    reg.state.stores = reg.url.replace("127.0.0.1", "localhost")
    challenge = f'Bearer realm="{reg.url}/token"'
    reg.state.rules["/stored/"] = lambda handler: handler.say(401, WWW_Authenticate=challenge)
    assert "401" in trouble(tmp_path, reg)
    assert reg.asked("/token") == []


def test_netrc_is_not_for_registries(
    reg: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path.home() / ".netrc"
    path.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    path.chmod(0o600)
    monkeypatch.setenv("TOOLMAN_NETRC", "1")
    assert fetched(tmp_path, reg)
    assert [one.authorization for one in reg.seen] == [None]


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_who_is_refused_is_told_how_to_log_in(reg: Registry, tmp_path: Path, auth: str) -> None:
    reg.state.auth = auth
    assert LOGIN in trouble(tmp_path, reg)
    wrong = base64.b64encode(b"me:wrong-hush").decode()
    login(reg.host, {"auth": wrong})
    said = trouble(tmp_path, reg)
    assert LOGIN in said
    assert "hush" not in said
    assert wrong not in said


# Credentials


def found(host: str = "r.example.org", name: str = "team/toolchains") -> tuple[str, str] | None:
    one = credentials.find(host, name)
    return (one.user, one.secret) if one else None


def row(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:pa:ss".encode()).decode()}


def written(path: Path, **rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": rows}))
    return path


def test_the_files_of_podman_come_before_dockers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found() is None
    places = [
        (Path.home() / ".docker/config.json", {}),
        (tmp_path / "docker/config.json", {"DOCKER_CONFIG": tmp_path / "docker"}),
        (Path.home() / ".config/containers/auth.json", {}),
        (tmp_path / "config/containers/auth.json", {"XDG_CONFIG_HOME": tmp_path / "config"}),
        (tmp_path / "run/containers/auth.json", {"XDG_RUNTIME_DIR": tmp_path / "run"}),
        (tmp_path / "own.json", {"REGISTRY_AUTH_FILE": tmp_path / "own.json"}),
    ]
    for number, (path, settings) in enumerate(places):
        for name, value in settings.items():
            monkeypatch.setenv(name, str(value))
        written(path, **{"r.example.org": row(f"user-{number}")})
        assert found() == (f"user-{number}", "pa:ss")
    written(places[-1][0])
    assert found() is None
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "")
    assert found() == ("user-4", "pa:ss")


@pytest.mark.parametrize(
    ("key", "user"),
    [
        ("r.example.org", "a"),
        ("https://r.example.org", "a"),
        ("https://r.example.org/v2/", "a"),
        ("https://r.example.org/v1/", "a"),
        ("r.example.org/team", "a"),
        ("r.example.org/team/toolchains", "a"),
        ("r.example.org/tea", None),
        ("r.example.org/team/toolchains/x", None),
        ("r.example.org:443", None),
        ("example.org", None),
    ],
)
def test_for_what_a_row_is(key: str, user: str | None) -> None:
    written(Path.home() / ".docker/config.json", **{key: row("a")})
    assert found() == ((user, "pa:ss") if user else None)


def test_the_nearest_row_counts() -> None:
    names = ("r.example.org", "r.example.org/team/toolchains", "r.example.org/team")
    rows = {name: row(str(number)) for number, name in enumerate(names)}
    written(Path.home() / ".docker/config.json", **rows)
    assert found() == ("1", "pa:ss")
    assert found(name="team/other") == ("2", "pa:ss")
    assert found(name="other") == ("0", "pa:ss")


def test_docker_hub_has_many_names() -> None:
    path = Path.home() / ".docker/config.json"
    for key in ("https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"):
        written(path, **{key: row("a")})
        assert found(registry.parse("oci://docker.io/a/b").host) == ("a", "pa:ss")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        f'{{"auths": {{"r.example.org": {{"auth": "{PASSWORD}!"}}}}}}',
        '{"auths": {"r.example.org": {"auth": "aHVzaA=="}}}',
        '{"auths": {"r.example.org": ["hush"]}}',
    ],
)
def test_a_damaged_file_is_named(text: str) -> None:
    path = Path.home() / ".docker/config.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(InputError, match=r"config\.json") as caught:
        found()
    assert PASSWORD not in str(caught.value)


def test_a_file_that_was_named_has_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "none"))
    with pytest.raises(InputError, match="none: No such file"):
        found()


def test_a_helper_knows_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.dumps({"ServerURL": "x", "Username": USER, "Secret": PASSWORD})
    asked = helper(tmp_path, monkeypatch, f"echo '{said}'")
    login("other.example.org", credHelpers={"r.example.org": "test"})
    assert found() == (USER, PASSWORD)
    assert found("s.example.org") is None
    login("other.example.org", credsStore="test")
    assert found(credentials.HUB) == (USER, PASSWORD)
    assert asked.read_text().splitlines() == [
        "get r.example.org",
        "get https://index.docker.io/v1/",
    ]


def test_a_helper_that_does_not_know_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(tmp_path, monkeypatch, "echo credentials not found in native keychain; exit 1")
    login("r.example.org", credsStore="test")
    assert found() == (USER, PASSWORD)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (f"echo {PASSWORD}; echo {PASSWORD} >&2; exit 1", "fails for r.example.org"),
        (f"echo {PASSWORD}", "does not answer as a helper"),
        ("echo '[]'", "does not answer as a helper"),
        ("sleep 9", "has not ended"),
        (None, "cannot run docker-credential-test"),
    ],
)
def test_a_helper_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, said: str
) -> None:
    monkeypatch.setattr(credentials, "_PATIENCE", 0.5)
    if script:
        helper(tmp_path, monkeypatch, script)
    path = login("other.example.org", credsStore="test")
    with pytest.raises(InputError, match=said) as caught:
        found()
    assert str(path) in str(caught.value.hint)
    assert PASSWORD not in str(caught.value)


def test_a_helper_is_a_program_and_no_path() -> None:
    login("other.example.org", credsStore="../../evil")
    with pytest.raises(InputError, match="cannot be one"):
        found()


def test_a_trouble_with_credentials_matters_only_where_they_are_missed(
    reg: Registry, tmp_path: Path
) -> None:
    login("other.example.org", credsStore="not-there")
    reg.state.auth = "anonymous"
    assert fetched(tmp_path, reg)
    (tmp_path / "cache/gcc").unlink()
    for auth in ("basic", "bearer"):
        reg.state.auth, reg.state.tokens = auth, []
        with pytest.raises(InputError, match="cannot run docker-credential-not-there"):
            trouble(tmp_path, reg)


@pytest.mark.parametrize("by", ["file", "helper"])
def test_a_token_for_an_identity(
    reg: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    reg.state.auth = "bearer"
    if by == "file":
        login(reg.host, {"auth": ALICE, "identitytoken": "identity"})
    else:
        said = json.dumps({"Username": "<token>", "Secret": "identity"})
        helper(tmp_path, monkeypatch, f"echo '{said}'")
        login("other.example.org", credsStore="test")
    assert fetched(tmp_path, reg)
    (asked,) = reg.asked("POST /token")
    assert b"grant_type=refresh_token" in asked.body
    assert asked.authorization is None
    assert len(reg.seen) == 3


# Manifests


def manifest(reg: Registry) -> bytes:
    return fetch.content(reg.oci + ":x", registry.MOST)


def test_a_manifest_comes_by_its_tag(reg: Registry) -> None:
    content = artifact.image_index([])
    reg.state.manifests["x"] = registry.INDEX, content
    assert manifest(reg) == content
    assert registry.MANIFEST in reg.seen[0].headers["Accept"]


@pytest.mark.parametrize(
    ("kind", "content", "error"),
    [
        ("text/html", b"<html>log in</html>", "'text/html' in place of a manifest"),
        ("", b"{}", "'' in place of a manifest"),
        (registry.INDEX, artifact.manifest("a/b", []), "not of the kind"),
        (registry.MANIFEST, b"{", "is no manifest"),
        (registry.MANIFEST, b"[]", "is no manifest"),
        (registry.MANIFEST, b"[" * 100000, "is no manifest"),
        (registry.MANIFEST, b"x" * (registry.MOST + 1), "larger than 4194304"),
    ],
)
def test_what_is_no_manifest(reg: Registry, kind: str, content: bytes, error: str) -> None:
    reg.state.manifests["x"] = kind, content
    with pytest.raises((IntegrityError, NetworkError), match=error):
        manifest(reg)


def test_a_manifest_without_end_is_cut_off(reg: Registry) -> None:
    sent = 0
    stopped = threading.Event()

    def endless(handler: Handler) -> bool:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("Content-Type", registry.MANIFEST)
        handler.end_headers()
        handler.close_connection = True
        try:
            while True:
                handler.wfile.write(b" " * 65536)
                sent += 65536
        except OSError:
            stopped.set()
        return True

    reg.state.rules["manifests"] = endless
    with pytest.raises(IntegrityError, match="larger than"):
        manifest(reg)
    assert stopped.wait(5)
    assert sent < 32 << 20


def test_a_tag_that_is_not_there(reg: Registry) -> None:
    with pytest.raises(NetworkError) as caught:
        manifest(reg)
    assert caught.value.status == 404


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda said: said.update(artifactType="application/x"),
        lambda said: said.pop("layers"),
        lambda said: said["layers"][0].pop("annotations"),
        lambda said: said["layers"][0].update(digest="sha256:../../x"),
        lambda said: said["layers"][0].update(digest=7),
        lambda said: said["layers"][0].update(size="7"),
        lambda said: said["layers"][0].update(data="!"),
        lambda said: said["layers"][0].update(data=7),
        lambda said: said.update(layers=[7]),
    ],
)
def test_what_is_no_repository(reg: Registry, spoilt: Any) -> None:
    said = json.loads(artifact.signed({"metadata/timestamp.json": b"{}"}))
    spoilt(said)
    reg.state.manifests[artifact.TAG] = registry.MANIFEST, json.dumps(said).encode()
    with pytest.raises(IntegrityError, match="no repository of toolman's"):
        artifact.Repository(reg.oci, fetch.content)


def test_signed_files_are_what_is_listed(reg: Registry) -> None:
    small, large = b"small", b"x" * 20000
    content = artifact.signed({"metadata/a": small, "metadata/b": large})
    reg.state.manifests[artifact.TAG] = registry.MANIFEST, content
    url = reg.add(large)
    held = artifact.Repository(reg.oci, fetch.content)
    assert held.paths == ["metadata/a", "metadata/b"]
    assert held.get("metadata/c", 100) is None
    assert held.get("metadata/a", 5) == small
    assert reg.asked("/blobs/") == []
    assert held.get("metadata/b", 20000) == large
    for path in held.paths:
        with pytest.raises(IntegrityError, match="larger than 4 bytes"):
            held.get(path, 4)
    reg.state.blobs[url.rpartition("@")[2]] = large[:-1] + b"y"
    with pytest.raises(IntegrityError, match="metadata/b is not what is listed"):
        held.get("metadata/b", 20000)
    said = json.loads(content)
    said["layers"][0]["data"] = base64.b64encode(b"smell").decode()
    reg.state.manifests[artifact.TAG] = registry.MANIFEST, json.dumps(said).encode()
    with pytest.raises(IntegrityError, match="metadata/a is not what is listed"):
        artifact.Repository(reg.oci, fetch.content).get("metadata/a", 5)


# Secrets


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("code", [400, 401, 403, 404, 418, 429, 500, 503])
def test_no_secret_is_said(reg: Registry, tmp_path: Path, auth: str, code: int) -> None:
    login(reg.host)
    reg.state.auth = auth

    def refuse(handler: Handler) -> bool:
        sent = handler.headers.get("Authorization")
        return bool(sent) and handler.say(code, str(sent).encode(), WWW_Authenticate=str(sent))

    reg.state.rules["(blobs|manifests)/"] = refuse
    said = [trouble(tmp_path, reg)]
    try:
        manifest(reg)
    except ToolmanError as error:
        said += [str(error), str(error.hint), repr(error.__cause__)]
    said += [path.read_text("latin-1") for path in (tmp_path / "cache").iterdir()]
    assert len(said) == 4
    for text in said:
        assert not [one for one in (PASSWORD, ALICE, TOKEN) if one in text], text


def test_a_credential_does_not_show_its_secret() -> None:
    assert PASSWORD not in repr(credentials.Credential(user="me", secret=PASSWORD))
