"""An operator that takes everything at once and sends the receipts a moment later: `python -m bench.sink --port N`."""

from __future__ import annotations

import asyncio
import time
from argparse import ArgumentParser
from collections import deque
from random import Random
from typing import Any

from bench import common
from chappe.smpp import Pdu, SessionSettings, commands, receipt
from chappe.smpp.aio import Connection, Server, Verdict, serve
from chappe.smpp.receipt import MessageState, Style

TICK_S = 0.005


class Operator:
    """Hears all sessions. A receipt goes back on the session of its submit."""

    def __init__(self, least_s: float, most_s: float) -> None:
        self.figures: dict[str, Any] = {"submits": 0, "dlr_sent": 0, "dlr_ok": 0}
        self._least_s, self._most_s = least_s, most_s
        self._random = Random(1)
        self._due: deque[tuple[float, Connection, Pdu]] = deque()
        self._late: list[tuple[float, Connection, Pdu]] = []
        self._server: Server | None = None

    async def start(self, port: int) -> None:
        settings = SessionSettings(window=1000, max_pending=10_000, enquire_link_s=None)
        self._server = await serve("127.0.0.1", port, _anybody, lambda _conn: self, settings)
        self._tick()

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        figures = self.figures
        figures["submits"] += 1
        now = time.time()
        number = f"{figures['submits']:010d}"
        conn.respond(pdu, fields={"message_id": number})
        fields = pdu.fields
        if not fields["registered_delivery"] & 1:
            return
        at = round(now * 1000)
        text = receipt.format_text(number, MessageState.DELIVERED, at, at, "000", "", Style())
        news = {
            "source_addr_ton": fields["dest_addr_ton"],
            "source_addr": fields["destination_addr"],
            "dest_addr_ton": fields["source_addr_ton"],
            "destination_addr": fields["source_addr"],
            "esm_class": 0x04,
            "short_message": text,
        }
        tlvs = receipt.receipt_tlvs(number, MessageState.DELIVERED)
        due = time.monotonic() + self._random.uniform(self._least_s, self._most_s)
        self._late.append((due, conn, Pdu(commands.DELIVER_SM, fields=news, tlvs=tlvs)))

    def on_response(self, conn: Connection, context: Any, request: Pdu, response: Pdu, *_raw: bytes) -> None:
        self.figures["dlr_ok"] += response.command_status == 0

    def on_timeout(self, conn: Connection, context: Any, request: Pdu, request_raw: bytes) -> None: ...

    def on_lost(self, conn: Connection, reason: str, unanswered: list[Any]) -> None: ...

    def on_room(self, conn: Connection) -> None:
        self._send()

    def _tick(self) -> None:
        now = time.monotonic()
        self._due.extend(item for item in self._late if item[0] <= now)
        self._late = [item for item in self._late if item[0] > now]
        self._send()
        asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _send(self) -> None:
        for _ in range(len(self._due)):
            item = self._due.popleft()
            _, conn, pdu = item
            if conn.room:
                conn.request(pdu)
                self.figures["dlr_sent"] += 1
            elif not conn.closed:
                self._due.append(item)


async def _anybody(_connection: Connection, _bind: Pdu) -> Verdict:
    return Verdict(system_id="sink")


if __name__ == "__main__":
    asked = common.options(ArgumentParser(), port=2775, dlr_min_ms=0, dlr_max_ms=50, stats=None, progress=0, dlr=1)
    operator = Operator(asked.dlr_min_ms / 1000, asked.dlr_max_ms / 1000)
    common.sink(lambda: operator.start(asked.port), lambda: operator.figures, asked.stats)
