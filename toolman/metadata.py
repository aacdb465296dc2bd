"""Signed metadata by The Update Framework (TUF): what readers verify.

A repository signs one file, `index.json`, through four roles:

    root        says whose keys count for the others; N keys, of which a threshold signs
    targets     names the digest of index.json
    snapshot    names the version of targets, so that old and new cannot be mixed
    timestamp   names the version of snapshot; expires in days, so that nobody can withhold news

Readers hold on to the root that they were given, and to what they have verified since: versions
only grow. All files are immutable but `timestamp.json`, which is written last. `signing` makes
them, and is the other user of python-tuf.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater

from toolman.errors import InputError, IntegrityError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Get = Callable[[str, int], bytes | None]
    Files = dict[str, bytes]

INDEX = "index.json"
_SOON = 30  # days before its end at which what is signed by hand should be signed anew
ROOT_MOST = 512_000  # bytes; as python-tuf has it
_CHANGED = "somebody changes files on the way, or the server is damaged; ask who publishes it"


@dataclass(frozen=True, kw_only=True)
class State:
    """What a repository says now."""

    root: Metadata[Root]
    targets: Metadata[Targets]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]
    index: bytes

    @property
    def ends(self) -> Mapping[str, datetime]:
        """When the signatures of each role expire."""
        return {
            one.signed.type: one.signed.expires
            for one in (self.root, self.targets, self.snapshot, self.timestamp)
        }


def read(kept: Path, root: bytes, get: Get) -> bytes:
    """The index of a repository, verified from the trusted `root` on.

    `kept` is a directory with what was verified before; one reader at a time. `get` gives the
    file at a path below the repository if it has no more than so many bytes, and None if there
    is none.

    Raises:
        InputError: `root` is no root.
        NetworkError: a file is missing.
        IntegrityError: something is not signed as it should be, older than what was there
            before, or expired.
    """
    _root(root)
    kept.mkdir(parents=True, exist_ok=True)
    for left in kept.glob("tmp*"):
        left.unlink(missing_ok=True)  # by a reader that was killed
    fetcher = _Fetcher(get)
    try:
        updater = Updater(str(kept), "metadata", fetcher=fetcher, bootstrap=root)
        updater.refresh()
        found = updater.get_targetinfo(INDEX)
        if found is None:
            raise IntegrityError(f"nobody has signed an {INDEX}")
        content = fetcher.content(target_path(found), found.length)
        found.verify_length_and_hashes(content)
    except exceptions.ExpiredMetadataError as error:
        raise _expired(fetcher.seen, kept) from error
    except exceptions.RepositoryError as error:
        raise IntegrityError(str(error), hint=_CHANGED) from error
    except exceptions.DownloadHTTPError as error:
        raise NetworkError(str(error)) from error
    return content


def load(directory: Path, trusted: bytes) -> State:
    """What the repository in `directory` says, verified from the root `trusted` on.

    That something has expired is no reason not to read it: it can be signed anew.

    Raises:
        InputError: there is no repository.
        IntegrityError: it is not what its keys have signed.
    """
    try:
        return _load(directory, trusted)
    except FileNotFoundError as error:
        hint = f"to make one: toolman publish init {directory} --keys DIR"
        raise InputError(f"{directory} is no repository: no {error.filename}", hint=hint) from None
    except (exceptions.RepositoryError, ValueError, KeyError) as error:
        hint = "somebody has changed it; take it from a copy"
        raise IntegrityError(f"{directory} is damaged: {error}", hint=hint) from error


def due(state: State, role: str) -> bool:
    """Whether a role that is signed by hand, root or targets, will soon expire."""
    return state.ends[role] < datetime.now(UTC) + timedelta(days=_SOON)


def root_version(data: bytes) -> int:
    """Which root this is.

    Raises:
        InputError: it is none.
    """
    return _root(data).signed.version


def roots_before(version: int, get: Get) -> Files:
    """The roots before one, for readers who were given such; they verify the chain themselves."""
    paths = [f"metadata/{before}.root.json" for before in range(1, version)]
    found = {path: get(path, ROOT_MOST) for path in paths}
    return {path: data for path, data in found.items() if data}


def target_path(found: TargetFile) -> str:
    """Where a target lies in a repository with consistent snapshots."""
    return f"targets/{found.hashes['sha256']}.{found.path}"


class _Fetcher(FetcherInterface):
    """Fetches by `get`, and remembers the metadata that came."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self.seen: Files = {}

    def content(self, path: str, most: int) -> bytes:
        found = self._get(path, most)
        if found is None:
            raise exceptions.DownloadHTTPError(f"it has no {path}", 404)
        self.seen[path] = found
        return found

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[BytesIO]:
        yield BytesIO(self.content(url, max_length))

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.content(url, ROOT_MOST)


def _root(data: bytes) -> Metadata[Root]:
    try:
        root = Metadata[Root].from_bytes(data)
        if root.signed.type != Root.type:
            raise ValueError(f"it is {root.signed.type}")
        _verify(root, root)
    except (exceptions.RepositoryError, ValueError) as error:
        raise InputError(
            f"this is no root of a repository: {error}",
            hint="it is the file metadata/1.root.json, from somebody whom you trust",
        ) from error
    return root


def _expired(seen: Files, kept: Path) -> IntegrityError:
    ends = {}
    for role in ("root", "timestamp", "snapshot", "targets"):
        arrived = [data for path, data in seen.items() if path.endswith(f"{role}.json")]
        with suppress(OSError, exceptions.RepositoryError):
            data = arrived[-1] if arrived else (kept / f"{role}.json").read_bytes()
            ends[role] = Metadata[Any].from_bytes(data).signed.expires
    role = min(ends, key=lambda one: ends[one])
    now = datetime.now(UTC)
    return IntegrityError(
        f"{role} expired at {_said(ends[role])}, and here it is {_said(now)}",
        hint="correct this machine's clock if it is wrong; else ask who publishes it",
    )


def _load(directory: Path, trusted: bytes) -> State:
    metadata = directory / "metadata"
    root = Metadata[Root].from_bytes(trusted)
    while (path := metadata / f"{root.signed.version + 1}.root.json").exists():
        after = Metadata[Root].from_bytes(path.read_bytes())
        _verify(root, after)
        _verify(after, after)
        root = after
    timestamp = Metadata[Timestamp].from_bytes((metadata / "timestamp.json").read_bytes())
    _verify(root, timestamp)
    about = timestamp.signed.snapshot_meta
    data = (metadata / f"{about.version}.snapshot.json").read_bytes()
    about.verify_length_and_hashes(data)
    snapshot = Metadata[Snapshot].from_bytes(data)
    _verify(root, snapshot)
    about = snapshot.signed.meta["targets.json"]
    data = (metadata / f"{about.version}.targets.json").read_bytes()
    about.verify_length_and_hashes(data)
    targets = Metadata[Targets].from_bytes(data)
    _verify(root, targets)
    found = targets.signed.targets[INDEX]
    index = (directory / target_path(found)).read_bytes()
    found.verify_length_and_hashes(index)
    return State(root=root, targets=targets, snapshot=snapshot, timestamp=timestamp, index=index)


def _verify(root: Metadata[Root], signed: Metadata[Any]) -> None:
    root.signed.verify_delegate(signed.signed.type, signed.signed_bytes, signed.signatures)


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
