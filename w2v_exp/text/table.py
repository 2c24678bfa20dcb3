"""Texts in a column of a table: CSV, TSV, JSON lines, Parquet or Arrow; each row is a document."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from w2v_exp.errors import CorpusError, SettingError, check_path, require_choice, shown, suggestion
from w2v_exp.files import expanded
from w2v_exp.text.chunks import BYTE_ORDER_MARK, NamedText
from w2v_exp.text.documents import documents, reading

LONGEST_CELL = 1 << 26  # characters; csv's own limit is 128 kB, which a book exceeds
ROWS_AT_ONCE = 256  # of Parquet and Arrow
BOUNDARIES = ("none", "line", "document")
_MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow"}


class Row(NamedTuple):
    """A row of a table.

    Parameters
    ----------
    text, name : str
        The cells of both columns; the name is "" without a column of names.
    """

    text: str
    name: str


@dataclass(frozen=True)
class TableCorpus:
    """A table, whose rows are documents.

    The format is recognised by the content: CSV with commas, semicolons or tabs and a line of headings (also
    compressed), JSON lines (also compressed), Parquet, or an Arrow file. Tables are read row by row.

    Parameters
    ----------
    path : str
        The file.
    text : str
        The column with the texts; empty cells are empty documents.
    names : str, optional
        The column that names the documents, e.g. for `slices`; None: they are named by their number, from 1.
    boundaries : str
        Boundaries that windows do not cross: ``none``, ``line`` or ``document`` (a row).
    """

    path: str = ""
    text: str = "text"
    names: str | None = None
    boundaries: str = "none"

    def __post_init__(self) -> None:
        require_choice("boundaries", self.boundaries, BOUNDARIES)
        check_path(self, "path", "the path of a table")
        if not self.path:
            raise SettingError("path", "", "is empty; name a table.")
        if not expanded(self.path).is_file():
            raise SettingError("path", self.path, f"no such file, seen from {Path.cwd()}.")
        if not self.text:
            raise SettingError("text", "", "is empty; name the column of the texts.")

    @property
    def source(self) -> str:
        """The path as it was given."""
        return self.path

    @property
    def segment_end(self) -> str:
        """The kind of end that a segment has."""
        return {"none": "corpus", "line": "line", "document": "text"}[self.boundaries]

    def files(self) -> list[Path]:
        """Return the file."""
        return [expanded(self.path)]

    def texts(self) -> Iterator[Iterator[str]]:
        """Yield the text of each row; each is read before the next."""
        for number, row in enumerate(self.rows(), start=1):
            yield NamedText(row.name if self.names is not None else str(number), _chunk(row.text))

    def chunks(self) -> Iterator[str]:
        """Yield the texts in the order of the rows."""
        for text in self.texts():
            yield from text

    def rows(self) -> Iterator[Row]:
        """Yield the rows.

        Raises
        ------
        SettingError
            If a column does not exist; with the names of those that do.
        CorpusError
            If the table is damaged, with the line or row.
        """
        (path,) = self.files()
        with reading(self.path), path.open("rb") as stream:
            beginning = stream.read(6)
        kind = next((kind for magic, kind in _MAGIC.items() if beginning.startswith(magic)), "")
        if kind:
            yield from self._columnar_rows(path, kind)
            return
        with closing(documents([(path, self.path)], Counter())) as found:
            for document in found:
                with reading(document.name):
                    yield from self._text_rows(document.stream, document.name)

    def _text_rows(self, stream: IO[bytes], name: str) -> Iterator[Row]:
        """Yield the rows of CSV or JSON lines."""
        lines = (line.decode("utf-8") for line in stream)
        try:
            first = next(lines, "").removeprefix(BYTE_ORDER_MARK)
            rows = self._json_rows if first.lstrip().startswith("{") else self._csv_rows
            yield from rows(chain([first], lines), name)
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{name} is not UTF-8 ({error.reason}). Convert it, e.g. with iconv."
            ) from error

    def _csv_rows(self, lines: Iterator[str], name: str) -> Iterator[Row]:
        first = next(lines)
        rows = csv.reader(chain([first], lines), delimiter=max("\t;,", key=first.count), strict=True)
        with _long_cells():
            try:
                headings = [heading.strip() for heading in next(rows, [])]
                text, named = self._places(headings)
                for row in rows:
                    if row and len(row) <= max(text, named or 0):
                        raise CorpusError(
                            f"{name}, line {rows.line_num:,}: has {len(row):,} of {len(headings):,} columns. "
                            "Repair the line, or quote texts that contain line ends."
                        )
                    if row:
                        yield Row(row[text], "" if named is None else row[named])
            except csv.Error as error:
                raise CorpusError(f"{name}, line {rows.line_num:,}: is not CSV ({error}).") from error

    def _json_rows(self, lines: Iterator[str], name: str) -> Iterator[Row]:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise CorpusError(
                    f"{name}, line {number:,}: is not JSON ({shown(str(error), 100)})."
                ) from error
            if not isinstance(values, dict):
                raise CorpusError(f"{name}, line {number:,}: is not a JSON object.")
            if number == 1:
                self._places(list(values))
            yield self._row(values.get(self.text), values.get(self.names or ""), f"{name}, line {number:,}")

    def _columnar_rows(self, path: Path, kind: str) -> Iterator[Row]:
        """Yield the rows of Parquet or Arrow."""
        import pyarrow as pa
        from pyarrow import ipc, parquet

        number = 0
        try:
            if kind == "parquet":
                table = parquet.ParquetFile(path)
                self._places(table.schema_arrow.names)
                columns = [self.text, *([self.names] if self.names is not None else [])]
                batches = table.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns)
            else:
                source = ipc.open_file(pa.memory_map(str(path)))
                self._places(source.schema.names)
                batches = (source.get_batch(i) for i in range(source.num_record_batches))
            for batch in batches:
                for start in range(0, batch.num_rows, ROWS_AT_ONCE):
                    part = batch.slice(start, ROWS_AT_ONCE)
                    texts = part.column(self.text).to_pylist()
                    names = (
                        part.column(self.names).to_pylist() if self.names is not None else [""] * len(texts)
                    )
                    for text, name in zip(texts, names, strict=True):
                        number += 1
                        yield self._row(text, name, f"{self.path}, row {number:,}")
        except (pa.ArrowException, OSError) as error:
            message = shown(str(error).splitlines()[0] if str(error) else type(error).__name__, 200)
            raise CorpusError(f"{self.path}, after row {number:,}: cannot be read ({message}).") from error

    def _places(self, columns: Sequence[str]) -> tuple[int, int | None]:
        """Return the positions of both columns."""
        found = []
        for key, column in (("text", self.text), ("names", self.names)):
            if column is not None and column not in columns:
                listed = shown(", ".join(columns[:20]), 200)
                raise SettingError(
                    f"corpus.{key}",
                    column,
                    f"{self.path} has no such column{suggestion(column, columns)} Its columns: {listed}.",
                )
            found.append(None if column is None else columns.index(column))
        text, named = found
        assert text is not None
        return text, named

    def _row(self, text: Any, name: Any, where: str) -> Row:
        """Return a row of typed cells."""
        if text is None:
            text = ""
        if not isinstance(text, str):
            raise CorpusError(f"{where}: {self.text} is of type {type(text).__name__}, not a text.")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise CorpusError(f"{where}: {self.text} has half of a surrogate pair.") from None
        return Row(text, "" if name is None else str(name))


def _chunk(text: str) -> Generator[str, None, None]:
    if text:
        yield text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", " ")


@contextmanager
def _long_cells() -> Iterator[None]:
    """Raise the length of a cell that csv reads."""
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)
