"""Months are closed; invoices and credit notes are numbered without gaps, and never changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0013"
down_revision = "0012"

# of an invoice only `credited` may change
_FIXED = "id, account_id, seller_id, month, number, currency, gross, issued_at, data"


def upgrade() -> None:
    op.create_table(
        "invoice_series",
        sa.Column("seller_id", Id, autoincrement=False, nullable=False),
        sa.Column("series", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seller_id", "series"),
    )
    op.create_table(
        "closed_months",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("month", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("invoice_id", Id, nullable=True),
        sa.Column("closed_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "month"),
    )
    op.create_table(
        "invoices",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("seller_id", Id, nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("gross", Id, nullable=False),
        sa.Column("credited", Id, nullable=False),
        sa.Column("issued_at", Id, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.CheckConstraint("credited = 0 or credited > 0 and credited <= gross", name="invoices_credited"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("invoices_month", "invoices", ["account_id", "month"], unique=True)
    op.create_index("invoices_number", "invoices", ["seller_id", "number"], unique=True)
    op.create_table(
        "credit_notes",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("seller_id", Id, nullable=False),
        sa.Column("invoice_id", Id, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("gross", Id, nullable=False),
        sa.Column("issued_at", Id, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("credit_notes_number", "credit_notes", ["seller_id", "number"], unique=True)
    op.create_index("credit_notes_invoice", "credit_notes", ["invoice_id", "reference"], unique=True)
    op.create_index("credit_notes_account", "credit_notes", ["account_id", "id"])
    _immutable()


def _immutable() -> None:
    """What was issued stays as it is, whoever asks."""
    events = (
        ("invoices", "update", f"update of {_FIXED}"),
        ("invoices", "delete", "delete"),
        ("credit_notes", "update", "update"),
        ("credit_notes", "delete", "delete"),
    )
    lite = op.get_bind().dialect.name == "sqlite"
    if not lite:
        op.execute(
            "create function paper_is_immutable() returns trigger language plpgsql as "
            "$$ begin raise exception 'what was issued is never changed'; end $$"
        )
    for table, verb, event in events:
        body = (
            "begin select raise(abort, 'what was issued is never changed'); end"
            if lite
            else "for each row execute function paper_is_immutable()"
        )
        op.execute(f"create trigger {table}_no_{verb} before {event} on {table} {body}")
