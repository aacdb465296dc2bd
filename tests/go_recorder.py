"""The `go` shim on a PATH with a recorder in the place of go.

The recorder prints the arguments that it gets, its process id and a few variables.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import tools

DATA = Path(__file__).parents[1] / "toolman" / "data"
SHIM = "".join((DATA / name).read_text("utf-8") for name in ("go-checks.sh", "go.sh"))
SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"]]

LINK = "-linkmode=external -extldflags=-static"
PIE = "-linkmode=external -extldflags=-static-pie"
TAGS = "netgo,osusergo"
OURS = [f"-ldflags={LINK}", f"-tags={TAGS}"]
GOFLAGS = "-tags=netgo,osusergo -ldflags=-linkmode=external"
ACTIVE = {
    "TOOLMAN_ENV": "arm64-musl",
    "TOOLMAN_GO_LDFLAGS": LINK,
    "TOOLMAN_GO_TAGS": TAGS,
    "GOFLAGS": GOFLAGS,
    "CGO_ENABLED": "1",
    "CGO_LDFLAGS": "'--sysroot=/a -static b/c' -static",
}
RECORDER = """#!/bin/sh
printf '%s\\0' "$$" "${CGO_LDFLAGS-}" "${GOFLAGS-}" "$@"
exit "${EXIT-0}"
"""


@dataclass(frozen=True, kw_only=True)
class Call:
    """What the recorder got."""

    args: list[str]
    pid: int
    cgo_ldflags: str
    goflags: str


@dataclass(frozen=True, kw_only=True)
class End:
    """How a process ended; `code` is negative if by a signal."""

    pid: int
    code: int
    out: bytes
    err: bytes

    @property
    def call(self) -> Call:
        """What the recorder printed."""
        pid, cgo_ldflags, goflags, *args = os.fsdecode(self.out).split("\0")[:-1]
        return Call(args=args, pid=int(pid), cgo_ldflags=cgo_ldflags, goflags=goflags)


@dataclass(frozen=True, kw_only=True)
class Shim:
    """The shim on a PATH with nothing else but the recorder, under one shell."""

    shell: list[str]
    root: Path

    @property
    def path(self) -> Path:
        return self.root / "shims" / "go"

    def end(self, *args: str | bytes, **env: str) -> End:
        """How `go ARGS` ends, with PATH and `env` as the whole environment."""
        words = [tools.find(self.shell[0]), *self.shell[1:], self.path, *args]
        path = f"{self.root}/shims:{self.root}/real"
        pipe = subprocess.PIPE
        with subprocess.Popen(words, env={"PATH": path, **env}, stdout=pipe, stderr=pipe) as child:
            try:
                out, err = child.communicate(timeout=60)
            finally:
                child.kill()
        return End(pid=child.pid, code=child.returncode, out=out, err=err)

    def run(self, *args: str | bytes, **env: str) -> Call:
        """The call that the recorder gets."""
        end = self.end(*args, **env)
        assert (end.code, end.err) == (0, b"")
        return end.call

    def args(self, *args: str, **env: str) -> list[str]:
        """The arguments that the recorder gets in an active environment."""
        return self.run(*args, **{**ACTIVE, **env}).args


def set_up(shell: list[str], root: Path) -> Shim:
    """Shim and recorder below `root`, which should have odd characters in its name."""
    write(root / "shims" / "go", SHIM)
    write(root / "real" / "go", RECORDER)
    return Shim(shell=shell, root=root)


def write(program: Path, text: str) -> None:
    """An executable script."""
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(text, "utf-8")
    program.chmod(0o755)
