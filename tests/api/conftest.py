"""The API on a real server and a real store; suppliers answer as the test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chappe import accounts, api, connectors, privacy, routing, senders, webhooks
from chappe.accounts import ACCOUNT_SCOPES
from chappe.channels import Connector, Inbound, Link, LinkStatus, Outcome, Outgoing, Receipt, Sink
from chappe.messages import Pipeline, open_rooms
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Limits, Settings
from chappe.settings import Webhooks as WebhookSettings


def in_days(days: int, *, offset_hours: int = 0) -> str:
    """Nine o'clock on a day to come, as a customer of that time zone writes it."""
    zone = timezone(timedelta(hours=offset_hours))
    day = datetime.now(zone) + timedelta(days=days)
    return day.replace(hour=9, minute=0, second=0, microsecond=0).isoformat()


LATER = in_days(30)


class AnsweringLink:
    """A supplier that takes every part and delivers it, unless `silent`."""

    def __init__(self, connector: Connector, sink: Sink) -> None:
        self.connector_id = connector.id
        self.silent = False
        self.taken: list[Outgoing] = []
        self._sink = sink
        sink.status(connector.id, self.status())

    def room(self, held: int = 0) -> int:
        return 0 if self.silent else 1_000

    def send(self, parts: Sequence[Outgoing]) -> int:
        if self.silent:
            return 0
        for part in parts:
            self.taken.append(part)
            asyncio.get_running_loop().call_soon(self._answer, part, str(len(self.taken)))
        return len(parts)

    def status(self) -> LinkStatus:
        return LinkStatus(state="up", binds_up=1, binds_wanted=1, since=1_800_000_000_000)

    async def stop(self, grace_s: float = 5.0) -> None:
        return None

    def _answer(self, part: Outgoing, provider_id: str) -> None:
        now = time.time_ns() // 1_000_000
        self._sink.outcome(Outcome(part, self.connector_id, provider_id, provider_id, None, now, now))
        receipt = Receipt(self.connector_id, provider_id, provider_id, "delivered", True, part.destination, now)
        self._sink.receipt(receipt, lambda _stored: None)

    async def inbound(self, source: str, destination: str, text: str) -> None:
        """A phone writes."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        now = time.time_ns() // 1_000_000
        self._sink.inbound(Inbound(self.connector_id, source, destination, now, text, text.encode()), done.set_result)
        assert await done


class Client:
    """Calls the API with one key."""

    def __init__(self, session: aiohttp.ClientSession, base: str, key: str | None) -> None:
        self._session = session
        self._base = base
        self.key = key

    async def call(
        self, method: str, path: str, json: Any = None, *, headers: dict[str, str] | None = None, data: Any = None
    ) -> Reply:
        sent = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if data is not None:
            sent["Content-Type"] = "application/json"
        async with self._session.request(
            method, self._base + path, json=json, data=data, headers=sent | (headers or {})
        ) as answer:
            return Reply(answer.status, await answer.read(), dict(answer.headers))

    async def get(self, path: str, **more: Any) -> Reply:
        return await self.call("GET", path, **more)

    async def post(self, path: str, json: Any = None, **more: Any) -> Reply:
        return await self.call("POST", path, json, **more)

    async def patch(self, path: str, json: Any, **more: Any) -> Reply:
        return await self.call("PATCH", path, json, **more)

    async def delete(self, path: str, **more: Any) -> Reply:
        return await self.call("DELETE", path, **more)


class Reply:
    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers.items()}

    @property
    def json(self) -> Any:
        import msgspec

        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """Of the error, whose shape is checked on the way."""
        error = self.json["error"]
        names = {"type", "code", "message", "param", "action", "docs_url", "request_id", "details"}
        assert set(error) == names, error
        assert error["request_id"] == self.headers["x-request-id"]
        assert self.status >= 400
        return str(error["code"])

    @property
    def param(self) -> str | None:
        found: str | None = self.json["error"]["param"]
        return found


class World:
    """Two customers (`acme`, `rival`), the operator, a live connector `main` and a test connector `lab`."""

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self.links: dict[str, AnsweringLink] = {}
        self.reasons: list[str | None] = [None]
        self.account_ids: dict[str, int] = {}
        self.keys: dict[str, str] = {}

    async def start(self) -> None:
        rt = self.rt
        await open_rooms(rt)
        self.webhooks = await webhooks.start(rt)
        api.start(rt)
        self.pipeline = Pipeline(rt, self._open_link, alone=True)
        await privacy.start(rt, self.pipeline)
        await self._configure()
        await rt.events.start(rt)
        await rt.jobs.start(rt)
        await self.pipeline.start()
        self.webhooks.start()
        self.app = api.create_app(rt, self.pipeline, self.webhooks, checks={"smpp": lambda: self.reasons[0]})
        self.server = await api.serve(self.app, rt.settings.http)
        self.base = f"http://127.0.0.1:{self.server.port}"
        self._session = aiohttp.ClientSession()

    async def stop(self) -> None:
        await self._session.close()
        await self.server.stop()
        await self.webhooks.stop()
        await self.pipeline.stop()
        await self.rt.close()

    def client(self, key: str | None) -> Client:
        """By the name of a key: acme, acme_test, rival, operator; or a key itself; or none."""
        return Client(self._session, self.base, self.keys.get(key or "", key))

    @property
    def acme(self) -> Client:
        return self.client("acme")

    @property
    def operator(self) -> Client:
        return self.client("operator")

    async def key(self, scopes: Sequence[str], account: str = "acme", mode: Any = "live") -> Client:
        name = f"k{self.rt.ids.next()}"
        _, secret = await accounts.create_key(
            self.rt, "test", self.account_ids[account], name=name, scopes=scopes, mode=mode
        )
        return self.client(secret)

    def _open_link(self, connector: Connector, sink: Sink, _slots: object) -> Link:
        self.links[connector.name] = link = AnsweringLink(connector, sink)
        return link

    async def _configure(self) -> None:
        rt = self.rt
        for slug in ("acme", "rival", "house"):
            account = await accounts.create_account(
                rt, "test", slug=slug, name=slug.title(), default_sender=None if slug == "house" else slug.title()
            )
            self.account_ids[slug] = account.id
        for slug in ("acme", "rival"):
            await senders.create_sender(rt, "test", self.account_ids[slug], address=slug.title())
            for mode in ("live", "test"):
                _, secret = await accounts.create_key(
                    rt, "test", self.account_ids[slug], name=mode, mode=mode, scopes=ACCOUNT_SCOPES
                )
                self.keys[slug if mode == "live" else f"{slug}_test"] = secret
        await senders.create_sender(rt, "test", self.account_ids["acme"], address="33644600001", inbound=True)
        _, self.keys["operator"] = await accounts.create_key(
            rt, "test", self.account_ids["house"], name="root", scopes=("admin",)
        )
        for name, test in (("main", False), ("lab", True)):
            made = await connectors.create_connector(
                rt,
                "test",
                name=name,
                test=test,
                settings={"host": "127.0.0.1"},
                credentials={"system_id": "us", "password": "sesame"},
            )
            await routing.create_route(rt, "test", connectors.book(rt).get, name=name, connector_id=made.id, test=test)


async def open_world(url: str, data_dir: Path) -> World:
    settings = Settings(
        data_dir=data_dir,
        database=url,
        secret_key="test",
        limits=Limits(batch_size=1_000, body_bytes=256 * 1024),
        webhooks=WebhookSettings(allow_private=False),
    )
    settings.http.port = 0
    world = World(await open_runtime(settings))
    await world.start()
    return world


@pytest.fixture
async def world(sqlite_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """On the embedded store."""
    world = await open_world(sqlite_url, tmp_path)
    yield world
    await world.stop()


@pytest.fixture
async def both(store_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """On each of the stores."""
    world = await open_world(store_url, tmp_path)
    yield world
    await world.stop()
