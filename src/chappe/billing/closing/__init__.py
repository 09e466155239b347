"""Months: closed once, with discounts, fees and tax; invoices and credit notes with gapless numbers, PDF and CSV.

`register` before `rt.jobs.start`; `chappe.billing.rating` must have started. Who calls gives `names`, which tells the
sender names that an account had registered in a month (`Registered`).
"""

from __future__ import annotations

from chappe.billing.closing.amounts import rounded, spelt
from chappe.billing.closing.close import close, preview
from chappe.billing.closing.credit import MAX_REASON, credit
from chappe.billing.closing.draft import Names
from chappe.billing.closing.jobs import close_due, due, register
from chappe.billing.closing.layout import percent, sheet, table
from chappe.billing.closing.model import OPERATOR, CreditNote, Invoice, Line, Party, Registered
from chappe.billing.closing.months import Month, month_of, of_code, parse
from chappe.billing.closing.printing import pdf
from chappe.billing.closing.query import credit_note_of, credit_notes, credit_notes_of, invoice_of, invoices_of

__all__ = [
    "MAX_REASON",
    "OPERATOR",
    "CreditNote",
    "Invoice",
    "Line",
    "Month",
    "Names",
    "Party",
    "Registered",
    "close",
    "close_due",
    "credit",
    "credit_note_of",
    "credit_notes",
    "credit_notes_of",
    "due",
    "invoice_of",
    "invoices_of",
    "month_of",
    "of_code",
    "parse",
    "pdf",
    "percent",
    "preview",
    "register",
    "rounded",
    "sheet",
    "spelt",
    "table",
]
