from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chappe.channels.smpp.pace import UNLIMITED, Pace


def drain(pace: Pace, now: float, wanted: int = 10_000) -> int:
    taken = min(wanted, pace.room(now))
    pace.take(taken, now)
    return taken


def test_without_a_rate_there_is_no_limit() -> None:
    assert Pace(None, None, 0.0).room(0.0) == UNLIMITED


def test_the_burst_leaves_at_once_and_then_the_rate() -> None:
    pace = Pace(10.0, 3, 0.0)
    assert drain(pace, 0.0) == 3
    assert pace.room(0.05) == 0
    assert pace.wait(0.05) > 0
    assert drain(pace, 0.1001) == 1
    assert drain(pace, 100.0) == 3


@given(
    rate=st.floats(0.5, 500),
    burst=st.integers(1, 50),
    steps=st.lists(st.tuples(st.floats(0, 2), st.integers(0, 100)), max_size=50),
)
def test_no_span_of_time_sees_more_than_burst_and_rate(rate: float, burst: int, steps: list[tuple[float, int]]) -> None:
    pace = Pace(rate, burst, 0.0)
    now, sent = 0.0, 0
    for gap, wanted in steps:
        now += gap
        sent += drain(pace, now, wanted)
    assert sent <= burst + now * rate + 1e-6


def test_waiting_as_long_as_told_gives_room() -> None:
    pace = Pace(1000.0, 1000, 0.0)
    drain(pace, 0.0)
    wait = pace.wait(0.0)
    assert pace.room(wait + 1e-9) >= 9, "woken for a batch, not for every token"


def test_a_throttled_supplier_gets_a_pause_that_doubles() -> None:
    pace = Pace(100.0, None, 0.0)
    now = 0.0
    for pause in (0.5, 1.0, 2.0, 4.0, 4.0):
        pace.throttled(now, now, 0.5, 4.0)
        assert pace.room(now + pause - 0.01) == 0
        assert pace.wait(now) == pause
        now += pause + 1.1
        assert pace.room(now) >= 1


def test_the_rest_of_a_throttled_window_counts_once() -> None:
    pace = Pace(100.0, None, 0.0)
    pace.throttled(1.0, 0.5, 0.5, 30.0)
    limit = pace.limit
    for late in (1.0, 1.2, 5.0):
        pace.throttled(late, 0.9, 0.5, 30.0)
    assert pace.wait(1.0) == 0.5
    assert pace.limit == limit


def test_after_throttling_the_rate_halves_and_comes_back_by_a_tenth_a_second() -> None:
    pace = Pace(100.0, None, 0.0)
    for tenth in range(11):
        pace.take(10, tenth / 10)  # 100 a second
    pace.throttled(1.0, 1.0, 0.5, 30.0)
    assert pace.limit is not None
    assert 50 <= pace.limit <= 55
    assert pace.slowed
    seen = [pace.limit]
    now = 1.5
    while pace.slowed:
        now += 1.0
        pace.accepted(now, now)
        seen.append(pace.limit)
    assert seen == sorted(seen)
    assert seen[-1] == 100.0
    assert 5 <= len(seen) <= 12


def test_a_connector_without_a_rate_finds_one_and_forgets_it_again() -> None:
    pace = Pace(None, None, 0.0)
    pace.take(400, 0.5)
    pace.throttled(0.6, 0.6, 0.5, 30.0)
    assert pace.limit == 200.0
    assert pace.room(0.7) == 0
    now = 1.2
    while pace.slowed and now < 100:
        now += 1.0
        pace.accepted(now, now)
    assert pace.limit is None
    assert 10 < now < 40


def test_congestion_slows_down_a_little_and_not_with_every_answer() -> None:
    pace = Pace(100.0, None, 0.0)
    for tenth in range(21):
        drain(pace, tenth / 10, 10)
    for _ in range(50):
        pace.congested(2.0)
    assert pace.limit is not None
    assert 85 <= pace.limit < 100
    assert pace.wait(2.0) < 0.1, "no pause"


@given(
    rate=st.floats(0.05, 500),
    burst=st.integers(1, 50),
    nodes=st.integers(1, 6),
    steps=st.lists(st.tuples(st.floats(0, 5), st.integers(0, 5), st.integers(0, 60)), max_size=60),
)
def test_the_shares_of_all_nodes_together_keep_to_the_rate(
    rate: float, burst: int, nodes: int, steps: list[tuple[float, int, int]]
) -> None:
    paces = [Pace(rate, burst, 0.0) for _ in range(nodes)]
    for pace in paces:
        pace.share(1 / nodes, 0.0)
        pace.empty()
    now, sent = 0.0, 0
    for gap, which, wanted in steps:
        now += gap
        sent += drain(paces[which % nodes], now, wanted)
    assert sent <= max(burst, nodes) + now * rate + 1e-6


@given(shares=st.lists(st.integers(1, 8), min_size=1, max_size=30))
def test_a_share_that_changes_is_never_more_than_itself(shares: list[int]) -> None:
    pace = Pace(80.0, 8, 0.0)
    drain(pace, 0.0)
    now, allowed, sent = 0.0, 8.0, 0
    for share in shares:
        pace.share(share / 8, now)
        assert pace.limit == 10.0 * share and not pace.slowed
        now += 1.0
        allowed += 10.0 * share
        sent += drain(pace, now)
    assert sent <= allowed


def test_a_share_of_a_throttled_rate_is_a_share_of_what_is_let_through() -> None:
    pace = Pace(100.0, None, 0.0)
    for tenth in range(11):
        pace.take(10, tenth / 10)
    pace.throttled(1.0, 1.0, 0.5, 30.0)
    slowed = pace.limit
    assert slowed is not None
    pace.share(0.5, 2.0)
    assert pace.limit == slowed / 2 and pace.slowed
    pace.share(1.0, 2.0)
    assert pace.limit == slowed


def test_a_rate_below_one_a_second_is_kept_also_when_throttled() -> None:
    pace = Pace(0.2, None, 0.0)
    assert drain(pace, 0.0) == 1
    assert pace.wait(0.0) == 5.0
    assert drain(pace, 4.9) == 0
    assert drain(pace, 5.001) == 1
    pace.throttled(5.1, 5.0, 0.5, 30.0)
    assert pace.limit is not None and pace.limit <= 0.2
    pace.share(0.5, 6.0)
    assert pace.limit <= 0.1
    assert drain(pace, 100.0) == 1


def test_without_a_rate_a_share_is_no_limit() -> None:
    pace = Pace(None, None, 0.0)
    pace.share(0.25, 0.0)
    assert pace.room(0.0) == UNLIMITED
