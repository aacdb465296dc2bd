"""The table of docs/libraries.md: each library built for real, and a program on it run.

scripts/libraries calls it. It takes a home of its own, TOOLMAN_TEST_CACHE's `libraries`, where
what was built once is found again.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools import CACHE, ENVIRON

from toolman.libraries import recipe

CHECKOUT = Path(__file__).parents[1]
PROGRAMS = CHECKOUT / "tests/programs/libraries"
PAGE = CHECKOUT / "docs/libraries.md"
TARGETS = ("arm64-musl", "amd64-musl")
NOTE = """
runs: built by Debian 12's compiler (origin distro), and a static program that uses it runs: on
amd64 natively, on arm64 under qemu-user. -: upstream could not be reached where this was written,
and Debian has no source of it that can be built.
"""
MARK = "<!-- scripts/libraries writes what follows anew. -->\n"


def run(name: str, target: str, env: dict[str, str], work: Path) -> str:
    """Have the library, and a program that uses it run; what that says.

    Raises:
        subprocess.CalledProcessError: one of them failed; its output is in it.
    """
    argv = [sys.executable, "-m", "toolman"]
    program = work / f"{name}-{target}"
    pkgconfig = " ".join(recipe.load(name).pkgconfig[:2])
    source = PROGRAMS / f"{name}.c"
    script = (
        f'eval "$({" ".join(argv)} env {target})"\n'
        f'"$CC" -static {source} -o {program} $("$PKG_CONFIG" --cflags --libs {pkgconfig})'
    )
    for command in (
        [*argv, "add", target, name],
        ["sh", "-euc", script],
        [*argv, "run", target, str(program)],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return done.stdout.strip()


def row(name: str, env: dict[str, str], work: Path) -> list[str]:
    """The cells of a library; what was wrong is printed."""
    known = recipe.load(name)
    licence = known.pins[known.versions[0]][0].license
    cells = []
    for target in TARGETS:
        try:
            said = run(name, target, env, work)
            cells.append("runs")
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout)[-1500:]
            cells.append("-" if "cannot get" in said else "fails")
        print(f"{name} {target}: {cells[-1]}: {said}", flush=True)
        toolman("remove", target, "--all", env=env)
    return [name, ", ".join(known.versions), licence, *cells]


def toolman(*words: str, env: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "toolman", *words]
    subprocess.run(argv, env=env, check=False, capture_output=True)


def main() -> int:
    """Write the table; arguments are the libraries to look at, or all."""
    home = CACHE / "libraries"
    work = home / "programs"
    work.mkdir(parents=True, exist_ok=True)
    env = {**ENVIRON, "TOOLMAN_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    env["TOOLMAN_CACHE"] = str(CACHE / "toolman")
    toolman("install", *TARGETS, env=env)
    rows = [row(name, env, work) for name in sys.argv[1:] or recipe.names()]
    head, mark, _ = PAGE.read_text("utf-8").partition(MARK)
    if not sys.argv[1:] and mark:
        lines = [["library", "versions", "licence", *TARGETS], ["---"] * 5, *rows]
        table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
        PAGE.write_text(f"{head}{mark}\n{table}{NOTE}", "utf-8")
    return int(any("fails" in cells for cells in rows))


if __name__ == "__main__":
    sys.exit(main())
