"""The courier of a node: takes what waits for the logins that have a session here, and hands it over.

At least once, in no order. A delivery is claimed when a window has room for it and only then; it is gone once all its
PDUs are acknowledged. Its lease is renewed meanwhile, so a crash gives it back to whoever serves the login next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from chappe.accounts import LoginDialect
from chappe.batching import Batcher
from chappe.smpp import PduError, status
from chappe.smpp.aio import Connection
from chappe.smsc import store
from chappe.smsc.compose import compose
from chappe.smsc.model import News, decode_news, retry_after_s
from chappe.smsc.outbox import Flight, Outbox
from chappe.storage import Row, StoreError
from chappe.text import TextError

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MAX_CLAIM: Final = 500
RENEW_S: Final = 3.0
POLL_S: Final = 1.0  # another node's rows may come without a wake-up, and back-offs end without one
QUICK_LOOKS: Final = 7  # after 2, 4, 8 ... 128 ms: the commit that we were told of may still be on its way
REST_S: Final = 1.0  # for a customer who says that it is too much
PAUSE_S: Final = 0.5  # after the store failed
_TOO_MUCH: Final = frozenset({status.ESME_RTHROTTLED, status.ESME_RMSGQFUL})
_FOR_GOOD: Final = frozenset({status.ESME_RX_P_APPN, status.ESME_RX_R_APPN})

Fresh = tuple[int, int, News]
"""The id of a delivery, its login, and what it tells."""


class Courier:
    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._loop = asyncio.get_running_loop()
        self._owner = rt.ids.next()
        self._boxes: dict[int, Outbox] = {}
        self._held: dict[int, Flight] = {}
        self._ends: Batcher[Flight, None] = Batcher(self._record)
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._returns: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._closing = False

    @property
    def in_flight(self) -> int:
        """Deliveries leased by this node."""
        return len(self._held)

    def start(self) -> None:
        self._rt.store.listen(store.TOPIC, self._look_all)
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._renew())]

    async def stop(self) -> None:
        """Claim nothing more. What is on its way ends with its answer or its session."""
        self._stopping = True
        self._wake.set()
        for task in self._tasks[1:]:  # the first ends by itself: a claim cut off on its way would be leased to nobody
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def drain(self) -> None:
        """After the sessions have ended: store how, and give back what is left. Does not wait for an absent store."""
        self._closing = True
        await asyncio.gather(*self._returns, return_exceptions=True)
        await self._ends.drain()
        await self._give_back(list(self._held))

    # -- what sessions tell -----------------------------------------------------------------------------------------

    def join(self, login_id: int, dialect: LoginDialect, session: Connection) -> None:
        """A session that receives."""
        box = self._boxes.get(login_id)
        if box is None:
            box = self._boxes[login_id] = Outbox(login_id, dialect)
        box.sessions.append(session)
        box.dialect = dialect
        self._seek(box)

    def leave(self, login_id: int, session: Connection) -> None:
        """A session has ended; what it left unanswered was told before."""
        box = self._boxes.get(login_id)
        if box is None or session not in box.sessions:
            return
        box.sessions.remove(session)
        if not box.sessions:
            del self._boxes[login_id]
            for flight in box.clear():
                self._fail(flight, "the session ended", at_once=True)

    def speak(self, login_id: int, dialect: LoginDialect) -> None:
        """The login's dialect has changed."""
        if login_id in self._boxes:
            self._boxes[login_id].dialect = dialect

    def answered(self, flight: Flight, command_status: int) -> None:
        """The answer to one PDU of a delivery."""
        flight.parts -= 1
        if command_status != status.ESME_ROK:
            flight.error = status.name(command_status)
            flight.for_good = command_status in _FOR_GOOD
            if command_status in _TOO_MUCH:
                flight.box.at = self._loop.time() + REST_S
        if flight.parts <= 0:
            self._ends.add(flight)
        self.room(flight.box)

    def unanswered(self, flight: Flight, why: str, *, at_once: bool = False) -> None:
        """No answer to one PDU of a delivery will come."""
        flight.parts -= 1
        self._fail(flight, why, at_once=at_once)

    def room(self, box: Outbox) -> None:
        """A window has room again."""
        self._flush(box)
        if box.waiting:
            self._wake.set()

    def roomy(self, login_id: int) -> None:
        """The same, of a login."""
        if login_id in self._boxes:
            self.room(self._boxes[login_id])

    # -- deliveries that are committed as leased by us --------------------------------------------------------------

    def reserve(self, login_id: int) -> int:
        """The owner to write into a new delivery, if a session here has room for it: then `launch` or `unreserve` must
        follow. 0 if it has to wait in the queue."""
        box = self._boxes.get(login_id)
        if box is None or self._stopping or box.at > self._loop.time() or box.room <= 0:
            return 0
        box.reserved += 1
        return self._owner

    def launch(self, fresh: Sequence[Fresh]) -> None:
        """Their rows are committed: write them."""
        homeless: list[int] = []
        boxes: set[Outbox] = set()
        for delivery_id, login_id, news in fresh:
            box = self._boxes.get(login_id)
            if box is None:  # its sessions have ended meanwhile
                homeless.append(delivery_id)
                continue
            box.reserved = max(0, box.reserved - 1)  # the login may have left and come back
            self._prepare(Flight(delivery_id, box, 1), news)
            boxes.add(box)
        for box in boxes:
            self._flush(box)
        if homeless:
            task = asyncio.create_task(self._give_back(homeless))
            self._returns.add(task)
            task.add_done_callback(self._returns.discard)

    def unreserve(self, fresh: Sequence[Fresh]) -> None:
        """Their rows are not committed."""
        for _, login_id, _ in fresh:
            if (box := self._boxes.get(login_id)) is not None:
                box.reserved = max(0, box.reserved - 1)

    def serves(self, login_ids: Iterable[int]) -> bool:
        """Whether all these logins have a session here."""
        return all(login_id in self._boxes for login_id in login_ids)

    def poke(self, login_ids: Iterable[int]) -> None:
        """These logins have something in the queue, or are about to."""
        for login_id in login_ids:
            box = self._boxes.get(login_id)
            if box is not None:
                box.waiting, box.looks = True, QUICK_LOOKS
        # once the caller has handed its rows to the store, so that we queue behind them
        self._loop.call_soon(self._wake.set)

    # -- taking and writing -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                while not self._stopping and (ready := self._ready()):
                    # the claims of many logins share a commit
                    await asyncio.gather(*(self._claim(box, room) for box, room in ready))
            except StoreError as error:
                self._rt.log.warning("receipts wait for the store", error=str(error))
                await asyncio.sleep(PAUSE_S)
            except Exception:  # a courier that dies would leave every customer without receipts
                self._rt.log.exception("courier stumbled")
                await asyncio.sleep(PAUSE_S)
            try:
                async with asyncio.timeout(self._pause()):  # wait_for may lose a cancellation (Python 3.11)
                    await self._wake.wait()
            except TimeoutError:
                await self._look()

    def _ready(self) -> list[tuple[Outbox, int]]:
        now = self._loop.time()
        boxes = [box for box in self._boxes.values() if box.waiting and box.at <= now]
        return [(box, room) for box in boxes if (room := min(box.room, MAX_CLAIM)) > 0]

    def _pause(self) -> float:
        """Until the next look that is due by itself."""
        now = self._loop.time()
        soonest = min((box.at for box in self._boxes.values() if box.waiting and box.at > now), default=now + POLL_S)
        return min(POLL_S, soonest - now)

    async def _claim(self, box: Outbox, room: int) -> None:
        looks, box.looks, box.waiting = box.looks, 0, False  # set anew by whoever queues more meanwhile
        claim = store.CLAIM(
            {
                "login_id": box.login_id,
                "now": self._rt.clock.now(),
                "owner": self._owner,
                "lease": store.LEASE_MS,
                "limit": room,
            }
        )
        try:
            [rows] = await self._rt.store.write(claim)
        except BaseException:
            box.waiting = True
            raise
        if rows:
            await self._launch(box, rows)
            box.waiting = box.waiting or len(rows) >= room
        elif looks and not box.waiting:
            box.at = self._loop.time() + 0.002 * 2 ** (QUICK_LOOKS - looks)
            box.waiting, box.looks = True, looks - 1

    async def _launch(self, box: Outbox, rows: Sequence[Row]) -> None:
        """Write what was claimed, the oldest first. If the sessions have gone meanwhile it goes back."""
        if not box.sessions:
            await self._give_back([row[0] for row in rows])
            return
        for delivery_id, kind, data, tries in sorted(rows):
            flight = Flight(delivery_id, box, tries)
            try:
                news = decode_news(kind, data)
            except ValueError as error:
                self._held[delivery_id] = flight
                self._refuse(flight, error)
            else:
                self._prepare(flight, news)
        self._flush(box)

    def _prepare(self, flight: Flight, news: News) -> None:
        """Put the PDUs of a delivery that is ours before the windows of its login."""
        self._held[flight.id] = flight
        box = flight.box
        try:
            pdus = compose(news, box.dialect, with_tlvs=box.with_tlvs)
        except (PduError, TextError, ValueError, LookupError) as error:
            self._refuse(flight, error)
            return
        flight.parts = len(pdus)
        box.parts.extend((pdu, flight) for pdu in pdus)

    def _flush(self, box: Outbox) -> None:
        for flight, error in box.flush():
            flight.parts -= 1
            self._refuse(flight, error)

    def _refuse(self, flight: Flight, error: Exception) -> None:
        """It cannot be written as a deliver_sm; a peer that is too old may be followed by a younger one."""
        flight.for_good = isinstance(error, PduError | TextError | ValueError | LookupError)
        self._fail(flight, str(error))

    def _fail(self, flight: Flight, why: str, *, at_once: bool = False) -> None:
        flight.error = why
        flight.at_once = at_once
        if flight.parts <= 0:
            self._ends.add(flight)

    # -- how it ended -----------------------------------------------------------------------------------------------

    async def _record(self, flights: list[Flight]) -> list[None]:
        """Store how deliveries ended; while the store is away that waits."""
        done = [(flight.id,) for flight in flights if not flight.error]
        again = [self._again(flight) for flight in flights if flight.error]
        ops = [statement(rows) for statement, rows in ((store.DELIVERED, done), (store.AGAIN, again)) if rows]
        while True:
            try:
                await self._rt.store.write(*ops)
                break
            except StoreError as error:
                self._rt.log.warning("acknowledged receipts wait for the store", count=len(flights), error=str(error))
                if self._closing:
                    break  # the leases end by themselves, and others deliver a second time
                await asyncio.sleep(PAUSE_S)
        for flight in flights:
            self._held.pop(flight.id, None)
            if flight.at_once and flight.box.login_id in self._boxes:
                self._seek(self._boxes[flight.box.login_id])
        return [None] * len(flights)

    def _again(self, flight: Flight) -> tuple[int, int | None, str, int]:
        """The row of a delivery that failed: when it is tried again, or None when it is set aside."""
        tries = flight.tries - 1 if flight.at_once else flight.tries  # the first lost session costs no wait
        wait_s = None if flight.for_good else retry_after_s(tries)
        if wait_s is None:
            self._rt.log.warning("delivery set aside", id=flight.id, login=flight.box.login_id, error=flight.error)
        due_at = None if wait_s is None else self._rt.clock.now() + wait_s * 1000
        return (flight.id, due_at, flight.error.replace("\0", "")[:200], self._owner)

    # -- looking round ----------------------------------------------------------------------------------------------

    def _seek(self, box: Outbox) -> None:
        box.waiting = True
        self._wake.set()

    def _look_all(self) -> None:
        for box in self._boxes.values():
            self._seek(box)

    async def _look(self) -> None:
        """Without news: what has come due, by a back-off or by another node's hand?"""
        try:
            for box in list(self._boxes.values()):
                if not box.waiting and box.room > 0:
                    due = store.ANY_DUE({"login_id": box.login_id, "now": self._rt.clock.now()})
                    box.waiting = bool(await self._rt.store.read(due))
        except StoreError:
            return  # the next look will tell

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            if self._held:
                params = {"ids": list(self._held), "owner": self._owner, "lease": store.LEASE_MS}
                with suppress(StoreError):  # then others may deliver a second time
                    await self._rt.store.write(store.RENEW(params))

    async def _give_back(self, delivery_ids: list[int]) -> None:
        if delivery_ids:
            with suppress(StoreError):  # then the leases end by themselves
                await self._rt.store.write(store.GIVE_BACK({"ids": delivery_ids, "owner": self._owner}))
