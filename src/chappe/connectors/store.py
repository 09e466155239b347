"""Tables of connectors and of their binds, and the statements by which nodes lease these."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.connectors.model import StoredConnector
from chappe.storage import delete_many, insert_many, sql, update_many
from chappe.storage.schema import Id, Int, Json, Millis, Small, Text, key, metadata, required

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

bind_leases = sa.Table(
    "bind_leases",
    metadata,
    key("connector_id"),
    key("slot", Small),
    required("owner", Id),  # the incarnation of a node; 0: free
    required("node", Text),  # the owner's name
    required("epoch", Int),  # counts the owners
    required("state", Text),
    required("error", Text),
    required("since", Millis),
)

_SLOT = ("connector_id", "slot")
# a node that was buried holds nothing any more; one that is late holds it until it is buried
_FREE = "(t.owner = 0 or not exists (select 1 from nodes n where n.incarnation = t.owner))"

ADD_SLOTS = insert_many(bind_leases, ignore=True)
SLOTS = sql(
    "select b.connector_id, b.slot, b.owner, b.node, b.epoch, b.state, b.error, b.since, "
    "case when n.incarnation is null then 0 else 1 end from bind_leases b "
    "left join nodes n on n.incarnation = b.owner and b.owner <> 0 order by b.connector_id, b.slot",
    name="slots",
)
TAKE = update_many(
    bind_leases,
    _SLOT,
    ("owner", "node", "since", ("epoch", "t.epoch + 1"), ("state", "'starting'"), ("error", "''")),
    f"{_FREE} and exists (select 1 from nodes n where n.incarnation = u.owner)",
)
GIVE_UP = update_many(
    bind_leases,
    _SLOT,
    (("owner", "0"), ("node", "''"), ("state", "'free'"), ("error", "''"), "since"),
    "t.owner = u.owner",
)
TELL = update_many(bind_leases, _SLOT, ("state", "error", "since"), "t.owner = u.owner")
FORGET = delete_many(bind_leases, _SLOT, f"t.epoch = u.epoch and {_FREE}")
