"""Chromium as tests of pages use it: what a page says on its console, and asks for, is written down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

# Debian's Chromium, without anything that it would fetch for itself.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOCAL = ("file:", "data:", "blob:", "about:", "http://127.0.0.1:", "http://localhost:")


class Watch:
    """What a page does that nobody sees.

    Attributes
    ----------
    complaints : list of str
        Errors and warnings on the console, each with the address of what it is about, and exceptions that no script
        has caught.
    requests : list of str
        The addresses that it has asked for.
    """

    def __init__(self, page: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.context.on("request", lambda request: self.requests.append(request.url))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} {message.location['url']}")

    @property
    def left_the_machine(self) -> list[str]:
        """The addresses asked for that are not of this machine."""
        return [url for url in self.requests if not url.startswith(LOCAL)]


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium; playwright's `Browser`."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium")
    assert executable, "Chromium is not installed: tests/services/install_chromium.sh installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, address: str, **settings: Any) -> Iterator[tuple[Any, Watch]]:
    """Open an address in a window of its own; give its page, and what is watched of it."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
    page = context.new_page()
    watch = Watch(page)
    page.goto(address)
    yield page, watch
    context.close()


def wait_until(frame: Any, expression: str, seconds: float = 30.0) -> None:
    """Ask a page until an expression is true; playwright's own waiting needs what the pages' policy forbids."""
    until = monotonic() + seconds
    while not frame.evaluate(expression):
        assert monotonic() < until, f"not true after {seconds:.0f} s: {expression}"
        sleep(0.02)
