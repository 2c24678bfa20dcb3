"""The corpus text8: downloaded when it is read, or read from a file of one's own; its command line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from local_server import honest, plain, serving, slow, zipped
from processes import Command, run_on_terminal

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.files import make_own
from w2v_exp.text.corpus import CORPORA
from w2v_exp.text.text8 import PublishedText, Text8Corpus

TEXT = " anarchism originated as a term of abuse" * 50
ZIP = zipped(text8=TEXT.encode())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and no proxy on the way to this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("W2V_EXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache, in a world where text8 is a short text."""
    md5 = hashlib.md5(TEXT.encode()).hexdigest()
    monkeypatch.setattr(Text8Corpus, "published", PublishedText("text8", len(TEXT), md5))
    return cache


def test_it_is_what_everybody_calls_text8():
    assert Text8Corpus().url == "http://mattmahoney.net/dc/text8.zip"
    assert Text8Corpus.published == PublishedText("text8", 10**8, "3bea1919949baf155f99411df5fada7e")
    assert CORPORA["text8"] is Text8Corpus


def test_it_is_downloaded_when_it_is_first_read(small):
    with serving(honest(ZIP)) as server:
        corpus = Text8Corpus(url=server.url)
        chunks = corpus.chunks()
        assert server.asked == []
        assert not small.exists()
        assert "".join(chunks) == TEXT
        assert "".join(corpus.chunks()) == TEXT
        assert len(server.asked) == 1
    assert corpus.source == server.url
    assert corpus.files() == [small / "text8" / "text8"]


def test_whoever_asks_for_its_file_gets_it_downloaded(small):
    told = []
    with serving(honest(ZIP)) as server:
        (file,) = Text8Corpus(url=server.url).files(progress=lambda *figures: told.append(figures))
    assert file.read_text() == TEXT
    assert told[-1] == (len(ZIP), len(ZIP))


def test_a_damaged_file_in_the_cache_is_not_read(small, capsys):
    file = small / "text8" / "text8"
    make_own(file.parent)
    file.write_text(TEXT[:-1] + "?")
    with serving(honest(ZIP)) as server:
        assert "".join(Text8Corpus(url=server.url).chunks()) == TEXT
    assert capsys.readouterr().err == f"{file} is damaged; it is downloaded again.\n"


@pytest.mark.parametrize("name", ["text8", "text8.zip"])
def test_a_copy_of_ones_own_is_read_without_a_cache(small, tmp_path, name):
    file = tmp_path / name
    file.write_bytes(ZIP if name.endswith("zip") else TEXT.encode())
    corpus = Text8Corpus(url="http://127.0.0.1:1/", path=str(file))
    assert corpus.files() == [file]
    assert "".join(corpus.chunks()) == TEXT
    assert corpus.source == str(file)
    assert not small.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text8", TEXT.encode()[:-1], "it holds 1,999 bytes, and should hold 2,000"),
        ("text8", TEXT.upper().encode(), "its md5 is "),
        ("text8.zip", ZIP[:-9], "it cannot be unpacked (File is not a zip file)"),
        ("text8.zip", TEXT.encode(), "it cannot be unpacked (File is not a zip file)"),
        ("text8.zip", zipped(text8=TEXT.encode() * 99), "it holds more than 2,000 bytes"),
    ],
)
def test_a_copy_of_something_else_is_refused(small, tmp_path, name, content, said):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(CorpusError) as failure:
        next(Text8Corpus(path=str(file)).chunks())
    assert str(failure.value).startswith(f"{file} is not text8: {said}")
    assert str(failure.value).endswith("or set corpus.verify=false to take it as it is.")


def test_something_else_is_read_if_that_is_what_is_wanted(tmp_path):
    for name, content in (("mine", b"some words"), ("mine.zip", zipped(text8=b"some words"))):
        (tmp_path / name).write_bytes(content)
        assert "".join(Text8Corpus(path=str(tmp_path / name), verify=False).chunks()) == "some words"


def test_text_is_cut_at_spaces(small, monkeypatch):
    monkeypatch.setattr("w2v_exp.text.chunks.CHUNK_CHARACTERS", 100)
    with serving(honest(ZIP)) as server:
        chunks = list(Text8Corpus(url=server.url).chunks())
    assert "".join(chunks) == TEXT
    assert all(chunk.endswith(" ") for chunk in chunks[:-1])
    assert len(chunks) > 19


@pytest.mark.parametrize(
    "url", ["", "file:///etc/passwd", "ftp://host/text8.zip", "mattmahoney.net/dc/text8.zip"]
)
def test_an_address_of_another_kind_is_refused_at_once(url):
    with pytest.raises(SettingError, match=r"^url=.*: must begin with http:// or https://"):
        Text8Corpus(url=url)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("missing", "path=missing: no such file, seen from "),
        ("", "path=: no such file, seen from "),
        (".", "path=.: no such file, seen from "),
        ("a" * 300, "cannot be looked up: File name too long."),
        ("~no-such-user-here/text8", "cannot be looked up"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_at_once(path, said):
    with pytest.raises(SettingError) as refusal:
        Text8Corpus(path=path)
    assert said in str(refusal.value)


# ---------------------------------------------------------------- the command line


def test_help_and_mistakes_fetch_nothing(command: Command, cache: Path) -> None:
    with serving(honest(ZIP)) as server:
        address = f"corpus.url={server.url}"
        assert command("corpus=text8", address, "--help").returncode == 0
        assert command("corpus=text8", address, "window=0").returncode == 2
        assert server.asked == []
    assert not cache.exists()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (plain(ZIP[:99], len(ZIP)), f"stopped after 99 of {len(ZIP):,} bytes: the server closed"),
        (honest(ZIP), "is not text8: it holds 2,000 bytes, and should hold 100,000,000"),
    ],
    ids=["cut off", "wrong bytes"],
)
def test_a_download_that_fails_leaves_no_run(
    command: Command, cache: Path, tmp_path: Path, answer, said: str
) -> None:
    with serving(answer) as server:
        done = command("corpus=text8", f"corpus.url={server.url}")
    assert done.returncode == 2
    assert said in done.stderr
    assert "corpus.path" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "mlartifacts").exists()
    assert not (cache / "text8" / "text8").exists()


def test_a_download_is_shown_where_there_is_a_terminal(tmp_path: Path, cache: Path) -> None:
    with serving(slow(ZIP, 0.2, len(ZIP) // 4)) as server:
        shown = run_on_terminal("corpus=text8", f"corpus.url={server.url}", folder=tmp_path)
    assert "downloading text8" in shown


def test_a_run_reads_ones_own_copy(command: Command, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "text8").write_text(TEXT)
    done = command("corpus=text8", "corpus.path=text8", "corpus.verify=false", "epochs=2", "tracking=none")
    assert done.returncode == 0, done.stderr
    assert not (cache / "text8").exists()
