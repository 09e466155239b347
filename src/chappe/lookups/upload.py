"""Numbers out of a table that somebody uploads."""

from __future__ import annotations

import re
from typing import Final

from chappe.errors import Detail, Refused
from chappe.lookups.jobs import MOST_NUMBERS
from chappe.tabular import Column, Limits, Table

_HEADERS: Final = (
    *("number", "phone", "phone_number", "telephone", "tel", "mobile", "mobile_number", "msisdn", "to", "recipient"),
    *("numéro", "portable", "rufnummer", "telefonnummer", "nummer", "handynummer", "telefono", "teléfono", "número"),
    *("telefone", "telefoon", "numer", "telefon", "номер", "телефон"),
)
_NUMBER = Column("number", _HEADERS)
_LIMITS = Limits(rows=MOST_NUMBERS, bytes=64 << 20)
_LIKE_A_NUMBER = re.compile(r"[+(]?[\d\s().\-/]{5,}")
_MOST_DETAILS: Final = 100


def numbers_of_csv(data: bytes, column: str | None = None) -> list[str]:
    """The numbers of a CSV file in any dialect, in its order. `column` is the header or, from 1, the position of
    theirs; without it a header that says number, phone or the like, or a single column without a header.

    Raises Refused: csv_invalid with the lines that are wrong, batch_too_large.
    """
    if column is not None and not column.isdecimal():
        return _read(Table(data, [_NUMBER], mapping={"number": column}, limits=_LIMITS))
    place = int(column) if column is not None else 1
    first = next(iter(Table(data, [Column("number", required=False)], mapping={"number": place}, header=False)), None)
    bare = first is not None and _LIKE_A_NUMBER.fullmatch(first[1][0]) is not None
    mapping: dict[str, str | int] = {"number": place} if bare or column is not None else {}
    return _read(Table(data, [_NUMBER], mapping=mapping, header=not bare, limits=_LIMITS))


def _read(table: Table) -> list[str]:
    found = [number for _line, (number,) in table]
    faults = table.faults
    if faults.counts["too_many_rows"]:
        raise Refused("batch_too_large", f"More than {MOST_NUMBERS} numbers; split the file.")
    if len(faults):
        details = [Detail(f"line {fault.line}" if fault.line else "file", fault.message) for fault in faults]
        first = details[0]
        raise Refused("csv_invalid", f"{first.param}: {first.message}", details=details[:_MOST_DETAILS])
    return found
