"""What stands at the two ends of a connection in these tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from chappe.smpp import Pdu, status
from chappe.smpp.aio import Bind, Connection, Handler, Server, SessionSettings, Verdict, connect, serve
from chappe.smpp.session import Unanswered
from tests.support.eventually import PATIENCE_S


class Ear:
    """A handler that writes down what it hears; `answer` decides about requests."""

    def __init__(self, answer: Callable[[Connection, Pdu], None] | None = None) -> None:
        self.answer = answer or (lambda conn, pdu: conn.respond(pdu, fields={"message_id": str(pdu.sequence_number)}))
        self.requests: list[Pdu] = []
        self.raws: list[bytes] = []
        self.responses: list[tuple[Any, Pdu, Pdu, bytes, bytes]] = []
        self.timeouts: list[tuple[Any, Pdu, bytes]] = []
        self.lost: list[tuple[str, list[Unanswered]]] = []
        self.rooms = 0
        self.conn: Connection | None = None

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        self.conn = conn
        self.requests.append(pdu)
        self.raws.append(raw)
        if "message_id" in pdu.fields or "short_message" in pdu.fields or pdu.name == "data_sm":
            self.answer(conn, pdu)

    def on_response(
        self, conn: Connection, context: Any, request: Pdu, response: Pdu, request_raw: bytes, response_raw: bytes
    ) -> None:
        self.responses.append((context, request, response, request_raw, response_raw))

    def on_timeout(self, conn: Connection, context: Any, request: Pdu, request_raw: bytes) -> None:
        self.timeouts.append((context, request, request_raw))

    def on_lost(self, conn: Connection, reason: str, unanswered: list[Unanswered]) -> None:
        self.lost.append((reason, unanswered))

    def on_room(self, conn: Connection) -> None:
        self.rooms += 1


async def until(condition: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Waits until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


class Pair:
    """A server on loopback and what connects to it. `authenticate` may be replaced."""

    def __init__(self) -> None:
        self.settings = SessionSettings()
        self.ears: dict[str, Ear] = {}
        self.customers: dict[str, Connection] = {}
        self.server: Server | None = None
        self.mine: list[Connection] = []

    async def authenticate(self, conn: Connection, bind: Pdu) -> Verdict:
        system_id = bind.fields["system_id"]
        if bind.fields["password"] != "secret":
            await asyncio.sleep(0.05)
            return Verdict(status.ESME_RINVPASWD)
        self.customers[system_id] = conn
        return Verdict(0, "mc", self.ears.setdefault(system_id, Ear()))

    async def serve(self, settings: SessionSettings | None = None, **options: Any) -> Server:
        authenticate: Callable[[Connection, Pdu], Awaitable[Verdict]] = lambda conn, bind: self.authenticate(conn, bind)  # noqa: E731
        self.server = await serve("127.0.0.1", 0, authenticate, None, settings or self.settings, **options)
        return self.server

    async def connect(
        self, handler: Handler, settings: SessionSettings | None = None, bind: Bind | None = None, **options: Any
    ) -> Connection:
        if self.server is None:
            await self.serve()
        assert self.server is not None
        bind = bind or Bind("transceiver", "acme", "secret")
        conn = await connect("127.0.0.1", self.server.port, bind, handler, settings or self.settings, **options)
        self.mine.append(conn)
        return conn
