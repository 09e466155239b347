"""The table of connectors."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.connectors.model import StoredConnector
from chappe.storage.schema import Json, Millis, Small, Text, key, metadata, required

ROOM = "connectors"

connectors = sa.Table(
    "connectors",
    metadata,
    key("id"),
    required("name", Text),
    required("channel", Text),
    required("status", Text),
    required("test", Small),
    required("settings", Json),
    required("credentials", Text),  # sealed by the vault
    required("created_at", Millis),
    sa.Index("connectors_name", "name", unique=True),
)

CONNECTORS = Records(ROOM, "connector", "con", connectors, StoredConnector, json=("settings",), secret=("credentials",))
