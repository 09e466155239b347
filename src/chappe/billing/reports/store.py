"""Tables and statements behind reports and bookings by hand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import sqlalchemy as sa

from chappe.billing.ledger.store import BOOKS, DIMENSIONS, ledger
from chappe.storage import Statement, delete_many, insert_many, sql
from chappe.storage.schema import Id, Millis, Text, key, metadata, optional, required

# kinds that traffic books by itself, by the million; the others are few, and found by an index of their own
TRAFFIC = ("hold", "settle", "cost")
_FEW = "kind not in ('hold', 'settle', 'cost')"

notes = sa.Table(  # what was booked by hand: by whom, for what, and what it takes back
    "ledger_notes",
    metadata,
    key("entry_id"),
    required("account_id", Id),
    required("reference", Text),
    optional("reason", Text),
    required("actor", Text),
    optional("reverses", Id),
    sa.Index("ledger_notes_reference", "account_id", "reference", unique=True),
    sa.Index("ledger_notes_reverses", "reverses", unique=True),  # once only
)

marks = sa.Table(  # accounts that have been told that their balance is low
    "balance_marks",
    metadata,
    key("account_id"),
    required("threshold", Id),
    required("since", Millis),
)

sa.Index(
    "ledger_entries_few", ledger.c.account_id, ledger.c.id, sqlite_where=sa.text(_FEW), postgresql_where=sa.text(_FEW)
)

# -- rolling up ----------------------------------------------------------------------------------------------------
OLDEST_NEWS = sql("select min(id) from usage_news")

# -- usage ---------------------------------------------------------------------------------------------------------
SPENT = sql(
    """select cast(coalesce(sum(case when day = :today then charged else 0 end), 0) as bigint),
    cast(coalesce(sum(charged), 0) as bigint) from (
        select day, charged from usage where day in each(:days, int) and account_id = :account_id and tag = ''
        union all
        select day, charged from usage_news where day in each(:days, int) and account_id = :account_id and tag = ''
    ) as spent""",
    name="spent",
)


@lru_cache(256)
def usage_by(groups: tuple[str, ...], counts: tuple[str, ...], *, tags: bool, one: bool) -> Statement:
    """What was used by `groups` (columns of `usage`), in their order, also what is not rolled up yet.

    Parameters: days, limit, account_id if `one`, else resold: accounts to leave out, for their reseller counts the same
    messages at what it pays.
    """
    columns = ", ".join([*DIMENSIONS, *counts])
    whose = "account_id = :account_id" if one else "account_id not in each(:resold, bigint)"
    mine = f"day in each(:days, int) and {whose}"
    both = " union all ".join(
        f"select {columns} from {table} where {mine} and tag {'>' if tags else '='} ''"
        for table in ("usage", "usage_news")
    )
    sums = ", ".join(f"cast(sum({count}) as bigint)" for count in counts)
    by = ", ".join(groups)
    return sql(f"select {by}, {sums} from ({both}) as u group by {by} order by {by} limit :limit", name="usage by")


# -- balance -------------------------------------------------------------------------------------------------------
# the messages that hold money among the `span` newest; the last row tells how many were looked at, and the oldest id
HOLDS = sql(
    """with looked as materialized (
        select id, test, state, recipient, sender, country, segments, price, money from messages
        where account_id = :account_id and id < :before order by id desc limit :span
    )
    select id, state, recipient, sender, country, segments, price from looked where (money & 3) = 1 and test = 0
    union all select min(id), -1, '', '', '', count(*), 0 from looked""",
    name="holds",
)

# -- entries -------------------------------------------------------------------------------------------------------
COLUMNS = ("id", "account_id", "currency", "kind", "messages", *BOOKS, "reference")
_ENTRY = ", ".join(f"e.{column}" for column in COLUMNS)
_ENTRIES = f"""select {_ENTRY}, n.reason, n.actor, n.reverses
    from ledger_entries e left join ledger_notes n on n.entry_id = e.id"""
ENTRY = sql(f"{_ENTRIES} where e.id = :id", name="entry")
ENTRY_OF_REFERENCE = sql(
    f"{_ENTRIES} where e.id = (select entry_id from ledger_notes where account_id = :account_id "
    "and reference = :reference)",
    name="entry of reference",
)


@lru_cache(16)
def entries_like(kind: str | None, *, costs: bool) -> Statement:
    """The newest entries of an account. Parameters: account_id, since and before (ids), limit, and kind if one is."""
    where = ["e.account_id = :account_id", "e.id >= :since", "e.id < :before"]
    if kind is not None:
        where.append("e.kind = :kind")
        if kind not in TRAFFIC:
            where.append(f"e.{_FEW}")  # names the index
    elif not costs:
        where.append("e.kind <> 'cost'")
    return sql(f"{_ENTRIES} where {' and '.join(where)} order by e.id desc limit :limit", name="entries")


ADD_NOTES = insert_many(notes)
REVERSED = sql("select entry_id from ledger_notes where reverses = :entry_id")

# -- low balances --------------------------------------------------------------------------------------------------
STANDINGS = sql(
    """select b.account_id, b.currency, b.wallet, b.credit_limit, m.threshold
    from balances b left join balance_marks m on m.account_id = b.account_id""",
    name="standings",
)
ADD_MARKS = insert_many(marks)
DROP_MARKS = delete_many(marks, ("account_id",))


def days(first: int, last: int) -> Sequence[int]:
    """Days since 1970, both included, as `usage` numbers them."""
    return list(range(first, last + 1))
