"""Replies to what people say by keyword: which are due or were given, and the texts of accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "consent_replies",
        sa.Column("person_key", Id, autoincrement=False, nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("inbound_id", Id, nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("asked_at", Id, nullable=False),
        sa.Column("due_at", Id, nullable=False),
        sa.Column("expires_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("person_key", "sender", "kind"),
        sqlite_with_rowid=False,
    )
    op.create_index("consent_replies_age", "consent_replies", ["asked_at"])
    due = sa.text("state = 0")
    op.create_index("consent_replies_due", "consent_replies", ["due_at"], sqlite_where=due, postgresql_where=due)
    op.create_table(
        "consent_reply_texts",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    one = ["account_id", "kind", "language"]
    op.create_index("consent_reply_texts_one", "consent_reply_texts", one, unique=True)
