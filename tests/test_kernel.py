"""Programs of other platforms that the host's kernel runs itself, and where it must not."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tools

from toolman import kernel, target
from toolman.host import Host
from toolman.target import Platform

if TYPE_CHECKING:
    from conftest import Runner

HELLO = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'
# Kills what makes a system call of 386 or of 32-bit ARM, as strict containers do.
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_STRICT = [
    (0x20, 0, 0, 4),  # load the architecture
    (0x15, 2, 0, 0x40000003),  # i386
    (0x15, 1, 0, 0x40000028),  # ARM
    (0x06, 0, 0, 0x7FFF0000),  # allow
    (0x06, 0, 0, 0x80000000),  # kill the process
]


def platform(word: str) -> Platform:
    found = target.parse(word)
    assert isinstance(found, Platform)
    return found


def forbid_32_bits() -> None:
    """From now on this process and its children are on a machine that runs 64 bits only."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *one) for one in _STRICT))
    program = struct.pack("@HP", len(_STRICT), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    assert libc.prctl(_SECCOMP, _FILTER, program) == 0, os.strerror(ctypes.get_errno())


@pytest.fixture
def env() -> dict[str, str]:
    """Of a user with 386-musl and 386-gnu."""
    home = tools.CACHE / f"home-{tools.digest()}-386"
    tools.install(home, "386-musl", "386-gnu")
    return {"TOOLMAN_HOME": str(home), "TOOLMAN_CACHE": str(tools.CACHE / "toolman")}


def probe(into: Path, word: str) -> Path:
    program = into / "probe"
    program.write_bytes(kernel.probe(platform(word)))
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("word", ["linux/386", "linux/arm/v7", "linux/arm/v6"])
def test_the_probe_ends_well_on_its_platform(
    toolman: Runner, env: dict[str, str], tmp_path: Path, word: str
) -> None:
    done = toolman("run", word, probe(tmp_path, word), env=env)
    assert (done.code, done.out) == (0, ""), done.err


@pytest.mark.parametrize("word", ["linux/386", "linux/arm/v7", "linux/arm/v6", "linux/riscv64"])
def test_what_is_told_is_what_the_kernel_does(tmp_path: Path, word: str) -> None:
    machine = Host.current().machine
    expected = False
    if machine in platform(word).runs_on:
        try:
            expected = subprocess.run([probe(tmp_path, word)]).returncode == 0
        except OSError:
            expected = False
    assert kernel.runs(platform(word), machine) == expected


@pytest.mark.parametrize("name", ["386-musl", "386-gnu"])
@pytest.mark.parametrize("flags", [["-static"], []])
def test_programs_run_with_and_without_32_bits(
    toolman: Runner, env: dict[str, str], tmp_path: Path, name: str, flags: list[str]
) -> None:
    (tmp_path / "a.c").write_text(HELLO)
    gcc = toolman("which", "gcc", "--target", name, env=env).out.strip()
    subprocess.run([gcc, *flags, "a.c", "-o", "a"], cwd=tmp_path, check=True)
    argv = [sys.executable, "-m", "toolman", "run", name, "./a"]
    environ = {**os.environ, **env, "PYTHONPATH": str(tools.CHECKOUT)}
    for prepare in (None, forbid_32_bits):
        done = subprocess.run(
            argv, cwd=tmp_path, env=environ, preexec_fn=prepare, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def test_qemu_is_called_only_where_the_kernel_cannot(
    toolman: Runner, env: dict[str, str], tmp_path: Path
) -> None:
    qemu = tmp_path / "qemu-i386"
    qemu.write_text("#!/bin/sh\nexit 99\n")
    qemu.chmod(0o755)
    native = kernel.runs(platform("linux/386"), Host.current().machine)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = toolman("run", "linux/386", probe(tmp_path, "linux/386"), env=env | {"PATH": path})
    assert done.code == (0 if native else 99)


def test_a_probe_that_is_killed_means_no() -> None:
    text = (
        "import test_kernel; from toolman import kernel; test_kernel.forbid_32_bits(); "
        "print(kernel.runs(test_kernel.platform('linux/386'), 'x86_64'))"
    )
    environ = {**os.environ, "PYTHONPATH": f"{tools.CHECKOUT}:{Path(__file__).parent}"}
    argv = [sys.executable, "-c", text]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
