"""Which toolchain a word means: the word, --libc, override or pin, the default, musl."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from toolman import choose
from toolman.errors import InputError
from toolman.paths import Paths
from toolman.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Paths(data=tmp_path / "data", cache=tmp_path / "cache"))


def set_default(store: Store, *names: str) -> None:
    store.paths.data.mkdir(parents=True)
    store.paths.defaults.write_text(json.dumps({"targets": names}))


def test_a_platform_means_musl_unless_something_says_otherwise(store: Store) -> None:
    choice = choose.choose("linux/arm64", store)
    assert (choice.name, choice.reason) == ("arm64-musl", "musl unless something says otherwise")


def test_the_default_wins_over_musl(store: Store) -> None:
    set_default(store, "arm64-gnu")
    assert choose.choose("linux/arm64", store).name == "arm64-gnu"
    assert choose.choose("linux/amd64", store).name == "amd64-musl"


def test_the_nearest_pin_wins_over_the_default(store: Store, tmp_path: Path) -> None:
    set_default(store, "arm64-gnu")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "a" / "toolman.toml").write_text('targets = ["arm64-musl"]')
    choice = choose.choose("linux/arm64", store, directory=below)
    assert choice.name == "arm64-musl"
    assert choice.reason == f"pinned in {tmp_path / 'a' / 'toolman.toml'}: targets"


def test_the_option_wins_over_the_pin(store: Store, tmp_path: Path) -> None:
    (tmp_path / "toolman.toml").write_text('targets = ["arm64-musl"]')
    assert choose.choose("arm64", store, libc="gnu", directory=tmp_path).name == "arm64-gnu"


def test_a_word_that_names_a_libc_wins_over_all(store: Store, tmp_path: Path) -> None:
    set_default(store, "arm64-musl")
    (tmp_path / "toolman.toml").write_text('targets = ["arm64-musl"]')
    assert choose.choose("arm64-gnu", store, directory=tmp_path).name == "arm64-gnu"


def test_a_libc_that_contradicts_the_word_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="arm64-musl is not a gnu target"):
        choose.choose("arm64-musl", store, libc="gnu")


def test_without_a_word_the_first_pinned_target_is_meant(store: Store, tmp_path: Path) -> None:
    (tmp_path / "toolman.toml").write_text('targets = ["riscv64-gnu", "arm64-musl"]')
    assert choose.choose(None, store, directory=tmp_path).name == "riscv64-gnu"


def test_without_a_word_or_pin_the_default_is_meant(store: Store, tmp_path: Path) -> None:
    set_default(store, "armv7-gnu", "arm64-gnu")
    assert choose.choose(None, store, directory=tmp_path).name == "armv7-gnu"


def test_without_anything_a_target_is_asked_for(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no target given"):
        choose.choose(None, store, directory=tmp_path)


def set_overrides(store: Store, **chosen: list[str]) -> None:
    store.paths.data.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"directories": {f"/{where}": names for where, names in chosen.items()}})
    store.paths.overrides.write_text(text.replace("__", "/"))


def test_the_nearest_of_override_and_pin_wins(store: Store, tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    set_default(store, "arm64-musl")
    here = str(tmp_path)[1:].replace("/", "__")
    set_overrides(store, **{here: ["arm64-gnu"]})
    choice = choose.choose("linux/arm64", store, directory=below)
    assert (choice.name, choice.reason) == (
        "arm64-gnu",
        f"chosen by: toolman override, for {tmp_path}",
    )
    assert choose.choose(None, store, directory=below).name == "arm64-gnu"
    (tmp_path / "a" / "toolman.toml").write_text('targets = ["arm64-musl"]')
    assert choose.choose("linux/arm64", store, directory=below).name == "arm64-musl"
    set_overrides(store, **{f"{here}__a": ["arm64-gnu"]})
    assert choose.choose("linux/arm64", store, directory=below).name == "arm64-gnu"
    assert choose.choose("linux/arm64", store, directory=tmp_path).name == "arm64-musl"


def test_an_override_has_no_say_for_other_platforms(store: Store, tmp_path: Path) -> None:
    set_overrides(store, **{str(tmp_path)[1:].replace("/", "__"): ["arm64-gnu", "armv7-musl"]})
    (tmp_path / "toolman.toml").write_text('targets = ["amd64-gnu"]')
    assert choose.choose("linux/amd64", store, directory=tmp_path).name == "amd64-gnu"
    assert choose.choose("linux/arm/v7", store, directory=tmp_path).name == "armv7-musl"
    assert choose.choose("linux/386", store, directory=tmp_path).name == "386-musl"
    assert choose.choose("arm64-musl", store, directory=tmp_path).name == "arm64-musl"


def test_a_pin_above_the_nearest_one_is_another_projects(store: Store, tmp_path: Path) -> None:
    below = tmp_path / "vendor"
    below.mkdir()
    (tmp_path / "toolman.toml").write_text('targets = ["amd64-gnu"]')
    (below / "toolman.toml").write_text('targets = ["arm64-gnu"]')
    assert choose.choose("linux/amd64", store, directory=below).name == "amd64-musl"
