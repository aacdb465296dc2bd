"""`toolman publish`."""

from __future__ import annotations

import argparse
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import store
from toolman.commands import output
from toolman.errors import InputError
from toolman.lifetimes import Lifetimes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolman.context import Context
    from toolman.index import Archive
    from toolman.metadata import State

SUMMARY = "make, sign and keep a repository of packed toolchains, for any server or registry"
EXAMPLES = """\
  toolman publish init www/toolchains --keys ~/keys
  toolman publish add www/toolchains dist/*.tar.zst --keys ~/keys
  toolman publish list www/toolchains          what it holds, and when its signatures expire
  toolman publish remove www/toolchains 3f2a9c01 --keys ~/keys
  toolman publish refresh www/toolchains --keys ~/keys      (each day: timestamps last 3 days)
  toolman publish push www/toolchains oci://registry.example.org/team/toolchains
  toolman publish rotate www/toolchains --keys ~/keys       new root keys, signed by the old ones
Readers get www/toolchains/metadata/1.root.json by another way than the server. A directory of
keys needs not hold all of them: `add` takes targets and online, `refresh` online alone, `rotate`
the root's. Signing takes the library cryptography: scripts/install --publish
"""
_DAYS = asdict(Lifetimes())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    one = _action(actions, "init", "make a repository, and its keys")
    _add_numbers(one, 3, 2)
    one = _action(actions, "add", "add archives that `toolman pack` has made")
    one.add_argument("archive", nargs="+", type=Path, help="a .tar.zst")
    one = _action(actions, "remove", "remove archives")
    one.add_argument("digest", nargs="+", help="the first letters of an archive's sha256")
    _action(actions, "refresh", "sign anew what will expire")
    one = _action(actions, "rotate", "replace keys by new ones")
    one.add_argument("--role", choices=("root", "targets", "online"), default="root")
    _add_numbers(one, None, None)
    one = output.add_action(actions, "push", "copy a repository into an OCI registry")
    one.add_argument("directory", type=Path, metavar="DIR", help="the repository")
    one.add_argument("url", metavar="URL", help="where: oci://registry.example.org/team/toolchains")
    output.add_json(one)
    one = output.add_action(actions, "list", "show archives and expiry")
    one.add_argument("directory", type=Path, metavar="DIR", help="the repository")
    output.add_json(one)


def run(args: argparse.Namespace, ctx: Context) -> int:
    args.directory = ctx.directory / args.directory
    if args.action == "list":
        _list(args)
        return 0
    if args.action != "push":
        args.keys = ctx.directory / args.keys
    with _locked(args.directory, ctx):
        _ACTIONS[args.action](args, ctx)
    return 0


def _init(args: argparse.Namespace, ctx: Context) -> None:
    from toolman import repository

    repository.init(
        args.directory,
        args.keys,
        root_keys=args.root_keys,
        threshold=args.threshold,
        lasts=_lasts(args),
    )
    root = args.directory / "metadata/1.root.json"
    if args.json:
        output.print_json({"directory": str(args.directory), "root": str(root)})
        return
    ctx.reporter.step(f"{args.directory} is a repository; its readers need {root}")
    ctx.reporter.step(f"keys are in {args.keys}: take the root's to another place, and copy them")


def _add(args: argparse.Namespace, ctx: Context) -> None:
    from toolman import repository

    opened = repository.opened(args.directory, args.keys)
    paths = [ctx.directory / path for path in args.archive]
    for path in paths:
        if not path.is_file():
            raise InputError(f"there is no file {path}")
    found = {}
    with _work(ctx) as work:
        for path in paths:
            ctx.reporter.step(f"reading {path.name}")
            found[path] = repository.describe(path, work)
    every = repository.add(opened, found, _lasts(args))
    _say(args, ctx, every, f"{len(found)} added; the repository holds {len(every)}")


def _remove(args: argparse.Namespace, ctx: Context) -> None:
    from toolman import repository

    opened = repository.opened(args.directory, args.keys)
    gone = repository.remove(opened, args.digest, _lasts(args))
    left = [one for one in opened.archives if one not in gone]
    _say(args, ctx, left, f"{len(gone)} removed; the repository holds {len(left)}")


def _refresh(args: argparse.Namespace, ctx: Context) -> None:
    from toolman import repository

    opened = repository.opened(args.directory, args.keys)
    repository.refresh(opened, _lasts(args))
    state = repository.opened(args.directory, args.keys).state
    _warn(state, ctx)
    _say(args, ctx, opened.archives, f"signed until {state.ends['timestamp']:%Y-%m-%d %H:%M} UTC")


def _rotate(args: argparse.Namespace, ctx: Context) -> None:
    from toolman import repository

    opened = repository.opened(args.directory, args.keys)
    usual = (3, 2) if args.role == "root" else (1, 1)
    before = set(args.keys.glob("*.pem"))
    repository.rotate(
        opened,
        args.role,
        count=args.root_keys or usual[0],
        threshold=args.threshold or usual[1],
        lasts=_lasts(args),
    )
    made = sorted(path.name for path in set(args.keys.glob("*.pem")) - before)
    _say(args, ctx, opened.archives, f"new {args.role} keys in {args.keys}: {', '.join(made)}")


def _push(args: argparse.Namespace, ctx: Context) -> None:
    from toolman import push, registry
    from toolman.upload import Upload

    at = registry.repository(args.url)
    with registry.Session() as session:
        upload = Upload(at, session)
        content = push.read(args.directory, args.url, ctx.reporter.step)
        lacking = push.missing(content, upload)
        size = sum(one.size for one in lacking)
        with ctx.reporter.bar(f"pushing {output.archives(len(lacking))}", size) as advance:
            push.push(content, lacking, upload, advance)
    held = content.archives
    if args.json:
        output.print_json({**_values(held), "pushed": len(lacking), "bytes": size})
    else:
        said = f"{args.url} holds {output.archives(len(held))}, {len(lacking)} new"
        ctx.reporter.step(said)


def _list(args: argparse.Namespace) -> None:
    from toolman import index, repository

    state = repository.read(args.directory)
    held = index.parse(state.index)
    if args.json:
        output.print_json({**_values(held), "expires": _ends(state)})
        return
    lines = [("SHA256", "TARGET", "GCC", "LANGUAGES", "HOST", "MB")]
    for one in held:
        about, size = one.about, f"{one.size / 1e6:.1f}"
        languages = ",".join(about.languages)
        lines.append(
            (one.sha256[:12], about.target.name, about.version, languages, about.host, size)
        )
    output.table(lines)
    output.table([("", ""), *((f"{role} expires", end) for role, end in _ends(state).items())])


def _say(args: argparse.Namespace, ctx: Context, held: Sequence[Archive], text: str) -> None:
    if args.json:
        output.print_json(_values(held))
    else:
        ctx.reporter.step(text)


def _values(held: Sequence[Archive]) -> dict[str, Any]:
    return {"archives": [one.to_json() for one in held]}


def _ends(state: State) -> dict[str, str]:
    return {role: end.isoformat() for role, end in state.ends.items()}


def _warn(state: State, ctx: Context) -> None:
    from toolman import metadata

    cures = {"root": "publish rotate", "targets": "publish refresh with the targets key"}
    for role, cure in cures.items():
        if metadata.due(state, role):
            end = f"{state.ends[role]:%Y-%m-%d}"
            ctx.reporter.step(f"warning: {role} expires on {end}; cure: toolman {cure}")


def _lasts(args: argparse.Namespace) -> Lifetimes:
    return Lifetimes(**{role: getattr(args, f"{role}_days") for role in _DAYS})


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    one = output.add_action(actions, name, text)
    one.add_argument("directory", type=Path, metavar="DIR", help="the repository")
    one.add_argument("--keys", type=Path, required=True, metavar="DIR", help="the private keys")
    for role, days in _DAYS.items():
        said = f"how long {role} is good (default: {days})"
        one.add_argument(f"--{role}-days", type=_number, metavar="N", default=days, help=said)
    output.add_json(one)
    return one


def _add_numbers(one: argparse.ArgumentParser, count: int | None, threshold: int | None) -> None:
    text = "how many keys (default: 3 for the root)"
    one.add_argument("--root-keys", type=_number, metavar="N", default=count, help=text)
    text = "how many of them must sign (default: 2 for the root)"
    one.add_argument("--threshold", type=_number, metavar="N", default=threshold, help=text)


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) <= 3650:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 3650")


@contextmanager
def _locked(directory: Path, ctx: Context) -> Iterator[None]:
    """Be the only one who publishes there: of two at once, one would be lost."""
    name = f"publish-{sha256(str(directory.resolve()).encode()).hexdigest()[:12]}"

    def waiting() -> None:
        ctx.reporter.step(f"waiting for another toolman that publishes to {directory}")

    with store.locked(ctx.paths.locks, name, waiting):
        yield


@contextmanager
def _work(ctx: Context) -> Iterator[Path]:
    """Room to unpack archives in."""
    store.check_writable(ctx.paths.data)
    name = "describe"
    with ctx.store.lock(name, lambda: None), ctx.store.stage(name) as work:
        yield work


_ACTIONS = {
    "init": _init,
    "add": _add,
    "remove": _remove,
    "refresh": _refresh,
    "rotate": _rotate,
    "push": _push,
}
