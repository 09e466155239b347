"""Accounts: tenants, their API keys and SMPP logins, what each may do, and the audit of every change.

Doors read `directory(rt)`, a copy in memory; verbs write, audit and refresh it. `Change` and `Records` serve every
room of configuration above.
"""

from __future__ import annotations

from chappe.accounts.audit import AuditEntry, audit_entries
from chappe.accounts.binds import BindGuard, Verdict
from chappe.accounts.change import Change
from chappe.accounts.current import snapshot
from chappe.accounts.directory import Directory, directory, latest, start
from chappe.accounts.keys import create_key, revoke_key
from chappe.accounts.logins import create_login, delete_login, update_login
from chappe.accounts.model import (
    ACCOUNT_SCOPES,
    DEFAULT_SCOPES,
    OPERATOR_SCOPES,
    SCOPES,
    Account,
    AccountSettings,
    ApiKey,
    IdForm,
    KeptDays,
    LoginDialect,
    Mode,
    Purpose,
    Scope,
    SmppLogin,
    check_networks,
    check_password,
    checked,
    may_connect,
)
from chappe.accounts.passwords import hash_password, password_matches
from chappe.accounts.records import Record, Records
from chappe.accounts.store import ACCOUNTS, KEYS, LOGINS
from chappe.accounts.tenants import create_account, update_account

__all__ = [
    "ACCOUNTS",
    "ACCOUNT_SCOPES",
    "DEFAULT_SCOPES",
    "KEYS",
    "LOGINS",
    "OPERATOR_SCOPES",
    "SCOPES",
    "Account",
    "AccountSettings",
    "ApiKey",
    "AuditEntry",
    "BindGuard",
    "Change",
    "Directory",
    "IdForm",
    "KeptDays",
    "LoginDialect",
    "Mode",
    "Purpose",
    "Record",
    "Records",
    "Scope",
    "SmppLogin",
    "Verdict",
    "audit_entries",
    "check_networks",
    "check_password",
    "checked",
    "create_account",
    "create_key",
    "create_login",
    "delete_login",
    "directory",
    "hash_password",
    "latest",
    "may_connect",
    "password_matches",
    "revoke_key",
    "snapshot",
    "start",
    "update_account",
    "update_login",
]
