"""What the database says of itself: what keeps it from tidying up, how much it has not tidied, disk and clock.

A row that is gone stays in its table and its indexes as long as any transaction may still see it; SQLite's write-ahead
log grows as long as any reader looks at an old state. Neither can be helped but by ending who looks.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from chappe.storage import Store, sql, sqlite_path

QUEUES: Final = (
    *("queue", "parts", "events", "smsc_deliveries", "webhook_deliveries", "idempotency", "jobs"),
    *("event_cursors", "parked_receipts"),
)
"""The tables whose rows come and go."""
_FRAME: Final = 24  # https://www.sqlite.org/fileformat2.html#walformat

# Who keeps rows that are gone: open snapshots, and prepared transactions. A transaction that writes also holds back
# what the outbox tells (`oldest_running`), in whatever database of the server it is.
# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
_SNAPSHOT = sql(
    """select cast(extract(epoch from clock_timestamp() - since) as float8), pid, usename, application_name, state,
    cast(extract(epoch from clock_timestamp() - query_start) as float8), query, writes
    from (
        select xact_start as since, pid, usename, application_name, state, query_start,
        left(query, 100) as query, backend_xid is not null as writes
        from pg_stat_activity
        where pid <> pg_backend_pid() and query not like 'autovacuum:%'
        and (backend_xid is not null or (backend_xmin is not null and coalesce(datname, current_database()) =
        current_database()))
        union all
        select prepared, null, owner, 'prepared transaction ' || gid, 'prepared', null, null, true
        from pg_prepared_xacts
    ) as open_ones where since is not null order by since limit 1""",
    name="oldest snapshot",
)
_SEES_ALL = sql("select pg_has_role(current_user, 'pg_read_all_stats', 'usage')")
_TABLES = sql(
    """select relname, n_live_tup, n_dead_tup, pg_total_relation_size(relid) from pg_stat_user_tables
    where schemaname = current_schema() and relname in each(:names, text) order by relname""",
    name="queue tables",
)
_SIZE = sql("select pg_database_size(current_database())")
_NOW = sql("select cast(extract(epoch from clock_timestamp()) as float8)")
_PAGES = sql("select page_count, page_size from pragma_page_count, pragma_page_size")
# busy, frames in the log, frames of them that are in the file already; of itself it moves none that a reader needs.
# Before SQLite 3.51, which knows `noop`, it is a passive one: it waits for nobody, and nobody for it.
_CHECKPOINT = sql("pragma wal_checkpoint(noop)")


class OpenTransaction(Struct, frozen=True):
    """The oldest open transaction. `writes`: reactions to events wait for it too."""

    age_s: float
    pid: int | None
    user: str | None
    application: str | None
    state: str | None
    query_age_s: float | None
    query: str | None
    writes: bool


class QueueTable(Struct, frozen=True):
    """A table whose rows come and go, as PostgreSQL estimates it; `dead` rows are gone, and wait to be removed."""

    name: str
    rows: int
    dead: int
    bytes: int


class StoreHealth(Struct, frozen=True, kw_only=True):
    """What the database says of itself. The disk is that of this node's `data_dir`; `clock_ahead_s` is this node's.

    `wal_waiting_bytes` of SQLite's write-ahead log cannot be moved into the file yet. `oldest_snapshot` and `tables`
    are PostgreSQL's; `sees_all` false: it hides other users' sessions from us.
    """

    engine: Literal["sqlite", "postgres"]
    size_bytes: int
    disk_free_bytes: int
    disk_total_bytes: int
    clock_ahead_s: float = 0.0
    wal_bytes: int = 0
    wal_waiting_bytes: int = 0
    oldest_snapshot: OpenTransaction | None = None
    sees_all: bool = True
    tables: list[QueueTable] = []


async def health(store: Store, url: str, data_dir: Path) -> StoreHealth:
    """Raises Unavailable. The disk is the one with `data_dir`; a server's own we do not see."""
    free, total = await asyncio.to_thread(_disk, data_dir)
    path = sqlite_path(url)
    if path is not None:
        return await _sqlite(store, path, free, total)
    open_ones = await store.scan(_SNAPSHOT())
    before = time.time()
    [(theirs,)] = await store.scan(_NOW())
    ours = (before + time.time()) / 2
    tables = await store.scan(_TABLES({"names": list(QUEUES)}))
    return StoreHealth(
        engine=store.engine,
        size_bytes=(await store.scan(_SIZE()))[0][0],
        disk_free_bytes=free,
        disk_total_bytes=total,
        clock_ahead_s=round(ours - theirs, 3),
        oldest_snapshot=OpenTransaction(*open_ones[0]) if open_ones else None,
        sees_all=bool((await store.scan(_SEES_ALL()))[0][0]),
        tables=[QueueTable(*row) for row in tables],
    )


async def _sqlite(store: Store, path: Path, free: int, total: int) -> StoreHealth:
    [(pages, page_size)] = await store.scan(_PAGES())
    [(_, logged, moved)] = await store.scan(_CHECKPOINT())
    log = path.with_name(path.name + "-wal")
    return StoreHealth(
        engine=store.engine,
        size_bytes=pages * page_size,
        disk_free_bytes=free,
        disk_total_bytes=total,
        wal_bytes=log.stat().st_size if log.exists() else 0,
        wal_waiting_bytes=max(0, logged - moved) * (page_size + _FRAME),
    )


def _disk(place: Path) -> tuple[int, int]:
    usage: Any = shutil.disk_usage(place)
    return usage.free, usage.total
