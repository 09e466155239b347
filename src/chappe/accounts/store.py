"""Tables of accounts, keys, SMPP logins and the audit log."""

from __future__ import annotations

import sqlalchemy as sa

from chappe.accounts.model import Account, ApiKey, SmppLogin
from chappe.accounts.records import Records
from chappe.storage import insert_many
from chappe.storage.schema import Id, Int, Json, Millis, Small, Text, key, metadata, optional, required

ROOM = "accounts"

accounts = sa.Table(
    "accounts",
    metadata,
    key("id"),
    required("slug", Text),
    required("name", Text),
    required("status", Text),
    optional("default_sender", Text),
    required("settings", Json),
    required("created_at", Millis),
    sa.Index("accounts_slug", "slug", unique=True),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    key("id"),
    required("account_id", Id),
    required("name", Text),
    required("hash", Text),
    optional("last4", Text),
    required("mode", Text),
    required("scopes", Json),
    required("created_at", Millis),
    optional("revoked_at", Millis),
    sa.Index("api_keys_hash", "hash", unique=True),
    sa.Index("api_keys_account", "account_id"),
)

smpp_logins = sa.Table(
    "smpp_logins",
    metadata,
    key("id"),
    required("account_id", Id),
    required("system_id", Text),
    required("password_hash", Text),
    required("mode", Text),
    required("status", Text),
    required("purpose", Text),
    required("allowed_ips", Json),
    required("max_binds", Int),
    optional("rate_per_s", sa.Double()),
    required("window_size", Int),
    required("long_password", Small),
    required("dialect", Json),
    required("created_at", Millis),
    sa.Index("smpp_logins_system_id", "system_id", unique=True),
    sa.Index("smpp_logins_account", "account_id"),
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    key("id"),
    optional("account_id", Id),  # None: of the installation
    required("at", Millis),
    required("actor", Text),
    required("action", Text),
    required("kind", Text),
    required("object", Text),
    optional("before", Json),
    optional("after", Json),
    sa.Index("audit_log_account", "account_id", "id"),
)

ACCOUNTS = Records(ROOM, "account", "acc", accounts, Account, json=("settings",))
KEYS = Records(ROOM, "api_key", "key", api_keys, ApiKey, json=("scopes",), secret=("hash",))
LOGINS = Records(
    ROOM, "smpp_login", "smp", smpp_logins, SmppLogin, json=("allowed_ips", "dialect"), secret=("password_hash",)
)
AUDIT = insert_many(audit_log)
