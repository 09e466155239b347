"""Routing: which connector a message leaves by, and why."""

from __future__ import annotations

from chappe.routing.model import Decision, Route, Table, Tried, decide, explain
from chappe.routing.store import ROUTES
from chappe.routing.verbs import check_targets, create_route, delete_route, start, table, update_route

__all__ = [
    "ROUTES",
    "Decision",
    "Route",
    "Table",
    "Tried",
    "check_targets",
    "create_route",
    "decide",
    "delete_route",
    "explain",
    "start",
    "table",
    "update_route",
]
