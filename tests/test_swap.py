"""Two directories change places, in one step or by three renames."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from toolman import swap

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("one", "other"):
        (tmp_path / name / "below").mkdir(parents=True)
        (tmp_path / name / "below/file").write_text(name)
    return tmp_path / "one", tmp_path / "other"


def said(place: Path) -> str:
    return (place / "below/file").read_text()


def test_they_change_places(pair: tuple[Path, Path]) -> None:
    one, other = pair
    numbers = one.stat().st_ino, other.stat().st_ino
    swap.swap(one, other)
    assert (other.stat().st_ino, one.stat().st_ino) == numbers
    assert (said(one), said(other)) == ("other", "one")


def test_this_file_system_does_it_in_one_step(pair: tuple[Path, Path]) -> None:
    assert swap._exchange(*pair) == 0
    assert said(pair[0]) == "other"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_it_cannot_renames_do(
    pair: tuple[Path, Path], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "_exchange", lambda one, other: number)
    swap.swap(*pair)
    assert (said(pair[0]), said(pair[1])) == ("other", "one")
    assert sorted(path.name for path in pair[0].parent.iterdir()) == ["one", "other"]


def test_a_failure_is_told_and_changes_nothing(pair: tuple[Path, Path]) -> None:
    with pytest.raises(FileNotFoundError):
        swap.swap(pair[0].with_name("gone"), pair[1])
    assert said(pair[1]) == "other"
