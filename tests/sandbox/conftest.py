"""One sandbox operator as a process for all tests of the room, and customers who bind to it."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chappe.smpp import Pdu, SessionSettings, commands, receipt
from chappe.smpp.aio import Bind, BindType, Connection, connect
from tests.support.eventually import PATIENCE_S

FAST = """
receipt_delay_s = 0.03
late_receipt_s = 0.4
reply_delay_s = 0.02
max_validity_s = 0.4
resend_after_s = 0.1
"""
_names = itertools.count(1)


class Operator:
    """A sandbox process and its control API."""

    def __init__(self, process: subprocess.Popen[bytes], ready: dict[str, Any]) -> None:
        self.process = process
        self.host: str = ready["host"]
        self.port: int = ready["port"]
        self.url: str = ready["control"]

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        data = body if isinstance(body, str) else json.dumps(body)
        async with aiohttp.ClientSession() as session, session.post(self.url + path, data=data) as response:
            assert response.status == status, await response.text()
            return await response.json()


def start(folder: Path, *options: str) -> Operator:
    """Starts a process and waits until it listens."""
    ready = folder / "ready.json"
    arguments = ("--port", "0", "--control-port", "0", "--ready-file", str(ready), "--quiet", "--die-with-parent")
    process = subprocess.Popen([sys.executable, "-m", "chappe.sandbox", *arguments, *options])
    deadline = time.monotonic() + 20
    while not ready.exists():
        assert process.poll() is None, f"the sandbox ended with {process.returncode}"
        assert time.monotonic() < deadline, "the sandbox does not get ready"
        time.sleep(0.01)
    return Operator(process, json.loads(ready.read_text()))


def stop(operator: Operator) -> int:
    operator.process.terminate()
    try:
        return operator.process.wait(10)
    finally:
        operator.process.kill()
        operator.process.wait()


@pytest.fixture(scope="package")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    operator = start(tmp_path_factory.mktemp("sandbox"))
    yield operator
    assert stop(operator) == 0


@pytest.fixture
async def operator(process: Operator) -> Operator:
    """The running operator in a good mood."""
    await process.post("/scenario", FAST)
    return process


class Customer:
    """A customer's side of the binds of one system_id: remembers all it hears."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.system_id = f"customer{next(_names)}"
        self.binds: list[Connection] = []
        self.deliveries: list[Pdu] = []
        self.order: list[str] = []  # "response" and "delivery" as they came
        self.lost: list[list[Any]] = []
        self.acknowledge: Callable[[Pdu], int | None] = lambda pdu: 0  # None: no answer
        self._answers: dict[int, asyncio.Future[Pdu | None]] = {}
        self._news = asyncio.Event()

    async def bind(self, type: BindType = "transceiver", password: str = "secret", version: int = 0x34) -> Connection:
        bind = Bind(type, self.system_id, password, interface_version=version)
        settings = SessionSettings(window=1000, response_timeout_s=30)
        conn = await connect(self.operator.host, self.operator.port, bind, self, settings)
        self.binds.append(conn)
        return conn

    def send(self, to: str, text: bytes = b"Hello", **fields: Any) -> asyncio.Future[Pdu | None]:
        """Submits; the future holds the response, or None when the connection is lost."""
        tlvs = fields.pop("tlvs", [])
        pdu = Pdu(commands.SUBMIT_SM, fields=message(to, text) | fields, tlvs=tlvs)
        return self.request(pdu)

    def request(self, pdu: Pdu) -> asyncio.Future[Pdu | None]:
        answer: asyncio.Future[Pdu | None] = asyncio.get_running_loop().create_future()
        conn = next(conn for conn in self.binds if conn.bound and conn.can_send)
        conn.request(pdu, answer)
        return answer

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        self.deliveries.append(pdu)
        self.order.append("delivery")
        self._news.set()
        code = self.acknowledge(pdu)
        if code is not None:
            conn.respond(pdu, code)

    def on_response(
        self, conn: Connection, context: Any, request: Pdu, response: Pdu, request_raw: bytes, response_raw: bytes
    ) -> None:
        self.order.append("response")
        context.set_result(response)

    def on_timeout(self, conn: Connection, context: Any, request: Pdu, request_raw: bytes) -> None:
        context.set_exception(TimeoutError())

    def on_lost(self, conn: Connection, reason: str, unanswered: list[Any]) -> None:
        self.lost.append(unanswered)
        for context, _, _ in unanswered:
            if not context.done():
                context.set_result(None)
        self._news.set()

    def on_room(self, conn: Connection) -> None: ...

    @property
    def receipts(self) -> list[receipt.Receipt]:
        return [found for pdu in self.deliveries if (found := receipt.from_pdu(pdu)) is not None]

    @property
    def messages(self) -> list[Pdu]:
        """What came from phones."""
        return [pdu for pdu in self.deliveries if receipt.from_pdu(pdu) is None]

    async def until(self, done: Callable[[], object], seconds: float = PATIENCE_S) -> None:
        """Waits until something that was heard makes it true."""
        async with asyncio.timeout(seconds):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def leave(self) -> None:
        for conn in self.binds:
            conn.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(20):
                    await conn.wait_closed()


def message(to: str, text: bytes) -> dict[str, Any]:
    return {
        "source_addr_ton": 5,
        "source_addr": "Acme",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": to,
        "registered_delivery": 1,
        "short_message": text,
    }


@pytest.fixture
async def stranger(operator: Operator) -> AsyncIterator[Customer]:
    """A customer who has not bound yet."""
    customer = Customer(operator)
    yield customer
    await customer.leave()


@pytest.fixture
async def customer(stranger: Customer) -> Customer:
    """A customer with one transceiver."""
    await stranger.bind()
    return stranger
