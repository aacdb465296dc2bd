"""Which go the shim runs, and that nothing but the arguments differs from running it directly."""

from __future__ import annotations

import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from go_recorder import ACTIVE, LINK, OURS, SHELLS, SHIM, Shim, set_up, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=SHELLS, ids=lambda words: words[0])
def shim(request: pytest.FixtureRequest, tmp_path: Path) -> Shim:
    return set_up(request.param, tmp_path / "a b*")


def test_exit_status_passes_through(shim: Shim) -> None:
    assert shim.end("build", **ACTIVE, EXIT="42").code == 42


def test_go_takes_the_place_of_the_shim(shim: Shim) -> None:
    end = shim.end("build", **ACTIVE)
    assert end.call.pid == end.pid


def test_signal_passes_through(shim: Shim) -> None:
    write(shim.root / "real" / "go", "#!/bin/sh\nkill -TERM $$\n")
    assert shim.end("build", **ACTIVE).code == -signal.SIGTERM


def test_no_variable_changes(shim: Shim) -> None:
    """Neither those that a script would like to use, nor any new one."""
    names = "arg args command count dir dirs field file flag flags go head left mode name out path"
    names += " quote rest tag tags value word words n i x OPTIND"
    env = {**ACTIVE, **dict.fromkeys(names.split(), "mine\n"), "OPTIND": "1"}
    write(shim.root / "real" / "go", '#!/bin/sh\nexec "$ENV_PROGRAM" -0\n')
    env["ENV_PROGRAM"] = shutil.which("env") or ""
    out = shim.end("build", "-tags=x", "-ldflags=-extldflags=-lm", **env).out.decode()
    after = dict(item.split("=", 1) for item in out.split("\0")[:-1])
    for name in ("PATH", "PWD", "OLDPWD", "SHLVL", "_"):  # each shell keeps these itself
        after.pop(name, None)
    assert after == env


def test_runs_by_its_name(shim: Shim) -> None:
    path = f"{shim.root}/shims:{shim.root}/real"
    done = subprocess.run(["go", "build"], env={"PATH": path, **ACTIVE}, capture_output=True)
    assert done.stdout.decode().split("\0")[3:-1] == ["build", *OURS]


def test_skips_itself_under_every_spelling(shim: Shim, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(shim.root / "shims")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "go").symlink_to(shim.path)
    shims, real = f"{shim.root}/shims", f"{shim.root}/real"
    links = (f"{tmp_path}/link", f"{tmp_path}/other")
    for spelling in (f"{shims}/", f"{shims}//", f"{shims}/../shims", *links):
        assert shim.args("build", PATH=f"{spelling}:{real}") == ["build", *OURS]
        # Were it taken for another go, it would merge twice.
        args = shim.args("build", "-ldflags=-s", PATH=f"{shims}:{spelling}:{real}")
        assert args == ["build", OURS[1], f"-ldflags={LINK} -s"]


def test_skips_what_is_no_program(shim: Shim, tmp_path: Path) -> None:
    (tmp_path / "one" / "go").mkdir(parents=True)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "go").write_text("not executable")
    path = f"{shim.root}/shims:{tmp_path}/one:{tmp_path}/two:{tmp_path}/none:{shim.root}/real"
    assert shim.args("build", PATH=path) == ["build", *OURS]


def test_directory_on_path_is_no_pattern(shim: Shim, tmp_path: Path) -> None:
    write(tmp_path / "trap" / "go", "#!/bin/sh\nexit 1\n")
    path = f"{shim.root}/shims:{tmp_path}/tra?:{shim.root}/real"
    assert shim.args("build", PATH=path) == ["build", *OURS]


def test_takes_a_go_in_front_where_none_is_behind(shim: Shim) -> None:
    path = f"{shim.root}/real:{shim.root}/shims"
    assert shim.args("build", PATH=path) == ["build", *OURS]


def test_shims_of_two_toolmen_reach_go(shim: Shim, tmp_path: Path) -> None:
    write(tmp_path / "second" / "go", SHIM)
    first, second = f"{shim.root}/shims", f"{tmp_path}/second"
    for shims in ([first, second], [second, first], [first, second, first, second]):
        path = ":".join([*shims, f"{shim.root}/real"])
        assert shim.args("version", PATH=path) == ["version"]


def test_says_that_there_is_no_go(shim: Shim, tmp_path: Path) -> None:
    write(tmp_path / "second" / "go", SHIM)
    first, second = f"{shim.root}/shims", f"{tmp_path}/second"
    for path in (first, "", f"{first}:{second}", f"{second}:{first}"):
        end = shim.end("build", PATH=path)
        assert (end.code, end.out) == (127, b"")
        said, hint = end.err.decode().splitlines()
        assert said.startswith("error: ")
        assert hint.startswith("hint: ")
