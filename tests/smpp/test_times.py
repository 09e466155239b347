from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp import times


def _ms(*parts: int) -> int:
    return times.to_ms(datetime(*parts, tzinfo=UTC))  # type: ignore[misc,arg-type]


NOW = _ms(2024, 1, 31, 12, 0, 0)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", None),
        ("241231235959900+", _ms(2024, 12, 31, 23, 59, 59, 900_000)),
        ("240601120000008+", _ms(2024, 6, 1, 10, 0)),  # two hours ahead of UTC
        ("240601120000020-", _ms(2024, 6, 1, 17, 0)),  # five hours behind
        ("240601120000023+", _ms(2024, 6, 1, 6, 15)),  # Nepal, 5:45
        ("000001000000000R", NOW + 86_400_000),
        ("000000001000000R", NOW + 10 * 60_000),
        ("000100000000000R", _ms(2024, 2, 29, 12, 0)),  # the 31st of February is its last day
        ("010000000000000R", _ms(2025, 1, 31, 12, 0)),
    ],
)
def test_a_time_means_an_instant(text: str, at: int | None) -> None:
    assert times.parse(text, NOW) == at


@pytest.mark.parametrize(
    "text", ["2406011200", "241331235959900+", "240601120000049+", "240601120000000Z", "24060112000000٠+", "x"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        times.parse(text, NOW)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))
def test_an_absolute_time_is_read_as_it_was_written(at: datetime) -> None:
    at_ms = times.to_ms(at.replace(tzinfo=UTC))
    text = times.format_absolute(at_ms)
    assert len(text) == 16
    assert times.parse(text, NOW) == at_ms // 100 * 100


@given(st.integers(0, 31 * 86_400_000))
def test_a_relative_time_is_read_as_it_was_written(duration_ms: int) -> None:
    text = times.format_relative(duration_ms)
    assert len(text) == 16
    assert times.parse(text, NOW) == NOW + -(-duration_ms // 1000) * 1000


def test_a_relative_time_of_months_is_refused() -> None:
    with pytest.raises(ValueError):
        times.format_relative(32 * 86_400_000)
