"""Webhooks at work on a real store, and customers' servers on loopback that do what the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web

from chappe import accounts, webhooks
from chappe.clock import Clock
from chappe.events import Event, MessageUpdated
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.storage import core
from chappe.webhooks import Delivery, Webhooks
from chappe.webhooks.store import ROOM, webhook_deliveries
from tests.support.eventually import PATIENCE_S

HOUR = 3_600
DAY = 24 * HOUR


class MovableClock(Clock):
    """The real time, and what the test adds to it."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> int:
        return super().now() + round(self.ahead_s * 1000)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@dataclass
class Request:
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told


Answer = Callable[[Request], web.Response | Awaitable[web.Response]]


@dataclass
class Customer:
    """A customer's server: keeps what it is sent and answers as `answer` says."""

    url: str = ""
    answer: Answer = lambda _: web.Response(text="ok")
    requests: list[Request] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)

    async def handle(self, request: web.Request) -> web.Response:
        kept = Request({name.lower(): value for name, value in request.headers.items()}, await request.read())
        self.requests.append(kept)
        self.connections.add(request.transport)
        answer = self.answer(kept)
        return answer if isinstance(answer, web.Response) else await answer

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]


class World:
    """A process that emits and sends, with the account `acme`."""

    def __init__(self, rt: Runtime, clock: MovableClock, sender: Webhooks) -> None:
        self.rt = rt
        self.clock = clock
        self.sender = sender
        self.account_id = 0
        self.other_id = 0
        self._runners: list[web.AppRunner] = []

    async def customer(self, answer: Answer | None = None) -> Customer:
        customer = Customer()
        if answer is not None:
            customer.answer = answer
        app = web.Application()
        app.router.add_post("/{tail:.*}", customer.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._runners.append(runner)
        customer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        return customer

    async def endpoint(self, url: str, **fields: Any) -> tuple[webhooks.Endpoint, str]:
        return await webhooks.create_endpoint(self.rt, "test", self.account_id, url=url, **fields)

    async def emit(self, *events: Event) -> None:
        await self.rt.events.write(tell=events)

    async def deliver(self, message_id: int = 1, **fields: Any) -> None:
        """The news that a message was delivered."""
        await self.emit(self.news(message_id, **fields))

    def news(self, message_id: int = 1, **fields: Any) -> MessageUpdated:
        now = self.clock.now()
        values: dict[str, Any] = {
            "account_id": self.account_id,
            "state": "delivered",
            "sequence": 7,
            "to": "+33612345678",
            "sender": "Acme",
            "text": "Bonjour",
            "created_at": now - 2_000,
            "occurred_at": now,
        }
        return MessageUpdated(message_id=message_id, **(values | fields))

    async def log(self, account_id: int | None = None, **filters: Any) -> list[Delivery]:
        return await webhooks.deliveries(self.rt, account_id or self.account_id, **filters)

    async def last(self) -> Delivery:
        return (await self.log())[0]

    async def tried(self, tries: int) -> Delivery:
        """The latest delivery, once it has been tried so often."""

        async def so_often() -> bool:
            return [row.tries for row in await self.log(limit=1)] == [tries]

        await until(so_often)
        return await self.last()

    def later(self, seconds: float) -> None:
        """Let time go by, and the sender notice."""
        self.clock.ahead_s += seconds
        self.rt.store.poke(ROOM)

    async def leased(self) -> int:
        """How many deliveries some sender has in hand, or had when it died."""
        statement, params = core(sa.select(sa.func.count()).where(webhook_deliveries.c.lease_until > 0))
        return int((await self.rt.store.scan(statement(params)))[0][0])

    async def settled(self) -> None:
        """Until every delivery is in the log with its end."""
        await until(lambda: self._no_pending())

    async def _no_pending(self) -> bool:
        rows = await self.log()
        return bool(rows) and all(row.state.word != "pending" for row in rows)

    async def close(self) -> None:
        await self.sender.stop()
        for runner in self._runners:
            await runner.cleanup()
        await self.rt.close()


async def until(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> None:
    """Wait until the condition (a function, or a coroutine function) holds; fails after so many seconds."""
    async with asyncio.timeout(seconds):
        while True:
            met = condition()
            if await met if asyncio.iscoroutine(met) else met:
                return
            await asyncio.sleep(0.01)


async def open_world(url: str, folder: Path, *, allow_private: bool = True, sending: bool = True) -> World:
    """A process on a store that has its tables."""
    clock = MovableClock()
    settings = Settings(data_dir=folder, database=url, secret_key="test")
    settings.webhooks.allow_private = allow_private
    settings.webhooks.timeout_s = 2
    rt = await open_runtime(settings, clock=clock)
    await accounts.start(rt)
    world = World(rt, clock, await webhooks.start(rt))
    await rt.events.start(rt)
    await rt.jobs.start(rt)
    if sending:
        world.sender.start()
    return world


async def populated(url: str, folder: Path, **how: Any) -> World:
    world = await open_world(url, folder, **how)
    world.account_id = (await accounts.create_account(world.rt, "test", slug="acme", name="Acme")).id
    world.other_id = (await accounts.create_account(world.rt, "test", slug="other", name="Other")).id
    return world


@pytest.fixture
async def world(store_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """On either engine; private addresses are allowed, for customers' servers live on loopback."""
    world = await populated(store_url, tmp_path)
    yield world
    await world.close()


@pytest.fixture
async def lite(sqlite_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """The same on SQLite alone, for what no engine can make a difference to."""
    world = await populated(sqlite_url, tmp_path)
    yield world
    await world.close()


@pytest.fixture
async def strict(sqlite_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """On SQLite, with private addresses refused."""
    world = await populated(sqlite_url, tmp_path, allow_private=False)
    yield world
    await world.close()
