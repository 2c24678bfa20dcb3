"""Texts in a column of a table: JSON lines, CSV, TSV, Parquet or Arrow; each row is a document."""

from __future__ import annotations

import csv
import io
import json
import mmap
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from w2v_exp.errors import CorpusError, SettingError, UserError, shown, suggestion
from w2v_exp.text.damage import Damage
from w2v_exp.text.documents import BYTE_ORDER_MARK, Document, promised_format, reading

DEFAULT_FIELD = "text"
LONGEST_LINE = 1 << 26  # bytes of a row of JSON lines, or of a line of CSV; csv's own limit is 128 kB a cell
ROWS_AT_ONCE = 256  # of Parquet and Arrow
_BUFFER = 1 << 20  # bytes of a column chunk of Parquet, which else is read as a whole
_KINDS = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow stream"}
_MAGIC = re.compile(b"|".join(_KINDS))
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*[{\[]")
_BEGINNING = 64  # bytes by which a table is recognised
_JSON_SUFFIXES = (".jsonl", ".ndjson")
_CSV_SUFFIXES = (".csv", ".tsv")
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"  # of Arrow


class Row(NamedTuple):
    """A row of a table.

    Parameters
    ----------
    text, name : str
        The cells of both columns; the name is "" without a column of names.
    """

    text: str
    name: str


@dataclass
class Columns:
    """The columns of tables with texts and names.

    Parameters
    ----------
    field : str, optional
        The column or key of the texts; None: ``text``. A dot leads into an object: ``meta.text``.
    names : str, optional
        The column or key of the names of rows.
    is_single : bool
        Whether the corpus is a file that is named itself; with `field`, this is a table whatever its name.
    tables : int
        Number of tables that have been met.
    is_continued : bool
        Whether JSON lines are the rest of a table, whose first row may lack a key.
    """

    field: str | None = None
    names: str | None = None
    is_single: bool = False
    tables: int = 0
    is_continued: bool = False

    def kind(self, document: Document) -> str:
        """Return the format of a table: parquet, arrow, arrow stream, json or csv; "" if a document is none.

        Parquet and Arrow are recognised by their first bytes, JSON lines by the suffixes ``.jsonl`` and ``.ndjson``, or
        ``.json`` and a brace. CSV and TSV are tables if `field` is given: by their suffix, and as the only file.
        """
        beginning = document.stream.peek(_BEGINNING)[:_BEGINNING]
        if found := _MAGIC.match(beginning):
            return _KINDS[found[0]]
        suffix = _suffix(document.title)
        if suffix in _JSON_SUFFIXES or (suffix == ".json" and _JSON.match(beginning)):
            return "json"
        if self.field is None:
            return ""
        if suffix in _CSV_SUFFIXES:
            return "csv"
        if not self.is_single:
            return ""
        return "json" if _JSON.match(beginning) else "csv"

    def rows(self, document: Document, kind: str, damage: Damage) -> Iterator[Row]:
        """Yield the rows of a table of this kind.

        Raises
        ------
        SettingError
            If a column does not exist; with the names of those that do.
        CorpusError
            If the table is damaged, with the line or row, unless `damage` counts it.
        """
        self.tables += 1
        read = {"json": self._json_rows, "csv": self._csv_rows}.get(kind)
        try:
            with reading(document.name):
                if read is not None:
                    yield from read(document, damage)
                else:
                    yield from self._columnar_rows(document, kind)
        except UserError as error:
            if not damage.skips_file(error):
                raise

    @property
    def _field(self) -> str:
        return DEFAULT_FIELD if self.field is None else self.field

    # -------- JSON lines and CSV

    def _json_rows(self, document: Document, damage: Damage) -> Iterator[Row]:
        is_first = not self.is_continued
        for number, line in enumerate(_lines(document), start=1):
            where = f"{document.name}, line {number:,}"
            if not line.strip():
                continue
            try:
                values = _json_object(_decoded(line, where, is_first=number == 1), where)
                row = _row(_value(values, self._field), _value(values, self.names), self._field, where)
            except CorpusError as error:
                if not damage.skips_row(error):
                    raise
            else:
                if is_first:
                    self._require(list(values), document.name, partial(_has, values))
                is_first = False
                yield row

    def _csv_rows(self, document: Document, damage: Damage) -> Iterator[Row]:
        lines = (
            _decoded(line, f"{document.name}, line {number:,}", is_first=number == 1)
            for number, line in enumerate(_lines(document), start=1)
        )
        first = next(lines, "")
        rows = csv.reader(chain([first], lines), delimiter=max("\t;,", key=first.count), strict=True)
        with _long_cells():
            try:
                headings = [heading.strip() for heading in next(rows, [])]
                self._require(headings, document.name, headings.__contains__)
                text = headings.index(self._field)
                named = None if self.names is None else headings.index(self.names)
                for cells in rows:
                    where = f"{document.name}, line {rows.line_num:,}"
                    try:
                        row = _csv_row(cells, text, named, len(headings), where) if cells else None
                    except CorpusError as error:
                        if not damage.skips_row(error):
                            raise
                        continue
                    if row:
                        yield row
            except csv.Error as error:
                raise CorpusError(
                    f"{document.name}, line {rows.line_num:,}: is not CSV ({error})."
                ) from error

    # -------- Parquet and Arrow

    def _columnar_rows(self, document: Document, kind: str) -> Iterator[Row]:
        import pyarrow as pa

        name, number = document.name, 0
        if kind != "arrow stream" and not document.stream.seekable():
            raise CorpusError(
                f"{name} is {'a Parquet' if kind == 'parquet' else 'an Arrow'} file that is compressed or within an "
                "archive, which is not read. Unpack it first."
            )
        try:
            for texts, names in self._parts(document, kind):
                for part in (texts, names):
                    part.validate(full=True)  # what is damaged may point outside of the memory
                for text, named in zip(texts.to_pylist(), names.to_pylist(), strict=True):
                    number += 1
                    yield _row(text, named, self._field, f"{name}, row {number:,}")
        except EOFError:
            raise
        except (pa.ArrowException, OSError, ValueError, LookupError, MemoryError) as error:
            message = shown((str(error) or type(error).__name__).splitlines()[0], 200).rstrip(".")
            raise CorpusError(f"{name}, after row {number:,}: cannot be read ({message}).") from error

    def _parts(self, document: Document, kind: str) -> Iterator[tuple[Any, Any]]:
        """Yield the texts and names of a few rows, as Arrow's arrays."""
        import pyarrow as pa

        is_parquet = kind == "parquet"
        for batch in self._parquet_batches(document) if is_parquet else _arrow_batches(document, kind):
            if not is_parquet:
                self._require_columns(batch.schema, document.name)
            texts = _column(batch, self._field)
            names = None if self.names is None else _column(batch, self.names)
            for start in range(0, batch.num_rows, ROWS_AT_ONCE):
                part = texts.slice(start, ROWS_AT_ONCE)
                yield part, pa.nulls(len(part)) if names is None else names.slice(start, ROWS_AT_ONCE)

    def _parquet_batches(self, document: Document) -> Iterator[Any]:
        import pyarrow as pa
        from pyarrow import parquet

        source = pa.PythonFile(document.stream, mode="r")
        with parquet.ParquetFile(source, buffer_size=_BUFFER, page_checksum_verification=True) as table:
            self._require_columns(table.schema_arrow, document.name)
            columns = [self._field] if self.names is None else [self._field, self.names]
            rows = 0
            for group in range(table.num_row_groups):
                # One after the other: else a batch has rows of the next group, which may be damaged.
                for batch in table.iter_batches(ROWS_AT_ONCE, [group], columns, use_threads=False):
                    rows += batch.num_rows
                    yield batch
            if rows != table.metadata.num_rows:
                raise EOFError

    def _require_columns(self, schema: Any, name: str) -> None:
        """Check that both columns are in a schema, and that the first has texts."""
        import pyarrow as pa

        self._require(schema.names, name, lambda key: _type(schema, key) is not None)
        kind = _type(schema, self._field)
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        if str(plain) not in ("string", "large_string", "string_view", "null"):
            raise CorpusError(
                f"{name}: the column {self._field} is of type {shown(str(kind), 60)}, not text."
            )

    def _require(self, columns: Sequence[str], name: str, has: Callable[[str], object]) -> None:
        for key, column in (("field", self._field), ("names", self.names)):
            if column is not None and not has(column):
                listed = shown(", ".join(columns[:20]), 200)
                raise SettingError(
                    f"corpus.{key}",
                    column,
                    f"{name} has no such column{suggestion(column, columns)} Its columns: {listed}.",
                )


_ONE_PER_LINE = "JSON lines have an object in each line, as `jq -c` writes them."


def _suffix(title: str) -> str:
    """Return the suffix of a name, before that of a compression.

    >>> _suffix("part-1.jsonl.zst"), _suffix("part-1.parquet")
    ('.jsonl', '.parquet')
    """
    stem, suffix = os.path.splitext(title)
    return os.path.splitext(stem)[1].lower() if promised_format(title) else suffix.lower()


def _lines(document: Document) -> Iterator[bytes]:
    while line := document.stream.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise CorpusError(
                f"{document.name} has a line of more than {LONGEST_LINE:,} bytes, and tables are read line by line. "
                "Divide its text into several rows."
            )
        yield line


def _decoded(line: bytes, where: str, *, is_first: bool) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise CorpusError(f"{where}: is not UTF-8 ({error.reason}). Convert it, e.g. with iconv.") from error
    return text.removeprefix(BYTE_ORDER_MARK) if is_first else text


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        message = shown(str(error), 100)
        raise CorpusError(f"{where}: is not JSON ({message}). {_ONE_PER_LINE}") from error
    if not isinstance(values, dict):
        raise CorpusError(f"{where}: is not a JSON object. {_ONE_PER_LINE}")
    return values


def _value(values: dict[str, Any], key: str | None) -> Any:
    """Return the value of a key, or of a path of keys with dots between them; None if there is none.

    >>> _value({"meta": {"text": "words"}}, "meta.text")
    'words'
    """
    if key is None or key in values:
        return None if key is None else values[key]
    value: Any = values
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _has(values: dict[str, Any], key: str) -> bool:
    first, _, rest = key.partition(".")
    return key in values or (bool(rest) and isinstance(values.get(first), dict) and _has(values[first], rest))


def _row(text: Any, name: Any, field: str, where: str) -> Row:
    """Return a row of typed cells."""
    text = "" if text is None else text
    if not isinstance(text, str):
        raise CorpusError(f"{where}: {field} is of type {type(text).__name__}, not a text.")
    named = "" if name is None else str(name)
    try:
        text.encode()
        named.encode()
    except UnicodeEncodeError:
        raise CorpusError(f"{where}: has half of a surrogate pair.") from None
    return Row(text, named)


def _csv_row(cells: list[str], text: int, named: int | None, columns: int, where: str) -> Row:
    if len(cells) <= max(text, named or 0):
        raise CorpusError(
            f"{where}: has {len(cells):,} of {columns:,} columns. Repair the line, or quote texts that contain line "
            "ends."
        )
    return Row(cells[text], "" if named is None else cells[named])


@contextmanager
def _long_cells() -> Iterator[None]:
    """Raise the length of a cell that csv reads."""
    before = csv.field_size_limit(LONGEST_LINE)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _arrow_batches(document: Document, kind: str) -> Iterator[Any]:
    """Yield the record batches of an Arrow file or stream, each with its memory."""
    import pyarrow as pa
    from pyarrow import ipc

    if kind == "arrow":
        source = ipc.open_file(_mapped(document.stream))
        yield from (source.get_batch(number) for number in range(source.num_record_batches))
        return
    stream = _Tail(document.stream)
    yield from ipc.open_stream(pa.PythonFile(stream, mode="r"))
    if stream.tail != _END_OF_STREAM:
        raise EOFError
    if document.stream.read(1):
        raise ValueError("it goes on behind its end")


def _mapped(stream: io.BufferedReader) -> Any:
    """Return an open file for Arrow.

    It is mapped, so that a batch takes no memory, if it is a file of this machine.
    """
    import pyarrow as pa

    try:
        number = stream.fileno()
    except OSError:
        return pa.PythonFile(stream, mode="r")
    return pa.BufferReader(pa.py_buffer(mmap.mmap(number, 0, access=mmap.ACCESS_READ)))


class _Tail(io.RawIOBase):
    """A stream that has the last bytes that were read.

    Arrow takes a truncated stream for a whole one.
    """

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self.tail = b""

    def readable(self) -> bool:
        return True

    def read(self, count: int = -1) -> bytes:
        content = self._stream.read(count)
        self.tail = (self.tail + content)[-len(_END_OF_STREAM) :]
        return content


def _type(schema: Any, key: str) -> Any:
    """Return the type of a column, or of a field of a struct; None if there is none."""
    if key in schema.names:
        return schema.field(key).type
    first, *rest = key.split(".")
    if first not in schema.names:
        return None
    found = schema.field(first).type
    for part in rest:
        at = found.get_field_index(part) if str(found).startswith("struct") else -1
        if at < 0:
            return None
        found = found.field(at).type
    return found


def _column(batch: Any, key: str) -> Any:
    """Return a column of a batch, or a field of a struct, with nulls where the struct is one."""
    from pyarrow import compute

    if key in batch.schema.names:
        return batch.column(batch.schema.names.index(key))
    first, *rest = key.split(".")
    column = batch.column(batch.schema.names.index(first))
    return compute.struct_field(column, rest) if rest else column
