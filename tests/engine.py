"""What BuildKit's engine does with a compiled Dockerfile, as far as ours need it, in directories.

Needs root. A state is a directory that the next vertex changes; where several follow, each gets a
copy. Commands run in the state, with the environment, the working directory and the cache mounts
that the frontend has given them, and with this host's way to the network.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# A mount of its own, as in machine.py; then pairs of what to mount and where.
_ENTER = """
root=$1 where=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
while [ "$1" != -- ]; do
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    shift 2
done
shift
cd "$root"
pivot_root . .
umount -l .
exec chroot . env -C "$where" "$@"
"""


class Engine:
    """Builds in `work` from a base image's root and from local directories, by their names."""

    def __init__(self, work: Path, base: Path, local: Mapping[str, Path]) -> None:
        self._work = work
        self._base = base
        self._local = local
        self._states: dict[str, Path] = {}
        self._users: Counter[str] = Counter()
        self.ran: list[str] = []
        """The commands, each once however many platforms need it."""

    def build(self, platforms: Mapping[str, list[dict[str, Any]]]) -> dict[str, Path]:
        """The root of each platform's image."""
        every = {one["digest"]: one["op"] for them in platforms.values() for one in them}
        self._users = Counter(below for op in every.values() for below in _bases(op))
        for digest, op in every.items():
            self._states[digest] = self._vertex(op)
        return {name: self._states[them[-1]["digest"]] for name, them in platforms.items()}

    def _vertex(self, op: dict[str, Any]) -> Path:
        if "source" in op:
            return self._source(op["source"])
        if "file" in op:
            return self._file(op)
        if "exec" in op:
            return self._exec(op)
        return self._states[op["inputs"][0]["digest"]]  # the last one only names the result

    def _source(self, source: dict[str, Any]) -> Path:
        kind, _, name = source["identifier"].partition("://")
        if kind != "local":
            return self._base
        patterns = _words(source, "local.excludepatterns")
        chosen = _words(source, "local.followpaths") or ["."]
        ignored = shutil.ignore_patterns(*(one.removeprefix("**/") for one in patterns))
        into = self._fresh()
        for one in chosen:
            path = self._local[name] / one
            if path.is_dir():
                shutil.copytree(path, into / one, ignore=ignored, dirs_exist_ok=True)
            else:
                shutil.copy2(path, into / one)
        return into

    def _file(self, op: dict[str, Any]) -> Path:
        made = [self._states[one["digest"]] for one in op.get("inputs", ())]
        digests = [one["digest"] for one in op.get("inputs", ())]
        for action in op["file"]["actions"]:
            number = int(action.get("input", 0))
            into = made[number] if number >= 0 else self._fresh()
            if 0 <= number < len(digests):
                into = self._own(digests[number])
            if "mkdir" in action:
                (into / action["mkdir"]["path"].lstrip("/")).mkdir(parents=True, exist_ok=True)
            else:
                _copy(made[int(action.get("secondaryInput", 0))], into, action["copy"])
            made.append(into)
        return made[-1]

    def _exec(self, op: dict[str, Any]) -> Path:
        meta, mounts = op["exec"]["meta"], op["exec"]["mounts"]
        root = self._own(op["inputs"][0]["digest"])
        bound: list[str | Path] = []
        for one in mounts:
            if one["dest"] != "/":
                assert one["mountType"] == "CACHE", one
                cache = self._work / "caches" / one["cacheOpt"]["ID"].strip("/").replace("/", "_")
                cache.mkdir(parents=True, exist_ok=True)
                bound += [cache, one["dest"]]
        self.ran.append(meta["args"][-1])
        env = dict(one.split("=", 1) for one in meta["env"])
        print(enter(root, *meta["args"], env=env, where=meta["cwd"], bound=bound))
        return root

    def _own(self, digest: str) -> Path:
        """The state, to be changed."""
        state = self._states[digest]
        if self._users[digest] == 1 and state != self._base:
            return state
        into = self._fresh()
        into.rmdir()
        subprocess.run(["cp", "-a", "--reflink=auto", state, into], check=True)
        return into

    def _fresh(self) -> Path:
        into = self._work / f"state{len(list(self._work.glob('state*')))}"
        into.mkdir(parents=True)
        return into


def enter(
    root: Path,
    *words: str,
    env: Mapping[str, str],
    where: str = "/",
    bound: list[str | Path] | None = None,
) -> str:
    """What a command in a root prints, errors included; it must succeed."""
    # As runc sets HOME; and as `docker build` passes proxies.
    env = {"HOME": "/root", **machine.passed(), **env}
    return machine.apart(_ENTER, "sh", root, where, *(bound or []), "--", *words, env=env)


def golang(root: Path, checkout: Path, go: Path) -> None:
    """A root as that of a golang image: Debian, Go, certificates and git."""
    new = machine.make(root, checkout)
    new("root", "apt-get", "update")
    words = ("install", "-qy", "--no-install-recommends", "ca-certificates", "git")
    new("root", "apt-get", *words)
    shutil.rmtree(root / "opt/toolman")
    shutil.copytree(go.parents[1], root / "usr/local/go", symlinks=True)
    (root / "go").mkdir()


def _bases(op: dict[str, Any]) -> Iterator[str]:
    """What a vertex changes, of its inputs."""
    digests = [one["digest"] for one in op.get("inputs", ())]
    if "exec" in op:
        yield digests[0]
    for action in op.get("file", {}).get("actions", ()):
        number = int(action.get("input", 0))
        if 0 <= number < len(digests):
            yield digests[number]


def _copy(source: Path, into: Path, said: dict[str, Any]) -> None:
    path, to = source / said["src"].lstrip("/"), into / said["dest"].lstrip("/")
    assert path.exists(), path
    if path.is_dir():
        shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True)
        return
    if said["dest"].endswith("/"):
        to = to / path.name
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, to)


def _words(source: dict[str, Any], key: str) -> list[str]:
    found: list[str] = json.loads(source.get("attrs", {}).get(key, "[]"))
    return found
