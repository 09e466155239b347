"""The nouns that cross rooms. Times are milliseconds since the epoch, ids the store's integers.

An event is stored as JSON and may be read by tomorrow's code: fields are only ever added, with a default.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What happened, to whose account, and when."""

    account_id: int
    occurred_at: int


class MessageUpdated(Event, frozen=True, kw_only=True, tag="message.updated"):
    """A message entered a new state; `sequence` rises with each state of one message."""

    message_id: int
    state: str
    sequence: int
    to: str
    created_at: int
    sender: str | None = None
    text: str | None = None
    purpose: str = "transactional"
    channel: str = "sms"
    connector: str | None = None
    connector_id: int = 0
    encoding: str | None = None
    segments: int = 1
    country: str | None = None  # ISO 3166 alpha-2
    operator: str | None = None  # MCC-MNC, after portability
    correlation_id: str | None = None
    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None
    callback_url: str | None = None
    login_id: int | None = None  # of the SMPP customer who submitted it
    receipts: int = 0  # registered_delivery as that customer asked for it; SMPP 3.4, 5.2.17
    options: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    test: bool = False
    send_at: int | None = None
    expires_at: int | None = None
    sent_at: int | None = None
    final_at: int | None = None
    origin: str | None = None


class InboundReceived(Event, frozen=True, kw_only=True, tag="inbound.received"):
    """A phone wrote to one of the account's senders."""

    inbound_id: int
    to: str
    sender: str
    text: str | None = None
    data: str | None = None  # base64
    encoding: str | None = None
    data_coding: int | None = None
    udh: str | None = None  # hex
    connector: str | None = None
    reply_to_message: int | None = None
    login_id: int | None = None
    test: bool = False
    heard: str | None = None  # about further messages: stop, start, help, or review


class EndpointPaused(Event, frozen=True, kw_only=True, tag="endpoint.paused"):
    """A webhook endpoint failed for too long, so that nothing is sent to it until its owner resumes it."""

    endpoint_id: int
    url: str
    reason: str
    failures: int


class BalanceLow(Event, frozen=True, kw_only=True, tag="balance.low"):
    """What an account may still spend has fallen below its threshold; amounts are micro-units of its currency."""

    currency: str
    wallet: int
    credit_limit: int
    threshold: int


class OptOutCreated(Event, frozen=True, kw_only=True, tag="opt_out.created"):
    """A person refused messages: of an account, or of a brand, from a sender or to a country (`value`)."""

    opt_out_id: int
    person: str
    channel: str
    scope: str
    value: str
    covers: str
    reason: str
    source: str
    test: bool = False
