"""The HTTP server around the app: uvicorn, started and stopped by hand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from chappe.api.express import Express

if TYPE_CHECKING:
    from chappe.api.express import Door
    from chappe.settings import Http

HEAD_OCTETS = 64 * 1024  # request line and headers; httptools itself has no limit
HEAD_S = 30.0  # to send them: who is slower holds a connection for nothing
KEEP_ALIVE_S = 75
GRACE_S = 10
CONNECTIONS = 10_000
BACKLOG = 2048


class Server:
    """A server that listens on `port`; `stop` lets what runs finish first."""

    def __init__(self, server: uvicorn.Server, listener: socket.socket) -> None:
        self._server = server
        self._listener = listener
        self.port: int = listener.getsockname()[1]
        self._task = asyncio.create_task(server.serve(sockets=[listener]), name="http")

    async def started(self) -> None:
        while not self._server.started:
            if self._task.done():
                await self._task  # raises what went wrong
                raise RuntimeError("the HTTP server did not start")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Take no new request, finish those in work within ten seconds, close. May be called twice."""
        self._server.should_exit = True
        await self._task
        self._listener.close()


async def serve(app: Any, settings: Http) -> Server:
    """Listen and answer. Raises OSError when the address is taken."""
    listener = _listen(settings.host, settings.port)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        log_level="critical",  # the app logs what matters
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        limit_concurrency=CONNECTIONS,
        backlog=BACKLOG,
    )
    server = Server(_Uvicorn(config), listener)
    await server.started()
    return server


def _listen(host: str, port: int) -> socket.socket:
    # the protocol is named, for asyncio sets TCP_NODELAY only where it reads TCP: without it an answer takes 40 ms
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


class _Uvicorn(uvicorn.Server):
    """Signals belong to whoever started the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol with a limit to the head of a request, in octets and in time, and a short way (`express`)."""

    _head = 0
    _in_head = True
    _timer: asyncio.TimerHandle | None = None
    _door: Door | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._door = getattr(self.app, "door", None)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > HEAD_OCTETS:
                self.send_400_response("The head of the request is too large.")
            elif self._timer is None:
                self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._in_head = 0, True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._forget_timer()
        express = self._door.admit(self) if self._door is not None else None
        if express is None:
            super().on_headers_complete()
        else:
            self.cycle = express  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        if isinstance(self.cycle, Express) and self._door is not None:
            self.cycle.run(self._door)
        else:
            super().on_message_complete()

    def _await_head(self) -> None:
        self._forget_timer()
        self._timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
