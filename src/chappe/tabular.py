"""Tables that strangers made: CSV in any dialect, encoding and order of columns, read as a stream.

Nothing raises because of what is in the file: `Table` tells which encoding, delimiter and columns it took, and gathers
what is wrong as faults by line. Whoever applies a table reads it to its end and looks at `faults` first. What breaks
reading itself (a wrong encoding, a quote never closed, a limit passed) ends the table with a fault. Memory is bounded
whatever the file: by chunk, line, record, cell and number of rows.
"""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple, Protocol, runtime_checkable

_CHUNK = 64 << 10
_SAMPLE_LINES = 100
_RECORD_LINES = 200  # a quoted cell may hold line breaks; more than this is a quote that was never closed
_DELIMITERS = (
    ";",
    "\t",
    ",",
    "|",
)  # where two fit equally: a comma is also what half of the world writes decimals with
_MAGIC = {
    b"PK\x03\x04": "an Excel or ZIP file: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file: save the sheet as CSV",
    b"\x1f\x8b": "compressed: unpack it first",
    b"%PDF": "a PDF",
}
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
ENCODINGS = (
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "cp1250",
    "cp1251",
    "cp1252",
    "iso8859-1",
    "iso8859-2",
    "iso8859-15",
    "koi8-r",
    "cp866",
)
"""What may be declared, by any of its names (`latin-1`, `windows-1251`); UTF-8 with or without its byte order mark."""


@runtime_checkable
class Readable(Protocol):
    """An open binary file."""

    def read(self, size: int, /) -> bytes: ...


Source = bytes | Readable | Iterable[bytes]


class Fault(NamedTuple):
    """One thing wrong with a table. `line` counts from 1 as an editor does, 0 is the file as a whole; `column` is the
    caller's name of the column or empty; `code` is stable."""

    line: int
    column: str
    code: str
    message: str


class Faults:
    """What is wrong with a table: how often each code occurred, and the first faults in full, in the order found."""

    def __init__(self, keep: int = 100) -> None:
        self.counts: Counter[str] = Counter()
        self.first: list[Fault] = []
        self._keep = keep

    def add(self, line: int, column: str, code: str, message: str) -> None:
        self.counts[code] += 1
        if len(self.first) < self._keep:
            self.first.append(Fault(line, column, code, message))

    def __len__(self) -> int:
        return self.counts.total()

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.first)


class Column(NamedTuple):
    """A column wanted: `name` is what the caller calls it, `headers` what else files call it. Case, accents, spaces and
    punctuation do not matter; the first of `headers` that a file has is taken, else `name`. A required one must be
    there and filled."""

    name: str
    headers: tuple[str, ...] = ()
    required: bool = True


class Limits(NamedTuple):
    """Where reading ends with a fault: rows, bytes, and characters of a line and a cell."""

    rows: int = 20_000_000
    bytes: int = 4 << 30
    line: int = 64 << 10
    cell: int = 4096


LIMITS = Limits()


class Dialect(NamedTuple):
    """How a file is written: `encoding` is one of `ENCODINGS`."""

    encoding: str
    delimiter: str


class Unreadable(ValueError):
    """This is no table at all; `code` is `not_text`, `empty`, `encoding_unknown` or `delimiter_unknown`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Table:
    """The rows of a CSV file, once: `for line, (number, operator) in Table(file, columns)`, in the order of `columns`.

    `mapping` says where a column is, by header text or by position (the first is 1), where the headers do not say it.
    A file has a header unless `header` is False, or None and every mapped column is a position. Values are stripped; a
    column that the file lacks gives empty ones. Rows with a fault are not given. `faults` is whole after the last row.

    Codes of faults: `not_text`, `empty`, `encoding_unknown`, `encoding_broken`, `delimiter_unknown`, `column_unknown`,
    `column_missing`, `column_ambiguous`, `quoting_broken`, `row_too_short`, `row_too_long`, `value_missing`,
    `cell_too_long`, `line_too_long`, `too_many_rows`, `too_many_bytes`.
    """

    def __init__(
        self,
        source: Source,
        columns: Sequence[Column],
        *,
        mapping: Mapping[str, str | int] | None = None,
        header: bool | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        limits: Limits = LIMITS,
        faults: Faults | None = None,
    ) -> None:
        self.faults = Faults() if faults is None else faults
        self.dialect = Dialect("utf-8", ",")
        self.header: tuple[str, ...] = ()
        self.positions: dict[str, int] = {}
        """Where each column was found; the first is 1."""
        self.rows = 0
        self.bytes_read = 0
        self._columns = tuple(columns)
        self._limits = limits
        self._record_line = 1
        self._lines_given = 0
        self._ended = False
        self._records: Iterator[tuple[int, list[str]]] = iter(())
        mapping = mapping or {}
        if header is None:
            header = not mapping or not all(isinstance(place, int) for place in mapping.values())
        try:
            self._open(source, encoding, delimiter)
        except Unreadable as error:
            self._end(0, error.code, error.message)
            return
        if not self._find_columns(mapping, header):
            self._records = iter(())

    def __iter__(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        places = [self.positions.get(column.name, 0) - 1 for column in self._columns]
        needed = [index for index, column in enumerate(self._columns) if column.required]
        at_least = max((places[index] for index in needed), default=0) + 1
        width = len(self.header) or None
        longest = self._limits.cell
        for line, cells in self._records:
            self.rows += 1
            if self.rows > self._limits.rows:
                self._end(line, "too_many_rows", f"The table has more than {self._limits.rows} rows.")
                return
            if len(cells) < at_least:
                self.faults.add(line, "", "row_too_short", f"The row has {len(cells)} cells, it needs {at_least}.")
                continue
            if width is not None and any(cells[width:]):
                self.faults.add(line, "", "row_too_long", f"The row has {len(cells)} cells, the header {width}.")
                continue
            values = tuple(cells[place].strip() if 0 <= place < len(cells) else "" for place in places)
            if ("" in values and not all(values[index] for index in needed)) or max(map(len, values)) > longest:
                self._tell_bad_values(line, values)
                continue
            yield line, values

    def _tell_bad_values(self, line: int, values: tuple[str, ...]) -> None:
        for column, value in zip(self._columns, values, strict=True):
            if len(value) > self._limits.cell:
                told = f"The cell has {len(value)} characters, at most {self._limits.cell} are allowed."
                self.faults.add(line, column.name, "cell_too_long", told)
            elif column.required and not value:
                self.faults.add(line, column.name, "value_missing", f"The {column.name} is missing.")

    def _end(self, line: int, code: str, message: str) -> None:
        """A fault after which nothing more can be read."""
        self.faults.add(line, "", code, message)
        self._ended = True

    def _open(self, source: Source, encoding: str | None, delimiter: str | None) -> None:
        chunks = _chunks(source)
        start: list[bytes] = []
        while sum(map(len, start)) < _CHUNK and (chunk := next(chunks, b"")):
            start.append(chunk)
        self.dialect = sniff(b"".join(start), encoding, delimiter)
        self._records = self._parse(self._lines(chain(start, chunks)))

    def _lines(self, chunks: Iterable[bytes]) -> Iterator[str]:
        codec = codecs.getincrementaldecoder(_codec(self.dialect.encoding))
        decoder = io.IncrementalNewlineDecoder(codec(), translate=True)
        pending = ""
        try:
            for chunk in chunks:
                self.bytes_read += len(chunk)
                if self.bytes_read > self._limits.bytes:
                    self._end(0, "too_many_bytes", f"The file has more than {self._limits.bytes} bytes.")
                    return
                *whole, pending = (pending + decoder.decode(chunk)).split("\n")
                yield from self._bounded(whole)
                if self._ended or self._too_long(self._lines_given + 1, pending):
                    return
            pending += decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            line = self._lines_given + 1 + error.object[: error.start].count(b"\n")
            told = f"This is not {self.dialect.encoding}: declare the file's encoding, or save it as UTF-8."
            self._end(line, "encoding_broken", told)
            return
        if pending:
            yield from self._bounded([pending])

    def _bounded(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines with their breaks, as long as neither a line nor the record it belongs to grows beyond bounds."""
        for text in lines:
            number = self._lines_given + 1
            if self._too_long(number, text):
                return
            if number - self._record_line > _RECORD_LINES:
                told = f"A quote opens here and is not closed on the next {_RECORD_LINES} lines."
                self._end(self._record_line, "quoting_broken", told)
                return
            self._lines_given = number
            yield text + "\n"

    def _too_long(self, number: int, text: str) -> bool:
        if len(text) <= self._limits.line:
            return False
        self._end(number, "line_too_long", f"The line has more than {self._limits.line} characters.")
        return True

    def _parse(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        """The cells of each record with its first line."""
        reader = csv.reader(lines, delimiter=self.dialect.delimiter, skipinitialspace=True, strict=True)
        while True:
            self._record_line = line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                if self._ended:  # the record was cut short by what has been told already
                    return
                told = "The quotes of this row do not fit: write a cell's own quotes twice, and close each cell's."
                self.faults.add(line, "", "quoting_broken", told)
                if reader.line_num > line:  # it swallowed rows: what follows would be read shifted
                    self._ended = True
                    return
                continue
            if self._ended:
                return
            if any(cells):  # spreadsheets end their exports with rows of bare delimiters
                yield line, cells

    def _find_columns(self, mapping: Mapping[str, str | int], header: bool) -> bool:
        """Whether every required column has its place; if not, the faults say which has none."""
        before = len(self.faults)
        first = next(self._records, None)
        if first is None:
            if len(self.faults) == before:
                self._end(0, "empty", "The file has no rows.")
            return False
        line, cells = first
        if header:
            self.header = tuple(cell.strip() for cell in cells)
        else:
            self._records = chain([first], self._records)
        for name in mapping.keys() - {column.name for column in self._columns}:
            have = ", ".join(column.name for column in self._columns)
            self.faults.add(0, name, "column_unknown", f"There is no {name!r} to map; the columns are: {have}.")
        keys = [normalise(text) for text in self.header]
        for column in self._columns:
            if (place := self._place(line, column, mapping.get(column.name), keys, len(cells))) is not None:
                self.positions[column.name] = place
        return len(self.faults) == before

    def _place(self, line: int, column: Column, mapped: str | int | None, keys: list[str], width: int) -> int | None:
        if isinstance(mapped, int):
            if 1 <= mapped <= width:
                return mapped
            self.faults.add(line, column.name, "column_missing", f"There is no column {mapped}: there are {width}.")
            return None
        wanted = (mapped,) if mapped is not None else (*column.headers, column.name)
        taken = set(self.positions.values())
        for text in wanted:
            places = [place for place, key in enumerate(keys, 1) if key and key == normalise(text)]
            if mapped is None:
                places = [place for place in places if place not in taken]
            if len(places) > 1:
                told = f"The header has {text!r} more than once: say which position is the {column.name}."
                self.faults.add(line, column.name, "column_ambiguous", told)
                return None
            if places:
                return places[0]
        if column.required or mapped is not None:
            have = ", ".join(self.header[:20]) or "no header"
            told = f"No column is the {column.name}; the file has: {have}. Say which one it is, by header or position."
            self.faults.add(line, column.name, "column_missing", told)
        return None


def sniff(sample: bytes, encoding: str | None = None, delimiter: str | None = None) -> Dialect:
    """How a file that begins with `sample` is written; what is declared is taken as it is. Raises Unreadable.

    Without a byte order mark UTF-8 is tried; what is not UTF-8 is Cyrillic (cp1251) or Western (cp1252). The delimiter
    is the one that gives most rows the same number of cells.
    """
    if not sample:
        raise Unreadable("empty", "The file is empty.")
    for magic, what in _MAGIC.items():
        if sample.startswith(magic):
            raise Unreadable("not_text", f"This is no CSV file but {what}.")
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
        raise Unreadable("delimiter_unknown", f"{delimiter!r} parts no cells: give one character such as ; or a tab.")
    chosen = _declared(encoding, sample) if encoding is not None else _guess_encoding(sample)
    text = codecs.getincrementaldecoder(_codec(chosen))(errors="replace").decode(sample)
    if "\0" in text:
        raise Unreadable("not_text", "This is no text: save the table as CSV in UTF-8.")
    return Dialect(chosen, delimiter or _guess_delimiter(text))


def normalise(text: str) -> str:
    """The letters and digits of a text without case and accents: how headers are compared."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if c.isalnum())


def _chunks(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        return (source[start : start + _CHUNK] for start in range(0, len(source), _CHUNK))
    if isinstance(source, Readable):
        return iter(lambda: source.read(_CHUNK), b"")
    return (chunk[start : start + _CHUNK] for chunk in source for start in range(0, len(chunk), _CHUNK))


def _codec(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _declared(encoding: str, sample: bytes) -> str:
    try:
        name = codecs.lookup(encoding.strip()).name
    except (LookupError, ValueError):
        name = ""
    name = {"utf-8-sig": "utf-8", "ascii": "utf-8"}.get(name, name)
    if name == "utf-16" and not sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Unreadable("encoding_unknown", "This UTF-16 has no byte order mark: declare utf-16-le or utf-16-be.")
    if name not in ENCODINGS:
        raise Unreadable(
            "encoding_unknown", f"Encoding {encoding!r} is not known here; use one of {', '.join(ENCODINGS)}."
        )
    return name


def _guess_encoding(sample: bytes) -> str:
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # not final: the sample may end within a letter
    except UnicodeDecodeError:
        # Western words have a letter above ASCII here and there, Cyrillic ones consist of them.
        high = [byte >= 0xC0 or byte in (0xA8, 0xB8) for byte in sample]
        beside = sum(
            here and (before or after)
            for before, here, after in zip([False, *high], high, [*high[1:], False], strict=False)
        )
        return "cp1251" if beside * 2 > sum(high) else "cp1252"
    return "utf-8"


def _guess_delimiter(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) > 1 and lines[-1]:
        lines.pop()  # perhaps cut
    best, best_score = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        try:
            rows = csv.reader(islice(lines, _SAMPLE_LINES), delimiter=delimiter, skipinitialspace=True)
            widths = Counter(len(row) for row in rows if row)
        except csv.Error:
            continue
        if not widths:
            continue
        width, times = widths.most_common(1)[0]
        score = (times / widths.total(), width)
        if width > 1 and score > best_score:
            best, best_score = delimiter, score
    return best
