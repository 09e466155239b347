"""Messages carry what they cost; balances, the ledger, and what was used by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0008"
down_revision = "0007"

_BOOKS = ("wallet", "held", "revenue", "cost", "payable", "bank", "tax")
_DIMENSIONS = (
    ("day", sa.Integer()),
    ("account_id", Id),
    ("tag", sa.Text()),
    ("country", sa.Text()),
    ("operator", sa.Text()),
    ("connector_id", Id),
    ("route_id", Id),
    ("sender", sa.Text()),
    ("purpose", sa.Text()),
    ("currency", sa.Text()),
    ("cost_currency", sa.Text()),
)
_COUNTS = ("messages", "segments", "delivered", "failed", "charged", "cost")


def upgrade() -> None:
    for name, kind in (
        ("operator", sa.Text()),
        ("route_id", Id),
        ("price", Id),
        ("upstream", Id),
        ("cost", Id),
        ("cost_currency", sa.Text()),
    ):
        op.add_column("messages", sa.Column(name, kind, nullable=True))
    op.add_column("messages", sa.Column("money", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "balances",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("wallet", Id, nullable=False),
        sa.Column("held", Id, nullable=False),
        sa.Column("credit_limit", Id, nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_table(
        "balance_settled",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("node", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("held", Id, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "node"),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        *(sa.Column(book, Id, nullable=False) for book in _BOOKS),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.CheckConstraint(" + ".join(_BOOKS) + " = 0", name="ledger_entries_balanced"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ledger_entries_account", "ledger_entries", ["account_id", "id"])
    op.create_table(
        "usage",
        *(sa.Column(name, kind, autoincrement=False, nullable=False) for name, kind in _DIMENSIONS),
        *(sa.Column(count, Id, nullable=False) for count in _COUNTS),
        sa.PrimaryKeyConstraint(*(name for name, _ in _DIMENSIONS)),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "usage_news",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        *(sa.Column(name, kind, nullable=False) for name, kind in _DIMENSIONS),
        *(sa.Column(count, Id, nullable=False) for count in _COUNTS),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "ledger_forgotten",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("charged", Id, nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    _append_only()


def _append_only() -> None:
    """An entry is never changed or deleted, by nobody's statement."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("update", "delete"):
            op.execute(
                f"create trigger ledger_entries_no_{verb} before {verb} on ledger_entries "
                "begin select raise(abort, 'the ledger is append-only'); end"
            )
        return
    op.execute(
        "create function ledger_entries_append_only() returns trigger language plpgsql as "
        "$$ begin raise exception 'the ledger is append-only'; end $$"
    )
    op.execute(
        "create trigger ledger_entries_append_only before update or delete on ledger_entries "
        "for each row execute function ledger_entries_append_only()"
    )
