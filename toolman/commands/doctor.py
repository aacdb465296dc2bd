"""`toolman doctor`."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import environment, failures, publish, qemu
from toolman.commands import doctor_go, output
from toolman.commands.output import Finding
from toolman.errors import InputError, ToolmanError
from toolman.origins import apt
from toolman.run import check, which
from toolman.shell import Set

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from toolman.context import Context
    from toolman.toolchain import Toolchain

SUMMARY = "look for what keeps toolchains from working, and say how to cure it"
EXAMPLES = """\
  toolman doctor                    this machine; in a Go project, its environment too
  toolman doctor build.log          what a failed build has said, and what to do
  go build 2>&1 | toolman doctor -
Exit code 1 if something is broken, or known. Nothing is changed, nothing fetched.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "logs", nargs="*", metavar="LOG", help="what a failed build has printed; - is the input"
    )
    output.add_json(parser)


def execute(ctx: Context) -> list[Finding]:
    """All findings."""
    looks = (_host, _directories, _toolchains, _published, _programs, _environment)
    return [finding for look in (*looks, doctor_go.look) for finding in look(ctx)]


def run(args: argparse.Namespace, ctx: Context) -> int:
    if args.logs:
        return _read(args)
    found = execute(ctx)
    broken = any(one.state == "broken" for one in found)
    if args.json:
        output.print_json({"findings": [asdict(one) for one in found], "broken": broken})
        return int(broken)
    for one in found:
        print(f"{one.state:6}  {one.about}: {one.text}")
        if one.cure:
            print(f"        cure: {one.cure}")
    return int(broken)


def _read(args: argparse.Namespace) -> int:
    """Say what is known of the messages in logs; 1 if anything is."""
    found = [(name, one) for name in args.logs for one in failures.recognise(_lines(name))]
    if args.json:
        output.print_json({"failures": [{"log": name, **asdict(one)} for name, one in found]})
    for name, one in [] if args.json else found:
        print(f"{name}:{one.line}: {one.said}")
        print(f"        {one.about}: {one.text}")
        print(f"        cure: {one.cure}")
    if not found and not args.json:
        print(
            "nothing in it is known; doctor without a log looks at this machine and this directory"
        )
    return int(bool(found))


def _lines(name: str) -> list[str]:
    if name == "-":
        return sys.stdin.read().splitlines()
    try:
        return Path(name).read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error


def _host(ctx: Context) -> Iterator[Finding]:
    try:
        text = f"{ctx.host.key} ({ctx.host.platform})"
        yield Finding(about="host", state="ok", text=text)
    except ToolmanError as error:
        yield Finding(about="host", state="broken", text=str(error))
    if apt.available():
        yield Finding(about="origin distro", state="ok", text="apt-get and dpkg-deb are there")
    else:
        text = "no apt-get and dpkg-deb: only linked toolchains can be had"
        yield Finding(about="origin distro", state="note", text=text, cure="toolman link NAME DIR")


def _directories(ctx: Context) -> Iterator[Finding]:
    for about, directory in (("data", ctx.paths.data), ("cache", ctx.paths.cache)):
        present = next(path for path in (directory, *directory.parents) if path.exists())
        if os.access(present, os.W_OK):
            yield Finding(about=about, state="ok", text=str(directory))
        else:
            variable = "TOOLMAN_HOME" if about == "data" else "TOOLMAN_CACHE"
            text = f"{present} cannot be written: nothing can be installed"
            yield Finding(about=about, state="note", text=text, cure=f"set {variable} elsewhere")


def _toolchains(ctx: Context) -> Iterator[Finding]:
    found = ctx.store.toolchains()
    if not found:
        cure = "toolman install arm64-musl"
        yield Finding(about="toolchains", state="note", text="none is installed", cure=cure)
    for one in found:
        yield _toolchain(one)


def _toolchain(one: Toolchain) -> Finding:
    cure = f"toolman uninstall {one.name} && toolman install {one.name}"
    if one.about.origin == "linked":
        cure = f"toolman link {one.name} DIR"
    try:
        version = check("gcc", [one.tool("gcc"), "-dumpfullversion"]).strip()
    except ToolmanError as error:
        return Finding(about=one.name, state="broken", text=str(error).splitlines()[0], cure=cure)
    return Finding(about=one.name, state="ok", text=f"gcc {version} runs, from {one.root}")


def _published(ctx: Context) -> Iterator[Finding]:
    if ctx.store.toolchains() and not publish.is_current(ctx.store):
        text = "shims or environment files are not what the store says"
        cure = "toolman install of anything that is installed writes them again"
        yield Finding(about="shims", state="broken", text=text, cure=cure)


def _programs(ctx: Context) -> Iterator[Finding]:
    path = ctx.environ.get("PATH")
    for program, use in (("go", "to build Go"), ("pkg-config", "for #cgo pkg-config")):
        where = which(program, path)
        if where:
            yield Finding(about=program, state="ok", text=where)
        else:
            yield Finding(about=program, state="note", text=f"not on PATH; needed {use}")
    if not which("toolman", path):
        cure = 'export PATH="$HOME/.local/bin:$PATH"'
        yield Finding(about="toolman", state="note", text="not on PATH", cure=cure)
    try:
        where = qemu.present(ctx.host.platform, ctx)
    except ToolmanError:
        where = None
    text = where or "none yet; `toolman run` unpacks it privately at its first use"
    yield Finding(about="qemu-user", state="ok", text=text)


def _environment(ctx: Context) -> Iterator[Finding]:
    name = ctx.environ.get("TOOLMAN_ENV")
    chosen = ctx.store.active(name) if name else None
    if not name:
        return
    if chosen is None:
        text = f"{name} is active in this shell but not installed"
        cure = "eval $(toolman env --unset)"
        yield Finding(about="environment", state="broken", text=text, cure=cure)
        return
    yield from _differences(chosen, ctx)


def _differences(chosen: Toolchain, ctx: Context) -> Iterator[Finding]:
    """Variables that were changed after `eval $(toolman env …)`: the usual way to mix compilers."""
    cure = f"eval $(toolman env {chosen.name})"
    for one in environment.statements(chosen, ctx.paths):
        now = ctx.environ.get(one.name)
        if (
            isinstance(one, Set)
            and now != one.value
            and not one.name.startswith(("CGO_", "TOOLMAN_"))
        ):
            text = f"{one.name} is {now!r}, {chosen.name} has {one.value!r}"
            yield Finding(about="environment", state="broken", text=text, cure=cure)
    first = ctx.environ.get("PATH", "").split(":")[0]
    if first != str(ctx.paths.shims):
        text = "the shims are not first on PATH, so another go may be used than toolman's shim"
        yield Finding(about="environment", state="note", text=text, cure=cure)
