"""Modules that people use, with C and C++ of their own, from the module proxy: built for arm64, and
each put to real use under qemu.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tools
from go_cells import Go
from test_built import built
from test_go_matrix import environment

from toolman import elf

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Runner

    Maker = Callable[..., Go]

# They share what go builds and downloads.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("modules")]

MODULES = Path(__file__).parent / "modules"
VERSION = "1.27"
PRINTS = {
    "sqlite3": "3.54.1 /098 /099",
    "zstd": "1110000 true true true",
    "yaml": "false (stream (document (block_node (block_mapping",
}
GETH = "github.com/ethereum/go-ethereum/cmd/geth@v1.17.10"
# sqlite3/old.mod has the last one before the fix of mattn/go-sqlite3#1164.
OLD = ("build", "-modfile=old.mod")
OLD_PRINTS = "3.42.0 /098 /099"
RECIPE = "gcc-14-musl-1.2.3"


@pytest.fixture
def go_for(toolman: Runner, tmp_path: Path) -> Maker:
    """Go in an environment, with what it has downloaded and compiled before."""

    def make(words: str, home: Path | None = None) -> Go:
        env = environment(words, toolman, tmp_path / "user", home)
        go = Go(env, VERSION, tmp_path / "go", tools.CACHE / "go-modules/build")
        go.env["GOMODCACHE"] = str(tools.CACHE / "go-modules/modules")
        return go

    return make


@pytest.mark.parametrize("target", ["arm64-musl", "arm64-gnu", "arm64-gnu --static"])
@pytest.mark.parametrize("name", PRINTS)
def test_a_module_is_as_asked_for_and_works(go_for: Maker, name: str, target: str) -> None:
    go = go_for(target)
    go.directory = MODULES / name
    program = go.out() / name
    go("build", "-o", str(program), ".")
    assert elf.inspect(program).linkage == ("dynamic" if target == "arm64-gnu" else "static")
    assert go.run(program).startswith(PRINTS[name])


@pytest.mark.parametrize("target", ["arm64-musl", "arm64-gnu"])
def test_geth_is_as_asked_for_and_works(go_for: Maker, target: str) -> None:
    go = go_for(target)
    go("install", GETH)
    program = Path(go.env["GOPATH"], "bin/linux_arm64/geth")
    assert elf.inspect(program).linkage == ("dynamic" if target == "arm64-gnu" else "static")
    said = go.run(program, "version")
    assert "Version: 1.17.10-stable" in said
    assert "Architecture: arm64" in said
    # A key, which is made by the C of secp256k1.
    (go.scratch / "password").write_text("secret\n")
    account = ("account", "new", "--lightkdf", "--password", go.scratch / "password")
    where = ("--datadir", go.scratch / "data")
    assert "Public address of the key" in go.run(program, *account, *where)
    assert "Account #0: {" in go.run(program, "account", "list", *where)


def test_doctor_knows_why_an_old_sqlite_does_not_compile(go_for: Maker) -> None:
    go = go_for("arm64-musl")
    go.directory = MODULES / "sqlite3"
    done = go.attempt("go", *OLD, "-o", str(go.out()), ".")
    assert "'pread64' undeclared" in done.stdout
    log = go.scratch / "build.log"
    log.write_text(done.stdout)
    said = go.attempt("toolman", "doctor", log).stdout
    assert "go-sqlite3: 1.14.18 or newer" in said
    assert f"--recipe {RECIPE}" in said
    assert "-D_LARGEFILE64_SOURCE" in said


@pytest.mark.parametrize("cure", ["-D_LARGEFILE64_SOURCE", RECIPE])
def test_an_old_sqlite_works_with_the_cures_that_doctor_names(go_for: Maker, cure: str) -> None:
    if cure == RECIPE:
        go = go_for("arm64-musl", built("arm64-musl", "c++", "--recipe", RECIPE))
    else:
        go = go_for("arm64-musl")
        go.env["CGO_CFLAGS"] += f" {cure}"
    go.directory = MODULES / "sqlite3"
    program = go.out() / "old"
    go(*OLD, "-o", str(program), ".")
    assert elf.inspect(program).linkage == "static"
    assert go.run(program) == OLD_PRINTS
