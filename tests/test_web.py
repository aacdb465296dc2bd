"""What URLs give: through proxies, over TLS, from disks; and that no password is shown."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import archive
import certificates
import pytest

from toolman import fetch, web
from toolman.errors import InputError, IntegrityError, NetworkError, ToolmanError
from toolman.fetch import Download

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive import Server

CONTENT = bytes(range(256)) * 200
SECRET = "hush"


pytestmark = pytest.mark.usefixtures("hurry")


@dataclass(frozen=True)
class Files:
    """What a server serves, in place of a whole archive."""

    directory: Path


@dataclass
class Proxy:
    """A small proxy, and the request lines that it has seen."""

    url: str
    seen: list[str] = field(default_factory=list)


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def do_CONNECT(self) -> None:
        self.proxy.seen.append(f"CONNECT {self.path}")
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=[there, self.connection])
            back.start()
            _pump(self.connection, there)
            back.join()
        self.close_connection = True

    def do_GET(self) -> None:
        self.proxy.seen.append(f"GET {self.path}")
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        pass


def _pump(source: socket.socket, to: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65536):
            to.sendall(block)
    with contextlib.suppress(OSError):
        to.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    handler = type("Forward", (_Forward,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        found = handler.proxy = Proxy(f"http://127.0.0.1:{running.server_address[1]}")
        thread = threading.Thread(target=running.serve_forever, args=[0.05])
        thread.start()
        yield found
        running.shutdown()
        thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    directory = tmp_path / "served"
    directory.mkdir()
    (directory / "good").write_bytes(CONTENT)
    with archive.serve(Files(directory)) as server:
        yield server


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and the certificate of 127.0.0.1 that it has signed itself."""
    return certificates.made(tmp_path, "127.0.0.1")


@pytest.fixture
def secure(server: Server, certificate: Path) -> str:
    """The URL of the same server, over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server.url.replace("http:", "https:")


def wanted(tmp_path: Path, *urls: str) -> Download:
    digest = hashlib.sha256(CONTENT).hexdigest()
    place = tmp_path / "cache/digest"
    return Download(name="gcc", urls=urls, sha256=digest, size=len(CONTENT), path=place)


def fetched(tmp_path: Path, url: str) -> bool:
    download = wanted(tmp_path, url)
    assert fetch.fetch([download], lambda _: None) == {}
    return download.path.read_bytes() == CONTENT


def with_user(url: str, password: str = SECRET) -> str:
    return url.replace("://", f"://me:{password}@")


# Proxies and certificates


def test_a_proxy_is_asked_for_http(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert fetched(tmp_path, "http://upstream.invalid/good")
    assert fetch.content("http://upstream.invalid/good", 1 << 20) == CONTENT
    assert proxy.seen == ["GET http://upstream.invalid/good"] * 2


def test_a_tunnel_is_made_for_https(
    proxy: Proxy,
    secure: str,
    certificate: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetched(tmp_path, f"{secure}/good")
    assert proxy.seen == [f"CONNECT {secure.partition('://')[2]}"]


def test_hosts_of_no_proxy_are_asked_themselves(
    proxy: Proxy, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert fetched(tmp_path, f"{server.url}/good")
    assert proxy.seen == []


def test_whom_nobody_vouches_for_is_not_believed(secure: str, tmp_path: Path) -> None:
    troubles = fetch.fetch([wanted(tmp_path, f"{secure}/good")], lambda _: None)
    assert "CERTIFICATE_VERIFY_FAILED" in str(troubles["gcc"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", f"http://me:{SECRET}/x@proxy"),
        ("HTTPS_PROXY", f"gopher://me:{SECRET}@proxy"),
        ("ALL_PROXY", f"socks5://me:{SECRET}@proxy:1080"),
        ("SSL_CERT_FILE", f"/{SECRET}"),
        ("SSL_CERT_FILE", os.devnull),
    ],
)
def test_settings_that_cannot_be_used_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        fetch.fetch([wanted(tmp_path, "https://upstream.invalid/good")], lambda _: None)
    assert name in str(caught.value.hint)
    assert SECRET not in str(caught.value)


# Passwords


class Asked:
    """Keeps the Authorization of each request."""

    def __init__(self, server: Server) -> None:
        self.seen: list[str | None] = []
        server.rules["good"] = self

    def __call__(self, handler: archive._Handler, content: bytes | None) -> None:
        self.seen.append(handler.headers.get("Authorization"))
        archive.whole(handler, content)


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def netrc(text: str) -> None:
    path = Path.home() / ".netrc"
    path.write_text(text)
    path.chmod(0o600)


def test_the_passwords_of_netrc_are_used_when_asked_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc("machine 127.0.0.1 login you password pass\n")
    asked = Asked(server)
    url = f"{server.url}/good"
    fetch.content(url, 1 << 20)
    monkeypatch.setenv("TOOLMAN_NETRC", "1")
    fetch.content(url, 1 << 20)
    fetch.content(with_user(url), 1 << 20)
    fetch.content(url.replace("127.0.0.1", "localhost"), 1 << 20)
    assert asked.seen == [None, basic("you", "pass"), basic("me", SECRET), None]


@pytest.mark.parametrize("text", [None, f"machine a login b {SECRET}\n", "\udcff"])
def test_a_netrc_that_cannot_be_read_is_said(
    text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLMAN_NETRC", "1")
    if text:
        path = Path.home() / ".netrc"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        path.chmod(0o600)
    with pytest.raises(InputError, match=r"~/\.netrc") as caught:
        fetch.content("http://upstream.invalid/", 1)
    assert SECRET not in str(caught.value)


def test_a_password_stays_with_its_host(server: Server) -> None:
    asked = Asked(server)

    def moved(handler: archive._Handler, _: bytes | None) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"http://localhost:{server.server_address[1]}/good")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.rules["moved"] = moved
    assert fetch.content(with_user(f"{server.url}/moved"), 1 << 20) == CONTENT
    assert fetch.content(with_user(f"{server.url}/good"), 1 << 20) == CONTENT
    assert asked.seen == [None, basic("me", SECRET)]


@pytest.mark.parametrize(
    "url",
    [
        "{server}/missing",
        "{server}/missing?token=hush",
        "{server}/flipped?token=hush#hush",
        "{server}/cut",
        "http://me:hush@127.0.0.1:1/good",
        "http://me:hush#x@127.0.0.1/good",
        "http://me:hush/x@127.0.0.1/good",
        "http://me:hush@[::1/good",
        "ftp://me:hush@127.0.0.1/good",
        "file://me:hush@127.0.0.1/good",
        "no URL at all",
    ],
)
@pytest.mark.parametrize("mirrors", [True, False])
def test_no_password_is_said_or_kept(
    server: Server, tmp_path: Path, url: str, mirrors: bool
) -> None:
    server.rules.update({"flipped": lambda handler, _: archive.flipped(handler, CONTENT)})
    server.rules.update({"cut": lambda handler, _: archive.cut(handler, CONTENT)})
    url = url.format(server=with_user(server.url))
    said: list[str] = []
    download = wanted(tmp_path, url)
    if mirrors:
        download = Download(**{**vars(download), "mirrors": True})
    try:
        troubles = fetch.fetch([download], lambda _: None, said.append)
        assert troubles
        said += [str(troubles["gcc"])]
    except IntegrityError as error:
        said += [str(error), str(error.hint)]
    try:
        fetch.content(url, 10)
    except ToolmanError as error:
        said += [str(error)]
    said += [path.read_text("latin-1") for path in (tmp_path / "cache").iterdir()]
    assert len(said) > 1
    assert not [text for text in said if SECRET in text]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a/b@1.0/c", "https://example.org/a/b@1.0/c"),
        ("https://me@example.org:8443/a?b=c", "https://example.org:8443/a"),
        ("https://me:a@b@[::1]:80/", "https://[::1]:80/"),
        ("file:///a%20b/c@d", "file:///a%20b/c@d"),
    ],
)
def test_the_rest_of_a_url_is_shown(url: str, shown: str) -> None:
    assert web.shown(url) == shown


# Small files, and files of this machine


def test_a_small_file_is_asked_for_again(server: Server) -> None:
    replies = iter([archive.fail(503), archive.reset])
    server.rules["good"] = lambda handler, content: next(replies, archive.whole)(handler, content)
    assert fetch.content(f"{server.url}/good", len(CONTENT)) == CONTENT
    server.rules["good"] = archive.fail(503)
    server.seen.clear()
    with pytest.raises(NetworkError, match="503") as caught:
        fetch.content(f"{server.url}/good", len(CONTENT))
    assert caught.value.status == 503
    assert len(server.seen) == 3


def test_a_small_file_that_drips_is_left(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_SILENCE", 0.2)

    def drip(handler: archive._Handler, _: bytes | None) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        while True:
            handler.wfile.write(b"x")
            threading.Event().wait(0.05)

    server.rules["good"] = drip
    with pytest.raises(NetworkError, match="too slow"):
        fetch.content(f"{server.url}/good", len(CONTENT))


@pytest.mark.parametrize(
    ("name", "status"),
    [("missing", 404), ("file/below", 404), ("directory", None), ("pipe", None), ("%00", None)],
)
def test_files_that_are_none(tmp_path: Path, name: str, status: int | None) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    url = f"{tmp_path.as_uri()}/{name}"
    with pytest.raises(NetworkError) as caught:
        fetch.content(url, 100)
    assert caught.value.status == status
    assert fetch.fetch([wanted(tmp_path, url)], lambda _: None)["gcc"].exit_code == 3


def test_another_machines_file_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    url = (tmp_path / "file").as_uri()
    assert fetch.content(url.replace("file://", "file://localhost"), 1) == b"x"
    with pytest.raises(NetworkError, match="another machine"):
        fetch.content(url.replace("file://", "file://nas"), 1)


@pytest.mark.parametrize("content", [CONTENT[::-1], CONTENT + b"x"])
def test_a_file_with_wrong_bytes_stops(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(IntegrityError, match="is not what is pinned for gcc"):
        fetch.fetch([wanted(tmp_path, (tmp_path / "file").as_uri())], lambda _: None)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_helps_where_no_host_answers(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    dead = [f"http://127.0.0.{number}:1/good" for number in range(1, 9)]
    download = wanted(tmp_path, *dead, (tmp_path / "file").as_uri())
    assert fetch.fetch([download], lambda _: None) == {}
