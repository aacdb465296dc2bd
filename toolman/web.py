"""What a URL gives, over HTTP or from a disk; the only user of httpx.

Whatever goes wrong is a `Failure`, also while the bytes are read, and tells whether it is worth
to ask again. Proxies and trusted certificates are the environment's (HTTPS_PROXY, NO_PROXY,
SSL_CERT_FILE); passwords are those of the URL, or of ~/.netrc where TOOLMAN_NETRC=1. Nothing that
is said here holds one.
"""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx

from toolman import __version__, offline
from toolman.errors import InputError, IntegrityError, NetworkError, ToolmanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

DAMAGED = "the mirror is damaged, or somebody changes files on the way"

_T = TypeVar("_T")

_CONNECT = 5.0  # seconds
_SILENCE = 30.0  # seconds without a byte
_DIGESTION = 300.0  # seconds that a server may take for what it was sent, before it answers
_SLOWEST = 1000.0  # bytes a second, after the first `_SILENCE`
_REDIRECTS = 10
_BLOCK = 1 << 16
_FEW = 4  # blocks that are read of a refusal
_REASON = 80  # characters of what a server calls its status
_REPLY_MOST = 1 << 20  # bytes of an answer that is no file
_ERRNO = re.compile(r"\[Errno -?\d+\] ")
_NAME = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d*)?")
_CODE = re.compile(rb'"code"\s*:\s*"([A-Z_]{1,40})"')  # of a registry's errors
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


@dataclass(frozen=True, kw_only=True)
class Span:
    """From where on a file is wanted, if not all of it."""

    start: int
    size: int | None
    """Bytes of the whole, where they are known."""
    validator: str | None
    """A strong ETag that the file has to have still."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A file on its way."""

    start: int
    """Where in the file it begins: as asked for, or 0."""
    length: int | None
    """Bytes of the whole, as announced."""
    etag: str | None
    hosts: frozenset[str]
    """Who answered, with all who redirected."""
    framed: bool
    """Whether its end is told from a broken connection, without a length."""
    blocks: Iterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    """By names in any case; none of a file's."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is answered to something else than the wish for a file."""

    status: int
    headers: Mapping[str, str]
    """By names in any case."""
    body: bytes


class Failure(Exception):
    """This mirror cannot give it; the next one may."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        """HTTP's; 404 for a file that is not there, too."""
        self.challenge = ""
        """WWW-Authenticate, if it came from the server that was asked, not by a redirect."""


class Again(Failure):
    """It may in a moment; after `pause` seconds, if the server said when."""

    def __init__(self, text: str, status: int | None = None, pause: float = 0) -> None:
        super().__init__(text, status)
        self.pause = pause


class Unreached(Failure):
    """The host does not answer."""

    def __init__(self, text: str, host: str) -> None:
        super().__init__(text)
        self.host = host


class Misfit(Exception):
    """The span that was asked for is not what came; all of the file may be had."""


def client() -> httpx.Client:
    """Connections, for several threads.

    Raises:
        InputError: a proxy, certificates or ~/.netrc cannot be used.
    """
    auth = _netrc() if os.environ.get("TOOLMAN_NETRC") == "1" else None
    try:
        return httpx.Client(
            timeout=httpx.Timeout(_SILENCE, connect=_CONNECT),
            follow_redirects=True,
            max_redirects=_REDIRECTS,
            # Not compressed on the way: the digest is of the bytes as they are kept.
            headers={"User-Agent": f"toolman/{__version__}", "Accept-Encoding": "identity"},
            auth=auth,
        )
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        # Its text may hold a part of the proxy's password.
        raise InputError(
            f"cannot use the proxy or the certificates of the environment: {type(error).__name__}",
            hint="look at HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE, SSL_CERT_DIR",
        ) from None


@contextmanager
def ask(
    client: httpx.Client,
    url: str,
    span: Span | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Answer]:
    """What a server answers. With `headers`, no password is sent but theirs.

    Raises:
        Failure: it does not give the file; also while that is read, and when `client` is closed.
        Misfit: it gives another span.
    """
    _check_online()
    with _failing():
        known = httpx.URL(url)
        own = (known.username, known.password) if known.userinfo else httpx.USE_CLIENT_DEFAULT
        auth = own if headers is None else None
        sent = {**(headers or {}), **(_asked(span) if span else {})}
        with client.stream("GET", known, headers=sent, auth=auth) as response:
            yield _answer(response, span)


def send(
    client: httpx.Client,
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes | Iterable[bytes] | None = None,
) -> Reply:
    """What a server answers to a request of any kind. Only HEAD follows redirects.

    Raises:
        Failure: it refuses, or says too much.
    """
    _check_online()
    patience = httpx.Timeout(_SILENCE, connect=_CONNECT, read=_DIGESTION)
    options: dict[str, Any] = {"auth": None, "follow_redirects": method == "HEAD"}
    with _failing():
        request = client.stream(
            method, url, headers=dict(headers), content=content, timeout=patience, **options
        )
        with request as response:
            body = bytearray()
            for block in _paced(response.iter_raw()):
                body += block
                if len(body) > _REPLY_MOST:
                    raise Failure(f"answers with more than {_REPLY_MOST} bytes")
            if response.is_error:
                raise _refusal(response, bytes(body))
            return Reply(status=response.status_code, headers=response.headers, body=bytes(body))


@contextmanager
def local(url: str, span: Span | None = None) -> Iterator[Answer]:
    """The file of a `file://` URL.

    Raises:
        Failure: it cannot be read; also later, while it is.
    """
    with _opened(url) as file:
        start = span.start if span else 0
        file.seek(start)
        length = os.fstat(file.fileno()).st_size
        hosts = frozenset({host(url)})
        blocks = _paced(_read(file))
        yield Answer(start=start, length=length, etag=None, hosts=hosts, framed=True, blocks=blocks)


def bounded(answer: Answer, url: str, most: int) -> bytes:
    """All that `url` answers, at most so many bytes.

    Raises:
        IntegrityError: it is more.
    """
    found = bytearray()
    for block in answer.blocks:
        found += block
        if len(found) > most:
            raise IntegrityError(f"{shown(url)} is larger than {most} bytes", hint=DAMAGED)
    return bytes(found)


def is_local(url: str) -> bool:
    return url[:5].lower() == "file:"


def host(url: str) -> str:
    """Whom to name, without a password; of a local file all of it."""
    return shown(url) if is_local(url) else shown(url).partition("://")[2].partition("/")[0]


def shown(url: str) -> str:
    """A URL as it may be printed and kept: without user, password and query."""
    scheme, slashes, rest = re.split("[?#]", url, maxsplit=1)[0].partition("://")
    authority, slash, path = rest.partition("/")
    name = authority.rpartition("@")[2]
    # A password that should have been quoted ends up where the port is.
    return f"{scheme}{slashes}{name}{slash}{path}" if _NAME.fullmatch(name) else f"{scheme}://…"


def first_good(
    urls: Sequence[str], ask: Callable[[str], _T], name: str, warn: Callable[[str], object]
) -> _T:
    """What `ask` finds at the first of `urls` where it does not fail; `warn` is told of those
    before it. `name` stands before a URL in messages.

    Raises:
        NetworkError: none can be reached.
        IntegrityError: one is not signed as it should be. What tells of an attack counts more
            than what does not answer.
    """
    failures: list[ToolmanError] = []
    for url in urls:
        try:
            found = ask(url)
        except (NetworkError, IntegrityError) as error:
            said = f"{name}{shown(url)}: {error}"
            failures.append(type(error)(said, hint=error.hint))
            continue
        for failure in failures:
            warn(f"warning: {failure}")
        return found
    raise next((one for one in failures if isinstance(one, IntegrityError)), failures[0])


def _check_online() -> None:
    if offline.on():
        raise Failure("offline")


@contextmanager
def _failing() -> Iterator[None]:
    """Whatever goes wrong is a `Failure`."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        reason = _ERRNO.sub("", str(error)) or "no answer"
        raise Unreached(reason, host(str(error.request.url))) from error
    except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
        raise Again(str(error) or type(error).__name__) from error
    except httpx.InvalidURL:
        raise Failure("this is no URL") from None
    except (httpx.HTTPError, RuntimeError) as error:
        # RuntimeError: httpx's of a client that was closed meanwhile.
        raise Failure(str(error) or type(error).__name__) from error


def _netrc() -> httpx.NetRCAuth:
    import netrc

    try:
        return httpx.NetRCAuth()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"cannot read ~/.netrc: {reason}", hint="unset TOOLMAN_NETRC") from None
    except netrc.NetrcParseError as error:
        raise InputError(f"~/.netrc is wrong in line {error.lineno}") from None


def _asked(span: Span) -> dict[str, str]:
    """Closed where the end is known: some registries refuse open ranges."""
    last = "" if span.size is None else span.size - 1
    headers = {"Range": f"bytes={span.start}-{last}"}
    return headers | ({"If-Range": span.validator} if span.validator else {})


def _answer(response: httpx.Response, span: Span | None) -> Answer:
    length = response.headers.get("Content-Length", "")
    code = response.status_code
    if span and code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise Misfit
    start, total = 0, int(length) if length.isdecimal() else None
    if span and code == httpx.codes.PARTIAL_CONTENT:
        start, total = span.start, _total(response, span)
    elif code != httpx.codes.OK:
        # Who reads the answer to its end keeps the connection.
        for _ in zip(range(_FEW), response.iter_raw(), strict=False):
            pass
        raise _refusal(response)
    return Answer(
        start=start,
        length=total,
        etag=response.headers.get("ETag"),
        hosts=frozenset(host(str(one.url)) for one in (*response.history, response)),
        framed="Transfer-Encoding" in response.headers,
        headers=response.headers,
        blocks=_paced(response.iter_raw()),
    )


def _total(response: httpx.Response, span: Span) -> int:
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    first, last, total = map(int, found.groups()) if found else (-1, -1, -1)
    if first != span.start or last != total - 1 or total != (span.size or total):
        raise Misfit
    return total


def _refusal(response: httpx.Response, body: bytes = b"") -> Failure:
    code = response.status_code
    reasons = [one.decode() for one in _CODE.findall(body)[:_FEW]]
    said = " ".join([f"{code} {response.reason_phrase[:_REASON]}".strip(), *reasons])
    if code == httpx.codes.TOO_MANY_REQUESTS or code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Again(said, code, _retry_after(response.headers.get("Retry-After", "")))
    refusal = Failure(said, code)
    if not response.history:
        refusal.challenge = response.headers.get("WWW-Authenticate", "")
    return refusal


def _retry_after(text: str) -> float:
    """Seconds, from seconds or a date; 0 where nothing is asked for."""
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0


def _paced(blocks: Iterable[bytes]) -> Iterator[bytes]:
    received = 0
    began = time.monotonic()
    for block in blocks:
        received += len(block)
        if time.monotonic() - began > _SILENCE + received / _SLOWEST:
            raise Failure("too slow")
        yield block


def _opened(url: str) -> IO[bytes]:
    try:
        parts = urlsplit(url)
        if parts.hostname not in (None, "localhost"):
            raise Failure("it is on another machine")
        # A pipe without a writer would be waited for.
        descriptor = os.open(url2pathname(parts.path), os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Failure(str(error.strerror), httpx.codes.NOT_FOUND) from error
    except OSError as error:
        raise Failure(str(error.strerror)) from error
    except ValueError as error:
        raise Failure("this is no URL") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Failure("this is no file")
    return os.fdopen(descriptor, "rb")


def _read(file: IO[bytes]) -> Iterator[bytes]:
    try:
        while block := file.read(_BLOCK):
            yield block
    except OSError as error:
        raise Failure(str(error.strerror)) from error
