"""The delivery log: read, and played again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chappe import ids, jobs
from chappe.errors import Refused
from chappe.storage import Op, core
from chappe.webhooks import store
from chappe.webhooks.book import book
from chappe.webhooks.model import REPLAY, Attempt, Delivery, Origin, Pending, State
from chappe.webhooks.on import row
from chappe.webhooks.verbs import found_endpoint

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SLICE = 500
_table = store.webhook_deliveries.c


async def deliveries(
    rt: Runtime,
    account_id: int,
    *,
    endpoint_id: int | None = None,
    state: State | None = None,
    kind: str | None = None,
    event_id: int | None = None,
    since: int | None = None,
    until: int | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[Delivery]:
    """The latest first; `endpoint_id` 0 lists callbacks. `before_id` is the cursor: the last id of the page before.

    Raises Refused not_found for an endpoint of another account; that of a deleted one can still be read.
    """
    if endpoint_id and book(rt).get(account_id, endpoint_id) is None and endpoint_id in book(rt).endpoints:
        raise Refused("not_found", "There is no such webhook endpoint.")
    query = sa.select(*store.LOGGED).where(_table.account_id == account_id).order_by(_table.id.desc()).limit(limit)
    for column, value in (
        (_table.endpoint_id, endpoint_id),
        (_table.state, None if state is None else int(state)),
        (_table.type, kind),
        (_table.event_id, event_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if event_id is not None:
        query = query.where(_table.id > event_id)  # both sort by time: no need to look further back
    if since is not None:
        query = query.where(_table.created_at >= since)
    if until is not None:
        query = query.where(_table.created_at < until)
    if before_id is not None:
        query = query.where(_table.id < before_id)
    statement, params = core(query)
    return [store.delivery(found) for found in await rt.store.scan(statement(params))]


async def delivery(rt: Runtime, account_id: int, delivery_id: int) -> tuple[Delivery, list[Attempt]]:
    """One delivery with its attempts, the first one first. Raises Refused not_found."""
    rows = await rt.store.read(store.GET({"id": delivery_id, "account_id": account_id}))
    if not rows:
        raise Refused("not_found", "There is no such delivery.")
    attempts = await rt.store.read(store.ATTEMPTS({"delivery_id": delivery_id}))
    return store.delivery(rows[0]), [Attempt(*attempt) for attempt in attempts]


async def replay(rt: Runtime, account_id: int, delivery_id: int) -> Delivery:
    """Post the event of a delivery once more, with the same event id: a new delivery, retried like any other.

    Raises Refused not_found, also when the endpoint has been deleted.
    """
    old, _ = await delivery(rt, account_id, delivery_id)
    if old.endpoint_id:
        found_endpoint(rt, account_id, old.endpoint_id)
    [target] = (await rt.store.read(store.TARGET({"id": delivery_id})))[0]
    pending = _copy(rt, old, target)
    await rt.store.write(store.ADD([row(pending, int(Origin.REPLAY))]), wake=(store.ROOM,))
    made, _ = await delivery(rt, account_id, pending.id)
    return made


async def replay_range(
    rt: Runtime,
    account_id: int,
    endpoint_id: int,
    *,
    since: int,
    until: int | None = None,
    kind: str | None = None,
    only_failed: bool = True,
) -> int:
    """Post the events of an endpoint once more: those first due in [since, until), failed for good unless told.

    Returns how many there are; a job makes their deliveries in slices. Replays and tests are not played again.
    Raises Refused not_found.
    """
    found_endpoint(rt, account_id, endpoint_id)
    until = rt.clock.now() if until is None else until
    what = {
        "account_id": account_id,
        "endpoint_id": endpoint_id,
        "since": since,
        "until": until,
        "kind": kind or "",
        "state": int(State.FAILED) if only_failed else -1,
    }
    after = ids.at(since) - 1
    [(count,)] = await rt.store.scan(store.COUNT_RANGE({**what, "after": after}))
    if count:
        await rt.store.write(rt.jobs.enqueue(REPLAY, {**what, "after": after}), wake=(jobs.TOPIC,))
    return int(count)


async def replay_slice(rt: Runtime, payload: dict[str, Any]) -> list[Op]:
    """The job behind `replay_range`: one slice, and the job of the next one, in one unit."""
    if book(rt).get(payload["account_id"], payload["endpoint_id"]) is None:
        return []
    rows = await rt.store.scan(store.RANGE({**payload, "limit": SLICE}))
    if not rows:
        return []
    old = [store.delivery(found) for found in rows]
    copies = [row(_copy(rt, each, each.endpoint_id), int(Origin.REPLAY)) for each in old]
    ops = [store.ADD(copies, expect=len(copies))]
    if len(rows) == SLICE:
        ops.append(rt.jobs.enqueue(REPLAY, {**payload, "after": old[-1].id}))
    asyncio.get_running_loop().call_soon(rt.store.poke, store.ROOM)
    return ops


def _copy(rt: Runtime, old: Delivery, target: int) -> Pending:
    now = rt.clock.now()
    return Pending(
        rt.ids.next(), old.account_id, old.endpoint_id, target, old.event_id, old.type, old.url, old.body, now
    )
