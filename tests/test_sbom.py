"""What toolchains say that they are made of, and their archives how they were made.

The documents are judged by the libraries of those who made the formats.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fakesrc
import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from published import HOST, Reader, Repository, packed
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from toolman import archive, index, provenance, repository, sbom, target, toolchain
from toolman.errors import IntegrityError
from toolman.recipe import load_recipe
from toolman.toolchain import Component, Description

if TYPE_CHECKING:
    from archive import Server
    from conftest import Runner

    from toolman.recipe import Recipe
    from toolman.run import Finished

SHIPPED = load_recipe("gcc-14-musl")
UNKNOWN = "NOASSERTION"


def described(**changes: Any) -> Description:
    return Description(
        **{
            "name": "arm64-musl",
            "target": target.parse("arm64-musl"),
            "version": "14.2.0",
            "digest": "ab" * 32,
            "origin": "source",
            "languages": ("c", "c++"),
            "host": "debian12-x86_64",
            "sysroot": "aarch64-linux-musl",
            "tools": {"gcc": "bin/gcc"},
            **changes,
        }
    )


def built(recipe: Recipe = SHIPPED, *, debian: bool = False) -> Description:
    """A toolchain of the first, or the last, pin of each of a recipe's components."""
    pins = [recipe.pins(name)[-1 if debian else 0] for name in recipe.components]
    fixes = [one for name in recipe.components for one in recipe.fixes(name)]
    pins += [recipe.book.pins[one.name, one.commit][0] for one in fixes]
    parts = [Component(name=p.component, version=p.release, sha256=p.sha256, size=1) for p in pins]
    return described(components=tuple(parts), recipe=recipe.name)


def of_packages(**changes: Any) -> Description:
    rows = [("libgmp10", "2:6.2.1+dfsg1-1.1"), ("libstdc++-12-dev", "12.2.0-14~x")]
    parts = [
        Component(name=name, version=version, sha256=f"{number:064x}", size=1)
        for number, (name, version) in enumerate(rows)
    ]
    return described(origin="distro", version="12.2.0", components=tuple(parts), **changes)


def judged(content: bytes, place: Path) -> dict[str, Any]:
    """A document without mistakes."""
    file = place / "judged.spdx.json"
    file.write_bytes(content)
    assert validate_full_spdx_document(parse_file(str(file))) == []
    values: dict[str, Any] = json.loads(content)
    return values


def judged_statement(content: bytes) -> dict[str, Any]:
    """A statement without mistakes, and without what the formats do not know."""
    values: dict[str, Any] = json.loads(content)
    Statement.copy_from_pb(json_format.ParseDict(values, StatementMessage())).validate()
    json_format.ParseDict(values["predicate"], Provenance())
    return values


def packages(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in document["packages"]}


def related(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    """The relationships, by names."""
    names = {one["SPDXID"]: one["name"] for one in document["packages"]}
    names[document["SPDXID"]] = "document"
    return {
        (names[one["spdxElementId"]], one["relationshipType"], names[one["relatedSpdxElement"]])
        for one in document["relationships"]
    }


def purl(package: dict[str, Any]) -> str:
    (found,) = package["externalRefs"]
    assert (found["referenceCategory"], found["referenceType"]) == ("PACKAGE-MANAGER", "purl")
    locator: str = found["referenceLocator"]
    return locator


# The document


def test_what_was_built_names_sources_licences_and_addresses(tmp_path: Path) -> None:
    document = judged(sbom.document(built(), SHIPPED), tmp_path)
    found = packages(document)
    (pin,) = [one for one in SHIPPED.pins("gcc") if one.urls]
    gcc = found["gcc"]
    assert gcc["versionInfo"] == "14.2.0"
    assert gcc["licenseDeclared"] == "GPL-3.0-or-later WITH GCC-exception-3.1"
    assert gcc["downloadLocation"] == pin.urls[0]
    assert gcc["checksums"] == [{"algorithm": "SHA256", "checksumValue": pin.sha256}]
    assert purl(gcc).startswith("pkg:generic/gcc@14.2.0?checksum=sha256:")
    assert found["linux-headers"]["versionInfo"] == SHIPPED.pins("linux-headers")[0].release
    assert found["arm64-musl"]["licenseDeclared"].count("MIT") == 1
    assert "(LGPL-3.0-or-later OR GPL-2.0-or-later)" in found["arm64-musl"]["licenseDeclared"]
    assert {("document", "DESCRIBES", "arm64-musl"), ("arm64-musl", "GENERATED_FROM", "gcc")} <= (
        related(document)
    )


def test_patches_say_what_they_are_for_and_what_they_fix(tmp_path: Path) -> None:
    document = judged(sbom.document(built(), SHIPPED), tmp_path)
    found, said = packages(document), related(document)
    assert ("musl-iconv-1", "PATCH_FOR", "musl") in said
    assert found["musl-iconv-1"]["comment"] == "fixes CVE-2025-26519"
    own = "gcc-musl/0001-libgo-lfs64.patch"
    assert (own, "PATCH_FOR", "gcc") in said
    (path,) = [path for path in SHIPPED.patch_files(["gcc-musl"]) if path.name in own]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found[own]["checksums"][0]["checksumValue"] == digest
    # Upstream's bytes hold the manual; the patch that does without it is not applied to them.
    assert not any(name.startswith("gcc-dfsg/") for name in found)


def test_bytes_of_debians_are_told_from_upstreams(tmp_path: Path) -> None:
    document = judged(sbom.document(built(debian=True), SHIPPED), tmp_path)
    gcc = packages(document)["gcc"]
    assert gcc["downloadLocation"] == UNKNOWN
    assert purl(gcc) == "pkg:deb/debian/gcc-14-source?distro=trixie"
    assert "gcc-14.2.0-dfsg.tar.xz of Debian's package gcc-14-source" in gcc["sourceInfo"]
    assert ("gcc-dfsg/0001-build-without-the-manual.patch", "PATCH_FOR", "gcc") in (
        related(document)
    )


def test_packages_of_a_distribution_are_named_as_it_names_them(tmp_path: Path) -> None:
    document = judged(sbom.document(of_packages()), tmp_path)
    found = packages(document)
    assert purl(found["libgmp10"]) == "pkg:deb/debian/libgmp10@2:6.2.1%2Bdfsg1-1.1?distro=debian-12"
    assert "libstdc%2B%2B-12-dev@12.2.0-14~x" in purl(found["libstdc++-12-dev"])
    assert ("arm64-musl", "CONTAINS", "libgmp10") in related(document)
    assert found["arm64-musl"]["licenseDeclared"] == UNKNOWN
    other = judged(sbom.document(of_packages(host="ubuntu24.04-x86_64")), tmp_path)
    assert purl(packages(other)["libgmp10"]).endswith("?distro=ubuntu-24.04")
    assert purl(packages(other)["libgmp10"]).startswith("pkg:deb/ubuntu/")
    judged(sbom.document(of_packages(host="linux-x86_64")), tmp_path)


@pytest.mark.parametrize(
    "about",
    [
        described(),
        described(components=of_packages().components, recipe="mine-0123456789ab"),
        described(components=of_packages().components, origin="prebuilt"),
    ],
)
def test_what_is_not_known_is_not_invented(about: Description, tmp_path: Path) -> None:
    found = packages(judged(sbom.document(about), tmp_path))
    for one in found.values():
        assert (one["licenseDeclared"], one["downloadLocation"]) == (UNKNOWN, UNKNOWN)
        assert "externalRefs" not in one
    assert found.keys() == {"arm64-musl", *(one.name for one in about.components)}


def test_equal_toolchains_have_equal_documents_and_others_another_namespace() -> None:
    first = sbom.document(built(), SHIPPED)
    assert sbom.document(built(), load_recipe("gcc-14-musl")) == first
    other = sbom.document(replace(built(), languages=("c",)), SHIPPED)
    spaces = {json.loads(one)["documentNamespace"] for one in (first, other)}
    assert len(spaces) == 2
    assert json.loads(first)["creationInfo"] == {
        "created": "1970-01-01T00:00:00Z",
        "creators": ["Tool: toolman"],
    }


def test_a_build_by_a_recipe_of_ones_own_knows_its_licences_and_patches(tmp_path: Path) -> None:
    with fakesrc.upstream(tmp_path) as upstream:
        patch = upstream.directory / "patches/mine/1.patch"
        patch.parent.mkdir(parents=True)
        patch.write_text("--- a/stdio.h\n+++ b/stdio.h\n@@ -1 +1 @@\n-int puts(const char *);\n+\n")
        gcc = upstream.tarballs["gcc"].replace('"MIT"', '"GPL-3.0-only"')
        secret = upstream.server.url.replace("http://", "http://me:secret@")
        upstream.tarballs["gcc"] = gcc.replace(upstream.server.url, secret)
        upstream.recipe('[patches]\nmusl = ["mine"]\n')
        upstream.build()
        (tree,) = upstream.machine.data.glob("store/arm64-musl-*")
    # spdx-tools wants a host's name with a dot.
    content = (tree / sbom.FILE).read_bytes()
    assert b"secret" not in content
    document = json.loads(content)
    found = packages(document)
    assert found["gcc"]["licenseDeclared"] == "GPL-3.0-only"
    assert found["gcc"]["downloadLocation"] == f"{upstream.server.url}/gcc-99.1.tar.gz"
    assert ("mine/1.patch", "PATCH_FOR", "musl") in related(document)


# In archives


class Machine:
    """Somebody with a toolchain that is made of nothing, in a home of their own."""

    def __init__(self, toolman: Runner, place: Path) -> None:
        self.toolman = toolman
        self.place = place
        self.env = {"TOOLMAN_HOME": str(place / "home"), "TOOLMAN_CACHE": str(place / "cache")}
        self.store = place / "home" / HOST.key / "store"

    def install(self, about: Description) -> Path:
        tree = self.store / about.entry
        (tree / "bin").mkdir(parents=True)
        (tree / "bin/gcc").write_text("#!/bin/sh\n")
        toolchain.write(tree, about)
        return tree

    def __call__(self, *words: str | Path, **env: str) -> Finished:
        return self.toolman(*words, env=self.env | env, cwd=self.place)

    def good(self, *words: str | Path, **env: str) -> Finished:
        done = self(*words, **env)
        assert done.code == 0, done.err
        return done


@pytest.fixture
def machine(toolman: Runner, tmp_path: Path) -> Machine:
    return Machine(toolman, tmp_path)


@pytest.mark.parametrize("about", [built(), of_packages(), of_packages(host=HOST.key)])
def test_every_archive_carries_both_the_same_bytes_every_time(
    machine: Machine, about: Description
) -> None:
    machine.install(about)
    said = json.loads(machine.good("pack", about.name, "-o", "a.tar.zst", "--json").out)
    file, beside = Path(said["path"]), Path(said["provenance"])
    assert beside == machine.place / "a.tar.zst.provenance.json"
    document = sbom.of_archive(file)
    assert document
    judged(document, machine.place)
    assert machine.good("sbom", about.name).out.encode() == document
    assert machine.good("sbom", file).out.encode() == document
    statement = judged_statement(beside.read_bytes())
    assert statement["subject"] == [{"name": file.name, "digest": {"sha256": said["sha256"]}}]
    assert machine.good("sbom", file, "--provenance").out == beside.read_text()
    before = file.read_bytes(), beside.read_bytes()
    machine.good("pack", about.name, "-o", "a.tar.zst")
    assert (file.read_bytes(), beside.read_bytes()) == before


def test_the_time_of_all_is_source_date_epoch(machine: Machine) -> None:
    machine.install(built())
    machine.good("pack", "arm64-musl", "-o", "a.tar.zst", SOURCE_DATE_EPOCH="1700000000")
    document = sbom.of_archive(machine.place / "a.tar.zst")
    assert document
    assert judged(document, machine.place)["creationInfo"]["created"] == "2023-11-14T22:13:20Z"


def test_a_provenance_tells_all_that_went_in(machine: Machine) -> None:
    about = replace(built(), malloc="mimalloc")
    machine.install(about)
    machine.good("pack", "arm64-musl", "-o", "a", "--builder", "https://ci.example.org/7")
    values = judged_statement((machine.place / "a.provenance.json").read_bytes())
    definition = values["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {
        "origin": "source",
        "target": "arm64-musl",
        "languages": ["c", "c++"],
        "gcc": "14.2.0",
        "recipe": "gcc-14-musl",
        "malloc": "mimalloc",
    }
    inputs = {one["name"]: one for one in definition["resolvedDependencies"]}
    digests = {name: one["digest"]["sha256"] for name, one in inputs.items()}
    assert digests.items() >= {one.name: one.sha256 for one in about.components}.items()
    assert "gcc-musl/0001-libgo-lfs64.patch" in digests
    assert inputs["gcc"]["uri"] == SHIPPED.pins("gcc")[0].urls[0]
    assert values["predicate"]["runDetails"]["builder"]["id"] == "https://ci.example.org/7"
    document = sbom.of_archive(machine.place / "a") or b""
    (made,) = values["predicate"]["runDetails"]["byproducts"]
    assert made["digest"]["sha256"] == hashlib.sha256(document).hexdigest()


def test_what_came_in_an_archive_keeps_its_document_and_names_the_archive(
    machine: Machine,
) -> None:
    tree = machine.install(replace(built(), origin="prebuilt"))
    document = sbom.document(built(SHIPPED), SHIPPED)
    (tree / sbom.FILE).write_bytes(document)
    machine.good("pack", "arm64-musl", "-o", "a")
    assert sbom.of_archive(machine.place / "a") == document
    values = judged_statement((machine.place / "a.provenance.json").read_bytes())
    first = values["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    assert first == {"name": "archive", "digest": {"sha256": "ab" * 32}}


def test_it_can_be_written_to_a_file(machine: Machine) -> None:
    machine.install(built())
    done = machine.good("sbom", "linux/arm64", "-o", "bom.json")
    assert done.out == ""
    judged((machine.place / "bom.json").read_bytes(), machine.place)


def test_what_cannot_be_told_is_one_line_and_a_hint(machine: Machine) -> None:
    tree = machine.install(built())
    old = packed(machine.place, "riscv64-musl")
    (machine.place / "x.tar.zst").write_text("no archive")
    root = machine.place / "usr"
    machine.install(described(name="mine", root=str(root), origin="linked"))
    root.mkdir()
    for words, code, said in (
        (["riscv64-musl"], 2, "riscv64-musl is not installed"),
        (["mine"], 2, "mine is linked: "),
        (["arm64-musl", "--provenance"], 2, "came in no archive: its origin is source"),
        ([old], 2, f"has no {sbom.FILE}"),
        ([old, "--provenance"], 2, f"there is no {old}.provenance.json"),
        (["dist/a.tar.zst"], 2, "there is no file"),
        (["x.tar.zst"], 4, "is no archive of toolman's"),
        (["arm64-musl", "-o", "no/a"], 2, "there is no directory"),
    ):
        done = machine("sbom", *words)
        assert (done.code, done.out) == (code, ""), done.err
        assert said in done.err.splitlines()[0], done.err
        assert done.err.count("\n") <= 2
    (tree / sbom.FILE).write_text("{}")
    for words in (["sbom", "arm64-musl"], ["pack", "arm64-musl", "-o", "b"]):
        done = machine(*words)
        assert done.code == 4
        assert "is no SPDX document" in done.err
    assert not (machine.place / "b").exists()
    assert "is no URI" in machine("pack", "arm64-musl", "--builder", "ci").err


# In repositories


def add_packed(corp: Repository, file: Path, content: bytes | None = None) -> index.Archive:
    """Publish an archive with a provenance beside it."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    made = archive.Packed(path=file, sha256=digest, size=1, unpacked=1)
    about = described()
    statement = provenance.statement(made, about, sbom.document(about))
    provenance.beside(file).write_bytes(statement if content is None else content)
    work = corp.place / "work"
    work.mkdir(exist_ok=True)
    found = repository.describe(file, work)
    repository.add(corp.opened(), {file: found})
    return found


def test_publishing_takes_it_along_and_removing_takes_it_away(
    corp: Repository, server: Server, reader: Reader, tmp_path: Path, machine: Machine
) -> None:
    file = packed(corp.place, "riscv64-musl")
    found = add_packed(corp, file)
    assert found.provenance
    blob = corp.directory / index.blob_path(found.provenance.sha256)
    assert blob.read_bytes() == provenance.beside(file).read_bytes()
    assert ">provenance</a>" in corp.path("index.html").read_text()
    reader.refresh()
    known = index.known(index.find("corp", reader.ctx))
    assert [one.provenance for one in known] == [None, found.provenance]
    root = corp.path("metadata/1.root.json")
    machine.good("mirror", "sync", server.url, "copy", "--root", root)
    copied = machine.place / "copy" / index.blob_path(found.provenance.sha256)
    assert copied.read_bytes() == blob.read_bytes()
    copied.unlink()
    machine.good("mirror", "sync", server.url, "copy", "--root", root, "--delete")
    assert copied.exists()
    repository.remove(corp.opened(), [found.sha256])
    assert not blob.exists()
    machine.good("mirror", "sync", server.url, "copy", "--root", root, "--delete")
    assert not copied.exists()


def test_who_installed_the_archive_can_ask_for_it(
    corp: Repository, server: Server, machine: Machine
) -> None:
    file = packed(corp.place, "riscv64-musl")
    found = add_packed(corp, file)
    root = corp.path("metadata/1.root.json")
    machine.good("index", "add", "corp", server.url, "--root", root)
    machine.install(described(name="riscv64-musl", origin="prebuilt", digest=found.sha256))
    said = machine.good("sbom", "riscv64-musl", "--provenance")
    assert said.out == provenance.beside(file).read_text()
    machine.install(described(name="arm64-musl", origin="prebuilt"))
    done = machine("sbom", "arm64-musl", "--provenance")
    assert (done.code, done.out) == (2, "")
    assert "no index has a provenance of arm64-musl" in done.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no provenance"),
        (b"[]", "is no provenance"),
        (b'{"_type": 1, "predicateType": 2, "subject": []}', "is no provenance"),
        (None, "is the provenance of another archive"),
    ],
)
def test_a_provenance_of_something_else_is_not_published(
    corp: Repository, content: bytes | None, said: str
) -> None:
    file = packed(corp.place, "riscv64-musl")
    if content is None:
        made = archive.Packed(path=file, sha256="0" * 64, size=1, unpacked=1)
        content = provenance.statement(made, described(), sbom.document(described()))
    with pytest.raises(IntegrityError, match=said):
        add_packed(corp, file, content)


@pytest.mark.parametrize("row", [None, {}, {"sha256": "x", "size": 1}, {"sha256": "0" * 64}])
def test_an_index_with_a_wrong_one_is_refused(corp: Repository, row: object) -> None:
    values = json.loads(index.dump(corp.opened().archives))
    values["archives"][0]["provenance"] = row
    with pytest.raises(IntegrityError, match="no index of toolman's"):
        index.parse(json.dumps(values).encode())
