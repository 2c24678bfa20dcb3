"""The table for embedding-atlas: pandas reads each word, its position and its nearest words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from w2v_exp.embeddings import Embeddings
from w2v_exp.errors import UserError
from w2v_exp.reporting.atlas import atlas_seconds, write_atlas

HOSTILE = [
    "",
    " ",
    "a\tb",
    "a\nb",
    "\x00",
    "\x1b[31m",
    '"',
    "'; DROP TABLE words",
    "\u2028",
    "日本",
    "x" * 5000,
]


def some(number: int, dim: int = 8) -> Embeddings:
    words = [*HOSTILE, *(f"w{i}" for i in range(number))][:number]
    vectors = np.random.default_rng(0).standard_normal((number, dim)).astype(np.float32)
    return Embeddings(words, np.arange(number, 0, -1), vectors)


@pytest.mark.parametrize("number", [1, 2, 12, 300])
@pytest.mark.parametrize("mapped", [20_000, 100])  # fewer than the words: the others are placed
def test_each_word_has_its_position_and_its_nearest_words(
    number: int, mapped: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("w2v_exp.reporting.atlas.MAPPED", mapped)
    monkeypatch.setattr("w2v_exp.reporting.projections.MAPPED", mapped)
    embeddings = some(number)
    write_atlas(tmp_path / "words.parquet", embeddings)
    frame = pd.read_parquet(tmp_path / "words.parquet")
    assert frame.word.tolist() == embeddings.words
    assert frame["count"].tolist() == list(range(number, 0, -1))
    assert np.isfinite(frame[["x", "y"]]).all(axis=None)
    for i, near in enumerate(frame.neighbors):
        expected = embeddings.most_similar(embeddings.words[i], topn=15)
        assert [embeddings.words[id] for id in near["ids"]] == [word for word, _ in expected]
        np.testing.assert_allclose(near["distances"], [1 - cosine for _, cosine in expected], atol=1e-6)


def test_the_columns_have_the_types_that_embedding_atlas_writes_itself(tmp_path: Path) -> None:
    embeddings = some(20)
    write_atlas(tmp_path / "a.parquet", embeddings)
    lists = [("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float32()))]
    expected = [("word", pa.string()), ("count", pa.int64()), ("x", pa.float32()), ("y", pa.float32()),
                ("neighbors", pa.struct(lists))]  # fmt: skip
    schema = parquet.read_schema(tmp_path / "a.parquet")
    assert [(name, schema.field(name).type) for name in schema.names] == expected
    write_atlas(tmp_path / "b.parquet", Embeddings(embeddings.words, None, embeddings.input))
    assert parquet.read_schema(tmp_path / "b.parquet").names == ["word", "x", "y", "neighbors"]


def test_equal_embeddings_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        write_atlas(tmp_path / name, some(250))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_file_that_cannot_be_opened_is_refused_before_the_map_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("w2v_exp.reporting.atlas.Projector")
    with pytest.raises(UserError, match=r"words\.txt: the name must end in \.parquet"):
        write_atlas(tmp_path / "words.txt", some(3))
    with pytest.raises(UserError, match=r"words\.parquet cannot be written: No such file or directory\."):
        write_atlas(tmp_path / "missing" / "words.parquet", some(3))
    with pytest.raises(UserError, match=r"projection=tsnee: not an option, did you mean tsne\?"):
        write_atlas(tmp_path / "words.parquet", some(3), "tsnee")


def test_the_expected_time_grows_with_the_square_of_the_words() -> None:
    assert atlas_seconds(100, 100, "auto") < 1
    assert 5 < atlas_seconds(12_000, 100, "auto") < 20
    assert atlas_seconds(200_000, 100, "pca") > 300
