"""What processes on one store share: node numbers and copies of the configuration."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chappe.ids import NODES
from chappe.nodes import NoNodeLeft
from chappe.runtime import open_runtime
from chappe.settings import Settings
from chappe.snapshots import Snapshot, bump
from chappe.storage import Store, Unavailable, sql
from tests.conformance.conftest import Node
from tests.conformance.tables import ADD_NUMBERS, SET_NUMBER, numbers
from tests.support.eventually import eventually

TAKE_ALL = sql(
    "insert into nodes (node, name, token, lease_until, started_at) "
    "with recursive n(x) as (select 0 union all select x + 1 from n where x < 255) "
    "select x, 'other', 'token', db_now() + 60000, 0 from n where true on conflict (node) do nothing"
)
EXPIRE = sql("update nodes set lease_until = 0 where node = :node::integer")
HELD = sql("select node, name from nodes where lease_until > db_now()")


async def test_each_process_has_a_number_of_its_own_and_ids_carry_it(open_node: Node) -> None:
    nodes = await asyncio.gather(*(open_node() for _ in range(5)))
    assert len({rt.node.number for rt in nodes}) == 5
    for rt in nodes:
        assert rt.ids.next() >> 13 & 0xFF == rt.node.number


async def test_a_number_is_given_back_at_the_end(open_node: Node, store: Store) -> None:
    rt = await open_node()
    assert [tuple(row) for row in await store.read(HELD())] == [(rt.node.number, rt.node.name)]
    await rt.close()
    await rt.close()  # again is no harm
    assert await store.read(HELD()) == []


async def test_the_number_of_a_dead_process_is_free_after_its_lease(open_node: Node, store: Store) -> None:
    await store.write(TAKE_ALL())
    with pytest.raises(NoNodeLeft):
        await open_node()
    await store.write(EXPIRE({"node": 77}))
    assert (await open_node()).node.number == 77


async def test_a_process_that_lost_its_number_moves_to_another(
    open_node: Node, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chappe.nodes.lease.RENEW_S", 0.05)
    rt = await open_node()
    lost = rt.node.number
    await store.write(TAKE_ALL(), sql("update nodes set token = 'thief'")(), EXPIRE({"node": (lost + 1) % NODES}))
    await eventually(lambda: rt.node.number == (lost + 1) % NODES)
    assert rt.ids.next() >> 13 & 0xFF == rt.node.number


async def test_a_store_without_tables_does_not_open(empty_store_url: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="nodes"):
        await open_runtime(Settings(data_dir=tmp_path, database=empty_store_url))


async def load_sum(store: Store) -> int:
    return sum(number for _, number in await numbers(store))


async def test_a_snapshot_follows_its_tables_on_every_node(open_node: Node) -> None:
    first, second = await open_node(), await open_node()
    await first.store.write(ADD_NUMBERS([(1, 10)]), bump("sum"))
    mine, theirs = Snapshot("sum", load_sum), Snapshot("sum", load_sum)
    await first.snapshots.add(mine)
    await second.snapshots.add(theirs)
    assert (mine.value, theirs.value) == (10, 10)
    heard: list[int] = []
    theirs.on_change(heard.append)
    await first.store.write(SET_NUMBER([(1, 11)]), bump("sum"))
    assert await mine.refresh(first.store) == 11
    await eventually(lambda: theirs.value == 11)
    assert heard == [11]


async def test_a_snapshot_whose_load_fails_is_tried_again(open_node: Node) -> None:
    rt = await open_node()
    broken = False

    async def load(store: Store) -> int:
        if broken:
            raise ValueError("no")
        return await load_sum(store)

    snapshot = await rt.snapshots.add(Snapshot("sum", load))
    broken = True
    await rt.store.write(ADD_NUMBERS([(1, 10)]), bump("sum"))
    await asyncio.sleep(0.7)
    assert snapshot.value == 0
    broken = False
    await eventually(lambda: snapshot.value == 10)


async def test_the_load_that_begins_last_wins(store: Store) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    loads = iter([(gates[0], 1), (gates[1], 2)])

    async def load(_store: Store) -> int:
        gate, value = next(loads)
        await gate.wait()
        return value

    snapshot = Snapshot("x", load)
    both = [asyncio.create_task(snapshot.refresh(store)) for _ in range(2)]
    await asyncio.sleep(0)
    gates[1].set()
    await asyncio.sleep(0.01)
    gates[0].set()
    await asyncio.gather(*both)
    assert snapshot.value == 2


async def test_the_store_is_away_when_closed(open_node: Node) -> None:
    rt = await open_node()
    await rt.close()
    with pytest.raises(Unavailable):
        await rt.store.write(ADD_NUMBERS([(1, 1)]))
