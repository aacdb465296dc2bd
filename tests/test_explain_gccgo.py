"""`toolman explain --compiler gccgo`, and the shim's word before a build: held against gccgo."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import tools

from toolman import gccgo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conftest import Runner

    from toolman.run import Finished

HEAD = "package main\n\n"
# A main.go each, and what gccgo lacks for it. What has nothing must build.
PROGRAMS = {
    'import "log/slog"\n\nfunc main() { slog.Info("x") }\n': ["log/slog"],
    'import "maps"\n\nfunc main() { maps.Keys(map[int]int{}) }\n': ["maps"],
    'import "errors"\n\nfunc main() { errors.Join(nil) }\n': ["errors.Join"],
    'import "sync/atomic"\n\nvar a atomic.Int64\n\nfunc main() { a.Add(1) }\n': [
        "sync/atomic.Int64"
    ],
    'import "time"\n\nfunc main() { println(time.DateOnly) }\n': ["time.DateOnly"],
    'import "runtime"\n\nfunc main() { runtime.SetCgoTraceback(0, nil, nil, nil) }\n': [
        "runtime.SetCgoTraceback"
    ],
    "func f[T any](a T) {}\n\nfunc main() { f(1) }\n": ["generics"],
    "type s[T any] struct{}\n\nfunc main() { var _ s[int] }\n": ["generics"],
    "func main() { println(min(1, 2)) }\n": ["min"],
    "func main() {\n\tm := map[int]int{}\n\tclear(m)\n}\n": ["clear"],
    "func main() {\n\tfor range 3 {\n\t}\n}\n": ["range over a number"],
    'import (\n\t_ "embed"\n\t"errors"\n\t"fmt"\n)\n\n//go:embed main.go\nvar text string\n\n'
    "func main() { fmt.Println(errors.As, len(text)) }\n": [],
    'import "strings"\n\nfunc main() {\n\tvar b strings.Builder\n\tvar x any = b.Len()\n'
    '\ta, _, _ := strings.Cut("a=b", "=")\n\tprintln(a, x != nil)\n}\n': [],
    "func min(a, b int) int { return a }\n\nfunc main() { println(min(1, 2)) }\n": [],
}


@dataclass
class Author:
    """Somebody in a module, in gccgo's environment, with a Go."""

    toolman: Runner
    place: Path
    env: dict[str, str]

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def explain(self, *words: str) -> Finished:
        return self.toolman("explain", "--compiler", "gccgo", *words, env=self.env, cwd=self.place)

    def lacks(self, *words: str) -> dict[str, dict[str, Any]]:
        done = self.explain("--json", *words)
        said = json.loads(done.out)
        assert done.code == (0 if said["builds"] else 1), done.err
        return {one["what"]: one for one in said["lacks"]}

    def go(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["go", *words], cwd=self.place, env=self.env | env, capture_output=True, text=True
        )


@pytest.fixture(params=["1.19", "1.27"])
def author(
    request: pytest.FixtureRequest,
    toolman: Runner,
    gccgo_home: Path,
    command: Path,
    tmp_path: Path,
) -> Author:
    settings = {"TOOLMAN_HOME": str(gccgo_home)}
    words = ("env", "arm64-gnu", "--static", "--compiler", "gccgo", "--format", "json")
    said = json.loads(toolman(*words, env=settings).out)
    shims = said["prepend"]["PATH"]["text"]
    place = tmp_path / "app"
    env = {
        **os.environ,
        **said["set"],
        **settings,
        "GOFLAGS": said["prepend"]["GOFLAGS"]["text"],
        "PATH": f"{shims}:{tools.go(request.param).parent}:{os.environ['PATH']}",
        "GOTOOLCHAIN": "local",
        "GOENV": "off",
        "GOPROXY": "off",
        "GOPATH": str(tmp_path / "gopath"),
        "GOCACHE": str(tmp_path / "gocache"),
    }
    made = Author(toolman, place, env)
    made.write({"go.mod": "module example.org/app\n\ngo 1.19\n"})
    return made


def test_what_is_said_is_what_gccgo_says(author: Author) -> None:
    """What lacks something does not build, and what lacks nothing does."""
    for text, lacks in PROGRAMS.items():
        author.write({"main.go": HEAD + text})
        assert [*author.lacks()] == lacks
        built = author.go("build", "-o", "out", TOOLMAN_GO_CHECK="off")
        assert (built.returncode != 0) == bool(lacks), text + built.stderr


def test_in_words(author: Author) -> None:
    author.write(
        {
            "main.go": HEAD + 'import (\n\t"example.org/app/dep"\n\t"log/slog"\n)\n\n'
            "func main() { slog.Info(dep.X) }\n",
            "dep/gc.go": '//go:build !gccgo\n\npackage dep\n\nimport _ "slices"\n\nvar X = ""\n',
            "dep/gccgo.go": '//go:build gccgo\n\npackage dep\n\nvar X = ""\n',
            "dep/asm_arm64.s": "TEXT ·f(SB),4,$0\n\tRET\n",
        }
    )
    done = author.explain()
    assert done.code == 1
    assert done.out == (
        "linux/arm64, gccgo 12.2.0: 2 of 2 packages need what its Go 1.18 lacks\n"
        "\n"
        "example.org/app/dep  (example.org/app)\n"
        "  dep/asm_arm64.s:1: is written for Go's assembler, and goes to the C compiler's\n"
        "\n"
        "example.org/app  (example.org/app)\n"
        "  main.go:5: imports log/slog, of Go 1.21\n"
        "\n"
        "What to do: build with gc, or keep it out of gccgo's build by //go:build !gccgo\n"
    )


def test_tests_count_where_they_are_built(author: Author) -> None:
    author.write(
        {
            "main.go": HEAD + "func main() {}\n",
            "main_test.go": HEAD + 'import (\n\t_ "slices"\n\t"testing"\n)\n\n'
            "func TestX(*testing.T) {}\n",
        }
    )
    assert author.lacks() == {}
    assert author.lacks("--tests")["slices"]["file"] == "main_test.go"
    assert author.go("build", "-o", "out").returncode == 0
    for words in ("vet", "test -run x -count=1"):
        done = author.go(*words.split())
        assert (done.returncode, done.stdout) == (2, "")
        assert "main_test.go:4: imports slices, of Go 1.21" in done.stderr


def test_it_is_said_before_the_build(author: Author) -> None:
    author.write(
        {
            "cmd/app/main.go": HEAD + 'import _ "iter"\n\nfunc main() {}\n',
            "good/main.go": HEAD + 'func main() { println("good") }\n',
            "tagged/main.go": HEAD + "func main() {}\n",
            "tagged/x.go": '//go:build x\n\npackage main\n\nimport _ "unique"\n',
        }
    )
    said = (
        "error: gccgo's library and language are those of Go 1.18, without generics\n"
        "  cmd/app/main.go:3: imports iter, of Go 1.23\n"
        "hint: build with gc, or keep it out of gccgo's build by //go:build !gccgo\n"
    )
    for words in (
        ["build", "./cmd/app"],
        ["build", "-o", "out", "./..."],
        ["run", "./cmd/app", "x"],
    ):
        done = author.go(*words)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    done = author.go("-C", "cmd", "build", "./app")
    assert (done.returncode, "  app/main.go:3: imports iter" in done.stderr) == (2, True)
    assert author.go("build", "-o", "out", "./good").returncode == 0
    assert author.go("build", "-o", "out", "./tagged").returncode == 0
    done = author.go("build", "-tags=x", "-o", "out", "./tagged")
    assert (done.returncode, "tagged/x.go:5: imports unique" in done.stderr) == (2, True)
    # It is go's to say what is not there.
    done = author.go("build", "./none")
    assert (done.returncode, "hint" in done.stderr) == (1, False)


def test_the_list_is_short_before_a_build(author: Author) -> None:
    paths = [one for one, since in gccgo.packages().items() if float(since) < 1.25]
    imports = "".join(f'import _ "{one}"\n' for one in paths)
    author.write({"main.go": f"{HEAD}{imports}\nfunc main() {{}}\n"})
    lines = author.go("build").stderr.splitlines()
    more = f"  and {len(paths) - 10} more; see: toolman explain --compiler gccgo ."
    assert (len(lines), lines[11]) == (13, more)


def test_variables_of_loops_are_noted(author: Author) -> None:
    """gc gives each iteration its own since Go 1.22, where go.mod says so."""
    loop = HEAD + (
        "func main() {\n\tvar all []func()\n\tfor i := 0; i < 3; i++ {\n"
        "\t\tall = append(all, func() { print(i) })\n\t}\n"
        "\tfor _, one := range all {\n\t\tone()\n\t}\n}\n"
    )
    author.write({"main.go": loop})
    assert author.lacks() == {}
    if "1.27" not in author.go("version").stdout:
        return
    author.write({"go.mod": "module example.org/app\n\ngo 1.22\n"})
    assert author.lacks()["i"]["kind"] == "loop"
    done = author.go("build", "-o", "out")
    assert done.returncode == 0
    assert done.stderr.startswith("note: main.go:5: keeps i, a variable that is the same in all")
    ran = author.toolman("run", "arm64-gnu", author.place / "out", env=author.env)
    assert ran.err == "333"


def test_doctor_says_it_too(author: Author) -> None:
    def finding() -> dict[str, str]:
        done = author.toolman("doctor", "--json", env=author.env, cwd=author.place)
        every = json.loads(done.out)["findings"]
        found: list[dict[str, str]] = [one for one in every if one["about"] == "gccgo"]
        return found[0]

    author.write({"main.go": HEAD + 'import _ "cmp"\n\nfunc main() {}\n'})
    assert finding()["state"] == "broken"
    assert finding()["text"] == "main.go:3: imports cmp, of Go 1.21"
    author.write({"main.go": HEAD + "func main() {}\n"})
    assert finding()["state"] == "ok"


def test_without_a_gccgo_packages_and_language_are_told(author: Author, home: Path) -> None:
    author.write({"main.go": HEAD + 'import _ "cmp"\n\nfunc main() { _ = min(1, 2) }\n'})
    author.env["TOOLMAN_HOME"] = str(home)
    author.env["GCCGO"] = "/none"
    assert [*author.lacks()] == ["cmp", "min"]
    assert "gccgo (not installed)" in author.explain().out


def test_what_cannot_be_listed(author: Author) -> None:
    author.write({"main.go": HEAD + 'import _ "example.org/none"\n\nfunc main() {}\n'})
    done = author.explain()
    assert (done.code, done.out) == (2, "")
    assert "no required module provides package example.org/none" in done.err
    assert author.explain("--svg", "x.svg").code == 2


@pytest.mark.parametrize("version", ["1.19", "1.21", "1.27"])
def test_the_table_is_what_that_go_has(version: str) -> None:
    """All that it says to be of this Go or an older one, and nothing newer."""
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    words = [tools.go(version), "list", "std"]
    std = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.split()
    table = gccgo.packages()
    release = float(version)
    assert {one for one in table if float(table[one]) <= release} == {*table}.intersection(std)


def test_no_name_of_go_1_18_is_missed_in_the_library(gccgo_home: Path) -> None:
    """By Go's own list of its names, on Linux: all are found where gccgo's are read."""
    api = tools.go("1.19").parents[3] / "share/go-1.19/api"
    compiler = next(gccgo_home.glob("*/shims/aarch64-linux-gnu-gccgo"))
    library = gccgo._Library(compiler)
    named = re.compile(r"pkg (\S+), (?:func|type|var|const) (\w+)")
    files = [file for file in api.glob("go1*.txt") if file.name != "go1.19.txt"]
    names = {one for file in files for one in named.findall(file.read_text())}
    assert len(names) > 5000
    # That one it really has not; see PROGRAMS.
    assert {one for one in names if library.lacks(*one)} == {("runtime", "SetCgoTraceback")}
