"""Statements as values: a room declares them once beside its tables, an engine renders and runs them.

Four shapes cover the hot path: `insert_many`, `update_many`, `delete_many` take a list of rows and are one statement
whatever the number of rows; `sql` takes named parameters. `core` takes an SQLAlchemy construct for the composed queries
of lists and administration.

Portable SQL text may use:
  :name            a parameter (`:name::bigint` where PostgreSQL cannot infer its type)
  each(:ids, bigint)  the elements of a list parameter, for `in each(:ids, bigint)`
  db_now()         the database's clock in milliseconds since the epoch
  skip_locked()    `for update skip locked` where several nodes claim at once
  oldest_running() the low-water mark of commits: rows whose `tx` is below it can no longer be overtaken
  next_transaction()  what no row's `tx` has reached yet, unless it was restored from another server
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from chappe.storage.errors import Conflict

Engine = Literal["sqlite", "postgres"]
Row = tuple[Any, ...]
Rows = Sequence[Sequence[Any]]
Params = Mapping[str, Any]

_POSTGRES = postgresql.dialect()  # type: ignore[no-untyped-call]
_encode_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement in both dialects. `columns` orders the values of a row (`many`) or the named parameters."""

    name: str
    sqlite: str
    postgres: str
    columns: tuple[str, ...]
    many: bool
    returns: bool
    lists: frozenset[str] = frozenset()

    def __call__(self, params: Rows | Params | None = None, *, expect: int | None = None) -> Op:
        """Bind parameters; `expect` is the number of rows that must be touched, else the unit fails with Conflict."""
        return Op(self, {} if params is None else params, expect)

    def sqlite_params(self, params: Params) -> dict[str, Any]:
        if not self.lists:
            return dict(params)
        return {k: _encode_json(v).decode() if k in self.lists else v for k, v in params.items()}

    def postgres_params(self, params: Rows | Params) -> list[Any]:
        if self.many:
            columns = [list(column) for column in zip(*params, strict=True)]
            if len(columns) != len(self.columns):
                raise ValueError(f"{self.name}: rows of {len(columns)} values instead of {len(self.columns)}")
            return columns
        assert isinstance(params, Mapping)
        return [params[name] for name in self.columns]


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """A statement with its parameters: what `Store.write` takes."""

    statement: Statement
    params: Rows | Params
    expect: int | None = None

    def check(self, touched: int) -> None:
        """Raise Conflict unless as many rows were touched as expected."""
        if self.expect is not None and touched != self.expect:
            raise Conflict(f"{self.statement.name}: {touched} rows instead of {self.expect}")


def insert_many(table: sa.Table, columns: Sequence[str] = (), *, ignore: bool = False) -> Statement:
    """Insert rows (values in the order of `columns`, by default all). `ignore` skips rows whose key exists."""
    names = tuple(columns) or tuple(c.name for c in table.columns)
    into = f"into {table.name} ({', '.join(names)})"
    conflict = " on conflict do nothing" if ignore else ""
    return Statement(
        name=f"insert {table.name}",
        sqlite=f"insert {into} values ({', '.join('?' * len(names))}){conflict}",
        postgres=f"insert {into} select * from {_unnest(table, names)}{conflict}",
        columns=names,
        many=True,
        returns=False,
    )


def update_many(table: sa.Table, key: Sequence[str], to: Sequence[str | tuple[str, str]], guard: str = "") -> Statement:
    """Update each row found by `key`. A row's values come in the order key, then `to`, then what else the guard reads.

    `to` names columns, or pairs (column, expression); expressions and the guard say `t.column` for the stored value
    and `u.column` for the given one.
    """
    sets = [(c, f"u.{c}") if isinstance(c, str) else c for c in to]
    names = _given(key, sets, guard)
    assign = ", ".join(f"{column} = {expression}" for column, expression in sets)
    where = " and ".join([f"t.{k} = u.{k}" for k in key] + ([f"({guard})"] if guard else []))
    return Statement(
        name=f"update {table.name}",
        sqlite=_positional(f"update {table.name} as t set {assign} where {where}", names),
        postgres=f"update {table.name} as t set {assign} from {_unnest(table, names)} where {where}",
        columns=names,
        many=True,
        returns=False,
    )


def delete_many(table: sa.Table, key: Sequence[str], guard: str = "") -> Statement:
    """Delete each row found by `key`; the guard is written as in `update_many`."""
    names = _given(key, [], guard)
    where = " and ".join([f"t.{k} = u.{k}" for k in key] + ([f"({guard})"] if guard else []))
    return Statement(
        name=f"delete {table.name}",
        sqlite=_positional(f"delete from {table.name} as t where {where}", names),
        postgres=f"delete from {table.name} as t using {_unnest(table, names)} where {where}",
        columns=names,
        many=True,
        returns=False,
    )


_EACH = re.compile(r"each\(:(\w+),\s*(\w+)\)")
_PARAM = re.compile(r"(?<![:\w]):(\w+)(::\w+(?:\[\])?)?")
_MACROS: dict[Engine, dict[str, str]] = {
    "sqlite": {
        "db_now()": "cast((julianday('now') - 2440587.5) * 86400000 as integer)",
        "oldest_running()": "9223372036854775807",
        "next_transaction()": "9223372036854775807",
        "skip_locked()": "",
    },
    "postgres": {
        # not clock_timestamp(): it is volatile, so that no index could serve a comparison with it
        "db_now()": "cast(extract(epoch from statement_timestamp()) * 1000 as bigint)",
        "oldest_running()": "cast(cast(pg_snapshot_xmin(pg_current_snapshot()) as text) as bigint)",
        "next_transaction()": "cast(cast(pg_snapshot_xmax(pg_current_snapshot()) as text) as bigint)",
        "skip_locked()": "for update skip locked",
    },
}


def sql(text: str, *, name: str = "") -> Statement:
    """One statement with named parameters, in the portable SQL of this module."""
    order: list[str] = []
    lists = frozenset(m[1] for m in _EACH.finditer(text))

    def number(match: re.Match[str]) -> str:
        if match[1] not in order:
            order.append(match[1])
        return f"${order.index(match[1]) + 1}{match[2] or ''}"

    def dialect(engine: Engine) -> str:
        each = r"(select value from json_each(:\1))" if engine == "sqlite" else r"(select unnest(:\1::\2[]))"
        body = _EACH.sub(each, text)
        for macro, meaning in _MACROS[engine].items():
            body = body.replace(macro, meaning)
        return _PARAM.sub(lambda m: f":{m[1]}", body) if engine == "sqlite" else _PARAM.sub(number, body)

    return Statement(
        name=name or " ".join(text.split()[:4]),
        sqlite=dialect("sqlite"),
        postgres=dialect("postgres"),
        columns=tuple(order),
        many=False,
        returns=text.lstrip().lower().startswith(("select", "with")) or " returning " in " ".join(text.lower().split()),
        lists=lists,
    )


def core(construct: sa.sql.ClauseElement) -> tuple[Statement, dict[str, Any]]:
    """Render an SQLAlchemy construct with its literal values bound: the statement and its parameters."""
    lite = construct.compile(dialect=sqlite.dialect(paramstyle="named"), compile_kwargs={"render_postcompile": True})
    post = construct.compile(
        dialect=postgresql.asyncpg.dialect(),  # type: ignore[no-untyped-call]
        compile_kwargs={"render_postcompile": True},
    )
    assert isinstance(lite, SQLCompiler) and isinstance(post, SQLCompiler)
    statement = Statement(
        name=" ".join(str(lite).split()[:4]),
        sqlite=str(lite),
        postgres=str(post),
        columns=tuple(post.positiontup or ()),
        many=False,
        returns=str(lite).lstrip().lower().startswith(("select", "with")) or " RETURNING " in str(lite),
    )
    return statement, dict(lite.params)


def _unnest(table: sa.Table, names: Sequence[str]) -> str:
    arrays = ", ".join(f"${n}::{_pg_type(table.c[name])}[]" for n, name in enumerate(names, 1))
    return f"unnest({arrays}) as u({', '.join(names)})"


def _pg_type(column: sa.Column[Any]) -> str:
    return column.type.compile(dialect=_POSTGRES).lower()


def _given(key: Sequence[str], sets: Sequence[tuple[str, str]], guard: str) -> tuple[str, ...]:
    """The columns a row must bring: its key, then every `u.column` that is read, in order of appearance."""
    read = re.findall(r"\bu\.(\w+)", " ".join(expression for _, expression in sets) + " " + guard)
    return tuple(dict.fromkeys([*key, *read]))


def _positional(text: str, names: Sequence[str]) -> str:
    return re.sub(r"\bu\.(\w+)", lambda m: f"?{names.index(m[1]) + 1}", text)
