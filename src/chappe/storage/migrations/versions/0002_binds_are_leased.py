"""Binds are leased; nodes tell who they are and how they do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "bind_leases",
        sa.Column("connector_id", Id, autoincrement=False, nullable=False),
        sa.Column("slot", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("owner", Id, nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("since", Id, nullable=False),
        sa.PrimaryKeyConstraint("connector_id", "slot"),
    )
    op.add_column("nodes", sa.Column("incarnation", Id, server_default=sa.text("0"), nullable=False))
    op.add_column("nodes", sa.Column("roles", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("nodes", sa.Column("version", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("nodes", sa.Column("stats", sa.Text(), nullable=True))
