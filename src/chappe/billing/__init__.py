"""Money: what messages cost and bring (rating), what is held and charged (ledger), what months come to (closing), and
what of it is read (reports).

Amounts are integers of micro-units of a currency: 1 EUR is 1,000,000.
"""

from __future__ import annotations

from chappe.billing.ledger import HELD, Moves, agreed, decimal, state_of
from chappe.billing.ledger.model import COST_BOOKED, COST_ON_DELIVERY, ON_DELIVERY, WORDS
from chappe.billing.ledger.wallets import Wallets
from chappe.billing.rating.book import Book
from chappe.billing.rating.model import Quote, Unpriced, Where
from chappe.billing.rating.room import book, start
from chappe.billing.rating.store import ROOM

__all__ = [
    "COST_BOOKED",
    "COST_ON_DELIVERY",
    "HELD",
    "ON_DELIVERY",
    "ROOM",
    "WORDS",
    "Book",
    "Moves",
    "Quote",
    "Unpriced",
    "Wallets",
    "Where",
    "agreed",
    "book",
    "decimal",
    "start",
    "state_of",
]
