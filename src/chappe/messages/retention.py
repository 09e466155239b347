"""Retention: texts and whole messages are forgotten when their time is over, in slices that let traffic pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chappe import ids
from chappe.messages import store
from chappe.storage import Op, Statement

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

SLICE = 1_000
_DAY_MS = 86_400_000
_ALL = 0


async def forget(house: Pipeline) -> int:
    """Delete what the installation and its accounts no longer keep, then the texts; returns how many messages."""
    now, keep = house.rt.clock.now(), house.rt.settings.retention
    spans = [(_ALL, keep.message_days)]
    spans += [
        (account.id, account.settings.retention_days)
        for account in house.accounts.accounts.values()
        if account.settings.retention_days is not None
    ]
    total = 0
    for account_id, days in spans:
        before = ids.at(now - days * _DAY_MS)
        total += await _delete(house, account_id, before)
        total += await _delete_inbound(house, account_id, before)
    await _blank(house, ids.at(now - keep.text_days * _DAY_MS))
    return total


async def _delete(house: Pipeline, account_id: int, before: int) -> int:
    total = 0
    while old := await _slice(house, store.OLD_OF if account_id else store.OLD, account_id, 0, before):
        keys = [(number,) for number in old]
        await house.rt.store.write(
            store.DELETE_TAGS(keys),
            store.DELETE_PARTS(keys),
            store.DELETE_HISTORY(keys),
            store.DEQUEUE(keys),
            store.DELETE_MESSAGES(keys),
        )
        total += len(old)
    return total


async def _delete_inbound(house: Pipeline, account_id: int, before: int) -> int:
    total = 0
    while old := await _slice(house, store.OLD_INBOUND_OF if account_id else store.OLD_INBOUND, account_id, 0, before):
        keys = [(number,) for number in old]
        await house.rt.store.write(store.DELETE_HISTORY(keys), store.DELETE_INBOUND(keys))
        total += len(old)
    return total


async def _blank(house: Pipeline, before: int) -> None:
    """Take the texts out of old messages and of the frames that carried them."""
    for find, blank in ((store.OLD, store.BLANK_MESSAGES), (store.OLD_INBOUND, store.BLANK_INBOUND)):
        after = house.blanked.get(blank.name, 0)
        while old := await _slice(house, find, _ALL, after, before):
            keys = [(number,) for number in old]
            ops: list[Op] = [blank(keys), store.BLANK_FRAMES(keys)]
            await house.rt.store.write(*ops)
            house.blanked[blank.name] = after = old[-1]


async def _slice(house: Pipeline, find: Statement, account_id: int, after: int, before: int) -> Sequence[int]:
    params = {"after": after, "before": before, "limit": SLICE}
    if account_id:
        params["account_id"] = account_id
    return [row[0] for row in await house.rt.store.scan(find(params))]
