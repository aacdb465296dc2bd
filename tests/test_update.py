"""`toolman update`: what is newer by each origin, told and installed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archive import HOST
from projects import republish, upgrade

from toolman import recipe, toolchain
from toolman.context import Context
from toolman.origins import source
from toolman.request import Request
from toolman.target import Target, parse
from toolman.toolchain import Component, Description

if TYPE_CHECKING:
    from archive import Archive, Server
    from projects import User
    from published import Repository


def check(author: User, *words: str) -> list[dict[str, Any]]:
    """What `update --check` tells; its exit code says the same."""
    done = author("update", "--check", "--json", *words)
    found: list[dict[str, Any]] = json.loads(done.out)["updates"]
    assert done.code == (100 if found else 0), done.err
    return found


def test_a_newer_archive_of_the_index_is_told_and_installed(author: User, corp: Repository) -> None:
    author.good("install", "arm64-musl")
    old = author.active()["digest"]
    assert check(author) == []
    corp.add("arm64-musl", version="15.1.0")  # `update` asks the index, though that was just done
    (found,) = check(author)
    assert (found["name"], found["origin"]) == ("arm64-musl", "prebuilt")
    assert found["installed"] == {"gcc": "14.2.0", "digest": old}
    assert found["available"]["gcc"] == "15.1.0"
    assert found["changes"] == ["GCC 15.1.0"]
    shown = author("update", "--check")
    assert shown.out.splitlines()[1].split() == [
        *("arm64-musl", "prebuilt", "14.2.0", "GCC", "15.1.0")
    ]
    assert author.active()["digest"] == old
    assert "arm64-musl updated: gcc 15.1.0" in author.good("update").err
    assert author.active()["digest"] == found["available"]["digest"]
    assert author.machine.is_published()
    assert len(author.machine.installed()) == 2
    assert check(author) == []
    assert "nothing is newer" in author.good("update").err


def test_another_archive_of_the_same_gcc_is_newer_and_an_older_gcc_is_not(
    author: User, corp: Repository
) -> None:
    author.good("install", "arm64-musl")
    republish(corp, author, digest="cd" * 32)
    assert check(author)[0]["changes"] == ["another archive of corp"]
    republish(corp, author, version="13.1.0")
    assert check(author) == []


def test_a_project_keeps_to_its_gcc(author: User, corp: Repository) -> None:
    author.good("install", "arm64-musl")
    corp.add("arm64-musl", version="15.1.0")
    author.pin('targets = ["arm64-musl"]\n[target.arm64-musl]\ngcc = "14"\n')
    assert check(author) == []
    author.pin('targets = ["arm64-musl"]\n[target.arm64-musl]\ngcc = "15"\n')
    (found,) = check(author)
    assert found["available"]["gcc"] == "15.1.0"


def test_an_index_out_of_reach_is_an_error_and_no_news(author: User, server: Server) -> None:
    author.good("install", "arm64-musl")
    server.stop()
    assert author("update", "--check").code == 3


def test_newer_packages_are_told_and_installed(alone: User, debian: Archive) -> None:
    alone.good("install", "arm64-musl", "arm64-gnu")
    assert check(alone) == []
    upgrade(debian, "musl-dev", "12.2.0-2")
    assert check(alone, "arm64-gnu") == []
    (found,) = check(alone)
    assert found["changes"] == ["musl-dev 12.2.0-1 → 12.2.0-2"]
    alone.good("update", "arm64-musl")
    assert alone.active()["digest"] == found["available"]["digest"]
    assert check(alone) == []


def test_a_lock_is_not_changed_and_that_is_said(alone: User, debian: Archive) -> None:
    alone.good("sync")
    before = alone.file.read_bytes()
    upgrade(debian, "musl-dev", "12.2.0-2")
    said = alone.good("update").err
    assert f"note: {alone.file} is as it was; toolman lock --bump changes it" in said
    assert alone.file.read_bytes() == before


def built(author: User, label: str, version: str, **changes: Any) -> Description:
    """Put into the store what says of itself that it was built by a recipe as it is today."""
    target = parse("arm64-musl")
    assert isinstance(target, Target)
    ctx = Context(host=HOST, paths=author.machine.store.paths, environ={})
    plan = source.plan(Request(target=target, recipe="gcc-14-musl"), ctx)
    about = Description(
        name=target.name,
        target=target,
        version=version,
        digest="0" * 64,
        origin="source",
        languages=("c",),
        host=HOST.key,
        sysroot=".",
        tools={"gcc": "bin/gcc"},
        recipe=label,
        malloc="mallocng",
        components=tuple(
            Component(name=one.name, version=one.version, sha256=one.sha256, size=one.size)
            for one in plan.parts
        ),
    )
    about = replace(about, **changes)
    tree = author.machine.data / "store" / about.entry
    tree.mkdir(parents=True)
    toolchain.write(tree, about)
    return about


def test_a_build_of_the_recipe_as_it_is_today_is_not_old(alone: User) -> None:
    built(alone, "gcc-14-musl", "14.2.0")
    assert check(alone) == []


def test_a_newer_default_recipe_is_news_and_an_older_one_is_not(alone: User) -> None:
    built(alone, "gcc-13-musl", "13.1.0")
    (found,) = check(alone)
    assert found["available"]["gcc"] == recipe.load_recipe("gcc-14-musl").components["gcc"]
    alone.good("uninstall", "--all")
    built(alone, "mine-0123456789ab", "16.1.0")
    assert check(alone) == []


def test_a_project_keeps_to_its_recipe(alone: User) -> None:
    built(alone, "gcc-13-musl", "13.1.0")
    text = 'targets = ["arm64-musl"]\n[target.arm64-musl]\nrecipe = "gcc-15-musl"\n'
    alone.pin(text)
    (found,) = check(alone)
    assert found["available"]["gcc"] == recipe.load_recipe("gcc-15-musl").components["gcc"]


def test_changed_pins_are_news(alone: User) -> None:
    about = built(alone, "gcc-14-musl", "14.2.0")
    old = tuple(
        replace(one, sha256="0" * 64, version="2.0") if one.name == "binutils" else one
        for one in about.components
    )
    alone.good("uninstall", "--all")
    built(alone, "gcc-14-musl", "14.2.0", components=old)
    (found,) = check(alone)
    assert [one for one in found["changes"] if one.startswith("binutils 2.0 → ")]
    assert len(found["changes"]) == 1


def test_what_is_linked_is_the_users_own(alone: User) -> None:
    alone.machine.make_linkable()
    alone.good("link", "mine", alone.machine.directory / "linked")
    assert check(alone) == []
    said = alone.fails(2, "update", "mine")
    assert "mine is linked" in said


def test_nothing_is_installed(alone: User) -> None:
    done = alone("update", "--check")
    assert (done.code, done.out) == (0, "")
    assert "nothing is installed" in done.err
