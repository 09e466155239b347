"""Routes, drafts, versions and account groups by the API."""

from __future__ import annotations

from typing import Any

import pytest

from chappe import ids
from tests.api.conftest import World

FRANCE: dict[str, Any] = {
    "name": "france",
    "match": {
        "countries": ["FR"],
        "operators": ["20801"],
        "prefixes": ["+336", "337"],
        "sender_kinds": ["alphanumeric"],
        "purposes": ["otp"],
        "tags": ["vip"],
        "account_groups": ["gold"],
        "times": [{"days": ["mon", "tue"], "start": "22:00", "end": "06:00", "time_zone": "Europe/Paris"}],
        "segments": {"most": 2},
    },
    "groups": [
        {
            "connectors": [{"connector": "main", "weight": 3}, {"connector": "second"}],
            "strategy": "sticky",
            "leave_on": ["unreachable", "throttled"],
            "skip_on": ["rejected"],
        }
    ],
    "most_attempts": 2,
    "max_cost": "0.07",
    "allow_loss": True,
}


async def second(world: World) -> None:
    made = await world.operator.post(
        "/v1/connectors",
        {
            "name": "second",
            "settings": {"host": "127.0.0.1"},
            "credentials": {"system_id": "us", "password": "sesame"},
        },
    )
    assert made.status == 201, made.body


async def gold(world: World) -> Any:
    acme = ids.public("acc", world.account_ids["acme"])
    made = await world.operator.post("/v1/account_groups", {"name": "gold", "account_ids": [acme]})
    assert made.status == 201, made.body
    return made.json


async def test_a_route_with_everything_is_shown_as_it_was_written(world: World) -> None:
    await second(world)
    await gold(world)
    made = await world.operator.post("/v1/routes", FRANCE)
    assert made.status == 201, made.body
    shown = (await world.operator.get(f"/v1/routes/{made.json['id']}")).json
    assert shown == made.json
    match = shown["match"]
    assert match["prefixes"] == ["336", "337"] and match["times"] == FRANCE["match"]["times"]
    assert match["segments"] == {"least": None, "most": 2} and match["purposes"] == ["otp"]
    assert shown["groups"] == [
        FRANCE["groups"][0] | {"connectors": [{"connector": "main", "weight": 3}, {"connector": "second", "weight": 1}]}
    ]
    assert (shown["most_attempts"], shown["max_cost"], shown["allow_loss"]) == (2, "0.07", True)
    assert (shown["connector"], shown["fallback_connectors"], shown["prefix"]) == ("main", ["second"], "33")
    same = await world.operator.patch(f"/v1/routes/{shown['id']}", {"match": match, "groups": shown["groups"]})
    assert same.json == shown


async def test_short_and_long_forms_are_two_ways_to_say_the_same(world: World) -> None:
    acme = ids.public("acc", world.account_ids["acme"])
    short = {"name": "a", "connector": "main", "prefix": "33", "account_id": acme, "senders": ["Acme"]}
    match = {"prefixes": ["+33"], "account_ids": [acme], "senders": ["Acme"]}
    long = {"name": "b", "groups": [{"connectors": [{"connector": "main"}]}], "match": match}
    one, other = [(await world.operator.post("/v1/routes", told)).json for told in (short, long)]
    different = {name for name in one if one[name] != other[name]}
    assert different == {"id", "name", "position", "created_at"}
    changed = (await world.operator.patch(f"/v1/routes/{one['id']}", {"match": {"countries": ["FR"]}})).json
    assert (changed["prefix"], changed["account_id"], changed["senders"]) == ("", None, [])


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"groups": []}, "route_without_connectors", "groups"),
    ({}, "route_without_connectors", "groups"),
    ({"groups": [{"connectors": []}]}, "route_without_connectors", "groups[0].connectors"),
    (
        {"groups": [{"connectors": [{"connector": "main"}, {"connector": "nope"}]}]},
        "connector_unknown",
        "groups[0].connectors[1].connector",
    ),
    ({"groups": [{"connectors": [{"connector": "lab"}]}]}, "connector_unknown", "groups[0].connectors[0].connector"),
    (
        {"groups": [{"connectors": [{"connector": "main"}, {"connector": "main"}], "strategy": "weights"}]},
        "route_loop",
        "groups[0].connectors[1].connector",
    ),
    ({"groups": [{"connectors": [{"connector": "main"}], "strategy": "luck"}]}, "invalid_value", "groups[0].strategy"),
    ({"connector": "main", "groups": [{"connectors": [{"connector": "main"}]}]}, "invalid_value", "connector"),
    ({"connector": "main", "prefix": "33", "match": {}}, "invalid_value", "prefix"),
    ({"connector": "main", "match": {"account_ids": ["acc_1"]}}, "invalid_value", "match.account_ids[0]"),
    ({"connector": "main", "match": {"account_groups": ["lead"]}}, "invalid_value", "match.account_groups[0]"),
    ({"connector": "main", "match": {"operators": ["20899"]}}, "operator_unknown", "match.operators[0]"),
    ({"connector": "main", "match": {"countries": ["XX"]}}, "invalid_value", "match.countries[0]"),
    (
        {"connector": "main", "match": {"countries": ["DE"], "prefixes": ["33"]}},
        "route_matches_nothing",
        "match.prefixes[0]",
    ),
    (
        {"connector": "main", "match": {"segments": {"least": 3, "most": 2}}},
        "route_matches_nothing",
        "match.segments",
    ),
    ({"connector": "main", "match": {"times": [{"start": "24:00"}]}}, "invalid_value", "match.times[0].start"),
    ({"connector": "main", "match": {"times": [{"end": "12:60"}]}}, "invalid_value", "match.times[0].end"),
    ({"connector": "main", "match": {"times": [{"time_zone": "Mars"}]}}, "invalid_value", "match.times[0].time_zone"),
    ({"connector": "main", "match": {"times": [{"days": ["someday"]}]}}, "invalid_value", "match.times[0].days[0]"),
    ({"connector": "main", "max_cost": "-1"}, "invalid_value", "max_cost"),
    ({"connector": "main", "most_attempts": 17}, "invalid_value", "most_attempts"),
]


async def test_a_bad_route_is_refused_with_its_field(world: World, subtests: pytest.Subtests) -> None:
    draft = (await world.operator.post("/v1/route_drafts", {"name": "one"})).json
    for told, code, param in BAD:
        for path in ("/v1/routes", f"/v1/route_drafts/{draft['id']}/routes"):
            with subtests.test(path=path, told=told):
                refused = await world.operator.post(path, {"name": "x"} | told)
                assert (refused.code, refused.param) == (code, param)
    assert (
        len((await world.operator.get("/v1/route_versions")).json["data"]) == 2
    )  # those of the two routes at the start


async def test_a_number_is_explained_with_the_order_of_its_connectors(world: World) -> None:
    await second(world)
    await gold(world)
    made = (await world.operator.post("/v1/routes", FRANCE | {"max_cost": None})).json
    acme = ids.public("acc", world.account_ids["acme"])
    question = {
        "to": "+33612345678",
        "from": "Acme",
        "account_id": acme,
        "purpose": "otp",
        "operator": "20801",
        "tags": ["vip"],
        "at": "2026-11-23T23:00:00+01:00",
    }
    answer = (await world.operator.post("/v1/routes/explain", question)).json
    assert (answer["country"], answer["operator"]) == ("FR", "20801")
    assert [tried["id"] for tried in answer["tried"] if tried["chosen"]] == [made["id"]]
    assert sorted(answer["connectors"]) == ["main", "second"]
    assert [one["connector"] for one in answer["order"]] == answer["connectors"]
    reasons = {one["connector"]: (one["group"], one["strategy"], one["reason"]) for one in answer["order"]}
    assert reasons["main"] == (1, "sticky", "first for 3 of 4 parts of the recipients")
    for change, reason in (
        ({"operator": "20810"}, "the number is at operator 20810, not at 20801"),
        ({"tags": []}, "the message has none of the tags vip"),
        ({"segments": 3}, "the message has 3 segments, the route takes 2 at most"),
        ({"at": "2026-11-23T12:00:00+01:00"}, "the route is open mon, tue 22:00-06:00 Europe/Paris"),
        ({"from": "38000"}, "the route carries senders of the kinds alphanumeric, not short_code"),
        ({"account_id": None}, "the account is not in gold"),
    ):
        answer = (await world.operator.post("/v1/routes/explain", question | change)).json
        assert answer["connectors"] == ["main"]
        assert {tried["name"]: tried["reason"] for tried in answer["tried"]}["france"] == reason
    assert (await world.operator.post("/v1/routes/explain", question | {"at": "noon"})).param == "at"
    assert (await world.operator.post("/v1/routes/explain", question | {"draft_id": "x"})).param == "draft_id"


async def test_an_account_group_is_made_changed_listed_and_deleted(world: World) -> None:
    made = await gold(world)
    path = f"/v1/account_groups/{made['id']}"
    assert (await world.operator.get(path)).json == made
    assert (await world.operator.get("/v1/account_groups")).json["data"] == [made]
    rival = ids.public("acc", world.account_ids["rival"])
    assert (await world.operator.patch(path, {"account_ids": [rival]})).json["account_ids"] == [rival]
    refused = await world.operator.patch(path, {"account_ids": [rival, "acc_1"]})
    assert (refused.code, refused.param) == ("invalid_value", "account_ids[1]")
    assert (await world.operator.post("/v1/account_groups", {"name": "gold"})).code == "duplicate_name"
    route = {"name": "x", "connector": "main", "match": {"account_groups": ["gold"]}}
    route = (await world.operator.post("/v1/routes", route)).json
    assert (await world.operator.delete(path)).code == "in_use"
    await world.operator.delete(f"/v1/routes/{route['id']}")
    assert (await world.operator.delete(path)).status == 204
    assert (await world.operator.get(path)).status == 404
    assert (await world.acme.get("/v1/account_groups")).code == "scope_missing"


async def test_a_draft_is_edited_compared_tried_and_published(both: World) -> None:
    await second(both)
    root = both.operator
    main = next(r for r in (await root.get("/v1/routes")).json["data"] if r["name"] == "main")
    draft = (await root.post("/v1/route_drafts", {"name": "autumn", "note": "cheaper"})).json
    path = f"/v1/route_drafts/{draft['id']}"
    acme = ids.public("acc", both.account_ids["acme"])
    await root.patch(path, {"account_groups": [{"name": "gold", "account_ids": [acme]}]})
    told = {"name": "vip", "match": {"account_groups": ["gold"]}, "connector": "second"}
    added = await root.post(f"{path}/routes", told)
    assert added.status == 201, added.body
    unreached = (await root.post(f"{path}/routes", told | {"name": "vip2"})).json
    changed = await root.patch(f"{path}/routes/{main['id']}", {"fallback_connectors": ["second"]})
    assert changed.json["fallback_connectors"] == ["second"]
    assert {r["name"] for r in (await root.get(f"{path}/routes")).json["data"]} == {"main", "lab", "vip", "vip2"}
    assert [g["name"] for g in (await root.get(f"{path}/account_groups")).json["data"]] == ["gold"]
    await root.post(f"{path}/order", {"route_ids": [added.json["id"]]})
    diff = (await root.get(f"{path}/diff")).json
    assert [(f["level"], f["code"], f["name"]) for f in diff["faults"]] == [("warning", "route_unreachable", "vip2")]
    assert (await root.delete(f"{path}/routes/{unreached['id']}")).status == 204
    diff = (await root.get(f"{path}/diff")).json
    assert (diff["base_version"], diff["published_version"], diff["stale"], diff["faults"]) == (2, 2, False, [])
    assert [(one["action"], one["name"]) for one in diff["changes"]["account_groups"]] == [("create", "gold")]
    told_routes = {one["name"]: (one["action"], one["fields"]) for one in diff["changes"]["routes"]}
    assert told_routes["vip"] == ("create", [])
    assert told_routes["main"] == ("update", ["groups", "fallback_connectors", "position"])
    question = {"to": "+33612345678", "account_id": acme}
    for more, connector in (({}, "main"), ({"draft_id": draft["id"]}, "second")):
        assert (await root.post("/v1/routes/explain", question | more)).json["connectors"] == [connector]
    published = await root.post(f"{path}/publish", {})
    assert (published.json["status"], published.json["version"]) == ("published", 3), published.body
    assert (await root.post("/v1/routes/explain", question)).json["connectors"] == ["second"]
    assert (await root.post(f"{path}/publish", {})).code == "draft_closed"
    versions = (await root.get("/v1/route_versions")).json["data"]
    assert [(v["number"], v["kind"], v["note"]) for v in versions][:2] == [
        (3, "publish", "cheaper"),
        (2, "change", "create route lab"),
    ]
    assert versions[0]["draft_id"] == draft["id"] and versions[0]["by"].startswith("key_")
    shown = (await root.get("/v1/route_versions/3")).json
    assert {one["name"] for one in shown["differences"]["routes"]} == {"main", "lab", "vip"}
    restored = await root.post("/v1/route_versions/2/restore", {"note": "too few delivered"})
    assert (restored.json["number"], restored.json["restored"], restored.json["note"]) == (4, 2, "too few delivered")
    assert (await root.post("/v1/routes/explain", question)).json["connectors"] == ["main"]
    assert (await root.post("/v1/route_versions/2/restore", {})).code == "routes_unchanged"
    assert (await root.post("/v1/route_versions/99/restore", {})).status == 404
    for strange in ("99", "1" * 30, "+1", "%C2%84", "%C2%B2"):
        assert (await root.get(f"/v1/route_versions/{strange}")).status == 404
    page = (await root.get("/v1/route_versions?limit=3")).json
    rest = (await root.get(f"/v1/route_versions?limit=3&cursor={page['next_cursor']}")).json
    assert [v["number"] for v in page["data"] + rest["data"]] == [4, 3, 2, 1] and not rest["has_more"]
    assert (await root.delete(path)).status == 204 and (await root.get(path)).status == 404


async def test_a_stale_draft_says_so_and_is_rebased(world: World) -> None:
    root = world.operator
    main = next(r for r in (await root.get("/v1/routes")).json["data"] if r["name"] == "main")
    draft = (await root.post("/v1/route_drafts", {"name": "one"})).json
    path = f"/v1/route_drafts/{draft['id']}"
    await root.patch(f"{path}/routes/{main['id']}", {"purposes": ["otp"]})
    await root.patch(f"/v1/routes/{main['id']}", {"status": "stopped"})
    assert (await root.get(path)).json["stale"] is True
    assert (await root.post(f"{path}/publish", {})).code == "routes_changed"
    rebased = (await root.post(f"{path}/rebase")).json
    [conflict] = rebased["conflicts"]["routes"]
    assert (conflict["name"], conflict["fields"]) == ("main", ["status"])
    assert rebased["draft"]["stale"] is False
    assert (await root.post(f"{path}/publish", {})).status == 200


async def test_customers_and_test_keys_change_no_routes(world: World) -> None:
    draft = (await world.operator.post("/v1/route_drafts", {"name": "one"})).json
    testing = await world.key(("admin",), account="house", mode="test")
    for client in (world.acme, testing):
        for method, path, body in (
            ("POST", "/v1/route_drafts", {"name": "x"}),
            ("DELETE", f"/v1/route_drafts/{draft['id']}", None),
            ("POST", f"/v1/route_drafts/{draft['id']}/routes", {"name": "x", "connector": "main"}),
            ("POST", f"/v1/route_drafts/{draft['id']}/publish", {}),
            ("POST", f"/v1/route_drafts/{draft['id']}/rebase", None),
            ("PATCH", f"/v1/route_drafts/{draft['id']}", {"account_groups": []}),
            ("POST", "/v1/route_versions/0/restore", {}),
            ("POST", "/v1/account_groups", {"name": "x"}),
        ):
            assert (await client.call(method, path, body)).code == "scope_missing"
