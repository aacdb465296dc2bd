"""Cargo and rustc, as Debian has them: a crate with C code, by the variables and by the file."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import buildtools
import pytest
import tools
from test_built import built

from toolman import elf

if TYPE_CHECKING:
    from conftest import Runner

ROOT = Path(__file__).parents[1]
GNU = "aarch64-unknown-linux-gnu"
MUSL = "aarch64-unknown-linux-musl"


@pytest.fixture
def crate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of examples/greet, with cargo on PATH, which keeps what it has fetched."""
    monkeypatch.setenv("PATH", f"{buildtools.rust()}:{os.environ['PATH']}")
    monkeypatch.setenv("CARGO_HOME", str(tools.CACHE / "cargo"))
    return Path(shutil.copytree(ROOT / "examples/greet", tmp_path / "greet"))


def script(text: str, cwd: Path) -> str:
    argv = [tools.find("dash"), "-euc", text]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(("words", "linkage"), [("", "dynamic"), ("--static", "static")])
def test_a_crate_with_c_code_is_built_and_tested(
    command: Path, crate: Path, words: str, linkage: str
) -> None:
    out = script(f"eval $(toolman env arm64-gnu {words}); cargo test; cargo run -- you", crate)
    assert "test result: ok. 1 passed" in out
    assert out.endswith("hello you\n")
    report = elf.inspect(crate / f"target/{GNU}/debug/greet")
    assert (str(report.machine), report.linkage.removesuffix("-pie")) == ("linux/arm64", linkage)


def test_the_file_does_without_variables(command: Path, crate: Path, toolman: Runner) -> None:
    (crate / ".cargo").mkdir()
    text = toolman("env", "--format", "cargo", "arm64-gnu").out
    (crate / ".cargo/config.toml").write_text(text)
    assert "test result: ok. 1 passed" in script("cargo test; cargo build", crate)
    assert str(elf.inspect(crate / f"target/{GNU}/debug/greet").machine) == "linux/arm64"


def test_build_scripts_compile_c_for_the_host(command: Path, crate: Path) -> None:
    """A build script with C code of its own, as of a macro."""
    (crate / "host").mkdir()
    (crate / "host/Cargo.toml").write_text(
        '[package]\nname = "host"\nversion = "1.0.0"\nedition = "2021"\n'
        '[lib]\npath = "lib.rs"\n[build-dependencies]\ncc = "1.2"\n'
    )
    (crate / "host/build.rs").write_text(
        'fn main() { cc::Build::new().file("../greet.c").compile("greeting"); }\n'
    )
    (crate / "host/lib.rs").write_text(
        'extern "C" { fn greet(name: *const i8) -> *mut i8; }\n'
        'pub fn check() { assert!(!unsafe { greet(c"x".as_ptr()) }.is_null()); }\n'
    )
    manifest = crate / "Cargo.toml"
    manifest.write_text(manifest.read_text() + 'host = { path = "host" }\n')
    build = crate / "build.rs"
    build.write_text(build.read_text().replace("{\n", "{\n    host::check();\n", 1))
    script("eval $(toolman env arm64-gnu); cargo build", crate)


def test_a_home_with_odd_characters(
    toolman: Runner, command: Path, crate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLMAN_HOME", str(tmp_path / "it's a `home` #{{x}} & $(ü)*"))
    monkeypatch.setenv("TOOLMAN_CACHE", str(tools.CACHE / "toolman"))
    assert toolman("install", "arm64-gnu").code == 0
    script("eval $(toolman env arm64-gnu); cargo test", crate)
    text = toolman("env", "--format", "cargo", "--march", "armv8.1-a", "arm64-gnu").out
    (tmp_path / "config.toml").write_text(text)
    script(f"cargo --config {tmp_path}/config.toml test --target-dir other", crate)


def test_the_file_is_toml(toolman: Runner, command: Path) -> None:
    done = toolman("env", "--format", "cargo", "--dynamic", "--march", "armv8.1-a", "arm64-musl")
    said = tomllib.loads(done.out)
    assert said["build"]["target"] == MUSL
    assert said["target"][MUSL]["rustflags"] == ["-Ctarget-feature=-crt-static"]
    assert said["env"]["CFLAGS_aarch64_unknown_linux_musl"] == "-march=armv8.1-a"


@pytest.mark.slow
def test_musl_with_a_library_that_is_built_here(
    command: Path, crate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No registry has Rust's library for musl. Its sources do, with a toolchain whose libgcc_eh is
    musl's, as of origin source: it stands in for the libunwind that rustup's library brings."""
    buildtools.rust_sources()
    monkeypatch.setenv("TOOLMAN_HOME", str(built("arm64-musl", "c++")))
    (crate / "libraries").mkdir()
    (crate / "libraries/libunwind.a").write_text("INPUT(-lgcc_eh)\n")
    out = script(
        "eval $(toolman env linux/arm64); export RUSTC_BOOTSTRAP=1; "
        "export RUSTFLAGS='-Clink-self-contained=no -Lnative=libraries'; "
        "cargo test -Zbuild-std; cargo build -Zbuild-std",
        crate,
    )
    assert "test result: ok. 1 passed" in out
    assert elf.inspect(crate / f"target/{MUSL}/debug/greet").linkage.startswith("static")
