"""HTTP customers on keep-alive connections, each with its next request when the last is answered:
`python -m bench.httpload`."""

from __future__ import annotations

import asyncio
import time
from argparse import ArgumentParser, Namespace
from typing import Any

from bench import common


class Load:
    def __init__(self, asked: Namespace) -> None:
        head = (
            f"POST {asked.path} HTTP/1.1\r\nHost: 127.0.0.1:{asked.port}\r\nContent-Type: application/json\r\n"
            f"{asked.header}\r\nContent-Length: "
        )
        self._head = head.encode()
        self._asked = asked
        self._next = 0
        self.answered = 0
        self.codes: dict[str, int] = {}
        self.took: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def request(self) -> bytes | None:
        """The next one, None when all are on their way."""
        if self._next == self._asked.count:
            return None
        body = self._asked.body.replace("{n}", str(self._asked.base + self._next)).encode()
        self._next += 1
        return b"%s%d\r\n\r\n%s" % (self._head, len(body), body)

    def answer(self, code: str, took: float) -> None:
        self.codes[code] = self.codes.get(code, 0) + 1
        self.took.append(took)
        self.answered += 1
        if self.answered == self._asked.count:
            self.done.set_result(None)

    async def run(self) -> dict[str, Any]:
        asked = self._asked
        loop = asyncio.get_running_loop()
        customers = [
            (await loop.create_connection(lambda: Customer(self), "127.0.0.1", asked.port))[1]
            for _ in range(asked.conns)
        ]
        began = time.monotonic()
        for customer in customers:
            customer.go_on()
        async with asyncio.timeout(asked.stall + asked.count / 100):
            await self.done
        ok = sum(count for code, count in self.codes.items() if code[0] == "2")
        return {
            "end": "done",
            "ok": ok,
            "codes": self.codes,
            "t_start": began,
            "t_last": time.monotonic(),
            "lat_ms": common.percentiles(self.took),
        }


class Customer(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._asked_at = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def go_on(self) -> None:
        request = self._load.request()
        if request is None:
            self._transport.close()
            return
        self._asked_at = time.monotonic()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        _, _, length = head.lower().partition(b"content-length:")
        if len(body) < int(length.split(b"\r\n", 1)[0] or 0):
            return
        self._buffer = b""
        self._load.answer(head[9:12].decode(), time.monotonic() - self._asked_at)
        self.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._load.done.done() and self._asked_at and exc is not None:
            self._load.done.set_exception(exc)


async def _run(asked: Namespace) -> dict[str, Any]:
    return await Load(asked).run()


if __name__ == "__main__":
    asked = common.options(
        ArgumentParser(),
        port=8080,
        path="/",
        body="{}",
        header="X-Load: 1",
        conns=8,
        count=10_000,
        base=40_700_000_000,
        stall=60,
        progress=0,
    )
    common.load(lambda: _run(asked))
