"""The size of a corpus, estimated without reading it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from w2v_exp.errors import CorpusError, SettingError
from w2v_exp.text.corpus import ArticleCorpus, FileCorpus, SotuCorpus, TextCorpus
from w2v_exp.text.size import RATIOS, estimated_bytes
from w2v_exp.text.text8 import Text8Corpus

TEXT = b"the cat sat on the mat\n" * 1000
COMPRESSED = {"gzip": gzip.compress(TEXT), "bzip2": bz2.compress(TEXT), "xz": lzma.compress(TEXT)} | {
    "zstd": pa.compress(TEXT, codec="zstd", asbytes=True)
}


def size(path: Path) -> int | None:
    return estimated_bytes(FileCorpus(str(path)))


def zipped(*members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(members):
            archive.writestr(f"{number}.txt", content)
    return stream.getvalue()


def test_a_folder_has_the_size_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT)
    (tmp_path / "below").mkdir()
    (tmp_path / "below/b.txt").write_bytes(TEXT[:100])
    (tmp_path / ".hidden").write_bytes(TEXT)
    assert size(tmp_path) == len(TEXT) + 100
    assert size(tmp_path / "*.txt") == len(TEXT)
    assert size(tmp_path / "a.txt") == len(TEXT)


@pytest.mark.parametrize("compression", COMPRESSED)
def test_compression_is_found_by_content_whatever_the_name(compression: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(COMPRESSED[compression])
    assert size(tmp_path) == round(RATIOS[compression] * len(COMPRESSED[compression]))


def test_a_zip_has_the_size_in_its_directory(tmp_path: Path) -> None:
    (tmp_path / "books.zip").write_bytes(zipped(TEXT, TEXT))
    assert size(tmp_path / "books.zip") == 2 * len(TEXT)


def test_a_zip_cannot_claim_more_than_it_could_hold(tmp_path: Path) -> None:
    content = bytearray(zipped(TEXT))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = b"\xf0\xff\xff\xff"  # the uncompressed size
    (tmp_path / "bomb.zip").write_bytes(content)
    assert size(tmp_path / "bomb.zip") == 1100 * len(content)


def test_a_damaged_zip_is_left_to_the_run(tmp_path: Path) -> None:
    content = zipped(TEXT)[:-30]
    (tmp_path / "a.zip").write_bytes(content)
    assert size(tmp_path / "a.zip") == round(RATIOS["zip"] * len(content))


def test_a_tar_is_as_large_as_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "a.txt", "a.txt")
    assert len(TEXT) < size(tmp_path / "a.tar") < len(TEXT) + 20_000  # type: ignore[operator]


def test_the_size_of_a_pipe_is_unknown_and_it_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert size(tmp_path / "pipe") is None


def test_other_corpora() -> None:
    assert estimated_bytes(TextCorpus("é")) == 2
    assert estimated_bytes(ArticleCorpus()) == len(ArticleCorpus.sentence)
    assert estimated_bytes(Text8Corpus()) == 10**8
    some, all_messages = estimated_bytes(SotuCorpus(2)), estimated_bytes(SotuCorpus())
    assert 0 < some < 10**5 < 10**7 < all_messages  # type: ignore[operator]
    assert estimated_bytes(object()) is None  # type: ignore[arg-type]  # a user's own class


def test_what_cannot_be_found_or_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no such file, folder or glob"):
        size(tmp_path / "nothing.txt")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SettingError, match=r"^path=.*loop: "):
        size(tmp_path / "loop")
    (tmp_path / "file").write_bytes(TEXT)
    corpus = FileCorpus(str(tmp_path / "file"))
    files = corpus.files()
    (tmp_path / "file").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileCorpus, "files", lambda self: files)
        with pytest.raises(CorpusError, match="cannot be read: "):
            estimated_bytes(corpus)
