"""What was written reaches the disk, or who wrote it learns that it did not."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING

import pytest

from toolman import syncing

if TYPE_CHECKING:
    from pathlib import Path


def test_it_goes_on_while_the_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), []

    def sync(tree: Path) -> None:
        begun.set()
        ended.append(tree)

    monkeypatch.setattr(syncing, "sync", sync)
    with syncing.meanwhile(tmp_path):
        assert begun.wait(60)
    assert ended == [tmp_path]


def test_a_failure_is_told_when_the_block_ends(tmp_path: Path) -> None:
    done = []
    with pytest.raises(FileNotFoundError), syncing.meanwhile(tmp_path / "gone"):
        done.append("block")
    assert done == ["block"]
    # What the block raises is told first.
    with pytest.raises(KeyError), syncing.meanwhile(tmp_path / "gone"):
        raise KeyError


def test_a_failure_of_the_kernels_has_its_number(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        syncing.sync(tmp_path / "gone")
    assert caught.value.errno == errno.ENOENT
    syncing.sync(tmp_path)
