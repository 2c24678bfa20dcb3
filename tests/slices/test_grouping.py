"""Slices from the names of documents."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.slices.grouping import SliceRule, Slices, require_tokens


def divide(names, sizes=None, **settings):
    """Return labels, and the slice of each document."""
    sizes = np.array(sizes if sizes is not None else [10] * len(names))
    slices = SliceRule(**settings).divide(names, sizes)
    return slices.labels, slices.of_documents.tolist()


def test_labels_are_the_first_group_or_the_match():
    """Numbers by size, other labels in order of appearance, documents without a match in no slice."""
    names = ["1900-a.txt", "1850-b.txt", "notes.txt", "1900-c.txt"]
    assert divide(names, pattern=r"\d{4}") == (["1850", "1900"], [1, 0, -1, 1])
    assert divide(names[:2], pattern=r"-(\w)") == (["a", "b"], [0, 1])
    assert divide(["z/1", "a/2", "top"], pattern="^((?:.*/)?)") == (["z/", "a/", "."], [0, 1, 2])


def test_dates_are_ordered_in_time():
    """Years before our era, years of five digits, months and days."""
    names = ["12000", "-50", "1865-04-15", "1865", "1865-04"]
    labels, slices = divide(names, pattern=".+")
    assert labels == ["-50", "1865", "1865-04", "1865-04-15", "12000"]
    assert slices == [4, 0, 3, 1, 2]


def test_numbers_of_slices_divide_tokens_or_time():
    """A date is not divided."""
    names = ["1800", "1801", "1802", "1900", "1900"]
    sizes = [10, 10, 10, 30, 0]
    assert divide(names, sizes, pattern=".+", number=2) == (["1800–1802", "1900"], [0, 0, 0, 1, -1])
    assert divide(names, sizes, pattern=".+", number=4, division="width")[0] == ["1800–1802", "1900"]
    assert divide(names, [10, 10, 10, 10, 10], pattern=".+", number=2)[1] == [0, 0, 1, 1, 1]


def test_a_label_that_returns_is_another_slice_if_they_are_consecutive():
    """As two presidents of one name."""
    names = ["Adams", "Jefferson", "Jefferson", "Adams", "Adams"]
    assert divide(names, pattern=".+", consecutive=True) == (
        ["Adams", "Jefferson", "Adams (2)"],
        [0, 1, 1, 2, 2],
    )
    assert divide(names, pattern=".+")[1] == [0, 1, 1, 0, 0]
    names = ["Truman", "Eisenhower", "Truman", "Eisenhower"]
    assert divide(names, pattern=".+", consecutive=True)[1] == [0, 1, 0, 1]


@given(
    st.lists(st.integers(-3000, 3000), min_size=2, max_size=40),
    st.integers(2, 30),
    st.sampled_from(["tokens", "width"]),
)
def test_slices_of_dates_are_in_order_and_not_empty(years, number, division):
    """For any years."""
    names = [str(year) for year in years]
    if len(set(years)) < 2:
        return
    try:
        labels, slices = divide(names, pattern=".+", number=number, division=division)
    except SettingError as error:
        assert "one slice" in str(error)
        return
    assert sorted(set(slices)) == list(range(len(labels)))
    assert len(labels) <= number
    order = np.argsort(years, kind="stable")
    assert (np.diff(np.array(slices)[order]) >= 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": "("}, "not a regular expression"),
        ({"pattern": ""}, "is empty"),
        ({"pattern": "z"}, "matches none of 2 names of documents, such as '1900.txt'"),
        ({"pattern": "txt"}, "makes one slice (txt) of 2 documents"),
        ({"pattern": r"\w+$", "number": 2}, "'txt', which is no year or date"),
        ({"pattern": "a", "number": 1}, "number"),
        ({"pattern": "a", "division": "time"}, "division"),
        ({"pattern": "a", "smoothing": 0}, "smoothing"),
        ({"pattern": "a", "replicates": 1}, "replicates"),
        ({"pattern": "a", "words": ["x"] * 1001}, "words"),
    ],
)
def test_mistakes_are_settings_errors(settings, message):
    """With the key."""
    with pytest.raises(SettingError, match=r"pattern|number|division|smoothing|replicates|words") as error:
        divide(["1900.txt", "1901.txt"], **settings)
    assert message in str(error.value)


def test_a_corpus_of_one_document_is_told_apart():
    """Its remedy is another corpus."""
    with pytest.raises(SettingError, match="one document"):
        divide([""], pattern="x")


def test_a_slice_of_rare_words_is_an_error():
    """Before training."""
    with pytest.raises(
        CorpusError, match="the slice b has 9 tokens, and its most frequent word occurs 3 times"
    ):
        require_tokens(Slices(["a", "b"], np.array([0, 1])), np.array([50, 9]), np.array([20, 3]), 20)
