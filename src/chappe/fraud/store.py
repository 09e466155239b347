"""The table of the domains that accounts link to."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.fraud.model import Domain
from chappe.storage.schema import Id, Millis, Text, key, metadata, required

ROOM = "fraud"

content_domains = sa.Table(
    "content_domains",
    metadata,
    key("id"),
    required("account_id", Id),
    required("domain", Text),
    required("status", Text),
    required("note", Text),
    required("created_at", Millis),
    sa.Index("content_domains_domain", "account_id", "domain", unique=True),
)

DOMAINS = Records(ROOM, "content_domain", "cdm", content_domains, Domain)
