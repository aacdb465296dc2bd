"""What can go wrong outside of toolman: one clear error, the right exit code, nothing left.

2 correct the input, 3 the network, 4 the bytes, 5 a step of the making, 1 anything else.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
import pytest
from archive import SUITE, Done, Machine, Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive import Archive, Server

MEGABYTE = 1 << 20

# A list without packages, and the key of its signer; `gpg --clearsign`, made for these tests.
KEY = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZZIAgBYJKwYBBAHaRw8BAQdArVglZv3OLlrlw+ENihto7JY5ntV04zpnEECf
tH7fZz+0F3Rlc3QgPHRlc3RAZXhhbXBsZS5vcmc+iJAEExYIADgWIQQ9EevpXb/c
vdV/ITKCbcs0iAkSPgUCZZIAgAIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAK
CRCCbcs0iAkSPnrBAQDoY/5bIEI/1Fo6HIHSxscU2+qTrh3VY9Y9MqiZMq7eDwD+
N9vxqOnBkMPS53Nt2IQiIX4Zv+Fn9uYf4ZUXpp3fvQ4=
=6K4n
-----END PGP PUBLIC KEY BLOCK-----
"""
OTHER_KEY = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZZIAgBYJKwYBBAHaRw8BAQdApjt6agfls23C8FLDg4toAT7u2hgbqSf35zmu
ejZBZOe0F3Rlc3QgPHRlc3RAZXhhbXBsZS5vcmc+iJAEExYIADgWIQQBuEVMx3mw
jzC0/1IUabSFLS3bCgUCZZIAgAIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAK
CRAUabSFLS3bCvvlAQDZuaNRuw704+FhjDRJw4/fyyxsBLB+P39mC9go6QM3jAD/
fRVVWZg26FyTIK9EwwRGu5BYU8O2pebSuMDZ9To0rQk=
=+2PL
-----END PGP PUBLIC KEY BLOCK-----
"""
SIGNED = """\
-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

Origin: test
Components: main
Architectures: all
Date: Mon, 01 Jan 2024 00:00:00 UTC
SHA256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-all/Packages
-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQQ9EevpXb/cvdV/ITKCbcs0iAkSPgUCZZIAgAAKCRCCbcs0iAkS
PqPeAPwMvwSI6jgUm6AQAnEX281h5QUpHuTZryUsjPa9SFkMZAEA2AYIl0eBj76Z
gOwy/83rFBoTUpeO5TAhRlH2au2OigI=
=gnIx
-----END PGP SIGNATURE-----
"""


def fails(machine: Machine, code: int, *says: str, target: str = "arm64-musl") -> Done:
    """An install that must fail with `code` and one error that says all of `says`."""
    done = machine.toolman("install", target, "--origin", "distro")
    assert (done.code, len(done.errors)) == (code, 1), done.err
    assert "Traceback" not in done.err
    error = done.err[done.err.index("error:") :]
    assert [one for one in says if one not in error] == [], done.err
    assert machine.litter() == []
    assert machine.installed() == []
    return done


# The network


@pytest.mark.parametrize("target", ["arm64-musl", "arm64-gnu"])
@pytest.mark.parametrize("lists", ["no lists", "host's lists"])
def test_says_that_there_is_no_network(
    target: str, lists: str, machine: Machine, apt: Server
) -> None:
    if lists != "no lists":
        machine.fetch_host_lists()
    apt.stop()
    fails(machine, 3, "hint: check the network", target=target)


def test_needs_no_network_for_what_is_downloaded(machine: Machine, apt: Server) -> None:
    machine.install()
    machine.forget(cache=False)
    apt.stop()
    machine.install()
    assert machine.installed() == ["arm64-musl"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("flipped", 4),
        ("shorter", 4),
        ("cut", 3),
        ("reset", 3),
        ("stalled", 3),
        ("500", 3),
        ("503", 3),
        ("403", 3),
        ("404", 3),
    ],
)
def test_a_bad_download_fails_and_the_next_succeeds(
    name: str, code: int, machine: Machine, apt: Server
) -> None:
    reply = archive.fail(int(name)) if name.isdigit() else getattr(archive, name)
    apt.rules[r"/musl-dev_.*\.deb$"] = reply
    fails(machine, code, "musl-dev")
    apt.rules.clear()
    machine.install()
    assert machine.installed() == ["arm64-musl"]


@pytest.mark.parametrize("name", ["flipped", "shorter", "cut", "reset", "500", "404"])
def test_bad_lists_fail_and_the_next_install_succeeds(
    name: str, machine: Machine, apt: Server
) -> None:
    reply = archive.fail(int(name)) if name.isdigit() else getattr(archive, name)
    apt.rules["Packages"] = reply
    fails(machine, 3)
    apt.rules.clear()
    machine.install()
    assert machine.installed() == ["arm64-musl"]


def test_fetches_again_what_has_rotten_in_the_cache(machine: Machine, apt: Server) -> None:
    machine.install()
    machine.forget(cache=False)
    (rotten,) = machine.cache.glob("apt/debs/gcc-12-*.deb")
    content = bytearray(rotten.read_bytes())
    content[len(content) // 2] ^= 1
    rotten.write_bytes(content)
    apt.seen.clear()
    machine.install()
    assert apt.seen == [rotten.name]
    assert machine.installed() == ["arm64-musl"]


# The archive's lists


def test_refreshes_lists_that_are_older_than_the_archive(tmp_path: Path) -> None:
    changing = archive.changeable(tmp_path / "archive")
    with archive.serve(changing) as server:
        machine = Machine(tmp_path, server.url)
        machine.fetch_host_lists()
        machine.install("arm64-musl", "arm64-gnu")
        machine.forget(cache=False)
        _release(changing, "gcc-12-aarch64-linux-gnu", "neon.h", "sve.h")
        _release(changing, "binutils-aarch64-linux-gnu", "-as", "-gprof")
        for name in ("arm64-musl", "arm64-gnu"):
            assert "12.2.0-1" in _component(machine, name, "gcc-12-aarch64-linux-gnu")
        # Of the two, the lists now name one that is gone, and one that is still in the cache.
        next(machine.cache.glob("apt/debs/gcc-12-aarch64-*")).unlink()
        done = machine.install("arm64-musl", "arm64-gnu")
        assert done.errors == []
        for name in ("arm64-musl", "arm64-gnu"):
            shown = json.loads(machine.toolman("show", name, "--json").out)
            versions = {one["name"]: one["version"] for one in shown["components"]}
            assert versions["gcc-12-aarch64-linux-gnu"] == "12.2.0-2"
            assert versions["binutils-aarch64-linux-gnu"] == "12.2.0-2"
            assert list(Path(shown["path"]).glob("**/arm_sve.h"))
            assert list(Path(shown["path"]).glob("**/*-gprof"))
            assert not list(Path(shown["path"]).glob("**/*-gnu-as")), "left of the old package"
        assert machine.installed() == ["arm64-gnu", "arm64-musl"]


def test_refuses_lists_without_a_signature(tmp_path: Path, apt: Server) -> None:
    fails(Machine(tmp_path, apt.url, options=""), 4, "is not signed")


@pytest.mark.parametrize(
    ("lists", "key", "code"),
    [
        (SIGNED, KEY, 2),  # it lists no packages
        (SIGNED.replace("2024", "2025", 1), KEY, 4),
        (SIGNED, "", 4),
    ],
    ids=["signed", "changed", "signed by another"],
)
def test_refuses_lists_that_the_distribution_has_not_signed(
    lists: str, key: str, code: int, tmp_path: Path, apt: Server
) -> None:
    apt.rules["InRelease"] = archive.text(lists)
    apt.rules["binary-all/Packages"] = archive.text("")
    keyring = tmp_path / "key.asc"
    keyring.write_text(key or OTHER_KEY)
    fails(Machine(tmp_path, apt.url, options=f"[signed-by={keyring}]"), code)


def test_goes_on_without_a_suite_that_it_does_not_need(machine: Machine, apt: Server) -> None:
    line = machine.sources.read_text()
    machine.sources.write_text(line + line.replace(f" {SUITE} ", f" {SUITE}-updates "))
    done = machine.install()
    assert "warning: " in done.err
    assert f"{SUITE}-updates" in done.err
    assert done.errors == []
    assert machine.installed() == ["arm64-musl"]


def test_names_the_suite_that_it_would_have_needed(machine: Machine, apt: Server) -> None:
    line = machine.sources.read_text()
    machine.sources.write_text(line + line.replace(f" {SUITE} ", f" {SUITE}-updates "))
    apt.rules["Packages"] = archive.fail(404)
    fails(machine, 3, SUITE)


# The host's own apt and dpkg


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("E: Failed to fetch http://x/y.deb  Could not resolve 'x'", 3),
        ("E: Unable to fetch some archives", 3),
        ("E: Failed to fetch http://x/y.deb  Hash Sum mismatch", 4),
        ("E: The repository 'http://x stable InRelease' is not signed.", 4),
        ("E: Type 'dep' is not known on line 1 in source list", 1),
        ("E: The list of sources could not be read.", 1),
        ("Segmentation fault", 1),
    ],
)
def test_says_what_an_apt_said_that_fails(said: str, code: int, machine: Machine) -> None:
    fake = machine.directory / "bin/apt-get"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 100\n')
    fake.chmod(0o755)
    path = f"{fake.parent}:{os.environ['PATH']}"
    machine.settings = {"PATH": path}
    fails(machine, code, said.removeprefix("E: ") if said.startswith("E:") else "exit 100")


def test_says_what_is_wrong_with_the_sources(machine: Machine) -> None:
    machine.sources.write_text(f"deb [trusted=yes http://127.0.0.1 {SUITE} main\n")
    fails(machine, 2, "apt's sources name no archive of")


@pytest.mark.parametrize("missing", ["apt-get", "dpkg-deb"])
def test_says_that_the_host_has_no_apt(missing: str, machine: Machine) -> None:
    path = machine.directory / "bin"
    path.mkdir()
    for one in ("env", "sh", "uname", "dpkg", "apt-config", "apt-get", "dpkg-deb"):
        found = shutil.which(one)
        if one != missing:
            assert found
            (path / one).symlink_to(found)
    machine.settings = {"PATH": str(path)}
    done = fails(machine, 2, "apt-get", "dpkg-deb")
    assert "hint:" in done.err


# What the packages hold


def test_names_the_package_that_does_not_unpack(tmp_path: Path) -> None:
    changing = archive.changeable(tmp_path / "archive")
    (package,) = changing.directory.glob("pool/musl-dev_*.deb")
    content = package.read_bytes()
    # Within the last member, data.tar.gz; the lists state the damaged file's digest.
    package.write_bytes(content[:-60] + bytes(40) + content[-20:])
    changing.write_lists()
    with archive.serve(changing) as server:
        fails(Machine(tmp_path, server.url), 5, "unpacking musl-dev_", "dpkg-deb")


@pytest.mark.parametrize(
    ("machines", "says"),
    [
        ({"aarch64-linux-gnu": r"\363\000"}, "makes programs for"),
        ({"aarch64-linux-gnu": "'; exit 1; echo '"}, "a first c program"),
    ],
    ids=["for another machine", "that fails"],
)
def test_refuses_a_compiler(machines: dict[str, str], says: str, tmp_path: Path) -> None:
    packages = archive.packages({**archive.MACHINES, **machines})
    with archive.serve(archive.Archive(tmp_path / "archive", packages)) as server:
        fails(Machine(tmp_path, server.url), 5, says)


# The disk


class Mounts:
    """File systems that only the commands after `before` see, and this process by `view`.

    It takes a mount namespace; who is not root makes one of his own users too.
    """

    def __init__(self, script: str) -> None:
        words = ["unshare", *_unshare(), "sh", "-euc", f"{script}\necho ready; exec sleep 600"]
        self.holder = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self.holder.stdout
        assert self.holder.stdout.readline() == "ready\n"
        users = ["--user", "--preserve-credentials"] if "-Urm" in _unshare() else []
        self.before = ("nsenter", f"--target={self.holder.pid}", "--mount", *users)

    def view(self, path: str | Path) -> Path:
        return Path(f"/proc/{self.holder.pid}/root{path}")

    def run(self, script: str) -> None:
        subprocess.run([*self.before, "sh", "-euc", script], check=True)

    def close(self) -> None:
        self.holder.kill()
        self.holder.communicate()


@functools.cache
def _unshare() -> tuple[str, ...]:
    for flags in ("-m", "-Urm"):
        script = "mount -t tmpfs tmpfs /mnt"
        if subprocess.run(["unshare", flags, "sh", "-c", script]).returncode == 0:
            return (flags,)
    raise AssertionError("these tests mount a tmpfs: they need root, or user namespaces")


@contextmanager
def mounted(machine: Machine, script: str) -> Iterator[Mounts]:
    mounts = Mounts(script)
    machine.before, machine.view = mounts.before, mounts.view
    try:
        yield mounts
    finally:
        mounts.close()


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """A compiler of 8 MB that is packed in few KB, so that the disk is full in the midst."""
    packages = archive.packages(weight=8 * MEGABYTE)
    return archive.Archive(tmp_path_factory.mktemp("heavy"), packages)


DATA_SIZES = [
    "size=64k",
    "size=1m",
    "size=4m",
    "size=8m",
    "size=8300k",
    "size=9m,nr_inodes=12",
    "size=9m,nr_inodes=30",
    "size=9m,nr_inodes=50",
    "size=9m,nr_inodes=70",
    "size=9m,nr_inodes=85",
]
CACHE_SIZES = [
    "size=8k",
    "size=64k",
    "size=256k",
    "nr_inodes=12",
    "nr_inodes=20",
    "nr_inodes=24",
    "nr_inodes=32",
]


@pytest.mark.parametrize("options", DATA_SIZES)
def test_says_that_the_data_disk_is_full(options: str, tmp_path: Path, heavy: Archive) -> None:
    with archive.serve(heavy) as server:
        machine = Machine(tmp_path, server.url)
        _check_full(machine, machine.home, options)


@pytest.mark.parametrize("options", CACHE_SIZES)
def test_says_that_the_cache_disk_is_full(options: str, tmp_path: Path, heavy: Archive) -> None:
    with archive.serve(heavy) as server:
        machine = Machine(tmp_path, server.url)
        _check_full(machine, machine.cache, options)


def test_says_that_the_disk_has_become_full(machine: Machine, apt: Server) -> None:
    """Somebody else fills it while the packages are fetched."""
    machine.cache.mkdir()
    with mounted(machine, f"mount -t tmpfs -o size=32m tmpfs {machine.cache}") as mounts:
        filler = mounts.view(machine.cache / "filler")

        def fill() -> None:
            with filler.open("wb") as file:
                while True:
                    try:
                        file.write(bytes(4096))
                        file.flush()
                    except OSError:
                        break

        apt.rules["/gcc-12-"] = archive.after(fill)
        fails(machine, 1, f"the disk of {machine.cache} is full")
        filler.unlink()
        apt.rules.clear()
        machine.install()
        assert machine.installed() == ["arm64-musl"]


def test_a_full_disk_can_be_emptied(machine: Machine) -> None:
    machine.home.mkdir()
    with mounted(machine, f"mount -t tmpfs -o size=2m tmpfs {machine.home}") as mounts:
        machine.install("arm64-musl", "arm64-gnu")
        with suppress(OSError):
            mounts.view(machine.home / "filler").write_bytes(bytes(4 * MEGABYTE))
        done = machine.toolman("install", "riscv64-gnu")
        assert (done.code, len(done.errors)) == (1, 1), done.err
        done = machine.toolman("uninstall", "arm64-musl")
        assert (done.code, done.errors) == (0, []), done.err
        assert machine.litter() == []
        assert machine.installed() == ["arm64-gnu"]


def test_counts_what_is_needed_on_one_disk_together(tmp_path: Path) -> None:
    packages = archive.packages()
    random = Package(
        name="musl-dev",
        architecture="arm64",
        depends="musl",
        files={**packages[-2].files, "usr/lib/big": os.urandom(4 * MEGABYTE).decode("latin-1")},
    )
    found = [one for one in packages if one.name != "musl-dev"] + [random]
    disk = tmp_path / "disk"
    disk.mkdir()
    with archive.serve(archive.Archive(tmp_path / "archive", found)) as server:
        machine = Machine(tmp_path, server.url)
        machine.home, machine.cache = disk / "home", disk / "cache"
        machine.data = machine.home / machine.data.name
        # Enough for what is unpacked, or for what is fetched, but not for both.
        with mounted(machine, f"mount -t tmpfs -o size=26m tmpfs {disk}"):
            done = fails(machine, 1, str(disk), "MB are needed")
            assert "downloading" not in done.err


def _check_full(machine: Machine, directory: Path, options: str) -> None:
    directory.mkdir()
    with mounted(machine, f"mount -t tmpfs -o {options} tmpfs {directory}") as mounts:
        done = machine.toolman("install", "arm64-musl")
        assert (done.code, len(done.errors)) == (1, 1), done.err
        assert str(directory) in done.errors[0]
        assert "hint:" in done.err
        assert machine.litter() == []
        assert machine.installed() == []
        mounts.run(f"mount -o remount,size=200m,nr_inodes=100000 tmpfs {directory}")
        machine.install()
        assert machine.installed() == ["arm64-musl"]


READING = [
    ["env", "arm64-musl"],
    ["env", "--file", "linux/arm64"],
    ["list"],
    ["which", "aarch64-linux-musl-gcc"],
    ["show", "arm64-musl"],
    ["exec", "arm64-musl", "--", "true"],
    ["install", "arm64-musl"],
    ["doctor"],
    ["verify", "--store"],
    ["gc", "--dry-run"],
    ["cache", "size"],
]
WRITING = [
    ["install", "riscv64-gnu"],
    ["uninstall", "arm64-musl"],
    ["gc"],
    ["default", "arm64-gnu"],
    ["link", "mine", "DIRECTORY/linked"],
]


def test_works_from_a_store_that_cannot_be_written(machine: Machine) -> None:
    machine.install()
    machine.make_linkable()
    # As a killed command leaves it.
    (machine.data / "staging/arm64-gnu.0123abcd").mkdir()
    with _read_only(machine, machine.home):
        for words in READING:
            done = machine.toolman(*words)
            assert (done.code, done.errors) == (0, []), (words, done)
        for words in WRITING:
            here = str(machine.directory)
            done = machine.toolman(*[word.replace("DIRECTORY", here) for word in words])
            assert (done.code, len(done.errors)) == (2, 1), (words, done)
            assert f"cannot write {machine.data}: Read-only file system" in done.errors[0]
            assert "hint:" in done.err
        assert [row["name"] for row in machine.listed()] == ["arm64-musl"]


def test_says_that_the_cache_cannot_be_written(machine: Machine) -> None:
    machine.cache.mkdir()
    with _read_only(machine, machine.cache):
        fails(machine, 2, f"cannot write {machine.cache}: Read-only file system")


def _read_only(machine: Machine, directory: Path) -> Any:
    copy = machine.directory / "copy"
    copy.mkdir()
    return mounted(
        machine,
        f"mount -t tmpfs tmpfs {copy}; cp -a {directory}/. {copy}; "
        f"mount -o remount,ro tmpfs {copy}; mount --bind {copy} {directory}",
    )


def _release(changing: Archive, name: str, before: str, now: str) -> None:
    """Replace the package `name` by another version, in which a file has another name."""
    (old,) = (one for one in changing.rows if one.name == name)
    files = {path.replace(before, now): text for path, text in old.files.items()}
    changing.remove(name)
    changing.add(
        Package(
            name=name,
            version="12.2.0-2",
            architecture=old.architecture,
            depends=old.depends,
            files=files,
        )
    )
    changing.write_lists()


def _component(machine: Machine, target: str, name: str) -> str:
    done = machine.toolman("install", target, "--dry-run", "--json")
    assert done.code == 0, done.err
    (plan,) = json.loads(done.out)["plans"]
    return next(str(one["version"]) for one in plan["packages"] if one["name"] == name)
