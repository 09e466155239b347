"""Fraud: what is in texts (`content/`), and the domains that accounts may link to."""

from __future__ import annotations

from chappe.fraud.allowing import (
    MAX_DOMAINS,
    create_domain,
    delete_domain,
    found_domain,
    update_domain,
    usable,
    wire_domain,
)
from chappe.fraud.model import Domain, Domains, Status
from chappe.fraud.room import domains, start
from chappe.fraud.store import DOMAINS, ROOM

__all__ = [
    "DOMAINS",
    "MAX_DOMAINS",
    "ROOM",
    "Domain",
    "Domains",
    "Status",
    "create_domain",
    "delete_domain",
    "domains",
    "found_domain",
    "start",
    "update_domain",
    "usable",
    "wire_domain",
]
