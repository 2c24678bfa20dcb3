"""Files of embeddings: everything comes back, other programs read them, and damaged ones are refused."""

import gzip
import io
import json
import pickle
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from evaluated import in_gensim
from hypothesis import example, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from properties import examples

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings import word2vec_formats as word2vec_formats_module
from w2v_exp.errors import FormatError, UserError

# of a last line without its end
pytestmark = pytest.mark.filterwarnings("ignore::w2v_exp.embeddings.opening.LoadWarning")

FORMATS = [".npz", ".txt", ".vec", ".bin", ".txt.gz", ".vec.gz", ".bin.gz"]
WORD2VEC_FORMATS = FORMATS[1:]

HOSTILE_WORDS = [
    "the", "é", "日本", "😀", "a\u0301", "\u202eabc", "\ufeff", "</s>", "<script>alert(1)</script>", '"', "'",
    "\\", "\\n", "%s", "%.9g", "{0}", "=1+1", "+1", "-", "@cmd", "1", "13", "-0.5", "1e5", "nan", "inf",
    "1_0", "\x00", "a\x00", "\x00b", "\x1b[31m", "\x7f", "\x80", "\u200b", "../x", "x" * 5000, "日" * 5000,
]  # fmt: skip

unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(HOSTILE_WORDS)
solid_words = unicode_text.filter(lambda word: word.split() == [word])


@st.composite
def any_embeddings(draw, words=unicode_text, dtypes=(np.float32, np.float64)):
    chosen = draw(st.lists(words, min_size=1, max_size=8, unique=True))
    dtype = draw(st.sampled_from(dtypes))
    shape = (len(chosen), draw(st.integers(1, 5)))
    finite = st.floats(width=np.dtype(dtype).itemsize * 8, allow_nan=False, allow_infinity=False)
    matrices = numpy_strategies.arrays(dtype, shape, elements=finite)
    counts = numpy_strategies.arrays(np.int64, len(chosen), elements=st.integers(0, 2**63 - 1))
    return Embeddings(chosen, draw(st.none() | counts), draw(matrices), draw(st.none() | matrices))


def small_embeddings(dtype=np.float32):
    generator = np.random.default_rng(0)
    words = ["the", "日本", "loser's", "a\x00"]
    vectors = generator.standard_normal((2, 4, 3)).astype(dtype)
    return Embeddings(words, np.array([5, 3, 2, 1]), vectors[0], vectors[1])


def bytes_of(embeddings, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"embeddings{suffix}")
        embeddings.save(path)
        assert list(Path(folder).iterdir()) == [path]
        return path.read_bytes()


def from_bytes(content, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"embeddings{suffix}")
        path.write_bytes(content)
        return Embeddings.load(path)


def same_bits(a, b):
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def same(a, b):
    return (
        a.words == b.words
        and same_bits(a.counts, b.counts)
        and same_bits(a.input, b.input)
        and same_bits(a.output, b.output)
    )


# --- what is written comes back


@given(any_embeddings())
@example(Embeddings(HOSTILE_WORDS, None, np.zeros((len(HOSTILE_WORDS), 1))))
@example(Embeddings(["", " ", "\n", "a b", "\x00"], None, np.zeros((5, 1))))
def test_an_archive_brings_everything_back(embeddings):
    assert same(from_bytes(bytes_of(embeddings, ".npz"), ".npz"), embeddings)


@pytest.mark.parametrize("suffix", [".txt", ".bin", ".bin.gz"])
@given(embeddings=any_embeddings(solid_words, [np.float32]))
@property_settings(max_examples=examples(50))
@example(
    Embeddings(
        HOSTILE_WORDS,
        None,
        np.random.default_rng(0).standard_normal((len(HOSTILE_WORDS), 7)).astype(np.float32),
    )
)
def test_word2vec_formats_bring_words_and_float32_vectors_back_bit_by_bit(suffix, embeddings):
    found = from_bytes(bytes_of(embeddings, suffix), suffix)
    assert same(found, Embeddings(embeddings.words, None, embeddings.input))


def test_the_text_format_keeps_every_kind_of_float32():
    bits = np.random.default_rng(0).integers(0, 2**32, 60_000, dtype=np.uint32)
    edges = np.array(
        [0, 1, 0x007FFFFF, 0x00800000, 0x7F7FFFFF], np.uint32
    )  # zero, subnormal, normal, largest
    numbers = np.concatenate([bits, edges, edges | 0x80000000]).view(np.float32)
    numbers = numbers[np.isfinite(numbers)]
    numbers = numbers[: len(numbers) // 10 * 10].reshape(-1, 10)
    embeddings = Embeddings([str(i) for i in range(len(numbers))], None, numbers)
    assert same(from_bytes(bytes_of(embeddings, ".txt"), ".txt"), embeddings)


@pytest.mark.parametrize("suffix", [".txt", ".bin"])
def test_word2vec_formats_round_float64_to_float32(suffix):
    embeddings = small_embeddings(np.float64)
    assert same_bits(
        from_bytes(bytes_of(embeddings, suffix), suffix).input, embeddings.input.astype(np.float32)
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_equal_embeddings_make_equal_bytes_whatever_their_layout_in_memory(suffix):
    embeddings = small_embeddings()
    fortran = Embeddings(
        list(embeddings.words),
        embeddings.counts,
        np.asfortranarray(embeddings.input),
        embeddings.output.astype(">f4").astype("<f4"),
    )
    assert bytes_of(embeddings, suffix) == bytes_of(fortran, suffix)


def test_no_time_and_no_name_of_a_machine_is_in_a_file():
    with zipfile.ZipFile(io.BytesIO(bytes_of(small_embeddings(), ".npz"))) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    compressed = bytes_of(small_embeddings(), ".txt.gz")
    assert compressed[3] == 0  # flags: no name
    assert compressed[4:8] == b"\0\0\0\0"  # time


# --- what is written is what others read


def test_an_archive_opens_with_numpy_alone():
    embeddings = small_embeddings()
    with np.load(io.BytesIO(bytes_of(embeddings, ".npz")), allow_pickle=False) as archive:
        assert set(archive) == {"format_version", "words", "counts", "input", "output"}
        assert archive["format_version"] == 1
        assert json.loads(archive["words"].tobytes()) == embeddings.words
        assert same_bits(archive["counts"], embeddings.counts)
        assert same_bits(archive["input"], embeddings.input)
        assert same_bits(archive["output"], embeddings.output)


def test_what_is_not_known_is_not_in_the_archive():
    embeddings = small_embeddings()
    content = bytes_of(Embeddings(embeddings.words, None, embeddings.input), ".npz")
    assert set(np.load(io.BytesIO(content))) == {"format_version", "words", "input"}


def test_the_text_format_to_the_letter():
    embeddings = Embeddings(["the", "é"], None, np.array([[1, -0.5], [0.1, 1e-30]], np.float32))
    expected = "2 2\nthe 1 -0.5\né 0.100000001 1e-30\n"
    assert bytes_of(embeddings, ".txt").decode() == expected


def test_the_binary_format_to_the_byte():
    embeddings = Embeddings(["the", "é"], None, np.array([[1], [-2]], np.float32))
    assert bytes_of(embeddings, ".bin") == b"2 1\nthe \0\0\x80\x3f\n\xc3\xa9 \0\0\0\xc0\n"


@pytest.mark.parametrize("suffix", WORD2VEC_FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gensim_reads_the_same_words_and_vectors(tmp_path, suffix, dtype):
    from gensim.models import KeyedVectors

    vectors = np.random.default_rng(0).standard_normal((len(HOSTILE_WORDS), 7)).astype(dtype)
    path = tmp_path / f"embeddings{suffix}"
    Embeddings(HOSTILE_WORDS, None, vectors).save(path)
    theirs = KeyedVectors.load_word2vec_format(str(path), binary=".bin" in suffix)
    assert theirs.index_to_key == HOSTILE_WORDS
    assert same_bits(theirs.vectors, vectors.astype(np.float32))


@pytest.mark.parametrize("suffix", WORD2VEC_FORMATS)
def test_what_gensim_writes_is_read(tmp_path, suffix):
    from gensim.models import KeyedVectors

    vectors = np.random.default_rng(0).standard_normal((len(HOSTILE_WORDS), 7)).astype(np.float32)
    theirs = KeyedVectors(7)
    theirs.add_vectors(HOSTILE_WORDS, vectors)
    path = tmp_path / f"embeddings{suffix}"
    theirs.save_word2vec_format(str(path), binary=".bin" in suffix)
    assert same(Embeddings.load(path), Embeddings(HOSTILE_WORDS, None, vectors))


def test_what_word2vec_writes_is_read():
    # with a space after the last number of a line: fprintf("%lf ") and fprintf("\n") in word2vec.c
    found = from_bytes(b"2 3\n</s> 0.002001 0.002210 -0.001915 \nthe 0.1 0.2 0.3 \n", ".txt")
    assert found.words == ["</s>", "the"]
    assert same_bits(found.input, np.array([[0.002001, 0.00221, -0.001915], [0.1, 0.2, 0.3]], np.float32))
    assert found.counts is None
    assert found.output is None


def test_line_ends_of_windows_are_read():
    assert from_bytes(b"1 2\r\nthe 1 2\r\n", ".txt").input.tolist() == [[1, 2]]


def test_a_word_with_white_space_that_is_not_ascii_is_read_as_others_write_it():
    found = from_bytes("2 1\nnew\u00a0york 1\nnew\u2028york 2\n".encode(), ".txt")
    assert found.words == ["new\u00a0york", "new\u2028york"]


# --- the content shows the format, whatever the file is called


@pytest.mark.parametrize(
    "name", ["vectors", "model.bin", "model.txt", "model.npz", "model.vec.gz", "model.model"]
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_is_read_by_its_content_whatever_it_is_called(tmp_path, suffix, name):
    original = small_embeddings()
    path = tmp_path / name
    path.write_bytes(bytes_of(original, suffix))
    everything = same(Embeddings.load(path), original)
    assert everything or same(Embeddings.load(path), Embeddings(original.words, None, original.input))
    assert everything == (suffix == ".npz")


@pytest.mark.parametrize("suffix", [".npz", ".txt", ".bin", ".txt.gz", ".bin.gz"])
@given(
    words=st.lists(solid_words, min_size=1, max_size=8, unique=True),
    dim=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(["vectors", "vectors.txt", "vectors.bin"]),
)
@property_settings(max_examples=examples(40))
def test_vectors_of_ordinary_size_come_back_from_a_file_of_any_name(suffix, words, dim, seed, name):
    vectors = np.random.default_rng(seed).uniform(0.01, 1, (len(words), dim)).astype(np.float32)
    original = Embeddings(words, None, vectors)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(bytes_of(original, suffix))
        assert same(Embeddings.load(path), original)


@pytest.mark.parametrize("binary", [False, True])
def test_gensims_files_are_read_without_a_suffix(tmp_path, binary):
    vectors = np.random.default_rng(0).standard_normal((len(HOSTILE_WORDS), 7)).astype(np.float32)
    original = Embeddings(HOSTILE_WORDS, None, vectors)
    in_gensim(original).save_word2vec_format(str(tmp_path / "vectors"), binary=binary)
    assert same(Embeddings.load(tmp_path / "vectors"), original)


def test_numbers_that_look_like_text_in_binary_are_told_by_the_suffix():
    content = b"1 2\nthe abcdefgh\n"  # eight letters, or two numbers above 10²⁰
    assert from_bytes(content, ".bin").input.tobytes() == b"abcdefgh"
    with pytest.raises(FormatError, match="line 2: has 1 values where line 1 says 2"):
        from_bytes(content, ".txt")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_pickle_is_not_read(tmp_path, suffix):
    class Harmful:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "run",))

    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(FormatError, match=r"is a Python pickle.* save_word2vec_format"):
            from_bytes(pickle.dumps(Harmful(), protocol), suffix)
    with pytest.raises(FormatError):
        from_bytes(pickle.dumps(Harmful(), 0), suffix)
    assert not (tmp_path / "run").exists()


def test_what_gensim_saves_is_a_pickle_and_not_read(tmp_path):
    in_gensim(small_embeddings()).save(str(tmp_path / "vectors.kv"))
    with pytest.raises(FormatError, match="is a Python pickle, as gensim's"):
        Embeddings.load(tmp_path / "vectors.kv")


def test_a_gzipped_archive_is_refused():
    with pytest.raises(
        FormatError, match=r"compressed twice: .*NumPy archive .* Decompress the gzip layer first"
    ):
        from_bytes(gzip.compress(bytes_of(small_embeddings(), ".npz")), ".npz")


@pytest.mark.parametrize(
    "content",
    [b"words\n", b"\x00" * 100, b"\xff\xfd", b"{}", b"the 1,5 2,5\n", b"the,1,2\n", b"the cat sat\n"],
)
def test_what_is_of_no_format_is_refused_with_what_should_be_there(content):
    with pytest.raises(FormatError, match="line 1: must be the number of words and the number of dimensions"):
        from_bytes(content, "")


def test_a_run_is_loaded_in_another_way():
    with pytest.raises(UserError, match=r"^runs:/0123: .* w2v_exp\.load_run\.$"):
        Embeddings.load("runs:/0123")


# --- reading takes no more than it must


@pytest.mark.cases(every=3)
@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts what Linux has read")
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_is_read_once_and_no_more_memory_is_taken_than_for_its_parts(tmp_path, suffix):
    vectors = np.random.default_rng(0).standard_normal((2000, 100)).astype(np.float32)
    path = tmp_path / f"embeddings{suffix}"
    Embeddings([f"word{i}" for i in range(2000)], None, vectors).save(path)

    def bytes_read():
        return int(Path("/proc/self/io").read_text().split()[1])

    before = bytes_read()
    tracemalloc.start()
    found = Embeddings.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert same_bits(found.input, vectors)
    assert bytes_read() - before < 1.2 * path.stat().st_size
    # Words and their ids are a quarter of the vectors, and so is what they were made of; decompression has buffers.
    assert peak < 1.5 * vectors.nbytes + (400_000 if suffix.endswith(".gz") else 240_000)


def test_a_gzipped_file_may_not_claim_more_than_gzip_can_pack():
    content = gzip.compress(b"1000000 1000\nthe 1 2 3\n")
    with pytest.raises(FormatError, match=r"line 1: says 1000000 words .* but no more than \d+ follow"):
        from_bytes(content, ".txt.gz")
    # what it could hold is claimed: then the rows are counted
    zeros = b"9 100\n" + (b"0 " * 100 + b"\n")
    with pytest.raises(FormatError, match="line 2: "):
        from_bytes(gzip.compress(zeros), ".txt.gz")


# --- word2vec's formats as gensim writes them


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("prefix", ["", "*"])
def test_gensim_reads_words_by_falling_count_with_their_counts(tmp_path, suffix, binary, prefix):
    keyed_vectors = pytest.importorskip("gensim.models").KeyedVectors
    vectors = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    ours = Embeddings(["a", "b", "c", "d"], np.array([2, 9, 2, 5]), vectors)
    file, words = tmp_path / f"vectors{suffix}", tmp_path / "words"
    ours.save_word2vec_format(file, fvocab=words, binary=binary, prefix=prefix)
    theirs = keyed_vectors.load_word2vec_format(str(file), fvocab=str(words), binary=binary)
    assert theirs.index_to_key == [prefix + word for word in "bdac"]
    assert same_bits(theirs.vectors, vectors[[1, 3, 0, 2]])
    assert [theirs.get_vecattr(word, "count") for word in theirs.index_to_key] == [9, 5, 2, 2]
    assert same_bits(Embeddings.load(file).input, theirs.vectors)
    assert file.read_bytes().startswith(b"\x1f\x8b") == bool(suffix)
    if not binary:
        theirs.save_word2vec_format(str(tmp_path / "theirs"), fvocab=str(tmp_path / "their_words"))
        assert (tmp_path / "their_words").read_bytes() == words.read_bytes()


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # gensim's
def test_a_file_without_a_header_is_as_gloves(tmp_path):
    keyed_vectors = pytest.importorskip("gensim.models").KeyedVectors
    small_embeddings().save_word2vec_format(tmp_path / "vectors", write_header=False)
    theirs = keyed_vectors.load_word2vec_format(str(tmp_path / "vectors"), no_header=True)
    assert theirs.index_to_key == small_embeddings().words
    assert same_bits(theirs.vectors, small_embeddings().input)


def test_words_without_counts_keep_their_order_and_have_no_file_of_counts(tmp_path):
    ours = Embeddings(["b", "a"], None, np.ones((2, 1), np.float32))
    ours.save_word2vec_format(tmp_path / "vectors")
    assert (tmp_path / "vectors").read_bytes() == b"2 1\nb 1\na 1\n"
    with pytest.raises(UserError, match=r"words: these embeddings have no counts"):
        ours.save_word2vec_format(tmp_path / "vectors", fvocab=tmp_path / "words")
    assert [file.name for file in tmp_path.iterdir()] == ["vectors"]


def test_a_word_that_cannot_be_written_leaves_the_old_file(tmp_path):
    (tmp_path / "vectors").write_bytes(b"old")
    with pytest.raises(UserError, match=r"Word number 2, 'a b', has white space"):
        Embeddings(["the", "a b"], None, np.ones((2, 1))).save_word2vec_format(tmp_path / "vectors")
    assert (tmp_path / "vectors").read_bytes() == b"old"


# --- what cannot be written


@pytest.mark.parametrize("suffix", WORD2VEC_FORMATS)
@pytest.mark.parametrize(
    "word", ["a b", " a", "a ", "\n", "a\tb", "a\rb", "a\x0bb", "a\u00a0b", "a\u2028b", "a\x1cb", ""]
)
def test_a_word_that_readers_would_split_is_refused_and_the_old_file_stays(tmp_path, suffix, word):
    path = tmp_path / f"embeddings{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(UserError, match=r"^Word number 2, .* Use \.npz\.$") as refusal:
        Embeddings(["the", word], None, np.ones((2, 3))).save(path)
    assert repr(word) in str(refusal.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_word_longer_than_readers_follow_is_refused(monkeypatch):
    monkeypatch.setattr(word2vec_formats_module, "LONGEST_WORD", 10)
    for suffix in WORD2VEC_FORMATS:
        longest = Embeddings(["é" * 5], None, np.ones((1, 3), np.float32))
        assert same(from_bytes(bytes_of(longest, suffix), suffix), longest)
        with pytest.raises(UserError, match="takes more than 10 bytes"):
            bytes_of(Embeddings(["é" * 5 + "x"], None, np.ones((1, 3))), suffix)


@pytest.mark.parametrize("suffix", WORD2VEC_FORMATS)
def test_a_value_too_large_for_float32_is_refused(suffix):
    with pytest.raises(UserError, match="too large for float32"):
        bytes_of(Embeddings(["a"], None, np.array([[1e39]])), suffix)


@pytest.mark.parametrize(
    "name", ["embeddings", "embeddings.csv", "embeddings.npz.gz", "embeddings.gz", ".bin"]
)
def test_a_suffix_without_a_format_is_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"suffix must name a format: \.npz"):
        small_embeddings().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_and_folders_that_are_not_there_are_named(tmp_path, suffix):
    path = tmp_path / "missing" / f"embeddings{suffix}"
    with pytest.raises(UserError, match=r"missing.* cannot be written: No such file"):
        small_embeddings().save(path)
    with pytest.raises(FormatError, match=r"missing.* cannot be read: No such file"):
        Embeddings.load(str(path))
    path.mkdir(parents=True)
    with pytest.raises(FormatError, match="cannot be read: Is a directory"):
        Embeddings.load(path)


# --- what is damaged


@pytest.mark.parametrize("suffix", [".npz", ".txt", ".bin", ".bin.gz"])
@given(embeddings=any_embeddings(solid_words, [np.float32]), share=st.floats(0, 1, exclude_max=True))
@property_settings(max_examples=examples(50))
def test_a_truncated_file_is_refused(suffix, embeddings, share):
    content = bytes_of(embeddings, suffix)
    cut = content[: int(share * len(content))]
    if suffix in (".txt", ".bin") and len(cut) == len(content) - 1:  # only the last line end is missing
        assert same(from_bytes(cut, suffix), Embeddings(embeddings.words, None, embeddings.input))
        return
    if (
        suffix == ".txt"
        and (cut[-1:].isdigit() or cut[-1:] == b".")
        and cut.count(b" ") == content.count(b" ")
    ):
        # Of the last number some digits are missing, which only the log can show.
        assert from_bytes(cut, suffix).words == embeddings.words
        return
    with pytest.raises(FormatError, match=rf"embeddings\{suffix}"):
        from_bytes(cut, suffix)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_truncated_anywhere_is_refused(suffix):
    content = bytes_of(small_embeddings(), suffix)
    end = len(content)
    if suffix in (".txt", ".vec"):
        end = (
            content.rindex(b" ") + 1
        )  # after it the last number has some digits, and nothing shows that others lack
    elif suffix == ".bin":
        end -= 1
    for length in range(0, end, 7 if suffix == ".npz" else 1):
        with pytest.raises(FormatError):
            from_bytes(content[:length], suffix)


@pytest.mark.parametrize("suffix", [".npz", ".txt", ".bin", ".bin.gz"])
@given(
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4
    ),
    inserted=st.sampled_from([b"", b"\n", b" ", b"\0", b"9", b"[" * 100]),
)
@property_settings(max_examples=examples(100))
def test_a_file_with_other_bytes_is_refused_or_gives_sound_embeddings(suffix, changes, inserted):
    original = small_embeddings()
    content = bytearray(bytes_of(original, suffix))
    place = 0
    for share, byte in changes:
        place = int(share * len(content))
        content[place] = byte
    content[place:place] = inserted
    try:
        found = from_bytes(bytes(content), suffix)
    except FormatError as error:
        assert f"embeddings{suffix}" in str(error)
    else:
        assert found.input.shape[0] == len(found)
        assert np.isfinite(found.input).all()


@pytest.mark.parametrize("flipped", [1, 0x80])
def test_an_archive_with_a_flipped_bit_is_refused_or_reads_the_same(flipped):
    original = small_embeddings()
    content = bytearray(bytes_of(original, ".npz"))
    for place in range(0, len(content), 5):  # every byte has been tried; the suite has to be fast
        content[place] ^= flipped
        try:
            found = from_bytes(bytes(content), ".npz")
        except FormatError:
            pass
        else:  # in a time stamp, or in the name of what need not be there
            assert same_bits(found.input, original.input)
            assert found.words == original.words
        content[place] ^= flipped


TEXT = b"2 3\nthe 1 2 3\nof 4 5 6\n"
ROW = np.array([1, 2, 3], "<f4").tobytes()
BINARY = b"2 3\nthe " + ROW + b"\nof " + ROW + b"\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1: .*the file is empty"),
        (b"\n", "line 1: must be the number of words"),
        (b"2\nthe 1 2 3\n", "line 1: must be"),
                (b"2 3 4\nthe 1 2 3\n", "line 1: must be"),
        (b"2 -3\nthe 1 2 3\n", "line 1: must be"),
        (b"2_0 3\nthe 1 2 3\n", "line 1: must be"),
        ("٢ ٣\nthe 1 2 3\n".encode(), "line 1: must be"),
        (b"9" * 5000 + b" 3\nthe 1 2 3\n", "line 1: must be"),
        (b"0 3\n", "line 1: says 0 words of 3 dimensions; both must be above 0"),
        (b"1 0\nthe\n", "line 1: says 1 words of 0 dimensions; both must be above 0"),
        (b"1000000000000 3\nthe 1 2 3\n", "line 1: says 1000000000000 words .* but no more than [0-9]+ follow"),
        (b"1 1000000000000\nthe 1 2 3\n", "line 1: says 1 words of 1000000000000 dim.* but no more than [0-9]+ follow"),
        (b"999999999999999999 999999999999999999\nthe 1 2 3\n", "line 1: says 9"),
        (b"3 3\nthe 100000 2 3\nof 4 5 6\n", "line 4: the file ends before this line; line 1 promises 3"),
        (b"2 3\nthe 1 2 3\nof 4 5", "line 3: has 2 values where line 1 says 3. The file ends in the middle of it"),
        (b"1 3\nthe 1 2 3\nof 4 5 6\n", "line 3: is 'of 4 5 6', after the 1 words"),
        (TEXT + b"\n \nin 1 2 3", "line 4: is '"),
        (b"3 3\nthe 1 2 3\n\nof 4 5 6\n", "line 3: has 0 values where line 1 says 3"),
        (b"2 4\nthe 1 2 3\nof 4 5 6 7 8\n", "line 2: has 3 values where line 1 says 4"),
        (b"2 2\nthe 1 2\nof 4 5 6\n", "line 3: has 3 values where line 1 says 2"),
        (b"2 3\nthe 1  2\nof 4 5 6\n", "line 2: value 2, '', is not a number"),
        (b"2 3\nthe 1 2 x\nof 4 5 6\n", "line 2: value 3, 'x', is not a number"),
        (b"2 3\nthe 1 2 1_0\nof 4 5 6\n", "line 2: value 3, '1_0', is not a number"),
        (b"2 3\nthe 1 2 0x1\nof 4 5 6\n", "line 2: value 3, '0x1', is not a number"),
        (b"2 3\nthe 1 2 3\nof 4 nan 6\n", "the vector of word number 2, 'of', has .* NaN"),
        (b"2 3\nthe 1 2 -inf\nof 4 5 6\n", "the vector of word number 1, 'the', has .* infinite"),
        (b"2 3\nthe 1 2 1e39\nof 4 5 6\n", "the vector of word number 1, 'the', has .* infinite"),
        (b"2 3\nthe 1 2 3\nthe 4 5 6\n", "line 3: the word 'the' is word number 1 as well. duplicates=first"),
        (b"2 3\nthe 1 2 3\n\xe9t\xe9 4 5 6\n", r"line 3: the word b'\\xe9t\\xe9' is not UTF-8"),
        (b"2 3\nthe 1 2 3\n\xed\xa0\x80 4 5 6\n", "line 3: the word .* is not UTF-8"),
        (b"2 3\n the 1 2 3\nof 4 5 6\n", "line 2: has two separators in a row, or begins with one"),
        (b"2 3\nt\the 1 2 3\nof 4 5 6\n", "line 2: has the word .* with a tab"),
    ],
)  # fmt: skip
def test_a_malformed_text_is_refused_with_its_line(content, problem):
    for suffix, compress in ((".txt", bytes), (".vec.gz", gzip.compress)):
        with pytest.raises(FormatError, match=rf"^\S*embeddings\{suffix}\S* {problem}"):
            from_bytes(compress(content), suffix)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1: .*the file is empty"),
        (b"the " + ROW, "line 1: must be"),
        (b"1000000000000 3" + BINARY[3:], "line 1: says 1000000000000 words"),
        (b"2 1000000000000" + BINARY[3:], "line 1: says 2 words of 1000000000000 dimensions"),
        (b"3 3\nlonger_than_it_needs_to_be" + BINARY[4:], "word number 3: the word ends with the file"),
        (b"1 3" + BINARY[3:], "has data after the 1 words"),
        (b"2 2" + BINARY[3:], "word number 2: does not begin where it should|word number 2: the word"),
        (b"2 4\nlonger_than_it_needs_to_be" + BINARY[4:], "word number 2: "),
        (BINARY + b"\n", "has data after the 2 words"),
        (BINARY + b"x", "has data after the 2 words"),
        (b"2 3\nthe " + ROW + b"of " + ROW + b"\n", "has data after the 2 words"),
        (b"3 3\nthe " + ROW + b"\nof " + ROW + b"a " + ROW, "word number 3: does not begin where it should"),
        (b"2 3\nthe " + ROW + b"\nof_and_others " + ROW[:-1], "word number 2: the file ends in the middle"),
        (b"2 3\nthe " + ROW + b"\n " + ROW + b"\n", "word number 2: the word b'' is empty"),
        (b"2 3\nthe " + ROW + b"\n\nof " + ROW + b"\n", "word number 2: the word .* has a line end in it"),
        (b"2 3\nthe " + ROW + b"\n\xff " + ROW + b"\n", r"word number 2: the word b'\\xff' is not UTF-8"),
        (b"2 3\nthe " + ROW + b"\nthe " + ROW + b"\n", "word number 2: the word 'the' is word number 1 as well"),
        (b"2 3\nthe " + ROW + b"\nof " + ROW[:-4] + b"\0\0\xc0\x7f\n", "word number 2, 'of', has .* NaN"),
        (b"2 3\nthe \0\0\x80\xff" + ROW[4:] + b"\nof " + ROW + b"\n", "number 1, 'the', has .* infinite"),
    ],
)  # fmt: skip
def test_a_malformed_binary_is_refused_with_the_number_of_its_word(content, problem):
    for suffix, compress in ((".bin", bytes), (".bin.gz", gzip.compress)):
        with pytest.raises(FormatError, match=rf"^\S*embeddings\{suffix}.* ({problem})"):
            from_bytes(compress(content), suffix)


@pytest.mark.parametrize(("suffix", "start"), [(".txt", b"1 3\n"), (".bin", b"1 3\n")])
def test_a_word_that_does_not_end_is_not_followed_to_the_end_of_the_file(monkeypatch, suffix, start):
    monkeypatch.setattr(word2vec_formats_module, "LONGEST_WORD", 1000)
    with pytest.raises(FormatError, match=r"is longer than a word|does not end within"):
        from_bytes(start + b"x" * 100_000, suffix)


@pytest.mark.parametrize("suffix", [".txt", ".bin"])
def test_vectors_that_fit_the_file_but_not_the_memory_are_refused(monkeypatch, suffix):
    monkeypatch.setattr("w2v_exp.machine.available_memory", lambda: 10)
    with pytest.raises(UserError, match=r"embeddings.*: 2 words of 3 dimensions needs 24 B, and 10 B are"):
        from_bytes({".txt": TEXT, ".bin": BINARY}[suffix], suffix)


@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(TEXT, mtime=0)[:-3], gzip.compress(TEXT, mtime=0)[:12] + b"\xff" * 30],
)
def test_what_is_not_gzip_or_ends_too_soon_is_refused(content):
    with pytest.raises(FormatError, match=r"embeddings\.txt\.gz"):
        from_bytes(content, ".txt.gz")


# --- damaged archives


def archive_of(**changes):
    """Return the bytes of an archive with some arrays replaced, or left out where None is given."""
    embeddings = small_embeddings()
    arrays = {
        "format_version": np.array(1),
        "words": np.frombuffer(json.dumps(embeddings.words).encode(), np.uint8),
        "counts": embeddings.counts,
        "input": embeddings.input,
        "output": embeddings.output,
    } | changes
    stream = io.BytesIO()
    np.savez(stream, **{name: array for name, array in arrays.items() if array is not None})
    return stream.getvalue()


def bytes_array(text):
    return np.frombuffer(text, np.uint8)


def test_the_archive_of_these_tests_is_sound():
    assert same(from_bytes(archive_of(), ".npz"), small_embeddings())
    in_other_order = archive_of(
        input=small_embeddings().input.astype(">f4"), format_version=np.array(1, ">i8")
    )
    assert same(from_bytes(in_other_order, ".npz"), small_embeddings())
    assert from_bytes(archive_of(something_else=np.ones(3)), ".npz").words == small_embeddings().words


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format_version": None}, "has no format_version; this w2v_exp reads .*format_version=1"),
        ({"format_version": np.array(2)}, "has format_version=2"),
        ({"format_version": np.array([1, 1])}, r"has format_version=\[1 1\]"),
        ({"format_version": np.array(1.0)}, "has format_version=1.0"),
        ({"format_version": np.array("1")}, "has format_version=1"),
        ({"format_version": np.array(None)}, "format_version has pickled objects"),
        ({"words": None}, "has no array words"),
        ({"input": None}, "has no array input"),
        ({"words": np.array(["the", "of"], object)}, "words has pickled objects, which are never read"),
        ({"input": np.array([[print]] * 4)}, "input has pickled objects"),
        ({"output": np.array([[print]] * 4)}, "output has pickled objects"),
        ({"words": np.array(["the", "of"])}, "words must be the UTF-8 text of a JSON list"),
        ({"words": bytes_array(b"[")}, "words must be the UTF-8 text of a JSON list"),
        ({"words": bytes_array(b'["\xff"]')}, "words must be .*utf-8"),
        ({"words": bytes_array(b"[" * 100_000)}, "words must be"),
        ({"words": bytes_array(b"{}")}, "words must be"),
        ({"words": bytes_array(b'["a", "b", "c", 4]')}, "word number 4, 4, is not a string"),
        ({"words": bytes_array(b'["a", "b", "c", ["d"]]')}, r"word number 4, \['d'\], is not a string"),
        ({"words": bytes_array(b'["a", "b", "c", "\\ud800"]')}, "word number 4, .* half of a surrogate"),
        ({"words": bytes_array(b'["a", "b", "c", "a"]')}, "word number 4, 'a', is word number 1 as well"),
        ({"words": bytes_array(b"[]")}, "words must not be empty"),
        ({"words": bytes_array(b'["a"]')}, r"counts must be int64 of shape \(1,\)"),
        ({"counts": np.arange(4.0)}, "counts must be int64"),
        ({"input": np.ones(4)}, "input must have a row for each of the 4 words"),
        ({"input": np.ones((5, 3), np.float32)}, "input must have a row for each of the 4 words"),
        ({"input": np.ones((4, 3), complex)}, "input must be float32 or float64"),
        ({"output": np.ones((4, 2), np.float32)}, "output must have a row"),
        ({"input": np.full((4, 3), np.nan, np.float32)}, "input: the vector of word number 1, 'the', has"),
        ({"output": np.full((4, 3), np.inf, np.float32)}, "output: the vector of word number 1, 'the', has"),
    ],
)  # fmt: skip
def test_an_archive_that_is_not_ours_is_refused(changes, problem):
    with pytest.raises(FormatError, match=rf"embeddings\.npz.* {problem}"):
        from_bytes(archive_of(**changes), ".npz")


@pytest.mark.parametrize(
    "content", [b"", b"no archive", b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY\x01\0v\0{}"]
)
def test_what_is_not_an_archive_is_refused(content):
    with pytest.raises(FormatError, match=r"embeddings\.npz is not a NumPy archive"):
        from_bytes(content, ".npz")


def test_a_single_array_is_not_an_archive():
    stream = io.BytesIO()
    np.save(stream, np.ones((2, 3)))
    with pytest.raises(FormatError, match="is not a NumPy archive"):
        from_bytes(stream.getvalue(), ".npz")


def archive_with_input(array):
    """Return the bytes of an archive with these bytes as the file that holds the input vectors."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive_of())) as sound, zipfile.ZipFile(stream, "w") as archive:
        for name in sound.namelist():
            archive.writestr(name, array if name == "input.npy" else sound.read(name))
    return stream.getvalue()


def array_with_header(header):
    text = header.encode() + b"\n"
    length = len(text).to_bytes(2, "little")
    return b"\x93NUMPY\x01\0" + length + text + small_embeddings().input.tobytes()


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (4, 3), }",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000, 3), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (4, 3), }",
        "not a header",
        "-" * 9000 + "1",
        "(" * 9000,
        "__import__('os').getpid()",
    ],
)
def test_an_array_that_claims_to_be_something_else_is_refused_before_it_is_allocated(header):
    with pytest.raises(FormatError, match=r"embeddings\.npz: the array input "):
        from_bytes(archive_with_input(array_with_header(header)), ".npz")


def test_an_array_said_to_be_larger_than_the_file_is_refused_before_it_is_allocated():
    rows = 300_000_000
    array = array_with_header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 3)}}")
    held, claimed = len(array), len(array) - small_embeddings().input.nbytes + rows * 3 * 4
    content = archive_with_input(array)
    sizes = held.to_bytes(4, "little") * 2  # as the archive and its table of contents have them
    assert content.count(sizes) == 2
    with pytest.raises(FormatError, match=r"embeddings\.npz: the array input is .* larger than the file"):
        from_bytes(content.replace(sizes, claimed.to_bytes(4, "little") * 2), ".npz")


def test_a_compressed_archive_is_read():
    embeddings, stream = small_embeddings(), io.BytesIO()
    with np.load(io.BytesIO(archive_of())) as arrays:
        np.savez_compressed(stream, **arrays)
    assert same(from_bytes(stream.getvalue(), ".npz"), embeddings)


def test_a_flipped_bit_in_a_vector_is_found_by_the_checksum():
    content = bytearray(archive_of())
    place = bytes(content).index(small_embeddings().input.tobytes())
    content[place] ^= 1
    with pytest.raises(FormatError, match=r"the array input is damaged \(Bad CRC-32"):
        from_bytes(bytes(content), ".npz")


def test_an_archive_larger_than_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr("w2v_exp.machine.available_memory", lambda: 10)
    with pytest.raises(UserError, match=r"embeddings\.npz, which is read as a whole, needs .* 10 B are"):
        from_bytes(archive_of(), ".npz")
