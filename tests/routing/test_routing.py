from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.accounts import Account, audit_entries
from chappe.channels.settings import Connector, SmppCredentials, SmppSettings
from chappe.errors import Refused
from chappe.routing import Route, Table, create_route, decide, delete_route, explain, table, update_route
from chappe.runtime import Runtime
from tests.accounts.runtime import start


def route(number: int, prefix: str = "", **fields: Any) -> Route:
    values: dict[str, Any] = {
        "id": number,
        "name": f"r{number}",
        "position": number,
        "account_id": None,
        "prefix": prefix,
        "purposes": (),
        "senders": (),
        "connector_id": number * 100,
        "fallback_connector_ids": (),
        "status": "active",
        "test": False,
        "created_at": 0,
    }
    return Route(**(values | fields))


def chosen(routes: list[Route], digits: str = "33612345678", account_id: int = 1, **fields: Any) -> int | None:
    decision = decide(Table(routes), account_id, digits, fields.pop("purpose", "service"), **fields)
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


def test_an_accounts_own_route_comes_before_a_longer_one_for_all() -> None:
    routes = [route(1, "", account_id=1), route(2, "336")]
    assert chosen(routes) == 1
    assert chosen(routes, account_id=2) == 2


def test_another_accounts_route_is_never_taken() -> None:
    assert chosen([route(1, "", account_id=2)]) is None


def test_a_route_of_another_purpose_is_passed_over() -> None:
    routes = [route(1, "336", purposes=("otp",)), route(2, "")]
    assert chosen(routes, purpose="otp") == 1
    assert chosen(routes, purpose="marketing") == 2


def test_a_route_of_other_senders_is_passed_over() -> None:
    routes = [route(1, "336", senders=("Acme",)), route(2, "")]
    assert chosen(routes, sender="Acme") == 1
    assert chosen(routes, sender="Other") == 2


def test_a_stopped_route_is_passed_over() -> None:
    assert chosen([route(1, "336", status="stopped"), route(2, "")]) == 2


def test_test_traffic_and_live_traffic_never_share_a_route() -> None:
    live, test = route(1, ""), route(2, "", test=True)
    assert chosen([live, test], test=True) == 2 and chosen([live, test]) == 1
    assert chosen([live], test=True) is None and chosen([test]) is None


def test_fallbacks_follow_in_order_and_once() -> None:
    decision = decide(Table([route(1, connector_id=7, fallback_connector_ids=(8, 7, 9))]), 1, "33", "otp")
    assert decision is not None and decision.connectors == (7, 8, 9)
    assert decision.reason == "route r1, for all accounts, any number"


_routes = st.builds(
    route,
    st.integers(1, 10_000),
    st.text("0123", max_size=4),
    position=st.integers(0, 5),
    account_id=st.sampled_from([None, 1, 2]),
    purposes=st.sampled_from([(), ("otp",), ("otp", "service")]),
    senders=st.sampled_from([(), ("A",)]),
    status=st.sampled_from(["active", "active", "stopped"]),
    test=st.booleans(),
)


@given(
    st.lists(_routes, max_size=12, unique_by=lambda r: r.id),
    st.sampled_from([1, 2, 3]),
    st.text("0123", min_size=1, max_size=6),
    st.sampled_from(["otp", "service", "marketing"]),
    st.booleans(),
    st.sampled_from(["A", "B"]),
)
def test_decide_and_explain_agree_with_the_rule_said_plainly(
    routes: list[Route], account_id: int, digits: str, purpose: str, test: bool, sender: str
) -> None:
    fits = [
        r
        for r in routes
        if r.status == "active"
        and r.test == test
        and r.account_id in (None, account_id)
        and digits.startswith(r.prefix)
        and (not r.purposes or purpose in r.purposes)
        and (not r.senders or sender in r.senders)
    ]
    best = min(fits, key=lambda r: (r.account_id is None, -len(r.prefix), r.position, r.id), default=None)
    compiled = Table(routes)
    decision = decide(compiled, account_id, digits, purpose, test, sender)
    assert (decision and decision.route_id) == (best and best.id)
    tried = explain(compiled, account_id, digits, purpose, test, sender)
    assert [t.route_id for t in tried if t.chosen] == ([best.id] if best else [])
    assert {t.route_id for t in tried} == {r.id for r in routes if r.account_id in (None, account_id)}
    assert all(t.reason for t in tried)


def test_explain_says_why_not() -> None:
    routes = [
        route(1, "336", purposes=("otp",)),
        route(2, "44"),
        route(3, "336", test=True),
        route(4, "33", status="stopped"),
        route(5, "3", senders=("X",)),
        route(6, "33"),
        route(7, ""),
    ]
    told = {tried.name: tried.reason for tried in explain(Table(routes), 1, "33612345678", "service")}
    assert told == {
        "r1": "the route carries otp, not service",
        "r2": "the number does not start with 44",
        "r3": "the route carries test traffic only",
        "r4": "the route is stopped",
        "r5": "the route carries the senders X",
        "r6": "route r6, for all accounts, prefix 33",
        "r7": "an earlier route was chosen",
    }


# -- stored ------------------------------------------------------------------------------------------------------------


def connector(number: int, *, test: bool = False) -> Connector:
    credentials = SmppCredentials("a", "b")
    return Connector(number, f"c{number}", "smpp", test, "active", SmppSettings(host="h"), credentials)


KNOWN = {1: connector(1), 2: connector(2), 9: connector(9, test=True)}
find = KNOWN.get


async def refused(work: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value


async def test_routes_are_stored_in_order_and_compiled_on_every_node(
    rt: Runtime, acme: Account, store_url: str, tmp_path: Path
) -> None:
    fr = await create_route(
        rt,
        "test",
        find,
        name="fr",
        prefix="+33",
        connector_id=1,
        fallback_connector_ids=(2,),
        purposes=("otp",),
        senders=("Acme",),
        account_id=acme.id,
    )
    rest = await create_route(rt, "test", find, name="rest", connector_id=2)
    first = await create_route(rt, "test", find, name="first", connector_id=1, position=1)
    node = await start(store_url, tmp_path)
    for known in (table(rt), table(node)):
        assert known.routes == [first, fr, rest]
        decision = decide(known, acme.id, "33612345678", "otp", False, "Acme")
        assert decision is not None and decision.connectors == (1, 2) and decision.route_id == fr.id
        assert known.using(2) == ["fr", "rest"] and known.get(fr.id) == fr
    assert fr.prefix == "33"
    await node.close()


async def test_a_changed_route_takes_effect_and_is_audited(rt: Runtime) -> None:
    made = await create_route(rt, "test", find, name="fr", prefix="33", connector_id=1)
    await update_route(rt, "key_1", find, made.id, connector_id=2)
    decision = decide(table(rt), 1, "33612345678", "otp")
    assert decision is not None and decision.connectors == (2,)
    await delete_route(rt, "key_1", made.id)
    assert decide(table(rt), 1, "33612345678", "otp") is None
    entries = await audit_entries(rt)
    assert [entry.action for entry in entries] == ["delete", "update", "create"]
    assert (entries[1].before, entries[1].after) == ({"connector_id": 1}, {"connector_id": 2})


BAD_ROUTES: list[tuple[dict[str, Any], str, str]] = [
    ({"connector_id": 5}, "connector_unknown", "connector_id"),
    ({"fallback_connector_ids": (2, 5)}, "connector_unknown", "fallback_connector_ids[1]"),
    ({"connector_id": 9}, "connector_unknown", "connector_id"),
    ({"fallback_connector_ids": (9,)}, "connector_unknown", "fallback_connector_ids[0]"),
    ({"test": True}, "connector_unknown", "connector_id"),
    ({"prefix": "33x"}, "invalid_value", "prefix"),
    ({"purposes": ("spam",)}, "invalid_value", "purposes[0]"),
    ({"name": "taken"}, "duplicate_name", "name"),
    ({"name": ""}, "invalid_value", "name"),
    ({"position": -1}, "invalid_value", "position"),
]


async def test_a_bad_route_is_refused(rt: Runtime) -> None:
    await create_route(rt, "test", find, name="taken", connector_id=1)
    mine = await create_route(rt, "test", find, name="mine", connector_id=1)
    for fields, code, param in BAD_ROUTES:
        values = {"name": "ok", "connector_id": 1} | fields
        for work in (create_route(rt, "test", find, **values), update_route(rt, "test", find, mine.id, **fields)):
            error = await refused(work)
            assert (error.code, error.param) == (code, param)
        assert len(table(rt).routes) == 2


async def test_an_unknown_route_is_not_found(rt: Runtime) -> None:
    assert (await refused(delete_route(rt, "test", 5))).code == "not_found"
    assert (await refused(update_route(rt, "test", find, 5, position=1))).status == 404
