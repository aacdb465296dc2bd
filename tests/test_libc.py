"""musl's string functions for x86-64, as patched: natively, and on a processor without AVX2."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import tools

from toolman.host import Host

if TYPE_CHECKING:
    from pathlib import Path

PATCH = tools.CHECKOUT / "recipes/patches/musl/0001-vector-strings-x86-64.patch"
PROGRAM = tools.CHECKOUT / "tests/programs/libc/strings.c"
# What musl's own headers define.
INTERNAL = (
    '-Dhidden=__attribute__((__visibility__("hidden")))',
    "-Dweak_alias(old,new)=extern __typeof(old) new __attribute__((__weak__, __alias__(#old)))",
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checks, with the functions of the patch in the place of the host's."""
    if Host.current().machine != "x86_64":
        pytest.skip("of processors of one kind")
    work = tmp_path_factory.mktemp("strings")
    # The files that it takes away are not here.
    argv = ["patch", "-p1", "--forward", "--force", "-i", str(PATCH)]
    subprocess.run(argv, cwd=work, capture_output=True)
    sources = sorted((work / "src/string/x86_64").glob("*.c"))
    assert len(sources) == 9
    flags = ["-O2", "-w", "-fno-builtin", "-ffreestanding", *INTERNAL]
    subprocess.run(["gcc", *flags, PROGRAM, *sources, "-o", work / "program"], check=True)
    return work / "program"


def test_strings_are_as_the_plain_way_finds_them(program: Path) -> None:
    said = subprocess.run([program], capture_output=True, text=True, check=False)
    assert said.stdout == "the same\n"


def test_without_avx2_too(program: Path) -> None:
    qemu = tools.find("qemu-x86_64-static")
    argv = [qemu, "-cpu", "Nehalem", program]
    assert subprocess.run(argv, capture_output=True, text=True, check=False).stdout == "the same\n"
