"""Only what w2v_exp has made is deleted: a file marks it, and no name of anything does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples

from w2v_exp.files import CONTENT, TAG, delete_own, is_foreign, is_own, make_own, own_place
from w2v_exp.text import cache as text_cache
from w2v_exp.text.cache import TextCache, encode_cached, write_figures
from w2v_exp.text.corpus import FileCorpus
from w2v_exp.text.tokenizers import WhitespaceTokenizer
from w2v_exp.text.vocabulary import VocabularyRule
from w2v_exp.training.checkpoints import CheckpointFolder

RUN = "0123456789abcdef" * 2  # MLflow's run folders are called like entries of the cache
FIGURES = {"unigram_cost": 1.0}


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fill(folder: Path) -> None:
    """Put files of a user's into a folder, with the names that a cache has."""
    for name in (
        "figures.json",
        f"{RUN}/artifacts/model.bin",
        f"{RUN}/entry.json",
        ".unfinished-0123456789abcdef/ids.int32",
        "vocabulary.json",
        ".text8.0123abcd",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('"' + "ab" * 32 + '"')
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (1, 1))  # abandoned long ago


def use(cache: TextCache, folder: Path) -> None:
    """Encode two texts with room for one, keep figures of them, and clear the cache."""
    for name in ("one", "other"):
        (folder / name).write_text(f"some words of {name} text")
        text = encode_cached(FileCorpus(str(folder / name)), WhitespaceTokenizer(), VocabularyRule(), cache)
        assert isinstance(text.ids, np.memmap)
        write_figures(text.entry, "cd" * 16, FIGURES)
    assert len(cache.entries()) == 1
    assert cache.clear()[0] == 1


@pytest.fixture(autouse=True)
def _short_texts_are_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_cache, "SMALLEST_CACHED", 0)


def test_files_of_a_folder_that_is_named_as_cache_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "project"
    fill(project)
    before = files_below(project)
    cache = TextCache(str(project), limit_gb=1e-9)
    use(cache, tmp_path)
    assert cache.path == project / "w2v_exp"
    assert files_below(project) == before | {"w2v_exp/CACHEDIR.TAG": CONTENT}
    message = f"cache.folder={project}: holds other files, which are left alone. The cache is made in {cache.path}.\n"
    assert capsys.readouterr().err == message


def test_files_that_are_put_into_a_cache_stay(tmp_path: Path) -> None:
    cache = TextCache(str(tmp_path / "cache"), limit_gb=1e-9)
    use(cache, tmp_path)
    fill(cache.path)
    before = files_below(cache.path)
    use(cache, tmp_path)
    assert files_below(cache.path) == before


def test_a_file_in_an_entry_keeps_all_of_it(tmp_path: Path) -> None:
    cache = TextCache(str(tmp_path / "cache"), limit_gb=1e-9)
    (tmp_path / "text").write_text("some words")
    encode_cached(FileCorpus(str(tmp_path / "text")), WhitespaceTokenizer(), VocabularyRule(), cache)
    ((key, _, _, _),) = cache.entries()
    (cache.path / key / "notes.txt").write_text("mine")
    before = files_below(cache.path / key)
    use(cache, tmp_path)
    assert files_below(cache.path / key) == before


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    cache, elsewhere = TextCache(str(tmp_path / "cache"), limit_gb=1e-9), tmp_path / "elsewhere"
    (tmp_path / "text").write_text("some words")
    text = encode_cached(
        FileCorpus(str(tmp_path / "text")), WhitespaceTokenizer(), VocabularyRule(), TextCache(str(elsewhere))
    )
    write_figures(text.entry, "cd" * 16, FIGURES)
    before = files_below(elsewhere)
    use(cache, tmp_path)
    ((key, _, _, _),) = TextCache(str(elsewhere)).entries()
    for name in (key, RUN, f".unfinished-{RUN}"):
        (cache.path / name).symlink_to(elsewhere / key)
    cache.evict(keep="")
    assert cache.clear() == (0, 0)
    assert files_below(elsewhere) == before
    assert TextCache(str(elsewhere)).clear()[0] == 1


@pytest.mark.parametrize(
    "mark",
    [
        lambda tag: tag.write_bytes(CONTENT[:-1]),
        lambda tag: tag.write_bytes(CONTENT + b"\n"),
        lambda tag: tag.write_bytes(b"Signature: 8a477f597d28d172789f06886806bc55\n# of cargo\n"),
        lambda tag: tag.write_bytes(b""),
        lambda tag: tag.mkdir(),
        os.mkfifo,
        lambda tag: tag.symlink_to(tag.parent.parent / "own" / TAG),
        lambda tag: tag.symlink_to(tag),
    ],
    ids=["cut off", "longer", "of another program", "empty", "folder", "pipe", "link", "loop"],
)
def test_a_mark_that_is_not_ours_is_none(mark: Callable[[Path], object], tmp_path: Path) -> None:
    make_own(tmp_path / "own")
    other = tmp_path / "other"
    other.mkdir()
    mark(other / TAG)
    assert not is_own(other)
    assert is_foreign(other)
    assert own_place(other) == other / "w2v_exp"
    assert not delete_own(other, ())
    with pytest.raises(FileExistsError):
        make_own(other)
    assert os.path.lexists(other / TAG)


@given(content=st.binary(max_size=300) | st.integers(0, len(CONTENT) - 1).map(lambda end: CONTENT[:end]))
@settings(max_examples=examples(100), deadline=None)
def test_no_other_content_is_a_mark(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("folder")
    (folder / TAG).write_bytes(content)
    assert is_own(folder) == (content == CONTENT)


def test_a_folder_that_was_left_before_its_mark_was_written_can_get_it(tmp_path: Path) -> None:
    (tmp_path / f".{TAG}.0123abcd").write_bytes(CONTENT[:5])
    make_own(tmp_path)
    assert is_own(tmp_path)


def test_a_checkpoint_folder_of_somebody_else_is_refused_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / RUN
    for name in ("checkpoint.npz", ".checkpoint.npz.0123abcd", "previous.npz", "lock"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    with pytest.raises(FileExistsError, match="has not made"):
        CheckpointFolder(folder)
    assert files_below(folder).keys() == {
        "checkpoint.npz", ".checkpoint.npz.0123abcd", "previous.npz", "lock"
    }  # fmt: skip


def test_a_file_in_a_checkpoint_folder_keeps_it(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / RUN)
    (folder.path / "notes.npz.txt").write_text("mine")
    (folder.path / ".other.npz.0123abcd").write_text("mine")
    folder.remove()
    again = CheckpointFolder(tmp_path / RUN)
    again.remove()
    assert {"notes.npz.txt", ".other.npz.0123abcd"} <= files_below(again.path).keys()
