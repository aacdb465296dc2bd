"""A static server for benchmarks, as lean as Python allows: bytes go out by sendfile.

    python3 server.py DIRECTORY

prints its port, and serves until it is ended.
"""

from __future__ import annotations

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CHANGES = ("/metadata/timestamp.json", "/index.html")  # all else can be cached for ever


class Handler(BaseHTTPRequestHandler):
    """Answers GET for whole files, and says how long they last, as docs/publish.md does."""

    protocol_version = "HTTP/1.1"
    directory = Path()

    def do_GET(self) -> None:
        try:
            with (self.directory / self.path[1:]).open("rb") as file:
                self._send(file.fileno())
        except OSError:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, file: int) -> None:
        size = os.fstat(file).st_size
        lasts = "max-age=60" if self.path in CHANGES else "max-age=31536000, immutable"
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", f"public, {lasts}")
        self.end_headers()
        at = 0
        while at < size:
            at += os.sendfile(self.connection.fileno(), file, at, size - at)


if __name__ == "__main__":
    Handler.directory = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
