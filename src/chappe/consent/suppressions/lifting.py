"""Suppressions are found, and lifted by whom they belong to."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chappe import ids
from chappe.consent.model import EVERYONES, OWN_WISH, Suppression
from chappe.consent.room import persons
from chappe.consent.store import SUPPRESSION_COLUMNS, suppressions
from chappe.consent.suppressions import store
from chappe.consent.suppressions.adding import Whose, audit
from chappe.errors import Refused
from chappe.storage import core

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_COLUMNS = [suppressions.c[name] for name in SUPPRESSION_COLUMNS]
_LISTED = sa.text(store.LISTED)


async def search(
    rt: Runtime,
    whose: Whose,
    *,
    person: str | None = None,
    scope: str | None = None,
    reason: str | None = None,
    list_name: str | None = None,
    channel: str | None = None,
    source: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Suppression]:
    """The newest first; `before` is the last id of the page before. `person` as `consent.address` writes one, also one
    whose address is forgotten. Raises Unavailable."""
    table = suppressions.c
    query = sa.select(*_COLUMNS).order_by(table.id.desc()).limit(limit)
    if person is not None:  # the account is within the key; named beside it, SQLite would walk all of the account's
        query = query.where(table.person_key == persons(rt).key(whose.account_id, whose.test, person))
    else:
        query = query.where(table.account_id == whose.account_id, table.test == int(whose.test))
    if list_name is not None:
        query = query.where(table.list_name == list_name, _LISTED)
    for column, value in (
        (table.scope, scope),
        (table.reason, reason),
        (table.channel, channel),
        (table.source, source),
    ):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(table.id < before)
    statement, params = core(query)
    found = [store.suppression(row) for row in await rt.store.scan(statement(params))]
    return [one for one in found if (one.account_id, one.test) == whose]


async def found_suppression(rt: Runtime, account_ids: Container[int], test: bool, number: int) -> Suppression:
    """Raises Refused not_found, also for one of another account."""
    rows = await rt.store.read(store.GET({"id": number}))
    found = store.suppression(rows[0]) if rows else None
    if found is None or found.account_id not in account_ids or found.test is not test:
        raise Refused("not_found", "There is no such opt-out.", param="id")
    return found


async def lift(rt: Runtime, actor: str, found: Suppression, *, operator: bool, reason: str = "") -> None:
    """Let go of a suppression. An account lifts what it put on a list itself, and a number that is in use again; what a
    person said, only the person takes back. The operator lifts anything and says why.

    Raises Refused: opt_out_needs_consent, scope_missing, missing_field (reason), Unavailable.
    """
    yours = found.account_id != EVERYONES and found.reason in ("list", "disconnected")
    if not yours and not operator:
        if found.reason in OWN_WISH:
            raise Refused("opt_out_needs_consent", param="id")
        raise Refused("scope_missing", "Only the operator lifts this.", param="id")
    if not yours and not reason.strip():
        raise Refused("missing_field", "Say why it is lifted.", param="reason", action="Give a reason.")
    whose = Whose(found.account_id, found.test)
    before = {"reason": found.reason, "scope": found.scope, "value": found.value, "covers": found.covers}
    name = ids.public("opt", found.id)
    told = {"reason": reason.strip()} if reason.strip() else None
    await rt.store.write(
        store.LIFT_ONE({"id": found.id}), audit(rt, whose, actor, "lift", "opt_out", name, told, before)
    )
