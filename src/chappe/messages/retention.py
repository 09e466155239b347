"""Retention: texts and whole messages are forgotten when their time is over, without stopping the traffic.

On PostgreSQL a month goes as a whole, when nobody keeps anything of it any longer: its partitions are dropped. What
accounts keep shorter, and everything on SQLite, goes in slices, with pauses for those who send. A message that still
waits is never forgotten.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chappe import ids
from chappe.billing.ledger.store import FORGET
from chappe.messages import store
from chappe.storage import Op, Statement, Unavailable, partitions

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline
    from chappe.runtime import Runtime

FORGET_EVERY_S = 3600.0
TIDY_EVERY_S = 600.0
SLICE = 200  # messages
TIDY_SLICE = 500  # rows of other tables
KEYS_FOR_MS = 86_400_000
PARKED_FOR_MS = 3 * 86_400_000
REST = 1.0  # a pause as long as the slice took: half of the writer's time is the traffic's
_DAY_MS = 86_400_000
_TRIES = 20  # to get the lock that dropping a month takes
_TRY_EVERY_S = 1.0


@dataclass(slots=True)
class Forgotten:
    """What one round did: months dropped whole, messages deleted in slices, messages whose text was taken out."""

    months: list[str] = field(default_factory=list)
    messages: int = 0
    texts: int = 0


def register(rt: Runtime, house: Pipeline) -> None:
    """Have one node do the chores of this room; before `rt.jobs.start`."""

    async def forget_old(_rt: Runtime) -> None:
        await forget(house)

    async def tidy_up(_rt: Runtime) -> None:
        await tidy(house)

    rt.jobs.every("messages.forget", FORGET_EVERY_S, forget_old)
    rt.jobs.every("messages.tidy", TIDY_EVERY_S, tidy_up)


async def forget(house: Pipeline) -> Forgotten:
    """Delete what the installation and its accounts no longer keep, then the texts. Raises Unavailable."""
    done = Forgotten()
    now, keep = house.rt.clock.now(), house.rt.settings.retention
    own = {
        account.id: account.settings.retention_days
        for account in house.accounts.accounts.values()
        if account.settings.retention_days is not None
    }
    longest = max([keep.message_days, *own.values()])
    await _drop_months(house, partitions.boundary(house.rt.store, ids.at(now - longest * _DAY_MS)), done)

    def before(account_id: int) -> int:
        """An account's own days are kept to the day; else a month may stay until all of it is old."""
        days = own.get(account_id)
        if days is not None:
            return ids.at(now - days * _DAY_MS)
        return partitions.boundary(house.rt.store, ids.at(now - keep.message_days * _DAY_MS))

    await _delete(house, before, done)
    await _delete_inbound(house, before, done)
    await _blank(house, ids.at(now - keep.text_days * _DAY_MS), done)
    if done != Forgotten():
        house.rt.log.info("forgotten", months=done.months, messages=done.messages, texts=done.texts)
    return done


async def tidy(house: Pipeline) -> None:
    """Forget what has had its time, often: idempotency keys, parked receipts, the ids of settled parts."""
    now = house.rt.clock.now()
    await _slice_by_slice(house, store.SLICE_OF_KEYS, before=now - KEYS_FOR_MS)
    await _slice_by_slice(house, store.SLICE_OF_PARKED, before=ids.at(now - PARKED_FOR_MS))
    after, found = 0, True
    while found:
        params = {"after": after, "before": now - PARKED_FOR_MS, "limit": TIDY_SLICE}
        rows = await house.rt.store.scan(store.OLDEST_PARTS(params))
        settled = [tuple(row[:3]) for row in rows if row[3]]
        if settled:
            await _unit(house, store.DROP_PARTS(settled))
        # they lie by age: behind a slice of which all are kept, nearly all are kept
        found = bool(settled) and len(rows) == TIDY_SLICE
        after = rows[-1][0] - 1 if rows else 0


async def _slice_by_slice(house: Pipeline, statement: Statement, **params: int) -> None:
    touched = TIDY_SLICE
    while touched:
        touched = await _unit(house, statement({**params, "limit": TIDY_SLICE}))


# -- months ---------------------------------------------------------------------------------------------------------


async def _drop_months(house: Pipeline, before: int, done: Forgotten) -> None:
    for month in await partitions.months(house.rt.store):
        span = {"since": month.start, "until": month.end}
        if month.end > before or await house.rt.store.read(store.WAITING_IN(span)):
            continue
        for slice_of in (store.SLICE_OF_TAGS, store.SLICE_OF_PARTS):
            await _slice_by_slice(house, slice_of, **span)
        if await _drop(house, month):
            done.months.append(month.name)


async def _drop(house: Pipeline, month: partitions.Month) -> bool:
    """Whether the month is gone. Who waits for its lock holds up all who come later, so we ask often, and shortly."""
    span = {"since": month.start, "until": month.end}
    for _ in range(_TRIES):
        try:
            # all of it is final, and older than any receipt: nothing is charged any more
            charged = await house.rt.store.read(store.CHARGED_IN(span))
            await partitions.drop(house.rt.store, month, *_forgotten(house, charged))
        except Unavailable:
            await asyncio.sleep(_TRY_EVERY_S)
        else:
            return True
    house.rt.log.warning("a month could not be dropped: its tables are in use", month=month.name)
    return False


def _forgotten(house: Pipeline, charged: Iterable[Sequence[Any]]) -> list[Op]:
    """What messages came to that are deleted, rows of (account, price, upstream): the books keep it as a sum."""
    sums: Counter[int] = Counter()
    for account_id, price, upstream in charged:
        sums[account_id] += int(price or 0)
        if upstream and (reseller := house.tariffs.reseller_of(account_id)) is not None:
            sums[reseller] += int(upstream)
    return [
        FORGET({"account_id": account_id, "charged": amount}) for account_id, amount in sorted(sums.items()) if amount
    ]


# -- slices ---------------------------------------------------------------------------------------------------------


async def _delete(house: Pipeline, before: Callable[[int], int], done: Forgotten) -> None:
    async for account_id in _accounts(house, store.NEXT_ACCOUNT):
        span = {"account_id": account_id, "before": before(account_id)}
        async for rows in _slices(house, store.OLD_OF, span, 0):
            keys = [(row[0],) for row in rows]
            charged = [(account_id, price, upstream) for _, price, upstream in rows]
            await _unit(
                house,
                store.DELETE_TAGS(keys),
                store.DELETE_PARTS(keys),
                store.DELETE_HISTORY(keys),
                store.DELETE_MESSAGES(keys),
                *_forgotten(house, charged),
            )
            done.messages += len(keys)


async def _delete_inbound(house: Pipeline, before: Callable[[int], int], done: Forgotten) -> None:
    async for account_id in _accounts(house, store.NEXT_INBOUND_ACCOUNT):
        span = {"account_id": account_id, "before": before(account_id)}
        async for rows in _slices(house, store.OLD_INBOUND_OF, span, 0):
            keys = [(row[0],) for row in rows]
            await _unit(house, store.DELETE_HISTORY(keys), store.DELETE_INBOUND(keys))
            done.messages += len(keys)


async def _blank(house: Pipeline, before: int, done: Forgotten) -> None:
    """Take the texts out of old messages and of the frames that carried them; how far we are is kept in the store."""
    for find, blank in ((store.OLD, store.BLANK_MESSAGES), (store.OLD_INBOUND, store.BLANK_INBOUND)):
        marked = await house.rt.store.read(store.MARKS({"name": blank.name}))
        async for rows in _slices(house, find, {"before": before}, marked[0][0] if marked else 0):
            keys = [(number,) for number, waits in rows if not waits]
            late = [(number,) for number, waits in rows if waits]
            mark = store.MARK({"name": blank.name, "upto": rows[-1][0]})
            await _unit(house, blank(keys), store.BLANK_FRAMES(keys), store.LATE(late), mark)
            done.texts += len(keys)
    while rows := await house.rt.store.scan(store.LATE_DONE({"limit": SLICE})):
        keys = [tuple(row) for row in rows]
        await _unit(house, store.BLANK_MESSAGES(keys), store.BLANK_FRAMES(keys), store.NO_LONGER_LATE(keys))
        done.texts += len(keys)


async def _accounts(house: Pipeline, next_account: Statement) -> AsyncIterator[int]:
    """Who has rows, from account to account through the index; accounts that are gone and nobody (0) too."""
    account_id = -1
    while (found := (await house.rt.store.scan(next_account({"after": account_id})))[0][0]) is not None:
        account_id = found
        yield account_id


async def _slices(house: Pipeline, find: Statement, span: dict[str, int], after: int) -> AsyncIterator[list[Any]]:
    while rows := await house.rt.store.scan(find({**span, "after": after, "limit": SLICE})):
        after = rows[-1][0]
        yield rows


async def _unit(house: Pipeline, *ops: Op) -> int:
    """Write a slice, then rest; gives how many rows its first op touched."""
    began = house.rt.clock.monotonic()
    [touched, *_] = await house.rt.store.write(*ops)
    await asyncio.sleep(REST * (house.rt.clock.monotonic() - began))
    return int(touched)
