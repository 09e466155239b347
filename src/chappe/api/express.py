"""The shortest way through the door: one small message from a known caller, answered without a task.

uvicorn makes a task, a scope and a dozen awaits for a request, which is more work than taking a message. What is not
plain (an unknown key, an idempotency key, a long or chunked body, a request behind another one) goes the usual way.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from chappe import ids

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    from chappe.api.access import Caller
    from chappe.api.answers import Answer

LONGEST: Final = 16 * 1024  # octets of a body
PATH: Final = b"/v1/messages"
_STATUS_LINE: Final = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}

Headers = list[tuple[bytes, bytes]]
Reply = Callable[["Answer"], None]
Take = Callable[["Caller", bytes, str, Reply], None]
"""Takes a message; calls the reply once, now or later."""
Count = Callable[[str, int, float], None]


class Express:
    """One request; uvicorn's protocol treats it as one of its own cycles."""

    __slots__ = (
        "_caller",
        "_protocol",
        "_request_id",
        "_start",
        "body",
        "disconnected",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
    )

    def __init__(self, protocol: HttpToolsProtocol, caller: Caller, request_id: str) -> None:
        self._protocol = protocol
        self._caller = caller
        self._request_id = request_id
        self._start = perf_counter()
        self.body = bytearray()
        self.more_body = True
        self.message_event = _NOBODY
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False

    def run(self, door: Door) -> None:
        """The body is whole."""

        def reply(out: Answer) -> None:
            door.count("/v1/messages", out.status, perf_counter() - self._start)
            self._write(out)

        door.take(self._caller, bytes(self.body), self._request_id, reply)

    def _write(self, out: Answer) -> None:
        protocol = self._protocol
        if self.disconnected or protocol.transport.is_closing():
            return
        lines = [_STATUS_LINE[out.status]]
        for name, value in (*protocol.server_state.default_headers, *out.headers):
            lines += (name, b": ", value, b"\r\n")
        lines += (b"content-length: %d\r\nx-request-id: " % len(out.body), self._request_id.encode(), b"\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines += (b"\r\n", out.body)
        protocol.transport.write(b"".join(lines))
        self.response_complete = True
        if self.keep_alive:
            protocol.on_response_complete()
        else:
            protocol.transport.close()


class Door:
    """What the app offers to the protocol: who may take the short way, and the way."""

    def __init__(self, known: Callable[[Headers], Caller | None], take: Take, count: Count, next_id: Callable[[], int]):
        self._known = known
        self._next_id = next_id
        self.take = take
        self.count = count

    def admit(self, protocol: Any) -> Express | None:
        """The request whose head is read, if it is plain."""
        cycle = protocol.cycle
        if protocol.url != PATH or protocol.expect_100_continue or (cycle is not None and not cycle.response_complete):
            return None
        parser = protocol.parser
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return None
        if len(protocol.connections) >= protocol.limit_concurrency:
            return None
        caller = self._known(protocol.headers)
        if caller is None:
            return None
        return Express(protocol, caller, ids.public("req", self._next_id()))


class _Nobody:
    """Nobody waits for the body piece by piece."""

    def set(self) -> None:
        pass


_NOBODY: Final = _Nobody()
