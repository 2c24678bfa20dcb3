"""The corpus text8: downloaded and verified when it is read, or read from a file of one's own; its command line."""

from __future__ import annotations

import hashlib
import random
import resource
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
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
    zipped,
)
from processes import Command, run_on_terminal
from properties import examples

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.files import TAG, make_own
from w2v_exp.text import text8
from w2v_exp.text.corpus import CORPORA
from w2v_exp.text.text8 import Text8Corpus

TEXT = bytes(random.Random(2).choices(b"abcdefg ", k=400_000))
ZIP = zipped(text=TEXT)
HALF = len(ZIP) // 2
REMEDY = "Try again, or set corpus.url to another address of text8.zip, or corpus.path to a copy of your own."


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and no proxy on the way to this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("W2V_EXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of text8, in a world where text8 is a short text."""
    monkeypatch.setattr(Text8Corpus, "size", len(TEXT))
    monkeypatch.setattr(Text8Corpus, "md5", hashlib.md5(TEXT).hexdigest())
    return cache / "text8"


def kept(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()} - {"text8.lock", TAG}


def read(corpus: Text8Corpus) -> bytes:
    return "".join(corpus.chunks()).encode()


def failure_of(answer: Answer, folder: Path) -> str:
    """Fetch from a bad server; nothing may be left."""
    with serving(answer) as server:
        with pytest.raises(CorpusError) as failure:
            Text8Corpus(url=server.url).fetch()
        message = str(failure.value)
        assert message.startswith(server.url)
    assert kept(folder) == set()
    assert message.isprintable()
    assert message.endswith(REMEDY)
    return message.removeprefix(server.url).removesuffix(REMEDY).strip()


def test_it_is_what_everybody_calls_text8():
    assert Text8Corpus().url == "http://mattmahoney.net/dc/text8.zip"
    assert (Text8Corpus.size, Text8Corpus.md5) == (10**8, "3bea1919949baf155f99411df5fada7e")
    assert CORPORA["text8"] is Text8Corpus


def test_it_is_downloaded_once_when_it_is_first_read(folder):
    with serving(honest(ZIP)) as server:
        corpus = Text8Corpus(url=server.url)
        chunks = corpus.chunks()
        assert server.requests == 0
        assert not folder.exists()
        assert "".join(chunks).encode() == TEXT
        assert read(corpus) == TEXT
        assert server.requests == 1
    assert read(corpus) == TEXT  # without a server
    assert corpus.source == server.url
    assert corpus.files() == [folder / "text8"]


@pytest.mark.parametrize(
    "answer",
    [
        honest(ZIP),
        slow(ZIP, 0.01, HALF // 4),
        plain(ZIP),
        plain(ZIP + b"more", len(ZIP)),
        honest(zipped(zipfile.ZIP_STORED, text=TEXT)),
        honest(zipped(zipfile.ZIP_LZMA, another_name=TEXT)),
    ],
    ids=["honest", "slow", "no length", "more than the length", "stored", "lzma, other name"],
)
def test_a_download_is_the_text_and_leaves_nothing_else(folder, answer):
    with serving(answer) as server:
        file = Text8Corpus(url=server.url).fetch()
    assert file.read_bytes() == TEXT
    assert kept(folder) == {"text8"}


def test_a_redirect_is_followed(folder):
    with serving(honest(ZIP)) as home, serving(redirect(home.url)) as server:
        assert Text8Corpus(url=server.url).fetch().read_bytes() == TEXT


@pytest.mark.parametrize(("answer", "total"), [(honest(ZIP), len(ZIP)), (plain(ZIP), None)])
def test_progress_counts_the_bytes_of_the_download(folder, answer, total):
    told: list[tuple[int, int | None]] = []

    def progress(done: int, of: int | None) -> None:
        told.append((done, of))

    with serving(answer) as server:
        corpus = Text8Corpus(url=server.url)
        files = corpus.files(progress=progress)
        assert len(told) > 2
        assert told[-1] == (len(ZIP), total)
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        assert {of for _, of in told} == {total}
        told.clear()
        assert corpus.files(progress=progress) == files
        assert told == []


@pytest.mark.parametrize("damage", [TEXT[:-1], TEXT[:-1] + b"?", b"", TEXT + b" ", ZIP])
def test_a_damaged_file_is_logged_and_downloaded_again(folder, damage, logged):
    make_own(folder)
    (folder / "text8").write_bytes(damage)
    with serving(honest(ZIP)) as server:
        assert read(Text8Corpus(url=server.url)) == TEXT
    assert logged == [f"{folder / 'text8'} is damaged; it is downloaded again."]


# ---------------------------------------------------------------- a bad server


CLOSED = "the server closed the connection or does not speak HTTP."
BAD = {
    "cut off": (plain(ZIP[:HALF], len(ZIP)), CLOSED),
    "cut off, no length": (plain(ZIP[:HALF]), "cannot be read: File is not a zip file."),
    "length too short": (plain(ZIP, HALF), "cannot be read: File is not a zip file."),
    "length too long": (plain(ZIP, len(ZIP) + 999), CLOSED),
    "reset": (resetting(ZIP[:HALF]), "Connection reset by peer."),
    "chunks cut off": (
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n9\r\nwo"),
        f"cannot be downloaded after 5 bytes: {CLOSED}",
    ),
    "nothing": (raw(b""), f"cannot be downloaded: {CLOSED}"),
    "not HTTP": (raw(b"\x1b[31mwho is there?\r\n\r\n"), f"cannot be downloaded: {CLOSED}"),
    "to FTP": (redirect("ftp://127.0.0.1:1/text.zip"), "cannot be downloaded: it is not the address of"),
    "to a file": (redirect("file:///etc/passwd"), "cannot be downloaded: it is not the address of a file."),
    "404": (plain(b"?", 1, status=404), "cannot be downloaded: the server answers 404 Not Found."),
    "500": (plain(b"?", 1, status=500), "the server answers 500 Internal Server Error."),
    "599": (raw(b"HTTP/1.0 599 \x1b[31mred\r\n\r\n"), "cannot be downloaded: the server answers 599."),
    "endless": (endless(), "is not text8: it has more than 1,448,576 bytes."),
    "html": (honest(b"<html>Sign in to the network</html>"), "cannot be read: File is not a zip file."),
    "no byte": (honest(b""), "ends in the middle of its data: it is truncated."),
    "other text": (honest(zipped(text=TEXT[::-1])), "is not text8: its md5 is "),
    "short text": (honest(zipped(text=TEXT[:-1])), "is not text8: it has 399,999 bytes instead of 400,000."),
    "two files": (honest(zipped(text=TEXT, more=b"?")), "is not text8: it has more than 400,000 bytes."),
    "no file": (honest(zipped()), "is an archive without a text file."),
    "wrong checksum": (
        honest(zipped(zipfile.ZIP_STORED, text=TEXT).replace(TEXT[:9], b"?" * 9)),
        "cannot be read: Bad CRC-32",
    ),
}


@pytest.mark.parametrize(("answer", "problem"), BAD.values(), ids=BAD)
def test_a_bad_server_is_an_error_of_one_line_and_leaves_nothing(folder, answer, problem):
    assert problem in failure_of(answer, folder)


def test_a_zip_bomb_takes_no_room(folder):
    with largest_file(len(TEXT) + 1):  # 50 MB would be an error of the system
        message = failure_of(honest(zipped(text=TEXT + bytes(50_000_000))), folder)
    assert message == "is not text8: it has more than 400,000 bytes."


def test_a_server_that_stops_sending_is_not_waited_for(folder, monkeypatch):
    monkeypatch.setattr(text8, "TIMEOUT_SECONDS", 0.5)
    released = threading.Event()
    assert "the server did not answer in time." in failure_of(stalling(ZIP, released), folder)
    released.set()


def test_redirects_in_a_circle_end(folder):
    with serving(plain(b"")) as server:
        server.answers = [redirect(server.url)]
        with pytest.raises(CorpusError, match="the server redirects in a circle"):
            Text8Corpus(url=server.url).fetch()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:1/", "Connection refused."),
        ("http://", "it is not the address of a file."),
        ("http://a b/", "it is not the address of a file."),
        ("http://127.0.0.1:port/", "it is not the address of a file."),
        ("http://[::1", "it is not the address of a file."),
    ],
)
def test_an_address_without_a_server_is_an_error_of_one_line(folder, url, problem):
    with pytest.raises(CorpusError) as failure:
        Text8Corpus(url=url).fetch()
    assert str(failure.value) == f"{url} cannot be downloaded: {problem} {REMEDY}"
    assert kept(folder) == set()


def test_an_interruption_leaves_nothing(folder):
    def interrupt(done: int, total: int | None) -> None:
        if done >= HALF:
            raise KeyboardInterrupt

    with serving(honest(ZIP)) as server, pytest.raises(KeyboardInterrupt):
        Text8Corpus(url=server.url).fetch(progress=interrupt)
    assert kept(folder) == set()


# ---------------------------------------------------------------- the folder


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let writing fail where a file gets longer than this, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [HALF, len(TEXT) // 2], ids=["for half the zip", "for half the text"])
def test_a_full_disk_is_reported_and_nothing_is_left(folder, room):
    with serving(honest(ZIP)) as server:
        with largest_file(room), pytest.raises(CorpusError) as failure:
            Text8Corpus(url=server.url).fetch()
        assert str(failure.value) == (
            f"{folder} cannot keep text8: File too large. Make room or give access there, or set W2V_EXP_CACHE to "
            "another folder."
        )
        assert kept(folder) == set()
        assert Text8Corpus(url=server.url).fetch().read_bytes() == TEXT


def test_a_folder_that_cannot_be_made_is_reported(folder):
    folder.parent.write_text("a file")
    with pytest.raises(
        CorpusError, match=r"cache/text8 cannot keep text8: Not a directory\. .*W2V_EXP_CACHE"
    ):
        Text8Corpus(url="http://127.0.0.1:1/").fetch()


def test_a_file_in_a_folder_that_is_only_read_is_used(folder):
    make_own(folder)
    (folder / "text8").write_bytes(TEXT)
    before = list(folder.iterdir())
    assert Text8Corpus(url="http://127.0.0.1:1/").fetch() == folder / "text8"
    assert list(folder.iterdir()) == before  # not even a lock is written


def test_files_in_a_folder_of_somebody_else_stay(folder):
    folder.mkdir(parents=True)
    for name in ("text8", ".text8.0123abcd", "text8.zip"):
        (folder / name).write_text("mine")
    with serving(honest(ZIP)) as server:
        for _ in range(2):
            assert read(Text8Corpus(url=server.url)) == TEXT
        assert server.requests == 1
    assert kept(folder / "w2v_exp") == {"text8"}
    files = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    assert files == dict.fromkeys(["text8", ".text8.0123abcd", "text8.zip"], "mine")


FETCH = """
import sys
from w2v_exp.text.text8 import Text8Corpus
Text8Corpus.size, Text8Corpus.md5 = int(sys.argv[2]), sys.argv[3]
print(len(Text8Corpus(url=sys.argv[1]).fetch().read_bytes()))
"""


def start_fetching(url: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", FETCH, url, str(len(TEXT)), hashlib.md5(TEXT).hexdigest()]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("starts_processes")
def test_of_several_processes_one_downloads_and_all_have_the_text(folder):
    with serving(slow(ZIP, 0.05, HALF // 8)) as server:
        fetching = [start_fetching(server.url) for _ in range(3)]
        assert [process.communicate()[0] for process in fetching] == [f"{len(TEXT)}\n"] * 3
        assert server.requests == 1
    assert kept(folder) == {"text8"}


@pytest.mark.usefixtures("starts_processes")
def test_a_process_that_is_killed_while_it_downloads_leaves_nothing(folder):
    released = threading.Event()
    with serving(stalling(ZIP[:HALF], released), honest(ZIP)) as server:
        process = start_fetching(server.url)
        while not server.requests:
            assert process.poll() is None
        process.kill()
        process.communicate()
        released.set()
        assert kept(folder) == set()
        assert Text8Corpus(url=server.url).fetch().read_bytes() == TEXT
    assert kept(folder) == {"text8"}


def test_what_a_killed_process_has_unpacked_is_removed(folder):
    make_own(folder)
    (folder / ".text8.0123abcd").write_bytes(TEXT[:9])
    with serving(honest(ZIP)) as server:
        Text8Corpus(url=server.url).fetch()
    assert kept(folder) == {"text8"}


# ---------------------------------------------------------------- a copy of one's own


@pytest.mark.parametrize("name", ["text8", "text8.zip"])
def test_a_copy_of_ones_own_is_read_without_a_cache(folder, tmp_path, name):
    file = tmp_path / name
    file.write_bytes(ZIP if name.endswith("zip") else TEXT)
    corpus = Text8Corpus(url="http://127.0.0.1:1/", path=str(file))
    assert corpus.files() == [file]
    assert read(corpus) == TEXT
    assert corpus.source == str(file)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("text8", TEXT[:-1], "is not text8: it has 399,999 bytes instead of 400,000. Name"),
        ("text8", TEXT.upper(), "is not text8: its md5 is "),
        ("text8.zip", ZIP[:-9], "cannot be read: File is not a zip file. Name"),
        ("text8.zip", TEXT, "cannot be read: File is not a zip file. Name"),
        ("text8.zip", zipped(text8=TEXT * 9), "is not text8: it has more than 400,000 bytes. Name"),
    ],
)
def test_a_copy_of_something_else_is_refused(folder, tmp_path, name, content, problem):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(CorpusError) as failure:
        next(Text8Corpus(path=str(file)).chunks())
    assert str(failure.value).startswith(f"{file} {problem}")
    assert str(failure.value).endswith("or set corpus.verify=false to take it as it is.")


def test_something_else_is_read_if_that_is_what_is_wanted(tmp_path):
    for name, content in (("mine", b"some words"), ("mine.zip", zipped(text8=b"some words"))):
        (tmp_path / name).write_bytes(content)
        assert read(Text8Corpus(path=str(tmp_path / name), verify=False)) == b"some words"


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@property_settings(
    max_examples=examples(200),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    method=st.sampled_from(METHODS),
    changes=st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 255)), max_size=4),
)
@example(method=zipfile.ZIP_STORED, changes=[(-6, 255)])  # the directory before the file's beginning
@example(method=zipfile.ZIP_STORED, changes=[(-26, 0)])  # a name that is empty
@example(method=zipfile.ZIP_BZIP2, changes=[(40, 0)])  # within the data
def test_a_damaged_zip_is_the_right_text_or_an_error(tmp_path, method, changes):
    small = b"a rose is a rose " * 20
    damaged = bytearray(zipped(method, text=small))
    for place, byte in changes:
        damaged[place % len(damaged)] = byte
    (tmp_path / "text8.zip").write_bytes(damaged)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text8Corpus, "size", len(small))
        patch.setattr(Text8Corpus, "md5", hashlib.md5(small).hexdigest())
        try:
            Text8Corpus(path=str(tmp_path / "text8.zip")).fetch()
        except CorpusError:
            assert changes


def test_text_is_cut_at_spaces(folder, monkeypatch):
    monkeypatch.setattr("w2v_exp.text.chunks.CHUNK_CHARACTERS", 10_000)
    with serving(honest(ZIP)) as server:
        chunks = list(Text8Corpus(url=server.url).chunks())
    assert "".join(chunks).encode() == TEXT
    assert all(chunk.endswith(" ") for chunk in chunks[:-1])
    assert len(chunks) > 19


@pytest.mark.parametrize(
    "url", ["", "file:///etc/passwd", "ftp://host/text8.zip", "mattmahoney.net/dc/text8.zip"]
)
def test_an_address_of_another_kind_is_refused_at_once(url):
    with pytest.raises(SettingError, match=r"^url=.*: must begin with http:// or https://"):
        Text8Corpus(url=url)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing", "path=missing: no such file, seen from "),
        ("", "path=: no such file, seen from "),
        (".", "path=.: no such file, seen from "),
        ("a" * 300, "cannot be looked up: File name too long."),
        ("~no-such-user-here/text8", "cannot be looked up"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_at_once(path, problem):
    with pytest.raises(SettingError) as refusal:
        Text8Corpus(path=path)
    assert problem in str(refusal.value)


# ---------------------------------------------------------------- the command line


def test_help_and_mistakes_fetch_nothing(command: Command, cache: Path) -> None:
    with serving(honest(ZIP)) as server:
        address = f"corpus.url={server.url}"
        assert command("corpus=text8", address, "--help").returncode == 0
        assert command("corpus=text8", address, "window=0").returncode == 2
        assert server.requests == 0
    assert not cache.exists()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (plain(ZIP[:99], len(ZIP)), f"cannot be downloaded: {CLOSED}"),
        (honest(ZIP), "is not text8: it has 400,000 bytes instead of 100,000,000."),
    ],
    ids=["cut off", "wrong bytes"],
)
def test_a_download_that_fails_leaves_no_run(
    command: Command, cache: Path, tmp_path: Path, answer, problem: str
) -> None:
    with serving(answer) as server:
        done = command("corpus=text8", f"corpus.url={server.url}")
    assert done.returncode == 2
    assert problem in done.stderr
    assert "corpus.path" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "mlartifacts").exists()
    assert not (cache / "text8" / "text8").exists()


@pytest.mark.usefixtures("starts_processes")
def test_a_download_is_shown_where_there_is_a_terminal(tmp_path: Path, cache: Path) -> None:
    with serving(slow(ZIP, 0.2, len(ZIP) // 4)) as server:
        shown = run_on_terminal("corpus=text8", f"corpus.url={server.url}", folder=tmp_path)
    assert "downloading text8" in shown


def test_a_run_reads_ones_own_copy(command: Command, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "text8").write_bytes(TEXT[:2000])
    done = command("corpus=text8", "corpus.path=text8", "corpus.verify=false", "epochs=2", "tracking=none")
    assert done.returncode == 0, done.stderr
    assert not (cache / "text8").exists()
