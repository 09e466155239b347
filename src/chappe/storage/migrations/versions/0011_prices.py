"""Price lists and their versions, the cards of connectors, the terms of accounts, rates of exchange."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "price_lists",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("account_id", Id, nullable=True),
        sa.Column("charge_on", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("price_lists_name", "price_lists", ["name"], unique=True)
    op.create_table(
        "price_list_versions",
        sa.Column("list_id", Id, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("list_id", "version"),
    )
    op.create_table(
        "price_list_previews",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("list_id", Id, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("price_list_previews_digest", "price_list_previews", ["list_id", "digest"])
    op.create_table(
        "connector_cards",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("connector_id", Id, nullable=False),
        sa.Column("price_list_id", Id, nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("connector_cards_connector", "connector_cards", ["connector_id"], unique=True)
    op.create_table(
        "account_terms",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("price_list_id", Id, nullable=False),
        sa.Column("reseller_id", Id, nullable=True),
        sa.Column("credit_limit", Id, nullable=True),
        sa.Column("low_balance", Id, nullable=True),
        sa.Column("allow_loss", sa.SmallInteger(), nullable=False),
        sa.Column("caps", sa.Text(), nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("particulars", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("account_terms_account", "account_terms", ["account_id"], unique=True)
    op.create_table(
        "fx_rates",
        sa.Column("base", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("quote", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rate_ppb", Id, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("base", "quote", "day"),
    )
    op.create_table(
        "fx_imports",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("rates", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Text(), nullable=False),
        sa.Column("last_day", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
