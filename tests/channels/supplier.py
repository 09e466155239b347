"""A supplier's SMPP server on loopback that does what a test says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from chappe.channels import Connector
from chappe.channels.settings import SmppCredentials, SmppSettings
from chappe.smpp import Pdu, commands, status
from chappe.smpp.aio import Connection, Server, SessionSettings, Verdict, serve
from chappe.smpp.session import Unanswered

PASSWORD = "s3cr3t!x"
Answer = Callable[[Connection, Pdu], None]


def accept(conn: Connection, pdu: Pdu) -> None:
    conn.respond(pdu, fields={"message_id": f"ID{pdu.sequence_number}"})


def silence(conn: Connection, pdu: Pdu) -> None:
    """The answer never comes."""


def refuse(code: int) -> Answer:
    return lambda conn, pdu: conn.respond(pdu, code)


class Supplier:
    """`answer` decides about submit_sm and data_sm; `bind_status` about binds."""

    secrets: tuple[str, ...] = (PASSWORD,)

    def __init__(self) -> None:
        self.answer: Answer = accept
        self.bind_status: Callable[[Pdu], int] = lambda bind: status.ESME_ROK
        self.binds: list[Pdu] = []
        self.connections: list[Connection] = []
        self.submits: list[tuple[Connection, Pdu]] = []
        self.answers: list[tuple[Any, Pdu]] = []
        self.settings = SessionSettings(window=1000)
        self.server: Server | None = None
        self.port = 0
        self.tls: ssl.SSLContext | None = None

    async def start(self) -> None:
        self.server = await serve(
            "127.0.0.1", self.port, self._authenticate, lambda conn: self, self.settings, self.tls
        )
        self.port = self.server.port

    async def stop(self) -> None:
        if self.server is not None:
            self.drop()
            await self.server.close(0.1)
            self.server = None

    def drop(self) -> None:
        """Cuts all connections without a word."""
        for conn in list(self.connections):
            conn.abort()

    def connector(self, **settings: Any) -> Connector:
        fast: dict[str, Any] = {
            "reconnect_min_s": 0.02,
            "reconnect_max_s": 0.05,
            "host": "127.0.0.1",
            "port": self.port,
        }
        return Connector(
            7, "acme", "smpp", True, "active", SmppSettings(**fast | settings), SmppCredentials("chappe", PASSWORD)
        )

    def refuse(self, said: int) -> None:
        self.answer = refuse(said)

    def refuse_login(self) -> None:
        self.bind_status = lambda bind: status.ESME_RINVPASWD

    def deliver(
        self, text: bytes = b"", *, tlvs: list[tuple[int, bytes]] | None = None, data_sm: bool = False, **fields: Any
    ) -> None:
        """Sends a deliver_sm (or data_sm) by the newest session that can take it; the answer goes to `answers`."""
        values = {"source_addr_ton": 1, "source_addr": "33600000001", "destination_addr": "Chappe"} | fields
        if not data_sm:
            values["short_message"] = text
        conn = next(c for c in reversed(self.connections) if c.can_send)
        conn.request(Pdu(commands.DATA_SM if data_sm else commands.DELIVER_SM, fields=values, tlvs=tlvs or []), text)

    @property
    def answered(self) -> list[int]:
        return [response.command_status for _, response in self.answers]

    async def _authenticate(self, conn: Connection, bind: Pdu) -> Verdict:
        self.binds.append(Pdu(bind.command_id, fields=dict(bind.fields)))
        code = self.bind_status(bind)
        if code == status.ESME_ROK and bind.fields["password"] != PASSWORD:
            code = status.ESME_RINVPASWD
        if code == status.ESME_ROK:
            self.connections.append(conn)
        return Verdict(code, "supplier")

    # -- the handler of its connections

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        self.submits.append((conn, pdu))
        self.answer(conn, pdu)

    def on_response(
        self, conn: Connection, context: Any, request: Pdu, response: Pdu, request_raw: bytes, response_raw: bytes
    ) -> None:
        self.answers.append((context, response))

    def on_timeout(self, conn: Connection, context: Any, request: Pdu, request_raw: bytes) -> None: ...

    def on_lost(self, conn: Connection, reason: str, unanswered: list[Unanswered]) -> None:
        self.connections.remove(conn)

    def on_room(self, conn: Connection) -> None: ...


async def moments(count: int = 20) -> None:
    """Lets the event loop turn until what is on its way has arrived on loopback."""
    for _ in range(count):
        await asyncio.sleep(0.001)
