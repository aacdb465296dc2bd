"""`<triple>-run`: what build systems run programs by. It is `toolman run`, without Python."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
import tools
from elf_files import compile_c

from toolman.host import Host

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runner

ARGUMENTS = '#include <stdio.h>\nint main(int n, char **a) { printf("%s", a[1]); return n + 1; }\n'
# No toolman and no qemu on it.
BARE = "/usr/bin:/bin"


def shim(home: Path, name: str) -> Path:
    return home / Host.current().key / "shims" / name


def run(*words: str | Path, path: str = BARE) -> tuple[int, str, str]:
    done = subprocess.run(words, env={"PATH": path}, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def qemu(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH that has qemu, but no toolman."""
    directory = tmp_path_factory.mktemp("qemu")
    (directory / "qemu-aarch64-static").symlink_to(tools.find("qemu-aarch64-static"))
    return f"{directory}:{BARE}"


@pytest.mark.parametrize(
    ("triple", "flags"),
    [("aarch64-linux-musl", ["-static"]), ("aarch64-linux-musl", []), ("aarch64-linux-gnu", [])],
)
def test_a_program_gets_its_arguments_and_gives_its_code(
    home: Path, tmp_path: Path, qemu: str, triple: str, flags: list[str]
) -> None:
    compiler = str(shim(home, f"{triple}-gcc"))
    program = compile_c(tmp_path, *flags, text=ARGUMENTS, compiler=compiler)
    found = run(shim(home, f"{triple}-run"), program, "a  b'$c", path=qemu)
    assert found == (3, "a  b'$c", "")


def test_a_script_is_the_hosts(home: Path, tmp_path: Path, qemu: str) -> None:
    script = tmp_path / "test.sh"
    script.write_text("#!/bin/sh\necho $1; exit 5\n")
    script.chmod(0o755)
    assert run(shim(home, "aarch64-linux-musl-run"), script, "x", path=qemu) == (5, "x\n", "")


def test_what_is_wrong_toolman_says(home: Path, command: Path, tmp_path: Path) -> None:
    for word in ("./nothing", "nothing", str(tmp_path)):
        found = run(shim(home, "aarch64-linux-musl-run"), word, path=os.environ["PATH"])
        assert found[:2] == (2, "")
        assert found[2].startswith(f"error: {word}: no such program\n")


def test_natively_no_qemu_and_no_python_is_started(toolman: Runner, tmp_path: Path) -> None:
    host = Host.current().platform
    home = tools.CACHE / f"home-{tools.digest()}-native-musl"
    tools.install(home, f"{host.name}-musl")
    triple = host.triple["musl"]
    compiler = str(shim(home, f"{triple}-gcc"))
    static = compile_c(tmp_path, "-static", text=ARGUMENTS, compiler=compiler)
    assert run(shim(home, f"{triple}-run"), static, "x") == (3, "x", "")
    dynamic = compile_c(tmp_path, text=ARGUMENTS, compiler=compiler)
    assert run(shim(home, f"{triple}-run"), dynamic, "x")[0] == 127  # there is no toolman


def test_qemu_of_the_store_is_found(home: Path, tmp_path: Path) -> None:
    """As `toolman run` unpacks it."""
    text = shim(home, "aarch64-linux-musl-run").read_text()
    store = tmp_path / "it's a store"
    below = store / "qemu-user-7.2-abc/usr/bin"
    below.mkdir(parents=True)
    (below / "qemu-aarch64-static").symlink_to(tools.find("qemu-aarch64-static"))
    script = tmp_path / "run"
    head, _, rest = text.partition("_store=")
    script.write_text(f'{head}_store="{store}"\n{rest.partition(chr(10))[2]}')
    compiler = str(shim(home, "aarch64-linux-musl-gcc"))
    program = compile_c(tmp_path, "-static", text=ARGUMENTS, compiler=compiler)
    assert run("sh", script, program, "x") == (3, "x", "")
