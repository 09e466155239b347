"""The access log: who saw personal data. Exports and erasures are written down before anything is shown, single looks
within a second; when too many of these wait, nobody may look."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from chappe import accounts, consent, ids
from chappe.batching import Full
from chappe.privacy import store
from chappe.privacy.model import Access, Action
from chappe.privacy.persons import known_as
from chappe.storage import Op, Unavailable, core

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MOST: Final = 20_000  # that wait
SLICE: Final = 500
EVERY_S: Final = 1.0
FORGET_EVERY_S: Final = 3_600.0
_DAY_MS = 86_400_000
_table = store.access_log.c


class Waiting:
    """Looks that are not stored yet."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._rows: deque[tuple[Any, ...]] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, row: tuple[Any, ...]) -> None:
        """Raises batching.Full."""
        if len(self._rows) >= MOST:
            raise Full
        self._rows.append(row)

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name="access log")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        try:
            await self.flush()
        except Unavailable as error:
            self._rt.log.error("looks at personal data are not in the log", lost=len(self._rows), error=str(error))

    async def flush(self) -> None:
        """Store what waits. Raises Unavailable; then it waits on."""
        while self._rows:
            some = [self._rows.popleft() for _ in range(min(SLICE, len(self._rows)))]
            try:
                await self._rt.store.write(store.LOG(some))
            except BaseException:
                self._rows.extendleft(reversed(some))
                raise

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.flush()
            except Unavailable as error:
                self._rt.log.warning("the access log waits for the store", waiting=len(self._rows), error=str(error))


def entry(
    rt: Runtime, account_id: int, actor: str, action: Action, person: str | None, test: bool, count: int | None
) -> tuple[Any, ...]:
    """A row of the log."""
    key = None if person is None else consent.persons(rt).key(account_id, test, person)
    return (rt.ids.next(), account_id, rt.clock.now(), actor, action, key, count)


def entry_op(row: tuple[Any, ...]) -> Op:
    return store.LOG([row], expect=1)


async def looked(
    rt: Runtime,
    account_id: int,
    actor: str,
    action: Action,
    person: str | None = None,
    *,
    test: bool = False,
    count: int | None = 1,
) -> int:
    """Write down who is about to see what; gives the entry's id. `count` None: not known yet, see `counted`. Raises
    Unavailable."""
    row = entry(rt, account_id, actor, action, person, test, count)
    await rt.store.write(entry_op(row))
    return int(row[0])


async def counted(rt: Runtime, entry_id: int, count: int) -> None:
    """How many records it came to."""
    await rt.store.write(store.COUNTED({"id": entry_id, "count": count}))


async def entries(
    rt: Runtime,
    account_id: int | None,
    *,
    person: str | None = None,
    action: Action | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Access]:
    """The newest first, of an account or, with None, of all of them. Raises Unavailable."""
    query = sa.select(store.access_log).order_by(_table.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(_table.account_id == account_id)
    if person is not None:
        query = query.where(_table.person_key.in_(_keys(rt, account_id, person)))
    if action is not None:
        query = query.where(_table.action == action)
    if before is not None:
        query = query.where(_table.id < before)
    statement, params = core(query)
    return [store.access(row) for row in await rt.store.scan(statement(params))]


def _keys(rt: Runtime, account_id: int | None, person: str) -> Sequence[int]:
    """The person's, in the account, or in every one."""
    whose = [account_id] if account_id is not None else [consent.EVERYONES, *accounts.directory(rt).accounts]
    return [key for one in whose for key in known_as(rt, one, person).keys]


async def forget(rt: Runtime) -> None:
    """Delete entries whose time is over, in slices."""
    before = ids.at(rt.clock.now() - rt.settings.retention.access_log_days * _DAY_MS)
    touched = SLICE
    while touched == SLICE:
        [touched] = await rt.store.write(store.FORGET_ACCESS({"before": before, "limit": SLICE}))
