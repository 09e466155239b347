"""Policies of the content firewall, what is held for review, and what was decided."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "content_policies",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("by_operator", sa.SmallInteger(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("changed_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("content_policies_account", "content_policies", ["account_id", "by_operator"], unique=True)
    _reviews()
    op.create_table(
        "content_held",
        sa.Column("message_id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("settled", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    columns = ["account_id", "digest", "sender", "settled", "message_id"]
    op.create_index("content_held_review", "content_held", columns)
    _partial("content_held_let_go", "content_held", "message_id", "settled = 1")
    op.create_table(
        "content_counts",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("count", Id, nullable=False),
        sa.PrimaryKeyConstraint("day", "account_id", "verdict", "code"),
    )


def _reviews() -> None:
    op.create_table(
        "content_reviews",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("id", Id, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("state", "sample", "country", "purpose", "findings")),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("opened_at", Id, nullable=False),
        sa.Column("until", Id, nullable=True),
        sa.Column("decided_at", Id, nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("unsettled", sa.SmallInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "digest", "sender"),
    )
    op.create_index("content_reviews_id", "content_reviews", ["id"], unique=True)
    op.create_index("content_reviews_account", "content_reviews", ["account_id", "id"])
    _partial("content_reviews_open", "content_reviews", "id", "state = 'open'")
    _partial("content_reviews_unsettled", "content_reviews", "id", "unsettled = 1")


def _partial(name: str, table: str, column: str, where: str) -> None:
    picked = sa.text(where)
    op.create_index(name, table, [column], sqlite_where=picked, postgresql_where=picked)
