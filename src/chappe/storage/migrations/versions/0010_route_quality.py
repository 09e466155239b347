"""How routes do, who is demoted, and what speaks against their receipts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "route_quality",
        sa.Column("node", Id, autoincrement=False, nullable=False),
        sa.Column("connector_id", Id, autoincrement=False, nullable=False),
        sa.Column("place", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("tally", sa.Text(), nullable=False),
        sa.Column("changed_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("node", "connector_id", "place"),
    )
    op.create_index("route_quality_news", "route_quality", ["changed_at"])
    op.create_table(
        "route_quality_nodes",
        sa.Column("node", Id, autoincrement=False, nullable=False),
        sa.Column("seen_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("node"),
    )
    op.create_table(
        "route_demotions",
        sa.Column("connector_id", Id, autoincrement=False, nullable=False),
        sa.Column("place", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", Id, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("against_ppm", sa.Integer(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("hold_until", Id, nullable=False),
        sa.PrimaryKeyConstraint("connector_id", "place"),
    )
    op.create_table(
        "route_quality_log",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("connector_id", Id, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "canary_numbers",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("canary_numbers_number", "canary_numbers", ["number"], unique=True)
    op.create_table(
        "route_suspects",
        sa.Column("connector_id", Id, autoincrement=False, nullable=False),
        sa.Column("message_id", Id, autoincrement=False, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("delay_ms", Id, nullable=False),
        sa.Column("at", Id, nullable=False),
        sa.PrimaryKeyConstraint("connector_id", "message_id"),
    )
    op.create_table(
        "route_conversions",
        sa.Column("message_id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("connector_id", Id, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("sent_at", Id, nullable=False),
        sa.Column("converted", sa.SmallInteger(), nullable=False),
        sa.Column("at", Id, nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index("route_conversions_connector", "route_conversions", ["connector_id", "message_id"])
