"""A web server on this machine, for tests: honest, or as bad as a test wants it."""

from __future__ import annotations

import io
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler

from web_servers import Quiet, QuietServer, running

Answer = Callable[[BaseHTTPRequestHandler], None]


class LocalServer(QuietServer):
    """Gives its answers in turn, the last of them repeatedly, and counts the requests."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.answers: list[Answer] = []
        self.requests = 0

    @property
    def url(self) -> str:
        return f"{super().url}/text.zip"


class _Handler(Quiet, BaseHTTPRequestHandler):
    server: LocalServer

    def do_GET(self) -> None:
        self.server.requests += 1
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)


@contextmanager
def serving(*answers: Answer) -> Iterator[LocalServer]:
    with running(LocalServer()) as server:
        server.answers = list(answers)
        yield server


def honest(body: bytes) -> Answer:
    """Send these bytes and their number, as a good server does."""
    return plain(body, len(body))


def plain(body: bytes, length: int | None = None, *, status: int = 200, **headers: str) -> Answer:
    """Send these bytes with this length (None: without one) and close the connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(body)

    return answer


def slow(body: bytes, pause: float, block: int) -> Answer:
    """Send a block, wait, send the next."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        plain(b"", len(body))(handler)
        for start in range(0, len(body), block):
            handler.wfile.write(body[start : start + block])
            time.sleep(pause)

    return answer


def stalling(body: bytes, released: threading.Event) -> Answer:
    """Send these bytes, announce one more, and keep the connection open."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        plain(body, len(body) + 1)(handler)
        released.wait(30)

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


def zipped(method: int = zipfile.ZIP_DEFLATED, **files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()
