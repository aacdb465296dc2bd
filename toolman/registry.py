"""OCI registries, as far as toolman reads and writes them; and who gives files by any URL.

    oci://registry.example.org/team/toolchains                  a repository
    oci://registry.example.org/team/toolchains@sha256:<64>      bytes by their digest
    oci://registry.example.org/team/toolchains:arm64-musl-14    a manifest by its tag

Registries are asked over TLS; localhost without, and others where the URL begins with `oci+http`.
They are asked anonymously first. Who then wants to know more gets the user's `credentials`, or
a token of the server that it names; those are kept for as long as they are good, each for its
registry and repository alone. A token server gets a password over TLS only, unless the registry
itself is asked without. Whom a registry redirects to gets nothing.
"""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from toolman import credentials, web
from toolman.errors import InputError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import httpx

    from toolman.credentials import Credential
    from toolman.web import Answer, Reply, Span

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MOST = 4 << 20  # bytes of a manifest; what registries take at least

_T = TypeVar("_T")
_Action = Literal["pull", "pull,push"]
_Headers = dict[str, str]
_Key = tuple[str, str]

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_REFERENCE = re.compile(
    rf"oci(\+http)?://({_HOST})/({_PART}(?:/{_PART})*)(?::({_TAG}))?(?:@sha256:([0-9a-f]{{64}}))?"
)
_LONGEST = 255  # characters of a repository's name
_LOCAL = ("localhost", "127.0.0.1", "[::1]")

# A scheme, or a parameter with its quoted or plain value.
_WORD = re.compile(
    r'([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))|([A-Za-z][\w-]*)(?=\s|,|$)'
)
_TOKEN = re.compile(r"[!-~]{1,65536}")
_LASTS = 60  # seconds that a token is good if its server does not say
_LONGEST_LASTS = 3600
_SHORTER = 5  # seconds before its end in which a token is not used
_REFUSED = (401, 403)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A repository in a registry, or one thing in it."""

    host: str
    name: str
    tag: str = ""
    sha256: str = ""
    plain: bool = False
    """Whether it is asked without TLS."""

    @property
    def base(self) -> str:
        """What the URLs of its manifests and blobs begin with."""
        return f"http{'' if self.plain else 's'}://{self.host}/v2/{self.name}"

    def blob(self, sha256: str) -> str:
        """The URL of bytes in it."""
        return f"{self._url}@sha256:{sha256}"

    def tagged(self, tag: str) -> str:
        """The URL of a manifest in it."""
        return f"{self._url}:{tag}"

    @property
    def _url(self) -> str:
        said = self.plain and not _is_local(self.host)
        return f"oci{'+http' if said else ''}://{self.host}/{self.name}"


def is_oci(url: str) -> bool:
    return url.partition("://")[0].lower() in ("oci", "oci+http")


def parse(url: str) -> Reference:
    """What an `oci://` URL means.

    Raises:
        InputError: it is none.
    """
    found = _REFERENCE.fullmatch(url)
    if not found or len(found[3]) > _LONGEST:
        hint = "oci://registry.example.org/team/toolchains, in small letters"
        if "@" in url.partition("://")[2].partition("/")[0]:
            hint = "passwords are taken from `docker login` or `podman login`"
        raise InputError(f"{web.shown(url)!r} names nothing in a registry", hint=hint)
    plain, host, name, tag, sha256 = found.groups(default="")
    host = host.lower()
    if host in credentials.HUB_NAMES:
        host, name = credentials.HUB, name if "/" in name else f"library/{name}"
    without_tls = bool(plain) or _is_local(host)
    return Reference(host=host, name=name, tag=tag, sha256=sha256, plain=without_tls)


def repository(url: str) -> Reference:
    """The repository that a URL names.

    Raises:
        InputError: it names none, or a thing in one.
    """
    found = parse(url)
    if found.tag or found.sha256:
        raise InputError(f"{url} is in a repository, and none itself", hint="leave out its end")
    return found


def challenges(text: str) -> dict[str, dict[str, str]]:
    """The schemes of a `WWW-Authenticate`, in small letters, with their parameters."""
    found: dict[str, dict[str, str]] = {}
    parameters: dict[str, str] = {}
    for key, quoted, bare, scheme in _WORD.findall(text):
        if scheme:
            parameters = found.setdefault(scheme.lower(), {})
        else:
            parameters.setdefault(key.lower(), re.sub(r"\\(.)", r"\1", quoted) or bare)
    return found


class Session:
    """Connections to all who give files, and the tokens of registries; for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._made: httpx.Client | None = None
        self._closed = False
        self._kept: dict[_Key, tuple[_Headers, float]] = {}
        """What to send to a registry, and when it ends."""
        self._troubles: dict[str, InputError] = {}
        """Why the credential for a registry cannot be had: that matters if it is missed."""

    def close(self) -> None:
        """End what is under way, with a `Failure`."""
        with self._lock:
            self._closed = True
            if self._made:
                self._made.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, url: str, span: Span | None = None) -> AbstractContextManager[Answer]:
        """What a URL gives: as `web.ask`, `web.local`.

        Raises:
            InputError: proxy, certificates, ~/.netrc or a file with credentials cannot be used.
            IntegrityError: a manifest is none.
        """
        if web.is_local(url):
            return web.local(url, span)
        if not is_oci(url):
            return web.ask(self._client, url, span)
        at = parse(url)
        return self._blob(at, span) if at.sha256 else self._manifest(at)

    def send(
        self,
        at: Reference,
        method: str,
        url: str,
        headers: Mapping[str, str] = {},
        content: Callable[[], bytes | Iterable[bytes]] = bytes,
    ) -> Reply:
        """As `web.send`, with leave to write; `content` is made anew for each try. A URL below
        another host, to which a registry may send an upload, gets no password."""

        def once(authorization: Mapping[str, str]) -> Reply:
            return web.send(self._client, method, url, {**headers, **authorization}, content())

        if _origin(url) != _origin(at.base):
            return once({})
        return self._authorized(at, "pull,push", once)

    @property
    def _client(self) -> httpx.Client:
        with self._lock:
            if self._closed:
                raise web.Failure("interrupted")
            if self._made is None:
                self._made = web.client()
            return self._made

    @contextmanager
    def _blob(self, at: Reference, span: Span | None) -> Iterator[Answer]:
        with self._opened(at, f"blobs/sha256:{at.sha256}", {}, span) as answer:
            # The digest is the better validator; this may be that of wherever it is redirected.
            yield replace(answer, etag=None)

    @contextmanager
    def _manifest(self, at: Reference) -> Iterator[Answer]:
        accepted = {"Accept": f"{MANIFEST}, {INDEX}"}
        with self._opened(at, f"manifests/{at.tag}", accepted) as answer:
            content = _manifest(at, answer)
        yield replace(answer, blocks=iter([content]))

    @contextmanager
    def _opened(
        self, at: Reference, path: str, headers: Mapping[str, str], span: Span | None = None
    ) -> Iterator[Answer]:
        with ExitStack() as stack:

            def once(authorization: Mapping[str, str]) -> Answer:
                sent = {**headers, **authorization}
                return stack.enter_context(web.ask(self._client, f"{at.base}/{path}", span, sent))

            yield self._authorized(at, "pull", once)

    def _authorized(
        self, at: Reference, action: _Action, send: Callable[[Mapping[str, str]], _T]
    ) -> _T:
        """What `send` gives with what the registry wants to see; it is asked once for that."""
        key = (at.host, f"repository:{at.name}:{action}")
        sent = self._present(key)
        try:
            return send(sent)
        except web.Failure as error:
            if error.status not in _REFUSED or not error.challenge:
                raise
            refusal = error
        fresh = self._login(at, key, refusal, sent)
        try:
            return send(fresh)
        except web.Failure as error:
            raise self._denied(at, error) from None

    def _present(self, key: _Key) -> _Headers:
        headers, end = self._kept.get(key, ({}, 0.0))
        return headers if time.monotonic() < end else {}

    def _login(self, at: Reference, key: _Key, refusal: web.Failure, sent: _Headers) -> _Headers:
        """What to send after `sent` was refused."""
        with self._asking:
            present = self._present(key)
            if present and present != sent:
                return present  # another thread has asked meanwhile
            wanted = challenges(refusal.challenge)
            credential = self._credential(at)
            if "bearer" in wanted:
                made = self._token(at, key[1], wanted["bearer"], credential)
            elif "basic" in wanted and credential and not credential.identity:
                made = {"Authorization": credential.basic}, _LONGEST_LASTS
            else:
                raise self._denied(at, refusal)
            self._kept[key] = made[0], time.monotonic() + made[1] - _SHORTER
            return made[0]

    def _token(
        self, at: Reference, scope: str, said: Mapping[str, str], credential: Credential | None
    ) -> tuple[_Headers, float]:
        """A token, and for how many seconds it is good."""
        realm = _realm(at, said.get("realm", ""))
        fields = {"service": said["service"]} if "service" in said else {}
        fields["scope"] = scope
        try:
            reply = self._ask_for_token(realm, fields, credential)
            return _read_token(reply.body)
        except web.Failure as error:
            raise self._denied(at, error) from None

    def _ask_for_token(self, realm: str, fields: _Headers, credential: Credential | None) -> Reply:
        if credential and credential.identity:
            grant = {"grant_type": "refresh_token", "refresh_token": credential.secret}
            form = urlencode({**fields, **grant, "client_id": "toolman"}).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return web.send(self._client, "POST", realm, headers, form)
        known = {"Authorization": credential.basic} if credential else {}
        joint = "&" if "?" in realm else "?"
        return web.send(self._client, "GET", f"{realm}{joint}{urlencode(fields)}", known)

    def _credential(self, at: Reference) -> Credential | None:
        try:
            return credentials.find(at.host, at.name)
        except InputError as error:
            self._troubles[at.host] = error
            return None

    def _denied(self, at: Reference, error: web.Failure) -> Exception:
        """The same failure; if the user can do something about it, what."""
        if error.status not in _REFUSED:
            return error
        if trouble := self._troubles.get(at.host):
            return trouble
        advice = f"`docker login {at.host}` or `podman login {at.host}` may help"
        return web.Failure(f"{error} for {at.name}: {advice}", error.status)


def location(at: Reference, url: str, reply: Reply) -> str:
    """Where an upload that was asked for at `url` goes on.

    Raises:
        web.Failure: the registry does not say it, or leaves TLS for it.
    """
    said = reply.headers.get("Location", "")
    try:
        found = urljoin(url, said)
        scheme, _, _ = _origin(found)
    except ValueError:
        scheme = ""
    if not said or scheme not in _schemes(at):
        why = " without TLS; its proxy should set X-Forwarded-Proto" if scheme == "http" else ""
        raise web.Failure(f"sends uploads to {web.shown(said)[:200]!r}{why}")
    return found


def _is_local(host: str) -> bool:
    return re.sub(r":\d+$", "", host) in _LOCAL


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _schemes(at: Reference) -> tuple[str, ...]:
    """What may come in where a registry says where to go on."""
    return ("https", "http") if at.plain else ("https",)


def _manifest(at: Reference, answer: Answer) -> bytes:
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    if kind not in (MANIFEST, INDEX):
        raise web.Failure(f"gives {kind[:80]!r} in place of a manifest")
    content = web.bounded(answer, at.tagged(at.tag), MOST)
    try:
        said = json.loads(content).get("mediaType", kind)
    except (ValueError, RecursionError, AttributeError):
        said = None
    if said != kind:
        raise IntegrityError(f"{at.tagged(at.tag)} is no manifest, or not of the kind {kind}")
    return content


def _realm(at: Reference, text: str) -> str:
    """The token server that a registry names, if that can be trusted with a password."""
    bare = text.partition("#")[0]
    try:
        scheme, host, _ = _origin(bare)
        good = scheme in _schemes(at) and host and "@" not in urlsplit(bare).netloc
    except ValueError:
        good = False
    if not good:
        raise web.Failure(f"names no token server to be trusted: {web.shown(text)[:200]!r}")
    return bare


def _read_token(body: bytes) -> tuple[_Headers, float]:
    try:
        said = json.loads(body)
        token = said.get("token") or said.get("access_token")
        lasts = said.get("expires_in") or _LASTS
        if not _TOKEN.fullmatch(token):
            raise ValueError
        return {"Authorization": f"Bearer {token}"}, min(float(lasts), _LONGEST_LASTS)
    except (ValueError, TypeError, AttributeError, RecursionError):
        # Without the cause, which may quote the token.
        raise web.Failure("its token server gives no token") from None
