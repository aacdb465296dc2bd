"""The table of docs/libraries.md: each library built for real, a program on it run, and its tests.

scripts/libraries calls it. It takes a home of its own, TOOLMAN_TEST_CACHE's `libraries`, where
what was built and tested once is found again.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import buildtools
import librarychecks
from tools import CACHE, ENVIRON

from toolman.libraries import recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[1]
PROGRAMS = CHECKOUT / "tests/programs/libraries"
PAGE = CHECKOUT / "docs/libraries.md"
TARGETS = ("arm64-musl", "amd64-musl")
HEAD = ["library", "licence"]
HEAD += [f"{one}: {what}" for one in TARGETS for what in ("builds, runs", "own tests")]
MARK = "<!-- scripts/libraries writes what follows anew. -->\n"
NOTE = """
builds, runs: by Debian 12's compiler (origin distro), and a static program that uses it runs. own
tests: how many tests of the library's own suite passed, as the suite counts them; none: it has none
that run by themselves. On amd64 natively, on arm64 under qemu-user, all of them static programs.
-: upstream could not be reached where this was written, and Debian has no source of it.
"""


def run(word: str, target: str, env: dict[str, str], work: Path) -> str:
    """Have the library, and a program that uses it run; what that says.

    Raises:
        subprocess.CalledProcessError: one of them failed; its output is in it.
    """
    argv = [sys.executable, "-m", "toolman"]
    name = word.partition("@")[0]
    program = work / f"{name}-{target}"
    pkgconfig = " ".join(recipe.load(name).pkgconfig[:2])
    source = PROGRAMS / f"{name}.c"
    script = (
        f'eval "$({" ".join(argv)} env {target})"\n'
        f'"$CC" -static {source} -o {program} $("$PKG_CONFIG" --cflags --libs {pkgconfig})'
    )
    for command in (
        [*argv, "add", target, word],
        ["sh", "-euc", script],
        [*argv, "run", target, str(program)],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return done.stdout.strip()


def row(name: str, version: str, env: dict[str, str], work: Path) -> list[str]:
    """The cells of a version of a library; what was wrong is printed."""
    known = recipe.load(name)
    cells = [f"{name} {version}", known.pins[version][0].license]
    for target in TARGETS:
        word = f"{name}@{version}"
        try:
            said, cell = run(word, target, env, work), "yes, yes"
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout)[-1500:]
            cell = "-" if "cannot get" in said else "fails"
        tell(word, target, f"{cell}: {said}")
        cells += [cell, tested(word, target, env) if cell == "yes, yes" else cell]
        toolman("remove", target, "--all", env=env)
    return cells


def tested(word: str, target: str, env: dict[str, str]) -> str:
    """The cell of its own tests."""
    began = time.monotonic()
    counted = librarychecks.check(word, target, env)
    if counted is None:
        return "none"
    tell(word, target, f"own tests: {counted} ({time.monotonic() - began:.0f} s) {counted.trouble}")
    return str(counted)


def tell(word: str, target: str, text: str) -> None:
    print(f"{word} {target}: {text}", flush=True)


def toolman(*words: str, env: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "toolman", *words]
    subprocess.run(argv, env=env, check=False, capture_output=True)


def notes() -> str:
    """What the recipes say of the tests that are left out."""
    said = [(name, recipe.load(name).check.note) for name in recipe.names()]
    lines = "".join(f"- {name}: {note}\n" for name, note in said if note)
    return f"\nNot in these numbers:\n\n{lines}" if lines else ""


def meant(word: str) -> Iterator[tuple[str, str]]:
    """The library and version that `zlib@1.3.2` means; of `zlib`, every version."""
    name, _, version = word.partition("@")
    versions = recipe.load(name).versions
    yield from ((name, one) for one in ([version] if version else versions))


def main() -> int:
    """Write the rows of the libraries that are named, as zlib or zlib@1.3.2, or all."""
    home = CACHE / "libraries"
    work = home / "programs"
    work.mkdir(parents=True, exist_ok=True)
    path = f"{ENVIRON['PATH']}:{buildtools.dejagnu()}"
    env = {**ENVIRON, "PATH": path, "TOOLMAN_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    env["TOOLMAN_CACHE"] = str(CACHE / "toolman")
    toolman("install", *TARGETS, env=env)
    for word in sys.argv[1:] or recipe.names():
        for name, version in meant(word):
            write(row(name, version, env, work))
    return int(any("fail" in cell for cells in rows(PAGE.read_text("utf-8")) for cell in cells))


def rows(page: str) -> list[list[str]]:
    """The table of the page, without its head."""
    lines = page.partition(MARK)[2].split("\n")
    table = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return table[2:]


def write(new: list[str]) -> None:
    """Put a row into the table; what stands there of a version that no recipe has goes."""
    page = PAGE.read_text("utf-8")
    every = [f"{name} {version}" for name in recipe.names() for _, version in meant(name)]
    found = {cells[0]: cells for cells in [*rows(page), new] if cells[0] in every}
    table = [HEAD, ["---"] * len(HEAD), *(found[key] for key in every if key in found)]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in table)
    PAGE.write_text(f"{page.partition(MARK)[0]}{MARK}\n{text}{NOTE}{notes()}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
