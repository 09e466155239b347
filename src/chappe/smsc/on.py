"""What this room hears: receipts for who asked for them, and what phones write, become rows of the queue."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from chappe import accounts, ids
from chappe.events import InboundReceived, MessageUpdated
from chappe.smpp import tlv
from chappe.smsc import store
from chappe.smsc.model import QUOTED, InboundNews, Kind, News, ReceiptNews, encode_news
from chappe.smsc.states import wants
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

ORIGIN: Final = "smpp"
GROUP: Final = "mul"  # the id of a submit_multi, kept as correlation id of its messages

Poke = Callable[[Iterable[int]], None]
"""Told which logins are about to have something in the queue."""


def register(rt: Runtime, poke: Poke) -> None:
    """Listen under names that stay this room's for ever. Before `rt.events.start`."""

    async def notify(rt: Runtime, events: list[MessageUpdated]) -> list[Op]:
        rows = [
            row(rt, event.account_id, event.login_id, Kind.RECEIPT, event.message_id, receipt_news(event))
            for event in events
            if event.login_id is not None
        ]
        return _effects(rows, poke)

    async def received(rt: Runtime, events: list[InboundReceived]) -> list[Op]:
        rows = [
            row(rt, event.account_id, login_id, Kind.INBOUND, event.inbound_id, inbound_news(event))
            for event in events
            for login_id in receivers(rt, event)
        ]
        return _effects(rows, poke)

    rt.events.on(
        MessageUpdated,
        "smsc.notify",
        notify,
        wanted=lambda event: event.login_id is not None and wants(event.receipts, event.state),
    )
    rt.events.on(InboundReceived, "smsc.inbound", received, wanted=lambda event: bool(receivers(rt, event)))


def receivers(rt: Runtime, event: InboundReceived) -> list[int]:
    """The logins that hear of a message from a phone: the one it answers, else all of the account that may."""
    logins = accounts.directory(rt).logins(event.account_id)
    return [
        login.id
        for login in logins
        if login.status == "active"
        and login.test == event.test
        and event.login_id in (None, login.id)
        and login.dialect.inbound
    ]


def receipt_news(event: MessageUpdated) -> ReceiptNews:
    """All that the receipt of this event needs."""
    return ReceiptNews(
        id=submitted_id(event.message_id, event.correlation_id, event.origin),
        state=event.state,
        to=event.to,
        sender=event.sender or "",
        created_at=event.created_at,
        at=event.occurred_at,
        text=(event.text or "")[:QUOTED],
        error=None if event.error is None else event.error.get("code"),
        reference=reference_of(event.options),
    )


def submitted_id(message_id: int, correlation_id: str | None, origin: str | None) -> int:
    """The id that the customer was answered with: that of the submit_multi, if the message came by one."""
    if origin == ORIGIN and correlation_id is not None:
        group = ids.parse(GROUP, correlation_id)
        if group is not None:
            return group
    return message_id


def reference_of(options: dict[str, Any] | None) -> bytes | None:
    """The user_message_reference among the wire options of a message."""
    for tag, value in (options or {}).get("tlvs", ()):
        if tag == tlv.USER_MESSAGE_REFERENCE:
            return base64.b64decode(value)
    return None


def inbound_news(event: InboundReceived) -> InboundNews:
    """All that the deliver_sm of this event needs."""
    return InboundNews(
        id=event.inbound_id,
        to=event.to,
        sender=event.sender,
        text=event.text,
        data=base64.b64decode(event.data or ""),
        udh=bytes.fromhex(event.udh or ""),
        data_coding=event.data_coding or 0,
    )


def row(rt: Runtime, account_id: int, login_id: int, kind: Kind, object_id: int, news: News) -> tuple[Any, ...]:
    """A delivery as `store.ADD` takes it, due at once."""
    now = rt.clock.now()
    return (rt.ids.next(), account_id, login_id, int(kind), object_id, encode_news(news).decode(), now, now)


def _effects(rows: list[tuple[Any, ...]], poke: Poke) -> list[Op]:
    if not rows:
        return []
    poke({row[2] for row in rows})
    return [store.ADD(rows, expect=len(rows))]
