"""Tables and statements of work that is due later, and of work that comes round."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.storage import insert_many, sql
from chappe.storage.once import sql_once
from chappe.storage.schema import Int, Json, Millis, Text, key, metadata, optional, required

jobs = sa.Table(
    "jobs",
    metadata,
    key("id"),
    required("kind", Text),
    required("payload", Json),
    optional("due_at", Millis),  # NULL: dead
    required("tries", Int, 0),
    optional("owner", Text),
    required("lease_until", Millis, 0),
    required("created_at", Millis),
    optional("failed_at", Millis),
    optional("error", Text),
    sa.Index("jobs_due", "due_at"),
)

schedules = sa.Table(
    "schedules",
    metadata,
    key("name", Text),
    optional("owner", Text),
    required("lease_until", Millis, 0),
    optional("ran_at", Millis),
    optional("error", Text),
)

ENQUEUE = insert_many(jobs, ("id", "kind", "payload", "due_at", "created_at"))

# due times are the application's clock, leases the database's
CLAIM = sql_once(
    "update jobs set owner = :owner, lease_until = db_now() + :lease::bigint, tries = tries + 1 where id in once("
    "select id from jobs where due_at <= :now::bigint and lease_until <= db_now() "
    "and kind in each(:kinds, text) order by due_at limit :limit::bigint skip_locked())once "
    "returning id, kind, payload, tries",
    name="jobs claim",
)
RENEW = sql(
    "update jobs set lease_until = db_now() + :lease::bigint where id in each(:ids, bigint) and owner = :owner "
    "and lease_until > 0"
)
# `tries` is the epoch of the lease: whoever claimed later has counted it up
DONE = sql("delete from jobs where id = :id and owner = :owner and tries = :tries")
FAILED = sql(
    "update jobs set due_at = :due_at::bigint, lease_until = 0, failed_at = :now::bigint, error = :error "
    "where id = :id and owner = :owner and tries = :tries"
)
GIVE_BACK = sql(
    "update jobs set lease_until = 0, tries = tries - 1 where id in each(:ids, bigint) and owner = :owner "
    "and lease_until > 0"
)
ANY_DUE = sql(
    "select 1 from jobs where due_at <= :now::bigint and lease_until <= db_now() and kind in each(:kinds, text) limit 1"
)
NEXT_DUE = sql("select min(due_at) from jobs where due_at > :now::bigint and kind in each(:kinds, text)")

DEAD = sql(
    "select id, kind, payload, tries, failed_at, error from jobs where due_at is null order by id desc "
    "limit :limit::bigint"
)
COUNT_DEAD = sql("select kind, count(*) from jobs where due_at is null group by kind")
REVIVE = sql("update jobs set due_at = :now::bigint, tries = 0 where id = :id and due_at is null")

ADD_SCHEDULES = insert_many(schedules, ("name",), ignore=True)
# one statement claims what is free and renews what is ours
HOLD_SCHEDULES = sql(
    "update schedules set owner = :owner, lease_until = db_now() + :lease::bigint where name in each(:names, text) "
    "and (owner = :owner or lease_until <= db_now()) returning name, ran_at"
)
ANY_SCHEDULE = sql(
    "select 1 from schedules where name in each(:names, text) and (owner = :owner or lease_until <= db_now()) limit 1"
)
RAN = sql("update schedules set ran_at = :now::bigint, error = :error where name = :name and owner = :owner")
RELEASE_SCHEDULES = sql("update schedules set lease_until = 0, owner = null where owner = :owner")
