"""The queue of due work: claimed in batches, run side by side, retried with back-off until it is dead."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from chappe.clock import Clock
from chappe.ids import Ids
from chappe.jobs import store as table
from chappe.jobs.schedule import Periodic, Schedule
from chappe.storage import Conflict, Op, Store, Unavailable

if TYPE_CHECKING:
    from chappe.runtime import Runtime

Handler = Callable[["Runtime", Any], Awaitable[list[Op] | None]]
Backoff = Callable[[int], float]

TOPIC = "jobs"
CONCURRENCY = 32
LEASE_S = 9.0  # a dead node's jobs go on elsewhere within ten seconds
RENEW_S = 3.0
POLL_S = 5.0  # another node's job may come without a wake-up, a dead node's lease always does
DRAIN_S = 10.0

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_log = structlog.get_logger("jobs")


def exponential(tries: int) -> float:
    """5 s after the first failure, doubling up to an hour."""
    return min(5.0 * 2.0 ** (tries - 1), 3_600.0)


@dataclass(frozen=True, slots=True)
class _Kind:
    handler: Handler
    max_tries: int
    backoff: Backoff
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Dead:
    """A job that failed for the last time."""

    id: int
    kind: str
    payload: str
    tries: int
    failed_at: int
    error: str


class Jobs:
    """The jobs of a process: rooms register handlers before `start`."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, *, concurrency: int = CONCURRENCY) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._concurrency = concurrency
        self._owner = secrets.token_hex(8)
        self._kinds: dict[str, _Kind] = {}
        self._schedule = Schedule(store, clock, self._owner)
        self._running: dict[asyncio.Task[None], int] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()

    # -- what rooms call --------------------------------------------------------------------------------------------

    def register(
        self,
        kind: str,
        handler: Handler,
        *,
        max_tries: int = 10,
        backoff: Backoff = exponential,
        timeout_s: float = 300.0,
    ) -> None:
        """`handler(rt, payload)` does the work and returns ops that commit with the end of the job, or None.

        An exception, or running longer than `timeout_s`, is a failure: the job comes again after `backoff(tries)`
        seconds, until it is dead after `max_tries`.
        """
        if kind in self._kinds:
            raise ValueError(f"there are two handlers for jobs of kind {kind}")
        self._kinds[kind] = _Kind(handler, max_tries, backoff, timeout_s)

    def every(self, name: str, seconds: float, run: Periodic) -> None:
        """Have `run(rt)` called each so many seconds, by one node only; it may also run twice, after a crash."""
        self._schedule.add(name, seconds, run)

    def enqueue(self, kind: str, payload: Any, due_at: int | None = None) -> Op:
        """The op that adds a job (due now by default) to the caller's unit, whose `wake` should name TOPIC."""
        return self.enqueue_many(kind, [(payload, due_at)])

    def enqueue_many(self, kind: str, items: Sequence[tuple[Any, int | None]]) -> Op:
        """The same for many, (payload, due_at) each; payloads are anything that JSON can hold."""
        now = self._clock.now()
        rows = [
            (self._ids.next(), kind, _encode(payload).decode(), now if due_at is None else due_at, now)
            for payload, due_at in items
        ]
        return table.ENQUEUE(rows)

    async def dead(self, limit: int = 100) -> list[Dead]:
        """The jobs that failed for the last time, newest first."""
        return [Dead(*row) for row in await self._store.scan(table.DEAD({"limit": limit}))]

    async def count_dead(self) -> dict[str, int]:
        """How many jobs are dead, by kind."""
        return {row[0]: row[1] for row in await self._store.scan(table.COUNT_DEAD())}

    async def revive(self, job_id: int) -> None:
        """Give a dead job its tries again. Raises Conflict if there is none."""
        await self._store.write(table.REVIVE({"id": job_id, "now": self._clock.now()}, expect=1), wake=(TOPIC,))

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self, rt: Runtime) -> None:
        """Begin to work. Raises Unavailable."""
        await self._schedule.register()
        self._store.listen(TOPIC, self._wake.set)
        self._loops = [asyncio.create_task(self._work(rt)), asyncio.create_task(self._renew())]
        self._loops.append(asyncio.create_task(self._schedule.run(rt, self._stopping)))

    async def stop(self) -> None:
        """Claim no more, wait a while for what runs, give back the rest."""
        self._stopping.set()
        self._wake.set()
        self._schedule.wake.set()
        if not self._loops:
            return
        late: set[asyncio.Task[None]] = set()
        if self._running:
            _, late = await asyncio.wait(list(self._running), timeout=DRAIN_S)
        ids = [self._running[task] for task in late if task in self._running]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, *self._loops, return_exceptions=True)
        self._loops = []
        if ids:
            with suppress(Unavailable):  # then the leases end by themselves
                await self._store.write(table.GIVE_BACK({"ids": ids, "owner": self._owner}), wake=(TOPIC,))

    async def _work(self, rt: Runtime) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                wait_s = await self._claim(rt)
            except Unavailable as error:
                _log.warning("jobs wait for the store", reason=error.reason)
                wait_s = 1.0
            except Exception:
                _log.exception("jobs stumbled")
                wait_s = 1.0
            if wait_s > 0:
                await _until(self._wake, wait_s)

    async def _claim(self, rt: Runtime) -> float:
        """Start what is due, as far as there are free hands; returns the seconds until there may be more."""
        free = self._concurrency - len(self._running)
        if not self._kinds or free <= 0:
            return POLL_S  # who finishes wakes us
        now = self._clock.now()
        what: dict[str, Any] = {"now": now, "kinds": list(self._kinds)}
        if not await self._store.read(table.ANY_DUE(what)):
            [(due_at,)] = await self._store.read(table.NEXT_DUE(what))
            return POLL_S if due_at is None else min(POLL_S, max(0.001, (due_at - now) / 1000))
        claim = what | {"limit": free, "owner": self._owner, "lease": round(LEASE_S * 1000)}
        [rows] = await self._store.write(table.CLAIM(claim))
        for job_id, kind, payload, tries in rows:
            task = asyncio.create_task(self._run(rt, job_id, kind, payload, tries))
            self._running[task] = job_id
            task.add_done_callback(self._ended)
        return 0.0

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()):
            _log.error("the end of a job could not be recorded", error=repr(error))  # its lease ends by itself

    async def _run(self, rt: Runtime, job_id: int, kind: str, payload: str, tries: int) -> None:
        how = self._kinds[kind]
        mine = {"id": job_id, "owner": self._owner, "tries": tries}
        try:
            async with asyncio.timeout(how.timeout_s):
                effects = await how.handler(rt, _decode(payload))
            await self._store.write(*(effects or ()), table.DONE(mine, expect=1))
        except Unavailable as error:
            if error.unknown:
                raise
            await self._failed(how, kind, mine, error)
        except Exception as error:
            await self._failed(how, kind, mine, error)

    async def _failed(self, how: _Kind, kind: str, mine: dict[str, Any], error: Exception) -> None:
        now = self._clock.now()
        dead = mine["tries"] >= how.max_tries
        due_at = None if dead else now + round(how.backoff(mine["tries"]) * 1000)
        level = _log.error if dead else _log.warning
        level("job is dead" if dead else "job failed", kind=kind, id=mine["id"], tries=mine["tries"], error=repr(error))
        failed = table.FAILED({**mine, "now": now, "due_at": due_at, "error": repr(error)}, expect=1)
        try:
            await self._store.write(failed)
        except Conflict:
            _log.warning("job was taken over by another node", kind=kind, id=mine["id"])

    async def _renew(self) -> None:
        while not await _until(self._stopping, RENEW_S):
            if self._running:
                renew = {"ids": list(self._running.values()), "owner": self._owner, "lease": round(LEASE_S * 1000)}
                try:
                    await self._store.write(table.RENEW(renew))
                except Unavailable as error:
                    _log.warning("leases of jobs were not renewed", reason=error.reason)


async def _until(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, at most so long; whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
