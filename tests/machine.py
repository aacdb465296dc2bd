"""A new machine of this host's release: what debootstrap makes, entered by chroot. Needs root.

Where it gets packages from is read from this host's settings when the tests run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tools

from toolman.host import Host

if TYPE_CHECKING:
    from collections.abc import Mapping

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PASSED = re.compile(
    r"PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|PROXY|DEFAULT_TIMEOUT)|\w+_proxy", re.I
)

# A mount of its own, as a container has it: in a mere chroot nobody can mount or unshare.
_ENTER = """
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
cd "$0"
pivot_root . .
umount -l .
user=$1
shift
exec chroot "$user" . "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Runs commands as its user `root` or its user `newcomer`."""

    root: Path

    def __call__(self, who: str, *words: str) -> str:
        """What the command prints, errors included; it must succeed."""
        inside = {
            **passed(),
            "HOME": "/root" if who == "root" else f"/home/{who}",
            "USER": who,
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        user = "0:0" if who == "root" else "1000:1000"
        return apart(_ENTER, self.root, f"--userspec={user}", *words, env=inside)


def apart(script: str, *words: str | Path, env: Mapping[str, str]) -> str:
    """What a script of sh prints, `$0` and all, errors included; it must succeed. Its mounts and
    processes are its own, and end with it."""
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-euc", script, *words],
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def passed() -> dict[str, str]:
    """Of this host's environment what a machine needs to reach the network as it does."""
    found = {name: value for name, value in tools.ENVIRON.items() if _PASSED.fullmatch(name)}
    return {**found, "PIP_CERT": "/etc/host-certificates.crt"}


def make(root: Path, checkout: Path) -> Machine:
    """A machine in the directory `root`, with the checkout in /opt/toolman and nothing else."""
    subprocess.run(["cp", "-a", "--reflink=auto", _base(), root], check=True)
    _configure(root / "etc")
    (root / "home/newcomer").mkdir()
    shutil.chown(root / "home/newcomer", 1000, 1000)
    ignored = shutil.ignore_patterns(".*", "__pycache__", "build")
    shutil.copytree(checkout, root / "opt/toolman", ignore=ignored)
    return Machine(root=root)


def _base() -> Path:
    """What debootstrap makes, once on this host."""
    base = tools.CACHE / "roots" / Host.current().key
    with tools.made(base) as into:
        if into:
            program = tools.find("debootstrap")
            data = program.resolve().parents[1] / "share/debootstrap"
            subprocess.run(
                [program, "--variant=minbase", Host.current().codename, into, _mirror()],
                env={**tools.ENVIRON, "DEBOOTSTRAP_DIR": str(data)},
                check=True,
            )
    return base


def _mirror() -> str:
    """Where this host's apt gets its own release."""
    words = ["apt-get", "update", "--print-uris"]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = re.search(rf"^'(\S+?)/dists/{Host.current().codename}/", out, re.MULTILINE)
    assert found, f"this host's apt has no source for {Host.current().codename}"
    return found[1]


def _configure(etc: Path) -> None:
    """This host's way to the network, apt's and pip's included, and an ordinary user."""
    (etc / "apt/sources.list").unlink(missing_ok=True)
    shutil.copytree("/etc/apt", etc / "apt", dirs_exist_ok=True)
    shutil.copy("/etc/resolv.conf", etc / "resolv.conf")
    if Path("/etc/pip.conf").exists():
        shutil.copy("/etc/pip.conf", etc / "pip.conf")
    # Not where Debian has it, for the package ca-certificates makes that file anew.
    shutil.copy(_CERTIFICATES, etc / "host-certificates.crt")
    with (etc / "passwd").open("a") as file:
        file.write("newcomer:x:1000:1000::/home/newcomer:/bin/sh\n")
    with (etc / "group").open("a") as file:
        file.write("newcomer:x:1000:\n")
