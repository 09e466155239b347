"""The tables of routes: those in force, the drafts of others, and every version there was."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from chappe.accounts import Records
from chappe.routing.model import AccountGroup, Draft, Route, Step, Version
from chappe.storage import Op, Row, delete_many, insert_many, sql
from chappe.storage.schema import Id, Int, Json, Millis, Small, Text, key, metadata, optional, required

ROOM = "routing"
DRAFTS_ROOM = "route_drafts"

_encode = msgspec.json.Encoder().encode
steps_of = msgspec.json.Decoder(tuple[Step, ...]).decode

routes = sa.Table(
    "routes",
    metadata,
    key("id"),
    required("name", Text),
    required("position", Int),
    optional("account_id", Id),  # None: for all accounts
    required("prefix", Text),
    required("purposes", Json),
    required("senders", Json),
    required("connector_id", Id),
    required("fallback_connector_ids", Json),
    required("status", Text),
    required("test", Small),
    required("created_at", Millis),
    required("match", Json, "'{}'"),
    required("groups", Json, "'[]'"),
    required("most_attempts", Int, 4),
    optional("max_cost", Id),  # micro-units a segment
    required("allow_loss", Small, 0),
    sa.Index("routes_name", "name", unique=True),
)

account_groups = sa.Table(
    "account_groups",
    metadata,
    key("id"),
    required("name", Text),
    required("account_ids", Json),
    required("created_at", Millis),
    sa.Index("account_groups_name", "name", unique=True),
)

# What each change of the routes in force made of them; a version is what is in force after it. Append-only.
route_versions = sa.Table(
    "route_versions",
    metadata,
    key("id", Int),  # its number, without gaps
    required("kind", Text),  # change, apply, publish, restore
    required("actor", Text),
    required("note", Text),
    required("published_at", Millis),
    optional("draft_id", Id),
    optional("restored", Int),
    required("changes", Int),  # how many
    required("content", Json),  # each change: kind of record, before, after
)

route_drafts = sa.Table(
    "route_drafts",
    metadata,
    key("id"),
    required("name", Text),
    required("note", Text),
    required("base", Int),  # the version that it proposes to change
    required("status", Text),  # open, published
    optional("version", Int),  # that it became
    required("created_by", Text),
    required("created_at", Millis),
)

# What a draft makes of a route or a group of accounts; no content: it goes.
route_draft_edits = sa.Table(
    "route_draft_edits",
    metadata,
    key("draft_id"),
    key("object_id"),
    required("kind", Text),  # route, account_group
    optional("content", Json),
)

_JSON = ("purposes", "senders", "fallback_connector_ids", "match", "groups")
ROUTES = Records(ROOM, "route", "rte", routes, Route, json=_JSON)
ACCOUNT_GROUPS = Records(ROOM, "account_group", "agr", account_groups, AccountGroup, json=("account_ids",))
DRAFTS = Records(DRAFTS_ROOM, "route_draft", "rdr", route_drafts, Draft)


class _Versions(Records[Version]):
    """A version gets its number where it is written: the word to every node makes changes wait for each other."""

    def insert(self, values: Sequence[Version]) -> Op:
        """Conflict unless the latest version is the one before it; number 0 takes whatever comes next."""
        [version] = values
        plain = {name: getattr(version, name) for name in version.__struct_fields__}
        return _ADD_VERSION(plain | {"content": _encode(version.content).decode()}, expect=1)


VERSIONS = _Versions(ROOM, "route_version", "rtv", route_versions, Version, json=("content",))

LATEST_VERSION = sql("select coalesce(max(id), 0) from route_versions")
_ADD_VERSION = sql(
    "insert into route_versions (id, kind, actor, note, published_at, draft_id, restored, changes, content) "
    "select l.id + 1, :kind::text, :actor::text, :note::text, :published_at::bigint, :draft_id::bigint, "
    ":restored::integer, :changes::integer, :content::text "
    "from (select coalesce(max(id), 0) as id from route_versions) as l where :id::integer in (0, l.id + 1)"
)
_HEAD = "select id, kind, actor, note, published_at, draft_id, restored, changes"
LIST_VERSIONS = sql(f"{_HEAD}, '[]' from route_versions where id < :before order by id desc limit :limit")
GET_VERSION = sql(f"{_HEAD}, content from route_versions where id = :id")
VERSIONS_AFTER = sql("select content from route_versions where id > :id order by id desc")

EDITS_OF = sql("select object_id, kind, content from route_draft_edits where draft_id = :draft_id order by object_id")
DROP_EDITS = delete_many(route_draft_edits, ("draft_id", "object_id"))
ADD_EDITS = insert_many(route_draft_edits)
FORGET_EDITS = sql("delete from route_draft_edits where draft_id = :draft_id")
IS_OPEN = sql("update route_drafts set status = 'open' where id = :id and status = 'open'")


def version_of(row: Row) -> Version:
    """A row of LIST_VERSIONS (without its changes) or GET_VERSION."""
    fields: Row = (*row[:-1], steps_of(row[-1]))
    return Version(*fields)
