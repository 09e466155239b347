"""What was decided, by day: written every few seconds by each process, read by who sets policies and by the alarms."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct

from chappe.fraud.firewall import store
from chappe.storage import StoreError

if TYPE_CHECKING:
    from chappe.fraud.firewall.judging import Firewall
    from chappe.runtime import Runtime

DAY_MS: Final = 86_400_000
EVERY_S: Final = 5.0
KEPT_DAYS: Final = 400
_BEFORE: Final = 30  # days that a day is compared with
_LEAST: Final = 1_000  # messages: who sends fewer does no harm by sending twice as many


class Count(Struct, frozen=True):
    """How often a verdict was given on a day (since 1970, UTC), by the code of its strictest finding."""

    day: int
    verdict: str
    code: str
    number: int


class Growth(NamedTuple):
    """An account that sent far more today than on any day of the month before."""

    account_id: int
    today: int
    most_before: int


class Counting:
    """Writes what a firewall has counted."""

    def __init__(self, firewall: Firewall) -> None:
        self._firewall = firewall
        self._unwritten: Counter[tuple[int, int, str, str]] = Counter()

    async def keep(self, rt: Runtime) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.write(rt)
            except StoreError as error:
                rt.log.warning("counts of the content firewall wait for the store", error=str(error))

    async def write(self, rt: Runtime) -> None:
        """Raises StoreError; then it is written the next time."""
        day = rt.clock.now() // DAY_MS
        for account_id, verdict, code, count in self._firewall.counted():
            self._unwritten[day, account_id, verdict, code] += count
        if self._unwritten:
            rows = [(*key, count) for key, count in sorted(self._unwritten.items())]
            await rt.store.write(store.ADD_COUNTS(rows))
            self._unwritten.clear()

    async def close(self, rt: Runtime) -> None:
        with suppress(StoreError):  # a few seconds of counts are no reason not to end
            await self.write(rt)


async def counts(rt: Runtime, account_id: int, days: int) -> list[Count]:
    """Of an account, for so many days up to today, the latest first. Raises Unavailable."""
    today = rt.clock.now() // DAY_MS
    bind = {"account_id": account_id, "days": list(range(today - days + 1, today + 1))}
    return [Count(*row) for row in await rt.store.scan(store.COUNTS(bind))]


async def growths(rt: Runtime, firewall: Firewall) -> list[Growth]:
    """The accounts that send conspicuously more than they did. Raises Unavailable."""
    today = rt.clock.now() // DAY_MS
    rows = await rt.store.scan(store.TOTALS({"days": list(range(today - _BEFORE, today + 1))}))
    before: dict[int, int] = {}
    for account_id, day, count in rows:
        if day < today:
            before[account_id] = max(before.get(account_id, 0), count)
    found = []
    for account_id, day, count in rows:
        most = before.get(account_id, 0)
        factor = firewall.policies.of(account_id).growth_alarm
        if day == today and count >= _LEAST and count > factor * most:
            found.append(Growth(account_id, count, most))
    return sorted(found)


__all__ = ["Count", "Counting", "Growth", "counts", "growths"]
