"""The size of a corpus, estimated from its files without reading them."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from typing import IO

from w2v_exp.compression import DAMAGE, compression_of, open_zip
from w2v_exp.text.corpus import ArticleCorpus, Corpus, FileCorpus, SotuCorpus, TextCorpus
from w2v_exp.text.documents import reading
from w2v_exp.text.file_search import TextFile, is_address
from w2v_exp.text.table import DEFAULT_FIELD
from w2v_exp.text.text8 import Text8Corpus

TEXT8_BYTES = 100_000_000
OPENED = 3  # remote files
# Bytes of text per compressed byte: gzip 2.7 and xz 3.3 on Wikipedia without punctuation; with it, a little less.
# `zstd -3` has 1.07 times as many as gzip on the presidents' messages.
RATIOS = {"gzip": 2.7, "bzip2": 3.5, "xz": 3.3, "lzma": 3.3, "zstd": 2.9, "zip": 2.7}
LARGEST_RATIO = 1100  # of a zip's deflate: its directory may claim any size
BEGINNING = 16  # bytes by which a format is recognised
PARQUET = b"PAR1"


def estimated_bytes(corpus: Corpus) -> int | None:
    """Return the bytes of a corpus, uncompressed; None for a pipe or an unknown kind of corpus.

    Sizes of compressed files are estimated; for a zip they are those in its directory, and for a Parquet file those of
    the column of texts in its metadata. Of remote files, the three largest are opened and stand for the others; None
    also if a web server does not send the size of one.

    Raises
    ------
    SettingError, CorpusError
        If there is no such file, or one cannot be read.
    """
    if isinstance(corpus, TextCorpus):
        return len(corpus.text.encode())
    if isinstance(corpus, ArticleCorpus):
        return len(corpus.sentence)
    if isinstance(corpus, Text8Corpus):
        return TEXT8_BYTES
    if isinstance(corpus, SotuCorpus):
        return sum(file.stat().st_size for file in corpus.files())
    if isinstance(corpus, FileCorpus) and not corpus.is_pipe:
        files = corpus.files()
        if is_address(corpus.path):
            return _remote_bytes(files, corpus.field)
        return sum(_file_bytes(file, corpus.field) for file in files)
    return None


def _remote_bytes(files: Sequence[TextFile], field: str | None) -> int | None:
    if any(getattr(file, "size", None) is None for file in files):
        return None
    opened = nlargest(OPENED, files, key=lambda file: file.stat().st_size)
    size, part = (sum(file.stat().st_size for file in some) for some in (files, opened))
    return round(sum(_file_bytes(file, field) for file in opened) * size / part) if part else 0


def _file_bytes(file: TextFile, field: str | None) -> int:
    with reading(str(file)), file.open("rb") as stream:
        size = file.stat().st_size
        beginning = stream.read(BEGINNING)
        if beginning.startswith(PARQUET):
            return _column_bytes(stream, field or DEFAULT_FIELD, size)
        compression = compression_of(beginning)
        estimated = round(size * RATIOS.get(compression, 1.0))
        if compression == "zip":
            stream.seek(0)
            try:
                claimed = sum(member.file_size for member in open_zip(stream).infolist())
            except DAMAGE:  # reported when the text is read
                return estimated
            return min(claimed, LARGEST_RATIO * size)
        return estimated


def _column_bytes(stream: IO[bytes], field: str, size: int) -> int:
    """Return the bytes of a column of a Parquet file; the size of the file if it has no such column, or is damaged."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        metadata = parquet.ParquetFile(stream).metadata
    except (pa.ArrowException, OSError, ValueError, MemoryError):  # reported when the text is read
        return size
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    chunks = (group.column(number) for group in groups for number in range(group.num_columns))
    sizes = [chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema == field]
    return sum(sizes) if sizes else size
