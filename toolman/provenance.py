"""How an archive was made, as an in-toto statement (v1) with SLSA's provenance (v1).

It names the archive by digest, so it lies beside it: `<archive>.provenance.json`. It is not
signed itself: the index that names it is. Nothing in it changes from one run to the next.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from toolman import __version__, sbom
from toolman.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toolman.archive import Packed
    from toolman.toolchain import Description

    Values = dict[str, Any]

MEDIA_TYPE = "application/vnd.in-toto+json"
LOCAL = "urn:toolman:local"
"""The builder, where nobody has named one."""

_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://slsa.dev/provenance/v1"
_BUILD = "urn:toolman:pack:v1"  # explained in docs/publish.md
_UNPACKED = "prebuilt"  # the origin whose toolchains were in an archive before


def statement(packed: Packed, about: Description, document: bytes, builder: str = LOCAL) -> bytes:
    """The statement on an archive of `about` that holds the SPDX `document`."""
    parameters = {
        "origin": about.origin,
        "target": about.target.name,
        "languages": list(about.languages),
        "gcc": about.version,
        "recipe": about.recipe,
        "malloc": about.malloc,
    }
    values = {
        "_type": _STATEMENT,
        "subject": [_resource(packed.path.name, packed.sha256)],
        "predicateType": _PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD,
                "externalParameters": {k: v for k, v in parameters.items() if v is not None},
                "internalParameters": {"host": about.host},
                "resolvedDependencies": list(_dependencies(about, document)),
            },
            "runDetails": {
                "builder": {"id": builder, "version": {"toolman": __version__}},
                "metadata": {"invocationId": about.digest},
                "byproducts": [_resource(sbom.FILE, hashlib.sha256(document).hexdigest())],
            },
        },
    }
    return json.dumps(values, indent=1, sort_keys=True).encode() + b"\n"


def beside(archive: Path) -> Path:
    """Where the statement on an archive lies."""
    return archive.with_name(f"{archive.name}.provenance.json")


def check(content: bytes, sha256: str, name: str) -> None:
    """See that this is a statement on the archive with that digest; `name` is for the message.

    Raises:
        IntegrityError: it is not.
    """
    try:
        values = json.loads(content)
        kind = values["_type"], values["predicateType"]
        digests = [one["digest"]["sha256"] for one in values["subject"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        kind, digests = ("", ""), []
    if kind != (_STATEMENT, _PREDICATE):
        raise IntegrityError(f"{name} is no provenance")
    if sha256 not in digests:
        raise IntegrityError(
            f"{name} is the provenance of another archive", hint="pack the toolchain again"
        )


def _dependencies(about: Description, document: bytes) -> Iterator[Values]:
    """All that went in: what the document names, and the archive that it was unpacked from."""
    if about.origin == _UNPACKED:
        yield _resource("archive", about.digest)
    for one in sbom.parse(document, sbom.FILE)["packages"]:
        sums = {row["algorithm"]: row["checksumValue"] for row in one.get("checksums", ())}
        if "SHA256" in sums:
            yield {**_resource(one["name"], sums["SHA256"]), **_uri(one)}


def _uri(package: Values) -> Values:
    places = [row["referenceLocator"] for row in package.get("externalRefs", ())]
    if package["downloadLocation"] != "NOASSERTION":
        places.insert(0, package["downloadLocation"])
    return {"uri": places[0]} if places else {}


def _resource(name: str, sha256: str) -> Values:
    return {"name": name, "digest": {"sha256": sha256}}
