"""Searches stop at the newest rows, and retention knows how far it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "retention_marks",
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("upto", Id, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "retention_late",
        sa.Column("message_id", Id, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index("inbound_recipient", "inbound", ["account_id", "recipient", "id"], unique=False)
    op.create_index(
        "messages_thread",
        "messages",
        ["account_id", "correlation_id", "id"],
        unique=False,
        sqlite_where=sa.text("correlation_id is not null"),
        postgresql_where=sa.text("correlation_id is not null"),
    )
    op.create_index(
        "messages_few",
        "messages",
        ["account_id", "state", "id"],
        unique=False,
        sqlite_where=sa.text("state in (3, 4, 5, 6, 7, 8, 9, 11)"),
        postgresql_where=sa.text("state in (3, 4, 5, 6, 7, 8, 9, 11)"),
    )
    # narrower ones that these replace; the version before only searches slower without them
    op.drop_index("messages_correlation", "messages")
    op.drop_index("messages_trouble", "messages")
