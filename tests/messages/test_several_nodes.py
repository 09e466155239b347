"""Several nodes on one PostgreSQL: who holds which bind, and that nothing is lost or sent twice when one goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import pytest

from chappe import accounts, connectors, consent, routing, senders
from chappe.channels import Connector, Link, LinkStatus, Sink
from chappe.messages import Accepted, Pipeline, Submission, get, open_rooms, orphans, steps
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.storage import sql
from tests.messages.conftest import ScriptedLink
from tests.support.eventually import eventually

LATE = sql("update nodes set lease_until = db_now() - 1 where incarnation = :incarnation")
SENDING = sql("select message_id, owner from queue where state = 2")


class SlotLink(ScriptedLink):
    """Keeps what it is sent until the test answers; its binds are up at once, their comings and goings in `log`."""

    def __init__(self, connector: Connector, sink: Sink, slots: Collection[int], log: list[tuple[str, int]]) -> None:
        self.slots = set(slots)
        self.log = log
        self.log += [("up", slot) for slot in sorted(slots)]
        super().__init__(connector, sink)

    def room(self, held: int = 0) -> int:
        return super().room(held) if self.slots else 0

    def hold(self, slot: int) -> None:
        self.slots.add(slot)
        self.log.append(("up", slot))
        self.sink.status(self.connector_id, self.status())
        self.sink.room(self.connector_id)

    async def let_go(self, slot: int, grace_s: float = 5.0) -> None:
        self.slots.discard(slot)
        self.log.append(("down", slot))

    def drop(self) -> None:
        self.log += [("down", slot) for slot in self.slots]
        self.slots.clear()
        self.sink.status(self.connector_id, LinkStatus(state="down"))

    async def stop(self, grace_s: float = 5.0) -> None:
        self.log += [("down", slot) for slot in self.slots]
        self.slots.clear()

    def status(self) -> LinkStatus:
        binds: list[dict[str, object]] = [
            {"slot": slot, "type": "transceiver", "up": True, "since": 1, "last_error": ""} for slot in self.slots
        ]
        return LinkStatus(state="up", binds_up=len(binds), binds_wanted=len(binds), binds=binds)


class Node:
    """A process, as far as messages are concerned."""

    def __init__(self, rt: Runtime, city: City, roles: tuple[str, ...]) -> None:
        self.rt = rt
        self.city = city
        self.links: dict[str, SlotLink] = {}
        self.pipeline = Pipeline(rt, self._open, dispatch="dispatch" in roles)

    def _open(self, connector: Connector, sink: Sink, slots: Collection[int] | None) -> Link:
        assert slots is not None
        log = self.city.log.setdefault(connector.name, [])
        self.links[connector.name] = link = SlotLink(connector, sink, slots, log)
        return link

    def holds(self, name: str = "main") -> set[int]:
        desks = self.pipeline.dispatcher.desks.values()
        return next((set(desk.slots) for desk in desks if desk.connector.name == name), set())

    def taken(self, name: str = "main") -> list[Any]:
        return self.links[name].taken if name in self.links else []

    async def send(self, **fields: Any) -> int:
        wanted = {"account_id": self.city.account_id, "to": "+33612345678", "text": "Bonjour"} | fields
        [result] = await self.pipeline.accept([Submission(**wanted)])
        assert isinstance(result, Accepted), result
        return result.id

    def die(self) -> None:
        """As by kill -9: nothing is told to anybody, no task goes on."""
        self.city.nodes.remove(self)
        self.city.dead.append(self)
        pipeline = self.pipeline
        assert pipeline._binds is not None and pipeline._binds._loop is not None
        tasks = [*pipeline._tasks, pipeline._binds._loop, *self.rt._tasks]
        tasks += [desk._task for desk in pipeline.dispatcher.desks.values() if desk._task is not None]
        for task in tasks:
            task.cancel()
        for link in self.links.values():
            link.log += [("down", slot) for slot in link.slots]


class City:
    """Nodes on one database, with an account and a route by the connector `main`."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self.account_id = 0
        self.nodes: list[Node] = []
        self.dead: list[Node] = []
        self.log: dict[str, list[tuple[str, int]]] = {}

    async def open(self, *, roles: tuple[str, ...] = ("api", "dispatch")) -> Node:
        settings = Settings(data_dir=self._folder, database=self._url, secret_key="test")
        rt = await open_runtime(settings, roles=roles)
        await open_rooms(rt)
        node = Node(rt, self, roles)
        await node.pipeline.start()
        self.nodes.append(node)
        return node

    async def furnish(self, node: Node, **connectors_settings: Any) -> None:
        rt = node.rt
        account = await accounts.create_account(rt, "test", slug="acme", name="Acme", default_sender="Acme")
        self.account_id = account.id
        await senders.create_sender(rt, "test", account.id, address="Acme")
        made = await connectors.create_connector(
            rt,
            "test",
            name="main",
            settings={"host": "127.0.0.1", **connectors_settings},
            credentials={"system_id": "a", "password": "b"},
        )
        await routing.create_route(rt, "test", connectors.book(rt).get, name="all", connector_id=made.id)

    async def close(self) -> None:
        for node in self.nodes:
            await node.pipeline.stop()
            await node.rt.close()
        for node in self.dead:
            node.rt.node._until = 0
            await node.rt.close()

    def fewest_up(self, binds: int, name: str = "main") -> int:
        """The least number of binds that were up at a time, since all were."""
        up: set[int] = set()
        fewest: int | None = None
        for what, slot in self.log[name]:
            assert (slot in up) == (what == "down"), f"slot {slot} was held twice"
            (up.add if what == "up" else up.discard)(slot)
            if fewest is not None or len(up) == binds:
                fewest = min(len(up), binds if fewest is None else fewest)
        assert fewest is not None, "they were never all up"
        return fewest

    async def states(self, *ids: int) -> list[str]:
        return [(await get(self.nodes[0].rt, None, id)).state.word for id in ids]

    async def story(self, id: int) -> list[str]:
        return [step.kind for step in await steps(self.nodes[0].rt, id)]


@pytest.fixture
async def city(postgres_url: str, tmp_path: Path) -> AsyncIterator[City]:
    city = City(postgres_url, tmp_path)
    yield city
    await city.close()


async def two(city: City, **settings: Any) -> tuple[Node, Node]:
    """Two nodes that know the connector; all its binds are up."""
    one, other = await city.open(), await city.open()
    await city.furnish(one, **settings)
    for node in (one, other):
        await node.rt.snapshots.check()
    binds = settings.get("binds", 1)
    await eventually(lambda: len(one.holds()) + len(other.holds()) == binds)
    return one, other


async def answer_all(node: Node, name: str = "main") -> None:
    link = node.links[name]
    for part in link.taken[link.answered :]:
        link.answer(part)
    await node.pipeline.recorder.drain()


async def test_two_nodes_share_the_binds_and_each_sends_by_its_own(city: City) -> None:
    one, other = await two(city, binds=2)
    assert (len(one.holds()), len(other.holds())) == (1, 1)
    ids = [await one.send(), await other.send()]
    await eventually(lambda: len(one.taken()) + len(other.taken()) == 2)
    for node in (one, other):
        await answer_all(node)
    assert await city.states(*ids) == ["sent", "sent"]


async def test_what_a_node_without_the_bind_accepts_its_holder_sends(city: City) -> None:
    one, other = await two(city)
    holder, guest = (one, other) if one.holds() else (other, one)
    assert guest.pipeline.dispatcher.usable(next(iter(holder.pipeline.dispatcher.desks)))
    id = await guest.send()
    await eventually(lambda: [part.message_id for part in holder.taken()] == [id])
    assert guest.taken() == []


async def test_a_node_that_only_accepts_holds_nothing(city: City) -> None:
    door = await city.open(roles=("api",))
    await city.furnish(door)
    first = await door.send()
    worker = await city.open(roles=("dispatch",))
    second = await door.send()
    await eventually(lambda: [part.message_id for part in worker.taken()] == [first, second])
    assert door.links == {} and door.holds() == set()
    status = door.pipeline.link(worker.links["main"].connector_id)
    assert status is not None
    await eventually(lambda: door.pipeline.link(worker.links["main"].connector_id).state == "up")  # type: ignore[union-attr]


async def test_a_node_that_joins_gets_its_share_without_a_gap(city: City) -> None:
    one = await city.open()
    await city.furnish(one, binds=4)
    await eventually(lambda: len(one.holds()) == 4)
    other = await city.open()
    await eventually(lambda: len(one.holds()) == len(other.holds()) == 2)
    assert city.fewest_up(4) == 3


async def test_a_single_bind_stays_when_a_node_joins(city: City) -> None:
    one = await city.open()
    await city.furnish(one)
    await eventually(lambda: one.holds() == {0})
    await city.open()
    await asyncio.sleep(1.5)
    assert one.holds() == {0} and city.log["main"] == [("up", 0)]


async def test_a_planned_stop_hands_over_one_bind_after_another_and_the_queue_goes_on(city: City) -> None:
    one, other = await two(city, binds=4)
    one.links["main"].window = other.links["main"].window = 0  # nothing leaves yet
    ids = [await one.send() for _ in range(5)]
    other.links["main"].window = 10
    city.nodes.remove(one)
    await one.pipeline.stop()
    await one.rt.close()
    await eventually(lambda: other.holds() == {0, 1, 2, 3})
    assert city.fewest_up(4) == 3, "never more than one at a time"
    await eventually(lambda: len(other.taken()) == 5)
    await answer_all(other)
    assert await city.states(*ids) == ["sent"] * 5
    for id in ids:
        assert "in_doubt" not in await city.story(id)


async def test_changed_settings_open_all_binds_anew_where_they_are(city: City) -> None:
    one, other = await two(city, binds=2)
    before = [one.links["main"], other.links["main"]]
    await connectors.update_connector(one.rt, "test", before[0].connector_id, settings={"window": 33})
    await eventually(lambda: one.links["main"] is not before[0] and other.links["main"] is not before[1])
    assert (len(one.holds()), len(other.holds())) == (1, 1)
    await connectors.update_connector(one.rt, "test", before[0].connector_id, settings={"binds": 1})
    await eventually(lambda: len(one.holds()) + len(other.holds()) == 1)
    await connectors.update_connector(one.rt, "test", before[0].connector_id, status="stopped")
    await eventually(lambda: not one.holds() and not other.holds())


async def test_a_dead_nodes_binds_are_taken_and_each_of_its_messages_is_doubted_once(city: City) -> None:
    one = await city.open()
    await city.furnish(one, binds=2)
    await eventually(lambda: one.holds() == {0, 1})
    ids = [await one.send() for _ in range(6)]
    await eventually(lambda: len(one.taken()) == 6)
    one.die()
    second, third = await city.open(), await city.open()
    await second.rt.store.write(LATE({"incarnation": one.rt.node.incarnation}))
    await second.rt.node._bury()
    await asyncio.gather(orphans.adopt(second.pipeline), orphans.adopt(third.pipeline))
    await eventually(lambda: len(second.holds()) == len(third.holds()) == 1)
    await eventually(lambda: len(second.taken()) + len(third.taken()) == 6)
    for id in ids:
        assert (await city.story(id)).count("in_doubt") == 1, "two nodes looked, one found it"
    for node in (second, third):
        await answer_all(node)
    assert await city.states(*ids) == ["sent"] * 6
    assert sorted(part.message_id for node in (second, third) for part in node.taken()) == sorted(ids)


async def test_who_finds_an_orphan_and_dies_leaves_it_to_be_found_again(city: City) -> None:
    one, other = await two(city)
    holder, finder = (one, other) if one.holds() else (other, one)
    id = await holder.send()
    await eventually(lambda: holder.taken())
    gone, me = holder.rt.node.incarnation, finder.rt.node.incarnation
    holder.die()
    await finder.rt.store.write(LATE({"incarnation": gone}))
    await finder.rt.node._bury()
    finder.die()
    what = {"me": me, "turned": -me, "alone": 0, "claim": 7, "limit": 10}
    await finder.rt.store.write(orphans._ADOPT(what))
    assert [tuple(row) for row in await finder.rt.store.read(SENDING())] == [(id, -me)]
    third = await city.open()
    await third.rt.store.write(LATE({"incarnation": me}))
    await third.rt.node._bury()
    await orphans.adopt(third.pipeline)
    assert (await city.story(id)).count("in_doubt") == 1


async def test_a_node_whose_lease_has_ended_writes_nothing_and_goes_on_when_it_is_back(city: City) -> None:
    one, other = await two(city)
    node = one if one.holds() else other
    on_the_wire = await node.send(purpose="otp")
    await eventually(lambda: node.taken())
    link = node.links["main"]
    node.rt.node._until = 0.0
    node.rt.node._expire()
    assert link.slots == set()
    waiting = await node.send()
    link.sink.room(link.connector_id)
    link.answer(link.taken[0], error=_lost())
    await node.pipeline.recorder.drain()
    await asyncio.sleep(0.1)
    assert [part.message_id for part in link.taken] == [on_the_wire]
    assert "in_doubt" not in await city.story(on_the_wire), "it may be another's to say"
    await node.rt.node._renew()
    await eventually(lambda: len(link.taken) == 2)
    assert link.taken[1].message_id == waiting and link.slots == {0}
    await node.pipeline.recorder.drain()
    assert "in_doubt" in await city.story(on_the_wire)
    assert await city.states(on_the_wire) == ["sending"]


async def test_a_node_that_was_buried_says_nothing_of_what_others_have_found(city: City) -> None:
    one, other = await two(city)
    node, rest = (one, other) if one.holds() else (other, one)
    id = await node.send(purpose="otp")
    await eventually(lambda: node.taken())
    link, before = node.links["main"], node.rt.node.incarnation
    await rest.rt.store.write(LATE({"incarnation": before}))
    await rest.rt.node._bury()
    node.rt.node._until = 0.0
    node.rt.node._expire()
    link.answer(link.taken[0], error=_lost())
    await orphans.adopt(rest.pipeline)
    await eventually(lambda: rest.holds() == {0})
    await node.rt.node._renew()
    assert node.pipeline.owner == node.rt.node.incarnation != before
    await node.pipeline.recorder.drain()
    assert (await city.story(id)).count("in_doubt") == 1
    await eventually(lambda: node.holds() == set())
    later = await node.send()
    await eventually(lambda: [part.message_id for part in rest.taken()] == [later])


def _lost() -> Any:
    from chappe.channels import SendError, Verdict

    return SendError("in_doubt", Verdict.UNKNOWN, detail="connection lost")


async def test_a_refusal_on_one_node_holds_back_what_another_was_about_to_send(city: City) -> None:
    one, other = await two(city, binds=2)
    await eventually(lambda: "main" in other.links)
    link = other.links["main"]
    link.send = lambda parts: 0  # type: ignore[method-assign]  # the network is busy
    message = await other.send()
    desk = other.pipeline.dispatcher.desks[link.connector_id]
    await eventually(lambda: len(desk._unwritten) == 1)
    entry = consent.Entry(
        city.account_id,
        False,
        "withdrawn",
        "sms",
        "marketing",
        "api",
        one.rt.clock.now(),
        consent.Proof("+33612345678"),
    )
    recorded = consent.record(one.rt, [entry], [[consent.Forbidden(covers="all")]])
    await one.rt.events.write(*recorded.ops, tell=recorded.events, wake=(consent.TOPIC,))
    began = asyncio.get_running_loop().time()
    consent.announce(one.rt, recorded.stopped)
    await eventually(lambda: not desk._unwritten)
    assert asyncio.get_running_loop().time() - began < 1.0
    assert (await get(one.rt, None, message)).sent_at is None
