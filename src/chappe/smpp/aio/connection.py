"""One connection: a Session with a socket. Callbacks only, no task and no future for a PDU.

Everything here runs in the event loop. What is written in one turn of the loop leaves in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, cast

from chappe.smpp import commands, status
from chappe.smpp.pdu import Pdu
from chappe.smpp.session import (
    Closed,
    Event,
    NotBound,
    Request,
    Response,
    Role,
    Session,
    SessionSettings,
    State,
    Timeout,
    Unanswered,
    WindowFull,
)

_HIGH_WATER: Final = 256 * 1024  # unsent octets above which no more requests are taken


class Handler(Protocol):
    """What the application hears. All are called in the loop, must not block, and may call the connection back."""

    def on_request(self, conn: Connection, pdu: Pdu, raw: bytes) -> None:
        """The peer asks; answer with `conn.respond`, now or from any later callback."""

    def on_response(
        self, conn: Connection, context: Any, request: Pdu, response: Pdu, request_raw: bytes, response_raw: bytes
    ) -> None:
        """The answer to a request of ours, whatever its command_status; a generic_nack comes here too."""

    def on_timeout(self, conn: Connection, context: Any, request: Pdu, request_raw: bytes) -> None:
        """No answer in time: what became of the request is unknown."""

    def on_lost(self, conn: Connection, reason: str, unanswered: list[Unanswered]) -> None:
        """The end, exactly once for a connection that was bound, with the requests that never got an answer."""

    def on_room(self, conn: Connection) -> None:
        """The window was full, or the socket, and is not any more."""


class Connection(asyncio.Protocol):
    """A session on the wire, ours or a customer's. Made by `connect` and `serve`."""

    def __init__(
        self,
        role: Role,
        settings: SessionSettings,
        handler: Handler | None = None,
        on_bind: Callable[[Connection, Request], None] | None = None,
        on_connection: Callable[[Connection], bool] | None = None,
        on_end: Callable[[Connection, str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.handler = handler
        self.peer: tuple[str, int] = ("", 0)
        self.reason = ""
        """Why it ended, once it has."""
        self._on_bind = on_bind  # the server's: authenticate
        self._on_connection = on_connection  # the server's: False turns the caller away
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self.session = Session(role, settings, self._loop.time())
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._flushing = False
        self._choked = False  # the peer does not read: no more requests
        self._leaving = False
        self._paused_at: float | None = None  # we do not read
        self._was_bound = False
        self._ended = asyncio.Event()
        self._bind_answer: asyncio.Future[Pdu] | None = None
        self._drained: asyncio.Event | None = None

    # -- what others ask

    @property
    def bound(self) -> bool:
        return self.session.bound and not self._leaving

    @property
    def window(self) -> int:
        return self.settings.window

    @property
    def room(self) -> int:
        """How many requests may be sent now."""
        return 0 if self._choked or self._leaving else self.session.room

    @property
    def unanswered(self) -> int:
        """How many of our requests wait for their answer."""
        return self.session.unanswered

    @property
    def pending(self) -> int:
        """How many of the peer's requests wait for ours."""
        return self.session.pending

    @property
    def can_send(self) -> bool:
        """Whether the bind lets us send messages (submit_sm as ESME, deliver_sm as message centre)."""
        message = commands.SUBMIT_SM if self.session.role is Role.ESME else commands.DELIVER_SM
        return not self._leaving and self.session.may_send(message)

    @property
    def can_receive(self) -> bool:
        """Whether the bind lets the peer send us messages."""
        receives = State.BOUND_RX if self.session.role is Role.ESME else State.BOUND_TX
        return self.session.state in (receives, State.BOUND_TRX)

    @property
    def system_id(self) -> str:
        """The customer's login on a server, the message centre's name on a client."""
        return self.session.peer_system_id

    @property
    def interface_version(self) -> int:
        """What the peer speaks: 0x33, 0x34, 0x50."""
        return self.session.peer_version

    @property
    def bind_type(self) -> str:
        """`transmitter`, `receiver`, `transceiver`; "" before the bind."""
        bind = self.session.bind
        return "" if bind is None else bind.name.removeprefix("bind_")

    @property
    def closed(self) -> bool:
        return self._ended.is_set()

    # -- sending

    def request(self, pdu: Pdu, context: Any = None) -> int:
        """Sends a request and returns its sequence_number; `context` comes back with the answer.

        `pdu` is ours from now on. Raises WindowFull (also when the peer does not read), NotBound, PeerTooOld, PduError.
        """
        if self._leaving:
            raise NotBound("the connection is about to end")
        if self._choked:
            raise WindowFull
        session = self.session
        sequence = session.request(pdu, context, self._loop.time())
        if session.unanswered == 1:  # the oldest request has the next deadline, later ones change nothing
            self._arm()
        self._flush_soon()
        return sequence

    def respond(
        self,
        request: Pdu,
        command_status: int = status.ESME_ROK,
        fields: dict[str, Any] | None = None,
        tlvs: Sequence[tuple[int, bytes]] = (),
    ) -> None:
        """Answers a request of the peer, in any order; nothing happens when the connection has ended or it is
        answered."""
        for event in self.session.respond(request, command_status, fields, tlvs, self._loop.time()):
            self._hear(event)
        if not self._was_bound and self.session.bound:
            self._was_bound = True
            self._arm()
        self._flush_soon()

    def pause_reading(self) -> None:
        """Leaves what the peer sends in the socket, for instance while the store is away; timers stand still."""
        if self._paused_at is None and self._transport is not None:
            self._paused_at = self._loop.time()
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Reads again; the time of the pause does not count against the peer."""
        if self._paused_at is not None and self._transport is not None:
            self.session.postpone(self._loop.time() - self._paused_at)
            self._paused_at = None
            self._transport.resume_reading()
            self._arm()

    async def bind(self, pdu: Pdu) -> Pdu:
        """Sends a bind and waits for its answer. Raises ConnectionError when the connection ends before."""
        self._bind_answer = self._loop.create_future()
        self.request(pdu)
        return await self._bind_answer

    # -- ending

    async def unbind(self, timeout: float) -> None:  # noqa: ASYNC109 (it never raises TimeoutError, it ends)
        """Waits for the answers that are due, says goodbye and closes, all within about `timeout` seconds."""
        self._leaving = True
        with suppress(TimeoutError, NotBound):
            async with asyncio.timeout(timeout):
                if self.session.unanswered:
                    self._drained = asyncio.Event()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(timeout / 2):
                            await self._drained.wait()
                self.session.unbind(self._loop.time())
                self._arm()
                self._flush_soon()
                await self._ended.wait()
        self.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._ended.wait()
        self.abort()

    def close(self, reason: str = "closed") -> None:
        """Sends what is written and ends the connection."""
        self._leaving = True
        self.reason = self.reason or reason
        self._flush()
        if self._transport is not None:
            self._transport.close()
            self._watch_slow_reader()

    def abort(self, reason: str = "aborted") -> None:
        """Ends the connection at once."""
        self._leaving = True
        self.reason = self.reason or reason
        if self._transport is not None:
            self._transport.abort()

    async def wait_closed(self) -> None:
        await self._ended.wait()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        peername = transport.get_extra_info("peername")
        if isinstance(peername, tuple):
            self.peer = (peername[0], peername[1])
        if self._on_connection is not None and not self._on_connection(self):
            self.abort("too many connections")
            return
        transport.set_write_buffer_limits(high=min(_HIGH_WATER, self.settings.max_write_buffer))
        self._arm()

    def data_received(self, data: bytes) -> None:
        session = self.session
        for event in session.receive(data, self._loop.time()):
            self._hear(event)
        if session.output_size:
            self._flush_soon()
        if not session.bound:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leaving = True
        if not self.reason:
            if self.session.unbinding:
                self.reason = "unbound"  # some answer an unbind by hanging up
            else:
                self.reason = "closed by the peer" if exc is None else f"connection lost: {exc}"
        for timer in (self._timer, self._slow):
            if timer is not None:
                timer.cancel()
        for event in self.session.close(self.reason):
            self._hear(event)
        self._transport = None
        self._ended.set()
        if self._bind_answer is not None and not self._bind_answer.done():
            self._bind_answer.set_exception(ConnectionError(f"no bind: {self.reason}"))
        if self._on_end is not None:
            self._on_end(self, self.reason)

    def pause_writing(self) -> None:
        self._choked = True
        self._watch_slow_reader()

    def resume_writing(self) -> None:
        self._choked = False
        if self._slow is not None and not self._leaving:
            self._slow.cancel()
            self._slow = None
        if self.room:
            self._tell(lambda handler: handler.on_room(self))

    # -- inside

    def _hear(self, event: Event) -> None:
        """Turns an event of the session into the handler's callback."""
        if isinstance(event, Request):
            if event.pdu.command_id in commands.BINDS and self._on_bind is not None:
                self._on_bind(self, event)
            elif not self._hear_request(event):
                self.respond(event.pdu, status.ESME_RSYSERR)
        elif isinstance(event, Response):
            self._hear_response(event)
        elif isinstance(event, Timeout):
            if event.request.command_id not in commands.BINDS:
                self._tell(lambda handler: handler.on_timeout(self, event.context, event.request, event.request_raw))
        elif isinstance(event, Closed):
            self._hear_closed(event)
            return
        elif self.room:
            self._tell(lambda handler: handler.on_room(self))
        if self._drained is not None and not self.session.unanswered:
            self._drained.set()

    def _hear_request(self, event: Request) -> bool:
        if self.handler is None:
            return False
        try:
            self.handler.on_request(self, event.pdu, event.raw)
            return True
        except Exception as error:
            self._report(error)
            return False

    def _hear_response(self, event: Response) -> None:
        if event.request.command_id in commands.BINDS:
            self._was_bound = self.session.bound
            self._arm()
            if self._bind_answer is not None and not self._bind_answer.done():
                self._bind_answer.set_result(event.response)
            return
        handler = self.handler
        if handler is None:
            return
        try:
            handler.on_response(
                self, event.context, event.request, event.response, event.request_raw, event.response_raw
            )
        except Exception as error:
            self._report(error)

    def _hear_closed(self, event: Closed) -> None:
        self.reason = self.reason or event.reason
        if self._was_bound:
            self._was_bound = False
            self._tell(lambda handler: handler.on_lost(self, self.reason, event.unanswered))
        self.close(self.reason)

    def _tell(self, what: Callable[[Handler], None]) -> bool:
        """Calls the handler; its failure is reported, and costs neither the connection nor the events that follow."""
        try:
            if self.handler is None:
                return False
            what(self.handler)
            return True
        except Exception as error:
            self._report(error)
            return False

    def _report(self, error: Exception) -> None:
        """A handler's failure costs neither the connection nor the events that follow."""
        self._loop.call_exception_handler({"message": "SMPP handler failed", "exception": error, "protocol": self})

    def _flush_soon(self) -> None:
        """One write a turn of the loop, unless so much gathers that the socket has to say whether it takes it."""
        if self.session.output_size > _HIGH_WATER:
            self._flush()
        elif not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush_turn)

    def _flush_turn(self) -> None:
        self._flushing = False
        self._flush()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or not self.session.output_size:
            return
        data = self.session.take_output()
        if transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > self.settings.max_write_buffer:
            self.abort("slow reader")

    def _arm(self) -> None:
        """Makes sure that the timer fires no later than the session's next deadline; too early does no harm."""
        deadline = self.session.next_deadline()
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._tick) if deadline < 1e12 else None

    def _tick(self) -> None:
        self._timer = None
        if self._paused_at is not None or self._transport is None:
            return  # resume_reading arms again
        for event in self.session.tick(self._loop.time()):
            self._hear(event)
        self._flush_soon()
        self._arm()

    def _watch_slow_reader(self) -> None:
        if self._slow is None and self._transport is not None:
            self._slow = self._loop.call_later(self.settings.slow_reader_s, self.abort, "slow reader")
