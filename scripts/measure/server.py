"""A static server for benchmarks, as lean as Python allows: bytes go out by sendfile.

    python3 server.py DIRECTORY

prints its port, and with SIGTERM what it was asked for, as JSON: per kind of file the number of
requests and the bytes of the answers' contents.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

KINDS = {
    "timestamp": r"/metadata/timestamp\.json",
    "root": r"/metadata/\d+\.root\.json",
    "metadata": r"/metadata/\d+\.\w+\.json",
    "index": r"/targets/\w+\.index\.json",
    "archive": r"/blobs/.*",
}


class Handler(BaseHTTPRequestHandler):
    """Answers GET for whole files; what never changes may be cached, as docs/publish.md says."""

    protocol_version = "HTTP/1.1"
    directory = Path()
    requests: ClassVar[Counter[str]] = Counter()
    sent: ClassVar[Counter[str]] = Counter()
    lock = threading.Lock()

    def do_GET(self) -> None:
        kind = next((name for name, path in KINDS.items() if re.fullmatch(path, self.path)), "")
        try:
            with (self.directory / self.path[1:]).open("rb") as file:
                self._send(file.fileno(), kind)
        except OSError:
            self.send_error(404)
            self._count(kind, 0)

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, file: int, kind: str) -> None:
        size = os.fstat(file).st_size
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        lasts = "no-cache" if kind == "timestamp" else "public, max-age=31536000, immutable"
        self.send_header("Cache-Control", lasts)
        self.end_headers()
        self.wfile.flush()
        at = 0
        while at < size:
            at += os.sendfile(self.connection.fileno(), file, at, size - at)
        self._count(kind, size)

    def _count(self, kind: str, size: int) -> None:
        with self.lock:
            self.requests[kind] += 1
            self.sent[kind] += size


def main() -> None:
    """Serve until SIGTERM."""
    Handler.directory = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    signal.signal(
        signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start()
    )
    print(server.server_address[1], flush=True)
    server.serve_forever(0.05)
    print(json.dumps({"requests": Handler.requests, "bytes": Handler.sent}), flush=True)


if __name__ == "__main__":
    main()
