"""The lease of a node: what it holds is its own until the deadline, and another's only after the burial."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from chappe import nodes
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.storage import Unavailable, sql
from tests.support.eventually import eventually
from tests.support.postgres import Postgres

ROLES = ("api", "dispatch")
LATE = sql("update nodes set lease_until = db_now() - 1 where incarnation = :incarnation")
ROWS = sql("select token, incarnation from nodes where node = :node")

Open = Callable[..., Awaitable[Runtime]]


@pytest.fixture
async def open_node(postgres_url: str, tmp_path: Path) -> AsyncIterator[Open]:
    """Serving nodes on one PostgreSQL."""
    opened: list[Runtime] = []

    async def one(roles: tuple[str, ...] = ROLES, url: str = postgres_url) -> Runtime:
        rt = await open_runtime(Settings(data_dir=tmp_path, database=url, secret_key="test"), roles=roles)
        opened.append(rt)
        return rt

    yield one
    for rt in opened:
        await rt.close()


class Watch:
    """What a node tells of its lease."""

    def __init__(self, rt: Runtime) -> None:
        self.heard: list[str] = []
        rt.node.watch(lambda: self.heard.append("lost"), lambda anew: self.heard.append("anew" if anew else "back"))


def quick(patch: pytest.MonkeyPatch, lease_s: float = 2.0) -> None:
    patch.setattr("chappe.nodes.lease.LEASE_S", lease_s)
    patch.setattr("chappe.nodes.lease.RENEW_S", 0.2)
    patch.setattr("chappe.nodes.lease.MARGIN_S", lease_s / 4)


def sleep_on(rt: Runtime) -> None:
    """The process renews nothing any more, as if it were stopped."""
    rt._tasks[0].cancel()


async def known(rt: Runtime, other: Runtime) -> bool:
    return any(node.incarnation == other.node.incarnation for node in await nodes.listing(rt.store))


async def test_a_node_tells_of_itself(open_node: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    rt = await open_node()
    await open_node(roles=())  # a command
    counted = {"sent": 0}
    rt.node.counters, rt.node.gauges = lambda: counted, lambda: {"binds": 3}

    async def told() -> bool:
        counted["sent"] += 10
        return bool((await nodes.listing(rt.store))[0].stats.get("sent_per_s"))

    await eventually(told)
    first, second = await nodes.listing(rt.store)
    assert (first.name, first.roles, first.incarnation) == (rt.node.name, ROLES, rt.node.incarnation)
    assert first.version and first.started_at > 1_700_000_000_000 and not first.late
    assert first.stats["binds"] == 3 and first.stats["rss_mib"] > 10 and first.stats["cpu_s"] > 0
    assert first.stats["loop_lag_ms"] >= 0 and 0 < first.stats["lease_age_s"] < 5
    assert (second.roles, second.stats) == ((), {})


async def test_the_deadline_of_a_node_lies_before_the_end_of_its_lease(
    open_node: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, 1.0)
    rt, other = await open_node(), await open_node()
    watch = Watch(rt)
    sleep_on(rt)
    await eventually(lambda: watch.heard == ["lost"])
    assert not rt.node.holds()
    [node] = [n for n in await nodes.listing(other.store) if n.incarnation == rt.node.incarnation]
    assert node.lease_left_ms > 0, "others may take its things only later"


async def test_who_is_late_goes_on_as_before_if_nobody_has_buried_it(open_node: Open) -> None:
    rt = await open_node()
    watch, before = Watch(rt), rt.node.incarnation
    await rt.store.write(LATE({"incarnation": before}))
    rt.node._until = 0.0
    rt.node._expire()
    assert watch.heard == ["lost"] and not rt.node.holds()
    await rt.node._renew()
    assert watch.heard == ["lost", "back"]
    assert rt.node.holds() and rt.node.incarnation == before


async def test_who_was_buried_begins_anew_under_another_number(open_node: Open) -> None:
    rt, other = await open_node(), await open_node()
    watch, before, number = Watch(rt), rt.node.incarnation, rt.node.number
    await rt.store.write(LATE({"incarnation": before}))
    await other.node._bury()
    assert not await known(other, rt)
    assert [tuple(row) for row in await other.store.read(ROWS({"node": number}))] == [("", 0)], "its number rests"
    await rt.node._renew()
    assert watch.heard == ["lost", "anew"]
    assert rt.node.incarnation != before and rt.node.number != number and rt.node.holds()
    assert rt.ids.next() >> 13 & 0xFF == rt.node.number
    assert await known(other, rt)


async def test_a_dead_node_is_buried_and_the_others_hear_of_it(
    open_node: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, 1.0)
    dead, second, third = await open_node(), await open_node(), await open_node()
    woken = asyncio.Event()
    third.store.listen(nodes.TOPIC, woken.set)
    sleep_on(dead)

    async def gone() -> bool:
        return not await known(second, dead)

    await eventually(gone)
    await eventually(woken.is_set)
    assert await known(second, third) and await known(third, second)


async def test_after_an_outage_nobody_is_buried_before_it_could_come_back(open_node: Open) -> None:
    rt, other = await open_node(), await open_node()
    rt.node._steady_since = rt.node._renewed_at  # the store was away until now
    await rt.store.write(LATE({"incarnation": other.node.incarnation}))
    await rt.node._bury()
    assert await known(rt, other)
    rt.node._steady_since -= 6.0
    await rt.node._bury()
    assert not await known(rt, other)


async def test_a_store_that_stands_still_takes_the_lease_and_gives_it_back(
    open_node: Open, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, 1.0)
    monkeypatch.setattr("chappe.nodes.lease._PATIENCE_S", 0.5)
    both = [await open_node(), await open_node()]
    watches = [Watch(rt) for rt in both]
    incarnations = [rt.node.incarnation for rt in both]
    postgres_server.pause()
    try:
        await eventually(lambda: all(watch.heard == ["lost"] for watch in watches))
        await asyncio.sleep(0.5)
    finally:
        postgres_server.resume()
    await eventually(lambda: all(watch.heard == ["lost", "back"] for watch in watches))
    assert [rt.node.incarnation for rt in both] == incarnations, "nobody took the chance"


async def test_the_number_of_a_dead_process_rests_for_a_while(open_node: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chappe.nodes.lease.NODES", 2)
    first, second = await open_node(), await open_node()
    dead = first.node.number
    await second.store.write(LATE({"incarnation": first.node.incarnation}))
    sleep_on(first)
    with pytest.raises(nodes.NoNodeLeft):
        await open_node()
    await second.store.write(sql("update nodes set lease_until = db_now() - 61000 where node = :node")({"node": dead}))
    third = await open_node()
    assert third.node.number == dead


async def test_where_a_process_is_alone_a_slow_disk_costs_nothing(open_node: Open, sqlite_url: str) -> None:
    rt = await open_node(url=sqlite_url)
    watch = Watch(rt)
    await rt.store.write(LATE({"incarnation": rt.node.incarnation}))
    rt.node._until = 0.0
    rt.node._expire()
    assert rt.node.holds() and watch.heard == []


async def test_a_renewal_that_fails_is_tried_again(open_node: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    rt = await open_node()
    write, failures = rt.store.write, iter(range(2))

    async def failing(*ops: object, **more: object) -> object:
        if next(failures, None) is not None:
            raise Unavailable("away")
        return await write(*ops, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(rt.store, "write", failing)
    renewed = rt.node._renewed_at
    await eventually(lambda: rt.node._renewed_at > renewed)
    assert rt.node.holds()
