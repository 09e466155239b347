"""Webhooks: what happens to an account's messages, posted to the addresses it chose (Standard Webhooks).

Durable, at least once, unordered; tried for three days, then failed; logged, and played again on request.
"""

from __future__ import annotations

from chappe.webhooks.book import Book, book, load
from chappe.webhooks.log import deliveries, delivery, replay, replay_range
from chappe.webhooks.model import (
    EVENT_TYPES,
    Attempt,
    CallbackSecret,
    Delivery,
    Endpoint,
    EventType,
    Health,
    Mode,
    Origin,
    State,
)
from chappe.webhooks.payload import inbound as public_inbound
from chappe.webhooks.payload import message as public
from chappe.webhooks.room import Webhooks, start
from chappe.webhooks.signature import BadSignature, key_of, new_secret, verify
from chappe.webhooks.store import CALLBACK_SECRETS, ENDPOINTS
from chappe.webhooks.trial import try_endpoint
from chappe.webhooks.verbs import (
    KEEP_PREVIOUS_S,
    callback_secret,
    check_address,
    create_endpoint,
    delete_endpoint,
    endpoints,
    found_endpoint,
    health,
    new_endpoint,
    pause_endpoint,
    resume_endpoint,
    rotate_callback_secret,
    rotate_secret,
    rotated,
    update_endpoint,
)

__all__ = [
    "CALLBACK_SECRETS",
    "ENDPOINTS",
    "EVENT_TYPES",
    "KEEP_PREVIOUS_S",
    "Attempt",
    "BadSignature",
    "Book",
    "CallbackSecret",
    "Delivery",
    "Endpoint",
    "EventType",
    "Health",
    "Mode",
    "Origin",
    "State",
    "Webhooks",
    "book",
    "callback_secret",
    "check_address",
    "create_endpoint",
    "delete_endpoint",
    "deliveries",
    "delivery",
    "endpoints",
    "found_endpoint",
    "health",
    "key_of",
    "load",
    "new_endpoint",
    "new_secret",
    "pause_endpoint",
    "public",
    "public_inbound",
    "replay",
    "replay_range",
    "resume_endpoint",
    "rotate_callback_secret",
    "rotate_secret",
    "rotated",
    "start",
    "try_endpoint",
    "update_endpoint",
    "verify",
]
