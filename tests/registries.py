"""OCI registries: a small one in this process, that can be told to misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
import threading
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Reply = Callable[["Handler"], bool]

USER, PASSWORD = "me", "hush"
TOKEN = "secret-token"
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def authorization(self) -> str | None:
        return self.headers.get("Authorization")

    @property
    def range(self) -> str | None:
        return self.headers.get("Range")

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class State:
    """What a registry holds, and how it behaves."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """By digest and by tag: kind and content."""
    uploads: dict[str, bytes] = field(default_factory=dict)
    auth: str = ""
    """`basic`, `bearer` with a password, or `anonymous` for tokens without one."""
    tokens: list[str] = field(default_factory=list)
    """Those that are good."""
    expires_in: Any = 300
    referrers: bool = True
    largest: int = 1 << 40
    """Bytes of a body; larger ones are refused."""
    stores: str = ""
    """Another address to which blobs are redirected."""
    rules: dict[str, Reply] = field(default_factory=dict)
    """Patterns of `METHOD path`, and what is answered; True if it was."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._any
        raise AttributeError(name)

    def say(self, code: int, body: bytes = b"", **headers: str) -> bool:
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return True

    def log_message(self, *_: object) -> None:
        pass

    def _any(self) -> None:
        state = self.server.state
        length = int(self.headers.get("Content-Length", "0"))
        if length > state.largest:
            self.close_connection = True
            self.say(413)
            return
        body = self.rfile.read(length)
        asked = Asked(self.command, self.path, dict(self.headers), body)
        with self.server.guard:
            self.server.seen.append(asked)
        for pattern, reply in state.rules.items():
            if re.search(pattern, str(asked)) and reply(self):
                return
        if self.path.startswith("/token"):
            self._token(asked)
        elif self.path.startswith("/stored/"):
            self._blob(self.path.rpartition("/")[2])
        elif self._may():
            self._registry(asked)

    def _may(self) -> bool:
        state, sent = self.server.state, self.headers.get("Authorization", "")
        basic = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        if not state.auth or (state.auth == "basic" and sent == basic):
            return True
        if state.auth != "basic" and sent.removeprefix("Bearer ") in state.tokens:
            return True
        challenge = 'Basic realm="here"'
        if state.auth != "basic":
            challenge = f'Bearer realm="{self.server.url}/token",service="a, b",scope="no:such"'
        return not self.say(401, b"{}", WWW_Authenticate=challenge)

    def _token(self, asked: Asked) -> None:
        state = self.server.state
        basic = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        known = asked.authorization == basic or b"refresh_token=identity" in asked.body
        if state.auth == "bearer" and not known:
            self.say(401, b"{}", WWW_Authenticate='Basic realm="tokens"')
            return
        token = f"{TOKEN}-{len(state.tokens)}"
        state.tokens.append(token)
        said = {"access_token" if asked.method == "POST" else "token": token}
        self.say(200, json.dumps({**said, "expires_in": state.expires_in}).encode())

    def _registry(self, asked: Asked) -> None:
        found = re.fullmatch(
            r"/v2/(?P<name>.+?)/(?P<what>manifests|blobs/uploads|blobs|referrers)/(?P<rest>[^?]*)"
            r"(\?(?P<query>.*))?",
            asked.path,
        )
        if not found:
            self.say(404)
            return
        what, rest = found["what"], found["rest"]
        if what == "manifests":
            self._manifest(asked, rest)
        elif what == "blobs/uploads":
            self._upload(asked, rest, found["name"], urllib.parse.parse_qs(found["query"] or ""))
        elif what == "blobs":
            stores = self.server.state.stores
            if stores and rest in self.server.state.blobs:
                self.say(307, Location=f"{stores}/stored/{rest}")
            else:
                self._blob(rest)
        elif self.server.state.referrers:
            self.say(200, self._referring(rest), Content_Type=INDEX)
        else:
            self.say(404)

    def _manifest(self, asked: Asked, reference: str) -> None:
        state = self.server.state
        if asked.method == "PUT":
            digest = f"sha256:{hashlib.sha256(asked.body).hexdigest()}"
            wrong = reference.startswith("sha256:") and reference != digest
            said = json.loads(asked.body)
            needed = [row["digest"] for row in said.get("layers", [])]
            needed += [said["config"]["digest"]] if "config" in said else []
            lacking = [one for one in needed if one not in state.blobs]
            below = [row["digest"] for row in said.get("manifests", [])]
            lacking += [one for one in below if one not in state.manifests]
            if wrong or lacking or self.headers["Content-Type"] != said["mediaType"]:
                self.say(400, json.dumps({"errors": [{"code": "MANIFEST_INVALID"}]}).encode())
                return
            state.manifests[digest] = state.manifests[reference] = said["mediaType"], asked.body
            subject = said.get("subject", {}).get("digest")
            more = {"OCI_Subject": subject} if subject and state.referrers else {}
            self.say(201, Docker_Content_Digest=digest, **more)
        elif reference in state.manifests:
            kind, content = state.manifests[reference]
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            self.say(200, content, Content_Type=kind, Docker_Content_Digest=digest)
        else:
            self.say(404)

    def _referring(self, digest: str) -> bytes:
        rows = []
        for kind, content in dict(self.server.state.manifests).values():
            said = json.loads(content)
            if said.get("subject", {}).get("digest") == digest:
                own = f"sha256:{hashlib.sha256(content).hexdigest()}"
                row = {"mediaType": kind, "digest": own, "size": len(content)}
                rows.append({**row, "artifactType": said["artifactType"]})
        return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": rows}).encode()

    def _upload(self, asked: Asked, at: str, name: str, query: dict[str, list[str]]) -> None:
        state = self.server.state
        if asked.method == "POST":
            at = f"{len(state.uploads)}"
        state.uploads[at] = state.uploads.get(at, b"") + asked.body
        place = f"/v2/{name}/blobs/uploads/{at}?_state=x{len(state.uploads[at])}"
        if asked.method != "PUT":
            self.say(202, Location=place)
            return
        (digest,) = query["digest"]
        content = state.uploads.pop(at)
        state.uploads[at] = b""
        if digest != f"sha256:{hashlib.sha256(content).hexdigest()}":
            self.say(400, json.dumps({"errors": [{"code": "DIGEST_INVALID"}]}).encode())
            return
        state.blobs[digest] = content
        self.say(201, Location=f"/v2/{name}/blobs/{digest}")

    def _blob(self, digest: str) -> None:
        content = self.server.state.blobs.get(digest)
        if content is None:
            self.say(404)
            return
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if "Range" in self.headers and not found:
            self.say(416)  # as some do for open ranges
        elif found:
            first, last = int(found[1]), int(found[2])
            span = f"bytes {first}-{last}/{len(content)}"
            self.say(206, content[first : last + 1], Content_Range=span)
        else:
            self.say(200, content)


class Registry(ThreadingHTTPServer):
    """A registry that one can look into."""

    daemon_threads = True

    def __init__(self, address: str = "127.0.0.1", certificate: Path | None = None) -> None:
        super().__init__((address, 0), Handler)
        self.state = State()
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.seen: list[Asked] = []
        self.guard = threading.Lock()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def host(self) -> str:
        return f"{self.server_address[0]}:{self.server_address[1]}"

    @property
    def oci(self) -> str:
        return f"oci://{self.host}/team/toolchains"

    def add(self, content: bytes) -> str:
        """Hold a blob; its URL."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.state.blobs[digest] = content
        return f"{self.oci}@{digest}"

    def asked(self, pattern: str) -> list[Asked]:
        """The requests whose `METHOD path` matches."""
        return [one for one in self.seen if re.search(pattern, str(one))]

    def handle_error(self, *_: object) -> None:
        pass  # clients break off


@contextmanager
def registry(address: str = "127.0.0.1", certificate: Path | None = None) -> Iterator[Registry]:
    with Registry(address, certificate) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
