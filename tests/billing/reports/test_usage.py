from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chappe import ids
from chappe.billing import reports
from chappe.billing.ledger import store as ledger
from chappe.billing.reports import usage
from chappe.errors import Refused
from chappe.runtime import Runtime
from chappe.storage import Store, open_store, sql
from tests.billing.reports.town import DAY_MS, Town, now

PROGRAM = """
import asyncio, sys
from types import SimpleNamespace
from chappe.billing.reports import usage
from chappe.storage import open_store

async def work():
    rt = SimpleNamespace(store=await open_store(sys.argv[1]))
    usage.SLICE = 7
    print("ready", flush=True)
    while True:
        await usage.roll_up(rt)
        await asyncio.sleep(0)

asyncio.run(work())
"""


def today() -> int:
    return now() // DAY_MS


async def counted(store: Store) -> tuple[int, int, int]:
    """Messages and money in `usage`, and how many news wait."""
    [(messages, charged)] = await store.scan(
        sql("select coalesce(sum(messages), 0), coalesce(sum(charged), 0) from usage where tag = ''")()
    )
    [(news,)] = await store.scan(sql("select count(*) from usage_news")())
    return int(messages), int(charged), int(news)


async def some_news(town: Town, count: int, **more: Any) -> None:
    for number in range(count):
        await town.settle(await town.accept(1, 10, where=("FR", f"2080{number % 3}"), **more))


@pytest.fixture
async def funded(town: Town) -> Town:
    await town.open(1, credit=10**9)
    await town.open(2, "USD", credit=10**9)
    return town


async def test_news_are_added_up_once_and_are_gone_then(
    rt: Runtime, funded: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "SLICE", 4)
    await some_news(funded, 6, tags=("spring", "vip"))
    assert await usage.roll_up(rt) == 18
    assert await counted(rt.store) == (6, 60, 0)
    await some_news(funded, 3)
    assert await usage.roll_up(rt) == 3
    assert await usage.roll_up(rt) == 0
    assert await counted(rt.store) == (9, 90, 0)
    rows = await rt.store.scan(sql("select operator, messages from usage where tag = '' order by operator")())
    assert [tuple(row) for row in rows] == [("20800", 3), ("20801", 3), ("20802", 3)]


async def test_several_who_add_up_at_once_add_nothing_twice_while_more_comes(
    rt: Runtime, funded: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "SLICE", 3)
    coming = asyncio.create_task(some_news(funded, 30))
    while not coming.done():
        await asyncio.gather(*(usage.roll_up(rt) for _ in range(4)))
        await asyncio.sleep(0)
    await coming
    while (await counted(rt.store))[2]:
        await usage.roll_up(rt)
    assert await counted(rt.store) == (30, 300, 0)


async def test_a_row_that_is_committed_late_with_an_older_id_is_not_passed_over(rt: Runtime, funded: Town) -> None:
    await some_news(funded, 2)
    await usage.roll_up(rt)
    late = (ids.at(now() - 5_000), today(), 1, "", "FR", "20801", 7, 3, "Acme", "otp", "EUR", "", 1, 1, 1, 0, 10, 0)
    await rt.store.write(ledger.ADD_USAGE_NEWS([late]))
    await usage.roll_up(rt)
    assert await counted(rt.store) == (3, 30, 0)


async def test_a_process_that_is_killed_while_it_adds_up_loses_and_doubles_nothing(
    store_url: str, tmp_path: Path
) -> None:
    store = await open_store(store_url)
    try:
        town = Town(store, ago=0)
        await town.open(1, credit=10**9)
        written = 0
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROGRAM, store_url, stdout=asyncio.subprocess.PIPE, cwd=tmp_path
            )
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
            before = (await counted(store))[0]
            async with asyncio.timeout(60):
                while (await counted(store))[0] == before:  # until it is at work
                    await some_news(town, 5)
                    written += 5
            await some_news(town, 5)
            written += 5
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        messages, charged, news = await counted(store)
        assert (messages + news, charged + 10 * news) == (written, 10 * written)
    finally:
        await store.close()


async def test_usage_is_told_by_any_dimension_with_what_is_not_added_up_yet(rt: Runtime, funded: Town) -> None:
    await some_news(funded, 3, tags=("spring",))
    await funded.settle(await funded.accept(1, 5), delivered=False)
    await funded.settle(await funded.accept(2, 99))  # somebody else's
    await usage.roll_up(rt)
    await some_news(funded, 3, tags=("spring", "vip"))
    day = today()

    async def told(*groups: Any, limit: int = 100) -> list[tuple[Any, ...]]:
        found = await reports.used(rt, 1, groups, day, day, limit=limit)
        return [(*one.by, one.currency, one.messages, one.delivered, one.failed, one.charged) for one in found]

    assert await told("day") == [(day, "EUR", 7, 6, 1, 60)]
    assert await told("country", "operator") == [
        ("FR", "20800", "EUR", 2, 2, 0, 20),
        ("FR", "20801", "EUR", 3, 2, 1, 20),
        ("FR", "20802", "EUR", 2, 2, 0, 20),
    ]
    assert await told("tag") == [("spring", "EUR", 6, 6, 0, 60), ("vip", "EUR", 3, 3, 0, 30)]
    assert await told("day", "tag", limit=1) == [(day, "spring", "EUR", 6, 6, 0, 60)]
    assert await told("connector", "route", "sender", "purpose") == [(7, 3, "Acme", "otp", "EUR", 7, 6, 1, 60)]
    assert await reports.used(rt, 1, ("day",), day - 9, day - 1, limit=9) == []


async def test_a_report_that_cannot_be_is_refused(rt: Runtime) -> None:
    ask: Callable[..., Any] = reports.used
    for groups, first, last, code in (
        (("tag", "country"), 1, 1, "invalid_value"),
        (("day",), 2, 1, "invalid_value"),
        (("day",), 1, 1 + usage.MOST_DAYS, "report_too_large"),
    ):
        with pytest.raises(Refused) as caught:
            await ask(rt, 1, groups, first, last, limit=5)
        assert caught.value.code == code


async def test_news_that_wait_for_long_are_an_alarm(rt: Runtime, funded: Town) -> None:
    assert (await reports.lag_s(rt), await reports.late(rt)) == (0.0, None)
    funded.ago = 90_000
    await some_news(funded, 1)
    assert 89 < await reports.lag_s(rt) < 100
    assert "not added up" in str(await reports.late(rt))
