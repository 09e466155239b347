"""Tables of the door itself: answers kept for idempotency keys, and the row that readiness writes."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.messages.model import Queued, State
from chappe.messages.store import FEW
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

# -- overview and metrics ------------------------------------------------------------------------------------------
MOST_COUNTED = 100_000
_SOME = f"limit {MOST_COUNTED}"
# along the partial index of what waits, which has all that is asked for
WAITING = sql(
    f"""select connector_id, lane, count(*), min(due_at) from queue where state = {Queued.WAITING:d}
    group by connector_id, lane""",
    name="waiting",
)
SENDING = sql(
    f"""select connector_id, lane, count(*) from (
        select connector_id, lane from queue where state = {Queued.SENDING:d} {_SOME}
    ) as sending group by connector_id, lane""",
    name="sending",
)
SCHEDULED = sql(
    f"""select connector_id, lane, count(*) from (
        select connector_id, lane from queue where state = {Queued.SCHEDULED:d} {_SOME}
    ) as scheduled group by connector_id, lane""",
    name="scheduled",
)
CUSTOMERS_WAITING = sql(
    f"""select count(*), min(created_at) from (
        select created_at from smsc_deliveries where due_at is not null {_SOME}
    ) as waiting""",
    name="customers waiting",
)
PARKED = sql(f"select count(*) from (select 1 from parked_receipts {_SOME}) as parked", name="count parked")
EVENTS_ASIDE = sql(f"select count(*) from (select 1 from events_aside {_SOME}) as aside", name="count aside")
# held because nobody knows whether they were sent; the whole list of states names the index
IN_DOUBT = sql(
    f"""select count(*) from (
        select 1 from messages where account_id in each(:accounts, bigint) and state = {State.SENDING:d}
        and state in ({", ".join(str(int(state)) for state in sorted(FEW))}) {_SOME}
    ) as doubtful""",
    name="count in doubt",
)
# ids hold their moment of creation in the bits above 21, in milliseconds since 2020
RECENT = sql(
    f"""select state, connector_id, count(*),
    avg(case when state <> {State.CANCELED:d} and sent_at is not null then sent_at - (id >> 21) end)
    from messages where id >= :since group by state, connector_id""",
    name="recent",
)
DELIVERIES_DUE = sql(
    f"""select count(*), min(due_at) from (
        select due_at from webhook_deliveries where state = 0 and due_at <= :now::bigint {_SOME}
    ) as due""",
    name="deliveries due",
)
