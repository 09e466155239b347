"""Numbers of invoices and credit notes: a series for each seller and year, 2026-000001, without gaps.

Directive 2006/112/EC, article 226 (2): a sequential number, based on one or more series, which uniquely identifies the
invoice. The number is taken in the unit that writes what bears it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.billing.closing import store
from chappe.billing.closing.months import day_of
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

CREDIT = "CN-"


async def take(rt: Runtime, seller_id: int, issued_at: int, prefix: str = "") -> tuple[str, list[Op]]:
    """The next number and what takes it; the unit fails with Conflict if somebody else was faster."""
    name = f"{prefix}{day_of(issued_at).year}"
    rows = await rt.store.scan(store.LAST_NUMBER({"seller_id": seller_id, "series": name}))
    number = (int(rows[0][0]) if rows else 0) + 1
    opened = [] if rows else [store.OPEN_SERIES([(seller_id, name, 0)])]
    return f"{name}-{number:06d}", [*opened, store.TAKE_NUMBER([(seller_id, name, number)], expect=1)]


def prefix_of_credit_notes(rt: Runtime) -> str:
    """Empty where they are numbered along with the invoices."""
    return CREDIT if rt.settings.billing.credit_note_series == "own" else ""
