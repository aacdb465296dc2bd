"""`toolman matrix`: real Go, real toolchains, native and under qemu."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tools

from toolman import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conftest import Runner

CHECKOUT = Path(__file__).parents[1]
HELLO = CHECKOUT / "examples/hello-cgo"
NATIVE = "amd64-musl"
PURE = "package main\n\nfunc main() {}\n"
PICKY = """\
package main

// #ifdef __aarch64__
// #error no arm here
// #endif
// int one(void) { return 1; }
import "C"

func main() { println(C.one()) }
"""
ARGUMENTS = """\
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: app WORD")
		os.Exit(3)
	}
	switch os.Args[1] {
	case "wait for ever":
		time.Sleep(time.Hour)
	case "now and then":
		if os.Remove("there") != nil {
			os.Create("there")
			time.Sleep(time.Second)
		}
	}
}
"""


@dataclass
class Author:
    """Somebody with a Go module, Go and toolchains."""

    toolman: Runner
    place: Path
    env: dict[str, str]

    def __call__(self, *words: str | Path, env: Mapping[str, str] = {}) -> run.Finished:
        return self.toolman("matrix", *words, env={**self.env, **env}, cwd=self.place)

    def values(self, *words: str | Path, code: int = 0, **env: str) -> dict[str, Any]:
        done = self("--json", *words, env=env)
        assert done.code == code, done.err
        found: dict[str, Any] = json.loads(done.out)
        return found

    def cells(self, *words: str | Path, code: int = 0, **env: str) -> dict[str, dict[str, Any]]:
        return {one["label"]: one for one in self.values(*words, code=code, **env)["cells"]}

    def write(self, text: str, name: str = "main.go") -> None:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def toolchains() -> Path:
    """A TOOLMAN_HOME for the host and for arm64; gccgo for the host's glibc."""
    made = tools.CACHE / f"home-{tools.digest()}-matrix"
    tools.install(made, "amd64-gnu", "--with", "gccgo")
    tools.install(made, NATIVE, "arm64-musl")
    return made


def author_in(place: Path, toolman: Runner, toolchains: Path) -> Author:
    env = {
        "PATH": f"{tools.go('1.27').parent}:{tools.path()}",
        "TOOLMAN_HOME": str(toolchains),
        "TOOLMAN_CACHE": str(tools.CACHE / "toolman"),
        "GOTOOLCHAIN": "local",
        "GOPROXY": "off",
        "GOCACHE": str(tools.CACHE / "go-build"),
    }
    place.mkdir()
    (place / "go.mod").write_text("module example.org/app\n\ngo 1.19\n")
    return Author(toolman, place, env)


@pytest.fixture
def author(toolman: Runner, toolchains: Path, tmp_path: Path) -> Author:
    return author_in(tmp_path / "app", toolman, toolchains)


@dataclass
class Whole:
    """All that one call has written."""

    out: str
    err: str
    directory: Path

    @property
    def values(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "matrix.json").read_text())
        return found

    @property
    def cells(self) -> dict[str, dict[str, Any]]:
        return {one["label"]: one for one in self.values["cells"]}


@pytest.fixture(scope="module")
def whole(toolman: Runner, toolchains: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """hello-cgo, natively and under qemu."""
    made = tmp_path_factory.mktemp("whole")
    one = author_in(made / "app", toolman, toolchains)
    words = ("--target", f"{NATIVE},arm64-musl", "--runs", "3", "-o", made / "report")
    done = one(HELLO, *words, "--ldflags=-s", "--tags", "a,b")
    assert done.code == 0, done.err
    return Whole(done.out, done.err, made / "report")


def test_each_cell_is_built_verified_and_measured(whole: Whole) -> None:
    assert [(name, one["state"]) for name, one in whole.cells.items()] == [
        ("linux/amd64, cgo off", "not possible"),
        ("amd64-musl, dynamic", "ok"),
        ("amd64-musl, static", "ok"),
        ("linux/arm64, cgo off", "not possible"),
        ("arm64-musl, dynamic", "ok"),
        ("arm64-musl, static", "ok"),
    ]
    for name, one in whole.cells.items():
        if one["state"] != "ok":
            assert one["why"] == "example.com/hello-cgo has no file without cgo"
            assert (one["size"], one["verified"], one["run"]) == (None, None, None)
            continue
        target, linkage = name.split(", ")
        verified, runs = one["verified"], one["run"]
        assert (verified["ok"], verified["linkage"], verified["libc"]) == (True, linkage, "musl")
        assert (verified["stack_size"], verified["stripped"]) == (8 << 20, True)
        assert verified["machine"]["platforms"] == [one["platform"]]
        assert runs["how"] == ("native" if target == NATIVE else "qemu")
        assert len(runs["seconds"]) == 3
        assert runs["median"] == sorted(runs["seconds"])[1]
        assert one["size"] > 1_000_000
        # Python's own would be more: it is not counted for its children.
        assert 1000 < runs["peak"] < (15_000 if target == NATIVE else 100_000)


def test_how_the_figures_were_got(whole: Whole) -> None:
    values = whole.values
    method = values["method"]
    assert (values["schema"], values["package"]) == (1, "example.com/hello-cgo")
    assert (method["runs"], method["ldflags"], method["tags"]) == (3, "-s", "a,b")
    (go,) = method["go"]
    assert go == {"version": "go1.27.3", "program": str(tools.go("1.27"))}
    assert [one["name"] for one in method["toolchains"]] == [NATIVE, "arm64-musl"]
    assert {one["malloc"] for one in method["toolchains"]} == {"mallocng"}
    assert "version" in method["qemu"].pop("linux/arm64")
    assert method["qemu"] == {}
    cells = whole.cells
    digests = {one["name"]: one["digest"] for one in method["toolchains"]}
    assert cells["arm64-musl, static"]["toolchain"] == digests["arm64-musl"]
    assert cells["linux/arm64, cgo off"]["toolchain"] is None


def test_on_the_terminal(whole: Whole) -> None:
    lines = whole.out.splitlines()
    assert lines[0] == "example.com/hello-cgo"
    assert lines[1].split()[:3] == ["build", "state", "linkage"]
    row = next(line for line in lines if line.startswith("arm64-musl, static"))
    assert row.endswith("under qemu")
    assert "tell nothing of real hardware" in whole.out
    said = whole.err.splitlines()
    assert len(said) == 6
    assert any(line.startswith("amd64-musl, static: ok, static, ") for line in said)


def test_markdown(whole: Whole) -> None:
    text = (whole.directory / "matrix.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert {len(one) for one in rows if one[1] != "not possible"} == {7}
    assert [one[0] for one in rows[2:]] == [*whole.cells]
    assert "## How this was measured" in text


class Page(HTMLParser):
    """Its texts by tag, and that every tag is closed."""

    VOID = ("meta",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.attributes: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts.setdefault(tag, []).append("")

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data


def test_html_is_one_page_that_loads_nothing(whole: Whole) -> None:
    text = (whole.directory / "matrix.html").read_text()
    page = Page(text)
    assert not {"script", "link", "img", "iframe"} & {*page.texts}
    assert not {"src", "href", "style"} & page.attributes
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme:dark" in text
    assert page.texts["h1"] == ["example.com/hello-cgo: builds"]
    names = [*whole.cells]
    assert page.texts["th"][7:] == names
    assert len(page.texts["caption"]) == 1


def test_charts_keep_native_and_qemu_apart(whole: Whole) -> None:
    text = (whole.directory / "matrix.html").read_text()
    pictures = [f"<svg{one.partition('</svg>')[0]}</svg>" for one in text.split("<svg")[1:]]
    charts = {}
    for picture in pictures:
        root = ET.fromstring(picture)
        name = "{http://www.w3.org/2000/svg}"
        texts = [one.text for one in root.iter(f"{name}text")]
        title = root.find(f"{name}title")
        assert title is not None
        charts[title.text] = texts[::2]
        assert root.get("role") == "img"
        assert len([*root.iter(f"{name}rect")]) == len(texts[::2])
    native, emulated = (
        [f"{target}, {how}" for how in ("dynamic", "static")] for target in (NATIVE, "arm64-musl")
    )
    assert charts == {
        "Size of the programs": native + emulated,
        "Start-up time, native": native,
        "Peak memory, native": native,
        "Start-up time, under qemu, not comparable with native": emulated,
        "Peak memory, under qemu, not comparable with native": emulated,
    }


def test_one_fails_and_the_others_go_on(author: Author, tmp_path: Path) -> None:
    author.write(PICKY)
    words = ("--target", "arm64-musl", "--target", NATIVE, "--cgo", "static", "--runs", "1")
    found = author.cells(*words, "-o", tmp_path / "report", code=1)
    bad, good = found["arm64-musl, static"], found["amd64-musl, static"]
    assert bad["state"] == "failed"
    assert "#error no arm here" in bad["why"]
    assert any("no arm here" in line for line in bad["log"])
    assert (bad["size"], bad["run"]) == (None, None)
    assert (good["state"], good["run"]["how"]) == ("ok", "native")
    page = Page((tmp_path / "report/matrix.html").read_text())
    assert any("no arm here" in line for line in page.texts["li"])
    done = author(*words, "--no-run")
    assert "arm64-musl, static: failed: " in done.out
    done = author(*words, "--no-run", "-q")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: arm64-musl, static: ")
    assert done.err.count("\n") == 1


def test_a_known_failure_has_its_cure(author: Author) -> None:
    author.write('package main\n\n// #cgo LDFLAGS: -lnone\nimport "C"\n\nfunc main() {}\n')
    (one,) = author.cells("--target", NATIVE, "--cgo", "static", code=1).values()
    assert "cannot find -lnone" in one["why"]
    assert one["hint"]


def test_without_cgo_there_is_one_for_each_platform(author: Author) -> None:
    author.write(PURE)
    found = author.cells("--target", f"amd64-gnu,{NATIVE}", "--cgo", "dynamic,off", "--runs", "1")
    assert [*found] == ["amd64-gnu, dynamic", "linux/amd64, cgo off", "amd64-musl, dynamic"]
    assert {one["verified"]["linkage"] for one in found.values()} == {"static"}
    assert found["amd64-gnu, dynamic"]["notes"] == [
        "no C is in it: static without being asked, as with cgo off"
    ]
    assert found["linux/amd64, cgo off"]["target"] is None


def test_gccgo(author: Author) -> None:
    author.write('package main\n\n// int one = 1;\nimport "C"\n\nfunc main() { println(C.one) }\n')
    words = ("--target", f"amd64-gnu,{NATIVE}", "--compiler", "gccgo", "--runs", "1")
    found = author.cells(*words)
    assert {name: one["state"] for name, one in found.items()} == {
        "linux/amd64, cgo off": "not possible",
        "amd64-gnu, dynamic": "ok",
        "amd64-gnu, static": "ok",
        "amd64-musl, dynamic": "not possible",
        "amd64-musl, static": "not possible",
    }
    assert found["amd64-musl, static"]["why"] == "amd64-musl has no gccgo"
    assert found["amd64-musl, static"]["hint"] == "toolman install amd64-musl --with gccgo"
    assert found["amd64-gnu, dynamic"]["verified"]["linkage"] == "dynamic"
    assert found["amd64-gnu, static"]["verified"]["linkage"] == "static"
    assert found["amd64-gnu, static"]["run"]["how"] == "native"


def test_several_versions_of_go(author: Author, tmp_path: Path) -> None:
    author.write(PURE)
    (tmp_path / "go1.21").symlink_to(tools.go("1.21"))
    words = ("--target", NATIVE, "--cgo", "off", "--no-run", "--go", "../go1.21", "--go")
    found = author.values(*words, tools.go("1.27"), GOROOT="/nowhere")
    labels = [one["label"] for one in found["cells"]]
    assert labels == [f"linux/amd64, cgo off, go{one}" for one in ("1.21.13", "1.27.3")]
    assert [one["version"] for one in found["method"]["go"]] == ["go1.21.13", "go1.27.3"]
    sizes = {one["size"] for one in found["cells"]}
    assert len(sizes) == 2


def test_a_version_is_asked_of_the_go_that_is_there(author: Author) -> None:
    author.write(PURE)
    words = ("--target", NATIVE, "--cgo", "off", "--no-run", "--go")
    assert [*author.cells(*words, "1.27.3")] == ["linux/amd64, cgo off"]
    done = author(*words, "go1.22.10", "--offline")
    assert (done.code, done.out) == (2, "")
    assert "go1.22.10" in done.err


def test_programs_with_arguments(author: Author) -> None:
    author.write(ARGUMENTS)
    words = ("--target", NATIVE, "--cgo", "off", "--runs", "2", "--time-limit", "2")
    (one,) = author.cells(*words, code=1).values()
    assert one["why"] == "the program ended with exit code 3: usage: app WORD"
    assert "--run-args" in one["hint"]
    assert one["verified"]["ok"]
    (one,) = author.cells(*words, "--run-args", "'wait for ever'", code=1).values()
    assert one["why"] == "the program has not ended after 2 seconds"
    (one,) = author.cells(*words, "--run-args", "word").values()
    assert len(one["run"]["seconds"]) == 2
    (one,) = author.cells(*words, "--no-run").values()
    assert (one["state"], one["run"]) == ("ok", None)


def test_runs_that_differ_are_told(author: Author) -> None:
    author.write(ARGUMENTS)
    words = ("--target", NATIVE, "--cgo", "off", "--runs", "2", "--run-args=now\\ and\\ then")
    done = author(*words)
    assert done.code == 0, done.err
    assert "ms: trust no digit" in done.out


def test_a_dynamic_program_tells_its_glibc(author: Author) -> None:
    author.write(PICKY)
    done = author("--target", "amd64-gnu", "--cgo", "dynamic", "--no-run")
    assert "  dynamic, GLIBC_2." in done.out


def test_the_targets_of_the_pin(author: Author) -> None:
    author.write(PURE)
    author.write(f'targets = ["{NATIVE}"]\n', "toolman.toml")
    assert [*author.cells("--no-run", "--cgo", "static")] == ["amd64-musl, static"]
    author.write('targets = ["arm64-gnu"]\n', "toolman.toml")
    done = author("--no-run")
    assert (done.code, done.out) == (2, "")
    assert "hint: toolman install arm64-gnu" in done.err


def test_all_that_are_installed_without_a_pin(author: Author) -> None:
    author.write(PURE)
    found = author.cells("--no-run", "--cgo", "static")
    assert [*found] == ["amd64-gnu, static", "amd64-musl, static", "arm64-musl, static"]


def test_an_active_environment_does_not_count(author: Author, arm64_musl: dict[str, str]) -> None:
    author.write(PICKY)
    names = ("TOOLMAN_", "CGO_", "GOFLAGS", "GOOS", "GOARCH", "CC", "AR", "PKG_CONFIG")
    active = {
        name: value
        for name, value in arm64_musl.items()
        if name.startswith(names) and name not in ("TOOLMAN_HOME", "TOOLMAN_CACHE")
    }
    assert "TOOLMAN_GO_LDFLAGS" in active
    active["GOFLAGS"] += " -trimpath"
    found = author.cells("--target", NATIVE, "--cgo", "dynamic", "--no-run", **active)
    assert found["amd64-musl, dynamic"]["verified"]["linkage"] == "dynamic"


def test_mallocs_of_toolchains_that_are_not_active(author: Author, tmp_path: Path) -> None:
    """The second toolchain is the same compiler, by what it says of itself another one."""
    home = tmp_path / "home"
    shutil.copytree(author.env["TOOLMAN_HOME"], home, symlinks=True, ignore=_only(NATIVE))
    (store,) = home.glob("*/store")
    (first,) = store.glob(f"{NATIVE}-*")
    about = json.loads((first / "toolchain.json").read_text())
    about |= {"root": str(first), "digest": "f" * 64, "malloc": "mimalloc"}
    second = store / f"{NATIVE}-2-ffffffffffff"
    second.mkdir()
    (second / "toolchain.json").write_text(json.dumps(about))
    author.write(PICKY)
    words = ("--target", NATIVE, "--cgo", "static", "--runs", "1", "--malloc")
    settings = {"TOOLMAN_HOME": str(home)}
    found = author.cells(*words, "mallocng,mimalloc", **settings)
    assert {name: one["malloc"] for name, one in found.items()} == {
        "amd64-musl, static, mallocng": "mallocng",
        "amd64-musl, static, mimalloc": "mimalloc",
    }
    assert {one["state"] for one in found.values()} == {"ok"}
    assert found["amd64-musl, static, mimalloc"]["toolchain"] == "f" * 64
    shutil.rmtree(second)
    (one,) = author.cells(*words, "mimalloc", **settings).values()
    assert (one["state"], one["why"]) == ("not possible", "no amd64-musl with mimalloc is here")
    assert one["hint"] == "toolman install amd64-musl --malloc mimalloc"


def _only(name: str) -> Any:
    def others(where: str, names: list[str]) -> list[str]:
        return [one for one in names if where.endswith("/store") and not one.startswith(name)]

    return others


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("./none",), "./none: "),
        (("./library",), "example.org/app/library is no program: its package is library"),
        (("./...",), "./... is 2 packages"),
        (("--target", "arm46-musl"), "or arm64-musl"),
        (("--target", "riscv64-musl"), "hint: toolman install riscv64-musl"),
        (("--cgo", "statik"), "hint: did you mean static?"),
        (("--compiler", "gcgo"), "hint: did you mean gccgo?"),
        (("--malloc", "jemalloc"), "hint: "),
        (("--go", "latest"), "--go: 'latest' is no version of Go"),
        (("--go", "./go.mod"), "no such program"),
        (("--go", "/bin/true"), "is no go program"),
        (("--runs", "0"), "'0' is no number of runs"),
        (("--time-limit", "nan"), "'nan' is no number of seconds"),
        (("--run-args", "'a"), "--run-args: no closing quotation"),
        (("--output", "go.mod"), "--output go.mod: file exists"),
    ],
)
def test_bad_input(author: Author, words: tuple[str, ...], says: str) -> None:
    author.write(PURE)
    author.write("package library\n", "library/library.go")
    done = author(*words)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert done.err.count("error: ") == 1


def test_without_go_or_toolchains(author: Author, tmp_path: Path) -> None:
    author.write(PURE)
    done = author(env={"PATH": str(tmp_path)})
    assert (done.code, "error: go is not on PATH" in done.err) == (2, True)
    done = author(env={"TOOLMAN_HOME": str(tmp_path / "empty")})
    assert (done.code, "hint: toolman install arm64-musl" in done.err) == (2, True)


def test_a_live_table_on_a_terminal(author: Author) -> None:
    author.write(PURE)
    ours, its = pty.openpty()
    words = ["matrix", "--target", NATIVE, "--cgo", "static", "--runs", "1"]
    done = subprocess.Popen(
        [sys.executable, "-m", "toolman", *words],
        env={**os.environ, **author.env, "PYTHONPATH": str(CHECKOUT)},
        cwd=author.place,
        stdout=subprocess.PIPE,
        stderr=its,
    )
    os.close(its)
    shown = b""
    try:
        while got := os.read(ours, 4096):
            shown += got
    except OSError:
        pass  # Linux's word for the end of a terminal
    os.close(ours)
    out, _ = done.communicate()
    assert done.returncode == 0
    for state in (b"waiting", b"building", b"running", b"ok, static"):
        assert b"amd64-musl, static: " + state in shown
    assert shown.endswith(b"\x1b[1F\x1b[J")
    assert b"amd64-musl, static  ok" in out


def test_a_measured_program_has_its_own_peak(tmp_path: Path) -> None:
    """Not that of the process which it was begun by."""
    ballast = bytearray(100 << 20)
    done = run.measure(["true"], env=os.environ, cwd=tmp_path, limit=10)
    assert (done.code, done.in_time, done.said) == (0, True, "")
    assert done.peak < len(ballast) >> 13
    grown = [sys.executable, "-c", "bytearray(60 << 20)"]
    assert run.measure(grown, env=os.environ, cwd=tmp_path, limit=60).peak > 60 << 10


def test_a_measured_program_ends_with_all_that_it_began(tmp_path: Path) -> None:
    words = ["sh", "-c", "echo said; echo also >&2; sleep 60 & echo $!; wait"]
    done = run.measure(words, env=os.environ, cwd=tmp_path, limit=0.5)
    assert not done.in_time
    assert 0.5 <= done.seconds < 30
    *said, child = done.said.split()
    assert said == ["said", "also"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)
