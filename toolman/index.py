"""Indexes: signed lists of the archives that a repository holds, and what is known of each.

A repository, on any static server, in a directory, or in a registry (see `artifact`):
    metadata/                     who may sign, and what is current; see `metadata`
    targets/<sha256>.index.json   the index
    blobs/sha256/<two>/<sha256>   the archives, each named by its digest
    index.html                    for people

`index.json` (schema 1) has no addresses in it, so that mirrors rewrite nothing:
    archives    by target, host and digest:
        sha256, size    of the archive, in bytes
        unpacked        bytes of the files in it
        files           its members: files, directories and links
        toolchain       its `toolchain.json`
        provenance      sha256 and size of the statement how it was made, if there is one

What is known of an index, below <data>/indexes/<name>/:
    index.json    name, URLs
    root.json     the root that the user trusts
    metadata/     what was verified last; it never gets older
    known.json    the index that was verified last, when, and its digest; written in one step

An index is asked again after an hour. Where that cannot be, what was verified last is good for
30 days, or as long as TOOLMAN_STALE_INDEX=1 says so.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolman import blob, report, store, toolchain
from toolman.blob import Blob
from toolman.errors import InputError, IntegrityError, NetworkError, ToolmanError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from toolman.context import Context
    from toolman.metadata import Get
    from toolman.toolchain import Description

SCHEMA = 1
FRESH = 3600.0  # seconds
STALE = 30 * 86400.0  # seconds

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]*")  # becomes part of a file's name
_URL = re.compile(r"(https?|file)://\S+")


@dataclass(frozen=True, kw_only=True)
class ArchiveBlob(Blob):
    """An archive of which only the bytes are known."""

    unpacked: int
    """Bytes of the files in it."""
    files: int
    """Members of the archive: files, directories and links."""


@dataclass(frozen=True, kw_only=True)
class Archive(ArchiveBlob):
    """An archive of a repository."""

    about: Description
    provenance: Blob | None = None
    """The statement how it was made; see the module `provenance`."""

    @property
    def blobs(self) -> list[Blob]:
        """All that the repository holds of it."""
        return [self, self.provenance] if self.provenance else [self]

    def to_json(self) -> dict[str, Any]:
        values = {
            "sha256": self.sha256,
            "size": self.size,
            "unpacked": self.unpacked,
            "files": self.files,
            "toolchain": self.about.to_json(),
        }
        return {**values, "provenance": vars(self.provenance)} if self.provenance else values


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index that the user has added."""

    name: str
    urls: tuple[str, ...]
    """Where its repository is: the one that was given first, then its mirrors."""
    directory: Path
    """What is known of it."""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What an index said, and how long ago."""

    archives: tuple[Archive, ...]
    age: float
    """Seconds since it was verified."""

    @property
    def stale(self) -> bool:
        """Whether it should be asked again."""
        return self.age >= FRESH


def indexes(ctx: Context) -> list[Index]:
    """The indexes that were added, by name."""
    try:
        places = sorted(ctx.paths.indexes.iterdir())
    except OSError:
        return []
    return [found for place in places if (found := _read(place))]


def find(name: str, ctx: Context) -> Index:
    """The index `name`.

    Raises:
        InputError: there is none.
    """
    every = indexes(ctx)
    for one in every:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in every)
    hint = f"known: {known}" if known else "see: toolman index add --help"
    raise InputError(f"there is no index {name!r}", hint=hint)


def add(name: str, urls: Sequence[str], root: bytes, ctx: Context, get: Get | None = None) -> Index:
    """Trust the repository whose keys `root` names, and see what it holds, as `get` says if given.

    Raises:
        InputError: the name, a URL or the root is wrong.
        NetworkError: it cannot be reached.
        IntegrityError: it is not signed by the keys of that root, or not as it should be.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot name an index", hint="small letters, digits, - . _")
    found = tuple(url_of(one, ctx.directory) for one in urls)
    place = ctx.paths.indexes / name
    store.check_writable(ctx.paths.indexes)
    with _locked(ctx):
        if place.exists():
            hint = f"toolman index remove {name}"
            raise InputError(f"there is an index {name!r} already", hint=hint)
        with store.stage(ctx.paths.indexes / ".staging", name) as work:
            (work / "root.json").write_bytes(root)
            about = {"schema": SCHEMA, "name": name, "urls": found}
            store.write(work / "index.json", json.dumps(about, indent=1) + "\n", 0o600)
            _ask(Index(name=name, urls=found, directory=work), ctx, get)
            work.rename(place)
    return Index(name=name, urls=found, directory=place)


def remove(name: str, ctx: Context) -> None:
    """Forget an index. What was installed from it stays.

    Raises:
        InputError: there is none of that name.
    """
    place = ctx.paths.indexes / name
    if not _NAME.fullmatch(name) or not place.is_dir():
        find(name, ctx)  # which tells what there is
    with _locked(ctx), store.stage(ctx.paths.indexes / ".staging", name) as work:
        place.rename(work / "gone")


def refresh(index: Index, ctx: Context, get: Get | None = None) -> list[Archive]:
    """Ask `index` now, or what gives the files of its repository if that is given.

    Raises:
        NetworkError: it cannot be reached.
        IntegrityError: it is not what its keys have signed; see `metadata.read`.
    """
    with _locked(ctx):
        return _ask(index, ctx, get)


def archives(index: Index, ctx: Context) -> Catalogue:
    """What `index` holds: asked now if that was long ago.

    Raises:
        NetworkError: it cannot be reached, and what was verified last is too old.
        IntegrityError: it is not what its keys have signed.
    """
    kept = last(index)
    if kept and not kept.stale:
        return kept
    with _locked(ctx):
        kept = last(index)  # perhaps somebody else has asked meanwhile
        if kept and not kept.stale:
            return kept
        try:
            return Catalogue(archives=tuple(_ask(index, ctx)), age=0.0)
        except NetworkError as error:
            if kept is None:
                raise
            _check_age(index, kept, error, ctx)
    said = f"taking what it said {report.ago(kept.age)} ago"
    ctx.reporter.step(f"warning: index {index.name} is out of reach; {said}")
    return kept


def known(index: Index) -> list[Archive]:
    """What `index` said last, however long ago; the network is not asked."""
    kept = last(index)
    return list(kept.archives) if kept else []


def last(index: Index) -> Catalogue | None:
    """What `index` said last, however long ago; None if that is damaged, or was never."""
    try:
        content, asked = _kept(index)
        found = parse(content)
    except ToolmanError:
        return None
    # A clock that was set back makes it old, not fresh for ever.
    return Catalogue(archives=tuple(found), age=abs(time.time() - asked))


def content(index: Index) -> bytes:
    """The index itself that `index` gave last.

    Raises:
        IntegrityError: that is damaged.
    """
    return _kept(index)[0]


def blob_urls(index: Index, wanted: Blob) -> tuple[str, ...]:
    """Where a blob may be had."""
    return tuple(blob_url(url, wanted.sha256) for url in index.urls)


def blob_url(url: str, sha256: str) -> str:
    """Where a blob of the repository at `url` is."""
    from toolman import registry

    if registry.is_oci(url):
        return registry.parse(url).blob(sha256)
    return f"{url}/{blob_path(sha256)}"


def blob_path(sha256: str) -> str:
    """Where a blob lies in a repository."""
    return f"blobs/sha256/{sha256[:2]}/{sha256}"


def dump(found: Iterable[Archive]) -> bytes:
    """The `index.json` of these archives: always the same bytes."""
    rows = {one.sha256: one for one in found}.values()
    ordered = sorted(rows, key=lambda one: (one.about.target.name, one.about.host, one.sha256))
    values = {"schema": SCHEMA, "archives": [one.to_json() for one in ordered]}
    return json.dumps(values, indent=1, sort_keys=True).encode() + b"\n"


def parse(content: bytes) -> list[Archive]:
    """What an `index.json` says; without what this version of toolman does not know.

    Raises:
        InputError: it takes a newer toolman.
        IntegrityError: it is no index.
    """
    try:
        values = json.loads(content)
        if values["schema"] > SCHEMA:
            raise InputError("the index is of a newer kind", hint="update toolman")
        found = [_archive(row) for row in values["archives"]]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IntegrityError(f"this is no index of toolman's: {error!r}") from error
    return [one for one in found if one]


def url_of(text: str, directory: Path) -> str:
    """A URL without the last slash; that of a directory if it is one.

    Raises:
        InputError: it is neither.
    """
    if "://" not in text and (directory / text).is_dir():
        return (directory / text).resolve().as_uri()
    from toolman import registry, web  # a tenth of a second: kept off what does not ask

    if registry.is_oci(text):
        registry.repository(text.rstrip("/"))
    elif not _URL.fullmatch(text):
        raise InputError(
            f"{web.shown(text)!r} is no URL", hint="https://…, oci://…, file:///… or a directory"
        )
    return text.rstrip("/")


def _read(place: Path) -> Index | None:
    try:
        values = json.loads((place / "index.json").read_text("utf-8"))
        if values["schema"] != SCHEMA:
            return None
        return Index(name=place.name, urls=tuple(values["urls"]), directory=place)
    except (OSError, ValueError, TypeError, KeyError):
        return None


@contextmanager
def _locked(ctx: Context) -> Iterator[None]:
    """Be the only one who asks: python-tuf's directories are for one at a time."""
    place = ctx.paths.indexes / ".locks"

    def waiting() -> None:
        ctx.reporter.step("waiting for another toolman that asks an index")

    with store.locked(place, "indexes", waiting):
        store.remove_tree(ctx.paths.indexes / ".staging")  # of one that was killed
        yield


def _ask(index: Index, ctx: Context, get: Get | None = None) -> list[Archive]:
    """Ask, and remember what the first good URL says, or `get`."""
    from toolman import metadata, remote, web  # a tenth of a second: kept off what does not ask

    root = (index.directory / "root.json").read_bytes()

    def ask(get: Get) -> tuple[bytes, list[Archive]]:
        content = metadata.read(index.directory / "metadata", root, get)
        return content, parse(content)

    def of(url: str) -> tuple[bytes, list[Archive]]:
        with remote.fetcher(url) as every:
            return ask(remote.sparing(every, index.directory / "known.json"))

    if get:
        content, found = ask(get)
    elif not index.urls:
        raise NetworkError(f"index {index.name} has no URL", hint="see: toolman import --help")
    else:
        said, warn = f"index {index.name}, ", ctx.reporter.step
        content, found = web.first_good(index.urls, of, said, warn)
    _keep(index, content)
    return found


def _kept(index: Index) -> tuple[bytes, float]:
    """What was verified last, and when."""
    try:
        values = json.loads((index.directory / "known.json").read_bytes())
        said: bytes = values["index"].encode()
        if hashlib.sha256(said).hexdigest() == values["sha256"]:
            return said, float(values["asked"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass
    raise IntegrityError(f"what is known of index {index.name} is damaged")


def _keep(index: Index, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    values = {"schema": SCHEMA, "asked": time.time(), "sha256": digest, "index": content.decode()}
    store.write(index.directory / "known.json", json.dumps(values) + "\n")


def _check_age(index: Index, kept: Catalogue, error: NetworkError, ctx: Context) -> None:
    if kept.age > STALE and ctx.environ.get("TOOLMAN_STALE_INDEX") != "1":
        raise NetworkError(
            f"{error}; and what it said {report.ago(kept.age)} ago is too old",
            hint="TOOLMAN_STALE_INDEX=1 takes it all the same",
        ) from error


def _archive(row: dict[str, Any]) -> Archive | None:
    try:
        about = toolchain.parse(row["toolchain"])
    except InputError:
        return None  # a target of tomorrow
    if about is None:
        return None
    words = (about.name, about.version, about.host, about.digest, about.origin)
    good = all(_WORD.fullmatch(word) for word in words) and not about.root
    if not good or not all(blob.is_count(row[key]) for key in ("unpacked", "files")):
        raise ValueError(f"a wrong entry: {row['sha256']!r}")
    return Archive(
        **vars(blob.parse(row)),
        unpacked=row["unpacked"],
        files=row["files"],
        about=about,
        provenance=blob.parse(row["provenance"]) if "provenance" in row else None,
    )
