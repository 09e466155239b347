"""The figures under route quality: the Beta distribution, delays, counts that age."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.routing.quality import beta, delays, rows
from chappe.routing.quality.evidence import Evidence
from chappe.routing.quality.model import DELIVERED, FAILED, LIVE, REFUSED, SENT, WEEK, country_of, percent
from chappe.routing.quality.tally import SLOT_MS, Cell, Tally, merged, scales

NOW = 1_800_000_000_000
HALF = 7_200_000


def binomial(n: int, d: int, p: float) -> float:
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(d + 1))


# -- beta -----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.data(), st.floats(0.02, 0.98))
def test_the_lower_tail_is_that_of_the_binomial_distribution(n: int, data: st.DataObject, p: float) -> None:
    d = data.draw(st.integers(0, n))
    assert beta.chance_of_so_few(n, d, p) == pytest.approx(binomial(n, d, p), rel=1e-6, abs=1e-12)


@given(st.floats(1, 900), st.floats(1, 900), st.floats(0.001, 0.999))
def test_a_quantile_is_where_the_distribution_reaches_it(a: float, b: float, p: float) -> None:
    assert beta.cdf(beta.quantile(p, a, b), a, b) == pytest.approx(p, abs=1e-3)


def test_known_values_of_the_distribution() -> None:
    assert beta.cdf(0.3, 1, 1) == pytest.approx(0.3)
    assert beta.cdf(0.5, 7, 7) == pytest.approx(0.5)
    assert beta.quantile(0.05, 1, 1) == pytest.approx(0.05, abs=1e-5)
    assert beta.quantile(0.05, 20, 1) == pytest.approx(0.05 ** (1 / 20), abs=1e-5)


@given(st.floats(2, 20_000), st.floats(2, 20_000), st.floats(0.02, 0.98))
def test_the_rough_quantile_is_near_the_true_one(a: float, b: float, p: float) -> None:
    spread = math.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))
    assert abs(beta.rough(beta.normal(p), a, b) - beta.quantile(p, a, b)) < 0.15 * spread + 1e-6


def test_a_gap_that_chance_explains_is_told_from_one_that_it_does_not() -> None:
    assert beta.chance_of_gap(48, 100, 50, 100) > 0.1
    assert beta.chance_of_gap(10, 100, 50, 100) < 1e-6
    assert beta.chance_of_gap(0, 0, 5, 10) == 1.0 == beta.chance_of_gap(5, 5, 7, 7)


# -- delays ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**34))
def test_a_delay_lies_in_its_bucket(ms: int) -> None:
    index = delays.bucket(ms)
    assert index <= delays.LAST
    assert delays.begin(index) <= max(ms, 8)
    if index < delays.LAST:
        assert max(ms, 8) < delays.begin(index + 1) <= delays.begin(index) * 1.26


@given(st.lists(st.integers(8, 10_000_000), min_size=1, max_size=200), st.floats(0.01, 0.99))
def test_quantiles_of_the_histogram_are_those_of_the_delays_to_a_bucket(given_: list[int], share: float) -> None:
    found: delays.Histogram = {}
    for ms in given_:
        found[delays.bucket(ms)] = found.get(delays.bucket(ms), 0.0) + 1.0
    exact = sorted(given_)[min(len(given_) - 1, math.ceil(share * len(given_) - 1e-9) - 1)]
    told = delays.quantile(found, share)
    assert told is not None and exact / 1.26 <= told <= exact * 1.26
    assert delays.within(found, 20_000_000) == pytest.approx(1.0)


def test_spread_tells_even_delays_from_natural_ones() -> None:
    dice = random.Random(7)
    even = {delays.bucket(2_000): 500.0}
    natural: delays.Histogram = {}
    for _ in range(2_000):
        index = delays.bucket(round(dice.lognormvariate(8.3, 1.0)))
        natural[index] = natural.get(index, 0.0) + 1.0
    assert delays.spread(even) == 0.0
    assert delays.spread(natural) == pytest.approx(1.0, abs=0.08)
    assert delays.spread({}) is None and delays.quantile({}, 0.5) is None


# -- tallies --------------------------------------------------------------------------------------------------------


def cell(sent: int = 0, delivered: int = 0, failed: int = 0, refused: int = 0, delay: int | None = None) -> Cell:
    made = Cell()
    made.counts[SENT], made.counts[DELIVERED], made.counts[FAILED] = sent, delivered, failed
    made.counts[REFUSED] = refused
    if delay is not None:
        made.delays[delays.bucket(delay)] = delivered
    return made


def test_evidence_counts_half_after_its_half_life() -> None:
    halves = scales(HALF)
    tally = Tally("FR", NOW)
    tally.add(NOW // SLOT_MS, cell(sent=100, delivered=90, delay=3_000), halves)
    tally.advance(NOW + HALF, halves)
    live = tally.window(LIVE, halves)
    assert live.trials == pytest.approx(50, rel=0.01) and live.delivered == pytest.approx(45, rel=0.01)
    assert tally.window(WEEK, halves).trials == pytest.approx(100, rel=0.03)


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_what_nodes_count_apart_adds_up_to_what_one_would_have_counted(seen: list[tuple[int, int, int]]) -> None:
    halves, end = scales(HALF), NOW + 20_000_000
    whole, parts = Tally("FR", NOW), [Tally("FR", NOW), Tally("FR", NOW)]
    for number, (slot, sent, delivered) in enumerate(seen):
        at = NOW // SLOT_MS + slot
        whole.add(at, cell(sent=sent, delivered=delivered, delay=2_000), halves)
        parts[number % 2].add(at, cell(sent=sent, delivered=delivered, delay=2_000), halves)
    parts[0] = rows.read("FR", rows.written(parts[0]))  # one came from another node
    whole.advance(end, halves)
    together = merged(parts, end, halves)
    assert together is not None
    for scale in range(4):
        mine, theirs = whole.window(scale, halves), together.window(scale, halves)
        assert theirs == pytest.approx(mine, abs=0.05)


def test_a_message_on_its_way_is_no_failure_yet_and_a_known_failure_is_one_at_once() -> None:
    halves = scales(HALF)
    tally = Tally("FR", NOW)
    tally.add(NOW // SLOT_MS - 200, cell(sent=1_000, delivered=950, delay=8_000), halves)
    before = tally.window(LIVE, halves)
    tally.add(NOW // SLOT_MS, cell(sent=100), halves)
    assert tally.window(LIVE, halves).trials == pytest.approx(before.trials, rel=0.01)
    tally.add(NOW // SLOT_MS, cell(failed=60), halves)
    assert tally.window(LIVE, halves).trials == pytest.approx(before.trials + 60, rel=0.01)
    tally.advance(NOW + 120_000, halves)  # by now they should have been confirmed
    assert tally.window(LIVE, halves).trials == pytest.approx(before.trials + 100, rel=0.03)


def test_a_late_delivery_corrects_itself() -> None:
    halves = scales(HALF)
    on_time, late = Tally("FR", NOW), Tally("FR", NOW)
    slot = NOW // SLOT_MS
    on_time.add(slot, cell(sent=10, delivered=10, delay=3_000), halves)
    on_time.advance(NOW + 3_600_000, halves)
    late.add(slot, cell(sent=10, failed=4), halves)
    late.advance(NOW + 3_600_000, halves)
    assert late.window(LIVE, halves).delivered == 0
    late.add(slot, cell(delivered=10), halves)
    assert late.window(LIVE, halves).rate == pytest.approx(on_time.window(LIVE, halves).rate, abs=0.01)
    assert late.window(LIVE, halves).trials == pytest.approx(on_time.window(LIVE, halves).trials, rel=0.01)


def test_a_restart_forgets_all_but_the_week() -> None:
    halves = scales(HALF)
    tally = Tally("FR", NOW)
    tally.add(NOW // SLOT_MS, cell(sent=50, delivered=5, delay=2_000), halves)
    tally.restart(NOW + 10_000)
    tally.add((NOW + 4_000) // SLOT_MS, cell(sent=50), halves)  # sent before
    tally.add((NOW + 10_000) // SLOT_MS, cell(sent=7, delivered=7, delay=2_000), halves)
    tally.advance(NOW + 60_000, halves)
    assert tally.window(LIVE, halves).delivered == pytest.approx(7, abs=0.1)
    assert tally.window(LIVE, halves).trials == pytest.approx(7, abs=0.1)
    assert tally.window(WEEK, halves).delivered == pytest.approx(12, abs=0.1)


# -- evidence -------------------------------------------------------------------------------------------------------


def feed(evidence: Evidence, connector: int, place: str, country: str, sent: int, delivered: int) -> None:
    for number in range(sent):
        evidence.count(connector, place, country, NOW, SENT)
        if number < delivered:
            evidence.count(connector, place, country, NOW, DELIVERED, 1, 2_000)
    evidence.fold(NOW + 300_000)


def test_an_operator_nobody_knows_takes_what_its_country_tells() -> None:
    evidence = Evidence(HALF)
    feed(evidence, 1, "20801", "FR", 400, 380)
    own, wider, nothing = (evidence.estimate(1, place) for place in ("20801", "20810", "26201"))
    assert (own.level, wider.level, nothing.level) == ("operator", "country", "none")
    assert own.delivery.mean == pytest.approx(0.95, abs=0.01) and own.delivery.low < 0.95 < own.delivery.high
    assert wider.country == "FR" and wider.delivery.mean == pytest.approx(0.95, abs=0.02)
    assert nothing.delivery.sample == 0 and nothing.delivery.high - nothing.delivery.low > 0.5
    assert evidence.estimate(1, "FR").delivery.sample == pytest.approx(400, rel=0.05)
    assert country_of("20801") == "FR" and country_of("FR") == "FR" and country_of("*") == ""


def test_an_interval_narrows_with_what_is_known_and_widens_with_time() -> None:
    evidence = Evidence(HALF)
    feed(evidence, 1, "20801", "FR", 20, 18)
    few = evidence.estimate(1, "20801").delivery
    feed(evidence, 1, "20801", "FR", 2_000, 1_800)
    many = evidence.estimate(1, "20801").delivery
    evidence.fold(NOW + 16 * HALF)
    aged = evidence.estimate(1, "20801").delivery
    assert many.high - many.low < (few.high - few.low) / 4
    assert aged.high - aged.low > 2 * (many.high - many.low) and aged.sample < 1


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    dice = random.Random(11)
    held = 0
    for connector in range(1, 301):
        evidence = Evidence(HALF)
        truth = dice.uniform(0.6, 0.95)
        feed(evidence, connector, "20801", "FR", 60, sum(dice.random() < truth for _ in range(60)))
        found = evidence.estimate(connector, "20801").delivery
        held += found.low <= truth <= found.high
    assert 0.85 <= held / 300 <= 0.96


def test_shares_are_written_with_a_digit_more_where_it_matters() -> None:
    assert [percent(x) for x in (0, 0.004, 0.126, 0.95, 0.997, 1)] == [
        "0 %",
        "0.4 %",
        "13 %",
        "95 %",
        "99.7 %",
        "100 %",
    ]
