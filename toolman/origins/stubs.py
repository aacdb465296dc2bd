"""Libraries for the linker alone: the names of a glibc's symbols as of an older version.

A stub has no code. It is assembled from the dynamic symbols of the real library, as `readelf`
prints them, and has its name (SONAME). Of each symbol the versions above the floor are left out,
and the newest of the others is the default, the one that a program is linked with: `pow` is
`pow@GLIBC_2.17` where the real libm.so.6 says `pow@@GLIBC_2.29`. A symbol that has only newer
versions is not there, so that a program which needs it fails to link. One that has no default, for
old programs alone, gets none.

Symbols that glibc 2.34 moved into libc.so.6 go back to the library that they came from, for an
older libc.so.6 does not have them. Objects keep their sizes and their places relative to each
other: a program that copies `environ` must know that `__environ` is the same one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from toolman.target import glibc_version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    Version = tuple[int, ...]
    Libraries = Mapping[str, Sequence["Symbol"]]

LIBC = "libc.so.6"
LIBGCC = "libgcc_s.so.1"
"""GCC's own, with versions of its own. Its stub has the unwinder alone, of which a program must not
have two: glibc loads the system's to end a thread. What else it has is in libgcc.a, too."""
MERGED = (2, 34)
"""The glibc whose libc.so.6 has what libpthread, libdl … had before."""

_GCC_FLOOR = (4, 3)  # of 2008, older than all that is left of that time
_UNWINDER = re.compile(r"_*(Unwind|gnu_unwind|aeabi_unwind|(de)?register_frame|gcc_personality)")
_FILE = re.compile(r"File: (\S+)")
_SYMBOL = re.compile(
    r"\s*\d+: ([0-9a-f]+) +(\w+) (\w+) +(\w+) +\w+ +(?:\[.*?\] +)?\d+ "
    r"(\w+)(@@?)(GLIBC|GCC)_([\d.]+)$"
)
_PLACEHOLDER = re.compile(r"__lib\w+_version_placeholder")


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """One version of a symbol that a library defines."""

    name: str
    family: str
    """GLIBC or GCC: in front of the version."""
    version: Version
    address: int
    size: int
    is_object: bool
    is_weak: bool
    is_default: bool


def parse(printed: str) -> dict[str, list[Symbol]]:
    """What `readelf -W --dyn-syms` printed, by library: the symbols with a version of glibc's or
    libgcc's. Libraries without any are left out.
    """
    found: dict[str, list[Symbol]] = defaultdict(list)
    library = ""
    for line in printed.splitlines():
        if match := _FILE.match(line):
            library = match[1].rpartition("/")[2]
        elif (match := _SYMBOL.match(line)) and _is_wanted(library, match[5]):
            address, size, kind, binding, name, at, family, version = match.groups()
            symbol = Symbol(
                name=name,
                family=family,
                version=glibc_version(version),
                address=int(address, 16),
                size=int(size, 0),
                is_object=kind == "OBJECT",
                is_weak=binding == "WEAK",
                is_default=at == "@@",
            )
            found[library].append(symbol)
    return dict(found)


def _is_wanted(library: str, name: str) -> bool:
    if library == LIBGCC:
        return _UNWINDER.match(name) is not None
    return _PLACEHOLDER.match(name) is None


def lowered(libraries: Libraries, floor: Version, past: Mapping[str, Any]) -> Libraries:
    """What the libraries of `floor` have of these symbols; `past` is `past.toml`."""
    homes = _homes(floor, past["moved"])
    linked = {one.name for found in libraries.values() for one in found if one.is_default}
    linked |= {name for row in past["hidden"] for name in row["names"].split()}
    linked |= {f"__{name}" for row in past["renamed"] for name in row["names"].split()}
    result: dict[str, list[Symbol]] = {name: [] for name in libraries}
    for library, symbols in libraries.items():
        for symbol in symbols:
            if symbol.version > (_GCC_FLOOR if library == LIBGCC else floor):
                continue
            home, newest = homes.get(symbol.name, (library, floor))
            place = home if library == LIBC and symbol.version <= newest else library
            result.setdefault(place, []).append(symbol)
    return {library: list(_with_defaults(found, linked)) for library, found in result.items()}


def assembly(symbols: Sequence[Symbol]) -> str:
    """The stub's text for the assembler; `script` has the versions that it speaks of."""
    labels = {one: f"s{number}" for number, one in enumerate(symbols)}
    lines = [".text"]
    for one in symbols:
        if not one.is_object:
            lines += [*_head(one, labels[one], "function"), f"{labels[one]}: .skip 4"]
    lines.append(".bss")
    lines += _objects([one for one in symbols if one.is_object], labels)
    for one, label in labels.items():
        at = "@@" if one.is_default else "@"
        lines.append(f".symver {label}, {one.name}{at}{_node(one)}")
    lines.append('.section .note.GNU-stack,"",%progbits')
    return "\n".join([*lines, ""])


def script(symbols: Iterable[Symbol]) -> str:
    """The stub's version script for the linker."""
    ordered = sorted(symbols, key=lambda one: one.version)
    nodes = list(dict.fromkeys(map(_node, ordered)))
    before = ["", *(f" {node}" for node in nodes)]
    heads = [f"{node} {{ }}{parent};" for node, parent in zip(nodes, before, strict=False)]
    return "\n".join([*heads, "STUB { local: *; };", ""])


def _with_defaults(symbols: Sequence[Symbol], linked: Collection[str]) -> Iterator[Symbol]:
    # The real default, where it is old enough, need not be the newest: a version may have failed.
    chosen = {
        one.name: one for one in sorted(symbols, key=lambda one: (one.is_default, one.version))
    }
    for one in symbols:
        yield replace(one, is_default=one.name in linked and one == chosen[one.name])


def _homes(floor: Version, moved: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, Version]]:
    """By symbol: the library that has it at `floor`, and its newest version there."""
    homes: dict[str, tuple[str, Version]] = {}
    for row in moved:
        if floor < glibc_version(row["until"]):
            place = (row["library"], glibc_version(row["newest"]))
            homes |= dict.fromkeys(row["names"].split(), place)
    return homes


def _objects(objects: Sequence[Symbol], labels: Mapping[Symbol, str]) -> Iterator[str]:
    yield ".balign 64"
    ordered = sorted(objects, key=lambda one: one.address)
    at = ordered[0].address & -64 if ordered else 0
    for one in ordered:
        yield f".skip {one.address - at}"
        yield from (*_head(one, labels[one], "object"), f"{labels[one]}:")
        at = one.address
    if ordered:
        yield f".skip {max(one.address + one.size for one in ordered) - at}"


def _head(one: Symbol, label: str, kind: str) -> tuple[str, ...]:
    binding = "weak" if one.is_weak else "globl"
    return f".{binding} {label}", f".type {label}, %{kind}", f".size {label}, {one.size or 4}"


def _node(one: Symbol) -> str:
    return f"{one.family}_{'.'.join(map(str, one.version))}"
