"""Links of messages that are gone, and the codes with which a recipient gets at their data."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "consent_links",
        sa.Column("message_id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        sa.Column("person_key", Id, nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("until", Id, nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index("consent_links_until", "consent_links", ["until"])
    op.create_table(
        "page_codes",
        sa.Column("person_key", Id, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", Id, nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("day", Id, nullable=False),
        sa.Column("sent", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person_key"),
    )
    op.create_index("page_codes_expiry", "page_codes", ["expires_at"])
