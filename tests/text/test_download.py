"""Bytes over HTTP: what arrives, what is kept when it stops, and where it goes on. The server is a real one."""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path

import pytest
from local_server import (
    Answer,
    endless,
    honest,
    plain,
    raw,
    redirect,
    resetting,
    serving,
    slow,
    stalling,
)

from w2v_exp.errors import CorpusError
from w2v_exp.text.text8 import Download, InterruptedDownloadError

BODY = random.Random(1).randbytes(300_000)
HALF = 150_000


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def ignore(done: int, total: int | None) -> None:
    """Is the progress of tests that do not look at it."""


def download(url: str, folder: Path, timeout: float = 5) -> Download:
    return Download(url, folder / "text.zip.partial", at_most=400_000, timeout=timeout)


def cut_off(folder: Path, *answers: Answer, body: bytes = BODY[:HALF], **headers: str) -> list[tuple]:
    """Let the first download be cut off and go on by these answers; return what the server was asked."""
    headers = headers or {"ETag": '"version 1"'}
    with serving(plain(body, len(BODY), **headers), *answers) as server:
        wanted = download(server.url, folder)
        with pytest.raises(InterruptedDownloadError):
            wanted.go_on(ignore)
        assert wanted.file.read_bytes() == body
        wanted.go_on(ignore)
        assert wanted.file.read_bytes() == BODY
        return server.asked


@pytest.mark.parametrize(
    "answer",
    [honest(BODY), plain(BODY), plain(BODY, len(BODY)), slow(BODY, 0.01, 40_000)],
    ids=["honest", "without a length", "without a validator", "slow"],
)
def test_all_bytes_arrive(tmp_path, answer):
    with serving(answer) as server:
        wanted = download(server.url, tmp_path)
        wanted.go_on(ignore)
        assert server.asked == [(None, None)]
    assert wanted.file.read_bytes() == BODY
    assert wanted.bytes_so_far() == len(BODY)


def test_progress_tells_the_bytes_there_are_and_how_many_there_will_be(tmp_path):
    told = []
    with serving(plain(BODY[:HALF], len(BODY), ETag='"version 1"'), honest(BODY)) as server:
        wanted = download(server.url, tmp_path)
        with pytest.raises(InterruptedDownloadError):
            wanted.go_on(lambda *figures: told.append(figures))
        first = len(told)
        wanted.go_on(lambda *figures: told.append(figures))
    assert told[0] == (0, len(BODY))
    assert told[first - 1] == (HALF, len(BODY))
    assert told[first] == (HALF, len(BODY))
    assert told[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in told[:first]] == sorted(done for done, _ in told[:first])


def test_progress_without_a_length_tells_none(tmp_path):
    told = []
    with serving(plain(BODY)) as server:
        download(server.url, tmp_path).go_on(lambda *figures: told.append(figures))
    assert told[-1] == (len(BODY), None)


# ---------------------------------------------------------------- going on


def test_a_download_goes_on_where_it_was_cut_off(tmp_path):
    asked = cut_off(tmp_path, honest(BODY))
    assert asked[1] == ("bytes=150000-", '"version 1"')


def test_a_date_will_do_to_tell_versions_apart(tmp_path):
    date = "Thu, 01 Jun 2006 00:00:00 GMT"
    headers = {"ETag": 'W/"weak"', "Last-Modified": date}
    asked = cut_off(tmp_path, honest(BODY, **headers), **headers)
    assert asked[1] == ("bytes=150000-", date)


def test_without_anything_to_tell_versions_apart_it_goes_on_all_the_same(tmp_path):
    rest = plain(BODY[HALF:], HALF, status=206, Content_Range="bytes 150000-299999/300000")
    asked = cut_off(tmp_path, rest, X="nothing")
    assert asked[1] == ("bytes=150000-", None)


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        ([plain(BODY, len(BODY))], 2),
        ([honest(BODY, ETag='"version 2"')], 2),
        ([plain(BODY[9:], status=206, Content_Range="bytes 9-299999/300000"), honest(BODY)], 3),
        ([plain(BODY[HALF:], status=206), honest(BODY)], 3),
        (
            [
                plain(BODY[HALF:], status=206, Content_Range="bytes 150000-/*", ETag='"version 2"'),
                honest(BODY),
            ],
            3,
        ),
        ([plain(b"", 0, status=416), honest(BODY)], 3),
        ([plain(b"", 0, status=412), honest(BODY)], 3),
    ],
    ids=["no ranges", "changed", "other range", "no range told", "changed but a part", "416", "412"],
)
def test_where_it_cannot_go_on_it_starts_afresh(tmp_path, answers, requests):
    other = bytes(HALF)  # none of these bytes may stay
    assert len(cut_off(tmp_path, *answers, body=other)) == requests


def test_bytes_of_another_address_are_not_gone_on_with(tmp_path):
    with serving(plain(bytes(HALF), len(BODY))) as server, pytest.raises(InterruptedDownloadError):
        download(server.url, tmp_path).go_on(ignore)
    with serving(honest(BODY)) as server:
        wanted = download(f"{server.url}?mirror", tmp_path)
        assert wanted.bytes_so_far() == 0
        wanted.go_on(ignore)
        assert server.asked == [(None, None)]
    assert wanted.file.read_bytes() == BODY


@pytest.mark.parametrize("source", [b"", b"[]", b"{}", b"\xff", b'{"url": 3, "validator": ""}', None])
def test_bytes_of_unknown_origin_are_not_gone_on_with(tmp_path, source):
    with serving(honest(BODY)) as server:
        wanted = download(server.url, tmp_path)
        wanted.file.write_bytes(bytes(HALF))
        if source is not None:
            wanted.file.with_name("text.zip.partial.source").write_bytes(source)
        wanted.go_on(ignore)
        assert server.asked == [(None, None)]
    assert wanted.file.read_bytes() == BODY


# ---------------------------------------------------------------- stopping


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (plain(BODY[:HALF], len(BODY)), "stopped after 150,000 of 300,000 bytes: the server closed"),
        (resetting(BODY[:HALF]), " of 150,001 bytes: Connection reset by peer"),
        (
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n9\r\nwo"),
            "stopped after 7 bytes: the answer is not HTTP",
        ),
        (raw(b""), "cannot be reached: Remote end closed connection without response"),
        (raw(b"\x1b[31mwho is there?\r\n\r\n"), "cannot be reached: the answer is not HTTP"),
        (redirect("ftp://127.0.0.1:1/text.zip"), "cannot be reached: "),
    ],
    ids=["cut off", "reset", "chunks cut off", "nothing", "not HTTP", "to FTP"],
)
def test_a_broken_connection_is_told_in_a_sentence(tmp_path, answer, said):
    with serving(answer) as server:
        with pytest.raises(InterruptedDownloadError) as failure:
            download(server.url, tmp_path).go_on(ignore)
        assert server.url in str(failure.value)
    assert said in str(failure.value)
    assert str(failure.value).isprintable()
    assert str(failure.value).endswith(".")


def test_a_server_that_stops_sending_is_not_waited_for(tmp_path):
    released = threading.Event()
    with serving(stalling(BODY, released)) as server:
        with pytest.raises(
            InterruptedDownloadError, match=r"300,000 of 300,001 bytes: .* not answer in time\.$"
        ):
            download(server.url, tmp_path, timeout=2).go_on(ignore)
        released.set()


def test_a_server_that_is_not_there_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(InterruptedDownloadError, match=r"cannot be reached: Connection refused\.$"):
        download(f"http://127.0.0.1:{port}/", tmp_path).go_on(ignore)


@pytest.mark.parametrize("url", ["http://", "http://a b/", "http://ä.example/ö", "http://127.0.0.1:port/"])
def test_an_address_that_is_none_is_told(tmp_path, url):
    with pytest.raises(InterruptedDownloadError, match="cannot be reached"):
        download(url, tmp_path).go_on(ignore)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (plain(b"?", 1, status=404), "the server answers 404 Not Found."),
        (plain(b"?", 1, status=500), "the server answers 500 Internal Server Error."),
        (raw(b"HTTP/1.0 599 \x1b[31mred\r\n\r\n"), "the server answers 599."),
        (redirect("file:///etc/passwd"), "the server answers 302 Found."),
    ],
    ids=["404", "500", "599", "to a file"],
)
def test_a_refusal_is_told_without_the_servers_own_words(tmp_path, answer, said):
    with serving(answer) as server:
        with pytest.raises(CorpusError) as failure:
            download(server.url, tmp_path).go_on(ignore)
        assert str(failure.value) == f"{server.url} cannot be downloaded: {said}"


def test_a_redirect_is_followed_and_what_it_leads_to_gone_on_with(tmp_path):
    with serving(honest(BODY)) as home, serving(redirect(home.url)) as server:
        wanted = download(server.url, tmp_path)
        wanted.go_on(ignore)
        wanted.file.write_bytes(BODY[:HALF])
        wanted.go_on(ignore)
        assert home.asked[1] == ("bytes=150000-", '"version 1"')
    assert wanted.file.read_bytes() == BODY


def test_redirects_in_a_circle_end(tmp_path):
    with serving(plain(b"")) as server:
        server.answers = [redirect(server.url)]
        with pytest.raises(CorpusError, match=r"the server answers 302 Found\.$"):
            download(server.url, tmp_path).go_on(ignore)


@pytest.mark.parametrize("answer", [endless(), plain(bytes(500_000), 500_000)], ids=["endless", "too long"])
def test_more_than_is_wanted_is_not_taken(tmp_path, answer):
    told = []
    with serving(answer) as server, pytest.raises(CorpusError, match="sends more than 400,000 bytes"):
        download(server.url, tmp_path).go_on(lambda done, _: told.append(done))
    assert max(told) <= 400_000
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_what_has_arrived(tmp_path):
    def interrupt(done: int, total: int | None) -> None:
        if done >= HALF:
            raise KeyboardInterrupt

    with serving(honest(BODY)) as server:
        wanted = download(server.url, tmp_path)
        with pytest.raises(KeyboardInterrupt):
            wanted.go_on(interrupt)
        kept = wanted.file.read_bytes()
        assert len(kept) >= HALF
        assert BODY.startswith(kept)
        wanted.go_on(ignore)
    assert wanted.file.read_bytes() == BODY
