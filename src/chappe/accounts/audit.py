"""The audit log, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from chappe.accounts.store import audit_log
from chappe.storage import core

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what to which object. `before` and `after` hold the fields that changed, secrets hidden."""

    id: int
    account_id: int | None
    at: int
    actor: str
    action: str
    kind: str
    object: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


async def audit_entries(
    rt: Runtime, account_id: int | None = None, *, before_id: int | None = None, limit: int = 100
) -> list[AuditEntry]:
    """The latest entries first: of one account, or of the whole installation with None."""
    query = sa.select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(audit_log.c.account_id == account_id)
    if before_id is not None:
        query = query.where(audit_log.c.id < before_id)
    statement, params = core(query)
    return [_entry(row) for row in await rt.store.scan(statement(params))]


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    fields = dict(zip(audit_log.columns.keys(), row, strict=True))
    return AuditEntry(**fields | {"before": _decoded(fields["before"]), "after": _decoded(fields["after"])})


def _decoded(text: str | None) -> dict[str, Any] | None:
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])
