"""Downloads, from a server that behaves and from servers that do not, over real sockets."""

from __future__ import annotations

import gzip
import hashlib
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import archive
import pytest

from toolman import again, fetch, partial, web
from toolman.errors import IntegrityError, NetworkError
from toolman.fetch import Download

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archive import Server

CONTENT = bytes(range(256)) * 2000
BLOCK = b"x" * 65536


pytestmark = pytest.mark.usefixtures("hurry")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    directory = tmp_path / "served"
    directory.mkdir()
    (directory / "good").write_bytes(CONTENT)
    with archive.serve(archive.Files(directory)) as server:
        yield server


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache/sha256/digest"


def wanted(place: Path, *urls: str, size: int | None = len(CONTENT), name: str = "gcc") -> Download:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Download(name=name, urls=urls, sha256=digest, size=size, path=place)


def closed() -> str:
    """A URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return f"http://127.0.0.1:{bound.getsockname()[1]}/good"


@contextmanager
def deaf() -> Iterator[str]:
    """A URL whose host never answers, as behind a firewall: its queue is full."""
    with ExitStack() as stack:
        bound = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(bound.getsockname())
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/good"


def get(*downloads: Download) -> tuple[dict[str, NetworkError], int]:
    """Fetch; the troubles, and the bytes that were reported."""
    told: list[int] = []
    troubles = fetch.fetch(downloads, told.append)
    return troubles, sum(told)


def left(place: Path) -> list[str]:
    """What lies where downloads go."""
    return sorted(path.name for path in place.parent.glob("*"))


def test_what_arrives_is_kept_under_its_name(server: Server, place: Path) -> None:
    assert get(wanted(place, f"{server.url}/good")) == ({}, len(CONTENT))
    assert place.read_bytes() == CONTENT
    assert left(place) == ["digest"]


def test_a_size_that_is_not_known_does_not_matter(server: Server, place: Path) -> None:
    assert get(wanted(place, f"{server.url}/good", size=None)) == ({}, len(CONTENT))
    assert place.read_bytes() == CONTENT


def test_wrong_bytes_stop_and_are_not_kept(server: Server, place: Path) -> None:
    server.rules["bad"] = archive.text("<html>log in here</html>")
    with pytest.raises(IntegrityError, match=r"/bad is not what is pinned for gcc") as caught:
        get(wanted(place, f"{server.url}/bad", f"{server.url}/good", size=None))
    assert caught.value.exit_code == 4
    assert left(place) == []
    assert server.seen == ["bad"]


def test_a_flipped_bit_stops(server: Server, place: Path) -> None:
    server.rules["good"] = archive.flipped
    with pytest.raises(IntegrityError, match="sha256"):
        get(wanted(place, f"{server.url}/good"))
    assert left(place) == []


@pytest.mark.parametrize(
    "reply", [archive.fail(404), archive.fail(500), archive.cut, archive.reset, archive.shorter]
)
def test_after_a_failure_the_next_mirror_is_asked(
    server: Server, place: Path, reply: archive.Callable
) -> None:
    server.rules["/first/"] = reply
    (server.archive.directory / "first").mkdir()
    (server.archive.directory / "first/good").write_bytes(CONTENT)
    urls = (f"{server.url}/first/good", f"{server.url}/good")
    assert get(wanted(place, *urls)) == ({}, len(CONTENT))
    assert place.read_bytes() == CONTENT
    assert server.seen == ["good", "good"]


def chunked(handler: archive._Handler, _: bytes | None) -> None:
    """A page in place of the file, of no announced length."""
    page = b"<html>log in here</html>"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(page), page))


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (archive.fail(404), "404 Not Found"),
        (archive.shorter, f"is of {len(CONTENT) // 2} bytes, not {len(CONTENT)}"),
        (archive.text("<html>log in here</html>"), f"is of 24 bytes, not {len(CONTENT)}"),
        (chunked, f"ended after 24 of {len(CONTENT)} bytes"),
    ],
)
def test_without_another_mirror_the_reason_is_told(
    server: Server, place: Path, reply: archive.Callable, why: str
) -> None:
    server.rules["good"] = reply
    troubles, told = get(wanted(place, f"{server.url}/good"))
    assert why in str(troubles["gcc"])
    assert troubles["gcc"].exit_code == 3
    assert told == 0
    assert left(place) == []
    assert server.seen == ["good"]


class Endless:
    """Sends for as long as somebody reads."""

    def __init__(self) -> None:
        self.sent = 0

    def __call__(self, handler: archive._Handler, _: bytes | None) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        while True:
            handler.wfile.write(BLOCK)
            self.sent += len(BLOCK)


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_endless_data_is_cut_off(
    server: Server, place: Path, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MOST", 1 << 20)
    endless = server.rules["good"] = Endless()
    with pytest.raises(IntegrityError, match="more than"):
        get(wanted(place, f"{server.url}/good", size=size))
    assert left(place) == []
    # Beyond that there is only what sockets hold.
    assert endless.sent < 32 << 20


def test_a_server_that_falls_silent_is_left(
    server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_SILENCE", 0.3)
    server.rules["good"] = archive.stalled
    began = time.monotonic()
    troubles, told = get(wanted(place, f"{server.url}/good"))
    assert time.monotonic() - began < 2
    assert "timed out" in str(troubles["gcc"])
    assert told == 0


def test_a_server_that_drips_is_left(
    server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_SILENCE", 0.3)

    def drip(handler: archive._Handler, _: bytes | None) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.05)

    server.rules["good"] = drip
    troubles, _ = get(wanted(place, f"{server.url}/good"))
    assert "too slow" in str(troubles["gcc"])
    assert server.seen == ["good"]


def redirect(to: str) -> archive.Callable:
    def reply(handler: archive._Handler, _: bytes | None) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


def test_redirects_are_followed(server: Server, place: Path) -> None:
    server.rules["moved"] = redirect("/good")
    assert get(wanted(place, f"{server.url}/moved")) == ({}, len(CONTENT))
    assert server.seen == ["moved", "good"]


def test_redirects_in_a_circle_end(server: Server, place: Path) -> None:
    server.rules["circle"] = redirect("/circle")
    troubles, _ = get(wanted(place, f"{server.url}/circle"))
    assert "redirect" in str(troubles["gcc"]).lower()
    assert len(server.seen) == 11


def test_a_redirect_to_what_is_no_address_is_a_failure(server: Server, place: Path) -> None:
    server.rules["moved"] = redirect("ftp://127.0.0.1/good")
    urls = (f"{server.url}/moved", f"{server.url}/good")
    assert get(wanted(place, *urls)) == ({}, len(CONTENT))


def test_what_a_server_calls_compressed_is_kept_as_it_came(server: Server, place: Path) -> None:
    packed = gzip.compress(CONTENT)

    def reply(handler: archive._Handler, _: bytes | None) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed)

    server.rules["tar.gz"] = reply
    digest = hashlib.sha256(packed).hexdigest()
    url = f"{server.url}/musl.tar.gz"
    get(Download(name="musl", urls=(url,), sha256=digest, size=len(packed), path=place))
    assert place.read_bytes() == packed


def test_a_host_that_refuses_is_not_asked_again(server: Server, place: Path) -> None:
    dead = closed()
    assert get(wanted(place, dead, dead, f"{server.url}/good")) == ({}, len(CONTENT))
    place.unlink()
    troubles, _ = get(wanted(place, dead, dead))
    assert str(troubles["gcc"]).count("127.0.0.1") == 1


def test_where_no_host_answers_not_all_are_tried(server: Server, place: Path) -> None:
    troubles, _ = get(wanted(place, closed(), closed(), closed(), f"{server.url}/good"))
    assert "no answer from" in str(troubles["gcc"])
    assert server.seen == []


def test_a_host_that_does_not_answer_costs_its_time_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_CONNECT", 1.0)
    with deaf() as url:
        names = [str(number) for number in range(3 * fetch.AT_ONCE)]
        downloads = [
            wanted(tmp_path / name, url, f"{server.url}/good", name=name) for name in names
        ]
        began = time.monotonic()
        assert get(*downloads) == ({}, len(names) * len(CONTENT))
    # Those that ask at the same time wait together.
    assert 1.0 < time.monotonic() - began < 2.9


def test_where_one_answers_all_are_tried(server: Server, place: Path) -> None:
    urls = (f"{server.url}/none", closed(), closed(), closed(), f"{server.url}/good")
    assert get(wanted(place, *urls)) == ({}, len(CONTENT))


def test_downloads_go_side_by_side(server: Server, tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=10)
    server.rules["good"] = archive.after(together.wait)
    downloads = [
        wanted(tmp_path / f"cache/{name}", f"{server.url}/good", name=name) for name in "abc"
    ]
    assert get(*downloads) == ({}, 3 * len(CONTENT))


def test_one_failure_leaves_the_others(server: Server, tmp_path: Path) -> None:
    downloads = [
        wanted(tmp_path / "cache/a", f"{server.url}/none", name="a"),
        wanted(tmp_path / "cache/b", f"{server.url}/good", name="b"),
    ]
    troubles, _ = get(*downloads)
    assert list(troubles) == ["a"]
    assert (tmp_path / "cache/b").read_bytes() == CONTENT


def test_wrong_bytes_stop_the_others_too(server: Server, tmp_path: Path) -> None:
    endless = server.rules["endless"] = Endless()
    server.rules["bad"] = archive.after(lambda: archive.wait_for(lambda: endless.sent, "a byte"))
    (server.archive.directory / "bad").write_bytes(b"bad")
    downloads = [
        wanted(tmp_path / "cache/a", f"{server.url}/endless", size=None, name="a"),
        wanted(tmp_path / "cache/b", f"{server.url}/bad", size=None, name="b"),
    ]
    with pytest.raises(IntegrityError, match="/bad"):
        get(*downloads)
    with partial.held(tmp_path / "cache/a", "0" * 64, lambda: time.sleep(0.01)):
        pass  # it is held no more


def test_what_was_left_half_done_is_begun_anew(server: Server, place: Path) -> None:
    place.parent.mkdir(parents=True)
    place.with_name("digest.part").write_bytes(b"from a toolman that was killed")
    assert get(wanted(place, f"{server.url}/good")) == ({}, len(CONTENT))
    assert left(place) == ["digest"]


def test_what_cannot_be_written_is_said(server: Server, place: Path) -> None:
    place.parent.parent.mkdir(parents=True)
    place.parent.write_text("a file where a directory should be")
    with pytest.raises(OSError, match="exists"):
        get(wanted(place, f"{server.url}/good"))


def test_of_equal_mirrors_the_next_is_asked_after_wrong_bytes(
    server: Server, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "served/bad").write_bytes(CONTENT[::-1])
    said: list[str] = []
    download = replace(wanted(place, f"{server.url}/bad", f"{server.url}/good"), mirrors=True)
    assert fetch.fetch([download], lambda _: None, said.append) == {}
    assert place.read_bytes() == CONTENT
    (line,) = said
    assert f"{server.url}/bad is not what is pinned" in line


def test_if_all_equal_mirrors_are_wrong_it_stops(
    server: Server, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "served/bad").write_bytes(CONTENT[::-1])
    download = replace(wanted(place, f"{server.url}/bad", f"{server.url}/bad"), mirrors=True)
    with pytest.raises(IntegrityError, match="bad is not what is pinned"):
        fetch.fetch([download], lambda _: None)
    assert list(place.parent.iterdir()) == []


def test_a_file_is_a_mirror_too(place: Path, tmp_path: Path) -> None:
    (tmp_path / "a stick").mkdir()
    (tmp_path / "a stick/good").write_bytes(CONTENT)
    url = (tmp_path / "a stick/good").as_uri()
    assert fetch.fetch([wanted(place, url)], lambda _: None) == {}
    assert place.read_bytes() == CONTENT


def test_small_files_are_bounded_and_what_is_missing_is_told(
    server: Server, tmp_path: Path
) -> None:
    for base in (server.url, (tmp_path / "served").as_uri()):
        assert fetch.content(f"{base}/good", len(CONTENT)) == CONTENT
        with pytest.raises(IntegrityError):
            fetch.content(f"{base}/good", len(CONTENT) - 1)
        with pytest.raises(NetworkError) as error:
            fetch.content(f"{base}/missing", 100)
        assert error.value.status == 404


def test_passwords_are_not_shown(server: Server, place: Path) -> None:
    url = server.url.replace("//", "//me:secret@") + "/missing"
    trouble = fetch.fetch([wanted(place, url)], lambda _: None)["gcc"]
    assert "secret" not in str(trouble)
    with pytest.raises(NetworkError) as error:
        fetch.content(url, 100)
    assert "secret" not in str(error.value)


def once(*replies: archive.Callable) -> archive.Callable:
    """Each of `replies` in its turn, and then the file."""
    rest = iter(replies)

    def reply(handler: archive._Handler, content: bytes | None) -> None:
        next(rest, archive.whole)(handler, content)

    return reply


def busy(code: int, after: str) -> archive.Callable:
    def reply(handler: archive._Handler, _: bytes | None) -> None:
        handler.send_response(code)
        handler.send_header("Retry-After", after)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


@pytest.mark.parametrize(
    "reply", [archive.fail(429), archive.fail(500), archive.fail(503), archive.cut, archive.reset]
)
def test_what_fails_for_a_moment_is_asked_again(
    server: Server, place: Path, reply: archive.Callable
) -> None:
    server.rules["good"] = once(reply, reply)
    assert get(wanted(place, f"{server.url}/good")) == ({}, len(CONTENT))
    assert place.read_bytes() == CONTENT
    assert server.seen == ["good"] * 3


@pytest.mark.parametrize(("code", "times"), [(503, 5), (404, 1), (403, 1), (401, 1)])
def test_how_often_a_mirror_is_asked(server: Server, place: Path, code: int, times: int) -> None:
    server.rules["good"] = archive.fail(code)
    troubles, _ = get(wanted(place, f"{server.url}/good"))
    assert f": {code} " in str(troubles["gcc"])
    assert len(server.seen) == times


def test_the_others_have_their_turn_before_one_is_asked_again(server: Server, place: Path) -> None:
    server.rules["/good"] = once(archive.fail(503))
    urls = [f"{server.url}/{name}" for name in ("good", "none", "neither")]
    assert get(wanted(place, *urls)) == ({}, len(CONTENT))
    assert server.seen == ["good", "none", "neither", "good"]


def test_pauses_grow_differ_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "_PAUSE", 0.2)
    error = web.Again("503")
    for tries in range(12):
        pauses = {again.pause(error, tries) for _ in range(20)}
        usual = 0.2 * 2**tries
        assert all(min(3, usual / 2) <= one <= min(3, usual * 1.5) for one in pauses)
        assert len(pauses) > 1 or pauses == {3.0}


def test_a_server_that_says_when_is_obeyed(server: Server, place: Path) -> None:
    server.rules["good"] = once(busy(503, "1"))
    began = time.monotonic()
    assert get(wanted(place, f"{server.url}/good")) == ({}, len(CONTENT))
    assert 1 <= time.monotonic() - began < 3


@pytest.mark.parametrize("after", ["3600", "9" * 5000, "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_who_says_much_later_is_not_asked_again(server: Server, place: Path, after: str) -> None:
    server.rules["good"] = busy(429, after)
    troubles, _ = get(wanted(place, f"{server.url}/good"))
    assert "429 Too Many Requests" in str(troubles["gcc"])
    assert server.seen == ["good"]


@pytest.mark.parametrize("after", ["soon", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "\u00b2"])
def test_a_time_that_makes_no_sense_is_none(server: Server, place: Path, after: str) -> None:
    server.rules["good"] = once(busy(429, after))
    assert get(wanted(place, f"{server.url}/good")) == ({}, len(CONTENT))


def test_a_server_that_is_started_anew_is_asked_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "_PAUSE", 0.2)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT)
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()

    def answer(listening: socket.socket, said: bytes) -> None:
        with listening, listening.accept()[0] as connection:
            connection.recv(65536)
            listening.close()
            connection.sendall(said)

    def live() -> None:
        answer(listening, head)
        time.sleep(0.25)  # it is asked in vain
        answer(socket.create_server(address), head + CONTENT)

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    assert get(wanted(place, f"http://127.0.0.1:{address[1]}/good")) == ({}, len(CONTENT))
    thread.join()
    assert place.read_bytes() == CONTENT


def test_a_download_has_an_end(
    server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_LONGEST", 0.3)

    def drip(handler: archive._Handler, content: bytes | None) -> None:
        assert content
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for number in range(len(content)):
            handler.wfile.write(content[number : number + 1])
            time.sleep(0.02)

    server.rules["good"] = drip
    began = time.monotonic()
    troubles, told = get(wanted(place, f"{server.url}/good", f"{server.url}/good"))
    assert time.monotonic() - began < 10
    assert "not done after" in str(troubles["gcc"])
    assert told == 0
    assert server.seen == ["good"]
