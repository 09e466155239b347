"""Tables and statements of webhooks.

The queue is the partial index on pending deliveries, by target: an endpoint, or one account's callbacks to one host.
Each target is claimed by itself, so that a long queue of one never stands before another's.
"""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.storage import insert_many, sql, update_many
from chappe.storage.once import sql_once
from chappe.storage.schema import Id, Int, Json, Millis, Small, Text, key, metadata, optional, partial_index, required
from chappe.webhooks.model import CallbackSecret, Delivery, Endpoint, Origin, Pending, State

ROOM = "webhooks"

webhook_endpoints = sa.Table(
    "webhook_endpoints",
    metadata,
    key("id"),
    required("account_id", Id),
    required("url", Text),
    required("events", Json),
    required("mode", Text),
    required("status", Text),
    optional("paused_reason", Text),
    optional("paused_at", Millis),
    optional("description", Text),
    required("secret", Text),  # sealed by the vault
    optional("previous_secret", Text),
    optional("previous_until", Millis),
    required("created_at", Millis),
    sa.Index("webhook_endpoints_url", "account_id", "url", unique=True),
)

webhook_callback_secrets = sa.Table(
    "webhook_callback_secrets",
    metadata,
    key("id"),  # the account's
    required("secret", Text),
    optional("previous_secret", Text),
    optional("previous_until", Millis),
    required("created_at", Millis),
)

webhook_health = sa.Table(
    "webhook_health",
    metadata,
    key("endpoint_id"),
    required("failures", Int, 0),
    optional("failing_since", Millis),
    optional("last_success_at", Millis),
    optional("last_failure_at", Millis),
    optional("last_error", Text),
)

webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    key("id"),
    required("account_id", Id),
    required("endpoint_id", Id),  # 0: to a message's callback_url
    required("target", Id),
    required("event_id", Id),
    required("type", Text),
    required("origin", Small),
    optional("url", Text),
    required("body", Json),
    required("created_at", Millis),
    required("state", Small),
    required("due_at", Millis),
    required("tries", Small, 0),
    required("owner", Id, 0),  # the sender that may be posting it
    required("lease_until", Millis, 0),
    optional("last_status", Int),
    optional("last_error", Text),
    optional("finished_at", Millis),
    sa.Index("webhook_deliveries_account", "account_id", "id"),
    partial_index("webhook_deliveries_due", "target", "due_at", where="state = 0"),
)

webhook_attempts = sa.Table(
    "webhook_attempts",
    metadata,
    key("delivery_id"),
    key("number", Small),
    required("at", Millis),
    optional("status", Int),
    optional("error", Text),
    required("duration_ms", Int),
    optional("response", Text),
    sqlite_with_rowid=False,
)

ENDPOINTS = Records(
    ROOM,
    "webhook_endpoint",
    "whe",
    webhook_endpoints,
    Endpoint,
    json=("events",),
    secret=("secret", "previous_secret"),
)
CALLBACK_SECRETS = Records(
    ROOM,
    "callback_secret",
    "acc",
    webhook_callback_secrets,
    CallbackSecret,
    secret=("secret", "previous_secret"),
)

_FRESH = ("id", "account_id", "endpoint_id", "target", "event_id", "type", "origin", "url", "body")
_PENDING = ", ".join(name for name in Pending.__struct_fields__ if name != "held_at")

LEASE_MS = 7_500  # so that another node goes on within ten seconds after a crash

# with an owner it is leased from the start
ADD = insert_many(
    webhook_deliveries,
    (*_FRESH, "created_at", "state", "due_at", "owner"),
    [("lease_until", f"case when u.owner = 0 then 0 else db_now() + {LEASE_MS} end")],
)
ADD_FINISHED = insert_many(
    webhook_deliveries,
    (*_FRESH, "created_at", "state", "due_at", "tries", "last_status", "last_error", "finished_at"),
)

# The targets that have something pending, a page at a time, with the first due time of each. It jumps from target to
# target through the index, however much one of them has waiting.
LOOK = sql(
    """with recursive waiting(target) as (
        select min(target) from webhook_deliveries where state = 0 and target > :after::bigint
        union all
        select (select min(d.target) from webhook_deliveries d where d.state = 0 and d.target > waiting.target)
        from waiting where waiting.target is not null
    ) select target, (
        select min(d.due_at) from webhook_deliveries d where d.state = 0 and d.target = waiting.target
    ) from waiting where target is not null limit :limit::bigint""",
    name="webhooks look",
)
CLAIM = sql_once(
    f"""update webhook_deliveries set owner = :owner, lease_until = db_now() + :lease::bigint where id in once(
        select id from webhook_deliveries where target = :target::bigint and state = 0 and due_at <= :now::bigint
        and lease_until <= db_now() order by due_at limit :limit::bigint skip_locked()
    )once returning {_PENDING}""",
    name="webhooks claim",
)
RENEW = sql(
    "update webhook_deliveries set lease_until = db_now() + :lease::bigint "
    "where id in each(:ids, bigint) and owner = :owner and state = 0 and lease_until > 0"
)
GIVE_BACK = sql(
    "update webhook_deliveries set lease_until = 0 where id in each(:ids, bigint) and owner = :owner and state = 0"
)
# whoever had it delivered is right; else only who still holds the lease may say what comes next
RECORD = update_many(
    webhook_deliveries,
    ("id",),
    ("state", "due_at", "tries", "last_status", "last_error", "finished_at", ("lease_until", "0")),
    f"t.state = 0 and (t.owner = u.owner or u.state = {State.DELIVERED:d})",
)
ADD_ATTEMPTS = insert_many(webhook_attempts, ignore=True)

ADD_HEALTH = insert_many(webhook_health, ("endpoint_id",), ignore=True)
SUCCEEDED = update_many(
    webhook_health,
    ("endpoint_id",),
    ("last_success_at", ("failures", "0"), ("failing_since", "null")),
    # no write a batch for an endpoint that is well
    "t.failures > 0 or t.last_success_at is null or t.last_success_at < u.last_success_at - 60000",
)
FAILED = update_many(
    webhook_health,
    ("endpoint_id",),
    (
        ("failures", "t.failures + u.failures"),
        ("failing_since", "coalesce(t.failing_since, u.last_failure_at)"),
        "last_failure_at",
        "last_error",
    ),
)
FORGIVE = sql("update webhook_health set failures = 0, failing_since = null where endpoint_id = :endpoint_id")
_HEALTH = "endpoint_id, failures, failing_since, last_success_at, last_failure_at, last_error"
HEALTH = sql(f"select {_HEALTH} from webhook_health where endpoint_id in each(:ids, bigint)")
FAILING = sql(f"select {_HEALTH} from webhook_health where failures > 0")
FORGET_HEALTH = sql("delete from webhook_health where endpoint_id not in (select id from webhook_endpoints)")

# -- slices of sweepers and jobs -----------------------------------------------------------------------------------
_SLICE = "(select id from webhook_deliveries where target = :target::bigint and state = 0 {} limit :limit::bigint)"
EXPIRE = sql(
    f"update webhook_deliveries set state = {State.FAILED:d}, finished_at = :now::bigint, "
    "last_error = coalesce(last_error, 'expired') "
    f"where id in {_SLICE.format('and due_at < :before::bigint and lease_until <= db_now() order by due_at')}",
    name="webhooks expire",
)
DROP = sql(
    f"update webhook_deliveries set state = {State.DROPPED:d}, finished_at = :now::bigint "
    f"where id in {_SLICE.format('order by due_at')}",
    name="webhooks drop",
)
REQUEUE = sql(
    "update webhook_deliveries set due_at = :now::bigint "
    f"where id in {_SLICE.format('and due_at > :now::bigint order by due_at')}",
    name="webhooks requeue",
)
_OLD = f"(select id from webhook_deliveries where id < :before and state <> {State.PENDING:d} order by id limit :limit)"
PRUNE_ATTEMPTS = sql(f"delete from webhook_attempts where delivery_id in {_OLD}", name="webhooks prune attempts")
PRUNE = sql(f"delete from webhook_deliveries where id in {_OLD}", name="webhooks prune")

# -- the log --------------------------------------------------------------------------------------------------------
LOGGED = [webhook_deliveries.c[name] for name in Delivery.__struct_fields__]
GET = sql(
    f"select {', '.join(c.name for c in LOGGED)} from webhook_deliveries where id = :id and account_id = :account_id"
)
ATTEMPTS = sql(
    "select delivery_id, number, at, status, error, duration_ms, response from webhook_attempts "
    "where delivery_id = :delivery_id order by number"
)
TARGET = sql("select target from webhook_deliveries where id = :id")
_CHOSEN = (
    "account_id = :account_id and id > :after::bigint and endpoint_id = :endpoint_id::bigint "
    f"and origin = {Origin.EVENT:d} and created_at >= :since::bigint and created_at < :until::bigint "
    "and (:kind::text = '' or type = :kind::text) and (:state::bigint = -1 or state = :state::bigint)"
)
COUNT_RANGE = sql(f"select count(*) from webhook_deliveries where {_CHOSEN}", name="webhooks count range")
RANGE = sql(
    f"select {', '.join(c.name for c in LOGGED)} from webhook_deliveries where {_CHOSEN} "
    "order by id limit :limit::bigint",
    name="webhooks range",
)


def delivery(row: tuple[object, ...]) -> Delivery:
    """The delivery in a row whose columns are `LOGGED`."""
    fields = dict(zip(Delivery.__struct_fields__, row, strict=True))
    fields["origin"], fields["state"] = Origin(fields["origin"]), State(fields["state"])  # type: ignore[arg-type]
    return Delivery(**fields)  # type: ignore[arg-type]
