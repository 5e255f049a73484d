"""A server of files on 127.0.0.1 that answers ranges, keeps count, and can be made to fail."""

from __future__ import annotations

import http.server
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_RANGE = re.compile(r"bytes=(\d+)-(\d+)?")


@dataclass
class Loopback:
    """What was asked for, and how to answer."""

    folder: Path
    address: str = ""
    requests: int = 0
    status: Counter[int] = field(default_factory=Counter)
    """Number of answers by status."""
    ranges: list[tuple[str, int, int]] = field(default_factory=list)
    """(path, first byte, byte after the last) of each answer."""
    fails_after: int | None = None
    """From this request on every answer is ``failure``."""
    failure: int = 503
    heads_only: str = ""
    """The path of a file of which all but the beginning gets the answer ``failure``."""

    @property
    def bytes_sent(self) -> int:
        """Sum of all answers."""
        return sum(end - start for _, start, end in self.ranges)

    def most_often_sent(self, path: str, size: int, step: int = 512) -> int:
        """Return how often the byte was sent that was sent most often, among every ``step``-th."""
        sent = [0] * -(-size // step)
        for name, start, end in self.ranges:
            if name == path:
                for index in range(-(-start // step), -(-end // step)):
                    sent[index] += 1
        return max(sent)


def _handler(server: Loopback) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            server.requests += 1
            name = self.path.partition("?")[0]
            file = server.folder / name.lstrip("/")
            is_down = server.fails_after is not None and server.requests > server.fails_after
            status = server.failure if is_down else 200 if file.is_file() else 404
            asked = _RANGE.match(self.headers.get("Range") or "")
            if name == server.heads_only and asked and int(asked[1]):
                status = server.failure
            content = file.read_bytes() if status == 200 else b""
            start, end = 0, len(content)
            if asked and status == 200:
                status, start = 206, int(asked[1])
                end = min(int(asked[2]) + 1 if asked[2] else end, end)
            server.status[status] += 1
            self.send_response(status)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(end - start))
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
            self.end_headers()
            if with_body and status < 400:
                server.ranges.append((name, start, end))
                self.wfile.write(content[start:end])

    return Handler


@contextmanager
def loopback(folder: Path) -> Iterator[Loopback]:
    """Serve a folder while a block runs."""
    server = Loopback(folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as listening:
        listening.daemon_threads = True
        server.address = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
