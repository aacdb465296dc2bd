"""What the files of a toolchain are: `manifest.json` at the head of its tree (schema 1).

    files     by path: what kind it is (`file`, `program`, `link`, `directory`), and its sha256, or
              where the link leads
    sha256    of `files`, so that damage to the manifest itself is seen

It lists everything but itself, is written in staging when all else is done, and says nothing of
the machine: equal trees have equal manifests. An archive carries the one of the tree that was
packed, so it is covered by the archive's digest: what it says of the files' bytes was seen to be so
when `publish` took the archive, and is not computed again. In the store no file can be written to.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolman import toolchain
from toolman.digest import sha256
from toolman.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    Rows = dict[str, list[str]]

FILE = "manifest.json"
SCHEMA = 1

_HASHERS = 4  # threads; hashing does not hold Python's lock
_UNREADABLE = "unreadable"
_ANEW = (toolchain.FILE, toolchain.SBOM)  # written at every install; dated when it is packed
_FILES = {"file": "is not executable any more", "program": "has become executable"}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A file that is not what the manifest says."""

    path: str
    """Relative to the tree."""
    what: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A tree held against its manifest."""

    files: int
    """What the manifest lists: files, directories and links."""
    differences: tuple[Difference, ...]


def seal(tree: Path, *, believed: bool = False) -> None:
    """Write the manifest of `tree`, which is complete; what came with it is checked before.

    A manifest that is `believed` is only held against what there is of files, directories and
    links; what is in the files is as it says.

    Raises:
        IntegrityError: the tree is not what the manifest that it came with says.
        OSError: the file system's, as ENOSPC.
    """
    carried = _read(tree)
    rows = _rows(tree, (carried or {}) if believed else {})
    anew: Rows = {name: [] for name in _ANEW}
    if carried is not None and (wrong := _compared({**carried, **anew}, {**rows, **anew})):
        raise IntegrityError(
            f"the archive is not what its own manifest says: {wrong[0].path} {wrong[0].what}",
            hint="it was packed of a damaged toolchain; see: toolman verify --store",
        )
    for kind, what in rows.values():
        if kind == _UNREADABLE:
            raise IntegrityError(f"what was just written cannot be read: {what}")
    values = {"schema": SCHEMA, "sha256": _sum(rows), "files": rows}
    (tree / FILE).unlink(missing_ok=True)
    (tree / FILE).write_text(json.dumps(values, indent=0, sort_keys=True) + "\n", "utf-8")


@contextmanager
def sealing(tree: Path, *, believed: bool) -> Iterator[None]:
    """`seal` the tree while the block is at work elsewhere.

    Raises: as `seal`.
    """
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(seal, tree, believed=believed)
        yield
        work.result()


def check(tree: Path) -> Checked | None:
    """Hold `tree`, which is in the store, against its manifest; None if it has none."""
    try:
        said = _read(tree)
    except IntegrityError:
        return Checked(files=0, differences=(Difference(path=FILE, what="is damaged"),))
    if said is None:
        return None
    wrong = (*_compared(said, _rows(tree, {})), *_writable(tree))
    return Checked(files=len(said), differences=wrong)


def _read(tree: Path) -> Rows | None:
    """The rows of the manifest in `tree`; None if there is none.

    Raises:
        IntegrityError: it is damaged.
    """
    try:
        values = json.loads((tree / FILE).read_bytes())
        rows: Rows = values["files"]
        whole = all(len(row) == 2 for row in rows.values())
        if whole and values["schema"] == SCHEMA and values["sha256"] == _sum(rows):
            return rows
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise IntegrityError("its manifest is damaged")


def _sum(rows: Rows) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _rows(tree: Path, believed: Rows) -> Rows:
    """What there is; of the files that `believed` has, what it says of their bytes."""
    rows: Rows = {}
    files: dict[str, os.stat_result] = {}
    for path, about in _walked(tree):
        if stat.S_ISREG(about.st_mode):
            files[path] = about
        elif stat.S_ISLNK(about.st_mode):
            rows[path] = ["link", str((tree / path).readlink())]
        else:
            rows[path] = ["directory" if stat.S_ISDIR(about.st_mode) else "special file", ""]
    files.pop(FILE, None)
    known = {path: row[1] for path, row in believed.items() if row[0] in _FILES}
    return rows | _file_rows(tree, files, {path: known[path] for path in known.keys() - {*_ANEW}})


def _walked(tree: Path) -> Iterator[tuple[str, os.stat_result]]:
    """All that is below `tree`, by its path there; links are not followed."""
    root = f"{tree}/"
    for directory, below, names in os.walk(tree):
        for name in (*below, *names):
            path = f"{directory}/{name}"
            yield path.removeprefix(root), os.lstat(path)


def _file_rows(tree: Path, files: Mapping[str, os.stat_result], known: Mapping[str, str]) -> Rows:
    # A compiler has many names; each file is read once, the largest first.
    inodes = {(one.st_dev, one.st_ino): name for name, one in files.items()}
    unread = [name for name in inodes.values() if name not in known]
    names = sorted(unread, key=lambda name: -files[name].st_size)
    shares = [names[start::_HASHERS] for start in range(_HASHERS)]
    with ThreadPoolExecutor(_HASHERS) as pool:
        done = pool.map(lambda share: [(name, _digest(tree / name)) for name in share], shares)
        digests = {name: digest for share in done for name, digest in share}
    digests |= {name: ("file", digest) for name, digest in known.items()}
    rows = {}
    for name, about in files.items():
        kind, digest = digests[inodes[about.st_dev, about.st_ino]]
        if kind == "file" and about.st_mode & 0o100:
            kind = "program"
        rows[name] = [kind, digest]
    return rows


def _digest(path: Path) -> tuple[str, str]:
    try:
        return "file", sha256(path)
    except OSError as error:
        return _UNREADABLE, f"{error.strerror}: {path}"


def _compared(
    said: Mapping[str, Sequence[str]], there: Mapping[str, Sequence[str]]
) -> list[Difference]:
    both = {path: (said.get(path), there.get(path)) for path in sorted({*said, *there})}
    return [
        Difference(path=path, what=_difference(*pair))
        for path, pair in both.items()
        if pair[0] != pair[1]
    ]


def _difference(said: Sequence[str] | None, there: Sequence[str] | None) -> str:
    if said is None:
        return "does not belong there"
    if there is None:
        return "is missing"
    if there[0] == _UNREADABLE:
        return f"cannot be read: {there[1]}"
    if said[0] == there[0] == "link":
        return f"leads to {there[1]}, not to {said[1]}"
    if not {said[0], there[0]} <= {*_FILES}:
        return f"is a {there[0]}, not a {said[0]}"
    return "has changed" if said[1] != there[1] else _FILES[there[0]]


def _writable(tree: Path) -> Iterator[Difference]:
    for path, about in _walked(tree):
        if stat.S_ISREG(about.st_mode) and about.st_mode & 0o222:
            yield Difference(path=path, what="can be written to")
