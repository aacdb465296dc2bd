"""What all tests share: an isolated environment, the real command line, installed toolchains."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
import tools

from toolman import again, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

pytest_plugins = ["published", "projects", "go_cells"]

CHECKOUT = Path(__file__).parents[1]
TOOLCHAINS = ("arm64-musl", "arm64-gnu")
BUILT = ("test_built", "test_gccgo", "test_go_matrix", "test_go_modules")

# The user's settings that would change what is tested; those of package managers stay.
_OURS = ("TOOLMAN_", "XDG_", "GO", "CGO_", "PKG_CONFIG", "CARGO_", "CC_", "CXX_", "AR_", "CMAKE_")
_TOOLS = (
    "CC",
    "CXX",
    "AR",
    "AS",
    "LD",
    "CFLAGS",
    "CXXFLAGS",
    "LDFLAGS",
    "CONFIG_SITE",
    "GITHUB_ENV",
    "GITHUB_PATH",
    "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE",
)
_KEPT = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE")


class Runner(Protocol):
    """Runs `toolman WORDS`; `env` goes over the present environment."""

    def __call__(
        self, *words: str | Path, env: Mapping[str, str] = {}, cwd: Path | None = None
    ) -> run.Finished: ...


def isolated(home: Path) -> dict[str, str]:
    """The environment of a user who has set nothing, at home in `home`."""
    kept = {
        name: value
        for name, value in tools.ENVIRON.items()
        if name in _KEPT or not (name.startswith(_OURS) or name in _TOOLS)
    }
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    return {**kept, "PATH": tools.path(), "HOME": str(home), "TMPDIR": str(home / "tmp")}


@pytest.fixture(autouse=True, scope="session")
def _path() -> None:
    """For the fixtures that are made before any test is isolated."""
    os.environ["PATH"] = tools.path()


def pytest_configure() -> None:
    """Programs inherit what is ignored, as by nohup; the tests send these to them."""
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a toolchain that is built here comes last, for that takes all processors."""
    items.sort(key=lambda item: item.path.stem in BUILT)


@pytest.fixture(autouse=True)
def _isolation(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = isolated(tmp_path_factory.mktemp("home"))
    for name in os.environ.keys() - wanted.keys() - {"PYTEST_CURRENT_TEST"}:
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture(scope="session")
def toolman() -> Runner:
    """The command line, as a program of its own."""

    def call(
        *words: str | Path, env: Mapping[str, str] = {}, cwd: Path | None = None
    ) -> run.Finished:
        environ = {**os.environ, "PYTHONPATH": str(CHECKOUT), **env}
        return run.run([sys.executable, "-m", "toolman", *words], env=environ, cwd=cwd)

    return call


@pytest.fixture(scope="session")
def home() -> Path:
    """A TOOLMAN_HOME with `TOOLCHAINS`, made once on this machine. Tests only read it."""
    made = tools.CACHE / f"home-{tools.digest()}"
    tools.install(made, *TOOLCHAINS)
    return made


@pytest.fixture(scope="session")
def gccgo_home() -> Path:
    """A TOOLMAN_HOME with `TOOLCHAINS`, the gnu one with gccgo. Tests only read it."""
    made = tools.CACHE / f"home-{tools.digest()}-gccgo"
    musl, gnu = TOOLCHAINS
    tools.install(made, musl)
    tools.install(made, gnu, "--with", "gccgo")
    return made


@pytest.fixture
def command(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a `toolman` that shells can call."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    script = bin_ / "toolman"
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} -m toolman "$@"\n', "utf-8"
    )
    script.chmod(0o755)
    monkeypatch.setenv("TOOLMAN_HOME", str(home))
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    return script


@pytest.fixture(scope="session")
def arm64_musl(
    toolman: Runner, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment of arm64-musl, over that of a user who has set nothing."""
    user = isolated(tmp_path_factory.mktemp("home"))
    return activated("arm64-musl", toolman, user | {"TOOLMAN_HOME": str(home)})


@pytest.fixture(scope="session")
def arm64_gnu(
    toolman: Runner, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment of arm64-gnu, over that of a user who has set nothing."""
    user = isolated(tmp_path_factory.mktemp("home"))
    return activated("arm64-gnu", toolman, user | {"TOOLMAN_HOME": str(home)})


@pytest.fixture(scope="session")
def go_version() -> Callable[[str], Path]:
    """The go command of a version such as `1.27`."""
    return tools.go


def activated(name: str, toolman: Runner, environ: dict[str, str], *words: str) -> dict[str, str]:
    """`environ` in the environment that `toolman env NAME WORDS` tells of."""
    done = toolman("env", name, *words, "--format", "json", env=environ)
    assert done.code == 0, done.err
    said = json.loads(done.out)
    prepended = {
        variable: one["separator"].join(filter(None, [one["text"], environ.get(variable)]))
        for variable, one in said["prepend"].items()
    }
    return environ | said["set"] | prepended


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that fails for a moment is asked again at once."""
    monkeypatch.setattr(again, "_PAUSE", 0.01)
