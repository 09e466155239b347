"""Tables of throttles, and of what their quotas have counted."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.routing.throttles.model import Throttle
from chappe.storage import delete_many, insert_many, sql, update_many
from chappe.storage.schema import Id, Int, Millis, Text, key, metadata, optional, required

ROOM = "throttles"

throttles = sa.Table(
    "throttles",
    metadata,
    key("id"),
    required("name", Text),
    required("scope", Text),
    optional("account_id", Id),
    optional("sender", Text),
    optional("sender_kind", Text),
    optional("connector_id", Id),
    optional("country", Text),
    required("most", Int),
    required("per", Text),
    optional("burst", Int),
    required("over", Text),
    required("zone", Text),
    required("created_at", Millis),
    sa.Index("throttles_name", "name", unique=True),
)

# Each run of a process writes rows of its own, always the whole count: so a write whose fate is unknown is simply made
# again, and no two nodes wait for one row.
counts = sa.Table(
    "throttle_counts",
    metadata,
    key("throttle_id"),
    key("subject", Text),
    key("slot", Millis),  # the end of the hour or day
    key("owner"),
    required("counted", Id),
    sa.Index("throttle_counts_slot", "slot"),
)

THROTTLES = Records(ROOM, "throttle", "thr", throttles, Throttle)

_KEY = ("throttle_id", "subject", "slot", "owner")
ADD_COUNTS = insert_many(counts, ignore=True)
SET_COUNTS = update_many(counts, _KEY, ("counted",))
COUNTED = sql(
    "select throttle_id, subject, slot, cast(sum(counted) as bigint) from throttle_counts "
    "where slot > :now and owner <> :owner group by throttle_id, subject, slot",
    name="throttles counted",
)
OVER = sql("select throttle_id, subject, slot, owner from throttle_counts where slot <= :now limit :limit")
DROP_COUNTS = delete_many(counts, _KEY)
