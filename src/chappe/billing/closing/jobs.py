"""Months are closed by themselves when their grace is over, by one node, account after account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe import ids
from chappe.billing import rating
from chappe.billing.closing import store
from chappe.billing.closing.close import close
from chappe.billing.closing.draft import Names
from chappe.billing.closing.months import Month, month_of
from chappe.errors import Refused

if TYPE_CHECKING:
    from chappe.runtime import Runtime

EVERY_S = 3_600.0
BY = "chappe"
_DAY_MS = 86_400_000
_WAITS = ("usage_pending", "conflict")  # another hour will do


def register(rt: Runtime, names: Names) -> None:
    """Have months closed; before `rt.jobs.start`. `names` tells which sender names an account had registered."""

    async def run(rt: Runtime) -> None:
        await close_due(rt, names)

    rt.jobs.every("billing.close_months", EVERY_S, run)


async def close_due(rt: Runtime, names: Names) -> int:
    """Close what is due; gives the number of months that got an invoice. What cannot be closed is logged, and keeps
    nobody else waiting. Raises Unavailable."""
    made = 0
    for account_id in sorted(rating.book(rt).all_terms):
        for month in await due(rt, account_id):
            try:
                await close(rt, account_id, month, names, by=BY)
                made += 1
            except Refused as refused:
                _tell(rt, account_id, month, refused)
    return made


def _tell(rt: Runtime, account_id: int, month: Month, refused: Refused) -> None:
    if refused.code == "nothing_to_invoice":
        return
    level = rt.log.info if refused.code in _WAITS else rt.log.warning
    name = ids.public("acc", account_id)
    level("month not closed", account=name, month=str(month), code=refused.code, reason=str(refused))


async def due(rt: Runtime, account_id: int) -> list[Month]:
    """The months of an account that wait to be closed by now, the earliest first."""
    terms = rating.book(rt).terms(account_id)
    if terms is None:
        return []
    rows = await rt.store.scan(store.CLOSED_MONTHS({"account_id": account_id}))
    closed = {code for (code,) in rows}
    until = rt.clock.now() - rt.settings.billing.close_after_days * _DAY_MS
    month, found = month_of(terms.created_at), []
    while month.ends <= until:
        if month.code not in closed:
            found.append(month)
        month = month.next
    return found
