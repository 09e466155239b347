"""One HTTP/1.1 connection as a client: a request, its answer, then perhaps the next one.

The answer comes from a stranger. Until its head is complete it may have `MAX_HEAD` bytes, in all `MAX_ANSWER`; reading
stops at `MAX_BODY` of the body. https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools
from msgspec import Struct

MAX_BODY = 16 * 1024
MAX_HEAD = 32 * 1024
MAX_ANSWER = 128 * 1024  # chunks of one byte are six on the wire

Header = tuple[bytes, bytes]


class Unreachable(Exception):
    """No answer came. `code` is stable: refused_address, dns, connection, tls, timeout, protocol."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Response(Struct, frozen=True):
    """What the other side answered: its body is cut at MAX_BODY."""

    status: int
    body: bytes
    headers: list[Header]

    def header(self, name: str) -> str | None:
        """The first header of that name, in any case."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), None)


Done = Callable[["Response | Unreachable"], None]


class Exchange(Struct, eq=False):
    """A request that waits for its answer: `asked_at` and `deadline` are the loop's time, `done` is called once."""

    data: bytes
    asked_at: float
    deadline: float
    done: Done
    repeated: bool = False


class Owner(Protocol):
    """Whose connection it is."""

    def free(self, connection: Connection) -> None:
        """It can take the next request."""

    def lost(self, connection: Connection) -> None:
        """It takes no more. May be told twice."""

    def stale(self, exchange: Exchange) -> None:
        """The server had closed a kept connection, no byte of an answer came: ask once more."""


class Connection(asyncio.Protocol):
    """At most one request at a time; never pipelined, since an answer may be the last."""

    def __init__(self, owner: Owner) -> None:
        self.exchange: Exchange | None = None
        self.idle_since = 0.0
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._served = False
        self._reset()

    def _reset(self) -> None:
        self._received = 0
        self._in_head = True
        self._headers: list[Header] = []
        self._body: list[bytes] = []
        self._missing = MAX_BODY
        self._complete = False
        self._keep = False

    @property
    def closing(self) -> bool:
        return self._transport.is_closing()

    def ask(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._transport.write(exchange.data)

    def close(self) -> None:
        """Let go of an idle connection."""
        self._owner.lost(self)
        self._transport.close()

    # -- what the transport tells ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        if self.exchange is None:  # nobody asked
            self._owner.lost(self)
            self._transport.abort()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(Unreachable("protocol", "the server changed the protocol"))
        except httptools.HttpParserError as error:
            if self._complete:  # the answer is there, what follows is none
                self._finish(keep=False)
            else:
                self.fail(Unreachable("protocol", str(error) or type(error).__name__))
        else:
            if self._complete:
                self._finish(keep=self._keep and not self._transport.get_write_buffer_size())
            elif not self._missing:
                self._finish(keep=False)
            elif self._received > (MAX_HEAD if self._in_head else MAX_ANSWER):
                self.fail(Unreachable("protocol", "the answer has too many bytes"))

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.lost(self)
        exchange = self.exchange
        if exchange is None:
            return
        if self._received == 0 and self._served and not exchange.repeated:
            self.exchange = None
            exchange.repeated = True
            self._owner.stale(exchange)
        elif self._ends_with_the_connection() and error is None:
            self._finish(keep=False)
        else:
            reason = str(error) if error else "the server closed the connection before its answer was complete"
            self.fail(Unreachable("connection", reason))

    # -- what the parser tells -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:  # a second answer that nobody asked for
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # not a trailer
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self._complete:
            self._status = self._parser.get_status_code()
            self._in_head = self._status < 200

    def on_body(self, body: bytes) -> None:
        if not self._complete and self._missing:
            self._body.append(body[: self._missing])
            self._missing -= len(self._body[-1])

    def on_message_complete(self) -> None:
        if self._in_head:  # 100 Continue, 103 Early Hints: the answer is still to come
            self._headers.clear()
        elif not self._complete:
            self._complete = True
            self._keep = self._parser.should_keep_alive()  # it does not know any more when `feed_data` has returned

    # -- the end ---------------------------------------------------------------------------------------------------

    def _ends_with_the_connection(self) -> bool:
        """RFC 9112, 6.3: without a length the body goes on until the server closes."""
        names = {name.lower() for name, _ in self._headers}
        return not self._in_head and names.isdisjoint((b"content-length", b"transfer-encoding"))

    def _finish(self, *, keep: bool) -> None:
        exchange, self.exchange = self.exchange, None
        assert exchange is not None
        body = b"".join(self._body)
        response = Response(self._status, body, self._headers)
        if keep:
            self._served = True
            self._reset()
            self._owner.free(self)
        else:
            self._owner.lost(self)
            self._transport.close()
        exchange.done(response)

    def fail(self, failure: Unreachable) -> None:
        """End the connection, and whoever waits for an answer with it."""
        exchange, self.exchange = self.exchange, None
        self._owner.lost(self)
        self._transport.abort()
        if exchange is not None:
            exchange.done(failure)
