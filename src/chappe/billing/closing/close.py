"""Closing a month: one invoice for each account and month, numbered and booked in one unit.

Whoever closes reads first and then writes on condition: that the month is still open, and that the number before is
still the last. So it does not matter how many nodes close at once, or at which instant one of them dies.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import msgspec

from chappe import ids
from chappe.accounts.store import AUDIT
from chappe.billing.closing import series, store
from chappe.billing.closing.amounts import spelt
from chappe.billing.closing.draft import Names, draft, terms_of
from chappe.billing.closing.model import CreditNote, Invoice, Kind
from chappe.billing.closing.months import Month
from chappe.billing.ledger.store import ADD_ENTRIES
from chappe.errors import Refused
from chappe.storage import Conflict, Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime

LATE_MS = 3_600_000  # no unit is that late with what it booked before midnight
TRIES = 50
_PAUSE_S = 0.02

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Invoice).decode

# which kinds of lines are booked as which kind of entry; messages were charged one by one
_ENTRIES: dict[str, tuple[Kind, ...]] = {
    "discount": ("allowance", "discount"),
    "commitment": ("commitment",),
    "fee": ("monthly_fee", "set_up_fee", "sender_fee"),
}


async def preview(rt: Runtime, account_id: int, month: Month, names: Names, *, by: str) -> Invoice:
    """What the invoice of a month would be by now; one that is closed as it is. Raises Refused: those of `close`, but
    a month that has only begun may be looked at."""
    terms_of(rt, account_id, month)
    if month.starts > rt.clock.now():
        raise Refused("month_not_over", f"{month} has not begun.", param="month")
    found = await _closed(rt, account_id, month) or await draft(rt, account_id, month, names, by)
    if found is None:
        raise _nothing(month)
    return found


async def close(rt: Runtime, account_id: int, month: Month, names: Names, *, by: str) -> Invoice:
    """Close a month; a closed one gives the same invoice again.

    Raises Refused: account_not_billed, month_not_over, usage_pending, nothing_to_invoice, seller_incomplete,
    customer_incomplete, vat_rate_unknown, fx_rate_missing, conflict; Unavailable.
    """
    terms_of(rt, account_id, month)
    now = rt.clock.now()
    if now < month.ends + LATE_MS:
        raise Refused("month_not_over", f"{month} can be closed from an hour after its end (UTC).", param="month")
    for _ in range(TRIES):
        done = await rt.store.scan(store.CLOSED({"account_id": account_id, "month": month.code}))
        if done:
            found = await _closed(rt, account_id, month)
            if found is None:
                raise _nothing(month)
            return found
        await _all_counted(rt, month)
        made = await draft(rt, account_id, month, names, by)
        try:
            if made is None:
                await rt.store.write(store.CLOSE_MONTH([(account_id, month.code, None, now)], expect=1))
                raise _nothing(month)
            return await _issue(rt, made)
        except Conflict:  # somebody closed this month, or took the number
            await asyncio.sleep(_PAUSE_S * random.random())
    raise Refused("conflict")


async def _issue(rt: Runtime, made: Invoice) -> Invoice:
    number, taken = await series.take(rt, made.seller_id, made.issued_at)
    invoice = msgspec.structs.replace(made, id=rt.ids.next(), number=number)
    row = (
        *(invoice.id, invoice.account_id, invoice.seller_id, invoice.month, invoice.number, invoice.currency),
        *(invoice.gross, 0, invoice.issued_at, encode(invoice).decode()),
    )
    entries = _booked(rt, invoice)
    owed = -sum(entry[WALLET] for entry in entries)
    ops: list[Op] = [
        *taken,
        store.CLOSE_MONTH([(invoice.account_id, invoice.month, invoice.id, invoice.issued_at)], expect=1),
        store.ADD_INVOICE([row], expect=1),
        audited(rt, invoice, "invoice", "inv"),
    ]
    if entries:
        ops.append(ADD_ENTRIES(entries, expect=len(entries)))
    if owed:  # balances last, as everybody does
        ops.append(store.OWE([(invoice.account_id, -owed)], expect=1))
    await rt.store.write(*ops)
    return invoice


WALLET = 5  # the place of the wallet in an entry


def _booked(rt: Runtime, invoice: Invoice) -> list[tuple[Any, ...]]:
    """The entries of what the messages have not moved yet; with them the books say what the paper says."""
    amounts = {kind: sum(one.exact for one in invoice.lines if one.kind in kinds) for kind, kinds in _ENTRIES.items()}
    amounts["adjust"] = invoice.net - invoice.exact
    entries = [entry(rt, invoice, kind, -amount, amount, 0) for kind, amount in amounts.items() if amount]
    if invoice.tax:
        entries.append(entry(rt, invoice, "tax", -invoice.tax, 0, invoice.tax))
    return entries


def audited(rt: Runtime, paper: Invoice | CreditNote, kind: str, prefix: str) -> Op:
    """Who issued it, in the audit log."""
    told = {"number": paper.number, "total": spelt(paper.gross, paper.currency), "currency": paper.currency}
    what = (paper.by, "issue", kind, ids.public(prefix, paper.id), None, encode(told).decode())
    return AUDIT([(rt.ids.next(), paper.account_id, paper.issued_at, *what)], expect=1)


def entry(rt: Runtime, paper: Invoice | CreditNote, kind: str, wallet: int, revenue: int, tax: int) -> tuple[Any, ...]:
    """A row of the ledger that names the paper it was booked for."""
    who = (rt.ids.next(), paper.account_id, paper.currency, kind, 0)
    return (*who, wallet, 0, revenue, 0, 0, 0, tax, paper.number)


async def _closed(rt: Runtime, account_id: int, month: Month) -> Invoice | None:
    rows = await rt.store.scan(store.INVOICE_OF_MONTH({"account_id": account_id, "month": month.code}))
    return _decode(rows[0][0]) if rows else None


async def _all_counted(rt: Runtime, month: Month) -> None:
    """Raises Refused usage_pending while news of the month wait to be added up."""
    [(oldest,)] = await rt.store.scan(store.NEWS({"until": month.days.stop}))
    if oldest is not None:
        raise Refused("usage_pending", retry_after=60)


def _nothing(month: Month) -> Refused:
    return Refused("nothing_to_invoice", f"Nothing is to be paid for {month}.", param="month")
