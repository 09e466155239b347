"""What the gate lets through, against plain models of a token bucket and of a calendar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe import senders
from chappe.routing.throttles import Denied, Gate, Limit, Passed, Share, Throttle
from chappe.routing.throttles.model import SECONDS, SenderKind
from chappe.routing.throttles.periods import end_of

NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z
DAY_MS = 86_400_000
MIDNIGHT = end_of("day", "UTC", NOW)
LONG = 400 * DAY_MS  # validity, where it is not what a test is about
EXACT = (1, 2, 4, 5, 8, 10, 25, 50, 100)  # whose steps are whole nanoseconds

paces = st.tuples(st.sampled_from(EXACT), st.sampled_from(("second", "minute")), st.integers(1, 12))
arrivals = st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 4)), min_size=1, max_size=60)


def throttle(number: int = 1, **fields: Any) -> Throttle:
    plain: dict[str, Any] = dict.fromkeys(("account_id", "sender", "sender_kind", "connector_id", "country", "burst"))
    plain |= {"scope": "country", "most": 1, "per": "second", "over": "wait", "zone": "UTC", "created_at": NOW}
    return Throttle(**(plain | {"id": 1_000 + number, "name": f"t{number}"} | fields))


def gate_of(*throttles: Throttle) -> Gate:
    gate = Gate()
    gate.follow(throttles)
    return gate


def ask(gate: Gate, now: int = NOW, weight: int = 1, **facts: Any) -> Passed | Denied:
    plain: dict[str, Any] = {"account_id": 7, "sender": "Acme", "sender_kind": "alphanumeric", "connector_id": 3}
    plain |= {"country": "FR", "until": now + LONG} | facts
    return gate.pass_(**plain, now=now, weight=weight)


def leaves(answer: Passed | Denied, now: int) -> int:
    """When a message goes that was not refused."""
    assert isinstance(answer, Passed), answer
    return now if answer.due is None else answer.due


def goes(gate: Gate, now: int = NOW, weight: int = 1, **facts: Any) -> int:
    """Ask, and when it leaves."""
    return leaves(ask(gate, now, weight, **facts), now)


def times(gaps: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    now, found = NOW, []
    for gap, weight in gaps:
        now += gap
        found.append((now, weight))
    return found


def most_in_any_window(gone: list[tuple[int, int]], rate: Fraction) -> Fraction:
    """The most by which any window exceeds what the rate alone allows it: the burst that was really had."""
    gone = sorted(gone)
    worst = Fraction(0)
    for first in range(len(gone)):
        total = 0
        for at, weight in gone[first:]:
            total += weight
            worst = max(worst, total - rate * Fraction(at - gone[first][0], 1000))
    return worst


# -- one limit ------------------------------------------------------------------------------------------------------


@given(paces, arrivals)
def test_no_window_has_more_than_the_burst_and_the_rate(
    pace: tuple[int, str, int], gaps: list[tuple[int, int]]
) -> None:
    most, per, burst = pace
    gate = gate_of(throttle(most=most, per=per, burst=burst))
    gone = []
    for now, weight in times(gaps):
        weight = min(weight, burst)
        gone.append((goes(gate, now, weight), weight))
    rate = Fraction(most, SECONDS[per])
    assert most_in_any_window(gone, rate) <= burst + rate / 1000  # moments are rounded up to milliseconds


@given(paces, arrivals)
def test_a_message_waits_just_as_long_as_a_token_bucket_says(
    pace: tuple[int, str, int], gaps: list[tuple[int, int]]
) -> None:
    """So one that conforms never waits."""
    most, per, burst = pace
    gate = gate_of(throttle(most=most, per=per, burst=burst))
    rate = Fraction(most, SECONDS[per] * 1000)
    tokens, last = Fraction(burst), NOW
    for now, weight in times(gaps):
        tokens, last = min(Fraction(burst), tokens + (now - last) * rate), now
        wait = max(Fraction(0), (min(weight, burst) - tokens) / rate)
        tokens -= weight
        assert goes(gate, now, weight) == now - (-wait.numerator // wait.denominator)


@given(
    st.integers(1, 20),
    st.sampled_from(("hour", "day")),
    st.sampled_from(("UTC", "America/Los_Angeles")),
    st.lists(st.tuples(st.integers(0, 20_000_000), st.integers(1, 4)), min_size=1, max_size=60),
)
def test_an_hour_or_day_takes_its_limit_and_the_next_one_the_rest(
    most: int, per: str, zone: str, gaps: list[tuple[int, int]]
) -> None:
    gate = gate_of(throttle(most=most, per=per, zone=zone))
    counted: Counter[int] = Counter()
    for now, weight in times(gaps):
        weight = min(weight, most)
        expected, end = now, end_of(per, zone, now)
        while counted[end] + weight > most:
            expected, end = end, end_of(per, zone, end)
        counted[end] += weight
        assert goes(gate, now, weight) == expected


def test_a_day_with_a_burst_is_spread_over_the_day() -> None:
    gate = gate_of(throttle(most=24, per="day", burst=1))
    assert [goes(gate) - NOW for _ in range(3)] == [0, 3_600_000, 7_200_000]


def test_a_limit_of_0_blocks_and_says_whom_to_ask() -> None:
    gate = gate_of(throttle(most=0, name="no-cuba", country="CU"))
    assert ask(gate) == Passed()
    answer = ask(gate, country="CU")
    assert isinstance(answer, Denied)
    assert (answer.code, answer.retry_after, answer.throttle) == ("blocked_by_limit", None, "no-cuba")
    assert "to this country" in answer.message and answer.action == (
        "Ask the operator of this installation about the limit no-cuba."
    )


def test_a_message_that_is_too_late_already_takes_no_place_of_a_full_day() -> None:
    gate = gate_of(throttle(most=1, per="day"))
    assert ask(gate).__class__ is Passed
    assert ask(gate, until=NOW - 1).__class__ is Denied


def test_who_would_wait_past_its_validity_is_refused_and_told_when_to_come_again() -> None:
    gate = gate_of(throttle(most=1, per="minute"))
    assert ask(gate).__class__ is Passed
    assert goes(gate, until=NOW + 60_000) == NOW + 60_000
    answer = ask(gate, until=NOW + 90_000)
    assert isinstance(answer, Denied)
    assert (answer.code, answer.retry_after, answer.scope) == ("throttled", 30, "country")
    assert goes(gate, NOW + 30_000, until=NOW + 120_000) == NOW + 120_000
    assert gate.counters == {"shaped": 2, "denied": 1}


def test_over_refuse_turns_away_at_once() -> None:
    gate = gate_of(throttle(most=2, over="refuse"), throttle(2, scope="account", most=3, per="day", over="refuse"))
    assert [ask(gate).__class__ for _ in range(3)] == [Passed, Passed, Denied]
    answer = ask(gate)
    assert isinstance(answer, Denied) and (answer.throttle, answer.retry_after) == ("t1", 1)
    assert ask(gate, NOW + 500).__class__ is Passed
    answer = ask(gate, NOW + 1_000)
    assert isinstance(answer, Denied)
    assert (answer.throttle, answer.retry_after) == ("t2", -(-(MIDNIGHT - NOW - 1_000) // 1_000))


def test_a_message_larger_than_the_burst_goes_from_a_full_bucket_and_the_next_waits_longer() -> None:
    gate = gate_of(throttle(most=2, burst=2))
    assert goes(gate, weight=5) == NOW
    assert goes(gate, weight=1) == NOW + 2_000


# -- several limits -------------------------------------------------------------------------------------------------

few = st.builds(
    lambda number, scope, most, per, burst, over, mine: throttle(
        number, scope=scope, most=most, per=per, burst=burst, over=over, account_id=7 if mine else None
    ),
    st.integers(1, 9),
    st.sampled_from(("account", "sender", "connector", "country", "account+country")),
    st.sampled_from((1, 2, 5)),
    st.sampled_from(("second", "minute", "hour")),
    st.none() | st.integers(1, 3),
    st.sampled_from(("wait", "refuse")),
    st.booleans(),
)


@given(
    st.lists(few, min_size=1, max_size=4, unique_by=lambda one: one.id),
    st.lists(
        st.tuples(
            st.integers(0, 2_000),
            st.sampled_from((7, 8)),
            st.sampled_from(("FR", "BE")),
            st.sampled_from((500, 5_000, 600_000)),
            st.sampled_from(("real", "dry", "given back")),
        ),
        max_size=40,
    ),
)
def test_what_does_not_go_has_taken_nothing_of_any_limit(
    limits: list[Throttle], messages: list[tuple[int, int, str, int, str]]
) -> None:
    """A gate that also hears of messages that are refused, only tried, or given back answers like one that does not."""
    all_of_them, only_those_that_went = gate_of(*limits), gate_of(*limits)
    now = NOW
    for gap, account_id, country, validity, how in messages:
        now += gap
        facts: dict[str, Any] = {"account_id": account_id, "country": country, "until": now + validity}
        tried = ask(all_of_them, now, dry_run=True, **facts)
        if how == "dry":
            continue
        answer = ask(all_of_them, now, **facts)
        assert answer[:1] == tried[:1]
        if how == "given back" and isinstance(answer, Passed):
            all_of_them.give_back(answer)
        elif isinstance(answer, Passed):
            twin = ask(only_those_that_went, now, **facts)
            assert isinstance(twin, Passed) and twin.due == answer.due


def test_the_latest_moment_counts() -> None:
    gate = gate_of(throttle(1, most=1), throttle(2, scope="account", most=1, per="minute"))
    ask(gate)
    assert goes(gate) == NOW + 60_000


def test_what_waits_for_tomorrow_neither_leaves_at_once_then_nor_holds_up_today() -> None:
    day = throttle(1, scope="sender", sender="Acme", most=10, per="day")
    gate = gate_of(day, throttle(2, scope="connector", most=2))
    assert {goes(gate, NOW + 1_000 * n) - NOW for n in range(10)} == set(range(0, 10_000, 1_000))
    tomorrow = [goes(gate, NOW + 20_000) for _ in range(6)]
    assert [due - MIDNIGHT for due in tomorrow] == [0, 0, 500, 1_000, 1_500, 2_000]
    assert goes(gate, NOW + 20_000, sender="Other") == NOW + 20_000
    assert goes(gate, MIDNIGHT, sender="Other") == MIDNIGHT + 2_500


def test_each_is_counted_by_itself_so_a_flood_delays_its_sender_alone() -> None:
    gate = gate_of(throttle(scope="account", most=10))
    for _ in range(5_000):
        ask(gate, account_id=7)
    for n in range(50):
        now = NOW + n * 100
        assert goes(gate, now, account_id=8) == now


def test_a_throttle_fits_what_its_fields_say() -> None:
    blocks = {
        "sender": throttle(1, scope="sender", sender="33612345678", most=0),
        "kind": throttle(2, scope="sender_kind", sender_kind="ten_dlc", most=0),
        "connector": throttle(3, scope="connector", connector_id=9, most=0),
        "pair": throttle(4, scope="account+country", account_id=8, country="BE", most=0),
        "account": throttle(5, scope="account", account_id=10, most=0),
        "mine": throttle(6, scope="connector", account_id=11, most=0),
        "theirs": throttle(7, scope="account+country", country="DE", most=0),
    }
    gate = gate_of(*blocks.values())
    cases: list[tuple[dict[str, Any], str | None]] = [
        ({}, None),
        ({"sender": "33612345678"}, "sender"),
        ({"sender_kind": "ten_dlc"}, "kind"),
        ({"connector_id": 9}, "connector"),
        ({"account_id": 8, "country": "BE"}, "pair"),
        ({"account_id": 8}, None),
        ({"country": "BE"}, None),
        ({"account_id": 10}, "account"),
        ({"account_id": 11}, "mine"),
        ({"country": "DE"}, "theirs"),
    ]
    for facts, name in cases:
        answer = ask(gate, **facts)
        assert (answer.throttle if isinstance(answer, Denied) else None) == (blocks[name].name if name else None), facts


def test_the_kinds_of_senders_are_those_that_senders_know() -> None:
    assert set(SenderKind.__args__) == set(senders.Kind.__args__)  # type: ignore[attr-defined]


# -- what other rooms know ------------------------------------------------------------------------------------------


def test_limits_of_kinds_make_messages_wait_and_are_shared_by_their_key() -> None:
    limits = {"A": [Limit("campaign 5", 60, "minute"), Limit("brand 2", 3, "day", "America/Los_Angeles")]}
    limits["B"] = limits["A"]
    gate = Gate()
    gate.kind_limits = lambda sender, account_id: limits.get(sender, [])
    assert ask(gate) == Passed()
    moments = [goes(gate, sender=sender) for sender in "ABABA"]
    pacific = end_of("day", "America/Los_Angeles", NOW)
    assert moments == [NOW, NOW + 1_000, NOW + 2_000, pacific, pacific + 1_000]
    limits["A"] = limits["B"] = [Limit("campaign 5", 120, "minute")]
    gate.forget()
    assert goes(gate, NOW + 10_000, sender="A") == NOW + 10_000


def test_a_spend_cap_counts_money_and_refuses_until_the_period_is_over() -> None:
    gate = Gate()
    gate.spend_caps = lambda account_id, country: [Limit("*", 100_000, "day")] if account_id == 7 else []
    taken = ask(gate, price=60_000)
    answer = ask(gate, price=60_000)
    assert isinstance(answer, Denied)
    assert (answer.code, answer.scope) == ("spend_cap_reached", "account") and "0.10" in answer.message
    assert answer.retry_after == (MIDNIGHT - NOW) // 1_000
    assert ask(gate, price=40_000).__class__ is ask(gate, price=0).__class__ is Passed
    assert ask(gate, price=1, account_id=8).__class__ is Passed
    assert isinstance(taken, Passed)
    gate.give_back(taken)
    assert ask(gate, price=60_000).__class__ is Passed
    assert [row[3] for row in gate.changed()] == [100_000]


# -- changes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per", ["second", "day"])
def test_other_figures_go_on_from_what_was_counted(per: str) -> None:
    gate = gate_of(throttle(most=4, per=per, over="refuse"))
    assert [ask(gate).__class__ for _ in range(5)].count(Passed) == 4
    gate.follow([throttle(most=6, per=per, over="refuse")])
    assert [ask(gate).__class__ for _ in range(5)].count(Passed) == (2 if per == "day" else 0)
    gate.follow([throttle(most=2, per=per, over="refuse")])
    assert ask(gate).__class__ is Denied
    gate.follow([throttle(most=2, per=per, over="refuse", account_id=7)])  # it counts something else now
    assert ask(gate).__class__ is Passed
    gate.follow([])
    assert ask(gate) == Passed()


@given(
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from((None, 5, 10, 20, 50))), min_size=1, max_size=60),
    st.integers(1, 5),
)
def test_changes_of_a_rate_never_let_more_through_than_the_highest_of_the_time(
    steps: list[tuple[int, int | None]], burst: int
) -> None:
    gate = gate_of(throttle(most=5, burst=burst))
    now, gone, highest = NOW, [], 5
    for gap, most in steps:
        now += gap
        if most is not None:
            gate.follow([throttle(most=most, burst=burst)])
            highest = max(highest, most)
        gone.append((goes(gate, now), 1))
    assert most_in_any_window(gone, Fraction(highest)) <= burst + Fraction(highest, 1_000)


# -- several nodes --------------------------------------------------------------------------------------------------


@given(paces, st.integers(1, 4), st.lists(st.tuples(st.integers(0, 500), st.integers(0, 3)), min_size=1, max_size=80))
def test_nodes_together_keep_to_the_limit(pace: tuple[int, str, int], nodes: int, gaps: list[tuple[int, int]]) -> None:
    most, per, burst = pace
    gates = [gate_of(throttle(most=most, per=per, burst=burst)) for _ in range(nodes)]
    for place, gate in enumerate(gates):
        gate.divide(Share(place, nodes), {}, NOW)
    gone = []
    for now, node in times(gaps):
        gone.append((goes(gates[node % nodes], now), 1))
    rate = Fraction(most, SECONDS[per])
    assert most_in_any_window(gone, rate) <= max(burst, nodes) + nodes * rate / 1000


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, 5)), min_size=1, max_size=120))
def test_nodes_that_come_and_go_divide_what_is_left_of_an_hour(most: int, events: list[tuple[int, int]]) -> None:
    """Each event asks one node, or (5) one more comes or the oldest goes; all divide at once, counts read."""
    limit = throttle(most=most, per="hour")
    gates, left = [gate_of(limit)], 0
    counts: dict[Gate, Counter[int]] = {gates[0]: Counter()}
    now = NOW
    for gap, what in events:
        now += gap
        if what < 5:
            gate = gates[what % len(gates)]
            answer = ask(gate, now, until=now + 7_200_000)
            if isinstance(answer, Passed):
                counts[gate][end_of("hour", "UTC", leaves(answer, now))] += 1
            continue
        if len(gates) == 3:
            gates.pop(0)
            left += 1
        else:
            gates.append(gate_of(limit))
            counts[gates[-1]] = Counter()
        for place, gate in enumerate(gates):
            others: Counter[int] = Counter()
            for other, counted in counts.items():
                if other is not gate:
                    others.update(counted)
            gate.divide(Share(place, len(gates)), {(limit.id, "FR"): others}, now)
    together: Counter[int] = Counter()
    for counted in counts.values():
        together.update(counted)
    assert max(together.values(), default=0) <= most


@given(paces, st.lists(st.tuples(st.integers(0, 800), st.integers(0, 5)), min_size=1, max_size=100))
def test_nodes_that_come_and_go_keep_to_a_rate(pace: tuple[int, str, int], events: list[tuple[int, int]]) -> None:
    """Nobody waits: a node that goes would leave behind what it has promised. One that comes has a burst of its own."""
    most, per, burst = pace
    limit = throttle(most=most, per=per, burst=burst, over="refuse")
    gates, now, gone, allowed = [gate_of(limit)], NOW, [], Fraction(max(burst, 3))
    for gap, what in events:
        now += gap
        if what < 5:
            if isinstance(ask(gates[what % len(gates)], now), Passed):
                gone.append((now, 1))
            continue
        if len(gates) == 3:
            gates.pop(0)
        else:
            gates.append(gate_of(limit))
            allowed += max(Fraction(1), Fraction(burst, len(gates)))
        for place, gate in enumerate(gates):
            gate.divide(Share(place, len(gates)), {}, now)
    assert most_in_any_window(gone, Fraction(most, SECONDS[per])) <= allowed


def test_a_limit_smaller_than_the_nodes_goes_round() -> None:
    gates = [gate_of(throttle(most=1, per="hour", over="refuse")) for _ in range(3)]
    for place, gate in enumerate(gates):
        gate.divide(Share(place, 3), {}, NOW)
    served = []
    for hour in range(6):
        now = NOW + hour * 3_600_000
        served += [place for place, gate in enumerate(gates) if ask(gate, now).__class__ is Passed]
    assert sorted(served[:3]) == [0, 1, 2] and served[3:] == served[:3]


def test_a_node_that_is_left_alone_sends_faster_and_has_the_burst_of_the_others_only_later() -> None:
    gate = gate_of(throttle(most=10))
    gate.divide(Share(0, 2), {}, NOW)
    now = NOW + 10_000
    gate.divide(Share(0, 1), {}, now)
    assert [goes(gate, now) - now for _ in range(7)] == [0, 0, 0, 0, 0, 100, 200]
    now += 10_000
    assert [goes(gate, now) - now for _ in range(12)] == [0] * 10 + [100, 200]


# -- clocks and memory ----------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it_to_catch_up() -> None:
    gate = gate_of(throttle(most=1))
    assert [goes(gate) - NOW for _ in range(3)] == [0, 1_000, 2_000]
    back = NOW - 3_600_000
    assert goes(gate, back) == back + 3_000
    assert goes(gate, back + 10_000) == back + 10_000


def test_batches_that_overtake_each_other_make_the_buckets_no_faster() -> None:
    gate = gate_of(throttle(most=1, over="refuse"))
    passed = [ask(gate, NOW + n % 2 * 500).__class__ for n in range(100)]
    assert passed.count(Passed) == 1


def test_buckets_that_are_full_again_are_forgotten() -> None:
    gate = gate_of(throttle(1, scope="sender", most=5), throttle(2, scope="account", most=900, per="day"))
    for n in range(2_000):
        ask(gate, sender=f"s{n}", account_id=n % 3)
    for later, kept in ((100, (2_000, 3)), (1_000, (0, 3)), (DAY_MS, (0, 0))):
        gate.tidy(NOW + later)
        assert (len(gate._meters), len(gate._quotas)) == kept


def test_there_are_never_more_buckets_than_fit() -> None:
    gate = gate_of(throttle(scope="sender", most=1, per="day", over="refuse"))
    gate.most_buckets = 10
    passed = [ask(gate, sender=f"s{n}").__class__ for n in range(30)]
    assert passed.count(Passed) == 11  # ten of their own, one that the others share
    assert len(gate._quotas) == 11


@settings(max_examples=20)
@given(st.data())
def test_a_tidy_in_between_changes_no_answer(data: st.DataObject) -> None:
    limits = [throttle(1, most=2), throttle(2, scope="account", most=4, per="hour")]
    one, other = gate_of(*limits), gate_of(*limits)
    now = NOW
    for _ in range(30):
        now += data.draw(st.integers(0, 1_200_000))
        assert goes(one, now) == goes(other, now)
        other.tidy(now)
