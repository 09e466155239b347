"""An operator that takes everything at once and sends the receipts a moment later, on the session of the submit."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from random import Random
from typing import Any

from bench.generator import common, frames
from bench.generator.frames import DELIVER_SM, ENQUIRE_LINK, HEADER, RESPONSE, SUBMIT_SM, UNBIND, frame

OPTIONS: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 2775,
    "dlr": 1,
    "dlr_min_ms": 0,
    "dlr_max_ms": 50,
    "dlr_window": 1000,  # unanswered deliver_sm of a session
    "stats": None,  # the file that the figures are written to
    "progress": 0,
}
TICK_S = 0.005
AGAIN_S = 0.1  # after a receipt was refused
# message_id of a submit_sm_resp
_ANSWER = HEADER.pack(27, SUBMIT_SM | RESPONSE, 0, 0)[:12] + b"%b%010d\0"

Due = tuple["Session", bytes]


class Operator:
    """Hears all sessions. A wheel of ticks holds the receipts until their time."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._least = round(asked["dlr_min_ms"] / 1000 / TICK_S)
        self._spread = round((asked["dlr_max_ms"] - asked["dlr_min_ms"]) / 1000 / TICK_S) + 1
        self._wheel: deque[list[Due]] = deque(
            [] for _ in range(self._least + self._spread + 1 + round(AGAIN_S / TICK_S))
        )
        self._random = Random(1).random
        self.asked = asked
        self.receipts = frames.Receipts()
        self.submits = self.wanted = self.sent = self.taken = self.refused = 0
        self.first = self.last = self.last_report = 0.0

    def start(self) -> None:
        self._tick(asyncio.get_running_loop().time())

    def later(self, due: Due) -> None:
        self._wheel[1 + self._least + int(self._random() * self._spread)].append(due)

    def again(self, due: Due) -> None:
        self._wheel[round(AGAIN_S / TICK_S)].append(due)

    def _tick(self, at: float) -> None:
        self._wheel.rotate(-1)
        touched: dict[Session, None] = {}
        for session, body in self._wheel[-1]:
            session.waiting.append(body)
            touched[session] = None
        self._wheel[-1] = []
        for session in touched:
            session.flush([])
        loop = asyncio.get_running_loop()
        loop.call_at(max(at + TICK_S, loop.time()), self._tick, at + TICK_S)

    def figures(self) -> dict[str, Any]:
        return {
            "submits": self.submits,
            "dlr_asked": self.wanted,
            "dlr_sent": self.sent,
            "dlr_ok": self.taken,
            "dlr_retry": self.refused,
            "t_first": self.first,
            "t_last": self.last,
            "t_dlr_last": self.last_report,
        }


class Session(asyncio.Protocol):
    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._buffer = b""
        self._transport: Any = None
        self._sequence = 0
        self._flying: dict[int, bytes] = {}
        self.waiting: deque[bytes] = deque()
        """Bodies of receipts whose time has come and that the window does not let out yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        now = time.monotonic()
        out: list[bytes] = []
        start, end = 0, len(data)
        while end - start >= 16:
            length, command, status, sequence = HEADER.unpack_from(data, start)
            if end - start < length:
                break
            if command == SUBMIT_SM:
                self._submit(data, start, out, now)
            elif command == DELIVER_SM | RESPONSE:
                self._settled(status, sequence)
            elif command in frames.BINDS:
                out.append(frame(command | RESPONSE, sequence, b"sink\0"))
            elif command in (ENQUIRE_LINK, UNBIND):
                out.append(frame(command | RESPONSE, sequence))
            start += length
        self._buffer = data[start:]
        self.flush(out)

    def _submit(self, data: bytes, start: int, out: list[bytes], now: float) -> None:
        operator = self._operator
        operator.submits += 1
        operator.last = now
        operator.first = operator.first or now
        out.append(_ANSWER % (data[start + 12 : start + 16], operator.submits))
        source, destination, registered = frames.submitted(data, start)
        if registered & 3 and operator.asked["dlr"]:
            operator.wanted += 1
            operator.later((self, operator.receipts.body(source, destination, b"%010d" % operator.submits)))

    def _settled(self, status: int, sequence: int) -> None:
        body = self._flying.pop(sequence)
        if status == 0:
            self._operator.taken += 1
            self._operator.last_report = time.monotonic()
        else:
            self._operator.refused += 1
            self._operator.again((self, body))

    def flush(self, out: list[bytes]) -> None:
        """Write `out`, and the receipts that the window lets out."""
        room = min(len(self.waiting), self._operator.asked["dlr_window"] - len(self._flying))
        for _ in range(room):
            self._sequence += 1
            body = self.waiting.popleft()
            self._flying[self._sequence] = body
            out.append(HEADER.pack(16 + len(body), DELIVER_SM, 0, self._sequence) + body)
        self._operator.sent += max(0, room)
        if out and not self._transport.is_closing():
            self._transport.write(b"".join(out))


def main(asked: dict[str, Any]) -> int:
    operator = Operator(asked)

    async def start() -> None:
        await asyncio.get_running_loop().create_server(lambda: Session(operator), asked["host"], asked["port"])
        operator.start()

    return common.sink(start, operator.figures, asked["stats"])
