"""The queue stays quick while somebody keeps an old snapshot open, and while PostgreSQL believes that it is empty."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from chappe.messages import store as table
from chappe.messages.mark import LONGEST_S, SETTLED_S, START, Mark
from chappe.messages.model import Lane
from chappe.storage import Statement, Store, open_store, sql

CONNECTOR = 7
ROOM = 500
DUE = 1_000_000  # of message 0; the others come due one after the other
VALID = 10**12
DEQUEUE = sql("delete from queue where message_id between :since::bigint and :until::bigint")


def rows(ids: range, *, due_at: int | None = None) -> list[tuple[Any, ...]]:
    """Queue rows that wait."""
    values = {"account_id": 1, "connector_id": CONNECTOR, "lane": int(Lane.BULK), "state": 0, "expires_at": VALID}
    values |= {"attempt": 1, "tries": 0, "doubts": 0, "owner": 0, "claim": 0}
    return [
        tuple(
            {"message_id": id, "due_at": DUE + id if due_at is None else due_at, "tried": "", **values}[column.name]
            for column in table.queue.columns
        )
        for id in ids
    ]


def claim(since: tuple[int, int], number: int) -> dict[str, Any]:
    what = {"connector_id": CONNECTOR, "lane": int(Lane.BULK), "now": VALID - 1, "room": ROOM}
    return what | {"owner": 5, "claim": number, "since_due": since[0], "since_id": since[1]}


async def plan_of(db: asyncpg.Connection, statement: Statement, params: dict[str, Any]) -> str:
    """How PostgreSQL runs it, with what it touched; nothing of it stays."""
    transaction = db.transaction()
    await transaction.start()
    try:
        values = statement.postgres_params(params)
        lines = await db.fetch(f"explain (analyze, buffers, costs off, timing off) {statement.postgres}", *values)
    finally:
        await transaction.rollback()
    return "\n".join(line[0] for line in lines)


def buffers(plan: str) -> int:
    """Pages that the whole statement touched."""
    found = re.search(r"Buffers: shared hit=(\d+)", plan)
    assert found is not None, plan
    return int(found[1])


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    store = await open_store(postgres_url)
    yield store
    await store.close()


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    db = await asyncpg.connect(dsn)
    try:
        yield db
    finally:
        await db.close()


async def work_through(store: Store, count: int) -> Mark:
    """Rows come, are claimed and leave; the mark as a desk keeps it, a second passing with each claim."""
    mark = Mark()
    for first in range(0, count, ROOM):
        ids = range(first, first + ROOM)
        await store.write(table.ADD_QUEUE(rows(ids)))
        since = mark.since(first + 1)
        assert await store.write(table.CLAIM(claim(since, first + 1))) == [ROOM]
        mark.claimed(first + 1, since, 0.5, (DUE + ids[-1], ids[-1]), full=True)
        await store.write(DEQUEUE({"since": ids[0], "until": ids[-1]}))
    return mark


async def test_a_claim_does_not_walk_over_what_a_long_reader_keeps(store: Store, postgres_url: str) -> None:
    async with connected(postgres_url) as reader, connected(postgres_url) as db:
        await db.execute("alter table queue set (autovacuum_enabled = false)")
        await reader.execute("begin isolation level repeatable read")
        await reader.fetchval("select 1")
        count = 20_000
        mark = await work_through(store, count)
        behind = mark.since(count - ROOM + 1.5)
        assert behind > START
        await store.write(table.ADD_QUEUE(rows(range(count, count + 10))))
        quick = buffers(await plan_of(db, table.CLAIM, claim(behind, 1)))
        slow = buffers(await plan_of(db, table.CLAIM, claim(START, 1)))
        assert quick * 3 < slow, (quick, slow)
        look = {"connector_id": CONNECTOR, "lane": int(Lane.BULK)}
        behind_mark = look | {"since_due": behind[0], "since_id": behind[1]}
        from_start = look | {"since_due": START[0], "since_id": START[1]}
        quick = buffers(await plan_of(db, table.NEXT_DUE, behind_mark))
        slow = buffers(await plan_of(db, table.NEXT_DUE, from_start))
        assert quick * 3 < slow, (quick, slow)
        [(due_at,)] = await store.read(table.NEXT_DUE(behind_mark))
        assert due_at == DUE + count


async def test_a_queue_that_was_empty_when_it_was_analysed_is_claimed_as_quickly(
    store: Store, postgres_url: str
) -> None:
    """The planner then takes a backlog for a row or two. It must not go through the backlog for each row of a claim."""
    async with connected(postgres_url) as db:
        await db.execute("alter table queue set (autovacuum_enabled = false)")
        old = range(30_000)
        await store.write(table.ADD_QUEUE(rows(old)))
        await store.write(DEQUEUE({"since": old[0], "until": old[-2]}))
        await db.execute("vacuum analyze queue")  # the last row keeps the pages
        believed = await db.fetchrow("select reltuples, relpages from pg_class where relname = 'queue'")
        assert believed[0] <= 1 < believed[1]
        await store.write(table.ADD_QUEUE(rows(range(100_000, 120_000))))
        start = time.perf_counter()
        assert await store.write(table.CLAIM(claim(START, 1))) == [ROOM]
        assert time.perf_counter() - start < 2
        plan = await plan_of(db, table.CLAIM, claim(START, 2))
        assert "InitPlan" in plan and "Semi Join" not in plan, plan


async def test_queue_tables_are_tidied_early(postgres_url: str) -> None:
    async with connected(postgres_url) as db:
        options = dict(await db.fetch("select relname, reloptions from pg_class where reloptions is not null"))
    assert "autovacuum_vacuum_scale_factor=0.01" in options["queue"]
    assert "fillfactor=70" in options["smsc_deliveries"]
    assert {"events", "event_cursors", "jobs", "idempotency", "parts", "webhook_deliveries"} <= options.keys()


async def test_what_is_put_back_behind_the_mark_is_found_from_the_start(store_url: str) -> None:
    store = await open_store(store_url)
    try:
        mark = await work_through(store, 5_000)
        now = 5_000.0
        await store.write(table.ADD_QUEUE(rows(range(10_000, 10_002), due_at=DUE + 3)))
        since = mark.since(now - ROOM + 1.5)
        assert since > START
        assert await store.write(table.CLAIM(claim(since, 1))) == [0]
        later = now + LONGEST_S
        assert mark.since(later) == START
        look = {"connector_id": CONNECTOR, "lane": int(Lane.BULK), "since_due": START[0], "since_id": START[1]}
        [(due_at,)] = await store.read(table.NEXT_DUE(look))
        mark.looked(later, START, 1.0, due_at)
        since = mark.since(later + 1)
        assert START < since < (DUE + 3, 10_000)
        assert await store.write(table.CLAIM(claim(since, 2))) == [2]
    finally:
        await store.close()


def test_a_mark_follows_the_claims_a_second_late() -> None:
    mark = Mark()
    assert mark.since(0) == START
    mark.claimed(10.0, START, 0.5, (100, 1), full=False)
    assert mark.since(10.1) == START  # nothing is settled yet
    mark.claimed(10.5, mark.since(10.5), 0.01, (200, 2), full=True)
    mark.claimed(10.0 + SETTLED_S, mark.since(11.0), 0.01, (300, 3), full=True)
    assert mark.since(11.1) == (100, 1)
    mark.claimed(10.0 + 2 * SETTLED_S, mark.since(12.0), 0.01, (400, 4), full=True)
    assert mark.since(12.1) == (300, 3)


def test_looks_from_the_start_are_the_rule_while_they_cost_nothing_and_seldom_when_they_cost_much() -> None:
    mark = Mark()
    mark.looked(10.0, START, 0.001, None)
    assert mark.since(10.03) == START
    mark.claimed(10.03, START, 3.0, (100, 1), full=False)
    for _ in range(4):
        mark.claimed(12.0, (1, 1), 0.01, (500, 1), full=True)
        mark.claimed(13.5, (1, 1), 0.01, (500, 1), full=True)
    assert mark.since(10.03 + LONGEST_S - 0.1) > START
    assert mark.since(10.03 + LONGEST_S) == START


def test_more_than_a_claim_takes_behind_the_mark_is_claimed_on_from_there() -> None:
    mark = Mark()
    for now in (1.0, 3.0, 5.0):
        mark.claimed(now, (1, 1), 0.01, (900, 9), full=True)
    assert mark.since(-1.0) == (900, 9)
    mark.claimed(6.0, START, 0.5, (100, 1), full=True)
    assert mark.since(6.1) == (100, 1)
