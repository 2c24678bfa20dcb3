"""Rows of tables as documents: all formats, their names, what is in one folder, and damaged rows with their line."""

import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from properties import examples
from pyarrow import ipc, parquet

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.text import table as text_table
from w2v_exp.text.cache import TextCache, encode_cached, entry_key
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.size import estimated_bytes
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

ROWS = [
    {"year": "1790", "text": "peace and war"},
    {"year": "1791", "text": 'a "quoted"\nword, and more'},
    {"year": "1792", "text": ""},
    {"year": "1793", "text": "日本 " + "long " * 40_000},
]
KINDS = ["csv", "tsv", "semicolon", "jsonl", "parquet", "arrow", "arrow stream"]
COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}


def content_of(rows, kind):
    """Return rows in a format."""
    if kind in ("csv", "tsv", "semicolon"):
        stream = io.StringIO()
        delimiter = {"tsv": "\t", "semicolon": ";"}.get(kind, ",")
        writer = csv.DictWriter(stream, ["year", "text"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
        return stream.getvalue().encode()
    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    table, binary = pa.Table.from_pylist(rows), io.BytesIO()
    if kind == "parquet":
        parquet.write_table(table, binary, row_group_size=2, write_page_checksum=True)
        return binary.getvalue()
    with (ipc.new_file if kind == "arrow" else ipc.new_stream)(binary, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return binary.getvalue()


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def documents(corpus):
    """Return the words and the name of each document."""
    return [("".join(text).split(), text.name) for text in corpus.texts()]


def words(rows, names=None):
    return [(row["text"].split(), names or row["year"]) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_documents_in_every_format(tmp_path, kind):
    """With a field, a file that is named itself is a table whatever its name."""
    path = written(tmp_path / "table", content_of(ROWS, kind))
    corpus = FileCorpus(path, "document", field="text", names="year")
    assert documents(corpus) == words(ROWS)
    assert documents(FileCorpus(path, field="text")) == words(ROWS, "table")
    text = encode_text(corpus, WhitespaceTokenizer(), VocabularyRule())
    assert list(text.names) == [row["year"] for row in ROWS]
    assert (text.documents[1:] - text.documents[:-1]).tolist() == [len(row["text"].split()) for row in ROWS]
    assert len(text.segments) == 4  # but for the empty one
    with Path(path).open("rb") as stream:
        pipe = FileCorpus(f"/dev/fd/{stream.fileno()}", "document", field="text", names="year")
        assert documents(pipe) == words(ROWS)
        assert pipe.segment_end == "text"


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_json_lines_and_csv_are_tables(tmp_path, suffix):
    """JSON lines by their suffix, without a setting."""
    path = written(tmp_path / f"table.jsonl{suffix}", COMPRESS[suffix](content_of(ROWS, "jsonl")))
    assert documents(FileCorpus(path, names="year")) == words(ROWS)
    path = written(tmp_path / f"table.csv{suffix}", COMPRESS[suffix](content_of(ROWS, "csv")))
    assert documents(FileCorpus(path, field="text", names="year")) == words(ROWS)
    assert documents(FileCorpus(path))[0][0][:2] == ["year,text", "1790,peace"]  # plain text, as ever


@pytest.mark.parametrize("kind", KINDS)
def test_members_of_archives_are_tables_where_they_can_be_read_as_a_stream(tmp_path, kind):
    """Parquet and Arrow files need their end first."""
    suffix = {"semicolon": "csv", "arrow stream": "arrows"}.get(kind, kind)
    binary, archive = content_of(ROWS, kind), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(f"1790/table.{suffix}", binary)
        packed.writestr("notes.txt", "some words")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as packed:
        member = tarfile.TarInfo(f"table.{suffix}")
        member.size = len(binary)
        packed.addfile(member, io.BytesIO(binary))
    (tmp_path / "folder").mkdir()
    zipped = written(tmp_path / "tables.zip", archive.getvalue())
    tarred = written(tmp_path / "folder/tables", tar.getvalue())
    compressed = written(tmp_path / "a.gz", gzip.compress(binary))
    if kind in ("parquet", "arrow"):
        for path in (zipped, tarred, compressed):
            with pytest.raises(CorpusError, match=r"file that is compressed or within an archive.*Unpack it"):
                documents(FileCorpus(path))
        return
    assert documents(FileCorpus(zipped, field="text")) == [
        *words(ROWS, f"1790/table.{suffix}"),
        (["some", "words"], "notes.txt"),
    ]
    assert documents(FileCorpus(str(tmp_path / "folder"), field="text", names="year")) == words(ROWS)


def test_texts_and_tables_of_all_formats_are_mixed_in_a_folder(tmp_path):
    """In the order of names; CSV is text without a field."""
    contents = {f"1790/{kind}": content_of(ROWS[:2], kind) for kind in ("parquet", "arrow", "arrow stream")}
    contents |= {
        "1791/a.jsonl.zst": COMPRESS[".zst"](content_of(ROWS[:2], "jsonl")),
        "1792/b.txt": b"{no} JSON",
    }
    contents |= {
        "1793/c.json": b'{"text": "alone"}',
        "1793/d.json": b"plain",
        "1794/e.csv": b"year,text\n1,x y\n",
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path / name, content)
    found = documents(FileCorpus(str(tmp_path), "document"))
    tables = [name for name in sorted(contents) if name < "1792"]
    assert found[:8] == [each for name in tables for each in words(ROWS[:2], name)]
    rest = [(["{no}", "JSON"], "1792/b.txt"), (["alone"], "1793/c.json"), (["plain"], "1793/d.json")]
    assert found[8:-1] == rest
    assert found[-1] == (["year,text", "1,x", "y"], "1794/e.csv")
    found = documents(FileCorpus(str(tmp_path), "document", field="text"))
    assert found[8:] == [*rest, (["x", "y"], "1794/e.csv")]
    text = encode_text(FileCorpus(str(tmp_path), "document"), WhitespaceTokenizer(), VocabularyRule())
    assert len(text.segments) - 1 == 12


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "arrow"])
def test_a_dot_leads_into_an_object(tmp_path, kind):
    """A key with a dot in it comes first; an object that is missing has an empty text."""
    rows = [{"meta": {"text": "inner words", "by": "me"}, "a.b": "dotted"}, {"meta": None, "a.b": "again"}]
    path = written(tmp_path / f"table.{kind}", content_of(rows, kind))
    corpus = FileCorpus(path, field="meta.text", names="meta.by")
    assert documents(corpus) == [(["inner", "words"], "me"), ([], "")]
    assert documents(FileCorpus(path, field="a.b", names="meta.by"))[1] == (["again"], "")
    with pytest.raises(SettingError, match=r"corpus\.field=meta\.txt: .* has no such column.*: meta, a\.b"):
        documents(FileCorpus(path, field="meta.txt"))
    with pytest.raises(SettingError, match=r"corpus\.names=a\.b\.c: .* has no such column"):
        documents(FileCorpus(path, field="a.b", names="a.b.c"))


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()), pa.null()]
)
def test_texts_of_all_types_of_arrow_are_read(tmp_path, kind):
    """And names of any type."""
    texts = pa.array(["one two", None]) if kind != pa.null() else pa.nulls(2)
    table = pa.table({"text": texts.cast(kind), "date": pa.array([0, 1], pa.date32())})
    with ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    corpus = FileCorpus(str(tmp_path / "a.arrow"), names="date")
    assert documents(corpus) == [
        (["one", "two"] if kind != pa.null() else [], "1970-01-01"),
        ([], "1970-01-02"),
    ]


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@property_settings(deadline=None, max_examples=examples(40))
@given(st.lists(st.tuples(ANY, st.integers(0, 9)), min_size=1), st.integers(3, 40))
def test_any_texts_come_back_from_every_format(tmp_path_factory, rows, at_once):
    """With line ends, quotes and delimiters, and read in small parts."""
    rows = [{"year": str(year), "text": text.replace("\0", "").replace("\ufeff", "")} for text, year in rows]
    folder = tmp_path_factory.mktemp("table")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_table, "ROWS_AT_ONCE", at_once)
        for kind in ("csv", "jsonl", "parquet", "arrow", "arrow stream"):
            path = written(folder / "table", content_of(rows, kind))
            found = [
                ("".join(text), text.name) for text in FileCorpus(path, field="text", names="year").texts()
            ]
            for row, (text, name) in zip(rows, found, strict=True):
                expected = row["text"].replace("\r\n", "\n").replace("\r", "\n")
                assert text in (expected, f"{expected}\n"), kind
                assert (text == "") == (expected == "")
                assert name == row["year"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("year,text\n1,a\n2\n", "line 3: has 1 of 2 columns"),
        ('year,text\n1,"a\n', "is not CSV"),
        ('{"year": 1, "text": "a"}\n{"year": 2,\n', "line 2: is not JSON .*in each line, as `jq -c`"),
        ('{\n"year": 1, "text": "a"}\n', "line 1: is not JSON .*in each line, as `jq -c`"),
        ('[{"year": 1, "text": "a"}]', "line 1: is not a JSON object. .* in each line, as `jq -c`"),
        ('{"year": 1, "text": "a"}\n[1]\n', "line 2: is not a JSON object"),
        ('{"year": 1, "text": 7}\n', "line 1: text is of type int, not a text"),
        ('{"year": 1, "text": "\\ud800"}\n', "line 1: has half of a surrogate pair"),
        ('{"year": "\\ud800", "text": "a"}\n', "line 1: has half of a surrogate pair"),
        (b'{"year": 1, "text": "\xff"}\n', "line 1: is not UTF-8"),
        (b"year,text\n1,\xff\n", "line 2: is not UTF-8"),
        (b"PAR1 and no more", "cannot be read"),
        (b"ARROW1 and no more", "cannot be read"),
        (b"\xff\xff\xff\xff and no more", "cannot be read"),
        (b"\x1f\x8b\x08 and no more", "cannot be read"),
        (content_of([{"text": 7}], "parquet"), "the column text is of type int64, not text"),
        (content_of([{"text": ["a"]}], "arrow"), "the column text is of type list.*, not text"),
        (content_of(ROWS, "arrow stream")[:-8], "truncated"),
        (content_of(ROWS, "arrow stream") * 2, "goes on behind its end"),
    ],
)
def test_damaged_tables_are_errors_with_the_file_and_line(tmp_path, content, message):
    """Nothing is skipped in silence."""
    path = written(tmp_path / "table", content)
    with pytest.raises(CorpusError, match=message) as refusal:
        documents(FileCorpus(path, field="text", names="year" if "year" in str(content) else None))
    assert str(refusal.value).startswith(path)


def test_a_line_without_end_takes_bounded_memory(tmp_path, monkeypatch):
    """A row is in memory as a whole."""
    monkeypatch.setattr(text_table, "LONGEST_LINE", 100)
    for content in ('{"text": "' + "word " * 40, "text\n" + "word " * 40):
        with pytest.raises(CorpusError, match="has a line of more than 100 bytes"):
            documents(FileCorpus(written(tmp_path / "a", content), field="text"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"field": "txt"}, r"corpus.field=txt: .* has no such column.*text.*Its columns: year, text"),
        ({"names": "date"}, "corpus.names=date"),
        ({"field": ""}, "field=: is empty"),
        ({"names": ""}, "names=: is empty"),
        ({"field": 7}, "field=7: must be the name of a column or key, or null, not int"),
        ({"on_error": "ignore"}, "on_error=ignore"),
        ({"boundaries": "row"}, "boundaries=row"),
        ({"path": "nowhere.csv"}, "path=nowhere.csv: no such file"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "arrow"])
def test_mistakes_name_the_setting(tmp_path, kind, settings, message):
    """And the columns that there are."""
    path = written(tmp_path / "table", content_of(ROWS, kind))
    with pytest.raises(SettingError, match=message):
        documents(FileCorpus(**{"path": path, "field": "text", **settings}))


@pytest.mark.parametrize("key", ["field", "names"])
def test_a_column_of_no_table_is_a_mistake(tmp_path, key):
    """It would have no effect."""
    written(tmp_path / "a.txt", "some words")
    with pytest.raises(SettingError, match=rf"corpus\.{key}=year: corpus\.path=.* contains no table"):
        documents(FileCorpus(str(tmp_path), **{key: "year"}))


def test_settings_of_tables_make_other_entries_of_the_cache_and_their_defaults_none(tmp_path, monkeypatch):
    """The keys of plain texts are those of before there were tables."""
    monkeypatch.setattr("w2v_exp.text.cache.SMALLEST_CACHED", 1)
    path = written(tmp_path / "table.jsonl", content_of(ROWS, "jsonl"))
    parts = WhitespaceTokenizer(), VocabularyRule()
    corpora = [
        FileCorpus(path),
        FileCorpus(path, field="year"),
        FileCorpus(path, names="year"),
        FileCorpus(path, on_error="skip"),
    ]
    keys = [entry_key(corpus, *parts) for corpus in corpora]
    assert len({*keys}) == 4
    recorded = {}
    monkeypatch.setattr("json.dumps", lambda inputs, **_: recorded.update(inputs) or "")
    entry_key(FileCorpus(path), *parts)
    assert recorded["settings"] == {"path": None, "boundaries": "none"}
    monkeypatch.undo()
    monkeypatch.setattr("w2v_exp.text.cache.SMALLEST_CACHED", 1)
    cache = TextCache(str(tmp_path / "cache"))
    for corpus in corpora * 2:
        cached, text = encode_cached(corpus, *parts, cache), encode_text(corpus, *parts)
        assert cached.ids.tolist() == text.ids.tolist()
        assert list(cached.names) == list(text.names)


def test_the_size_of_parquet_is_that_of_its_column(tmp_path):
    """As its metadata have it, compressed or not."""
    rows = [{"text": "some words" * 99, "year": "1" * 9999} for _ in range(9)]
    table = pa.Table.from_pylist(rows)
    parquet.write_table(table, tmp_path / "a.parquet", use_dictionary=False)
    assert 9 * 990 <= estimated_bytes(FileCorpus(str(tmp_path))) < 12 * 990
    assert estimated_bytes(FileCorpus(str(tmp_path), field="year")) > 9 * 9999


def test_a_column_of_a_table_makes_slices(tmp_path, command):
    """From the command line; a second run finds the text in the cache."""
    rows = [
        {"year": str(year), "text": "war and peace are words " * (5 + year % 3)} for year in range(1900, 1912)
    ]
    written(tmp_path / "table.csv", content_of(rows, "csv"))
    settings = [
        "corpus=file", "corpus.path=table.csv", "corpus.field=text", "corpus.names=year", "tokenizer=whitespace",
        "labels=counts", "epochs=3", "dim=3", "slices=years", "slices.number=3", "tracking=none", "explorer=none",
        "checkpoint=none", "bounds=false", "hydra.run.dir=run", "cache.folder=cache",
    ]  # fmt: skip
    for _ in range(2):
        done = command(*settings)
        assert done.returncode == 0, done.stderr
        assert "words in 3 slices" in done.stdout
    done = command(*settings, "corpus.names=date")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "corpus.names=date" in done.stderr
    done = command(*settings, "corpus.names=null")
    assert done.returncode == 2
    assert "Set corpus.names to the column" in done.stderr
