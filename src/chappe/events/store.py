"""Tables and statements of the outbox.

Events of one kind form a stream, read in commit order: by `position`, which SQLite's only writer hands out in that
order; on PostgreSQL by (`tx`, `position`), and never past the oldest running transaction, whose rows may still come
in between. https://www.postgresql.org/docs/current/functions-info.html (pg_snapshot_xmin)
"""

from __future__ import annotations

import sqlalchemy as sa

from chappe.storage import delete_many, insert_many, sql
from chappe.storage.schema import Id, Int, Json, Millis, Text, key, metadata, optional, position, required, transaction

events = sa.Table(
    "events",
    metadata,
    position("position"),
    transaction("tx"),
    required("kind", Text),
    required("account_id", Id),
    required("created_at", Millis),
    required("payload", Json),
    sa.Index("events_stream", "kind", "tx", "position"),
    sqlite_autoincrement=True,  # else a position would be used again after the newest row was pruned
)

event_cursors = sa.Table(
    "event_cursors",
    metadata,
    key("name", Text),
    required("kind", Text),
    required("tx", Id),
    required("position", Id),
    optional("owner", Text),
    required("epoch", Id, 0),
    required("lease_until", Millis, 0),
    required("seen_at", Millis),
)

events_aside = sa.Table(
    "events_aside",
    metadata,
    key("reaction", Text),
    key("position"),
    required("kind", Text),
    required("account_id", Id),
    required("payload", Json),
    required("tries", Int),
    optional("due_at", Millis),  # NULL: given up
    required("failed_at", Millis),
    required("error", Text),
    sa.Index("events_aside_due", "reaction", "due_at"),
)

EMIT = insert_many(events, ("kind", "account_id", "created_at", "payload"))

# the end of the stream at the moment when a reaction is first heard of
REGISTER = sql(
    "insert into event_cursors (name, kind, tx, position, seen_at) "
    "select :name::text, :kind::text, coalesce(max(tx), -4611686018427387904), coalesce(max(position), 0), "
    "db_now() from ("
    "  select tx, position from events where kind = :kind::text and tx < oldest_running() and :at_end::bigint = 1 "
    "  order by tx desc, position desc limit 1"
    ") as newest where true "
    "on conflict (name) do update set seen_at = excluded.seen_at, kind = excluded.kind"
)
# After a dump was restored into another server, transactions are numbered anew: rows from the old one would be beyond
# the low-water mark for ever. They are moved below all that comes, in their order.
BEYOND = sql(
    "select max(tx) from (select tx from events union all select tx from event_cursors) as known "
    "where tx >= next_transaction()"
)
PULL_EVENTS = sql("update events set tx = tx - :newest::bigint - 1 where tx >= next_transaction()")
PULL_CURSORS = sql("update event_cursors set tx = tx - :newest::bigint - 1 where tx >= next_transaction()")

SEEN = sql("update event_cursors set seen_at = db_now() where name in each(:names, text)")

LOOK = sql("select tx, position, (lease_until <= db_now() or owner = :owner) from event_cursors where name = :name")
CLAIM = sql(
    "update event_cursors set owner = :owner, epoch = epoch + 1, lease_until = db_now() + :lease::bigint "
    "where name = :name and (lease_until <= db_now() or owner = :owner) returning tx, position, epoch"
)
ADVANCE = sql(
    "update event_cursors set tx = :tx, position = :position, lease_until = db_now() + :lease::bigint "
    "where name = :name and owner = :owner and epoch = :epoch"
)
RELEASE = sql("update event_cursors set lease_until = 0 where owner = :owner and lease_until > 0")

AFTER = sql(
    "select tx, position, account_id, payload from events where kind = :kind "
    "and stream_after(:tx, :position) and tx < oldest_running() "
    "order by tx, position limit :limit::bigint"
)
ANY_AFTER = sql(
    "select 1 from events where kind = :kind and stream_after(:tx, :position) and tx < oldest_running() limit 1"
)
LAG = sql(
    "select count(*), coalesce(max(db_now() - created_at), 0) from (select e.created_at from events e, event_cursors c "
    "where c.name = :name and e.kind = c.kind and (e.tx, e.position) > (c.tx, c.position) "
    "order by e.tx, e.position limit :limit::bigint) as waiting"
)

SET_ASIDE = insert_many(
    events_aside, ("reaction", "position", "kind", "account_id", "payload", "tries", "due_at", "failed_at", "error")
)
ASIDE_DUE = sql(
    "select position, account_id, payload, tries from events_aside "
    "where reaction = :name and due_at <= :now::bigint order by due_at limit :limit::bigint"
)
ASIDE_DONE = delete_many(events_aside, ("reaction", "position", "tries"))
ASIDE_FAILED = sql(
    "update events_aside set tries = tries + 1, due_at = :due_at::bigint, failed_at = :now::bigint, error = :error "
    "where reaction = :name and position = :position and tries = :tries::bigint"
)
ASIDE_LIST = sql(
    "select reaction, position, kind, account_id, payload, tries, due_at, failed_at, error from events_aside "
    "order by failed_at desc limit :limit::bigint"
)
ASIDE_RETRY = sql(
    "update events_aside set tries = 0, due_at = :now::bigint where reaction = :name and position = :position::bigint"
)

# A cursor that no process has named for days belongs to a reaction that is gone, and holds nothing back.
OLDEST_CURSORS = sql(
    "select kind, tx, position from event_cursors c where seen_at > db_now() - :abandoned::bigint and not exists ("
    "  select 1 from event_cursors d where d.kind = c.kind and d.seen_at > db_now() - :abandoned::bigint"
    "  and (d.tx, d.position, d.name) < (c.tx, c.position, c.name))"
)
FIRST_PASSED = sql("select 1 from events where kind = :kind and stream_through(:tx, :position) limit 1")
PRUNE = sql(
    "delete from events where position in (select position from events where kind = :kind "
    "and stream_through(:tx, :position) order by tx, position limit :limit::bigint)"
)
