"""`toolman explain`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import cgo, choose, environment, store
from toolman import run as programs
from toolman.commands import explain_gccgo, output
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from toolman.cgo import Explained, Package
    from toolman.context import Context
    from toolman.target import Platform
    from toolman.toolchain import Toolchain

SUMMARY = "tell which packages of a Go build use cgo, why, and what becomes of each"
EXAMPLES = """\
  toolman explain                              the package in this directory
  toolman explain ./... --target linux/arm64
  toolman explain --svg cgo.svg ./cmd/app      a picture as well
  toolman explain --json net/http
  toolman explain --compiler gccgo ./...       what gccgo's library and language lack for it
off: with CGO_ENABLED=0. on: with cgo. static: as in `toolman env arm64-musl`.
With --compiler gccgo, exit code 1 if it will not build.
"""
_WITHOUT = {
    True: "It builds with CGO_ENABLED=0 too.",
    False: "It does not build with CGO_ENABLED=0.",
    None: "With CGO_ENABLED=0 it may not build: a package loses files by that.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", nargs="*", help="as go names them; that of this directory")
    parser.add_argument("--target", metavar="TARGET", help="in any spelling; that of the pin")
    parser.add_argument("--tags", metavar="TAGS", default="", help="build tags, with commas")
    parser.add_argument(
        "--compiler", choices=environment.COMPILERS, default="gc", help="gccgo: what that lacks"
    )
    parser.add_argument(
        "--tests", action="store_true", help="with --compiler gccgo: as go test builds them"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture of it")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    platform, chosen = _target(args.target, ctx)
    packages = args.packages or ["."]
    tags = environment.GO_TAGS.split(",")
    build: dict[str, Any] = {
        "go": _go(ctx),
        "directory": ctx.directory,
        "environ": cgo.plain(ctx.environ, platform.go),
        "tags": [*cgo.own_tags(ctx.environ, tags), *filter(None, args.tags.split(","))],
    }
    if args.compiler == "gccgo":
        return explain_gccgo.run(args, packages, build, platform, chosen)
    found = cgo.explain(packages, **build, static_tags=tags)
    missing = {} if chosen is None else _missing(found, chosen)
    if args.svg:
        store.write(args.svg, _picture(found, f"cgo in {' '.join(packages)}, {platform}"))
    if args.json:
        output.print_json(_as_json(found, platform, missing))
    else:
        print("\n".join(_lines(found, platform, missing)))
    return 0


def _target(word: str | None, ctx: Context) -> tuple[Platform, Toolchain | None]:
    """For which platform, and its toolchain if that is installed."""
    word = word or ctx.environ.get("TOOLMAN_ENV")
    try:
        choice = choose.choose(word, ctx.store, directory=ctx.directory)
    except InputError:
        if word:
            raise
        return ctx.host.platform, None
    return choice.target.platform, ctx.store.active(choice.name)


def _go(ctx: Context) -> str:
    found = programs.which("go", ctx.environ.get("PATH"))
    if found is None:
        raise InputError("go is not on PATH", hint="install Go: https://go.dev/dl")
    return found


def _missing(found: Explained, chosen: Toolchain) -> dict[str, list[str]]:
    """By package the libraries of which the toolchain has no static one."""
    gcc = chosen.tool("gcc")
    there: dict[str, bool] = {}

    def has(name: str) -> bool:
        if name not in there:
            done = programs.run([gcc, f"-print-file-name=lib{name}.a"])
            there[name] = "/" in done.out  # else it prints the name as it was given
        return there[name]

    every = {one.path: [name for name in one.libraries if not has(name)] for one in found.packages}
    return {path: names for path, names in every.items() if names}


def _lines(
    found: Explained, platform: Platform, missing: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    count = len(found.packages)
    verb = "uses" if count == 1 else "use"
    yield f"{platform}: {count} of {found.total} packages {verb} cgo"
    if count:
        yield _WITHOUT[found.builds_without]
    for one in found.packages:
        yield ""
        yield f"{one.path}  ({one.module or 'standard library'})"
        for key, text in _rows(one, missing.get(one.path, ())):
            yield f"  {key:<11}{text}"


def _rows(one: Package, missing: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "why", one.why
    if len(one.chain) > 1:
        yield "by", " → ".join(one.chain)
    if one.libraries:
        yield "links", " ".join(f"-l{name}" for name in one.libraries)
    if one.pkg_config:
        yield "pkg-config", " ".join(one.pkg_config)
    yield "off", one.off
    yield "on", one.on
    yield "static", one.static
    if missing:
        names = ", ".join(f"lib{name}.a" for name in missing)
        yield "missing", f"the toolchain has no {names}"


def _as_json(
    found: Explained, platform: Platform, missing: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    rows = [{**asdict(one), "missing": list(missing.get(one.path, ()))} for one in found.packages]
    return {
        "platform": str(platform),
        "packages": rows,
        "builds_without_cgo": found.builds_without,
        "total": found.total,
    }


def _picture(found: Explained, title: str) -> str:
    """The ways to the packages, and from them to what they link."""
    from toolman.drawing import Node, svg

    users = {one.path: one for one in found.packages}
    depth: dict[str, int] = {}
    edges = []
    for one in found.packages:
        for number, path in enumerate(one.chain):
            depth[path] = number
        edges += list(zip(one.chain, one.chain[1:], strict=False))
    layers: list[list[Node]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for path, number in depth.items():
        user = users.get(path)
        layers[number].append(
            Node(text=path, kind="cgo" if user else "", about=user.why if user else "")
        )
    libraries: dict[str, Node] = {}
    for one in found.packages:
        for text in (*(f"-l{name}" for name in one.libraries), *one.pkg_config):
            libraries[text] = Node(text=text, kind="library")
            edges.append((one.path, text))
    return svg([*layers, [*libraries.values()]], edges, title)
