"""The sender of a node: takes what is due, posts it, hands on the results. At least once, in no order.

Fresh deliveries are leased by the statement that makes their rows, and posted right after its commit; the rest is
claimed from the store, each target for itself. Leases are by the database's clock and renewed while this process lives:
what a crash leaves behind is posted again by whoever comes next.

No task and no timer is spent on a request: an answer calls `_answered`, which posts the next one of its lane.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from chappe.outgoing import Response, Unreachable
from chappe.storage import StoreError
from chappe.webhooks import jobs, store
from chappe.webhooks.book import Book, Keys, book
from chappe.webhooks.lane import Lane
from chappe.webhooks.model import KEEP_MS, Pending
from chappe.webhooks.post import Posted, header_lines, posted
from chappe.webhooks.recorder import Recorder

if TYPE_CHECKING:
    from chappe.outgoing import Target
    from chappe.runtime import Runtime

TOTAL = 256  # requests at once
NARROW = 4  # for one target, when half of them are taken
IN_HAND = 8_000  # deliveries leased by us
CLAIMS = 32  # targets in one unit
MOST_A_CLAIM = 500  # deliveries of one
RENEW_S = 2.5  # store.LEASE_MS is three times as long
POLL_S = 1.0
SOON_S = 0.02  # what a commit takes
DRAIN_S = 10.0


class Sender:
    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self.owner = rt.node.incarnation  # in the rows that it has leased, as long as it lives
        self._lanes: dict[int, Lane] = {}
        self._held: dict[int, Pending] = {}  # leased by us
        self._coming = 0  # leased in units that are about to be committed
        self._unwanted: list[int] = []  # leased by us, to be given back
        self._running = 0  # requests on their way
        self._crowded = False  # a lane got less than its width
        self._recorder = Recorder(rt, self.owner, self._let_go)
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self._look_at = 0.0
        self._page = jobs.LOWEST
        self._open = False
        self._over = False
        self._known = book(rt).endpoints
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def in_flight(self) -> int:
        """Requests on their way."""
        return self._running

    @property
    def in_hand(self) -> int:
        """Deliveries leased by this node."""
        return len(self._held)

    def start(self) -> None:
        self._open = True
        self._rt.store.listen(store.ROOM, self.look)
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._renew())]

    async def stop(self) -> None:
        """Claim no more, wait a while for what is on its way, give back the rest."""
        self._open = False
        self._wake.set()
        # it ends by itself: a claim cut off on its way would be leased to nobody
        await asyncio.gather(*self._tasks[:1], return_exceptions=True)
        if self._running:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self._quiet.wait()
        self._over = True
        await self._recorder.drain()
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks[1:], return_exceptions=True)
        if left := [*self._held, *self._unwanted]:
            with suppress(StoreError):  # then the leases end by themselves
                await self._rt.store.write(store.GIVE_BACK({"ids": left, "owner": self.owner}))

    # -- what others tell it --------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it posts at all."""
        return self._open

    def reserve(self, fresh: Sequence[Pending]) -> list[Pending]:
        """Those of these deliveries that it will post: their rows are about to be committed, as leased by this node.

        The others wait in the store. Either `launch` or `forget` follows.
        """
        if not self._open:
            return []
        now = self._rt.clock.monotonic()
        room = IN_HAND - len(self._held) - self._coming
        rooms: dict[int, int] = {}
        taken = []
        for pending in fresh:
            target = pending.target
            left = min(room, rooms[target] if target in rooms else self._room_for_fresh(target))
            if left > 0:
                pending.held_at = now
                taken.append(pending)
                room -= 1
            else:
                self._lane(target).due = True
            rooms[target] = left - 1
        self._coming += len(taken)
        return taken

    def launch(self, reserved: Sequence[Pending]) -> None:
        """They are committed."""
        self._coming -= len(reserved)
        if not self._open:
            self._unwanted += [pending.id for pending in reserved]
            return
        for pending in reserved:
            self._hold(pending)
        for target in dict.fromkeys(pending.target for pending in reserved):
            self._pump(self._lane(target))

    def forget(self, reserved: Sequence[Pending]) -> None:
        """They were not committed."""
        self._coming -= len(reserved)

    def look_soon(self) -> None:
        """Rows without a lease are about to be committed."""
        asyncio.get_running_loop().call_later(SOON_S, self.look)

    def look(self) -> None:
        """Something may have come due."""
        self._look_at = 0.0
        self._wake.set()

    def follow(self, value: Book) -> None:
        """Endpoints changed: let go of what waits for paused ones, try the changed ones afresh."""
        for lane in self._lanes.values():
            endpoint = value.endpoints.get(lane.target)
            lane.place = None
            if lane.target > 0 and (endpoint is None or endpoint.status == "paused"):
                self._return(lane)
            if endpoint != self._known.get(lane.target):
                lane.forgive()
        self._known = value.endpoints
        self.look()

    # -- the loop ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._open:
            self._wake.clear()
            try:
                await self._round()
            except StoreError as error:
                self._rt.log.warning("webhooks wait for the store", reason=str(error))
                await asyncio.sleep(POLL_S)
            except Exception:
                self._rt.log.exception("webhooks stumbled")
                await asyncio.sleep(POLL_S)
            alarm = asyncio.get_running_loop().call_later(POLL_S, self._wake.set)
            await self._wake.wait()
            alarm.cancel()

    async def _round(self) -> None:
        now = self._rt.clock.monotonic()
        if now >= self._look_at:
            self._look_at = now + POLL_S
            await self._look()
        await self._claim(now)
        if self._unwanted:
            unwanted, self._unwanted = self._unwanted, []
            await self._rt.store.write(store.GIVE_BACK({"ids": unwanted, "owner": self.owner}))
        for lane in list(self._lanes.values()):
            self._pump(lane)

    async def _look(self) -> None:
        """Which targets have something due: a page of them each time, round and round."""
        rows = await jobs.look(self._rt, self._page)
        self._page = rows[-1][0] if len(rows) == jobs.PAGE else jobs.LOWEST
        now = self._rt.clock.now()
        for target, due_at in rows:
            if due_at <= now and self._sendable(target):
                self._lane(target).due = True
        for target in [target for target, lane in self._lanes.items() if lane.idle()]:
            del self._lanes[target]

    async def _claim(self, now: float) -> None:
        """Fill up the lanes that the store has more for, those with the least in hand first."""
        room = IN_HAND - len(self._held) - self._coming
        needy = [
            lane
            for lane in self._lanes.values()
            if lane.due and 2 * len(lane.queue) <= lane.room() and not lane.parked(now) and self._sendable(lane.target)
        ]
        needy.sort(key=lambda lane: len(lane.queue))
        claims, lanes = [], []
        for lane in needy[:CLAIMS]:
            limit = min(room, lane.room(), MOST_A_CLAIM)
            if limit <= 0:
                break
            room -= limit
            lanes.append((lane, limit))
            what = {"target": lane.target, "now": self._rt.clock.now(), "limit": limit}
            claims.append(store.CLAIM({**what, "owner": self.owner, "lease": store.LEASE_MS}))
        if not claims:
            return
        for (lane, limit), rows in zip(lanes, await self._rt.store.write(*claims), strict=True):
            lane.due = len(rows) == limit
            for row in rows:
                pending = Pending(*row)
                pending.held_at = now
                self._hold(pending)
        if len(needy) > CLAIMS:
            self._wake.set()

    async def _renew(self) -> None:
        """Keep what is in our hands while we are alive."""
        while True:
            await asyncio.sleep(RENEW_S)
            now = self._rt.clock.monotonic()
            # what came a moment ago is probably recorded before its lease ends
            old = [pending for pending in self._held.values() if pending.held_at <= now - RENEW_S]
            if old:
                what = {"ids": [pending.id for pending in old], "owner": self.owner, "lease": store.LEASE_MS}
                try:
                    await self._rt.store.write(store.RENEW(what))
                except StoreError as error:
                    self._rt.log.warning("leases of webhooks were not renewed", reason=str(error))

    # -- lanes ------------------------------------------------------------------------------------------------------

    def _lane(self, target: int) -> Lane:
        lane = self._lanes.get(target)
        if lane is None:
            lane = self._lanes[target] = Lane(target)
        return lane

    def _room_for_fresh(self, target: int) -> int:
        lane = self._lane(target)
        return 0 if lane.streak or not self._sendable(target) else lane.room()

    def _sendable(self, target: int) -> bool:
        """Callbacks always are; an endpoint while it is known and active."""
        if target < 0:
            return True
        endpoint = book(self._rt).endpoints.get(target)
        return endpoint is not None and endpoint.status == "active"

    def _hold(self, pending: Pending) -> None:
        self._held[pending.id] = pending
        self._lane(pending.target).queue.append(pending)

    def _return(self, lane: Lane) -> None:
        """Give back what waits in a lane."""
        lane.due = False
        for pending in lane.queue:
            del self._held[pending.id]
            self._unwanted.append(pending.id)
        lane.queue.clear()

    def _let_go(self, pending: Pending) -> None:
        self._held.pop(pending.id, None)

    def _width(self, lane: Lane) -> int:
        """How many requests this lane may have on their way: some room is kept for those who have none."""
        if self._running < TOTAL // 2:
            return lane.width
        self._crowded = True
        return min(lane.width, NARROW) if self._running < TOTAL else 0

    # -- posting ----------------------------------------------------------------------------------------------------

    def _pump(self, lane: Lane) -> None:
        """Post what waits in the lane, as far as it may."""
        if not lane.queue or lane.parked(self._rt.clock.monotonic()):
            return
        while lane.queue and self._open and lane.running < self._width(lane):
            if not self._post(lane, lane.queue.popleft()):
                return

    def _post(self, lane: Lane, pending: Pending) -> bool:
        """False when the lane has to wait."""
        now = self._rt.clock.now()
        if pending.created_at + KEEP_MS <= now:
            self._recorder.add(pending, None)
            return True
        lane.running += 1
        self._running += 1
        answered = partial(self._answered, lane, pending, now, self._rt.clock.monotonic())
        try:
            place = self._place(lane, pending)
            if place is None:
                self._put_off(lane, pending)
                return False
            target, keys = place
            content = pending.body.encode()
            lines = header_lines(keys, pending.event_id, content, now)
            self._rt.http.send(target, lines, content, self._rt.settings.webhooks.timeout_s, answered)
        except Unreachable as refusal:
            asyncio.get_running_loop().call_soon(answered, refusal)
        except Exception:  # a fault of ours: the delivery comes again like any other failed one
            self._rt.log.exception("a webhook could not be posted")
            asyncio.get_running_loop().call_soon(answered, None)
        return True

    def _put_off(self, lane: Lane, pending: Pending) -> None:
        """Nobody can sign it, or its endpoint is gone: the next version of the book may know."""
        lane.running -= 1
        self._running -= 1
        self._let_go(pending)
        self._unwanted.append(pending.id)
        lane.wait(self._rt.clock.monotonic() + POLL_S)

    def _answered(
        self, lane: Lane, pending: Pending, at: int, started: float, answer: Response | Unreachable | None
    ) -> None:
        lane.running -= 1
        self._running -= 1
        if self._over:
            return
        now = self._rt.clock.monotonic()
        took_s = now - started
        told = Posted(at, None, "internal", 0) if answer is None else posted(at, answer, round(took_s * 1000))
        if told.ok:
            lane.succeeded(took_s)
        else:
            lane.failed(now, told.retry_after_s)
        self._recorder.add(pending, told)
        self._pump(lane)
        if self._crowded or (lane.due and 2 * len(lane.queue) <= lane.room()):
            self._crowded = False
            self._wake.set()
        if not (self._open or self._running):
            self._quiet.set()

    def _place(self, lane: Lane, pending: Pending) -> tuple[Target, Keys] | None:
        """Where it goes now and who signs, None when it must wait. Raises Unreachable for a refused address."""
        if lane.place is not None:
            return lane.place
        known = book(self._rt)
        keys = known.keys(pending.account_id, pending.endpoint_id)
        url = pending.url
        if pending.endpoint_id:
            endpoint = known.endpoints.get(pending.endpoint_id)
            url = endpoint.url if endpoint is not None and endpoint.status == "active" else None
        if url is None or keys is None:
            return None
        place = (self._rt.http.target(url), keys)
        if pending.endpoint_id:
            lane.place = place
        return place
