"""In which order the connectors of a route are tried, and which comes after an error."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.routing import (
    ERROR_CLASSES,
    Decision,
    Group,
    Member,
    Strategy,
    by_name,
    class_of,
    explain_order,
    following,
    order,
)

MESSAGES = 20_000


def decision(*groups: Group, **fields: Any) -> Decision:
    connectors = tuple(dict.fromkeys(m.connector_id for g in groups for m in g.connectors))
    return Decision(connectors, 1, "because", groups, **fields)


def group(*connectors: int | tuple[int, int], strategy: Strategy = "order", **fields: Any) -> Group:
    members = [Member(*c) if isinstance(c, tuple) else Member(c) for c in connectors]
    return Group(tuple(members), strategy, **fields)


def firsts(found: Decision) -> Counter[int]:
    """How often each connector is first, over many messages with ids as they are made."""
    return Counter(order(found, seed=(10**17 + n * 8192))[0] for n in range(MESSAGES))


def test_groups_follow_each_other_and_each_connector_comes_once() -> None:
    found = decision(group(3, 1), group(2, 3))
    assert order(found, seed=1) == (3, 1, 2)


def test_one_connector_needs_no_thought() -> None:
    assert order(by_name(7), seed=1, usable=lambda _: False) == (7,)
    assert order(decision(group(7, strategy="weights")), seed=1) == (7,)


def test_those_that_are_down_come_last_in_their_group() -> None:
    found = decision(group(1, 2, 3), group(4, 5))
    assert order(found, seed=1, usable=lambda c: c not in (1, 4)) == (2, 3, 1, 5, 4)


def test_the_cheapest_comes_first_and_the_unknown_last() -> None:
    costs = {1: 30, 2: None, 3: 10, 4: 30}
    assert order(decision(group(1, 2, 3, 4, strategy="least_cost")), seed=1, cost=costs.get) == (3, 1, 4, 2)


def test_the_best_comes_first() -> None:
    scores = {1: 0.5, 2: 0.9, 3: 0.9}
    assert order(decision(group(1, 2, 3, strategy="best_quality")), seed=1, quality=scores.__getitem__) == (2, 3, 1)


def test_weights_share_the_messages_out() -> None:
    counted = firsts(decision(group((1, 70), (2, 20), (3, 10), (4, 0), strategy="weights")))
    for connector_id, share in ((1, 0.7), (2, 0.2), (3, 0.1)):
        deviation = (share * (1 - share) / MESSAGES) ** 0.5
        assert abs(counted[connector_id] / MESSAGES - share) < 4 * deviation
    assert 4 not in counted


def test_a_message_that_is_routed_again_finds_the_same_order() -> None:
    found = decision(group(*range(1, 9), strategy="weights"))
    assert len({order(found, seed=n) for n in range(100)}) > 50
    for n in range(100):
        assert order(found, seed=n) == order(found, seed=n)


def test_the_place_of_a_weight_among_all_orders_is_fair() -> None:
    """Given which one is first, the second is drawn by weight among the rest."""
    found = decision(group((1, 5), (2, 3), (3, 2), strategy="weights"))
    counted = Counter(order(found, seed=n * 7919)[:2] for n in range(MESSAGES))
    seconds = counted[1, 2], counted[1, 3]
    share, total = 3 / 5, sum(seconds)
    assert abs(seconds[0] / total - share) < 4 * (share * (1 - share) / total) ** 0.5


def homes(found: Decision) -> dict[str, int]:
    return {str(n): order(found, seed=n % 97, who=str(n))[0] for n in range(33_600_000_000, 33_600_000_000 + MESSAGES)}


def test_a_person_keeps_the_connector_and_a_new_one_moves_its_share_only() -> None:
    before = homes(decision(group((1, 2), (2, 1), (3, 1), strategy="sticky")))
    after = homes(decision(group((1, 2), (2, 1), (3, 1), (4, 1), strategy="sticky")))
    moved = {person for person in before if before[person] != after[person]}
    assert all(after[person] == 4 for person in moved)
    share = 1 / 5
    assert abs(len(moved) / MESSAGES - share) < 4 * (share * (1 - share) / MESSAGES) ** 0.5


def test_a_heavier_weight_draws_people_to_it_and_moves_nobody_else() -> None:
    before = homes(decision(group((1, 1), (2, 1), (3, 1), strategy="sticky")))
    after = homes(decision(group((1, 2), (2, 1), (3, 1), strategy="sticky")))
    assert {after[person] for person in before if before[person] != after[person]} == {1}


def test_sticky_looks_at_the_person_and_not_at_the_message() -> None:
    found = decision(group(1, 2, 3, strategy="sticky"))
    assert len({order(found, seed=n, who="33612345678") for n in range(50)}) == 1


def test_what_costs_more_than_it_earns_is_left_out_unless_the_route_allows_it() -> None:
    costs = {1: 50, 2: 40, 3: None}
    asked: dict[str, Any] = {"seed": 1, "cost": costs.get, "ceiling": 45}
    assert order(decision(group(1, 2, 3)), **asked) == (2, 3)
    assert order(decision(group(1, 2, 3), allow_loss=True), **asked) == (1, 2, 3)
    assert order(decision(group(1)), **asked) == ()
    assert order(by_name(2), **asked) == (2,)


def test_a_max_cost_leaves_out_what_is_dearer_or_not_known() -> None:
    costs = {1: 50, 2: 40, 3: None}
    assert order(decision(group(1, 2, 3), max_cost=40), seed=1, cost=costs.get) == (2,)
    assert order(decision(group(1), max_cost=40, allow_loss=True), seed=1, cost=costs.get) == ()


@given(
    st.lists(
        st.builds(
            group,
            st.tuples(st.integers(1, 6), st.integers(0, 3)),
            st.tuples(st.integers(1, 6), st.integers(0, 3)),
            st.integers(1, 6),
            strategy=st.sampled_from(["order", "weights", "least_cost", "best_quality", "sticky"]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, 2**62),
    st.sampled_from(["", "33612345678"]),
    st.dictionaries(st.integers(1, 6), st.integers(0, 100)),
    st.sets(st.integers(1, 6)),
    st.sampled_from([None, 0, 50]),
)
def test_every_order_has_each_connector_once_and_is_told_as_it_is(
    groups: list[Group], seed: int, who: str, costs: dict[int, int], down: set[int], ceiling: int | None
) -> None:
    found = decision(*groups)
    how: dict[str, Any] = {
        "seed": seed,
        "who": who,
        "cost": costs.get,
        "quality": lambda c: -c,
        "usable": lambda c: c not in down,
        "ceiling": ceiling,
    }
    chosen = order(found, **how)
    assert len(set(chosen)) == len(chosen)
    kept = {c for c in found.connectors if ceiling is None or costs.get(c, 0) <= ceiling}
    assert set(chosen) == kept
    told = explain_order(found, **how)
    assert tuple(one.connector_id for one in told if not one.left_out) == chosen
    assert {one.connector_id for one in told} == set(found.connectors)
    assert all(one.reason for one in told)


# -- after an error ------------------------------------------------------------------------------------------------


def test_the_next_is_the_first_that_was_not_tried() -> None:
    found = decision(group(1, 2), group(3))
    assert following(found, (1, 2, 3), ()) == (1, 2, 3)
    assert following(found, (2, 1, 3), (2,), "failed") == (1, 3)
    assert following(found, (2, 1, 3), (2, 1), "failed") == (3,)
    assert following(found, (2, 1, 3), (2, 1, 3), "failed") == ()


@pytest.mark.parametrize("error", ERROR_CLASSES)
def test_an_error_leads_on_or_ends_the_message_by_its_class(error: str) -> None:
    found = decision(group(1, 2, leave_on=("unreachable", "throttled"), skip_on=("rejected",)), group(3))
    wanted = {"unreachable": (2, 3), "throttled": (2, 3), "rejected": (3,), "failed": (), "timeout": ()}
    assert following(found, (1, 2, 3), (1,), error) == wanted[error]


def test_a_message_never_goes_back_to_an_earlier_group() -> None:
    found = decision(group(1, 2, skip_on=("rejected",)), group(3, 4))
    assert following(found, (1, 2, 3, 4), (1, 3), "failed") == (4,)


def test_a_message_ends_after_so_many_attempts() -> None:
    found = decision(group(1, 2, 3, 4, 5), most_attempts=2)
    assert following(found, (1, 2, 3, 4, 5), (1,), "failed") == (2, 3, 4, 5)
    assert following(found, (1, 2, 3, 4, 5), (1, 2), "failed") == ()


def test_a_connector_that_the_route_no_longer_has_ends_nothing() -> None:
    assert following(decision(group(1, 2, leave_on=())), (1, 2), (9,), "failed") == (1, 2)


def test_a_message_that_asked_for_its_connector_has_no_other() -> None:
    assert following(by_name(1), (1,), (1,), "unreachable") == ()


def test_codes_of_the_catalogue_have_a_class() -> None:
    told = {code: class_of(code) for code in ("supplier_unreachable", "throttled", "in_doubt", "supplier_error")}
    assert told == {
        "supplier_unreachable": "unreachable",
        "throttled": "throttled",
        "in_doubt": "timeout",
        "supplier_error": "failed",
    }
    assert class_of("sender_rejected") == class_of("supplier_rejected") == "rejected"


def test_the_reasons_are_those_of_the_strategies() -> None:
    costs, scores = {1: 72_500, 2: None}, {3: 0.25, 4: 0.5}
    found = decision(
        group(1, 2, strategy="least_cost"),
        group(3, 4, strategy="best_quality"),
        group((5, 3), (6, 1), (7, 0), strategy="sticky"),
        group(8, 9),
    )
    told = explain_order(
        found,
        seed=1,
        who="33612345678",
        cost=costs.get,
        quality=lambda c: scores.get(c, 0.0),
        usable=lambda c: c != 9,
        ceiling=100_000,
    )
    assert {one.connector_id: one.reason for one in told} == {
        1: "costs 0.0725 a segment",
        2: "its cost is not known",
        3: "quality 0.250",
        4: "quality 0.500",
        5: "first for 3 of 4 parts of the recipients",
        6: "first for 1 of 4 parts of the recipients",
        7: "weight 0 comes last",
        8: "as written",
        9: "as written; it is down, or demoted",
    }
    [left_out] = [one for one in explain_order(found, seed=1, cost=costs.get, ceiling=70_000) if one.left_out]
    assert left_out.connector_id == 1
    assert left_out.reason == "costs 0.0725 a segment, more than the message earns"
