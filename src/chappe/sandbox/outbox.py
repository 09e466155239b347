"""The queue of one customer: every delivery waits for a receiving bind and is sent until it is acknowledged."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from chappe.sandbox.deliveries import Delivery
from chappe.sandbox.scenario import Scenario
from chappe.sandbox.wheel import Wheel
from chappe.smpp import NotBound, PduError, PeerTooOld, WindowFull, status
from chappe.smpp.aio import Connection

_MOST_WAITING: Final = 1_000_000


class Outbox:
    """The deliveries of one system_id, over all its binds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: Wheel, scenario: Scenario) -> None:
        self.scenario = scenario
        self.binds: list[Connection] = []
        self.resting = 0  # waiting for their next try
        self.counts = dict.fromkeys(("sent", "acknowledged", "refused", "timed_out", "cut_off", "given_up"), 0)
        self.receipts_acknowledged = 0
        self.mo_acknowledged = 0
        self._loop = loop
        self._wheel = wheel
        self._waiting: deque[Delivery] = deque()
        self._turn = 0

    def put(self, delivery: Delivery) -> None:
        """Sends it as soon as a bind has room."""
        self._waiting.append(delivery)
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self.counts["given_up"] += 1
        self.send()

    def join(self, conn: Connection) -> None:
        """A bind is there: what waits goes out on it, if it receives."""
        if conn.bound:
            self.binds.append(conn)
            self.send()

    def send(self) -> None:
        """Sends as much as the binds have room for."""
        waiting = self._waiting
        while waiting and (conn := self._receiver()) is not None:
            delivery = waiting.popleft()
            if self._loop.time() - delivery.since > self.scenario.deliver_for_s:
                self.counts["given_up"] += 1
                continue
            try:
                conn.request(delivery.pdu(), delivery)
            except (NotBound, WindowFull):
                waiting.appendleft(delivery)
                return
            except (PeerTooOld, PduError):  # the text is a TLV, and the peer's version has none; or it is no PDU at all
                self.counts["given_up"] += 1
                continue
            delivery.tries += 1
            self.counts["sent"] += 1

    def _receiver(self) -> Connection | None:
        """The next bind in turn that may get a delivery."""
        binds, window = self.binds, self.scenario.deliver_window
        for _ in binds:
            self._turn = (self._turn + 1) % len(binds)
            conn = binds[self._turn]
            if conn.unanswered < window and conn.room and conn.can_send:
                return conn
        return None

    def answered(self, delivery: Delivery, command_status: int) -> None:
        """The customer has answered; anything but ESME_ROK means: again, later."""
        if command_status != status.ESME_ROK:
            self.counts["refused"] += 1
            self._again(delivery)
        else:
            self.counts["acknowledged"] += 1
            if delivery.is_receipt:
                self.receipts_acknowledged += 1
            else:
                self.mo_acknowledged += 1
        self.send()

    def timed_out(self, delivery: Delivery) -> None:
        """No answer in time."""
        self.counts["timed_out"] += 1
        self._again(delivery)
        self.send()

    def lost(self, conn: Connection, unanswered: list[Delivery]) -> None:
        """A bind has ended: what it had not acknowledged goes first on the next one."""
        if conn in self.binds:
            self.binds.remove(conn)
        self.counts["cut_off"] += len(unanswered)
        self._waiting.extendleft(reversed(unanswered))
        self.send()

    def _again(self, delivery: Delivery) -> None:
        self.resting += 1
        self._wheel.after(self.scenario.resend_after_s, self._rested, delivery)

    def _rested(self, delivery: Delivery) -> None:
        self.resting -= 1
        self.put(delivery)

    def describe(self) -> dict[str, Any]:
        unanswered = sum(conn.unanswered for conn in self.binds)
        return {
            "binds": [_describe_bind(conn) for conn in self.binds],
            "deliveries": {
                **self.counts,
                "waiting": len(self._waiting) + self.resting,
                "unacknowledged": unanswered,
                "receipts_acknowledged": self.receipts_acknowledged,
                "mo_acknowledged": self.mo_acknowledged,
            },
        }


def _describe_bind(conn: Connection) -> dict[str, Any]:
    return {
        "type": conn.bind_type,
        "peer": f"{conn.peer[0]}:{conn.peer[1]}",
        "interface_version": f"0x{conn.interface_version:02X}",
        "unanswered_submits": conn.session.pending,
        "unacknowledged": conn.unanswered,
    }
