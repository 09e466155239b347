"""The ends of the chains that bind what was said of consent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "consent_chains",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("test", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", Id, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "test"),
        sqlite_with_rowid=False,
    )
