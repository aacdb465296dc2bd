"""A small Debian archive, served over a real socket, and a machine that installs from it.

The packages have the names and the layout of the real ones; real apt-get and dpkg-deb handle
them. Only the compiler is a fake: a script that answers what toolman asks, and whose programs
are ELF headers.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolman import publish, store
from toolman.host import Host
from toolman.paths import Paths
from toolman.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

CHECKOUT = Path(__file__).parents[1]
HOST = Host.current()
NATIVE = HOST.platform.debian
SUITE = HOST.codename or "sid"
VERSION = "12.2.0-1"
PATIENCE = 60.0  # seconds; more than any step here takes

# `e_machine` of ELF as the two octal escapes of `printf`, by the compiler's triple.
MACHINES = {"aarch64-linux-gnu": r"\267\000", "riscv64-linux-gnu": r"\363\000"}
ARCHITECTURES = {"aarch64-linux-gnu": "arm64", "riscv64-linux-gnu": "riscv64"}

_GCC = r"""#!/bin/sh
case $1 in
-dumpspecs) printf '*link:\n\n' ;;
-dumpfullversion) echo 12.2.0 ;;
-dumpmachine) echo @TRIPLE@ ;;
-print-sysroot) ;;
*)
    while [ "$1" != -o ]; do shift; done
    {
        printf '\177ELF\002\001\001'
        head -c 9 /dev/zero
        printf '\002\000@MACHINE@\001\000\000\000'
        head -c 40 /dev/zero
    } >"$2" && chmod +x "$2"
    ;;
esac
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Package:
    """A package: what its control file says, and its files. A text that begins with `->` is
    a symlink."""

    name: str
    files: Mapping[str, str]
    architecture: str = "all"
    depends: str = ""
    version: str = VERSION

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version}_{self.architecture}.deb"


def packages(machines: Mapping[str, str] = MACHINES, weight: int = 0) -> list[Package]:
    """What arm64-musl, arm64-gnu and riscv64-gnu take.

    `machines` says for which machine the compilers make programs; `weight` is the size in bytes
    of a file in each compiler's package that compresses to nothing.
    """
    patchelf = {"usr/bin/patchelf": "#!/bin/sh\n"}
    found = [Package(name="patchelf", architecture=str(NATIVE), files=patchelf)]
    for triple, debian in ARCHITECTURES.items():
        found += _cross(triple, debian, machines[triple], weight)
    return found + _musl("aarch64-linux-musl", "arm64")


def compiler(triple: str, machine: str | None = None) -> str:
    """The fake GCC, for `machine` or for that of `triple`."""
    return _GCC.replace("@TRIPLE@", triple).replace("@MACHINE@", machine or MACHINES[triple])


def _cross(triple: str, debian: str, machine: str, weight: int) -> list[Package]:
    gcc = compiler(triple, machine)
    parts = f"usr/lib/gcc-cross/{triple}/12"
    tool = "#!/bin/sh\nexit 0\n"
    native = str(NATIVE)
    return [
        Package(
            name=f"gcc-{triple}",
            architecture=native,
            depends=f"gcc-12-{triple}",
            files={f"usr/bin/{triple}-gcc": f"->{triple}-gcc-12"},
        ),
        Package(
            name=f"gcc-12-{triple}",
            architecture=native,
            depends=f"binutils-{triple}",
            files={
                f"usr/bin/{triple}-gcc-12": gcc,
                f"{parts}/libgcc.a": "!<arch>\n",
                f"{parts}/include/stddef.h": "#define GCC 1\n",
                f"{parts}/include/arm_neon.h": "\n",
                f"{parts}/cc1": "\0" * weight,
            },
        ),
        Package(
            name=f"binutils-{triple}",
            architecture=native,
            files={f"usr/bin/{triple}-{name}": tool for name in ("ar", "as", "ld", "nm")},
        ),
        Package(
            name=f"linux-libc-dev-{debian}-cross",
            files={f"usr/{triple}/include/linux/version.h": "#define LINUX 6\n"},
        ),
        Package(
            name=f"libc6-dev-{debian}-cross",
            depends=f"linux-libc-dev-{debian}-cross",
            files={f"usr/{triple}/lib/libc.so": f"GROUP ( /usr/{triple}/lib/libc.so.6 )\n"},
        ),
    ]


def _musl(triple: str, debian: str) -> list[Package]:
    loader = f"lib/ld-musl-{triple.split('-')[0]}.so.1"
    return [
        Package(
            name="musl-dev",
            architecture=debian,
            depends="musl",
            files={
                f"usr/lib/{triple}/libc.a": "!<arch>\n",
                f"usr/include/{triple}/stdio.h": "int puts(const char *);\n",
                f"usr/include/{triple}/stddef.h": "#define MUSL 1\n",
            },
        ),
        Package(
            name="musl",
            architecture=debian,
            files={
                f"usr/lib/{triple}/libc.so": "\177ELF\n",
                loader: f"->/usr/lib/{triple}/libc.so",
            },
        ),
    ]


class Archive:
    """An archive in a directory: `packages`, the lists of them, and the lists' digests."""

    def __init__(self, directory: Path, found: Sequence[Package]) -> None:
        self.directory = directory
        self.rows: dict[Package, Path] = {}
        for one in found:
            self.add(one)
        self.write_lists()

    def add(self, package: Package) -> Path:
        path = self.directory / "pool" / package.file
        path.parent.mkdir(parents=True, exist_ok=True)
        _build(package, path)
        self.rows[package] = path
        return path

    def remove(self, name: str) -> None:
        for package in [one for one in self.rows if one.name == name]:
            self.rows.pop(package).unlink()

    def write_lists(self) -> None:
        """The lists of each architecture, and `Release` with their digests."""
        lines = []
        for architecture in (str(NATIVE), *ARCHITECTURES.values()):
            below = f"main/binary-{architecture}/Packages"
            path = self.directory / "dists" / SUITE / below
            path.parent.mkdir(parents=True, exist_ok=True)
            text = "".join(
                _stanza(package, self.rows[package])
                for package in self.rows
                if package.architecture in (architecture, "all")
            )
            path.write_text(text)
            digest = hashlib.sha256(text.encode()).hexdigest()
            lines.append(f" {digest} {len(text.encode())} {below}")
        release = path.parents[2] / "Release"
        release.write_text(
            f"Origin: Debian\nSuite: {SUITE}\nCodename: {SUITE}\nComponents: main\n"
            f"Architectures: {NATIVE} {' '.join(ARCHITECTURES.values())}\n"
            "Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n" + "\n".join(lines) + "\n"
        )


def _build(package: Package, into: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        tree.chmod(0o755)
        for name, text in package.files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("->"):
                path.symlink_to(text[2:])
            else:
                path.write_bytes(text.encode("latin-1"))
                path.chmod(0o755 if "bin/" in name else 0o644)
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN/control").write_text(_control(package))
        words = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", scratch, str(into)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def _control(package: Package) -> str:
    depends = f"Depends: {package.depends}\n" if package.depends else ""
    return (
        f"Package: {package.name}\nVersion: {package.version}\n"
        f"Architecture: {package.architecture}\nMaintainer: nobody <nobody@example.org>\n"
        f"{depends}Description: a test\n"
    )


def _stanza(package: Package, path: Path) -> str:
    content = path.read_bytes()
    return (
        f"{_control(package)}Filename: pool/{path.name}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n"
    )


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()  # gone when pytest ends


@functools.cache
def common() -> Archive:
    """The archive that tests only read."""
    return Archive(Path(_scratch().name), packages())


def changeable(directory: Path) -> Archive:
    """The same, for a test to change."""
    made = common()
    shutil.copytree(made.directory, directory)
    copy = Archive(directory, [])
    copy.rows = {package: directory / "pool" / package.file for package in made.rows}
    copy.write_lists()
    return copy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        with self.server.guard:
            self.server.seen.append(name)
        path = self.server.archive.directory / self.path.lstrip("/")
        content = path.read_bytes() if path.is_file() else None
        rules = self.server.rules.items()
        reply = next((one for pattern, one in rules if re.search(pattern, self.path)), whole)
        reply(self, content)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Serves an archive. `rules` maps a pattern of paths to what else to do with them; `seen`
    lists the names of the files that were asked for."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, archive: Archive | Files) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.archive = archive
        self.rules: dict[str, Callable[[_Handler, bytes | None], None]] = {}
        self.seen: list[str] = []
        self.guard = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def debs_seen(self) -> list[str]:
        return sorted(name for name in self.seen if name.endswith(".deb"))

    def stop(self) -> None:
        """Serve nobody any more."""
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        pass  # clients are killed here all the time


@dataclass(frozen=True)
class Files:
    """A mere directory that a server serves, in place of a whole archive."""

    directory: Path


@contextmanager
def serve(archive: Archive | Files) -> Iterator[Server]:
    with Server(archive) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        try:
            yield server
        finally:
            kill_started()
            server.stop()
            thread.join()


# How a server answers; `content` is that of the file, None if there is none.


def whole(handler: _Handler, content: bytes | None) -> None:
    if content is None:
        fail(404)(handler, content)
        return
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def fail(code: int) -> Callable[[_Handler, bytes | None], None]:
    def reply(handler: _Handler, _: bytes | None) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


def text(said: str) -> Callable[[_Handler, bytes | None], None]:
    def reply(handler: _Handler, _: bytes | None) -> None:
        whole(handler, said.encode())

    return reply


def flipped(handler: _Handler, content: bytes | None) -> None:
    """The right size with a wrong byte in the midst."""
    assert content
    middle = len(content) // 2
    changed = bytes([content[middle] ^ 1])
    whole(handler, content[:middle] + changed + content[middle + 1 :])


def shorter(handler: _Handler, content: bytes | None) -> None:
    """Half of the file, as if it were all."""
    assert content
    whole(handler, content[: len(content) // 2])


def cut(handler: _Handler, content: bytes | None) -> None:
    """Half of what was announced; then the connection is closed."""
    assert content
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    handler.close_connection = True


def reset(handler: _Handler, _: bytes | None) -> None:
    """The connection breaks at once."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True
    handler.connection.close()


def stalled(handler: _Handler, content: bytes | None) -> None:
    """Half of the file, and then nothing for longer than apt waits."""
    assert content
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    handler.wfile.flush()
    time.sleep(3)
    handler.close_connection = True


def after(event: Callable[[], object]) -> Callable[[_Handler, bytes | None], None]:
    """The file, but `event` comes first."""

    def reply(handler: _Handler, content: bytes | None) -> None:
        event()
        whole(handler, content)

    return reply


@dataclass(frozen=True, kw_only=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error:")]


class Machine:
    """A user's machine: directories, apt's settings, and toolman."""

    def __init__(self, directory: Path, url: str, *, options: str = "[trusted=yes]") -> None:
        self.directory = directory
        self.before: tuple[str, ...] = ()
        """Words in front of every command."""
        self.settings: dict[str, str] = {}
        """Variables over those of `env`."""
        self.view: Callable[[str | Path], Path] = Path
        """Where a path of the machine is to be seen."""
        self.home = directory / "home"
        self.cache = directory / "cache"
        self.data = self.home / HOST.key
        etc = directory / "etc"
        etc.mkdir(parents=True, exist_ok=True)
        self.sources = etc / "sources.list"
        self.sources.write_text(f"deb {options} {url} {SUITE} main\n")
        self.lists = directory / "lists"
        (self.lists / "partial").mkdir(parents=True, exist_ok=True)
        self.conf = etc / "apt.conf"
        # The host's own settings would be read after this file, so it says where they are not.
        self.conf.write_text(
            f"""\
Dir::Etc "{etc}";
Dir::Etc::main "none";
Dir::Etc::parts "none";
Dir::Etc::sourcelist "{self.sources}";
Dir::Etc::sourceparts "none";
Dir::Etc::preferences "none";
Dir::Etc::preferencesparts "none";
Dir::State::lists "{self.lists}";
APT::Architecture "{NATIVE}";
Acquire::Retries::Delay "false";
Acquire::http::Timeout "1";
"""
        )

    @property
    def env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        return {
            **kept,
            "APT_CONFIG": str(self.conf),
            "TOOLMAN_HOME": str(self.home),
            "TOOLMAN_CACHE": str(self.cache),
            "PYTHONPATH": str(CHECKOUT),
            **self.settings,
        }

    def start(
        self, *words: str | Path, env: Mapping[str, str] = {}, before: Sequence[str] = ()
    ) -> subprocess.Popen[str]:
        """Start `toolman WORDS` in a process group of its own; `before` are words in front."""
        # The tests themselves may run under nohup, or in the background.
        plain = ["env", "--default-signal=HUP,INT,TERM"]
        process = subprocess.Popen(
            [*self.before, *plain, *before, sys.executable, "-m", "toolman", *map(str, words)],
            env={**self.env, **env},
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        _started.append(process)
        return process

    def toolman(
        self, *words: str | Path, env: Mapping[str, str] = {}, before: Sequence[str] = ()
    ) -> Done:
        return ended(self.start(*words, env=env, before=before))

    def install(self, *words: str, env: Mapping[str, str] = {}) -> Done:
        """Install, which must succeed."""
        done = self.toolman("install", *(words or ["arm64-musl"]), env=env)
        assert done.code == 0, done.err
        return done

    def fetch_host_lists(self) -> None:
        """Give the machine package lists, as `apt-get update` by its root would."""
        words = ["apt-get", "-q", "-o", f"Dir::Cache={self.directory / 'host-cache'}", "update"]
        subprocess.run(words, env=self.env, check=True, capture_output=True)

    def forget(self, *, cache: bool) -> None:
        """Be new again; with or without what has been downloaded."""
        store.remove_tree(self.home)
        if cache:
            store.remove_tree(self.cache)

    def make_linkable(self) -> None:
        """Give the user a toolchain of his own, in the directory `linked`."""
        gcc = self.directory / "linked/bin/aarch64-linux-gnu-gcc"
        gcc.parent.mkdir(parents=True)
        gcc.write_text(compiler("aarch64-linux-gnu"))
        gcc.chmod(0o755)

    def listed(self) -> list[dict[str, Any]]:
        done = self.toolman("list", "--json")
        assert (done.code, done.err) == (0, "")
        rows: list[dict[str, Any]] = json.loads(done.out)["toolchains"]
        return rows

    @property
    def store(self) -> Store:
        return Store(Paths(data=self.data, cache=self.cache))

    def installed(self) -> list[str]:
        """What is installed: all of it must be complete, and nothing else be left behind."""
        rows = self.listed()
        litter, entries = self.litter(), self._entries()
        assert not litter, litter
        assert entries == {Path(row["path"]).name for row in rows}, entries
        for row in rows:
            self._compile(Path(row["root"] or row["path"]), self.view(row["path"]))
        return [row["name"] for row in rows]

    def _compile(self, root: Path, entry: Path) -> None:
        source = self.directory / "program.c"
        source.write_text("int main(void) { return 0; }\n")
        tools = json.loads((entry / "toolchain.json").read_text())["tools"]
        words = [str(root / tools["gcc"]), str(source), "-o", str(source.with_suffix(""))]
        subprocess.run([*self.before, *words], check=True)

    def is_published(self) -> bool:
        """Whether shims and environment files say what the store holds."""
        return publish.is_current(self.store)

    def litter(self) -> list[str]:
        """What a command must take away at its end, or where it is killed the next one."""
        data, cache = self.view(self.data), self.view(self.cache)
        staged = {*data.glob("staging/*"), *cache.glob("staging/*")}
        temporary = {*data.glob("**/.*"), *cache.glob("**/.*")}
        temporary -= {path for path in temporary if "store" in path.parts}
        return sorted(map(str, staged | temporary))

    def _entries(self) -> set[str]:
        return {path.name for path in self.view(self.data).glob("store/*")}


_started: list[subprocess.Popen[str]] = []


def kill_started() -> None:
    """Leave nothing parked behind, if a test has failed."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            kill_group(process)
            process.communicate()


def ended(process: subprocess.Popen[str]) -> Done:
    """Wait for the end of a program."""
    out, err = process.communicate(timeout=PATIENCE)
    return Done(code=process.returncode, out=out, err=err)


def kill_group(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    """Send a signal to a program and all that it has started."""
    os.killpg(process.pid, number)


def wait_for(
    fact: Callable[[], object], what: str, process: subprocess.Popen[str] | None = None
) -> None:
    """Wait until `fact` holds; `process`, which is to bring it about, must not end before."""
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        if process and process.poll() is not None and not fact():
            raise AssertionError(f"{what} was never reached: {ended(process).err}")
        time.sleep(0.005)
