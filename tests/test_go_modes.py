"""What the `go` shim refuses with musl does crash, and what it lets through works: real Go."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
import tools
from conftest import activated

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runner

pytestmark = pytest.mark.slow

FILES = {
    "go.mod": "module example.org/modes\n\ngo 1.18\n",
    "lib/lib.go": """\
package main

import "C"

//export Hello
func Hello() { println("hello from a library") }

func main() {}
""",
    "plug/plug.go": """\
package main

import "C"

func Hello() { println("hello from a plugin") }
""",
    "host/host.go": """\
package main

import "plugin"

func main() {
	opened, err := plugin.Open("plug.so")
	if err != nil {
		panic(err)
	}
	hello, _ := opened.Lookup("Hello")
	hello.(func())()
}
""",
    "main.c": '#include "lib.h"\nint main(void) { Hello(); return 0; }\n',
    "load.c": """\
#include <dlfcn.h>
int main(void) {
    void *lib = dlopen("./lib.so", RTLD_NOW);
    if (!lib) return 3;
    ((void (*)(void)) dlsym(lib, "Hello"))();
    return 0;
}
""",
}
CRASHES = -signal.SIGSEGV


class Author:
    """Somebody with a module, in the environment of a toolchain."""

    def __init__(self, place: Path, env: dict[str, str], version: str) -> None:
        shims, rest = env["PATH"].split(os.pathsep, 1)
        go = tools.go(version).parent
        more = {"GOENV": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(place / "cache")}
        self.place, self.env = place, {**env, **more, "PATH": f"{shims}:{go}:{rest}"}
        for name, text in FILES.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)

    def go(self, *words: str, **env: str) -> None:
        done = subprocess.run(
            ["go", *words], cwd=self.place, env=self.env | env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    def cc(self, *words: str) -> None:
        compiler = self.env["CC"]
        subprocess.run([compiler, *words, "-pthread", "-o", "out"], cwd=self.place, check=True)

    def run(self) -> subprocess.CompletedProcess[str]:
        compiler = [self.env["CC"], "-print-sysroot"]
        root = subprocess.run(compiler, capture_output=True, text=True, check=True).stdout.strip()
        qemu = [tools.find("qemu-aarch64-static"), "-L", root, "-E", "LD_LIBRARY_PATH=."]
        return subprocess.run(
            [*qemu, "./out"], cwd=self.place, capture_output=True, text=True, errors="replace"
        )


@pytest.fixture(params=["1.21", "1.27"])
def musl(request: pytest.FixtureRequest, arm64_musl: dict[str, str], tmp_path: Path) -> Author:
    return Author(tmp_path, arm64_musl, request.param)


def test_libraries_for_c_crash_with_musl(musl: Author) -> None:
    """Were it otherwise, the refusal should go."""
    musl.go("build", "-buildmode=c-archive", "-o", "lib.a", "./lib", TOOLMAN_GO_CHECK="off")
    for words in (["-static"], []):
        musl.cc("main.c", "lib.a", *words)
        assert musl.run().returncode == CRASHES
    musl.go("build", "-buildmode=c-shared", "-o", "lib.so", "./lib", TOOLMAN_GO_CHECK="off")
    musl.cc("main.c", "./lib.so")
    assert musl.run().returncode == CRASHES
    musl.cc("load.c")
    assert musl.run().returncode in (3, CRASHES)


def test_plugins_work_where_the_program_is_dynamic(
    toolman: Runner, home: Path, tmp_path: Path
) -> None:
    said = activated("arm64-musl", toolman, {**os.environ, "TOOLMAN_HOME": str(home)}, "--dynamic")
    author = Author(tmp_path, said, "1.27")
    author.go("build", "-buildmode=plugin", "-o", "plug.so", "./plug")
    author.go("build", "-o", "out", "./host")
    assert author.run().stderr == "hello from a plugin\n"


def test_libraries_for_c_work_with_glibc(arm64_gnu: dict[str, str], tmp_path: Path) -> None:
    author = Author(tmp_path, arm64_gnu, "1.27")
    author.go("build", "-buildmode=c-archive", "-o", "lib.a", "./lib")
    author.cc("main.c", "lib.a", "-static")
    assert author.run().stderr == "hello from a library\n"
