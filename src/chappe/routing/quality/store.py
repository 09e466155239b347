"""Tables and statements of route quality.

`route_quality` holds what each node has counted, one row for a connector and a place: absolute figures that only the
node itself writes, so that writing or reading one twice does no harm. Node 0 holds what nodes counted that are gone.
"""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts import Records
from chappe.routing.quality.model import Canary
from chappe.storage import delete_many, insert_many, sql, update_many
from chappe.storage.schema import Id, Int, Json, Millis, Small, Text, key, metadata, optional, required

ROOM = "route_quality"
COMMON = 0  # the node of what was inherited

quality = sa.Table(
    "route_quality",
    metadata,
    key("node"),
    key("connector_id"),
    key("place", Text),
    required("country", Text),
    required("tally", Json),
    required("changed_at", Millis),  # by the database's clock
    sa.Index("route_quality_news", "changed_at"),
)

nodes = sa.Table(  # who writes rows now
    "route_quality_nodes",
    metadata,
    key("node"),
    required("seen_at", Millis),
)

demotions = sa.Table(
    "route_demotions",
    metadata,
    key("connector_id"),
    key("place", Text),
    required("state", Text),  # demoted, restored
    required("since", Millis),  # of that state
    required("reason", Text),
    required("evidence", Json),
    required("against_ppm", Int),
    required("times", Int),
    required("hold_until", Millis),
)

log = sa.Table(
    "route_quality_log",
    metadata,
    key("id"),  # time-sortable
    required("connector_id", Id),
    required("place", Text),
    required("kind", Text),
    required("words", Text),
    required("evidence", Json),
    optional("actor", Text),
)

canaries = sa.Table(
    "canary_numbers",
    metadata,
    key("id"),
    required("number", Text),
    required("note", Text),
    required("created_at", Millis),
    sa.Index("canary_numbers_number", "number", unique=True),
)

suspects = sa.Table(  # messages whose receipts cannot be true, or hardly
    "route_suspects",
    metadata,
    key("connector_id"),
    key("message_id"),
    required("place", Text),
    required("why", Text),
    required("delay_ms", Id),
    required("at", Millis),
)

conversions = sa.Table(
    "route_conversions",
    metadata,
    key("message_id"),
    required("account_id", Id),
    required("connector_id", Id),
    required("place", Text),
    required("sent_at", Millis),
    required("converted", Small),
    required("at", Millis),
    sa.Index("route_conversions_connector", "connector_id", "message_id"),
)

CANARIES = Records(ROOM, "canary_number", "cny", canaries, Canary)

# -- what nodes have counted ---------------------------------------------------------------------------------------
_NOW = ("changed_at", "db_now()")
BORN = insert_many(nodes, ("node",), also=(("seen_at", "db_now()"),))
ALIVE = update_many(nodes, ("node",), (("seen_at", "db_now()"),))
NODES = sql("select node from route_quality_nodes")
ADD = insert_many(quality, ("node", "connector_id", "place", "country", "tally"), also=(_NOW,), ignore=True)
SET = update_many(quality, ("node", "connector_id", "place"), ("tally", _NOW))
CLOCK = sql("select db_now()")
SINCE = sql(
    "select node, connector_id, place, country, tally, changed_at from route_quality "
    "where changed_at >= :since::bigint and node <> :node::bigint order by changed_at",
    name="quality since",
)
DEAD = sql(
    "select distinct q.node from route_quality q left join route_quality_nodes n on n.node = q.node "
    "where q.node <> 0 and (n.node is null or n.seen_at < db_now() - :silent::bigint) limit 20",
    name="dead quality nodes",
)
BURY = sql("delete from route_quality_nodes where node = :node and seen_at < db_now() - :silent::bigint")
LEFT_BY = sql(
    "select connector_id, place, country, tally from route_quality where node = :node "
    "order by connector_id, place limit :limit::bigint",
    name="left by",
)
OF_NODE = sql("select connector_id, place, country, tally from route_quality where node = :node", name="of node")
DROP = delete_many(quality, ("node", "connector_id", "place"))
SLICE_OF_QUALITY = sql(
    "delete from route_quality where node = 0 and changed_at < db_now() - :age::bigint", name="old quality"
)
BURY_EMPTY = sql(
    "delete from route_quality_nodes where seen_at < db_now() - :silent::bigint "
    "and not exists (select 1 from route_quality q where q.node = route_quality_nodes.node)",
    name="empty quality nodes",
)

# -- who is demoted ------------------------------------------------------------------------------------------------
DEMOTIONS = sql(
    "select connector_id, place, state, since, reason, evidence, against_ppm, times, hold_until from route_demotions"
)
DEMOTE = sql(
    "insert into route_demotions (connector_id, place, state, since, reason, evidence, against_ppm, times, hold_until) "
    "values (:connector_id, :place, 'demoted', :since, :reason, :evidence, :against_ppm, :times, :hold_until) "
    "on conflict (connector_id, place) do update set state = excluded.state, since = excluded.since, "
    "reason = excluded.reason, evidence = excluded.evidence, against_ppm = excluded.against_ppm, "
    "times = excluded.times, hold_until = excluded.hold_until where route_demotions.state <> 'demoted'",
    name="demote",
)
RESTORE = sql(
    "update route_demotions set state = 'restored', since = :now where connector_id = :connector_id "
    "and place = :place and state = 'demoted' and since = :since",
    name="restore",
)
FORGET_RESTORED = sql("delete from route_demotions where state = 'restored' and since < :before::bigint")
ADD_LOG = insert_many(log)
LOG = sql(
    "select id, connector_id, place, kind, words, evidence, actor from route_quality_log "
    "where id < :before::bigint order by id desc limit :limit::bigint",
    name="quality log",
)
FORGET_LOG = sql("delete from route_quality_log where id < :before::bigint")

# -- who lies ------------------------------------------------------------------------------------------------------
ADD_SUSPECTS = insert_many(suspects, ignore=True)
SUSPECTS = sql(
    "select message_id, place, why from route_suspects where connector_id = :connector_id "
    "and message_id < :before::bigint and message_id >= :since::bigint order by message_id desc limit :limit::bigint",
    name="suspects",
)
CANARY_HITS = sql(
    "select connector_id, place, count(*), max(at) from route_suspects where why = 'canary' "
    "group by connector_id, place",
    name="canary hits",
)
SLICE_OF_SUSPECTS = sql(
    "delete from route_suspects where (connector_id, message_id) in (select connector_id, message_id "
    "from route_suspects where at < :before::bigint limit :limit::bigint)",
    name="old suspects",
)

# -- what became of messages ---------------------------------------------------------------------------------------
ADD_CONVERSIONS = insert_many(conversions, ignore=True)
CONVERSIONS = sql("select message_id, converted from route_conversions where message_id in each(:ids, bigint)")
CHANGE_MIND = update_many(conversions, ("message_id",), ("converted", "at"), "t.converted <> u.converted")
UNCONVERTED = sql(
    "select message_id, place from route_conversions where connector_id = :connector_id "
    "and converted = 0 and message_id < :before::bigint and message_id >= :since::bigint "
    "order by message_id desc limit :limit::bigint",
    name="unconverted",
)
SLICE_OF_CONVERSIONS = sql(
    "delete from route_conversions where message_id in (select message_id from route_conversions "
    "where message_id < :before::bigint order by message_id limit :limit::bigint)",
    name="old conversions",
)
