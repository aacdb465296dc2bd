"""Keys, and the files that they sign; the other user of python-tuf is `metadata`.

Signing takes the library `cryptography`, which is compiled, and which readers do not need.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from toolman.errors import InputError
from toolman.metadata import INDEX, State, due, target_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from securesystemslib.signer import CryptoSigner

    from toolman.lifetimes import Lifetimes
    from toolman.metadata import Files

# Snapshot and timestamp have one key: both are signed by the machine that publishes.
Owner = Literal["root", "targets", "online"]
OWNERS: tuple[Owner, ...] = ("root", "targets", "online")

_ROLES: dict[Owner, tuple[str, ...]] = {
    "root": ("root",),
    "targets": ("targets",),
    "online": ("snapshot", "timestamp"),
}


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The private keys of one directory, by their identifiers."""

    directory: Path
    signers: Mapping[str, CryptoSigner]

    @property
    def root(self) -> Path:
        """The root that its owner trusts; what was published is verified from there on."""
        return self.directory / "root.json"


def make_keys(directory: Path, owner: Owner, count: int = 1) -> list[CryptoSigner]:
    """Make keys, and write each to a file that only its owner can read.

    Raises:
        InputError: `cryptography` is not installed.
    """
    _need_cryptography()
    from securesystemslib.signer import CryptoSigner

    made = [CryptoSigner.generate_ed25519() for _ in range(count)]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for signer in made:
        path = directory / f"{owner}-{signer.public_key.keyid[:8]}.pem"
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(signer.private_bytes)
    return made


def make_all(directory: Path, root: int) -> dict[Owner, list[CryptoSigner]]:
    """The keys of a new repository: so many for the root, one for each other owner.

    Raises:
        InputError: `cryptography` is not installed.
    """
    return {owner: make_keys(directory, owner, root if owner == "root" else 1) for owner in OWNERS}


def load_keys(directory: Path) -> Keys:
    """The keys in the files `*.pem` of a directory.

    Raises:
        InputError: there are none, or `cryptography` is not installed.
    """
    _need_cryptography()
    signers = [_signer(path) for path in sorted(directory.glob("*.pem"))]
    if not signers:
        raise InputError(f"there are no keys in {directory}", hint="see: toolman publish init")
    return Keys(directory=directory, signers={one.public_key.keyid: one for one in signers})


def begun(
    made: Mapping[Owner, Sequence[CryptoSigner]], threshold: int, index: bytes, lasts: Lifetimes
) -> Files:
    """The files of a new repository, in the order to write them."""
    signed = Root(expires=_until(lasts.root), consistent_snapshot=True)
    for owner, signers in made.items():
        for role in _ROLES[owner]:
            for signer in signers:
                signed.add_key(signer.public_key, role)
    signed.roles[Root.type].threshold = threshold
    root = Metadata(signed)
    first = {"metadata/1.root.json": _signed(root, made["root"])}
    state = State(
        root=root,
        targets=_unsigned(Targets()),
        snapshot=_unsigned(Snapshot()),
        timestamp=_unsigned(Timestamp()),
        index=b"",
    )
    return first | _files(state, made["targets"], made["online"], index, lasts)


def updated(state: State, keys: Keys, lasts: Lifetimes, index: bytes | None = None) -> Files:
    """The files that make a repository say `index`; without one, the same for longer.

    Targets are signed for longer only where the key is: a machine that signs each day need not
    have it, and must go on.

    Raises:
        InputError: a key is missing.
    """
    root = state.root.signed
    online = _signers(root, "online", keys)
    by = None
    if index is not None:
        by = _signers(root, "targets", keys)
    elif due(state, "targets"):
        by = _known(root, "targets", keys) or None
    return _files(state, by, online, state.index if index is None else index, lasts)


def check(state: State, owner: Owner, keys: Keys) -> None:
    """Refuse before anything is done if too few keys of a role are there.

    Raises:
        InputError: that is so.
    """
    _signers(state.root.signed, owner, keys)


def rotated(
    state: State,
    keys: Keys,
    owner: Owner,
    made: Sequence[CryptoSigner],
    threshold: int,
    lasts: Lifetimes,
) -> Files:
    """The files that give a role new keys, in the order to write them.

    What old and new keys have both signed is published first, and then the root that names the
    new ones: whoever reads meanwhile can verify either way.

    Raises:
        InputError: fewer of the root's keys than its threshold are there.
    """
    before = state.root.signed
    signers = _signers(before, "root", keys)
    after = Metadata[Root].from_bytes(state.root.to_bytes())
    signed = after.signed
    for role in _ROLES[owner]:
        for keyid in list(signed.roles[role].keyids):
            signed.revoke_key(keyid, role)
        for signer in made:
            signed.add_key(signer.public_key, role)
        signed.roles[role].threshold = threshold
    signed.version += 1
    signed.expires = _until(lasts.root)
    both = [*_known(before, owner, keys), *made]
    files: Files = {}
    if owner != "root":
        online = both if owner == "online" else _signers(before, "online", keys)
        files = _files(state, both if owner == "targets" else None, online, state.index, lasts)
    data = _signed(after, both if owner == "root" else signers)
    return files | {f"metadata/{signed.version}.root.json": data}


def _need_cryptography() -> None:
    try:
        import cryptography
    except ImportError:
        raise InputError(
            "to sign, toolman needs the library cryptography",
            hint="in toolman's checkout: scripts/install --publish",
        ) from None
    del cryptography


def _signer(path: Path) -> CryptoSigner:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    try:
        return CryptoSigner(load_pem_private_key(path.read_bytes(), None))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} is no private key: {error}") from error


def _known(root: Root, owner: Owner, keys: Keys) -> list[CryptoSigner]:
    role = root.roles[_ROLES[owner][0]]
    return [keys.signers[keyid] for keyid in role.keyids if keyid in keys.signers]


def _signers(root: Root, owner: Owner, keys: Keys) -> list[CryptoSigner]:
    found = _known(root, owner, keys)
    threshold = root.roles[_ROLES[owner][0]].threshold
    if len(found) < threshold:
        raise InputError(
            f"{keys.directory} holds {len(found)} of the {owner} keys of this repository,"
            f" {threshold} must sign",
            hint="the files are named after their keys: " + ", ".join(_names(root, owner)),
        )
    return found


def _names(root: Root, owner: Owner) -> list[str]:
    return [f"{owner}-{keyid[:8]}.pem" for keyid in root.roles[_ROLES[owner][0]].keyids]


def _files(
    state: State,
    targets_by: Sequence[CryptoSigner] | None,
    online_by: Sequence[CryptoSigner],
    index: bytes,
    lasts: Lifetimes,
) -> Files:
    """What has to be written, in this order; targets only if somebody signs them."""
    files: Files = {}
    targets, snapshot, timestamp = state.targets, state.snapshot, state.timestamp
    if targets_by is not None:
        found = TargetFile.from_data(INDEX, index, ["sha256"])
        targets.signed.targets = {INDEX: found}
        _renew(targets.signed, lasts.targets)
        files[target_path(found)] = index
        data = _signed(targets, targets_by)
        files[f"metadata/{targets.signed.version}.targets.json"] = data
        about = MetaFile.from_data(targets.signed.version, data, ["sha256"])
        snapshot.signed.meta = {"targets.json": about}
    _renew(snapshot.signed, lasts.snapshot)
    data = _signed(snapshot, online_by)
    files[f"metadata/{snapshot.signed.version}.snapshot.json"] = data
    about = MetaFile.from_data(snapshot.signed.version, data, ["sha256"])
    timestamp.signed.snapshot_meta = about
    _renew(timestamp.signed, lasts.timestamp)
    return files | {"metadata/timestamp.json": _signed(timestamp, online_by)}


def _unsigned(signed: Signed) -> Metadata[Any]:
    signed.version = 0  # the first one to be signed will be 1
    return Metadata(signed)


def _renew(signed: Signed, days: int) -> None:
    signed.version += 1
    signed.expires = _until(days)


def _signed(metadata: Metadata[Any], signers: Sequence[CryptoSigner]) -> bytes:
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def _until(days: int) -> datetime:
    return (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)
