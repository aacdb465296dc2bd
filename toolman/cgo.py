"""Which packages of a Go build use cgo, and why: from `go list`, which builds nothing.

The build is listed three times, as it can be made: without cgo, with it, and static, with the
tags of toolman's environments. What the standard library's packages do in each is a fact of their
sources (net/net.go, os/user/user.go, plugin/plugin.go, the same from Go 1.19 to 1.27); what others
do is seen in the lists.
"""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import offline, run
from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_FIELDS = (
    *("ImportPath", "Name", "Standard", "DepOnly", "Module", "Error", "Imports"),
    *("Dir", "GoFiles", "CgoFiles", "CFiles", "CXXFiles", "CgoLDFLAGS", "CgoPkgConfig"),
)
_DLOPEN = "; it calls dlopen, which fails in a static program"
_LOST = "left without those files; what they declare is missing"
_FLAGS = ("tags", "ldflags", "compiler", "gccgoflags")


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a package of the standard library."""

    why: str
    off: str
    on: str
    static: str


STANDARD = {
    "net": Known(
        why="names are looked up by libc too: getaddrinfo, getnameinfo, res_search",
        off="Go's own resolver, by /etc/resolv.conf and /etc/hosts",
        on="Go's own resolver, but libc's where nsswitch.conf or GODEBUG=netdns=cgo ask for it",
        static="Go's own resolver, by the tag netgo; without it glibc's would load libnss_*",
    ),
    "os/user": Known(
        why="users and groups are looked up by libc: getpwuid_r, getgrnam_r, getgrouplist",
        off="read from /etc/passwd and /etc/group",
        on="looked up by libc: LDAP and the like as well, where nsswitch.conf names them",
        static="read from /etc/passwd and /etc/group, by the tag osusergo",
    ),
    "runtime/cgo": Known(
        why="part of every program with cgo: threads that C can run on, and calls from C",
        off="not in the program",
        on="threads are made by pthread_create",
        static="threads are made by the static libc's pthread_create",
    ),
    "plugin": Known(
        why="plugins are loaded by libc: dlopen",
        off="every plugin.Open fails: plugin: not implemented",
        on="works, where the program is dynamic",
        static="cannot work: a static program has no dlopen",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package that uses cgo."""

    path: str
    module: str | None
    """`example.org/module v1.2.3`; None in the standard library."""
    files: tuple[str, ...]
    """Those with `import "C"`."""
    cxx: bool
    libraries: tuple[str, ...]
    """What it links by name: `sqlite3`."""
    pkg_config: tuple[str, ...]
    chain: tuple[str, ...]
    """A shortest way from a package that was asked for: both are in it."""
    why: str
    off: str
    on: str
    static: str


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A build's packages that use cgo; in the order in which `go list` gives them."""

    packages: tuple[Package, ...]
    builds_without: bool | None
    """Whether it builds with CGO_ENABLED=0; None where only a compiler can tell."""
    total: int
    """Of packages in the build, the standard library's included."""


def explain(
    words: Sequence[str],
    *,
    go: str,
    directory: Path,
    environ: Mapping[str, str],
    tags: Sequence[str],
    static_tags: Sequence[str],
) -> Explained:
    """What uses cgo in the build of the packages `words`, as go names them.

    `environ` names the platform (GOOS, GOARCH); `tags` are the user's, `static_tags` those of a
    static build.

    Raises:
        InputError: there is nothing to build there, or go cannot list it.
    """

    def build(
        named: Sequence[str], cgo: str, more: Sequence[str] = ()
    ) -> dict[str, dict[str, Any]]:
        argv = [go, "list", "-e", "-deps", f"-json={','.join(_FIELDS)}"]
        argv += [f"-tags={','.join([*tags, *more])}", "--", *named]
        return listed(argv, {**environ, "CGO_ENABLED": cgo}, directory)

    with_cgo = build(words, "1")
    _check(with_cgo)
    asked = [path for path, one in with_cgo.items() if not one.get("DepOnly")]
    # By their names, for `./...` leaves out what has no file without cgo.
    without, static = build(asked, "0"), build(asked, "1", static_tags)
    chains = _chains(with_cgo, asked)
    found = [
        _package(one, chains.get(path, (path,)), without, static)
        for path, one in with_cgo.items()
        if one.get("CgoFiles") or path == "plugin"
    ]
    builds = not any(one.get("Error") for one in without.values())
    return Explained(
        packages=tuple(found),
        builds_without=None if builds and any(one.off == _LOST for one in found) else builds,
        total=len(with_cgo),
    )


def listed(
    argv: Sequence[str], environ: Mapping[str, str], directory: Path
) -> dict[str, dict[str, Any]]:
    """What `go list -json` says of each package, by its path.

    Raises:
        InputError: it fails.
    """
    env = {**environ, "GOPROXY": "off"} if offline.on() else environ
    done = run.run(argv, env=env, cwd=directory)
    if done.code:
        said = done.err.strip().splitlines() or [f"exit code {done.code}"]
        raise InputError(f"go list: {said[-1]}", hint="is this the directory of a Go module?")
    return {one["ImportPath"]: one for one in _objects(done.out)}


def plain(environ: Mapping[str, str], platform: Mapping[str, str]) -> dict[str, str]:
    """For `go list`: Go's variables of a platform, and nothing of an active environment's flags."""
    ours = ("TOOLMAN_GO_", "CGO_", "GOFLAGS")
    kept = {key: value for key, value in environ.items() if not key.startswith(ours)}
    flags = [
        one
        for one in environ.get("GOFLAGS", "").split()
        if one.partition("=")[0].lstrip("-") not in _FLAGS
    ]
    return {**kept, "GOOS": "linux", **platform, "GOFLAGS": " ".join(flags)}


def own_tags(environ: Mapping[str, str], ours: Sequence[str]) -> list[str]:
    """The user's in GOFLAGS, without `ours`."""
    words = environ.get("GOFLAGS", "").split()
    said = [one.partition("=")[2] for one in words if one.lstrip("-").startswith("tags=")]
    return [tag for one in said for tag in one.split(",") if tag and tag not in ours]


def module_of(one: Mapping[str, Any]) -> str | None:
    """`example.org/module v1.2.3`; None for a package of the standard library."""
    module = one.get("Module")
    return " ".join(filter(None, (module["Path"], module.get("Version")))) if module else None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects that follow one another in `text`."""
    decoder, at = json.JSONDecoder(), 0
    while (start := text.find("{", at)) >= 0:
        found, at = decoder.raw_decode(text, start)
        yield found


def _check(listed: Mapping[str, dict[str, Any]]) -> None:
    for one in listed.values():
        if error := one.get("Error"):
            raise InputError(f"{one['ImportPath']}: {' '.join(error['Err'].split())}")
    if not any(not one.get("DepOnly") for one in listed.values()):
        raise InputError("no package is there", hint="toolman explain ./...")


def _chains(
    listed: Mapping[str, dict[str, Any]], asked: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """To each package a shortest way from one that was asked for."""
    chains: dict[str, tuple[str, ...]] = {path: (path,) for path in asked}
    waiting = deque(asked)
    while waiting:
        path = waiting.popleft()
        implied = ("runtime/cgo",) if listed[path].get("CgoFiles") else ()
        for other in (*listed[path].get("Imports", ()), *implied):
            if other in listed and other not in chains:
                chains[other] = (*chains[path], other)
                waiting.append(other)
    return chains


def _package(
    one: Mapping[str, Any],
    chain: tuple[str, ...],
    without: Mapping[str, dict[str, Any]],
    static: Mapping[str, dict[str, Any]],
) -> Package:
    path = one["ImportPath"]
    known = STANDARD.get(path) or _seen(one, without.get(path), static.get(path))
    return Package(
        path=path,
        module=module_of(one),
        files=tuple(one.get("CgoFiles", ())),
        cxx=bool(one.get("CXXFiles")),
        libraries=tuple(dict.fromkeys(_libraries(one.get("CgoLDFLAGS", ())))),
        pkg_config=tuple(dict.fromkeys(one.get("CgoPkgConfig", ()))),
        chain=chain,
        why=known.why,
        off=known.off,
        on=known.on,
        static=known.static,
    )


def _libraries(flags: Sequence[str]) -> Iterator[str]:
    words = iter(flags)
    for word in words:
        if word == "-l":
            yield next(words, "")
        elif word.startswith("-l"):
            yield word[2:].removeprefix(":")


def _seen(
    one: Mapping[str, Any], without: Mapping[str, Any] | None, static: Mapping[str, Any] | None
) -> Known:
    """What the lists show of a package that `STANDARD` does not have."""
    language = "C++" if one.get("CXXFiles") else "C"
    linked = bool(one.get("CgoLDFLAGS") or one.get("CgoPkgConfig"))
    needs = "; its libraries must be there where the program runs" if linked else ""
    return Known(
        why=f'import "C" in {", ".join(one["CgoFiles"])}',
        off=_off(one, without),
        on=f"its {language} code is compiled and linked{needs}",
        static=_static(static, language, linked=linked) + (_DLOPEN if _loads(one) else ""),
    )


def _static(one: Mapping[str, Any] | None, language: str, *, linked: bool) -> str:
    if one is None:
        return "not in the program: what imports it does not, with these tags"
    if not one.get("CgoFiles"):
        return "Go files in place of those with cgo, by the tags"
    return f"its {language} code{' and its libraries are' if linked else ' is'} in the program"


def _loads(one: Mapping[str, Any]) -> bool:
    """Whether its C code calls dlopen."""
    names = [name for field in ("CgoFiles", "CFiles", "CXXFiles") for name in one.get(field, ())]
    files = [path for name in names if (path := Path(one["Dir"], name)).is_file()]
    return any(re.search(rb"\bdlopen\s*\(", path.read_bytes()) for path in files)


def _off(one: Mapping[str, Any], without: Mapping[str, Any] | None) -> str:
    if without is None:
        return "not in the program: what imports it does not, without cgo"
    if without.get("Error") or not without.get("GoFiles"):
        return "does not build: without cgo it has no file"
    other = [name for name in without["GoFiles"] if name not in one.get("GoFiles", ())]
    if other:
        return f"other files in their place: {', '.join(other)}"
    return _LOST
