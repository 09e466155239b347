"""Every step of a message leaves a row. The kinds, and how a row is made."""

from __future__ import annotations

from typing import Any

from chappe.messages.model import encode_json

ACCEPTED = "accepted"
HELD = "held"  # it may not go yet
RELEASED = "released"  # its time has come, it was routed again
ANSWERED = "answered"  # the supplier answered a part
IN_DOUBT = "in_doubt"  # no answer: it may have been sent
RETRY = "retry"
REROUTED = "rerouted"
RECEIPT = "receipt"
EXPIRED = "expired"
UNCONFIRMED = "unconfirmed"
FAILED = "failed"
CANCELED = "canceled"
REPLACED = "replaced"
REVIEWED = "reviewed"  # somebody decided about its text
RECEIVED = "received"

Step = tuple[int, int, int, str, int, int, str | None, bytes | None, bytes | None]


def step(
    message_id: int,
    id: int,
    at: int,
    kind: str,
    data: dict[str, Any] | None = None,
    *,
    attempt: int = 0,
    part: int = 0,
    request: bytes | None = None,
    response: bytes | None = None,
) -> Step:
    """A row of `history`; `request` and `response` are frames as they were on the wire."""
    text = None if data is None else encode_json(data).decode()
    return (message_id, id, at, kind, attempt, part, text, request, response)
