"""A receiver of webhooks that answers at once and counts: `python -m bench.httpsink`."""

from __future__ import annotations

import asyncio
import re
import time
from argparse import ArgumentParser
from typing import Any

from bench import common

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


class Sink:
    """`uniq` counts the different values of the first member of that name in requests that hold `match`."""

    def __init__(self, match: str, uniq: str) -> None:
        self.match = match.encode()
        self.member = re.compile(rb'"%s":"([^"]*)"' % uniq.encode())
        self.seen: set[bytes] = set()
        self.figures: dict[str, Any] = {"hits": 0, "match": 0, "uniq": 0, "t_last_match": 0.0}

    async def start(self, port: int) -> None:
        await asyncio.get_running_loop().create_server(lambda: Receiver(self), "127.0.0.1", port)

    def hear(self, body: bytes) -> None:
        self.figures["hits"] += 1
        if self.match in body:
            self.figures["match"] += 1
            found = self.member.search(body)
            if found is not None:
                self.seen.add(found[1])
                self.figures["uniq"] = len(self.seen)
            self.figures["t_last_match"] = time.monotonic()


class Receiver(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            _, _, length = head.lower().partition(b"content-length:")
            size = int(length.split(b"\r\n", 1)[0] or 0)
            if len(rest) < size:
                return
            self._sink.hear(rest[:size])
            self._buffer = rest[size:]
            self._transport.write(ANSWER)


if __name__ == "__main__":
    asked = common.options(ArgumentParser(), port=8099, match="", uniq="id", stats=None, progress=0)
    sink = Sink(asked.match, asked.uniq)
    common.sink(lambda: sink.start(asked.port), lambda: sink.figures, asked.stats)
