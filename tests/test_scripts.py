"""scripts/install and the launcher as a user has them, and the quickstart on a new machine."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import machine
import pytest
import tools
from conftest import CHECKOUT, isolated

from toolman import run
from toolman.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# One installation serves the whole file.
# What httpx brings along.
OF_HTTPX = {"anyio", "certifi", "h11", "httpcore", "idna", "typing_extensions"}
# What tuf brings along; it verifies without a compiled library.
OF_TUF = {"securesystemslib", "urllib3"}

pytestmark = pytest.mark.xdist_group("scripts")

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


@dataclass(frozen=True, kw_only=True)
class User:
    """A user with toolman and two toolchains, in a directory that is hard to quote."""

    home: Path
    checkout: Path
    env: Mapping[str, str]

    @property
    def root(self) -> Path:
        return self.home / ".local/share/toolman" / Host.current().key

    def install(self, *words: str) -> run.Finished:
        return run.run([self.checkout / "scripts/install", *words], env=self.env, cwd=Path("/"))

    def launcher(
        self, *words: str, cwd: Path | None = None, env: Mapping[str, str] = {}
    ) -> run.Finished:
        """What `toolman WORDS` does."""
        program = self.home / ".local/bin/toolman"
        return run.run([program, *words], env={**self.env, **env}, cwd=cwd or self.home)

    def python(
        self, *words: str, cwd: Path | None = None, env: Mapping[str, str] = {}
    ) -> run.Finished:
        """The same, but always by Python."""
        argv = [self.root / "venv/bin/python", "-I", "-m", "toolman", *words]
        return run.run(argv, env={**self.env, **env}, cwd=cwd or self.home)

    def active(self, name: str) -> dict[str, str]:
        """The environment of the user's shell after `eval $(toolman env NAME)`."""
        script = 'eval $("$0" env "$1"); exec env -0' if name else "exec env -0"
        words = ["sh", "-c", script, self.home / ".local/bin/toolman", name]
        out = run.run(words, env=self.env, cwd=self.home).out
        return dict(line.split("=", 1) for line in out.rstrip("\0").split("\0"))


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    where = tmp_path_factory.mktemp("scripts")
    names = ["toolman", "recipes", "scripts", "pyproject.toml", "README.md", "LICENSE"]
    for name in names:
        source, to = CHECKOUT / name, where / "check out" / name
        to.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to)
    home = where / "o'neil  smith"
    home.mkdir()
    env = isolated(home) | {"TOOLMAN_CACHE": str(tools.CACHE / "toolman")}
    found = User(home=home, checkout=where / "check out", env=env)
    done = found.install()
    assert done.code == 0, done.err
    with tools.locked(tools.CACHE / "apt"):
        done = found.launcher("install", "arm64-musl", "arm64-gnu")
    assert done.code == 0, done.err
    yield found
    shutil.rmtree(where)


def test_installs_what_is_needed_at_run_time_and_no_more(user: User) -> None:
    (packages,) = user.root.glob("venv/lib/python3.*/site-packages")
    wanted = {re.split("[^a-z]", name)[0] for name in PROJECT["dependencies"]}
    found = {path.name.partition("-")[0] for path in packages.glob("*.dist-info")}
    assert found - OF_HTTPX - OF_TUF == {*wanted, "toolman_cross"}
    assert (packages / "toolman/recipes/distro.toml").is_file()
    assert list(packages.glob("toolman/__pycache__/cli.*.pyc"))
    launcher = user.home / ".local/bin/toolman"
    assert stat.S_IMODE(launcher.stat().st_mode) == 0o755
    assert list(launcher.parent.iterdir()) == [launcher]


def test_says_which_line_puts_the_launcher_on_path(user: User) -> None:
    line = 'export PATH="$HOME/.local/bin:$PATH"'
    assert line in user.install().err
    script = f'{line}; exec "$0"'
    words = ["sh", "-c", script, user.checkout / "scripts/install"]
    assert line not in run.run(words, env=user.env).err


def test_second_install_changes_nothing(user: User) -> None:
    before = {path.name: path.lstat().st_mtime_ns for path in user.root.iterdir()}
    done = user.install()
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("toolman is up to date\n")
    assert {path.name: path.lstat().st_mtime_ns for path in user.root.iterdir()} == before


def test_update_replaces_the_environment_and_sweeps_what_a_kill_left(user: User) -> None:
    old = (user.root / "venv").readlink()
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = [user.root / f"venv.0123456789ab.{dead.pid}", user.root / f"scratch.{dead.pid}"]
    for directory in left:
        (directory / "bin").mkdir(parents=True)
    with (user.checkout / "toolman/__init__.py").open("a") as file:
        file.write("\n# changed\n")
    done = user.install()
    assert done.code == 0, done.err
    new = (user.root / "venv").readlink()
    assert new != old
    # A program that runs now may still import from the old one.
    assert {path.name for path in user.root.glob("venv*")} == {"venv", str(new), str(old)}
    assert not [path for path in left if path.exists()]
    assert user.launcher("--version").out == user.python("--version").out


def test_who_publishes_can_sign_after_each_update(user: User, tmp_path: Path) -> None:
    words = ("publish", "init", "repo", "--keys", "keys")
    refused = user.launcher(*words, cwd=tmp_path)
    assert (refused.code, list(tmp_path.iterdir())) == (2, [])
    assert "scripts/install --publish" in refused.err
    assert user.install("--publish").code == 0
    assert user.install().err.startswith("toolman is up to date\n")
    with (user.checkout / "toolman/__init__.py").open("a") as file:
        file.write("\n# changed for publishers\n")
    assert user.install().code == 0
    done = user.launcher(*words, cwd=tmp_path)
    assert done.code == 0, done.err


def test_killed_install_leaves_the_old_one_working(user: User) -> None:
    with (user.checkout / "toolman/__init__.py").open("a") as file:
        file.write("\n# changed again\n")
    old = (user.root / "venv").readlink()
    words = [user.checkout / "scripts/install"]
    with subprocess.Popen(words, env=dict(user.env), process_group=0, stderr=-1) as process:
        assert process.stderr
        # It says so when the new environment is begun.
        assert b"installing toolman" in process.stderr.readline()
        os.killpg(process.pid, 9)
    assert (user.root / "venv").readlink() == old
    assert user.launcher("--version").code == 0
    assert user.install().code == 0
    assert (user.root / "venv").readlink() != old
    assert not list(user.root.glob("scratch.*"))


WORDS = ["linux/arm64", "arm64", "arm64-musl", "aarch64-linux-musl", "arm64-gnu", "linux/arm64/v8"]


@pytest.mark.parametrize("word", WORDS)
def test_launcher_prints_what_python_prints(user: User, word: str) -> None:
    assert (user.root / f"env/words/{word}.sh").is_file()
    assert user.launcher("env", word) == user.python("env", word)
    assert user.launcher("env", word).code == 0


def test_launcher_needs_no_python_for_the_usual_call(user: User) -> None:
    expected = user.python("env", "linux/arm64")
    (user.root / "venv").rename(user.root / "away")
    try:
        assert user.launcher("env", "linux/arm64") == expected
        assert user.launcher("env", "linux/arm64", env=user.active("arm64-musl")) == expected
        other = user.launcher("env", "linux/arm64", env=user.active("arm64-gnu"))
        assert (other.code, other.out) == (1, "false;\n")
    finally:
        (user.root / "away").rename(user.root / "venv")


@pytest.mark.parametrize(
    "words",
    [
        ["env", "linux/arm64", "--libc", "gnu"],
        ["env", "-s", "fish", "linux/arm64"],
        ["env", "--file", "linux/arm64"],
        ["env", "--unset"],
        ["env"],
        ["env", ""],
        ["env", "linux/arm"],
        ["env", "LINUX/arm64"],
        ["env", "/linux/arm64"],
        ["env", "linux//arm64"],
        ["env", "./arm64"],
        ["env", "../arm64-musl"],
        ["env", "linux/../arm64"],
        ["env", "linux/arm64/"],
        ["show", "linux/arm64"],
        ["no such command"],
        [],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("active", ["", "arm64-gnu"])
def test_launcher_leaves_all_else_to_python(user: User, words: list[str], active: str) -> None:
    env = user.active(active)
    assert user.launcher(*words, env=env) == user.python(*words, env=env)


@pytest.mark.parametrize("active", ["", "arm64-musl", "arm64-gnu"])
def test_pin_above_the_directory_counts(user: User, tmp_path: Path, active: str) -> None:
    (tmp_path / "toolman.toml").write_text('targets = ["arm64-gnu"]\n')
    below = tmp_path / "a b" / "c"
    below.mkdir(parents=True)
    env = user.active(active)
    pinned = user.launcher("env", "linux/arm64", cwd=below, env=env)
    assert pinned == user.python("env", "linux/arm64", cwd=below, env=env)
    assert "TOOLMAN_ENV='arm64-gnu'" in pinned.out


def test_pin_counts_behind_a_link(user: User, tmp_path: Path) -> None:
    (tmp_path / "project" / "below").mkdir(parents=True)
    (tmp_path / "project" / "toolman.toml").write_text('targets = ["arm64-gnu"]\n')
    (tmp_path / "link").symlink_to("project/below")
    launcher = user.home / ".local/bin/toolman"
    # Through the shell, which then has the link in PWD.
    words = ["sh", "-c", 'cd "$0" && exec "$1" env linux/arm64', tmp_path / "link", launcher]
    assert "TOOLMAN_ENV='arm64-gnu'" in run.run(words, env=user.env).out


def test_launcher_changes_nothing_in_the_environment(user: User) -> None:
    theirs = {"ID": "7", "VERSION": "1.2", "NAME": "x", "root": "/", "directory": "d"}
    words = ["exec", "arm64-musl", "--", "env"]
    done = user.launcher(*words, env=theirs)
    assert done.code == 0, done.err
    # sh sets PWD if the caller has not.
    kept = {line for line in done.out.splitlines() if not line.startswith(("PWD=", "_="))}
    directly = user.python(*words, env=theirs).out.splitlines()
    assert kept == {line for line in directly if not line.startswith(("PWD=", "_="))}


@pytest.mark.parametrize("name", ["plain", "o'ne il", '"$(id)"'])
def test_says_how_to_install_on_a_host_without_it(user: User, tmp_path: Path, name: str) -> None:
    env = {"TOOLMAN_HOME": str(tmp_path / name)}
    done = user.launcher("env", "linux/arm64", env=env)
    assert (done.code, done.out) == (1, "false;\n")
    assert f"error: toolman is not installed for this host ({Host.current().key})" in done.err
    assert "hint: run scripts/install" in done.err
    assert user.launcher("list", env=env).out == ""


def test_refuses_unknown_arguments(user: User) -> None:
    for script in ("install", "quickstart"):
        done = run.run([user.checkout / "scripts" / script, "--frobnicate"], env=user.env)
        assert done.code == 1
        assert "unknown argument '--frobnicate'" in done.err


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can make another root")


@needs_root
@pytest.mark.slow
@pytest.mark.parametrize("who", ["root", "newcomer"])
@pytest.mark.parametrize("has", ["nothing", "python without pip"])
def test_quickstart_on_a_new_machine(tmp_path: Path, who: str, has: str) -> None:
    new = machine.make(tmp_path / "root", CHECKOUT)
    if has != "nothing":
        new("root", "apt-get", "update")
        new("root", "apt-get", "install", "-qy", "--no-install-recommends", "python3")
    first = new(who, "/opt/toolman/scripts/quickstart")
    assert "executable, static" in first
    assert "hello from linux/arm64" in first
    assert "crypto:   as in FIPS 197" in first
    second = new(who, "/opt/toolman/scripts/quickstart")
    assert "toolman is up to date" in second
    assert "download" not in second
    assert "hello from linux/arm64" in second
    assert not list((tmp_path / "root/tmp").iterdir())
