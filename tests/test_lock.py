"""A project's lock: written, kept, checked; and what it names, installed to the byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import archive
import pytest
from archive import HOST, Machine
from projects import User, republish, upgrade
from published import packed
from test_crash import kill_at, parked_at

from toolman import lockfile, store
from toolman.digest import sha256
from toolman.errors import InputError

if TYPE_CHECKING:
    from archive import Archive, Server
    from published import Repository

MACHINE = HOST.machine
OTHER = "aarch64" if MACHINE != "aarch64" else "x86_64"


# From the index


def test_a_prebuilt_toolchain_is_locked_for_every_host(author: User, corp: Repository) -> None:
    corp.add("arm64-musl", host=f"debian12-{OTHER}", digest="cd" * 32)
    corp.add("arm64-musl", host="elsewhere1.2-s390x", origin="distro", digest="ef" * 32)
    corp.add("arm64-musl", host="debian12-riscv64", version="15.1.0")
    author.good("index", "refresh")
    author.good("lock")
    locked = author.locked()
    archives = locked.pop("archives")
    assert locked == {
        "origin": "prebuilt",
        "languages": ["c"],
        "gcc": "14.2.0",
        "index": "corp",
    }
    assert archives.keys() == {MACHINE, OTHER, "elsewhere1.2-s390x"}
    for row in archives.values():
        blob = corp.path(f"blobs/sha256/{row['sha256'][:2]}/{row['sha256']}")
        assert blob.stat().st_size == row["size"]
    assert not author.machine.listed()


def test_what_runs_on_every_linux_is_locked_once(author: User, corp: Repository) -> None:
    every = ("c", "c++", "gccgo", "fortran")
    corp.add("arm64-musl", host=HOST.key, origin="distro", languages=every, digest="cd" * 32)
    author.good("index", "refresh")
    author.good("lock")
    assert author.locked()["archives"].keys() == {MACHINE}


def test_what_is_locked_stays_until_it_is_bumped(author: User, corp: Repository) -> None:
    author.good("lock")
    before = author.file.read_bytes()
    republish(corp, author, version="15.1.0")
    assert "fits" in author.good("lock").err
    assert author.file.read_bytes() == before
    said = json.loads(author.good("lock", "--bump", "--json").out)
    assert (said["changed"], said["toolchains"][0]["gcc"]) == (True, "15.1.0")
    assert author.locked()["gcc"] == "15.1.0"
    assert json.loads(author.good("lock", "--bump", "--json").out)["changed"] is False


def test_sync_installs_what_is_locked_though_the_index_has_moved_on(
    author: User, corp: Repository
) -> None:
    author.good("lock")
    digest = author.locked()["archives"][MACHINE]["sha256"]
    corp.add("arm64-musl", version="15.1.0")
    author.good("index", "refresh")
    author.good("sync", "--locked")
    assert author.active()["digest"] == digest
    assert author.active()["origin"] == "prebuilt"


def test_sync_asks_no_index(author: User, server: Server) -> None:
    author.good("lock")
    server.seen.clear()
    author.good("sync", "--locked")
    assert server.seen == [author.locked()["archives"][MACHINE]["sha256"]]
    server.seen.clear()
    assert "is the locked one" in author.good("sync", "--locked").err
    author.good("uninstall", "--all")
    server.stop()
    author.good("index", "remove", "corp")
    author.good("sync", "--locked")  # from the cache
    assert author.machine.installed() == ["arm64-musl"]


def test_sync_makes_the_locked_one_active_again(author: User, corp: Repository) -> None:
    author.good("sync")
    locked = author.active()["digest"]
    republish(corp, author, version="15.1.0")
    author.good("install", "arm64-musl", "--gcc", "15")
    assert author.active()["version"] == "15.1.0"
    said = json.loads(author.good("sync", "--locked", "--json").out)["toolchains"]
    assert [(one["digest"], one["fresh"]) for one in said] == [(locked, False)]
    assert author.active()["digest"] == locked
    author.good("lock", "--bump")
    author.good("sync", "--locked")
    assert author.active()["version"] == "15.1.0"
    assert author.machine.is_published()
    assert len(author.machine.installed()) == 2


@pytest.mark.parametrize("moment", ["before-rename", "after-activate"])
def test_a_killed_sync_succeeds_when_it_is_given_again(author: User, moment: str) -> None:
    machine = author.machine
    author.good("lock")
    author.good("install", "arm64-musl", "--origin", "distro")
    started = machine.start("sync", "--locked", env=parked_at(moment, machine))
    kill_at(moment, started, machine)
    assert set(machine.installed()) == {"arm64-musl"}
    assert machine.is_published()
    author.good("sync", "--locked")
    assert author.active()["digest"] == author.locked()["archives"][MACHINE]["sha256"]
    assert len(machine.installed()) == 2


def test_other_bytes_than_the_locked_ones_are_refused(author: User, server: Server) -> None:
    author.good("lock")
    server.rules["/blobs/"] = archive.flipped
    author.fails(4, "sync", "--locked")
    assert author.machine.installed() == []


def test_a_digest_of_something_else_is_refused(author: User, corp: Repository) -> None:
    """Somebody has put the digest of another archive into the lock."""
    corp.add("riscv64-musl")
    author.good("lock")
    row = author.locked()["archives"][MACHINE]
    (other,) = [one for one in corp.opened().archives if one.about.name == "riscv64-musl"]
    text = author.file.read_text().replace(row["sha256"], other.sha256)
    author.file.write_text(text.replace(f"size = {row['size']}", f"size = {other.size}"))
    assert "is not arm64-musl" in author.fails(4, "sync", "--locked")
    assert author.machine.installed() == []


def test_an_archive_may_say_no_more_than_an_index(author: User, corp: Repository) -> None:
    """Its version becomes part of a file's name."""
    author.good("lock")
    row = author.locked()["archives"][MACHINE]
    file = packed(corp.place, "arm64-musl", version="14.2.0.1/../../../evil")
    digest = sha256(file)
    blob = corp.path(f"blobs/sha256/{digest[:2]}/{digest}")
    blob.parent.mkdir(exist_ok=True)
    blob.write_bytes(file.read_bytes())
    text = author.file.read_text().replace(row["sha256"], digest)
    size = file.stat().st_size
    author.file.write_text(text.replace(f"size = {row['size']}", f"size = {size}"))
    assert "is not arm64-musl" in author.fails(4, "sync", "--locked")
    assert author.machine.installed() == []


def test_who_knows_no_index_is_told_which_one_to_add(author: User) -> None:
    author.good("lock")
    author.good("index", "remove", "corp")
    said = author.fails(2, "sync", "--locked")
    assert "hint: toolman index add corp URL --root FILE" in said


def test_an_archive_that_was_withdrawn_is_the_networks_fault(
    author: User, corp: Repository, server: Server
) -> None:
    author.good("lock")
    server.rules["/blobs/"] = archive.fail(404)
    assert "toolman lock --bump" in author.fails(3, "sync", "--locked")


def test_an_index_out_of_reach_does_not_change_the_origin(author: User, server: Server) -> None:
    author.good("lock")
    before = author.file.read_bytes()
    store.remove_tree(author.machine.home / "indexes/corp/known.json")
    server.stop()
    assert author("lock", "--bump").code == 3
    assert author.file.read_bytes() == before


def test_another_host_adds_its_row_from_the_index(author: User, corp: Repository) -> None:
    author.good("lock")
    text = author.file.read_text()
    digest = author.locked()["archives"][MACHINE]["sha256"]
    author.file.write_text(text.replace(f"{MACHINE} = {{", "s390x = {"))
    said = author.fails(2, "sync", "--locked")
    assert f"arm64-musl is not locked for {HOST.key}" in said
    assert author.file.read_text() != text
    author.good("sync")
    rows = author.locked()["archives"]
    assert {key: row["sha256"] for key, row in rows.items()} == {MACHINE: digest, "s390x": digest}
    republish(corp, author, version="15.1.0")
    author.file.write_text(text.replace(f"{MACHINE} = {{", "s390x = {"))
    assert "no index has one for" in author.fails(2, "lock")


# From the host's archive


def test_packages_are_locked_for_this_host_beside_those_of_others(alone: User) -> None:
    alone.good("lock")
    row = alone.locked()["systems"][HOST.key]
    assert row["gcc"] == "12.2.0"
    names = [line.split()[0] for line in row["packages"]]
    assert "gcc-12-aarch64-linux-gnu" in names
    assert "patchelf" not in names
    assert names == sorted(names)
    text = alone.file.read_text()
    alone.file.write_text(text.replace(f".{lockfile._key(HOST.key)}]", '."other 1-x86_64"]'))
    assert f"is not locked for {HOST.key}" in alone.fails(2, "lock", "--check")
    alone.good("lock")
    assert alone.locked()["systems"].keys() == {HOST.key, "other 1-x86_64"}
    alone.good("lock", "--bump")
    assert alone.locked()["systems"].keys() == {HOST.key, "other 1-x86_64"}
    alone.good("sync", "--locked")
    assert alone.active()["digest"] == row["digest"]


def test_packages_that_have_moved_on_are_named(alone: User, debian: Archive) -> None:
    alone.good("lock")
    upgrade(debian, "musl-dev", "12.2.0-2")
    said = alone.fails(2, "sync", "--locked")
    assert "musl-dev 12.2.0-1 → 12.2.0-2" in said
    assert "hint: toolman lock --bump" in said
    assert alone.machine.installed() == []
    alone.good("lock", "--bump")
    alone.good("sync", "--locked")
    assert alone.machine.installed() == ["arm64-musl"]


def test_to_bump_is_to_ask_now(author: User, corp: Repository, debian: Archive) -> None:
    author.pin('targets = ["arm64-musl", "arm64-gnu"]')
    author.good("lock")
    corp.add("arm64-musl", version="15.1.0")
    upgrade(debian, "gcc-12-aarch64-linux-gnu", "12.3.0-1")
    author.good("lock", "--bump")
    assert author.locked()["gcc"] == "15.1.0"
    assert author.locked("arm64-gnu")["systems"][HOST.key]["gcc"] == "12.3.0"


def test_a_lock_newer_than_the_lists_here_makes_them_be_fetched(
    alone: User, debian: Archive, apt: Server
) -> None:
    alone.good("install", "arm64-musl", "--dry-run")  # which fetches the lists
    upgrade(debian, "musl-dev", "12.2.0-2")
    colleague = User(Machine(alone.machine.directory / "colleague", apt.url))
    colleague.good("lock")
    alone.file.write_bytes(colleague.file.read_bytes())
    alone.good("sync", "--locked")
    assert alone.active()["digest"] == alone.locked()["systems"][HOST.key]["digest"]


def test_what_is_installed_is_synced_without_the_archive(alone: User, apt: Server) -> None:
    alone.good("sync")
    store.remove_tree(alone.machine.cache)
    apt.stop()
    assert "is the locked one" in alone.good("sync", "--locked").err


# From source


def test_a_build_is_locked_by_its_recipe_and_all_that_goes_in(alone: User) -> None:
    alone.pin('targets = ["arm64-musl"]\nlanguages = ["c++"]')
    alone.good("lock")
    locked = alone.locked()
    digest = locked.pop("digest")
    assert locked == {
        "origin": "source",
        "languages": ["c", "c++"],
        "gcc": "14.2.0",
        "recipe": "gcc-14-musl",
        "malloc": "mallocng",
    }
    alone.file.write_text(alone.file.read_text().replace(digest, "0" * 64))
    said = alone.fails(2, "sync", "--locked")
    assert "the recipe gcc-14-musl of this toolman is not the locked one" in said
    alone.pin('targets = ["arm64-musl"]\n[target.arm64-musl]\nmalloc = "mimalloc"')
    alone.good("lock")
    assert alone.locked()["digest"] not in (digest, "0" * 64)
    assert alone.locked()["malloc"] == "mimalloc"


# What fits, and what does not


@pytest.mark.parametrize(
    ("pin", "reason"),
    [
        ('targets = ["arm64-musl", "arm64-gnu"]', "arm64-gnu is not locked"),
        ('targets = ["arm64-gnu"]', "arm64-musl is not wanted"),
        ('targets = ["arm64-musl"]\nlanguages = ["c++"]', "arm64-musl is locked with c"),
        (
            'targets = ["arm64-musl"]\n[target.arm64-musl]\norigin = "source"',
            "arm64-musl is locked from distro",
        ),
        ('targets = ["arm64-musl"]\n[target.arm64-musl]\ngcc = "15"', "is locked with GCC"),
        (
            'targets = ["arm64-musl"]\n[target.arm64-musl]\nrecipe = "gcc-15-musl"',
            "is locked by recipe",
        ),
        (
            'targets = ["arm64-musl"]\n[target.arm64-musl]\nmalloc = "mimalloc"',
            "is locked with malloc",
        ),
    ],
)
def test_a_lock_that_does_not_fit_the_pin_is_refused(alone: User, pin: str, reason: str) -> None:
    alone.good("lock")
    before = alone.file.read_bytes()
    alone.pin(pin)
    for words in (("lock", "--check"), ("sync", "--locked")):
        said = alone.fails(2, *words)
        assert reason in said
        assert "hint: toolman lock\n" in said
    assert alone.file.read_bytes() == before
    assert alone.machine.installed() == []


def test_a_missing_lock_is_refused_only_if_it_must_be_there(alone: User) -> None:
    assert "there is none" in alone.fails(2, "sync", "--locked")
    assert "there is none" in alone.fails(2, "lock", "--check")
    assert not alone.file.exists()
    alone.good("sync")
    assert alone.file.exists()
    assert alone.machine.installed() == ["arm64-musl"]
    alone.good("lock", "--check")


def test_a_target_more_leaves_the_others_as_they_are(alone: User, debian: Archive) -> None:
    alone.good("lock")
    before = alone.locked()
    upgrade(debian, "musl-dev", "12.2.0-2")
    alone.pin('targets = ["arm64-gnu", "arm64-musl"]')
    alone.good("lock")
    assert alone.locked() == before
    alone.pin('targets = ["arm64-gnu"]')
    assert "arm64-musl is not locked any more" in alone.good("lock").err


def test_the_same_toolchains_are_the_same_text(author: User) -> None:
    author.pin('targets = ["arm64-gnu", "arm64-musl"]')
    author.good("lock")
    first = author.file.read_text()
    lock = lockfile.parse(first)
    assert lockfile.dump(lock) == first
    author.file.unlink()
    author.pin('targets = ["arm64-musl", "arm64-gnu"]')
    author.good("lock")
    assert author.file.read_text() == first
    assert first.endswith("\n")
    assert max(map(len, first.splitlines())) < 200


def test_install_does_not_write_a_lock_and_says_that_it_reads_none(alone: User) -> None:
    alone.good("install")
    assert not alone.file.exists()
    alone.good("lock")
    before = alone.file.read_bytes()
    assert "toolman sync installs what it says" in alone.good("install").err
    assert alone.file.read_bytes() == before


GOOD = """\
schema = 1
[target.arm64-musl]
origin = "prebuilt"
languages = ["c"]
gcc = "14.2.0"
index = "corp"
[target.arm64-musl.archives]
x86_64 = { sha256 = "DIGEST", size = 1, unpacked = 2, files = 3 }
""".replace("DIGEST", "ab" * 32)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("schema = 1", ""),
        ("schema = 1", "schema = ["),
        ('"prebuilt"', '"linked"'),
        ('"prebuilt"', '"distro"'),
        ('["c"]', '["d"]'),
        ('"14.2.0"', "14"),
        ('"corp"', '""'),
        ("size = 1", "size = -1"),
        ("size = 1", "size = true"),
        ("ab" * 32, "../" * 20),
        ("files = 3", "files = 3, url = 'https://example.org'"),
        ("arm64-musl", "arm46-musl"),
        ("index =", "where ="),
        ("[target.arm64-musl.archives]", "[target.arm64-musl.systems]"),
        ("index =", 'digest = "no"\nindex ='),
    ],
)
def test_a_damaged_lock_is_one_clear_error(alone: User, old: str, new: str) -> None:
    assert lockfile.dump(lockfile.parse(GOOD))
    alone.file.write_text(GOOD.replace(old, new))
    said = alone.fails(2, "sync")
    assert f"{alone.file}: it is damaged" in said
    assert "toolman lock --bump" in said
    alone.good("lock", "--bump")
    alone.good("lock", "--check")


def test_a_merge_that_failed_and_a_newer_kind_are_told() -> None:
    with pytest.raises(InputError, match="a merge left its marks"):
        lockfile.parse(GOOD.replace("gcc =", "<<<<<<< HEAD\ngcc ="))
    with pytest.raises(InputError, match="of a newer kind"):
        lockfile.parse(GOOD.replace("schema = 1", "schema = 2"))


def test_without_a_pin_the_commands_say_how_to_write_one(alone: User) -> None:
    (alone.machine.directory / "toolman.toml").unlink()
    for words in (("install",), ("lock",), ("sync",)):
        said = alone.fails(2, *words)
        assert "there is no toolman.toml here or above" in said
