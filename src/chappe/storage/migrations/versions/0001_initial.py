"""All tables of the first version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chappe.storage.schema import Id, current_transaction

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("default_sender", sa.Text(), nullable=True),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("accounts_slug", "accounts", ["slug"], unique=True)
    op.create_table(
        "api_idempotency",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key"),
    )
    op.create_index("api_idempotency_age", "api_idempotency", ["created_at"], unique=False)
    op.create_table(
        "api_keys",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("last4", sa.Text(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("revoked_at", Id, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("api_keys_account", "api_keys", ["account_id"], unique=False)
    op.create_index("api_keys_hash", "api_keys", ["hash"], unique=True)
    op.create_table(
        "api_probes",
        sa.Column("node", Id, autoincrement=False, nullable=False),
        sa.Column("at", Id, nullable=False),
        sa.PrimaryKeyConstraint("node"),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=True),
        sa.Column("at", Id, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_log_account", "audit_log", ["account_id", "id"], unique=False)
    op.create_table(
        "config_versions",
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "connectors",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("credentials", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("connectors_name", "connectors", ["name"], unique=True)
    op.create_table(
        "event_cursors",
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tx", Id, nullable=False),
        sa.Column("position", Id, nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("epoch", Id, server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", Id, server_default=sa.text("0"), nullable=False),
        sa.Column("seen_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "events",
        sa.Column("position", Id, sa.Identity(always=False), nullable=False),
        sa.Column("tx", Id, server_default=current_transaction(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_stream", "events", ["kind", "tx", "position"], unique=False)
    op.create_table(
        "events_aside",
        sa.Column("reaction", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("position", Id, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", Id, nullable=True),
        sa.Column("failed_at", Id, nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("reaction", "position"),
    )
    op.create_index("events_aside_due", "events_aside", ["reaction", "due_at"], unique=False)
    op.create_table(
        "history",
        sa.Column("message_id", Id, autoincrement=False, nullable=False),
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("at", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("part", sa.SmallInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=True),
        sa.Column("request", sa.LargeBinary(), nullable=True),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "id"),
        postgresql_partition_by="RANGE (message_id)",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "idempotency",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("results", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key"),
    )
    op.create_index("idempotency_age", "idempotency", ["created_at"], unique=False)
    op.create_table(
        "inbound",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("connector_id", Id, nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("udh", sa.LargeBinary(), nullable=False),
        sa.Column("data_coding", sa.SmallInteger(), nullable=False),
        sa.Column("parts", sa.SmallInteger(), nullable=False),
        sa.Column("missing", sa.SmallInteger(), nullable=False),
        sa.Column("received_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("inbound_account", "inbound", ["account_id", "id"], unique=False)
    op.create_table(
        "inbound_parts",
        sa.Column("connector_id", Id, autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("recipient", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("reference", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("total", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("received_at", Id, nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("udh", sa.LargeBinary(), nullable=False),
        sa.Column("data_coding", sa.SmallInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("connector_id", "source", "recipient", "reference", "total", "sequence"),
    )
    op.create_index("inbound_parts_age", "inbound_parts", ["received_at"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("due_at", Id, nullable=True),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", Id, server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("failed_at", Id, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("jobs_due", "jobs", ["due_at"], unique=False)
    op.create_table(
        "message_tags",
        sa.Column("account_id", Id, autoincrement=False, nullable=False),
        sa.Column("tag", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("message_id", Id, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "tag", "message_id"),
    )
    op.create_index("message_tags_message", "message_tags", ["message_id"], unique=False)
    op.create_table(
        "messages",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("encoding", sa.Text(), nullable=False),
        sa.Column("segments", sa.SmallInteger(), nullable=False),
        sa.Column("options", sa.Text(), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("callback_url", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("login_id", Id, nullable=True),
        sa.Column("receipts", sa.SmallInteger(), nullable=False),
        sa.Column("send_at", Id, nullable=True),
        sa.Column("expires_at", Id, nullable=False),
        sa.Column("connector_id", Id, nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sent_at", Id, nullable=True),
        sa.Column("final_at", Id, nullable=True),
        sa.Column("country", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("messages_account", "messages", ["account_id", "id"], unique=False)
    op.create_index(
        "messages_correlation",
        "messages",
        ["account_id", "correlation_id"],
        unique=False,
        sqlite_where=sa.text("correlation_id is not null"),
        postgresql_where=sa.text("correlation_id is not null"),
    )
    op.create_index("messages_recipient", "messages", ["account_id", "recipient", "id"], unique=False)
    op.create_index(
        "messages_trouble",
        "messages",
        ["account_id", "state", "id"],
        unique=False,
        sqlite_where=sa.text("state in (5, 6, 7, 8, 9)"),
        postgresql_where=sa.text("state in (5, 6, 7, 8, 9)"),
    )
    op.create_table(
        "nodes",
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("lease_until", Id, nullable=False),
        sa.Column("started_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("node"),
    )
    op.create_table(
        "parked_receipts",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("connector_id", Id, nullable=False),
        sa.Column("provider_key", sa.Text(), nullable=False),
        sa.Column("received_at", Id, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("parked_receipts_key", "parked_receipts", ["connector_id", "provider_key"], unique=False)
    op.create_table(
        "parts",
        sa.Column("message_id", Id, autoincrement=False, nullable=False),
        sa.Column("attempt", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("part", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("total", sa.SmallInteger(), nullable=False),
        sa.Column("connector_id", Id, nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("provider_key", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sent_at", Id, nullable=False),
        sa.Column("deadline", Id, nullable=False),
        sa.Column("final_at", Id, nullable=True),
        sa.PrimaryKeyConstraint("message_id", "attempt", "part"),
    )
    op.create_index(
        "parts_deadline",
        "parts",
        ["deadline"],
        unique=False,
        sqlite_where=sa.text("state in (0, 3)"),
        postgresql_where=sa.text("state in (0, 3)"),
    )
    op.create_index("parts_provider", "parts", ["connector_id", "provider_key"], unique=False)
    op.create_table(
        "queue",
        sa.Column("message_id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("connector_id", Id, nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", Id, nullable=False),
        sa.Column("expires_at", Id, nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("doubts", sa.SmallInteger(), nullable=False),
        sa.Column("tried", sa.Text(), nullable=False),
        sa.Column("owner", Id, nullable=False),
        sa.Column("claim", Id, nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index("queue_expiry", "queue", ["expires_at"], unique=False)
    op.create_index(
        "queue_scheduled",
        "queue",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 1"),
        postgresql_where=sa.text("state = 1"),
    )
    op.create_index(
        "queue_sending",
        "queue",
        ["claim"],
        unique=False,
        sqlite_where=sa.text("state = 2"),
        postgresql_where=sa.text("state = 2"),
    )
    op.create_index(
        "queue_waiting",
        "queue",
        ["connector_id", "lane", "due_at", "message_id"],
        unique=False,
        sqlite_where=sa.text("state = 0"),
        postgresql_where=sa.text("state = 0"),
    )
    op.create_table(
        "routes",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("account_id", Id, nullable=True),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("purposes", sa.Text(), nullable=False),
        sa.Column("senders", sa.Text(), nullable=False),
        sa.Column("connector_id", Id, nullable=False),
        sa.Column("fallback_connector_ids", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("test", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("routes_name", "routes", ["name"], unique=True)
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", Id, server_default=sa.text("0"), nullable=False),
        sa.Column("ran_at", Id, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "senders",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("countries", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("inbound", sa.SmallInteger(), nullable=False),
        sa.Column("connector_ids", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("senders_address", "senders", ["account_id", "address"], unique=True)
    op.create_table(
        "smpp_logins",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("system_id", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("allowed_ips", sa.Text(), nullable=False),
        sa.Column("max_binds", sa.Integer(), nullable=False),
        sa.Column("rate_per_s", sa.Double(), nullable=True),
        sa.Column("window_size", sa.Integer(), nullable=False),
        sa.Column("long_password", sa.SmallInteger(), nullable=False),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("smpp_logins_account", "smpp_logins", ["account_id"], unique=False)
    op.create_index("smpp_logins_system_id", "smpp_logins", ["system_id"], unique=True)
    op.create_table(
        "smsc_deliveries",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("login_id", Id, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("object_id", Id, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("due_at", Id, nullable=True),
        sa.Column("tries", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", Id, server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", Id, server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("smsc_deliveries_due", "smsc_deliveries", ["login_id", "due_at", "id"], unique=False)
    op.create_index("smsc_deliveries_object", "smsc_deliveries", ["login_id", "object_id"], unique=False)
    op.create_table(
        "webhook_attempts",
        sa.Column("delivery_id", Id, autoincrement=False, nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("at", Id, nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "webhook_callback_secrets",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_until", Id, nullable=True),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("endpoint_id", Id, nullable=False),
        sa.Column("target", Id, nullable=False),
        sa.Column("event_id", Id, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("origin", sa.SmallInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", Id, nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", Id, nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", Id, server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", Id, server_default=sa.text("0"), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("finished_at", Id, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("webhook_deliveries_account", "webhook_deliveries", ["account_id", "id"], unique=False)
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["target", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 0"),
        postgresql_where=sa.text("state = 0"),
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("paused_at", Id, nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_until", Id, nullable=True),
        sa.Column("created_at", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("webhook_endpoints_url", "webhook_endpoints", ["account_id", "url"], unique=True)
    op.create_table(
        "webhook_health",
        sa.Column("endpoint_id", Id, autoincrement=False, nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failing_since", Id, nullable=True),
        sa.Column("last_success_at", Id, nullable=True),
        sa.Column("last_failure_at", Id, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("endpoint_id"),
    )
