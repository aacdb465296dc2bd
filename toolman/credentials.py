"""Who the user is to a registry: what `docker login` and `podman login` have kept.

In this order:
    $REGISTRY_AUTH_FILE                                   if it is set, no other
    $XDG_RUNTIME_DIR/containers/auth.json                 podman, skopeo, buildah
    $XDG_CONFIG_HOME/containers/auth.json
    $DOCKER_CONFIG/config.json, or ~/.docker/config.json  docker

Each may name programs, `docker-credential-…`, that know the secret. A row is for a registry, or in
podman's files also for a part of its repositories; the nearest one counts.
"""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import run
from toolman.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HUB = "registry-1.docker.io"
HUB_NAMES = ("docker.io", "index.docker.io", HUB)
"""Docker Hub, and what else it is called."""

_HUB_KEY = "https://index.docker.io/v1/"  # its name in docker's files
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATIENCE = 60.0  # seconds; a helper may ask the user
_IDENTITY = "<token>"  # a helper's user when its secret is an identity token
_NOT_THERE = "credentials not found"  # what helpers print if they do not know the registry


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What a registry believes."""

    user: str
    secret: str = field(repr=False)
    identity: bool = False
    """Whether the secret is a token that gets other tokens (OAuth2), not a password."""

    @property
    def basic(self) -> str:
        """The value of an Authorization."""
        both = f"{self.user}:{self.secret}".encode()
        return f"Basic {base64.b64encode(both).decode()}"


def find(host: str, name: str) -> Credential | None:
    """The user's credential for the repository `name` at a registry; None if there is none.

    Raises:
        InputError: a file is damaged, or a helper fails.
    """
    for path, needed in _files():
        said = _read(path, needed)
        found = _found(said, host, name, path)
        if found:
            return found
    return None


def _files() -> Iterator[tuple[Path, bool]]:
    """Where to look, and whether it must be there."""
    environ = os.environ
    if named := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(named), True
        return
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "containers/auth.json"), False
    home = Path.home()
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "containers/auth.json"), False
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker", "config.json"), False


def _read(path: Path, needed: bool) -> Mapping[str, Any]:
    try:
        said = json.loads(path.read_bytes())
    except OSError as error:
        if not needed and isinstance(error, FileNotFoundError | NotADirectoryError):
            return {}
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        # Without the cause, which may quote the file.
        raise InputError(f"{path} is no file of docker's or podman's") from None
    return said


def _found(said: Mapping[str, Any], host: str, name: str, path: Path) -> Credential | None:
    helpers = {_key(key): value for key, value in _table(said, "credHelpers").items()}
    helper = helpers.get(_key(host)) or said.get("credsStore")
    if helper and (found := _helped(str(helper), host, path)):
        return found
    rows = {_key(key): value for key, value in _table(said, "auths").items()}
    for key in _keys(host, name):
        try:
            if found := _row(rows.get(key) or {}):
                return found
        except (ValueError, TypeError, AttributeError):
            raise InputError(f"{path} is damaged where it tells of {key}") from None
    return None


def _table(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _key(text: str) -> str:
    """The registry that a row is for, and the part of its repositories, if it is for one."""
    bare = re.sub(r"^https?://", "", text)
    bare = re.sub(r"(/v[12])?/?$", "", bare)
    host, slash, rest = bare.partition("/")
    return f"{'docker.io' if host in HUB_NAMES else host}{slash}{rest}"


def _keys(host: str, name: str) -> Iterator[str]:
    """Of the rows that may fit, the nearest first."""
    parts = [_key(host), *name.split("/")]
    for length in range(len(parts), 0, -1):
        yield "/".join(parts[:length])


def _row(row: Mapping[str, Any]) -> Credential | None:
    if token := row.get("identitytoken"):
        return Credential(user="", secret=str(token), identity=True)
    if packed := row.get("auth"):
        user, colon, secret = base64.b64decode(packed).decode().partition(":")
        if not colon:
            raise ValueError
        return Credential(user=user, secret=secret.strip("\0"))
    if row.get("username") and row.get("password"):
        return Credential(user=str(row["username"]), secret=str(row["password"]))
    return None


def _helped(helper: str, host: str, path: Path) -> Credential | None:
    program = f"docker-credential-{helper}"
    if not _HELPER.fullmatch(helper):
        raise InputError(f"{path} names a helper that cannot be one: {helper!r}")
    hint = f"{path} names it"
    try:
        done = run.answer([program, "get"], _HUB_KEY if host == HUB else host, _PATIENCE)
        if done.code:
            if _NOT_THERE in done.out:
                return None
            raise InputError(f"{program} fails for {host} (exit {done.code})")
        said = json.loads(done.out)
        user, secret = str(said["Username"]), str(said["Secret"])
    except InputError as error:
        raise InputError(str(error), hint=hint) from None
    except (ValueError, TypeError, LookupError):
        # Without the cause, which may quote the secret.
        raise InputError(f"{program} does not answer as a helper", hint=hint) from None
    if not secret:
        return None
    identity = user == _IDENTITY
    return Credential(user="" if identity else user, secret=secret, identity=identity)
