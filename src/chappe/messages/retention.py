"""Retention: texts and whole messages are forgotten when their time is over, without stopping the traffic.

On PostgreSQL a month goes as a whole, when nobody keeps anything of it any longer: its partitions are dropped. What
accounts keep shorter, and everything on SQLite, goes in slices, with pauses for those who send. A message that still
waits is never forgotten.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chappe import consent, ids
from chappe.accounts import AccountSettings
from chappe.billing.ledger.store import FORGET
from chappe.consent.kept_links import DAYS as LINK_DAYS
from chappe.messages import retention_store, store
from chappe.storage import Op, Statement, Unavailable, partitions

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline
    from chappe.runtime import Runtime
    from chappe.settings import Retention

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
    """What one round did: months dropped whole, messages deleted in slices, messages whose text was taken out, and
    messages that lost their steps before their time."""

    months: list[str] = field(default_factory=list)
    messages: int = 0
    texts: int = 0
    histories: int = 0


@dataclass(slots=True, frozen=True)
class Kept:
    """For how many days an account keeps its messages and what belongs to them. `own`: it says so itself, and it is
    kept to the day; else a month may stay until all of it is old."""

    messages: int
    inbound: int
    texts: int
    history: int
    own: bool
    own_inbound: bool


def kept(keep: Retention, settings: AccountSettings | None) -> Kept:
    """What an account says for a kind, else what it says for all, else the installation; of an account that is gone the
    installation's."""
    own = settings or AccountSettings()
    general = own.retention_days or keep.message_days
    return Kept(
        messages=general,
        inbound=own.retention.inbound or general,
        texts=min(own.retention.texts or keep.text_days, general),
        history=min(own.retention.history or general, general),
        own=own.retention_days is not None,
        own_inbound=own.retention_days is not None or own.retention.inbound is not None,
    )


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
    of = {account.id: kept(keep, account.settings) for account in house.accounts.accounts.values()}
    others = kept(keep, None)
    longest = max([keep.message_days, *(one.messages for one in of.values())])
    await _drop_months(house, partitions.boundary(house.rt.store, ids.at(now - longest * _DAY_MS)), done)

    def before(days: int, exact: bool = True) -> int:
        number = ids.at(now - days * _DAY_MS)
        return number if exact else partitions.boundary(house.rt.store, number)

    async for account_id in _accounts(house, store.NEXT_ACCOUNT):
        one = of.get(account_id, others)
        await _delete(house, account_id, before(one.messages, one.own), done)
        if one.history < one.messages:
            await _delete_history(house, account_id, before(one.history), done)
        await _blank(house, account_id, _MESSAGES, before(one.texts), done)
    async for account_id in _accounts(house, store.NEXT_INBOUND_ACCOUNT):
        one = of.get(account_id, others)
        await _delete_inbound(house, account_id, before(one.inbound, one.own_inbound), done)
        await _blank(house, account_id, _INBOUND, before(one.texts), done)
    await _blank_late(house, done)
    if done != Forgotten():
        house.rt.log.info(
            "forgotten", months=done.months, messages=done.messages, texts=done.texts, histories=done.histories
        )
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
        await _keep_links_of(house, month)
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


async def _delete(house: Pipeline, account_id: int, before: int, done: Forgotten) -> None:
    async for rows in _slices(house, store.OLD_OF, {"account_id": account_id, "before": before}, 0):
        keys = [(row[0],) for row in rows]
        charged = [(account_id, price, upstream) for _, price, upstream in rows]
        await _unit(
            house,
            store.DELETE_TAGS(keys),
            store.DELETE_PARTS(keys),
            store.DELETE_HISTORY(keys),
            store.DELETE_MESSAGES(keys),
            *_forgotten(house, charged),
            *await _links_of(house, [row[0] for row in rows]),
        )
        done.messages += len(keys)


async def _delete_history(house: Pipeline, account_id: int, before: int, done: Forgotten) -> None:
    """The steps of messages that stay. Those of a message that still waits go together with it."""
    async for rows, mark in _marked(house, account_id, _HISTORY, before):
        keys = [(number,) for number, waits in rows if not waits]
        await _unit(house, store.DELETE_HISTORY(keys), mark)
        done.histories += len(keys)


async def _delete_inbound(house: Pipeline, account_id: int, before: int, done: Forgotten) -> None:
    async for rows in _slices(house, store.OLD_INBOUND_OF, {"account_id": account_id, "before": before}, 0):
        keys = [(row[0],) for row in rows]
        await _unit(house, store.DELETE_HISTORY(keys), store.DELETE_INBOUND(keys))
        done.messages += len(keys)


async def _blank(house: Pipeline, account_id: int, what: _Marked, before: int, done: Forgotten) -> None:
    """Take the texts out of old messages and of the frames that carried them."""
    assert what.blank is not None
    async for rows, mark in _marked(house, account_id, what, before):
        keys = [(number,) for number, waits in rows if not waits]
        late = [(number,) for number, waits in rows if waits]
        await _unit(house, what.blank(keys), store.BLANK_FRAMES(keys), store.LATE(late), mark)
        done.texts += len(keys)


async def _blank_late(house: Pipeline, done: Forgotten) -> None:
    while rows := await house.rt.store.scan(store.LATE_DONE({"limit": SLICE})):
        keys = [tuple(row) for row in rows]
        await _unit(house, store.BLANK_MESSAGES(keys), store.BLANK_FRAMES(keys), store.NO_LONGER_LATE(keys))
        done.texts += len(keys)


@dataclass(slots=True, frozen=True)
class _Marked:
    """What is gone over once, and how far we are is kept in the store, by account."""

    name: str
    find: Statement
    blank: Statement | None = None


_MESSAGES = _Marked("texts", retention_store.OLD_OF, store.BLANK_MESSAGES)
_INBOUND = _Marked("inbound texts", retention_store.OLD_INBOUND_OF, store.BLANK_INBOUND)
_HISTORY = _Marked("history", retention_store.OLD_OF)


async def _marked(house: Pipeline, account_id: int, what: _Marked, before: int) -> AsyncIterator[tuple[list[Any], Op]]:
    """Slices of an account behind its mark, each with the op that moves the mark."""
    name = f"{what.name} {account_id}"
    marked = await house.rt.store.read(store.MARKS({"name": name}))
    if not marked and what.blank is not None:  # as it was kept before accounts had marks of their own
        marked = await house.rt.store.read(store.MARKS({"name": what.blank.name}))
    span = {"account_id": account_id, "before": before}
    async for rows in _slices(house, what.find, span, marked[0][0] if marked else 0):
        yield rows, store.MARK({"name": name, "upto": rows[-1][0]})


# -- links ----------------------------------------------------------------------------------------------------------


async def _links_of(house: Pipeline, numbers: list[int]) -> list[Op]:
    """An opt-out link works longer than some accounts keep their messages."""
    since = _linked_since(house, numbers[-1])
    if since is None:
        return []
    rows = await house.rt.store.scan(retention_store.LINKED({"ids": numbers, "since": since}))
    return consent.keep_links(house.rt, [tuple(row) for row in rows])


async def _keep_links_of(house: Pipeline, month: partitions.Month) -> None:
    since, after = _linked_since(house, month.end), month.start - 1
    if since is None:
        return
    span = {"until": month.end, "since": since, "limit": SLICE}
    while rows := await house.rt.store.scan(retention_store.LINKED_IN({**span, "after": after})):
        if ops := consent.keep_links(house.rt, [tuple(row) for row in rows]):
            await _unit(house, *ops)
        after = rows[-1][0]


def _linked_since(house: Pipeline, newest: int) -> int | None:
    """When a message must have been sent for its link to work still; None if none of those up to `newest` can have
    been, however long they were scheduled."""
    since = house.rt.clock.now() - LINK_DAYS * _DAY_MS
    latest = ids.millis(newest) + house.rt.settings.limits.schedule_days * _DAY_MS
    return since if latest > since else None


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
