"""`toolman.toml`: what it says, and every mistake in it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toolman import project
from toolman.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runner


def pin(place: Path, text: str) -> project.Pin:
    (place / "toolman.toml").write_text(text)
    return project.needed(place)


def test_a_target_has_its_own_table_or_what_is_said_for_all(tmp_path: Path) -> None:
    text = """
        targets = ["linux/arm64", "arm64-gnu"]
        languages = ["c++"]
        [target.aarch64-linux-musl]
        languages = ["gccgo"]
        gcc = "15"
        malloc = "mimalloc"
        origin = "source"
        """
    musl, gnu = pin(tmp_path, text).wants
    assert (musl.target.name, gnu.target.name) == ("arm64-musl", "arm64-gnu")
    assert musl.request.languages == ("c", "gccgo")
    assert (musl.request.gcc, musl.request.malloc, musl.origin) == ("15", "mimalloc", "source")
    assert (gnu.request.languages, gnu.request.gcc, gnu.origin) == (("c", "c++"), None, None)


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("", ["targets: missing"]),
        ("targets = []", ["targets: names none"]),
        ("targets = 5", ["targets: must be a list of texts"]),
        ("targets = [1]", ["targets: must be a list of texts"]),
        ('target = ["x"]', ["target: must be tables", "targets: missing"]),
        (
            'targets = ["arm46-musl", "amd46-gnu"]',
            ["unknown target 'arm46-musl' (did you mean", "unknown target 'amd46-gnu'"],
        ),
        ('targets = ["arm64", "arm64-musl"]', ["'arm64-musl' names arm64-musl twice"]),
        (
            'targets = ["arm64"]\nlangages = ["c++"]\ncommand = "rm -rf /"\nurl = "https://a"',
            ["langages: unknown key; did you mean languages?", "command: unknown", "url: unknown"],
        ),
        ('targets = ["arm64"]\nlanguages = ["c+"]', ["languages: unknown language 'c+'"]),
        (
            'targets = ["arm64"]\nlibraries = ["zlib", "Z lib", "zlib@1.3"]',
            ["libraries: 'Z lib' is no library", "libraries: 'zlib' stands there twice"],
        ),
        (
            'targets = ["arm64"]\n[target.arm64-gnu]\n[target.arm46]\n',
            ["'arm64-gnu' is not among the targets; did you mean arm64-musl?", "target.arm46: unk"],
        ),
        (
            'targets = ["arm64"]\n[target.arm64]\n[target.arm64-musl]\n',
            ["target.arm64-musl: arm64-musl has a table already"],
        ),
        (
            'targets = ["arm64"]\n[target.arm64]\ngc = "15"\nmaloc = "x"\nlanguages = ["d"]\n',
            [
                "target.arm64.gc: unknown key; did you mean gcc?",
                "target.arm64.maloc: unknown key; did you mean malloc?",
                "target.arm64.languages: unknown language 'd'",
            ],
        ),
        (
            'targets = ["arm64"]\n[target.arm64]\nmalloc = "mimaloc"\norigin = "linked"\n',
            [
                "malloc: 'mimaloc' is none of mallocng, mimalloc; did you mean mimalloc",
                "origin: 'linked' is none of prebuilt, distro, source",
            ],
        ),
        (
            'targets = ["arm64"]\n[target.arm64]\nrecipe = "../mine.toml"\ngcc = "15"',
            ["recipe: must be a name", "gcc: the recipe says which GCC it is"],
        ),
    ],
)
def test_all_mistakes_are_listed_at_once(tmp_path: Path, text: str, mistakes: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        pin(tmp_path, text)
    head, *lines = str(caught.value).splitlines()
    plural = "s" * (len(mistakes) != 1)
    assert head == f"{tmp_path}/toolman.toml: {len(mistakes)} mistake{plural}"
    assert caught.value.hint == "the keys are explained in docs/projects.md"
    assert len(lines) == len(mistakes)
    assert [one for one in mistakes if not any(one in line for line in lines)] == []


@pytest.mark.parametrize("text", ["targets = [", "\x00", 'targets = "arm64-musl'])
def test_what_is_no_toml_is_one_clear_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"toolman\.toml: .*\(at "):
        pin(tmp_path, text)


def test_install_without_a_target_installs_what_the_pin_wants(
    toolman: Runner, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "toolman.toml").write_text('targets = ["arm64-gnu", "arm64-musl"]')
    below = tmp_path / "below"
    below.mkdir()
    env = {"TOOLMAN_HOME": str(home)}
    done = toolman("install", "--dry-run", env=env, cwd=below)
    assert done.out == "arm64-gnu: already installed\narm64-musl: already installed\n"
    refused = toolman("install", "--with", "c++", env=env, cwd=below)
    assert refused.code == 2
    assert f"{tmp_path}/toolman.toml says what to install" in refused.err
    with (tmp_path / "toolman.toml").open("a") as file:
        file.write('\n[target.arm64-musl]\nlanguages = ["c++"]\norigin = "distro"\n')
    refused = toolman("install", env=env, cwd=below)
    assert refused.code == 2
    assert "no origin offers arm64-musl with c++: distro: it has no c++ for musl" in refused.err
