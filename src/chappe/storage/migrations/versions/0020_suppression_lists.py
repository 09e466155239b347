"""Suppressions come in lists, and numbers that networks do not know are counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "suppression_lists",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("name", "reason", "channel", "covers", "note")),
        sa.Column("expires_at", Id, nullable=True),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("imported_at", Id, nullable=True),
        sa.Column("deleted_at", Id, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("suppression_lists_name", "suppression_lists", ["account_id", "test", "name"], unique=True)
    listed = sa.text("list_name <> ''")
    op.create_index(
        "suppressions_list",
        "suppressions",
        ["account_id", "test", "list_name", "id"],
        sqlite_where=listed,
        postgresql_where=listed,
    )
    op.create_index("suppressions_reason", "suppressions", ["account_id", "test", "reason", "id"])
    op.create_table(
        "unknown_subscribers",
        sa.Column("person_key", Id, autoincrement=False, nullable=False),
        sa.Column("day", Id, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("person_key", "day"),
        sqlite_with_rowid=False,
    )
    op.create_index("unknown_subscribers_day", "unknown_subscribers", ["day"])
