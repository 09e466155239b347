"""Work beside the sending: long queues moved in slices, dead endpoints paused, old rows removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chappe import ids, jobs
from chappe.events import EndpointPaused
from chappe.storage import Op, Row
from chappe.webhooks import store
from chappe.webhooks.book import book
from chappe.webhooks.model import KEEP_MS, PAUSE, REQUEUE, Endpoint, Health
from chappe.webhooks.verbs import pause_endpoint

if TYPE_CHECKING:
    from chappe.runtime import Runtime

SLICE = 500
PAGE = 256
LOWEST = -(1 << 63)
_DAY_MS = 86_400_000


def register(rt: Runtime) -> None:
    rt.jobs.register(PAUSE, pause)
    rt.jobs.register(REQUEUE, requeue)
    rt.jobs.every("webhooks.pause_dead", 60.0, pause_dead)
    rt.jobs.every("webhooks.expire", 300.0, expire)
    rt.jobs.every("webhooks.prune", 600.0, prune)


async def pause(rt: Runtime, payload: dict[str, Any]) -> list[Op]:
    """Pause an endpoint and tell of it. `at` marks the one pause that this job tells of, also when it runs again."""
    before = book(rt).get(payload["account_id"], payload["endpoint_id"])
    if before is None or (before.status == "paused" and before.paused_at != payload["at"]):
        return []
    endpoint = await pause_endpoint(
        rt, "system:webhooks", before.account_id, before.id, payload["reason"], payload["at"]
    )
    event = EndpointPaused(
        account_id=endpoint.account_id,
        occurred_at=payload["at"],
        endpoint_id=endpoint.id,
        url=endpoint.url,
        reason=payload["reason"],
        failures=payload["failures"],
    )
    rt.log.warning("webhook endpoint paused", endpoint=store.ENDPOINTS.public(endpoint.id), reason=event.reason)
    return rt.events.emit([event])


def pausing(rt: Runtime, endpoint: Endpoint, reason: str, failures: int) -> Op:
    """The op that has an endpoint paused soon."""
    told = {"account_id": endpoint.account_id, "endpoint_id": endpoint.id}
    return rt.jobs.enqueue(PAUSE, {**told, "reason": reason, "failures": failures, "at": rt.clock.now()})


async def pause_dead(rt: Runtime) -> None:
    """Pause the endpoints that have taken nothing for a day."""
    now = rt.clock.now()
    ops = []
    for health in [Health(*row) for row in await rt.store.scan(store.FAILING())]:
        endpoint = book(rt).endpoints.get(health.endpoint_id)
        if endpoint is not None and endpoint.status == "active" and health.dead(now):
            ops.append(pausing(rt, endpoint, "failing", health.failures))
    if ops:
        await rt.store.write(*ops, wake=(jobs.TOPIC,))


async def requeue(rt: Runtime, payload: dict[str, Any]) -> None:
    """All that waits for this target is due now."""
    params = {"target": payload["target"], "now": rt.clock.now(), "limit": SLICE}
    await _slices(rt, store.REQUEUE(params))
    await rt.store.write(wake=(store.ROOM,))


async def expire(rt: Runtime) -> None:
    """Give up what has waited too long behind a paused endpoint, and drop what waits for deleted ones.

    What is posted is judged by its age before.
    """
    now = rt.clock.now()
    what = {"now": now, "before": now - KEEP_MS, "limit": SLICE}
    after = LOWEST
    while page := await look(rt, after):
        await rt.snapshots.check()  # an endpoint is older than its deliveries: after a look, who is unknown is gone
        for target, due_at in page:
            if target > 0 and target not in book(rt).endpoints:
                await _slices(rt, store.DROP({"target": target, "now": now, "limit": SLICE}))
            elif due_at < now - KEEP_MS:
                await _slices(rt, store.EXPIRE({**what, "target": target}))
        after = page[-1][0]
    await rt.store.write(store.FORGET_HEALTH())


async def prune(rt: Runtime) -> None:
    """Remove the log of finished deliveries when its time is over."""
    days = rt.settings.retention.delivery_log_days
    kept_ms = max(days * _DAY_MS, KEEP_MS + _DAY_MS)  # so that the oldest rows are finished ones
    params = {"before": ids.at(rt.clock.now() - kept_ms), "limit": SLICE}
    deleted = SLICE
    while deleted == SLICE:
        _, deleted = await rt.store.write(store.PRUNE_ATTEMPTS(params), store.PRUNE(params))


async def look(rt: Runtime, after: int) -> list[Row]:
    """The next page of targets that have something pending: (target, first due time)."""
    return await rt.store.scan(store.LOOK({"after": after, "limit": PAGE}))


async def _slices(rt: Runtime, op: Op) -> None:
    """Repeat an op that touches at most SLICE rows until it finds no more: an OTP's commit goes in between."""
    touched = SLICE
    while touched == SLICE:
        [touched] = await rt.store.write(op)
