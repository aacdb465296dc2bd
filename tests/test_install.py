"""What an install keeps of the toolchain that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toolman import recipe, toolchain
from toolman.host import Host
from toolman.target import Target, parse
from toolman.toolchain import Description

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runner


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"TOOLMAN_HOME": str(tmp_path / "home"), "TOOLMAN_CACHE": str(tmp_path / "cache")}


def has_built(env: dict[str, str], tmp_path: Path, label: str, malloc: str = "mimalloc") -> None:
    """Put a toolchain into the store that says of itself that it was built by a recipe."""
    target = parse("arm64-musl")
    assert isinstance(target, Target)
    about = Description(
        name=target.name,
        target=target,
        version="15.3.0",
        digest="0" * 64,
        origin="source",
        languages=("c", "fortran"),
        host=Host.current().key,
        sysroot=".",
        tools={"gcc": "bin/gcc"},
        recipe=label,
        malloc=malloc,
    )
    tree = tmp_path / "home" / Host.current().key / "store" / about.entry
    tree.mkdir(parents=True)
    toolchain.write(tree, about)


def test_languages_recipe_and_allocator_add_up(
    toolman: Runner, env: dict[str, str], tmp_path: Path
) -> None:
    has_built(env, tmp_path, "gcc-15-musl")
    done = toolman("install", "arm64-musl", "--with", "c++", "--dry-run", env=env)
    assert done.code == 0, done.err
    said = "arm64-musl with c++, fortran, the recipe gcc-15-musl, malloc mimalloc: origin source"
    assert done.out.startswith(said)


def test_what_is_said_wins_over_what_is_there(
    toolman: Runner, env: dict[str, str], tmp_path: Path
) -> None:
    has_built(env, tmp_path, "gcc-15-musl")
    words = ("--with", "c++", "--gcc", "14", "--malloc", "mallocng", "--dry-run")
    done = toolman("install", "arm64-musl", *words, env=env)
    assert "recipe gcc-14-musl" in done.out
    assert "malloc mimalloc" not in done.out


def test_another_origin_begins_anew(toolman: Runner, env: dict[str, str], tmp_path: Path) -> None:
    has_built(env, tmp_path, "gcc-15-musl")
    done = toolman("install", "arm64-musl", "--origin", "distro", "--dry-run", env=env)
    assert done.code == 2
    assert "it has no fortran for musl" in done.err
    assert "gcc-15" not in done.err


def test_a_recipe_of_the_users_has_to_be_named_again(
    toolman: Runner, env: dict[str, str], tmp_path: Path
) -> None:
    has_built(env, tmp_path, "mine-0123456789ab")
    done = toolman("install", "arm64-musl", "--with", "c++", "--dry-run", env=env)
    assert done.code == 2
    assert "was built by a recipe that does not come with toolman, mine-0123456789ab" in done.err
    assert "--recipe FILE" in done.err


def test_recipes_and_what_they_build_are_listed(toolman: Runner, env: dict[str, str]) -> None:
    shown = toolman("list", "--recipes", env=env).out
    assert all(one.name in shown for one in recipe.recipes())
    row = next(
        line
        for line in toolman("list", "--available", env=env).out.splitlines()
        if line.startswith("armv6-musl")
    )
    assert row.split()[3:] == ["-", "-", "c,c++,fortran", "bootlin"]
