"""A sheet of an Excel workbook (.xlsx) as CSV, made by a process of its own that may take only so much: a workbook is a
ZIP of XML, and a small one can unfold to fill a machine.

    python sheet.py [NAME OF THE SHEET] < book.xlsx > rows.csv

Each row is one line. What cannot be read ends it with status 2 and {"code", "message"} on standard error. It imports
nothing of Chappe, so that it starts at once.
"""

from __future__ import annotations

import csv
import io
import json
import re
import resource
import sys
import zipfile
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NoReturn

MOST_BYTES = 100 << 20  # unfolded
MOST_MEMBERS = 2_000
MOST_ROWS = 200_000
MOST_OUT = 64 << 20
MEMORY = 2 << 30
CPU_S = 60
_DECLARATION = re.compile(rb"<\0?!\0?(D\0?O\0?C\0?T\0?Y\0?P\0?E|E\0?N\0?T\0?I\0?T\0?Y)", re.IGNORECASE)
_CHUNK = 1 << 20


def refuse(code: str, message: str) -> NoReturn:
    sys.stderr.write(json.dumps({"code": code, "message": message}))
    sys.exit(2)


def check(data: bytes) -> None:
    """Refuse what unfolds too far, and XML that declares entities: no workbook does."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            members = book.infolist()
            if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > MOST_BYTES:
                refuse("sheet_too_large", f"The workbook unfolds to more than {MOST_BYTES >> 20} MB: save it as CSV.")
            for member in members:
                if member.filename.lower().endswith((".xml", ".rels")):
                    _check_member(book, member)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, ValueError):
        refuse("sheet_unreadable", "This is no Excel workbook (.xlsx), or a damaged or locked one.")


def _check_member(book: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    tail = b""
    with book.open(member) as source:  # gives no more than the size that was declared
        while chunk := source.read(_CHUNK):
            if _DECLARATION.search(tail + chunk):
                refuse("sheet_unreadable", "The workbook declares XML entities, which none should.")
            tail = chunk[-32:]


def cell_text(cell: Any) -> str:
    """What a person sees in a cell, as nearly as a price list needs it."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        number = Decimal(f"{value:.15g}")  # what Excel shows at most; a float's further digits mean nothing
        return f"{number * 100:f}%" if "%" in (cell.number_format or "") else f"{number:f}"
    if isinstance(value, datetime):
        plain = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
        return value.date().isoformat() if plain else value.isoformat(timespec="seconds") + "+00:00"
    if isinstance(value, date):
        return value.isoformat()
    return " ".join(str(value).split())


def convert(data: bytes, name: str | None, out: Any) -> None:
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        names = [sheet.title for sheet in book.worksheets]
        if name is not None and name not in names:
            refuse("sheet_missing", f"There is no sheet {name[:60]!r}; the workbook has: {', '.join(names)[:300]}.")
        if not names:
            refuse("sheet_missing", "The workbook has no sheet with cells.")
        sheet = book.worksheets[names.index(name) if name is not None else 0]
        sheet.reset_dimensions()  # what it says of its size may be anything
        written, writer = 0, csv.writer(out, lineterminator="\n")
        for number, cells in enumerate(sheet.iter_rows(), 1):
            if number > MOST_ROWS:
                refuse("too_many_rows", f"The sheet has more than {MOST_ROWS} rows.")
            texts = [cell_text(cell) for cell in cells]
            written += sum(map(len, texts)) + len(texts)
            if written > MOST_OUT:
                refuse("sheet_too_large", f"The sheet has more than {MOST_OUT >> 20} MB of text.")
            writer.writerow(texts if any(texts) else [""])
    except MemoryError:
        refuse("sheet_too_large", "The workbook takes too much memory: save it as CSV.")
    except Exception as error:  # whatever a strange file makes of a library that reads it
        refuse("sheet_unreadable", f"The workbook cannot be read ({type(error).__name__}): save the sheet as CSV.")


def main(arguments: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    if sys.platform == "linux":  # elsewhere the limit is not kept, or counts otherwise
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    data = sys.stdin.buffer.read()
    check(data)
    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
    convert(data, arguments[0] if arguments else None, out)
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
