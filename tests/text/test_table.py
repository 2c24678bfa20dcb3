"""A column of a table as a corpus: all formats, names of documents, and damaged rows with their line."""

import csv
import gzip
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import ipc, parquet

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.text.encoding import encode_text
from w2v_exp.text.table import Row, TableCorpus
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule

ROWS = [
    {"year": "1790", "text": "peace and war"},
    {"year": "1791", "text": 'a "quoted"\nword, and more'},
    {"year": "1792", "text": ""},
    {"year": "1793", "text": "日本 " + "long " * 40_000},
]


def write(path, rows, kind):
    """Write rows in a format."""
    if kind in ("csv", "tsv", "semicolon", "csv.gz"):
        opened = gzip.open if kind == "csv.gz" else open
        with opened(path, "wt", encoding="utf-8", newline="") as stream:
            delimiter = {"tsv": "\t", "semicolon": ";"}.get(kind, ",")
            writer = csv.DictWriter(stream, ["year", "text"], delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    else:
        table = pa.Table.from_pylist(rows)
        with ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=3)


@pytest.mark.parametrize("kind", ["csv", "tsv", "semicolon", "csv.gz", "jsonl", "parquet", "arrow"])
def test_rows_are_documents_in_every_format(tmp_path, kind):
    """Recognised by the content: the name of the file has no suffix."""
    path = tmp_path / "table"
    write(path, ROWS, kind)
    corpus = TableCorpus(str(path), names="year")
    assert list(corpus.rows()) == [Row(row["text"], row["year"]) for row in ROWS]
    text = encode_text(corpus, WhitespaceTokenizer(), VocabularyRule())
    assert list(text.names) == [row["year"] for row in ROWS]
    assert (text.documents[1:] - text.documents[:-1]).tolist() == [len(row["text"].split()) for row in ROWS]
    assert list(encode_text(TableCorpus(str(path)), WhitespaceTokenizer(), VocabularyRule()).names) == list(
        "1234"
    )


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), st.integers(0, 9)),
        min_size=1,
    )
)
def test_any_texts_come_back_from_csv_and_json(tmp_path_factory, rows):
    """With line ends, quotes and delimiters."""
    rows = [{"year": str(year), "text": text.replace("\0", "")} for text, year in rows]
    for kind in ("csv", "jsonl"):
        path = tmp_path_factory.mktemp("table") / "table"
        write(path, rows, kind)
        assert list(TableCorpus(str(path), names="year").rows()) == [
            Row(row["text"], row["year"]) for row in rows
        ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("year,text\n1,a\n2\n", "line 3: has 1 of 2 columns"),
        ('year,text\n1,"a\n', "is not CSV"),
        ('{"year": 1, "text": "a"}\n{"year": 2,\n', "line 2: is not JSON"),
        ('{"year": 1, "text": "a"}\n[1]\n', "line 2: is not a JSON object"),
        ('{"year": 1, "text": 7}\n', "line 1: text is of type int, not a text"),
        ('{"year": 1, "text": "\\ud800"}\n', "line 1: text has half of a surrogate pair"),
        (b"year,text\n1,\xff\n", "is not UTF-8"),
        (b"PAR1 and no more", "cannot be read"),
        (b"ARROW1 and no more", "cannot be read"),
        (b"\x1f\x8b\x08 and no more", "cannot be read"),
    ],
)
def test_damaged_tables_are_errors_with_the_line(tmp_path, content, message):
    """Of the user's file; nothing is skipped in silence."""
    path = tmp_path / "table"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CorpusError, match=message):
        list(TableCorpus(str(path), names="year").rows())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text": "txt"}, "corpus.text=txt: .* has no such column.*text.*Its columns: year, text"),
        ({"names": "date"}, "corpus.names=date"),
        ({"text": ""}, "text=: is empty"),
        ({"boundaries": "row"}, "boundaries=row"),
        ({"path": ""}, "path=: is empty"),
        ({"path": "nowhere.csv"}, "path=nowhere.csv: no such file"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "arrow"])
def test_mistakes_name_the_setting(tmp_path, kind, settings, message):
    """And the columns that there are."""
    path = tmp_path / "table"
    write(path, ROWS, kind)
    with pytest.raises(SettingError, match=message):
        list(TableCorpus(**{"path": str(path), **settings}).rows())


def test_a_column_of_a_table_makes_slices(tmp_path, command):
    """From the command line; a second run finds the text in the cache."""
    rows = [
        {"year": str(year), "text": "war and peace are words " * (5 + year % 3)} for year in range(1900, 1912)
    ]
    write(tmp_path / "table.csv", rows, "csv")
    settings = [
        "corpus=table", "corpus.path=table.csv", "corpus.names=year", "tokenizer=whitespace", "labels=counts",
        "epochs=3",
        "dim=3", "slices=years", "slices.number=3", "tracking=none", "explorer=none", "checkpoint=none", "bounds=false",
        "hydra.run.dir=run", "cache.folder=cache",
    ]  # fmt: skip
    for _ in range(2):
        done = command(*settings)
        assert done.returncode == 0, done.stderr
        assert "words in 3 slices" in done.stdout
    done = command(*settings, "corpus.names=date")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "corpus.names=date" in done.stderr
