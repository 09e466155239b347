"""What messages cost: price lists of suppliers and for customers, the terms of accounts, rates of exchange.

`book(rt)` answers from memory; verbs write, audit and refresh it. Rates change as a whole list: `preview`, then
`apply_preview`; `restore` undoes.
"""

from __future__ import annotations

from chappe.billing.rating.amounts import decimal, micros, percent
from chappe.billing.rating.book import Book
from chappe.billing.rating.exchange import fx_rates, import_fx
from chappe.billing.rating.fx import Fx, FxRate, day_of, day_text, ppb_of, ppb_text, read_fx
from chappe.billing.rating.imports import (
    Mode,
    Preview,
    Version,
    apply_preview,
    card_of_version,
    preview,
    restore,
    versions,
)
from chappe.billing.rating.lists import (
    create_list,
    delete_card,
    delete_list,
    found_card,
    found_list,
    set_card,
    update_list,
)
from chappe.billing.rating.model import (
    FOREVER,
    Allowance,
    Cap,
    ChargeOn,
    Commitment,
    Conditions,
    ConnectorCard,
    Fee,
    FxImport,
    ListKind,
    Particulars,
    PriceList,
    Quote,
    Terms,
    Tier,
    Unpriced,
    Where,
)
from chappe.billing.rating.rates import SENDER_KINDS, Card, Rate, Step, change_percent
from chappe.billing.rating.reading import NAMES as COLUMNS
from chappe.billing.rating.reading import Read, csv_of, read_rates, read_rows
from chappe.billing.rating.room import book, start
from chappe.billing.rating.store import LISTS, ROOM, TERMS
from chappe.billing.rating.terms import create_terms, found_terms, update_terms

__all__ = [
    "COLUMNS",
    "FOREVER",
    "LISTS",
    "ROOM",
    "SENDER_KINDS",
    "TERMS",
    "Allowance",
    "Book",
    "Cap",
    "Card",
    "ChargeOn",
    "Commitment",
    "Conditions",
    "ConnectorCard",
    "Fee",
    "Fx",
    "FxImport",
    "FxRate",
    "ListKind",
    "Mode",
    "Particulars",
    "Preview",
    "PriceList",
    "Quote",
    "Rate",
    "Read",
    "Step",
    "Terms",
    "Tier",
    "Unpriced",
    "Version",
    "Where",
    "apply_preview",
    "book",
    "card_of_version",
    "change_percent",
    "create_list",
    "create_terms",
    "csv_of",
    "day_of",
    "day_text",
    "decimal",
    "delete_card",
    "delete_list",
    "found_card",
    "found_list",
    "found_terms",
    "fx_rates",
    "import_fx",
    "micros",
    "percent",
    "ppb_of",
    "ppb_text",
    "preview",
    "read_fx",
    "read_rates",
    "read_rows",
    "restore",
    "set_card",
    "start",
    "update_list",
    "update_terms",
    "versions",
]
