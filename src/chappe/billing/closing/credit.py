"""Credit notes: an invoice is never changed; what was wrong is given back, as a whole or by lines, never twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from chappe.billing.closing import series, store
from chappe.billing.closing.amounts import rounded, share, spelt
from chappe.billing.closing.close import TRIES, WALLET, audited, encode, entry
from chappe.billing.closing.model import CreditedLine, CreditNote, Invoice, National
from chappe.billing.closing.query import credit_note_by, credit_notes_of, invoice_of
from chappe.billing.closing.vat import PPM
from chappe.billing.ledger.store import ADD_ENTRIES
from chappe.errors import Refused
from chappe.storage import Conflict

if TYPE_CHECKING:
    from chappe.runtime import Runtime

MAX_REASON = 500
_PAUSE_S = 0.02


async def credit(
    rt: Runtime,
    invoice_id: int,
    *,
    by: str,
    reason: str,
    amounts: Mapping[int, int] | None = None,
    reference: str | None = None,
) -> CreditNote:
    """Give back what is left of an invoice, or of some of its lines (counted from 0) an amount before tax.

    The money goes to the balance. Who does not know whether it went through asks again by the same `reference`, and
    gets what was issued. Raises Refused: not_found, invalid_value (param `lines[1].line`), credit_too_high,
    reference_reused, conflict; Unavailable.
    """
    for _ in range(TRIES):
        if reference is not None and (found := await credit_note_by(rt, invoice_id, reference)) is not None:
            return _again(found, reason, amounts)
        invoice, seen = await invoice_of(rt, invoice_id)
        before = await credit_notes_of(rt, invoice_id)
        made = _made(invoice, before, amounts)
        note = msgspec.structs.replace(made, issued_at=rt.clock.now(), reason=reason, by=by, reference=reference)
        try:
            return await _issue(rt, note, seen)
        except Conflict:  # somebody credited this invoice, or took the number
            await asyncio.sleep(_PAUSE_S * random.random())
    raise Refused("conflict")


async def _issue(rt: Runtime, made: CreditNote, seen: int) -> CreditNote:
    prefix = series.prefix_of_credit_notes(rt)
    number, taken = await series.take(rt, made.seller_id, made.issued_at, prefix)
    note = msgspec.structs.replace(made, id=rt.ids.next(), number=number)
    row = (
        *(note.id, note.account_id, note.seller_id, note.invoice_id, note.number, note.currency),
        *(note.gross, note.issued_at, encode(note).decode(), note.reference),
    )
    booked = entry(rt, note, "credit_note", note.gross, -note.net, -note.tax)
    await rt.store.write(
        *taken,
        store.CREDIT([(note.invoice_id, seen + note.gross, note.gross)], expect=1),
        store.ADD_CREDIT_NOTE([row], expect=1),
        audited(rt, note, "credit_note", "crn"),
        ADD_ENTRIES([booked], expect=1),
        store.OWE([(note.account_id, booked[WALLET])], expect=1),
    )
    return note


def _again(found: CreditNote, reason: str, amounts: Mapping[int, int] | None) -> CreditNote:
    same = amounts is None or dict(amounts) == {one.line: one.amount for one in found.lines}
    if found.reason != reason or not same:
        raise Refused("reference_reused", param="reference")
    return found


# -- how much -------------------------------------------------------------------------------------------------------


def _made(invoice: Invoice, before: list[CreditNote], amounts: Mapping[int, int] | None) -> CreditNote:
    """The note without its number. Raises Refused."""
    left = [one.amount for one in invoice.lines]
    for note in before:
        for credited in note.lines:
            left[credited.line] -= credited.amount
    if amounts is None:
        amounts = {place: amount for place, amount in enumerate(left) if amount}
    for nth, (place, amount) in enumerate(amounts.items()):
        _check(invoice, left, nth, place, amount)
    net = sum(amounts.values())
    net_left = invoice.net - sum(note.net for note in before)
    tax_left = invoice.tax - sum(note.tax for note in before)
    if net <= 0:
        words = "Nothing is left of this invoice to be credited." if net_left <= 0 else "The lines come to nothing."
        raise Refused("credit_too_high", words, param="lines")
    if net > net_left:
        raise _too_high(invoice, net_left, "lines")
    tax = rounded(share(net, invoice.vat.rate_ppm, PPM), invoice.currency)
    tax = tax_left if net == net_left else min(tax, tax_left)  # the last note takes what rounding has left
    return CreditNote(
        id=0,
        number="",
        account_id=invoice.account_id,
        seller_id=invoice.seller_id,
        invoice_id=invoice.id,
        invoice_number=invoice.number,
        invoiced_at=invoice.issued_at,
        month=invoice.month,
        currency=invoice.currency,
        issued_at=0,
        seller=invoice.seller,
        customer=invoice.customer,
        lines=tuple(
            CreditedLine(place, invoice.lines[place].text, amount) for place, amount in sorted(amounts.items())
        ),
        net=net,
        vat=invoice.vat,
        tax=tax,
        gross=net + tax,
        reason="",
        by="",
        national=_national(invoice, tax),
    )


def _national(invoice: Invoice, tax: int) -> National | None:
    """By the rate of exchange of the invoice."""
    whole = invoice.national
    if whole is None or not tax:
        return None
    return National(whole.currency, rounded(share(whole.amount, tax, invoice.tax), whole.currency))


def _check(invoice: Invoice, left: list[int], nth: int, place: int, amount: int) -> None:
    """A part of a line has its sign, is no more than what is left of it, and can be paid."""
    if not 0 <= place < len(invoice.lines):
        raise Refused("invalid_value", f"The invoice has no line {place}.", param=f"lines[{nth}].line")
    if amount == 0 or amount != rounded(amount, invoice.currency):
        words = f"An amount of {invoice.currency} that can be paid is asked for."
        raise Refused("invalid_value", words, param=f"lines[{nth}].amount")
    if not 0 < amount <= left[place] and not left[place] <= amount < 0:
        raise _too_high(invoice, left[place], f"lines[{nth}].amount")


def _too_high(invoice: Invoice, left: int, param: str) -> Refused:
    words = f"{spelt(left, invoice.currency)} {invoice.currency} is left to be credited."
    return Refused("credit_too_high", words, param=param)
