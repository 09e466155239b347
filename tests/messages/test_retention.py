"""What is old is forgotten: texts first, messages later, months at once, and nothing that still waits."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
import pytest

from chappe import accounts, ids, messages
from chappe.errors import Refused
from chappe.messages import Filter, retention, store
from chappe.messages.retention import Forgotten
from chappe.storage import partitions, sql
from tests.messages.conftest import NOW, World
from tests.support.history import fill, queue

DAY_MS = 86_400_000
TABLES = ("messages", "history", "parts", "message_tags", "queue", "inbound")


def later(world: World, days: int) -> None:
    world.rt.clock.now = lambda: NOW() + days * DAY_MS  # type: ignore[method-assign]


async def count(world: World, table: str, which: str = "") -> int:
    number: int = (await world.rt.store.scan(sql(f"select count(*) from {table} {which}")()))[0][0]
    return number


async def keep(world: World, days: int) -> None:
    settings = accounts.AccountSettings(retention_days=days)
    await accounts.update_account(world.rt, "test", world.account_id, settings=settings)


async def with_months(world: World) -> None:
    """Partitions of the past year, which a store that old would have."""
    if world.rt.store.engine == "postgres":
        for past in range(400, -1, -31):
            await partitions.ensure_partitions(world.rt.store, NOW() - past * DAY_MS)


async def test_texts_are_forgotten_first_and_messages_later(world: World) -> None:
    accepted = await world.send(text="My secret", tags=("vip",))
    world.link.answer((await world.parts(1))[0])
    await world.becomes(accepted.id, "sent")
    await world.link.inbound("33612345678", "33644600001", "Also secret")
    later(world, 100)
    assert (await retention.forget(world.pipeline)).texts == 2
    explained = await messages.explain(world.rt, world.account_id, accepted.id)
    assert explained.message.text is None
    assert all(step.request is None for step in explained.steps)
    assert [m.text for m in await messages.inbound(world.rt, Filter(account_id=world.account_id))] == [None]
    assert await retention.forget(world.pipeline) == Forgotten()  # it knows how far it was
    later(world, 500)
    done = await retention.forget(world.pipeline)
    if world.rt.store.engine == "postgres":
        assert len(done.months) >= 1 and done.messages == 1  # that of the phone is in a table without months
    else:
        assert done.messages == 2
    assert {table: await count(world, table) for table in TABLES} == dict.fromkeys(TABLES, 0)


async def test_an_account_may_keep_less(world: World) -> None:
    accepted = await world.send()
    world.link.answer((await world.parts(1))[0])
    await world.becomes(accepted.id, "sent")
    await keep(world, 1)
    later(world, 2)
    assert (await retention.forget(world.pipeline)).messages == 1
    with pytest.raises(Refused):
        await messages.get(world.rt, world.account_id, accepted.id)


async def test_an_account_may_keep_more(world: World) -> None:
    accepted = await world.send()
    world.link.answer((await world.parts(1))[0])
    await world.becomes(accepted.id, "sent")
    await keep(world, 600)
    later(world, 500)
    assert (await retention.forget(world.pipeline)).messages == 0
    assert (await messages.get(world.rt, world.account_id, accepted.id)).text is None
    later(world, 700)
    await retention.forget(world.pipeline)
    assert await count(world, "messages") == 0


async def test_what_still_waits_is_not_forgotten(world: World) -> None:
    due = NOW() + 300 * DAY_MS
    accepted = await world.send(text="In ten months", tags=("vip",), send_at=due)
    await keep(world, 30)
    later(world, 200)
    assert await retention.forget(world.pipeline) == Forgotten()
    assert (await messages.get(world.rt, None, accepted.id)).text == "In ten months"
    assert await count(world, "message_tags") == 1
    await world.rt.store.write(sql("delete from queue")())  # as when it was sent
    await keep(world, 250)
    done = await retention.forget(world.pipeline)
    assert (done.texts, done.messages) == (1, 0)
    assert (await messages.get(world.rt, None, accepted.id)).text is None
    assert await count(world, "retention_late") == 0
    await keep(world, 30)
    assert (await retention.forget(world.pipeline)).messages == 1


async def test_a_whole_month_goes_at_once_unless_somebody_needs_it(world: World) -> None:
    if world.rt.store.engine != "postgres":
        pytest.skip("SQLite has no partitions")
    await with_months(world)
    now = NOW()
    numbers = await fill(world.rt.store, [world.account_id, 5], 2_000, now=now)
    before = await partitions.months(world.rt.store)
    first = [number for number in numbers if before[1].start <= number < before[1].end]
    second = [number for number in numbers if before[2].start <= number < before[2].end]
    third = [number for number in numbers if before[3].start <= number < before[3].end]
    assert first and second and third
    await queue(world.rt.store, second[:1], world.account_id, due_at=now + 400 * DAY_MS)
    later(world, 0)
    keep_days = (now - ids.millis(before[3].end)) // DAY_MS  # all of the third month is older
    world.rt.settings.retention.message_days = keep_days
    done = await retention.forget(world.pipeline)
    assert done.months == [before[0].name, before[1].name, before[3].name]
    assert done.messages == len(second) - 1  # in slices, since one of them waits
    left = {row[0] for row in await world.rt.store.scan(sql("select id from messages")())}
    assert left == {second[0], *(number for number in numbers if number >= before[3].end)}
    for table in ("history", "message_tags"):
        orphans = f"where not exists (select 1 from messages m where m.id = {table}.message_id)"
        assert await count(world, table, orphans) == 0
    tables = {name for month in await partitions.months(world.rt.store) for name in month.tables}
    assert tables == {name for month in before for name in month.tables if month.name not in done.months}


async def test_rows_outside_of_any_month_are_forgotten_too(world: World) -> None:
    ancient = NOW() - 900 * DAY_MS
    numbers = await fill(world.rt.store, [world.account_id], 50, now=ancient, days=1)
    assert (await retention.forget(world.pipeline)).messages == len(numbers)
    assert await count(world, "history") == 0


async def test_a_month_in_use_is_dropped_later_and_nobody_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    if world.rt.store.engine != "postgres":
        pytest.skip("SQLite has no partitions")
    monkeypatch.setattr(retention, "_TRY_EVERY_S", 0.3)
    await with_months(world)
    world.rt.settings.retention.message_days = 200
    reader = await asyncpg.connect(world.rt.settings.database)
    await reader.execute("begin; select count(*) from messages")  # a report that takes its time
    forgetting = asyncio.create_task(retention.forget(world.pipeline))
    waits = []
    for n in range(20):
        began = time.monotonic()
        await world.send(text=f"Number {n}")
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    assert not forgetting.done()
    assert max(waits) < 0.8  # 0.1 is the patience of the one who would drop it
    await reader.close()
    assert (await forgetting).months


async def test_keys_receipts_and_settled_parts_have_their_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "TIDY_SLICE", 7)
    now, old = NOW(), NOW() - 4 * DAY_MS
    parts = [
        (ids.at(at) + n, 1, 1, 1, 7, "p", f"{at}-{n}", state, None, at, deadline, None)
        for n in range(20)
        for at, state, deadline in ((old, 1, old), (old + 1, 0, old), (old + 2, 5, now), (now, 1, now))
    ]
    keys = [(world.account_id, f"{at}-{n}", "", "", at) for n in range(20) for at in (old, now)]
    parked = [(ids.at(at) + n, 7, "k", at, "unknown", "{}", b"") for n in range(20) for at in (old, now)]
    await world.rt.store.write(store.ADD_PARTS(parts), store.ADD_KEYS(keys), store.PARK(parked))
    await retention.tidy(world.pipeline)
    assert await count(world, "parts") == 60
    assert await count(world, "parts", f"where deadline < {now - 3 * DAY_MS} and state not in (0, 3)") == 0
    assert await count(world, "idempotency") == 20
    assert await count(world, "parked_receipts") == 20


async def test_traffic_goes_between_the_slices(world: World) -> None:
    numbers = await fill(world.rt.store, [5], 6_000, now=NOW() - 500 * DAY_MS, days=20)
    units = 0
    write = world.rt.store.write

    async def counting(*ops: Any, **options: Any) -> list[Any]:
        nonlocal units
        units += any(op.statement is store.DELETE_MESSAGES for op in ops)
        return await write(*ops, **options)

    world.rt.store.write = counting  # type: ignore[method-assign]
    forgetting = asyncio.create_task(retention.forget(world.pipeline))
    waits, during = [], 0
    while not forgetting.done():
        began = time.monotonic()
        await world.send(text=f"Number {during}")
        waits.append(time.monotonic() - began)
        during += not forgetting.done()
    done = await forgetting
    assert done.messages == len(numbers) and units == len(numbers) / retention.SLICE
    assert during > units / 2, (during, units)
    assert sorted(waits)[len(waits) // 2] < 0.2
