"""Downloads of pinned bytes over HTTP; the only user of httpx.

Every download is bounded: in bytes by its pin, in time by a least speed. What arrives grows in
`<path>.part`, and becomes `<path>` when its digest is right; bytes that are not the pinned ones
are deleted. A host that does not answer is not asked again in the same call, so that without
a network a dozen mirrors cost seconds, not minutes.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

import httpx

from toolman import __version__
from toolman.errors import IntegrityError, NetworkError, ToolmanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_T = TypeVar("_T")

MOST = 2 << 30  # bytes of a download whose size is not known
AT_ONCE = 6

_CONNECT = 5.0  # seconds
_SILENCE = 30.0  # seconds without a byte
_SLOWEST = 1000.0  # bytes a second, after the first `_SILENCE`
_ENOUGH = 3  # hosts that do not answer, when none has: there is no network
_REDIRECTS = 10
_FILE = "file://"
_CREDENTIALS = re.compile(r"//[^/@\s]*@")
_ERRNO = re.compile(r"\[Errno -?\d+\] ")


@dataclass(frozen=True, kw_only=True)
class Download:
    """Bytes that are known by their digest."""

    name: str
    """For messages."""
    urls: tuple[str, ...]
    """In the order to try."""
    sha256: str
    size: int | None
    path: Path
    mirrors: bool = False
    """Whether after wrong bytes the next URL is asked, for they come from equal mirrors."""


def fetch(
    downloads: Sequence[Download],
    advance: Callable[[int], object],
    warn: Callable[[str], object] = lambda _: None,
) -> dict[str, NetworkError]:
    """Get all of `downloads`, several at once; why of those that no mirror gave, by name.

    `advance` is told the bytes as they come; a negative number takes back what was in vain.
    `warn` is told of a mirror with wrong bytes, if another one has the right ones.

    Raises:
        IntegrityError: a mirror gave other bytes than the pinned ones, or each of `mirrors` did.
        OSError: the disk's, as ENOSPC.
    """
    fetcher = _Fetcher(advance, warn)
    pool = ThreadPoolExecutor(AT_ONCE)
    work = {pool.submit(fetcher.get, one): one for one in downloads}
    try:
        done, _ = wait(work, return_when=FIRST_EXCEPTION)
        results = [(work[one].name, one.result()) for one in done]
    finally:
        # After a failure, or Ctrl-C, the others end at their next block.
        fetcher.stop()
        pool.shutdown(wait=False, cancel_futures=True)
    return {name: trouble for name, trouble in results if trouble}


def content(url: str, most: int) -> bytes:
    """A small file, at most `most` bytes, whose digest is not known before.

    Raises:
        NetworkError: it could not be had; `status` tells HTTP's answer, 404 for files too.
        IntegrityError: it is larger.
    """
    wanted = Download(name=shown(url), urls=(url,), sha256="", size=most, path=Path())
    fetcher = _Fetcher(lambda _: None, lambda _: None)
    try:
        return b"".join(fetcher.blocks(url, wanted))
    except _Failure as error:
        raise NetworkError(f"{_host(url)}: {error}", status=error.status) from error
    finally:
        fetcher.stop()


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


def shown(url: str) -> str:
    """A URL as it may be printed: without a password."""
    return _CREDENTIALS.sub("//", url)


class _Fetcher:
    """What the downloads of one call share: connections, and what is known of the hosts."""

    def __init__(self, advance: Callable[[int], object], warn: Callable[[str], object]) -> None:
        self._advance = advance
        self._warn = warn
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._silent: dict[str, str] = {}
        """Hosts that did not answer, and why."""
        self._answered = False
        self._client = httpx.Client(
            timeout=httpx.Timeout(_SILENCE, connect=_CONNECT),
            follow_redirects=True,
            max_redirects=_REDIRECTS,
            # Not compressed on the way: the digest is of the bytes as they are kept.
            headers={"User-Agent": f"toolman/{__version__}", "Accept-Encoding": "identity"},
        )

    def stop(self) -> None:
        self._stopped.set()
        self._client.close()

    def get(self, download: Download) -> NetworkError | None:
        tried: list[str] = []
        wrong: list[IntegrityError] = []
        for url in download.urls:
            if self._offline():
                break
            if _host(url) not in self._silent and self._got(url, download, tried, wrong):
                return None
        if wrong:
            raise wrong[0]
        if self._offline() or not tried:
            return self._no_answer()
        return NetworkError("; ".join(tried))

    def _got(
        self, url: str, download: Download, tried: list[str], wrong: list[IntegrityError]
    ) -> bool:
        try:
            self._from(url, download)
        except _Failure as error:
            tried.append(f"{_host(url)}: {error}")
            return False
        except IntegrityError as error:
            if not download.mirrors:
                raise
            wrong.append(error)
            return False
        for one in wrong:
            self._warn(str(one))
        return True

    def _from(self, url: str, download: Download) -> None:
        part = download.path.with_name(f"{download.path.name}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        received = 0
        try:
            with part.open("wb") as file:
                for block in self.blocks(url, download):
                    file.write(block)
                    digest.update(block)
                    received += len(block)
                    self._tell(len(block))
            _check(url, download, received, digest.hexdigest())
            part.replace(download.path)
        except BaseException:
            part.unlink(missing_ok=True)
            self._tell(-received)
            raise

    def blocks(self, url: str, download: Download) -> Iterator[bytes]:
        """The body of `url`, cut off where it is too long, too slow, or not wanted any more."""
        most = download.size or MOST
        received = 0
        began = time.monotonic()
        try:
            with self._stream(url) as blocks:
                for block in blocks:
                    received += len(block)
                    if received > most:
                        raise _wrong(url, download, f"more than {most} bytes")
                    if time.monotonic() - began > _SILENCE + received / _SLOWEST:
                        raise _Failure("too slow")
                    if self._stopped.is_set():
                        raise _Failure("interrupted")
                    yield block
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            reason = _ERRNO.sub("", str(error)) or "no answer"
            with self._lock:
                self._silent[_host(str(error.request.url))] = reason
            raise _Failure(reason) from error
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:
            # RuntimeError: httpx's of a client that was closed meanwhile.
            raise _Failure(str(error) or type(error).__name__) from error

    @contextmanager
    def _stream(self, url: str) -> Iterator[Iterator[bytes]]:
        if url.startswith(_FILE):
            try:
                with Path(unquote(url.removeprefix(_FILE))).open("rb") as file:
                    yield iter(lambda: file.read(1 << 20), b"")
            except FileNotFoundError as error:
                raise _Failure("no such file", status=httpx.codes.NOT_FOUND) from error
            return
        with self._client.stream("GET", url) as response:
            self._answered = True
            code = response.status_code
            if code != httpx.codes.OK:
                raise _Failure(f"{code} {response.reason_phrase}".strip(), status=code)
            yield response.iter_raw()

    def _tell(self, advance: int) -> None:
        with self._lock:
            if not self._stopped.is_set():
                self._advance(advance)

    def _offline(self) -> bool:
        return not self._answered and len(self._silent) >= _ENOUGH

    def _no_answer(self) -> NetworkError:
        with self._lock:
            reasons = dict.fromkeys(self._silent.values())
            return NetworkError(f"no answer from {', '.join(self._silent)} ({'; '.join(reasons)})")


class _Failure(Exception):
    """This mirror cannot give it; the next one may."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def _host(url: str) -> str:
    """Whom to name in messages: without a password."""
    return url.split("/")[2].rpartition("@")[2]


def _check(url: str, download: Download, received: int, digest: str) -> None:
    if download.size is not None and received < download.size:
        raise _Failure(f"ended after {received} of {download.size} bytes")
    if digest != download.sha256:
        raise _wrong(url, download, f"sha256 {digest}, pinned is {download.sha256}")


def _wrong(url: str, download: Download, what: str) -> IntegrityError:
    return IntegrityError(
        f"{shown(url)} is not what is pinned for {download.name}: {what}",
        hint="the mirror is damaged, or somebody changes files on the way",
    )
