"""Recipes and pins: those that come with toolman are right, wrong ones are told all at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from toolman import recipe
from toolman.errors import InputError
from toolman.origins import sources

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
schema = 1
name = "mine"
summary = "of my own"
revision = 1
libc = "musl"
targets = ["linux/arm64", "armv7-musl"]

[components]
gcc = "14.2.0"
binutils = "2.44"
gmp = "6.3.0"
mimalloc = "2.0.9"
mpfr = "4.2.2"
mpc = "1.3.1"
linux-headers = "6.12"
musl = "1.2.5"
"""
DIGEST = "0123456789abcdef" * 4
SOURCE = f"""
[[source]]
component = "musl"
version = "1.9"
license = "MIT"
urls = ["{{musl}}/musl-1.9.tar.gz", "https://example.org/musl-1.9.tar.gz"]
sha256 = "{DIGEST}"
"""
NAMES = ("gcc-14-gnu", "gcc-14-musl", "gcc-14-musl-1.2.3", "gcc-15-musl", "gcc-16-musl")


def written(directory: Path, text: str) -> Path:
    path = directory / "mine.toml"
    path.write_text(text)
    return path


def mistakes(directory: Path, text: str) -> list[str]:
    """What is told of a wrong recipe, without the first line."""
    with pytest.raises(InputError) as caught:
        recipe.load_recipe(written(directory, text))
    first, *rest = str(caught.value).splitlines()
    count = "1 mistake" if len(rest) == 1 else f"{len(rest)} mistakes"
    assert first == f"{directory / 'mine.toml'}: {count}"
    assert caught.value.exit_code == 2
    assert caught.value.hint == "the keys are explained in docs/recipes.md"
    return [line.strip() for line in rest]


def test_the_shipped_ones_can_be_read() -> None:
    assert [one.name for one in recipe.recipes()] == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_version_is_pinned_upstream_and_in_debian(name: str) -> None:
    found = recipe.load_recipe(name)
    for target in found.targets:
        for component, pins in sources.wanted(found, target.platform).items():
            assert len(pins) == 2, f"{component} for {target}"
            upstream, debian = pins
            assert upstream.urls, f"{component} for {target}"
            assert debian.debian, f"{component} for {target}"


@pytest.mark.parametrize("name", NAMES)
def test_musl_is_patched_for_its_known_faults(name: str) -> None:
    found = recipe.load_recipe(name)
    if found.libc == "gnu":
        return
    fixed = {cve for patch in found.fixes("musl") for cve in patch.fixes}
    expected = {"CVE-2026-6042", "CVE-2026-40200"}
    if found.components["musl"] != "1.2.6":
        expected.add("CVE-2025-26519")
    assert fixed == expected
    for patch in found.fixes("musl"):
        upstream, debian = found.book.pins[patch.name, patch.commit]
        assert upstream.urls
        assert debian.member


def test_pins_are_of_one_version_each_with_its_digest() -> None:
    upstream, debian = recipe.pins("gcc", "14.2.0")
    assert upstream.filename == "gcc-14.2.0.tar.xz"
    assert upstream.urls[0] == "https://ftp.gnu.org/gnu/gcc/gcc-14.2.0/gcc-14.2.0.tar.xz"
    assert debian.filename == "gcc-14.2.0-dfsg.tar.xz"
    assert upstream.sha256 != debian.sha256
    assert (upstream.release, debian.release) == ("14.2.0", "14.2.0")
    assert recipe.pins("gcc", "0.9") == ()


def test_the_headers_tell_their_release() -> None:
    releases = {pin.release for pin in recipe.pins("linux-headers", "6.12")}
    assert releases == {"6.12.93", "6.12.38"}


def test_every_digest_and_url_is_there_once() -> None:
    pins = [pin for some in recipe.shipped().pins.values() for pin in some]
    for key in ("urls", "debian"):
        digests = [pin.sha256 for pin in pins if getattr(pin, key)]
        assert len(digests) == len(set(digests))
    urls = [url for pin in pins for url in pin.urls]
    assert len(urls) == len(set(urls))


def test_each_url_names_the_version() -> None:
    for (_, version), pins in recipe.shipped().pins.items():
        for url in (url for pin in pins for url in pin.urls if "/lists/" not in url):
            assert version in url or re.search(r"/[0-9a-f]{40}/", url), url


def test_the_patches_of_pins_are_there() -> None:
    found = recipe.load_recipe("gcc-14-musl")
    named = {
        name for pins in recipe.shipped().pins.values() for pin in pins for name in pin.patches
    }
    assert named == {"gcc-dfsg", "glibc-dfsg", "gmp-dfsg"}
    for name in named:
        assert found.patch_files([name]), name


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    found = recipe.load_recipe(written(tmp_path, GOOD))
    assert [target.name for target in found.targets] == ["arm64-musl", "armv7-musl"]
    assert found.components["gcc"] == "14.2.0"
    assert [pin.version for pin in found.pins("musl")] == ["1.2.5", "1.2.5"]
    assert found.configure == {}


def test_a_recipe_can_be_named_by_a_word_or_by_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    assert recipe.load_recipe("mine.toml").name == "mine"
    assert recipe.load_recipe("./mine.toml").name == "mine"
    assert recipe.load_recipe("gcc-14-musl").name == "gcc-14-musl"


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean gcc-14-musl") as caught:
        recipe.load_recipe("gcc14-musl")
    assert "gcc-16-musl" in str(caught.value.hint)
    for word in ("sources", "distro", "hosttools"):
        with pytest.raises(InputError, match="no recipe"):
            recipe.load_recipe(word)


def test_pins_of_ones_own_go_before(tmp_path: Path) -> None:
    text = GOOD.replace('musl = "1.2.5"', 'musl = "1.9"') + SOURCE
    (pin,) = recipe.load_recipe(written(tmp_path, text)).pins("musl")
    assert pin.urls == (
        "https://musl.libc.org/releases/musl-1.9.tar.gz",
        "https://www.musl-libc.org/releases/musl-1.9.tar.gz",
        "https://example.org/musl-1.9.tar.gz",
    )
    text = GOOD + SOURCE.replace("1.9", "1.2.5")
    first, *rest = recipe.load_recipe(written(tmp_path, text)).pins("musl")
    assert first.sha256 == DIGEST
    assert rest == list(recipe.pins("musl", "1.2.5"))


def test_patches_lie_beside_the_recipe(tmp_path: Path) -> None:
    own = tmp_path / "patches"
    (own / "mine").mkdir(parents=True)
    for name in ("mine/2.patch", "mine/1.patch", "mine/readme", "single.patch"):
        (own / name).write_text(name)
    text = GOOD + '[patches]\nmusl = ["single.patch", "mine"]\ngcc = ["gcc-musl"]\n'
    found = recipe.load_recipe(written(tmp_path, text))
    files = found.patch_files(found.patches["musl"])
    assert [path.relative_to(own).as_posix() for path in files] == [
        "single.patch",
        "mine/1.patch",
        "mine/2.patch",
    ]
    shipped = found.patch_files(found.patches["gcc"])
    assert shipped
    assert all(path.is_relative_to(recipe.directory()) for path in shipped)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('gcc = "14.2.0"', 'gc = "14.2.0"', "components.gc: no such component is pinned; did you"),
        ('"14.2.0"', '"14.2.1"', "components.gcc: 14.2.1 is not pinned; 14.2.0, 15.3.0, 16.2.0"),
        ('"14.2.0"', "14.2", 'components: must be a table of texts, as in { gcc = "14.2.0" }'),
        ('musl = "1.2.5"', "", "components.musl: missing"),
        ("linux/arm64", "linux/arm46", "targets: unknown target 'linux/arm46'; did you mean"),
        ("armv7-musl", "armv7-gnu", "targets: 'armv7-gnu' is not of this recipe's libc, musl; did"),
        ('["linux/arm64", "armv7-musl"]', '"linux/arm64"', "targets: must be a list of texts"),
        ('libc = "musl"', 'libc = "uclibc"', "libc: 'uclibc' is neither musl nor gnu"),
        ("revision = 1", 'revision = "1"', "revision: must be a number, as in 1"),
        ("revision = 1", "revison = 1", "revison: unknown key; did you mean revision?"),
        ("revision = 1\n", "", "revision: missing; it is a number, as in 1"),
        ("schema = 1", "schema = 2", "schema: this toolman knows 1, not 2"),
        ("[components]", "[configure]\ngc = ['-x']\n[components]", "configure.gc: no such compon"),
        ("[components]", "[configure]\ngcc = '-x'\n[components]", "configure: must be a table of"),
        (
            "[components]",
            "[patches]\ngcc = ['none']\n[components]",
            "patches.gcc: no file or directory patches/none beside the recipe",
        ),
        ("[components]", "[[patch]]\nname = 'x'\n[components]", "patch x: component: missing"),
    ],
)
def test_a_mistake_is_told_with_its_key(tmp_path: Path, old: str, new: str, expected: str) -> None:
    told = mistakes(tmp_path, GOOD.replace(old, new, 1))
    assert any(line.startswith(expected) for line in told), told


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (DIGEST, DIGEST.upper(), "sha256: must be 64 hexadecimal digits, in lower case"),
        ("https://example.org", "ftp://example.org", "urls: 'ftp://example.org/musl-1.9.tar.gz' "),
        ("{musl}", "{muls}", "urls: no mirrors {muls}; did you mean musl?"),
        ("urls", "debian = 'musl'\nurls", "needs either urls or debian"),
        ("urls", "suite = 'sid'\nurls", "debian and suite go together"),
        ("urls", "platforms = ['arm46']\nurls", "platforms: no platform 'arm46'; did you mean arm"),
        ("urls", "size = '10'\nurls", "size: must be a number, as in 1"),
        ("license", "licence", "licence: unknown key; did you mean license?"),
    ],
)
def test_a_wrong_pin_is_told_with_its_name(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    told = mistakes(tmp_path, GOOD + SOURCE.replace(old, new, 1))
    assert any(line.startswith(f"source 1 (musl) (1.9): {expected}") for line in told), told


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("14.2.0", "14.2.1").replace("summary", "sumary")
    text = text.replace("linux/arm64", "linux/arm46") + SOURCE.replace(DIGEST, "1234")
    told = mistakes(tmp_path, text)
    keys = [line.split(":")[0] for line in told]
    assert keys == ["source 1 (musl) (1.9)", "sumary", "summary", "targets", "components.gcc"]


def test_what_is_no_toml_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mine.toml: .*line 1"):
        recipe.load_recipe(written(tmp_path, "schema : 1"))
    with pytest.raises(InputError, match="No such file"):
        recipe.load_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("revision = 1", "revision = 2"),
        ('musl = "1.2.5"', 'musl = "1.2.6"'),
        ("[components]", "[configure]\ngcc = ['--enable-x']\n[components]"),
        ("[components]", "[patches]\ngcc = ['gcc-musl']\n[components]"),
    ],
)
def test_what_changes_a_toolchain_changes_the_digest(tmp_path: Path, old: str, new: str) -> None:
    before = recipe.load_recipe(written(tmp_path, GOOD)).digest
    assert recipe.load_recipe(written(tmp_path, GOOD.replace(old, new, 1))).digest != before


def test_words_for_people_do_not_change_the_digest(tmp_path: Path) -> None:
    before = recipe.load_recipe(written(tmp_path, GOOD)).digest
    text = GOOD.replace("of my own", "another").replace('"mine"', '"yours"')
    assert recipe.load_recipe(written(tmp_path, text)).digest == before
