"""Leases of binds on a real PostgreSQL: held by one node at a time, by the life of that node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chappe import declared
from chappe.channels import Connector
from chappe.connectors import Leases, create_connector, delete_connector, update_connector
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.storage import sql

DIE = sql("update nodes set token = '', incarnation = 0 where incarnation = :incarnation")
LATE = sql("update nodes set lease_until = db_now() - 1 where incarnation = :incarnation")


class Node:
    """A node that dispatches, its hand on the leases, and nothing else."""

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self.leases = Leases(rt)

    @property
    def incarnation(self) -> int:
        return self.rt.node.incarnation

    async def look(self) -> Leases:
        await self.rt.snapshots.check()
        await self.leases.look()
        return self.leases

    async def take(self, *binds: tuple[int, int]) -> None:
        await self.look()
        await self.leases.take(binds)
        await self.look()

    async def round(self) -> None:
        """What a node does each second, as far as it concerns the rows."""
        await self.look()
        await self.take(*self.leases.for_us())


@pytest.fixture
async def members(postgres_url: str, tmp_path: Path) -> AsyncIterator[list[Node]]:
    """Three of them."""
    made = []
    for _ in range(3):
        rt = await open_runtime(
            Settings(data_dir=tmp_path, database=postgres_url, secret_key="test"), roles=("dispatch",)
        )
        await declared.start(rt)
        made.append(Node(rt))
    yield made
    for node in made:
        await node.rt.close()


async def connector(node: Node, name: str = "main", **settings: Any) -> Connector:
    credentials = {"system_id": "us", "password": "secret"}
    return await create_connector(
        node.rt, "test", name=name, settings={"host": "127.0.0.1", **settings}, credentials=credentials
    )


async def holders(node: Node, made: Connector) -> list[int]:
    return [slot.owner if slot.held else 0 for slot in (await node.look()).of(made.id)]


async def test_each_node_takes_its_share(members: list[Node]) -> None:
    made = await connector(members[0], binds=3)
    for node in members:
        await node.round()
    assert sorted(await holders(members[0], made)) == sorted(node.incarnation for node in members)
    assert [node.leases.mine()[made.id] for node in members if len(node.leases.mine()[made.id]) != 1] == []


async def test_a_slot_that_is_held_is_not_taken(members: list[Node]) -> None:
    one, two, _ = members
    made = await connector(one)
    await one.take((made.id, 0))
    await two.take((made.id, 0))
    assert await holders(two, made) == [one.incarnation]
    assert two.leases.of(made.id)[0].epoch == 1


async def test_what_a_late_node_holds_is_its_own_until_it_is_buried(members: list[Node]) -> None:
    one, two, _ = members
    made = await connector(one)
    await one.take((made.id, 0))
    await one.rt.store.write(LATE({"incarnation": one.incarnation}))
    await two.take((made.id, 0))
    assert await holders(two, made) == [one.incarnation]
    await two.rt.node._bury()
    assert two.leases.usable(made.id) and (await two.look()).free() == [(made.id, 0)]
    await two.take((made.id, 0))
    assert await holders(two, made) == [two.incarnation]
    assert two.leases.of(made.id)[0].epoch == 2


async def test_a_buried_node_takes_gives_and_tells_nothing(members: list[Node]) -> None:
    one, two, _ = members
    made = await connector(one, binds=2)
    await one.take((made.id, 0))
    await two.rt.store.write(DIE({"incarnation": one.incarnation}))
    await two.take((made.id, 0))
    await one.leases.take([(made.id, 1)])
    await one.leases.tell([((made.id, 0), "down", "late words", 1)])
    await one.leases.give_up([(made.id, 0)])
    assert await holders(two, made) == [two.incarnation, 0]
    assert [slot.state for slot in two.leases.of(made.id)] == ["starting", "free"]


async def test_a_slot_that_was_given_up_is_another_nodes_at_once(members: list[Node]) -> None:
    one, two, _ = members
    made = await connector(one)
    await one.take((made.id, 0))
    await one.leases.give_up([(made.id, 0)])
    await two.take((made.id, 0))
    assert await holders(one, made) == [two.incarnation]
    await one.leases.give_up([(made.id, 0)])
    assert await holders(one, made) == [two.incarnation], "it is not ours to give any more"


async def test_a_single_bind_stays_and_more_are_given_only_while_all_are_up(members: list[Node]) -> None:
    one, two, three = members
    single, double = await connector(one, "single"), await connector(one, "double", binds=2)
    binds = [(single.id, 0), (double.id, 0), (double.id, 1)]
    await one.take(*binds)
    assert one.leases.to_give(single) is None and one.leases.to_give(double) is None
    await one.leases.tell([(bind, "up", "", 5) for bind in binds])
    await one.look()
    assert one.leases.to_give(single) is None and one.leases.to_give(double) == 1
    await one.leases.tell([((double.id, 0), "down", "connection refused", 6)])
    assert (await one.look()).to_give(double) is None, "the other one would not carry on"
    for node in (two, three):
        await node.look()
        assert node.leases.to_give(double) is None


async def test_all_see_the_same_state_of_a_connector(members: list[Node]) -> None:
    one, two, three = members
    made = await connector(one, binds=2, bind_type="pair")
    assert (await three.look()).status(made).state == "starting"
    await one.take((made.id, 0))
    await two.take((made.id, 1))
    await one.leases.tell([((made.id, 0), "up", "", 1_000)])
    await two.leases.tell([((made.id, 1), "down", "connection refused", 2_000)])
    status = (await three.look()).status(made)
    assert (status.state, status.binds_up, status.binds_wanted, status.since) == ("degraded", 2, 4, 2_000)
    assert status.last_error == "connection refused" and not status.circuit_open
    assert [(bind["slot"], bind["node"], bind["state"]) for bind in status.binds] == [
        (0, one.rt.node.name, "up"),
        (1, two.rt.node.name, "down"),
    ]
    await one.leases.tell([((made.id, 0), "paused", "", 3_000)])
    assert (await three.look()).status(made).circuit_open


async def test_a_connector_is_usable_where_any_node_can_send_by_it(members: list[Node]) -> None:
    one, two, three = members
    made = await connector(one, binds=2)
    assert (await three.look()).usable(made.id), "it is new: somebody will take it"
    await one.take((made.id, 0))
    await two.take((made.id, 1))
    await two.leases.tell([((made.id, 1), "up", "", 1)])
    await one.leases.tell([((made.id, 0), "refused", "bind refused", 1)])
    assert (await three.look()).usable(made.id)
    await two.leases.tell([((made.id, 1), "down", "connection refused", 2)])
    assert not (await three.look()).usable(made.id)
    now = three.rt.clock.now()
    assert three.leases.stranded(now + 1) == [made.id] and three.leases.stranded(now - 60_000) == []
    await two.leases.tell([((made.id, 1), "up", "", 3)])
    assert (await three.look()).usable(made.id) and three.leases.stranded(now + 60_000) == []


async def test_a_connector_that_nobody_takes_is_usable_for_a_while_only(
    members: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await connector(members[0])
    assert (await members[1].look()).usable(made.id)
    monkeypatch.setattr("chappe.connectors.leases._VACANT_MS", 0)
    assert not (await members[1].look()).usable(made.id)


async def test_rows_of_connectors_that_are_gone_are_forgotten_when_free(members: list[Node]) -> None:
    one, two, _ = members
    made, gone = await connector(one, binds=2), await connector(one, "gone")
    await one.take((made.id, 0), (made.id, 1), (gone.id, 0))
    await update_connector(one.rt, "test", made.id, settings={"binds": 1})
    await delete_connector(one.rt, "test", gone.id)
    await two.look()
    await two.leases.forget()
    assert {slot.bind for slot in (await two.look()).slots.values()} == {(made.id, 0), (made.id, 1), (gone.id, 0)}
    await one.leases.give_up([(made.id, 1), (gone.id, 0)])
    await two.look()
    await two.leases.forget()
    assert {slot.bind for slot in (await two.look()).slots.values()} == {(made.id, 0)}


async def test_a_slot_left_lying_is_anybodys(members: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    made = await connector(members[0])
    looked = [(await node.look()).for_us() for node in members]
    assert sorted(map(len, looked)) == [0, 0, 1]
    monkeypatch.setattr("chappe.connectors.leases._LEFT_S", -1.0)
    assert [(await node.look()).for_us() for node in members] == [[(made.id, 0)]] * 3


async def test_who_leaves_is_not_reckoned_with(members: list[Node]) -> None:
    one, two, three = members
    await one.rt.node.leave()
    made = await connector(two, binds=2)
    for node in members:
        await node.round()
    assert sorted(await holders(three, made)) == sorted([two.incarnation, three.incarnation])
