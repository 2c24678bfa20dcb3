"""Damaged files and random texts: the words, or an error that names the file; the same twice, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import resource
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from w2v_exp.errors import UserError
from w2v_exp.text import chunks, tokenizers
from w2v_exp.text.chunks import BOUNDARIES
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import EncodedText, encode_text
from w2v_exp.text.tokenizers import (
    NORMALIZATIONS,
    ArticleTokenizer,
    CharacterTokenizer,
    Tokenizer,
    WhitespaceTokenizer,
    WordTokenizer,
)
from w2v_exp.text.vocabulary import VocabularyRule

TEXT = "Ein Wort, İki kelime; e\u0301tat \ufeff日本 – don’t\r\n\r\nगिन\u200d १२\n".encode() * 12
SUFFIXES = [
    "",
    ".txt",
    ".gz",
    ".tgz",
    ".bz2",
    ".xz",
    ".lzma",
    ".zst",
    ".zip",
    ".tar",
    ".jsonl",
    ".json.gz",
    ".csv",
]
LARGEST_GROWTH = 700_000_000  # bytes; a dictionary of LZMA may take 256 MiB of them


def zipped(method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name in ("b.txt", "a/c.txt", ".hidden", "d.txt.gz"):
            archive.writestr(name, gzip.compress(TEXT) if name.endswith("gz") else TEXT)
    return stream.getvalue()


def tarred(form: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name in ("b.txt", f"{'long/' * 40}é.txt", ".hidden"):
            member = tarfile.TarInfo(name)
            member.size = len(TEXT)
            archive.addfile(member, io.BytesIO(TEXT))
    return stream.getvalue()


def tabled(write: Callable[[io.BytesIO, pa.Table], None]) -> bytes:
    stream = io.BytesIO()
    write(stream, pa.table({"text": [f"row {number} of words" for number in range(40)], "id": range(40)}))
    return stream.getvalue()


def write_arrow(new: Callable[..., ipc.RecordBatchStreamWriter]) -> Callable[[io.BytesIO, pa.Table], None]:
    def write(stream: io.BytesIO, table: pa.Table) -> None:
        with new(stream, table.schema) as writer:
            writer.write_table(table, max_chunksize=15)

    return write


JSON_LINES = b"".join(b'{"id": %d, "text": "row %d"}\n' % (number, number) for number in range(40))
SEEDS = [
    TEXT,
    gzip.compress(TEXT) + gzip.compress(TEXT),
    bz2.compress(TEXT) + bz2.compress(TEXT),
    lzma.compress(TEXT) + lzma.compress(TEXT),
    lzma.compress(TEXT, lzma.FORMAT_ALONE),
    pa.compress(TEXT, codec="zstd", asbytes=True) * 2,
    *map(zipped, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
    *map(tarred, (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)),
    gzip.compress(tarred(tarfile.PAX_FORMAT)),
    lzma.compress(tarred(tarfile.GNU_FORMAT)),
    JSON_LINES,
    gzip.compress(JSON_LINES),
    b"id,text\n" + b'1,"some words"\n' * 20,
    tabled(lambda stream, table: parquet.write_table(table, stream, row_group_size=15)),
    tabled(write_arrow(ipc.new_file)),
    tabled(write_arrow(ipc.new_stream)),
]
MUTATIONS: list[Callable[[random.Random, bytearray], None]] = [
    lambda chance, data: data.__setitem__(place(chance, data), chance.randrange(256)),
    lambda chance, data: data.__setitem__(place(chance, data), chance.choice(b"\0\xff\x7f\x80\x01\n 7")),
    lambda chance, data: data.__delitem__(slice(place(chance, data), None)),
    lambda chance, data: data.__delitem__(
        slice(begin := place(chance, data), begin + chance.randrange(1, 40))
    ),
    lambda chance, data: data.__setitem__(
        slice(place(chance, data), 0), chance.randbytes(chance.randrange(1, 9))
    ),
    lambda chance, data: data.extend(chance.choice(SEEDS)[: chance.randrange(600)]),
    lambda chance, data: data.__setitem__(slice(0, 0), chance.choice(SEEDS)[: chance.randrange(1, 600)]),
]


def place(chance: random.Random, data: bytearray) -> int:
    """Return a place in data; more often near its ends, where formats have their structure."""
    if not data:
        data.append(0)
    length = min(len(data), chance.choice([30, 600, len(data)]))
    return chance.choice([chance.randrange(length), len(data) - 1 - chance.randrange(length)])


def damaged(chance: random.Random) -> bytes:
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.choice([1, 1, 2, 5])):
        chance.choice(MUTATIONS)(chance, data)
    return bytes(data)


def any_tokenizer(chance: random.Random) -> Tokenizer:
    made = chance.choice([ArticleTokenizer, WhitespaceTokenizer, WordTokenizer, CharacterTokenizer])
    return made(lower=chance.random() < 0.5, normalize=chance.choice(NORMALIZATIONS))


def outcome(path: Path, boundaries: str, tokenizer: Tokenizer, **settings: str) -> EncodedText | str:
    try:
        return encode_text(FileCorpus(str(path), boundaries, **settings), tokenizer, VocabularyRule())
    except UserError as error:
        return str(error)


def assert_same(one: EncodedText | str, other: EncodedText | str, seed: int) -> None:
    if isinstance(one, str) or isinstance(other, str):
        assert one == other, seed
        return
    assert one.vocabulary.words == other.vocabulary.words, seed
    assert one.ids.tobytes() == other.ids.tobytes(), seed
    assert (one.digest, one.segments.tolist()) == (other.digest, other.segments.tolist()), seed
    assert one.skipped == other.skipped, seed


def try_damaged_files(folder: Path, seeds: range) -> tuple[int, int]:
    """Read a damaged file by each seed; return how many were read, and how many refused."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for seed in seeds:
        chance = random.Random(seed)
        file = folder / f"file{chance.choice(SUFFIXES)}"
        file.write_bytes(damaged(chance))
        tokenizer, boundaries = any_tokenizer(chance), chance.choice(BOUNDARIES)
        settings = chance.choice(
            [{}, {"field": "text"}, {"on_error": "skip"}, {"names": "id", "on_error": "skip"}]
        )
        first, second = (outcome(file, boundaries, tokenizer, **settings) for _ in range(2))
        file.unlink()
        assert_same(first, second, seed)
        if isinstance(first, str):
            refused += 1
            assert str(file) in first, (seed, first)
            assert "\n" not in first, (seed, first)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < LARGEST_GROWTH
    return len(seeds) - refused, refused


# Letters, marks, joiners, spaces and line ends of all kinds, often enough to meet.
CHARACTERS = (
    "aZßİıσΣς日กักि1२_^'’-‐\u200c\u200d\u00ad\u0301\u0307\u0345\u093cJK\u212b\ufb01"
    "\u0344\ufeff \t\n\n\r\u2028\u3000.,\x1c"
)


def random_text(chance: random.Random) -> str:
    def character() -> str:
        while True:
            found = chr(chance.randrange(1, chance.choice([0x80, 0x3000, 0x110000])))
            if not "\ud800" <= found <= "\udfff":
                return found

    return "".join(
        chance.choice(CHARACTERS) if chance.random() < 0.8 else character()
        for _ in range(chance.randrange(1, 80))
    )


def try_random_texts(folder: Path, seeds: range) -> None:
    """Read random texts, in one file and in several, in large and in small chunks."""
    for seed in seeds:
        chance = random.Random(seed)
        texts = [random_text(chance) for _ in range(chance.randrange(1, 4))]
        for number, text in enumerate(texts):
            (folder / f"{number}.txt").write_bytes(text.encode())
        (folder / "all.txt").write_bytes("\n".join(texts).encode())
        tokenizer, boundaries = any_tokenizer(chance), chance.choice(["none", "line"])
        whole = outcome(folder / "all.txt", boundaries, tokenizer)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunks, "CHUNK_CHARACTERS", chance.randrange(1, 9))
            patch.setattr(tokenizers, "PART_CHARACTERS", chance.randrange(1, 9))
            in_chunks = outcome(folder / "all.txt", boundaries, tokenizer)
            assert_same(whole, in_chunks, seed)
            in_files = outcome(folder / "[0-9].txt", boundaries, tokenizer)
        for number in range(len(texts)):
            (folder / f"{number}.txt").unlink()
        if isinstance(whole, str):
            assert "has no word" in whole, (seed, whole)
            continue
        assert isinstance(in_files, EncodedText), (seed, in_files)
        assert in_files.vocabulary.words == whole.vocabulary.words, seed
        assert in_files.ids.tobytes() == whole.ids.tobytes(), seed
        assert in_files.segments.tolist() == whole.segments.tolist(), seed


def test_damaged_files_are_read_or_refused(tmp_path):
    read, refused = try_damaged_files(tmp_path, range(300))
    assert read > 15
    assert refused > 150


def test_random_texts_have_the_same_words_however_they_are_cut(tmp_path):
    try_random_texts(tmp_path, range(150))


@pytest.mark.slow
def test_twenty_thousand_damaged_files_are_read_or_refused(tmp_path):
    try_damaged_files(tmp_path, range(1000, 21_000))


@pytest.mark.slow
def test_twenty_thousand_random_texts_have_the_same_words_however_they_are_cut(tmp_path):
    try_random_texts(tmp_path, range(1000, 21_000))
