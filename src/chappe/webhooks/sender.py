"""The sender of a node: takes what is due, posts it, hands on the results. At least once, in no order.

Fresh deliveries come from the reaction in memory and only have to be taken by their ids once they are committed; the
rest is claimed from the store, each target for itself. Both are leased on the database's clock: what a crash leaves
behind is posted again by whoever comes next.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from chappe.storage import StoreError
from chappe.webhooks import jobs, store
from chappe.webhooks.book import Book, Keys, book
from chappe.webhooks.lane import Lane, Pending
from chappe.webhooks.model import KEEP_MS
from chappe.webhooks.post import Posted, post
from chappe.webhooks.recorder import Recorder

if TYPE_CHECKING:
    from chappe.runtime import Runtime

TOTAL = 256  # requests at once
NARROW = 4  # for one target, when half of them are taken
IN_HAND = 4_000  # deliveries leased by us
CLAIMS = 32  # targets in one unit
LEASE_S = 30.0
RENEW_S = 10.0
POLL_S = 1.0
DRAIN_S = 10.0
TAKE_TRIES = 7  # 2, 4, 8 ... 128 ms: the reaction's commit may still be on its way


class Sender:
    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._owner = rt.node.incarnation
        self._lanes: dict[int, Lane] = {}
        self._held: dict[int, Pending] = {}  # leased by us
        self._fresh: list[tuple[int, list[Pending]]] = []  # (tries, deliveries that may be committed by now)
        self._unwanted: list[int] = []  # leased by us, to be given back
        self._running: set[asyncio.Task[None]] = set()
        self._recorder = Recorder(rt, self._owner, self._let_go)
        self._wake = asyncio.Event()
        self._look_at = 0.0
        self._page = jobs.LOWEST
        self._open = False
        self._known = book(rt).endpoints
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def in_flight(self) -> int:
        """Requests on their way."""
        return sum(lane.running for lane in self._lanes.values())

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
        for task in self._tasks[1:]:  # the first ends by itself: a claim cut off on its way would be leased to nobody
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._running:
            _, late = await asyncio.wait(list(self._running), timeout=DRAIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._recorder.drain()
        if self._held:
            with suppress(StoreError):  # then the leases end by themselves
                await self._rt.store.write(store.GIVE_BACK({"ids": list(self._held), "owner": self._owner}))

    # -- what others tell it --------------------------------------------------------------------------------------

    def offer(self, fresh: Sequence[Pending]) -> None:
        """Deliveries whose rows are about to be committed. Those that there is no room for wait in the store."""
        if not self._open:
            return
        room = IN_HAND - len(self._held) - sum(len(waiting) for _, waiting in self._fresh)
        taken: defaultdict[Lane, list[Pending]] = defaultdict(list)
        for pending in fresh:
            lane = self._lane(pending.target)
            if room > 0 and not lane.streak and len(taken[lane]) < lane.room():
                taken[lane].append(pending)
                room -= 1
            else:
                lane.due = True
        self._fresh.append((0, [pending for waiting in taken.values() for pending in waiting]))
        asyncio.get_running_loop().call_soon(self._wake.set)

    def look(self) -> None:
        """Something may have come due."""
        self._look_at = 0.0
        self._wake.set()

    def follow(self, value: Book) -> None:
        """Endpoints changed: let go of what waits for paused ones, try the changed ones afresh."""
        for lane in self._lanes.values():
            endpoint = value.endpoints.get(lane.target)
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
        await self._take_fresh()
        now = self._rt.clock.monotonic()
        if now >= self._look_at:
            self._look_at = now + POLL_S
            await self._look()
        await self._claim(now)
        if self._unwanted:
            unwanted, self._unwanted = self._unwanted, []
            await self._rt.store.write(store.GIVE_BACK({"ids": unwanted, "owner": self._owner}))
        for lane in list(self._lanes.values()):
            self._pump(lane)

    async def _take_fresh(self) -> None:
        """Lease the deliveries offered to us, as far as they are committed and nobody else was quicker."""
        offered, self._fresh = self._fresh, []
        fresh = [
            (tries, [pending for pending in waiting if self._sendable(pending.target)]) for tries, waiting in offered
        ]
        numbers = [pending.id for _, waiting in fresh for pending in waiting]
        if not numbers:
            return
        take = store.TAKE({"ids": numbers, "owner": self._owner, "lease": round(LEASE_S * 1000)})
        [rows] = await self._rt.store.write(take)
        taken = {row[0] for row in rows}
        for tries, waiting in fresh:
            for pending in waiting:
                if pending.id in taken:
                    self._hold(pending)
            missing = [pending for pending in waiting if pending.id not in taken]
            if missing and tries < TAKE_TRIES:
                asyncio.get_running_loop().call_later(0.002 * 2.0**tries, self._again, tries + 1, missing)

    def _again(self, tries: int, waiting: list[Pending]) -> None:
        self._fresh.append((tries, waiting))
        self._wake.set()

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
        room = IN_HAND - len(self._held)
        needy = [
            lane
            for lane in self._lanes.values()
            if lane.due and 2 * len(lane.queue) <= lane.room() and not lane.parked(now) and self._sendable(lane.target)
        ]
        needy.sort(key=lambda lane: len(lane.queue))
        claims, lanes = [], []
        for lane in needy[:CLAIMS]:
            limit = min(room, lane.room())
            if limit <= 0:
                break
            room -= limit
            lanes.append((lane, limit))
            what = {"target": lane.target, "now": self._rt.clock.now(), "limit": limit}
            claims.append(store.CLAIM({**what, "owner": self._owner, "lease": round(LEASE_S * 1000)}))
        if not claims:
            return
        for (lane, limit), rows in zip(lanes, await self._rt.store.write(*claims), strict=True):
            lane.due = len(rows) == limit
            for row in rows:
                self._hold(Pending(*row))
        if len(needy) > CLAIMS:
            self._wake.set()

    async def _renew(self) -> None:
        """Keep what is in our hands while we are alive."""
        while True:
            await asyncio.sleep(RENEW_S)
            if self._held:
                renew = {"ids": list(self._held), "owner": self._owner, "lease": round(LEASE_S * 1000)}
                try:
                    await self._rt.store.write(store.RENEW(renew))
                except StoreError as error:
                    self._rt.log.warning("leases of webhooks were not renewed", reason=str(error))

    # -- lanes ------------------------------------------------------------------------------------------------------

    def _lane(self, target: int) -> Lane:
        lane = self._lanes.get(target)
        if lane is None:
            lane = self._lanes[target] = Lane(target)
        return lane

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
        running = len(self._running)
        if running >= TOTAL:
            return 0
        return lane.width if running < TOTAL // 2 else min(lane.width, NARROW)

    def _pump(self, lane: Lane) -> None:
        """Start as many workers as the lane may have and needs."""
        if not lane.queue or lane.parked(self._rt.clock.monotonic()):
            return
        for _ in range(min(len(lane.queue), self._width(lane) - lane.running)):
            lane.running += 1
            task = asyncio.create_task(self._work(lane))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    # -- posting ----------------------------------------------------------------------------------------------------

    async def _work(self, lane: Lane) -> None:
        """Post what waits in the lane, one after the other, while there is anything and the lane is open."""
        try:
            while lane.queue and self._open and lane.running <= lane.width:
                if lane.parked(self._rt.clock.monotonic()):
                    return
                await self._deliver(lane, lane.queue.popleft())
                if lane.due and 2 * len(lane.queue) <= lane.room():
                    self._wake.set()
        finally:
            lane.running -= 1
            if lane.queue or lane.due or len(self._running) >= TOTAL // 2:
                self._wake.set()

    async def _deliver(self, lane: Lane, pending: Pending) -> None:
        if pending.created_at + KEEP_MS <= self._rt.clock.now():
            self._recorder.add(pending, None)
            return
        address = self._address(pending)
        if address is None:
            self._held.pop(pending.id, None)
            self._unwanted.append(pending.id)
            lane.wait(self._rt.clock.monotonic() + POLL_S)  # the next version of the book may know
            return
        posted = await self._post(pending, *address)
        if posted.ok:
            lane.succeeded(posted.duration_ms / 1000)
        else:
            lane.failed(self._rt.clock.monotonic(), posted.retry_after_s)
        self._recorder.add(pending, posted)

    def _address(self, pending: Pending) -> tuple[str, Keys] | None:
        """Where it goes now and who signs, None when it must wait."""
        known = book(self._rt)
        keys = known.keys(pending.account_id, pending.endpoint_id)
        url = pending.url
        if pending.endpoint_id:
            endpoint = known.endpoints.get(pending.endpoint_id)
            url = endpoint.url if endpoint is not None and endpoint.status == "active" else None
        return None if url is None or keys is None else (url, keys)

    async def _post(self, pending: Pending, url: str, keys: Keys) -> Posted:
        try:
            return await post(self._rt, url, keys, pending.event_id, pending.body)
        except Exception:  # a fault of ours: the delivery comes again like any other failed one
            self._rt.log.exception("a webhook could not be posted")
            return Posted(self._rt.clock.now(), None, "internal", 0)
