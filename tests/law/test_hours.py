"""Hours and the next legal minute, against a naive reading of every minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chappe.law import Clause, next_legal, parse
from chappe.law.hours import DAY, HORIZON_DAYS, date_of, day_number

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
ZONES = (
    "Europe/Paris",
    "America/New_York",
    "America/Adak",
    "Australia/Lord_Howe",  # half an hour
    "Africa/Cairo",  # clocks change at midnight: a day begins late, another one twice
    "America/Santiago",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "UTC",
)
# around the changes of clocks of these zones, and a turn of the year
MOMENTS = (
    "2026-03-07", "2026-03-28", "2026-04-04", "2026-04-23", "2026-09-05", "2026-10-03", "2026-10-24", "2026-10-29",
    "2026-10-31", "2026-12-31", "2027-04-03", "2028-02-28",
)  # fmt: skip
Plan = Mapping[str, tuple[tuple[int, int], ...]]  # by day's name, PH too


def minute_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // 60


def written(plan: Plan) -> str:
    def clock(minute: int) -> str:
        return f"{minute // 60:02d}:{minute % 60:02d}"

    def times(spans: tuple[tuple[int, int], ...]) -> str:
        return ",".join(f"{clock(start)}-{clock(end)}" for start, end in spans) or "off"

    return "; ".join(f"{day} {times(spans)}" for day, spans in plan.items())


def naively_legal(plan: Plan, zone: str, days_off: frozenset[date], minute: int) -> bool:
    local = datetime.fromtimestamp(minute * 60, ZoneInfo(zone))
    name = "PH" if "PH" in plan and local.date() in days_off else DAYS[local.weekday()]
    now = local.hour * 60 + local.minute
    return any(start <= now < end for start, end in plan.get(name, ()))


def clause(plan: Plan, zone: str, days_off: frozenset[date]) -> Clause:
    return Clause(parse(written(plan)), zone, -DAY, 10**6, lambda day: date_of(day) in days_off)


@st.composite
def spans(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    edges = sorted(draw(st.sets(st.integers(0, DAY), max_size=4)))
    return tuple(zip(edges[::2], edges[1::2], strict=False))


PLANS = st.dictionaries(st.sampled_from((*DAYS, "PH")), spans(), min_size=1)
SETS = st.lists(st.tuples(PLANS, st.sampled_from(ZONES)), min_size=1, max_size=3)
FREE = st.frozensets(st.integers(0, 40), max_size=5)


@settings(max_examples=150)
@given(SETS, st.sampled_from(MOMENTS), st.integers(0, 2 * DAY), FREE)
@example([({"Fr": ((0, 30),)}, "Africa/Cairo")], "2026-04-23", 0, frozenset())
@example([({"Th": ((1380, 1440),), "Fr": ((0, 60),)}, "Africa/Cairo")], "2026-10-29", 1_200, frozenset())
@example([({"Su": ((125, 130),)}, "Australia/Lord_Howe")], "2026-10-03", 0, frozenset())
@example([({"Su": ((150, 160),)}, "Europe/Paris")], "2026-03-28", 0, frozenset())
@example([({"Su": ((150, 160),)}, "Europe/Paris")], "2026-10-24", 60 + DAY, frozenset())
def test_the_next_legal_minute_is_the_one_that_looking_at_every_minute_finds(
    sets: list[tuple[Plan, str]], day: str, more: int, free: frozenset[int]
) -> None:
    start = minute_of(f"{day}T00:00:00+00:00") + more
    days_off = frozenset(date_of(day_number(date.fromisoformat(day)) + number) for number in free)
    found = next_legal([clause(plan, zone, days_off) for plan, zone in sets], start)
    last = start + HORIZON_DAYS * DAY if found is None else found
    step = 7 if found is None else 1  # where nothing is found, every seventh of 89,000 minutes must do
    for minute in range(start, last, step):
        legal = all(naively_legal(plan, zone, days_off, minute) for plan, zone in sets)
        assert not legal, f"{datetime.fromtimestamp(minute * 60, UTC)} is legal, found {found}"
    if found is not None:
        assert all(naively_legal(plan, zone, days_off, found) for plan, zone in sets)


@settings(max_examples=300)
@given(PLANS, st.sampled_from(ZONES), st.sampled_from(MOMENTS), st.integers(0, 3 * DAY), FREE)
def test_a_minute_is_legal_as_the_wall_clock_shows_it(
    plan: Plan, zone: str, day: str, more: int, free: frozenset[int]
) -> None:
    minute = minute_of(f"{day}T00:00:00+00:00") + more
    days_off = frozenset(date_of(day_number(date.fromisoformat(day)) + number) for number in free)
    assert clause(plan, zone, days_off).legal(minute) == naively_legal(plan, zone, days_off, minute)


def test_rules_begin_and_end_with_a_local_day() -> None:
    def never(_: int) -> bool:
        return False

    first, last = day_number(date(2026, 1, 1)), day_number(date(2026, 1, 2))
    shut = Clause(parse("Mo-Su off"), "Europe/Paris", first, last, never)
    begins, ends = minute_of("2026-01-01T00:00+01:00"), minute_of("2026-01-03T00:00+01:00")
    assert [shut.legal(minute) for minute in (begins - 1, begins, ends - 1, ends)] == [True, False, False, True]
    assert next_legal([shut], begins) == ends


@pytest.mark.parametrize(
    "text",
    ["", "off", "08:00", "Mo-Fr", "Xx 08:00-20:00", "Mo 20:00-08:00", "08:00-25:00", "Mo 08:00-24:01",
     "Mo 10:00-12:00,11:00-13:00", "PH-Su off", "Mo 8:00-20:00", "Mo 08:00-08:00", "Mo,,Tu off"],
)  # fmt: skip
def test_hours_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|names no|does not rise|begins and ends"):
        parse(text)


def test_days_are_named_in_ranges_that_may_go_over_the_weekend() -> None:
    hours = parse("Fr-Mo 10:00-12:00; Su,PH off")
    opened: Callable[[int], bool] = lambda day: bool(hours.week[day])  # noqa: E731
    assert [opened(day) for day in range(7)] == [True, False, False, False, True, True, False]
    assert (hours.holidays, parse("00:00-24:00").holidays) == ((), None)
