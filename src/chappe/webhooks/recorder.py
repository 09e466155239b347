"""The results of deliveries, stored in batches: one unit for many."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chappe import jobs
from chappe.storage import Op, Unavailable
from chappe.webhooks import store
from chappe.webhooks.book import book
from chappe.webhooks.jobs import pausing
from chappe.webhooks.model import Pending, State, Verdict, judge
from chappe.webhooks.post import Posted

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MAX_BATCH = 250
TRIES = 20  # a second apart, while the store is away; then the lease ends and all of it is posted again
_GONE = 410  # RFC 9110, 15.5.11: the address is gone for good, and wants no more requests

Result = tuple[Pending, Posted | None]  # None: too old to be posted


@dataclass(slots=True)
class Rows:
    """What one batch changes."""

    deliveries: list[tuple[Any, ...]] = field(default_factory=list)
    attempts: list[tuple[Any, ...]] = field(default_factory=list)
    succeeded: dict[int, int] = field(default_factory=dict)  # endpoint: when
    failed: dict[int, tuple[int, int, str | None]] = field(default_factory=dict)  # endpoint: how often, when, why
    gone: set[int] = field(default_factory=set)


class Recorder:
    def __init__(self, rt: Runtime, owner: int, let_go: Callable[[Pending], None]) -> None:
        """`let_go` is called for each delivery whose result is stored, or that is left to its lease."""
        self._rt = rt
        self._owner = owner
        self._let_go = let_go
        self._waiting: deque[Result] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, pending: Pending, posted: Posted | None) -> None:
        """No timer: what comes while one batch is being stored makes up the next. As many wait as are in hand."""
        self._waiting.append((pending, posted))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def drain(self) -> None:
        """Wait until nothing is in work."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
                try:
                    await self._store(batch)
                except Exception:  # their leases end, and they are posted again
                    self._rt.log.exception("webhook results were not stored")
                for pending, _ in batch:
                    self._let_go(pending)
        finally:
            self._task = None

    async def _store(self, results: list[Result]) -> None:
        rows = Rows()
        now = self._rt.clock.now()
        for pending, posted in results:
            if posted is None:
                self._too_old(rows, pending, now)
            else:
                self._posted(rows, pending, posted, now)
        await self._write(self._ops(rows), wake=(jobs.TOPIC,) if rows.gone else ())

    def _too_old(self, rows: Rows, pending: Pending, now: int) -> None:
        row = (pending.id, int(State.FAILED), now, pending.tries, None, "expired", now, self._owner)
        rows.deliveries.append(row)

    def _posted(self, rows: Rows, pending: Pending, posted: Posted, now: int) -> None:
        tries = pending.tries + 1
        verdict = judge(
            posted.status,
            tries=tries,
            created_at=pending.created_at,
            now=now,
            chance=random.random(),
            retry_after_s=posted.retry_after_s,
        )
        endpoint_id = pending.endpoint_id
        if posted.ok:
            rows.succeeded[endpoint_id] = posted.at
        else:
            many = rows.failed.get(endpoint_id, (0,))[0] + 1
            rows.failed[endpoint_id] = (many, posted.at, posted.error)
            if posted.status == _GONE and endpoint_id:
                rows.gone.add(endpoint_id)
            elif posted.status == _GONE:  # nobody can resume a callback
                verdict = Verdict(State.FAILED, now)
        finished_at = None if verdict.state is State.PENDING else now
        told = (verdict.due_at, tries, posted.status, posted.error, finished_at, self._owner)
        rows.deliveries.append((pending.id, int(verdict.state), *told))
        rows.attempts.append(
            (pending.id, tries, posted.at, posted.status, posted.error, posted.duration_ms, posted.response)
        )

    def _ops(self, rows: Rows) -> list[Op]:
        ops = [store.RECORD(rows.deliveries)]
        if rows.attempts:
            ops.append(store.ADD_ATTEMPTS(rows.attempts))
        # in the order of their ids: two nodes that lock the same rows never wait for each other in a circle
        touched = sorted((rows.succeeded.keys() | rows.failed.keys()) - {0})
        if touched:
            ops.append(store.ADD_HEALTH([(number,) for number in touched]))
        if failed := [(number, *rows.failed[number]) for number in touched if number in rows.failed]:
            ops.append(store.FAILED(failed))
        if succeeded := [(number, rows.succeeded[number]) for number in touched if number in rows.succeeded]:
            ops.append(store.SUCCEEDED(succeeded))
        for number in sorted(rows.gone):
            endpoint = book(self._rt).endpoints.get(number)
            if endpoint is not None and endpoint.status == "active":
                ops.append(pausing(self._rt, endpoint, "gone", rows.failed[number][0]))
        return ops

    async def _write(self, ops: list[Op], wake: tuple[str, ...]) -> None:
        """A result that is known is worth some patience: without it the same event is posted again."""
        for _ in range(TRIES):
            try:
                await self._rt.store.write(*ops, wake=wake)
                return
            except Unavailable as error:
                self._rt.log.warning("webhook results wait for the store", reason=error.reason)
                await asyncio.sleep(1.0)
