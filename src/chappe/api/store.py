"""Tables of the door itself: answers kept for idempotency keys, and the row that readiness writes."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.messages.model import State
from chappe.storage import insert_many, sql
from chappe.storage.schema import Millis, Small, Text, key, metadata, optional, required

answers = sa.Table(
    "api_idempotency",
    metadata,
    key("account_id"),
    key("key", Text),
    required("digest", Text),
    optional("status", Small),  # NULL: the first request is still running
    optional("body", Text),  # sealed by the vault, for it may show a new key or password
    required("created_at", Millis),
    sa.Index("api_idempotency_age", "created_at"),
)

probes = sa.Table("api_probes", metadata, key("node"), required("at", Millis))

BEGIN = insert_many(answers)
FIND = sql("select digest, status, body, created_at from api_idempotency where account_id = :account_id and key = :key")
# a request that a crash broke off is taken over by its repetition
RESUME = sql(
    "update api_idempotency set created_at = :now::bigint where account_id = :account_id and key = :key "
    "and status is null and created_at = :seen::bigint"
)
FINISH = sql(
    "update api_idempotency set status = :status::smallint, body = :body "
    "where account_id = :account_id and key = :key and status is null"
)
ABANDON = sql("delete from api_idempotency where account_id = :account_id and key = :key and status is null")
FORGET = sql("delete from api_idempotency where created_at < :before")

PROBE = sql("insert into api_probes (node, at) values (:node, :at) on conflict (node) do update set at = excluded.at")

# -- metrics -------------------------------------------------------------------------------------------------------
WAITING = sql(
    "select connector_id, lane, state, count(*), min(due_at) from queue group by connector_id, lane, state",
    name="waiting",
)
# ids hold their moment of creation in the bits above 21, in milliseconds since 2020
RECENT = sql(
    f"""select state, connector_id, count(*),
    avg(case when state <> {State.CANCELED:d} and sent_at is not null then sent_at - (id >> 21) end)
    from messages where id >= :since group by state, connector_id""",
    name="recent",
)
DELIVERIES_DUE = sql(
    """select count(*), min(due_at) from (
        select due_at from webhook_deliveries where state = 0 and due_at <= :now::bigint limit 100000
    ) as due""",
    name="deliveries due",
)
