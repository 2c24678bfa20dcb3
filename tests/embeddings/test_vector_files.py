"""Files of vectors as others publish them: forms, compression, pipes, options, and bounds of memory."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import re
import struct
import threading
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import settings as property_settings
from plans import plan_of
from test_embedding_formats import (
    HOSTILE_WORDS,
    any_embeddings,
    archive_of,
    same,
    same_bits,
    small_embeddings,
    solid_words,
)

from w2v_exp.embeddings import Embeddings, opening, word2vec_formats
from w2v_exp.embeddings.opening import LoadOptions, LoadWarning
from w2v_exp.embeddings.word2vec_formats import MOST_BLANK_LINES
from w2v_exp.errors import FormatError, SettingError, UserError
from w2v_exp.experiment.inputs import Pretrained
from w2v_exp.experiment.queries import run

pytestmark = pytest.mark.filterwarnings("ignore::w2v_exp.embeddings.opening.LoadWarning")

GLOVE = b"the 0.1 -0.2 0.3\nriver 0.2 0.1 -0.4\n, 0.5 0.5 0.1\n"
HEADER = b"3 3\n"


def zipped(content, method=zipfile.ZIP_DEFLATED, companions=True):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("folder/", "")
        archive.writestr("folder/vectors.txt", content)
        if companions:
            archive.writestr("__MACOSX/folder/._vectors.txt", "Mac OS X")
            archive.writestr("folder/.DS_Store", "Mac OS X")
    return stream.getvalue()


def zstandard(content):
    return pa.compress(content, codec="zstd", asbytes=True)


COMPRESSIONS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip, two members": lambda content: gzip.compress(content[:9]) + gzip.compress(content[9:]),
    "bzip2": bz2.compress,
    "bzip2, two streams": lambda content: bz2.compress(content[:9]) + bz2.compress(content[9:]),
    "xz": lzma.compress,
    "xz, two streams with padding": lambda content: (
        lzma.compress(content[:9]) + b"\0" * 8 + lzma.compress(content[9:]) + b"\0" * 4
    ),
    "zstd, two frames": lambda content: zstandard(content[:9]) + zstandard(content[9:]),
    "zip": zipped,
    "zip, stored": lambda content: zipped(content, zipfile.ZIP_STORED, companions=False),
    "zip by bzip2": lambda content: zipped(content, zipfile.ZIP_BZIP2),
}


@pytest.fixture
def read(tmp_path):
    """Read a content from a file."""

    def read_content(content, name="vectors.txt", **options):
        (tmp_path / name).write_bytes(content)
        return Embeddings.load(tmp_path / name, **options)

    return read_content


def piped(path, content, **options):
    """Read a content from a fifo."""
    os.mkfifo(path)

    def feed():
        with contextlib.suppress(BrokenPipeError):  # not all of it was wanted
            path.write_bytes(content)

    writer = threading.Thread(target=feed)
    writer.start()
    try:
        return Embeddings.load(path, **options)
    finally:
        writer.join()
        path.unlink()


# --- forms


@pytest.mark.parametrize(
    ("content", "words", "vectors"),
    [
        (GLOVE, ["the", "river", ","], [[0.1, -0.2, 0.3], [0.2, 0.1, -0.4], [0.5, 0.5, 0.1]]),
        (b"\xef\xbb\xbfthe 1 2\n", ["the"], [[1, 2]]),
        (b"\xef\xbb\xbf1 2\nthe 1 2\n", ["the"], [[1, 2]]),
        (b"2\t2\nriver\t1\t0\nNew York\t0\t1\n", ["river", "New York"], [[1, 0], [0, 1]]),
        (b"river\t1 0\nbank\t0 1\n", ["river", "bank"], [[1, 0], [0, 1]]),
        (b"2 2\r\nriver 1 0 \r\nbank 0 1\r\n\r\n \r\n", ["river", "bank"], [[1, 0], [0, 1]]),
        (b"2 2 \nriver .5 -.5 \nbank 1e-01 -2.5E+00 \n", ["river", "bank"], [[0.5, -0.5], [0.1, -2.5]]),
        (b"1 3\nriver -0 1e-300 1e-45\n", ["river"], [[-0.0, 0, 1e-45]]),
        (b"2 1\n7 1\n8 2\n", ["7", "8"], [[1], [2]]),
        (b"7 1 2.5\n8 2 1\n", ["7", "8"], [[1, 2.5], [2, 1]]),
        (b"nan 0.5 1\ninf 2 1\n", ["nan", "inf"], [[0.5, 1], [2, 1]]),
        (b"PK 0.5 1\n", ["PK"], [[0.5, 1]]),
        (b"BZh9 0.5 1\n", ["BZh9"], [[0.5, 1]]),
        (b"2 2\n. . . 1 2\nto name@domain.com 3 4\n", [". . .", "to name@domain.com"], [[1, 2], [3, 4]]),
        (b"the 1 2.5\n. . . 1 2\n", ["the", ". . ."], [[1, 2.5], [1, 2]]),
        (b"3 2\na\x0bb 1 2\na\x1cb 3 4\n 5 6\n", ["a\x0bb", "a\x1cb", ""], [[1, 2], [3, 4], [5, 6]]),
        ("2 1\n\u00a0 1\n\u3000東 京 2\n".encode(), ["\u00a0", "\u3000東 京"], [[1], [2]]),
        (b'2 1\n"quoted 1\n" 2\n', ['"quoted', '"'], [[1], [2]]),
    ],
)
def test_forms_that_others_write_are_read(read, content, words, vectors):
    found = read(content)
    assert found.words == words
    assert same_bits(found.input, np.array(vectors, np.float32))
    assert (found.counts, found.output) == (None, None)


@pytest.mark.parametrize("line_ends", [b"", b"\n"])
def test_binary_vectors_are_read_with_line_ends_or_without(read, line_ends):
    vectors = np.random.default_rng(0).standard_normal((3, 333)).astype("<f4")
    rows = [b"w%d " % i + vector.tobytes() + line_ends for i, vector in enumerate(vectors)]
    found = read(b"3 333\n" + b"".join(rows))
    assert same(found, Embeddings(["w0", "w1", "w2"], None, vectors))
    if line_ends:  # that of the last one may lack
        assert same(read((b"3 333\n" + b"".join(rows))[:-1]), found)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("dim", [8191, 100_000])
def test_lines_longer_than_what_a_format_is_recognised_by(read, dim, header):
    vectors = np.random.default_rng(0).standard_normal((2, dim)).astype(np.float32)
    lines = b"".join(
        b"w%d %s\n" % (i, " ".join(map(str, row)).encode()) for i, row in enumerate(vectors.tolist())
    )
    for name in ("vectors", "vectors.bin"):
        assert same_bits(read((b"2 %d\n" % dim if header else b"") + lines, name).input, vectors)


@given(any_embeddings(solid_words, [np.float32]))
@property_settings(max_examples=100)
@example(Embeddings(HOSTILE_WORDS, None, np.ones((len(HOSTILE_WORDS), 3), np.float32)))
@example(Embeddings(["\ufeff", "a"], None, np.ones((2, 3), np.float32)))
@example(Embeddings(["PK\x03\x04", "a"], None, np.ones((2, 3), np.float32)))
@example(Embeddings(["13", "7"], None, np.ones((2, 1), np.float32)))
def test_what_is_written_without_a_header_comes_back(tmp_path_factory, embeddings):
    path = tmp_path_factory.mktemp("own") / "vectors.txt"
    try:
        Embeddings(embeddings.words, None, embeddings.input).save_word2vec_format(path, write_header=False)
    except UserError as error:
        first = embeddings.words[0]
        assert "Use write_header=True" in str(error)
        assert first.startswith(("\ufeff", "PK\x03\x04", "PK\x05\x06", "PK\x07\x08")) or first.isdigit()
        return
    expected = Embeddings(embeddings.words, None, embeddings.input)
    assert same(Embeddings.load(path, no_header=True), expected)
    try:
        assert same(Embeddings.load(path), expected)
    except FormatError as error:
        assert "no_header=true reads it" in str(error)


def test_binary_vectors_without_a_header_are_not_written(tmp_path):
    with pytest.raises(UserError, match="write_header=False: is not supported with binary=True"):
        small_embeddings().save_word2vec_format(tmp_path / "v", binary=True, write_header=False)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"1 2\n3 4\n", "line 2: has 1 values where line 1 says 2"),
        (b"the 1\nof 2\n", "line 1: must be .* If it is a word with its vector, no_header=true reads it"),
        (b"2 2 100\nriver 1 0\nbank 0 1\n", "line 1: must be .* it is '2 2 100'.*no_header=true"),
        (b"the 1 2.5\nof 1 2 3\n", "line 2: has 3 values where line 1 says 2"),
        (b"the 1 2.5\nof 1\n", "line 2: has 1 values where line 1 says 2"),
        (b"the 1 2.5\nof 1 nan 3\n", "line 2: has 3 values"),
        (b"the 1 2.5\n\nof 1 3\n", "line 2: has 0 values"),
        (b"the  1 2.5\n", "line 1: must be"),
        (b"2 2\nriver  1 0\nbank  0 1\n", "line 2: has two separators in a row"),
        (b"2 2\nriver 1,5 0\nbank 0 1\n", "line 2: value 1, '1,5', is not a number. Decimal commas are not supported"),
        (b"the 1,5 2,5\n", "line 1: must be .* commas are supported neither as separators nor as decimal points"),
        (b"2 2\rriver 1 0\rbank 0 1\r", "line 1: .* carriage returns as line ends"),
        (b"the 1 2.5\rof 1 3\r", "line 1: .* carriage returns as line ends"),
        (b"", "line 1: .* the file is empty"),
        (b" \n\n\t\n", "line 1: must be"),
        (b"3 2\n", "line 1: says 3 words of 2 dimensions, which take"),
        (b"9999999999 9999999999\n", "line 1: says 9999999999 words"),
        (b"1 1048577\nw" + b" 0" * 1048577, "line 1: says 1048577 dimensions; at most 1,048,576 are read"),
        (b"w" + b" 0" * 1048577, "line 1: says 1048577 dimensions; at most 1,048,576 are read"),
        (b"1 1\nw 1\n" + b"\n" * (MOST_BLANK_LINES + 1), "more than 1000 consecutive blank lines"),
        ("2 2\nriver 1 0\n".encode("utf-16"), "is UTF-16 or UTF-32 text, but must be UTF-8"),
        ("2 2\nriver 1 0\n".encode("utf-32"), "is UTF-16 or UTF-32 text"),
        (b"vectors.txt" + b"\0" * 246 + b"ustar\x0000" + b"\0" * 249 + GLOVE, "is a tar archive"),
        (b"\x28\xb5\x2f\xfd\x04", "ends in the middle of its compressed data"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file, which is not supported"),
        (zipped(b"")[:-30], "is not a NumPy archive .* or is truncated"),
        (gzip.compress(lzma.compress(GLOVE)), "is compressed twice: it is xz data inside gzip"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_for_sure_is_refused(read, content, problem):
    with pytest.raises(FormatError, match=rf"vectors\.txt.* {problem}|vectors\.txt {problem}"):
        read(content)


# --- compression and pipes


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", ["vectors", "vectors.txt", "vectors.vec.gz", "vectors.txt.xz", "v.npz"])
def test_compression_is_recognised_by_content(read, compression, name):
    expected = read(GLOVE)
    assert same(read(COMPRESSIONS[compression](GLOVE), name), expected)
    assert same(read(COMPRESSIONS[compression](HEADER + GLOVE), name), expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_pipe_is_read_as_a_file_is(read, tmp_path, compression):
    content = COMPRESSIONS[compression](GLOVE)
    assert same(piped(tmp_path / "pipe", content), read(GLOVE))
    original = small_embeddings()
    original.save(tmp_path / "embeddings.npz")
    assert same(piped(tmp_path / "pipe", (tmp_path / "embeddings.npz").read_bytes()), original)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_truncated_compressed_data_are_refused(read, compression):
    content = COMPRESSIONS[compression](HEADER + GLOVE)
    whole = read(HEADER + GLOVE)
    for length in range(0, len(content), 3):
        try:
            found = read(content[:length])
        except FormatError:
            continue
        # Cut in the padding, or in the last number of a plain file.
        assert found.words == whole.words
        assert compression in ("plain", "xz, two streams with padding")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "holds 0 files; it must hold a single one"),
        ({"__MACOSX/._a": "x", "a/": ""}, "holds 0 files"),
        ({"glove.50d.txt": "x", "glove.100d.txt": "x"}, r"holds 2 files \('glove.50d.txt', 'glove.100d.txt'\)"),
        ({"\x1b[31m": "x", "b": "y"}, r"holds 2 files \('\\x1b\[31m', 'b'\)"),
    ],
)  # fmt: skip
def test_a_zip_archive_must_hold_one_file(read, files, problem):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    with pytest.raises(FormatError, match=problem):
        read(stream.getvalue())


# --- options

BAD_ROWS = b"8 2\nthe 1 0\nof 0 1\nthe 5 5\ncaf\xe9 1 1\nin 1\nthe 7 7\nnaf\xe9 2 2\nto nan 1\nand 1 1e39\nlast 9 9\n"


def test_what_is_skipped_or_replaced_is_counted_in_one_line(read, tmp_path):
    with pytest.warns(LoadWarning) as warned:
        found = read(BAD_ROWS, duplicates="first", unicode_errors="skip", malformed="skip")
    assert found.words == ["the", "of", "last"]
    assert found.input.tolist() == [[1, 0], [0, 1], [9, 9]]
    assert [str(one.message) for one in warned] == [
        f"{tmp_path / 'vectors.txt'}: 3 words read; "
        "skipped 2 rows with a repeated word, first at line 4 ('the'); "
        r"skipped 2 rows with a word that is not UTF-8, first at line 5 (b'caf\xe9'); "
        "skipped 3 rows with a malformed entry, first at line 6 (has 1 values where line 1 says 2); "
        "read 10 rows where line 1 claims 8."
    ]
    assert warned[0].filename == __file__
    with pytest.warns(
        LoadWarning, match="read 2 rows with a word that is not UTF-8 by unicode_errors=replace, first"
    ):
        replaced = read(BAD_ROWS, duplicates="first", unicode_errors="replace", malformed="skip")
    assert replaced.words == ["the", "of", "caf\ufffd", "naf\ufffd", "last"]
    ignored = read(BAD_ROWS, duplicates="first", unicode_errors="ignore", malformed="skip")
    assert ignored.words == ["the", "of", "caf", "naf", "last"]


@pytest.mark.parametrize("missing", ["duplicates", "unicode_errors", "malformed"])
def test_each_kind_needs_its_own_option(read, missing):
    options = {"duplicates": "first", "unicode_errors": "skip", "malformed": "skip"}
    del options[missing]
    with pytest.raises(FormatError, match=f"{missing}="):
        read(BAD_ROWS, **options)


def test_binary_rows_are_skipped_too(read):
    def row(word, *values):
        return word + b" " + np.array(values, "<f4").tobytes() + b"\n"

    content = b"9 2\n" + b"".join(
        [row(b"the", 1, 0), row(b"the", 5, 5), row(b"caf\xe9", 1, 1), row(b"", 1, 1), row(b"to", np.nan, 1)]
    )
    options = {"duplicates": "first", "unicode_errors": "skip", "malformed": "skip"}
    for end in (row(b"last", 9, 9), row(b"last", 9, 9) + b"cut \0\0", row(b"last", 9, 9) + b"cu"):
        with pytest.warns(LoadWarning, match="line 1 claims 9"):
            found = read(content + end, **options)
        assert (found.words, found.input.tolist()) == (["the", "last"], [[1, 0], [9, 9]])
    for option in options:
        with pytest.raises(FormatError, match=f"{option}=|but no more than"):
            read(
                content + row(b"last", 9, 9),
                **{key: value for key, value in options.items() if key != option},
            )


@pytest.mark.parametrize("claimed", [1, 2, 4, 1000, 10**15])
def test_a_header_with_another_count_is_ignored_if_asked(read, claimed):
    content = b"%d 3\n" % claimed + GLOVE
    with pytest.raises(FormatError, match="line 1"):
        read(content)
    with pytest.warns(LoadWarning, match=f"read 3 rows where line 1 claims {claimed}"):
        assert same(read(content, malformed="skip"), read(GLOVE))


def test_a_last_line_without_its_end_is_reported(read):
    with pytest.warns(
        LoadWarning, match=r"read 1 row without a line end, .* line 3 \(its last number may be trunc"
    ):
        assert read(GLOVE[:-1]).words == read(GLOVE).words


@pytest.mark.parametrize("options", [{}, {"limit": 5}, {"malformed": "skip"}])
@pytest.mark.filterwarnings("error")
def test_of_a_sound_file_nothing_is_reported(read, options):
    read(HEADER + GLOVE, **options)
    read(GLOVE, **options)


@pytest.mark.parametrize("suffix", [".txt", ".bin", ".npz", ".txt.gz"])
def test_a_limit_reads_the_first_rows_and_nothing_behind_them(tmp_path, suffix):
    vectors = np.random.default_rng(0).standard_normal((2000, 100)).astype(np.float32)
    original = Embeddings([f"w{i}" for i in range(2000)], np.arange(2000, 0, -1), vectors, -vectors)
    path = tmp_path / f"vectors{suffix}"
    original.save(path)
    tracemalloc.start()
    found = Embeddings.load(path, limit=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.words == original.words[:10]
    assert same_bits(found.input, vectors[:10])
    if suffix == ".npz":
        assert found.counts.tolist() == list(range(2000, 1990, -1))
        assert same_bits(found.output, -vectors[:10])
    assert peak < 0.6 * vectors.nbytes  # the words of an archive are read whole; buffers take 200 kB
    assert len(Embeddings.load(path, limit=5000)) == 2000


@pytest.mark.parametrize("content", [GLOVE, HEADER + GLOVE, b"100000000 3\n" + GLOVE])
def test_what_is_behind_the_limit_may_be_anything(read, content):
    for compress in (bytes, gzip.compress):
        assert read(compress(content + b"\xff\xff anything\n" * 9), limit=2).words == ["the", "river"]


def test_limits_and_bad_rows_are_those_of_gensim(tmp_path):
    keyed_vectors = pytest.importorskip("gensim.models").KeyedVectors
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"6 2\nthe 1 0\nof 0 1\nthe 5 5\ncaf\xe9 1 1\nin 1 2\nto 3 4\n")
    for limit in (1, 2, 3, 4, 5, None):
        for errors in ("replace", "ignore"):
            theirs = keyed_vectors.load_word2vec_format(str(path), limit=limit, unicode_errors=errors)
            ours = Embeddings.load(path, limit=limit, unicode_errors=errors, duplicates="first")
            known = [
                word for word in theirs.index_to_key if word is not None
            ]  # None stands for a repeated word
            assert ours.words == known
            assert same_bits(ours.input, theirs.vectors[: len(known)])


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # gensim's
@pytest.mark.parametrize("content", [GLOVE, b"1 2\n3 4\n", b"2 2 100\nriver 1 0\n"])
def test_no_header_is_that_of_gensim(tmp_path, content):
    keyed_vectors = pytest.importorskip("gensim.models").KeyedVectors
    (tmp_path / "vectors.txt").write_bytes(content)
    theirs = keyed_vectors.load_word2vec_format(str(tmp_path / "vectors.txt"), no_header=True)
    ours = Embeddings.load(tmp_path / "vectors.txt", no_header=True)
    assert ours.words == theirs.index_to_key
    assert same_bits(ours.input, theirs.vectors)


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("limit", 0, "must be a whole number, 1 or more"),
        ("limit", 2.5, "must be a whole number"),
        ("unicode_errors", "surrogateescape", "Options: strict, replace, ignore, skip"),
        ("duplicates", "last", "Options: error, first"),
        ("malformed", "strict", "Options: error, skip"),
    ],
)
def test_options_are_checked(read, option, value, problem):
    with pytest.raises(SettingError, match=f"{option}={value}: .*{problem}"):
        read(GLOVE, **{option: value})


def test_a_limit_may_be_a_number_of_numpys(read):
    assert len(read(GLOVE, limit=np.uint8(2))) == 2


def test_nothing_left_is_an_error(read):
    with pytest.raises(FormatError, match=r"no row that can be read; skipped 1 row with .* first at line 2"):
        read(b"1 2\nthe 1 nan\n", malformed="skip")


# --- from the shell and the configuration


def test_the_options_reach_the_shell(tmp_path, capsys):
    file = tmp_path / "vectors.txt"
    file.write_bytes(BAD_ROWS)
    assert run(["neighbours", str(file), "the"]) == 2
    assert "duplicates=first keeps the first" in capsys.readouterr().err
    options = ["--duplicates", "first", "--unicode-errors", "skip", "--malformed", "skip"]
    assert run(["neighbours", str(file), "the", *options]) == 0
    printed = capsys.readouterr()
    assert "last" in printed.out
    assert printed.err.startswith(f"{file}: 3 words read; skipped 2 rows with a repeated word")
    assert len(printed.err.splitlines()) == 1
    assert run(["neighbours", str(file), "the", "--limit", "2"]) == 0
    assert "last" not in capsys.readouterr().out
    file.write_bytes(b"1 2\n3 4\n")
    assert run(["neighbours", str(file), "3", "--no-header"]) == 0


def test_the_options_of_files_are_refused_for_a_run(capsys):
    assert run(["neighbours", "latest", "the", "--limit", "2"]) == 2
    assert "latest: the options of reading hold for files" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_the_shell_reads_a_pipe(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[gzip.compress(GLOVE)])
    writer.start()
    assert run(["neighbours", str(tmp_path / "pipe"), "river"]) == 0
    writer.join()
    assert "the" in capsys.readouterr().out


def test_the_options_reach_a_run_that_starts_from_a_file(tmp_path, capsys):
    (tmp_path / "vectors.txt").write_bytes(BAD_ROWS)
    path = f"initialization.path={tmp_path / 'vectors.txt'}"
    chosen = ["initialization=from_file", path, "dim=2", "initialization.limit=3"]
    with pytest.raises(SettingError, match=r"initialization.path=.*duplicates=first"):
        Pretrained.read(plan_of(*chosen))
    assert Pretrained.read(plan_of(*chosen, "initialization.duplicates=first")).embeddings.words == [
        "the",
        "of",
    ]
    assert "skipped 1 row with a repeated word" in capsys.readouterr().err
    with pytest.raises(SettingError, match=r"initialization.malformed=x: .*Options: error, skip"):
        plan_of(*chosen, "initialization.malformed=x")


# --- bounds of memory


def peak_of(path, **options):
    tracemalloc.start()
    try:
        return Embeddings.load(path, **options), tracemalloc.get_traced_memory()[1]
    except UserError as error:
        return error, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["headerless", "gzip", "headerless gzip", "pipe"])
def test_a_matrix_of_unknown_length_grows_with_its_rows(monkeypatch, tmp_path, form):
    monkeypatch.setattr(word2vec_formats, "GROWTH", 1 << 16)
    vectors = np.random.default_rng(0).integers(0, 99, (1500, 200)).astype(np.float32)
    row = b" %d" * 200 + b"\n"
    lines = b"".join(b"w%d" % i + row % tuple(map(int, vector)) for i, vector in enumerate(vectors))
    content = lines if "headerless" in form else b"1500 200\n" + lines
    if "gzip" in form:
        content = gzip.compress(content, 1)
    path = tmp_path / "vectors"
    if form == "pipe":
        found = piped(path, content)
        assert same_bits(found.input, vectors)
        return
    path.write_bytes(content)
    found, peak = peak_of(path)
    assert same_bits(found.input, vectors)
    words = 1500 * 220  # a list and two dicts of them
    assert peak < 1.2 * vectors.nbytes + words + (1 << 19)


def xz_with_a_dictionary_of_4_gb():
    content = bytearray(lzma.compress(HEADER))
    size = (content[12] + 1) * 4  # of the header of a block, which a checksum ends
    content[content.index(b"\x21\x01") + 2] = 40
    content[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(content[12 : 12 + size - 4]))
    return bytes(content)


ZEROS = b" 0" * 1000 + b"\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (gzip.compress(b"1 60000000\nw" + b" 0" * 1000), "line 1: says 1 words of 60000000 dimensions"),
        (gzip.compress(b"w" + b" 0" * 3_000_000 + b"\n"), "expand to more than"),
        (gzip.compress(b"".join(b"w%d" % i + ZEROS for i in range(2000))), "expand to more than"),
        (bz2.compress(b"".join(b"w%d" % i + ZEROS for i in range(2000))), "expand to more than 1.05 MB"),
        (zipped(b"".join(b"w%d" % i + ZEROS for i in range(2000))), "expand to more than"),
        (lzma.compress(b"w 1 2.5\n" + b"a" * 5_000_000), "line 2: is longer than|expand to more than"),
        (gzip.compress(b"the 1 2.5\n" * 900_000), "line 2: the word 'the' is word number 1 as well"),
        (gzip.compress(b" " * 5_000_000), "expand to more than"),
        (gzip.compress(b"\n" * 5_000_000), "line 1: must be"),
        (bz2.compress(b"\0" * 5_000_000), "expand to more than"),
        (
            xz_with_a_dictionary_of_4_gb(),
            "cannot be decompressed: it needs more than 256 MiB for its dictionary",
        ),
        (xz_with_a_dictionary_of_4_gb()[:26], "cannot be decompressed|ends in the middle"),
        (zipped(b"\0" * 30_000_000, zipfile.ZIP_BZIP2), "expand to more than"),
    ],
)
def test_a_small_file_takes_little_memory(monkeypatch, tmp_path, content, problem):
    monkeypatch.setattr(opening, "ALWAYS_READ", 1 << 20)
    path = tmp_path / "vectors"
    path.write_bytes(content)
    error, peak = peak_of(path)
    assert isinstance(error, FormatError)
    assert re.search(problem, str(error)), error
    assert peak < 24 << 20


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zipped])
def test_a_pipe_is_bounded_by_what_has_come_out_of_it(monkeypatch, tmp_path, compress):
    monkeypatch.setattr(opening, "ALWAYS_READ", 1 << 18)
    rows = b"".join(b"w%d" % i + ZEROS for i in range(2000))
    with pytest.raises(FormatError, match=r"of compressed data expand to more than .* \(100 times as much\)"):
        piped(tmp_path / "pipe", compress(rows))


def test_a_ratio_is_not_bounded_for_small_files(read):
    rows = b"".join(b"w%d" % i + b" 0" * 100 + b"\n" for i in range(5000))
    assert len(rows) > 100 * len(bz2.compress(rows))
    assert read(bz2.compress(rows)).input.shape == (5000, 100)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_that_claims_much_is_given_little(tmp_path):
    tracemalloc.start()
    with pytest.raises(
        FormatError, match="line 5: the file ends before this line; line 1 promises 999999999999"
    ):
        piped(tmp_path / "pipe", b"999999999999 3\n" + GLOVE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


@pytest.mark.parametrize("available", [1_000_000, 5_000_000])  # less than the first rows take, or more
def test_rows_that_do_not_fit_the_memory_are_refused_while_they_are_read(monkeypatch, tmp_path, available):
    path = tmp_path / "vectors"
    path.write_bytes(
        gzip.compress(
            b"w0"
            + b" 0.5" * 50
            + b"\n"
            + b"".join(b"w%d" % i + b" 0" * 50 + b"\n" for i in range(1, 99_999)),
            1,
        )
    )
    monkeypatch.setattr("w2v_exp.machine.available_memory", lambda: available)
    with pytest.raises(UserError, match=r"vectors: .* needs .* are available\.\nRead fewer with limit="):
        Embeddings.load(path)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_an_array_twice_in_an_archive_is_refused(read):
    stream = io.BytesIO(archive_of())
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("input.npy", archive.read("input.npy"))
    with pytest.raises(FormatError, match="the archive has 2 arrays input, and must have one"):
        read(stream.getvalue(), "embeddings.npz")


def test_arrays_of_another_program_are_refused(read):
    stream = io.BytesIO()
    np.savez(stream, np.ones((2, 3)))
    with pytest.raises(FormatError, match="has no format_version"):
        read(stream.getvalue())


def test_options_have_the_same_names_everywhere():
    from dataclasses import fields
    from inspect import signature

    names = [key.name for key in fields(LoadOptions)]
    assert list(signature(Embeddings.load).parameters)[1:] == names


def test_a_folder_is_no_file_of_embeddings(tmp_path):
    for place in (tmp_path, Path("/no/such/file")):
        with pytest.raises(FormatError, match="cannot be read"):
            Embeddings.load(place)
