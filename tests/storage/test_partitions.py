"""PostgreSQL keeps what only grows in monthly partitions, made ahead of time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from chappe import ids
from chappe.clock import parse_rfc3339
from chappe.storage import Store, insert_many, migrate, open_store, sql
from chappe.storage.partitions import PARTITIONED, ensure_partitions
from chappe.storage.schema import key, required

metadata = sa.MetaData()
messages = sa.Table("messages", metadata, key("id"), required("n", sa.Integer()))
ADD = insert_many(messages)
WHERE = sql("select tableoid::regclass::text, n from messages order by n")
NEW_YEAR = parse_rfc3339("2041-01-01T00:00:00Z")


@pytest.fixture
async def store(postgres_dsn: str) -> AsyncIterator[Store]:
    await asyncio.to_thread(migrate.create_all, postgres_dsn, metadata)
    store = await open_store(postgres_dsn)
    yield store
    await store.close()


async def test_this_month_and_the_next_three_get_a_partition_once(store: Store) -> None:
    december = parse_rfc3339("2040-12-31T23:59:59Z")
    made = await ensure_partitions(store, december)
    assert made == ["messages_2040_12", "messages_2041_01", "messages_2041_02", "messages_2041_03"]
    assert await ensure_partitions(store, december) == []
    assert await ensure_partitions(store, NEW_YEAR) == ["messages_2041_04"]


async def test_a_row_lies_in_the_month_of_its_id(store: Store) -> None:
    await ensure_partitions(store, NEW_YEAR - 1)
    after_all = parse_rfc3339("2050-01-01T00:00:00Z")
    rows = [(ids.at(NEW_YEAR) - 1, 1), (ids.at(NEW_YEAR), 2), (ids.at(after_all), 3)]
    await store.write(ADD(rows))
    assert [tuple(row) for row in await store.read(WHERE())] == [
        ("messages_2040_12", 1),
        ("messages_2041_01", 2),
        ("messages_default", 3),
    ]


async def test_a_month_that_nobody_made_in_time_stays_in_the_default_partition(store: Store) -> None:
    await store.write(ADD([(ids.at(NEW_YEAR) + 5, 1)]))
    assert await ensure_partitions(store, NEW_YEAR) == ["messages_2041_02", "messages_2041_03", "messages_2041_04"]
    assert [tuple(row) for row in await store.read(WHERE())] == [("messages_default", 1)]


async def test_sqlite_has_no_partitions(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/chappe.db"
    await asyncio.to_thread(migrate.create_all, url, metadata)
    store = await open_store(url)
    assert await ensure_partitions(store, NEW_YEAR) == []
    await store.close()


async def test_the_migration_makes_the_partitions_of_today(postgres_dsn: str) -> None:
    await asyncio.to_thread(migrate.upgrade, postgres_dsn)
    store = await open_store(postgres_dsn)
    rows = await store.read(sql("select inhparent::regclass::text, count(*) from pg_inherits i join pg_class c "
                                "on c.oid = i.inhparent and c.relkind = 'p' group by 1")())  # fmt: skip
    assert {row[0]: row[1] for row in rows} == {table: 5 for table in PARTITIONED}
    await store.close()
