"""Quotes: what a message costs whom, why not, and that the figures are those of a plain reading of the lists."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.billing.rating.amounts import decimal, micros, percent
from chappe.billing.rating.book import Book
from chappe.billing.rating.fx import DAY_MS, Fx, FxRate
from chappe.billing.rating.model import (
    FOREVER,
    Allowance,
    Cap,
    Commitment,
    Conditions,
    ConnectorCard,
    Fee,
    Particulars,
    PriceList,
    Quote,
    Terms,
    Tier,
    Unpriced,
    Where,
)
from chappe.billing.rating.rates import Card, Rate

ORANGE = Where("FR", "20801", "sms", "alphanumeric", "otp")
SUPPLY, STANDARD, RESALE, WHOLESALE = 1, 2, 3, 4
CONNECTOR, OTHER = 100, 101
ACME, RESELLER, CUSTOMER, UNBILLED = 10, 11, 12, 13


def price_list(id: int, kind: Any, currency: str, **fields: Any) -> PriceList:
    usual: dict[str, Any] = {"account_id": None, "charge_on": "submit", "description": "", "conditions": Conditions()}
    return PriceList(
        id=id, name=f"list-{id}", kind=kind, currency=currency, version=1, created_at=0, **(usual | fields)
    )


def terms(account_id: int, list_id: int, currency: str = "EUR", **fields: Any) -> Terms:
    usual: dict[str, Any] = {
        "reseller_id": None,
        "credit_limit": 0,
        "low_balance": None,
        "allow_loss": False,
        "caps": (),
        "conditions": Conditions(),
        "particulars": Particulars(),
    }
    return Terms(
        id=account_id, account_id=account_id, currency=currency, price_list_id=list_id, created_at=0, **(usual | fields)
    )


def book(
    cost: list[Rate] | None = None,
    price: list[Rate] | None = None,
    *,
    cost_currency: str = "EUR",
    price_currency: str = "EUR",
    fx: Fx | None = None,
    **own: Any,
) -> Book:
    """A supplier's card on CONNECTOR, and Acme who pays by a list."""
    lists = [
        price_list(SUPPLY, "supplier", cost_currency, charge_on="delivered"),
        price_list(STANDARD, "customer", price_currency),
    ]
    cards = {
        SUPPLY: Card(cost if cost is not None else [Rate(amount=30_000)]),
        STANDARD: Card(price if price is not None else [Rate(amount=72_500)]),
    }
    return Book(
        lists, cards, [ConnectorCard(1, CONNECTOR, SUPPLY, 0)], [terms(ACME, STANDARD, price_currency, **own)], fx
    )


def test_a_quote_has_the_price_the_cost_and_when_each_is_due() -> None:
    assert book().quote(ACME, CONNECTOR, ORANGE, 2, 0) == Quote(145_000, None, 60_000, "EUR", False, True, "EUR")
    assert book().quote(ACME, OTHER, ORANGE, 2, 0) == Quote(145_000, None, None, None, False, False, "EUR")
    assert book().quote(UNBILLED, CONNECTOR, ORANGE, 1, 0) == Quote(None, None, 30_000, "EUR", False, True, None)


def test_what_has_no_price_is_refused() -> None:
    only_belgium = [Rate(country="BE", amount=1)]
    blocked = [Rate(amount=72_500), Rate(country="FR")]
    for price in (only_belgium, blocked):
        refused = book(price=price).quote(ACME, CONNECTOR, ORANGE, 1, 0)
        assert isinstance(refused, Unpriced) and refused.code == "destination_not_priced"


def test_a_supplier_whose_list_does_not_go_there_is_no_road_unless_a_loss_is_allowed() -> None:
    here = book(cost=[Rate(country="BE", amount=1)])
    refused = here.quote(ACME, CONNECTOR, ORANGE, 1, 0)
    assert isinstance(refused, Unpriced) and refused.code == "destination_not_priced"
    assert here.quote(ACME, CONNECTOR, ORANGE, 1, 0, allow_loss=True) == Quote(
        72_500, None, None, None, False, True, "EUR"
    )
    assert here.cost(CONNECTOR, ORANGE, 1, 0) is None


def test_nothing_is_sold_below_its_cost_unless_the_route_or_the_terms_allow_it() -> None:
    dear = [Rate(amount=72_501)]
    refused = book(cost=dear).quote(ACME, CONNECTOR, ORANGE, 1, 0)
    assert isinstance(refused, Unpriced) and refused.code == "price_below_cost"
    assert isinstance(book(cost=dear).quote(ACME, CONNECTOR, ORANGE, 1, 0, allow_loss=True), Quote)
    assert isinstance(book(cost=dear, allow_loss=True).quote(ACME, CONNECTOR, ORANGE, 1, 0), Quote)
    assert isinstance(book(cost=[Rate(amount=72_500)]).quote(ACME, CONNECTOR, ORANGE, 1, 0), Quote)


def test_a_cost_in_another_currency_is_compared_by_the_rate_of_the_day() -> None:
    fx = Fx([FxRate("EUR", "USD", 10, 1_250_000_000, ""), FxRate("EUR", "USD", 11, 2_000_000_000, "")])
    here = book(cost=[Rate(amount=100_000)], cost_currency="USD", fx=fx)  # 0.08 EUR, then 0.05
    codes = []
    for day in (9, 10, 11, 10):
        told = here.quote(ACME, CONNECTOR, ORANGE, 1, day * DAY_MS)
        codes.append(told.code if isinstance(told, Unpriced) else str(told.cost))
    assert codes == ["fx_rate_missing", "price_below_cost", "100000", "price_below_cost"]
    assert here.comparable(CONNECTOR, ORANGE, 11 * DAY_MS) == 50_000
    assert here.comparable(CONNECTOR, ORANGE, 9 * DAY_MS) is None
    assert here.comparable(OTHER, ORANGE, 11 * DAY_MS) is None


def test_cost_plus_is_the_suppliers_cost_in_the_lists_currency_and_something_on_it() -> None:
    fx = Fx([FxRate("EUR", "USD", 0, 1_250_000_000, "")])
    plus = [Rate(country="FR", plus=20_000, percent_ppm=100_000, per="message")]
    here = book(cost=[Rate(amount=50_000)], cost_currency="USD", price=plus, fx=fx)
    # 2 x 0.05 USD = 0.08 EUR; and 10 % of it, and 0.02
    assert here.quote(ACME, CONNECTOR, ORANGE, 2, 0) == Quote(108_000, None, 100_000, "USD", False, True, "EUR")
    unknown = here.quote(ACME, OTHER, ORANGE, 2, 0)
    assert isinstance(unknown, Unpriced) and unknown.code == "destination_not_priced"


def test_a_quote_is_remembered_until_the_next_row_counts() -> None:
    here = book(price=[Rate(amount=72_500, valid_to=50), Rate(amount=80_000, valid_from=50)])
    prices = [getattr(here.quote(ACME, CONNECTOR, ORANGE, 1, at), "price", None) for at in (0, 49, 50, 51, 49, 10**12)]
    assert prices == [72_500, 72_500, 80_000, 80_000, 72_500, 80_000]


@pytest.fixture
def resold() -> Book:
    """A customer of a reseller, who pays in dollars by its list; the reseller pays the operator in euros."""
    lists = [
        price_list(SUPPLY, "supplier", "EUR"),
        price_list(WHOLESALE, "customer", "EUR"),
        price_list(RESALE, "customer", "USD", account_id=RESELLER, charge_on="delivered"),
    ]
    cards = {
        SUPPLY: Card([Rate(amount=30_000)]),
        WHOLESALE: Card([Rate(amount=40_000), Rate(country="BE", amount=20_000)]),
        RESALE: Card([Rate(amount=60_000), Rate(country="DE", amount=49_999), Rate(country="ES", plus=10_000)]),
    }
    agreed = [
        terms(RESELLER, WHOLESALE),
        terms(CUSTOMER, RESALE, "USD", reseller_id=RESELLER, caps=(Cap(per_day=5),), low_balance=7),
    ]
    fx = Fx([FxRate("EUR", "USD", 0, 1_250_000_000, "")])
    return Book(lists, cards, [ConnectorCard(1, CONNECTOR, SUPPLY, 0)], agreed, fx)


def test_a_resellers_customer_pays_by_its_list_and_the_reseller_by_the_operators(resold: Book) -> None:
    assert resold.quote(CUSTOMER, CONNECTOR, ORANGE, 1, 0) == Quote(60_000, 40_000, 30_000, "EUR", True, False, "USD")
    below_upstream = resold.quote(CUSTOMER, CONNECTOR, ORANGE._replace(country="DE", operator=None), 1, 0)
    assert isinstance(below_upstream, Unpriced) and below_upstream.code == "price_below_cost"
    below_cost = resold.quote(CUSTOMER, CONNECTOR, ORANGE._replace(country="BE", operator=None), 1, 0)
    assert isinstance(below_cost, Unpriced) and below_cost.code == "price_below_cost"
    # the reseller's "cost plus" counts from what it pays, not from the operator's cost
    on_top = resold.quote(CUSTOMER, CONNECTOR, ORANGE._replace(country="ES", operator=None), 1, 0)
    assert isinstance(on_top, Quote) and (on_top.price, on_top.upstream) == (60_000, 40_000)


def test_a_refusal_tells_a_customer_nothing_of_costs_lists_and_resellers(resold: Book) -> None:
    messages = set()
    for country in ("DE", "BE"):
        told = resold.quote(CUSTOMER, CONNECTOR, ORANGE._replace(country=country, operator=None), 1, 0)
        assert isinstance(told, Unpriced)
        messages.add(told.message)
    nothing = book(price=[]).quote(ACME, CONNECTOR, ORANGE, 1, 0)
    assert isinstance(nothing, Unpriced)
    assert messages == {
        "The message would cost more than it brings: DE.",
        "The message would cost more than it brings: BE.",
    }
    assert nothing.message == "There is no price for this destination: FR (20801)."


def test_the_book_knows_who_pays_in_what(resold: Book) -> None:
    assert (resold.currency_of(CUSTOMER), resold.reseller_of(CUSTOMER)) == ("USD", RESELLER)
    assert (resold.currency_of(UNBILLED), resold.reseller_of(RESELLER)) == (None, None)
    assert (resold.caps(CUSTOMER), resold.low_balance(CUSTOMER), resold.caps(UNBILLED)) == ((Cap(per_day=5),), 7, ())


def test_conditions_of_the_terms_go_before_those_of_the_list_kind_by_kind() -> None:
    listed = Conditions(
        tiers=(Tier(from_messages=100, discount_ppm=10_000),),
        fees=(Fee(kind="monthly", amount=5, valid_to=50), Fee(kind="set_up", amount=9, valid_from=50)),
        commitments=(Commitment(amount=3),),
    )
    own = Conditions(tiers=(Tier(from_messages=5, amount=1, valid_from=10),), allowances=(Allowance(messages=7),))
    agreed = terms(ACME, STANDARD, conditions=own)
    here = Book([price_list(STANDARD, "customer", "EUR", conditions=listed)], {}, (), [agreed])
    assert here.conditions(ACME, 0) == Conditions(
        tiers=listed.tiers, fees=listed.fees[:1], commitments=listed.commitments, allowances=own.allowances
    )
    assert here.conditions(ACME, 60).tiers == own.tiers and here.conditions(ACME, 60).fees == listed.fees[1:]
    assert here.all_conditions(ACME).fees == listed.fees and here.conditions(UNBILLED, 0) == Conditions()


def test_an_explanation_names_the_lists_the_rows_and_the_sum() -> None:
    price = [
        Rate(country="FR", operator="20801", amount=72_500, valid_from=20 * DAY_MS),
        Rate(country="FR", amount=70_000, roaming=1_000),
        Rate(amount=90_000),
    ]
    lines = book(price=price).explain(ACME, CONNECTOR, ORANGE, 2, 0, roaming=True)
    assert lines == [
        "The supplier's list is list-1 (EUR, version 1, 1 rows).",
        "  Row any country, any operator, sms, any sender, any purpose.",
        "2 segments x 0.03 EUR = 0.06 EUR of cost, owed when it is delivered.",
        "The account's list is list-2 (EUR, version 1, 3 rows).",
        "  Not FR, operator 20801, sms, any sender, any purpose: it counts from 1970-01-21 on.",
        "  Row FR, any operator, sms, any sender, any purpose.",
        "2 segments x 0.07 EUR + 2 segments x 0.001 EUR for roaming = 0.142 EUR, charged when the supplier takes it.",
        "0.142 EUR is no less than the supplier's cost, 0.06 EUR.",
    ]
    plus = book(price=[Rate(plus=20_000, percent_ppm=25_000, per="message")])
    assert "cost 0.06 EUR + 2.5 % + 1 message x 0.02 EUR = 0.0815 EUR, charged when the supplier takes it." in (
        plus.explain(ACME, CONNECTOR, ORANGE, 2, 0)
    )
    assert book(price=[]).explain(ACME, CONNECTOR, ORANGE, 1, 0)[-1] == (
        "Refused, destination_not_priced: The list list-2 has no price for it."
    )


AMOUNTS = st.integers(0, 10**6)
COUNTRY = st.sampled_from(["", "FR", "BE"])
COSTS = st.lists(st.builds(Rate, country=COUNTRY, amount=st.none() | AMOUNTS), unique_by=lambda r: r.country)
PRICES = st.lists(
    st.builds(Rate, country=COUNTRY, amount=AMOUNTS, roaming=AMOUNTS, per=st.sampled_from(["segment", "message"]))
    | st.builds(Rate, country=COUNTRY, plus=AMOUNTS, percent_ppm=st.none() | st.integers(0, 2_000_000)),
    unique_by=lambda r: r.country,
)


@given(COSTS, PRICES, st.integers(1, 10), st.sampled_from([None, False, True]), st.booleans())
def test_a_quote_is_what_a_plain_reading_of_the_lists_gives(
    cost: list[Rate], price: list[Rate], segments: int, roaming: bool | None, allow_loss: bool
) -> None:
    def row(rates: list[Rate]) -> Rate | None:
        return next((r for c in ("FR", "") for r in rates if r.country == c), None)

    told = book(cost, price).quote(ACME, CONNECTOR, ORANGE, segments, 0, roaming, allow_loss)
    asked, paid = row(cost), row(price)
    owed = None if asked is None or asked.amount is None else asked.amount * segments
    due: int | None = None
    if paid is not None:
        units = 1 if paid.per == "message" else segments
        if paid.amount is not None:
            due = units * (paid.amount + (paid.roaming if roaming else 0))
        elif owed is not None:
            share = -(-owed * (paid.percent_ppm or 0) // 1_000_000)
            due = owed + share + (paid.plus or 0) * units
    if due is None or (owed is None and not allow_loss):
        assert isinstance(told, Unpriced) and told.code == "destination_not_priced"
    elif owed is not None and due < owed and not allow_loss:
        assert isinstance(told, Unpriced) and told.code == "price_below_cost"
    else:
        assert told == Quote(due, None, owed, "EUR" if owed is not None else None, False, True, "EUR")
        assert type(told.price) is int and told.price >= 0


@given(st.integers(-(10**17), 10**17))
def test_an_amount_is_written_as_it_is_read(amount: int) -> None:
    assert micros(decimal(amount)) == amount


def test_what_is_no_amount_is_refused() -> None:
    for text in ("", "1,5", "0.1234567", "1e3", "+1", ".5", "1.", " 1", "٣", "0x1", "-", "1" * 13):
        with pytest.raises(ValueError):
            micros(text)
    assert (micros("0.0725"), micros("-1"), percent(25_000), percent(0)) == (72_500, -1_000_000, "2.5", "0")


def test_a_remembered_quote_is_quick() -> None:
    here = book()
    wheres = [ORANGE._replace(operator=f"208{n:02}") for n in range(100)]
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        for where in wheres:
            here.quote(ACME, CONNECTOR, where, 1, 5)
        best = min(best, time.perf_counter() - start)
    assert best / len(wheres) < 20e-6  # some 0.4 us on a quiet machine


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[Book.__module__], "REMEMBERED", 10)
    here = book()
    for segments in range(1, 50):
        here.quote(ACME, CONNECTOR, ORANGE, segments, 0)
        assert len(here._known) <= 10
    assert here.quote(ACME, CONNECTOR, ORANGE, 49, FOREVER - 1) == Quote(
        49 * 72_500, None, 49 * 30_000, "EUR", False, True, "EUR"
    )
