"""SMPP customers who submit as fast as their windows let them (or at `--rate`) and wait for every receipt."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.generator import common, frames
from bench.generator.frames import DELIVER_SM, ENQUIRE_LINK, HEADER, RESPONSE, SUBMIT_SM, frame

OPTIONS: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 2775,
    "user": "test",
    "pass": "test",
    "sessions": 1,
    "window": 50,
    "count": 10_000,
    "dlr": 0,
    "src": "10000",
    "dst_base": 40_700_000_000,
    "text": "Hello, this is message {n}.",
    "rate": 0.0,  # messages a second over all sessions; 0: as fast as the windows let
    "windows": 0.0,
    "stall": 60.0,
    "progress": 0,
}


class Load:
    """All sessions together; `run` ends when everything is answered and, with receipts, reported."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked
        self.window: int = asked["window"]
        self._count: int = asked["count"]
        self._submits = frames.Submits(asked["src"], asked["text"], bool(asked["dlr"]))
        self._pace = common.Pace(asked["rate"], self._count)
        self._sessions: list[Session] = []
        self._next = 0
        self._begun = False
        self.answered = self.ok = self.reports = 0
        self.errors: dict[str, int] = {}
        self.accepted: set[bytes] = set()
        self.reported: set[bytes] = set()
        self.latencies = common.Latencies(asked["windows"])
        self.last_answer = self.last_report = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> dict[str, Any]:
        asked = self._asked
        loop = asyncio.get_running_loop()
        for _ in range(asked["sessions"]):
            _, session = await loop.create_connection(lambda: Session(self), asked["host"], asked["port"])
            await session.bind(asked["user"], asked["pass"])
            self._sessions.append(session)
        self._begun = True
        began = self.last_answer = self.last_report = time.monotonic()
        self._pace.begin(began)
        self.latencies.begin(began)
        for session in self._sessions:
            session.send([])
        if asked["rate"]:
            self._tick()
        while not self.done.done():
            await asyncio.wait([self.done], timeout=1.0)
            if time.monotonic() - max(self.last_answer, self.last_report) > asked["stall"]:
                break
        if self.done.done():
            self.done.result()
        for session in self._sessions:
            session.unbind()
        return self._figures(began)

    def _figures(self, began: float) -> dict[str, Any]:
        missing = len(self.accepted - self.reported) if self._asked["dlr"] else 0
        return {
            "whole": self.ok == self._count and not missing and self.reports == len(self.reported),
            "ok": self.ok,
            "errors": self.errors,
            "dlr": len(self.reported & self.accepted),
            "dlr_dup": self.reports - len(self.reported),
            "dlr_unmatched": len(self.reported - self.accepted),
            "t_start": began,
            "t_last_resp": self.last_answer,
            "t_last_dlr": self.last_report,
            "resp_ms": self.latencies.total,
            "windows": self.latencies.windows,
        }

    def _tick(self) -> None:
        for session in self._sessions:
            session.send([])
        if self._next < self._count:
            asyncio.get_running_loop().call_later(common.TICK_S, self._tick)

    def fill(self, session: Session, out: list[bytes], now: float) -> None:
        """Add what may leave on this session; nothing before all are bound."""
        room = self.window - len(session.flying) if self._begun else 0
        most = min(self._pace.due(now), self._next + room)
        base = self._asked["dst_base"]
        for n in range(self._next, most):
            session.sequence += 1
            session.flying[session.sequence] = self._pace.moment(n, now)
            out.append(self._submits.fill(session.sequence, base + n))
        self._next = max(self._next, most)

    def settle(self) -> None:
        if self.answered < self._count or self.done.done():
            return
        if not self._asked["dlr"] or (self.reports >= self.ok and self.accepted <= self.reported):
            self.done.set_result(None)


class Session(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._transport: Any = None
        self._bound: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leaving = False
        self.sequence = 1
        self.flying: dict[int, float] = {}
        """Sequence numbers of unanswered submits, and when they left."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    async def bind(self, user: str, password: str) -> None:
        self._transport.write(frames.bind(user, password))
        async with asyncio.timeout(10):
            await self._bound

    def unbind(self) -> None:
        self._leaving = True
        self._transport.write(frame(frames.UNBIND, self.sequence + 1))
        self._transport.close()

    def send(self, out: list[bytes]) -> None:
        self._load.fill(self, out, time.monotonic())
        if out:
            self._transport.write(b"".join(out))

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        now = time.monotonic()
        load, out, start, end = self._load, [], 0, len(data)
        while end - start >= 16:
            length, command, status, sequence = HEADER.unpack_from(data, start)
            if end - start < length:
                break
            if command == SUBMIT_SM | RESPONSE:
                load.latencies.add(now - self.flying.pop(sequence), now)
                load.answered += 1
                load.last_answer = now
                if status == 0:
                    load.ok += 1
                    load.accepted.add(data[start + 16 : start + length - 1])
                else:
                    name = f"0x{status:08x}"
                    load.errors[name] = load.errors.get(name, 0) + 1
            elif command == DELIVER_SM:
                at = data.index(b"id:", start + 16, start + length) + 3
                load.reported.add(data[at : data.index(b" ", at)])
                load.reports += 1
                load.last_report = now
                out.append(frame(DELIVER_SM | RESPONSE, sequence, b"\0"))
            elif command == ENQUIRE_LINK:
                out.append(frame(ENQUIRE_LINK | RESPONSE, sequence))
            elif command & ~RESPONSE in frames.BINDS:
                self._answer_to_bind(status)
            start += length
        self._buffer = data[start:]
        self.send(out)
        load.settle()

    def _answer_to_bind(self, status: int) -> None:
        if status:
            self._bound.set_exception(ConnectionError(f"bind refused: 0x{status:08x}"))
        else:
            self._bound.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self._bound, self._load.done):
            if not self._leaving and not future.done():
                future.set_exception(ConnectionError(f"the server hung up: {exc}"))


def main(asked: dict[str, Any]) -> int:
    async def run() -> dict[str, Any]:
        return await Load(asked).run()

    return common.load(run)
