"""Which route takes a message: the compiled table against the rules read plainly."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.routing import AccountGroup, Ask, Match, Route, Table, Tried, Window, explain
from tests.routing.making import ask, group, route


def chosen(
    routes: list[Route], digits: str = "33612345678", groups: tuple[AccountGroup, ...] = (), **asked: Any
) -> int | None:
    decision = Table(routes, groups).decide(ask(digits, **asked))
    return None if decision is None else decision.route_id


def test_the_longest_prefix_wins_whatever_its_position() -> None:
    routes = [route(1, ""), route(2, "33"), route(3, "336"), route(4, "337")]
    assert chosen(routes) == 3
    assert chosen(routes, "33712345678") == 4
    assert chosen(routes, "33112345678") == 2
    assert chosen(routes, "4912345678") == 1


def test_between_equal_prefixes_the_first_position_wins() -> None:
    assert chosen([route(1, "33", position=20), route(2, "33", position=10)]) == 2
    assert chosen([route(2, "33", position=10), route(1, "33", position=10)]) == 1


def test_an_accounts_own_route_comes_before_its_groups_and_these_before_those_for_all() -> None:
    routes = [
        route(1, "", account_id=1),
        route(2, "3", match=Match(account_groups=("gold",))),
        route(3, "336"),
        route(4, "33", match=Match(account_groups=("early",))),
    ]
    groups = (group("gold", 1, 2), group("early", 2))
    assert chosen(routes, groups=groups) == 1
    assert chosen(routes, groups=groups, account_id=2) == 4  # among the groups of an account the longest prefix
    assert chosen(routes, groups=groups, account_id=3) == 3
    assert chosen(routes, groups=groups, account_id=None) == 3


def test_a_route_for_several_accounts_is_each_ones_own() -> None:
    routes = [route(1, "", match=Match(account_ids=(1, 2))), route(2, "336")]
    assert [chosen(routes, account_id=number) for number in (1, 2, 3)] == [1, 1, 2]


def test_another_accounts_route_is_never_taken() -> None:
    assert chosen([route(1, "", account_id=2)]) is None
    assert chosen([route(1, "", match=Match(account_groups=("gold",)))], groups=(group("gold", 2),)) is None
    assert chosen([route(1, "", match=Match(account_groups=("gold",)))]) is None  # nobody is in a group that is not


def test_the_operator_comes_before_the_country_and_this_before_any_at_equal_prefixes() -> None:
    routes = [
        route(1, position=1),
        route(2, position=2, match=Match(countries=("FR",))),
        route(3, position=3, match=Match(operators=("20801", "20802"))),
        route(4, "336", position=4, match=Match(operators=("20815",))),
    ]
    assert chosen(routes, operator="20802", country="FR") == 3
    assert chosen(routes, operator="20815", country="FR") == 4
    assert chosen(routes, operator="20810", country="FR") == 2
    assert chosen(routes, operator=None, country="FR") == 2
    assert chosen(routes, operator="23410", country="GB") == 1


def test_a_route_of_several_prefixes_counts_by_the_one_that_fits() -> None:
    routes = [route(1, "3", match=Match(prefixes=("3361", "34"))), route(2, "336")]
    assert chosen(routes) == 1
    assert chosen(routes, "33698765432") == 2
    assert chosen(routes, "34612345678") == 1
    assert chosen(routes, "32470123456") is None


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"purposes": ("otp",)}, {"purpose": "otp"}, {"purpose": "marketing"}),
    ({"senders": ("Acme",)}, {"sender": "Acme"}, {"sender": "Other"}),
    ({"match": Match(sender_kinds=("short_code",))}, {"sender_kind": "short_code"}, {"sender_kind": "alphanumeric"}),
    ({"match": Match(tags=("a", "b"))}, {"tags": ("c", "b")}, {"tags": ("c",)}),
    ({"match": Match(least=2)}, {"segments": 2}, {"segments": 1}),
    ({"match": Match(most=2)}, {"segments": 2}, {"segments": 3}),
    ({"match": Match(countries=("FR",))}, {"country": "FR"}, {"country": ""}),
    ({"match": Match(operators=("20801",))}, {"operator": "20801"}, {"operator": None}),
    ({"match": Match(operators=("20801",), countries=("FR",))}, {"operator": "20801"}, {"country": "GB"}),
]


@pytest.mark.parametrize(("fields", "meets", "misses"), CONDITIONS)
def test_a_route_whose_condition_is_not_met_is_passed_over(
    fields: dict[str, Any], meets: dict[str, Any], misses: dict[str, Any]
) -> None:
    routes = [route(1, "336", **fields), route(2, "")]
    fits: dict[str, Any] = {"country": "FR", "operator": "20801"}
    assert chosen(routes, **(fits | meets)) == 1
    assert chosen(routes, **(fits | meets | misses)) == 2


def test_a_stopped_route_is_passed_over() -> None:
    assert chosen([route(1, "336", status="stopped"), route(2, "")]) == 2


def test_test_traffic_and_live_traffic_never_share_a_route() -> None:
    live, test = route(1, ""), route(2, "", test=True)
    assert chosen([live, test], test=True) == 2 and chosen([live, test]) == 1
    assert chosen([live], test=True) is None and chosen([test]) is None


def at(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def test_a_window_is_open_by_the_clock_of_its_zone() -> None:
    office = Window(zone="Europe/Paris", days=("mon", "tue"), start=9 * 60, end=18 * 60)
    assert office.holds(at("2026-11-23T09:00:00", "Europe/Paris"))  # a Monday
    assert office.holds(at("2026-11-23T17:59:59", "Europe/Paris"))
    assert not office.holds(at("2026-11-23T18:00:00", "Europe/Paris"))
    assert not office.holds(at("2026-11-22T12:00:00", "Europe/Paris"))
    assert not office.holds(at("2026-11-23T09:00:00", "Asia/Tokyo"))  # still night in Paris


def test_a_window_that_passes_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    night = Window(zone="Asia/Kolkata", days=("sun",), start=22 * 60, end=6 * 60)
    assert night.holds(at("2026-11-22T22:00:00", "Asia/Kolkata"))  # a Sunday
    assert night.holds(at("2026-11-23T05:59:00", "Asia/Kolkata"))
    assert not night.holds(at("2026-11-23T06:00:00", "Asia/Kolkata"))
    assert not night.holds(at("2026-11-23T22:00:00", "Asia/Kolkata"))
    assert not night.holds(at("2026-11-22T05:00:00", "Asia/Kolkata"))


def test_a_window_keeps_the_local_hour_when_clocks_are_set() -> None:
    morning = Window(zone="Europe/Paris", start=8 * 60, end=9 * 60)
    before, after = (at(f"2026-10-{day}T08:30:00", "Europe/Paris") for day in (24, 26))
    assert morning.holds(before) and morning.holds(after)
    assert after - before == 49 * 3_600_000


def test_a_route_of_closed_hours_is_passed_over() -> None:
    routes = [route(1, match=Match(times=(Window(start=60, end=120),))), route(2)]
    assert [chosen(routes, at=hour * 3_600_000) for hour in (0, 1, 2)] == [2, 1, 2]


def test_the_table_says_whether_any_active_route_looks_at_segments() -> None:
    assert not Table([route(1), route(2, match=Match(least=2), status="stopped")]).asks_segments
    assert Table([route(1, match=Match(most=3))]).asks_segments


def test_what_was_remembered_for_one_message_is_not_used_for_an_unlike_one() -> None:
    table = Table(
        [
            route(1, "336", senders=("A",), purposes=("otp",)),
            route(2, "33", match=Match(tags=("x",))),
            route(3, account_id=5),
            route(4),
        ]
    )
    for _ in range(2):
        for asked, number in (
            ({"sender": "A", "purpose": "otp"}, 1),
            ({"sender": "B", "purpose": "otp"}, 4),
            ({"sender": "A", "purpose": "service"}, 4),
            ({"sender": "A", "tags": ("x",)}, 2),
            ({"account_id": 5, "sender": "A", "purpose": "otp"}, 3),
        ):
            decision = table.decide(ask("33612345678", **asked))
            assert decision is not None and decision.route_id == number


def test_among_thousands_of_routes_for_senders_each_sender_finds_its_own() -> None:
    routes = [route(n, "33", senders=(f"S{n}",), purposes=("otp",)) for n in range(1, 3_001)]
    table = Table([*routes, route(9_999, "33", purposes=("otp",)), route(10_000)])
    for _ in range(2):
        for sender, number in (("S7", 7), ("S2999", 2999), ("S0", 9_999), ("else", 9_999)):
            decision = table.decide(ask("33612345678", sender=sender, purpose="otp"))
            assert decision is not None and decision.route_id == number
        decision = table.decide(ask("33612345678", sender="S7", purpose="service"))
        assert decision is not None and decision.route_id == 10_000


# -- the rule said plainly -----------------------------------------------------------------------------------------

_COUNTRIES, _OPERATORS = ("FR", "GB"), ("20801", "23410")
_matches = st.builds(
    Match,
    countries=st.sampled_from([(), (), ("FR",), ("FR", "GB")]),
    operators=st.sampled_from([(), (), ("20801",), ("20801", "23410")]),
    prefixes=st.sampled_from([(), (), ("1", "12"), ("12", "2")]),
    sender_kinds=st.sampled_from([(), (), ("short_code",)]),
    tags=st.sampled_from([(), (), ("x",), ("x", "y")]),
    account_ids=st.sampled_from([(), (), (1, 2)]),
    account_groups=st.sampled_from([(), (), ("g",), ("g", "h")]),
    times=st.sampled_from([(), (), (Window(start=600, end=60),), (Window(days=("thu",)), Window(start=5, end=10))]),
    least=st.sampled_from([None, None, 2]),
    most=st.sampled_from([None, None, 2]),
)
_routes = st.builds(
    route,
    st.integers(1, 10_000),
    st.text("12", max_size=3),
    position=st.integers(0, 5),
    account_id=st.sampled_from([None, None, 1, 2]),
    purposes=st.sampled_from([(), (), ("otp",), ("otp", "service")]),
    senders=st.sampled_from([(), (), ("A",), ("A", "B")]),
    status=st.sampled_from(["active", "active", "active", "stopped"]),
    test=st.sampled_from([False, False, False, True]),
    match=_matches,
)
_asks = st.builds(
    Ask,
    account_id=st.sampled_from([None, 1, 2, 3]),
    digits=st.text("12", min_size=1, max_size=5),
    country=st.sampled_from(["", *_COUNTRIES]),
    operator=st.sampled_from([None, *_OPERATORS, "20810"]),
    purpose=st.sampled_from(["otp", "service", "marketing"]),
    sender=st.sampled_from(["A", "B", "C"]),
    sender_kind=st.sampled_from(["short_code", "alphanumeric"]),
    tags=st.sampled_from([(), ("x",), ("y", "z")]),
    segments=st.integers(1, 3),
    test=st.booleans(),
    at=st.integers(0, 14 * 86_400_000),
)
_groups = st.tuples(
    st.sampled_from([(), (1,), (1, 2)]).map(lambda ids: group("g", *ids)),
    st.sampled_from([(), (2, 3)]).map(lambda ids: group("h", *ids)),
)


def plainly(routes: list[Route], groups: tuple[AccountGroup, ...], asked: Ask) -> Route | None:
    """Every rule read, and the first of those that fit."""
    mine = {g.name for g in groups if asked.account_id in g.account_ids}

    def rank(r: Route) -> tuple[int, ...] | None:
        own = {r.account_id, *r.match.account_ids} - {None}
        nearness = 0 if asked.account_id in own else 1 if mine & set(r.match.account_groups) else 2
        if nearness == 2 and (own or r.match.account_groups):
            return None
        prefixes = [p for p in (r.match.prefixes or (r.prefix,)) if asked.digits.startswith(p)]
        m = r.match
        fits = (
            r.status == "active"
            and r.test == asked.test
            and prefixes
            and (not m.operators or asked.operator in m.operators)
            and (not m.countries or asked.country in m.countries)
            and (not r.purposes or asked.purpose in r.purposes)
            and (not r.senders or asked.sender in r.senders)
            and (not m.sender_kinds or asked.sender_kind in m.sender_kinds)
            and (not m.tags or set(m.tags) & set(asked.tags))
            and (m.least or 0) <= asked.segments <= (m.most or 999)
            and (not m.times or any(w.holds(asked.at) for w in m.times))
        )
        if not fits:
            return None
        place = 0 if m.operators else 1 if m.countries else 2
        return nearness, -max(map(len, prefixes)), place, r.position, r.id

    ranked = [(found, r) for r in routes if (found := rank(r)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


@given(
    st.lists(_routes, max_size=12, unique_by=lambda r: r.id),
    _groups,
    st.lists(_asks, min_size=1, max_size=6),
    st.sampled_from([0, 2, 16]),
)
def test_decide_and_explain_agree_with_the_rule_said_plainly(
    routes: list[Route], groups: tuple[AccountGroup, ...], asks: list[Ask], few: int
) -> None:
    table = Table(routes, groups)
    table.few = few
    for asked in [*asks, *asks]:  # once new, once remembered
        best = plainly(routes, groups, asked)
        decision = table.decide(asked)
        assert (decision and decision.route_id) == (best and best.id)
        tried = explain(table, asked)
        assert [t.route_id for t in tried if t.chosen] == ([best.id] if best else [])
        assert all(t.reason for t in tried)


def test_explain_says_why_not_in_the_order_of_trying() -> None:
    routes = [
        route(1, "336", purposes=("otp",)),
        route(2, "44"),
        route(3, "336", test=True),
        route(4, "33", status="stopped"),
        route(5, "3", senders=("X",)),
        route(6, "33"),
        route(7, ""),
        route(8, "336", match=Match(operators=("20801",))),
        route(9, "336", match=Match(countries=("GB",))),
        route(10, "336", match=Match(tags=("vip",))),
        route(11, "336", match=Match(least=2)),
        route(12, "336", match=Match(times=(Window("Europe/Paris", ("mon",), 22 * 60, 6 * 60),))),
        route(13, "", match=Match(account_groups=("gold",))),
        route(14, "", account_id=9),
    ]
    told = explain(Table(routes, (group("gold", 2),)), ask("33612345678", country="FR", operator="20810"))
    assert told == [
        Tried(8, "r8", False, "the number is at operator 20810, not at 20801"),
        Tried(9, "r9", False, "the number is of FR, not of GB"),
        Tried(1, "r1", False, "the route carries otp, not service"),
        Tried(3, "r3", False, "the route carries test traffic only"),
        Tried(10, "r10", False, "the message has none of the tags vip"),
        Tried(11, "r11", False, "the message has 1 segments, the route takes 2 or more"),
        Tried(12, "r12", False, "the route is open mon 22:00-06:00 Europe/Paris"),
        Tried(2, "r2", False, "the number does not start with 44"),
        Tried(4, "r4", False, "the route is stopped"),
        Tried(6, "r6", True, "route r6, for all accounts, prefix 33"),
        Tried(5, "r5", False, "the route carries the senders X"),
        Tried(7, "r7", False, "an earlier route was chosen"),
        Tried(13, "r13", False, "the account is not in gold"),
    ]


def test_the_reason_names_whose_route_it_is_and_what_it_looks_at() -> None:
    routes = [route(1, "", match=Match(account_groups=("gold",), operators=tuple(f"2080{n}" for n in range(1, 8))))]
    decision = Table(routes, (group("gold", 1),)).decide(ask("33612345678", operator="20801"))
    assert decision is not None
    words = "route r1, for gold, any number, operator 20801, 20802, 20803, 20804, 20805 and 2 more"
    assert decision.reason == words


def test_ten_thousand_routes_are_explained_within_a_second() -> None:
    table = Table([route(n, f"{n % 90 + 10}", match=Match(tags=(f"t{n}",))) for n in range(1, 10_001)])
    began = time.process_time()
    told = explain(table, ask("33612345678"))
    assert len(told) == 10_000 and not any(t.chosen for t in told)
    assert time.process_time() - began < 1.0
