"""What was booked by hand, an index of the few kinds of entries, and who knows that the balance is low."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0012"
down_revision = "0011"

_FEW = sa.text("kind not in ('hold', 'settle', 'cost')")


def upgrade() -> None:
    op.create_table(
        "ledger_notes",
        sa.Column("entry_id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reverses", Id, nullable=True),
        sa.PrimaryKeyConstraint("entry_id"),
    )
    op.create_index("ledger_notes_reference", "ledger_notes", ["account_id", "reference"], unique=True)
    op.create_index("ledger_notes_reverses", "ledger_notes", ["reverses"], unique=True)
    op.create_table(
        "balance_marks",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("threshold", Id, nullable=False),
        sa.Column("since", Id, nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_index(
        "ledger_entries_few", "ledger_entries", ["account_id", "id"], sqlite_where=_FEW, postgresql_where=_FEW
    )
