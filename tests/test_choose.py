"""Which toolchain a word means: the word, --libc, the pin, the default, musl, in this order."""

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
    assert choice.reason == f"pinned in {tmp_path / 'a' / 'toolman.toml'}"


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


def test_all_mistakes_of_a_pin_are_listed_at_once(store: Store, tmp_path: Path) -> None:
    (tmp_path / "toolman.toml").write_text('target = ["x"]\ntargets = ["arm46-musl", "amd46-gnu"]')
    with pytest.raises(InputError) as caught:
        choose.choose("linux/arm64", store, directory=tmp_path)
    for mistake in ("unknown key 'target'", "arm46-musl", "did you mean", "amd46-gnu"):
        assert mistake in str(caught.value)


@pytest.mark.parametrize("text", ["targets = [", "\x00", 'targets = "arm64-musl'])
def test_a_pin_that_is_no_toml_is_one_clear_line(store: Store, tmp_path: Path, text: str) -> None:
    (tmp_path / "toolman.toml").write_text(text)
    with pytest.raises(InputError, match=r"toolman\.toml"):
        choose.choose("linux/arm64", store, directory=tmp_path)


@pytest.mark.parametrize("text", ["targets = 5", 'targets = "arm64-musl"', "targets = [1]"])
def test_a_pin_of_the_wrong_shape_is_one_clear_line(
    store: Store, tmp_path: Path, text: str
) -> None:
    (tmp_path / "toolman.toml").write_text(text)
    with pytest.raises(InputError, match=r"toolman\.toml"):
        choose.choose("linux/arm64", store, directory=tmp_path)
