"""Numbers that were looked up are forgotten when their time is over: what sources said, and the results of batches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from chappe import ids
from chappe.accounts import directory
from chappe.lookups import jobs, store
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

EVERY_S = 3_600.0
SLICE = 500  # rows of the cache
CHUNKS = 20  # of a batch: a few megabytes at a time
_DAY_MS = 86_400_000


def register(rt: Runtime) -> None:
    """Have one node work off batches and forget; before `rt.jobs.start`."""
    rt.jobs.register(jobs.RUN, jobs.run, timeout_s=jobs.LONGEST_S)
    rt.jobs.every("lookups.forget", EVERY_S, forget)


async def forget(rt: Runtime) -> None:
    """Answers whose time is over, then the batches that an account no longer keeps. Raises Unavailable."""
    now = rt.clock.now()
    while await _unit(rt, store.SLICE_OF_OLD({"before": now, "limit": SLICE})):
        pass
    await jobs.fail_stuck(rt, now - _DAY_MS)
    account_id = -1
    while (found := (await rt.store.scan(store.NEXT_ACCOUNT({"after": account_id})))[0][0]) is not None:
        account_id = found
        await _drop_jobs(rt, account_id, ids.at(now - days_kept(rt, account_id) * _DAY_MS))


def days_kept(rt: Runtime, account_id: int) -> int:
    """For how many days the results of a batch are kept: the installation's, or the account's own if they are fewer; of
    an account that is gone nothing is kept."""
    account = directory(rt).account(account_id)
    if account is None:
        return 0
    days = rt.settings.retention.lookup_days
    return min(days, account.settings.retention_days or days)


async def _drop_jobs(rt: Runtime, account_id: int, before: int) -> None:
    while rows := await rt.store.scan(store.OLD_JOBS({"account_id": account_id, "before": before})):
        for (job_id,) in rows:
            since = 0
            while await _unit(rt, store.DROP_CHUNKS({"id": job_id, "since": since, "until": since + CHUNKS})):
                since += CHUNKS
            await rt.store.write(store.DROP_JOB({"id": job_id}))


async def _unit(rt: Runtime, op: Op) -> int:
    """Write a slice, then rest as long as it took; gives how many rows were touched."""
    began = rt.clock.monotonic()
    [touched] = await rt.store.write(op)
    await asyncio.sleep(max(0.0, rt.clock.monotonic() - began))
    return int(touched)
