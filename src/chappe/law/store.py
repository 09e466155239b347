"""The table of adjustments."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.law.own import Adjustment
from chappe.storage.schema import Id, Millis, Small, Text, key, metadata, optional, required

ROOM = "law"

adjustments = sa.Table(
    "rule_adjustments",
    metadata,
    key("id"),
    optional("account_id", Id),
    optional("country", Text),
    required("purpose", Text),
    required("kind", Text),
    required("value", Text),
    required("reason", Text),
    required("by_operator", Small),
    required("created_at", Millis),
)

ADJUSTMENTS = Records(ROOM, "rule_adjustment", "rad", adjustments, Adjustment)
