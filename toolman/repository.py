"""Repositories: making and signing them; see `index` for what lies where.

Whatever is written is written beside its place and renamed; archives first, then what names
them, and `timestamp.json`, which readers ask first, last. So a reader, or a kill, at any moment
sees the old state or the new one. One publisher at a time: hold a lock.
"""

from __future__ import annotations

import hashlib
import html as markup
import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolman import archive as archives
from toolman import index, manifest, metadata, provenance, signing, store, toolchain
from toolman.blob import Blob
from toolman.checkpoint import checkpoint
from toolman.digest import sha256
from toolman.errors import InputError, IntegrityError
from toolman.index import Archive
from toolman.lifetimes import Lifetimes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from toolman.metadata import State
    from toolman.signing import Keys, Owner

LASTS = Lifetimes()
_KEPT = 30 * 86400.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A repository with its keys, verified."""

    directory: Path
    keys: Keys
    state: State

    @property
    def archives(self) -> list[Archive]:
        return index.parse(self.state.index)


def init(
    directory: Path,
    keys: Path,
    *,
    root_keys: int = 3,
    threshold: int = 2,
    lasts: Lifetimes = LASTS,
) -> None:
    """Make a repository without archives, and its keys.

    Raises:
        InputError: one of the directories is there and not empty, or the numbers are wrong.
    """
    if not 1 <= threshold <= root_keys:
        raise InputError(f"{threshold} of {root_keys} keys cannot sign")
    if keys.resolve().is_relative_to(directory.resolve()):
        raise InputError(f"{keys} is in {directory}, which is for everybody")
    for place in (directory, keys):
        if place.exists() and not (place.is_dir() and not any(place.iterdir())):
            raise InputError(f"{place} is not empty", hint="name a new directory")
    for place in (directory, keys):
        _sweep(place.parent, f".{place.name}")
    fresh_keys, fresh = _beside(keys), _beside(directory)
    try:
        made = signing.make_all(fresh_keys, root_keys)
        files = signing.begun(made, threshold, index.dump([]), lasts)
        (fresh_keys / "root.json").write_bytes(files["metadata/1.root.json"])
        publish(fresh, files, [])
        fresh_keys.rename(keys)
        fresh.rename(directory)
    finally:
        shutil.rmtree(fresh_keys, ignore_errors=True)
        shutil.rmtree(fresh, ignore_errors=True)


def opened(directory: Path, keys: Path) -> Opened:
    """The repository in `directory`, verified from the root on that is kept with the keys.

    Raises:
        InputError: there is no repository, or there are no keys.
        IntegrityError: it is not what its keys have signed.
    """
    found = signing.load_keys(keys)
    try:
        trusted = found.root.read_bytes()
    except FileNotFoundError:
        hint = "put there the file metadata/1.root.json of the repository, if you trust it"
        raise InputError(f"there is no {found.root}", hint=hint) from None
    state = metadata.load(directory, trusted)
    if index.dump(index.parse(state.index)) != state.index:
        raise InputError(f"{directory} was made by a newer toolman", hint="update toolman")
    _sweep(directory)
    return Opened(directory=directory, keys=found, state=state)


def read(directory: Path) -> State:
    """What the repository in `directory` says, without keys; only its own root vouches for it.

    Raises:
        InputError: there is no repository.
        IntegrityError: it is damaged.
    """
    try:
        root = (directory / "metadata/1.root.json").read_bytes()
    except OSError as error:
        raise InputError(f"{directory} is no repository: {error.strerror}") from error
    return metadata.load(directory, root)


def describe(file: Path, work: Path) -> Archive:
    """What the index says of an archive. It is unpacked in `work`, to see that it can be.

    Raises:
        IntegrityError: it is no archive of a toolchain, or the provenance beside it is another's.
    """
    name, text = archives.first(file)
    about = toolchain.loads(text)
    if about is None or about.root or not name.endswith(f"/{toolchain.FILE}"):
        raise IntegrityError(f"{file} holds no toolchain that toolman knows")
    tree = work / "tree"
    tree.mkdir()
    archives.unpack(file, tree)
    members = sum(len(below) + len(names) for _, below, names in os.walk(tree)) + 1
    unpacked = archives.size(tree)
    manifest.seal(tree)  # which sees whether it is still what was installed
    shutil.rmtree(tree)
    digest = sha256(file)
    found = Archive(
        sha256=digest,
        size=file.stat().st_size,
        unpacked=unpacked,
        files=members,
        about=about,
        provenance=_provenance(file, digest),
    )
    index.parse(index.dump([found]))  # what readers would refuse
    return found


def add(
    repository: Opened, files: Mapping[Path, Archive], lasts: Lifetimes = LASTS
) -> list[Archive]:
    """Add archives; what the repository holds then.

    Raises:
        InputError: a key is missing.
        IntegrityError: a file has changed meanwhile.
    """
    every = index.parse(index.dump([*repository.archives, *files.values()]))
    signed = signing.updated(repository.state, repository.keys, lasts, index.dump(every))
    for file, found in files.items():
        for blob in found.blobs:
            source = file if blob is found else provenance.beside(file)
            _copy(source, repository.directory / index.blob_path(blob.sha256), blob.sha256)
    publish(repository.directory, signed, every)
    return every


def remove(repository: Opened, digests: Sequence[str], lasts: Lifetimes = LASTS) -> list[Archive]:
    """Remove the archives whose digests begin so; what was removed.

    Raises:
        InputError: no archive, or more than one, begins so, or a key is missing.
    """
    gone = [_named(one, repository.archives) for one in digests]
    left = [one for one in repository.archives if one not in gone]
    signed = signing.updated(repository.state, repository.keys, lasts, index.dump(left))
    publish(repository.directory, signed, left)
    kept = {blob.sha256 for one in left for blob in one.blobs}
    for blob in (blob for one in gone for blob in one.blobs if blob.sha256 not in kept):
        (repository.directory / index.blob_path(blob.sha256)).unlink(missing_ok=True)
    return gone


def refresh(repository: Opened, lasts: Lifetimes = LASTS) -> None:
    """Sign anew what expires in days; targets too, if it soon expires.

    What nothing names any more goes a month later: until then a reader may be in the midst of it.

    Raises:
        InputError: a key is missing.
    """
    signed = signing.updated(repository.state, repository.keys, lasts)
    publish(repository.directory, signed, repository.archives)
    _prune(repository, signed)


def rotate(
    repository: Opened,
    owner: Owner,
    *,
    count: int = 1,
    threshold: int = 1,
    lasts: Lifetimes = LASTS,
) -> None:
    """Replace the keys of a role by new ones, which are written beside the old ones.

    Raises:
        InputError: the numbers are wrong, or fewer root keys than must sign are there.
    """
    if not 1 <= threshold <= count:
        raise InputError(f"{threshold} of {count} keys cannot sign")
    keys, state = repository.keys, repository.state
    signing.check(state, "root", keys)
    made = signing.make_keys(keys.directory, owner, count)
    signed = signing.rotated(state, keys, owner, made, threshold, lasts)
    publish(repository.directory, signed, repository.archives)
    _replace(keys.root, list(signed.values())[-1])


def publish(directory: Path, files: Mapping[str, bytes], every: Sequence[Archive]) -> None:
    """Write signed `files`, the last one last, and the page that tells of `every` archive."""
    _page(directory, every)
    _write(directory, files)


def _provenance(file: Path, digest: str) -> Blob | None:
    beside = provenance.beside(file)
    try:
        content = beside.read_bytes()
    except FileNotFoundError:
        return None
    provenance.check(content, digest, str(beside))
    return Blob(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def _prune(repository: Opened, signed: Mapping[str, bytes]) -> None:
    """Delete snapshots, targets and indexes that are a month old and no longer named."""
    state = repository.state
    named = {*signed, f"metadata/{state.targets.signed.version}.targets.json"}
    named.add(metadata.target_path(state.targets.signed.targets[metadata.INDEX]))
    before = time.time() - _KEPT
    for pattern in ("metadata/*.snapshot.json", "metadata/*.targets.json", "targets/*.index.json"):
        for path in repository.directory.glob(pattern):
            inside = str(path.relative_to(repository.directory))
            if inside not in named and path.stat().st_mtime < before:
                path.unlink()


def _page(directory: Path, found: Sequence[Archive]) -> None:
    """Write `index.html`, for people."""
    rows = "".join(_row(one) for one in found)
    _replace(directory / "index.html", _PAGE.replace("@ROWS@", rows).encode())


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        # before-index, before-targets … before-timestamp
        checkpoint(f"before-{name.removesuffix('.json').rpartition('/')[2].rpartition('.')[2]}")
        _replace(directory / name, data)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = _beside(path)
    try:
        with fresh.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _copy(file: Path, place: Path, digest: str) -> None:
    if place.exists() and sha256(place) == digest:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = _beside(place)
    try:
        shutil.copyfile(file, fresh)
        if sha256(fresh) != digest:
            raise IntegrityError(f"{file} has changed while it was published")
        fresh.chmod(0o444)
        checkpoint("before-blob")
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}")


def _sweep(directory: Path, name: str = "**/.*") -> None:
    """Delete what a killed publisher has left `_beside` a place."""
    for path in directory.glob(f"{name}.????????"):
        store.remove_tree(path)


def _named(word: str, every: Sequence[Archive]) -> Archive:
    found = [one for one in every if one.sha256.startswith(word)]
    if len(found) != 1 or len(word) < 8:
        raise InputError(
            f"{len(found) or 'no'} archives have a digest that begins with {word!r}",
            hint="give 8 letters of it or more; see: toolman publish list DIR",
        )
    return found[0]


def _row(one: Archive) -> str:
    about = one.about
    cells = [about.target.name, about.version, ", ".join(about.languages), about.host]
    cells += [f"{one.size / 1e6:.1f} MB", f"{one.unpacked / 1e6:.1f} MB"]
    said = "".join(f"<td>{markup.escape(cell)}</td>" for cell in cells)
    link = f'<a href="{index.blob_path(one.sha256)}"><code>{one.sha256}</code></a>'
    if one.provenance:
        link += f' <a href="{index.blob_path(one.provenance.sha256)}">provenance</a>'
    return f"<tr>{said}<td>{link}</td></tr>\n"


_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Toolchains</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem }
table { border-collapse: collapse; display: block; overflow-x: auto }
td, th { border-bottom: 1px solid #8888; padding: .3rem .8rem .3rem 0; text-align: left }
</style>
<h1>Toolchains</h1>
<p>Archives for <code>toolman</code>. Take <code>root.json</code> from somebody whom you trust,
not from here, and then:</p>
<pre>toolman index add NAME URL --root root.json
toolman install arm64-musl</pre>
<table>
<tr><th>target<th>GCC<th>languages<th>host<th>packed<th>unpacked<th>sha256</tr>
@ROWS@</table>
<p>An archive by itself: <code>tar --zstd -xf FILE</code>. What this page says is not signed;
what toolman reads is.</p>
</html>
"""
