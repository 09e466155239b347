"""Invoices and credit notes, read back as they were issued."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from chappe.billing.closing import store
from chappe.billing.closing.model import CreditNote, Invoice
from chappe.errors import Refused
from chappe.storage import core

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_invoice = msgspec.json.Decoder(Invoice).decode
_credit_note = msgspec.json.Decoder(CreditNote).decode


async def invoice_of(rt: Runtime, invoice_id: int, account_id: int | None = None) -> tuple[Invoice, int]:
    """An invoice, and how much of it has been credited. Raises Refused not_found, also where `account_id` has neither
    bought nor sold."""
    rows = await rt.store.scan(store.INVOICE({"id": invoice_id}))
    found = _invoice(rows[0][0]) if rows else None
    if found is None or account_id not in (None, found.account_id, found.seller_id):
        raise Refused("not_found", "There is no such invoice.", param="id")
    return found, int(rows[0][1])


async def invoices_of(
    rt: Runtime,
    account_id: int | None = None,
    *,
    seller_id: int | None = None,
    month: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[tuple[Invoice, int]]:
    """The newest first, each with how much of it has been credited; None is any account, seller or month."""
    table = store.invoices
    query = sa.select(table.c.data, table.c.credited).order_by(table.c.id.desc()).limit(limit)
    wanted = ((table.c.account_id, account_id), (table.c.seller_id, seller_id), (table.c.month, month))
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(table.c.id < before)
    statement, params = core(query)
    return [(_invoice(data), int(credited)) for data, credited in await rt.store.scan(statement(params))]


async def credit_note_of(rt: Runtime, note_id: int, account_id: int | None = None) -> CreditNote:
    """Raises Refused not_found, also where `account_id` has neither bought nor sold."""
    rows = await rt.store.scan(store.CREDIT_NOTE({"id": note_id}))
    found = _credit_note(rows[0][0]) if rows else None
    if found is None or account_id not in (None, found.account_id, found.seller_id):
        raise Refused("not_found", "There is no such credit note.", param="id")
    return found


async def credit_note_by(rt: Runtime, invoice_id: int, reference: str) -> CreditNote | None:
    """The one that was asked for by this reference."""
    bind = {"invoice_id": invoice_id, "reference": reference}
    rows = await rt.store.scan(store.CREDIT_NOTE_OF_REFERENCE(bind))
    return _credit_note(rows[0][0]) if rows else None


async def credit_notes_of(rt: Runtime, invoice_id: int) -> list[CreditNote]:
    """Of an invoice, the oldest first."""
    rows = await rt.store.scan(store.CREDIT_NOTES_OF({"invoice_id": invoice_id}))
    return [_credit_note(data) for (data,) in rows]


async def credit_notes(
    rt: Runtime,
    account_id: int | None = None,
    *,
    seller_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[CreditNote]:
    """The newest first; None is any account or seller."""
    table = store.credit_notes
    query = sa.select(table.c.data).order_by(table.c.id.desc()).limit(limit)
    for column, value in ((table.c.account_id, account_id), (table.c.seller_id, seller_id)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(table.c.id < before)
    statement, params = core(query)
    return [_credit_note(data) for (data,) in await rt.store.scan(statement(params))]
