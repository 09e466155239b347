"""What a webhook says: `{id, type, created_at, data}`, where data is the resource as the API shows it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from chappe import ids
from chappe.clock import rfc3339
from chappe.errors import DELIVERY
from chappe.events import EndpointPaused, InboundReceived, MessageUpdated

_encode = msgspec.json.Encoder().encode


def body(event_id: int, kind: str, created_at: int, data: dict[str, Any]) -> str:
    """The JSON that is posted, signed and kept, byte for byte."""
    told = {"id": ids.public("evt", event_id), "type": kind, "created_at": _time(created_at), "data": data}
    return _encode(told).decode()


def message(event: MessageUpdated) -> dict[str, Any]:
    """The message as `GET /v1/messages/{id}` shows it, with the place of this news among the others of the message."""
    return {
        "id": ids.public("msg", event.message_id),
        "status": event.state,
        "to": event.to,
        "from": event.sender,
        "text": event.text,
        "purpose": event.purpose,
        "channel": event.channel,
        "connector": event.connector,
        "country": event.country,
        "encoding": event.encoding,
        "segments": event.segments,
        "characters": None if event.text is None else len(event.text),
        "error": error(event.error),
        "correlation_id": event.correlation_id,
        "tags": event.tags or [],
        "metadata": event.metadata or {},
        "callback_url": event.callback_url,
        "created_at": _time(event.created_at),
        "send_at": _time(event.send_at),
        "expires_at": _time(event.expires_at),
        "sent_at": _time(event.sent_at),
        "final_at": _time(event.final_at),
        "test": event.test,
        "sequence": event.sequence,
        "occurred_at": _time(event.occurred_at),
    }


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


def inbound(event: InboundReceived) -> dict[str, Any]:
    """A message from a phone as `GET /v1/inbound/{id}` shows it."""
    reply_to = event.reply_to_message
    return {
        "id": ids.public("inb", event.inbound_id),
        "status": "received",
        "to": event.to,
        "from": event.sender,
        "text": event.text,
        "data": event.data,
        "udh": event.udh,
        "data_coding": event.data_coding,
        "encoding": event.encoding,
        "channel": "sms",
        "connector": event.connector,
        "reply_to": None if reply_to is None else ids.public("msg", reply_to),
        "test": event.test,
        "received_at": _time(event.occurred_at),
        "sequence": 0,
        "occurred_at": _time(event.occurred_at),
    }


def endpoint_paused(event: EndpointPaused) -> dict[str, Any]:
    """Which endpoint is paused, for the account's other ones."""
    return {
        "id": ids.public("whe", event.endpoint_id),
        "status": "paused",
        "url": event.url,
        "reason": event.reason,
        "failures": event.failures,
        "sequence": 0,
        "occurred_at": _time(event.occurred_at),
    }


@lru_cache(maxsize=4_096)  # the times of one message come again with each of its events
def _time(millis: int | None) -> str | None:
    return rfc3339(millis)
