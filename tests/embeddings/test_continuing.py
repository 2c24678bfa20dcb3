"""Where words start that have saved vectors, and what becomes of words that a new text lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.embeddings import Embeddings
from w2v_exp.embeddings.embeddings import content_digest, initialization_from, merge_missing_words

DIM = 3
WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True)


def embeddings_of(words: list[str], seed: int, dtype: str = "float64", output: bool = True) -> Embeddings:
    """Return embeddings with random vectors, by falling count."""
    generator = np.random.default_rng(seed)
    vectors, contexts = (generator.standard_normal((len(words), DIM)).astype(dtype) for _ in range(2))
    counts = np.arange(len(words), 0, -1)
    return Embeddings(words, counts, vectors, contexts if output else None)


@given(WORDS, WORDS, st.booleans(), st.booleans())
def test_no_word_is_lost_and_no_saved_vector_changes(
    text: list[str], old: list[str], saved_output: bool, trained_output: bool
) -> None:
    trained, saved = (
        embeddings_of(words, seed, output=output)
        for words, seed, output in ((text, 1, trained_output), (old, 2, saved_output))
    )
    result = merge_missing_words(trained, saved)
    assert result.words == text + [word for word in old if word not in text]
    assert result.counts is not None
    assert list(result.counts) == sorted(result.counts, reverse=True)
    assert (result.output is None) is (not trained_output)
    for word in result.words:
        origin = trained if word in trained else saved
        here, there = result.ids[word], origin.ids[word]
        assert result.input[here].tobytes() == origin.input[there].tobytes()
        assert result.counts[here] == (origin.counts[there] if origin is trained else 0)  # type: ignore[index]
        if result.output is not None:
            expected = np.zeros(DIM) if origin.output is None else origin.output[there]
            np.testing.assert_array_equal(result.output[here], expected)


@given(WORDS, WORDS)
def test_each_word_starts_from_its_own_saved_vector(text: list[str], old: list[str]) -> None:
    saved = embeddings_of(old, 2)
    assert saved.output is not None
    parameters = initialization_from(saved, text)(len(text), DIM, np.random.default_rng(0))
    for number, word in enumerate(text):
        if word in saved:
            np.testing.assert_array_equal(parameters.embedding[number], saved.input[saved.ids[word]])
            np.testing.assert_array_equal(parameters.output[number], saved.output[saved.ids[word]])
        else:
            assert np.abs(parameters.embedding[number]).max() <= 0.5 / DIM
            assert not parameters.output[number].any()


def test_other_words_take_the_dtype_of_the_training_and_need_no_counts() -> None:
    trained = replace(embeddings_of(["a", "b"], 1), counts=None)
    saved = embeddings_of(["b", "c"], 2, "float32")
    result = merge_missing_words(trained, saved)
    assert result.counts is None
    assert result.input.dtype == np.float64
    np.testing.assert_array_equal(result["c"], saved["c"])


def test_the_digest_is_of_words_and_vectors_whatever_file_they_come_from(tmp_path: Path) -> None:
    saved = embeddings_of(["a", "b"], 1, "float32")
    assert saved.output is not None
    moved = saved.input.copy()
    moved[1, 2] = np.nextafter(moved[1, 2], np.float32(9))
    others = [
        replace(saved, words=["a", "c"]),
        replace(saved, input=moved),
        replace(saved, output=moved),
        replace(saved, output=None),
        Embeddings(saved.words, None, saved.input.astype(float), saved.output.astype(float)),
    ]
    assert len({content_digest(other) for other in (saved, *others)}) == 6
    assert content_digest(replace(saved, counts=None)) == content_digest(saved)
    saved.save(tmp_path / "saved.npz")
    assert content_digest(Embeddings.load(tmp_path / "saved.npz")) == content_digest(saved)
    inputs = replace(saved, output=None)
    for suffix in ("txt", "bin.gz"):
        inputs.save(tmp_path / f"saved.{suffix}")
        assert content_digest(Embeddings.load(tmp_path / f"saved.{suffix}")) == content_digest(inputs)


@pytest.mark.parametrize("words", [["a"], ["a", "b"]])
def test_where_the_text_has_all_words_nothing_is_added(words: list[str]) -> None:
    trained = embeddings_of(["a", "b"], 1)
    assert merge_missing_words(trained, embeddings_of(words, 2)) is trained
