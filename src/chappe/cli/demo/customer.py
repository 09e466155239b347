"""The demo's customer: it hears webhooks and checks their signatures, and it has an SMPP client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

from chappe import text, webhooks
from chappe.cli.demo.stage import HOST, SmppDoor
from chappe.smpp import Pdu, SessionSettings, commands, receipt, status, tlv
from chappe.smpp.aio import Bind, Connection, connect
from chappe.smpp.session import Unanswered
from chappe.webhooks import BadSignature

_RECEIPT: Final = 0x3C  # message type in esm_class (SMPP 3.4, 5.2.12)
_RECEIPTS_ASKED: Final = 1  # registered_delivery: success and failure (SMPP 3.4, 5.2.17)


@dataclass(slots=True)
class Heard:
    """Something the customer was told: by webhook or by deliver_sm. `about` is the public id of a message."""

    at: int
    by: str
    about: str
    what: str
    data: dict[str, Any]


@dataclass(slots=True)
class Customer:
    """Keeps what it hears; `forged` counts webhooks whose signature was wrong. `told` is called with each."""

    told: Callable[[Heard], None] = lambda heard: None
    heard: list[Heard] = field(default_factory=list)
    forged: int = 0
    secret: str = ""
    _runner: web.AppRunner | None = None
    _connection: Connection | None = None

    def of(self, message_id: str, by: str) -> list[Heard]:
        return [heard for heard in self.heard if heard.about == message_id and heard.by == by]

    def _hear(self, by: str, about: str, what: str, data: dict[str, Any]) -> None:
        heard = Heard(time.time_ns() // 1_000_000, by, about, what, data)
        self.heard.append(heard)
        self.told(heard)

    # -- webhooks ---------------------------------------------------------------------------------------------------

    async def listen(self) -> str:
        """Start the receiver; its address."""
        app = web.Application()
        app.router.add_post("/hooks", self._on_webhook)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        return f"http://{HOST}:{self._runner.addresses[0][1]}/hooks"

    async def _on_webhook(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            webhooks.verify(self.secret, request.headers, body, time.time())
        except BadSignature:
            self.forged += 1
            return web.Response(status=401)
        event = msgspec.json.decode(body)
        self._hear("webhook", event["data"]["id"], event["type"], event["data"])
        return web.Response(status=204)

    # -- SMPP -------------------------------------------------------------------------------------------------------

    async def bind(self, door: SmppDoor) -> None:
        """Raises BindFailed, OSError."""
        bind = Bind("transceiver", door.system_id, door.password)
        self._connection = await connect(door.host, door.port, bind, self, SessionSettings())

    async def submit(self, to: str, sender: str, body: str, ucs2: bool) -> str:
        """Send by submit_sm, in message_payload if it is long; the public id of the message. Raises OSError."""
        octets = body.encode("utf-16-be") if ucs2 else text.alphabet().encode(body)
        assert octets is not None
        fields = {
            "source_addr_ton": 5,
            "source_addr": sender,
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "destination_addr": to.lstrip("+"),
            "registered_delivery": _RECEIPTS_ASKED,
            "data_coding": 8 if ucs2 else 0,
            "short_message": octets if len(octets) <= 140 else b"",
        }
        tlvs = [] if len(octets) <= 140 else [(tlv.MESSAGE_PAYLOAD, octets)]
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        assert self._connection is not None
        self._connection.request(Pdu(commands.SUBMIT_SM, fields=fields, tlvs=tlvs), answered)
        return "msg_" + await asyncio.wait_for(answered, 10)

    def on_response(
        self, conn: Connection, context: Any, request: Pdu, response: Pdu, request_raw: bytes, response_raw: bytes
    ) -> None:
        if response.command_status == status.ESME_ROK:
            context.set_result(response.fields["message_id"])
        else:
            context.set_exception(ConnectionError(f"submit_sm: {status.name(response.command_status)}"))

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        conn.respond(pdu)
        if pdu.command_id != commands.DELIVER_SM:
            return
        if pdu.fields["esm_class"] & _RECEIPT:
            told = receipt.from_pdu(pdu)
            assert told is not None
            self._hear("deliver_sm", f"msg_{told.id}", receipt.STAT[told.state], {})
        else:
            said = text.decode(pdu.fields["short_message"], pdu.fields["data_coding"], False).text
            self._hear("deliver_sm", "", "MO", {"from": pdu.fields["source_addr"], "text": said})

    def on_timeout(self, conn: Connection, context: Any, request: Pdu, request_raw: bytes) -> None:
        context.set_exception(ConnectionError("submit_sm: no answer"))

    def on_lost(self, conn: Connection, reason: str, unanswered: list[Unanswered]) -> None:
        for answered, _, _ in unanswered:
            answered.set_exception(ConnectionError(f"submit_sm: {reason}"))

    def on_room(self, conn: Connection) -> None:
        """We never fill the window."""

    async def leave(self) -> None:
        if self._connection is not None and self._connection.bound:
            await self._connection.unbind(timeout=2)
        if self._runner is not None:
            await self._runner.cleanup()
