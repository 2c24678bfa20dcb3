"""A published text is fetched once, verified, and never taken for whole when it is not."""

from __future__ import annotations

import hashlib
import itertools
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
from local_server import endless, honest, plain, serving, slow, stalling, zipped
from properties import examples

from w2v_exp.errors import CorpusError
from w2v_exp.files import TAG, make_own, write_checked
from w2v_exp.text.text8 import PublishedText, WrongContentError

TEXT = bytes(random.Random(2).choices(b"abcdefg ", k=400_000))
ZIP = zipped(text=TEXT)
HALF = len(ZIP) // 2
MD5 = hashlib.md5(TEXT).hexdigest()
PUBLISHED = PublishedText("text", len(TEXT), MD5)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def kept(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()} - {"text.lock", TAG}


def failure_of(*answers, folder: Path, timeout: float = 5) -> str:
    """Fetch from a bad server; nothing may be there afterwards that looks whole."""
    with serving(*answers) as server:
        with pytest.raises(CorpusError) as failure:
            PUBLISHED.fetch(server.url, folder, timeout=timeout)
        message = str(failure.value)
        assert server.url in message
    assert not (folder / "text").exists()
    assert message.isprintable()
    assert "corpus.path" in message
    return message.replace(server.url, "URL")


@pytest.mark.parametrize(
    "answer",
    [
        honest(ZIP),
        slow(ZIP, 0.01, HALF // 4),
        plain(ZIP),
        plain(ZIP, len(ZIP) + 999),
        plain(ZIP + b"more", len(ZIP)),
        honest(zipped(zipfile.ZIP_STORED, text=TEXT)),
        honest(zipped(zipfile.ZIP_LZMA, another_name=TEXT)),
    ],
    ids=[
        "honest",
        "slow",
        "no length",
        "length too long",
        "more than the length",
        "stored",
        "lzma, other name",
    ],
)
def test_what_is_fetched_is_the_text_and_nothing_else_stays(tmp_path, answer):
    with serving(answer) as server:
        file = PUBLISHED.fetch(server.url, tmp_path / "new" / "folder")
    assert file.read_bytes() == TEXT
    assert kept(file.parent) == {"text"}


def test_it_is_fetched_once(tmp_path):
    with serving(honest(ZIP)) as server:
        PUBLISHED.fetch(server.url, tmp_path)
        told = []
        PUBLISHED.fetch(server.url, tmp_path, progress=lambda *figures: told.append(figures))
        assert len(server.asked) == 1
    assert told == []
    assert PUBLISHED.fetch(server.url, tmp_path).read_bytes() == TEXT  # without a server


@pytest.mark.parametrize("damage", [TEXT[:-1], TEXT[:-1] + b"?", b"", TEXT + b" "])
def test_a_damaged_file_is_logged_and_fetched_again(tmp_path, damage, logged):
    make_own(tmp_path)
    (tmp_path / "text").write_bytes(damage)
    with serving(honest(ZIP)) as server:
        file = PUBLISHED.fetch(server.url, tmp_path)
    assert file.read_bytes() == TEXT
    assert logged == [f"{file} is damaged; it is downloaded again."]


# ---------------------------------------------------------------- cut off


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (plain(ZIP[:HALF], len(ZIP), ETag='"version 1"'), f"stopped after {HALF:,} of {len(ZIP):,} bytes"),
        (plain(ZIP[:HALF], ETag='"version 1"'), f"ends after {HALF:,} bytes, within its zip"),
        (plain(ZIP, HALF, ETag='"version 1"'), f"ends after {HALF:,} bytes, within its zip"),
    ],
    ids=["cut off", "cut off, no length", "length too short"],
)
def test_a_zip_that_was_cut_off_is_gone_on_with(tmp_path, answer, said):
    message = failure_of(answer, folder=tmp_path)
    assert said in message
    assert message.endswith("Try again, which goes on from there, or set corpus.path to a copy of your own.")
    assert kept(tmp_path) == {"text.zip.partial", "text.zip.partial.source"}
    # The address is that of the server, whose port is another each time.
    with serving(honest(ZIP)) as server:
        source = tmp_path / "text.zip.partial.source"
        write_checked(source, {"url": server.url, "validator": '"version 1"'})
        assert PUBLISHED.fetch(server.url, tmp_path).read_bytes() == TEXT
        assert server.asked == [(f"bytes={HALF}-", '"version 1"')]
    assert kept(tmp_path) == {"text"}


def test_several_cuts_are_gone_on_with(tmp_path):
    cuts = [0, 1, 3, HALF, len(ZIP) - 1, len(ZIP)]
    answers = [
        plain(
            ZIP[start:end],
            len(ZIP) - start,
            status=206 if start else 200,
            Content_Range=f"bytes {start}-{len(ZIP) - 1}/{len(ZIP)}",
        )
        for start, end in itertools.pairwise(cuts)
    ]
    with serving(*answers) as server:
        for _ in cuts[2:]:
            with pytest.raises(CorpusError, match="Try again"):
                PUBLISHED.fetch(server.url, tmp_path)
        assert PUBLISHED.fetch(server.url, tmp_path).read_bytes() == TEXT
        assert [asked for asked, _ in server.asked[1:]] == [f"bytes={start}-" for start in cuts[1:-1]]


def test_a_server_whose_zip_is_always_cut_off_never_yields_a_file(tmp_path):
    with serving(honest(ZIP[:HALF])) as server:
        for _ in range(3):
            with pytest.raises(CorpusError, match="within its zip"):
                PUBLISHED.fetch(server.url, tmp_path)
    assert not (tmp_path / "text").exists()


def test_parts_of_different_files_are_fetched_again_as_one(tmp_path):
    """The server says that nothing has changed, but it has."""
    other = zipped(text=TEXT[::-1])
    first = plain(other[:HALF], len(other))
    rest = plain(ZIP[HALF:], status=206, Content_Range=f"bytes {HALF}-{len(ZIP) - 1}/{len(ZIP)}")
    with serving(first, rest, honest(ZIP)) as server:
        with pytest.raises(CorpusError, match="stopped after"):
            PUBLISHED.fetch(server.url, tmp_path)
        assert PUBLISHED.fetch(server.url, tmp_path).read_bytes() == TEXT
        assert server.asked == [(None, None), (f"bytes={HALF}-", None), (None, None)]


def test_a_zip_that_had_arrived_is_unpacked_without_asking_again(tmp_path):
    with serving(plain(ZIP[:-1], len(ZIP), ETag='"version 1"'), plain(b"", 0, status=500)) as server:
        with pytest.raises(CorpusError):
            PUBLISHED.fetch(server.url, tmp_path)
        (tmp_path / "text.zip.partial").write_bytes(ZIP)  # as if killed before it was unpacked
        assert PUBLISHED.fetch(server.url, tmp_path).read_bytes() == TEXT
        assert len(server.asked) == 1


def test_a_whole_zip_is_taken_even_if_the_connection_stays_open(tmp_path):
    released = threading.Event()
    with serving(stalling(ZIP, released)) as server:
        assert PUBLISHED.fetch(server.url, tmp_path, timeout=2).read_bytes() == TEXT
        released.set()


# ---------------------------------------------------------------- something else


BOMB = zipped(text=TEXT + bytes(50_000_000))
WRONG = {
    "html": (b"<html>Sign in to the network</html>", "cannot be unpacked (File is not a zip file)"),
    "nothing": (b"", "cannot be unpacked (File is not a zip file)"),
    "other text": (zipped(text=TEXT[::-1]), "its md5 is "),
    "short text": (zipped(text=TEXT[:-1]), "it holds 399,999 bytes, and should hold 400,000"),
    "bomb": (BOMB, "it holds more than 400,000 bytes"),
    "two files": (zipped(text=TEXT, more=b"?"), "the zip holds 2 files, and must hold one"),
    "no file": (zipped(), "the zip holds 0 files, and must hold one"),
    "wrong checksum": (
        zipped(zipfile.ZIP_STORED, text=TEXT).replace(TEXT[:9], b"?" * 9),
        "cannot be unpacked (Bad CRC-32",
    ),
}


@pytest.mark.parametrize(("body", "said"), WRONG.values(), ids=WRONG)
def test_wrong_bytes_are_refused_and_not_kept(tmp_path, body, said):
    message = failure_of(honest(body), folder=tmp_path)
    assert message.startswith("URL is not text: ")
    assert said in message
    assert message.endswith("Set corpus.url to another address of it, or corpus.path to a copy of your own.")
    assert kept(tmp_path) == set()


def test_a_zip_that_unpacks_to_too_much_takes_no_room(tmp_path):
    with largest_file(len(TEXT) + 1):  # 50 MB would be an error of the system
        assert "it holds more than" in failure_of(honest(BOMB), folder=tmp_path)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            plain(b"?", 1, status=404),
            "URL cannot be downloaded: the server answers 404 Not Found. Set corpus.url",
        ),
        (endless(), "URL sends more than 1,448,576 bytes: it is not the file that is wanted. Set corpus.url"),
    ],
    ids=["404", "endless"],
)
def test_a_refusal_says_what_else_can_be_done(tmp_path, answer, said):
    assert failure_of(answer, folder=tmp_path).startswith(said)
    assert kept(tmp_path) == set()


SMALL = b"a rose is a rose " * 20
SMALL_PUBLISHED = PublishedText("text", len(SMALL), hashlib.md5(SMALL).hexdigest())
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
@example(
    method=zipfile.ZIP_STORED, changes=[(-6, 255)]
)  # the place of the directory: before the file's beginning
@example(method=zipfile.ZIP_STORED, changes=[(-26, 0)])  # a name that is empty
@example(method=zipfile.ZIP_BZIP2, changes=[(40, 0)])  # within the data
def test_a_damaged_zip_is_the_right_text_or_an_error(tmp_path, method, changes):
    damaged = bytearray(zipped(method, text=SMALL))
    for place, byte in changes:
        damaged[place % len(damaged)] = byte
    file = tmp_path / "text.zip"
    file.write_bytes(damaged)
    try:
        SMALL_PUBLISHED.verify(file)
    except WrongContentError:
        assert changes


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
def test_a_full_disk_is_told_and_leaves_nothing_that_looks_whole(tmp_path, room):
    with serving(honest(ZIP)) as server:
        with largest_file(room), pytest.raises(CorpusError) as failure:
            PUBLISHED.fetch(server.url, tmp_path)
        assert str(failure.value) == (
            f"{tmp_path} cannot keep text: File too large. Make room or give access there, or set W2V_EXP_CACHE to "
            "another folder."
        )
        assert kept(tmp_path) == {"text.zip.partial", "text.zip.partial.source"}
        assert PUBLISHED.fetch(server.url, tmp_path).read_bytes() == TEXT
    assert kept(tmp_path) == {"text"}


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match=r"file/folder cannot keep text: Not a directory\. .*W2V_EXP_CACHE"):
        PUBLISHED.fetch("http://127.0.0.1:1/", tmp_path / "file" / "folder")


def test_a_file_in_a_folder_one_may_only_read_is_used(tmp_path):
    (tmp_path / "text").write_bytes(TEXT)
    before = list(tmp_path.iterdir())
    assert PUBLISHED.fetch("http://127.0.0.1:1/", tmp_path) == tmp_path / "text"
    assert list(tmp_path.iterdir()) == before  # not even a lock is written


def test_what_killed_processes_left_is_cleared_away(tmp_path):
    make_own(tmp_path)
    (tmp_path / ".text.0123abcd").write_bytes(TEXT[:9])
    with serving(honest(ZIP)) as server:
        PUBLISHED.fetch(server.url, tmp_path)
    assert kept(tmp_path) == {"text"}


def test_files_in_a_folder_of_somebody_else_stay(tmp_path):
    names = {"text", ".text.0123abcd", "text.zip.partial", "text.zip.partial.source"}
    for name in names:
        (tmp_path / name).write_text("mine")
    with serving(honest(ZIP)) as server:
        file = PUBLISHED.fetch(server.url, tmp_path)
        assert file == tmp_path / "w2v_exp" / "text"
        assert PUBLISHED.fetch(server.url, tmp_path) == file
        assert len(server.asked) == 1
    assert kept(file.parent) == {"text"}
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == dict.fromkeys(
        names, "mine"
    )


FETCH = """
import sys
from pathlib import Path
from w2v_exp.text.text8 import PublishedText
file = PublishedText("text", int(sys.argv[3]), sys.argv[4]).fetch(sys.argv[1], Path(sys.argv[2]))
print(len(file.read_bytes()))
"""


def start_fetching(url: str, folder: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", FETCH, url, str(folder), str(len(TEXT)), MD5]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_of_several_processes_one_downloads_and_all_have_the_text(tmp_path):
    with serving(slow(ZIP, 0.05, HALF // 8)) as server:
        fetching = [start_fetching(server.url, tmp_path) for _ in range(3)]
        said = [process.communicate() for process in fetching]
        assert said == [(f"{len(TEXT)}\n", "")] * 3
        assert len(server.asked) == 1
    assert kept(tmp_path) == {"text"}


def test_a_process_that_is_killed_leaves_a_part_that_the_next_goes_on_with(tmp_path):
    released = threading.Event()
    waiting = stalling(ZIP[:HALF], released)
    with serving(waiting, honest(ZIP)) as server:
        process = start_fetching(server.url, tmp_path)
        part = tmp_path / "text.zip.partial"
        while not part.exists() or part.stat().st_size < HALF // 2:
            assert process.poll() is None
        process.kill()
        process.communicate()
        released.set()
        assert not (tmp_path / "text").exists()
        assert PUBLISHED.fetch(server.url, tmp_path).read_bytes() == TEXT
        assert server.asked[1][0] is not None
    assert kept(tmp_path) == {"text"}
