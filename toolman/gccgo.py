"""What a Go build asks of gccgo that its library and language, Go 1.18's, do not have.

`go list -compiler gccgo` names the files and packages, as the build will take them. The packages
of newer Go stand in `data/go-packages.toml`; which names a package has is read in the toolchain
itself: libgo's `.gox` files hold their export data as text, in GCC 12 to 16. Generics and the
other syntax of newer Go are seen in the files.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from toolman import cgo, gosource, run
from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FILE = Path(__file__).parent / "data/go-packages.toml"
_FIELDS = ("ImportPath", "Standard", "DepOnly", "Dir", "Module", "Error", "Imports")
_FILES = ("GoFiles", "CgoFiles")
# What go says of a package that this library lacks, before Go 1.21 and since.
_NOT_THERE = re.compile(r"package (\S+) is not in (?:GOROOT|std)")
_EXPORT = re.compile(rb'^(?:(?:func|var|const) (\w+)|type \d+ "(\w+)")', re.MULTILINE)
# The Go whose files are compiled with a variable of its own for each iteration of a loop.
_LOOPS = (1, 22)

Kind = Literal["import", "name", "language", "assembly", "loop"]


@dataclass(frozen=True, kw_only=True)
class Lack:
    """Something that a package needs and gccgo lacks."""

    package: str
    module: str | None
    """`example.org/module v1.2.3`"""
    file: str
    line: int
    """Where it stands first."""
    count: int
    """In how many places of the package."""
    kind: Kind
    """`loop`: it builds, and may do something else than with gc."""
    what: str
    """`log/slog`, `errors.Join`, `generics` …"""
    since: str | None
    """The Go that brought it, if that is known."""


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A build, in the order in which `go list` gives its packages."""

    lacks: tuple[Lack, ...]
    total: int
    """Of packages that are not the standard library's."""

    @property
    def builds(self) -> bool:
        """Whether nothing was found that keeps it from building."""
        return all(one.kind == "loop" for one in self.lacks)


def examine(
    words: Sequence[str],
    *,
    go: str,
    directory: Path,
    environ: Mapping[str, str],
    tags: Sequence[str] = (),
    gccgo: Path | None = None,
    tests: bool = False,
) -> Examined:
    """What the build of the packages `words` needs and gccgo lacks.

    `environ` names the platform (GOOS, GOARCH), `gccgo` the compiler; without it only the packages
    and the language are looked at. `tests`: as `go test` builds them.

    Raises:
        InputError: there is nothing to build there, or go cannot list it.
    """
    fields = ",".join([*_FIELDS, *_FILES, "SFiles"])
    argv = [go, "list", "-e", "-deps", "-compiler=gccgo", f"-json={fields}"]
    argv += [*(["-test"] if tests else []), f"-tags={','.join(tags)}", "--", *words]
    env = {**environ, "CGO_ENABLED": "1", "GCCGO": str(gccgo or "gccgo")}
    found = cgo.listed(argv, env, directory)
    missing = _missing(found)
    library = _Library(gccgo)
    # A package is listed again for its tests, and `go test` has a main of its own.
    mine = [
        one
        for path, one in found.items()
        if not one.get("Standard") and path not in missing and not path.endswith(".test")
    ]
    lacks: dict[tuple[str, str, str], Lack] = {}
    for one in mine:
        for lack in _of(one, missing, library, directory):
            key = (lack.package, lack.kind, lack.what)
            same = lacks.get(key)
            if same is None or lack.count > same.count:
                lacks[key] = lack
    return Examined(lacks=tuple(lacks.values()), total=len({_path(one) for one in mine}))


@cache
def packages() -> dict[str, str]:
    """The standard library's packages that are newer than Go 1.18, and the Go of each."""
    rows: dict[str, list[str]] = tomllib.loads(FILE.read_text("utf-8"))
    return {path: version for version, paths in rows.items() for path in paths}


class _Library:
    """The packages of an installed gccgo; without one nothing is known of them."""

    def __init__(self, gccgo: Path | None) -> None:
        self._directories = _directories(gccgo) if gccgo else []
        self._names: dict[str, frozenset[str] | None] = {}

    def lacks(self, path: str, name: str) -> bool:
        """Whether the package `path` is there, and has no `name`."""
        if path not in self._names:
            self._names[path] = self._read(path)
        names = self._names[path]
        return names is not None and name not in names

    def _read(self, path: str) -> frozenset[str] | None:
        for directory in self._directories:
            try:
                data = (directory / f"{path}.gox").read_bytes()
            except OSError:
                continue
            found = {(one[1] or one[2]).decode() for one in _EXPORT.finditer(data)}
            return frozenset(found) or None
        return None


def _directories(gccgo: Path) -> list[Path]:
    """Where its library is, as cmd/go finds it (internal/goroot/gccgo.go)."""
    said = [
        run.check("gccgo", [gccgo, f"-{word}"]).strip()
        for word in ("dumpversion", "dumpmachine", "print-search-dirs")
    ]
    version, machine, places = said
    libraries = re.search(r"^libraries: =?(.*)$", places, re.MULTILINE)
    places = libraries[1] if libraries else ""
    found = (Path(one, "go", version, machine) for one in places.split(":") if one)
    return [one for one in found if one.is_dir()]


def _missing(listed: Mapping[str, dict[str, Any]]) -> dict[str, str | None]:
    """The packages that the library has not, and the Go of each.

    Raises:
        InputError: something else keeps go from listing the build.
    """
    missing: dict[str, str | None] = {}
    for path, one in listed.items():
        text = one.get("Error", {}).get("Err", "")
        if path in packages() or _NOT_THERE.search(text):
            missing[path] = packages().get(path)
        elif text:
            raise InputError(f"{path}: {' '.join(text.split())}")
    if not any(not one.get("DepOnly") for one in listed.values()):
        raise InputError("no package is there", hint="toolman explain --compiler gccgo ./...")
    return missing


def _path(one: Mapping[str, Any]) -> str:
    """`example.org/a` of `example.org/a [example.org/a.test]`."""
    path: str = one["ImportPath"]
    return path.partition(" ")[0]


def _of(
    one: Mapping[str, Any],
    missing: Mapping[str, str | None],
    library: _Library,
    directory: Path,
) -> Iterator[Lack]:
    """What a package needs; each thing once."""
    loops = _numbers(one.get("Module", {}).get("GoVersion", "")) >= _LOOPS
    places: dict[tuple[Kind, str], list[tuple[str, int]]] = {}
    for file, use in _uses(one):
        if use.kind == "import" and use.what not in missing:
            continue
        if use.kind == "name" and not library.lacks(*use.what.rsplit(".", 1)):
            continue
        if use.kind == "loop" and not loops:
            continue
        places.setdefault((use.kind, use.what), []).append((_shown(file, directory), use.line))
    for file in _assembly(one):
        places.setdefault(("assembly", "Go's assembly"), []).append((_shown(file, directory), 1))
    for (kind, what), where in places.items():
        yield Lack(
            package=_path(one),
            module=cgo.module_of(one),
            file=where[0][0],
            line=where[0][1],
            count=len(where),
            kind=kind,
            what=what,
            since=missing.get(what) if kind == "import" else None,
        )


def _uses(one: Mapping[str, Any]) -> Iterator[tuple[Path, gosource.Use]]:
    files = [Path(one["Dir"], name) for field in _FILES for name in one.get(field, ())]
    read = {file: gosource.read(_text(file)) for file in files}
    own = frozenset[str]().union(*(source.defines for source in read.values()))
    for file, source in read.items():
        yield from ((file, use) for use in source.uses if use.what not in own)


def _assembly(one: Mapping[str, Any]) -> Iterator[Path]:
    """Its files for Go's assembler; gccgo gives them to the C compiler's."""
    for name in one.get("SFiles", ()):
        file = Path(one["Dir"], name)
        if re.search(r"^TEXT\s", _text(file), re.MULTILINE):
            yield file


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""


def _shown(file: Path, directory: Path) -> str:
    return str(file.relative_to(directory) if file.is_relative_to(directory) else file)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
