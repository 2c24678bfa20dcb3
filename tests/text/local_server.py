"""A web server on this machine, for tests: honest, or as bad as a test wants it."""

from __future__ import annotations

import io
import re
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class LocalServer(ThreadingHTTPServer):
    """Gives its answers in turn, the last of them again and again, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.asked: list[tuple[str | None, str | None]] = []  # Range and If-Range of every request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/text.zip"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that has gone."""


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer

    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Range"], self.headers["If-Range"]))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def serving(*answers: Answer) -> Iterator[LocalServer]:
    with LocalServer() as server:
        server.answers = list(answers)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def honest(body: bytes, **headers: str) -> Answer:
    """Answer as a good server does: with a part where a part is asked for of the file that it still has."""
    validators = headers or {"ETag": '"version 1"'}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or "")
        current = handler.headers["If-Range"] in (None, *validators.values())
        start = int(asked[1]) if asked and current else 0
        if asked and current and start >= len(body):
            handler.send_error(416)
            return
        handler.send_response(206 if asked and current else 200)
        if asked and current:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        _send(handler, body[start:], len(body) - start, validators)

    return answer


def plain(body: bytes, length: int | None = None, *, status: int = 200, **headers: str) -> Answer:
    """Send these bytes whatever is asked for, announce so many (None: say nothing), and close the connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        _send(handler, body, length, {name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def slow(body: bytes, pause: float, block: int) -> Answer:
    """Send a block, wait, send the next."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        _send(handler, b"", len(body), {})
        for start in range(0, len(body), block):
            handler.wfile.write(body[start : start + block])
            time.sleep(pause)

    return answer


def stalling(body: bytes, released: threading.Event) -> Answer:
    """Send these bytes, announce one more, and keep the connection open."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        plain(body, len(body) + 1)(handler)
        released.wait(3)

    return answer


def resetting(body: bytes) -> Answer:
    """Send these bytes, announce one more, and break the connection off (RST)."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        plain(body, len(body) + 1)(handler)
        handler.connection.close()

    return answer


def raw(data: bytes) -> Answer:
    """Send bytes that need not be HTTP."""
    return lambda handler: handler.wfile.write(data) and None


def redirect(target: str, status: int = 302) -> Answer:
    return plain(b"", 0, status=status, Location=target)


def endless() -> Answer:
    """Send a zip that does not end."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        plain(b"PK\x03\x04")(handler)
        while True:
            handler.wfile.write(bytes(1 << 16))

    return answer


def _send(handler: BaseHTTPRequestHandler, body: bytes, length: int | None, headers: dict[str, str]) -> None:
    for name, value in headers.items():
        handler.send_header(name, value)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()
    with suppress(OSError):
        handler.wfile.write(body)


def zipped(method: int = zipfile.ZIP_DEFLATED, **files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()
