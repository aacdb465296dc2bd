"""Downloads of pinned bytes, and of small files whose digest is not known before.

Every download is bounded: in bytes by its pin, in time by a least speed and a limit of the whole.
What arrives grows in `<path>.part` (see `partial`), with which whoever comes next goes on, and
becomes `<path>` when its digest is right; bytes that are not the pinned ones are deleted. A mirror
is called wrong only for what came in one answer of its own. One that fails for a moment is asked
again, after the others had their turn; a host that does not answer is not, so that without
a network a dozen mirrors cost seconds, not minutes.
"""

from __future__ import annotations

import heapq
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from toolman import again, offline, partial, web
from toolman.digest import sha256
from toolman.errors import IntegrityError, NetworkError
from toolman.registry import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from toolman.partial import Part
    from toolman.web import Answer

MOST = 2 << 30  # bytes of a download whose size is not known
AT_ONCE = 6

_LONGEST = 3600.0  # seconds of one download with all its mirrors
_ENOUGH = 3  # hosts that do not answer, when none has: there is no network
_RETRIES = 4  # times that a mirror is asked again
_PATIENCE = 30.0  # seconds that a server may ask for; who asks for more is not asked again
_BUSY = 0.1  # seconds until it is looked again whether another process is done


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

    `advance` is told the bytes as they come, and at once those that are there already; a negative
    number takes back what was in vain. `warn` is told of a mirror with wrong bytes, if another
    one has the right ones.

    Raises:
        IntegrityError: a mirror gave other bytes than the pinned ones; of `mirrors`: and none
            gave the right ones.
        InputError: a proxy, certificates or ~/.netrc cannot be used.
        OSError: the disk's, as ENOSPC.
    """
    shared = _Shared(advance, warn)
    pool = ThreadPoolExecutor(AT_ONCE)
    work = {pool.submit(_get, one, shared): one for one in downloads}
    try:
        done, _ = wait(work, return_when=FIRST_EXCEPTION)
        results = [(work[one].name, one.result()) for one in done]
    finally:
        # After a failure, or Ctrl-C, the others end at their next block.
        shared.stop()
        pool.shutdown(wait=False, cancel_futures=True)
    return {name: trouble for name, trouble in results if trouble}


def content(url: str, most: int) -> bytes:
    """A small file, at most `most` bytes, whose digest is not known before.

    Raises:
        NetworkError: it could not be had; `status` tells HTTP's answer, 404 for files too.
        IntegrityError: it is larger.
        InputError: a proxy, certificates or ~/.netrc cannot be used.
    """
    with contents() as get:
        return get(url, most)


@contextmanager
def contents() -> Iterator[Callable[[str, int], bytes]]:
    """`content`, for several files over the same connections."""

    def get(url: str, most: int) -> bytes:
        def once() -> bytes:
            with session.ask(url) as answer:
                return web.bounded(answer, url, most)

        if offline.on() and not web.is_local(url):
            raise offline.refused(web.shown(url))
        try:
            return again.patiently(once)
        except web.Failure as error:
            raise NetworkError(f"{web.host(url)}: {error}", status=error.status) from error

    with Session() as session:
        yield get


class _Ended(Exception):
    """No mirror is asked any more."""


class _Wrong(Exception):
    """This mirror gave other bytes."""


class _Turn(NamedTuple):
    """When a mirror is asked; sorts by that, and by the order of the mirrors."""

    due: float
    number: int
    url: str
    tries: int = 0

    def after(self, error: web.Again) -> _Turn:
        due = time.monotonic() + again.pause(error, self.tries)
        return self._replace(due=due, tries=self.tries + 1)


class _Shared:
    """What the downloads of one call share: connections, and what is known of the hosts."""

    def __init__(self, advance: Callable[[int], object], warn: Callable[[str], object]) -> None:
        self._advance = advance
        self._warn = warn
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._silent: dict[str, str] = {}
        """Hosts that did not answer, and why."""
        self._answered: set[str] = set()
        self._session = Session()

    def stop(self) -> None:
        self._stopped.set()
        self._session.close()

    @contextmanager
    def ask(self, url: str, span: web.Span | None) -> Iterator[Answer]:
        """What a mirror answers; remembers the hosts that do, and those that do not."""
        try:
            with self._session.ask(url, span) as answer:
                self._note(answer.hosts)
                yield answer
        except web.Failure as error:
            if error.status:
                self._note({web.host(url)})
            if not isinstance(error, web.Unreached):
                raise
            if error.host in self._answered:
                raise web.Again(str(error)) from error  # it is being started anew
            with self._lock:
                self._silent[error.host] = str(error)
            raise

    def _note(self, hosts: Iterable[str]) -> None:
        with self._lock:
            self._answered.update(hosts)

    def check(self, until: float) -> None:
        """Raise `_Ended` after the time `until`, or when the whole call has ended."""
        if self._stopped.is_set():
            raise _Ended("interrupted")
        if time.monotonic() > until:
            raise _Ended(f"not done after {_LONGEST / 60:.0f} minutes; the next call goes on")

    def sleep(self, due: float, until: float) -> None:
        self._stopped.wait(max(0, min(due, until) - time.monotonic()))
        self.check(until)

    def tell(self, advance: int) -> None:
        with self._lock:
            if advance and not self._stopped.is_set():
                self._advance(advance)

    def warn(self, text: str) -> None:
        with self._lock:
            self._warn(text)

    def is_dead(self, url: str) -> bool:
        """Whether to ask would cost time for nothing."""
        return not web.is_local(url) and (web.host(url) in self._silent or self.is_silent())

    def is_silent(self) -> bool:
        return not self._answered and len(self._silent) >= _ENOUGH

    def no_answer(self) -> NetworkError:
        with self._lock:
            reasons = dict.fromkeys(self._silent.values())
            return NetworkError(f"no answer from {', '.join(self._silent)} ({'; '.join(reasons)})")


def _get(download: Download, shared: _Shared) -> NetworkError | None:
    until = time.monotonic() + _LONGEST

    def another() -> None:
        shared.sleep(time.monotonic() + _BUSY, until)

    download.path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.held(download.path, download.sha256, another) as part:
            return _Job(download, part, shared, until).run()
    except _Ended as error:
        return NetworkError(str(error))


class _Job:
    """One download, while its part is held."""

    def __init__(self, download: Download, part: Part, shared: _Shared, until: float) -> None:
        self._download = download
        self._part = part
        self._shared = shared
        self._until = until
        self._told = 0
        self._failed: dict[str, web.Failure] = {}
        self._wrong: dict[str, str] = {}

    def run(self) -> NetworkError | None:
        done = False
        try:
            done = self._is_there() or self._ask_all()
        finally:
            if not done:
                self._tell(0)
        return None if done else self._why()

    def _is_there(self) -> bool:
        """Whether nobody has to be asked: another process was faster, or was killed at the end."""
        part, download = self._part, self._download
        if download.path.is_file() and sha256(download.path) == download.sha256:
            part.clear()
            self._tell(download.path.stat().st_size)
            return True
        self._tell(part.size)
        if part.size and part.digest == download.sha256:
            part.finish()
            return True
        if part.size >= (download.size or MOST):
            self._clear()
        return False

    def _ask_all(self) -> bool:
        """Ask the mirrors, each in its turn, until one has given it."""
        turns = [_Turn(0, number, url) for number, url in enumerate(self._download.urls)]
        while turns:
            turn = heapq.heappop(turns)
            if self._shared.is_dead(turn.url):
                continue
            self._shared.sleep(turn.due, self._until)
            try:
                self._ask(turn.url)
                return True
            except _Wrong as error:
                self._accuse(turn.url, error)
            except web.Failure as error:
                self._failed[turn.url] = error
                if isinstance(error, web.Again) and _may_again(error, turn.tries):
                    heapq.heappush(turns, turn.after(error))
        return False

    def _ask(self, url: str) -> None:
        try:
            self._receive(url)
        except web.Misfit:
            self._clear()
            self._receive(url)
        for wrong in self._wrong.values():
            self._shared.warn(f"warning: {wrong}")

    def _receive(self, url: str) -> None:
        """Add to the part what `url` gives from its end on, and have the file."""
        with self._shared.ask(url, self._span(url)) as answer:
            self._begin(url, answer)
            self._add(answer.blocks)
        part, download = self._part, self._download
        if part.size < (download.size or 0):
            ended = f"ended after {part.size} of {download.size} bytes"
            if not answer.framed:
                raise web.Again(ended)
            self._clear()  # it said that this is all
            raise web.Failure(ended)
        if part.digest != download.sha256:
            raise self._dropped(f"sha256 {part.digest}, pinned is {download.sha256}")
        part.finish()

    def _span(self, url: str) -> web.Span | None:
        start, size = self._part.size, self._download.size
        validator = self._part.validator(web.shown(url))
        return web.Span(start=start, size=size, validator=validator) if start else None

    def _begin(self, url: str, answer: Answer) -> None:
        """Make the part ready for what comes, if that may be the file."""
        size, length = self._download.size, answer.length
        if length is not None and length > (size or MOST):
            raise _Wrong(f"more than {size or MOST} bytes")
        if length is not None and size is not None and length < size:
            raise web.Failure(f"is of {length} bytes, not {size}")
        if answer.start:
            self._part.go_on()
        else:
            self._part.begin(web.shown(url), answer.etag)
            self._tell(0)

    def _add(self, blocks: Iterable[bytes]) -> None:
        most = self._download.size or MOST
        for block in blocks:
            if self._part.size + len(block) > most:
                raise self._dropped(f"more than {most} bytes")
            self._part.write(block)
            self._tell(self._part.size)
            self._shared.check(self._until)

    def _dropped(self, what: str) -> Exception:
        """Drop wrong bytes; what to raise for them, which may be those of another mirror."""
        error = web.Misfit() if self._part.mixed else _Wrong(what)
        self._clear()
        return error

    def _accuse(self, url: str, what: _Wrong) -> None:
        said = f"{web.shown(url)} is not what is pinned for {self._download.name}: {what}"
        if not self._download.mirrors:
            raise _integrity(said)
        self._wrong[url] = said

    def _why(self) -> NetworkError:
        """What to tell when no mirror gave it; raises if one gave wrong bytes."""
        failed = [f"{web.host(url)}: {error}" for url, error in self._failed.items()]
        if self._wrong:
            raise _integrity("; ".join([*self._wrong.values(), *failed]))
        far = [web.shown(url) for url in self._download.urls if not web.is_local(url)]
        if offline.on() and far:
            sha, place = self._download.sha256, self._download.path
            return offline.lacking([offline.Missing(url=far[0], sha256=sha, place=place)])
        if self._shared.is_silent() or not failed:
            return self._shared.no_answer()
        return NetworkError("; ".join(failed))

    def _clear(self) -> None:
        self._part.clear()
        self._tell(0)

    def _tell(self, size: int) -> None:
        """Tell how the number of bytes that are there has changed."""
        self._shared.tell(size - self._told)
        self._told = size


def _may_again(error: web.Again, tries: int) -> bool:
    return tries < _RETRIES and error.pause <= _PATIENCE


def _integrity(text: str) -> IntegrityError:
    return IntegrityError(text, hint=web.DAMAGED)
