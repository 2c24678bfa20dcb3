"""Damaged files and rows: an error that names them, or skipped and counted, with the same text each time."""

import gzip
import io
import json
import random
import tarfile
import zipfile

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples
from pyarrow import ipc, parquet

from w2v_exp.errors import CorpusError, SettingError, UserError
from w2v_exp.text.cache import TextCache, encode_cached
from w2v_exp.text.corpus import FileCorpus, warn_once
from w2v_exp.text.damage import Damage
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

PARTS = WhitespaceTokenizer(), VocabularyRule()
LINES = [{"text": f"row {number} of words", "id": number} for number in range(40)]


def skipping(path, **settings):
    """Return the words of each document that has some, by name, and the damage."""
    damage = Damage(skip=True)
    corpus = FileCorpus(str(path), on_error="skip", **settings)
    found = [(text.name, " ".join("".join(text).split())) for text in corpus.texts(damage)]
    return [(name, text) for name, text in found if text], damage.skipped


def zipped(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def json_lines(rows=LINES):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def zstandard(content):
    return pa.compress(content, codec="zstd", asbytes=True)


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


DAMAGED = {
    "cut.gz": (gzip.compress(b"some words")[:-3], "ends in the middle"),
    "not_utf_8.txt": (b"caf\xe9", "is not UTF-8"),
    "nul.txt": (b"a\0b", "is not text"),
    "paper.txt": (b"%PDF-1.7", "is a PDF document"),
    "empty.tar": (tarred({}), "is named as a tar archive"),
    "cut.zip": (zipped({"a": b"words"})[:-9], "cannot be read"),
    "no_end.parquet": (b"PAR1 no more", "cannot be read"),
    "no_text.jsonl": (b'{"body": "words"}\n', "has no such column"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_an_error_or_skipped_and_named(tmp_path, name, caplog):
    """The others are read; the warning comes once."""
    content, problem = DAMAGED[name]
    (tmp_path / "a.txt").write_text("alpha")
    (tmp_path / name).write_bytes(content)
    (tmp_path / "z.txt").write_text("omega")
    with pytest.raises(UserError, match=problem):
        list(FileCorpus(str(tmp_path)).chunks())
    found, skipped = skipping(tmp_path)
    assert found == [("a.txt", "alpha"), ("z.txt", "omega")]
    assert (skipped.files, skipped.rows) == (1, 0)
    assert skipping(tmp_path) == (found, skipped)
    (warning,) = [line for line in caplog.messages if "damaged" in line]
    assert f"corpus.path={tmp_path}: skipped 1 damaged file: " in warning
    assert name in warning
    assert problem in warning


def test_the_number_of_damaged_files_is_logged_with_the_first_names(tmp_path, caplog):
    """Of hundreds."""
    for number in range(100, 400):
        (tmp_path / f"{number}.txt").write_bytes(b"word" if number % 3 else b"\xff")
    found, skipped = skipping(tmp_path)
    assert (len(found), skipped.files) == (200, 100)
    (warning,) = caplog.messages
    assert "skipped 100 damaged files: " in warning
    assert [f"{number}.txt" in warning for number in (102, 105, 108, 111)] == [True, True, True, False]


def test_of_a_text_the_chunks_before_the_damage_stay(tmp_path, monkeypatch):
    """Whole ones, and so nothing of a short text; the same however it is compressed."""
    monkeypatch.setattr("w2v_exp.text.chunks.CHUNK_CHARACTERS", 100_000)
    text = b"".join(b"%07d " % number for number in range(100_000))
    damaged = text[:450_000] + b"\xff" + text[450_000:]
    for name, content in (
        ("a.txt", damaged),
        ("a.gz", gzip.compress(damaged)),
        ("a.tar", tarred({"m": damaged})),
    ):
        (tmp_path / name).write_bytes(content)
        ((_, words),), skipped = skipping(tmp_path / name)
        assert words.encode() == text[: len(words)]
        assert len(words) == 399_999
        assert skipped.files == 1
    (tmp_path / "b.gz").write_bytes(gzip.compress(text)[:-100])
    ((_, words),), _ = skipping(tmp_path / "b.gz")
    assert words.encode() == text[: len(words)]
    assert len(words) > 600_000


def test_damaged_lines_of_json_are_skipped_alone(tmp_path, caplog):
    """Those that are truncated, not UTF-8, no objects, or whose text is none."""
    lines = json_lines().splitlines(True)
    damaged = [
        b'{"text": "cut\n',
        b"\xff\n",
        b"\0\0\0\n",
        b"[1]\n",
        b'{"text": 7}\n',
        b'{"text": "\\ud800"}\n',
    ]
    content = b"".join([damaged[0], *lines[:3], *damaged[1:], *lines[3:], b'{"text": "the last li'])
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(CorpusError, match=r"a\.jsonl, line 1: is not JSON"):
        list(FileCorpus(str(tmp_path / "a.jsonl")).chunks())
    found, skipped = skipping(tmp_path / "a.jsonl")
    assert [text for _, text in found] == [row["text"] for row in LINES]
    assert (skipped.files, skipped.rows) == (0, 7)
    assert "skipped 7 damaged rows: " in caplog.text
    assert [part in caplog.text for part in ("line 1:", "line 5:", "line 6:", "line 7:")] == [True] * 3 + [
        False
    ]


def test_rows_of_csv_with_too_few_columns_are_skipped_and_bad_syntax_ends_the_table(tmp_path):
    """A quote that is not closed has an unknown number of lines."""
    (tmp_path / "a.csv").write_text('id,text\n1,one\n2\n3,three\n4,"fo"ur\n5,five\n')
    (tmp_path / "b.csv").write_text("id,text\n6,six\n")
    found, skipped = skipping(tmp_path, field="text")
    assert [text for _, text in found] == ["one", "three", "six"]
    assert (skipped.files, skipped.rows) == (1, 1)


def parquet_of(rows=LINES, **options):
    stream = io.BytesIO()
    parquet.write_table(
        pa.Table.from_pylist(rows), stream, row_group_size=10, write_page_checksum=True, **options
    )
    return stream.getvalue()


def arrow_of(rows=LINES, *, stream=False):
    new = ipc.new_stream if stream else ipc.new_file
    stream, table = io.BytesIO(), pa.Table.from_pylist(rows)
    with new(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=10)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("suffix", "content", "least"),
    [
        (".parquet", parquet_of(compression="none", use_dictionary=False), 10),
        (".arrows", arrow_of(stream=True)[:-500], 10),
        (".jsonl.gz", gzip.compress(json_lines())[:-40], 1),
        (
            ".tar.gz",
            gzip.compress(tarred({f"{n}.jsonl": json_lines([row]) for n, row in enumerate(LINES)}))[:-90],
            1,
        ),
    ],
)
def test_rows_before_the_damage_stay(tmp_path, suffix, content, least):
    """And the next file is read."""
    if suffix == ".parquet":
        content = flipped(content, content.index(b"row 25"))
    (tmp_path / f"a{suffix}").write_bytes(content)
    (tmp_path / "b.txt").write_text("behind")
    found, skipped = skipping(tmp_path)
    texts = [text for _, text in found]
    assert texts[:-1] == [row["text"] for row in LINES][: len(texts) - 1]
    assert least <= len(texts) - 1 < 40
    assert texts[-1] == "behind"
    assert (skipped.files, skipped.rows) == (1, 0)


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_damaged_members_are_skipped_and_the_others_read(tmp_path, pack):
    """An archive counts once."""
    members = {
        "a.txt": b"alpha",
        "b.gz": gzip.compress(b"beta" * 999)[:-2],
        "c.jsonl": b'{"text": "gamma"}\n{\n{"text": "delta"}\n',
        "d.pdf": b"%PDF-",
        "e.parquet": parquet_of(),
        "f.txt": b"\xff",
        "g.txt": b"omega",
    }
    (tmp_path / "archive").write_bytes(pack(members))
    found, skipped = skipping(tmp_path / "archive")
    assert found == [("a.txt", "alpha"), ("c.jsonl", "gamma"), ("c.jsonl", "delta"), ("g.txt", "omega")]
    assert (skipped.files, skipped.rows) == (1, 1)
    assert "b.gz" in skipped.problems[0]


def test_a_text_of_damaged_files_only_is_an_error_that_names_them(tmp_path):
    """Also if a key is misspelled."""
    (tmp_path / "a.jsonl").write_bytes(json_lines())
    with pytest.raises(
        CorpusError, match=r"has no word .*on_error=skip: skipped 1 damaged file: .*=txt: .*a\.jsonl"
    ):
        encode_text(FileCorpus(str(tmp_path), field="txt", on_error="skip"), *PARTS)
    with pytest.raises(SettingError, match=r"corpus\.field=txt: .* has no such column, did you mean text"):
        encode_text(FileCorpus(str(tmp_path), field="txt"), *PARTS)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_cache_has_the_number_and_warns_again(tmp_path, caplog, monkeypatch, processes):
    """In another process: the text is not read there."""
    monkeypatch.setattr("w2v_exp.text.cache.SMALLEST_CACHED", 1)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.jsonl").write_bytes(json_lines() + b"{\n")
    (tmp_path / "texts" / "b.txt").write_bytes(b"\xff")
    corpus = FileCorpus(str(tmp_path / "texts"), on_error="skip")
    cache = TextCache(str(tmp_path / "cache"), processes=processes)
    found = []
    for _ in range(2):
        caplog.clear()
        warn_once.cache_clear()
        found.append(encode_cached(corpus, *PARTS, cache))
        assert "skipped 1 damaged file and 1 damaged row: " in caplog.text
    assert found[0].skipped == found[1].skipped == encode_text(corpus, *PARTS).skipped
    assert found[1].entry is not None
    assert found[0].ids.tolist() == found[1].ids.tolist()


def test_a_run_records_the_numbers(tmp_path, command):
    """As tags, since they are known before training; 0 as well."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.jsonl").write_bytes(json_lines() + b"{\n")
    settings = [
        "corpus=file", "corpus.path=texts", "tokenizer=whitespace", "epochs=1", "dim=2", "explorer=none",
        "checkpoint=none", "tracking=none", "hydra.run.dir=run",
    ]  # fmt: skip
    done = command(*settings)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "a.jsonl, line 41: is not JSON" in done.stderr
    done = command(*settings, "corpus.on_error=skip")
    assert done.returncode == 0, done.stderr
    assert "skipped 1 damaged row: texts/a.jsonl, line 41" in done.stderr
    metrics = json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]
    assert (metrics["skipped_files"], metrics["skipped_rows"]) == (0, 1)


# ---------------------------------------------------------------- any damage

CHECKED = {
    "zst": (".jsonl.zst", zstandard(json_lines())),
    "gz": (".jsonl.gz", gzip.compress(json_lines(), mtime=0)),
    "parquet": (".parquet", parquet_of(compression="zstd")),
    "arrow": (".arrow", arrow_of()),
    "arrow stream": (".arrows", arrow_of(stream=True)),
    "jsonl": (".jsonl", json_lines()),
}
HAVE_CHECKSUMS = ("gz", "parquet")


def damaged_by(chance, content):
    """Return a truncated content, or one with a flipped bit or a few other bytes."""
    data = bytearray(content)
    kind = chance.randrange(3)
    if kind == 0:
        del data[chance.randrange(len(data)) :]
        return bytes(data)
    for _ in range(1 if kind == 1 else chance.randrange(1, 5)):
        data[chance.randrange(len(data))] ^= (
            1 << chance.randrange(8) if kind == 1 else chance.randrange(1, 256)
        )
    return bytes(data)


@pytest.mark.parametrize("kind", CHECKED)
@property_settings(deadline=None, max_examples=examples(60))
@given(seed=st.integers(0, 10**9))
def test_any_damage_is_an_error_with_the_name_or_skipped_alike(tmp_path_factory, kind, seed):
    """Never a traceback; where the format has checksums, never another text. Skipped, the text is the same twice."""
    suffix, content = CHECKED[kind]
    path = tmp_path_factory.mktemp("damage") / f"a{suffix}"
    chance = random.Random(seed)
    path.write_bytes(damaged := damaged_by(chance, content))
    whole = [row["text"] for row in LINES]
    try:
        texts = ["".join(text).strip() for text in FileCorpus(str(path)).texts()]
    except UserError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
        texts = None
    if texts is not None and (kind in HAVE_CHECKSUMS or not damaged):
        assert texts in (whole, [])
        assert texts or not damaged or kind == "parquet"
    found, skipped = skipping(path)
    assert (found, skipped) == skipping(path)
    assert bool(skipped) == (texts is None)
    if kind in HAVE_CHECKSUMS and kind != "gz":  # whose checksum comes behind its text
        assert [text for _, text in found] == whole[: len(found)]
