"""The server's side: listen, authenticate binds, bound what strangers can take."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from chappe.smpp import status
from chappe.smpp.aio.connection import Connection, Handler
from chappe.smpp.pdu import Pdu
from chappe.smpp.session import Request, Role, SessionSettings


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a bind: a command_status, and when it is ESME_ROK our own system_id and who hears the
    connection."""

    status: int = status.ESME_ROK
    system_id: str = ""
    handler: Handler | None = None
    """None: the server's handler_factory makes one."""


Authenticate = Callable[[Connection, Pdu], Awaitable[Verdict]]


class Server:
    """A listening message centre. Made by `serve`."""

    def __init__(
        self,
        authenticate: Authenticate,
        handler_factory: Callable[[Connection], Handler] | None,
        settings: SessionSettings,
        max_connections: int,
        max_per_ip: int,
    ) -> None:
        self.connections: set[Connection] = set()
        self._authenticate = authenticate
        self._handler_factory = handler_factory
        self._settings = settings
        self._max_connections = max_connections
        self._max_per_ip = max_per_ip
        self._per_ip: Counter[str] = Counter()
        self._binding: dict[Connection, asyncio.Task[None]] = {}
        self._listener: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens, once it does; 0 after the end."""
        sockets = self._listener.sockets if self._listener is not None else ()
        return int(sockets[0].getsockname()[1]) if sockets else 0

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        timeout = self._settings.session_init_s if tls is not None else None
        self._listener = await asyncio.get_running_loop().create_server(
            self._connection, host, port, ssl=tls, ssl_handshake_timeout=timeout, backlog=512
        )

    async def close(self, grace: float) -> None:
        """Takes no more callers, says goodbye to all and waits at most about `grace` seconds for them."""
        if self._listener is not None:
            self._listener.close()
        for connection in list(self.connections):
            if not connection.bound:
                connection.close("shutting down")
        await asyncio.gather(*(connection.unbind(grace) for connection in list(self.connections)))
        if self._listener is not None:
            with suppress(TimeoutError):  # who is still in the handshake of TLS is not waited for
                async with asyncio.timeout(1):
                    await self._listener.wait_closed()

    def _connection(self) -> Connection:
        return Connection(
            Role.MC, self._settings, on_bind=self._on_bind, on_connection=self._admit, on_end=self._on_end
        )

    def _admit(self, connection: Connection) -> bool:
        """One address cannot take all places, and all together cannot take all memory."""
        ip = connection.peer[0]
        if len(self.connections) >= self._max_connections or self._per_ip[ip] >= self._max_per_ip:
            return False
        self.connections.add(connection)
        self._per_ip[ip] += 1
        return True

    def _on_end(self, connection: Connection, reason: str) -> None:
        task = self._binding.pop(connection, None)
        if task is not None:
            task.cancel()
        if connection in self.connections:
            self.connections.remove(connection)
            ip = connection.peer[0]
            self._per_ip[ip] -= 1
            if not self._per_ip[ip]:
                del self._per_ip[ip]

    def _on_bind(self, connection: Connection, request: Request) -> None:
        self._binding[connection] = asyncio.get_running_loop().create_task(self._bind(connection, request.pdu))

    async def _bind(self, connection: Connection, bind: Pdu) -> None:
        """Asks who it is, however long that takes; a refusal is the last word on the connection."""
        try:
            verdict = await self._authenticate(connection, bind)
            if verdict.status == status.ESME_ROK:
                connection.handler = verdict.handler
                if connection.handler is None and self._handler_factory is not None:
                    connection.handler = self._handler_factory(connection)
                connection.respond(bind, fields={"system_id": verdict.system_id})
        except Exception as error:
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": "SMPP authentication failed", "exception": error})
            verdict = Verdict(status.ESME_RBINDFAIL)
        finally:
            self._binding.pop(connection, None)
        if verdict.status != status.ESME_ROK:
            connection.respond(bind, verdict.status)
            connection.close("bind refused")


async def serve(
    host: str,
    port: int,
    authenticate: Authenticate,
    handler_factory: Callable[[Connection], Handler] | None,
    settings: SessionSettings,
    tls: ssl.SSLContext | None = None,
    max_connections: int = 10_000,
    max_per_ip: int = 100,
) -> Server:
    """A server that listens (port 0: any free one, read `.port`). Raises OSError.

    `authenticate(connection, bind)` sees system_id, password and address of every bind. A wrong password is answered
    when it returns, so the delay for bad guesses is its own.
    """
    server = Server(authenticate, handler_factory, settings, max_connections, max_per_ip)
    await server.listen(host, port, tls)
    return server
