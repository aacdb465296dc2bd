"""Which known vulnerabilities toolchains and their libraries have, and where that is known from."""

from __future__ import annotations

import datetime
import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import pytest
from archive import HOST, Files, serve
from conftest import CHECKOUT
from test_sbom import SHIPPED, built, described, judged

from toolman import advisories, audit, sbom, toolchain, versions
from toolman.errors import InputError
from toolman.libraries import recipe
from toolman.library import Library
from toolman.toolchain import Component, Description, Toolchain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archive import Server
    from conftest import Runner

    from toolman.run import Finished

TODAY = datetime.datetime.now(datetime.UTC).date()
EVENTS = [{"introduced": "0"}, {"fixed": "1.2.13"}]


def advisory(id_: str = "CVE-2022-37434", package: str = "zlib", **changes: Any) -> dict[str, Any]:
    affected = {"package": package, "events": changes.pop("events", EVENTS)}
    affected |= {name: changes.pop(name) for name in ("ecosystem", "arches") if name in changes}
    row = {"id": id_, "summary": "it overflows", "source": "NVD", "affected": [affected]}
    return {**row, **changes}


def written(*rows: dict[str, Any], date: object = TODAY, **changes: Any) -> bytes:
    values = {"schema": 1, "date": str(date), "advisories": rows, **changes}
    return json.dumps(values).encode()


def known(*rows: dict[str, Any]) -> advisories.Known:
    return advisories.parse(written(*rows), "rows")


def laid(name: str, version: str) -> Library:
    return Library(
        name=name, version=version, license="Zlib", digest="cd" * 32, sha256="ef" * 32, asked=True
    )


def with_libraries(*rows: Library, about: Description | None = None) -> Description:
    about = about or built()
    return replace(about, libraries=rows, base=about.entry, digest="12" * 32)


def of_debian(**packages: str) -> Description:
    parts = [
        Component(name=name.replace("_", "-"), version=version, sha256=f"{number:064x}", size=1)
        for number, (name, version) in enumerate(packages.items())
    ]
    return described(origin="distro", version="12.2.0", components=tuple(parts))


class Machine:
    """Somebody with toolchains, in a home of their own."""

    def __init__(self, toolman: Runner, place: Path) -> None:
        self.toolman = toolman
        self.place = place
        self.data = place / "home"
        self.env = {"TOOLMAN_HOME": str(self.data), "TOOLMAN_CACHE": str(place / "cache")}

    def install(self, about: Description) -> Toolchain:
        tree = self.data / HOST.key / "store" / about.entry
        (tree / "bin").mkdir(parents=True)
        (tree / "bin/gcc").write_text("#!/bin/sh\n")
        toolchain.write(tree, about)
        sbom.write(tree, about, None)
        return Toolchain(path=tree, about=about)

    def __call__(self, *words: str | Path, **env: str) -> Finished:
        return self.toolman("audit", *words, env=self.env | env, cwd=self.place)

    def found(self, *words: str | Path) -> list[dict[str, Any]]:
        """The findings; the exit code tells whether one is open."""
        done = self(*words, "--json")
        rows: list[dict[str, Any]] = json.loads(done.out)["findings"]
        assert done.code == (100 if any(one["state"] == "open" for one in rows) else 0), done.err
        return rows

    def states(self, *words: str | Path) -> dict[str, str]:
        return {one["id"]: one["state"] for one in self.found(*words)}

    def take(self, *rows: dict[str, Any], **changes: Any) -> None:
        """Know just these advisories from now on."""
        (self.place / "rows.json").write_bytes(written(*rows, **changes))
        done = self("--refresh", "rows.json", "--of", "nothing@1")
        assert done.code == 0, done.err


@pytest.fixture
def machine(toolman: Runner, tmp_path: Path) -> Machine:
    return Machine(toolman, tmp_path)


# The order of versions


@pytest.mark.parametrize(
    "ordered",
    [
        "1.0.2z 1.0.2za 1.1.0 1.1.1-pre1 1.1.1 1.1.1a 1.1.1w 1.1.1za 1.1.1.1",
        "3.0.0-alpha17 3.0.0-beta2 3.0.0-rc1 3.0.0 3.0.9 3.0.15 3.5.0 3.10.0",
        "1.2.11 1.2.11.1 1.2.12 1.3 1.3.0.1 1.3.1 1.3.1.1",
        "9d 9e 9f",
        "6.4 6.4-20230408 6.5",
        "5.2.5beta 5.2.5 5.6.1",
    ],
)
def test_upstreams_versions_have_their_order(ordered: str) -> None:
    words = ordered.split()
    keys = [versions.upstream(one) for one in words]
    assert keys == sorted(keys)
    assert all(one < other for one, other in pairwise(keys))


def test_a_zero_at_the_end_says_nothing() -> None:
    assert versions.upstream("1.3") == versions.upstream("1.3.0")
    assert versions.upstream("1.3rc1") == versions.upstream("1.3.0-rc1")


def test_debians_versions_have_the_order_of_dpkg() -> None:
    text = """1.0~~ 1.0~~a 1.0~ 1.0~rc1-1 1.0 1.0-1 1.0-1+b1 1.0-1.1 1.0-2 1.0a 1.0+dfsg-1 1.10-1
        1:0.5-1 2.36-8 2.36-8cross1 2.36-9 2.36-9+deb12u3 2.36-9+deb12u10 1.2.3~a-1 00.1 0.1 1. 1
        1-0 1.3.dfsg+really1.3.1-1 1.3.dfsg-2 12.2.0-14cross1 12.2.0-14+deb12u1"""
    words = text.split()
    script = "while read a b; do dpkg --compare-versions $a lt $b && echo 1 || echo 0; done"
    pairs = [*product(words, words)]
    text = "".join(f"{one} {other}\n" for one, other in pairs)
    done = subprocess.run(["sh", "-c", script], input=text, capture_output=True, text=True)
    for (one, other), said in zip(pairs, done.stdout.split(), strict=True):
        ours = versions.debian(one) < versions.debian(other)
        assert ours == (said == "1"), f"{one} and {other}"


@pytest.mark.parametrize(
    ("events", "version", "hit", "fixed"),
    [
        ("introduced 0 fixed 1.2.13", "1.2.12", True, "1.2.13"),
        ("introduced 0 fixed 1.2.13", "1.2.13", False, None),
        ("introduced 5.6.0 fixed 5.6.2", "5.4.6", False, "5.6.2"),
        ("introduced 5.6.0 fixed 5.6.2", "5.6.0", True, "5.6.2"),
        ("introduced 5.6.0 last_affected 5.6.1", "5.6.1", True, None),
        ("introduced 5.6.0 last_affected 5.6.1", "5.6.1.0", True, None),
        ("introduced 5.6.0 last_affected 5.6.1", "5.6.2", False, None),
        ("introduced 3.0.0 fixed 3.0.15 introduced 3.1.0 fixed 3.1.7", "3.0.15", False, "3.1.7"),
        ("introduced 3.0.0 fixed 3.0.15 introduced 3.1.0 fixed 3.1.7", "3.1.0", True, "3.1.7"),
        ("fixed 3.1.7 introduced 3.1.0 fixed 3.0.15 introduced 3.0.0", "3.0.14", True, "3.0.15"),
        ("introduced 1.1.1 fixed 1.1.1w", "1.1.1v", True, "1.1.1w"),
        ("introduced 1.1.1 fixed 1.1.1w", "1.1.1w", False, None),
    ],
)
def test_ranges_are_as_in_osv(events: str, version: str, hit: bool, fixed: str | None) -> None:
    words = events.split()
    rows = [{kind: where} for kind, where in zip(words[::2], words[1::2], strict=True)]
    (row,) = known(advisory(events=rows)).advisories
    (affected,) = row.affected
    assert affected.hits(version) is hit
    assert affected.fixed(version) == fixed


# What is found


def test_an_old_library_is_found_with_what_to_type_and_a_new_one_is_not(machine: Machine) -> None:
    rows = with_libraries(laid("zlib", "1.2.12"), laid("zstd", "1.5.7"))
    machine.install(rows)
    machine.take(advisory(severity="critical"), advisory("CVE-2099-1234", "sqlite"))
    (found,) = machine.found()
    assert found == {
        "target": "arm64-musl",
        "kind": "library",
        "packaged": False,
        "package": "zlib",
        "version": "1.2.12",
        "id": "CVE-2022-37434",
        "summary": "it overflows",
        "severity": "critical",
        "source": "NVD",
        "state": "open",
        "fixed": "1.2.13",
        "cure": f"toolman add arm64-musl zlib@{recipe.load('zlib').versions[0]}",
    }
    shown = machine("arm64-musl")
    assert shown.code == 100
    head, line = shown.out.splitlines()
    assert head.split()[:4] == ["TARGET", "PACKAGE", "VERSION", "ADVISORY"]
    assert line.split()[1:7] == [
        *("zlib", "1.2.12", "CVE-2022-37434", "critical", "1.2.13", "open")
    ]
    assert "1 open, by what was known on" in shown.err
    machine.install(replace(with_libraries(laid("zlib", "1.3.1")), name="arm64", digest="5" * 64))
    assert machine.found("arm64-musl") and machine("arm64-musl").code == 100
    assert [one["target"] for one in machine.found()] == ["arm64-musl"]


def test_a_library_without_a_good_version_has_no_cure(machine: Machine) -> None:
    version = recipe.load("zlib").versions[0]
    machine.install(with_libraries(laid("zlib", version)))
    machine.take(advisory(events=[{"introduced": "0"}]))
    (found,) = machine.found()
    assert (found["fixed"], found["cure"]) == (None, None)


def test_what_our_patches_fix_is_patched(machine: Machine) -> None:
    machine.install(built())
    machine.take(
        advisory("CVE-2025-26519", "musl", events=[{"introduced": "0.9.13"}, {"fixed": "1.2.6"}]),
        advisory("CVE-2020-28928", "musl", events=[{"introduced": "0"}, {"fixed": "1.2.2"}]),
        advisory("CVE-2099-1234", "gcc", events=[{"introduced": "14"}, {"fixed": "15.1"}]),
    )
    assert machine.states() == {"CVE-2025-26519": "patched", "CVE-2099-1234": "open"}
    cures = {one["id"]: one["cure"] for one in machine.found()}
    assert cures["CVE-2025-26519"] is None
    cure = "toolman install arm64-musl --origin source --recipe gcc-15-musl"
    assert cures["CVE-2099-1234"] == cure
    assert machine.states("--ignore", "CVE-2099-1234")["CVE-2099-1234"] == "ignored"


def test_the_same_version_without_the_patches_is_open(machine: Machine) -> None:
    about = built()
    parts = [one for one in about.components if not one.name.startswith("musl-iconv")]
    machine.install(replace(about, components=tuple(parts)))
    machine.take(advisory("CVE-2025-26519", "musl", events=[{"introduced": "0"}]))
    (found,) = machine.found()
    assert (found["state"], found["cure"]) == ("open", "toolman update arm64-musl")


def test_only_the_processors_that_are_hit_are(machine: Machine) -> None:
    machine.install(built())
    both = {"arches": ["aarch64"], "events": [{"introduced": "0"}]}
    machine.take(
        advisory("CVE-2023-4039", "gcc", **both),
        advisory("CVE-2099-1234", "gcc", arches=["x86_64"], events=[{"introduced": "0"}]),
    )
    assert machine.states() == {"CVE-2023-4039": "open"}


def test_a_distributions_packages_are_judged_by_its_own_fixes(machine: Machine) -> None:
    machine.install(
        of_debian(
            libc6_dev_arm64_cross="2.36-8cross1", musl_dev="1.2.3-1", libc_bin="2.36-9+deb12u9"
        )
    )
    fixed = [{"introduced": "0"}, {"fixed": "2.36-9+deb12u3"}]
    row = advisory("CVE-2023-4911", "glibc", events=[{"introduced": "2.34"}, {"fixed": "2.39"}])
    row["affected"].append({"package": "glibc", "ecosystem": "Debian:12", "events": fixed})
    other = {"package": "glibc", "ecosystem": "Debian:11", "events": [{"introduced": "0"}]}
    row["affected"].append(other)
    musl = advisory("CVE-2025-26519", "musl", events=[{"introduced": "0"}, {"fixed": "1.2.6"}])
    machine.take(row, musl)
    found = [(one["version"], one["id"], one["state"], one["fixed"]) for one in machine.found()]
    assert found == [
        ("2.36-8cross1", "CVE-2023-4911", "open", "2.36-9+deb12u3"),
        ("1.2.3-1", "CVE-2025-26519", "unclear", "1.2.6"),
    ]


@pytest.mark.parametrize(
    ("version", "upstream"),
    [
        ("2.36-8cross1", "2.36"),
        ("1:1.3.dfsg+really1.3.1-1+b1", "1.3.1"),
        ("1:1.2.13.dfsg-1", "1.2.13"),
        ("12.2.0-14+deb12u1", "12.2.0"),
        ("1.5.4+dfsg2-5", "1.5.4"),
        ("2.40", "2.40"),
    ],
)
def test_upstreams_version_is_known_from_a_packages(version: str, upstream: str) -> None:
    rows = known(advisory(events=[{"introduced": upstream}, {"last_affected": upstream}]))
    part = audit.Part(name="zlib", version=version, kind="component", packaged=True)
    (found,) = audit.look_at(part, rows)
    assert found.state == "unclear"


def test_a_real_toolchain_of_the_distribution_is_looked_at(toolman: Runner, home: Path) -> None:
    done = toolman("audit", "arm64-musl", "arm64-gnu", "--json", env={"TOOLMAN_HOME": str(home)})
    said = json.loads(done.out)
    parts = {one["name"]: [p.partition("@")[0] for p in one["parts"]] for one in said["targets"]}
    assert {"gcc", "binutils", "musl"} <= set(parts["arm64-musl"])
    assert {"gcc", "binutils", "glibc"} <= set(parts["arm64-gnu"])
    assert all(one["packaged"] for one in said["findings"])
    assert done.code == (100 if any(one["state"] == "open" for one in said["findings"]) else 0)


def test_a_version_can_be_asked_for(machine: Machine) -> None:
    assert machine.states("--of", "zlib@1.2.12")["CVE-2022-37434"] == "open"
    assert "CVE-2022-37434" not in machine.states("--of", "zlib@1.2.13")
    for word in ("zlib", "@1", "zlib@"):
        done = machine("--of", word)
        assert done.code == 2
        assert f"'{word}' is no NAME@VERSION" in done.err


def test_what_cannot_be_looked_at_is_said(machine: Machine) -> None:
    assert "nothing is installed" in machine().err
    machine.install(described())
    assert "what it was made of is not known" in machine().err
    root = machine.place / "usr"
    root.mkdir()
    machine.install(described(name="mine", root=str(root), origin="linked"))
    done = machine("mine")
    assert (done.code, "mine is linked" in done.err) == (2, True)
    assert "note: mine: what it was made of is not known" in machine().err
    assert machine("riscv64-musl").code == 2


# What is known


def test_what_comes_with_toolman_is_well_formed_and_says_where_it_is_from() -> None:
    found = advisories.parse(advisories.FILE.read_bytes(), advisories.FILE)
    assert found.date <= TODAY
    ids = [one.id for one in found.advisories]
    assert len(ids) == len(set(ids))
    assert all(one.source and one.affected for one in found.advisories)


def test_a_newer_list_is_taken_and_an_older_one_only_when_told(machine: Machine) -> None:
    first, second = TODAY - datetime.timedelta(days=2), TODAY - datetime.timedelta(days=1)
    own = advisories.parse(advisories.FILE.read_bytes(), advisories.FILE).date
    file = machine.place / "list.json"
    machine.take(advisory("CVE-2099-1111"), date=TODAY)
    file.write_bytes(written(advisory("CVE-2099-2222"), date=second))
    done = machine("--refresh", file)
    assert done.code == 2
    assert f"is of {second}; what is here is of {TODAY}" in done.err
    assert [*machine.states("--of", "zlib@1")] == ["CVE-2099-1111"]
    assert "advisories of" in machine("--refresh", file, "--older").err
    file.write_bytes(written(date=first))
    assert machine("--refresh", file).code == 2
    file.write_bytes(written(date=own - datetime.timedelta(days=1)))
    done = machine("--refresh", file, "--older")
    assert (done.code, f"what is here is of {own}" in done.err) == (2, True)


def test_old_data_are_told(machine: Machine) -> None:
    old = TODAY - datetime.timedelta(days=91)
    content = written(advisory(), date=old)
    assert advisories.parse(content, "x").age(TODAY) > advisories.OLD
    said = json.loads(machine("--json").out)["data"]
    assert said["old"] is (said["age_days"] > advisories.OLD)
    future = TODAY + datetime.timedelta(days=3)
    (machine.place / "list.json").write_bytes(written(date=future))
    done = machine("--refresh", "list.json")
    assert (done.code, "yet to come" in done.err) == (2, True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "served").mkdir()
    with serve(Files(tmp_path / "served")) as server:
        yield server


def test_a_list_comes_from_a_server_with_its_digest_and_not_offline(
    machine: Machine, server: Server
) -> None:
    content = written(advisory("CVE-2099-1111"))
    (machine.place / "served/list.json").write_bytes(content)
    url = f"{server.url}/list.json"
    place = machine.data / "advisories.json"
    for words in (["--offline"], []):
        env = {} if words else {"TOOLMAN_OFFLINE": "1"}
        done = machine(*words, "--refresh", url, **env)
        assert done.code == 3, done.err
        assert not place.exists()
    digest = hashlib.sha256(content).hexdigest()
    done = machine("--refresh", url, "--sha256", "0" * 64)
    assert (done.code, place.exists()) == (4, False)
    assert machine("--refresh", url, "--sha256", digest).code == 0
    assert place.read_bytes() == content
    assert [*machine.states("--of", "zlib@1")] == ["CVE-2099-1111"]
    assert machine("--refresh", f"{server.url}/none.json").code == 3
    assert machine("--sha256", digest).code == 2
    assert place.read_bytes() == content


BAD = {
    "no JSON": b"<html>",
    "is no JSON": b"[" * 100_000,
    "is no table": b"[]",
    "date: missing": b'{"schema": 1, "advisories": []}',
    "date: must be a day": written(date="2026-13-01"),
    "schema: this toolman knows 1, not 2": written(schema=2),
    "advisories: must be": written(advisories={}),
    "advisories[0].id: must be as": written(advisory("../../etc")),
    "advisories[0].id: missing": written({"summary": "x", "source": "x", "affected": []}),
    "advisories[1].source: must be one line": written(advisory(), advisory(source="\x1b[2J")),
    "advisories[0].severity: must be one of": written(advisory(severity="awful")),
    "advisories[0].summary: must be one line of": written(advisory(summary="x" * 1000)),
    "affected[0].'a b' is no name": written(advisory(package="a b")),
    "events: '1 2' is no version": written(advisory(events=[{"introduced": "1 2"}])),
    "is no version": written(advisory(events=[{"introduced": "9" * 5000}])),
    "events: none is introduced": written(advisory(events=[{"fixed": "1"}])),
    "events.repaired: unknown key": written(advisory(events=[{"repaired": "1"}])),
    "events: each is one of": written(advisory(events=[{"introduced": "0", "fixed": "1"}])),
    "affected[0].package: missing": written({**advisory(), "affected": [{"events": EVENTS}]}),
}


@pytest.mark.parametrize("said", BAD)
def test_what_is_no_such_list_is_one_error_and_nothing_changes(said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        advisories.parse(BAD[said], tmp_path / "list.json")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_list_is_refused_and_the_one_before_stays(machine: Machine) -> None:
    machine.take(advisory("CVE-2099-1111"))
    bad = machine.place / "bad.json"
    for content, code in ((b"<html>", 2), (b" " * (advisories.MOST + 1), 4)):
        bad.write_bytes(content)
        done = machine("--refresh", bad)
        assert done.code == code
        assert done.err.count("error:") == 1
        assert "Traceback" not in done.err
    assert machine("--refresh", "none.json").code == 2
    assert [*machine.states("--of", "zlib@1")] == ["CVE-2099-1111"]
    (machine.data / "advisories.json").write_text("{")
    done = machine()
    assert (done.code, "delete it, or take a new one" in done.err) == (4, True)


def test_packages_of_the_distribution_in_the_sysroot_are_judged_like_it(machine: Machine) -> None:
    own = replace(laid("zlib", "1:1.2.11.dfsg-4"), origin="distro")
    machine.install(with_libraries(own, about=of_debian(musl="1.2.3-1")))
    fixed = [{"introduced": "0"}, {"fixed": "1:1.2.11.dfsg-4.1"}]
    row = advisory(events=fixed, ecosystem="Debian:12")
    machine.take({**row, "affected": [*row["affected"], *advisory()["affected"]]})
    (found,) = machine.found()
    assert (found["kind"], found["state"], found["fixed"]) == (
        "library",
        "open",
        "1:1.2.11.dfsg-4.1",
    )
    assert found["cure"].startswith("toolman add arm64-musl zlib@1.3")


# The list from OSV's exports


def test_a_list_is_made_of_exports_and_what_is_known_already(tmp_path: Path) -> None:
    urgent = {"ecosystem_specific": {"urgency": "unimportant"}}
    row = {
        "package": {"ecosystem": "Debian:13", "name": "xz-utils"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "5.8.1-1"}]}],
    }
    commits = {"ranges": [{"type": "GIT", "repo": "x", "events": [{"introduced": "0"}]}]}
    other = {**row, "package": {"ecosystem": "Debian:13", "name": "linux"}}
    alpine = {**row, "package": {"ecosystem": "Alpine:v3.22", "name": "xz"}}
    records: list[dict[str, Any]] = [
        {"id": "DEBIAN-CVE-2025-31115", "upstream": ["CVE-2025-31115"], "affected": [row, other]},
        {"id": "DEBIAN-CVE-2099-1111", "details": "two\nlines\x1b", "affected": [row]},
        {"id": "DEBIAN-CVE-2099-2222", "affected": [{**row, **urgent}]},
        {"id": "DEBIAN-CVE-2099-3333", "affected": [row], "withdrawn": "2026-01-01T00:00:00Z"},
        {"id": "CVE-2099-4444", "affected": [commits, other, alpine]},
    ]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as export:
        for one in records:
            one["modified"] = "2026-10-02T10:00:00Z"
            export.writestr(f"{one['id']}.json", json.dumps(one))
    into = tmp_path / "list.json"
    script = [sys.executable, str(CHECKOUT / "scripts/advisories"), "-o", str(into)]
    subprocess.run([*script, str(tmp_path / "all.zip")], check=True)
    made = {one.id: one for one in advisories.parse(into.read_bytes(), into).advisories}
    own = {one.id: one for one in advisories.parse(advisories.FILE.read_bytes(), "own").advisories}
    assert made.keys() - own.keys() == {"CVE-2099-1111"}
    assert own.keys() <= made.keys()
    assert made["CVE-2099-1111"].summary == "two lines"
    old, new = own["CVE-2025-31115"].affected, made["CVE-2025-31115"].affected
    assert new[: len(old)] == old
    assert (new[-1].package, new[-1].ecosystem) == ("xz", "Debian:13")
    assert new[-1].hits("5.8.0-1") and not new[-1].hits("5.8.1-1")
    (tmp_path / "bad.zip").write_text("no export")
    done = subprocess.run([*script, str(tmp_path / "bad.zip")], capture_output=True, text=True)
    assert (done.returncode, "is no export of OSV's" in done.stderr) == (1, True)


# The document


def test_a_document_names_the_libraries_as_scanners_look_for_them(tmp_path: Path) -> None:
    own = replace(laid("xz", "5.4.1-1"), sha256="aa" * 32, origin="distro", license="NOASSERTION")
    about = with_libraries(laid("zlib", "1.3.1"), own)
    document = judged(sbom.document(about, SHIPPED), tmp_path)
    found = {one["name"]: one for one in document["packages"]}
    zlib = found["zlib"]
    assert (zlib["versionInfo"], zlib["licenseDeclared"]) == ("1.3.1", "Zlib")
    assert zlib["checksums"] == [{"algorithm": "SHA256", "checksumValue": "ef" * 32}]
    assert zlib["primaryPackagePurpose"] == "LIBRARY"
    assert [one["referenceLocator"] for one in zlib["externalRefs"]] == [
        f"pkg:generic/zlib@1.3.1?checksum=sha256:{'ef' * 32}",
        "cpe:2.3:a:zlib:zlib:1.3.1:*:*:*:*:*:*:*",
    ]
    (purl,) = found["xz"]["externalRefs"]
    assert purl["referenceLocator"] == "pkg:deb/debian/liblzma-dev@5.4.1-1?distro=debian-12"
    inside = {row["relatedSpdxElement"] for row in document["relationships"]}
    assert {zlib["SPDXID"], found["xz"]["SPDXID"]} <= inside


def test_help_has_examples(toolman: Runner) -> None:
    done = toolman("audit", "--help")
    assert done.code == 0
    assert "toolman audit --of openssl@" in done.out
