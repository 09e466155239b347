"""One SMPP session without a socket: octets and the time go in, events come out; requests and answers become octets.

    events = session.receive(data, now)     # or session.tick(now) when next_deadline() has come
    session.request(pdu, context, now)      # the answer comes back as Response(context, ...)
    session.respond(request, status, ...)
    transport.write(session.take_output())

`now` is monotonic seconds. The session answers by itself what is none of the application's business: enquire_link,
unbind, commands in the wrong state, unreadable PDUs, floods. It ends exactly once, with `Closed`, which lists what was
sent and never answered; after that it says nothing. (SMPP 3.4, 2.2 states, 2.7 timers, 2.8 errors, 3.2 framing.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from struct import Struct
from typing import Any, Final

from chappe.smpp import commands, status, tlv
from chappe.smpp.commands import RESPONSE
from chappe.smpp.pdu import HEADER_SIZE, Pdu, PduError, decode, encode

_HEADER: Final = Struct(">IIII")
_LAST_SEQUENCE: Final = 0x7FFFFFFF
_VERSION_WITH_TLVS: Final = 0x34

Unanswered = tuple[Any, Pdu, bytes]
"""(context, request, its octets)"""


class Role(Enum):
    """Which end of the session this is."""

    ESME = "esme"  # the client: binds
    MC = "mc"  # the message centre: is bound to


class State(Enum):
    """SMPP 3.4, 2.2."""

    OPEN = "open"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBOUND = "unbound"
    CLOSED = "closed"


BOUND: Final = frozenset({State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX})
_STATE_OF_BIND: Final = {
    commands.BIND_TRANSMITTER: State.BOUND_TX,
    commands.BIND_RECEIVER: State.BOUND_RX,
    commands.BIND_TRANSCEIVER: State.BOUND_TRX,
}

_LINK: Final = frozenset({commands.ENQUIRE_LINK, commands.UNBIND})
_TO_MC: Final = _LINK | {
    commands.SUBMIT_SM,
    commands.SUBMIT_MULTI,
    commands.DATA_SM,
    commands.QUERY_SM,
    commands.CANCEL_SM,
    commands.REPLACE_SM,
    commands.BROADCAST_SM,
    commands.QUERY_BROADCAST_SM,
    commands.CANCEL_BROADCAST_SM,
}
_TO_ESME: Final = _LINK | {commands.DELIVER_SM, commands.DATA_SM, commands.ALERT_NOTIFICATION}

# Who may ask for what, when (SMPP 3.4, 2.3).
MAY_SEND: Final[dict[tuple[Role, State], frozenset[int]]] = {
    (Role.ESME, State.OPEN): commands.BINDS,
    (Role.MC, State.OPEN): frozenset({commands.OUTBIND}),
    (Role.ESME, State.BOUND_TX): _TO_MC,
    (Role.MC, State.BOUND_TX): _LINK,
    (Role.ESME, State.BOUND_RX): _LINK,
    (Role.MC, State.BOUND_RX): _TO_ESME,
    (Role.ESME, State.BOUND_TRX): _TO_MC,
    (Role.MC, State.BOUND_TRX): _TO_ESME,
}
_NOTHING: Final[frozenset[int]] = frozenset()


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Limits of one session. Seconds, octets, counts; None switches a timer off."""

    window: int = 10
    """Our requests that may be unanswered at once."""
    max_pending: int = 1000
    """The peer's requests that may wait for our answer at once; beyond it reads ESME_RTHROTTLED."""
    enquire_link_s: float | None = 30
    """Silence of the peer after which we send enquire_link; the same again without a sign of life ends the session."""
    enquire_link_timeout_s: float = 30
    response_timeout_s: float = 60
    inactivity_s: float | None = None
    """Without any request for this long the session ends. The peer's enquire_link counts as a request, ours does
    not."""
    session_init_s: float = 10
    """From the connection to the completed bind, for those who bind to us and for ourselves."""
    max_pdu: int = 70 * 1024
    """A message_payload may reach 64 KiB."""
    max_before_bind: int = 4096
    """Octets that a message centre reads from a peer that is not bound."""
    interface_version: int = 0x34
    """What we say in sc_interface_version; 0x50 for SMPP 5.0."""
    long_passwords: bool = False
    connect_timeout_s: float = 10
    max_write_buffer: int = 1024 * 1024
    """Unsent octets above which a peer that does not read is dropped at once."""
    slow_reader_s: float = 30
    """How long a peer may leave our octets unread before it is dropped."""


# -- events ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Request:
    """The peer asks; `respond` to it, now or later (alert_notification and outbind want no answer)."""

    pdu: Pdu
    raw: bytes = field(repr=False)


@dataclass(slots=True)
class Response:
    """The answer to a request of ours; a generic_nack is an answer too."""

    context: Any
    request: Pdu
    response: Pdu
    request_raw: bytes = field(repr=False)
    response_raw: bytes = field(repr=False)


@dataclass(slots=True)
class Timeout:
    """No answer in time: what became of the request is unknown."""

    context: Any
    request: Pdu
    request_raw: bytes = field(repr=False)


@dataclass(slots=True)
class Room:
    """The window was full and is not any more."""


@dataclass(slots=True)
class Closed:
    """The session is over; send what `take_output` still holds, then end the connection."""

    reason: str
    unanswered: list[Unanswered] = field(repr=False)


Event = Request | Response | Timeout | Room | Closed


# -- refusals of our own requests ------------------------------------------------------------------


class NotBound(Exception):
    """The state of the session does not permit this request."""


class WindowFull(Exception):
    """As many requests as the window holds are unanswered; wait for Room."""


class PeerTooOld(Exception):
    """The peer speaks a version before 3.4, which knows neither data_sm nor message_payload."""


@dataclass(slots=True)
class Counters:
    """What went wrong without an event."""

    stray_responses: int = 0
    violations: int = 0
    undecodable: int = 0
    throttled: int = 0


@dataclass(slots=True)
class _Sent:
    context: Any
    pdu: Pdu
    raw: bytes
    deadline: float


class Session:
    """One end of a session, from the connection to its end."""

    def __init__(self, role: Role, settings: SessionSettings, now: float) -> None:
        self.role = role
        self.settings = settings
        self.state = State.OPEN
        self.bind: Pdu | None = None
        """The bind that was asked for; its password is blanked once it has been sent or answered."""
        self.peer_version = settings.interface_version
        self.peer_system_id = ""
        self.counters = Counters()
        self._peer_role = Role.MC if role is Role.ESME else Role.ESME
        self._peer_may = MAY_SEND[self._peer_role, State.OPEN]
        self._may = MAY_SEND[role, State.OPEN]
        self.output_size = 0
        """Octets that `take_output` would give."""
        self._out: list[bytes] = []
        self._buffer = bytearray()
        self._wanted = 4  # octets the buffer needs before it is worth a look
        self._sequence = 0
        self._sent: dict[int, _Sent] = {}  # in the order of sending, so the first has the next deadline
        self._pinged = False  # our enquire_link is the last word
        self._unbind: int | None = None
        self._pending: set[tuple[int, int]] = set()  # (sequence_number, command_id) that we owe an answer
        self._unbind_owed: Pdu | None = None
        self._was_full = False
        self._octets_before_bind = 0
        # The timer is the message centre's; a client's bind has the response timer (SMPP 3.4, 2.7).
        self._init_deadline = now + settings.session_init_s if role is Role.MC else math.inf
        self._received_at = now
        self._active_at = now
        self._unbind_deadline = math.inf

    # -- what others ask

    @property
    def bound(self) -> bool:
        return self.state in BOUND

    @property
    def closed(self) -> bool:
        return self.state is State.CLOSED

    @property
    def room(self) -> int:
        """How many requests may be sent now; 0 when not bound or on the way out."""
        if self.state not in BOUND or self._unbind is not None:
            return 0
        return max(0, self.settings.window - len(self._sent))

    @property
    def unanswered(self) -> int:
        return len(self._sent)

    @property
    def pending(self) -> int:
        """The peer's requests that we owe an answer."""
        return len(self._pending)

    @property
    def unbinding(self) -> bool:
        """Whether we have said goodbye."""
        return self._unbind is not None

    def may_send(self, command_id: int) -> bool:
        return command_id in self._may and self._unbind is None

    def take_output(self) -> bytes:
        """All octets to be sent; empties the outbox."""
        out = self._out
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self.output_size = 0
        return data

    # -- sending

    def request(self, pdu: Pdu, context: Any, now: float) -> int:
        """Puts a request in the outbox and returns its sequence_number; `pdu` belongs to the session from then on.

        Raises NotBound, WindowFull, PeerTooOld, or PduError when the PDU cannot be written.
        """
        command_id = pdu.command_id
        if command_id not in self._may or self._unbind is not None:
            raise NotBound(f"{pdu.name} in state {self.state.value}")
        sent = self._sent
        if len(sent) >= self.settings.window:
            self._was_full = True
            raise WindowFull
        if self.peer_version < _VERSION_WITH_TLVS:
            self._lower(pdu)
        if command_id in commands.BINDS:
            if sent:
                raise NotBound("a bind is under way")
            self.bind = pdu
        sequence = pdu.sequence_number = self._next_sequence()
        raw = encode(pdu, self.settings.long_passwords)
        if command_id not in commands.UNANSWERED:
            sent[sequence] = _Sent(context, pdu, raw, now + self.settings.response_timeout_s)
            self._was_full = len(sent) >= self.settings.window and command_id not in commands.BINDS
        self._put(raw)
        self._active_at = now
        return sequence

    def respond(
        self,
        request: Pdu,
        command_status: int,
        fields: dict[str, Any] | None,
        tlvs: Sequence[tuple[int, bytes]],
        now: float,
    ) -> list[Event]:
        """Answers a request of the peer. Answers in any order; a second answer, or one after the end, is dropped."""
        key = (request.sequence_number, request.command_id)
        if key not in self._pending:
            return []
        answer = Pdu(request.command_id | RESPONSE, command_status, request.sequence_number, fields or {}, list(tlvs))
        binds = request.command_id in commands.BINDS
        if binds and not command_status:
            answer.tlvs.append((tlv.SC_INTERFACE_VERSION, bytes((self.settings.interface_version,))))
        if self.peer_version < _VERSION_WITH_TLVS:
            answer.tlvs = []
        self._put(encode(answer))  # raises PduError before anything is forgotten
        self._pending.remove(key)
        if binds:
            request.fields["password"] = ""
            self._active_at = now
            self._enter(State.OPEN if command_status else _STATE_OF_BIND[request.command_id])
        return self._finish_unbind() if self._unbind_owed is not None else []

    def unbind(self, now: float) -> None:
        """Says goodbye; Closed follows with the peer's answer or when it does not come. Raises NotBound."""
        if not self.bound or self._unbind is not None:
            raise NotBound(f"unbind in state {self.state.value}")
        self._unbind = self._next_sequence()
        self._unbind_deadline = now + self.settings.response_timeout_s
        self._put(encode(Pdu(commands.UNBIND, 0, self._unbind)))

    def close(self, reason: str) -> list[Event]:
        """The connection is gone or is to go: the last event, or nothing when it has been given already."""
        if self.closed:
            return []
        self._enter(State.CLOSED)
        unanswered = [
            (sent.context, sent.pdu, sent.raw)
            for sent in self._sent.values()
            if sent.pdu.command_id not in commands.BINDS
        ]
        self._sent.clear()
        self._pending.clear()
        self._buffer.clear()
        return [Closed(reason, unanswered)]

    # -- receiving

    def receive(self, data: bytes, now: float) -> list[Event]:
        """What the peer's octets mean, in order."""
        if self.closed:
            return []
        events: list[Event] = []
        try:
            if self.state is State.OPEN and self.role is Role.MC:
                self._octets_before_bind += len(data)
                if self._octets_before_bind > self.settings.max_before_bind:
                    return self.close("flood before bind")
            for frame in self._frames(data):
                self._received_at = now
                self._pinged = False
                events += self._receive_frame(frame, now)
                if self.closed:
                    return events
        except PduError as error:  # framing is lost
            self.counters.undecodable += 1
            self._nack(error.command_status, 0)
            return events + self.close(error.reason)
        if self._was_full and self.room:
            self._was_full = False
            events.append(Room())
        return events

    def _frames(self, data: bytes) -> Iterator[bytes]:
        """Cuts the stream into PDUs; what is left waits in the buffer. Raises a fatal PduError."""
        buffer = self._buffer
        if buffer:
            buffer += data
            if len(buffer) < self._wanted:
                return
            data = bytes(buffer)
            buffer.clear()
        at, end = 0, len(data)
        self._wanted = 4
        while end - at >= 4:
            length = int.from_bytes(data[at : at + 4], "big")
            if not HEADER_SIZE <= length <= self.settings.max_pdu:
                raise PduError(status.ESME_RINVCMDLEN, commands.GENERIC_NACK, 0, f"command_length {length}", fatal=True)
            if end - at < length:
                self._wanted = length
                break
            yield data[at : at + length]
            at += length
        buffer += data[at:]

    def _receive_frame(self, frame: bytes, now: float) -> list[Event]:
        _, command_id, _, sequence = _HEADER.unpack_from(frame)
        if command_id >= RESPONSE:
            return self._receive_response(command_id, sequence, frame, now)
        if command_id not in commands.LAYOUTS:
            self.counters.undecodable += 1
            self._nack(status.ESME_RINVCMDID, sequence)
            return []
        if command_id not in self._peer_may:
            self.counters.violations += 1
            already = command_id in commands.BINDS and self.state is not State.OPEN
            self._refuse(command_id, sequence, status.ESME_RALYBND if already else status.ESME_RINVBNDSTS)
            return []
        try:
            pdu = decode(frame, self.settings.long_passwords)
        except PduError as error:
            self.counters.undecodable += 1
            self._refuse(command_id, sequence, error.command_status)
            return []
        self._active_at = now
        return self._receive_request(pdu, frame, now)

    def _receive_request(self, pdu: Pdu, frame: bytes, now: float) -> list[Event]:
        command_id, sequence = pdu.command_id, pdu.sequence_number
        if command_id == commands.ENQUIRE_LINK:
            self._put(encode(Pdu(commands.ENQUIRE_LINK | RESPONSE, 0, sequence)))
            return []
        if command_id == commands.UNBIND:
            self._unbind_owed = pdu
            self._unbind_deadline = now + self.settings.response_timeout_s
            self._enter(State.UNBOUND)
            return self._finish_unbind()
        if command_id in commands.UNANSWERED:
            return [Request(pdu, frame)]
        key = (sequence, command_id)
        if len(self._pending) >= self.settings.max_pending:
            self.counters.throttled += 1
            self._refuse(command_id, sequence, status.ESME_RTHROTTLED)
        elif key in self._pending:  # two requests in flight that only differ in their answers: which would be whose?
            self.counters.violations += 1
            self._refuse(command_id, sequence, status.ESME_RSYSERR)
        else:
            self._pending.add(key)
            if command_id in commands.BINDS:
                self._peer_may = _NOTHING  # one bind at a time, and nothing before it is answered
                self.bind = pdu
                self.peer_version = pdu.fields["interface_version"]
                self.peer_system_id = pdu.fields["system_id"]
            return [Request(pdu, frame)]
        return []

    def _receive_response(self, command_id: int, sequence: int, frame: bytes, now: float) -> list[Event]:
        if sequence == self._unbind and command_id in (commands.UNBIND | RESPONSE, commands.GENERIC_NACK):
            self._enter(State.UNBOUND)
            return self.close("unbound")
        sent = self._sent.get(sequence)
        if sent is None or command_id not in (sent.pdu.command_id | RESPONSE, commands.GENERIC_NACK):
            if command_id != commands.ENQUIRE_LINK | RESPONSE:  # which has done its work by coming
                self.counters.stray_responses += 1
            return []
        try:
            response = decode(frame)
        except PduError:  # accepted or not, we cannot read it: the request runs into its timeout, outcome unknown
            self.counters.undecodable += 1
            return []
        del self._sent[sequence]
        self._active_at = now
        if sent.pdu.command_id in commands.BINDS:
            self._receive_bind_resp(sent, response)
        return [Response(sent.context, sent.pdu, response, sent.raw, frame)]

    # -- binding

    def _receive_bind_resp(self, sent: _Sent, response: Pdu) -> None:
        sent.pdu.fields["password"] = ""
        sent.raw = b""  # holds the password
        if response.command_status or response.command_id == commands.GENERIC_NACK:
            return
        self.peer_system_id = response.fields.get("system_id", "")
        # Without the TLV the peer is 3.3 by the letter; in the wild it is a 3.4 that forgot, so we keep what we asked
        # for.
        version = tlv.unpack(tlv.SC_INTERFACE_VERSION, response.tlv(tlv.SC_INTERFACE_VERSION) or b"")
        self.peer_version = version if isinstance(version, int) else sent.pdu.fields.get("interface_version", 0)
        self._enter(_STATE_OF_BIND[sent.pdu.command_id])

    def _lower(self, pdu: Pdu) -> None:
        """Makes a request readable for a peer before 3.4: TLVs are left out, unless the text itself is one."""
        if pdu.command_id == commands.DATA_SM or pdu.tlv(tlv.MESSAGE_PAYLOAD) is not None:
            raise PeerTooOld(f"interface_version 0x{self.peer_version:02X}")
        pdu.tlvs = []

    # -- timers

    def next_deadline(self) -> float:
        """When `tick` has something to do, at the earliest; infinity when never."""
        settings = self.settings
        if self.closed:
            return math.inf
        deadline = self._unbind_deadline
        if self._sent:
            deadline = min(deadline, next(iter(self._sent.values())).deadline)
        if self.state is State.OPEN:
            return min(deadline, self._init_deadline)
        if settings.inactivity_s is not None:
            deadline = min(deadline, self._active_at + settings.inactivity_s)
        if settings.enquire_link_s is not None and self.bound:
            patience = settings.enquire_link_timeout_s if self._pinged else 0
            deadline = min(deadline, self._received_at + settings.enquire_link_s + patience)
        return deadline

    def tick(self, now: float) -> list[Event]:
        """What the passing of time means."""
        settings = self.settings
        if self.closed:
            return []
        events = self._expire(now)
        if self.state is State.OPEN:
            if now >= self._init_deadline:
                events += self.close("not bound in time")
            return events
        if now >= self._unbind_deadline:
            return events + self.close("unbind not completed in time")
        if settings.inactivity_s is not None and now >= self._active_at + settings.inactivity_s:
            return events + self.close("inactive")
        if settings.enquire_link_s is not None and self.bound:
            idle = now - self._received_at
            if not self._pinged and idle >= settings.enquire_link_s:
                self._pinged = True
                self._put(encode(Pdu(commands.ENQUIRE_LINK, 0, self._next_sequence())))
            elif idle >= settings.enquire_link_s + settings.enquire_link_timeout_s:
                return events + self.close("enquire_link not answered")
        if self._was_full and self.room:
            self._was_full = False
            events.append(Room())
        return events

    def postpone(self, seconds: float) -> None:
        """Moves every deadline: for this long nobody has read what the peer sent, so its silence proves nothing."""
        self._init_deadline += seconds
        self._received_at += seconds
        self._active_at += seconds
        self._unbind_deadline += seconds
        for sent in self._sent.values():
            sent.deadline += seconds

    def _expire(self, now: float) -> list[Event]:
        events: list[Event] = []
        while self._sent:
            sequence, sent = next(iter(self._sent.items()))
            if sent.deadline > now:
                break
            del self._sent[sequence]
            events.append(Timeout(sent.context, sent.pdu, sent.raw))
        return events

    # -- small parts

    def _put(self, frame: bytes) -> None:
        self._out.append(frame)
        self.output_size += len(frame)

    def _enter(self, state: State) -> None:
        self.state = state
        self._may = MAY_SEND.get((self.role, state), _NOTHING)
        self._peer_may = MAY_SEND.get((self._peer_role, state), _NOTHING)

    def _next_sequence(self) -> int:
        sequence = self._sequence
        while True:
            sequence = sequence + 1 if sequence < _LAST_SEQUENCE else 1
            if sequence not in self._sent:
                self._sequence = sequence
                return sequence

    def _refuse(self, command_id: int, sequence: int, command_status: int) -> None:
        if command_id in commands.UNANSWERED:
            self._nack(command_status, sequence)
        else:
            self._put(encode(Pdu(command_id | RESPONSE, command_status, sequence)))

    def _nack(self, command_status: int, sequence: int) -> None:
        self._put(encode(Pdu(commands.GENERIC_NACK, command_status, sequence)))

    def _finish_unbind(self) -> list[Event]:
        """The peer has said goodbye: it hears ours once it has all the answers that we owe it."""
        if self._unbind_owed is None or self._pending:
            return []
        self._put(encode(Pdu(commands.UNBIND | RESPONSE, 0, self._unbind_owed.sequence_number)))
        return self.close("unbound by peer")
