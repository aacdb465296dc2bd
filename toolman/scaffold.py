"""The files that `toolman init` writes, from templates in `data/init`.

What they call is what a user would type; nothing in them depends on the machine that wrote them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolman import gomod, lockfile, project
from toolman import target as targets
from toolman.errors import InputError
from toolman.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from toolman.lockfile import Lock
    from toolman.project import Pin
    from toolman.target import Platform

DOCKERIGNORE = ".dockerignore"
FILES = {
    "docker": {
        "Dockerfile": "Dockerfile",
        "docker-bake.hcl": "docker-bake.hcl",
        DOCKERIGNORE: "dockerignore",
    },
    "github": {".github/workflows/cross.yml": "github.yml"},
    "gitlab": {".gitlab-ci.yml": "gitlab.yml"},
}
"""By kind of file the paths, and of each its template."""
PLATFORMS = ("linux/amd64", "linux/arm64")
"""Where neither the user nor a pin says which."""

_TEMPLATES = Path(__file__).parent / "data/init"
# The Debians that golang images are made of, by the word of Host.system; the first has the images
# of the most Go releases.
_CODENAMES = {"debian12": "bookworm", "debian13": "trixie"}
_GITHUB_HOST = "ubuntu24.04"
_BLANK = re.compile(r"@([A-Z_]+)@")
_CACHE = "RUN --mount=type=cache,target=/root/.cache/toolman"
_LOCKED = "toolman sync --locked"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is built, for which platforms, and with which toolchains."""

    module: gomod.Module
    package: str
    program: str
    platforms: tuple[Platform, ...]
    static: bool
    """Whether all of the programs are."""
    pinned: bool
    lock: Lock | None

    @property
    def codename(self) -> str:
        """Of the Debian to build on: where there is a lock, one that it was made on."""
        known = [name for system, name in _CODENAMES.items() if not unlocked(self.lock, system)]
        return known[0] if known else next(iter(_CODENAMES.values()))


def plan(directory: Path, package: str = ".", words: Sequence[str] = ()) -> Plan:
    """What the project in `directory` has to say, for the platforms that `words` name.

    Raises:
        InputError: it is no Go module, has no such program, or does not pin such a platform.
    """
    module = gomod.read(directory)
    if package != "." and not package.startswith(("./", "/")):
        package = f"./{package}"  # `cmd/app` alone is of the standard library
    pin = project.pin_at(directory)
    chosen = _platforms(words, pin)
    libcs = {str(one.platform): one.libc for one in reversed(pin.targets)} if pin else {}
    return Plan(
        module=module,
        package=package,
        program=gomod.program(module, package, directory),
        platforms=chosen,
        static=all(libcs.get(str(one), "musl") == "musl" for one in chosen),
        pinned=pin is not None,
        lock=lockfile.read(lockfile.beside(pin)) if pin else None,
    )


def files(kind: str, made: Plan) -> dict[str, str]:
    """The text of each file, by its path."""
    blanks = {**_common(made), **_BLANKS[kind](made)}
    return {path: _filled(template, blanks) for path, template in FILES[kind].items()}


def notes(kind: str, made: Plan) -> list[str]:
    """What the user has to do before these files do their work."""
    found = [_TOOLMAN[kind]]
    system = _GITHUB_HOST if kind == "github" else _system(made.codename)
    if unlocked(made.lock, system):
        found.append(f"{lockfile.FILE} was not made on {system}: say toolman lock there once")
    if kind == "docker":
        found += [f"{one} is outside of the build context" for one in made.module.outside]
    return found


def unlocked(lock: Lock | None, system: str) -> bool:
    """Whether a lock leaves out what is installed on a `system` as `debian12`."""
    distro = [one for one in lock.toolchains if one.origin == "distro"] if lock else []
    return any(not any(key.startswith(f"{system}-") for key in one.systems) for one in distro)


def _platforms(words: Sequence[str], pin: Pin | None) -> tuple[Platform, ...]:
    pinned = _once(one.platform for one in pin.targets) if pin else ()
    if not words:
        return pinned or _once(map(_platform, PLATFORMS))
    chosen = _once(map(_platform, words))
    for one in chosen:
        if pin and one not in pinned:
            hint = f'add "{one.name}-musl" to its targets'
            raise InputError(f"{pin.file.name} names no target of {one}", hint=hint)
    return chosen


def _once(platforms: Iterable[Platform]) -> tuple[Platform, ...]:
    return tuple({one.docker: one for one in platforms}.values())


def _platform(word: str) -> Platform:
    found = targets.parse(word)
    if isinstance(found, Target):
        hint = f'say {found.platform}; {project.PIN} says its libc: targets = ["{found}"]'
        raise InputError(f"--platform: {word} is a target, not a platform", hint=hint)
    return found


def _filled(template: str, blanks: Mapping[str, str]) -> str:
    """The template's text; what fills a blank on several lines is indented as its first."""

    def fill(line: str) -> str:
        indent = line[: len(line) - len(line.lstrip())]
        return _BLANK.sub(lambda one: blanks[one[1]].replace("\n", f"\n{indent}"), line)

    return "".join(map(fill, (_TEMPLATES / template).read_text("utf-8").splitlines(keepends=True)))


def _common(made: Plan) -> dict[str, str]:
    # An older Go than `go` came to mean something with: the newest builds that, too.
    return {
        "GO": made.module.go or "1",
        "CODENAME": made.codename,
        "NAME": made.program,
        "PACKAGE": made.package,
        "VERIFY": "--static " if made.static else "",
        "INSTALL": _sync(made) or 'toolman install "$PLATFORM"',
    }


def _docker(made: Plan) -> dict[str, str]:
    early, late = "", "ARG TARGETPLATFORM\n"
    sync = _sync(made)
    if sync:
        copied = f"{project.PIN} {lockfile.FILE}" if made.lock else project.PIN
        toolchain = f"COPY {copied} /src/\n{_CACHE} \\\n    cd /src && {sync}"
    else:
        early, late = late, early
        toolchain = f'{_CACHE} \\\n    toolman install "$TARGETPLATFORM"'
    return {
        "TOOLCHAIN": early + toolchain,
        "PLATFORM_LATER": late,
        "PLATFORMS": json.dumps([one.docker for one in made.platforms]),
        "FINAL": "scratch" if made.static else f"debian:{made.codename}-slim",
    }


def _github(made: Plan) -> dict[str, str]:
    rows = [f"- platform: {one}\n  name: {one.name}" for one in made.platforms]
    which = "" if made.pinned else "-${{ matrix.name }}"
    pins = "${{ hashFiles('toolman.toml', 'toolman.lock') }}"
    stated = "go-version-file: go.mod" if made.module.go else "go-version: stable"
    return {
        "MATRIX": "\n".join(rows),
        "SETUP_GO": stated,
        "KEY": f"toolman-ubuntu24.04-${{{{ runner.arch }}}}{which}-{pins}",
    }


def _gitlab(made: Plan) -> dict[str, str]:
    rows = [f"- PLATFORM: {one}\n  NAME: {one.name}" for one in made.platforms]
    return {"MATRIX": "\n".join(rows)}


def _sync(made: Plan) -> str | None:
    """What installs all that is pinned."""
    if not made.pinned:
        return None
    return _LOCKED if made.lock else "toolman sync"


def _system(codename: str) -> str:
    return next(system for system, name in _CODENAMES.items() if name == codename)


_BLANKS = {"docker": _docker, "github": _github, "gitlab": _gitlab}
_TOOLMAN = {
    "docker": "build it with: TOOLMAN=CHECKOUT docker buildx bake --allow=fs.read=CHECKOUT",
    "github": "set the repository's variable TOOLMAN to the URL of a git repository of toolman",
    "gitlab": "set the project's variable TOOLMAN to the URL of a git repository of toolman",
}
