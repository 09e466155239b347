"""SMPP customers who submit as fast as their windows let them and wait for every receipt: `python -m bench.load`."""

from __future__ import annotations

import asyncio
import time
from argparse import ArgumentParser, Namespace
from typing import Any

from bench import common
from chappe.smpp import Pdu, SessionSettings, commands, receipt, status, tlv
from chappe.smpp.aio import Bind, Connection, connect


class Customers:
    """All sessions together; `run` ends when everything is answered and, with receipts, reported."""

    def __init__(self, asked: Namespace) -> None:
        self._asked = asked
        self._next = 0
        self._answered = 0
        self._accepted = 0
        self._errors: dict[str, int] = {}
        self._took: list[float] = []
        self._wanted: set[str] = set()
        self._reported: set[str] = set()
        self._last_answer = self._last_receipt = 0.0
        self._moved = asyncio.Event()

    async def run(self) -> dict[str, Any]:
        asked = self._asked
        settings = SessionSettings(window=asked.window, max_pending=100_000, enquire_link_s=None)
        bind = Bind("transceiver", asked.user, getattr(asked, "pass"))
        sessions = [await connect("127.0.0.1", asked.port, bind, self, settings) for _ in range(asked.sessions)]
        began = time.monotonic()
        for session in sessions:
            self._fill(session)
        while not self._done():
            self._moved.clear()
            async with asyncio.timeout(asked.stall):
                await self._moved.wait()
        for session in sessions:
            await session.unbind(1)
        return {
            "end": "done",
            "ok": self._accepted,
            "errors": self._errors,
            "dlr": len(self._reported),
            "t_start": began,
            "t_last_resp": self._last_answer,
            "t_last_dlr": self._last_receipt,
            "resp_ms": common.percentiles(self._took),
        }

    def _done(self) -> bool:
        told = not self._asked.dlr or self._wanted <= self._reported
        return self._answered == self._asked.count and told

    def _fill(self, session: Connection) -> None:
        while self._next < self._asked.count and session.room:
            n = self._asked.dst_base + self._next
            self._next += 1
            fields = {
                "source_addr_ton": 5,
                "source_addr": self._asked.src,
                "dest_addr_ton": 1,
                "dest_addr_npi": 1,
                "destination_addr": str(n),
                "registered_delivery": self._asked.dlr,
                "short_message": self._asked.text.replace("{n}", str(n)).encode("ascii"),
            }
            session.request(Pdu(commands.SUBMIT_SM, fields=fields), time.monotonic())

    def on_response(self, conn: Connection, context: float, request: Pdu, response: Pdu, *_raw: bytes) -> None:
        now = self._last_answer = time.monotonic()
        self._took.append(now - context)
        self._answered += 1
        if response.command_status == status.ESME_ROK:
            self._accepted += 1
            self._wanted.add(response.fields["message_id"])
        else:
            name = status.name(response.command_status)
            self._errors[name] = self._errors.get(name, 0) + 1
        self._fill(conn)
        if self._answered == self._asked.count:
            self._moved.set()

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        self._last_receipt = time.monotonic()
        number = pdu.tlv(tlv.RECEIPTED_MESSAGE_ID)
        if number is not None:
            self._reported.add(number.rstrip(b"\0").decode())
        elif (told := receipt.from_pdu(pdu)) is not None:
            self._reported.add(told.id)
        conn.respond(pdu)
        if len(self._reported) % 100 == 0 or len(self._reported) >= self._answered:
            self._moved.set()

    def on_timeout(self, conn: Connection, context: Any, request: Pdu, request_raw: bytes) -> None: ...

    def on_lost(self, conn: Connection, reason: str, unanswered: list[Any]) -> None: ...

    def on_room(self, conn: Connection) -> None: ...


if __name__ == "__main__":
    asked = common.options(
        ArgumentParser(),
        port=2775,
        user="test",
        src="10000",
        sessions=1,
        window=50,
        count=10_000,
        dlr=0,
        dst_base=40_700_000_000,
        text="Hello, this is message {n}.",
        stall=60,
        progress=0,
        **{"pass": "test"},
    )
    common.load(lambda: Customers(asked).run())
