"""What is wrong with routes."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.errors import Refused
from chappe.routing import Group, Known, Match, Member, Route, Table, Window, changed, check_route, check_routes, shaped
from chappe.routing.checking import unreachable
from tests.routing.making import ask, connector, group, route

CONNECTORS = {1: connector(1), 2: connector(2), 9: connector(9, test=True)}
KNOWN = Known(CONNECTORS.get, {5, 6}.__contains__, {"gold"}.__contains__)


def made(**fields: Any) -> Route:
    return shaped(route(1, **({"connector_id": 1} | fields)))


def groups(*members: tuple[int, ...]) -> tuple[Group, ...]:
    return tuple(Group(tuple(map(Member, one)), "weights") for one in members)


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"connector_id": 7}, "connector_unknown", "connector_id"),
    ({"connector_id": 9}, "connector_unknown", "connector_id"),
    ({"fallback_connector_ids": (2, 7)}, "connector_unknown", "fallback_connector_ids[1]"),
    ({"connector_id": 0}, "route_without_connectors", "groups"),
    ({"groups": groups((1,), ())}, "route_without_connectors", "groups[1].connectors"),
    ({"groups": groups((1, 2), (7,))}, "connector_unknown", "groups[1].connectors[0].connector_id"),
    ({"groups": groups((1,), (2, 9))}, "connector_unknown", "groups[1].connectors[1].connector_id"),
    ({"groups": groups((1, 2), (1,))}, "route_loop", "groups[1].connectors[0].connector_id"),
    ({"account_id": 7}, "invalid_value", "account_id"),
    ({"match": Match(account_ids=(5, 7))}, "invalid_value", "match.account_ids[1]"),
    ({"match": Match(account_groups=("gold", "lead"))}, "invalid_value", "match.account_groups[1]"),
    ({"match": Match(countries=("FR", "XX"))}, "invalid_value", "match.countries[1]"),
    ({"match": Match(operators=("20801", "20899"))}, "operator_unknown", "match.operators[1]"),
    ({"match": Match(times=(Window("Mars/Olympus"),))}, "invalid_value", "match.times[0].time_zone"),
    ({"match": Match(times=(Window(start=60, end=60),))}, "route_matches_nothing", "match.times[0]"),
    ({"match": Match(least=3, most=2)}, "route_matches_nothing", "match.segments"),
    ({"prefix": "33", "match": Match(countries=("DE",))}, "route_matches_nothing", "prefix"),
    ({"match": Match(countries=("DE",), prefixes=("33", "34"))}, "route_matches_nothing", "match.prefixes"),
]


@pytest.mark.parametrize(("fields", "code", "param"), BAD)
def test_a_faulty_route_is_refused_with_its_field(fields: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(Refused) as caught:
        check_route(made(**fields), KNOWN)
    assert (caught.value.code, caught.value.param) == (code, param)


GOOD: list[dict[str, Any]] = [
    {"prefix": "336", "match": Match(countries=("FR",))},
    {"prefix": "1", "match": Match(countries=("US", "CA"))},
    {"match": Match(operators=("20801", "99901"))},
    {"match": Match(operators=("72402",))},  # of a country whose operators are not listed
    {"connector_id": 9, "test": True},
    {"groups": groups((1,), (2,))},
]


@pytest.mark.parametrize("fields", GOOD)
def test_a_sound_route_is_let_be(fields: dict[str, Any]) -> None:
    check_route(made(**fields), KNOWN)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"match": Match(countries=("fr",))}, "match.countries[0]"),
        ({"match": Match(operators=("1",))}, "match.operators[0]"),
        ({"match": Match(prefixes=("33x", "34"))}, "match.prefixes[0]"),
        ({"match": Match(times=(Window(days=("someday",)),))}, "match.times[0].days[0]"),  # type: ignore[arg-type]
        ({"groups": (Group((Member(1, -1),)),)}, "groups[0].connectors[0].weight"),
        ({"groups": (Group((Member(1),), "best"),)}, "groups[0].strategy"),  # type: ignore[arg-type]
        ({"groups": (Group((Member(1),), leave_on=("boredom",)),)}, "groups[0].leave_on[0]"),  # type: ignore[arg-type]
        ({"most_attempts": 0}, "most_attempts"),
        ({"most_attempts": 17}, "most_attempts"),
        ({"max_cost": -1}, "max_cost"),
    ],
)
def test_what_breaks_the_rules_of_a_field_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused) as caught:
        made(**fields)
    assert (caught.value.code, caught.value.param) == ("invalid_value", param)


# -- shape ---------------------------------------------------------------------------------------------------------


def test_short_and_long_forms_of_a_route_are_one_value() -> None:
    short = made(prefix="+33", account_id=5, connector_id=1, fallback_connector_ids=(2,))
    match = Match(prefixes=("+33",), account_ids=(5,))
    long = made(match=match, connector_id=0, groups=(Group((Member(1), Member(2))),))
    assert short == long and long.match == Match() and long.groups == ()


def test_a_route_of_several_prefixes_keeps_what_they_share() -> None:
    found = made(match=Match(prefixes=("3367", "+3361", "336")))
    assert (found.prefix, found.match.prefixes) == ("336", ("336", "3361", "3367"))
    assert made(match=Match(prefixes=("33", "44"))).prefix == ""


def test_a_route_with_groups_names_its_connectors_in_short_too() -> None:
    found = made(groups=groups((2, 1), (4,)))
    assert (found.connector_id, found.fallback_connector_ids, found.connectors) == (2, (1, 4), (2, 1, 4))


def test_a_field_of_the_short_form_replaces_the_long_one() -> None:
    long = made(match=Match(prefixes=("33", "34"), account_ids=(5, 6), tags=("x",)), groups=groups((1, 2)))
    after = changed(long, prefix="44", account_id=5, connector_id=3)
    assert (after.prefixes, after.account_id, after.connectors) == (("44",), 5, (3, 2))
    assert after.match == Match(tags=("x",)) and after.groups == ()


def test_attempts_follow_the_number_of_fallbacks_unless_they_are_said() -> None:
    five = changed(made(), fallback_connector_ids=(2, 3, 4, 5))
    assert five.most_attempts == 5
    assert changed(made(most_attempts=2), fallback_connector_ids=(2, 3, 4, 5)).most_attempts == 2
    assert changed(five, groups=groups((1, 2, 3, 4, 5))).most_attempts == 4


# -- all together --------------------------------------------------------------------------------------------------


def codes(routes: list[Route], *account_groups: Any) -> list[tuple[str, str, str]]:
    return [(f.level, f.code, f.name) for f in check_routes(routes, account_groups, KNOWN)]


def test_a_whole_set_is_told_all_its_faults_errors_first() -> None:
    routes = [
        route(1, connector_id=1),
        route(2, "44", connector_id=7),
        route(3, "33", name="r2", connector_id=1, fallback_connector_ids=(2, 1)),
    ]
    assert codes(routes, group("gold"), group("lead", 7)) == [
        ("error", "connector_unknown", "r2"),
        ("error", "duplicate_name", "r2"),
        ("error", "invalid_value", "lead"),
        ("warning", "route_loop", "r2"),
        ("warning", "route_matches_nothing", "gold"),
    ]


SHADOWED: list[tuple[Route, Route, bool]] = [
    (route(1, "33"), route(2, "33"), True),
    (route(1, "33"), route(2, "33", purposes=("otp",)), True),
    (route(1, "33", purposes=("otp",)), route(2, "33"), False),
    (route(1, "33", purposes=("otp", "service")), route(2, "33", purposes=("otp",)), True),
    (route(1, "3"), route(2, "33"), False),
    (route(1, "33", account_id=5), route(2, "33"), False),
    (route(1, "33", account_id=5), route(2, "33", account_id=5), True),
    (route(1, "33", test=True), route(2, "33"), False),
    (route(1, "33", status="stopped"), route(2, "33"), False),
    (route(1), route(2, match=Match(operators=("20801",))), False),  # the operator's comes before
    (route(1, match=Match(countries=("FR", "BE"))), route(2, match=Match(countries=("BE",))), True),
    (route(1, match=Match(tags=("a", "b"))), route(2, match=Match(tags=("b",))), True),
    (route(1, match=Match(tags=("a",))), route(2, match=Match(tags=("a", "b"))), False),
    (route(1, match=Match(least=2)), route(2, match=Match(least=3)), True),
    (route(1, match=Match(most=2)), route(2), False),
    (route(1, match=Match(prefixes=("33", "34"))), route(2, match=Match(prefixes=("34", "33"))), True),
    (route(1, match=Match(prefixes=("33", "34"))), route(2, match=Match(prefixes=("33", "35"))), False),
    (route(1, match=Match(times=(Window(start=1),))), route(2), False),
]


@pytest.mark.parametrize(("first", "second", "covered"), SHADOWED)
def test_a_route_that_gets_nothing_is_noticed(first: Route, second: Route, covered: bool) -> None:
    found = [(fault.code, fault.object_id) for fault in unreachable([second, first])]
    assert found == ([("route_unreachable", 2)] if covered else [])


_matches = st.builds(
    Match,
    countries=st.sampled_from([(), ("FR",), ("FR", "GB")]),
    operators=st.sampled_from([(), (), ("20801",)]),
    tags=st.sampled_from([(), ("x",), ("x", "y")]),
    least=st.sampled_from([None, 2]),
)
_routes = st.builds(
    route,
    st.integers(1, 100),
    st.text("1", max_size=1),
    position=st.integers(0, 3),
    purposes=st.sampled_from([(), ("otp",), ("otp", "service")]),
    senders=st.sampled_from([(), ("A",)]),
    match=_matches,
)
_asks = st.builds(
    ask,
    st.sampled_from(["1", "2"]),
    country=st.sampled_from(["", "FR", "GB"]),
    operator=st.sampled_from([None, "20801"]),
    purpose=st.sampled_from(["otp", "service", "marketing"]),
    sender=st.sampled_from(["A", "B"]),
    tags=st.sampled_from([(), ("x",), ("y",), ("x", "y")]),
    segments=st.integers(1, 2),
)


@given(st.lists(_routes, max_size=6, unique_by=lambda r: r.id), st.lists(_asks, max_size=20))
def test_what_is_called_unreachable_takes_no_message(routes: list[Route], asks: list[Any]) -> None:
    table, lost = Table(routes), {fault.object_id for fault in unreachable(routes)}
    taken = {decision.route_id for asked in asks if (decision := table.decide(asked)) is not None}
    assert taken.isdisjoint(lost)


def test_ten_thousand_routes_are_checked_within_seconds() -> None:
    routes = [route(n, f"{n % 90 + 10}", connector_id=1, match=Match(tags=(f"t{n}",))) for n in range(1, 10_001)]
    routes.append(route(10_001, "33", connector_id=1, match=Match(tags=("t23",))))
    began = time.process_time()
    assert codes(routes) == [("warning", "route_unreachable", "r10001")]
    assert time.process_time() - began < 3.0
