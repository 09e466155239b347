"""Dispatch: from the queue to the wire.

Every connector has a desk. The desk knows how much room its link has, claims that many rows (committed as `sending`
before a byte leaves) and hands their parts to the link. A fresh message skips the claim when its desk is idle: accept
reserves room and writes the row as `sending` at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chappe.channels import (
    Connector,
    Inbound,
    Link,
    LinkStatus,
    Outcome,
    Outgoing,
    Receipt,
    SendError,
    Verdict,
)
from chappe.channels.contract import Done
from chappe.messages import store, wire
from chappe.messages.flight import Flight, flight_of
from chappe.messages.model import Lane
from chappe.storage import StoreError
from chappe.text import TextError

if TYPE_CHECKING:
    from chappe.messages.accept import Draft
    from chappe.messages.pipeline import Pipeline

POLL_S = 1.0  # rows may come due, or be written by another process, without a wake
MAX_CLAIM = 500
_PAUSE_S = 0.5  # after the store failed
_CLOSED = ("down", "refused", "stopped")
_NOT_WRITTEN = SendError("supplier_unreachable", Verdict.THROTTLE, detail="the part was never on the wire")


class Desk:
    """One connector's queue on this node."""

    def __init__(self, house: Pipeline, connector: Connector) -> None:
        self.connector = connector
        self.status = LinkStatus()
        self.reserved = 0
        self.unstored = 0  # answers on their way to the store: their rows are still `sending`
        self.backlog = [True] * len(Lane)  # what an earlier process left is not known yet
        self.link: Link | None = None
        self._house = house
        self._unwritten: deque[Outgoing] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self, link: Link) -> None:
        self.link = link
        self._task = asyncio.create_task(self._run(), name=f"desk {self.connector.name}")

    async def stop(self) -> None:
        self._stopping = True
        if self._task:
            self._wake.set()  # not canceled: a claim on its way to the store would be forgotten, and seem in doubt
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._return_unwritten(begun=True)
        except StoreError as error:  # the next start will call them in doubt
            self._house.rt.log.warning("unsent messages kept", connector=self.connector.name, error=str(error))
        if self.link:
            await self.link.stop()

    def room(self) -> int:
        """Parts that may be sent beyond those promised already. A part takes room until its answer is stored, so
        that a crash never leaves more in doubt than the windows hold."""
        if self.link is None:
            return 0
        return self.link.room() - self.reserved - len(self._unwritten) - self.unstored

    def stored(self, _result: object) -> None:
        """An answer has reached the store."""
        self.unstored -= 1
        self._wake.set()

    def wake(self, *, backlog: bool = False) -> None:
        if backlog:
            self.backlog = [True] * len(Lane)
        self._wake.set()

    def reserve(self, lane: int, parts: int) -> bool:
        """Promise room to a fresh message, unless older ones of its lane or a better one wait."""
        if any(self.backlog[: lane + 1]) or self.room() < parts:
            return False
        self.reserved += parts
        return True

    def launch(self, flight: Flight, parts: list[Outgoing], *, reserved: bool) -> None:
        """Hand an attempt that is committed as `sending` to the link."""
        if reserved:
            self.reserved -= len(parts)
        flight.launched = len(parts)
        self._house.dispatcher.aloft[flight.message.id] = flight
        self._unwritten.extend(parts)

    def flush(self) -> None:
        """Write what the link takes now."""
        if not self._unwritten or self.link is None:
            return
        taken = self.link.send(list(self._unwritten))
        for _ in range(taken):
            part = self._unwritten.popleft()
            part.context.written = True  # type: ignore[attr-defined]

    # -- the loop ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                self.flush()
                if self.status.state in _CLOSED:
                    await self._return_unwritten(begun=True)
                await self._claim_all()
            except StoreError as error:
                self._house.rt.log.warning("queue unavailable", connector=self.connector.name, error=str(error))
                await asyncio.sleep(_PAUSE_S)
            except Exception:  # a desk that ends would leave its queue without one
                self._house.rt.log.exception("desk failed", connector=self.connector.name)
                await asyncio.sleep(_PAUSE_S)
            try:
                async with asyncio.timeout(POLL_S):  # wait_for of Python 3.11 can swallow a cancellation
                    await self._wake.wait()
            except TimeoutError:
                await self._look()

    async def _claim_all(self) -> None:
        """Better lanes first, until the room or the queue ends."""
        for lane in Lane:
            while self.backlog[lane] and not self._stopping and (room := min(self.room(), MAX_CLAIM)) > 0:
                self.backlog[lane] = False  # set again by whoever queues more while we look
                flights = await self._claim(lane, room)
                if len(flights) >= room:
                    self.backlog[lane] = True
                if not flights:
                    break
                await self._send(flights)

    async def _claim(self, lane: Lane, room: int) -> list[Flight]:
        rt = self._house.rt
        claim = rt.ids.next()
        claimed = store.CLAIM(
            {
                "owner": self._house.owner,
                "claim": claim,
                "connector_id": self.connector.id,
                "lane": int(lane),
                "now": rt.clock.now(),
                "room": room,
            }
        )
        _, rows = await rt.store.write(claimed, store.CLAIMED({"claim": claim}))
        return [flight_of(row, claim) for row in rows]

    async def _send(self, flights: Sequence[Flight]) -> None:
        # of several parts some may have been taken before, also in a try that was throttled and does not count
        done = await self._answered_parts([f for f in flights if f.tries or f.doubts or f.message.segments > 1])
        for flight in flights:
            self._house.dispatcher.aloft[flight.message.id] = flight
            flight.tries += 1
            try:
                parts = self._house.parts(flight, self.connector)
            except TextError as error:
                self._house.recorder.refused(flight, self.connector.id, error)
                continue
            missing = [p for p in parts if (flight.message.id, flight.attempt, p.part) not in done]
            if missing:
                self.launch(flight, missing, reserved=False)
            else:
                self._house.recorder.complete(flight, self.connector.id)
        self.flush()

    async def _answered_parts(self, again: list[Flight]) -> set[tuple[int, int, int]]:
        """The parts of repeated attempts that the supplier has taken already."""
        if not again:
            return set()
        ids = [flight.message.id for flight in again]
        return {tuple(row) for row in await self._house.rt.store.read(store.SENT_PARTS({"ids": ids}))}

    async def _look(self) -> None:
        """Without news: see what has come due, and let go of what a link that takes nothing keeps waiting."""
        try:
            now = self._house.rt.clock.now()
            for lane in Lane:
                rows = await self._house.rt.store.read(
                    store.NEXT_DUE({"connector_id": self.connector.id, "lane": int(lane)})
                )
                self.backlog[lane] = rows[0][0] is not None and rows[0][0] <= now
            if self.link is not None and self.link.room() <= 0:
                await self._return_unwritten()
        except StoreError:
            return  # the next look will tell

    async def _return_unwritten(self, *, begun: bool = False) -> None:
        """Give back to the queue what waits for the link: no byte of it was sent.

        With `begun` also the rest of messages of which some parts were written: those count as throttled, so that
        the next try sends them alone.
        """
        whole = {id(p.context): p.context for p in self._unwritten if not p.context.written}  # type: ignore[attr-defined]
        rest = [p for p in self._unwritten if id(p.context) not in whole]
        kept = [p for p in self._unwritten if id(p.context) in whole]
        back: list[Any] = list(whole.values())
        self._unwritten = deque() if begun else deque(rest)
        if begun:
            now = self._house.rt.clock.now()
            for part in rest:
                outcome = Outcome(part, self.connector.id, error=_NOT_WRITTEN, sent_at=now, answered_at=now)
                self._house.recorder.outcome(outcome)
        if not back:
            return
        try:
            await self._house.rt.store.write(store.PUT_BACK([(f.message.id, f.claim) for f in back]))
        except StoreError:
            self._unwritten.extendleft(reversed(kept))
            raise
        for flight in back:
            self._house.dispatcher.landed(flight)


class Reservation:
    """Room promised to the drafts of one unit: launched after its commit, given back if it fails."""

    def __init__(self) -> None:
        self._launches: list[tuple[Desk, Flight, list[Outgoing]]] = []
        self._waiting: set[Desk] = set()

    def add(self, desk: Desk, flight: Flight, parts: list[Outgoing]) -> None:
        self._launches.append((desk, flight, parts))

    def queue(self, desk: Desk) -> None:
        self._waiting.add(desk)

    def give_back(self) -> None:
        for desk, _, parts in self._launches:
            desk.reserved -= len(parts)

    def launch(self) -> None:
        desks: dict[Desk, None] = {}
        for desk, flight, parts in self._launches:
            desk.launch(flight, parts, reserved=True)
            desks[desk] = None
        for desk in desks:
            desk.flush()
        for desk in self._waiting:
            desk.wake(backlog=True)


class Dispatcher:
    """All desks of this node, and the sink of their links."""

    def __init__(self, house: Pipeline) -> None:
        self._house = house
        self.desks: dict[int, Desk] = {}
        self.aloft: dict[int, Flight] = {}  # by message id: claimed by this process, their fate not stored yet
        self._changing = asyncio.Lock()

    def landed(self, flight: Flight) -> None:
        """The fate of a flight is stored."""
        if self.aloft.get(flight.message.id) is flight:
            del self.aloft[flight.message.id]

    # -- for accept -------------------------------------------------------------------------------------------------

    def usable(self, connector_id: int) -> bool:
        """Whether a fresh message should take this connector: its link is up, or only starting."""
        desk = self.desks.get(connector_id)
        if desk is None:
            return False
        return desk.status.state in ("up", "degraded", "starting") and not desk.status.circuit_open

    def reserve(self, drafts: Sequence[Draft]) -> Reservation:
        """Room for as many drafts as may leave at once; those get a flight."""
        reservation = Reservation()
        claim = self._house.rt.ids.next()
        for draft in drafts:
            desk = self.desks.get(draft.message.connector_id)
            if desk is None or draft.message.send_at is not None:
                continue
            if desk.reserve(draft.message.lane, len(draft.encoded.parts)):
                draft.flight = flight = Flight(draft.message, draft.message.attempt, claim)
                reservation.add(desk, flight, wire.parts_of(draft.message, draft.encoded, flight.attempt, flight))
            else:
                # those behind it in its lane must not overtake it
                desk.backlog[draft.message.lane] = True
                reservation.queue(desk)
        return reservation

    def stranded(self, before: int) -> list[int]:
        """Connectors that have been down since before that moment."""
        down = [desk for desk in self.desks.values() if desk.status.state in _CLOSED]
        return [desk.connector.id for desk in down if desk.status.since < before]

    # -- connectors come and go -------------------------------------------------------------------------------------

    async def follow(self, connectors: Sequence[Connector]) -> None:
        """Open links for new or changed connectors, close those of removed or stopped ones."""
        async with self._changing:
            wanted = {c.id: c for c in connectors if c.status == "active"}
            gone = [desk for desk in self.desks.values() if wanted.get(desk.connector.id) != desk.connector]
            for desk in gone:
                del self.desks[desk.connector.id]
            await asyncio.gather(*(desk.stop() for desk in gone))
            for connector in wanted.values():
                if connector.id not in self.desks:
                    desk = self.desks[connector.id] = Desk(self._house, connector)
                    desk.start(self._house.open_link(connector, self))

    async def stop(self) -> None:
        async with self._changing:
            await asyncio.gather(*(desk.stop() for desk in self.desks.values()))

    def queued(self, connector_id: int) -> None:
        """Rows were put into the queue of this connector."""
        if (desk := self.desks.get(connector_id)) is not None:
            desk.wake(backlog=True)

    def wake_all(self) -> None:
        for desk in self.desks.values():
            desk.wake(backlog=True)

    # -- the sink ---------------------------------------------------------------------------------------------------

    def outcome(self, outcome: Outcome) -> None:
        desk = self.desks.get(outcome.connector_id)
        if desk is None:  # its link was closed meanwhile
            self._house.recorder.outcome(outcome)
        else:
            desk.unstored += 1
            self._house.recorder.outcome(outcome, desk.stored)

    def receipt(self, receipt: Receipt, done: Done) -> None:
        self._house.recorder.receipt(receipt, done)

    def inbound(self, inbound: Inbound, done: Done) -> None:
        self._house.inbox.inbound(inbound, done)

    def room(self, connector_id: int) -> None:
        if (desk := self.desks.get(connector_id)) is not None:
            desk.wake()

    def status(self, connector_id: int, status: LinkStatus) -> None:
        if (desk := self.desks.get(connector_id)) is not None:
            desk.status = status
            desk.wake()
