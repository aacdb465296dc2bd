"""`toolman explain`: real modules, as real Go lists them."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import tools

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conftest import Runner

    from toolman.run import Finished

MODULE = {
    "go.mod": "module example.org/app\n\ngo 1.19\n",
    "main.go": """\
package main

import (
	"example.org/app/both"
	"example.org/app/db"
	"net/http"
	"os/user"
)

func main() { db.Open(); both.Do(); http.Get(""); user.Current() }
""",
    "db/db.go": """\
package db

// #cgo LDFLAGS: -L/opt/lib -lsqlite3 -lm -l z
// #cgo pkg-config: libfoo libbar
import "C"

func Open() {}
""",
    "db/more.cc": "int more() { return 0; }\n",
    "loads/loads.go": 'package loads\n\n// void load(void);\nimport "C"\n',
    "loads/load.c": '#include <dlfcn.h>\nvoid load(void) { dlopen("libx.so", RTLD_NOW); }\n',
    "both/with.go": 'package both\n\nimport "C"\n\nfunc Do() {}\n',
    "both/without.go": "//go:build !cgo\n\npackage both\n\nfunc Do() {}\n",
    "part/with.go": 'package part\n\nimport "C"\n\nfunc do() {}\n',
    "part/part.go": "package part\n\nfunc Do() { do() }\n",
    "pure/main.go": "package main\n\nfunc main() {}\n",
    "plug/main.go": 'package main\n\nimport "plugin"\n\nfunc main() { plugin.Open("x") }\n',
    "tagged/with.go": '//go:build !purego\n\npackage tagged\n\nimport "C"\n',
    "tagged/pure.go": "//go:build purego\n\npackage tagged\n",
    "wrong/main.go": 'package main\n\nimport _ "example.org/none"\n\nfunc main() {}\n',
}


@dataclass
class Author:
    """Somebody in a module, with Go."""

    toolman: Runner
    place: Path
    env: dict[str, str]

    def __call__(self, *words: str | Path, env: Mapping[str, str] = {}) -> Finished:
        return self.toolman("explain", *words, env={**self.env, **env}, cwd=self.place)

    def packages(self, *words: str, env: Mapping[str, str] = {}) -> dict[str, dict[str, Any]]:
        done = self("--json", *words, env=env)
        assert done.code == 0, done.err
        return {one["path"]: one for one in json.loads(done.out)["packages"]}


@pytest.fixture(params=["1.21", "1.27"])
def author(request: pytest.FixtureRequest, toolman: Runner, tmp_path: Path) -> Author:
    for name, text in MODULE.items():
        path = tmp_path / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    env = {
        "PATH": f"{tools.go(request.param).parent}:{os.environ['PATH']}",
        "TOOLMAN_HOME": str(tmp_path / "home"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "",
        "GOPROXY": "off",
        "GOPATH": str(tmp_path / "gopath"),
        "GOCACHE": str(tmp_path / "gocache"),
        "TOOLMAN_ENV": "arm64-musl",
    }
    return Author(toolman, tmp_path / "app", env)


def test_each_package_with_cgo_is_told(author: Author) -> None:
    found = author.packages()
    assert {*found} == {
        *("net", "os/user", "runtime/cgo"),
        *("example.org/app/db", "example.org/app/both"),
    }
    db = found["example.org/app/db"]
    assert db["why"] == 'import "C" in db.go'
    assert (db["cxx"], db["module"]) == (True, "example.org/app")
    assert db["libraries"] == ["sqlite3", "m", "z"]
    assert db["pkg_config"] == ["libfoo", "libbar"]
    assert db["chain"] == ["example.org/app", "example.org/app/db"]
    assert db["off"] == "does not build: without cgo it has no file"
    assert db["static"] == "its C++ code and its libraries are in the program"
    both = found["example.org/app/both"]
    assert both["off"] == "other files in their place: without.go"
    assert both["static"] == "its C code is in the program"
    net = found["net"]
    assert net["chain"] == ["example.org/app", "net/http", "net"]
    assert "getaddrinfo" in net["why"]
    assert net["module"] is None


def test_in_words(author: Author) -> None:
    said = author().out
    assert said.startswith("linux/arm64: 5 of ")
    assert "\nIt does not build with CGO_ENABLED=0.\n" in said
    assert "\nexample.org/app/db  (example.org/app)\n" in said
    assert "  links      -lsqlite3 -lm -lz\n" in said
    assert "  by         example.org/app → net/http → net\n" in said
    assert "missing" not in said  # arm64-musl is not installed here
    said = author("./both").out
    assert "\nIt builds with CGO_ENABLED=0 too.\n" in said
    said = author("./part").out
    assert "\nWith CGO_ENABLED=0 it may not build: a package loses files by that.\n" in said
    assert "  off        left without those files; what they declare is missing\n" in said


def test_what_needs_no_cgo(author: Author) -> None:
    said = author("./pure").out
    assert said.endswith("packages use cgo\n")
    assert said.startswith("linux/arm64: 0 of ")


def test_all_packages_by_a_pattern(author: Author) -> None:
    """One that has no file without cgo is not left out."""
    (author.place / "wrong/main.go").unlink()
    found = author.packages("./...")
    assert found["example.org/app/db"]["off"] == "does not build: without cgo it has no file"
    assert "dlopen" in found["plugin"]["why"]
    assert found["plugin"]["chain"] == ["example.org/app/plug", "plugin"]


def test_what_calls_dlopen_is_told(author: Author) -> None:
    static = author.packages("./loads")["example.org/app/loads"]["static"]
    assert static == (
        "its C code is in the program; it calls dlopen, which fails in a static program"
    )


def test_tags_count(author: Author) -> None:
    assert "example.org/app/tagged" in author.packages("./tagged")
    assert author.packages("./tagged", "--tags", "purego") == {}
    assert author.packages("./tagged", env={"GOFLAGS": "-tags=purego"}) == {}


def test_an_active_environment_does_not_count(author: Author) -> None:
    """With its tags `net` would have no cgo to tell of."""
    flags = {"GOFLAGS": "-tags=netgo,osusergo -ldflags=-linkmode=external", "CGO_ENABLED": "1"}
    assert {"net", "os/user"} <= {*author.packages(env=flags)}


def test_another_platform(author: Author) -> None:
    done = author("--target", "linux/arm/v7", "./pure")
    assert done.out.startswith("linux/arm/v7: ")


def test_a_picture(author: Author, tmp_path: Path) -> None:
    file = tmp_path / "cgo.svg"
    assert author("--svg", file).code == 0
    root = ET.fromstring(file.read_text())
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "example.org/app"
    assert {"net/http", "net", "example.org/app/db", "-lsqlite3", "libfoo"} <= {*texts}
    assert len(texts) == len(set(texts))
    assert len([*root.iter("{http://www.w3.org/2000/svg}path")]) >= 9


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("./wrong",), "no required module provides package example.org/none"),
        (("./none",), "none"),
        (("--target", "linux/arm46"), "did you mean"),
    ],
)
def test_what_cannot_be_listed(author: Author, words: tuple[str, ...], says: str) -> None:
    done = author(*words)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert done.err.count("error: ") == 1


def test_without_go(author: Author, tmp_path: Path) -> None:
    done = author(env={"PATH": str(tmp_path)})
    assert (done.code, "error: go is not on PATH" in done.err) == (2, True)


def test_libraries_that_the_toolchain_lacks(
    author: Author, home: Path, arm64_musl: dict[str, str]
) -> None:
    del arm64_musl
    found = author.packages(env={"TOOLMAN_HOME": str(home)})
    assert found["example.org/app/db"]["missing"] == ["sqlite3", "z"]
    assert found["net"]["missing"] == []
