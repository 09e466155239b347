"""The queue of receipts and messages from phones that wait for a session of their login. Delivered rows are gone.

A row is claimed with a lease on the database's clock, so that every node with a session of the login may serve it.
"""

from __future__ import annotations

import sqlalchemy as sa

from chappe.storage import delete_many, insert_many, sql, update_many
from chappe.storage.once import sql_once
from chappe.storage.schema import Id, Json, Millis, Small, Text, key, metadata, optional, required

TOPIC = "smsc"

smsc_deliveries = sa.Table(
    "smsc_deliveries",
    metadata,
    key("id"),
    required("account_id", Id),
    required("login_id", Id),
    required("kind", Small),
    required("object_id", Id),  # the message, or the message from a phone
    required("data", Json),
    required("created_at", Millis),
    optional("due_at", Millis),  # NULL: set aside
    required("tries", Small, 0),
    required("owner", Id, 0),
    required("lease_until", Millis, 0),
    optional("error", Text),
    sa.Index("smsc_deliveries_due", "login_id", "due_at", "id"),
    sa.Index("smsc_deliveries_object", "login_id", "object_id"),
)

LEASE_MS = 9_000  # a dead node's customers wait no longer
# with an owner it is leased from the start
ADD = insert_many(
    smsc_deliveries,
    ("id", "account_id", "login_id", "kind", "object_id", "data", "created_at", "due_at", "tries", "owner"),
    also=(("lease_until", f"case when u.owner = 0 then 0 else db_now() + {LEASE_MS} end"),),
)

_DUE = "login_id = :login_id and due_at <= :now::bigint and lease_until <= db_now()"
ANY_DUE = sql(f"select 1 from smsc_deliveries where {_DUE} limit 1")
CLAIM = sql_once(
    f"""update smsc_deliveries set owner = :owner, lease_until = db_now() + :lease::bigint, tries = tries + 1
    where id in once(
        select id from smsc_deliveries where {_DUE} order by due_at, id limit :limit::bigint skip_locked()
    )once returning id, kind, data, tries""",
    name="smsc claim",
)
RENEW = sql(
    "update smsc_deliveries set lease_until = db_now() + :lease::bigint where id in each(:ids, bigint) "
    "and owner = :owner and lease_until > 0"
)
GIVE_BACK = sql(
    "update smsc_deliveries set lease_until = 0, tries = tries - 1 where id in each(:ids, bigint) "
    "and owner = :owner and lease_until > 0"
)
# whoever had it acknowledged is right, whosever lease it is by now
DELIVERED = delete_many(smsc_deliveries, ("id",))
AGAIN = update_many(smsc_deliveries, ("id",), ("due_at", "error", ("lease_until", "0")), "t.owner = u.owner")

WAITING = sql(
    "select login_id, count(due_at), count(*) - count(due_at), min(created_at) from smsc_deliveries "
    "where login_id in each(:logins, bigint) group by login_id order by login_id"
)
ASIDE = sql(
    "select id, kind, object_id, tries, error, created_at from smsc_deliveries "
    "where login_id = :login_id and due_at is null and id < :before::bigint order by id desc limit :limit::bigint"
)
REVIVE = sql(
    "update smsc_deliveries set due_at = :now::bigint, tries = 0 where login_id = :login_id and due_at is null "
    "and id >= :since::bigint and id < :until::bigint"
)
QUEUED = sql(
    "select object_id from smsc_deliveries where login_id = :login_id and kind = :kind::bigint "
    "and object_id in each(:objects, bigint)"
)
PRUNE = sql(
    "delete from smsc_deliveries where id in "
    "(select id from smsc_deliveries where id < :before::bigint order by id limit :limit::bigint)"
)
