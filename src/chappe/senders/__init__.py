"""Senders: which addresses an account may send from, and which account an incoming message belongs to."""

from __future__ import annotations

from chappe.senders.model import Book, Sender, canonical, check, fault, owner
from chappe.senders.store import SENDERS
from chappe.senders.verbs import (
    book,
    check_ownership,
    create_sender,
    delete_sender,
    new_sender,
    start,
    update_sender,
)

__all__ = [
    "SENDERS",
    "Book",
    "Sender",
    "book",
    "canonical",
    "check",
    "check_ownership",
    "create_sender",
    "delete_sender",
    "fault",
    "new_sender",
    "owner",
    "start",
    "update_sender",
]
