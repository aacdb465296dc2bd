"""Downloads that are broken off and gone on with: after failures, kills, and by other mirrors."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

import archive
import pytest
from conftest import CHECKOUT

from toolman import fetch, partial
from toolman.errors import IntegrityError
from toolman.fetch import Download

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from archive import Server

    Reply = Callable[[archive._Handler, bytes | None], None]

CONTENT = bytes(range(256)) * 2000
SIZE = len(CONTENT)
HALF = SIZE // 2
DIGEST = hashlib.sha256(CONTENT).hexdigest()
GO_ON = f"bytes={HALF}-{SIZE - 1}"
WRONG = CONTENT[::-1]


pytestmark = pytest.mark.usefixtures("hurry")


@dataclass(frozen=True)
class Files:
    """What a server serves, in place of a whole archive."""

    directory: Path


class Script:
    """Answers in turn; the last one again and again. Keeps what was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.ranges: list[str | None] = []
        self.validators: list[str | None] = []

    def __call__(self, handler: archive._Handler, content: bytes | None) -> None:
        self.ranges.append(handler.headers.get("Range"))
        self.validators.append(handler.headers.get("If-Range"))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        reply(handler, content)


def part_of(content: bytes, *, status: int = 200, most: int | None = None, **headers: str) -> Reply:
    """That content with those headers; the connection breaks after `most` bytes."""

    def reply(handler: archive._Handler, _: bytes | None) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content[:most])
        handler.close_connection = most is not None

    return reply


def ranged(handler: archive._Handler, content: bytes | None) -> None:
    """As a good server: the range that is asked for, if the file is the same still."""
    assert content is not None
    asked = handler.headers.get("Range")
    etag = '"now"'
    if asked is None or handler.headers.get("If-Range", etag) != etag:
        part_of(content, ETag=etag)(handler, None)
        return
    first, _, last = asked.removeprefix("bytes=").partition("-")
    end = int(last) if last else len(content) - 1
    said = f"bytes {first}-{end}/{len(content)}"
    part_of(content[int(first) : end + 1], status=206, Content_Range=said, ETag=etag)(handler, None)


def stalled(handler: archive._Handler, content: bytes | None) -> None:
    """Half of it, and then nothing until who asked is gone."""
    assert content
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[:HALF])
    handler.wfile.flush()
    handler.rfile.read(1)
    handler.close_connection = True


CUT = part_of(CONTENT, most=HALF)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    directory = tmp_path / "served"
    directory.mkdir()
    for name in ("good", "other"):
        (directory / name).write_bytes(CONTENT)
    for name in ("wrong", "wrong-too"):
        (directory / name).write_bytes(WRONG)
    with archive.serve(Files(directory)) as server:
        server.rules["other"] = server.rules["wrong"] = ranged
        yield server


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache/digest"


def scripted(server: Server, *replies: Reply) -> Script:
    script = server.rules["good"] = Script(*replies)
    return script


def wanted(server: Server, place: Path, *names: str) -> Download:
    urls = tuple(f"{server.url}/{name}" for name in names)
    return Download(name="gcc", urls=urls, sha256=DIGEST, size=SIZE, path=place)


def get(download: Download) -> list[int]:
    """Fetch it; what was told."""
    told: list[int] = []
    assert fetch.fetch([download], told.append) == {}
    assert download.path.read_bytes() == CONTENT
    assert left(download.path) == ["digest"]
    assert sum(told) == SIZE
    return told


def left(place: Path) -> list[str]:
    return sorted(path.name for path in place.parent.iterdir())


def begun(place: Path, content: bytes = CONTENT[:HALF], **changes: object) -> None:
    """What a killed process left."""
    place.parent.mkdir(exist_ok=True)
    place.with_name("digest.part").write_bytes(content)
    note = {"sha256": DIGEST, "url": "http://elsewhere/good", "etag": None} | changes
    place.with_name("digest.part.json").write_text(json.dumps(note))


# One mirror


def test_what_breaks_off_is_gone_on_with(server: Server, place: Path) -> None:
    script = scripted(server, CUT, ranged)
    get(wanted(server, place, "good"))
    assert script.ranges == [None, GO_ON]


def test_it_may_break_off_often(server: Server, place: Path) -> None:
    def little(handler: archive._Handler, content: bytes | None) -> None:
        first = int(handler.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        said = f"bytes {first}-{SIZE - 1}/{SIZE}"
        status = 206 if first else 200
        part_of(CONTENT[first:], status=status, most=SIZE // 5 + 1, Content_Range=said)(
            handler, None
        )

    script = scripted(server, little)
    get(wanted(server, place, "good"))
    assert len(script.ranges) == 5


def test_the_next_call_goes_on(
    server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_RETRIES", 0)
    script = scripted(server, CUT, ranged)
    told: list[int] = []
    troubles = fetch.fetch([wanted(server, place, "good")], told.append)
    assert "peer closed connection" in str(troubles["gcc"])
    assert sum(told) == 0
    assert left(place) == ["digest.part", "digest.part.json"]
    assert get(wanted(server, place, "good"))[0] == HALF
    assert script.ranges == [None, GO_ON]


def test_a_size_that_is_not_known_is_asked_for_openly(server: Server, place: Path) -> None:
    script = scripted(server, CUT, ranged)
    get(replace(wanted(server, place, "good"), size=None))
    assert script.ranges == [None, f"bytes={HALF}-"]


def test_a_server_that_knows_no_ranges_is_heard_from_the_start(server: Server, place: Path) -> None:
    script = scripted(server, CUT, archive.whole)
    told = get(wanted(server, place, "good"))
    assert script.ranges == [None, GO_ON]
    assert -HALF in told


@pytest.mark.parametrize(
    "said",
    [
        "",
        "bytes",
        f"bytes 0-{SIZE - 1}/{SIZE}",
        f"bytes {HALF - 1}-{SIZE - 1}/{SIZE}",
        f"bytes {HALF}-{SIZE - 2}/{SIZE}",
        f"bytes {HALF}-{SIZE}/{SIZE + 1}",
        f"bytes {HALF}-{SIZE - 1}/*",
        f"bytes {HALF}-{'9' * 5000}/{'9' * 5000}",
    ],
)
def test_a_wrong_range_is_not_taken(server: Server, place: Path, said: str) -> None:
    # Its bytes would be the right ones, so that only what it says of them is wrong.
    reply = part_of(CONTENT[HALF:], status=206, Content_Range=said)
    script = scripted(server, CUT, reply, archive.whole)
    get(wanted(server, place, "good"))
    assert script.ranges == [None, GO_ON, None]


def test_a_range_that_nobody_asked_for_is_not_taken(server: Server, place: Path) -> None:
    said = f"bytes 0-{SIZE - 1}/{SIZE}"
    scripted(server, part_of(CONTENT, status=206, Content_Range=said))
    troubles = fetch.fetch([wanted(server, place, "good")], lambda _: None)
    assert "206 Partial Content" in str(troubles["gcc"])


def test_a_range_that_cannot_be_had_is_asked_from_the_start(server: Server, place: Path) -> None:
    script = scripted(server, CUT, archive.fail(416), archive.whole)
    get(wanted(server, place, "good"))
    assert script.ranges == [None, GO_ON, None]


def test_a_server_that_always_says_416_is_left(server: Server, place: Path) -> None:
    begun(place)
    script = scripted(server, archive.fail(416))
    get(wanted(server, place, "good", "other"))
    assert script.ranges == [GO_ON, None]


def test_a_page_in_place_of_the_rest_costs_nothing(server: Server, place: Path) -> None:
    begun(place)
    scripted(server, archive.text("<html>log in here</html>"))
    script = server.rules["other"] = Script(ranged)
    assert all(step > 0 for step in get(wanted(server, place, "good", "other")))
    assert script.ranges == [GO_ON]


@pytest.mark.parametrize(
    ("etag", "validator"),
    [('"now"', '"now"'), ('"then"', '"then"'), ('W/"now"', None), ("now", None), ('"\xe4"', None)],
)
def test_a_strong_etag_has_to_be_the_same(
    server: Server, place: Path, etag: str, validator: str | None
) -> None:
    script = scripted(server, part_of(CONTENT, most=HALF, ETag=etag), ranged)
    told = get(wanted(server, place, "good"))
    assert script.validators == [None, validator]
    assert (-HALF in told) == (etag == '"then"')


# Several mirrors


def test_another_mirror_goes_on(server: Server, place: Path) -> None:
    scripted(server, part_of(CONTENT, most=HALF, ETag='"its own"'))
    other = server.rules["other"] = Script(ranged)
    get(wanted(server, place, "good", "other"))
    assert (other.ranges, other.validators) == ([GO_ON], [None])
    assert server.seen == ["good", "other"]


def test_a_file_goes_on_too(server: Server, place: Path, tmp_path: Path) -> None:
    begun(place)
    download = replace(wanted(server, place, "good"), urls=((tmp_path / "served/good").as_uri(),))
    assert get(download)[:2] == [HALF, 65536]


def test_a_mixed_part_accuses_no_innocent(server: Server, place: Path) -> None:
    # The first one gives wrong bytes and breaks off; the second gives the rest of the right ones.
    scripted(server, part_of(WRONG, most=HALF))
    other = server.rules["other"] = Script(ranged)
    get(wanted(server, place, "good", "other"))
    assert other.ranges == [GO_ON, None]


def test_who_gives_all_of_it_wrong_is_accused(server: Server, place: Path) -> None:
    scripted(server, CUT)
    wrong = server.rules["wrong"] = Script(ranged)
    with pytest.raises(IntegrityError, match="/wrong is not what is pinned for gcc: sha256"):
        fetch.fetch([wanted(server, place, "good", "wrong")], lambda _: None)
    assert wrong.ranges == [GO_ON, None]
    assert left(place) == []


def test_of_equal_mirrors_the_wrong_ones_are_named(server: Server, place: Path) -> None:
    scripted(server, archive.fail(404))
    download = replace(wanted(server, place, "wrong", "good", "wrong-too"), mirrors=True)
    with pytest.raises(IntegrityError) as caught:
        fetch.fetch([download], lambda _: None)
    assert str(caught.value).count(" is not what is pinned for gcc") == 2
    assert f"{server.url}/wrong-too is not" in str(caught.value)
    assert "404 Not Found" in str(caught.value)
    said: list[str] = []
    download = replace(wanted(server, place, "wrong", "other"), mirrors=True)
    told: list[int] = []
    assert fetch.fetch([download], told.append, said.append) == {}
    assert [line.partition(" is not")[0] for line in said] == [f"warning: {server.url}/wrong"]
    assert sum(told) == SIZE


# What is left from before


def test_what_is_left_damaged_is_begun_anew(server: Server, place: Path) -> None:
    begun(place, WRONG[:HALF])
    script = scripted(server, ranged)
    get(wanted(server, place, "good"))
    assert script.ranges == [GO_ON, None]


@pytest.mark.parametrize(
    "note",
    [b"", b"[1]", b"\xff", b"null", b'{"sha256": "00", "url": "u", "etag": null}', b"[" * 9999]
    + [json.dumps({"sha256": DIGEST, "url": "u", "etag": etag}).encode() for etag in (7, ["a"])],
)
def test_what_nobody_knows_is_begun_anew(server: Server, place: Path, note: bytes) -> None:
    begun(place)
    place.with_name("digest.part.json").write_bytes(note)
    script = scripted(server, ranged)
    get(wanted(server, place, "good"))
    assert script.ranges == [None]


@pytest.mark.parametrize("etag", ['"a"\r\nX-Evil: b', "a", "", '"\u1234"'])
def test_a_validator_is_not_believed(server: Server, place: Path, etag: object) -> None:
    begun(place, url=f"{server.url}/good", etag=etag)
    script = scripted(server, ranged)
    get(wanted(server, place, "good"))
    assert (script.ranges, script.validators) == ([GO_ON], [None])


@pytest.mark.parametrize("content", [CONTENT + b"x", WRONG])
def test_what_is_too_long_or_wrong_is_begun_anew(
    server: Server, place: Path, content: bytes
) -> None:
    begun(place, content)
    script = scripted(server, ranged)
    get(wanted(server, place, "good"))
    assert script.ranges == [None]


@pytest.mark.parametrize("size", [SIZE, None])
def test_what_is_whole_needs_no_server(server: Server, place: Path, size: int | None) -> None:
    begun(place, CONTENT)
    get(replace(wanted(server, place, "good"), size=size))
    assert server.seen == []


def test_what_is_there_needs_no_server(server: Server, place: Path) -> None:
    begun(place)
    place.write_bytes(CONTENT)
    get(wanted(server, place, "good"))
    assert server.seen == []


# Several processes

PROGRAM = """
import pathlib, resource, sys
from toolman import fetch
url, sha256, size, path, limit = sys.argv[1:]
print(flush=True)
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
wanted = fetch.Download(
    name="gcc", urls=(url,), sha256=sha256, size=int(size), path=pathlib.Path(path)
)
troubles = fetch.fetch([wanted], lambda _: None)
sys.exit("".join(map(str, troubles.values())) or None)
"""


def start(server: Server, place: Path, *, limit: int = 0) -> subprocess.Popen[str]:
    words = [f"{server.url}/good", DIGEST, str(SIZE), str(place), str(limit)]
    environ = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-c", PROGRAM, *words]
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    process.stdout.readline()  # it is about to begin
    return process


def kill_in_the_middle(process: subprocess.Popen[str], place: Path) -> None:
    part = place.with_name("digest.part")
    archive.wait_for(lambda: part.exists() and part.stat().st_size == HALF, "a half", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_after_a_kill_the_next_call_goes_on(server: Server, place: Path) -> None:
    script = scripted(server, stalled, ranged)
    kill_in_the_middle(start(server, place), place)
    assert left(place) == ["digest.part", "digest.part.json"]
    assert get(wanted(server, place, "good"))[0] == HALF
    assert script.ranges == [None, GO_ON]


def test_who_waits_goes_on_with_what_a_killed_one_left(server: Server, place: Path) -> None:
    script = scripted(server, stalled, ranged)
    first = start(server, place)
    part = place.with_name("digest.part")
    archive.wait_for(lambda: part.exists() and part.stat().st_size == HALF, "a half", first)
    second = start(server, place)
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.3)
    kill_in_the_middle(first, place)
    assert second.communicate()[1] == ""
    assert place.read_bytes() == CONTENT
    assert script.ranges == [None, GO_ON]
    assert left(place) == ["digest"]


def test_of_several_at_once_one_fetches(server: Server, place: Path) -> None:
    all_begun = threading.Event()
    script = scripted(server, archive.after(lambda: all_begun.wait(30)))
    processes = [start(server, place) for _ in range(3)]
    with pytest.raises(subprocess.TimeoutExpired):
        processes[2].wait(0.3)
    all_begun.set()
    assert [one.communicate()[1] for one in processes] == ["", "", ""]
    assert place.read_bytes() == CONTENT
    assert script.ranges == [None]
    assert left(place) == ["digest"]


def test_one_call_may_want_a_file_twice(server: Server, place: Path) -> None:
    script = scripted(server, archive.whole)
    twice = [replace(wanted(server, place, "good"), name=name) for name in "ab"]
    told: list[int] = []
    assert fetch.fetch(twice, told.append) == {}
    assert sum(told) == 2 * SIZE
    assert script.ranges == [None]


def test_a_part_that_is_finished_meanwhile_is_not_written_to(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.parent.mkdir()
    flock = fcntl.flock

    def late(file: IO[bytes], how: int) -> None:
        """Between the opening of the part and its lock, another process makes an end."""
        if not place.exists():
            place.with_name("digest.part").replace(place)
            place.write_bytes(CONTENT)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    waits: list[None] = []
    with partial.held(place, DIGEST, lambda: waits.append(None)) as part:
        part.write(WRONG)
        assert place.read_bytes() == CONTENT
    assert waits == [None]


def test_a_full_disk_keeps_nothing(server: Server, place: Path) -> None:
    scripted(server, archive.whole)
    process = start(server, place, limit=HALF)
    _, said = process.communicate()
    assert process.returncode == 1
    assert os.strerror(errno.EFBIG) in said
    assert left(place) == []
