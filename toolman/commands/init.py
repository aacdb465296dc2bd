"""`toolman init`: all of its files are written, or none."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import scaffold
from toolman.commands import output
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from toolman.context import Context

SUMMARY = "write a Dockerfile, or a workflow for GitHub or GitLab, that builds for other machines"
EXAMPLES = """\
  toolman init docker                              Dockerfile, docker-bake.hcl, .dockerignore
  toolman init docker --platform linux/arm64,linux/arm/v7 --package ./cmd/app
  toolman init github                              .github/workflows/cross.yml
  toolman init gitlab --stdout                     .gitlab-ci.yml, but only shown
It is for Go modules, and said in the module's directory. The platforms are those that toolman.toml
pins there, else linux/amd64 and linux/arm64; of what it pins, they install what toolman.lock says.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=tuple(scaffold.FILES), help="for whom to write")
    parser.add_argument(
        "--platform", metavar="PLATFORM,…", action="append", default=[], help="what to build for"
    )
    parser.add_argument(
        "--package", metavar="DIR", default=".", help="where the program is: ./cmd/app"
    )
    parser.add_argument("--output", metavar="DIR", type=Path, help="where to write; here")
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    parser.add_argument("--stdout", action="store_true", help="print them and write nothing")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    words = [one.strip() for word in args.platform for one in word.split(",") if one.strip()]
    made = scaffold.plan(ctx.directory, args.package, words)
    texts = scaffold.files(args.kind, made)
    if args.stdout:
        _print(texts)
        return 0
    into = ctx.directory / (args.output or "")
    wanted = {into / name: text for name, text in texts.items()}
    if os.path.lexists(into / scaffold.DOCKERIGNORE):
        wanted.pop(into / scaffold.DOCKERIGNORE, None)  # whoever wrote it knows the source
    _write(wanted, force=args.force)
    notes = scaffold.notes(args.kind, made)
    if args.json:
        platforms = [one.docker for one in made.platforms]
        files = [str(path) for path in wanted]
        output.print_json({"files": files, "platforms": platforms, "notes": notes})
        return 0
    for path in wanted:
        ctx.reporter.step(f"{os.path.relpath(path, ctx.directory)} written")
    for note in notes:
        ctx.reporter.step(f"note: {note}")
    return 0


def _print(texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        head = f"==> {name} <==\n" if len(texts) > 1 else ""
        print(f"{head}{text}", end="")


def _write(wanted: Mapping[Path, str], *, force: bool) -> None:
    there = [path for path in wanted if os.path.lexists(path)]
    if there and not force:
        names = " and ".join(path.name for path in there)
        verb = "is" if len(there) == 1 else "are"
        hint = "--force replaces, --stdout shows what it would be"
        raise InputError(f"{names} {verb} there already", hint=hint)
    with ExitStack() as stack:
        fresh = {path: _staged(path, text, stack) for path, text in wanted.items()}
        with ExitStack() as undo:
            for path, staged in fresh.items():
                if force and os.path.lexists(path):
                    _replace(staged, path, stack, undo)
                else:
                    os.link(staged, path)  # unlike a rename it fails where somebody was faster
                    undo.callback(path.unlink)
            undo.pop_all()


def _staged(path: Path, text: str, stack: ExitStack) -> Path:
    """The text in a file beside `path`, for as long as `stack` is open. Of the directories that
    this takes, those go with it that nothing has come into."""
    for directory in reversed([one for one in path.parents if not one.exists()]):
        directory.mkdir(exist_ok=True)
        stack.callback(_remove_empty, directory)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    stack.callback(staged.unlink, missing_ok=True)
    staged.write_text(text, "utf-8")
    return staged


def _remove_empty(directory: Path) -> None:
    with suppress(OSError):
        directory.rmdir()


def _replace(staged: Path, path: Path, stack: ExitStack, undo: ExitStack) -> None:
    before = staged.with_name(f"{staged.name}.before")
    os.link(path, before, follow_symlinks=False)
    stack.callback(before.unlink, missing_ok=True)
    staged.replace(path)
    undo.callback(before.replace, path)
