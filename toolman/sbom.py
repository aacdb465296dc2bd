"""What a toolchain is made of, as SPDX 2.3 in JSON: `sbom.spdx.json` at the head of its tree.

SPDX, and not CycloneDX, because it knows patches (PATCH_FOR) and what something was generated
from (GENERATED_FROM), and is an ISO standard. The document is made when the toolchain is, for
later nobody knows which patches a recipe had then; it stays with the tree, through archives and
installs from them. Equal trees have equal documents: no times, and of toolman only the name.

Licences, addresses and patches are those of the pins. Of a distribution's packages only their
`copyright` files tell the licence, and those are not in the tree: NOASSERTION.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from toolman import archive, toolchain, web
from toolman.errors import IntegrityError
from toolman.recipe import directory as recipe_directory
from toolman.recipe import load_recipe, recipes, shipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from toolman.library import Library
    from toolman.pin import Patch, Pin
    from toolman.recipe import Recipe
    from toolman.toolchain import Component, Description, Toolchain

    Values = dict[str, Any]

FILE = toolchain.SBOM
MEDIA_TYPE = "application/spdx+json"
ROOT = "SPDXRef-toolchain"

_UNKNOWN = "NOASSERTION"
_FIXES = "fixes "
_DISTRO = "distro"  # the origin whose components are packages
# What NVD calls libraries, for scanners that know nothing else.
_CPES = {
    "bzip2": "bzip:bzip2",
    "curl": "haxx:curl",
    "expat": "libexpat_project:libexpat",
    "libjpeg-turbo": "libjpeg-turbo:libjpeg-turbo",
    "libpng": "libpng:libpng",
    "libressl": "openbsd:libressl",
    "libxml2": "xmlsoft:libxml2",
    "lz4": "lz4_project:lz4",
    "ncurses": "gnu:ncurses",
    "openssl": "openssl:openssl",
    "pcre2": "pcre:pcre2",
    "sqlite": "sqlite:sqlite",
    "xz": "tukaani:xz",
    "zlib": "zlib:zlib",
    "zstd": "facebook:zstandard",
}
_SYSTEM = re.compile(r"(?P<name>[a-z]+)(?P<version>[0-9.]*)-.*")


def document(about: Description, recipe: Recipe | None = None) -> bytes:
    """The SPDX document of a toolchain; `recipe` is the one that it was built by, if known."""
    parts = [_part(one, about, recipe) for one in about.components]
    patches = list(_own_patches(about, recipe))
    laid = [_library(one, about) for one in about.libraries]
    packages = [_root(about, parts + laid), *parts, *laid, *(patch for patch, _ in patches)]
    related = [
        ("SPDXRef-DOCUMENT", "DESCRIBES", ROOT),
        *_origins(about, parts),
        *((ROOT, "CONTAINS", one["SPDXID"]) for one in laid),
        *_published_patches(about, recipe),
        *((patch["SPDXID"], "PATCH_FOR", to) for patch, to in patches),
    ]
    return _dump(
        {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"{about.name}-{about.version}",
            "creationInfo": {"creators": ["Tool: toolman"]},
            "packages": packages,
            "relationships": [
                {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
                for one, kind, other in related
            ],
        },
        0,
    )


def write(tree: Path, about: Description, recipe: str | None) -> None:
    """Put the document at the head of `tree`.

    `recipe` is the name or the file of the recipe that was asked for.
    """
    known = load_recipe(recipe) if recipe and about.recipe else _shipped(about)
    (tree / FILE).write_bytes(document(about, known))


def of(found: Toolchain, epoch: int = 0) -> bytes:
    """The document of an installed toolchain, dated `epoch` in seconds since 1970; made now if
    an older toolman has installed it.

    Raises:
        IntegrityError: it is damaged.
    """
    place = found.path / FILE
    try:
        content = place.read_bytes()
    except FileNotFoundError:
        content = document(found.about, _shipped(found.about))
    return _dump(parse(content, str(place)), epoch)


def of_archive(file: Path) -> bytes | None:
    """The document in an archive of `toolman pack`; None if it has none.

    Raises:
        IntegrityError: it is no such archive, or the document is damaged.
    """
    content = archive.member(file, FILE)
    if content is not None:
        parse(content, f"{FILE} in {file}")
    return content


def parse(content: bytes, name: str) -> Values:
    """What a document says; `name` is for the message.

    Raises:
        IntegrityError: it is none of toolman's.
    """
    try:
        values: Values = json.loads(content)
        known = values["spdxVersion"] == "SPDX-2.3" and values["creationInfo"]["creators"]
        if known and all(one["SPDXID"] and one["name"] for one in values["packages"]):
            return values
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise IntegrityError(f"{name} is no SPDX document of toolman's")


def fixes(found: Toolchain) -> dict[str, set[str]]:
    """What the published patches of an installed toolchain have fixed, by component.

    Raises:
        IntegrityError: its document is damaged.
    """
    document = parse(of(found), str(found.path / FILE))
    packages = {one["SPDXID"]: one for one in document["packages"]}
    fixed: dict[str, set[str]] = {}
    for row in document["relationships"]:
        said = packages.get(row["spdxElementId"], {}).get("comment", "")
        if row["relationshipType"] == "PATCH_FOR" and said.startswith(_FIXES):
            name = packages[row["relatedSpdxElement"]]["name"]
            fixed.setdefault(name, set()).update(said.removeprefix(_FIXES).split(", "))
    return fixed


def _shipped(about: Description) -> Recipe | None:
    """The recipe, if it comes with toolman."""
    if about.recipe is None:
        return None
    return next((one for one in recipes() if one.name == about.recipe), None)


def _dump(values: Values, epoch: int) -> bytes:
    """Always the same bytes; the namespace, which must be unique, is that of the content."""
    values = {key: value for key, value in values.items() if key != "documentNamespace"}
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    values["creationInfo"] = {**values["creationInfo"], "created": created}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    values["documentNamespace"] = f"https://spdx.org/spdxdocs/{values['name']}-{digest[:32]}"
    return json.dumps(values, indent=1, sort_keys=True).encode() + b"\n"


def _root(about: Description, parts: list[Values]) -> Values:
    made = f", by recipe {about.recipe}" if about.recipe else ""
    return {
        **_package(about.name, about.version, _licences(parts)),
        "SPDXID": ROOT,
        "downloadLocation": _UNKNOWN,
        "primaryPackagePurpose": "APPLICATION",
        "summary": f"GCC {about.version} for {about.target.triple}{made}: "
        f"{', '.join(about.languages)}",
    }


def _licences(parts: list[Values]) -> str:
    """All of the parts' licences; unknown if one is."""
    every = sorted({one["licenseDeclared"] for one in parts})
    if not every or _UNKNOWN in every:
        return _UNKNOWN
    return " AND ".join(f"({one})" if " OR " in one else one for one in every)


def _part(one: Component, about: Description, recipe: Recipe | None) -> Values:
    if about.origin == _DISTRO:
        return {**_component(one, _UNKNOWN), **_debian_package(one.name, one.version, about)}
    pin = _pin(one, recipe)
    if pin is None:
        return {**_component(one, _UNKNOWN), "downloadLocation": _UNKNOWN}
    return {**_component(one, pin.license), **_where(pin), **_fixes(one, recipe)}


def _library(one: Library, about: Description) -> Values:
    """A library in the sysroot; the checksum is its source's, or its package's."""
    values = {
        **_package(one.name, one.version, one.license),
        "SPDXID": _id(one.name, one.sha256),
        "checksums": [{"algorithm": "SHA256", "checksumValue": one.sha256}],
        "primaryPackagePurpose": "LIBRARY",
    }
    if one.origin == _DISTRO:
        return {**values, **_debian_package(_debian_name(one.name), one.version, about)}
    purl = f"pkg:generic/{_word(one.name)}@{_word(one.version)}?checksum=sha256:{one.sha256}"
    cpe = [_cpe(_CPES[one.name], one.version)] if one.name in _CPES else []
    return {**values, "downloadLocation": _UNKNOWN, "externalRefs": [_purl(purl), *cpe]}


def _component(one: Component, license_: str) -> Values:
    return {
        **_package(one.name, one.version, license_),
        "SPDXID": _id(one.name, one.sha256),
        "checksums": [{"algorithm": "SHA256", "checksumValue": one.sha256}],
    }


def _package(name: str, version: str, license_: str) -> Values:
    return {
        "name": name,
        "versionInfo": version,
        "filesAnalyzed": False,
        "licenseConcluded": _UNKNOWN,
        "licenseDeclared": license_,
        "copyrightText": _UNKNOWN,
    }


def _pin(one: Component, recipe: Recipe | None) -> Pin | None:
    every = (recipe.book if recipe else shipped()).pins.values()
    return next((pin for some in every for pin in some if pin.sha256 == one.sha256), None)


def _where(pin: Pin) -> Values:
    """Where a source is to be had; a user's own URL may hold a password, which stays here."""
    if pin.urls:
        url = web.shown(pin.urls[0])
        query = f"checksum=sha256:{pin.sha256}&download_url={quote(url, safe=':/')}"
        purl = f"pkg:generic/{_word(pin.component)}@{_word(pin.release)}?{query}"
        return {
            "downloadLocation": url,
            "primaryPackagePurpose": "SOURCE",
            "externalRefs": [_purl(purl)],
        }
    held = pin.member or pin.file or "its contents"
    return {
        "downloadLocation": _UNKNOWN,
        "primaryPackagePurpose": "SOURCE",
        "sourceInfo": f"{held} of Debian's package {pin.debian} ({pin.suite})",
        "externalRefs": [_purl(f"pkg:deb/debian/{_word(str(pin.debian))}?distro={pin.suite}")],
    }


def _debian_package(name: str, version: str, about: Description) -> Values:
    system = _SYSTEM.fullmatch(about.host)
    values: Values = {
        "downloadLocation": _UNKNOWN,
        "licenseComments": f"see /usr/share/doc/{name}/copyright of the package",
    }
    if system:
        distro = f"?distro={system['name']}-{system['version']}"
        purl = f"pkg:deb/{system['name']}/{_word(name)}@{_word(version)}{distro}"
        values["externalRefs"] = [_purl(purl)]
    return values


def _debian_name(library: str) -> str:
    """The package that `library` is; the recipes of libraries say it, and are not this deep."""
    with suppress(OSError, KeyError):
        text = (recipe_directory() / f"libraries/{library}.toml").read_text("utf-8")
        return str(tomllib.loads(text)["debian"])
    return library


def _cpe(name: str, version: str) -> Values:
    return {
        "referenceCategory": "SECURITY",
        "referenceType": "cpe23Type",
        "referenceLocator": f"cpe:2.3:a:{name}:{version}:*:*:*:*:*:*:*",
    }


def _purl(text: str) -> Values:
    return {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": text,
    }


def _fixes(one: Component, recipe: Recipe | None) -> Values:
    """What a published patch is good for."""
    found = _published(recipe).get(one.name)
    return {"comment": f"{_FIXES}{', '.join(found.fixes)}"} if found and found.fixes else {}


def _published(recipe: Recipe | None) -> Mapping[str, Patch]:
    return {one.name: one for one in (recipe.book if recipe else shipped()).patches}


def _origins(about: Description, parts: list[Values]) -> Iterator[tuple[str, str, str]]:
    """A build makes something else of its sources; an unpacked package is still itself."""
    kind = "GENERATED_FROM" if about.recipe else "CONTAINS"
    yield from ((ROOT, kind, one["SPDXID"]) for one in parts)


def _published_patches(about: Description, recipe: Recipe | None) -> Iterator[tuple[str, str, str]]:
    """Those that were fetched as components of their own."""
    ids = {one.name: _id(one.name, one.sha256) for one in about.components}
    for name, patch in _published(recipe if about.recipe else None).items():
        if about.recipe and name in ids and patch.component in ids:
            yield ids[name], "PATCH_FOR", ids[patch.component]


def _own_patches(about: Description, recipe: Recipe | None) -> Iterator[tuple[Values, str]]:
    """The patches that came with the recipe, each with what it was applied to."""
    if recipe is None:
        return
    for one in about.components:
        pin = _pin(one, recipe)
        if pin is None or pin not in recipe.book.pins.get((one.name, pin.version), ()):
            continue
        names = [*pin.patches, *recipe.patches.get(one.name, ())]
        for path in recipe.patch_files(names):
            yield _patch(path, pin), _id(one.name, one.sha256)


def _patch(path: Path, pin: Pin) -> Values:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = f"{path.parent.name}/{path.name}"
    return {
        **_package(name, digest[:12], pin.license),
        "SPDXID": _id(name, digest),
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
        "downloadLocation": _UNKNOWN,
        "primaryPackagePurpose": "SOURCE",
        "comment": f"toolman's own, for {pin.component}",
    }


def _id(name: str, digest: str) -> str:
    return f"SPDXRef-{re.sub('[^A-Za-z0-9.-]', '-', name)}-{digest[:12]}"


def _word(text: str) -> str:
    return quote(text, safe=":")
