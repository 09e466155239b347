"""Monthly partitions of the tables that only grow (PostgreSQL): old months are dropped whole, not row by row.

Partitions are made ahead of their month. What nobody made in time lies in the default partition and is found as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from chappe import ids
from chappe.storage.contract import Store
from chappe.storage.errors import Conflict
from chappe.storage.statements import Op, sql

PARTITIONED = {"messages": "id", "history": "message_id"}  # table: its time-sortable id
MONTHS_AHEAD = 3
_NAME = re.compile(r"(\w+)_(\d{4})_(\d{2})")

_PARTITIONED = (
    "select c.relname from pg_partitioned_table p join pg_class c on c.oid = p.partrelid "
    "where c.relnamespace = current_schema()::regnamespace and p.partstrat = 'r' order by 1"
)
EXISTING = (
    "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
    "where c.relnamespace = current_schema()::regnamespace"
)
_TABLES = sql(_PARTITIONED)
_PARTITIONS = sql(EXISTING)
_PATIENCE = sql("set local lock_timeout = '2s'")  # a waiting DDL would hold up all traffic behind it
_LITTLE_PATIENCE = sql("set local lock_timeout = '100ms'")


def mark_partitioned(metadata: sa.MetaData) -> None:
    """Have the tables of `PARTITIONED` created as partitioned ones on PostgreSQL."""
    for name, column in PARTITIONED.items():
        if name in metadata.tables:
            metadata.tables[name].kwargs["postgresql_partition_by"] = f"RANGE ({column})"


async def ensure_partitions(store: Store, now: int) -> list[str]:
    """Make the partitions of this month and the next three, as far as they are missing; returns the new ones' names.

    Nothing to do on SQLite. A month whose first rows already lie in the default partition stays there. Raises
    Unavailable.
    """
    if store.engine != "postgres":
        return []
    tables = [row[0] for row in await store.scan(_TABLES())]
    existing = {row[0] for row in await store.scan(_PARTITIONS())}
    made = []
    for table in tables:
        for name, ddl in wanted(table, _coming(now)):
            if name in existing:
                continue
            try:
                await store.write(_PATIENCE(), sql(ddl)())
            except Conflict:
                continue
            made.append(name)
    return made


def create_partitions(connection: sa.Connection, now: int) -> None:
    """The same within a migration, together with the default partitions."""
    if connection.dialect.name != "postgresql":
        return
    existing = set(connection.exec_driver_sql(EXISTING).scalars())
    for table in connection.exec_driver_sql(_PARTITIONED).scalars().all():
        missing = [(f"{table}_default", f"create table {table}_default partition of {table} default")]
        for name, ddl in [*missing, *wanted(table, _coming(now))]:
            if name not in existing:
                connection.exec_driver_sql(ddl)


@dataclass(frozen=True, slots=True)
class Month:
    """The partitions of a month; their ids lie in [start, end)."""

    name: str
    start: int
    end: int
    tables: tuple[str, ...]


async def months(store: Store) -> list[Month]:
    """The months that have partitions of their own, oldest first; none on SQLite."""
    if store.engine != "postgres":
        return []
    tables: dict[datetime, list[str]] = {}
    for (name,) in await store.scan(_PARTITIONS()):
        if found := _NAME.fullmatch(name):
            tables.setdefault(datetime(int(found[2]), int(found[3]), 1, tzinfo=UTC), []).append(name)
    return [
        Month(f"{start:%Y-%m}", _id(start), _id(_following(start)), tuple(sorted(names)))
        for start, names in sorted(tables.items())
    ]


async def drop(store: Store, month: Month, *ops: Op) -> None:
    """Drop a month: its files are removed, no row is touched; `ops` belong to the same unit. Raises Unavailable if its
    tables are in use just now."""
    await store.write(_LITTLE_PATIENCE(), sql(f"drop table if exists {', '.join(month.tables)}")(), *ops)


def boundary(store: Store, number: int) -> int:
    """How far rows before `number` may go: all of them on SQLite, whole months where a month is dropped at once."""
    return number if store.engine == "sqlite" else _id(month_of(number))


def wanted(table: str, months: Iterable[datetime]) -> Iterator[tuple[str, str]]:
    """The name of each month's partition, and the statement that makes it."""
    for start in months:
        name = f"{table}_{start:%Y_%m}"
        end = _id(_following(start))
        yield name, f"create table {name} partition of {table} for values from ({_id(start)}) to ({end})"


def months_of(smallest: Callable[[int], int | None]) -> list[datetime]:
    """The months that ids lie in; `smallest(least)` is the smallest id that is not below `least`."""
    months = []
    number = smallest(0)
    while number is not None:
        months.append(month_of(number))
        number = smallest(_id(_following(months[-1])))
    return months


def month_of(number: int) -> datetime:
    """The first moment of the month that an id was made in."""
    return _month(ids.millis(number))


def _coming(now: int) -> Iterator[datetime]:
    month = _month(now)
    for _ in range(MONTHS_AHEAD + 1):
        yield month
        month = _following(month)


def _month(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _following(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _id(moment: datetime) -> int:
    return ids.at(round(moment.timestamp() * 1000))
