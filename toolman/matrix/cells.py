"""Which cells there are, and which of them cannot work by design."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from toolman import choose, project, run
from toolman.errors import InputError
from toolman.matrix import Cell, Cgo, Compiler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from toolman.matrix.goes import Go
    from toolman.store import Store
    from toolman.toolchain import Toolchain

_LIBGO = "gccgo's own library is made of C: there is no program of its without libc"


def toolchains(words: Sequence[str], store: Store, directory: Path) -> list[Toolchain]:
    """Those that `words` mean; without words those of the pin, else all that are installed.

    Raises:
        InputError: one means nothing or is not installed, or there is none at all.
    """
    pin = None if words else project.find_pin(directory)
    names = [*words] if pin is None else [one.name for one in pin.targets]
    names = names or sorted({one.name for one in store.toolchains()})
    if not names:
        raise InputError("no toolchain is installed", hint="toolman install arm64-musl")
    chosen = [choose.choose(name, store, directory=directory) for name in names]
    found = [choose.installed(one, store) for one in chosen]
    return [*{one.name: one for one in found}.values()]


def choices(
    among: Sequence[Toolchain],
    goes: Sequence[Go],
    compilers: Sequence[Compiler],
    cgo: Sequence[Cgo],
    mallocs: Sequence[str],
    store: Store,
) -> list[Cell]:
    """All cells, in the order of what is asked for, the last word changing first."""
    cells: dict[object, Cell] = {}
    for first in among:
        for one, its_malloc, lacking in _with_mallocs(first, mallocs, store):
            for go, compiler, how in itertools.product(goes, compilers, cgo):
                cell = Cell(toolchain=one, go=go, compiler=compiler, cgo=how, malloc=its_malloc)
                key = _key(cell)
                if key not in cells:
                    cells[key] = _checked(cell, lacking)
    return _labelled([*cells.values()])


def malloc(chosen: Toolchain) -> str:
    """The allocator of its libc, as far as that is known."""
    if chosen.target.libc == "gnu":
        return "glibc"
    # musl's own since 1.2.1, which all origins of toolman's are newer than.
    return chosen.about.malloc or ("unknown" if chosen.about.origin == "linked" else "mallocng")


def _with_mallocs(
    chosen: Toolchain, mallocs: Sequence[str], store: Store
) -> Iterator[tuple[Toolchain, str, bool]]:
    """`chosen`, or others of its name with the allocators; and whether such a one is lacking."""
    if not mallocs or chosen.target.libc == "gnu":
        yield chosen, malloc(chosen), False
        return
    named = [chosen, *(one for one in store.toolchains() if one.name == chosen.name)]
    for wanted in mallocs:
        fits = next((one for one in named if malloc(one) == wanted), None)
        yield fits or chosen, wanted, fits is None


def _key(cell: Cell) -> object:
    """Two cells with the same one are the same program."""
    if cell.cgo == "off" and cell.compiler == "gc":
        return cell.platform.docker, cell.go.version
    return cell.toolchain.about.digest, cell.malloc, cell.go.version, cell.compiler, cell.cgo


def _checked(cell: Cell, lacking: bool) -> Cell:
    """With the reason why it cannot work, if it cannot."""
    name = cell.toolchain.name
    if cell.cgo == "off" and cell.compiler == "gc":
        return cell
    if lacking:
        cure = f"toolman install {name} --malloc {cell.malloc}"
        return replace(cell, impossible=f"no {name} with {cell.malloc} is here", cure=cure)
    if cell.compiler == "gccgo" and "gccgo" not in cell.toolchain.about.tools:
        cure = f"toolman install {name} --with gccgo"
        return replace(cell, impossible=f"{name} has no gccgo", cure=cure)
    if cell.cgo == "off":
        return replace(cell, impossible=_LIBGO)
    file = "libc.a" if cell.cgo == "static" else "libc.so"
    said = run.run([cell.toolchain.tool("gcc"), f"-print-file-name={file}"])
    if "/" not in said.out:  # else it prints the name as it was given
        return replace(cell, impossible=f"the sysroot of {name} has no {file}")
    return cell


def _labelled(cells: Sequence[Cell]) -> list[Cell]:
    """With labels that say what differs."""
    many_goes = len({one.go.version for one in cells}) > 1
    many_compilers = len({one.compiler for one in cells}) > 1
    mallocs: dict[str, set[str]] = {}
    for one in cells:
        mallocs.setdefault(one.place, set()).add(one.malloc)

    def label(one: Cell) -> str:
        words = [one.place, "cgo off" if one.cgo == "off" else one.cgo]
        words += [one.malloc] if one.cgo != "off" and len(mallocs[one.place]) > 1 else []
        words += [one.compiler] if many_compilers else []
        words += [one.go.version] if many_goes else []
        return ", ".join(words)

    return [replace(one, label=label(one)) for one in cells]
