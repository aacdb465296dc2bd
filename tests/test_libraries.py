"""Libraries for targets: chosen, built by the target's compiler, laid into its sysroot."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import librarychecks
import pytest
import tools
from archive import HOST

from toolman import gc, library, lockfile, locking, manifest, project, publish, run, toolchain
from toolman.context import Context
from toolman.errors import BuildError, InputError
from toolman.libraries import building, choice, finish, laying
from toolman.libraries import recipe as recipes
from toolman.paths import Paths

if TYPE_CHECKING:
    from conftest import Runner

    from toolman.run import Finished

TARGET = "arm64-musl"
PROGRAM = """
#include <stdio.h>
#include <string.h>
#include <zlib.h>
int main(void) {
    unsigned char packed[100], text[100];
    uLongf size = sizeof packed, length = sizeof text;
    if (compress(packed, &size, (const Bytef *)"hello, hello, hello", 20)) return 1;
    if (uncompress(text, &length, packed, size)) return 1;
    printf("%s %s\\n", zlibVersion(), text);
    return 0;
}
"""
GO = """
package main
// #cgo pkg-config: zlib bzip2
// #include <zlib.h>
// #include <bzlib.h>
import "C"
import "fmt"
func main() { fmt.Println(C.GoString(C.zlibVersion()), C.GoString(C.BZ2_bzlibVersion())) }
"""

# One home, which the tests change in their order.
pytestmark = pytest.mark.xdist_group("libraries")


class Home:
    """A user's home with a toolchain in it."""

    def __init__(self, toolman: Runner, place: Path, cache: Path) -> None:
        self._toolman = toolman
        self.env = {"TOOLMAN_HOME": str(place), "TOOLMAN_CACHE": str(cache)}
        paths = Paths(data=place / HOST.key, cache=cache)
        self.ctx = Context(host=HOST, paths=paths, environ=os.environ)

    def __call__(self, *words: str | Path, cwd: Path | None = None) -> Finished:
        return self._toolman(*words, env=self.env, cwd=cwd)

    def well(self, *words: str | Path, cwd: Path | None = None) -> Finished:
        done = self(*words, cwd=cwd)
        assert done.code == 0, done.err
        return done

    @property
    def active(self) -> toolchain.Toolchain:
        found = self.ctx.store.active(TARGET)
        assert found
        return found

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.active.about.libraries]

    def environment(self) -> dict[str, str]:
        said = json.loads(self.well("env", TARGET, "--format", "json").out)
        places = (said["prepend"]["PATH"]["text"], tools.find("pkg-config").parent)
        path = ":".join(map(str, (*places, tools.go("1.27").parent, os.environ["PATH"])))
        return {**os.environ, **self.env, **said["set"], "PATH": path}


@pytest.fixture(scope="module")
def user(toolman: Runner, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A toolchain with nothing but C, and two libraries in it.

    Its cache has the sources alone: in a shared one other tests build for the same toolchain.
    """
    where, shared = tmp_path_factory.mktemp("libraries"), tools.CACHE / "toolman"
    made = Home(toolman, where / "home", where / "cache")
    (shared / "sha256").mkdir(parents=True, exist_ok=True)
    (where / "cache").mkdir()
    (where / "cache/sha256").symlink_to(shared / "sha256")
    found = Home(toolman, home, shared).active
    place = made.ctx.paths.store / found.path.name
    shutil.copytree(found.path, place, symlinks=True)
    publish.publish(made.ctx.store, replace(found, path=place))
    made.well("add", TARGET, "zlib", "bzip2", "--jobs", "2")
    return made


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.mark.parametrize("name", recipes.names())
def test_recipes_fit_together(name: str) -> None:
    one = recipes.load(name)
    chosen = choice.resolved([choice.wish(name)])
    assert chosen[-1].name == name
    assert all(name in recipes.load(other).excludes for other in one.excludes)
    assert one.check.run or one.check.note, "how is it tested?"
    assert bool(one.check.run) == bool(one.check.counts)
    re.compile(one.check.counts)
    assert one.summary[0].islower() or one.summary.split()[0].isupper() or name != one.summary


def test_what_is_wrong_with_a_recipe_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\nsummary = "x"\nsystem = "autotool"\npkgconfig = "mine"\n'
        'needs = ["zlip"]\nflags = ["-O3"]\n[[source]]\ncomponent = "other"\nversion = "1"\n'
        'license = "MIT"\nurls = ["ftp://x"]\nsha256 = "12"\n[check]\nruns = ["x"]\n'
    )
    (tmp_path / "zlib.toml").write_text("")
    with pytest.raises(InputError) as caught:
        recipes.read(file)
    said = str(caught.value)
    for part in (
        "8 mistakes",
        "schema: missing",
        "system: 'autotool' is none of",
        "did you mean autotools?",
        'pkgconfig: must be a list of texts, as in ["a", "b"]',
        "needs: there is no library 'zlip'; did you mean zlib?",
        "flags: unknown key",
        "check: runs: unknown key; did you mean run",
        "'ftp://x' is no http:// or https:// URL",
        "sha256: must be 64 hexadecimal digits",
    ):
        assert part in said, said


def test_what_is_needed_is_built_before(tmp_path: Path) -> None:
    del tmp_path
    names = [one.name for one in choice.resolved([choice.wish("curl")])]
    assert sorted(names) == ["curl", "openssl", "zlib"]
    assert names[-1] == "curl"
    found = choice.resolved([choice.wish("curl"), choice.wish("zlib@1.3.1")])
    assert {one.name: (one.version, one.asked) for one in found}["zlib"] == ("1.3.1", True)
    assert {one.name: one.asked for one in found} == {"openssl": False, "zlib": True, "curl": True}
    swapped = choice.resolved([choice.wish("curl"), choice.wish("libressl")])
    assert next(one.needs for one in swapped if one.name == "curl") == ("libressl", "zlib")


def test_who_is_linked_dynamically_finds_what_it_needs_so() -> None:
    found = choice.resolved([choice.wish("curl", shared=True), choice.wish("lz4")])
    assert {one.name for one in found if one.shared} == {"curl", "openssl", "zlib"}


def test_a_new_version_replaces_the_old_one() -> None:
    before = [choice.Wish(name="zlib", version="1.3.1"), choice.Wish(name="lz4", version="1.10.0")]
    again = choice.added(before, [choice.wish("zlib"), choice.wish("lz4", shared=True)])
    assert again[0].version == "1.3.1"
    assert again[1] == choice.Wish(name="lz4", version="1.10.0", shared=True)
    newer = choice.added(before, [choice.wish("zlib@1.3.2")])
    assert [one.version for one in newer if one.name == "zlib"] == ["1.3.2"]


def test_a_lock_holds_the_versions(tmp_path: Path) -> None:
    (tmp_path / "toolman.toml").write_text(
        'targets = ["arm64-musl", "amd64-musl"]\nlibraries = ["curl", "zlib"]\n'
        "[target.amd64-musl]\nlibraries = []\n"
    )
    pin = project.find_pin(tmp_path)
    assert pin
    want, plain = pin.wants
    assert (want.libraries, plain.libraries) == (("curl", "zlib"), ())
    bare = lockfile.Locked(
        target=want.target,
        origin="source",
        languages=("c",),
        gcc="14.2.0",
        recipe="gcc-14-musl",
        digest="a" * 64,
    )
    locked = locking._with_libraries(bare, want, None)
    assert [one.name for one in locked.libraries] == ["curl", "zlib"]
    assert [one.name for one in locked.needed] == ["openssl"]
    assert lockfile.fits(locked, want)
    assert not lockfile.fits(bare, want)
    lock = lockfile.Lock(toolchains=(locked,))
    assert lockfile.parse(lockfile.dump(lock)) == lock
    older = replace(locked.libraries[1], version="1.3.1")
    kept = replace(locked, libraries=(locked.libraries[0], older))
    again = locking._with_libraries(bare, want, kept)
    assert [one.version for one in again.libraries if one.name == "zlib"] == ["1.3.1"]
    wishes = {one.name: one for one in locking.libraries(again)}
    assert (wishes["zlib"].version, wishes["openssl"].asked) == ("1.3.1", False)
    changed = replace(again, libraries=(replace(older, sha256="b" * 64),))
    with pytest.raises(InputError, match=r"this toolman builds zlib 1\.3\.1 otherwise"):
        locking.libraries(changed)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (
            "prefix=/usr\nlibdir=${prefix}/lib\n",
            "prefix=${pcfiledir}/../..\nlibdir=${prefix}/lib\n",
        ),
        ("libdir=/usr/lib\n", "prefix=${pcfiledir}/../..\nlibdir=${prefix}/lib\n"),
        (
            "prefix = /usr\nLibs: -L/usr/lib -lz\nCflags: -I/usr/include/z\n",
            "prefix=${pcfiledir}/../..\nLibs: -L${prefix}/lib -lz\nCflags: -I${prefix}/include/z\n",
        ),
        (
            "prefix=/usr\nURL: https://x.org/usr/y\nDescription: not /usrlocal\n",
            "prefix=${pcfiledir}/../..\nURL: https://x.org/usr/y\nDescription: not /usrlocal\n",
        ),
    ],
)
def test_pc_files_find_their_place_by_themselves(given: str, made: str) -> None:
    assert finish.relocatable(given) == made


def test_files_are_laid_as_hard_links_and_never_over_others(tmp_path: Path) -> None:
    one, two, into = tmp_path / "one", tmp_path / "two", tmp_path / "into"
    for tree in (one, two):
        (tree / "include/x").mkdir(parents=True)
        (tree / "include/x/same.h").write_text("same")
        (tree / "include/link").symlink_to("x")
    (two / "include/more.h").write_text("more")
    laying.link_tree(one, into)
    laying.link_tree(two, into)
    assert (into / "include/more.h").samefile(two / "include/more.h")
    assert (into / "include/link").readlink() == Path("x")
    (two / "include/x/same.h").unlink()
    (two / "include/x/same.h").write_text("other")
    with pytest.raises(FileExistsError):
        laying.link_tree(two, into)


def test_a_program_is_linked_statically_and_runs(user: Home, work: Path) -> None:
    (work / "a.c").write_text(PROGRAM)
    env = user.environment()
    said = subprocess.check_output([env["PKG_CONFIG"], "--cflags", "--libs", "zlib"], env=env)
    words = said.decode().split()
    assert "-lz" in words
    places = [Path(word[2:]).resolve() for word in words if word[:2] in ("-I", "-L")]
    assert all(user.active.sysroot in (place, *place.parents) for place in places)
    subprocess.check_call([env["CC"], "-static", "a.c", *words, "-o", "a"], env=env, cwd=work)
    assert user.well("run", TARGET, "./a", cwd=work).out == "1.3.2 hello, hello, hello\n"
    plain = [env["CC"], "-static", "a.c", "-lz", "-o", "plain"]
    subprocess.check_call(plain, env=env, cwd=work)


def test_pkg_config_never_looks_at_the_host(user: Home, work: Path) -> None:
    (work / "host").mkdir()
    text = "Name: host\nDescription: x\nVersion: 1\nLibs: -lhost\n"
    (work / "host/host.pc").write_text(text)
    env = {**user.environment(), "PKG_CONFIG_PATH": str(work / "host")}
    listed = subprocess.check_output([env["PKG_CONFIG"], "--list-all"], env=env, text=True)
    assert sorted(line.split()[0] for line in listed.splitlines()) == ["bzip2", "zlib"]


def test_a_go_program_names_them_by_pkg_config(user: Home, tmp_path: Path) -> None:
    work = tmp_path / "x"  # of its own, for go compiles every C file beside it
    work.mkdir()
    (work / "main.go").write_text(GO)
    (work / "go.mod").write_text("module x\ngo 1.21\n")
    env = user.environment()
    flags = json.loads(user.well("env", TARGET, "--format", "json").out)["prepend"]["GOFLAGS"]
    env |= {"GOCACHE": str(tmp_path / "go"), "GOFLAGS": flags["text"]}
    subprocess.check_call(["go", "build", "-o", "go.out", "."], env=env, cwd=work)
    assert user.well("run", TARGET, "./go.out", cwd=work).out == "1.3.2 1.0.8, 13-Jul-2019\n"
    said = user.well("verify", "go.out", cwd=work).out
    assert "executable, static" in said


def test_the_toolchain_below_is_as_it_was(user: Home) -> None:
    base = user.ctx.store.base(user.active)
    assert base
    assert base != user.active
    for tree in (base.path, user.active.path):
        checked = manifest.check(tree)
        assert checked
        assert checked.differences == ()
    assert not (base.sysroot / "include/zlib.h").exists()
    assert user.active.tool("gcc").samefile(base.tool("gcc"))


def test_a_set_that_was_there_is_found_again(user: Home) -> None:
    before = user.active
    assert "is as it was" in user.well("add", TARGET, "bzip2", "zlib").err
    assert user.active == before
    user.well("remove", TARGET, "bzip2")
    assert user.names == ["zlib"]
    assert not (user.active.sysroot / "include/bzlib.h").exists()
    user.well("add", TARGET, "bzip2")
    assert user.active == before
    user.well("remove", TARGET, "--all")
    assert user.active.about.base is None
    user.well("add", TARGET, "zlib", "bzip2")
    assert user.active == before


def test_commands_tell_of_the_libraries(user: Home) -> None:
    rows = json.loads(user.well("list", "--libraries", TARGET, "--json").out)["libraries"]
    assert [(one["name"], one["version"]) for one in rows] == [
        ("bzip2", "1.0.8"),
        ("zlib", "1.3.2"),
    ]
    assert "bzip2-1.0.6" in user.well("list", "--libraries", TARGET).out
    every = json.loads(user.well("list", "--libraries", "--json").out)["libraries"]
    assert {one["name"]: one["added"] for one in every}["zlib"] == [TARGET]
    assert "with bzip2 1.0.8, zlib 1.3.2" in user.well("list").out
    assert "zlib" in user.well("show", TARGET).out
    document = json.loads(user.well("sbom", TARGET).out)
    parts = {one["name"]: one for one in document["packages"]}
    assert parts["zlib"]["licenseDeclared"] == "Zlib"
    assert parts["zlib"]["versionInfo"] == "1.3.2"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", TARGET, "zlb"), "unknown library 'zlb'; did you mean zlib?"),
        (("add", TARGET, "zlib@2"), "no zlib 2"),
        (("add", TARGET, "openssl", "libressl"), "libressl and openssl exclude each other"),
        (("add", "riscv64-musl", "zlib"), "riscv64-musl is not installed"),
        (("add", TARGET, "zstd", "--shared"), "zstd is not built as a shared library"),
        (("remove", TARGET, "zstd"), "zstd has not been added"),
        (("remove", TARGET), "name the libraries to remove, or give --all"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(user: Home, words: tuple[str, ...], said: str) -> None:
    before = user.active
    done = user(*words)
    assert done.code == 2, done.err
    assert said in done.err
    assert len(done.err.splitlines()) <= 2
    assert user.active == before


def test_the_same_bytes_come_from_another_directory(user: Home, tmp_path: Path) -> None:
    base = user.ctx.store.base(user.active)
    assert base
    cache = tmp_path / "another/cache"
    (cache / "sha256").mkdir(parents=True)
    chosen = choice.resolved([choice.wish("zlib")])
    first = building.stored(chosen, base, user.ctx)["zlib"]
    source = user.ctx.paths.cache / "sha256" / first.about.sha256
    shutil.copy(source, cache / "sha256" / source.name)
    paths = Paths(data=tmp_path / "data", cache=cache)
    again = building.build(chosen, base, replace(user.ctx, paths=paths))["zlib"]
    assert again.path.name == first.path.name
    text = (again.path / manifest.FILE).read_text()
    assert text == (first.path / manifest.FILE).read_text()


@pytest.mark.parametrize(
    ("counts", "text", "told"),
    [
        ("automake", "# TOTAL: 5\n# PASS:  3\n# SKIP:  1\n# FAIL:  1\n# PASS:  2\n", (5, 1, 1)),
        (
            "ctest",
            "1/3 Test #1: a ....   Passed    0.01 sec\n2/3 Test #2: b ...***Failed    0.01 sec\n"
            "3/3 Test #3: c ....***Skipped   0.00 sec\n67% tests passed\n",
            (1, 1, 1),
        ),
        ("^ok", "ok a\nok b\nnot ok c\n", (2, 0, 0)),
        (r"^ran (\d+)", "ran 12\nran 30\n", (42, 0, 0)),
    ],
)
def test_what_tests_tell_is_counted(
    counts: str, text: str, told: tuple[int, int, int], tmp_path: Path
) -> None:
    (tmp_path / "log").write_text(text)
    one = librarychecks._counted(tmp_path / "log", counts, "")
    assert (one.passed, one.failed, one.skipped) == told
    assert not one.trouble


def test_tests_that_tell_nothing_have_not_passed(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("all is well\n")
    one = librarychecks._counted(tmp_path / "log", "^ok", "")
    assert "looks like a test" in one.trouble
    assert str(one) == "fails"


def test_tests_that_end_badly_have_not_all_passed(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("ok a\n")
    assert str(librarychecks._counted(tmp_path / "log", "^ok", "exit 2")) == "1, then fails"
    (tmp_path / "log").write_text("# PASS: 7\n# FAIL: 2\n# SKIP: 1\n")
    counted = librarychecks._counted(tmp_path / "log", "automake", "exit 2")
    assert str(counted) == "7, 2 fail, 1 skipped"


def test_the_tests_of_a_library_run_on_its_target(user: Home) -> None:
    env = {**os.environ, **user.env, "PYTHONPATH": str(tools.CHECKOUT)}
    assert librarychecks.check("ncurses", TARGET, env) is None
    counted = librarychecks.check("bzip2", TARGET, env)
    assert counted == librarychecks.Counted(passed=6)


def test_a_failing_build_names_its_step_and_its_log(
    user: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (recipes.directory() / "zlib.toml").read_text().replace('"--static"', '"--no-such"')
    (tmp_path / "zlib.toml").write_text(text)
    broken = recipes.read(tmp_path / "zlib.toml")
    chosen = [replace(choice.resolved([choice.wish("zlib@1.3.1")])[0], recipe=broken)]
    base = user.ctx.store.base(user.active)
    assert base
    with pytest.raises(BuildError, match=r"zlib: configure failed \(exit 1\)") as caught:
        building.build(chosen, base, user.ctx)
    assert caught.value.hint
    log = Path(caught.value.hint.removeprefix("the whole log: "))
    assert "unknown option" in log.read_text()
    assert user.ctx.store.staged() == []


def test_gc_keeps_what_is_in_use(user: Home) -> None:
    user.well("add", TARGET, "zlib@1.3.1")
    new = user.active
    base = user.ctx.store.base(new)
    assert base
    gone = {one.path.name: one.kind for one in gc.garbage(user.ctx.store)}
    assert base.path.name not in gone
    assert any(name.startswith("zlib-1.3.2-") for name in gone)
    user.well("gc")
    left = [path.name for path in user.ctx.store.entries() if library.read(path)]
    assert sorted(name.split("-arm64")[0] for name in left) == ["bzip2-1.0.8", "zlib-1.3.1"]
    assert user.active == new
    user.well("verify", "--store")


@pytest.mark.parametrize("where", ["base", "library", "laid"])
def test_what_is_damaged_is_laid_again(user: Home, where: str) -> None:
    before = user.active
    base = user.ctx.store.base(before)
    assert base
    row = next(one for one in before.about.libraries if one.name == "bzip2")
    places = {
        "base": base.sysroot / "include/stdio.h",
        "library": user.ctx.paths.store / row.entry(TARGET) / "include/bzlib.h",
        "laid": before.path / toolchain.SBOM,
    }
    place = places[where]
    place.chmod(0o644)
    place.write_text("damaged")
    assert user("verify", "--store").code == 4
    user.well("verify", "--store", "--repair")
    user.well("verify", "--store")
    assert user.active == before
    assert place.read_text() != "damaged"


def killed_at(moment: str, user: Home, work: Path, *words: str) -> None:
    """Let Python with `words` run to a checkpoint, and no further."""
    marker = work / "marker"
    env = {**os.environ, **user.env, "PYTHONPATH": str(tools.CHECKOUT)}
    env |= {"TOOLMAN_TEST_CHECKPOINT": moment, "TOOLMAN_TEST_MARKER": str(marker)}
    with subprocess.Popen([sys.executable, *words], env=env) as process:
        try:
            while not marker.exists():  # as long as a build takes
                assert process.poll() is None, f"{moment} was never reached"
                time.sleep(0.01)
        finally:
            process.kill()


def damaged(place: Path) -> Path:
    place.chmod(0o644)
    place.write_text("damaged")
    return place


def have(user: Home, *names: str) -> None:
    """Have these libraries in the active toolchain, and no others."""
    user.well("add", TARGET, *names)
    more = [name for name in user.names if name not in names]
    if more:
        user.well("remove", TARGET, *more)


def header(user: Home) -> Path:
    """A file of bzip2, which is in the active toolchain, in its own entry of the store."""
    row = next(one for one in user.active.about.libraries if one.name == "bzip2")
    return user.ctx.paths.store / row.entry(TARGET) / "include/bzlib.h"


def test_a_kill_before_they_are_laid_changes_nothing(user: Home, tmp_path: Path) -> None:
    have(user, "zlib", "bzip2")
    user.well("gc")
    before = user.active
    killed_at("before-laid", user, tmp_path, "-m", "toolman", "remove", TARGET, "bzip2")
    assert user.active == before
    user.well("remove", TARGET, "bzip2")
    assert user.names == ["zlib"]
    user.well("add", TARGET, "bzip2")
    assert user.active == before


@pytest.mark.parametrize("moment", ["mid-drop", "before-rename", "before-laid", "after-rename"])
def test_a_kill_in_a_repair_takes_no_library(user: Home, tmp_path: Path, moment: str) -> None:
    have(user, "zlib", "bzip2")
    before = user.active
    place = damaged(header(user))
    killed_at(moment, user, tmp_path, "-m", "toolman", "verify", "--store", "--repair")
    assert user.active == before
    user.well("list")  # which cleans up after it
    assert user.active == before
    user.well("verify", "--store", "--repair")
    user.well("verify", "--store")
    assert user.active == before
    assert place.read_text() != "damaged"
    assert user.ctx.store.staged() == []


def test_what_cannot_be_repaired_stays(user: Home, tmp_path: Path) -> None:
    have(user, "zlib", "bzip2")
    before = user.active
    damaged(header(user))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(user.env, "TOOLMAN_CACHE", str(tmp_path))
        assert user("verify", "--store", "--repair", "--offline").code == 3
    assert user.active == before
    user.well("verify", "--store", "--repair")
    user.well("verify", "--store")
    assert user.active == before


def test_a_repair_does_not_choose_another_set(user: Home) -> None:
    have(user, "zlib", "bzip2")
    old = user.active
    user.well("remove", TARGET, "bzip2")
    new = user.active
    damaged(old.path / toolchain.SBOM)
    user.well("verify", "--store", "--repair")
    user.well("verify", "--store")
    assert user.active == new
    user.well("add", TARGET, "bzip2")
    assert user.active == old


def test_installing_again_keeps_them(user: Home) -> None:
    before = user.active
    assert "is already installed" in user.well("install", TARGET).err
    assert user.active == before


# A toolchain of the store, which its digest names, takes the place of the active one.
PUT = """
import os, sys
from types import SimpleNamespace
from toolman import install
from toolman.context import Context
from toolman.host import Host
from toolman.paths import Paths
host = Host.current()
ctx = Context(host=host, paths=Paths.from_env(os.environ, host), environ=os.environ)
wanted = SimpleNamespace(name="arm64-musl", is_met_by=lambda about: about.digest == sys.argv[1])
install.ensure_exactly(wanted, ctx)
"""


def put(user: Home, made: toolchain.Toolchain) -> Finished:
    env = {**os.environ, **user.env, "PYTHONPATH": str(tools.CHECKOUT)}
    return run.run([sys.executable, "-c", PUT, made.about.digest], env=env)


def another(user: Home, word: str, **instead: str) -> toolchain.Toolchain:
    """The toolchain without libraries, in the store as another one; some of its tools others."""
    base = user.ctx.store.base(user.active)
    assert base
    swapped = {tool: base.about.tools[other] for tool, other in instead.items()}
    digest = hashlib.sha256(word.encode()).hexdigest()
    about = replace(base.about, digest=digest, tools={**base.about.tools, **swapped})
    with user.ctx.store.stage("next") as work:
        laying.link_tree(base.path, work / "tree", [manifest.FILE, toolchain.FILE])
        toolchain.write(work / "tree", about)
        place = user.ctx.store.add(work / "tree", about.entry)
    return toolchain.Toolchain(path=place, about=about)


def test_they_follow_to_the_toolchain_that_comes_next(user: Home) -> None:
    have(user, "zlib")
    before = user.active
    made = another(user, "next")
    done = put(user, made)
    assert done.code == 0, done.err
    assert user.active.about.base == made.path.name
    assert user.names == ["zlib"]
    assert user.active != before


@pytest.mark.parametrize(
    "moment", ["before-rename", "before-laid", "before-publish", "after-activate", "mid-publish"]
)
def test_a_kill_on_the_way_to_the_next_takes_no_library(
    user: Home, tmp_path: Path, moment: str
) -> None:
    have(user, "zlib")
    user.well("gc")
    before = user.active
    made = another(user, moment)
    killed_at(moment, user, tmp_path, "-c", PUT, made.about.digest)
    if moment in ("before-rename", "before-laid", "before-publish"):
        assert user.active == before
    user.well("list")  # which cleans up after it
    assert user.names == ["zlib"]
    assert (user.active.sysroot / "include/zlib.h").exists()
    assert publish.is_current(user.ctx.store)
    done = put(user, made)
    assert done.code == 0, done.err
    assert user.active.about.base == made.path.name
    assert user.names == ["zlib"]
    assert user.ctx.store.staged() == []


def test_where_they_cannot_follow_the_old_one_stays(user: Home) -> None:
    have(user, "zlib")
    before = user.active
    done = put(user, another(user, "broken", gcc="ar"))
    assert done.code == 1
    assert "zlib: configure failed" in done.err
    assert user.active == before
    assert publish.is_current(user.ctx.store)


def test_a_version_that_is_no_more_is_told_before_anything_is_made(user: Home) -> None:
    have(user, "zlib")
    old = replace(user.active.about.libraries[0], version="1.2")
    gone = replace(user.active, about=replace(user.active.about, libraries=(old,)))
    with pytest.raises(InputError, match=r"no zlib 1\.2"):
        laying.check(gone)


def test_a_linked_toolchain_is_the_users(user: Home, tmp_path: Path) -> None:
    for tool in ("gcc", "ar", "ld", "as"):
        file = user.active.tool(tool)
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / f"aarch64-linux-musl-{tool}").symlink_to(file)
    user.well("link", "mine", tmp_path)
    done = user("add", "mine", "zlib")
    assert done.code == 2
    assert "mine is linked: its files are yours" in done.err


def test_uninstalling_takes_them_along(user: Home) -> None:
    user.well("uninstall", TARGET)
    assert [path for path in user.ctx.store.entries() if library.read(path)] == []
    assert not any(path.name.startswith(TARGET) for path in user.ctx.store.entries())
