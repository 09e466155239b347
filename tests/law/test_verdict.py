"""May a message go now, when may it, or never?"""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe import law, numbers
from chappe.law import Adjustment, Barred, Book, Now, Own, Verdicts, Wait

PARIS = ("Europe/Paris",)
NEW_YORK = ("America/New_York",)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def ask(country: str, zones: tuple[str, ...], text: str, purpose: str = "marketing", **more: object) -> str | None:
    """None for now, the time of waiting as it is written in `text`'s offset, or the name of the barring rule."""
    found = law.verdict(country, purpose, zones, at(text), **more)  # type: ignore[arg-type]
    if isinstance(found, Now):
        return None
    if isinstance(found, Barred):
        return found.rule.name
    return datetime.fromtimestamp(found.until / 1000, datetime.fromisoformat(text).tzinfo).isoformat("T", "minutes")


def own(kind: str, value: str, country: str | None = "FR", **more: object) -> Adjustment:
    fields = {"purpose": "any", "reason": "", "by_operator": False, "created_at": 0, "account_id": 1} | more
    return Adjustment(id=abs(hash(value)), kind=kind, value=value, country=country, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "until"),
    [
        ("2026-12-24T21:29:59+01:00", None),
        ("2026-12-24T21:30:00+01:00", "2026-12-26T08:00+01:00"),  # over Christmas
        ("2026-12-25T21:45:00+01:00", "2026-12-26T08:00+01:00"),
        ("2026-12-26T22:00:00+01:00", "2026-12-28T08:00+01:00"),  # over a Sunday
        ("2026-12-31T21:45:00+01:00", "2027-01-02T08:00+01:00"),
        ("2025-12-31T21:45:00+01:00", None),  # the charter of before
        ("2026-03-28T22:00:00+01:00", "2026-03-30T07:00+01:00"),  # clocks go forward on that Sunday
    ],
)
def test_marketing_to_france_waits_for_the_next_working_day(asked: str, until: str | None) -> None:
    assert ask("FR", PARIS, asked) == until


def test_one_time_passwords_go_at_any_hour() -> None:
    for country in law.all_rules():
        assert ask(country, (), "2026-12-25T03:00:00+00:00", "otp") is None, country


def test_a_minute_is_legal_only_in_all_zones_and_regions_where_somebody_may_live() -> None:
    evening = "2026-11-23T20:30:00-05:00"
    assert ask("US", NEW_YORK, evening, region="TX") is None
    assert ask("US", NEW_YORK, evening, region="FL") == "2026-11-24T08:00-05:00"
    assert ask("US", NEW_YORK, evening) == "2026-11-24T08:00-05:00", "it may be Florida"
    anywhere = ("America/New_York", "America/Los_Angeles")
    assert ask("US", anywhere, "2026-11-23T08:30:00-05:00", region="TX") == "2026-11-23T11:00-05:00"
    assert ask("US", anywhere, "2026-11-23T21:00:00-05:00", region="TX") == "2026-11-24T11:00-05:00"
    far = law.verdict("US", "marketing", (), at(evening))
    assert isinstance(far, Wait), "all zones of the country"
    for zone in law.zones_of("US"):
        assert isinstance(law.verdict("US", "marketing", (zone,), far.until), Now), zone
    assert isinstance(law.verdict("US", "marketing", (), far.until - 60_000), Wait)


def test_what_is_not_sure_warns_and_does_not_block() -> None:
    found = law.verdict("TR", "marketing", ("Europe/Istanbul",), at("2026-11-23T23:00:00+03:00"))
    assert isinstance(found, Now)
    assert [warned.rule.name for warned in found.warnings if warned.rule] == ["TR.hours.marketing.operators"]
    advised = law.verdict("DE", "marketing", ("Europe/Berlin",), at("2026-11-23T23:00:00+01:00"))
    assert isinstance(advised, Now) and "advised" in advised.warnings[0].message
    assert law.verdict("DE", "marketing", ("Europe/Berlin",), at("2026-11-23T12:00:00+01:00")) == Now()


def test_a_holiday_of_a_part_of_the_country_is_told_and_holds_where_the_region_is_known() -> None:
    asked = "2026-12-26T10:00:00+01:00"
    found = law.verdict("FR", "marketing", PARIS, at(asked))
    assert isinstance(found, Now) and "in a part of FR" in found.warnings[0].message
    assert ask("FR", PARIS, asked, region="67") == "2026-12-28T08:00+01:00"
    assert law.verdict("FR", "marketing", PARIS, at(asked), region="75") == Now()


def test_an_account_tightens_and_only_the_operator_waives() -> None:
    tight = Own([own("hours", "Mo-Fr 10:00-12:00")])
    assert ask("FR", PARIS, "2026-11-23T09:00:00+01:00", own=tight) == "2026-11-23T10:00+01:00"
    assert ask("FR", PARIS, "2026-11-23T09:00:00+01:00", "otp", own=tight) == "2026-11-23T10:00+01:00"
    longer = Own([own("hours", "00:00-24:00", None)])
    assert ask("FR", PARIS, "2026-11-23T22:00:00+01:00", own=longer) == "2026-11-24T08:00+01:00", "it cannot loosen"
    sunday = "2026-11-22T12:00:00+01:00"
    assert ask("FR", PARIS, sunday) == "2026-11-23T08:00+01:00"
    waived = Own([own("waiver", "FR.hours.marketing.suppliers", by_operator=True)])
    assert ask("FR", PARIS, sunday, own=waived) is None
    assert ask("FR", PARIS, "2026-11-22T21:30:00+01:00", own=waived) == "2026-11-23T08:00+01:00"
    book = Book([own("hours", "Mo off", account_id=None), own("word", "free", "BE", account_id=1)])
    assert (len(book.own(1).rules("FR")), len(book.own(1).rules("BE")), len(book.own(2).rules("BE"))) == (1, 1, 0)


def test_where_no_minute_is_legal_it_says_so_instead_of_looking_for_ever() -> None:
    sundays = Own([own("hours", "Su 10:00-12:00")])
    found = law.verdict("FR", "marketing", PARIS, at("2026-11-23T12:00:00+01:00"), own=sundays)
    assert isinstance(found, Barred)
    assert "62 days" in found.message and "Europe/Paris" in found.message


def test_a_verdict_is_remembered_for_its_minute_and_not_longer() -> None:
    verdicts = Verdicts(most=3)
    noon = at("2026-11-23T12:00:00+01:00")
    first = verdicts("FR", "marketing", PARIS, noon)
    assert verdicts("FR", "marketing", PARIS, noon + 59_999) is first
    tight = Own([own("hours", "Tu-Su 00:00-24:00")])
    assert isinstance(verdicts("FR", "marketing", PARIS, noon, None, tight), Wait)
    late = at("2026-11-23T21:29:59+01:00")
    assert [type(verdicts("FR", "marketing", PARIS, late + more)) for more in (0, 1_000)] == [Now, Wait]
    assert type(verdicts("FR", "otp", PARIS, late + 1_000)) is Now
    assert len(verdicts) == 3


@given(st.lists(st.integers(0, 200), max_size=12), st.integers(0, 200), st.integers(1, 4), st.integers(1, 48))
def test_a_cap_frees_the_first_moment_at_which_counting_again_allows_one_more(
    hours: list[int], now: int, most: int, period: int
) -> None:
    hour = 3_600_000
    cap = law.Cap(most, period * hour)
    found = law.free_at(cap, [one * hour for one in hours], now * hour)
    free = next(t for t in range(now, 400) if sum(one > t - period for one in hours) < most)
    assert found == free * hour


def test_the_fourth_advertisement_of_a_day_waits_in_vietnam() -> None:
    noon = at("2026-11-23T12:00:00+07:00")
    earlier = [noon - 1_000, noon - 3_600_000, noon - 7_200_000]
    found = law.frequency("VN", "marketing", earlier, noon)
    assert isinstance(found, Wait) and found.until == noon - 7_200_000 + 86_400_000
    assert found.rule.name == "VN.cap.3/24h.marketing.law@2020-10-01"
    assert law.frequency("VN", "marketing", earlier[1:], noon) == Now()
    assert law.frequency("VN", "otp", earlier, noon) == law.frequency("FR", "marketing", earlier, noon) == Now()
    tight = Own([own("cap", "1/30d", None)])
    weeks = law.frequency("FR", "marketing", [noon - 86_400_000], noon, own=tight)
    assert isinstance(weeks, Wait) and weeks.until == noon + 29 * 86_400_000


def test_the_zones_of_a_number_are_those_of_its_beginning() -> None:
    for text in ("+33612345678", "+12125550123", "+18005550123", "+79161234567", "+61412345678", "+442071234567"):
        number = numbers.parse(text)
        assert law.zones(number) == numbers.time_zones(number), text
    assert law.zones(numbers.parse("+12125550123")) == NEW_YORK
    assert len(law.zones(numbers.parse("+79161234567"))) > 5
