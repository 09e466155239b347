"""The table of nodes. A row is a process as long as it has a token; then its number rests for a while."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.storage import sql
from chappe.storage.schema import Id, Int, Json, Millis, Text, key, metadata, optional, required

TOPIC = "nodes"

nodes = sa.Table(
    "nodes",
    metadata,
    key("node", Int),
    required("name", Text),
    required("token", Text),
    required("lease_until", Millis),
    required("started_at", Millis),
    required("incarnation", Id, 0),  # as rows that this run of the process owns name it; 0: it is buried
    required("roles", Text, "''"),
    required("version", Text, "''"),
    optional("stats", Json),
)

NUMBERS = sql("select node, lease_until, lease_until <= db_now() - :rest::bigint from nodes")
LEASE = sql(
    "insert into nodes (node, name, token, lease_until, started_at, incarnation, roles, version, stats) "
    "values (:node, :name, :token, db_now() + :lease::bigint, db_now(), :incarnation, :roles, :version, null) "
    "on conflict (node) do update set name = excluded.name, token = excluded.token, "
    "lease_until = excluded.lease_until, started_at = excluded.started_at, incarnation = excluded.incarnation, "
    "roles = excluded.roles, version = excluded.version, stats = null "
    "where nodes.lease_until <= db_now() - :rest::bigint"
)
RENEW = sql(
    "update nodes set lease_until = db_now() + :lease::bigint, roles = :roles, stats = :stats "
    "where node = :node and token = :token"
)
RELEASE = sql("delete from nodes where node = :node and token = :token")
# who is late may renew until this is committed, and never after
BURY = sql("update nodes set token = '', incarnation = 0 where token <> '' and lease_until <= db_now()")
LISTING = sql(
    "select node, name, incarnation, roles, version, started_at, lease_until - db_now(), stats from nodes "
    "where token <> '' order by started_at, node"
)
SERVING = sql(
    "select incarnation, roles from nodes where token <> '' and roles <> '' and lease_until > db_now() "
    "order by incarnation"
)
