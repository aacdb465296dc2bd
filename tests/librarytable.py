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

from toolman.errors import NetworkError
from toolman.libraries import recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[1]
PROGRAMS = CHECKOUT / "tests/programs/libraries"
PAGE = CHECKOUT / "docs/libraries.md"
NO_TESTS = "--no-tests"
TARGETS = ("arm64-musl", "amd64-musl")
HEAD = ["library", "licence"]
HEAD += [f"{one}: {what}" for one in TARGETS for what in ("builds, runs", "own tests")]
MARK = "<!-- scripts/libraries writes what follows anew. -->\n"
NOTE = """
builds, runs: by Debian 12's compiler (origin distro), and a static program that uses it runs. own
tests: how many tests of the library's own suite passed, as the suite counts them; none: it has none
that run by themselves. On amd64 natively, on arm64 under qemu-user, all of them static programs.
not yet: when this was written. -: its source could not be had where that was.
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


def look(name: str, version: str, env: dict[str, str], work: Path, *, tests: bool) -> None:
    """Fill in the row of a version of a library; what was wrong is printed."""
    word = f"{name}@{version}"
    for target in TARGETS:
        try:
            said, cell = run(word, target, env, work), "yes, yes"
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout)[-1500:]
            cell = "-" if error.returncode == NetworkError.exit_code else "fails"
        tell(word, target, f"{cell}: {said}")
        own = [] if cell == "yes, yes" else [cell]
        if tests and not own:
            own = [tested(word, target, env)]
        write(f"{name} {version}", target, [cell, *own])
        toolman("remove", target, "--all", env=env)


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
    """Fill in the rows of the libraries that are named, as zlib or zlib@1.3.2, or of all."""
    home = CACHE / "libraries"
    work = home / "programs"
    work.mkdir(parents=True, exist_ok=True)
    path = f"{ENVIRON['PATH']}:{buildtools.dejagnu()}"
    env = {**ENVIRON, "PATH": path, "TOOLMAN_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    env["TOOLMAN_CACHE"] = str(CACHE / "toolman")
    toolman("install", *TARGETS, env=env)
    tests = NO_TESTS not in sys.argv
    for word in [one for one in sys.argv[1:] if one != NO_TESTS] or recipe.names():
        for name, version in meant(word):
            look(name, version, env, work, tests=tests)
    return int(any("fail" in cell for cells in rows(PAGE.read_text("utf-8")) for cell in cells))


def rows(page: str) -> list[list[str]]:
    """The table of the page, without its head."""
    lines = page.partition(MARK)[2].split("\n")
    table = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return table[2:]


def write(first: str, target: str, new: list[str]) -> None:
    """Put cells into the table, which has all that the recipes have, and nothing else."""
    page = PAGE.read_text("utf-8")
    known = {cells[0]: cells for cells in rows(page)}
    every = [one for name in recipe.names() for one in meant(name)]
    table = [HEAD, ["---"] * len(HEAD)]
    for name, version in every:
        begin = [f"{name} {version}", recipe.load(name).pins[version][0].license]
        cells = known.get(begin[0], [*begin, *["not yet"] * (2 * len(TARGETS))])
        if cells[0] == first:
            place = 2 + 2 * TARGETS.index(target)
            cells[place : place + len(new)] = new
        table.append(cells)
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in table)
    PAGE.write_text(f"{page.partition(MARK)[0]}{MARK}\n{text}{NOTE}{notes()}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
