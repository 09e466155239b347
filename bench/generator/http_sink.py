"""A receiver of webhooks that answers at once and counts.

`--uniq` counts the different values of the first member or parameter of that name in requests that hold `--match`.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

from bench.generator import common

OPTIONS: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 8099,
    "match": "",
    "uniq": "id",
    "stats": None,  # the file that the figures are written to
    "progress": 0,
}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class Sink:
    def __init__(self, asked: dict[str, Any]) -> None:
        name = asked["uniq"].encode()
        self._match = asked["match"].encode()
        self._member = re.compile(rb'"%s": ?"?([^",}]*)|[?&]%s=([^& ]*)' % (name, name)).search
        self._seen: set[bytes] = set()
        self.hits = self.matched = 0
        self.last = self.last_match = 0.0

    def hear(self, request: bytes) -> None:
        self.hits += 1
        self.last = time.monotonic()
        if self._match in request:
            self.matched += 1
            self.last_match = self.last
            found = self._member(request)
            if found is not None:
                self._seen.add(found[1] or found[2])

    def figures(self) -> dict[str, Any]:
        return {
            "hits": self.hits,
            "match": self.matched,
            "uniq": len(self._seen),
            "t_last": self.last,
            "t_last_match": self.last_match,
        }


class Receiver(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        start = count = 0
        while (end := data.find(b"\r\n\r\n", start)) >= 0:
            length = _LENGTH.search(data, start, end + 2)
            stop = end + 4 + (int(length[1]) if length else 0)
            if len(data) < stop:
                break
            self._sink.hear(data[start:stop])
            start = stop
            count += 1
        self._buffer = data[start:]
        if count:
            self._transport.write(ANSWER * count)


def main(asked: dict[str, Any]) -> int:
    sink = Sink(asked)

    async def start() -> None:
        await asyncio.get_running_loop().create_server(lambda: Receiver(sink), asked["host"], asked["port"])

    return common.sink(start, sink.figures, asked["stats"])
