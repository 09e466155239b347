"""A card's rows: the most specific one counts, on its day, and none contradicts another; lists over lists."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chappe.billing.rating import contents
from chappe.billing.rating.model import FOREVER, Where
from chappe.billing.rating.rates import (
    Card,
    Rate,
    change_percent,
    charge,
    clashes,
    differences,
    key_of,
    overlaid,
    replaced,
    same_price,
)

SFR = Where("FR", "20810", "sms", "alphanumeric", "otp")


def amounts(*rates: Rate, where: Where = SFR, at: int = 100) -> int | None:
    found = Card(rates).find(where, at).rate
    return None if found is None else found.amount


def test_the_operator_comes_before_the_country_and_the_country_before_everywhere() -> None:
    anywhere, france = Rate(amount=1), Rate(country="FR", amount=2)
    sfr = Rate(country="FR", operator="20810", amount=3)
    assert amounts(anywhere) == 1 and amounts(anywhere, france) == 2 and amounts(sfr, anywhere, france) == 3
    assert amounts(sfr, france, where=SFR._replace(operator=None)) == 2
    assert amounts(sfr, france, where=SFR._replace(country="BE")) is None


def test_a_kind_of_sender_comes_before_a_purpose() -> None:
    rates = Rate(country="FR", amount=1), Rate(country="FR", purpose="otp", amount=2)
    assert amounts(*rates) == 2
    assert amounts(*rates, Rate(country="FR", sender_kind="alphanumeric", amount=3)) == 3
    assert amounts(*rates, where=SFR._replace(purpose="marketing")) == 1


def test_a_row_counts_on_its_days_and_a_less_specific_one_on_the_others() -> None:
    may = Rate(country="FR", operator="20810", amount=9, valid_from=50, valid_to=100)
    always = Rate(country="FR", amount=5)
    assert [amounts(may, always, at=at) for at in (49, 50, 99, 100)] == [5, 9, 9, 5]
    spans = [Card([may, always]).find(SFR, at)[1:] for at in (49, 50, 99, 100)]
    assert spans == [(0, 50), (50, 100), (50, 100), (100, FOREVER)]


def test_no_price_is_no_service_and_zero_is_free() -> None:
    assert charge(Rate(), 1) is None and charge(Rate(amount=0), 3) == 0
    assert charge(Rate(amount=7, roaming=2), 3, roaming=True) == 27
    assert charge(Rate(amount=7, roaming=2), 3) == 21
    assert charge(Rate(amount=7, roaming=2, per="message"), 3) == 7


def test_cost_plus_adds_for_the_message_and_a_share_that_is_rounded_up() -> None:
    assert charge(Rate(plus=20_000, per="message"), 2, cost=60_000) == 80_000
    assert charge(Rate(plus=20_000), 2, cost=60_000) == 100_000
    assert charge(Rate(percent_ppm=25_000), 1, cost=33) == 34
    assert charge(Rate(percent_ppm=25_000), 1) is None


def test_rows_that_count_at_the_same_time_are_told() -> None:
    rows = [
        Rate(amount=1, valid_to=10),
        Rate(amount=2, valid_from=10),
        Rate(amount=3, valid_from=9, valid_to=9),
        Rate(amount=3, plus=1, channel="mms"),
        Rate(amount=4, valid_from=30, valid_to=40),
    ]
    assert [(clash.row, clash.code, clash.other) for clash in clashes(rows)] == [
        (2, "rates_overlap", 0),
        (2, "validity_empty", None),
        (3, "price_contradictory", None),
        (4, "rates_overlap", 1),
    ]


def test_a_change_is_told_in_per_cent() -> None:
    assert change_percent(Rate(amount=70_000), Rate(amount=75_000)) == "7.14"
    assert change_percent(Rate(amount=75_000), Rate(amount=74_999)) == "0.00"
    assert change_percent(Rate(amount=4), Rate(amount=1)) == "-75.00"
    assert change_percent(Rate(amount=0), Rate(amount=1)) is None
    assert change_percent(Rate(amount=1), Rate(amount=1, per="message")) is None


wheres = st.builds(
    Where,
    st.sampled_from(["FR", "BE"]),
    st.sampled_from([None, "20810", "20601"]),
    st.just("sms"),
    st.sampled_from(["alphanumeric", "short_code"]),
    st.sampled_from(["otp", "marketing"]),
)
rates = st.builds(
    Rate,
    country=st.sampled_from(["", "FR", "BE"]),
    operator=st.sampled_from(["", "20810", "20601"]),
    sender_kind=st.sampled_from(["", "alphanumeric"]),
    purpose=st.sampled_from(["", "otp"]),
    amount=st.integers(0, 9),
    valid_from=st.integers(0, 5),
    valid_to=st.integers(6, 9),
)


@given(st.lists(rates), wheres, st.integers(0, 10))
def test_what_is_found_is_what_a_naive_reading_finds(rows: list[Rate], where: Where, at: int) -> None:
    def fits(rate: Rate) -> bool:
        return (
            rate.country in ("", where.country)
            and (not rate.operator or rate.operator == where.operator)
            and rate.sender_kind in ("", where.sender_kind)
            and rate.purpose in ("", where.purpose)
            and rate.valid_from <= at < rate.valid_to
        )

    def weight(rate: Rate) -> tuple[bool, bool, bool, bool]:
        return bool(rate.operator), bool(rate.country), bool(rate.sender_kind), bool(rate.purpose)

    card = Card(rows)
    found, since, until = card.find(where, at)
    fitting = [rate for rate in rows if fits(rate)]
    assert (found is None) == (not fitting)
    if found is not None:
        assert fits(found) and weight(found) == max(map(weight, fitting))
    assert since <= at < until
    assert all(card.find(where, moment).rate == found for moment in range(since, min(until, 11)))


@st.composite
def lists(draw: st.DrawFn) -> list[Rate]:
    """Rows of two destinations that do not contradict each other."""
    made = []
    for country in ("FR", "BE"):
        edges = sorted(draw(st.sets(st.integers(0, 12), max_size=6)))
        for since, until in list(pairwise(edges)):
            if draw(st.booleans()):
                made.append(Rate(country=country, amount=draw(st.integers(0, 3)), valid_from=since, valid_to=until))
    return made


def at_each_time(rows: list[Rate], country: str) -> list[int | None]:
    return [
        next((rate.amount for rate in rows if rate.country == country and rate.holds(at)), None) for at in range(13)
    ]


@given(lists(), lists())
def test_rows_over_others_count_where_they_are_and_the_others_elsewhere(old: list[Rate], new: list[Rate]) -> None:
    merged = overlaid(old, new)
    assert clashes(merged) == []
    for country in ("FR", "BE"):
        was, over = at_each_time(old, country), at_each_time(new, country)
        assert at_each_time(merged, country) == [w if o is None else o for w, o in zip(was, over, strict=True)]


@given(lists(), lists(), st.integers(0, 13))
def test_a_list_that_begins_on_a_day_leaves_the_days_before(old: list[Rate], new: list[Rate], since: int) -> None:
    after = replaced(old, new, since)
    assert clashes(after) == []
    for country in ("FR", "BE"):
        expected = at_each_time(old, country)[:since] + at_each_time(new, country)[since:]
        assert at_each_time(after, country) == expected


@given(lists(), lists())
def test_the_differences_of_two_lists_lead_from_one_to_the_other(old: list[Rate], new: list[Rate]) -> None:
    steps = differences(old, new)
    for country in ("FR", "BE"):
        now: list[int | None] = at_each_time(old, country)
        for step in steps:
            if step.key[1] == country:
                assert not same_price(step.old, step.new)
                for at in range(step.since, step.until):
                    assert now[at] == (step.old.amount if step.old else None)
                    now[at] = step.new.amount if step.new else None
        assert now == at_each_time(new, country)


@given(lists())
def test_a_list_comes_back_as_it_was_kept(rows: list[Rate]) -> None:
    assert sorted(contents.unpacked(contents.packed(rows)), key=lambda rate: (key_of(rate), rate.valid_from)) == sorted(
        rows, key=lambda rate: (key_of(rate), rate.valid_from)
    )
