"""The way of one client to a server, which can be cut, stalled and healed while others go on."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Proxy:
    """Listens on a free port of 127.0.0.1 (`port`) and passes everything on to `host`:`to_port`."""

    def __init__(self, host: str, to_port: int) -> None:
        self.port = 0
        self._to = (host, to_port)
        self._listening: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._ends: set[asyncio.WriteTransport] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._listening = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.cut()
        await asyncio.gather(*self._tasks)

    def cut(self) -> None:
        """Connections break off, new ones are refused."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for end in self._ends:
            end.abort()
        self._flowing.set()

    def stall(self) -> None:
        """As behind a firewall that drops everything: connections stay, nothing comes through, not even their end."""
        self._flowing.clear()

    async def heal(self) -> None:
        """What was held up by a stall goes on."""
        self._flowing.set()
        if self._listening is None:
            await self.start()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends = {writer.transport}
        self._ends |= ends
        try:
            await self._flowing.wait()
            onward_reader, onward_writer = await asyncio.open_connection(*self._to)
            ends.add(onward_writer.transport)
            self._ends |= ends
            await asyncio.gather(self._pump(reader, onward_writer), self._pump(onward_reader, writer))
        except OSError:
            pass  # the server is away, or one side has broken off
        finally:
            for end in ends:
                end.abort()
            self._ends -= ends

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while octets := await reader.read(1 << 16):
                await self._flowing.wait()
                writer.write(octets)
                await writer.drain()
        await self._flowing.wait()
        writer.close()
