"""Monthly partitions of the tables that only grow (PostgreSQL): old months are dropped whole, not row by row.

Partitions are made ahead of their month. What nobody made in time lies in the default partition and is found as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa

from chappe import ids
from chappe.storage.contract import Store
from chappe.storage.errors import Conflict
from chappe.storage.statements import sql

PARTITIONED = {"messages": "id", "history": "message_id"}  # table: its time-sortable id
MONTHS_AHEAD = 3

_PARTITIONED = (
    "select c.relname from pg_partitioned_table p join pg_class c on c.oid = p.partrelid "
    "where c.relnamespace = current_schema()::regnamespace and p.partstrat = 'r' order by 1"
)
_EXISTING = (
    "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
    "where c.relnamespace = current_schema()::regnamespace"
)
_TABLES = sql(_PARTITIONED)
_PARTITIONS = sql(_EXISTING)
_PATIENCE = sql("set local lock_timeout = '2s'")  # a waiting DDL would hold up all traffic behind it


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
        for name, ddl in _wanted(table, now):
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
    existing = set(connection.exec_driver_sql(_EXISTING).scalars())
    for table in connection.exec_driver_sql(_PARTITIONED).scalars().all():
        wanted = [(f"{table}_default", f"create table {table}_default partition of {table} default")]
        for name, ddl in [*wanted, *_wanted(table, now)]:
            if name not in existing:
                connection.exec_driver_sql(ddl)


def _wanted(table: str, now: int) -> Iterator[tuple[str, str]]:
    for start, end in _months(now):
        name = f"{table}_{start:%Y_%m}"
        yield name, f"create table {name} partition of {table} for values from ({_id(start)}) to ({_id(end)})"


def _months(now: int) -> Iterator[tuple[datetime, datetime]]:
    moment = datetime.fromtimestamp(now / 1000, UTC)
    month = moment.year * 12 + moment.month - 1
    for n in range(month, month + MONTHS_AHEAD + 1):
        yield datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC), datetime((n + 1) // 12, (n + 1) % 12 + 1, 1, tzinfo=UTC)


def _id(moment: datetime) -> int:
    return ids.at(round(moment.timestamp() * 1000))
