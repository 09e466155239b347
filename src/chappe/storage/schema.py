"""The one MetaData that rooms hang their tables on, and the few column types that both engines share.

Times are milliseconds since the epoch in BIGINT, money is micro-units in BIGINT, lists and maps are JSON in TEXT:
both engines store and compare these alike, and no value is converted on the hot path.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

metadata = sa.MetaData()

# SQLite makes a column the row's own address only if its type is spelt INTEGER
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Millis = Id
Json = sa.Text()
Text = sa.Text()
Small = sa.SmallInteger()
Int = sa.Integer()
Bytes = sa.LargeBinary()

Kind = sa.types.TypeEngine[Any]


def required(name: str, kind: Kind, default: str | int | None = None) -> sa.Column[Any]:
    """A NOT NULL column; `default` is the server's default, in SQL."""
    server = None if default is None else sa.text(str(default))
    return sa.Column(name, kind, nullable=False, server_default=server)


def optional(name: str, kind: Kind) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def key(name: str, kind: Kind = Id) -> sa.Column[Any]:
    """A primary-key column; ids are made by the application, never by the database."""
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def position(name: str) -> sa.Column[Any]:
    """A primary key that the database hands out, rising: for streams that are read in commit order."""
    return sa.Column(name, Id, sa.Identity(), primary_key=True)


def transaction(name: str) -> sa.Column[Any]:
    """The number of the transaction that inserted the row (PostgreSQL), 0 where there is one writer (SQLite)."""
    return sa.Column(name, Id, nullable=False, server_default=current_transaction())


class current_transaction(sa.sql.expression.ColumnElement[int]):  # spelt like the SQL function that it is
    """The default of `transaction` columns: 64 bits, never wraps around (PostgreSQL 13 and later)."""

    inherit_cache = True


@compiles(current_transaction)
def _one_writer(element: current_transaction, compiler: Any, **_options: Any) -> str:
    return "0"


@compiles(current_transaction, "postgresql")
def _transaction_id(element: current_transaction, compiler: Any, **_options: Any) -> str:
    return "(pg_current_xact_id()::text::bigint)"


def partial_index(name: str, *columns: str, where: str) -> sa.Index:
    """An index of the rows that `where` (SQL) picks only."""
    return sa.Index(name, *columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
