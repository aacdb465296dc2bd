"""Spellings of targets and platforms."""

from __future__ import annotations

import pytest

from toolman import target
from toolman.errors import InputError
from toolman.target import Platform, Target


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("arm64-musl", "arm64-musl"),
        ("aarch64-linux-musl", "arm64-musl"),
        ("aarch64-unknown-linux-musl", "arm64-musl"),
        ("arm64-linux-musl", "arm64-musl"),
        ("AARCH64-MUSL", "arm64-musl"),
        ("aarch64-linux-gnu", "arm64-gnu"),
        ("x86_64-linux-musl", "amd64-musl"),
        ("arm-linux-gnueabihf", "armv7-gnu"),
        ("armv7-unknown-linux-musleabihf", "armv7-musl"),
        ("arm-unknown-linux-musleabihf", "armv6-musl"),
        ("i686-linux-musl", "386-musl"),
        ("riscv64gc-unknown-linux-gnu", "riscv64-gnu"),
        ("ppc64el-musl", "ppc64le-musl"),
    ],
)
def test_a_word_with_a_libc_is_a_target(word: str, name: str) -> None:
    found = target.parse(word)
    assert isinstance(found, Target)
    assert found.name == name


@pytest.mark.parametrize(
    ("word", "docker"),
    [
        ("linux/arm64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("arm64", "linux/arm64"),
        ("aarch64", "linux/arm64"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("x86-64", "linux/amd64"),
        ("linux/386", "linux/386"),
        (" linux/amd64 ", "linux/amd64"),
    ],
)
def test_a_word_without_a_libc_is_a_platform(word: str, docker: str) -> None:
    found = target.parse(word)
    assert isinstance(found, Platform)
    assert found.docker == docker


@pytest.mark.parametrize(
    ("word", "near"), [("arm46-musl", "arm64-musl"), ("linux/arm46", "linux/arm64")]
)
def test_an_unknown_word_gets_its_nearest_spellings(word: str, near: str) -> None:
    with pytest.raises(InputError) as caught:
        target.parse(word)
    assert near in (caught.value.hint or "")


@pytest.mark.parametrize("word", ["", "../../etc", "windows/amd64", "arm64-musl;rm"])
def test_rejects_what_is_no_target(word: str) -> None:
    with pytest.raises(InputError):
        target.parse(word)


def test_every_target_has_a_triple_of_its_own() -> None:
    triples = [one.triple for one in target.targets()]
    assert len(set(triples)) == len(triples) == 18


def test_every_spelling_parses_to_its_target() -> None:
    for one in (*target.targets(), *target.platforms()):
        words = target.spellings(one)
        assert words
        assert all(target.parse(word) == one for word in words)
