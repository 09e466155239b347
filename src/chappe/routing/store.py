"""The table of routes."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.routing.model import Route
from chappe.storage.schema import Id, Int, Json, Millis, Small, Text, key, metadata, optional, required

ROOM = "routing"

routes = sa.Table(
    "routes",
    metadata,
    key("id"),
    required("name", Text),
    required("position", Int),
    optional("account_id", Id),  # None: for all accounts
    required("prefix", Text),
    required("purposes", Json),
    required("senders", Json),
    required("connector_id", Id),
    required("fallback_connector_ids", Json),
    required("status", Text),
    required("test", Small),
    required("created_at", Millis),
    sa.Index("routes_name", "name", unique=True),
)

ROUTES = Records(ROOM, "route", "rte", routes, Route, json=("purposes", "senders", "fallback_connector_ids"))
