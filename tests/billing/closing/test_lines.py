"""What a month comes to: usage, allowances, tiers, fees and the agreed minimum."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from chappe.billing.closing.amounts import rounded, spelt
from chappe.billing.closing.close import WALLET, _booked
from chappe.billing.closing.lines import Agreed, Used, commitment_of, lines_of
from chappe.billing.closing.model import Invoice, Line, Party, Registered, totals
from chappe.billing.closing.months import Month, month_of, parse
from chappe.billing.closing.vat import Tax
from chappe.billing.rating.model import Allowance, Commitment, Conditions, Fee, Tier
from chappe.ids import Ids

OCTOBER = Month(2026, 10)
CENT = 10_000


def made(used: Sequence[Used], conditions: Conditions, *names: Registered, set_up: Sequence[Fee] = ()) -> list[Line]:
    lines = list(lines_of(used, Agreed(conditions, tuple(set_up)), names, OCTOBER, "EUR"))
    missing = commitment_of(lines, conditions, "EUR")
    return lines if missing is None else [*lines, missing]


def told(lines: Sequence[Line]) -> list[tuple[str, int, int]]:
    """(kind, quantity, cents) of what is no usage."""
    return [(one.kind, one.quantity, one.exact // CENT) for one in lines if one.kind != "usage"]


def fr(messages: int, cents: int, parts: int | None = None) -> Used:
    return Used("FR", "20801", "otp", messages, parts or messages, cents * CENT)


def be(messages: int, cents: int) -> Used:
    return Used("BE", "20601", "otp", messages, messages, cents * CENT)


def test_usage_is_a_line_for_each_country_operator_and_purpose_with_its_price() -> None:
    [one, two] = made([fr(100, 725), Used("ZZ", "", "marketing", 3, 9, 90_000)], Conditions())
    assert (one.text, one.quantity, one.unit, one.price) == (
        "Messages to France, Orange (20801), otp",
        100,
        "part",
        72_500,
    )
    assert (two.text, two.quantity, two.unit, two.price) == ("Messages to ZZ, marketing", 9, "part", 10_000)
    [by_message] = made([Used("FR", "", "otp", 10, 30, 100_000)], Conditions())
    assert (by_message.unit, by_message.price) == ("message", 10_000)


def test_the_first_messages_of_a_country_are_free_at_the_average_price() -> None:
    conditions = Conditions(allowances=(Allowance(messages=30, country="FR"),))
    assert told(made([fr(100, 1_000), be(10, 50)], conditions)) == [("allowance", 30, -300)]
    assert told(made([fr(20, 200)], conditions)) == [("allowance", 20, -200)]


def test_free_messages_of_all_countries_are_spread_over_those_without_their_own() -> None:
    conditions = Conditions(allowances=(Allowance(messages=50), Allowance(messages=10, country="BE")))
    lines = made([fr(60, 600), be(20, 400), Used("LU", "", "otp", 40, 40, 800 * CENT)], conditions)
    assert told(lines) == [("allowance", 10, -200), ("allowance", 30, -300), ("allowance", 20, -400)]


def test_a_tier_is_for_the_messages_within_it_or_for_all() -> None:
    tiers = (
        Tier(from_messages=100, discount_ppm=100_000),
        Tier(from_messages=300, discount_ppm=200_000),
        Tier(from_messages=1_000, discount_ppm=900_000),
    )
    usage = [fr(400, 4_000)]
    assert told(made(usage, Conditions(tiers=tiers))) == [("discount", 200, -200), ("discount", 100, -200)]
    assert told(made(usage, Conditions(tiers=tiers, tiering="whole"))) == [("discount", 400, -800)]
    assert told(made([fr(100, 1_000)], Conditions(tiers=tiers))) == []


def test_a_tier_may_be_another_price_a_part_and_makes_nothing_dearer() -> None:
    cheaper = Tier(from_messages=50, amount=8 * CENT, country="FR")
    dearer = Tier(from_messages=0, amount=50 * CENT, country="BE")
    lines = made([fr(100, 2_000, parts=200), be(10, 50)], Conditions(tiers=(cheaper, dearer)))
    assert told(lines) == [("discount", 50, -(1_000 - 100 * 8))]


def test_tiers_of_all_countries_leave_out_those_with_their_own_and_free_messages() -> None:
    conditions = Conditions(
        tiers=(Tier(from_messages=0, discount_ppm=500_000), Tier(from_messages=0, discount_ppm=100_000, country="BE")),
        allowances=(Allowance(messages=20, country="FR"),),
    )
    lines = made([fr(100, 1_000), be(10, 100)], conditions)
    assert told(lines) == [("allowance", 20, -200), ("discount", 80, -400), ("discount", 10, -10)]


def test_fees_are_those_of_the_month_and_of_each_registered_name() -> None:
    fees = (
        Fee(kind="monthly", amount=20_000_000, description="Platform"),
        Fee(kind="set_up", amount=99_000_000),
        Fee(kind="sender_name", amount=1_000_000),
        Fee(kind="sender_name", amount=2_000_000, country="FR"),
        Fee(kind="sender_name", amount=3_000_000, country="FR", operator="20801"),
    )
    names = (
        Registered("Acme", "FR", "20801", OCTOBER.starts),
        Registered("Acme", "FR", "20810", OCTOBER.starts),
        Registered("Acme", "ES", "", OCTOBER.starts, 25_000_000, 500_000),
        Registered("Acme", "PL", "", OCTOBER.starts - 1, 7_000_000, None),
    )
    lines = made([], Conditions(fees=fees), *names, set_up=fees[1:2])
    assert [(one.kind, one.exact // 1_000) for one in lines] == [
        ("monthly_fee", 20_000),
        ("set_up_fee", 99_000),
        ("sender_fee", 500),
        ("set_up_fee", 25_000),
        ("sender_fee", 3_000),
        ("sender_fee", 2_000),
        ("sender_fee", 1_000),
    ]
    assert lines[2].text == "Sender name Acme, Spain"


def test_a_month_comes_to_its_agreed_minimum() -> None:
    conditions = Conditions(
        commitments=(Commitment(amount=50 * 1_000_000),), tiers=(Tier(from_messages=0, discount_ppm=500_000),)
    )
    assert told(made([fr(100, 1_000)], conditions)) == [("discount", 100, -500), ("commitment", 1, 4_500)]
    assert told(made([fr(100, 20_000)], conditions)) == [("discount", 100, -10_000)]


counts = st.integers(0, 10**7)
usages = st.lists(
    st.builds(
        lambda place, messages, parts, charged: Used(*place, messages, messages + parts, charged),
        st.tuples(
            st.sampled_from(["FR", "BE", "DE"]), st.sampled_from(["20801", ""]), st.sampled_from(["otp", "service"])
        ),
        counts,
        counts,
        st.integers(0, 10**13),
    ),
    max_size=8,
    unique_by=lambda one: one[:3],
)
places = st.sampled_from(["", "FR", "BE"])
tiers = st.builds(Tier, country=places, from_messages=counts, discount_ppm=st.integers(0, 10**6)) | st.builds(
    Tier, country=places, from_messages=counts, amount=st.integers(0, 10**6)
)
conditions = st.builds(
    Conditions,
    tiering=st.sampled_from(["marginal", "whole"]),
    tiers=st.lists(tiers, max_size=4, unique_by=lambda one: (one.country, one.from_messages)).map(tuple),
    allowances=st.lists(
        st.builds(Allowance, country=places, messages=st.integers(1, 10**7)), max_size=3, unique_by=lambda a: a.country
    ).map(tuple),
)


@given(usages, conditions)
def test_lines_add_up_to_what_was_charged_less_what_is_given_and_nobody_is_paid(
    used: list[Used], agreed: Conditions
) -> None:
    lines = made(used, agreed)
    charged = sum(one.charged for one in used)
    given_ = sum(one.exact for one in lines if one.kind in ("allowance", "discount"))
    assert sum(one.exact for one in lines if one.kind == "usage") == charged
    assert sum(one.exact for one in lines) == charged + given_
    assert given_ <= 0
    # each rounding of an average may be off by a micro-unit
    assert charged + given_ >= -len(lines) * 2
    assert all(abs(one.amount - one.exact) <= CENT // 2 and one.amount % CENT == 0 for one in lines)
    free = sum(one.quantity for one in lines if one.kind == "allowance")
    assert free <= sum(one.messages for one in used)


@given(usages, conditions, st.integers(0, 10**9), st.sampled_from(["EUR", "JPY"]), st.integers(0, 300_000))
def test_what_is_booked_makes_the_books_say_what_the_paper_says(
    used: list[Used], agreed: Conditions, fee: int, currency: str, rate: int
) -> None:
    fees = (Fee(kind="monthly", amount=fee),)
    agreed = msgspec.structs.replace(agreed, fees=fees, commitments=(Commitment(amount=10**12),))
    lines = list(lines_of(used, Agreed(agreed), (), OCTOBER, currency))
    missing = commitment_of(lines, agreed, currency)
    whole = tuple([*lines, missing] if missing else lines)
    vat, charged = Tax("domestic", rate), sum(one.charged for one in used)
    exact, net, tax, gross = totals(whole, vat, currency)
    nobody = Party("", (), "FR")
    invoice = Invoice(
        *(1, "2026-000001", 1, 0, OCTOBER.code, currency, 0, None, nobody, nobody, whole),
        *(charged, exact, net, vat, tax, gross, "test"),
    )
    rt: Any = SimpleNamespace(ids=Ids())
    entries = _booked(rt, invoice)
    assert all(sum(entry[WALLET:-1]) == 0 for entry in entries)
    revenue, taxed = WALLET + 2, WALLET + 6
    assert charged + sum(entry[revenue] for entry in entries) == net
    assert sum(entry[taxed] for entry in entries) == tax
    assert sum(entry[WALLET] for entry in entries) == charged - gross
    assert exact >= 10**12


@given(st.integers(-(10**15), 10**15), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_amounts_are_rounded_to_the_smallest_unit_half_away_from_zero(micros: int, currency: str) -> None:
    step = {"EUR": 10_000, "JPY": 1_000_000, "KWD": 1_000}[currency]
    found = rounded(micros, currency)
    assert found % step == 0 and abs(found - micros) * 2 <= step
    assert rounded(-micros, currency) == -found
    assert Decimal(spelt(found, currency)) * 1_000_000 == found


def test_half_a_cent_is_a_cent() -> None:
    assert [rounded(micros, "EUR") for micros in (5_000, 4_999, -5_000, 15_000)] == [10_000, 0, -10_000, 20_000]
    assert [spelt(micros, "EUR") for micros in (1_234_500_000, -10_000)] == ["1234.50", "-0.01"]
    assert (spelt(12_000_000, "JPY"), spelt(12_005_000, "KWD")) == ("12", "12.005")


def test_months_are_those_of_the_calendar() -> None:
    assert parse("2026-02") == Month(2026, 2) and len(Month(2024, 2).days) == 29
    assert [parse(text) for text in ("2026-13", "2026-2", "1969-12", "2100-01", "x", "٢٠٢٦-١٠")] == [None] * 6
    december = Month(2026, 12)
    assert (december.next, str(december.last), december.code) == (Month(2027, 1), "2026-12-31", 202612)
    assert month_of(december.ends - 1) == december and month_of(december.ends) == december.next
