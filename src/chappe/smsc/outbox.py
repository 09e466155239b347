"""The receiving sessions of one login on this node, and what is about to be written to them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from chappe.accounts import LoginDialect
from chappe.smpp import Pdu, PduError
from chappe.smpp.aio import Connection, NotBound, PeerTooOld, WindowFull

_VERSION_WITH_TLVS = 0x34


@dataclass(slots=True, eq=False)
class Flight:
    """A claimed delivery on its way: how many of its PDUs owe an answer, and what went wrong with one."""

    id: int
    box: Outbox
    tries: int
    parts: int = 0
    error: str = ""
    for_good: bool = False
    at_once: bool = False  # the session went, which says nothing about the delivery


@dataclass(slots=True, eq=False)
class Outbox:
    """`waiting`: there may be something in the queue, to be looked for once the loop's clock says `at`; `looks` are
    the quick looks left; `reserved`: promised to deliveries that are about to be committed."""

    login_id: int
    dialect: LoginDialect
    sessions: deque[Connection] = field(default_factory=deque)  # the next one's turn first
    parts: deque[tuple[Pdu, Flight]] = field(default_factory=deque)
    waiting: bool = True
    looks: int = 0
    at: float = 0.0
    reserved: int = 0

    @property
    def room(self) -> int:
        """PDUs that the windows take beyond those that wait here."""
        return sum(session.room for session in self.sessions if session.can_send) - len(self.parts) - self.reserved

    @property
    def with_tlvs(self) -> bool:
        """Whether every session speaks 3.4 or later."""
        return all(session.interface_version >= _VERSION_WITH_TLVS for session in self.sessions)

    def flush(self) -> list[tuple[Flight, Exception]]:
        """Write what the windows take, the sessions in turn. Returns what a session could not carry, and why."""
        unfit: list[tuple[Flight, Exception]] = []
        while self.parts and (session := self._next()) is not None:
            pdu, flight = self.parts.popleft()
            try:
                session.request(pdu, flight)
            except (WindowFull, NotBound):
                self.parts.appendleft((pdu, flight))
                break
            except (PduError, PeerTooOld) as error:
                unfit.append((flight, error))
        return unfit

    def clear(self) -> list[Flight]:
        """Forget what is not written yet; returns the flights that lost a part."""
        torn = {}
        for _, flight in self.parts:
            flight.parts -= 1
            torn[flight.id] = flight
        self.parts.clear()
        return list(torn.values())

    def _next(self) -> Connection | None:
        for _ in range(len(self.sessions)):
            session = self.sessions[0]
            self.sessions.rotate(-1)
            if session.can_send and session.room > 0:
                return session
        return None
