"""The layers of design.md: imports point down, and each library has one door."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "toolman"

# From the bottom up; a module imports only from lines above its own, or within its package.
LAYERS = (
    ("errors", "checkpoint", "digest", "report", "schema", "locks", "lifetimes", "versions"),
    ("offline", "library"),
    ("target", "shell", "run", "gosource"),
    ("blob", "pin", "partial", "swap", "syncing", "untar", "web", "credentials"),
    ("registry", "again"),
    ("fetch", "artifact"),
    ("remote",),
    ("request", "recipe", "elf", "cpu", "host", "archive", "upload"),
    ("paths", "toolchain", "kernel", "compressed", "rooted", "project"),
    ("sbom", "manifest"),
    ("provenance",),
    ("store", "tarball", "catalogue"),
    ("cache",),
    ("gc",),
    ("metadata",),
    ("index", "signing"),
    ("lockfile",),
    ("repository",),
    ("mirror", "exported"),
    ("push",),
    ("gomod", "choose", "context", "build", "cgo", "drawing", "failures", "advisories"),
    ("environment", "scaffold", "gccgo"),
    ("systems",),
    ("publish",),
    ("origins",),
    ("smoke", "qemu"),
    ("libraries",),
    ("placing",),
    ("install", "matrix"),
    ("repair",),
    ("audit",),
    ("locking",),
    ("newer",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
LIBRARIES: dict[str, str | tuple[str, ...]] = {
    "platformdirs": "toolman.paths",
    "filelock": "toolman.locks",
    "elftools": "toolman.elf.image",
    "tqdm": "toolman.cli",
    "shtab": "toolman.commands.completions",
    "subprocess": "toolman.run",
    "zstandard": "toolman.archive",
    "httpx": "toolman.web",
    # Readers have the one, who signs has both: they speak of the same objects.
    "tuf": ("toolman.metadata", "toolman.signing"),
    "securesystemslib": "toolman.signing",
    "cryptography": "toolman.signing",
}
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# `env` prints, in the shell's dialect, what stops it; the command that knows it is above `cli`.
UPWARD = {("toolman.cli", "toolman.commands.env"), ("toolman.commands.completions", "toolman.cli")}
LONGEST = 400


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> set[str]:
    """What a module imports when it runs; what only types need does not count."""
    found = set()
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported_modules(path: Path) -> set[str]:
    known = modules()
    found = {name if name in known else name.rpartition(".")[0] for name in imports(path)}
    return found.intersection(known)


def part(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


@pytest.mark.parametrize("module", modules())
def test_imports_point_down(module: str) -> None:
    if module == "toolman":
        return
    assert part(module) in RANK, f"{module} stands in no layer"
    for imported in imports(modules()[module]):
        below = part(imported)
        if imported.startswith("toolman.") and below in RANK and below != part(module):
            known = any(imported.startswith(up) and module == low for low, up in UPWARD)
            assert known or RANK[below] < RANK[part(module)], f"{module} imports {imported}"


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_is_imported_by_one_module(library: str) -> None:
    users = tuple(
        module
        for module, path in modules().items()
        if any(name == library or name.startswith(f"{library}.") for name in imports(path))
    )
    door = LIBRARIES[library]
    assert users == ((door,) if isinstance(door, str) else door)


def test_files_can_be_read_in_one_sitting() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_there_are_no_import_cycles() -> None:
    below = {module: imported_modules(path) - {module} for module, path in modules().items()}
    # The one back-reference that UPWARD allows: completions describes the whole parser.
    below["toolman.commands.completions"].discard("toolman.cli")
    done: set[str] = set()
    while ready := {one for one in below if one not in done and below[one] <= done}:
        done |= ready
    assert set(below) == done
