"""The rules of countries and what is set beside them, by the API and the command line."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

from typer.testing import CliRunner

from chappe import ids, law
from chappe.cli import build
from tests.api.conftest import Reply, World, both, world

__all__ = ["both", "world"]

SUPPLIERS = "FR.hours.marketing.suppliers"
TIGHT = {"kind": "hours", "value": "Mo-Fr 09:00-18:00", "country": "FR", "purpose": "marketing", "reason": "Our own."}


async def rules(world: World, country: str, who: str = "acme", **query: str) -> Reply:
    return await world.client(who).get(f"/v1/rules/{country}?{urlencode(query)}")


async def test_what_applies_on_a_date_is_shown_with_its_sources_and_the_next_legal_minute(world: World) -> None:
    found = (await rules(world, "fr", at="2026-12-25T21:45")).json
    assert (found["at"], found["zones"], found["holiday"]) == (
        "2026-12-25T20:45:00.000Z",
        ["Europe/Paris"],
        "Christmas Day",
    )
    hours = found["hours"]
    assert (hours["state"], hours["next_legal_at"]) == ("wait", "2026-12-26T07:00:00.000Z")
    assert hours["local_times"] == ["2026-12-26T08:00+01:00"]
    assert hours["rule"] == "FR.hours.marketing.operators@2026-01-01"
    assert "21:30" in hours["message"] and "af2m" in hours["message"]
    names = {rule["name"] for rule in found["rules"]}
    assert {SUPPLIERS, hours["rule"], "FR.wording.opt_out.marketing.law"} <= names
    assert all(rule["source"] and rule["explanation"] and rule["confidence"] for rule in found["rules"])
    assert found["sender_rules"] == "/v1/senders/rules/FR"
    assert (await rules(world, "FR", at="2026-12-25T21:45", purpose="otp")).json["hours"]["state"] == "now"
    earlier = (await rules(world, "FR", at="2025-12-01T21:45:00+01:00")).json
    assert earlier["hours"]["state"] == "now", "the charter of 2024"
    florida = (await rules(world, "US", at="2026-11-23T20:30", zone="America/New_York", region="fl")).json
    assert (florida["hours"]["state"], florida["region"]) == ("wait", "FL")
    assert (await rules(world, "SE")).json["rules"] == []


async def test_questions_that_make_no_sense_name_the_parameter(world: World) -> None:
    cases: list[tuple[str, dict[str, str], int, str, str]] = [
        ("QQ", {}, 404, "not_found", "country"),
        ("FR", {"at": "soon"}, 422, "invalid_value", "at"),
        ("US", {"at": "2026-11-23T20:30"}, 422, "invalid_value", "at"),
        ("FR", {"zone": "../../etc/passwd"}, 422, "invalid_value", "zone"),
        ("FR", {"purpose": "fun"}, 422, "invalid_value", "purpose"),
        ("US", {"region": "F-L"}, 422, "invalid_value", "region"),
        ("FR", {"when": "now"}, 422, "unknown_field", "when"),
    ]
    for country, query, status, code, param in cases:
        reply = await rules(world, country, **query)
        assert (reply.status, reply.code, reply.param) == (status, code, param), (country, query, reply.body)
    assert (await world.client(None).get("/v1/rules/FR")).status == 401


async def test_an_account_asks_more_of_itself_and_takes_it_back(both: World) -> None:
    world = both
    made = await world.acme.post("/v1/rule_adjustments", TIGHT)
    assert made.status == 201, made.body
    number = made.json["id"]
    assert made.json | TIGHT == made.json and not made.json["by_operator"] and not made.json["everyone"]
    evening = {"at": "2026-11-23T18:30"}
    tight = (await rules(world, "FR", **evening)).json
    assert tight["hours"]["local_times"] == ["2026-11-24T09:00+01:00"]
    assert tight["hours"]["rule"] == "FR.hours.marketing.account"
    assert (await rules(world, "FR", "rival", **evening)).json["hours"]["state"] == "now"
    assert (await world.client("rival").get(f"/v1/rule_adjustments/{number}")).status == 404
    assert (await world.client("rival").delete(f"/v1/rule_adjustments/{number}")).status == 404
    assert [one["id"] for one in (await world.acme.get("/v1/rule_adjustments")).json["data"]] == [number]
    again = await world.acme.post("/v1/rule_adjustments", TIGHT)
    assert (again.status, again.code) == (409, "conflict")
    assert (await world.acme.delete(f"/v1/rule_adjustments/{number}")).status == 204
    assert (await rules(world, "FR", **evening)).json["hours"]["state"] == "now"
    audit = (await world.acme.get("/v1/audit")).json["data"]
    assert [one["action"] for one in audit if one["object"] == number] == ["delete", "create"], audit[0]


async def test_only_the_operator_loosens_and_undoes_what_he_set(both: World) -> None:
    world = both
    acme = ids.public("acc", world.account_ids["acme"])
    waiver = {"kind": "waiver", "value": SUPPLIERS, "reason": "Agreed with the aggregator."}
    for body in (waiver, TIGHT | {"everyone": True}):
        refused = await world.acme.post("/v1/rule_adjustments", body)
        assert (refused.status, refused.code) == (403, "scope_missing")
    sunday = {"at": "2026-11-22T12:00"}
    assert (await rules(world, "FR", **sunday)).json["hours"]["rule"] == SUPPLIERS
    made = await world.operator.post(f"/v1/rule_adjustments?account_id={acme}", waiver)
    assert made.status == 201, made.body
    found = (await rules(world, "FR", **sunday)).json
    assert (found["hours"]["state"], found["waived"]) == ("now", [SUPPLIERS])
    assert SUPPLIERS not in {rule["name"] for rule in found["rules"]}
    assert (await rules(world, "FR", "rival", **sunday)).json["waived"] == []
    everyone = await world.operator.post(
        "/v1/rule_adjustments", {"kind": "hours", "value": "Mo-Sa 08:00-20:00", "everyone": True}
    )
    assert everyone.status == 201, everyone.body
    assert (await rules(world, "DE", "rival", **sunday)).json["hours"]["rule"] == "DE.hours.any.operator"
    for number in (made.json["id"], everyone.json["id"]):
        refused = await world.acme.delete(f"/v1/rule_adjustments/{number}")
        assert (refused.status, refused.code) == (403, "scope_missing")
    assert len((await world.client("rival").get("/v1/rule_adjustments")).json["data"]) == 1
    assert (await world.operator.delete(f"/v1/rule_adjustments/{everyone.json['id']}")).status == 204
    assert (await rules(world, "DE", "rival", **sunday)).json["hours"]["state"] == "now"


async def test_adjustments_that_make_no_sense_are_refused_and_change_nothing(world: World) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"kind": "hours", "value": "8 to 20"}, "value"),
        ({"kind": "hours", "value": "Mo-Fr 20:00-08:00"}, "value"),
        ({"kind": "cap", "value": "three a day"}, "value"),
        ({"kind": "ban", "value": "jokes"}, "value"),
        ({"kind": "word", "value": " "}, "value"),
        ({"kind": "word", "value": "x", "country": "QQ"}, "country"),
        ({"kind": "word", "value": "x", "purpose": "fun"}, "purpose"),
        ({"kind": "law", "value": "x"}, "kind"),
        ({"kind": "waiver", "value": "FR.hours", "reason": "Why not"}, "value"),
        ({"kind": "waiver", "value": SUPPLIERS}, "reason"),
    ]
    for body, param in cases:
        reply = await world.operator.post("/v1/rule_adjustments", body)
        assert (reply.status, reply.code, reply.param) == (422, "invalid_value", param), (body, reply.body)
    test = await world.client("acme_test").post("/v1/rule_adjustments", TIGHT)
    assert (test.status, test.code) == (403, "scope_missing")
    reader = await world.key(("messages:read",))
    assert (await reader.post("/v1/rule_adjustments", TIGHT)).code == "scope_missing"
    assert (await reader.get("/v1/rules/FR")).status == 200
    assert law.book(world.rt).adjustments == {}


async def test_the_command_shows_what_applies_and_when(world: World) -> None:
    async def run(*line: str) -> tuple[int, str]:
        environment = {"CHAPPE_API_URL": world.base, "CHAPPE_API_KEY": world.keys["acme"], "COLUMNS": "160"}
        arguments = ["rules", "show", *line]
        app = build(arguments)
        done = await asyncio.to_thread(lambda: CliRunner().invoke(app, arguments, env=environment))
        return done.exit_code, done.output

    status, said = await run("FR", "--at", "2026-12-25T21:45")
    assert status == 0, said
    for words in ("Public holiday: Christmas Day", "It waits", "2026-12-26T08:00+01:00", "af2m", "Warning: ", "high"):
        assert words in said, words
    assert "It may go." in (await run("FR", "--at", "2026-12-25T21:45", "--purpose", "otp"))[1]
    assert "No rule is known" in (await run("SE"))[1]
    status, said = await run("US", "--at", "2026-12-25T21:45")
    assert status == 1 and "time zone" in said
