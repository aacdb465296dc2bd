"""`toolman override`: what a directory means, and that the launcher notices."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from archive import HOST
from conftest import CHECKOUT

from toolman import run

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runner

    from toolman.run import Finished


class User:
    """Somebody with toolchains and two projects, `a` and `b`."""

    def __init__(self, toolman: Runner, home: Path, place: Path) -> None:
        self.toolman = toolman
        self.place = place
        self.home = place / "home"
        shutil.copytree(home, self.home, symlinks=True, copy_function=os.link)
        self.env = {"TOOLMAN_HOME": str(self.home)}
        self.file = self.home / HOST.key / "overrides.json"
        for name in ("a", "b"):
            (place / name / "below").mkdir(parents=True)

    def __call__(self, where: str, *words: str | Path) -> Finished:
        return self.toolman(*words, env=self.env, cwd=self.place / where)

    def good(self, where: str, *words: str | Path) -> Finished:
        done = self(where, *words)
        assert done.code == 0, done.err
        return done

    def launcher(self, where: str, *words: str) -> Finished:
        """What the launcher answers; without a Python it can only print a file."""
        script = CHECKOUT / "toolman/data/launcher.sh"
        environ = {**os.environ, **self.env}
        return run.run(["sh", script, *words], env=environ, cwd=self.place / where)


@pytest.fixture
def user(toolman: Runner, home: Path, tmp_path: Path) -> User:
    return User(toolman, home, tmp_path)


def test_a_directory_means_what_was_chosen_for_it(user: User) -> None:
    user.good("a", "override", "set", "arm64-gnu")
    shown = json.loads(user.good("a/below", "show", "linux/arm64", "--json").out)
    assert shown["name"] == "arm64-gnu"
    assert shown["reason"] == f"chosen by: toolman override, for {user.place}/a"
    assert "TOOLMAN_ENV='arm64-gnu'" in user.good("a", "env").out
    assert "TOOLMAN_ENV='arm64-musl'" in user.good("b", "env", "linux/arm64").out
    user.good("a", "override", "unset")
    assert "TOOLMAN_ENV='arm64-musl'" in user.good("a", "env", "linux/arm64").out


def test_it_is_set_from_elsewhere_and_listed(user: User) -> None:
    (user.place / "link").symlink_to("a")
    user.good("b", "override", "set", "arm64-gnu", "--path", "../link")
    user.good("b", "override", "set", "armv7-gnu", "--path", "../a")
    user.good("b", "override", "set", "arm64-musl", "--path", "../a")
    user.good("b", "override", "set", "arm64-gnu")
    rows = json.loads(user.good("b", "override", "list", "--json").out)["overrides"]
    assert rows == [
        {"directory": f"{user.place}/a", "targets": ["arm64-musl", "armv7-gnu"]},
        {"directory": f"{user.place}/b", "targets": ["arm64-gnu"]},
    ]
    shutil.rmtree(user.place / "a")
    assert (
        f"{user.place}/a  arm64-musl armv7-gnu  is gone" in user.good("b", "override", "list").out
    )
    user.good("b", "override", "unset", "--path", user.place / "a")
    refused = user("b", "override", "unset", "--path", user.place / "a")
    assert (refused.code, "hint: see: toolman override list" in refused.err) == (2, True)
    refused = user("b", "override", "set", "arm64-gnu", "--path", user.place / "a")
    assert (refused.code, "is no directory" in refused.err) == (2, True)


def test_the_launcher_answers_alone_only_if_there_is_no_override(user: User) -> None:
    assert "TOOLMAN_ENV='arm64-musl'" in user.launcher("a", "env", "linux/arm64").out
    user.good("a", "override", "set", "arm64-gnu")
    for where in ("a", "b"):
        asked = user.launcher(where, "env", "linux/arm64")
        assert (asked.code, asked.out) == (1, "false;\n")  # it wanted Python
    user.good("a", "override", "unset")
    assert not user.file.exists()
    assert "TOOLMAN_ENV='arm64-musl'" in user.launcher("a", "env", "linux/arm64").out


def test_a_damaged_file_is_as_none(user: User) -> None:
    user.file.write_text("[")
    assert "TOOLMAN_ENV='arm64-musl'" in user.good("a", "env", "linux/arm64").out
    user.good("a", "override", "set", "arm64-gnu")
    assert "TOOLMAN_ENV='arm64-gnu'" in user.good("a", "env", "linux/arm64").out


def test_a_directory_whose_name_is_no_utf8(user: User) -> None:
    odd = os.fsdecode(b"\xff")
    (user.place / odd).mkdir()
    user.good("a", "override", "set", "arm64-gnu", "--path", user.place / odd)
    assert "TOOLMAN_ENV='arm64-gnu'" in user.good(odd, "env", "linux/arm64").out
