"""What accounts and the operator set beside the rules of countries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "rule_adjustments",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by_operator", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
