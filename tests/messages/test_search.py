"""Lists find what they shall, and read no more of a long past than their page needs."""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest

from chappe.messages import Filter, InboundMessage, Message, State, query, search, store
from chappe.messages.model import Queued
from chappe.runtime import Runtime
from chappe.storage import Op, Row, Store, migrate, open_store, sql, sqlite_path
from tests.support.history import DAY_MS, fill
from tests.support.postgres import Postgres

COUNT = 24_000
PAGE = 20
ACCOUNT, OTHER = 101, 102
NUMBERS = ("33644600001", "+33644600002")
NOW = 1_790_000_000_000
FEW_ROWS = 2_000  # that a page may read in PostgreSQL, of 24,000 messages
FEW_STEPS = 50_000  # of SQLite's machine: all messages would be 600,000
STATES: tuple[tuple[State, ...], ...] = (
    (),
    (State.DELIVERED,),
    (State.SENT,),
    (State.FAILED,),
    (State.FAILED, State.EXPIRED, State.UNDELIVERED),
    (State.QUEUED,),
    (State.ACCEPTED, State.SCHEDULED, State.QUEUED),
    (State.SENDING,),
    (State.READ,),
    (State.DELIVERED, State.QUEUED, State.FAILED),
    tuple(State),
)


@dataclass(frozen=True)
class Past:
    """A store with a year of messages, and all of them in memory, oldest first."""

    url: str
    messages: list[Message]
    inbound: list[InboundMessage]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def past(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    if request.param == "sqlite":
        yield _made(f"sqlite:///{tmp_path_factory.mktemp('past')}/chappe.db")
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        with server.database() as url:
            yield _made(url)


def _made(url: str) -> Past:
    migrate.upgrade(url)
    past = asyncio.run(_fill(url))
    if sqlite_path(url) is None:
        asyncio.run(_analyze(url))
    return past


async def _analyze(url: str) -> None:
    pg = await asyncpg.connect(url)
    await pg.execute("analyze")
    await pg.close()


async def _fill(url: str) -> Past:
    store_ = await open_store(url)
    numbers = await fill(store_, [ACCOUNT, ACCOUNT, ACCOUNT, OTHER], COUNT, now=NOW)
    waiting, doubtful, read = numbers[100::997], numbers[50::2003], numbers[70::4001]
    for state, chosen in ((State.QUEUED, waiting), (State.SENDING, doubtful), (State.READ, read)):
        among = ", ".join(map(str, chosen))
        await store_.write(sql(f"update messages set state = {state:d} where id in ({among})")())
    rows = await store_.scan(sql(f"select {store.MESSAGE} from messages m order by id")())
    messages = [store.message(tuple(row)) for row in rows]
    queue = [
        (m.id, m.account_id, 7, 1, int(Queued.WAITING), NOW, NOW, 1, 0, 0, "", 0, 0)
        for m in messages
        if m.state is State.QUEUED
    ]
    inbound = [
        (n, ACCOUNT if n % 3 else 0, 7, 0, "33612345678", NUMBERS[n % 400 == 7], "mo", None, b"", 0, 1, 0, NOW)
        for n in numbers[::3]
    ]
    await store_.write(store.ADD_QUEUE(queue), store.ADD_INBOUND(inbound))
    await store_.close()
    return Past(url, messages, [InboundMessage(*row) for row in inbound])


@pytest.fixture
async def rt(past: Past) -> AsyncIterator[Runtime]:
    """All of a runtime that lists need: its store, which remembers what it was asked."""
    opened = await open_store(past.url)
    yield cast(Runtime, Asked(opened))
    await opened.close()


class Asked:
    def __init__(self, store: Store) -> None:
        self.ops: list[Op] = []
        self.store = self
        self._store = store

    async def scan(self, op: Op) -> list[Row]:
        self.ops.append(op)
        return await self._store.scan(op)

    read = scan


def searches(past: Past) -> Iterator[Filter]:
    """Every combination of filters that makes a plan of its own."""
    mine = [m for m in past.messages if m.account_id == ACCOUNT]
    middle = mine[len(mine) // 2]
    tagged = next(m for m in mine if m.tags and m.state is State.DELIVERED)
    threaded = next(m for m in mine if m.correlation_id)
    spans: tuple[dict[str, Any], ...] = (
        {},
        {"cursor": middle.id},
        {"created_after": NOW - 90 * DAY_MS, "created_before": NOW - 30 * DAY_MS},
    )
    whose: tuple[dict[str, Any], ...] = (
        {},
        {"to": middle.recipient},
        {"to": "+33999"},
        {"correlation_id": threaded.correlation_id},
        {"tag": json.loads(tagged.tags or "")[0]},
        {"tag": "none"},
        {"tag": json.loads(tagged.tags or "")[0], "to": tagged.recipient},
        {"correlation_id": threaded.correlation_id, "to": threaded.recipient},
    )
    for states, span, who in itertools.product(STATES, spans, whose):
        yield Filter(account_id=ACCOUNT, states=states, limit=PAGE, **span, **who)


def expected(past: Past, wanted: Filter) -> list[int]:
    fitting = (m.id for m in reversed(past.messages) if m.account_id == wanted.account_id and _fits(m, wanted))
    return list(itertools.islice(fitting, wanted.limit))


def _fits(m: Message, wanted: Filter) -> bool:
    return (
        (not wanted.states or m.state in wanted.states)
        and wanted.to in (None, m.recipient)
        and wanted.correlation_id in (None, m.correlation_id)
        and (wanted.tag is None or wanted.tag in json.loads(m.tags or "[]"))
        and (wanted.created_after is None or m.created_at >= wanted.created_after)
        and (wanted.created_before is None or m.created_at < wanted.created_before)
        and (wanted.cursor is None or m.id < wanted.cursor)
    )


async def test_every_search_finds_the_newest_that_fit_and_reads_little_more(
    past: Past, rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "BATCH", 100)
    filled = 0
    for wanted in searches(past):
        found = [m.id for m in await query.listed(rt, wanted)]
        assert found == expected(past, wanted), wanted
        filled += bool(found)
    monkeypatch.setattr(search, "FEW_TAGGED", 100)  # as if the tag were a million messages'
    for wanted in searches(past):
        if wanted.tag and not wanted.to:
            assert [m.id for m in await query.listed(rt, wanted)] == expected(past, wanted), wanted
    assert filled > 60
    await _all_read_little(past, cast(Asked, rt).ops)


async def test_what_phones_sent_is_found_by_their_number_too(past: Past, rt: Runtime) -> None:
    for account, to, cursor in itertools.product(
        (ACCOUNT, 0), (None, "33644600001", "33644600002", "336"), (None, past.inbound[len(past.inbound) // 2].id)
    ):
        wanted = Filter(account_id=account, to=to, cursor=cursor, limit=PAGE)
        found = await query.inbound(rt, wanted)
        assert (
            found
            == [
                m
                for m in reversed(past.inbound)
                if m.account_id == account
                and (to is None or m.recipient.lstrip("+") == to)
                and (cursor is None or m.id < cursor)
            ][:PAGE]
        )
    await _all_read_little(past, cast(Asked, rt).ops)


async def test_explaining_reads_one_message(past: Past, rt: Runtime) -> None:
    for m in past.messages[:: COUNT // 10]:
        told = await query.explain(rt, m.account_id, m.id)
        assert told.message.id == m.id and len(told.steps) == 3
    await _all_read_little(past, cast(Asked, rt).ops)


async def _all_read_little(past: Past, ops: list[Op]) -> None:
    """Run each statement once more and count what the database touches."""
    path = sqlite_path(past.url)
    if path is not None:
        touched = [(_steps(path, op), op) for op in ops]
        assert (worst := max(touched, key=lambda pair: pair[0]))[0] <= FEW_STEPS, (worst[0], told(worst[1]))
        return
    pg = await asyncpg.connect(past.url, server_settings={"jit": "off"})
    touched = [(await _rows_read(pg, op), op) for op in ops]
    await pg.close()
    assert (worst := max(touched, key=lambda pair: pair[0]))[0] <= FEW_ROWS, (worst[0], told(worst[1]))


def told(op: Op) -> str:
    return f"{op.statement.postgres} {op.params}"


def _steps(path: Path, op: Op) -> int:
    """Instructions of SQLite's machine, in thousands rounded up."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1000
        return 0

    assert isinstance(op.params, dict)
    with closing(sqlite3.connect(path)) as db:
        db.set_progress_handler(count, 1000)
        db.execute(op.statement.sqlite, op.statement.sqlite_params(op.params)).fetchall()
    return steps


async def _rows_read(pg: asyncpg.Connection, op: Op) -> int:
    plan = json.loads(
        await pg.fetchval(
            f"explain (analyze, format json) {op.statement.postgres}", *op.statement.postgres_params(op.params)
        )
    )

    def read(node: dict[str, Any]) -> float:
        below = sum(read(child) for child in node.get("Plans", ()))
        if "Relation Name" not in node:
            return below
        return below + node["Actual Loops"] * (1 + node["Actual Rows"] + node.get("Rows Removed by Filter", 0))

    return round(read(plan[0]["Plan"]))
