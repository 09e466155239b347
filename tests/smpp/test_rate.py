from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp.rate import Bucket


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=10, burst=3, now=0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait(0) == pytest.approx(0.1)
    assert not bucket.take(0.05)
    assert bucket.take(0.11)


def test_a_bucket_gives_what_it_has_of_a_batch() -> None:
    bucket = Bucket(rate=10, burst=5, now=0)
    assert bucket.take_up_to(3, 0) == 3
    assert bucket.take_up_to(10, 0) == 2
    assert bucket.take_up_to(10, 0.25) == 2


def test_a_drained_bucket_starts_from_nothing() -> None:
    bucket = Bucket(rate=10, burst=5, now=0)
    bucket.drain(0)
    assert not bucket.take(0)
    assert bucket.take(0.1)


@given(st.lists(st.floats(0, 1), max_size=200))
def test_never_more_than_burst_and_rate_permit(pauses: list[float]) -> None:
    bucket, now, taken = Bucket(rate=7, burst=3, now=0), 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now)
    assert taken <= 3 + 7 * now + 1e-6


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_bucket_without_rate_or_burst_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError):
        Bucket(rate, burst, 0)
