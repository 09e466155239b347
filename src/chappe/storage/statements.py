"""Statements as values: a room declares them once beside its tables, an engine renders and runs them.

Four shapes cover the hot path: `insert_many`, `update_many`, `delete_many` take a list of rows and are one statement
whatever the number of rows; `sql` takes named parameters. `core` takes an SQLAlchemy construct for the composed queries
of lists and administration.

Portable SQL text may use:
  :name            a parameter (`:name::bigint` where PostgreSQL cannot infer its type)
  in each(:ids, bigint), not in each(..)  the elements of a list parameter
  db_now()         the database's clock in milliseconds since the epoch
  skip_locked()    `for update skip locked` where several nodes claim at once
  oldest_running() the low-water mark of commits: rows whose `tx` is below it can no longer be overtaken
  next_transaction()  what no row's `tx` has reached yet, unless it was restored from another server
  stream_after(:tx, :position)    rows that were committed behind that one
  stream_through(:tx, :position)  the others
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
from chappe.storage.writer import VALUES

Engine = Literal["sqlite", "postgres"]
Row = tuple[Any, ...]
Rows = Sequence[Sequence[Any]]
Params = Mapping[str, Any]

_POSTGRES = postgresql.dialect()  # type: ignore[no-untyped-call]
_encode_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement in both dialects. `columns` orders the values of a row (`many`) or the named parameters.

    `sqlite` of a `many` statement holds `VALUES`, the place of any number of rows. A row of nulls changes nothing.
    """

    name: str
    sqlite: str
    postgres: str
    columns: tuple[str, ...]
    many: bool
    returns: bool
    lists: frozenset[str] = frozenset()
    table: str = ""  # of a statement that reads and changes that one alone

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


def insert_many(
    table: sa.Table,
    columns: Sequence[str] = (),
    also: Sequence[tuple[str, str]] = (),
    *,
    ignore: bool = False,
    adding: Sequence[str] = (),
) -> Statement:
    """Insert rows (values in the order of `columns`, by default all). `also` are pairs (column, expression), which may
    say `u.column` for a given value. `ignore` skips rows whose key exists; `adding` adds those columns to such rows."""
    names = tuple(columns) or tuple(c.name for c in table.columns)
    into = f"into {table.name} ({', '.join([*names, *(column for column, _ in also)])})"
    conflict = " on conflict do nothing" if ignore else ""
    if adding:
        added = ", ".join(f"{column} = {table.name}.{column} + excluded.{column}" for column in adding)
        conflict = f" on conflict ({', '.join(c.name for c in table.primary_key)}) do update set {added}"
    values = ", ".join(["u.*", *(expression for _, expression in also)])
    assert not table.c[names[0]].nullable or table.c[names[0]].primary_key, f"{names[0]} tells a row from a filler"
    lite = f"select {values} from {_rows_named(names)} where u.{names[0]} is not null"
    return Statement(
        name=f"insert {table.name}",
        sqlite=_meant(f"insert {into} {lite}{conflict}", "sqlite"),
        postgres=_meant(f"insert {into} select {values} from {_unnest(table, names)}{conflict}", "postgres"),
        columns=names,
        many=True,
        returns=False,
        table=table.name if _alone(*(expression for _, expression in also)) else "",
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
        sqlite=_meant(f"update {table.name} as t set {assign} from {_rows_named(names)} where {where}", "sqlite"),
        postgres=_meant(
            f"update {table.name} as t set {assign} from {_given_rows(table, names, key)} and {where}", "postgres"
        ),
        columns=names,
        many=True,
        returns=False,
        table=table.name if _alone(guard, *(expression for _, expression in sets)) else "",
    )


def delete_many(table: sa.Table, key: Sequence[str], guard: str = "") -> Statement:
    """Delete each row found by `key`; the guard is written as in `update_many`."""
    names = _given(key, [], guard)
    where = " and ".join([f"t.{k} = u.{k}" for k in key] + ([f"({guard})"] if guard else []))
    keys = ", ".join(key)
    if len(names) == len(key):
        found = f"values {VALUES})" + (f" and ({guard})" if guard else "")
    else:  # SQLite's delete has no `from`
        mine = ", ".join(f"t.{k}" for k in key)
        found = f"select {mine} from {_rows_named(names)} join {table.name} as t on {where})"
    lite = f"delete from {table.name} as t where ({keys}) in ({found}"
    return Statement(
        name=f"delete {table.name}",
        sqlite=_meant(lite, "sqlite"),
        postgres=_meant(
            f"delete from {table.name} as t using {_given_rows(table, names, key)} and {where}", "postgres"
        ),
        columns=names,
        many=True,
        returns=False,
        table=table.name if _alone(guard) else "",
    )


# Where there is one writer `tx` is 0: SQLite would search an index by the first of a pair of columns only.
_STREAM = re.compile(r"stream_(after|through)\((:\w+), (:\w+)\)")
_STREAMS: dict[Engine, dict[str, str]] = {
    "sqlite": {"after": r"tx = 0 and position > \3", "through": r"tx = 0 and position <= \3"},
    "postgres": {
        "after": r"(tx, position) > (\2::bigint, \3::bigint)",
        "through": r"(tx, position) <= (\2::bigint, \3::bigint)",
    },
}
_EACH = re.compile(r"(?P<no>not )?in each\(:(?P<list>\w+),\s*(?P<type>\w+)\)")
# on PostgreSQL never a subselect: it would be joined, and by old statistics the whole history with it
_EACH_OF: dict[Engine, tuple[str, str]] = {
    "sqlite": (r"in (select value from json_each(:\g<list>))", r"not in (select value from json_each(:\g<list>))"),
    "postgres": (r"= any(:\g<list>::\g<type>[])", r"<> all(:\g<list>::\g<type>[])"),
}
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
    lists = frozenset(m["list"] for m in _EACH.finditer(text))

    def number(match: re.Match[str]) -> str:
        if match[1] not in order:
            order.append(match[1])
        return f"${order.index(match[1]) + 1}{match[2] or ''}"

    def dialect(engine: Engine) -> str:
        body = _EACH.sub(lambda m: m.expand(_EACH_OF[engine][bool(m["no"])]), text)
        body = _meant(_STREAM.sub(lambda m: m.expand(_STREAMS[engine][m[1]]), body), engine)
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


def _meant(text: str, engine: Engine) -> str:
    for macro, meaning in _MACROS[engine].items():
        text = text.replace(macro, meaning)
    return text


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


def _given_rows(table: sa.Table, names: Sequence[str], key: Sequence[str]) -> str:
    """Given rows as a table `u` of PostgreSQL, and what leads it to the stored ones by their key, also where its
    statistics say that the table is nearly empty."""
    return f"{_unnest(table, names)} where t.{key[0]} = any($1::{_pg_type(table.c[key[0]])}[])"


def _rows_named(names: Sequence[str]) -> str:
    """Given rows as a table `u` of SQLite."""
    columns = ", ".join(f"column{n} as {name}" for n, name in enumerate(names, 1))
    return f"(select {columns} from (values {VALUES})) as u"


def _pg_type(column: sa.Column[Any]) -> str:
    return column.type.compile(dialect=_POSTGRES).lower()


def _alone(*expressions: str) -> bool:
    """Whether expressions ask no other table."""
    return not any("select" in expression.lower() for expression in expressions)


def _given(key: Sequence[str], sets: Sequence[tuple[str, str]], guard: str) -> tuple[str, ...]:
    """The columns a row must bring: its key, then every `u.column` that is read, in order of appearance."""
    read = re.findall(r"\bu\.(\w+)", " ".join(expression for _, expression in sets) + " " + guard)
    return tuple(dict.fromkeys([*key, *read]))
