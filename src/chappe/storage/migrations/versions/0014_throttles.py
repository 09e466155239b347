"""Throttles, and what their quotas have counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "throttles",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("account_id", Id, nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("sender_kind", sa.Text(), nullable=True),
        sa.Column("connector_id", Id, nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.Column("per", sa.Text(), nullable=False),
        sa.Column("burst", sa.Integer(), nullable=True),
        sa.Column("over", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("throttles_name", "throttles", ["name"], unique=True)
    op.create_table(
        "throttle_counts",
        sa.Column("throttle_id", Id, autoincrement=False, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("slot", Id, autoincrement=False, nullable=False),
        sa.Column("owner", Id, autoincrement=False, nullable=False),
        sa.Column("counted", Id, nullable=False),
        sa.PrimaryKeyConstraint("throttle_id", "subject", "slot", "owner"),
    )
    op.create_index("throttle_counts_slot", "throttle_counts", ["slot"])
