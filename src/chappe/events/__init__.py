"""News between rooms: nouns and a durable outbox. `events.on(MessageUpdated, "webhooks.notify", notify)` listens."""

from __future__ import annotations

from chappe.events.nouns import BalanceLow, EndpointPaused, Event, InboundReceived, MessageUpdated, OptOutCreated
from chappe.events.outbox import TOPIC, Aside, AtOnce, Effects, Events, Lag, Reaction

__all__ = [
    "TOPIC",
    "Aside",
    "AtOnce",
    "BalanceLow",
    "Effects",
    "EndpointPaused",
    "Event",
    "Events",
    "InboundReceived",
    "Lag",
    "MessageUpdated",
    "OptOutCreated",
    "Reaction",
]
