"""What webhooks hear: the news of messages, of phones, and of their own endpoints becomes deliveries.

News of messages and phones becomes rows in the very unit that it tells of, and is posted when that is committed; what
cannot be done at once comes by the outbox.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from chappe.events import (
    BalanceLow,
    Effects,
    EndpointPaused,
    Event,
    InboundReceived,
    MessageUpdated,
    OptOutCreated,
)
from chappe.storage import Op
from chappe.webhooks import payload, store
from chappe.webhooks.book import Book, book
from chappe.webhooks.model import (
    BALANCE_LOW,
    ENDPOINT_PAUSED,
    OPT_OUT,
    RECEIVED,
    TYPE_OF_STATE,
    Endpoint,
    EventType,
    Origin,
    Pending,
    State,
    callback_target,
)
from chappe.webhooks.sender import Sender
from chappe.webhooks.verbs import ensure_callback_secret

if TYPE_CHECKING:
    from chappe.runtime import Runtime


def register(rt: Runtime, sender: Sender) -> None:
    rt.events.on(
        MessageUpdated,
        "webhooks.messages",
        partial(notify_messages, sender),
        wanted=lambda event: _tells(book(rt), event),
        at_once=partial(notify_messages_at_once, sender),
    )
    rt.events.on(
        InboundReceived,
        "webhooks.inbound",
        partial(notify_inbound, sender),
        wanted=lambda event: bool(book(rt).wanting(event.account_id, RECEIVED, event.test)),
        at_once=partial(notify_inbound_at_once, sender),
    )
    rt.events.on(EndpointPaused, "webhooks.paused", partial(notify_paused, sender))
    rt.events.on(
        BalanceLow,
        "webhooks.balance",
        partial(notify_balance, sender),
        wanted=lambda event: bool(book(rt).wanting(event.account_id, BALANCE_LOW, False)),
    )
    rt.events.on(
        OptOutCreated,
        "webhooks.opt_outs",
        partial(notify_opt_outs, sender),
        wanted=lambda event: bool(book(rt).wanting(event.account_id, OPT_OUT, event.test)),
    )


def _tells(known: Book, event: MessageUpdated) -> bool:
    kind = TYPE_OF_STATE.get(event.state)
    if kind is None:
        return False
    return event.callback_url is not None or bool(known.wanting(event.account_id, kind, event.test))


# -- at once --------------------------------------------------------------------------------------------------------


def notify_messages_at_once(sender: Sender, rt: Runtime, events: list[MessageUpdated]) -> Effects:
    """The first callback of an account waits for the outbox: its secret is not made yet."""
    callbacks = book(rt).callbacks
    left = [event for event in events if event.callback_url and event.account_id not in callbacks]
    ready = [event for event in events if event not in left] if left else events
    return _at_once(sender, _of_messages(rt, ready), left)


def notify_inbound_at_once(sender: Sender, rt: Runtime, events: list[InboundReceived]) -> Effects:
    return _at_once(sender, _of_inbound(rt, events))


def _at_once(sender: Sender, fresh: list[Pending], left: Iterable[Event] = ()) -> Effects:
    reserved = sender.reserve(fresh)
    rows = [row(pending, _EVENT, sender.owner if pending.held_at else 0) for pending in fresh]
    return Effects(
        [store.ADD(rows, expect=len(rows))],
        after=partial(sender.launch, reserved),
        undo=partial(sender.forget, reserved),
        wake=() if sender.is_open else (store.ROOM,),
        left=list(left),
    )


# -- by the outbox --------------------------------------------------------------------------------------------------


async def notify_messages(sender: Sender, rt: Runtime, events: list[MessageUpdated]) -> list[Op]:
    for account_id in {event.account_id for event in events if event.callback_url}:
        await ensure_callback_secret(rt, account_id)
    return _later(sender, _of_messages(rt, events))


async def notify_inbound(sender: Sender, rt: Runtime, events: list[InboundReceived]) -> list[Op]:
    return _later(sender, _of_inbound(rt, events))


async def notify_paused(sender: Sender, rt: Runtime, events: list[EndpointPaused]) -> list[Op]:
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
    return _later(sender, fresh)


async def notify_balance(sender: Sender, rt: Runtime, events: list[BalanceLow]) -> list[Op]:
    """An account runs out of money: its live endpoints hear of it."""
    known = book(rt)
    fresh: list[Pending] = []
    for event in events:
        wanting = known.wanting(event.account_id, BALANCE_LOW, False)
        fresh += _deliveries(rt, event, BALANCE_LOW, payload.balance_low(event), wanting)
    return _later(sender, fresh)


async def notify_opt_outs(sender: Sender, rt: Runtime, events: list[OptOutCreated]) -> list[Op]:
    """A person is not to be written to any more."""
    known = book(rt)
    fresh: list[Pending] = []
    for event in events:
        wanting = known.wanting(event.account_id, OPT_OUT, event.test)
        fresh += _deliveries(rt, event, OPT_OUT, payload.opt_out(event), wanting)
    return _later(sender, fresh)


def _later(sender: Sender, fresh: list[Pending]) -> list[Op]:
    if not fresh:
        return []
    sender.look_soon()
    return [store.ADD([row(pending, _EVENT) for pending in fresh], expect=len(fresh))]


# -- deliveries -----------------------------------------------------------------------------------------------------


def _of_messages(rt: Runtime, events: list[MessageUpdated]) -> list[Pending]:
    """A message entered a state that is told: to the account's endpoints, and to the message's own callback_url."""
    known = book(rt)
    fresh: list[Pending] = []
    for event in events:
        kind = TYPE_OF_STATE.get(event.state)
        if kind is None:
            continue
        wanting = known.wanting(event.account_id, kind, event.test)
        if wanting or event.callback_url:
            fresh += _deliveries(rt, event, kind, payload.message(event), wanting, event.callback_url)
    return fresh


def _of_inbound(rt: Runtime, events: list[InboundReceived]) -> list[Pending]:
    """A phone wrote to one of the account's senders."""
    known = book(rt)
    fresh: list[Pending] = []
    for event in events:
        wanting = known.wanting(event.account_id, RECEIVED, event.test)
        fresh += _deliveries(rt, event, RECEIVED, payload.inbound(event), wanting)
    return fresh


def _deliveries(
    rt: Runtime,
    event: Event,
    kind: EventType,
    data: payload.Data,
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


_EVENT, _PENDING = int(Origin.EVENT), int(State.PENDING)


def row(p: Pending, origin: int, owner: int = 0) -> tuple[Any, ...]:
    """A new delivery as `store.ADD` takes it, due at once; with an owner it is leased."""
    place = (p.id, p.account_id, p.endpoint_id, p.target, p.event_id, p.type, origin, p.url, p.body)
    return (*place, p.created_at, _PENDING, p.created_at, owner)
