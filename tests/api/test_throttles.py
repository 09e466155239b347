"""Throttles by the API, the command line and the configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chappe import connectors, declared, ids
from chappe.declared import SECTIONS, Invalid, Secrets
from chappe.routing import throttles
from chappe.routing.throttles import Denied, Passed
from tests.api.conftest import World

NOW = 1_800_000_000_000


def through(world: World, **facts: Any) -> Passed | Denied:
    """What the gate says to a message of acme's."""
    plain: dict[str, Any] = {"sender": "Acme", "sender_kind": "alphanumeric", "connector_id": 1, "country": "FR"}
    return throttles.gate(world.rt).pass_(**({"account_id": world.account_ids["acme"], "now": NOW} | plain | facts))


async def test_a_throttle_is_made_changed_and_deleted_and_holds_at_once(both: World) -> None:
    world = both
    wanted = {"name": "abroad", "scope": "account+country", "limit": 1, "per": "day", "over": "refuse"}
    acme = ids.public("acc", world.account_ids["acme"])
    made = await world.operator.post("/v1/throttles", wanted | {"account_id": acme, "zone": "Europe/Paris"})
    assert made.status == 201, made.body
    shown = made.json
    assert shown.pop("id").startswith("thr_") and shown.pop("created_at")
    nothing = dict.fromkeys(("sender", "sender_kind", "connector", "country", "burst"))
    assert shown == wanted | nothing | {"account_id": acme, "zone": "Europe/Paris"}
    assert [through(world).__class__ for _ in range(2)] == [Passed, Denied]
    assert through(world, account_id=world.account_ids["rival"]).__class__ is Passed
    path = f"/v1/throttles/{made.json['id']}"
    changed = await world.operator.patch(path, {"limit": 2, "country": "FR"})
    assert (changed.status, changed.json["limit"], changed.json["country"]) == (200, 2, "FR")
    assert (await world.operator.get(path)).json == changed.json
    assert (await world.operator.get("/v1/throttles")).json["data"] == [changed.json]
    assert through(world, country="BE").__class__ is Passed
    assert (await world.operator.delete(path)).status == 204
    assert (await world.operator.get(path)).code == "not_found"
    log = (await world.operator.get("/v1/audit?account_id=" + acme)).json["data"]
    assert [line["action"] for line in log if line["kind"] == "throttle"] == ["delete", "update", "create"]


async def test_throttles_are_the_operators_whose_keys_have_the_scope_routes(world: World) -> None:
    made = await world.operator.post("/v1/throttles", {"name": "all", "scope": "account", "limit": 5})
    path = f"/v1/throttles/{made.json['id']}"
    for key in (world.acme, await world.key(["accounts", "connectors"], "house")):
        for method, address in (("GET", "/v1/throttles"), ("GET", path), ("DELETE", path), ("PATCH", path)):
            reply = await key.call(method, address, {"limit": 9} if method == "PATCH" else None)
            assert (reply.status, reply.code) == (403, "scope_missing"), (method, address)
    routes = await world.key(["routes"], "house")
    assert (await routes.patch(path, {"limit": 9})).json["limit"] == 9
    tester = await world.key(["routes"], "house", mode="test")
    assert (await tester.delete(path)).status == 403
    assert (await routes.delete(path)).status == 204


async def test_a_throttle_that_makes_no_sense_is_refused_by_its_field(world: World, subtests: pytest.Subtests) -> None:
    good = {"name": "a", "scope": "country", "limit": 5}
    assert (await world.operator.post("/v1/throttles", good | {"name": "taken"})).status == 201
    cases: list[tuple[dict[str, Any], int, str, str | None]] = [
        ({"limit": -1}, 422, "invalid_value", "limit"),
        ({"limit": "many"}, 422, "invalid_type", "limit"),
        ({"scope": "planet"}, 422, "invalid_value", "scope"),
        ({"sender": "Acme"}, 422, "invalid_value", "sender"),
        ({"connector": "main"}, 422, "invalid_value", "connector"),
        ({"scope": "connector", "connector": "none"}, 422, "connector_unknown", "connector"),
        ({"account_id": "acc_0000000000000"}, 422, "invalid_value", "account_id"),
        ({"country": "QQ"}, 422, "invalid_value", "country"),
        ({"zone": "Nowhere"}, 422, "invalid_value", "zone"),
        ({"rate": 5}, 422, "unknown_field", "rate"),
        ({"name": "taken"}, 409, "duplicate_name", "name"),
    ]
    for fields, status, code, param in cases:
        with subtests.test(str(fields)):
            reply = await world.operator.post("/v1/throttles", good | fields)
            assert (reply.status, reply.code, reply.param) == (status, code, param)
    assert (await world.operator.post("/v1/throttles", {"name": "a", "scope": "country"})).code == "missing_field"
    assert len((await world.operator.get("/v1/throttles")).json["data"]) == 1


async def test_a_connector_with_a_throttle_is_not_deleted(world: World) -> None:
    spare = {"name": "spare", "settings": {"host": "127.0.0.1"}, "credentials": {"system_id": "us", "password": "pw"}}
    id = (await world.operator.post("/v1/connectors", spare | {"status": "stopped"})).json["id"]
    wanted = {"name": "slow", "scope": "connector", "connector": "spare", "limit": 5}
    made = (await world.operator.post("/v1/throttles", wanted)).json
    assert made["connector"] == "spare"
    refused = await world.operator.delete(f"/v1/connectors/{id}")
    assert refused.code == "in_use" and "throttle slow" in refused.json["error"]["message"]
    await world.operator.delete(f"/v1/throttles/{made['id']}")
    assert (await world.operator.delete(f"/v1/connectors/{id}")).status == 204


# -- the file -------------------------------------------------------------------------------------------------------

FILE = """
[[accounts]]
slug = "acme"
name = "Acme"

[[throttles]]
name = "abroad"
scope = "account+country"
account = "acme"
limit = 5000
per = "day"
zone = "Europe/Paris"

[[throttles]]
name = "main"
scope = "connector"
connector = "main"
limit = 20
burst = 5
over = "refuse"

[[throttles]]
name = "service-number"
scope = "sender"
sender = "+33644600001"
limit = 0
"""


def plan(world: World, text: str, *, prune: bool = False) -> declared.Plan:
    return declared.make_plan(world.rt, SECTIONS, text, "f.toml", Secrets({}, Path()), prune=prune)


async def test_a_file_makes_changes_and_removes_throttles(world: World) -> None:
    await declared.apply_plan(world.rt, plan(world, FILE), "test")
    found = {one.name: one for one in throttles.gate(world.rt).throttles.values()}
    main = connectors.book(world.rt).by_name("main")
    assert main is not None and found["main"].connector_id == main.id
    assert (found["abroad"].account_id, found["abroad"].most) == (world.account_ids["acme"], 5_000)
    assert found["service-number"].sender == "33644600001"
    assert not plan(world, FILE)
    [change] = plan(world, FILE.replace("limit = 20", "limit = 30")).steps[0].changes
    assert change == ("limit", 20, 30)
    exported = declared.export(world.rt, SECTIONS)
    assert '[[throttles]]\nname = "abroad"\nscope = "account+country"\nlimit = 5000\nper = "day"' in exported
    pruned = plan(world, exported.replace("[[throttles]]", "[[throttles_]]").split("[[throttles_]]")[0], prune=True)
    assert {step.key[0] for step in pruned.losses if step.section.name == "throttles"} == set(found)


MISTAKES = [
    ('connector = "main"', 'connector = "none"', 17, "throttles[1].connector: There is no connector none."),
    ('account = "acme"', 'account = "rival2"', 9, "throttles[0].account: There is no account rival2."),
    ("limit = 20", "limit = -20", 18, "throttles[1].limit: Expected int >= 0"),
    ('zone = "Europe/Paris"', 'zone = "Paris"', 12, "throttles[0].zone: There is no time zone Paris."),
    ("burst = 5", 'country = "FR"', 19, "throttles[1].country: The scope connector has no country."),
    ('name = "main"', 'name = "abroad"', 15, "stands in line"),
]


async def test_a_mistake_in_the_file_is_told_with_its_line(world: World, subtests: pytest.Subtests) -> None:
    for written, instead, line, words in MISTAKES:
        with subtests.test(instead):
            with pytest.raises(Invalid) as caught:
                plan(world, FILE.replace(written, instead))
            [problem] = caught.value.problems
            assert problem.line == line and words in str(problem)
