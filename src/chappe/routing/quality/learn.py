"""What is learnt, and from whom: the news of messages, and those who know whether a message had an effect."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from chappe.errors import DELIVERY
from chappe.events import Effects, MessageUpdated
from chappe.routing.quality import store
from chappe.routing.quality.live import Quality, of
from chappe.routing.quality.model import CONVERTED, DELIVERED, FAILED, REFUSED, SENT, TOLD, Conversion, place_of
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

REACTION: Final = "routing.quality"
STATES: Final = frozenset({"sent", "delivered", "undelivered", "expired", "failed"})
REMEMBERED: Final = 20_000  # what came by the outbox, which may bring it twice
_NOT_ITS_FAULT: Final = frozenset({"request", "time", "policy"})  # groups of errors: what was asked for, and when


def register(rt: Runtime, live: Quality) -> None:
    """Hear of messages, before `rt.events.start`."""
    heard: dict[tuple[int, str], None] = {}
    rt.events.on(
        MessageUpdated,
        REACTION,
        partial(hear, live, heard),
        wanted=lambda event: event.connector_id != 0 and event.state in STATES,
        at_once=partial(hear_at_once, live),
    )


def hear_at_once(live: Quality, _rt: Runtime, events: list[MessageUpdated]) -> Effects:
    """Counted in memory as soon as it is committed. What a canary is said to have received is written with it."""
    proofs = [event for event in events if _is_proof(live, event)] if live.canaries else []
    ops = [store.ADD_SUSPECTS([_proof(event) for event in proofs])] if proofs else []
    return Effects(ops, after=partial(count, live, events))


async def hear(
    live: Quality, heard: dict[tuple[int, str], None], _rt: Runtime, events: list[MessageUpdated]
) -> list[Op]:
    """The same by the outbox, for what could not be counted at once: each message and state once."""
    fresh = []
    for event in events:
        if (event.message_id, event.state) not in heard:
            heard[event.message_id, event.state] = None
            fresh.append(event)
        if len(heard) > REMEMBERED:
            del heard[next(iter(heard))]
    count(live, fresh)
    proofs = [_proof(event) for event in events if _is_proof(live, event)]
    return [store.ADD_SUSPECTS(proofs)] if proofs else []


def count(live: Quality, events: Sequence[MessageUpdated]) -> None:
    """A dict look-up and an addition for each message."""
    evidence = live.evidence
    for event in events:
        connector_id, sent_at = event.connector_id, event.sent_at
        if event.to in live.canaries or not live.tracked(connector_id):
            continue  # a canary is to tell on the supplier, not to count for or against him
        place = place_of(event.country, event.operator)
        country = event.country or place
        match event.state:
            case "failed":
                if not _innocent(event.error):
                    evidence.count(connector_id, place, country, event.occurred_at, REFUSED)
            case "sent":
                evidence.count(connector_id, place, country, sent_at or event.occurred_at, SENT)
            case "delivered":
                _delivered(live, event, place, country)
            case _ if sent_at is not None:  # undelivered, or expired at the supplier's
                evidence.count(connector_id, place, country, sent_at, FAILED)
            case _:
                continue  # it expired before it was sent


def _delivered(live: Quality, event: MessageUpdated, place: str, country: str) -> None:
    if event.sent_at is None:  # it was in doubt, so nobody has counted it as sent
        at = event.final_at or event.occurred_at
        live.evidence.count(event.connector_id, place, country, at, SENT)
        live.evidence.count(event.connector_id, place, country, at, DELIVERED)
        return
    # both times are our own: the supplier's `done date` may be rounded to minutes, or in any time zone
    delay = max(0, (event.final_at or event.occurred_at) - event.sent_at)
    live.evidence.count(event.connector_id, place, country, event.sent_at, DELIVERED, 1, delay)
    if delay < live.floor_ms:
        live.suspect(
            event.connector_id, event.message_id, place, "too_fast", delay, event.final_at or event.occurred_at
        )


def _innocent(error: dict[str, Any] | None) -> bool:
    """Whether the supplier is not to blame for a message that nobody took."""
    entry = DELIVERY.get(str(error.get("code"))) if error else None
    return entry is not None and entry.group in _NOT_ITS_FAULT


def _is_proof(live: Quality, event: MessageUpdated) -> bool:
    return event.state == "delivered" and event.to in live.canaries


def _proof(event: MessageUpdated) -> tuple[Any, ...]:
    at = event.final_at or event.occurred_at
    place = place_of(event.country, event.operator)
    delay = 0 if event.sent_at is None else max(0, at - event.sent_at)
    return (event.connector_id, event.message_id, place, "canary", delay, at)


async def converted(rt: Runtime, told: Sequence[Conversion]) -> int:
    """Somebody knows whether messages had their effect: codes were entered, links opened, or never. Of each message the
    last word counts, and only once; returns how many were news. Raises Unavailable, and Conflict when two say different
    things of one message at the same time."""
    latest = {one.message_id: one for one in told}
    rows = await rt.store.read(store.CONVERSIONS({"ids": list(latest)}))
    before = {message_id: bool(word) for message_id, word in rows}
    now = rt.clock.now()
    added = [_row(one, now) for one in latest.values() if one.message_id not in before]
    changed = [
        (one.message_id, int(one.converted), now)
        for one in latest.values()
        if before.get(one.message_id, one.converted) != one.converted
    ]
    ops = [store.ADD_CONVERSIONS(added, expect=len(added))] if added else []
    if changed:
        ops.append(store.CHANGE_MIND(changed, expect=len(changed)))
    if not ops:
        return 0
    await rt.store.write(*ops)
    live = of(rt)
    for one in latest.values():
        known = before.get(one.message_id)
        if known != one.converted:
            place = place_of(one.country, one.operator)
            seen = (one.connector_id, place, one.country or place, one.sent_at)
            if known is None:
                live.evidence.count(*seen, TOLD)
            if one.converted or known:
                live.evidence.count(*seen, CONVERTED, 1 if one.converted else -1)
    return len(added) + len(changed)


def _row(one: Conversion, now: int) -> tuple[Any, ...]:
    place = place_of(one.country, one.operator)
    return (one.message_id, one.account_id, one.connector_id, place, one.sent_at, int(one.converted), now)
