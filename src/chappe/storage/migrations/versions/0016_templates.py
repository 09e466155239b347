"""Templates and their versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "templates",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("latest", sa.Integer(), nullable=False),
        sa.Column("live", sa.Integer(), nullable=True),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("templates_name", "templates", ["account_id", "name"], unique=True)
    op.create_table(
        "template_versions",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("template_id", Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("changed_at", Id, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("template_versions_number", "template_versions", ["template_id", "number"], unique=True)
