"""A web server on this machine that serves files, and fails in the ways that a test chooses."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

from web_servers import Quiet, QuietServer

from w2v_exp.text.remote import _listings

BLOCK = 1 << 16  # bytes sent at once


class FaultyServer(QuietServer):
    """Serves `files`, and lists folders of them; each GET of a file takes the next of its `faults`.

    A fault is a function of a request, which returns whether the request has been answered, or a number of bytes after
    which the connection is closed.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.reset()

    def reset(self) -> None:
        """Serve nothing, without faults."""
        _listings.clear()
        self.files: dict[str, bytes] = {}
        self.faults: list[int | Callable[[BaseHTTPRequestHandler], bool]] = []
        self.headers: dict[str, str] = {"ETag": '"one"'}
        self.has_ranges = True
        self.has_sizes = True  # else a file is sent in chunks
        self.has_heads = True
        self.requests: list[tuple[str, str, str]] = []  # method, path and range


class _Handler(Quiet, BaseHTTPRequestHandler):
    server: FaultyServer
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20  # headers and a small body in one packet

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, *, has_body: bool) -> None:
        server = self.server
        path = self.path.partition("?")[0]
        server.requests.append((self.command, path, self.headers.get("Range", "")))
        if not has_body and not server.has_heads:
            self.refuse(405)
        elif path.endswith("/"):
            self._list(path)
        elif path not in server.files:
            self.refuse(404)
        else:
            fault = server.faults.pop(0) if has_body and server.faults else None
            if callable(fault):
                if fault(self):
                    return
                fault = None
            self._send(server.files[path], fault, has_body)

    def _send(self, content: bytes, stop: int | None, has_body: bool) -> None:
        server = self.server
        part = (
            re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if server.has_ranges else None
        )
        start = int(part[1]) if part else 0
        end = min(int(part[2]) + 1, len(content)) if part and part[2] else len(content)
        if start and start >= len(content):
            self.refuse(416)
            return
        self.send_response(206 if part else 200)
        for name, value in server.headers.items():
            self.send_header(name, value)
        if part:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        if server.has_sizes:
            self.send_header("Content-Length", str(end - start))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if not has_body:
            return
        body = content[start:end]
        sent = body if stop is None else body[:stop]
        with suppress(OSError):
            for at in range(0, len(sent), BLOCK):
                block = sent[at : at + BLOCK]
                self.wfile.write(block if server.has_sizes else b"%x\r\n%s\r\n" % (len(block), block))
            if stop is not None and stop < len(body):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            elif not server.has_sizes:
                self.wfile.write(b"0\r\n\r\n")

    def refuse(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _list(self, folder: str) -> None:
        names = {path.removeprefix(folder) for path in self.server.files if path.startswith(folder)}
        entries = sorted({re.sub("/.*", "/", name) for name in names})
        links = [f'<a href="{entry}">{entry}</a>' for entry in ["../", "?C=N;O=D", *entries]]
        page = f"<html><body>{'<br>'.join(links)}</body></html>".encode()
        self.send_response(200 if names else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


def answering(status: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Return a fault that answers with a status."""

    def answer(handler: _Handler) -> bool:
        handler.refuse(status, **headers)
        return True

    return answer  # type: ignore[return-value]


def resetting(handler: BaseHTTPRequestHandler) -> bool:
    """Break the connection off (RST) without an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()
    handler.close_connection = True
    return True
