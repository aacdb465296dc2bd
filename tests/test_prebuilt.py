"""Origin `prebuilt`, end to end: packed and published by one user, installed by another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from published import User, compiled

from toolman import elf

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runner
    from published import Published


def test_what_one_packed_another_installs_and_uses(user: User, published: Published) -> None:
    done = user.good("install", "arm64-musl", "--json")
    (installed,) = json.loads(done.out)["installed"]
    assert (installed["origin"], installed["fresh"]) == ("prebuilt", True)
    assert installed["digest"] == published.blob().name
    program = compiled(user)
    assert elf.inspect(program).linkage == "static"
    assert user.good("run", "linux/arm64", program).out == "hello\n"
    assert "is already installed" in user.good("install", "arm64-musl").err


def test_a_dry_run_says_index_and_bytes(user: User, published: Published) -> None:
    said = user.good("install", "arm64-musl", "--dry-run").out
    assert "origin prebuilt, index corp: GCC" in said
    (plan,) = json.loads(user.good("install", "arm64-musl", "--dry-run", "--json").out)["plans"]
    assert plan["download"] == published.packed.stat().st_size
    assert not list(user.place.rglob("toolchain.json"))


def test_list_available_tells_what_the_indexes_hold(user: User, published: Published) -> None:
    published.server.stop()
    rows = json.loads(user.good("list", "--available", "--json").out)["targets"]
    found = {row["target"]: row["prebuilt"] for row in rows}
    assert found["arm64-musl"] == ["c"]
    assert found["amd64-musl"] == []


def test_other_bytes_are_never_unpacked(user: User, published: Published) -> None:
    blob = published.blob()
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    done = user("install", "arm64-musl")
    assert done.code == 4
    assert done.err.count("error: ") == 1
    assert not list(user.place.rglob("toolchain.json"))
    assert not list(user.place.glob("cache/sha256/*"))


def test_without_the_network_what_is_in_the_cache_is_installed(
    user: User, published: Published
) -> None:
    user.good("install", "arm64-musl")
    user.good("uninstall", "arm64-musl")
    published.server.stop()
    user.good("install", "arm64-musl", "--origin", "prebuilt")
    assert user.good("run", "linux/arm64", compiled(user)).out == "hello\n"


def test_an_archive_that_is_gone_is_the_networks_fault(user: User, published: Published) -> None:
    published.blob().unlink()
    done = user("install", "arm64-musl", "--origin", "prebuilt")
    assert done.code == 3
    assert not list(user.place.rglob("toolchain.json"))


def test_what_no_index_has_comes_from_the_next_origin(user: User) -> None:
    (plan,) = json.loads(user.good("install", "armv7-musl", "--dry-run", "--json").out)["plans"]
    assert plan["origin"] == "distro"
    done = user("install", "armv7-musl", "--origin", "prebuilt")
    assert done.code == 2
    assert "no archive for" in done.err


def test_without_an_index_prebuilt_says_how_to_add_one(toolman: Runner, tmp_path: Path) -> None:
    done = User(toolman, tmp_path)("install", "arm64-musl", "--origin", "prebuilt")
    assert done.code == 2
    assert "toolman index add" in done.err
