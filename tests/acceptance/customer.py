"""An SMPP customer whose every answer the test can look at."""

from __future__ import annotations

import asyncio
from typing import Any

from chappe.smpp import Pdu, commands, receipt, status
from chappe.smpp.aio import Connection
from tests.acceptance.world import World


class Customer:
    """`await Customer.bind(world)`; responses, receipts and messages from phones gather here."""

    def __init__(self) -> None:
        self.session: Connection
        self.responses: list[tuple[str, str]] = []
        """(status, message id or "") in the order they came."""
        self.receipts: list[receipt.Receipt] = []
        self.messages: list[Pdu] = []
        self.lost = asyncio.Event()

    @classmethod
    async def bind(cls, world: World, **options: Any) -> Customer:
        customer = cls()
        customer.session = await world.bind(customer, **options)
        return customer

    def submit(self, to: str, text: str = "Bonjour", *, sender: str = "Acme", **fields: Any) -> None:
        self.session.request(
            Pdu(
                commands.SUBMIT_SM,
                fields={
                    "source_addr_ton": 5,
                    "source_addr": sender,
                    "dest_addr_ton": 1,
                    "dest_addr_npi": 1,
                    "destination_addr": to.removeprefix("+"),
                    "registered_delivery": 1,
                    "short_message": text.encode("ascii"),
                }
                | fields,
            )
        )

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        told = receipt.from_pdu(pdu) if pdu.fields["esm_class"] & 0x04 else None
        if told is not None:
            self.receipts.append(told)
        else:
            self.messages.append(pdu)
        conn.respond(pdu)

    def on_response(
        self, conn: Connection, context: Any, request: Pdu, response: Pdu, request_raw: bytes, response_raw: bytes
    ) -> None:
        number = response.fields.get("message_id", "")
        self.responses.append((status.name(response.command_status), f"msg_{number}" if number else ""))

    def on_timeout(self, conn: Connection, context: Any, request: Pdu, request_raw: bytes) -> None:
        self.responses.append(("no answer", ""))

    def on_lost(self, conn: Connection, reason: str, unanswered: list[Any]) -> None:
        self.lost.set()

    def on_room(self, conn: Connection) -> None: ...
