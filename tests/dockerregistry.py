"""Debian's docker-registry: open, with passwords, or with tokens of a server that is ours."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
import time
import urllib.parse
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import certificates
import tools
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509 import load_pem_x509_certificate
from registries import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 20.0  # seconds until it listens
HASHED = "$2b$05$toolmantoolmantoolmanelrySE/kq6TYwwXcPsO8Lwa/D1nWOO7q"
"""PASSWORD, as htpasswd has it."""
SERVICE = "a, b"


@contextmanager
def serving(place: Path, auth: str = "") -> Iterator[str]:
    """A registry with an empty store below `place`; its host and port. `auth` is empty, `basic`
    or `bearer`."""
    place.mkdir()
    if auth == "bearer":
        with _tokens(place) as settings, _running(place, settings) as host:
            yield host
        return
    settings = ""
    if auth:
        (place / "htpasswd").write_text(f"{USER}:{HASHED}\n")
        settings = f"auth:\n  htpasswd:\n    realm: here\n    path: {place / 'htpasswd'}\n"
    with _running(place, settings) as host:
        yield host


@contextmanager
def _running(place: Path, settings: str) -> Iterator[str]:
    config = place / "config.yml"
    config.write_text(
        f"""\
version: 0.1
log:
  level: info
storage:
  filesystem:
    rootdirectory: {place / "store"}
http:
  addr: 127.0.0.1:0
{settings}"""
    )
    log = place / "log"
    words = [tools.find("docker-registry"), "serve", config]
    with log.open("wb") as file, subprocess.Popen(words, stdout=file, stderr=file) as process:
        try:
            yield _address(log, process)
        finally:
            process.kill()


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + PATIENCE
    while True:
        text = log.read_text()
        if found := re.search(r"listening on (127\.0\.0\.1:\d+)", text):
            return found[1]
        assert process.poll() is None and time.monotonic() < deadline, text
        time.sleep(0.02)


@contextmanager
def _tokens(place: Path) -> Iterator[str]:
    """A server of tokens; what to tell the registry of it."""
    certificate = certificates.made(place, "127.0.0.1")
    handler = type("Tokens", (_Tokens,), {"pem": certificate.read_bytes()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield (
            f"auth:\n  token:\n    realm: http://127.0.0.1:{server.server_address[1]}/token\n"
            f'    service: "{SERVICE}"\n    issuer: tests\n    rootcertbundle: {certificate}\n'
        )
        server.shutdown()
        thread.join()


class _Tokens(BaseHTTPRequestHandler):
    pem: bytes

    def do_GET(self) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        known = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        good = self.headers.get("Authorization") == known and query["service"] == [SERVICE]
        scopes = query.get("scope", [])  # without one, the password is tried
        body = json.dumps({"token": self._token(scopes)} if good else {}).encode()
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass

    def _token(self, scopes: list[str]) -> str:
        rows = [scope.split(":") for scope in scopes]
        access = [
            {"type": kind, "name": name, "actions": actions.split(",")}
            for kind, name, actions in rows
        ]
        now = int(time.time())
        times = {"nbf": now - 60, "iat": now, "exp": now + 300}
        claims = {"iss": "tests", "sub": USER, "aud": SERVICE, **times, "access": access}
        key = serialization.load_pem_private_key(self.pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        found = load_pem_x509_certificate(self.pem)
        chain = base64.b64encode(found.public_bytes(serialization.Encoding.DER)).decode()
        header = {"typ": "JWT", "alg": "ES256", "x5c": [chain]}
        said = f"{_packed(header)}.{_packed(claims)}"
        signature = key.sign(said.encode(), ec.ECDSA(hashes.SHA256()))
        both = b"".join(one.to_bytes(32, "big") for one in utils.decode_dss_signature(signature))
        return f"{said}.{_plain(both)}"


def _packed(values: Any) -> str:
    return _plain(json.dumps(values).encode())


def _plain(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
