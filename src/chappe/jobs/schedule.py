"""Work that comes round: sweepers, daily chores. One node holds the lease of a name and keeps the time for it.

The lease is renewed each three seconds for all names in one statement, however often they run.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from chappe.clock import Clock
from chappe.jobs import store as table
from chappe.storage import Store, Unavailable

if TYPE_CHECKING:
    from chappe.runtime import Runtime

Periodic = Callable[["Runtime"], Awaitable[None]]

LEASE_S = 9.0
HOLD_S = 3.0
REMEMBERED_S = 30.0  # shorter periods simply begin anew after a restart

_log = structlog.get_logger("jobs")


@dataclass(slots=True)
class _Entry:
    seconds: float
    run: Periodic
    due: float = math.inf  # on the local monotonic clock; infinite while another node has the lease
    task: asyncio.Task[None] | None = None


class Schedule:
    def __init__(self, store: Store, clock: Clock, owner: str) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._entries: dict[str, _Entry] = {}
        self._held_until = -math.inf
        self.wake = asyncio.Event()

    def add(self, name: str, seconds: float, run: Periodic) -> None:
        if name in self._entries:
            raise ValueError(f"two periodic jobs are named {name}")
        self._entries[name] = _Entry(seconds, run)

    async def register(self) -> None:
        await self._store.write(table.ADD_SCHEDULES([(name,) for name in self._entries]))

    async def run(self, rt: Runtime, stopping: asyncio.Event) -> None:
        hold_at = -math.inf
        while self._entries and not stopping.is_set():
            self.wake.clear()
            now = self._clock.monotonic()
            if now >= hold_at:
                await self._hold(now)
                hold_at = now + HOLD_S
            self._start_due(rt)
            due = min((entry.due for entry in self._entries.values() if entry.task is None), default=math.inf)
            wake_at = min(due, hold_at) if self._held_until > now else hold_at
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.01, wake_at - self._clock.monotonic())):
                    await self.wake.wait()
        await self._release()

    async def _hold(self, now: float) -> None:
        """Renew our names and take the free ones."""
        params = {"names": list(self._entries), "owner": self._owner, "lease": round(LEASE_S * 1000)}
        try:
            if not await self._store.read(table.ANY_SCHEDULE({"names": params["names"], "owner": self._owner})):
                rows = []
            else:
                [rows] = await self._store.write(table.HOLD_SCHEDULES(params))
        except Unavailable as error:
            _log.warning("leases of periodic jobs were not renewed", reason=error.reason)
            return
        self._held_until = now + LEASE_S
        held = dict(rows)
        for name, entry in self._entries.items():
            if name not in held:
                entry.due = math.inf
            elif entry.due == math.inf:
                entry.due = now + self._remaining_s(entry, held[name])

    def _remaining_s(self, entry: _Entry, ran_at: int | None) -> float:
        if ran_at is None or entry.seconds < REMEMBERED_S:
            return 0.0
        return min(entry.seconds, max(0.0, entry.seconds - (self._clock.now() - ran_at) / 1000))

    def _start_due(self, rt: Runtime) -> None:
        now = self._clock.monotonic()
        if now >= self._held_until:
            return
        for name, entry in self._entries.items():
            if entry.task is None and entry.due <= now:
                entry.task = asyncio.create_task(self._run_one(rt, name, entry))

    async def _run_one(self, rt: Runtime, name: str, entry: _Entry) -> None:
        problem: str | None = None
        try:
            await entry.run(rt)
        except Unavailable as error:
            problem = error.reason
            _log.warning("periodic job waits for the store", name=name, reason=error.reason)
        except Exception as error:
            problem = repr(error)
            _log.exception("periodic job failed", name=name)
        if entry.seconds >= REMEMBERED_S:
            params = {"name": name, "owner": self._owner, "now": self._clock.now(), "error": problem}
            with suppress(Unavailable):  # it may run again too soon after a restart, which it bears
                await self._store.write(table.RAN(params))
        if entry.due != math.inf:
            entry.due = self._clock.monotonic() + entry.seconds
        entry.task = None
        self.wake.set()

    async def _release(self) -> None:
        running = [entry.task for entry in self._entries.values() if entry.task is not None]
        if running:
            _, late = await asyncio.wait(running, timeout=LEASE_S)
            for task in late:
                task.cancel()
        with suppress(Unavailable):  # then the leases end by themselves
            await self._store.write(table.RELEASE_SCHEDULES({"owner": self._owner}))
