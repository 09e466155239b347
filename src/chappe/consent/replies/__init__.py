"""Replies to what people said by keyword: one confirmation of STOP, help for whoever asks, a word on coming back.

A reply is due from the unit that records what was said (`consent.heed`); `messages.replies` sends it. A person gets one
of a kind from a sender a day.
"""

from __future__ import annotations

from chappe.consent.replies.store import (
    ADD_REPLIES,
    CLOSE_REPLIES,
    DROPPED,
    DUE_REPLIES,
    EVERY_MS,
    GIVEN,
    PENDING,
    POSTPONE_REPLIES,
    PRUNE_REPLIES,
    RENEW_REPLIES,
    REPLY_TEXTS,
    ReplyText,
)
from chappe.consent.replies.texts import ReplyKind, compose, language_of, languages
from chappe.consent.replies.verbs import create_text, delete_text, found_text, texts_of, update_text

__all__ = [
    "ADD_REPLIES",
    "CLOSE_REPLIES",
    "DROPPED",
    "DUE_REPLIES",
    "EVERY_MS",
    "GIVEN",
    "PENDING",
    "POSTPONE_REPLIES",
    "PRUNE_REPLIES",
    "RENEW_REPLIES",
    "REPLY_TEXTS",
    "ReplyKind",
    "ReplyText",
    "compose",
    "create_text",
    "delete_text",
    "found_text",
    "language_of",
    "languages",
    "texts_of",
    "update_text",
]
