"""The connections to one server, and who waits for them.

The server's name is looked up and judged at most every half a minute; connections go to judged addresses only.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol

from msgspec import Struct

from chappe.outgoing.addresses import is_public
from chappe.outgoing.connection import Connection, Exchange, Unreachable

MAX_CONNECTIONS_A_HOST = 64
MAX_WAITING_A_HOST = 2_000
KEEP_S = 15.0  # an idle connection; most servers keep it longer
CONNECT_S = 10.0
ONE_ADDRESS_S = 3.0  # while there are others to try
LOOK_UP_S = 30.0  # how long an answer of the resolver holds


class Key(Struct, frozen=True):
    """Which server. `host` is as DNS knows it: ASCII, without brackets."""

    tls: bool
    host: str
    port: int


class House(Protocol):
    """The client that an origin belongs to."""

    allow_private: bool
    tls: ssl.SSLContext

    def take_room(self) -> bool:
        """Whether one connection more may be opened; it counts from now on."""

    def give_room(self) -> None: ...

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...


class Origin:
    """`idle` holds the coldest connection first; the warmest is used next."""

    def __init__(self, house: House, key: Key, loop: asyncio.AbstractEventLoop) -> None:
        self.key = key
        self.idle: list[Connection] = []
        self._house = house
        self._loop = loop
        self._connections: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[Exchange] = deque()
        self._addresses: list[str] = []
        self._look_up_at = 0.0
        self._looking: asyncio.Task[None] | None = None

    def ask(self, exchange: Exchange) -> None:
        if self.idle:
            self.idle.pop().ask(exchange)
        elif len(self._waiting) < MAX_WAITING_A_HOST:
            self._waiting.append(exchange)
            self._grow()
        else:
            self._loop.call_soon(exchange.done, Unreachable("connection", "too many requests wait for this server"))

    def sweep(self, now: float) -> bool:
        """End what is too late and what was idle for too long; False when nothing is left to remember."""
        for connection in list(self._connections):
            exchange = connection.exchange
            if exchange is not None and exchange.deadline <= now:
                connection.fail(_late(exchange))
            elif exchange is None and connection.idle_since + KEEP_S <= now:
                connection.close()
        late = [exchange for exchange in self._waiting if exchange.deadline <= now]
        if late:
            self._waiting = deque(exchange for exchange in self._waiting if exchange.deadline > now)
            for exchange in late:
                exchange.done(_late(exchange))
        self._grow()
        return bool(self._connections or self._opening or self._waiting or now < self._look_up_at)

    def end(self, failure: Unreachable) -> None:
        """Close all; who waits is told."""
        waiting, self._waiting = list(self._waiting), deque()
        for connection in list(self._connections):
            connection.fail(failure)
        for exchange in waiting:
            exchange.done(failure)

    # -- what its connections tell ---------------------------------------------------------------------------------

    def free(self, connection: Connection) -> None:
        if self._waiting:
            connection.ask(self._waiting.popleft())
        else:
            connection.idle_since = self._loop.time()
            self.idle.append(connection)

    def lost(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self._house.give_room()
            if connection in self.idle:
                self.idle.remove(connection)
            self._grow()

    def stale(self, exchange: Exchange) -> None:
        """What closed one kept connection has probably closed the others: ask again on a new one."""
        for connection in list(self.idle):
            connection.close()
        self._waiting.appendleft(exchange)
        self._grow()

    # -- opening ---------------------------------------------------------------------------------------------------

    def _grow(self) -> None:
        """As many new connections as wait, within the limits."""
        while (
            self._opening < len(self._waiting)
            and self._opening + len(self._connections) < MAX_CONNECTIONS_A_HOST
            and self._house.take_room()
        ):
            self._opening += 1
            self._house.run(self._open())

    async def _open(self) -> None:
        failure: Unreachable | None = None
        try:
            async with asyncio.timeout(CONNECT_S):
                connection = await self._connect(await self._judged())
        except Unreachable as error:
            failure = error
        except TimeoutError:
            failure = Unreachable("timeout", "no connection in time")
        except ssl.SSLError as error:
            failure = Unreachable("tls", str(error))
        except (OSError, ValueError) as error:  # ValueError: what the resolver or TLS does not take for a name
            failure = Unreachable("connection", str(error) or type(error).__name__)
        finally:
            self._opening -= 1
            if failure is not None:
                self._house.give_room()
                self._look_up_at = 0.0  # the name may lead elsewhere by now
        if failure is None:
            self._connections.add(connection)
            if connection.closing:
                self.lost(connection)
            else:
                self.free(connection)
        elif self._waiting:
            self._waiting.popleft().done(failure)
            self._grow()

    async def _connect(self, addresses: list[str]) -> Connection:
        """The first address that answers; it comes first next time. Raises OSError, TimeoutError."""
        for address in addresses[:-1]:
            try:
                async with asyncio.timeout(ONE_ADDRESS_S):
                    return await self._connect_to(address)
            except ssl.SSLError:
                raise
            except (OSError, TimeoutError):
                if self._addresses[:1] == [address]:
                    self._addresses = [*self._addresses[1:], address]
        return await self._connect_to(addresses[-1])

    async def _connect_to(self, address: str) -> Connection:
        _, connection = await self._loop.create_connection(
            lambda: Connection(self),
            address,
            self.key.port,
            ssl=self._house.tls if self.key.tls else None,
            server_hostname=self.key.host.rstrip(".") if self.key.tls else None,
            flags=socket.AI_NUMERICHOST,  # it is an address: nothing is looked up again
        )
        return connection

    async def _judged(self) -> list[str]:
        """The addresses of the server that may be called. Raises Unreachable."""
        if self._loop.time() >= self._look_up_at:
            if self._looking is None:
                self._looking = self._house.run(self._look_up())
            await asyncio.shield(self._looking)
        return self._addresses

    async def _look_up(self) -> None:
        try:
            self._addresses = await judged(self.key.host, self.key.port, allow_private=self._house.allow_private)
            self._look_up_at = self._loop.time() + LOOK_UP_S
        finally:
            self._looking = None


async def judged(host: str, port: int, *, allow_private: bool) -> list[str]:
    """What a host name resolves to now, the refused addresses left out. Raises Unreachable dns or refused_address."""
    try:
        addresses = await resolve(host, port)
    except (OSError, UnicodeError):
        raise Unreachable("dns", "the host name does not resolve") from None
    allowed = [address for address in addresses if allow_private or is_public(address)]
    if not allowed:
        raise Unreachable("refused_address", f"{host} resolves to a private address")
    return allowed


async def resolve(host: str, port: int) -> list[str]:
    """The addresses that the system knows, in its order. Raises OSError, UnicodeError."""
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def _late(exchange: Exchange) -> Unreachable:
    return Unreachable("timeout", f"no answer within {exchange.deadline - exchange.asked_at:g} s")
