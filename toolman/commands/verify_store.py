"""`toolman verify --store`: installed toolchains, every file of them against its manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from toolman import choose, library, manifest, repair, toolchain
from toolman.commands import output
from toolman.errors import InputError, IntegrityError, ToolmanError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from toolman.context import Context
    from toolman.manifest import Difference
    from toolman.toolchain import Toolchain

_SHOWN = 20  # differences of one toolchain; with -v all of them
_TEXTS = {
    "unknown": "was installed before there were manifests; to have one, install it anew",
    "linked": "is linked: its files are yours",
    "repaired": "was damaged, and is repaired",
}


@dataclass(frozen=True, kw_only=True)
class Result:
    """A toolchain, or what is left of one, and what is wrong with it."""

    path: Path
    about: Toolchain | None
    state: str
    """`good`, `damaged`, `repaired`, `unknown` (no manifest) or `linked`."""
    files: int = 0
    differences: Sequence[Difference] = ()
    error: ToolmanError | None = None
    """Why it could not be repaired."""

    @property
    def name(self) -> str:
        return self.about.name if self.about else self.path.name


def run(args: argparse.Namespace, ctx: Context) -> int:
    """Check, and with `--repair` mend, the toolchains in `args.files`, or all of them."""
    results = []
    for path in _chosen([str(word) for word in args.files], ctx):
        result = _check(path)
        if result.state == "damaged" and args.repair:
            result = _repaired(result, ctx)
        results.append(result)
        if not args.json:
            _tell(result, args)
    if args.json:
        output.print_json({"toolchains": [_row(one) for one in results]})
    damaged = [one for one in results if one.state == "damaged"]
    for one in damaged:
        if one.error:
            raise one.error
    if damaged:
        names = " ".join(one.name for one in damaged)
        hint = f"to have the same bytes again: toolman verify --store --repair {names}"
        raise IntegrityError(f"not as installed: {names.replace(' ', ', ')}", hint=hint)
    return 0


def _chosen(words: Sequence[str], ctx: Context) -> list[Path]:
    entries = ctx.store.entries()
    found: list[Path] = []
    for word in words:
        named = [path for path in entries if path.name == word]
        name = word if named else choose.choose(word, ctx.store, directory=ctx.directory).name
        of_name = named or [path for path in entries if _is_of(path, name)]
        if not of_name:
            raise InputError(f"{name} is not installed", hint="see: toolman list")
        found += of_name
    return list(dict.fromkeys(found)) if words else entries


def _is_of(path: Path, name: str) -> bool:
    found = toolchain.read(path)
    return found.name == name if found else path.name.startswith(f"{name}-")


def _check(path: Path) -> Result:
    about = toolchain.read(path)
    if about and about.about.root:
        return Result(path=path, about=about, state="linked")
    checked = manifest.check(path)
    if checked is None:
        return Result(path=path, about=about, state="unknown")
    state = "damaged" if checked.differences else "good"
    differences = checked.differences
    return Result(path=path, about=about, state=state, files=checked.files, differences=differences)


def _repaired(result: Result, ctx: Context) -> Result:
    about = result.about
    try:
        built = library.read(result.path)
        if built:
            repair.built(built, ctx)
        elif about is None:
            text = f"{result.path} does not say any more what it is"
            raise InputError(text, hint="delete that directory, and install the toolchain again")
        else:
            repair.toolchain(about, ctx)
    except ToolmanError as error:
        return Result(
            path=result.path,
            about=about,
            state="damaged",
            files=result.files,
            differences=result.differences,
            error=error,
        )
    return Result(path=result.path, about=about, state="repaired", files=result.files)


def _tell(result: Result, args: argparse.Namespace) -> None:
    if args.quiet:
        return
    wrong = result.differences
    if not wrong:
        good = f"{result.files} files, directories and links, all as installed"
        print(f"{result.name}: {_TEXTS.get(result.state, good)}")
        return
    print(f"{result.name}: {len(wrong)} of {result.files} are not as installed")
    shown = wrong if args.verbose else wrong[:_SHOWN]
    for one in shown:
        print(f"  {one.path} {one.what}")
    if len(shown) < len(wrong):
        print(f"  and {len(wrong) - len(shown)} more; -v shows all")


def _row(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "path": str(result.path),
        "state": result.state,
        "files": result.files,
        "differences": [asdict(one) for one in result.differences],
        "error": None if result.error is None else str(result.error),
    }
