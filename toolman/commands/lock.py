"""`toolman lock`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolman import lockfile, project
from toolman.commands import output
from toolman.errors import InputError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from toolman.context import Context
    from toolman.lockfile import Lock, Locked
    from toolman.project import Pin

SUMMARY = "write toolman.lock: exactly the bytes that toolman.toml means, for every host"
EXAMPLES = """\
  toolman lock                what is locked and still fits stays as it is
  toolman lock --bump         take what there is now
  toolman lock --check        does it fit? asks no network and writes nothing
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--bump", action="store_true", help="resolve everything anew")
    how.add_argument("--check", action="store_true", help="fail if it does not fit toolman.toml")
    output.add_json(parser)


def run(args: argparse.Namespace, ctx: Context) -> int:
    pin = project.needed(ctx.directory)
    file = lockfile.beside(pin)
    held = _held(file, args.bump)
    lock = checked(held, pin, ctx) if args.check else renewed(held, pin, ctx, bump=args.bump)
    if args.json:
        rows = [_row(one) for one in lock.toolchains]
        output.print_json({"lock": str(file), "changed": lock != held, "toolchains": rows})
    elif lock == held:
        ctx.reporter.step(f"{file} fits")
    return 0


def checked(held: Lock | None, pin: Pin, ctx: Context) -> Lock:
    """What is locked.

    Raises:
        InputError: it does not fit the pin.
    """
    reasons = lockfile.unfit(held, pin, ctx.host)
    if held is None or reasons:
        raise InputError(
            f"{lockfile.beside(pin)} does not fit {pin.file.name}: {'; '.join(reasons)}",
            hint="toolman lock",
        )
    return held


def renewed(held: Lock | None, pin: Pin, ctx: Context, *, bump: bool = False) -> Lock:
    """What is locked after the lock was made to fit the pin, and written if that changed it.

    Raises:
        ToolmanError: as `locking.lock`.
    """
    if held and not bump and not lockfile.unfit(held, pin, ctx.host):
        return held
    from toolman import locking  # 0.1 s: kept off what asks nobody

    lock = locking.lock(pin, held, ctx, bump=bump)
    file = lockfile.beside(pin)
    lockfile.write(file, lock)
    for one in lock.toolchains:
        before = held.of(one.target) if held else None
        if one != before:
            state = "changed" if before else "locked"
            ctx.reporter.step(f"{one.target} {state}: {_said(one)}")
    for gone in [one for one in (held.toolchains if held else ()) if not lock.of(one.target)]:
        ctx.reporter.step(f"{gone.target} is not locked any more")
    return lock


def _held(file: Path, bump: bool) -> Lock | None:
    try:
        return lockfile.read(file)
    except InputError:
        if not bump:
            raise
        return None  # to be written anew, as after a merge that failed


def _said(one: Locked) -> str:
    of = {"prebuilt": f"index {one.index}", "source": f"recipe {one.recipe}"}
    hosts = sorted([*one.archives, *one.systems])
    words = [f"origin {one.origin}", of.get(one.origin), one.gcc and f"GCC {one.gcc}"]
    words += [f"for {' '.join(hosts)}"] if hosts else []
    return ", ".join(word for word in words if word)


def _row(one: Locked) -> dict[str, Any]:
    hosts = sorted([*one.archives, *one.systems])
    said = {key: getattr(one, key) for key in ("origin", "gcc", "recipe", "index", "digest")}
    return {"target": one.target.name, "languages": one.languages, **said, "hosts": hosts}
