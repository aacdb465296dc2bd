"""Builds from source that stop: a step fails, somebody ends them, something is not as it should be.

Whatever it was, what was done stays done, what was under way is ended with all of its programs,
and the same command goes on.
"""

from __future__ import annotations

import hashlib
import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import archive
import fakesrc
import pytest
from archive import ended, kill_group, wait_for
from test_failures import mounted

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from fakesrc import Upstream

# Done when GCC is configured; binutils may still be under way then.
EARLIER = {"gmp configure", "mpfr configure", "mpc configure"}


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    with fakesrc.upstream(tmp_path) as upstream:
        yield upstream


def goes_on(upstream: Upstream, *again: str) -> None:
    """The same command succeeds, and does the steps of `again`, but nothing of `EARLIER`."""
    assert upstream.machine.installed() == []
    upstream.unhook()
    upstream.forget_calls()
    upstream.build()
    names = set(upstream.names())
    assert names.isdisjoint(EARLIER)
    assert names >= set(again)
    assert upstream.machine.installed() == ["arm64-musl"]
    assert upstream.processes() == []
    assert [path.name for path in (upstream.machine.cache / "build").iterdir()] == ["shared"]


def work(upstream: Upstream) -> Path:
    """The directory of the one build that is under way."""
    (found,) = (upstream.machine.cache / "build").glob("arm64-musl-*")
    return found


def under_way(upstream: Upstream, call: str, text: str = "sleep 300") -> subprocess.Popen[str]:
    """A build that has come to `call`, which takes forever."""
    marker = upstream.directory / "reached"
    upstream.hook(call, f"touch {marker}; {text}")
    process = upstream.machine.start(*upstream.command())
    wait_for(marker.exists, call, process)
    return process


def parked_until_killed(upstream: Upstream, moment: str) -> None:
    """Start a build, and kill it at a checkpoint."""
    marker = upstream.directory / "marker"
    parked = {"TOOLMAN_TEST_CHECKPOINT": moment, "TOOLMAN_TEST_MARKER": str(marker)}
    process = upstream.machine.start(*upstream.command(), env=parked)
    wait_for(marker.exists, moment, process)
    kill_group(process)
    ended(process)


# Steps that fail


def test_a_failing_step_is_told_and_the_next_run_goes_on(upstream: Upstream) -> None:
    upstream.hook("gcc all-gcc", "for i in 1 2 3; do echo this is wrong $i; done; exit 1")
    done = upstream.machine.toolman(*upstream.command())
    assert (done.code, len(done.errors)) == (5, 1), done.err
    told = done.err[done.err.index("error:") :].splitlines()
    assert told[0].startswith("error: gcc: compilers failed (exit 2): ")
    assert "make MAKEINFO=true " in told[0]
    assert "this is wrong 3" in told
    log = work(upstream) / "log/gcc-compilers.log"
    assert told[-1] == f"hint: the whole log: {log}"
    assert "this is wrong 1\n" in log.read_text()
    assert "Traceback" not in done.err
    assert upstream.machine.litter() == []
    goes_on(upstream, "gcc all-gcc", "gcc install-gcc")


def test_a_failing_step_ends_the_others(upstream: Upstream) -> None:
    """Both run until the other has begun; then one fails, and the other would take forever."""
    begun = upstream.directory / "begun"
    upstream.hook("musl libc.a", f"touch {begun}; sleep 300 & sleep 300")
    wait = f"for i in $(seq 500); do if test -e {begun}; then exit 7; fi; sleep 0.02; done"
    upstream.hook("gcc libgcc_eh.a", wait)
    begin = time.monotonic()
    done = upstream.machine.toolman(*upstream.command())
    assert done.code == 5
    assert "gcc: libgcc.a failed" in done.errors[0]
    assert time.monotonic() - begin < 60
    assert upstream.processes() == []
    goes_on(upstream, "gcc libgcc.a", "musl libc.a")


def test_a_patch_that_does_not_fit_is_told_by_its_component(upstream: Upstream) -> None:
    patch = upstream.directory / "patches/mine/1.patch"
    patch.parent.mkdir(parents=True)
    patch.write_text("--- a/stdio.h\n+++ b/stdio.h\n@@ -1 +1 @@\n-not there\n+int x;\n")
    upstream.recipe('[patches]\nmusl = ["mine"]\n')
    done = upstream.machine.toolman(*upstream.command())
    assert done.code == 5
    assert "musl: source failed" in done.errors[0]
    assert str(patch) in done.errors[0]
    patch.write_text(patch.read_text().replace("not there", "int puts(const char *);"))
    upstream.build()


def test_a_tree_that_names_where_it_was_built_is_refused(upstream: Upstream) -> None:
    upstream.hook("gcc install-gcc", "echo $PWD/gcc >../out/bin/aarch64-linux-musl-note")
    done = upstream.machine.toolman(*upstream.command())
    assert done.code == 5
    assert "name the directory they were built in: bin/aarch64-linux-musl-note" in done.errors[0]
    assert upstream.machine.installed() == []


def test_a_compiler_for_another_machine_is_refused(upstream: Upstream) -> None:
    upstream.hook("gcc install-gcc", "sed -i s/267/363/ ../out/bin/*-gcc")
    done = upstream.machine.toolman(*upstream.command())
    assert done.code == 5, done.err
    assert "arm64-musl makes programs for" in done.errors[0]
    assert upstream.machine.installed() == []
    assert upstream.machine.litter() == []


# Builds that are ended


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_build_that_is_told_to_end_leaves_no_program(
    number: int, code: int, upstream: Upstream
) -> None:
    process = under_way(upstream, "gcc all-gcc", "sleep 300 & sleep 300")
    begin = time.monotonic()
    process.send_signal(number)
    done = ended(process)
    assert (done.code, "Traceback" in done.err) == (code, False), done.err
    assert time.monotonic() - begin < 10
    assert upstream.processes() == []
    assert upstream.machine.litter() == []
    goes_on(upstream, "gcc all-gcc")


@pytest.mark.parametrize("who", ["toolman", "its group"])
@pytest.mark.parametrize("call", ["gcc configure", "gcc all-gcc"])
def test_a_killed_build_leaves_no_program(who: str, call: str, upstream: Upstream) -> None:
    """Those that it has started end by themselves, and the next run goes on."""
    process = under_way(upstream, call, "trap '' TERM; sleep 300 & sleep 300")
    process.kill() if who == "toolman" else kill_group(process)
    ended(process)
    wait_for(lambda: not upstream.processes(), "the end of what it has started")
    goes_on(upstream, "gcc all-gcc")


def test_a_build_killed_before_it_notes_a_step_does_that_step_again(upstream: Upstream) -> None:
    upstream.build()
    upstream.machine.forget(cache=False)
    parked_until_killed(upstream, "before-stamp")
    assert not list(work(upstream).glob("done/*"))
    upstream.build()
    assert upstream.machine.installed() == ["arm64-musl"]


@pytest.mark.parametrize("moment", ["before-smoke", "before-rename", "after-rename"])
def test_a_build_killed_at_its_end_is_no_loss(moment: str, upstream: Upstream) -> None:
    """Of the compilers, that is: they are not built a second time."""
    parked_until_killed(upstream, moment)
    upstream.forget_calls()
    upstream.build()
    assert upstream.calls() == []
    assert upstream.machine.installed() == ["arm64-musl"]


def test_who_waits_for_another_build_can_be_ended(upstream: Upstream) -> None:
    """The other one is about to make what both need."""
    first = under_way(upstream, "gmp all")
    other = upstream.machine.start(*upstream.command("riscv64-musl"))
    wait_for(lambda: upstream.names().count("binutils configure") == 2, "its own steps", other)
    time.sleep(0.5)
    other.send_signal(signal.SIGINT)
    begin = time.monotonic()
    assert ended(other).code == 130
    assert time.monotonic() - begin < 10
    first.send_signal(signal.SIGINT)
    assert ended(first).code == 130
    assert upstream.processes() == []


# What has changed meanwhile


def test_a_changed_flag_builds_again_what_it_is_for(upstream: Upstream) -> None:
    upstream.build()
    upstream.forget_calls()
    upstream.recipe('[configure]\ngcc = ["--with-mine"]\n')
    (before,) = upstream.machine.data.glob("store/arm64-musl-*")
    upstream.build()
    (gcc,) = [one for one in upstream.calls() if one.name == "gcc configure"]
    assert gcc.words[-1] == "--with-mine"
    assert not {"gmp configure", "mpc configure"} & {*upstream.names()}
    active = upstream.machine.store.active("arm64-musl")
    assert active
    assert active.path != before


def test_a_changed_source_is_unpacked_beside_the_old_one(upstream: Upstream) -> None:
    upstream.build()
    upstream.forget_calls()
    upstream.change("musl", "# newer\n")
    done = upstream.build()
    lines = done.err.splitlines()
    assert [line for line in lines if line.endswith(": source")] == ["musl: source"]
    assert "gcc all-gcc" in upstream.names()
    assert len(list(upstream.machine.cache.glob("build/shared/musl-*"))) == 2


def test_what_was_built_in_between_is_kept_on_demand(upstream: Upstream) -> None:
    upstream.build("arm64-musl", "--keep-work")
    kept = work(upstream)
    assert (kept / "log/gcc-compilers.log").is_file()
    assert (kept / "gcc/Makefile").is_file()


# What is refused before the first byte


def unbegun(upstream: Upstream, code: int, *words: str, says: str) -> None:
    done = upstream.machine.toolman(*upstream.command("arm64-musl", *words))
    assert (done.code, len(done.errors)) == (code, 1), done.err
    assert says in done.err
    assert upstream.server.seen == []
    assert upstream.calls() == []
    assert upstream.machine.installed() == []


def test_too_little_memory_for_so_many_jobs(upstream: Upstream) -> None:
    unbegun(upstream, 1, "--jobs", "100000", says="hint: try: --jobs ")


def test_too_little_room_on_the_disk(upstream: Upstream) -> None:
    cache = upstream.machine.cache
    cache.mkdir()
    with mounted(upstream.machine, f"mount -t tmpfs -o size=100m tmpfs {cache}"):
        unbegun(upstream, 1, says="MB free, 4")


def test_tools_that_the_host_lacks(upstream: Upstream) -> None:
    """Without apt, all of them are named, with the command that installs them."""
    bin_ = upstream.directory / "bin"
    for directory in ("/usr/bin", "/bin"):
        for path in Path(directory).iterdir():
            if not (bin_ / path.name).is_symlink() and not (bin_ / path.name).exists():
                (bin_ / path.name).symlink_to(path)
    for name in ("bison", "m4", "apt-get", "dpkg-deb"):
        (bin_ / name).unlink(missing_ok=True)
    upstream.machine.settings["PATH"] = str(bin_)
    unbegun(upstream, 2, says="m4 (is not on PATH), bison (is not on PATH)")


@pytest.mark.parametrize("name", ["my cache", "cache:1", "it's"])
def test_a_cache_whose_name_no_makefile_can_bear(name: str, upstream: Upstream) -> None:
    upstream.machine.settings["TOOLMAN_CACHE"] = str(upstream.directory / name)
    unbegun(upstream, 2, says="set TOOLMAN_CACHE to another directory")


# Sources that cannot be had


@pytest.mark.parametrize("reply", [archive.flipped, archive.shorter])
def test_wrong_bytes_stop_it(reply: Callable[..., None], upstream: Upstream) -> None:
    upstream.server.rules["musl-99"] = reply
    done = upstream.machine.toolman(*upstream.command())
    content = (upstream.server.archive.directory / "musl-99.1.tar.gz").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if reply is archive.flipped:
        assert done.code == 4, done.err
        assert "is not what is pinned for musl" in done.errors[0]
    else:
        assert done.code == 3, done.err
    kept = list(upstream.machine.cache.glob("sha256/*"))
    assert not [path for path in kept if path.name.startswith(digest)]
    assert not (upstream.machine.cache / "build").exists()
    assert upstream.calls() == []
    upstream.server.rules.clear()
    upstream.build()


def test_sources_that_are_here_need_no_network(upstream: Upstream) -> None:
    process = under_way(upstream, "gcc all-gcc")
    process.send_signal(signal.SIGTERM)
    assert ended(process).code == 143
    upstream.server.seen.clear()
    upstream.unhook()
    words = upstream.command("arm64-musl", "--dry-run", "--json")
    (plan,) = json.loads(upstream.machine.toolman(*words).out)["plans"]
    assert plan["download"] == 0
    upstream.build()
    assert upstream.server.seen == []
