"""What a webhook says: `{id, type, created_at, data}`, where data is the resource as the API shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct, field

from chappe import ids
from chappe.billing.ledger.model import decimal
from chappe.errors import DELIVERY
from chappe.events import BalanceLow, EndpointPaused, InboundReceived, MessageUpdated, OptOutCreated

_encode = msgspec.json.Encoder().encode


class Told(Struct, frozen=True):
    id: str
    type: str
    created_at: str
    data: Data


class MessageData(Struct, frozen=True):
    """The message as `GET /v1/messages/{id}` shows it, with the place of this news among the others of the message."""

    id: str
    status: str
    to: str
    sender: str | None = field(name="from")
    text: str | None
    purpose: str
    channel: str
    connector: str | None
    country: str | None
    encoding: str | None
    segments: int
    characters: int | None
    error: dict[str, Any] | None
    correlation_id: str | None
    tags: list[str]
    metadata: dict[str, Any]
    callback_url: str | None
    created_at: str | None
    send_at: str | None
    expires_at: str | None
    sent_at: str | None
    final_at: str | None
    test: bool
    sequence: int
    occurred_at: str | None


class InboundData(Struct, frozen=True):
    """A message from a phone as `GET /v1/inbound/{id}` shows it."""

    id: str
    status: str
    to: str
    sender: str = field(name="from")
    text: str | None
    data: str | None
    udh: str | None
    data_coding: int | None
    encoding: str | None
    channel: str
    connector: str | None
    reply_to: str | None
    heard: str | None  # stop, help, start or review: what it says about further messages
    test: bool
    received_at: str | None
    sequence: int
    occurred_at: str | None


class PausedData(Struct, frozen=True):
    """Which endpoint is paused, for the account's other ones."""

    id: str
    status: str
    url: str
    reason: str
    failures: int
    sequence: int
    occurred_at: str | None


class BalanceData(Struct, frozen=True):
    """What the account may still spend, and below which amount it wanted to be told; decimals of `currency`."""

    id: str
    status: str
    currency: str
    available: str
    threshold: str
    wallet: str
    credit_limit: str
    sequence: int
    occurred_at: str | None


class OptOutData(Struct, frozen=True):
    """Who is not to be written to any more, as `GET /v1/opt_outs/{id}` shows it; `to` where the person is a number."""

    id: str
    status: str
    person: str
    to: str | None
    channel: str
    scope: str
    value: str
    covers: str
    reason: str
    source: str
    test: bool
    created_at: str | None
    sequence: int
    occurred_at: str | None


Data = MessageData | InboundData | PausedData | BalanceData | OptOutData


def body(event_id: int, kind: str, created_at: int, data: Data) -> str:
    """The JSON that is posted, signed and kept, byte for byte."""
    return _encode(Told(ids.public("evt", event_id), kind, _time(created_at) or "", data)).decode()


def message(event: MessageUpdated) -> MessageData:
    # by position: half the price of names, and this is made for every message
    return MessageData(
        ids.public("msg", event.message_id),
        event.state,
        event.to,
        event.sender,
        event.text,
        event.purpose,
        event.channel,
        event.connector,
        event.country,
        event.encoding,
        event.segments,
        None if event.text is None else len(event.text),
        error(event.error),
        event.correlation_id,
        event.tags or [],
        event.metadata or {},
        event.callback_url,
        _time(event.created_at),
        _time(event.send_at),
        _time(event.expires_at),
        _time(event.sent_at),
        _time(event.final_at),
        event.test,
        event.sequence,
        _time(event.occurred_at),
    )


def error(stored: dict[str, Any] | None) -> dict[str, Any] | None:
    """A delivery error, completed from the catalogue."""
    if stored is None:
        return None
    code = stored.get("code", "unknown_error")
    entry = DELIVERY.get(code, DELIVERY["unknown_error"])
    return {
        "code": code,
        "permanent": stored.get("permanent", entry.permanent),
        "group": entry.group,
        "message": entry.message,
        "supplier": stored.get("supplier"),
        "detail": stored.get("detail"),
    }


def inbound(event: InboundReceived) -> InboundData:
    reply_to = event.reply_to_message
    return InboundData(
        id=ids.public("inb", event.inbound_id),
        status="received",
        to=event.to,
        sender=event.sender,
        text=event.text,
        data=event.data,
        udh=event.udh,
        data_coding=event.data_coding,
        encoding=event.encoding,
        channel="sms",
        connector=event.connector,
        reply_to=None if reply_to is None else ids.public("msg", reply_to),
        heard=event.heard,
        test=event.test,
        received_at=_time(event.occurred_at),
        sequence=0,
        occurred_at=_time(event.occurred_at),
    )


def endpoint_paused(event: EndpointPaused) -> PausedData:
    return PausedData(
        id=ids.public("whe", event.endpoint_id),
        status="paused",
        url=event.url,
        reason=event.reason,
        failures=event.failures,
        sequence=0,
        occurred_at=_time(event.occurred_at),
    )


def balance_low(event: BalanceLow) -> BalanceData:
    return BalanceData(
        id=ids.public("acc", event.account_id),
        status="low",
        currency=event.currency,
        available=decimal(event.wallet + event.credit_limit),
        threshold=decimal(event.threshold),
        wallet=decimal(event.wallet),
        credit_limit=decimal(event.credit_limit),
        sequence=0,
        occurred_at=_time(event.occurred_at),
    )


def opt_out(event: OptOutCreated) -> OptOutData:
    return OptOutData(
        id=ids.public("opt", event.opt_out_id),
        status="opted_out",
        person=event.person,
        to=event.person if event.person.startswith("+") else None,
        channel=event.channel,
        scope=event.scope,
        value=event.value,
        covers=event.covers,
        reason=event.reason,
        source=event.source,
        test=event.test,
        created_at=_time(event.occurred_at),
        sequence=0,
        occurred_at=_time(event.occurred_at),
    )


def _time(millis: int | None) -> str | None:
    return None if millis is None else f"{_second(millis // 1000)}{millis % 1000:03d}Z"


@lru_cache(maxsize=4_096)  # the events of a moment share it
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
