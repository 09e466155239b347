"""What an invoice and a credit note say. Pure; as they are issued they are kept, for ever, as JSON.

Amounts are integers of micro-units. Those of lines and totals are rounded to the smallest unit of the currency, `exact`
is what the ledger has moved.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from chappe.billing.closing.amounts import rounded, share
from chappe.billing.closing.vat import PPM, Tax

Kind = Literal[
    "usage", "sub_accounts", "allowance", "discount", "commitment", "monthly_fee", "set_up_fee", "sender_fee"
]
Unit = Literal["part", "message", "month", "once"]
OPERATOR = 0
"""The seller that is no account: who runs the installation."""


class Party(Struct, frozen=True):
    """Who sells or buys; `address` in lines, the last of them the country's name. `payment`: how to pay."""

    name: str
    address: tuple[str, ...]
    country: str
    vat_id: str | None = None
    payment: str | None = None


class National(Struct, frozen=True):
    """The tax in the currency of the country that gets it, where the invoice has another."""

    currency: str
    amount: int


class Line(Struct, frozen=True):
    """What is sold. `price` is that of a unit without tax, the average where there were several."""

    kind: Kind
    text: str
    quantity: int
    unit: Unit
    price: int | None
    exact: int
    amount: int
    country: str = ""
    operator: str = ""
    purpose: str = ""


class Invoice(Struct, frozen=True):
    """A month of an account, `month` as 202610. `id` 0 and an empty `number`: a draft. Times are milliseconds.

    `charged` is what the messages of the month had moved already, `exact` the whole before it was rounded to `net`."""

    id: int
    number: str
    account_id: int
    seller_id: int
    month: int
    currency: str
    issued_at: int
    due_at: int | None
    seller: Party
    customer: Party
    lines: tuple[Line, ...]
    charged: int
    exact: int
    net: int
    vat: Tax
    tax: int
    gross: int
    by: str
    national: National | None = None

    @property
    def prepaid(self) -> bool:
        """Whether it was paid before, from the balance."""
        return self.due_at is None


class CreditedLine(Struct, frozen=True):
    """A part of the line of an invoice (counted from 0), before tax."""

    line: int
    text: str
    amount: int


class CreditNote(Struct, frozen=True):
    """What is given back of an invoice; its amounts are positive."""

    id: int
    number: str
    account_id: int
    seller_id: int
    invoice_id: int
    invoice_number: str
    invoiced_at: int
    month: int
    currency: str
    issued_at: int
    seller: Party
    customer: Party
    lines: tuple[CreditedLine, ...]
    net: int
    vat: Tax
    tax: int
    gross: int
    reason: str
    by: str
    national: National | None = None
    reference: str | None = None


class Registered(NamedTuple):
    """A sender name in the register of a country, with one operator (MCC-MNC) or all (""), from a moment on. `set_up`
    and `monthly` are what was agreed for it in the currency of the account, None where its terms say."""

    sender: str
    country: str
    operator: str
    since: int
    set_up: int | None = None
    monthly: int | None = None


class Totals(NamedTuple):
    exact: int
    net: int
    tax: int
    gross: int


def line(
    kind: Kind,
    text: str,
    exact: int,
    currency: str,
    *,
    quantity: int = 1,
    unit: Unit = "once",
    place: tuple[str, str, str] = ("", "", ""),
) -> Line:
    """A line with its price and its rounded amount; `place` is country, operator and purpose."""
    price = share(exact, 1, quantity) if quantity else None
    return Line(kind, text, quantity, unit, price, exact, rounded(exact, currency), *place)


def totals(lines: tuple[Line, ...], vat: Tax, currency: str) -> Totals:
    """The tax is that of the whole, not of each line."""
    net = sum(one.amount for one in lines)
    tax = rounded(share(net, vat.rate_ppm, PPM), currency)
    return Totals(sum(one.exact for one in lines), net, tax, net + tax)
