"""What `toolman doctor` looks at in a Go project: the go that is found, and what fights it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import cgo, environment, gccgo, run
from toolman import target as targets
from toolman.commands import explain_gccgo
from toolman.commands.output import Finding
from toolman.errors import InputError, ToolmanError
from toolman.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toolman.commands.output import State
    from toolman.context import Context

_HERE = "eval $(toolman env {})"
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_CPUINFO = Path("/proc/cpuinfo")
# What GOAMD64 asks of a processor, as Linux names it; the x86-64 psABI's levels.
_LEVELS = {
    "v2": {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"},
    "v3": {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"},
    "v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}


def look(ctx: Context) -> Iterator[Finding]:
    """What is found if there is a `go.mod` here or above, and a go."""
    module = next((path for path in _above(ctx.directory) if path.is_file()), None)
    go = run.which("go", ctx.environ.get("PATH"))
    if module is None or go is None:
        return
    values = _values(go, ctx)
    if isinstance(values, str):
        yield Finding(about="go env", state="broken", text=values)
        return
    yield from _version(module, values, ctx.environ)
    yield from _root(values, ctx.environ)
    yield from _compiler(values, ctx)
    yield from _flags(values, ctx)
    yield from _gccgo(go, ctx)
    yield from _runs(values, ctx)


def _above(directory: Path) -> Iterator[Path]:
    for parent in (directory, *directory.parents):
        yield parent / "go.mod"


def _values(go: str, ctx: Context) -> dict[str, str] | str:
    """`go env`; why there is none otherwise. It must not download a newer Go, nor stumble over a
    GOROOT."""
    env = {**ctx.environ, "GOTOOLCHAIN": "local"}
    env.pop("GOROOT", None)
    try:
        done = run.run([go, "env", "-json"], env=env, cwd=ctx.directory)
        found: dict[str, Any] = json.loads(done.out)
    except (ToolmanError, ValueError):
        return f"{go} env does not work"
    return {name: str(value) for name, value in found.items()}


def _version(
    module: Path, values: Mapping[str, str], environ: Mapping[str, str]
) -> Iterator[Finding]:
    here = values.get("GOVERSION", "").removeprefix("go")
    chosen = environ.get("GOTOOLCHAIN", "")
    wanted = re.search(r"^go\s+(\d+(?:\.\d+)*)", module.read_text("utf-8", "replace"), re.MULTILINE)
    text = f"go{here}" + (f", GOTOOLCHAIN={chosen}" if chosen else "")
    if not wanted or _numbers(wanted[1]) <= _numbers(here):
        yield Finding(about="go version", state="ok", text=text)
        return
    text += f"; {module} wants {wanted[1]}"
    if _numbers(here) < [1, 21]:
        cure = "install that Go: https://go.dev/dl"
        yield Finding(
            about="go version", state="note", text=f"{text}, and may not build", cure=cure
        )
    elif chosen == "local":
        cure = "unset GOTOOLCHAIN, or install that Go"
        yield Finding(about="go version", state="broken", text=text, cure=cure)
    else:
        yield Finding(about="go version", state="note", text=f"{text}, which go will download")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def _root(values: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[Finding]:
    root = environ.get("GOROOT")
    if not root:
        return
    try:
        there = (Path(root) / "VERSION").read_text("utf-8").split()[0]
    except (OSError, IndexError):
        there = "no Go"
    if there != values.get("GOVERSION"):
        text = f"GOROOT={root} is {there}, and the go on PATH is {values.get('GOVERSION')}"
        yield Finding(about="GOROOT", state="broken", text=text, cure="unset GOROOT")


def _compiler(values: Mapping[str, str], ctx: Context) -> Iterator[Finding]:
    """Whether CC compiles for GOARCH: the usual cause of `no such instruction: stp`."""
    arch, cc = values.get("GOARCH", ""), values.get("CC", "")
    cure = _HERE.format(f"linux/{arch}")
    if values.get("CGO_ENABLED") != "1":
        foreign = arch != ctx.host.platform.go["GOARCH"]
        why = ", as by default for another platform than the host's" if foreign else ""
        yield Finding(about="cgo", state="note", text=f"off{why}; see: toolman explain", cure=cure)
        return
    try:
        said = run.run([*cc.split(), "-dumpmachine"], env=ctx.environ).out.strip()
    except ToolmanError:
        text = f"CC={cc} is not there"
        yield Finding(about="CC", state="broken", text=text, cure=cure)
        return
    other = _goarch(said)
    if other in (None, arch):
        yield Finding(about="CC", state="ok", text=f"{cc} compiles for {said or arch}")
    else:
        text = f"CC={cc} compiles for {said}, and GOARCH is {arch}"
        yield Finding(about="CC", state="broken", text=text, cure=cure)


def _goarch(triple: str) -> str | None:
    """Go's name of a compiler's machine; None if that is not known."""
    try:
        found = targets.parse(triple)
    except InputError:
        return None
    platform = found.platform if isinstance(found, Target) else found
    return platform.go["GOARCH"]


def _flags(values: Mapping[str, str], ctx: Context) -> Iterator[Finding]:
    active = ctx.environ.get("TOOLMAN_ENV")
    written = _written(values)
    for name in ("CC", "CXX", "AR", "GOOS", "GOARCH", "GOFLAGS", "CGO_CFLAGS", "CGO_LDFLAGS"):
        if name in written and name not in ctx.environ:
            text = f"{name}={written[name]} stands in {values.get('GOENV')}, for every project"
            yield Finding(about="go env -w", state="note", text=text, cure=f"go env -u {name}")
    for name in ("CGO_CFLAGS", "CGO_CXXFLAGS"):
        flags = values.get(name, "").split()
        if flags and not any(one.startswith("-O") for one in flags):
            text = f"{name} takes the place of Go's own -O2 -g: C is compiled without optimization"
            cure = f'{name}="-O2 -g {values[name]}"'
            yield Finding(about=name, state="note", text=text, cure=cure)
    if not active and "-static" in values.get("CGO_LDFLAGS", "").split():
        text = "-static in CGO_LDFLAGS does not reach programs whose only cgo is net or os/user"
        cure = "-ldflags '-linkmode=external -extldflags=-static', or: eval $(toolman env …)"
        yield Finding(about="CGO_LDFLAGS", state="note", text=text, cure=cure)
    if not active and any(value in ctx.environ for value in environment.saved_names()[:2]):
        names = [one for one in environment.saved_names() if one in ctx.environ]
        text = f"{', '.join(names)}: set by somebody else than toolman"
        yield Finding(about="environment", state="note", text=text)


def _gccgo(go: str, ctx: Context) -> Iterator[Finding]:
    """What gccgo lacks for this module, in an environment of gccgo's."""
    if environment.GCCGO not in ctx.environ.get(environment.OPTIONS, "").split(","):
        return
    chosen = ctx.store.active(ctx.environ.get("TOOLMAN_ENV", ""))
    if chosen is None:
        return
    cure = "toolman explain --compiler gccgo ./..."
    # A command that only looks fetches neither modules nor a newer Go.
    apart = {"GOTOOLCHAIN": "local", "GOPROXY": "off"}
    environ = cgo.plain(ctx.environ, chosen.target.platform.go) | apart
    tags = cgo.own_tags(ctx.environ, [])
    try:
        compiler = chosen.tool("gccgo")
        found = gccgo.examine(
            ["./..."], go=go, directory=ctx.directory, environ=environ, tags=tags, gccgo=compiler
        )
    except ToolmanError as error:
        yield Finding(about="gccgo", state="note", text=str(error), cure="go mod download")
        return
    if not found.lacks:
        yield Finding(about="gccgo", state="ok", text="nothing is seen that it lacks")
        return
    first, more = found.lacks[0], len(found.lacks) - 1
    text = explain_gccgo.said(first) + (f"; and {more} more" if more else "")
    state: State = "note" if found.builds else "broken"
    yield Finding(about="gccgo", state=state, text=text, cure=cure)


def _written(values: Mapping[str, str]) -> dict[str, str]:
    """What `go env -w` has written."""
    try:
        lines = Path(values.get("GOENV", "")).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: value for name, found, value in (one.partition("=") for one in lines) if found}


def _runs(values: Mapping[str, str], ctx: Context) -> Iterator[Finding]:
    """Whether what is built runs here: `go test`, `go run`."""
    arch, mine = values.get("GOARCH", ""), ctx.host.platform.go["GOARCH"]
    level = values.get("GOAMD64", "v1")
    if arch == mine == "amd64" and level in _LEVELS:
        yield from _features(level)
    if arch == mine:
        return
    names = {one.platform.qemu for one in targets.targets() if one.platform.go["GOARCH"] == arch}
    starter = run.which(f"go_linux_{arch}_exec", ctx.environ.get("PATH"))
    if starter:
        text = f"go run and go test start {arch} programs by {starter}"
        yield Finding(about="running", state="ok", text=text)
    elif any((_BINFMT / f"qemu-{name}").exists() for name in names):
        text = f"the kernel gives {arch} programs to qemu-user by itself (binfmt_misc)"
        yield Finding(about="running", state="ok", text=text)
    else:
        text = f"{arch} programs do not run here by themselves"
        cure = f"go test -exec 'toolman run linux/{arch}'"
        yield Finding(about="running", state="note", text=text, cure=cure)


def _features(level: str) -> Iterator[Finding]:
    flags = re.search(r"^flags\s*:(.*)$", _CPUINFO.read_text("utf-8"), re.MULTILINE)
    names = [*_LEVELS][: [*_LEVELS].index(level) + 1]
    lacks = sorted(set().union(*(_LEVELS[one] for one in names)) - {*(flags or [""])[0].split()})
    if lacks:
        text = f"GOAMD64={level} needs what this processor lacks: {', '.join(lacks)}"
        yield Finding(about="GOAMD64", state="broken", text=text, cure="unset GOAMD64")
