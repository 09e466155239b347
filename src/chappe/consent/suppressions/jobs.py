"""What ends by itself: suppressions whose time is over, lists that are deleted, and days that count no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from chappe.consent.suppressions import disconnected, named, store
from chappe.consent.suppressions.model import Gone
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

EVERY_S = 60.0
SLICE = 500  # rows a unit: an OTP's commit goes in between
_LONGEST_S = 3_600.0  # a list of millions
_DAY_MS = 86_400_000


def start_suppressions(rt: Runtime, gone: Gone | None = None) -> None:
    """Register what is done beside sending; after `consent.start`, before `rt.events.start` and `rt.jobs.start`."""
    gone = gone or Gone()
    rt.jobs.register(named.DELETE, named.empty_list, timeout_s=_LONGEST_S)
    rt.jobs.every("consent.expire", EVERY_S, partial(expire, gone))
    disconnected.register(rt, gone)


async def expire(gone: Gone, rt: Runtime) -> None:
    """Delete what forbids no more. Raises Unavailable."""
    now = rt.clock.now()
    await _slices(rt, lambda: store.DROP_EXPIRED({"now": now, "limit": SLICE}))
    oldest = now // _DAY_MS - gone.within_days
    await _slices(rt, lambda: store.PRUNE_DAYS({"before": oldest, "limit": SLICE}))


async def _slices(rt: Runtime, op: Callable[[], Op]) -> None:
    """Repeat an op that touches at most SLICE rows until it finds no more, resting as long as each took."""
    touched = SLICE
    while touched == SLICE:
        began = rt.clock.monotonic()
        [touched] = await rt.store.write(op())
        if touched == SLICE:
            await asyncio.sleep(rt.clock.monotonic() - began)
