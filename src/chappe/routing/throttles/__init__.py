"""Throttles: how many messages may go through, by account, sender, connector or country, and how much may be spent.

`gate(rt).pass_(...)` answers on the hot path.
"""

from __future__ import annotations

from chappe.routing.throttles.counts import Members, serving
from chappe.routing.throttles.gate import Denied, Gate, Passed
from chappe.routing.throttles.model import Limit, Over, Per, Scope, SenderKind, Throttle
from chappe.routing.throttles.room import found_throttle, gate, named, start, using
from chappe.routing.throttles.rule import Share
from chappe.routing.throttles.store import THROTTLES
from chappe.routing.throttles.verbs import create_throttle, delete_throttle, update_throttle, well_formed

__all__ = [
    "THROTTLES",
    "Denied",
    "Gate",
    "Limit",
    "Members",
    "Over",
    "Passed",
    "Per",
    "Scope",
    "SenderKind",
    "Share",
    "Throttle",
    "create_throttle",
    "delete_throttle",
    "found_throttle",
    "gate",
    "named",
    "serving",
    "start",
    "update_throttle",
    "using",
    "well_formed",
]
