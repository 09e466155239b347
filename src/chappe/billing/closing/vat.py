"""Which value added tax stands on an invoice, and why: the law as dated rows of `vat.toml`. Pure.

Messages are services. Between businesses they are taxed where the customer is established (Directive 2006/112/EC,
article 44), and a customer in another country of the Union owes the tax itself (article 196). What the terms of an
account say goes before the standard rate, but not before this.
"""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from chappe.errors import Refused

Treatment = Literal["domestic", "reverse_charge", "outside", "abroad", "of_customer", "no_number"]
PPM = 1_000_000


class Tax(Struct, frozen=True):
    """A rate in millionths, and what the invoice says of it."""

    treatment: Treatment
    rate_ppm: int
    mention: str | None = None


class Place(Struct, frozen=True):
    """Where somebody is established (ISO 3166-1), and the VAT number."""

    country: str
    vat_id: str | None = None


def decide(seller: Place, customer: Place, day: date, terms_ppm: int | None = None) -> Tax:
    """The tax of a service supplied on that day; `terms_ppm` is what the account's terms say.

    Raises Refused vat_rate_unknown where they say nothing and no row is known.
    """
    whose = _country_of(customer, day)
    if seller.vat_id is None:
        if terms_ppm:
            words = "The terms name a rate, but the seller has no VAT number."
            raise Refused("seller_incomplete", words, param="billing.seller.vat_id")
        return _tax("no_number", 0)
    if whose != seller.country and whose in members(day) and customer.vat_id is not None:
        return _tax("reverse_charge", 0)
    if terms_ppm is not None:
        return _tax("domestic", terms_ppm)
    if whose == seller.country:
        return _tax("domestic", standard(whose, day))
    if whose in members(day):
        return _tax("of_customer", standard(whose, day))
    return _tax("outside" if seller.country in members(day) else "abroad", 0)


def standard(country: str, day: date) -> int:
    """The standard rate of a country in millionths. Raises Refused vat_rate_unknown."""
    for row in _law()["rate"]:
        if row["country"] == country and row["valid_from"] <= day < row.get("valid_to", date.max):
            return int(row["ppm"])
    raise Refused(
        "vat_rate_unknown", f"No standard rate of {country} is known for {day}.", param="particulars.vat_percent"
    )


def members(day: date) -> frozenset[str]:
    """The countries of the Union on a day."""
    union = _law()["union"]
    return frozenset(union["members"]) | {country for country, left in union["left"].items() if day < left}


def national_currency(country: str, day: date) -> str | None:
    """The currency that a country wants to see its VAT in, None where that is not known."""
    known = _law()["currency"]
    found = known["others"].get(country) or (known["euro"] if country in members(day) else None)
    return None if found is None else str(found)


def _country_of(customer: Place, day: date) -> str:
    """Where the customer is established as far as the tax goes: its VAT number says so before its address does."""
    prefix = (customer.vat_id or "")[:2].upper()
    country = str(_law()["union"]["prefixes"].get(prefix, prefix))
    return country if country in members(day) else customer.country


def _tax(treatment: Treatment, ppm: int) -> Tax:
    mention = _law()["mention"].get(treatment)
    return Tax(treatment, ppm, None if mention is None else mention["text"])


@cache
def _law() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("vat.toml").read_text("utf-8"))
