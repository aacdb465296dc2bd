"""The programs that read what `toolman init` writes, as their users have them. They need no engine.

Go's own client builds them from the module proxy, once on this machine: buildx and actionlint as
they are, and from `frontend` one that hands a Dockerfile to BuildKit's own compiler.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tools

from toolman.host import Host

if TYPE_CHECKING:
    from collections.abc import Mapping

GO = "1.27"
_PACKAGES = {
    "actionlint": "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12",
    "buildifier": (
        "github.com/bazelbuild/buildtools/buildifier@v0.0.0-20260904073137-eaa4d125b423"
    ),
    "buildx": "github.com/docker/buildx/cmd/buildx@v0.38.2",
}
_FRONTEND = Path(__file__).with_name("frontend")

# As the golang images of Docker's library are made.
IMAGE = {
    "Env": [
        "PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "GOTOOLCHAIN=local",
        "GOPATH=/go",
    ],
    "WorkingDir": "/go",
}


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What an engine would be told to do: see `tests/frontend/main.go`."""

    warnings: list[str]
    """The linter's."""
    platforms: dict[str, list[dict[str, Any]]]
    """Of each platform the vertices, each behind those that it needs."""
    configs: dict[str, dict[str, Any]]
    """Of each platform the image's."""

    def execs(self, platform: str) -> list[dict[str, Any]]:
        """The commands that are run for a platform, in their order."""
        return [one["op"] for one in self.platforms[platform] if "exec" in one["op"]]


def compile_(
    directory: Path, *, contexts: Mapping[str, Path], options: Mapping[str, str]
) -> Compiled:
    """The Dockerfile of a directory as BuildKit's frontend understands it."""
    named = [f"{name}={path}" for name, path in contexts.items()]
    said = [f"{key}={value}" for key, value in {"multi-platform": "true", **options}.items()]
    env = {
        **tools.ENVIRON,
        "FRONTEND_IMAGES": json.dumps(_images()),
        "FRONTEND_HOST": Host.current().platform.name,
    }
    done = subprocess.run(
        [program("frontend"), directory, *named, "--", *said],
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return Compiled(**{**found, "warnings": found["warnings"] or []})


@functools.cache
def program(name: str) -> Path:
    """The judge of that name."""
    source = _PACKAGES.get(name) or _FRONTEND.joinpath("main.go").read_text()
    tree = tools.CACHE / "judges" / Host.current().key / f"{name}-{tools.word(source)}"
    with tools.made(tree) as into:
        if into:
            _build(name, into)
    return tree / name


def _build(name: str, into: Path) -> None:
    env = {name: value for name, value in tools.ENVIRON.items() if name not in ("GOFLAGS", "GOOS")}
    env |= {
        "GOBIN": str(into),
        "GOCACHE": str(tools.CACHE / "go-build"),
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    go = tools.go(GO)
    if name in _PACKAGES:
        subprocess.run([go, "install", _PACKAGES[name]], env=env, check=True)
        return
    with tempfile.TemporaryDirectory() as work:
        # The one requirement decides all others, and Go's checksum database vouches for them.
        shutil.copytree(_FRONTEND, work, dirs_exist_ok=True)
        words = [go, "build", "-mod=mod", "-o", into / name, "."]
        subprocess.run(words, cwd=work, env=env, check=True)


def _images() -> dict[str, Mapping[str, Any]]:
    library = "docker.io/library"
    golang = {
        f"{library}/golang:{go}-{debian}": IMAGE
        for go in ("1", "1.24", "1.25", "1.27")
        for debian in ("bookworm", "trixie")
    }
    return {**golang, f"{library}/debian:bookworm-slim": {}}
