"""Damaged and random files of vectors and evaluation sets: an error of ours or sound data, in bounded memory."""

import bz2
import gzip
import io
import lzma
import random
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from w2v_exp.embeddings import AnalogySet, Embeddings, WordPairSet
from w2v_exp.embeddings.opening import DUPLICATES, MALFORMED, UNICODE_ERRORS, LoadWarning
from w2v_exp.errors import UserError

PIECES = [
    b"\n", b"\r\n", b"\r", b" ", b"  ", b"\t", b",", b";", b'"', b"#", b": ", b"\0", b"\xff", b"\xef\xbb\xbf",
    b"-0", b"nan", b"inf", b"1e39", b"1e-400", b"1_0", b"0x1", b"7,5", b"the ", "\u2028日本".encode(), b"\x1b[31m",
    b"2 3\n", b"999999999999999999 3\n", b"1 99999999\n", b"3 4294967297\n",
    b"\x80\x04", b"\x1f\x8b", b"BZh91AY&SY", b"\xfd7zXZ\0", b"PK\x03\x04", b"PK\x05\x06",
    b"\x93NUMPY\x01\0", b"'shape': (9999999999, 3)", b"'descr': '|O'", b"[" * 300, b"0 " * 300, b"\n" * 300,
]  # fmt: skip
CONTAINERS = [
    gzip.compress,
    bz2.compress,
    lzma.compress,
    lambda content: in_zip(content, zipfile.ZIP_DEFLATED),
]


def in_zip(content, method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("vectors.txt", content)
    return stream.getvalue()


def saved(suffix, folder, format=None):
    vectors = np.random.default_rng(0).standard_normal((2, 6, 3)).astype(np.float32)
    words = ["the", "日本", "loser's", "a\x00", "x" * 50, "1"]
    path = folder / f"seed{suffix}"
    Embeddings(words, np.arange(6, 0, -1), vectors[0], vectors[1]).save(path, format)
    return path.read_bytes()


def text_vectors(folder):
    text = saved(".txt", folder)
    return [
        text,
        text.split(b"\n", 1)[1],
        text.replace(b" ", b"\t"),
        b"\xef\xbb\xbf2 1\r\na b 1\r\n 2 \r\n\r\n",
    ]


def binary_vectors(folder):
    binary = saved(".bin", folder)
    return [binary, b"2 2\nthe " + b"\0\0\x80\x3f" * 2 + b"of " + b"\0\0\x80\x3f" * 2]


def archives(folder):
    archive = saved(".npz", folder)
    pickled = io.BytesIO()
    np.savez(pickled, input=np.array([{}]), words=np.array(["the"]), format_version=np.array(1))
    eight_bits = saved(".npz", folder, "int8")
    return [archive, archive[:-22] + in_zip(b"the 1 2.5\n"), pickled.getvalue(), eight_bits]


def word_pairs(folder):
    header = b"word1,word2,POS,SimLex999,SD\nriver,bank,N,7.5,1.25\n" + b'"cup",mug,N,1,2\n' * 3
    return [
        b"# a\nriver\tbank\t1\ncup\tmug\t2.5\n",
        header,
        b"a;b;1\r\nc;d;2\r\n",
        b"a b 1 1 2 3\nc d 2 3 1 2\n",
    ]


def analogies(folder):
    return [b": a\na b c d\n: gram\ne f g h\n", b"a,b,c,d\n" * 3, b'"a";b;c;d\r\n', b"a\tb\tc\td e\n#x\n"]


def mutated(seeds, draw):
    content = bytearray(draw.choice(seeds))
    if draw.random() < 0.05:
        content = bytearray(draw.randbytes(draw.randrange(200)))
    wrap = draw.choice(CONTAINERS) if draw.random() < 0.25 else None
    if wrap and draw.random() < 0.5:
        content, wrap = bytearray(wrap(bytes(content))), None  # damaged after it is compressed, not before
    for _ in range(draw.randrange(1, 6)):
        start, kind = draw.randrange(len(content) + 1), draw.randrange(7)
        length = draw.choice([1, 1, 4, draw.randrange(200)])
        if kind == 0:
            content[start : start + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            del content[start : start + length]
        elif kind == 2:
            content[start:start] = draw.choice(PIECES)
        elif kind == 3:
            content[start : start + length] = draw.choice(PIECES)
        elif kind == 4:
            content[start:start] = content[draw.randrange(len(content) + 1) :][:length] * draw.choice(
                [1, 2, 50]
            )
        elif kind == 5:
            content[start:] = draw.choice(seeds)[draw.randrange(50) :]
        else:
            del content[start:]
    return wrap(bytes(content)) if wrap else bytes(content)


def load(path, draw):
    options = {}
    if draw.random() < 0.6:
        options = {
            "limit": draw.choice([None, 1, 3, 10**12]),
            "no_header": draw.random() < 0.2,
            "unicode_errors": draw.choice(UNICODE_ERRORS),
            "duplicates": draw.choice(DUPLICATES),
            "malformed": draw.choice(MALFORMED),
        }
    found = Embeddings.load(path, **options)
    assert found.input.shape[0] == len(found) == len(found.ids) > 0
    assert np.isfinite(found.input).all()
    assert len(found) <= (options.get("limit") or len(found))


def read_pairs(path, draw):
    found = WordPairSet.read(
        path, draw.choice([None, None, None, [1, 2, 3], [2, 1, 4], ["word1", "word2", "SD"]])
    )
    assert len(found.pairs) == len(found.scores) > 0
    assert np.isfinite(found.scores).all()
    assert all(first.strip() and second.strip() for first, second in found.pairs)


def read_analogies(path, draw):
    questions = [question for section in AnalogySet.read(path).sections for question in section.questions]
    assert questions
    assert all(len(question) == 4 and all(question) for question in questions)


KINDS = {
    "text vectors": (text_vectors, load, "vectors.txt"),
    "binary vectors": (binary_vectors, load, "vectors.bin"),
    "archives": (archives, load, "vectors.npz"),
    "word pairs": (word_pairs, read_pairs, "pairs"),
    "analogies": (analogies, read_analogies, "questions"),
}
EXAMPLES = [pytest.param(100, id="some"), pytest.param(20_000, id="many", marks=pytest.mark.slow)]


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_gives_an_error_of_ours_or_sound_data(tmp_path, kind, examples):
    make_seeds, read, name = KINDS[kind]
    seeds = make_seeds(tmp_path)
    path = Path(tmp_path, name)
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoadWarning)
        for number in range(examples):
            draw = random.Random(f"{kind} {number}")
            path.write_bytes(mutated(seeds, draw))
            tracemalloc.start()
            try:
                read(path, draw)
            except UserError as error:
                refused += 1
                assert len(str(error)) < 1000
                assert all(character.isprintable() or character == "\n" for character in str(error)), str(
                    error
                )
            except Exception as error:
                error.add_note(f"{kind} {number}: {path.read_bytes()!r}")
                raise
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 24 << 20, number  # 4 MB of rows, 8 MB to decompress xz
    assert 0.2 * examples < refused < examples
