"""A sample event, posted at once, so that a developer sees what an endpoint makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.errors import Refused
from chappe.events import BalanceLow, EndpointPaused, InboundReceived, MessageUpdated, OptOutCreated
from chappe.webhooks import payload, store
from chappe.webhooks.book import book
from chappe.webhooks.model import (
    BALANCE_LOW,
    ENDPOINT_PAUSED,
    EVENT_TYPES,
    OPT_OUT,
    RECEIVED,
    Attempt,
    Delivery,
    EventType,
    Origin,
    State,
)
from chappe.webhooks.post import post
from chappe.webhooks.verbs import found_endpoint

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_RANK = {"sent": 4, "unconfirmed": 5, "delivered": 7, "read": 8}
_FAULTS = ("undelivered", "failed")


async def try_endpoint(
    rt: Runtime, account_id: int, endpoint_id: int, kind: str = "message.delivered"
) -> tuple[Delivery, Attempt]:
    """Post a sample of this type once, also to a paused endpoint; it is in the log and not tried again.

    Raises Refused: not_found, invalid_value (type), conflict when the secret cannot be opened.
    """
    endpoint = found_endpoint(rt, account_id, endpoint_id)
    if kind not in EVENT_TYPES:
        allowed = ", ".join(EVENT_TYPES)
        raise Refused("invalid_value", f"There is no event {kind}.", param="type", action=f"Use one of: {allowed}.")
    keys = book(rt).keys(account_id, endpoint_id)
    if keys is None:
        raise Refused("conflict", "The endpoint's secret cannot be opened.", action="Rotate the secret.")
    now, event_id, delivery_id = rt.clock.now(), rt.ids.next(), rt.ids.next()
    body = payload.body(event_id, kind, now, sample(account_id, kind, now))
    posted = await post(rt, endpoint.url, keys, event_id, body)
    delivery = Delivery(
        delivery_id,
        account_id,
        endpoint_id,
        event_id,
        kind,
        Origin.TEST,
        None,
        body,
        now,
        State.DELIVERED if posted.ok else State.FAILED,
        now,
        1,
        posted.status,
        posted.error,
        rt.clock.now(),
    )
    attempt = Attempt(delivery_id, 1, posted.at, posted.status, posted.error, posted.duration_ms, posted.response)
    d = delivery
    place = (d.id, account_id, endpoint_id, endpoint_id, event_id, kind, int(d.origin), None, body)
    row = (*place, now, int(d.state), now)
    await rt.store.write(
        store.ADD_FINISHED([(*row, 1, d.last_status, d.last_error, d.finished_at)]),
        store.ADD_ATTEMPTS(
            [(a.delivery_id, a.number, a.at, a.status, a.error, a.duration_ms, a.response) for a in (attempt,)]
        ),
    )
    return delivery, attempt


def sample(account_id: int, kind: EventType | str, now: int) -> payload.Data:
    """The data of a made-up event; its ids are zero, its numbers are nobody's."""
    if kind == RECEIVED:
        return payload.inbound(
            InboundReceived(
                account_id=account_id,
                occurred_at=now,
                inbound_id=0,
                to="+12025550100",
                sender="+12025550123",
                text="Hello",
                encoding="gsm7",
                test=True,
            )
        )
    if kind == ENDPOINT_PAUSED:
        url = "https://example.com/webhooks"
        return payload.endpoint_paused(
            EndpointPaused(
                account_id=account_id, occurred_at=now, endpoint_id=0, url=url, reason="failing", failures=10
            )
        )
    if kind == BALANCE_LOW:
        return payload.balance_low(
            BalanceLow(
                account_id=account_id,
                occurred_at=now,
                currency="EUR",
                wallet=8_500_000,
                credit_limit=0,
                threshold=10_000_000,
            )
        )
    if kind == OPT_OUT:
        return payload.opt_out(
            OptOutCreated(
                account_id=account_id,
                occurred_at=now,
                opt_out_id=0,
                person="+12025550123",
                channel="sms",
                scope="account",
                value="",
                covers="marketing",
                reason="opt_out",
                source="keyword",
                test=True,
            )
        )
    state = kind.removeprefix("message.")
    return payload.message(
        MessageUpdated(
            account_id=account_id,
            occurred_at=now,
            message_id=0,
            state=state,
            sequence=_RANK.get(state, 6),
            to="+12025550123",
            sender="Chappe",
            text="A sample message",
            encoding="gsm7",
            error={"code": "absent_subscriber", "permanent": False} if state in _FAULTS else None,
            created_at=now,
            sent_at=now if state not in ("failed", "canceled", "expired") else None,
            final_at=now if state != "sent" else None,
            test=True,
        )
    )
