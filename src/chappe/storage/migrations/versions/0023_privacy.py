"""Persons are forgotten, and who looks at their data is written down."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        sa.Column("person_key", Id, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("suppress", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("passes", sa.SmallInteger(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("moved_at", Id, nullable=False),
        sa.Column("finished_at", Id, nullable=True),
        sa.Column("person", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("erasures_account", "erasures", ["account_id", "id"])
    unfinished = sa.text("status <> 'finished'")
    op.create_index(
        "erasures_open",
        "erasures",
        ["account_id", "person_key"],
        unique=True,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    op.create_table(
        "access_log",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("at", Id, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("person_key", Id, nullable=True),
        sa.Column("count", Id, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("access_log_account", "access_log", ["account_id", "id"])
    op.create_index("access_log_person", "access_log", ["person_key", "id"])
