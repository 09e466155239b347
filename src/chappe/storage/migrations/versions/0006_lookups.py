"""Look-ups: sources, ranges, what was said, what it cost, and batch jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "lookup_sources",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("countries", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("gives", sa.Text(), nullable=False),
        sa.Column("cost_micros", Id, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("cache", sa.Text(), nullable=False),
        sa.Column("timeout_s", sa.Double(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("credentials", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("lookup_sources_name", "lookup_sources", ["name"], unique=True)
    op.create_table(
        "lookup_ranges",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("imported_at", Id, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ranges", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("lookup_ranges_country", "lookup_ranges", ["country"], unique=True)
    op.create_table(
        "lookup_cache",
        sa.Column("digits", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("source_id", Id, autoincrement=False, nullable=False),
        sa.Column("learned_at", Id, nullable=False),
        sa.Column("forget_at", Id, nullable=False),
        sa.Column("findings", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("digits", "source_id"),
    )
    op.create_index("lookup_cache_age", "lookup_cache", ["forget_at"], unique=False)
    op.create_table(
        "lookup_costs",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("day", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("source_id", Id, autoincrement=False, nullable=False),
        sa.Column("job_id", Id, autoincrement=False, nullable=False),
        sa.Column("currency", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("lookups", Id, nullable=False),
        sa.Column("cost_micros", Id, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "day", "source_id", "job_id", "currency"),
    )
    op.create_index("lookup_costs_job", "lookup_costs", ["job_id"], unique=False)
    op.create_table(
        "lookup_jobs",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("max_age_s", Id, nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("invalid", sa.Integer(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("moved_at", Id, nullable=False),
        sa.Column("finished_at", Id, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("lookup_jobs_account", "lookup_jobs", ["account_id", "id"], unique=False)
    op.create_table(
        "lookup_chunks",
        sa.Column("job_id", Id, autoincrement=False, nullable=False),
        sa.Column("chunk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sa.Column("results", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "chunk"),
    )
