"""The tax of an invoice, case by case, and the law in its rows."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import pytest

from chappe.billing.closing import vat
from chappe.billing.closing.vat import Place, decide, members, standard
from chappe.errors import Refused

DAY = date(2026, 10, 31)
FRANCE = Place("FR", "FR12345678901")


@pytest.mark.parametrize(
    ("seller", "customer", "terms", "treatment", "rate"),
    [
        (FRANCE, Place("FR"), None, "domestic", 200_000),
        (FRANCE, Place("FR", "FR98765432109"), None, "domestic", 200_000),
        (FRANCE, Place("FR"), 85_000, "domestic", 85_000),
        (FRANCE, Place("FR"), 0, "domestic", 0),
        (FRANCE, Place("DE", "DE123456789"), None, "reverse_charge", 0),
        (FRANCE, Place("DE", "DE123456789"), 190_000, "reverse_charge", 0),
        (FRANCE, Place("GR", "EL123456789"), None, "reverse_charge", 0),
        (FRANCE, Place("US", "DE123456789"), None, "reverse_charge", 0),
        (FRANCE, Place("DE", "FR98765432109"), None, "domestic", 200_000),
        (FRANCE, Place("DE"), None, "of_customer", 190_000),
        (FRANCE, Place("US"), None, "outside", 0),
        (FRANCE, Place("GB", "GB123456789"), None, "outside", 0),
        (FRANCE, Place("GB", "XI123456789"), None, "outside", 0),
        (FRANCE, Place("US"), 50_000, "domestic", 50_000),
        (Place("CH", "CHE123456789MWST"), Place("CH"), None, "domestic", 81_000),
        (Place("CH", "CHE123456789MWST"), Place("US"), None, "abroad", 0),
        (Place("GB", "GB123456789"), Place("IE", "IE1234567X"), None, "reverse_charge", 0),
        (Place("FR"), Place("FR"), None, "no_number", 0),
    ],
)
def test_who_owes_the_tax(seller: Place, customer: Place, terms: int | None, treatment: str, rate: int) -> None:
    found = decide(seller, customer, DAY, terms)
    assert (found.treatment, found.rate_ppm) == (treatment, rate)
    assert (found.mention is None) == (treatment == "domestic")


def test_reverse_charge_says_so_in_the_words_of_the_directive() -> None:
    mention = decide(FRANCE, Place("PL", "PL7251234567"), DAY).mention
    assert mention is not None and mention.startswith("Reverse charge") and "articles 44 and 196" in mention


def test_what_no_row_knows_is_refused_and_asks_for_the_terms() -> None:
    for seller, customer, terms, code in (
        (FRANCE, Place("HU"), None, "vat_rate_unknown"),
        (Place("US", "1"), Place("US"), None, "vat_rate_unknown"),
        (Place("FR"), Place("FR"), 200_000, "seller_incomplete"),
    ):
        with pytest.raises(Refused) as refused:
            decide(seller, customer, DAY, terms)
        assert refused.value.code == code
    assert decide(FRANCE, Place("HU"), DAY, 270_000).rate_ppm == 270_000


def test_rates_hold_from_their_day_on() -> None:
    assert standard("CH", date(2023, 12, 31)) == 77_000 and standard("CH", date(2024, 1, 1)) == 81_000
    with pytest.raises(Refused):
        standard("FR", date(2013, 12, 31))
    assert "GB" in members(date(2020, 12, 31)) and "GB" not in members(date(2021, 1, 1))
    assert len(members(DAY)) == 27


def test_every_row_of_the_law_names_its_source_and_no_two_hold_at_once() -> None:
    law: dict[str, Any] = vat._law()
    spans: dict[str, list[tuple[date, date]]] = {}
    for row in law["rate"]:
        assert row["source"] and row["confidence"] in "HML" and 0 < row["ppm"] < 300_000
        spans.setdefault(row["country"], []).append((row["valid_from"], row.get("valid_to", date.max)))
    for held in spans.values():
        held.sort()
        assert all(one[1] <= other[0] for one, other in pairwise(held))
    assert law["union"]["source"] and all(one["source"] for one in law["mention"].values())
