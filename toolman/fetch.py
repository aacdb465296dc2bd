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
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from toolman import __version__
from toolman.errors import IntegrityError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

MOST = 2 << 30  # bytes of a download whose size is not known
AT_ONCE = 6

_CONNECT = 5.0  # seconds
_SILENCE = 30.0  # seconds without a byte
_SLOWEST = 1000.0  # bytes a second, after the first `_SILENCE`
_ENOUGH = 3  # hosts that do not answer, when none has: there is no network
_REDIRECTS = 10
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


def fetch(
    downloads: Sequence[Download], advance: Callable[[int], object]
) -> dict[str, NetworkError]:
    """Get all of `downloads`, several at once; why of those that no mirror gave, by name.

    `advance` is told the bytes as they come; a negative number takes back what was in vain.

    Raises:
        IntegrityError: a mirror gave other bytes than the pinned ones.
        OSError: the disk's, as ENOSPC.
    """
    fetcher = _Fetcher(advance)
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


class _Fetcher:
    """What the downloads of one call share: connections, and what is known of the hosts."""

    def __init__(self, advance: Callable[[int], object]) -> None:
        self._advance = advance
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
        tried = []
        for url in download.urls:
            host = _host(url)
            if self._offline():
                break
            if host in self._silent:
                continue
            try:
                self._from(url, download)
                return None
            except _Failure as error:
                tried.append(f"{host}: {error}")
        if self._offline() or not tried:
            return self._no_answer()
        return NetworkError("; ".join(tried))

    def _from(self, url: str, download: Download) -> None:
        part = download.path.with_name(f"{download.path.name}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        received = 0
        try:
            with part.open("wb") as file:
                for block in self._blocks(url, download):
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

    def _blocks(self, url: str, download: Download) -> Iterator[bytes]:
        """The body of `url`, cut off where it is too long, too slow, or not wanted any more."""
        most = download.size or MOST
        received = 0
        began = time.monotonic()
        try:
            with self._client.stream("GET", url) as response:
                self._answered = True
                if response.status_code != httpx.codes.OK:
                    raise _Failure(f"{response.status_code} {response.reason_phrase}".strip())
                for block in response.iter_raw():
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


def _host(url: str) -> str:
    return url.split("/")[2]


def _check(url: str, download: Download, received: int, digest: str) -> None:
    if download.size is not None and received < download.size:
        raise _Failure(f"ended after {received} of {download.size} bytes")
    if digest != download.sha256:
        raise _wrong(url, download, f"sha256 {digest}, pinned is {download.sha256}")


def _wrong(url: str, download: Download, what: str) -> IntegrityError:
    return IntegrityError(
        f"{url} is not what is pinned for {download.name}: {what}",
        hint="the mirror is damaged, or somebody changes files on the way",
    )
