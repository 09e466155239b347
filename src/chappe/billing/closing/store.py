"""Tables of invoices and credit notes. What was issued is never changed or deleted, by a trigger of the database."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.billing.ledger.store import balances
from chappe.storage import insert_many, sql, update_many
from chappe.storage.schema import Id, Int, Json, Millis, Text, key, metadata, optional, required

series = sa.Table(  # the last number of each
    "invoice_series",
    metadata,
    key("seller_id"),
    key("series", Text),
    required("last", Int),
)

months = sa.Table(  # that are closed; without an invoice where there was nothing to pay
    "closed_months",
    metadata,
    key("account_id"),
    key("month", Int),
    optional("invoice_id", Id),
    required("closed_at", Millis),
)

invoices = sa.Table(
    "invoices",
    metadata,
    key("id"),
    required("account_id", Id),
    required("seller_id", Id),  # 0 is the operator
    required("month", Int),
    required("number", Text),
    required("currency", Text),
    required("gross", Id),
    required("credited", Id),  # of it, before and with tax
    required("issued_at", Millis),
    required("data", Json),
    sa.CheckConstraint("credited = 0 or credited > 0 and credited <= gross", name="invoices_credited"),
    sa.Index("invoices_month", "account_id", "month", unique=True),
    sa.Index("invoices_number", "seller_id", "number", unique=True),
)

credit_notes = sa.Table(
    "credit_notes",
    metadata,
    key("id"),
    required("account_id", Id),
    required("seller_id", Id),
    required("invoice_id", Id),
    required("number", Text),
    required("currency", Text),
    required("gross", Id),
    required("issued_at", Millis),
    required("data", Json),
    optional("reference", Text),  # of whoever asked for it: so that it may be asked for again
    sa.Index("credit_notes_number", "seller_id", "number", unique=True),
    sa.Index("credit_notes_invoice", "invoice_id", "reference", unique=True),
    sa.Index("credit_notes_account", "account_id", "id"),
)

# -- closing -------------------------------------------------------------------------------------------------------
LAST_NUMBER = sql("select last from invoice_series where seller_id = :seller_id and series = :series")
OPEN_SERIES = insert_many(series, ignore=True)
# who takes a number must have seen the one before: no two get the same, and a unit that fails leaves no gap
TAKE_NUMBER = update_many(series, ("seller_id", "series"), ("last",), "t.last = u.last - 1")
CLOSE_MONTH = insert_many(months)
ADD_INVOICE = insert_many(invoices)
ADD_CREDIT_NOTE = insert_many(credit_notes)
# `u.gross` is what is credited now: who credits must have seen what was before
CREDIT = update_many(invoices, ("id",), ("credited",), "t.credited = u.credited - u.gross")
# not `ledger.store.MOVE`: what an invoice says is owed, also by a wallet that has nothing left
OWE = update_many(balances, ("account_id",), (("wallet", "t.wallet + u.wallet"),))

CLOSED = sql("select month, invoice_id from closed_months where account_id = :account_id and month = :month")
CLOSED_MONTHS = sql("select month from closed_months where account_id = :account_id", name="closed months")

# -- what a month has come to --------------------------------------------------------------------------------------
NEWS = sql("select min(day) from usage_news where day < :until", name="usage news of a month")
USED = sql(
    """select country, operator, purpose, sum(messages), sum(segments), sum(delivered), sum(charged) from usage
    where day = :day and account_id = :account_id and tag = '' and currency = :currency
    group by country, operator, purpose""",
    name="usage of a day",
)
CHARGED = sql(
    """select sum(revenue) from ledger_entries
    where account_id = :account_id and id >= :since and id < :until and kind = 'settle'""",
    name="charged within",
)

# -- reading -------------------------------------------------------------------------------------------------------
INVOICE = sql("select data, credited from invoices where id = :id")
INVOICE_OF_MONTH = sql("select data, credited from invoices where account_id = :account_id and month = :month")
CREDIT_NOTE = sql("select data from credit_notes where id = :id")
CREDIT_NOTE_OF_REFERENCE = sql(
    "select data from credit_notes where invoice_id = :invoice_id and reference = :reference"
)
CREDIT_NOTES_OF = sql("select data from credit_notes where invoice_id = :invoice_id order by id")
