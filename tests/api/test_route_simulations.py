"""Routes before they are in force, by the API and by `chappe routes simulate`."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

from chappe import ids
from tests.api.conftest import Reply, World
from tests.support.processes import CHAPPE, clean_environment

FRENCH, BRITISH = "+33612345678", "+447700900461"


async def draft_by(world: World, connector: str) -> str:
    """A draft that sends France by another connector."""
    made = await world.operator.post("/v1/route_drafts", {"name": "other"})
    assert made.status == 201, made.body
    route = {"name": "france", "prefix": "33", "connector": connector}
    added = await world.operator.post(f"/v1/route_drafts/{made.json['id']}/routes", route)
    assert added.status == 201, added.body
    found: str = made.json["id"]
    return found


async def second(world: World) -> None:
    fields = {
        "name": "second",
        "settings": {"host": "127.0.0.1"},
        "credentials": {"system_id": "us", "password": "sesame"},
    }
    assert (await world.operator.post("/v1/connectors", fields)).status == 201


async def simulated(world: World, **body: Any) -> Any:
    reply: Reply = await world.operator.post("/v1/routes/simulate", body)
    assert reply.status == 200, reply.body
    return reply.json


async def test_one_number_is_explained_by_the_routes_and_by_a_draft(world: World) -> None:
    await second(world)
    draft = await draft_by(world, "second")
    account = ids.public("acc", world.account_ids["acme"])
    message = {"to": FRENCH, "from": "Acme", "account_id": account, "purpose": "otp"}
    now = (await simulated(world, message=message))["explanation"]
    assert (now["country"], now["sender_kind"], now["connectors"][0]["connector"]) == ("FR", "alphanumeric", "main")
    after = (await simulated(world, message=message, draft_id=draft))["explanation"]
    assert (after["route"], after["connectors"][0]["connector"]) == ("france", "second")
    assert any(tried["chosen"] and tried["name"] == "france" for tried in after["tried"])
    british = (await simulated(world, message=message | {"to": BRITISH}, draft_id=draft))["explanation"]
    assert any("does not start with 33" in tried["reason"] for tried in british["tried"])


async def test_messages_and_real_traffic_are_compared_with_a_draft(world: World) -> None:
    await second(world)
    draft = await draft_by(world, "second")
    listed = [{"to": FRENCH}, {"to": "+33612345679"}, {"to": BRITISH}]
    told = (await simulated(world, messages=listed, draft_id=draft))["comparison"]
    assert (told["messages"], told["differing"]) == (3, 2)
    assert told["after"]["connectors"] == {"second": 2, "main": 1}
    [move] = told["moves"]
    assert (move["messages"], move["after"]) == (2, "france > second") and move["before"].endswith("> main")
    assert told["examples"][0]["to"] == "+3361234****"
    for n in range(3):
        assert (await world.acme.post("/v1/messages", {"to": FRENCH, "text": f"{n}"})).status == 202
    real = (await simulated(world, days=1, sample=100, draft_id=draft))["comparison"]
    assert real["messages"] >= 1 and real["differing"] == real["messages"]
    nothing = (await simulated(world, days=1, sample=100))["comparison"]
    assert nothing["differing"] == 0


async def test_bad_questions_are_refused_with_their_place(world: World) -> None:
    for body, code, param in (
        ({}, "invalid_value", "message"),
        ({"days": 1, "message": {"to": FRENCH}}, "invalid_value", "message"),
        ({"messages": [{"to": FRENCH}, {"to": "+33"}]}, "number_too_short", "messages[1].to"),
        ({"message": {"to": FRENCH}, "draft_id": "rdr_0000000000000"}, "not_found", "draft_id"),
        ({"message": {"to": FRENCH, "account_id": "x"}}, "not_found", "message.account_id"),
        ({"message": {"to": FRENCH, "at": "noon"}}, "invalid_value", "message.at"),
    ):
        reply = await world.operator.post("/v1/routes/simulate", body)
        assert (reply.code, reply.param) == (code, param), reply.body
    assert (await world.acme.post("/v1/routes/simulate", {"message": {"to": FRENCH}})).code == "scope_missing"


async def test_the_command_tells_one_number_a_file_and_days(world: World, tmp_path: Path) -> None:
    await second(world)
    await draft_by(world, "second")
    file = tmp_path / "numbers.csv"
    file.write_text("msisdn;sender\n+33612345678;Acme\n+447700900461;Acme\n")

    async def chappe(*words: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [CHAPPE, "routes", "simulate", *words, "--url", world.base, "--key", world.keys["operator"]],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=30,
        )

    one = await chappe(FRENCH, "--draft", "other")
    assert one.returncode == 0 and "→ france" in one.stdout and "1. second" in one.stdout, one.stdout + one.stderr
    many = await chappe("--csv", str(file), "--draft", "other")
    assert "2 messages, 1 go another way" in many.stdout and "france > second" in many.stdout, many.stdout + many.stderr
    days = await chappe("--days", "1")
    assert "0 messages, 0 go another way" in days.stdout, days.stdout + days.stderr
    file.write_text("msisdn\n+33\n")
    wrong = await chappe("--csv", str(file))
    assert wrong.returncode == 1 and "messages[0].to" in wrong.stderr + wrong.stdout
    assert (await chappe()).returncode == 1
