from __future__ import annotations

from email.utils import formatdate
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.events import MessageUpdated
from chappe.webhooks import payload
from chappe.webhooks.lane import LONGEST_PAUSE_S, MOST_IN_HAND, PATIENCE, WIDTH, Lane
from chappe.webhooks.model import (
    EXCERPT,
    KEEP_MS,
    TYPE_OF_STATE,
    Health,
    Pending,
    State,
    callback_target,
    excerpt,
    judge,
    retry_after,
)

NOW = 1_800_000_000_000
DAY_MS = 86_400_000


def life(chance: float, retry_after_s: float | None = None) -> list[int]:
    """When a delivery that always fails is tried, in ms after its event."""
    now, tries, times = NOW, 1, [0]
    while True:
        verdict = judge(500, tries=tries, created_at=NOW, now=now, chance=chance, retry_after_s=retry_after_s)
        if verdict.state is not State.PENDING:
            assert verdict.state is State.FAILED
            return times
        assert verdict.due_at > now
        now, tries = verdict.due_at, tries + 1
        times.append(now - NOW)


def test_a_failing_delivery_is_tried_for_three_days_with_growing_pauses() -> None:
    times = life(0.5)
    assert [b - a for a, b in pairwise(times[:7])] == [seconds * 1000 for seconds in (5, 30, 120, 600, 3_600, 10_800)]
    assert {b - a for a, b in pairwise(times[6:])} == {6 * 3_600_000}
    assert KEEP_MS - 6 * 3_600_000 < times[-1] <= KEEP_MS


@given(chance=st.floats(0, 1, exclude_max=True), asked=st.none() | st.floats(0, 1e12))
def test_every_life_ends_and_stays_within_its_days(chance: float, asked: float | None) -> None:
    times = life(chance, asked)
    assert len(times) < 30
    assert times[-1] <= KEEP_MS
    if asked and asked <= 3_600:
        assert all(b - a >= round(asked * 1000) - 1 for a, b in pairwise(times))


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_a_delivery(status: int) -> None:
    assert judge(status, tries=1, created_at=NOW, now=NOW, chance=0).state is State.DELIVERED


@pytest.mark.parametrize("status", [None, 100, 301, 302, 400, 404, 410, 429, 500])
def test_anything_else_comes_again(status: int | None) -> None:
    assert judge(status, tries=1, created_at=NOW, now=NOW, chance=0).state is State.PENDING


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    assert retry_after("120", NOW) == 120
    assert retry_after(formatdate(NOW / 1000 + 90, usegmt=True), NOW) == 90
    assert retry_after(formatdate(NOW / 1000 - 90, usegmt=True), NOW) == 0
    for nonsense in (None, "", "soon", "-5", "1.5", "٣"):
        assert retry_after(nonsense, NOW) is None


@given(text=st.text())
def test_no_retry_after_header_breaks_us(text: str) -> None:
    found = retry_after(text, NOW)
    assert found is None or found >= 0


def test_callbacks_to_one_host_share_a_queue_that_is_no_endpoints_and_no_other_accounts() -> None:
    target = callback_target(7, "https://a.example/one?x=1")
    assert target == callback_target(7, "https://a.example/two")
    assert -(1 << 63) <= target < 0
    others = {callback_target(8, "https://a.example/one"), callback_target(7, "https://b.example/one")}
    assert target not in others
    assert len(others) == 2


@given(body=st.binary(max_size=3_000))
def test_an_excerpt_of_an_answer_fits_every_store(body: bytes) -> None:
    kept = excerpt(body)
    assert "\0" not in kept
    assert len(kept) <= EXCERPT
    kept.encode()


def test_only_states_that_the_request_did_not_tell_are_events() -> None:
    assert sorted(TYPE_OF_STATE) == [
        "canceled",
        "delivered",
        "expired",
        "failed",
        "read",
        "sent",
        "unconfirmed",
        "undelivered",
    ]


def test_an_endpoint_is_dead_after_a_day_and_ten_failures_without_a_success() -> None:
    assert Health(1, 10, NOW - DAY_MS, None, NOW, "timeout").dead(NOW)
    assert not Health(1, 9, NOW - DAY_MS, None, NOW, "timeout").dead(NOW)
    assert not Health(1, 500, NOW - DAY_MS + 1, None, NOW, "timeout").dead(NOW)
    assert not Health(1, 0, None, NOW, NOW, None).dead(NOW)


def test_the_error_of_a_message_is_completed_from_the_catalogue() -> None:
    news = MessageUpdated(
        account_id=1,
        occurred_at=NOW,
        message_id=2,
        state="undelivered",
        sequence=6,
        to="+33612345678",
        created_at=NOW,
        error={"code": "unknown_subscriber", "supplier": "001"},
    )
    error = payload.message(news).error
    assert error is not None
    assert (error["group"], error["permanent"], error["supplier"]) == ("subscriber", True, "001")
    assert payload.error({"code": "brand_new", "permanent": True})["group"] == "unknown"  # type: ignore[index]


# -- lanes ----------------------------------------------------------------------------------------------------------


def test_failures_narrow_a_lane_and_then_park_it_for_longer_and_longer() -> None:
    lane, now, pauses = Lane(1), 100.0, []
    for _ in range(12):
        lane.failed(now)
        pauses.append(max(0.0, lane.parked_until - now))
        now = max(now, lane.parked_until)
    assert lane.width == 1
    assert pauses[:PATIENCE] == [0, 0, 1]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


def test_many_failures_of_one_moment_count_once() -> None:
    lane = Lane(1)
    for _ in range(WIDTH):
        lane.failed(100.0)
    assert lane.parked_until == 101.0


def test_a_success_forgives() -> None:
    lane = Lane(1)
    for _ in range(10):
        lane.failed(lane.parked_until)
    for _ in range(5):
        lane.succeeded(0.01)
    assert (lane.width, lane.streak) == (WIDTH, 0)


def test_a_lane_is_parked_as_long_as_its_server_asks_within_an_hour() -> None:
    lane = Lane(1)
    lane.failed(100.0, 20.0)
    assert lane.parked(119.9)
    assert not lane.parked(120.0)
    lane.failed(200.0, 1e9)
    assert not lane.parked(200.0 + 3_600)


def test_a_slow_lane_takes_less_in_hand_than_a_quick_one_and_a_failing_one_a_probe() -> None:
    slow, quick, failing = Lane(1), Lane(2), Lane(3)
    for _ in range(100):
        slow.succeeded(8.0)
        quick.succeeded(0.002)
        failing.failed(failing.parked_until)
    assert quick.room() == MOST_IN_HAND
    assert WIDTH < slow.room() < 2 * WIDTH
    assert failing.room() == 1
    failing.queue.append(Pending(1, 1, 1, 1, 1, "message.sent", None, "{}", NOW))
    assert failing.room() == 0
