"""Programs on <openssl/evp.h> and <openssl/ssl.h>, in C, Go and Rust, static, for arm64 and amd64.

Each tells of a digest and of a cipher, and talks to a server of this machine's, or refuses it. What
builds them is what docs/libraries.md shows, with the toolchains of origin distro. No registry has
Rust's library for musl, so that here it is built of its sources, without unwinding.

No registry has LibreSSL either, nor has Debian: where its makers' servers do not answer, the test
of the swap is an expected failure with what toolman said, and never a pass.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import buildtools
import certificates
import pytest
import tools
from conftest import activated, isolated
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from toolman import elf
from toolman.errors import InputError
from toolman.libraries import choice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conftest import Runner

    from toolman.run import Finished

PROGRAMS = Path(__file__).parent / "programs/tls"
PAGE = Path(__file__).parents[1] / "docs/libraries.md"
TARGETS = {"arm64-musl": "linux/arm64", "amd64-musl": "linux/amd64"}
BUILDS = {
    "C": '"$CC" -static client.c -o client $("$PKG_CONFIG" --cflags --libs libssl libcrypto)',
    "Go": "go build -o client .",
    "Rust": "cargo build",
}
# What rustup would bring for the target, built here: see `test_cargo`.
RUST = {
    "RUSTC_BOOTSTRAP": "1",
    "CARGO_UNSTABLE_BUILD_STD": "std,panic_abort",
    "RUSTFLAGS": "-Clink-self-contained=no -Lnative=libraries",
}
# Debian's unwinder asks glibc's loader for tables. Here it is linked, and not needed.
FIND = "int _dl_find_object(void *place, void *found) { return -1; }\n"
HERE = "127.0.0.1"
REFUSED = 3
# Test case 16 of McGrew and Viega's paper on GCM.
KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
IV = bytes.fromhex("cafebabefacedbaddecaf888")
MORE = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
TEXT = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
TAG = "76fc6ece0f4e1768cddf8853bb2d551b"

# One home, whose libraries the tests change in their order.
pytestmark = pytest.mark.xdist_group("tls")


class Home:
    """A TOOLMAN_HOME with both targets, which keeps what it has built."""

    def __init__(self, toolman: Runner, user: Path) -> None:
        self.path = tools.CACHE / f"home-{tools.digest()}-tls"
        tools.install(self.path, *TARGETS)
        self._toolman = toolman
        self._user = isolated(user) | {"TOOLMAN_HOME": str(self.path)}
        self._user |= {"TOOLMAN_CACHE": str(tools.CACHE / "toolman")}

    def __call__(self, *words: str | Path) -> Finished:
        return self._toolman(*words, env=self._user)

    def well(self, *words: str | Path) -> str:
        done = self(*words)
        assert done.code == 0, done.err
        return done.out

    def environment(self, target: str) -> dict[str, str]:
        """That of the target, with go, cargo and pkg-config on PATH."""
        env = activated(target, self._toolman, self._user)
        shims, rest = env["PATH"].split(os.pathsep, 1)
        places = (tools.go("1.27"), buildtools.rust() / "cargo", tools.find("pkg-config"))
        path = os.pathsep.join([shims, *(str(one.parent) for one in places), rest])
        downloads = {"CARGO_HOME": str(tools.CACHE / "cargo"), "GOTOOLCHAIN": "local"}
        downloads |= {"GOMODCACHE": str(tools.CACHE / "go-modules/modules")}
        return {**env, **downloads, "PATH": path}


@pytest.fixture(scope="module")
def user(toolman: Runner, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(toolman, tmp_path_factory.mktemp("user"))


@dataclass(frozen=True, kw_only=True)
class Client:
    """One of the programs, built."""

    language: str
    target: str
    path: Path
    home: Home

    def __call__(self, port: int, certificate: Path) -> Finished:
        return self.home("run", self.target, self.path, HERE, str(port), certificate)


def built(language: str, target: str, home: Home, work: Path) -> Client:
    """A program, built by the command of the page against what its target has now."""
    place = Path(shutil.copytree(PROGRAMS / language.lower(), work / language / target))
    path, env = place / "client", home.environment(target)
    if language == "Go":
        env |= {"GOCACHE": str(work / "go")}
    elif language == "Rust":
        buildtools.rust_sources()
        (place / "libraries").mkdir()
        (place / "libraries/libunwind.a").write_text("INPUT(-lgcc_eh find.o)\n")
        (place / "find.c").write_text(FIND)
        sh('"$CC" -c find.c -o libraries/find.o', place, env)
        path = place / f"target/{env['CARGO_BUILD_TARGET']}/debug/client"
        env |= RUST
    sh(BUILDS[language], place, env)
    return Client(language=language, target=target, path=path, home=home)


def sh(command: str, cwd: Path, env: Mapping[str, str]) -> None:
    done = subprocess.run(["sh", "-euc", command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest, user: Home) -> str:
    """A target that has openssl."""
    user.well("add", request.param, "openssl", "--jobs", "2")
    return str(request.param)


@pytest.fixture(scope="module", params=BUILDS)
def client(
    request: pytest.FixtureRequest,
    target: str,
    user: Home,
    tmp_path_factory: pytest.TempPathFactory,
) -> Client:
    return built(request.param, target, user, tmp_path_factory.mktemp("clients"))


@dataclass
class Server:
    """Answers one line of one client."""

    certificate: Path
    version: ssl.TLSVersion
    port: int = 0
    seen: list[str] = field(default_factory=list)
    """Protocol, cipher and line, or the word for why there was none."""

    def serve(self, listening: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        context.minimum_version = context.maximum_version = self.version
        plain, _ = listening.accept()
        plain.settimeout(60)
        try:
            with context.wrap_socket(plain, server_side=True) as tls:
                line = tls.recv(100).decode()
                self.seen += [str(tls.version()), (tls.cipher() or ("none",))[0], line.strip()]
                tls.sendall(f"you said {line}".encode())
        except ssl.SSLError as error:
            self.seen.append(error.reason)


@contextmanager
def serving(certificate: Path, version: ssl.TLSVersion) -> Iterator[Server]:
    server = Server(certificate, version)
    with socket.create_server((HERE, 0)) as listening:
        listening.settimeout(60)
        server.port = listening.getsockname()[1]
        thread = threading.Thread(target=server.serve, args=(listening,))
        thread.start()
        yield server
        thread.join()


def certificate(place: Path, address: str = HERE) -> tuple[Path, Path]:
    """A server's file, and its certificate alone, for those who trust it."""
    place.mkdir(parents=True)
    whole = certificates.made(place, address)
    key, line, rest = whole.read_text().partition("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE KEY" in key
    alone = place / "trusted.pem"
    alone.write_text(line + rest)
    return whole, alone


def check(client: Client, work: Path, version: ssl.TLSVersion, library: str) -> None:
    """Let the program talk to a server, and look at all that it says."""
    whole, alone = certificate(work / "right")
    with serving(whole, version) as server:
        done = client(server.port, alone)
    assert done.code == 0, done.out + done.err
    protocol, cipher, line = server.seen
    packed = AESGCM(KEY).encrypt(IV, TEXT, MORE).hex()
    assert line == f"hello from {client.language}"
    name, *said = done.out.splitlines()
    assert name.startswith(library)
    assert said == [
        f"sha256 {hashlib.sha256(b'abc').hexdigest()}",
        f"aes-256-gcm {packed.removesuffix(TAG)}",
        f"tag {TAG}",
        f"{protocol} {cipher} you said {line}",
    ]
    assert protocol.replace(".", "_") == version.name


def test_the_page_shows_what_is_run_here() -> None:
    text = PAGE.read_text("utf-8")
    assert all(command in text for command in BUILDS.values())


def test_either_library_serves_what_needs_one() -> None:
    for name in ("curl", "librdkafka"):
        plain = choice.resolved([choice.wish(name)])
        assert "openssl" in {one.name for one in plain}
        swapped = choice.resolved([choice.wish(name), choice.wish("libressl")])
        assert {"openssl", "libressl"} & {one.name for one in swapped} == {"libressl"}


@pytest.mark.parametrize("others", [(), ("curl",), ("librdkafka", "zlib")])
def test_the_one_that_is_there_is_to_be_removed(others: tuple[str, ...]) -> None:
    for there, more in (("openssl", "libressl"), ("libressl", "openssl")):
        before = [choice.wish(name) for name in (*others, there)]
        with pytest.raises(InputError, match="libressl and openssl exclude each other") as caught:
            choice.resolved(choice.added(before, [choice.wish(more)]))
        assert caught.value.hint == f"keep one of them: toolman remove TARGET {there}"


@pytest.mark.slow
def test_it_is_a_static_program_of_its_target(client: Client) -> None:
    report = elf.inspect(client.path)
    assert str(report.machine) == TARGETS[client.target]
    assert report.linkage.removesuffix("-pie") == "static"


@pytest.mark.slow
@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda one: one.name
)
def test_it_talks_to_a_server(client: Client, tmp_path: Path, version: ssl.TLSVersion) -> None:
    check(client, tmp_path, version, "OpenSSL 3.5.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "trusts", "why"),
    [
        pytest.param(HERE, "another", "self-signed certificate", id="unknown"),
        pytest.param("127.0.0.2", "this", "IP address mismatch", id="of another address"),
    ],
)
def test_it_refuses_a_server(
    client: Client, tmp_path: Path, address: str, trusts: str, why: str
) -> None:
    whole, alone = certificate(tmp_path / "this", address)
    if trusts == "another":
        _, alone = certificate(tmp_path / "another", address)
    with serving(whole, ssl.TLSVersion.TLSv1_3) as server:
        done = client(server.port, alone)
    assert done.code == REFUSED, done.out + done.err
    assert done.out.splitlines()[-1] == f"refused: {why}"
    assert len(server.seen) == 1
    assert "ALERT" in server.seen[0]


@pytest.mark.slow
def test_libressl_takes_its_place(target: str, user: Home, tmp_path: Path) -> None:
    done = user("add", target, "libressl")
    assert done.code == 2
    assert "libressl and openssl exclude each other: they have the same headers" in done.err
    assert "keep one of them: toolman remove TARGET openssl" in done.err
    user.well("remove", target, "openssl")
    try:
        done = user("add", target, "libressl", "--jobs", "2")
        if done.code == 3 and "cannot get libressl" in done.err:
            pytest.xfail(f"LibreSSL's sources cannot be had here: {done.err}")
        assert done.code == 0, done.err
        for language in BUILDS:
            client = built(language, target, user, tmp_path / "clients")
            check(client, tmp_path / language, ssl.TLSVersion.TLSv1_3, "LibreSSL 4.2.")
    finally:
        user("remove", target, "--all")
        user.well("add", target, "openssl")
