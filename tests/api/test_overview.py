"""The overview tells how everything is, and what is alarming; the log, the metrics and doctor say the same."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from chappe import accounts
from chappe.api.alarms import Watchman, age, alarms
from chappe.api.facts import Facts, Sparing
from chappe.clock import FakeClock
from chappe.messages.store import PARK
from chappe.runtime import Runtime
from chappe.settings import Alarms
from chappe.storage import Unavailable, sql
from tests.api.conftest import LATER, World
from tests.support.eventually import eventually

OVERDUE = sql("update queue set due_at = due_at - :by::bigint where state = 0")
BURIED = sql("update nodes set roles = :roles where node = :node")


@asynccontextmanager
async def open_transaction(rt: Runtime, *, writing: bool = False) -> AsyncIterator[int]:
    """Of another program, on PostgreSQL; its pid."""
    db = await asyncpg.connect(rt.settings.database, server_settings={"application_name": "report"})
    try:
        await db.execute("begin isolation level repeatable read")
        await db.fetchval("select pg_current_xact_id()" if writing else "select count(*) from jobs")
        yield await db.fetchval("select pg_backend_pid()")
    finally:
        await db.close()


def on_postgres(world: World) -> None:
    if world.rt.store.engine == "sqlite":
        pytest.skip("an embedded store has no other sessions")


async def kinds(rt: Runtime, **limits: int) -> dict[str, str]:
    """What alarms there are now: about -> kind."""
    return {alarm.about: alarm.kind for alarm in await alarms(Facts(rt), Alarms(**limits))}


async def test_lanes_rates_connectors_and_the_store_are_told(both: World) -> None:
    both.links["main"].silent = True
    settings = accounts.AccountSettings(consent="elsewhere", wording="off")
    await accounts.update_account(both.rt, "test", both.account_ids["acme"], settings=settings)
    offer = {"purpose": "marketing", "to": "+31612345678"}  # where no hours are asked for
    for body in ({"purpose": "otp"}, {"purpose": "otp"}, offer, {"send_at": LATER}):
        taken = await both.acme.post("/v1/messages", {"to": "+33612345678", "text": "x"} | body)
        assert taken.status == 202, taken.body
    reply = await both.operator.get("/v1/overview")
    assert reply.status == 200, reply.body
    told = reply.json
    counts = {(lane["connector"], lane["lane"]): lane for lane in told["lanes"]}
    assert counts["main", "otp"]["waiting"] == 2 and 0 <= counts["main", "otp"]["oldest_s"] < 10
    assert (counts["main", "bulk"]["waiting"], counts["main", "transactional"]["scheduled"]) == (1, 1)
    links = {link["name"]: (link["state"], link["binds_up"], link["test"]) for link in told["connectors"]}
    assert links == {"main": ("up", 1, False), "lab": ("up", 1, True)}
    assert told["rates"].keys() == {"accepted_per_s", "sent_per_s", "receipts_per_s"}
    assert "webhooks.messages" in {reaction["name"] for reaction in told["reactions"]}
    assert (told["store"]["engine"], told["alarms"]) == (both.rt.store.engine, [])
    assert told["store"]["size_bytes"] > 100_000 and told["store"]["disk_total_bytes"] > 0
    if both.rt.store.engine == "postgres":
        assert {"queue", "events", "jobs"} <= {table["name"] for table in told["store"]["tables"]}


async def test_only_the_operator_may_look(world: World) -> None:
    assert (await world.acme.get("/v1/overview")).code == "scope_missing"
    assert (await world.client(None).get("/v1/overview")).code == "unauthenticated"


async def test_what_is_held_is_counted(both: World) -> None:
    await both.acme.post("/v1/messages", {"to": "+33612345678", "text": "x"})
    doubtful = sql("update messages set state = 3")
    await eventually(lambda: bool(both.links["main"].taken))
    await both.pipeline.recorder.drain()
    await both.rt.store.write(doubtful(), PARK([(1, 7, "k", 1, "unknown", "{}", None)]))
    told = (await both.operator.get("/v1/overview")).json
    assert (told["in_doubt"], told["parked_receipts"], told["events_aside"]) == (1, 1, 0)


async def test_an_overdue_lane_is_alarming_from_its_own_threshold_on(both: World) -> None:
    both.links["main"].silent = True
    for purpose in ("otp", "transactional"):
        await both.acme.post("/v1/messages", {"to": "+33612345678", "text": "x", "purpose": purpose})
    await both.rt.store.write(OVERDUE({"by": 40_000}))
    assert await kinds(both.rt) == {"main otp": "waiting"}
    assert await kinds(both.rt, otp_s=60) == {}
    assert await kinds(both.rt, transactional_s=30) == {"main otp": "waiting", "main transactional": "waiting"}


async def test_a_node_that_is_alone_without_dispatch_is_alarming(world: World) -> None:
    for roles, missing in (("api", ["dispatch", "jobs"]), ("api,jobs", ["dispatch"]), ("dispatch,jobs", [])):
        await world.rt.store.write(BURIED({"roles": roles, "node": world.rt.node.number}))
        assert list(await kinds(world.rt)) == missing


async def test_a_transaction_that_stays_open_is_alarming_and_named(both: World) -> None:
    on_postgres(both)
    async with open_transaction(both.rt) as pid:
        await asyncio.sleep(1.1)
        assert await kinds(both.rt) == {}
        [alarm] = await alarms(Facts(both.rt), Alarms(snapshot_s=1))
        assert (alarm.kind, alarm.about) == ("snapshot", f"pid {pid}")
        assert "report" in alarm.words and "reactions" not in alarm.words and str(pid) in alarm.action
        opened = (await Facts(both.rt).health()).oldest_snapshot
        assert opened is not None and 1 < opened.age_s < 30 and opened.query == "select pg_backend_pid()"
    async with open_transaction(both.rt, writing=True):
        await asyncio.sleep(1.1)
        [alarm] = await alarms(Facts(both.rt), Alarms(snapshot_s=1))
        assert "reactions" in alarm.words


async def test_a_reader_that_keeps_the_write_ahead_log_is_alarming_as_long_as_it_reads(
    world: World, tmp_path: Path
) -> None:
    reader = sqlite3.connect(tmp_path / "chappe.db", isolation_level=None)
    reader.execute("begin")
    reader.execute("select count(*) from queue").fetchone()
    for start in range(0, 1_200, 100):
        rows = [(start + n + 1, 7, "k", 1, "unknown", "{}", b"x" * 1_000) for n in range(100)]
        await world.rt.store.write(PARK(rows))
    assert await kinds(world.rt, wal_mb=1) == {"SQLite": "wal"}
    assert await kinds(world.rt) == {}
    reader.execute("rollback")
    reader.close()
    assert await kinds(world.rt, wal_mb=1) in ({}, {"SQLite": "wal"})  # an old SQLite moves it while it is asked
    assert await kinds(world.rt, wal_mb=1) == {}


async def test_disk_clock_and_lag_are_alarming(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await kinds(both.rt, disk_percent=99) == {"data_dir": "disk"}
    if both.rt.store.engine == "postgres":
        assert await kinds(both.rt, clock_ms=1) in ({}, {"node": "clock"})
    lag = (await Facts(both.rt).lags())["webhooks.messages"]
    assert lag.waiting == 0
    emitted = sql(
        "insert into events (kind, account_id, created_at, payload) "
        "select kind, 1, db_now() - 90000, '{}' from event_cursors where name = 'webhooks.messages'"
    )
    await both.rt.events.stop()
    await both.rt.store.write(emitted())
    assert await kinds(both.rt) == {"webhooks.messages": "lag"}
    assert await kinds(both.rt, lag_s=120) == {}


async def test_an_alarm_is_logged_when_it_begins_and_when_it_is_over(world: World) -> None:
    watchman = Watchman(world.rt)
    world.links["main"].silent = True
    await world.acme.post("/v1/messages", {"to": "+33612345678", "text": "x", "purpose": "otp"})
    await world.rt.store.write(OVERDUE({"by": 40_000}))

    async def looked() -> list[Any]:
        for question in vars(watchman._facts).values():
            if isinstance(question, Sparing):
                question._due = 0.0
        with capture_logs() as lines:
            await watchman.look(world.rt)
        return [(line["event"], line["log_level"], line["about"]) for line in lines]

    assert await looked() == [("alarm", "error", "main otp")]
    assert await looked() == []
    await world.rt.store.write(OVERDUE({"by": -40_000}))
    assert await looked() == [("alarm is over", "info", "main otp")]


async def test_metrics_tell_the_alarms_and_the_store(both: World) -> None:
    both.links["main"].silent = True
    await both.acme.post("/v1/messages", {"to": "+33612345678", "text": "x", "purpose": "otp"})
    await both.rt.store.write(OVERDUE({"by": 40_000}))
    text = (await both.client(None).get("/metrics")).body.decode()
    for line in (
        'chappe_alarms{kind="waiting"} 1.0',
        'chappe_alarms{kind="snapshot"} 0.0',
        'chappe_queue_messages{connector="main",lane="otp",state="waiting"} 1.0',
        "chappe_store_bytes ",
        "chappe_oldest_snapshot_seconds ",
        "chappe_clock_ahead_seconds ",
    ):
        assert line in text, line
    assert ('chappe_dead_rows{table="queue"}' in text) == (both.rt.store.engine == "postgres")


async def test_a_question_is_asked_as_seldom_as_it_costs() -> None:
    clock, asked = FakeClock(), 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise Unavailable("away")
        clock.advance(1.0 if asked == 2 else 0.0)
        return asked

    question = Sparing(clock, 2.0, ask)
    assert [await question() for _ in range(10)] == [1] * 10
    clock.advance(2.0)
    assert await question() == 2  # took a second, so it stands for twenty
    clock.advance(18.0)
    assert await question() == 2
    clock.advance(1.5)
    with pytest.raises(Unavailable):
        await question()
    assert await question() == 4  # what failed is asked again


async def test_many_who_look_cost_hardly_more_than_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    scan = type(world.rt.store).scan

    async def counted(self: Any, op: Any) -> Any:
        asked.append(op.statement.name)
        return await scan(self, op)

    monkeypatch.setattr(type(world.rt.store), "scan", counted)
    replies = await asyncio.gather(*(world.operator.get("/v1/overview") for _ in range(30)))
    assert {reply.status for reply in replies} == {200}
    # one a second, and a busy machine may take some seconds for them all
    assert 1 <= asked.count("waiting") <= 5 and 1 <= asked.count("count in doubt") <= 5


def test_ages_read_well() -> None:
    assert [age(seconds) for seconds in (45, 720, 12_600, 400_000)] == ["45 s", "12 min", "3.5 h", "5 days"]
