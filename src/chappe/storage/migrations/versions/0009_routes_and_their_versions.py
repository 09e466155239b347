"""Routes look at more, lead to groups of connectors, and are drafted, published and undone."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0009"
down_revision = "0008"

_ATTEMPTS = 4


def upgrade() -> None:
    for column in (
        sa.Column("match", sa.Text(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("groups", sa.Text(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("most_attempts", sa.Integer(), server_default=sa.text(str(_ATTEMPTS)), nullable=False),
        sa.Column("max_cost", Id, nullable=True),
        sa.Column("allow_loss", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
    ):
        op.add_column("routes", column)
    _keep_all_fallbacks()
    op.create_table(
        "account_groups",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account_ids", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("account_groups_name", "account_groups", ["name"], unique=True)
    op.create_table(
        "route_versions",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("published_at", Id, nullable=False),
        sa.Column("draft_id", Id, nullable=True),
        sa.Column("restored", sa.Integer(), nullable=True),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "route_drafts",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "route_draft_edits",
        sa.Column("draft_id", Id, autoincrement=False, nullable=False),
        sa.Column("object_id", Id, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("draft_id", "object_id"),
    )


def _keep_all_fallbacks() -> None:
    """Until now a message went on to every fallback: routes with more than the new limit keep theirs."""
    database = op.get_bind()
    routes = sa.table("routes", sa.column("id"), sa.column("fallback_connector_ids"), sa.column("most_attempts"))
    for number, text in database.execute(sa.select(routes.c.id, routes.c.fallback_connector_ids)).all():
        connectors = 1 + len(json.loads(text))
        if connectors > _ATTEMPTS:
            change = sa.update(routes).where(routes.c.id == number).values(most_attempts=connectors)
            database.execute(change)
