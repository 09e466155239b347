"""A connector's link: its sessions taken together.

Hot path, per part: `send` chooses a session, composes the PDU and writes it; the `Outcome` travels as the request's
context and comes back with the answer. No task, no future and no timer is made for a part.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from chappe.channels.contract import Inbound, LinkStatus, Outcome, Outgoing, Receipt, SendError, Sink, Verdict
from chappe.channels.settings import Connector
from chappe.channels.smpp.circuit import Circuit
from chappe.channels.smpp.errors import StatusTable, in_doubt
from chappe.channels.smpp.incoming import Reader
from chappe.channels.smpp.line import Line
from chappe.channels.smpp.outgoing import Composer
from chappe.channels.smpp.pace import Pace
from chappe.clock import Clock
from chappe.smpp import NotBound, Pdu, PduError, PeerTooOld, WindowFull, commands, status, tlv
from chappe.smpp.aio import BindType, Connection

_THROTTLE_S: Final = (0.5, 30.0)
_QUEUE_FULL_S: Final = (5.0, 180.0)  # a backlog at the supplier takes longer to go than a second's rate
_CONGESTED: Final = 90  # SMPP 5.0, 4.8.4.18: nearing congestion
_ALERT_EVERY_S: Final = 60.0
_MOST_UNFINISHED: Final = 10_000
_LAST_WORD_S: Final = 0.5  # the least that is left for unbinding
_BINDS: Final[dict[str, tuple[BindType, ...]]] = {
    "transceiver": ("transceiver",),
    "pair": ("transmitter", "receiver"),
    "transmitter": ("transmitter",),
    "receiver": ("receiver",),
}


def open(
    connector: Connector,
    sink: Sink,
    clock: Clock,
    slots: Collection[int] | None = None,
    *,
    log: Any = None,
    random: Callable[[], float] = random.random,
) -> SmppLink:
    """A link that connects at once, in the running event loop, and goes on trying until it is stopped or refused.

    `slots` are those of the connector's binds, from 0, that are ours; None: all, and nobody else has any. `random`
    gives the jitter of reconnecting, from 0 to 1.
    """
    link = SmppLink(connector, sink, clock, slots, log or structlog.get_logger("chappe.channels.smpp"), random)
    link.start()
    return link


class SmppLink:
    """See `chappe.channels.contract.Link`. Made by `open`."""

    def __init__(
        self,
        connector: Connector,
        sink: Sink,
        clock: Clock,
        slots: Collection[int] | None,
        log: Any,
        random: Callable[[], float],
    ) -> None:
        settings = connector.settings
        self.connector = connector
        self.connector_id = connector.id
        self.clock = clock
        self.random = random
        self.closing = False
        """No new sessions: stopped, or refused for good."""
        self._sink = sink
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._compose = Composer(settings).compose
        self._reader = Reader(connector.id, settings)
        self._errors = StatusTable(settings.status_map)
        self._pace = Pace(settings.rate_per_s, settings.burst, clock.monotonic())
        self._circuit = Circuit(settings.breaker)
        self._lines: list[Line] = []
        self._senders: list[Line] = []  # those that are up and may send
        self._turn = 0
        self._free = 0  # open windows of all senders
        self._unfinished: dict[int, Line] = {}  # message id: the session that has its first parts
        self._starved = False  # somebody was told that there is no room
        self._telling = False
        self._timer: asyncio.TimerHandle | None = None
        self._probe_timer: asyncio.TimerHandle | None = None
        self._paid = asyncio.Event()
        self._stopping = False
        self._stopped = False
        self._refusal = ""
        self._tried = False
        self._last_error = ""
        self._alert_at = 0.0
        self._since = clock.now()
        self._shown: tuple[Any, ...] = ()
        self._counters = dict.fromkeys(
            (
                "sent",
                "accepted",
                "accepted_without_id",
                "refused",
                "throttled",
                "timed_out",
                "lost",
                "receipts",
                "inbound",
                "ignored",
            ),
            0,
        )
        for slot in range(settings.binds) if slots is None else slots:
            self._add(slot)
        if slots is not None:
            self._pace.empty()

    def start(self) -> None:
        for line in self._lines:
            line.start()

    # -- which of the connector's binds are ours

    def hold(self, slot: int) -> None:
        """One bind more: it connects at once. The others do not notice."""
        if self.closing or any(line.slot == slot for line in self._lines):
            return
        for line in self._add(slot):
            line.start()
        self._show()

    async def let_go(self, slot: int, grace_s: float = 5.0) -> None:
        """One bind less: nothing more is sent by it, it unbinds after the answers owed on both sides or when the grace
        is over. The others do not notice.
        """
        gone = self._remove([line for line in self._lines if line.slot == slot])
        for line in gone:
            line.give_up()
            self.freed(line)
        await self._settle(gone, grace_s / 2)
        await asyncio.gather(*(line.leave(grace_s) for line in gone))
        self._show()

    def drop(self) -> None:
        """End all sessions at once, without a word: others may be about to bind in our place."""
        for line in self._remove(list(self._lines)):
            line.drop()
            self.freed(line)
        self._show()

    def _add(self, slot: int) -> list[Line]:
        lines = [Line(self, bind_type, slot) for bind_type in _BINDS[self.connector.settings.bind_type]]
        self._lines += lines
        self._share()
        return lines

    def _remove(self, lines: list[Line]) -> list[Line]:
        self._lines = [line for line in self._lines if line not in lines]
        self._share()
        return lines

    def _share(self) -> None:
        """The rate is shared by binds, wherever they are."""
        if held := len({line.slot for line in self._lines}):
            self._pace.share(held / self.connector.settings.binds, self.clock.monotonic())

    # -- the contract: room and send

    def room(self, held: int = 0) -> int:
        """Parts that may be sent now. Who reads 0 here will hear `sink.room`."""
        room = max(0, min(self._room(self.clock.monotonic()), self._free - held))
        if not room:
            self._starve()
        return room

    def _room(self, now: float) -> int:
        if self._stopping or self._free <= 0:
            return 0
        return min(self._free, self._pace.room(now), self._circuit.room(now))

    def send(self, parts: Sequence[Outgoing]) -> int:
        """Writes the first n parts, in order, and returns n; the sink hears of each of those exactly once."""
        now = self.clock.monotonic()
        sent_at = self.clock.now()
        allowed = min(self._room(now), len(parts))
        written = unwritable = 0
        while written < allowed:
            part = parts[written]
            line = self._next_line() if part.parts == 1 else self._line_of(part)
            if line is None:
                break
            outcome = Outcome(part, self.connector_id, sent_at=sent_at)
            try:
                line.connection.request(self._compose(part, sent_at), outcome)  # type: ignore[union-attr]
            except (WindowFull, NotBound):  # the socket is full, or the session is about to end
                self._free -= line.free
                line.free = 0
                continue
            except (PduError, PeerTooOld, ValueError) as error:
                outcome.error = SendError("supplier_rejected", Verdict.NEXT, detail=f"cannot be written: {error}")
                self._loop.call_soon(self._sink.outcome, outcome)
                unwritable += 1
            else:
                line.free -= 1
                self._free -= 1
            written += 1
        if sent := written - unwritable:
            self._counters["sent"] += sent
            self._pace.take(sent, now)
            self._circuit.sent()
        if written < len(parts) or not self._room(now):
            self._starve()
        return written

    def _next_line(self) -> Line | None:
        """Sessions in turn."""
        senders = self._senders
        for _ in senders:
            self._turn = (self._turn + 1) % len(senders)
            if senders[self._turn].free > 0:
                return senders[self._turn]
        return None

    def _line_of(self, part: Outgoing) -> Line | None:
        """All parts of a message on one session: some suppliers join parts per session. None: that one is full."""
        unfinished = self._unfinished
        line = unfinished.get(part.message_id)
        if line is None or line.connection is None or line.leaving:
            line = max(self._senders, key=lambda sender: sender.free, default=None)
        if line is None or line.free <= 0:
            return None
        if part.part < part.parts:
            if len(unfinished) >= _MOST_UNFINISHED:
                del unfinished[next(iter(unfinished))]  # its other parts were never sent
            unfinished[part.message_id] = line
        else:
            unfinished.pop(part.message_id, None)
        return line

    # -- telling that there is room again

    def _starve(self) -> None:
        self._starved = True
        if self._timer is None and self._free > 0 and not self._stopping:
            wait = self._pace.wait(self.clock.monotonic())
            if wait > 0:  # else an answer, a new session or a closing circuit will tell
                self._timer = self._loop.call_later(wait, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._tell_room()

    def _tell_room_soon(self) -> None:
        """Once for all the answers that came together."""
        if not self._telling:
            self._telling = True
            self._loop.call_soon(self._tell_room)

    def _tell_room(self) -> None:
        self._telling = False
        if not self._starved or self._stopping:
            return
        if self._room(self.clock.monotonic()):
            self._starved = False
            self._sink.room(self.connector_id)
        else:
            self._starve()

    def freed(self, line: Line) -> None:
        """Counts anew what a session takes."""
        connection = line.connection
        room = connection.room if connection is not None and line.sends and not line.leaving else 0
        self._free += room - line.free
        line.free = room
        if self._starved and room:
            self._tell_room_soon()

    # -- answers

    def answered(self, line: Line, outcome: Outcome, response: Pdu) -> None:
        outcome.answered_at = self.clock.now()
        code = response.command_status
        if code == status.ESME_ROK and response.command_id != commands.GENERIC_NACK:
            self._accepted(outcome, response)
        else:
            self._refused(outcome, code)
        if response.tlvs:
            congestion = response.tlv(tlv.CONGESTION_STATE)
            if congestion and congestion[0] > _CONGESTED:
                self._pace.congested(self.clock.monotonic())
        self.freed(line)
        self._sink.outcome(outcome)

    def _accepted(self, outcome: Outcome, response: Pdu) -> None:
        self._counters["accepted"] += 1
        provider_id = response.fields.get("message_id", "")
        if provider_id:
            outcome.provider_id = provider_id
            outcome.provider_key = self._reader.key(provider_id, "response")
        else:
            self._counters["accepted_without_id"] += 1
        if self._pace.slowed:
            self._pace.accepted(self.clock.monotonic(), self._monotonic(outcome.sent_at))
        if not self._circuit.spotless:
            self._works()

    def _refused(self, outcome: Outcome, code: int) -> None:
        now = self.clock.monotonic()
        error = outcome.error = self._errors.error(code)
        self._counters["refused"] += 1
        if error.verdict is Verdict.THROTTLE:
            self._counters["throttled"] += 1
            least, most = _QUEUE_FULL_S if code == status.ESME_RMSGQFUL else _THROTTLE_S
            self._pace.throttled(now, self._monotonic(outcome.sent_at), least, most)
        if self._errors.is_our_bug(code) and now >= self._alert_at:
            self._alert_at = now + _ALERT_EVERY_S
            self._log.error("supplier calls our PDU wrong", connector=self.connector.name, status=error.supplier)
        if self._errors.is_failure(code):
            self._fails(now, error.supplier)
        elif not self._circuit.spotless:
            self._works()

    def timed_out(self, line: Line, outcome: Outcome) -> None:
        self._counters["timed_out"] += 1
        self._doubt(outcome, "response timeout")
        self._fails(self.clock.monotonic(), "response timeout")
        self.freed(line)
        self._sink.outcome(outcome)

    def _doubt(self, outcome: Outcome, why: str) -> None:
        outcome.answered_at = self.clock.now()
        outcome.error = in_doubt(outcome.answered_at - outcome.sent_at, why)

    def _fails(self, now: float, why: str) -> None:
        was = self._circuit.state
        self._circuit.failed(now)
        if self._circuit.state == "open" and was != "open":
            self._last_error = why
            self._log.warning("circuit open", connector=self.connector.name, error=why)
            self._probe_timer = self._loop.call_later(self._circuit.wait(now) + 0.001, self._probe)
            self._show()

    def _probe(self) -> None:
        """The circuit has been open for long enough: the link offers itself again, for one message."""
        self._show()
        self._tell_room()

    def _works(self) -> None:
        was = self._circuit.state
        self._circuit.succeeded()
        if was != "closed":
            self._show()
            self._tell_room_soon()

    def _monotonic(self, at: int) -> float:
        return self.clock.monotonic() - (self.clock.now() - at) / 1000

    # -- what the supplier asks

    def heard(self, connection: Connection, pdu: Pdu, raw: bytes) -> None:
        if pdu.command_id not in (commands.DELIVER_SM, commands.DATA_SM):
            self._counters["ignored"] += 1  # alert_notification, which wants no answer
            return
        what = self._reader.read(pdu, raw, self.clock.now())
        done = _Owed(self, connection, pdu)
        try:
            self._pass_on(what, done)
        except Exception:
            done(False)
            raise

    def _pass_on(self, what: Receipt | Inbound, done: _Owed) -> None:
        if isinstance(what, Receipt):
            self._counters["receipts"] += 1
            self._sink.receipt(what, done)
        else:
            self._counters["inbound"] += 1
            self._sink.inbound(what, done)

    def paid(self) -> None:
        """A request of the supplier has had its answer."""
        self._paid.set()

    async def _settle(self, lines: Sequence[Line], within_s: float) -> None:
        """Until the supplier has our answers on these sessions."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while any(line.owes for line in lines):
                    self._paid.clear()
                    await self._paid.wait()

    # -- sessions come and go

    def came_up(self, line: Line, connection: Connection) -> None:
        line.connection = connection
        line.last_error = ""
        line.since = self.clock.now()
        if line.sends:
            self._senders.append(line)
        self.freed(line)
        self._tell_room_soon()
        self._show()

    def missed(self, line: Line, reason: str) -> None:
        self._tried = True
        line.last_error = self._last_error = reason
        self._log.warning("no session", connector=self.connector.name, bind=line.bind_type, error=reason)
        self._show()

    def refuse(self, line: Line, reason: str) -> None:
        """The supplier does not know us: who goes on knocking gets locked out."""
        self.closing = True
        line.last_error = self._last_error = self._refusal = reason
        self._log.error("bind refused for good", connector=self.connector.name, error=reason)
        self._show()

    def lost(self, line: Line, connection: Connection, reason: str, unanswered: list[Outcome]) -> None:
        if line.connection is connection:
            line.connection = None
            line.since = self.clock.now()
            self.freed(line)
            if line in self._senders:
                self._senders.remove(line)
        if not (self._stopping or line.leaving):
            line.last_error = self._last_error = reason
            self._log.warning(
                "session lost",
                connector=self.connector.name,
                bind=line.bind_type,
                error=reason,
                in_doubt=len(unanswered),
            )
        if line.sends and not self._senders and not line.leaving:
            self._circuit.cut(self.clock.monotonic())
        self._counters["lost"] += len(unanswered)
        self._show()
        for outcome in unanswered:
            self._doubt(outcome, f"connection lost ({reason})")
            self._sink.outcome(outcome)

    # -- status and the end

    def status(self) -> LinkStatus:
        up = sum(line.connection is not None for line in self._lines)
        return LinkStatus(
            state=self._state(up),
            binds_up=up,
            binds_wanted=len(self._lines),
            in_flight=sum(line.connection.unanswered for line in self._lines if line.connection is not None),
            circuit_open=self._circuit.is_open(self.clock.monotonic()),
            last_error=self._last_error,
            since=self._since,
            binds=[
                {
                    "slot": line.slot,
                    "type": line.bind_type,
                    "up": line.connection is not None,
                    "in_flight": line.connection.unanswered if line.connection is not None else 0,
                    "since": line.since,
                    "last_error": line.last_error,
                }
                for line in self._lines
            ],
            counters=self._counters | {"rate_limit": self._pace.limit or 0},
        )

    def _state(self, up: int) -> Any:
        if self._stopped:
            return "stopped"
        usable = bool(self._senders) if any(line.sends for line in self._lines) else up > 0
        if usable:
            whole = up == len(self._lines) and not self._circuit.is_open(self.clock.monotonic())
            return "up" if whole else "degraded"
        if self._refusal:
            return "refused"
        return "down" if self._tried or up or self._last_error else "starting"

    def _show(self) -> None:
        """Tells the sink, when what it shows has changed."""
        shown = self.status()
        key = (shown.state, shown.binds_up, shown.circuit_open, shown.last_error)
        if key == self._shown:
            return
        if not self._shown or key[0] != self._shown[0]:
            self._since = shown.since = self.clock.now()
        self._shown = key
        self._sink.status(self.connector_id, shown)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Sends nothing more, waits for the answers owed on both sides, unbinds; at most about the grace."""
        if self._stopping:
            return
        self._stopping = self.closing = True
        for timer in (self._timer, self._probe_timer):
            if timer is not None:
                timer.cancel()
        began = self._loop.time()
        for line in self._lines:
            line.give_up()
        await self._settle(self._lines, grace_s / 2)
        left = max(_LAST_WORD_S, grace_s - (self._loop.time() - began))
        await asyncio.gather(*(line.leave(left) for line in self._lines))
        self._stopped = True
        self._show()


class _Owed:
    """The answer that a deliver_sm waits for; calling it answers, once."""

    __slots__ = ("_connection", "_link", "_pdu")

    def __init__(self, link: SmppLink, connection: Connection, pdu: Pdu) -> None:
        self._link: SmppLink | None = link
        self._connection = connection
        self._pdu = pdu

    def __call__(self, stored: bool) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        # The message_id of deliver_sm_resp is unused and stays empty (SMPP 3.4, 4.6.2).
        self._connection.respond(self._pdu, status.ESME_ROK if stored else status.ESME_RX_T_APPN)
        link.paid()
