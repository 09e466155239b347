"""What webhooks hear: the news of messages, of phones, and of their own endpoints becomes deliveries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from chappe.events import EndpointPaused, Event, InboundReceived, MessageUpdated
from chappe.storage import Op
from chappe.webhooks import payload, store
from chappe.webhooks.book import book
from chappe.webhooks.lane import Pending
from chappe.webhooks.model import (
    ENDPOINT_PAUSED,
    RECEIVED,
    TYPE_OF_STATE,
    Endpoint,
    EventType,
    Origin,
    State,
    callback_target,
)
from chappe.webhooks.verbs import ensure_callback_secret

if TYPE_CHECKING:
    from chappe.runtime import Runtime

Offer = Callable[[list[Pending]], None]


def register(rt: Runtime, offer: Offer) -> None:
    """`offer` takes the fresh deliveries, whose rows are about to be committed."""

    async def updated(rt: Runtime, events: list[MessageUpdated]) -> list[Op]:
        return await notify_messages(rt, events, offer)

    async def received(rt: Runtime, events: list[InboundReceived]) -> list[Op]:
        return await notify_inbound(rt, events, offer)

    async def paused(rt: Runtime, events: list[EndpointPaused]) -> list[Op]:
        return await notify_paused(rt, events, offer)

    def wanted(event: MessageUpdated) -> bool:
        kind = TYPE_OF_STATE.get(event.state)
        if kind is None:
            return False
        return event.callback_url is not None or bool(book(rt).wanting(event.account_id, kind, event.test))

    rt.events.on(MessageUpdated, "webhooks.messages", updated, wanted=wanted)
    rt.events.on(
        InboundReceived,
        "webhooks.inbound",
        received,
        wanted=lambda event: bool(book(rt).wanting(event.account_id, RECEIVED, event.test)),
    )
    rt.events.on(EndpointPaused, "webhooks.paused", paused)


async def notify_messages(rt: Runtime, events: list[MessageUpdated], offer: Offer) -> list[Op]:
    """A message entered a state that is told: to the account's endpoints, and to the message's own callback_url."""
    for account_id in {event.account_id for event in events if event.callback_url}:
        await ensure_callback_secret(rt, account_id)
    known = book(rt)
    fresh: list[Pending] = []
    for event in events:
        kind = TYPE_OF_STATE.get(event.state)
        if kind is None:
            continue
        wanting = known.wanting(event.account_id, kind, event.test)
        if wanting or event.callback_url:
            fresh += _deliveries(rt, event, kind, payload.message(event), wanting, event.callback_url)
    return _effects(fresh, offer)


async def notify_inbound(rt: Runtime, events: list[InboundReceived], offer: Offer) -> list[Op]:
    """A phone wrote to one of the account's senders."""
    known = book(rt)
    fresh: list[Pending] = []
    for event in events:
        wanting = known.wanting(event.account_id, RECEIVED, event.test)
        fresh += _deliveries(rt, event, RECEIVED, payload.inbound(event), wanting)
    return _effects(fresh, offer)


async def notify_paused(rt: Runtime, events: list[EndpointPaused], offer: Offer) -> list[Op]:
    """An endpoint was paused for its failures: the account's other endpoints hear of it, live or test."""
    known = book(rt)
    fresh: list[Pending] = []
    for event in events:
        others = [
            endpoint
            for endpoint in known.of(event.account_id)
            if endpoint.id != event.endpoint_id and (not endpoint.events or ENDPOINT_PAUSED in endpoint.events)
        ]
        fresh += _deliveries(rt, event, ENDPOINT_PAUSED, payload.endpoint_paused(event), others)
    return _effects(fresh, offer)


def _deliveries(
    rt: Runtime,
    event: Event,
    kind: EventType,
    data: dict[str, Any],
    endpoints: Iterable[Endpoint],
    callback_url: str | None = None,
) -> list[Pending]:
    now, event_id = rt.clock.now(), rt.ids.next()
    body = payload.body(event_id, kind, now, data)
    made = [
        Pending(rt.ids.next(), event.account_id, endpoint.id, endpoint.id, event_id, kind, None, body, now)
        for endpoint in endpoints
    ]
    if callback_url:
        target = callback_target(event.account_id, callback_url)
        made.append(Pending(rt.ids.next(), event.account_id, 0, target, event_id, kind, callback_url, body, now))
    return made


def _effects(fresh: list[Pending], offer: Offer) -> list[Op]:
    if not fresh:
        return []
    offer(fresh)
    return [store.ADD([row(pending, Origin.EVENT) for pending in fresh], expect=len(fresh))]


def row(pending: Pending, origin: Origin) -> tuple[Any, ...]:
    """A new delivery as `store.ADD` takes it, due at once."""
    p = pending
    place = (p.id, p.account_id, p.endpoint_id, p.target, p.event_id, p.type, int(origin), p.url, p.body)
    return (*place, p.created_at, int(State.PENDING), p.created_at)
