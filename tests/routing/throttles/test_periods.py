"""Hours and days end where the clocks of their zone say so, also on days of 23 and 25 hours."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.routing.throttles.periods import end_of

ZONES = (
    *("UTC", "Europe/Paris", "America/Los_Angeles", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("Africa/Cairo", "America/Sao_Paulo", "Atlantic/Azores", "Pacific/Apia", "America/Havana"),
)
moments = st.integers(1_262_304_000_000, 2_000_000_000_000)  # 2010 to 2033


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("per", "zone", "moment", "end"),
    [
        ("day", "UTC", "2026-11-22T23:59:59.999+00:00", "2026-11-23T00:00:00+00:00"),
        ("day", "UTC", "2026-11-23T00:00:00+00:00", "2026-11-24T00:00:00+00:00"),
        ("day", "America/Los_Angeles", "2026-11-22T07:59:00+00:00", "2026-11-22T08:00:00+00:00"),
        ("day", "Europe/Paris", "2026-10-25T00:30:00+02:00", "2026-10-26T00:00:00+01:00"),  # 25 hours
        ("day", "Europe/Paris", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),  # 23 hours
        ("hour", "UTC", "2026-11-22T10:59:59+00:00", "2026-11-22T11:00:00+00:00"),
        ("hour", "Asia/Kolkata", "2026-11-22T10:10:00+00:00", "2026-11-22T10:30:00+00:00"),
    ],
)
def test_a_period_ends_by_the_clock_of_its_zone(per: str, zone: str, moment: str, end: str) -> None:
    assert end_of(per, zone, at(moment)) == at(end)


@given(st.sampled_from(("hour", "day")), st.sampled_from(ZONES), moments)
def test_periods_follow_each_other_without_a_gap(per: str, zone: str, moment: int) -> None:
    end = end_of(per, zone, moment)
    longest_h = {"hour": 1, "day": 26}[per]
    assert moment < end <= moment + longest_h * 3_600_000
    assert end_of(per, zone, end - 1) == end < end_of(per, zone, end)
    if per == "day":
        before, after = (datetime.fromtimestamp(t / 1000, UTC).astimezone(ZoneInfo(zone)) for t in (end - 1, end))
        assert before.date() < after.date()
