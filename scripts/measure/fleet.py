#!/usr/bin/env python3
"""A fleet of runners that install from one place with a cache before it: requests, bytes, time.

    .venv/bin/python scripts/measure/fleet.py ARCHIVE --clients 1000

ARCHIVE is one of `toolman pack`. Every client is toolman's own code with a home of its own; the
cache is nginx, the places are a static server and Debian's docker-registry. What is counted
stands in nginx's log. docs/scale.md tells what came out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests")]

import dockerregistry  # type: ignore[import-not-found] # noqa: E402
import tools  # type: ignore[import-not-found] # noqa: E402

from toolman import fetch, index  # noqa: E402
from toolman.context import Context  # noqa: E402
from toolman.host import Host  # noqa: E402
from toolman.paths import Paths  # noqa: E402
from toolman.report import Silent  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_NGINX = """\
{user}
daemon off;
worker_processes 1;
pid {place}/pid;
error_log {place}/error.log;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    proxy_cache_path {place}/cache keys_zone=all:8m max_size=4g inactive=1d use_temp_path=off;
    log_format counted '$request_method $uri $status $bytes_sent $upstream_cache_status'
                       ' $upstream_bytes_received';
    access_log {place}/access.log counted;
    sendfile on;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache all;
            proxy_cache_lock on;
            {rules}
        }}
    }}
}}
"""
# The server says of its files how long they last; that there is no newer root lasts a minute.
_STATIC_RULES = "proxy_cache_valid 404 1m;"
# The registry says nothing of how long something lasts: blobs for ever, tags a minute.
_REGISTRY_RULES = "proxy_cache_valid 200 1m; proxy_cache_valid 404 1m;"
_KINDS = {
    "timestamp": r".*/metadata/timestamp\.json",
    "newer root": r".*/metadata/\d+\.root\.json",
    "other metadata": r".*/metadata/\d+\.\w+\.json",
    "index": r".*/targets/\w+\.index\.json",
    "manifest": r"/v2/.*/manifests/.*",
    "archive": r".*/blobs/.*",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A request, as the cache has logged it."""

    kind: str
    sent: int
    """Bytes to the client, the head included."""
    received: int
    """Bytes from the place behind; 0 if the cache had it."""
    asked: bool
    """Whether the place behind was asked."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Clients in a directory, each with a home of its own."""

    place: Path
    url: str
    root: bytes
    clients: int


def main() -> None:
    """Measure both places, and print what came out as JSON."""
    parser = argparse.ArgumentParser(description="A fleet of runners, and what it costs.")
    parser.add_argument("archive", type=Path)
    parser.add_argument("--clients", type=int, default=1000, metavar="N")
    parser.add_argument("--runners", type=int, default=5, metavar="N", help="installs to time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="toolman-fleet-") as name:
        place = Path(name)
        repository = _publish(options.archive.resolve(), place)
        found: dict[str, object] = {"load": os.getloadavg()[0], "clients": options.clients}
        for kind, served in (("static", _static), ("registry", _registry)):
            (place / kind).mkdir()
            with served(repository, place / kind) as (url, log):
                fleet = Fleet(
                    place=place / kind,
                    url=url,
                    root=(repository / "metadata/1.root.json").read_bytes(),
                    clients=options.clients,
                )
                found[kind] = _measured(fleet, log, options.runners)
        print(json.dumps(found, indent=1))


def _measured(fleet: Fleet, log: Path, runners: int) -> dict[str, object]:
    waves = {"cold": _cold, "within the hour": _warm, "after an hour": _later}
    found: dict[str, object] = {}
    for name, work in waves.items():
        before, begin = len(_lines(log)), time.perf_counter()
        _every(fleet, work)
        seconds = time.perf_counter() - begin
        time.sleep(0.2)  # until nginx has written its log
        found[name] = {"seconds": round(seconds, 1), **_counted(_lines(log)[before:], fleet)}
    found["one runner"] = _runners(fleet, runners)
    return found


def _counted(lines: Sequence[Line], fleet: Fleet) -> dict[str, object]:
    kinds = Counter(one.kind for one in lines)
    return {
        "requests a client": {kind: round(n / fleet.clients, 3) for kind, n in kinds.items()},
        "bytes a client, without archive": round(
            sum(one.sent for one in lines if one.kind != "archive") / fleet.clients
        ),
        "bytes to the clients": sum(one.sent for one in lines),
        "requests behind the cache": dict(Counter(one.kind for one in lines if one.asked)),
        "bytes behind the cache": sum(one.received for one in lines),
    }


# Clients


def _every(fleet: Fleet, work: Callable[[tuple[Fleet, int]], None]) -> None:
    with multiprocessing.Pool(8) as pool:
        for _ in pool.imap_unordered(work, [(fleet, one) for one in range(fleet.clients)]):
            pass


def _cold(task: tuple[Fleet, int]) -> None:
    """Somebody whose machine has nothing."""
    fleet, number = task
    ctx = _context(fleet, number)
    one = index.add("corp", [fleet.url], fleet.root, ctx)
    _fetch(one, ctx)


def _warm(task: tuple[Fleet, int]) -> None:
    """The same, somewhat later; the archive is in the cache that the runner kept."""
    ctx = _context(*task)
    one = index.find("corp", ctx)
    (archive,) = index.archives(one, ctx).archives
    assert (ctx.paths.cache / "sha256" / archive.sha256).exists()


def _later(task: tuple[Fleet, int]) -> None:
    """The same, when the index has to be asked again."""
    ctx = _context(*task)
    index.refresh(index.find("corp", ctx), ctx)


def _context(fleet: Fleet, number: int) -> Context:
    place, host = fleet.place / f"client-{number}", Host.current()
    paths = Paths(data=place / "home" / host.key, cache=place / "cache")
    return Context(host=host, paths=paths, environ={}, reporter=Silent())


def _fetch(one: index.Index, ctx: Context) -> None:
    (archive,) = index.archives(one, ctx).archives
    place = ctx.paths.cache / "sha256" / archive.sha256
    wanted = fetch.Download(
        name="archive",
        urls=index.blob_urls(one, archive),
        sha256=archive.sha256,
        size=archive.size,
        path=place,
        mirrors=True,
    )
    assert fetch.fetch([wanted], lambda _: None) == {}
    place.write_bytes(b"")  # a thousand of them would fill the disk


def _runners(fleet: Fleet, number: int) -> dict[str, object]:
    """Median seconds by the clock and of processors, of real commands one after the other."""
    times: dict[str, list[tuple[float, float]]] = {}
    for one in range(number):
        place = fleet.place / f"runner-{one}"
        place.mkdir()
        (place / "root.json").write_bytes(fleet.root)
        own = {"TOOLMAN_HOME": str(place / "home"), "TOOLMAN_CACHE": str(place / "cache")}
        install = ["install", "-q", "arm64-musl", "--origin", "prebuilt"]
        for name, words in (
            ("index add", ["index", "add", "-q", "corp", fleet.url, "--root", "root.json"]),
            ("install, nothing there", install),
            ("install, nothing to do", install),
            ("", ["uninstall", "-q", "arm64-musl"]),
            ("install, archive in the cache", install),
        ):
            taken = _timed(words, place, own)
            times.setdefault(name, []).append(taken)
    del times[""]
    return {
        name: {
            "seconds": round(median(clock for clock, _ in some), 2),
            "processor": round(median(used for _, used in some), 2),
        }
        for name, some in times.items()
    }


def _timed(words: Sequence[str], cwd: Path, own: Mapping[str, str]) -> tuple[float, float]:
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "toolman", *words]
    environ = {**os.environ, "PYTHONPATH": str(CHECKOUT), **own}
    subprocess.run(command, cwd=cwd, env=environ, check=True)
    taken = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return taken, used


# Places


def _publish(archive: Path, place: Path) -> Path:
    keys = ["--keys", str(place / "keys")]
    own = {"TOOLMAN_HOME": str(place / "publisher")}
    for words in (["init"], ["add", str(archive)]):
        action, *files = words
        _timed(["publish", action, "-q", str(place / "repository"), *files, *keys], place, own)
    return place / "repository"


@contextmanager
def _static(repository: Path, place: Path) -> Iterator[tuple[str, Path]]:
    server = Path(__file__).with_name("server.py")
    words = [sys.executable, str(server), str(repository)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = process.stdout.readline().strip()
        try:
            with _cache(place, f"http://127.0.0.1:{port}", _STATIC_RULES) as (host, log):
                yield f"http://{host}", log
        finally:
            process.terminate()


@contextmanager
def _registry(repository: Path, place: Path) -> Iterator[tuple[str, Path]]:
    with dockerregistry.serving(place / "registry") as behind:
        own = {"TOOLMAN_HOME": str(place / "publisher")}
        _timed(["publish", "push", "-q", str(repository), f"oci://{behind}/team/t"], place, own)
        with _cache(place, f"http://{behind}", _REGISTRY_RULES) as (host, log):
            yield f"oci://{host}/team/t", log


@contextmanager
def _cache(place: Path, upstream: str, rules: str) -> Iterator[tuple[str, Path]]:
    """nginx before `upstream`; its host and port, and its log."""
    place = place / "nginx"
    place.mkdir()
    port = _free_port()
    user = "user root root;" if os.getuid() == 0 else ""
    text = _NGINX.format(user=user, place=place, port=port, upstream=upstream, rules=rules)
    (place / "nginx.conf").write_text(text)
    words = [tools.find("nginx"), "-p", place, "-c", place / "nginx.conf", "-e", "stderr"]
    with subprocess.Popen(words) as process:
        try:
            _wait(port, process)
            yield f"127.0.0.1:{port}", place / "access.log"
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1000):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise SystemExit("error: nginx does not answer")


def _lines(log: Path) -> list[Line]:
    return [_line(text) for text in log.read_text().splitlines()]


def _line(text: str) -> Line:
    _, uri, _, sent, status, received = text.split(" ", 5)
    kind = next((name for name, path in _KINDS.items() if re.fullmatch(path, uri)), "other")
    asked = status not in ("HIT", "-")
    return Line(kind=kind, sent=int(sent), received=int(received) if asked else 0, asked=asked)


if __name__ == "__main__":
    main()
