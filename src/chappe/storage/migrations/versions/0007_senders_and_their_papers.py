"""Senders are registered country by country, stand in pools, and belong to 10DLC campaigns; names are protected."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("senders", sa.Column("overrides", sa.Text(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("senders", sa.Column("campaign_id", Id, nullable=True))
    op.create_table(
        "sender_registrations",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("sender_id", Id, nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("particulars", sa.Text(), nullable=False),
        sa.Column("fees", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("submitted_by", sa.Text(), nullable=True),
        sa.Column("requested_at", Id, nullable=True),
        sa.Column("approved_at", Id, nullable=True),
        sa.Column("valid_until", Id, nullable=True),
        sa.Column("warned_at", Id, nullable=True),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "sender_registrations_place", "sender_registrations", ["sender_id", "country", "operator"], unique=True
    )
    op.create_table(
        "sender_documents",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("registration_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "sender_pools",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sender_ids", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("sender_pools_name", "sender_pools", ["account_id", "name"], unique=True)
    op.create_table(
        "sender_defaults",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("sender_defaults_country", "sender_defaults", ["account_id", "country"], unique=True)
    op.create_table(
        "protected_senders",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account_ids", sa.Text(), nullable=False),
        sa.Column("countries", sa.Text(), nullable=False),
        sa.Column("contained", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("protected_senders_name", "protected_senders", ["name"], unique=True)
    op.create_table(
        "ten_dlc_brands",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("registry_id", sa.Text(), nullable=True),
        sa.Column("identity_status", sa.Text(), nullable=False),
        sa.Column("vetting_score", sa.Integer(), nullable=True),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ten_dlc_brands_reference", "ten_dlc_brands", ["account_id", "reference"], unique=True)
    op.create_table(
        "ten_dlc_campaigns",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("brand_id", Id, nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("registry_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("carriers", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ten_dlc_campaigns_reference", "ten_dlc_campaigns", ["account_id", "reference"], unique=True)
