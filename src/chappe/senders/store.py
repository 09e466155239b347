"""The table of senders."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.senders.model import Sender
from chappe.storage.schema import Id, Json, Millis, Small, Text, key, metadata, required

ROOM = "senders"

senders = sa.Table(
    "senders",
    metadata,
    key("id"),
    required("account_id", Id),
    required("address", Text),
    required("kind", Text),
    required("countries", Json),
    required("status", Text),
    required("inbound", Small),
    required("connector_ids", Json),
    required("created_at", Millis),
    sa.Index("senders_address", "account_id", "address", unique=True),
)

SENDERS = Records(ROOM, "sender", "snd", senders, Sender, json=("countries", "connector_ids"))
