"""Tables and hot statements of the money that moves.

A ledger entry is a whole transaction: one row, a column for each book, whose sum is zero by a check of the database.
Nothing ever changes or deletes one. `balances` is what the entries of an account come to, kept beside them in the same
unit so that a message can be refused without adding up the past.
"""

from __future__ import annotations

import sqlalchemy as sa

from chappe.storage import delete_many, insert_many, sql, update_many
from chappe.storage.schema import Id, Int, Small, Text, key, metadata, optional, required

NO_LIMIT = 1 << 62

balances = sa.Table(
    "balances",
    metadata,
    key("account_id"),
    required("currency", Text),
    required("wallet", Id),  # what may be spent, without what is held
    required("held", Id),  # for messages on their way, but for what `settled` says
    required("credit_limit", Id),  # how far below zero the wallet may go
)

# What is charged of what was held leaves the wallet as it is. Each node keeps it in a row of its own, so that those who
# record answers do not stand in line for the balance behind those who accept.
settled = sa.Table(
    "balance_settled",
    metadata,
    key("account_id"),
    key("node", Small),
    required("held", Id),
)

BOOKS = ("wallet", "held", "revenue", "cost", "payable", "bank", "tax")

ledger = sa.Table(
    "ledger_entries",
    metadata,
    key("id"),  # time-sortable: when it was booked
    required("account_id", Id),
    required("currency", Text),
    required("kind", Text),
    required("messages", Int),
    *(required(book, Id) for book in BOOKS),
    optional("reference", Text),
    sa.CheckConstraint(" + ".join(BOOKS) + " = 0", name="ledger_entries_balanced"),
    sa.Index("ledger_entries_account", "account_id", "id"),
)

DIMENSIONS = (
    "day",
    "account_id",
    "tag",
    "country",
    "operator",
    "connector_id",
    "route_id",
    "sender",
    "purpose",
    "currency",
    "cost_currency",
)
COUNTS = ("messages", "segments", "delivered", "failed", "charged", "cost")

usage = sa.Table(
    "usage",
    metadata,
    key("day", Int),  # since 1970-01-01, UTC: when it was booked
    key("account_id"),
    key("tag", Text),  # "" is everything; a row of a tag counts again what has it
    key("country", Text),
    key("operator", Text),
    key("connector_id"),
    key("route_id"),
    key("sender", Text),
    key("purpose", Text),
    key("currency", Text),
    key("cost_currency", Text),
    *(required(count, Id) for count in COUNTS),
    sqlite_with_rowid=False,
)

usage_news = sa.Table(  # what the units have counted; added to `usage` by one node
    "usage_news",
    metadata,
    key("id"),
    required("day", Int),
    required("account_id", Id),
    *(required(name, Text) for name in ("tag", "country", "operator")),
    required("connector_id", Id),
    required("route_id", Id),
    *(required(name, Text) for name in ("sender", "purpose", "currency", "cost_currency")),
    *(required(count, Id) for count in COUNTS),
)

forgotten = sa.Table(  # what the messages came to that retention has deleted
    "ledger_forgotten",
    metadata,
    key("account_id"),
    required("charged", Id),
)

ADD_ENTRIES = insert_many(ledger)
OPEN_BALANCE = insert_many(balances, ignore=True)
# never below its limit, whoever spends at the same time; what comes in is always taken
MOVE = update_many(
    balances,
    ("account_id",),
    (("wallet", "t.wallet + u.wallet"), ("held", "t.held + u.held")),
    "u.wallet >= 0 or t.wallet + u.wallet >= -t.credit_limit",
)
ADD_SETTLED = insert_many(settled, adding=("held",))
# what is held, of a row of `balances` called b
HELD = "b.held + coalesce((select sum(s.held) from balance_settled s where s.account_id = b.account_id), 0)"
SET_LIMIT = update_many(balances, ("account_id",), ("credit_limit",))
BALANCES = sql(
    f"""select b.account_id, b.currency, b.wallet, cast({HELD} as bigint), b.credit_limit from balances b
    where b.account_id in each(:ids, bigint)""",
    name="balances",
)

ADD_USAGE_NEWS = insert_many(usage_news)
USAGE_NEWS = sql(
    f"select id, {', '.join(DIMENSIONS)}, {', '.join(COUNTS)} from usage_news order by id limit :limit",
    name="usage news",
)
DROP_USAGE_NEWS = delete_many(usage_news, ("id",))
ADD_USAGE = insert_many(usage, adding=COUNTS)

FORGET = sql(
    "insert into ledger_forgotten (account_id, charged) values (:account_id, :charged) on conflict (account_id) "
    "do update set charged = ledger_forgotten.charged + excluded.charged"
)
