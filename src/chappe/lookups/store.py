"""Tables of the sources, of what they have said, of batch jobs and of what asking has cost."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.lookups.rangetables import RangeTable
from chappe.lookups.sources import Source
from chappe.storage import delete_many, insert_many, sql
from chappe.storage.schema import Id, Int, Json, Millis, Small, Text, key, metadata, optional, required

ROOM = "lookups"

sources = sa.Table(
    "lookup_sources",
    metadata,
    key("id"),
    required("name", Text),
    required("kind", Text),
    required("countries", Json),
    required("position", Int),
    required("gives", Json),
    required("cost_micros", Id),
    required("currency", Text),
    required("cache", Json),
    required("timeout_s", sa.Double()),
    required("concurrency", Int),
    required("settings", Json),
    required("credentials", Text),  # sealed by the vault, empty where there are none
    required("status", Text),
    required("created_at", Millis),
    sa.Index("lookup_sources_name", "name", unique=True),
)

SOURCES = Records(
    ROOM,
    "lookup_source",
    "lks",
    sources,
    Source,
    json=("countries", "gives", "cache", "settings"),
    secret=("credentials",),
)

RANGES_ROOM = "lookup_ranges"

ranges = sa.Table(
    "lookup_ranges",
    metadata,
    key("id"),
    required("country", Text),
    required("source", Text),
    required("imported_at", Millis),
    required("count", Int),
    required("ranges", Json),
    sa.Index("lookup_ranges_country", "country", unique=True),
)

RANGES = Records(RANGES_ROOM, "range_table", "rgt", ranges, RangeTable, json=("ranges",), secret=("ranges",))

# -- what sources have said ------------------------------------------------------------------------------------------

cache = sa.Table(
    "lookup_cache",
    metadata,
    key("digits", Text),  # E.164 without +
    key("source_id"),
    required("learned_at", Millis),
    required("forget_at", Millis),
    optional("findings", Json),  # NULL: the source does not cover the number
    sa.Index("lookup_cache_age", "forget_at"),
)

KNOWN = sql(
    "select digits, source_id, learned_at, findings from lookup_cache where digits in each(:digits, text) "
    "and forget_at > :now::bigint",
    name="lookups known",
)
OUTDATE = delete_many(cache, ("digits", "source_id"))
LEARN = insert_many(cache, ignore=True)  # another node may have learnt the same a moment ago
FORGET = sql("delete from lookup_cache where digits in each(:digits, text)", name="lookups forget")
SLICE_OF_OLD = sql(
    "delete from lookup_cache where (digits, source_id) in "
    "(select digits, source_id from lookup_cache where forget_at < :before::bigint order by forget_at "
    "limit :limit::bigint)",
    name="slice of lookup_cache",
)

# -- what asking has cost --------------------------------------------------------------------------------------------

costs = sa.Table(
    "lookup_costs",
    metadata,
    key("account_id"),
    key("day", Text),  # UTC, 2027-01-31
    key("source_id"),
    key("job_id"),  # 0: not of a batch
    key("currency", Text),
    required("lookups", Id),
    required("cost_micros", Id),
    sa.Index("lookup_costs_job", "job_id"),
)

CHARGE = sql(
    "insert into lookup_costs (account_id, day, source_id, job_id, currency, lookups, cost_micros) values "
    "(:account_id, :day, :source_id, :job_id, :currency, :lookups, :cost_micros) "
    "on conflict (account_id, day, source_id, job_id, currency) do update set "
    "lookups = lookup_costs.lookups + excluded.lookups, cost_micros = lookup_costs.cost_micros + excluded.cost_micros",
    name="lookups charge",
)
COSTS_OF_JOBS = sql(
    "select job_id, currency, cast(sum(cost_micros) as bigint) from lookup_costs where job_id in each(:jobs, bigint) "
    "group by job_id, currency order by job_id, currency",
    name="lookups costs of jobs",
)
COSTS_BY_DAY = sql(
    "select day, source_id, currency, cast(sum(lookups) as bigint), cast(sum(cost_micros) as bigint) from lookup_costs "
    "where account_id = :account_id and day >= :since and day <= :until "
    "group by day, source_id, currency order by day, source_id, currency",
    name="lookups costs by day",
)

# -- batch jobs ------------------------------------------------------------------------------------------------------

jobs = sa.Table(
    "lookup_jobs",
    metadata,
    key("id"),
    required("account_id", Id),
    required("status", Text),
    required("test", Small),
    required("fields", Json),
    optional("max_age_s", Id),
    optional("country", Text),
    required("total", Int),
    required("done", Int),
    required("invalid", Int),
    required("chunks", Int),
    optional("error", Text),
    required("created_at", Millis),
    required("moved_at", Millis),
    optional("finished_at", Millis),
    sa.Index("lookup_jobs_account", "account_id", "id"),
)

# A chunk is the unit of work: its results are written as a whole, together with the job's progress.
chunks = sa.Table(
    "lookup_chunks",
    metadata,
    key("job_id"),
    key("chunk", Int),
    required("numbers", Json),
    optional("results", Json),
)

ADD_JOB = insert_many(jobs)
ADD_CHUNKS = insert_many(chunks, ("job_id", "chunk", "numbers"))
BEGIN = sql(
    "update lookup_jobs set status = 'running', moved_at = :now::bigint where id = :id and status = 'queued'",
    name="lookups begin",
)
ONE_JOB = sql(f"select {', '.join(jobs.c.keys())} from lookup_jobs where id = :id", name="lookups job")
OPEN_CHUNK = sql(
    "select chunk, numbers from lookup_chunks where job_id = :id and chunk >= :since and results is null "
    "order by chunk limit 1",
    name="lookups open chunk",
)
CHUNK = sql("select results from lookup_chunks where job_id = :id and chunk = :chunk", name="lookups chunk")
ANSWER_CHUNK = sql(
    "update lookup_chunks set results = :results where job_id = :id and chunk = :chunk and results is null",
    name="lookups answer chunk",
)
ADVANCE = sql(
    "update lookup_jobs set done = done + :done, invalid = invalid + :invalid, moved_at = :now::bigint "
    "where id = :id and status = 'running'",
    name="lookups advance",
)
END = sql(
    "update lookup_jobs set status = :status, finished_at = :now::bigint, moved_at = :now::bigint, error = :error "
    "where id = :id and status in ('queued', 'running')",
    name="lookups end",
)
STUCK = sql(
    "select id from lookup_jobs where status in ('queued', 'running') and moved_at < :before::bigint", name="stuck"
)
OLD_JOBS = sql(
    "select id from lookup_jobs where account_id = :account_id and id < :before::bigint order by id limit 100",
    name="lookups old jobs",
)
NEXT_ACCOUNT = sql("select min(account_id) from lookup_jobs where account_id > :after::bigint", name="next account")
DROP_CHUNKS = sql(
    "delete from lookup_chunks where job_id = :id and chunk >= :since and chunk < :until", name="lookups drop chunks"
)
DROP_JOB = sql("delete from lookup_jobs where id = :id", name="lookups drop job")
