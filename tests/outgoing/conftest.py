"""A client on both event loops, and servers of raw bytes on loopback that answer as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from chappe.outgoing import Outgoing, Response, Unreachable, origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return LOOPS


Answer = Callable[["Stranger", asyncio.StreamWriter], Awaitable[None]]


class Stranger:
    """A server that reads requests and answers each by `answer`, which writes what it likes."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                await self.answer(self, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()


def saying(*pieces: bytes, close: bool = False) -> Answer:
    async def answer(_: Stranger, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001 if len(pieces) > 1 else 0)
        if close:
            writer.close()

    return answer


@asynccontextmanager
async def listening(answer: Answer, **options: Any) -> AsyncIterator[tuple[Stranger, str]]:
    stranger = Stranger(answer)
    server = await asyncio.start_server(stranger.meet, "127.0.0.1", 0, **options)
    try:
        port = server.sockets[0].getsockname()[1]
        yield stranger, f"{'https' if options else 'http'}://127.0.0.1:{port}/hook"
    finally:
        server.close()
        for writer in list(stranger.open):
            writer.transport.abort()


@asynccontextmanager
async def calling(**options: Any) -> AsyncIterator[Outgoing]:
    outgoing = Outgoing(allow_private=True, **options)
    try:
        yield outgoing
    finally:
        await outgoing.close()


async def told(answer: Answer, timeout: float = 5.0) -> Response | Unreachable:  # noqa: ASYNC109
    """What a client makes of an answer."""
    async with listening(answer) as (_, url), calling() as outgoing:
        try:
            return await outgoing.post(url, b"", b"{}", timeout)
        except Unreachable as error:
            return error


def resolve_to(monkeypatch: pytest.MonkeyPatch, answers: Iterator[list[str]]) -> None:
    """Let the system's resolver give these addresses: the one thing about DNS that a test cannot have for real."""

    async def resolve(_host: str, _port: int) -> list[str]:
        return next(answers)

    monkeypatch.setattr(origin, "resolve", resolve)
