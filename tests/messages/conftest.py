"""A pipeline on a real store with a supplier whose every word the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from chappe import accounts, connectors, routing, senders
from chappe.channels import Connector, Inbound, Link, LinkStatus, Outcome, Outgoing, Receipt, SendError, Sink
from chappe.clock import Clock
from chappe.events import InboundReceived, MessageUpdated
from chappe.messages import Accepted, Pipeline, Submission, open_rooms
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from tests.support.eventually import PATIENCE_S


class ScriptedLink:
    """A link that keeps what it is sent until the test answers."""

    def __init__(self, connector: Connector, sink: Sink) -> None:
        self.connector_id = connector.id
        self.sink = sink
        self.window = 10
        self.taken: list[Outgoing] = []
        self.answered = 0
        self.serial = 0
        sink.status(connector.id, LinkStatus(state="up"))

    def room(self, held: int = 0) -> int:
        return self.window - (len(self.taken) - self.answered) - held

    def send(self, parts: Sequence[Outgoing]) -> int:
        taken = list(parts[: max(0, self.room())])
        self.taken += taken
        return len(taken)

    def status(self) -> LinkStatus:
        return LinkStatus(state="up")

    async def stop(self, grace_s: float = 5.0) -> None:
        return None

    def answer(self, part: Outgoing, *, id: str | None = None, error: SendError | None = None) -> str:
        """Accept a part (the id is told) or refuse it."""
        self.serial += 1
        self.answered += 1
        provider_id = "" if error else id or f"{self.connector_id % 1000}-{self.serial}"
        self.sink.outcome(
            Outcome(part, self.connector_id, provider_id, provider_id, error, part_time(part), part_time(part))
        )
        self.sink.room(self.connector_id)
        return provider_id

    async def receipt(self, provider_id: str, state: str = "delivered", **fields: Any) -> bool:
        """Deliver a receipt; whether it was acknowledged."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        values: dict[str, Any] = {
            "destination": "",
            "received_at": NOW(),
            "final": state not in ("enroute", "accepted", "unknown"),
            "raw": b"",
        } | fields
        receipt = Receipt(self.connector_id, provider_id, provider_id, state, **values)  # type: ignore[arg-type]
        self.sink.receipt(receipt, done.set_result)
        return await done

    async def inbound(self, source: str, destination: str, text: str | None, **fields: Any) -> bool:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        payload = (text or "").encode()
        values: dict[str, Any] = {"payload": payload, "raw": b"raw"} | fields
        inbound = Inbound(self.connector_id, source, destination, NOW(), text, **values)
        self.sink.inbound(inbound, done.set_result)
        return await done


def NOW() -> int:
    import time

    return time.time_ns() // 1_000_000


def part_time(_part: Outgoing) -> int:
    return NOW()


class World:
    """A pipeline with one account (`acme`, sender Acme, number 33644600001) and connectors by name."""

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self.links: dict[str, ScriptedLink] = {}
        self.heard: list[MessageUpdated | InboundReceived] = []
        self.account_id = 0
        self.pipeline: Pipeline = None  # type: ignore[assignment]

    def open_link(self, connector: Connector, sink: Sink, _slots: object) -> Link:
        self.links[connector.name] = link = ScriptedLink(connector, sink)
        return link

    async def start(self) -> None:
        self.pipeline = Pipeline(self.rt, self.open_link, alone=True)
        await self.pipeline.start()

    async def restart(self) -> None:
        """As after kill -9: nothing is stopped in order, another incarnation takes over."""
        for task in list(self.pipeline._tasks):
            task.cancel()
        for desk in self.pipeline.dispatcher.desks.values():
            assert desk._task is not None
            desk._task.cancel()
        self.rt.node._token = f"{int(self.rt.node._token, 16) ^ 0xFFFF:016x}"
        await self.start()

    @property
    def link(self) -> ScriptedLink:
        return self.links["main"]

    async def send(self, **fields: Any) -> Accepted:
        [result] = await self.pipeline.accept([self.submission(**fields)])
        assert isinstance(result, Accepted), result
        return result

    def submission(self, **fields: Any) -> Submission:
        return Submission(**({"account_id": self.account_id, "to": "+33612345678", "text": "Bonjour"} | fields))

    async def state(self, message_id: int) -> str:
        from chappe.messages import get

        return (await get(self.rt, None, message_id)).state.word

    async def settle(self) -> None:
        """Until answers and receipts are stored."""
        for _ in range(3):
            await asyncio.sleep(0)
            await self.pipeline.recorder.drain()
            await self.pipeline.inbox.drain()

    async def until(self, condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
        async with asyncio.timeout(seconds):
            while not (value := condition()):
                await asyncio.sleep(0.01)
        return value

    async def parts(self, count: int, name: str = "main") -> list[Outgoing]:
        """The parts on the wire so far, once there are `count`."""
        await self.until(lambda: len(self.links[name].taken) >= count)
        return self.links[name].taken

    async def becomes(self, message_id: int, state: str, seconds: float = PATIENCE_S) -> None:
        async with asyncio.timeout(seconds):
            while await self.state(message_id) != state:
                await asyncio.sleep(0.01)

    def states(self, message_id: int) -> list[str]:
        """The states that others heard of."""
        return [e.state for e in self.heard if isinstance(e, MessageUpdated) and e.message_id == message_id]


async def make_world(url: str, data_dir: Path, *, clock: Clock | None = None) -> World:
    rt = await open_runtime(Settings(data_dir=data_dir, database=url, secret_key="test"), clock=clock)
    world = World(rt)

    async def hear(_rt: Runtime, events: list[Any]) -> list[Any]:
        world.heard += events
        return []

    rt.events.on(MessageUpdated, "test.messages", hear)
    rt.events.on(InboundReceived, "test.inbound", hear)
    await open_rooms(rt)
    account = await accounts.create_account(rt, "test", slug="acme", name="Acme", default_sender="Acme")
    world.account_id = account.id
    await senders.create_sender(rt, "test", account.id, address="Acme")
    await senders.create_sender(rt, "test", account.id, address="33644600001", inbound=True)
    made = {}
    for name in ("main", "spare"):
        made[name] = await connectors.create_connector(
            rt, "test", name=name, settings={"host": "127.0.0.1"}, credentials={"system_id": "a", "password": "b"}
        )
    await routing.create_route(
        rt,
        "test",
        connectors.book(rt).get,
        name="all",
        connector_id=made["main"].id,
        fallback_connector_ids=(made["spare"].id,),
    )
    await rt.events.start(rt)
    await world.start()
    return world


@pytest.fixture
async def world(store_url: str, tmp_path: Path) -> AsyncIterator[World]:
    world = await make_world(store_url, tmp_path)
    yield world
    await world.pipeline.stop()
    await world.rt.close()
