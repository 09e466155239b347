"""What this room hears: receipts for who asked for them, and what phones write, become rows of the queue."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from chappe import accounts, ids
from chappe.events import Effects, InboundReceived, MessageUpdated
from chappe.smpp import tlv
from chappe.smsc import store
from chappe.smsc.model import QUOTED, InboundNews, Kind, News, ReceiptNews, encode_news
from chappe.smsc.states import wants
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime
    from chappe.smsc.courier import Courier, Fresh

ORIGIN: Final = "smpp"
GROUP: Final = "mul"  # the id of a submit_multi, kept as correlation id of its messages


def register(rt: Runtime, courier: Courier) -> None:
    """Listen under names that stay this room's for ever. Before `rt.events.start`."""

    async def notify(rt: Runtime, events: list[MessageUpdated]) -> list[Op]:
        return _effects([receipt_row(rt, event, receipt_news(event)) for event in events], courier)

    async def received(rt: Runtime, events: list[InboundReceived]) -> list[Op]:
        rows = [
            row(rt, event.account_id, login_id, Kind.INBOUND, event.inbound_id, inbound_news(event))
            for event in events
            for login_id in receivers(rt, event)
        ]
        return _effects(rows, courier)

    rt.events.on(
        MessageUpdated,
        "smsc.notify",
        notify,
        wanted=lambda event: event.login_id is not None and wants(event.receipts, event.state),
        at_once=partial(notify_at_once, courier),
    )
    rt.events.on(InboundReceived, "smsc.inbound", received, wanted=lambda event: bool(receivers(rt, event)))


def notify_at_once(courier: Courier, rt: Runtime, events: list[MessageUpdated]) -> Effects:
    """Receipts that a session here has room for are written as leased, and leave right after the commit."""
    rows: list[tuple[Any, ...]] = []
    fresh: list[Fresh] = []
    waiting: set[int] = set()
    told = [(event, receipt_news(event)) for event in events]  # what may fail comes before room is promised
    for event, news in told:
        login_id = event.login_id
        assert login_id is not None
        owner = courier.reserve(login_id)
        made = receipt_row(rt, event, news, owner)
        rows.append(made)
        if owner:
            fresh.append((made[0], login_id, news))
        else:
            waiting.add(login_id)

    def after() -> None:
        courier.launch(fresh)
        courier.poke(waiting)

    return Effects(
        [store.ADD(rows, expect=len(rows))],
        after=after,
        undo=lambda: courier.unreserve(fresh),
        wake=() if courier.serves(waiting) else (store.TOPIC,),
    )


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


def receipt_row(rt: Runtime, event: MessageUpdated, news: ReceiptNews, owner: int = 0) -> tuple[Any, ...]:
    return row(rt, event.account_id, event.login_id or 0, Kind.RECEIPT, event.message_id, news, owner)


def row(
    rt: Runtime, account_id: int, login_id: int, kind: Kind, object_id: int, news: News, owner: int = 0
) -> tuple[Any, ...]:
    """A delivery as `store.ADD` takes it, due at once; with an owner it is on its way already."""
    now = rt.clock.now()
    data = encode_news(news).decode()
    return (rt.ids.next(), account_id, login_id, int(kind), object_id, data, now, now, 1 if owner else 0, owner)


def _effects(rows: list[tuple[Any, ...]], courier: Courier) -> list[Op]:
    if not rows:
        return []
    courier.poke({row[2] for row in rows})
    return [store.ADD(rows, expect=len(rows))]
