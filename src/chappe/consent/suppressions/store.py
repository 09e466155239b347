"""Tables of lists and of unknown subscribers, and what is asked of suppressions beside sending."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chappe.consent.model import Suppression
from chappe.consent.store import SUPPRESSION_COLUMNS, suppressions
from chappe.consent.suppressions.model import SuppressionList
from chappe.storage import insert_many, sql
from chappe.storage.schema import Id, Millis, Small, Text, key, metadata, optional, required

LISTED = "list_name <> ''"  # in these words: SQLite takes a partial index only where it finds its condition

suppression_lists = sa.Table(
    "suppression_lists",
    metadata,
    key("id"),
    required("account_id", Id),  # 0: of all accounts
    required("test", Small),
    required("name", Text),
    required("reason", Text),
    required("channel", Text),
    required("covers", Text),
    required("note", Text),
    optional("expires_at", Millis),
    required("created_at", Millis),
    required("created_by", Text),
    optional("imported_at", Millis),
    optional("deleted_at", Millis),
    sa.Index("suppression_lists_name", "account_id", "test", "name", unique=True),
)

unknown_subscribers = sa.Table(  # the days on which a network said that nobody has the number
    "unknown_subscribers",
    metadata,
    key("person_key"),
    key("day"),
    sa.Index("unknown_subscribers_day", "day"),
    sqlite_with_rowid=False,
)

_s = suppressions.c
sa.Index(
    "suppressions_list",
    _s.account_id,
    _s.test,
    _s.list_name,
    _s.id,
    sqlite_where=sa.text(LISTED),
    postgresql_where=sa.text(LISTED),
)
sa.Index("suppressions_reason", _s.account_id, _s.test, _s.reason, _s.id)

_ROW = ", ".join(SUPPRESSION_COLUMNS)
_LIST = ", ".join(column.name for column in suppression_lists.columns)

# -- suppressions ---------------------------------------------------------------------------------------------------

GET = sql(f"select {_ROW} from suppressions where id = :id", name="suppression")
OF_PERSONS = sql(
    "select person_key, channel, scope, value, reason, list_name, id, covers, expires_at from suppressions "
    "where person_key in each(:keys, bigint)",
    name="suppressions of persons",
)
LIFT_ONE = sql("delete from suppressions where id = :id", name="lift suppression")
DROP_EXPIRED = sql(
    "delete from suppressions where id in (select id from suppressions "
    "where expires_at is not null and expires_at <= :now order by expires_at limit :limit)",
    name="drop expired suppressions",
)
DROP_LISTED = sql(
    "delete from suppressions where id in (select id from suppressions where account_id = :account_id "
    f"and test = :test and list_name = :name and {LISTED} and reason not in ('opt_out', 'erased') limit :limit)",
    name="drop suppressions of a list",
)

# -- lists ----------------------------------------------------------------------------------------------------------

ADD_LIST = insert_many(suppression_lists)
LISTS = sql(
    f"select {_LIST} from suppression_lists where account_id = :account_id and test = :test "
    "and id < :before order by id desc limit :limit",
    name="suppression lists",
)
LIST = sql(f"select {_LIST} from suppression_lists where id = :id", name="suppression list")
LIST_NAMED = sql(
    f"select {_LIST} from suppression_lists where account_id = :account_id and test = :test and name = :name",
    name="suppression list by name",
)
COUNT_LISTS = sql(
    "select count(*) from suppression_lists where account_id = :account_id and test = :test", name="count lists"
)
SIZES = sql(
    "select list_name, count(*) from suppressions where account_id = :account_id and test = :test "
    f"and list_name in each(:names, text) and {LISTED} group by list_name",
    name="sizes of lists",
)
TOUCH_LIST = sql(
    "update suppression_lists set imported_at = :now where id = :id and deleted_at is null", name="import into list"
)
MARK_LIST = sql(
    "update suppression_lists set deleted_at = :now where id = :id and deleted_at is null", name="delete list"
)
DROP_LIST = sql("delete from suppression_lists where id = :id and deleted_at is not null", name="drop list")

# -- unknown subscribers --------------------------------------------------------------------------------------------

ADD_DAYS = insert_many(unknown_subscribers, ignore=True)
DAYS = sql(
    "select person_key, day from unknown_subscribers where person_key in each(:keys, bigint) and day > :since",
    name="days unknown",
)
FORGET_DAYS = sql("delete from unknown_subscribers where person_key = :person_key", name="forget days unknown")
PRUNE_DAYS = sql(
    "delete from unknown_subscribers where (person_key, day) in "
    "(select person_key, day from unknown_subscribers where day <= :before limit :limit)",
    name="prune days unknown",
)


def suppression(row: tuple[Any, ...]) -> Suppression:
    """The suppression in a row of `suppressions`."""
    fields = dict(zip(SUPPRESSION_COLUMNS, row, strict=True))
    return Suppression(**fields | {"test": bool(fields["test"])})


def suppression_list(row: tuple[Any, ...]) -> SuppressionList:
    fields = dict(zip(SuppressionList.__struct_fields__, row, strict=True))
    return SuppressionList(**fields | {"test": bool(fields["test"])})
