"""Formats of other programs, and 8-bit archives: independent readers find the same words and vectors."""

import io
import json
import math
import re
import tempfile
import unicodedata
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import regex
from hypothesis import example, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from properties import examples
from test_embedding_formats import HOSTILE_WORDS, any_embeddings, from_bytes, same, small_embeddings

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.folder_formats import projector_label, write_folder
from w2v_exp.embeddings.formats import eight_bit_rows
from w2v_exp.errors import FormatError, UserError, WordNotSupportedError

WHITE_WORDS = [
    "",
    " ",
    "  ",
    "\n",
    "\t",
    "a\tb",
    "a\nb",
    "a\r\nb",
    " a",
    "a ",
    "a b",
    "\u2028",
    "\x85",
    "\xa0",
    "\u3000",
]
HOSTILE = Embeddings(
    [*HOSTILE_WORDS, *WHITE_WORDS],
    np.arange(len(HOSTILE_WORDS) + len(WHITE_WORDS)),
    np.random.default_rng(0).standard_normal((len(HOSTILE_WORDS) + len(WHITE_WORDS), 3)).astype(np.float32),
)
needs_model2vec = pytest.mark.skipif(find_spec("model2vec") is None, reason="model2vec is not installed")
float32_embeddings = any_embeddings(dtypes=[np.float32])


def files_of(embeddings, format):
    """Return the content of each file of a folder format."""
    with tempfile.TemporaryDirectory() as folder:
        embeddings.save(Path(folder, "exported"), format)
        return {file.name: file.read_bytes() for file in Path(folder, "exported").iterdir()}


def bytes_in_format(embeddings, format):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "exported")
        embeddings.save(path, format)
        return path.read_bytes()


# --- 8 bits


@given(any_embeddings())
@property_settings(max_examples=examples(30))
@example(HOSTILE)
@example(Embeddings(["a"], None, np.array([[2.0**127, -1, 0]])))
@example(Embeddings(["a"], None, np.array([[1e-45, 178e-45, 0]], np.float32)))
@example(Embeddings(["a", "b"], None, np.zeros((2, 2))))
def test_an_8_bit_archive_brings_words_and_counts_back_and_vectors_to_within_half_a_scale(embeddings):
    if np.abs(embeddings.input.astype(np.float64)).max() > 2.0**127:
        with pytest.raises(UserError, match=r"too large for (float32|8-bit numbers)"):
            bytes_in_format(embeddings, "int8")
        return
    found = from_bytes(bytes_in_format(embeddings, "int8"), ".npz")
    assert same(found, Embeddings(embeddings.words, embeddings.counts, found.input))
    assert found.input.dtype == np.float32
    expected = embeddings.input.astype(np.float32).astype(np.float64)
    half_scale = np.abs(expected).max(axis=1, keepdims=True) / 203
    assert (np.abs(found.input - expected) <= half_scale + 2e-43).all()  # 1e-45 is the smallest float32


def test_an_8_bit_archive_is_less_than_a_quarter_and_keeps_cosines():
    generator = np.random.default_rng(0)
    # As of trained vectors: larger entries in some dimensions, and counts by Zipf's law.
    vectors = (generator.standard_normal((3000, 100)) * generator.uniform(0.5, 1.5, 100)).astype(np.float32)
    words = ["".join(chr(97 + c) for c in generator.integers(0, 26, 7)) for _ in range(3000)]
    embeddings = Embeddings(words, (100_000 / np.arange(1, 3001)).astype(np.int64), vectors)
    stored = bytes_in_format(embeddings, "int8")
    assert len(stored) < len(bytes_in_format(embeddings, "npz")) / 4
    assert bytes_in_format(embeddings, "int8") == stored
    found = from_bytes(stored, ".npz")
    cosines, expected = (
        np.array([one.similarity(words[i], word) for i in range(20) for word in words[:100]])
        for one in (found, embeddings)
    )
    assert np.abs(cosines - expected).max() < 0.005


def test_the_first_rows_of_an_8_bit_archive_can_be_read_alone(tmp_path):
    HOSTILE.save(tmp_path / "v", "int8")
    found, first = Embeddings.load(tmp_path / "v"), Embeddings.load(tmp_path / "v", limit=5)
    assert same(first, Embeddings(found.words[:5], found.counts[:5], found.input[:5]))


def archive_with(**arrays):
    stored = {
        "format_version": np.array(1),
        "words": np.frombuffer(b'["a", "b"]', np.uint8),
        "input": np.ones((2, 3), np.int8),
        "input_scale": np.ones(2, np.float32),
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: a for name, a in {**stored, **arrays}.items() if a is not None})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"input_scale": None}, r"input is int8 of shape \(2, 3\), so input_scale must be .*; it is missing"),
        ({"input_scale": np.ones(3, np.float32)}, r"it is float32 of shape \(3,\)"),
        ({"input_scale": np.ones(2)}, r"it is float64 of shape \(2,\)"),
        ({"input_scale": np.array([1, np.nan], np.float32)}, "word number 2, 'b', has a value that is NaN"),
        ({"input_scale": np.full(2, 3e38, np.float32), "input": np.full((2, 3), 9, np.int8)}, "infinite"),
        ({"input": np.ones(2, np.int8)}, r"input is int8 of shape \(2,\)"),
        ({"input": np.ones((2, 3, 1), np.int8)}, r"input must have a row for each|input is int8 of shape"),
        ({"input": np.ones((2, 3), np.int16)}, "input must be float32 or float64"),
        ({"output": np.ones((2, 3), np.int8)}, "output must be float32 or float64"),
    ],
)
def test_a_damaged_8_bit_archive_is_refused(arrays, problem):
    assert from_bytes(archive_with(), ".npz").input.tolist() == [[1, 1, 1], [1, 1, 1]]
    with pytest.raises(FormatError, match=problem):
        from_bytes(archive_with(**arrays), ".npz")


def test_an_array_that_expands_without_bound_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr("w2v_exp.embeddings.formats.ALWAYS_READ", 1000)
    content = archive_with(input=np.zeros((1_000_000, 3), np.int8))
    with pytest.raises(FormatError, match="the array input is compressed to less than 1/100"):
        from_bytes(content, ".npz")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("format_version.npy", b"")
    with pytest.raises(FormatError, match="in an unsupported way"):
        from_bytes(stream.getvalue(), ".npz")


@given(
    numpy_strategies.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 5)),
        elements=st.floats(-(2.0**127), 2.0**127, width=32),
    )
)
def test_a_scale_is_as_small_as_three_digits_allow_and_products_are_exact(vectors):
    rows, scales = eight_bit_rows(vectors)
    assert (rows.dtype, scales.dtype) == (np.int8, np.float32)
    largest = np.abs(vectors).max(axis=1).astype(np.float64)
    normal = largest > 1e-35
    assert (np.abs(rows.astype(int)).max(axis=1)[normal] >= 101).all()
    assert (scales[normal] >= largest[normal] / 127).all()
    assert (scales[normal] <= 1.25 * largest[normal] / 127 * (1 + 1e-12)).all()
    assert (8 * np.frexp(scales[normal])[0] % 1 == 0).all()
    exact = rows * scales.astype(np.float64)[:, None]
    assert (exact == rows * scales[:, None])[normal].all()
    assert not rows[largest == 0].any()


# --- TensorBoard's projector


def javascript_lines(content):
    """Return the lines that the page of TensorBoard reads: those of white space are skipped."""
    white = "\t\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
    return [line for line in content.decode().split("\n") if line.strip(white + "\u205f\u3000\ufeff")]


def word_of_label(label):
    if label == "\\":
        return ""
    return re.sub(r"\\(?:.)[0-9a-fA-F]*", _character, label, flags=re.DOTALL)


def _character(found):
    """Return the text of an escape and the hexadecimal digits after it, which may belong to the word."""
    code = found[0]
    length = {"x": 4, "u": 6, "U": 10}.get(code[1], 2)
    return code[:length].encode().decode("unicode_escape") + code[length:]


@given(float32_embeddings)
@property_settings(max_examples=examples(20))
@example(HOSTILE)
@example(Embeddings(HOSTILE.words, None, HOSTILE.input))
def test_tensorboard_finds_each_word_and_vector(embeddings):
    files = files_of(embeddings, "projector")
    assert set(files) == {"projector_config.pbtxt", "metadata.tsv", "tensors.tsv"}
    rows = [line.split("\t") for line in javascript_lines(files["metadata.tsv"])]
    if embeddings.counts is None:
        assert {len(row) for row in rows} == {1}  # else the first one would be a header
    else:
        assert rows.pop(0) == ["word", "count"]
        assert [int(count) for _, count in rows] == embeddings.counts.tolist()
    assert [word_of_label(row[0]) for row in rows] == embeddings.words
    tensors = [list(map(float, line.split(b"\t"))) for line in files["tensors.tsv"].splitlines()]
    assert np.array(tensors, np.float32).tobytes() == embeddings.input.tobytes()
    shape = re.findall(rb"tensor_shape: (\d+)", files["projector_config.pbtxt"])
    assert tuple(map(int, shape)) == embeddings.input.shape


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("\\x20")
def test_a_label_is_visible_in_one_cell_and_unique(word):
    label = projector_label(word)
    assert label.strip() == label != ""
    assert not re.search(r"[^\S ]", label)
    assert word_of_label(label) == word
    assert label.isprintable() or set(label) & set("\u200c\u200d")
    assert label == word or word.strip() != word or not word.isprintable() or "\\" in word or not word


@pytest.mark.parametrize("embeddings", [HOSTILE, Embeddings(HOSTILE.words, None, HOSTILE.input)])
def test_tensorboards_own_server_reads_the_files(embeddings, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    class NoRuns:
        def list_runs(self, *_, **__):
            return []

    embeddings.save(tmp_path / "p", "projector")
    plugin = ProjectorPlugin(TBContext(logdir=str(tmp_path / "p"), data_provider=NoRuns()))
    routes = plugin.get_plugin_apps()

    def served(route, **query):
        return Client(routes[route]).get(route, query_string={"run": ".", **query}).data

    (found,) = json.loads(served("/info"))["embeddings"]
    assert served("/tensor", name=found["tensorName"]) == embeddings.input.tobytes()
    lines = served("/metadata", name=found["tensorName"]).decode().split("\n")[:-1]
    words = [word_of_label(line.split("\t")[0]) for line in lines]
    assert words[embeddings.counts is not None :] == embeddings.words


# --- model2vec


def tokens(settings, text):
    """Return the ids that the library tokenizers finds in a text, by its rules in Python."""
    normalizers = settings["normalizer"]["normalizers"]
    for normalizer in normalizers:
        lower = normalizer["type"] == "Lowercase"
        text = text.lower() if lower else unicodedata.normalize(normalizer["type"], text)
    vocabulary = settings["model"]["vocab"]
    split = settings["pre_tokenizer"]
    assert (split["behavior"], split["invert"]) == ("Removed", True)
    added = {token["content"] for token in settings["added_tokens"]}
    found = [text] if text in added else regex.findall(split["pattern"]["Regex"], text)
    return [vocabulary.get(token, vocabulary[settings["model"]["unk_token"]]) for token in found]


def tensor(content):
    """Return the only tensor of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert (8 + length) % 8 == 0
    assert list(header) == ["embeddings"]
    start, end = header["embeddings"]["data_offsets"]
    assert (start, end) == (0, len(content) - 8 - length)
    assert header["embeddings"]["dtype"] == "F32"
    return np.frombuffer(content[8 + length :], "<f4").reshape(header["embeddings"]["shape"])


@given(float32_embeddings)
@property_settings(max_examples=examples(20))
@example(HOSTILE)
@example(Embeddings(["[UNK]", "[[UNK]]", "unk"], None, np.ones((3, 1), np.float32)))
def test_a_model_has_the_vector_of_each_word_and_zeros_for_others(embeddings):
    files = files_of(embeddings, "model2vec")
    assert set(files) == {"config.json", "tokenizer.json", "model.safetensors"}
    vectors = tensor(files["model.safetensors"])
    assert vectors[:-1].tobytes() == embeddings.input.tobytes()
    assert not vectors[-1].any()
    settings = json.loads(files["tokenizer.json"])
    vocabulary = settings["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(len(vectors)))
    assert vocabulary[settings["model"]["unk_token"]] == len(embeddings)
    assert settings["model"]["unk_token"] not in embeddings.words
    assert json.loads(files["config.json"])["normalize"] is False
    for i, word in enumerate(embeddings.words):
        assert tokens(settings, word) == ([i] if word.strip() else [])


def vocabulary_of(words):
    return Embeddings(
        words, None, np.random.default_rng(0).standard_normal((len(words), 4)).astype(np.float32)
    )


MANY = [f"x{i}" for i in range(200)]  # of which "don't!" and "u.s" are 1 %
SENTENCES = [
    # words, sentence, words found in it
    (["the", "king's", "mother-in-law", "sat"], "The King's mother-in-law; “sat”?", [0, 1, 2, 3]),
    (["the", "caf\u00e9"], "The CAFE\u0301.", [0, 1]),
    (["the", "cafe\u0301"], "The CAFE\u0301.", [0, 1]),
    (["The", "end."], "The the end. end", [0, 1]),
    (["New York", "is", "big"], "New York is big", [0, 1, 2]),
    (["日", "本", "a"], "日本 A", [0, 1, 2]),
    ([*MANY, "don't!", "u.s"], "U.S, x7 don't! u.sx", [201, 7, 200]),
]  # fmt: skip


@needs_model2vec
@pytest.mark.parametrize(("words", "sentence", "found"), SENTENCES)
def test_sentences_are_split_into_the_words_of_the_vocabulary(words, sentence, found, tmp_path):
    from model2vec import StaticModel

    embeddings = vocabulary_of(words)
    embeddings.save(tmp_path / "m", "model2vec")
    model = StaticModel.from_pretrained(tmp_path / "m")
    assert model.tokenize([sentence]) == [found]
    np.testing.assert_allclose(model.encode(sentence), embeddings.input[found].mean(axis=0), rtol=1e-6)


@needs_model2vec
@given(float32_embeddings)
@property_settings(max_examples=examples(30))
@example(HOSTILE)
def test_model2vec_itself_encodes_each_word_as_its_vector(embeddings):
    from model2vec import StaticModel

    with tempfile.TemporaryDirectory() as folder:
        embeddings.save(Path(folder, "m"), "model2vec")
        model = StaticModel.from_pretrained(Path(folder, "m"))
    encoded = model.encode([*embeddings.words, "unknown word"], max_length=None)
    assert model.dim == embeddings.input.shape[1]
    reached = np.array([bool(word.strip()) for word in embeddings.words])
    assert (encoded[:-1][reached] == embeddings.input[reached]).all()
    assert not encoded[:-1][~reached].any()
    assert not encoded[-1].any() or {"unknown", "word"} & {*embeddings.words}


# --- files and folders


@pytest.mark.parametrize("format", ["projector", "model2vec"])
def test_a_folder_is_replaced_and_foreign_files_are_not(format, tmp_path):
    folder = tmp_path / "above" / "exported"
    HOSTILE.save(folder, format)
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    (folder / f".{min(first)}.01ab23cd").write_bytes(b"of a process that was killed")
    HOSTILE.save(folder, format)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first
    small_embeddings().save(folder, format)
    assert {file.name for file in folder.iterdir()} == set(first)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} != first
    (folder / "README.md").write_text("mine")
    with pytest.raises(
        UserError, match=r"exported: contains other files \(README.md\)\. Choose a new folder\."
    ):
        HOSTILE.save(folder, format)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"file cannot be written: File exists\."):
        HOSTILE.save(tmp_path / "file", format)


def test_a_folder_is_unchanged_if_a_file_cannot_be_completed(tmp_path):
    def breaking():
        yield b"new"
        raise UserError("too large")

    write_folder(tmp_path / "kept", {"a": [b"old"], "b": [b"old"]})
    for folder in ("kept", "new"):
        with pytest.raises(UserError, match="too large"):
            write_folder(tmp_path / folder, {"a": [b"new"], "b": breaking()})
    assert {file.name: file.read_bytes() for file in (tmp_path / "kept").iterdir()} == {
        "a": b"old",
        "b": b"old",
    }
    assert not (tmp_path / "new").exists()


def test_a_format_does_not_depend_on_the_suffix(tmp_path):
    embeddings = vocabulary_of(["the", "of"])
    embeddings.save(tmp_path / "a.txt")
    embeddings.save(tmp_path / "b.bin", "word2vec")
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.bin").read_bytes()
    embeddings.save(tmp_path / "c", "glove")
    assert (tmp_path / "a.txt").read_bytes() == b"2 4\n" + (tmp_path / "c").read_bytes()
    assert same(Embeddings.load(tmp_path / "c"), embeddings)
    with pytest.raises(UserError, match=r"format=globe: not an option, did you mean glove\?"):
        embeddings.save(tmp_path / "d", "globe")


@pytest.mark.parametrize("format", ["word2vec", "word2vec-binary", "glove"])
@pytest.mark.parametrize("word", WHITE_WORDS)
def test_a_word_that_a_format_cannot_hold_is_named(format, word, tmp_path):
    with pytest.raises(WordNotSupportedError, match=r"Word number 2, .* (white space|empty)"):
        vocabulary_of(["a", word]).save(tmp_path / "v", format)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("format", ["int8", "projector", "model2vec", "glove"])
def test_a_value_that_float32_cannot_hold_is_refused(format, tmp_path):
    with pytest.raises(UserError, match="too large for float32"):
        Embeddings(["a"], None, np.array([[1e39, 0]])).save(tmp_path / "v", format)
    assert not [*tmp_path.iterdir()]


def test_the_most_frequent_words_are_chosen_by_their_counts():
    vectors = np.arange(8.0).reshape(4, 2)
    embeddings = Embeddings(["a", "b", "c", "d"], np.array([1, 9, 3, 9]), vectors, -vectors)
    rows = [1, 3, 2]
    expected = Embeddings(["b", "d", "c"], np.array([9, 9, 3]), vectors[rows], -vectors[rows])
    assert same(embeddings.most_frequent(3), expected)
    assert len(embeddings.most_frequent(9)) == 4
    assert Embeddings(["a", "b"], None, vectors[:2]).most_frequent(1).words == ["a"]
    with pytest.raises(UserError, match="words=0: must be a whole number, 1 or more"):
        embeddings.most_frequent(0)
    assert math.isclose(embeddings.most_frequent(2).input.sum(), 5 + 13)
