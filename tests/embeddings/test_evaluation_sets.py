"""Evaluation sets are found and read line by line."""

import subprocess
import sys
from pathlib import Path

import pytest

from w2v_exp.embeddings.word_pairs import (
    ANALOGY_SETS,
    LONGEST_LINE,
    WORD_PAIR_SETS,
    find_set,
    first_ids,
    numbered_lines,
)
from w2v_exp.errors import FormatError, UserError


@pytest.mark.parametrize("name", WORD_PAIR_SETS)
def test_a_name_stands_for_a_file_of_gensims(name):
    from gensim.test.utils import datapath

    assert find_set(name, WORD_PAIR_SETS) == Path(datapath(WORD_PAIR_SETS[name]))


@pytest.mark.usefixtures("starts_processes")
def test_gensim_is_not_imported_to_find_its_files():
    program = (
        "import sys; from w2v_exp.embeddings import AnalogySet, WordPairSet;"
        "print(len(WordPairSet.read('wordsim353').pairs), len(AnalogySet.read('questions-words').sections));"
        "print('gensim' in sys.modules, 'scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "353 14\nFalse False\n"


def test_without_gensim_a_name_is_answered_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim", None)  # Python's own way to say that there is none
    with pytest.raises(UserError, match=r"not installed; .*: pip install .*\[evaluation\]"):
        find_set("questions-words", ANALOGY_SETS)


def test_a_gensim_without_its_test_data_is_told(monkeypatch, tmp_path):
    (tmp_path / "gensim").mkdir()
    (tmp_path / "gensim" / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "gensim", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="was installed without its test data"):
        find_set("wordsim353", WORD_PAIR_SETS)


def test_a_path_is_itself_and_may_be_below_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "set.tsv").touch()
    assert find_set("~/set.tsv", {}) == find_set(tmp_path / "set.tsv", {}) == tmp_path / "set.tsv"


@pytest.mark.parametrize("source", ["/no/such/file", "wordsim", "", "/tmp", "x" * 1000])
def test_what_is_no_file_is_refused(source):
    with pytest.raises(UserError, match=r"no such file|cannot be looked up"):
        find_set(source, WORD_PAIR_SETS)


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(tmp_path):
    (tmp_path / "set").write_bytes(b"fine\n\xff\xfe\n")
    with pytest.raises(FormatError, match=r"set, line 2: is not UTF-8"):
        list(numbered_lines(tmp_path / "set"))


def test_a_corpus_named_by_mistake_is_not_read_to_its_end(tmp_path):
    (tmp_path / "text8").write_bytes(b"anarchism " * (LONGEST_LINE // 5))
    with pytest.raises(FormatError, match=r"line 1: is longer than 65536 bytes"):
        list(numbered_lines(tmp_path / "text8"))


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(FormatError, match="cannot be read: Is a directory"):
        list(numbered_lines(tmp_path))


def test_lines_are_numbered_blank_ones_too(tmp_path):
    (tmp_path / "set").write_bytes(b"a\n\n \r\nb c \r\nd")
    assert [(where.rpartition(" ")[2], line) for where, line in numbered_lines(tmp_path / "set")] == [
        ("1", "a"),
        ("4", "b c "),
        ("5", "d"),
    ]


def test_the_first_of_several_spellings_is_kept():
    assert first_ids(["b", "A", "B", "a", "straße", "STRASSE"], str.upper) == {"B": 0, "A": 1, "STRASSE": 4}
