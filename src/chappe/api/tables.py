"""Tables as CSV: what `format=csv` gets."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from chappe.api.answers import Answer

CSV = "text/csv"
Format = Annotated[Literal["json", "csv"], Meta(description="How to write it; `csv` has a line of headers.")]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", examples=["2027-01-31"])]

Cells = Iterable[Sequence[Any]]


def csv_answer(name: str, columns: Sequence[str], rows: Cells) -> Answer:
    """A table that is there as a whole."""
    return Answer(200, _lines([columns]) + _lines(rows), _headers(name))


def csv_stream(name: str, columns: Sequence[str], pages: AsyncIterator[Cells]) -> Answer:
    """A table that is sent page by page."""

    async def chunks() -> AsyncIterator[bytes]:
        yield _lines([columns])
        async for rows in pages:
            yield _lines(rows)

    return Answer(200, b"", _headers(name), chunks=chunks())


def _headers(name: str) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"content-type", CSV.encode()),
        (b"content-disposition", f"attachment; filename={name}.csv".encode()),
    )


def _lines(rows: Cells) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula; an amount below zero is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if text[:1] not in tuple("=+-@\t\r") or text[1:].replace(".", "", 1).isdecimal():
        return text
    return "'" + text
