"""The tables of an embedded store as a copy into PostgreSQL sees them: keys, types, and rows that do not fit.

SQLite keeps any value in any column; PostgreSQL does not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from asyncpg.connection import Connection

from chappe.storage.errors import StoreError
from chappe.storage.statements import Row

_INTEGERS = {"smallint": 15, "integer": 31, "bigint": 63}  # bits beside the sign
_COLUMNS = """select table_name, column_name, data_type, is_nullable = 'YES', is_identity = 'YES'
    from information_schema.columns where table_schema = current_schema()"""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    """As PostgreSQL calls it."""
    nullable: bool
    identity: bool


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def read(self) -> str:
        return f"select {', '.join(self.names)} from {self.name}"

    @property
    def count(self) -> str:
        return f"select count(*) from {self.name}"

    @property
    def identity(self) -> str | None:
        """The column that the database hands out numbers for."""
        return next((column.name for column in self.columns if column.identity), None)

    def key_of(self, row: Row) -> list[Any]:
        names = self.names
        return [row[names.index(name)] for name in self.key]

    def check_numbers(self, rows: Sequence[Row]) -> None:
        """Raise ValueError for a fraction in an integer column, which the driver would round without a word."""
        if any(column.type == "double precision" for column in self.columns):
            flaw = first_flaw(self, rows)
        else:
            flaw = next((self.place(row) for row in rows if float in map(type, row)), None)
        if flaw is not None:
            raise ValueError(flaw)

    def place(self, row: Row) -> str:
        """`table, id 7`: how people are told of a row."""
        return f"{self.name}, " + ", ".join(
            f"{name} {value!r}" for name, value in zip(self.key, self.key_of(row), strict=True)
        )


async def shape(db: sqlite3.Connection, pg: Connection, without: Set[str]) -> list[Table]:
    """All tables of the source, with the target's types. Raises StoreError where the two do not have the same ones."""
    there: dict[str, dict[str, Column]] = {}
    for table, *column in await pg.fetch(_COLUMNS):
        there.setdefault(table, {})[column[0]] = Column(*column)
    names = db.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by 1")
    tables = []
    for (name,) in names.fetchall():
        if name in without:
            continue
        here = db.execute(f"select name, pk from pragma_table_info('{name}') order by cid").fetchall()
        if {row[0] for row in here} != there.get(name, {}).keys():
            raise StoreError(f"{name} does not have the same columns in the source and in the target")
        key = [row[0] for row in sorted(here, key=lambda row: int(row[1])) if row[1]]
        tables.append(Table(name, tuple(there[name][row[0]] for row in here), tuple(key)))
    return tables


def select(db: sqlite3.Connection, table: Table, last: Sequence[Any] | None) -> sqlite3.Cursor:
    """The rows behind the key `last`, in key order."""
    keys = ", ".join(table.key)
    behind = "" if last is None else f" where ({keys}) > ({', '.join('?' * len(last))})"
    return db.execute(f"{table.read}{behind} order by {keys}", last or ())


def first_flaw(table: Table, rows: Iterable[Row]) -> str | None:
    """The first value that PostgreSQL cannot hold, in words: `messages, id 7: text holds U+0000`."""
    for row in rows:
        for column, value in zip(table.columns, row, strict=True):
            if wrong := _wrong(column, value):
                return f"{table.place(row)}: {column.name} {wrong}"
    return None


def _wrong(column: Column, value: Any) -> str | None:
    if value is None:
        return None if column.nullable else "is NULL"
    if bits := _INTEGERS.get(column.type):
        fits = isinstance(value, int) and -(1 << bits) <= value < 1 << bits
        return None if fits else f"is {value!r}, no {column.type}"
    if column.type == "text":
        if not isinstance(value, str):
            return f"holds {type(value).__name__}, no text"
        if "\0" in value:
            return "holds U+0000, which PostgreSQL cannot keep"
        return "is not UTF-8" if any("\ud800" <= c <= "\udfff" for c in value) else None
    if column.type == "bytea":
        return None if isinstance(value, bytes) else f"holds {type(value).__name__}, no octets"
    return None if isinstance(value, float) else f"is {value!r}, no {column.type}"
