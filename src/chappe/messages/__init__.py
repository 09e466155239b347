"""The pipeline: messages are accepted, routed, queued, sent, and their receipts come back; phones' messages come in.

`Pipeline` is the door for what changes something; reading needs the runtime only.
"""

from __future__ import annotations

from chappe.messages.allowed import may_send
from chappe.messages.change import cancel, replace
from chappe.messages.model import (
    PURPOSES,
    STATE_OF,
    Accepted,
    IdempotencyKey,
    KeyReused,
    Lane,
    Message,
    Refusal,
    Replay,
    Result,
    State,
    Submission,
    Wire,
)
from chappe.messages.pipeline import OpenLink, Pipeline
from chappe.messages.prices import price_explained
from chappe.messages.query import (
    Explanation,
    Filter,
    InboundMessage,
    explain,
    get,
    inbound,
    inbound_one,
    listed,
    steps,
)
from chappe.messages.registered import registered_names
from chappe.messages.rooms import open_rooms

__all__ = [
    "PURPOSES",
    "STATE_OF",
    "Accepted",
    "Explanation",
    "Filter",
    "IdempotencyKey",
    "InboundMessage",
    "KeyReused",
    "Lane",
    "Message",
    "OpenLink",
    "Pipeline",
    "Refusal",
    "Replay",
    "Result",
    "State",
    "Submission",
    "Wire",
    "cancel",
    "explain",
    "get",
    "inbound",
    "inbound_one",
    "listed",
    "may_send",
    "open_rooms",
    "price_explained",
    "registered_names",
    "replace",
    "steps",
]
