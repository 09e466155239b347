"""Routes and groups of accounts in a file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chappe import declared, routing
from chappe.declared import Invalid, Plan, Secrets
from chappe.declared.toml import dumps
from chappe.routing import ERROR_CLASSES, Match, Window
from chappe.runtime import Runtime

BASE = """
[[accounts]]
slug = "acme"
name = "Acme"

[[accounts]]
slug = "other"
name = "Other"

[[connectors]]
name = "one"
settings = { host = "127.0.0.1" }
credentials = { system_id = "us", password = { env = "P" } }

[[connectors]]
name = "two"
settings = { host = "127.0.0.1" }
credentials = { system_id = "us", password = { env = "P" } }
"""
FULL = (
    BASE
    + """
[[account_groups]]
name = "gold"
accounts = ["acme"]

[[routes]]
name = "fr"
match.countries = ["FR"]
match.operators = ["20801"]
match.prefixes = ["+336", "337"]
match.sender_kinds = ["short_code"]
match.tags = ["vip"]
match.accounts = ["acme", "other"]
match.account_groups = ["gold"]
match.times = [{ days = ["mon"], start = "22:00", end = "06:00", time_zone = "Europe/Paris" }]
match.segments = { most = 2 }
max_cost = "0.07"
allow_loss = true
most_attempts = 2

[[routes.groups]]
connectors = [{ connector = "one", weight = 3 }, { connector = "two" }]
strategy = "weights"
skip_on = ["rejected"]
"""
)


def plan(rt: Runtime, text: str, *, prune: bool = False) -> Plan:
    return declared.make_plan(rt, declared.SECTIONS, text, "a.toml", Secrets({"P": "word"}, Path()), prune=prune)


async def apply(rt: Runtime, text: str, *, prune: bool = False) -> None:
    await declared.apply_plan(rt, plan(rt, text, prune=prune), "cli:test")


async def test_a_file_makes_routes_with_everything_and_one_version(rt: Runtime) -> None:
    await apply(rt, FULL)
    table = routing.table(rt)
    [fr] = table.routes
    acme, other = sorted(fr.match.account_ids)
    assert table.account_groups["gold"].account_ids == (acme,)
    assert fr.match == Match(
        countries=("FR",),
        operators=("20801",),
        prefixes=("336", "337"),
        sender_kinds=("short_code",),
        tags=("vip",),
        account_ids=(acme, other),
        account_groups=("gold",),
        times=(Window("Europe/Paris", ("mon",), 22 * 60, 6 * 60),),
        most=2,
    )
    [group] = fr.groups
    assert (group.strategy, group.leave_on, group.skip_on) == ("weights", ERROR_CLASSES, ("rejected",))
    assert [member.weight for member in group.connectors] == [3, 1]
    assert (fr.max_cost, fr.allow_loss, fr.most_attempts, fr.prefix) == (70_000, True, 2, "33")
    assert not plan(rt, FULL, prune=True)
    exported = declared.export(rt, declared.SECTIONS)
    assert not plan(rt, exported, prune=True)
    [version] = await routing.versions(rt)
    assert (version.kind, version.actor, version.changes) == ("apply", "cli:test", 2)
    await apply(rt, BASE, prune=True)
    assert not routing.table(rt).routes and not routing.table(rt).account_groups
    assert len(await routing.versions(rt)) == 2


async def test_a_file_that_changes_no_route_makes_no_version(rt: Runtime) -> None:
    await apply(rt, FULL)
    await apply(rt, FULL.replace('name = "Other"', 'name = "Another"'))
    assert len(await routing.versions(rt)) == 1


BROKEN: list[tuple[str, str, str]] = [
    ('account_groups = ["gold"]', 'account_groups = ["lead"]', "account_groups[0]: There is no account group lead."),
    ('accounts = ["acme"]', 'accounts = ["acne"]', "account_groups[0].accounts[0]: There is no account acne."),
    ('match.accounts = ["acme", "other"]', 'match.accounts = ["x"]', "match.accounts[0]: There is no account x."),
    ('connector = "one", weight = 3', 'connector = "x"', "groups[0].connectors[0].connector: There is no connector x."),
    ('start = "22:00"', 'start = "22h"', "match.times[0].start: 22h is no time of the day: write 22:00."),
    ('"Europe/Paris"', '"Europe/Lutetia"', "match.times[0].time_zone: Europe/Lutetia is no IANA time zone."),
    ('"20801"', '"20899"', "match.operators[0]: No operator has the code 20899."),
    ('max_cost = "0.07"', 'max_cost = "cheap"', "max_cost: an amount is a decimal number"),
    ('max_cost = "0.07"', 'max_cost = "-1"', "max_cost: "),
    ('strategy = "weights"', 'strategy = "luck"', "strategy: 'luck' is not allowed here."),
    (
        'name = "fr"',
        'name = "fr"\nconnector = "one"',
        "A route leads to a connector or to groups of them",
    ),
    (
        '{ connector = "two" }',
        '{ connector = "one" }',
        "groups[0].connectors[1].connector: The message would",
    ),
    ('["FR"]', '["DE"]', "match.prefixes: No number of these countries starts with these digits."),
]


@pytest.mark.parametrize(("old", "new", "words"), BROKEN)
async def test_every_mistake_is_told_with_its_field(rt: Runtime, old: str, new: str, words: str) -> None:
    assert old in FULL
    with pytest.raises(Invalid) as caught:
        plan(rt, FULL.replace(old, new, 1))
    [problem] = [str(problem) for problem in caught.value.problems]
    assert words in problem and problem.startswith("a.toml:")


_members = st.lists(st.sampled_from(["one", "two"]), min_size=1, max_size=2, unique=True).map(
    lambda names: [{"connector": name, "weight": len(name)} for name in names]
)


@st.composite
def _routes(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = []
    for name in draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True)):
        route: dict[str, Any] = {"name": name}
        if draw(st.booleans()):
            route |= {"connector": "one", "fallbacks": draw(st.lists(st.sampled_from(["one", "two"]), max_size=5))}
        else:
            strategy = draw(st.sampled_from(["order", "weights"]))
            route["groups"] = [{"connectors": draw(_members), "strategy": strategy}]
        route["match"] = {
            "countries": draw(st.sampled_from([[], ["FR"]])),
            "prefixes": draw(st.sampled_from([[], ["336"], ["+336", "337"]])),
            "accounts": draw(st.sampled_from([[], ["acme"], ["acme", "other"]])),
            "account_groups": draw(st.sampled_from([[], ["gold"]])),
            "segments": draw(st.sampled_from([{}, {"least": 2}])),
        }
        if draw(st.booleans()):
            route["most_attempts"] = draw(st.integers(1, 16))
        made.append(route)
    return made


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(routes=_routes())
async def test_export_is_the_inverse_of_apply(rt: Runtime, routes: list[dict[str, Any]]) -> None:
    text = dumps({**tomllib.loads(BASE), "account_groups": [{"name": "gold", "accounts": ["acme"]}], "routes": routes})
    await apply(rt, text, prune=True)
    for again in (text, declared.export(rt, declared.SECTIONS)):
        assert not plan(rt, again, prune=True).steps
