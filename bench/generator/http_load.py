"""HTTP customers on keep-alive connections, each with its next request when the last is answered.

`--rate` makes it an open loop: requests leave at their moment, or as soon after it as a connection is free.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from typing import Any

from bench.generator import common, frames

OPTIONS: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 8080,
    "path": "/",
    "body": "{}",  # {n} counts up from base, {items} becomes `batch` times `item`
    "batch": 1,
    "item": "",
    "header": "X-Load: 1",
    "method": "POST",
    "expect": "",  # what the body of a good answer holds
    "conns": 8,
    "count": 10_000,  # messages
    "base": 40_700_000_000,
    "rate": 0.0,  # requests a second; 0: closed loop
    "windows": 0.0,  # seconds; latencies also for each window of time
    "stall": 60.0,
    "progress": 0,
}
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class Load:
    def __init__(self, asked: dict[str, Any]) -> None:
        head = (
            f"{asked['method']} {asked['path']} HTTP/1.1\r\nHost: {asked['host']}:{asked['port']}\r\n"
            f"Content-Type: application/json\r\n{asked['header']}\r\n"
        )
        self._asked = asked
        self._batch: int = asked["batch"]
        self._base: int = asked["base"]
        self._requests = -(-asked["count"] // self._batch)
        self._head = head.encode("ascii")
        self._pieces = _pieces(head, asked["body"], asked["method"])
        self._expect = asked["expect"].encode()
        self._pace = common.Pace(asked["rate"], self._requests)
        self._next = 0
        self._free: deque[Customer] = deque()
        self.answered = self.ok = 0
        self.codes: dict[str, int] = {}
        self.latencies = common.Latencies(asked["windows"])
        self.last = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> dict[str, Any]:
        asked = self._asked
        loop = asyncio.get_running_loop()
        for _ in range(min(asked["conns"], self._requests)):
            _, customer = await loop.create_connection(lambda: Customer(self), asked["host"], asked["port"])
            self._free.append(customer)
        began = self.last = time.monotonic()
        self._pace.begin(began)
        self.latencies.begin(began)
        self._tick()
        while not self.done.done():
            await asyncio.wait([self.done], timeout=1.0)
            if time.monotonic() - self.last > asked["stall"]:
                break
        if self.done.done():
            self.done.result()
        return {
            "whole": self.ok == self._requests,
            "requests": self.answered,
            "batch": self._batch,
            "ok": self.ok,
            "codes": self.codes,
            "t_start": began,
            "t_last": self.last,
            "lat_ms": self.latencies.total,
            "windows": self.latencies.windows,
        }

    def _tick(self) -> None:
        now = time.monotonic()
        while self._free and self._next < self._pace.due(now):
            self._free.popleft().ask(now)
        if self._next < self._requests and self._asked["rate"]:
            asyncio.get_running_loop().call_later(common.TICK_S, self._tick)

    def request(self, now: float) -> tuple[bytes, float]:
        """The next one, and the moment at which it should leave."""
        n, self._next = self._next, self._next + 1
        return self._compose(n), self._pace.moment(n, now)

    def _compose(self, n: int) -> bytes:
        first = self._base + n * self._batch
        if self._batch == 1:
            return (b"%d" % first).join(self._pieces)
        size = min(self._batch, self._asked["count"] - n * self._batch)
        item = self._asked["item"]
        items = ",".join([item.replace("{n}", str(number)) for number in range(first, first + size)])
        body = self._asked["body"].replace("{items}", items).encode()
        return b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body)

    def answer(self, customer: Customer, code: bytes, body: bytes, moment: float) -> None:
        self.last = now = time.monotonic()
        self.latencies.add(now - moment, now)
        name = code.decode()
        self.codes[name] = self.codes.get(name, 0) + 1
        self.ok += code[:1] == b"2" and self._expect in body
        self.answered += 1
        if self.answered == self._requests:
            self.done.set_result(None)
        elif self._next < self._pace.due(now):
            customer.ask(now)
        else:
            self._free.append(customer)


def _pieces(head: str, body: str, method: str) -> list[bytes]:
    """The whole request cut at its numbers, whose width is always the same."""
    length = "" if method == "GET" else f"Content-Length: {len(body.replace('{n}', '0' * frames.NUMBER_WIDTH))}\r\n"
    whole = f"{head}{length}\r\n{'' if method == 'GET' else body}"
    return whole.encode("ascii").split(b"{n}")


class Customer(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._moment = 0.0
        self._asking = False
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, now: float) -> None:
        request, self._moment = self._load.request(now)
        self._asking = True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, end + 2) if end >= 0 else None
        if end < 0 or length is None or len(data) < end + 4 + int(length[1]):
            self._buffer = data
            return
        self._buffer = b""
        self._asking = False
        self._load.answer(self, data[9:12], data[end + 4 :], self._moment)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asking and not self._load.done.done():
            self._load.done.set_exception(ConnectionError(f"the server hung up: {exc}"))


def main(asked: dict[str, Any]) -> int:
    async def run() -> dict[str, Any]:
        return await Load(asked).run()

    return common.load(run)
