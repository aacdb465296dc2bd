"""docs/go.md and docs/build-systems.md: what they show is what happens."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import buildtools
import tools

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PROGRAMS = ROOT / "tests/programs"
_END = "-- end of output --"


def sessions(text: str) -> Iterator[tuple[str, str]]:
    """Each command, and the output that stands below it."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for one in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = one.partition("\n")
            yield command, output


def fits(output: str, shown: str) -> bool:
    """Whether it is as shown, where `…` is anything."""
    pattern = ".*".join(map(re.escape, shown.rstrip().split("…")))
    return re.fullmatch(pattern, output.rstrip(), re.DOTALL) is not None


def run_as_shown(document: str, work: Path, example: Path, env: dict[str, str]) -> int:
    """One shell runs all commands of `document` in a copy of `example`, as a reader would.

    How many there were.
    """
    shown = [*sessions((ROOT / document).read_text("utf-8"))]
    script = [f"cp -R {example}/. {work} && cd {work} && export PATH"]
    script += [f"{{ {words}; }} 2>&1; echo '{_END}'" for words, _ in shown]
    work.mkdir()
    done = subprocess.run(
        ["bash"], input="\n".join(script), env=env, capture_output=True, text=True
    )
    outputs = done.stdout.split(f"{_END}\n")
    assert len(outputs) == len(shown) + 1, done.stderr
    wrong = [
        f"$ {words}\n{output}-- but shown is --\n{expected}"
        for (words, expected), output in zip(shown, outputs, strict=False)
        if not fits(output, expected)
    ]
    assert not wrong, "\n".join(wrong)
    return len(shown)


def test_what_is_shown_of_go_is_what_happens(
    gccgo_home: Path, command: Path, tmp_path: Path
) -> None:
    env = {
        **os.environ,
        "PATH": f"{command}:{tools.go('1.27').parent}:{os.environ['PATH']}",
        "TOOLMAN_HOME": str(gccgo_home),
        "GOCACHE": str(tmp_path / "cache"),
        "GOENV": "off",
        "GOTOOLCHAIN": "local",
    }
    assert run_as_shown("docs/go.md", tmp_path / "work", PROGRAMS, env) > 20


def test_what_is_shown_of_build_systems_is_what_happens(command: Path, tmp_path: Path) -> None:
    programs = (buildtools.pypi(), buildtools.autotools(), buildtools.rust())
    env = {
        **os.environ,
        "PATH": ":".join([*map(str, programs), os.environ["PATH"]]),
        "CARGO_HOME": str(tools.CACHE / "cargo"),
        "CONAN_HOME": str(tmp_path / "conan"),
    }
    example = ROOT / "examples/greet"
    assert run_as_shown("docs/build-systems.md", tmp_path / "work", example, env) > 15
