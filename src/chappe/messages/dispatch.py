"""Dispatch: from the queue to the wire.

Every connector has a desk. The desk knows how much room its link has, claims that many rows (committed as `sending`
before a byte leaves) and hands their parts to the link. A fresh message skips the claim when its desk is idle: accept
reserves room and writes the row as `sending` at once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from chappe import consent
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
from chappe.messages import allowed, history, store, wire
from chappe.messages.flight import Flight, flight_of
from chappe.messages.mark import Mark
from chappe.messages.model import REPLY, Lane, Message, Refusal
from chappe.storage import StoreError
from chappe.text import TextError

if TYPE_CHECKING:
    from chappe.messages.allowed import Asking
    from chappe.messages.decide import Draft
    from chappe.messages.pipeline import Pipeline

POLL_S = 1.0  # rows may come due, or be written by another process, without a wake
MAX_CLAIM = 500
_PAUSE_S = 0.5  # after the store failed
_CLOSED = ("down", "refused", "stopped")
_OPEN = ("up", "degraded", "starting")
_NOT_WRITTEN = SendError("supplier_unreachable", Verdict.THROTTLE, detail="the part was never on the wire")


Wanted = Callable[[], tuple[Connector | None, frozenset[int]]]


class Desk:
    """One connector's queue on this node."""

    def __init__(self, house: Pipeline, connector: Connector) -> None:
        self.connector = connector
        self.status = LinkStatus()
        self.reserved = 0
        self.unstored = 0  # answers on their way to the store: their rows are still `sending`
        self.backlog = [True] * len(Lane)  # what an earlier process left is not known yet
        self.link: Link | None = None
        self.slots: frozenset[int] = frozenset()
        """Which of the connector's binds the link holds."""
        self._house = house
        self._holds = house.rt.node.holds
        self._unwritten: deque[Outgoing] = deque()
        self._marks = [Mark() for _ in Lane]
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._closed = False

    def start(self, link: Link, slots: frozenset[int]) -> None:
        self.link, self.slots = link, slots
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
        self._closed = True
        if self.link:
            await self.link.stop()

    def drop(self) -> None:
        """This node may not hold the binds any more: not a byte leaves from now on."""
        self.slots = frozenset()
        if self.link is not None:
            self.link.drop()

    def disown(self) -> None:
        """Another incarnation begins: messages that were half written are in doubt for whoever finds their rows."""
        self._unwritten = deque(part for part in self._unwritten if not part.context.written)  # type: ignore[attr-defined]

    def room(self) -> int:
        """Parts that may be sent beyond those promised already. A part takes its place in a window until its answer is
        stored, so that a crash never leaves more in doubt than the windows hold; of the rate it took its share before.
        """
        if self.link is None or not self._holds():
            return 0
        return self.link.room(self.unstored) - self.reserved - len(self._unwritten)

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
        if self._closed:
            return  # the link went while its row was written: `sweep.return_unclaimed` finds it
        flight.launched = len(parts)
        self._house.dispatcher.aloft[flight.message.id] = flight
        self._unwritten.extend(parts)

    def withhold(self, refused: Callable[[Message], bool]) -> None:
        """Of the messages that no byte was written of, let those go whose person has refused: as in `launch`."""
        kept: deque[Outgoing] = deque()
        for part in self._unwritten:
            flight: Flight = part.context  # type: ignore[assignment]
            if flight.written or not refused(flight.message):
                kept.append(part)
            else:
                self._house.dispatcher.landed(flight)
        self._unwritten = kept

    def flush(self) -> None:
        """Write what the link takes now; nothing if our lease may have ended: others take it for theirs then."""
        if not self._unwritten or self.link is None or not self._holds():
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
        rt, mark = self._house.rt, self._marks[lane]
        claim, start = rt.ids.next(), rt.clock.monotonic()
        since = mark.since(start)
        claimed = store.CLAIM(
            {
                "owner": self._house.owner,
                "claim": claim,
                "connector_id": self.connector.id,
                "lane": int(lane),
                "now": rt.clock.now(),
                "since_due": since[0],
                "since_id": since[1],
                "room": room,
            }
        )
        _, rows = await rt.store.write(claimed, store.CLAIMED({"claim": claim}))
        flights = [flight_of(row, claim) for row in rows]
        last = (rows[-1][-1], flights[-1].message.id) if flights else None
        now = rt.clock.monotonic()
        mark.claimed(now, since, now - start, last, full=len(flights) >= room)
        return flights

    async def _allowed(self, flights: Sequence[Flight]) -> list[Flight]:
        """Those that may leave now. What may not any more is refused; what the law lets go later waits for that."""
        house = self._house
        now = house.rt.clock.now()
        asker = allowed.Asker(house.rt)
        asked = [asker.stored(flight.message, now) for flight in flights]
        known = await allowed.look(house.rt, asked)
        going: list[tuple[Flight, Asking | None]] = []
        waiting: list[Any] = []
        steps: list[Any] = []
        for flight, one in zip(flights, asked, strict=True):
            judged = None if one is None else allowed.judge(known, one)
            if judged is None:
                going.append((flight, one))
            elif isinstance(judged, Refusal):
                house.recorder.barred(flight, self.connector.id, judged)
            else:
                waiting.append((flight.message.id, judged.until, flight.claim))
                told = {"rule": judged.rule.name, "held_until": judged.until}
                steps.append(history.step(flight.message.id, house.rt.ids.next(), now, history.HELD, told))
        if waiting:
            await house.rt.store.write(store.HOLD_BACK(waiting), store.ADD_HISTORY(steps))
        return [flight for flight, one in going if one is None or not known.stale(one.question)]

    async def _send(self, flights: Sequence[Flight]) -> None:
        # of several parts some may have been taken before, also in a try that was throttled and does not count
        done = await self._answered_parts([f for f in flights if f.tries or f.doubts or f.message.segments > 1])
        for flight in await self._allowed(flights):  # the last to be awaited: what it says is of this moment
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
            for lane in Lane:
                self.backlog[lane] = await self._any_due(lane)
            if self.link is not None and self.link.room() <= 0:
                await self._return_unwritten()
        except StoreError:
            return  # the next look will tell

    async def _any_due(self, lane: Lane) -> bool:
        clock, mark = self._house.rt.clock, self._marks[lane]
        start = clock.monotonic()
        since = mark.since(start)
        what = {"connector_id": self.connector.id, "lane": int(lane), "since_due": since[0], "since_id": since[1]}
        rows = await self._house.rt.store.read(store.NEXT_DUE(what))
        due_at = rows[0][0] if rows else None
        mark.looked(clock.monotonic(), since, clock.monotonic() - start, due_at)
        return due_at is not None and due_at <= clock.now()

    async def _return_unwritten(self, *, begun: bool = False) -> None:
        """Give back to the queue what waits for the link: no byte of it was sent.

        With `begun` also the rest of messages of which some parts were written: those count as throttled, so that
        the next try sends them alone.
        """
        if not self._holds():
            return  # once we know what has become of our lease
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
            wake = ("queue",) if self._stopping else ()  # another node goes on with it
            await self._house.rt.store.write(store.PUT_BACK([(f.message.id, f.claim) for f in back]), wake=wake)
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

    def launch(self, but: Collection[int] = ()) -> None:
        """Messages in `but` stay behind: `sweep.return_unclaimed` finds them."""
        desks: dict[Desk, None] = {}
        for desk, flight, parts in self._launches:
            if flight.message.id in but:
                desk.reserved -= len(parts)
            else:
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
        self.counters = {"accepted": 0, "sent": 0, "receipts": 0}
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._withheld: list[Outcome] = []  # in doubt since we lost our lease: perhaps others' to judge
        self._ringing: asyncio.Task[None] | None = None

    def landed(self, flight: Flight) -> None:
        """The fate of a flight is stored."""
        if self.aloft.get(flight.message.id) is flight:
            del self.aloft[flight.message.id]

    # -- for accept -------------------------------------------------------------------------------------------------

    def usable(self, connector_id: int) -> bool:
        """Whether a fresh message should take this connector: its link is up, or only starting; here or elsewhere."""
        desk = self.desks.get(connector_id)
        if desk is not None and desk.status.state in _OPEN and not desk.status.circuit_open:
            return True
        return self._house.leases is not None and self._house.leases.usable(connector_id)

    def reserve(self, drafts: Sequence[Draft]) -> Reservation:
        """Room for as many drafts as may leave at once; those get a flight."""
        reservation = Reservation()
        self.counters["accepted"] += len(drafts)
        claim = self._house.rt.ids.next()
        for draft in drafts:
            desk = self.desks.get(draft.message.connector_id)
            if desk is None or draft.due is not None:
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
        """Connectors that have been down, on every node, since before that moment."""
        if self._house.leases is not None:
            return self._house.leases.stranded(before)
        down = [desk for desk in self.desks.values() if desk.status.state in _CLOSED]
        return [desk.connector.id for desk in down if desk.status.since < before]

    # -- connectors come and go -------------------------------------------------------------------------------------

    async def follow(self, connectors: Sequence[Connector]) -> None:
        """Where this process is alone: all binds of the active connectors, and no others."""
        wanted = {c.id: c for c in connectors if c.status == "active"}

        def binds(connector_id: int) -> tuple[Connector | None, frozenset[int]]:
            connector = wanted.get(connector_id)
            return connector, frozenset(range(connector.settings.binds) if connector is not None else ())

        ids = {*wanted, *self.desks}
        await asyncio.gather(*(self.hold(id, partial(binds, id)) for id in ids))

    async def hold(self, connector_id: int, wanted: Wanted) -> None:
        """Have just these binds of a connector open; returns when the others have ended. If its settings are new, all
        are opened anew. `wanted` is asked when nobody else is changing this connector's."""
        async with self._locks[connector_id]:
            connector, slots = wanted()
            desk = self.desks.get(connector_id)
            if desk is not None and (desk.connector != connector or not slots):
                del self.desks[connector_id]
                await desk.stop()
                desk = None
            if connector is None or not slots or not self._house.rt.node.holds():
                return
            if desk is None or desk.link is None:
                desk = self.desks[connector_id] = Desk(self._house, connector)
                desk.start(self._house.open_link(connector, self, None if self._house.alone else slots), slots)
                return
            link, gone = desk.link, desk.slots - slots
            for slot in slots - desk.slots:
                link.hold(slot)
            desk.slots = slots
            await asyncio.gather(*(link.let_go(slot) for slot in gone))

    async def stop(self) -> None:
        await asyncio.gather(*(desk.stop() for desk in self.desks.values()))

    def queued(self, connector_id: int) -> None:
        """Rows were put into the queue of this connector."""
        if (desk := self.desks.get(connector_id)) is not None:
            desk.wake(backlog=True)
        elif not self._house.alone and self._ringing is None:
            self._ringing = asyncio.create_task(self._ring())

    async def _ring(self) -> None:
        """Wake the nodes that hold its binds."""
        try:
            await self._house.rt.store.write(wake=("queue",))
        except StoreError:
            return  # they look each second
        finally:
            self._ringing = None

    def withhold(self, keys: Sequence[int]) -> None:
        """These persons have refused: nothing leaves for them that has not begun to."""
        people, stopped = consent.persons(self._house.rt), frozenset(keys)

        def refused(message: Message) -> bool:
            if message.origin == REPLY:
                return False
            keys = people.keys(message.account_id, consent.EVERYONES, message.test, message.recipient)
            return not stopped.isdisjoint(keys)

        for desk in self.desks.values():
            desk.withhold(refused)

    # -- our lease comes and goes -----------------------------------------------------------------------------------

    def drop(self) -> None:
        """Our lease has ended: others may be about to take what we hold."""
        for desk in self.desks.values():
            desk.drop()

    def resume(self, *, anew: bool) -> None:
        """We have a lease again. Anew: what we had on the wire has been found by others, or will be, by us too."""
        withheld, self._withheld = self._withheld, []
        if anew:
            self.aloft.clear()
            for desk in self.desks.values():
                desk.disown()
            return
        for outcome in withheld:
            self.outcome(outcome)

    def wake_all(self) -> None:
        for desk in self.desks.values():
            desk.wake(backlog=True)

    # -- the sink ---------------------------------------------------------------------------------------------------

    def outcome(self, outcome: Outcome) -> None:
        if outcome.error is None:
            self.counters["sent"] += 1
        elif outcome.error.verdict is Verdict.UNKNOWN and not self._house.rt.node.holds():
            self._withheld.append(outcome)
            return
        desk = self.desks.get(outcome.connector_id)
        if desk is None:  # its link was closed meanwhile
            self._house.recorder.outcome(outcome)
        else:
            desk.unstored += 1
            self._house.recorder.outcome(outcome, desk.stored)

    def receipt(self, receipt: Receipt, done: Done) -> None:
        self.counters["receipts"] += 1
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
            self._house.binds_changed()
