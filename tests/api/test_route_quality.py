"""Route quality over HTTP: what connectors deliver, demotions, the truth of receipts, canaries and conversions."""

from __future__ import annotations

import asyncio
import csv
import io
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from chappe import connectors
from chappe.cli import quality as cli
from chappe.routing import quality
from chappe.routing.quality import Quality, jobs
from chappe.routing.quality.model import DELIVERED, SENT
from tests.api.conftest import Client, World
from tests.support.eventually import eventually

FR = "+33612345678"
OPERATOR_ONLY = (
    ("GET", "/v1/route_quality"),
    ("GET", "/v1/route_demotions"),
    ("GET", "/v1/route_quality_log"),
    ("DELETE", "/v1/route_demotions/con_0000000000001?place=FR"),
    ("GET", "/v1/route_truth"),
    ("GET", "/v1/canary_numbers"),
    ("POST", "/v1/canary_numbers"),
)


def live(world: World) -> Quality:
    return quality.of(world.rt)


def main(world: World) -> int:
    found = connectors.book(world.rt).by_name("main")
    assert found is not None
    return found.id


def delivered(
    world: World, place: str, number: int, *, arrive: int, ago_s: int = 3_600, connector: str = "main"
) -> None:
    found = connectors.book(world.rt).by_name(connector)
    assert found is not None
    at = world.rt.clock.now() - ago_s * 1_000
    for n in range(number):
        live(world).evidence.count(found.id, place, "FR", at, SENT)
        if n < arrive:
            live(world).evidence.count(found.id, place, "FR", at, DELIVERED, 1, 2_000)
    live(world).refresh()


async def sent(world: World, to: str = FR, client: Client | None = None) -> Any:
    """A message that was delivered, and learnt of."""
    made = await (client or world.acme).post("/v1/messages", {"to": to, "text": "Your code is 123456"})
    assert made.status == 202, made.body
    path = f"/v1/messages/{made.json['id']}"

    async def arrived() -> bool:
        return bool((await (client or world.acme).get(path)).json["status"] == "delivered")

    await eventually(arrived)
    return made.json["id"]


# -- quality -------------------------------------------------------------------------------------------------------


async def test_messages_are_measured_by_connector_and_place(world: World) -> None:
    for _ in range(3):
        await sent(world)
    live(world).refresh()
    [found] = (await world.operator.get("/v1/route_quality")).json["data"]
    assert (found["connector"], found["country"], found["demotion"]) == ("main", "FR", None)
    assert found["delivered"] == pytest.approx(3, abs=0.1)
    share = found["delivery"]
    assert share["low"] < share["mean"] < share["high"] <= 1 and found["p50_seconds"] < 5


async def test_places_are_listed_page_by_page_and_narrowed(world: World) -> None:
    for place in ("20801", "20810", "20820"):
        delivered(world, place, 50, arrive=48)
    delivered(world, "20801", 50, arrive=40, connector="lab")
    seen: list[tuple[str, str]] = []
    path = "/v1/route_quality?limit=3"
    while True:
        page = (await world.operator.get(path)).json
        seen += [(one["connector"], one["place"]) for one in page["data"]]
        if not page["has_more"]:
            break
        path = f"/v1/route_quality?limit=3&cursor={page['next_cursor']}"
    assert sorted(seen) == [("lab", "20801"), ("main", "20801"), ("main", "20810"), ("main", "20820")]
    for query, count in (("connector=lab", 1), ("place=20801", 2), ("demoted=true", 0), ("demoted=false", 4)):
        assert len((await world.operator.get(f"/v1/route_quality?{query}")).json["data"]) == count, query
    for query, code, param in (
        ("connector=none", "connector_unknown", "connector"),
        ("cursor=con_1", "invalid_cursor", "cursor"),
        ("place=Paris", "invalid_value", "place"),
    ):
        refused = await world.operator.get(f"/v1/route_quality?{query}")
        assert (refused.code, refused.param) == (code, param)


async def test_a_demotion_is_shown_with_its_reason_and_ended_by_hand(both: World) -> None:
    delivered(both, "20801", 400, arrive=390)
    delivered(both, "20801", 80, arrive=0, ago_s=40)
    await jobs.judge_routes(both.rt)
    [demotion] = (await both.operator.get("/v1/route_demotions")).json["data"]
    assert (demotion["connector"], demotion["place"], demotion["times"]) == ("main", "20801", 1)
    assert "are usual of it" in demotion["reason"] and demotion["evidence"]["usual"] > 0.8
    [shown] = (await both.operator.get("/v1/route_quality?demoted=true")).json["data"]
    assert shown["demotion"] == demotion
    path = f"/v1/route_demotions/{demotion['connector_id']}?place="
    assert (await both.operator.delete(path + "Paris")).param == "place"
    assert (await both.operator.delete(path + "20810")).code == "not_found"
    assert (await both.operator.delete(path + "20801")).status == 204
    assert (await both.operator.get("/v1/route_demotions")).json["data"] == []
    again = await both.operator.delete(path + "20801")
    assert (again.status, again.code) == (404, "not_found")
    log = (await both.operator.get("/v1/route_quality_log?limit=1")).json
    assert log["has_more"] and log["data"][0]["kind"] == "restored" and log["data"][0]["actor"].startswith("key_")
    rest = (await both.operator.get(f"/v1/route_quality_log?cursor={log['next_cursor']}")).json
    assert [line["words"] for line in rest["data"]] == [demotion["reason"]] and not rest["has_more"]


async def test_customers_see_and_change_none_of_it(world: World) -> None:
    ours = f"/v1/route_truth/{(await world.operator.get('/v1/route_truth')).json['data'][0]['connector_id']}"
    for method, path in (*OPERATOR_ONLY, ("GET", ours), ("GET", f"{ours}/dispute")):
        body = {"number": FR} if method == "POST" else None
        assert (await world.acme.call(method, path, body)).code == "scope_missing", path
    routes = await world.key(("routes",), account="house")
    assert (await routes.get("/v1/route_quality")).status == 200
    tester = await world.key(("routes",), account="house", mode="test")
    assert (await tester.post("/v1/canary_numbers", {"number": FR})).code == "scope_missing"


# -- truth ---------------------------------------------------------------------------------------------------------


async def test_a_canary_that_is_delivered_is_proof_and_is_disputed(both: World) -> None:
    made = await both.operator.post("/v1/canary_numbers", {"number": "+33 7 00 00 00 01", "note": "never given out"})
    assert (made.status, made.json["number"]) == (201, "+33700000001")
    assert (await both.operator.get(f"/v1/canary_numbers/{made.json['id']}")).json == made.json
    canary = await sent(both, "+33700000001")
    await live(both).weigh()
    [first, *_] = (await both.operator.get("/v1/route_truth")).json["data"]
    assert (first["connector"], first["score"]) == ("main", 5)
    assert [(item["kind"], item["sure"]) for item in first["evidence"]] == [("canary", "proof")]
    assert (await both.operator.get(f"/v1/route_truth/{first['connector_id']}")).json == first
    table = await both.operator.get(f"/v1/route_truth/{first['connector_id']}/dispute")
    assert table.headers["content-type"].startswith("text/csv") and "attachment" in table.headers["content-disposition"]
    [row] = csv.DictReader(io.StringIO(table.body.decode()))
    assert (row["message_id"], row["number"], row["reason"]) == (canary, "+33700000001", "canary")
    assert row["provider_id"] == "1" and row["receipt_state"] == "delivered"
    assert row["submitted_at"] <= row["received_at"] and int(row["delay_ms"]) >= 0
    path = f"/v1/canary_numbers/{made.json['id']}"
    assert (await both.operator.delete(path)).status == 204 and (await both.operator.get(path)).status == 404
    assert (await both.operator.get("/v1/canary_numbers")).json["data"] == []


async def test_a_dispute_holds_what_came_too_soon_and_what_had_no_effect(both: World) -> None:
    first = await sent(both)  # the supplier of these tests confirms at once
    second = await sent(both)
    for id, word in ((first, True), (second, False)):
        assert (await both.acme.post(f"/v1/messages/{id}/conversion", {"converted": word})).status == 200
    live(both).refresh()
    await live(both).exchange()
    path = f"/v1/route_truth/{(await both.operator.get('/v1/route_truth')).json['data'][0]['connector_id']}/dispute"
    lines = (await both.operator.get(f"{path}?format=jsonl")).body.splitlines()
    found = {(line["message_id"], line["reason"]) for line in map(msgspec.json.decode, lines)}
    assert {id for id, _ in found} == {first, second} and len(lines) == 2
    assert len((await both.operator.get(f"{path}?format=jsonl&limit=1")).body.splitlines()) == 1
    none = await both.operator.get(f"{path}?format=jsonl&until=2020-01-02T00:00:00Z")
    assert (none.status, none.body) == (200, b"")
    assert (await both.operator.get(f"{path}?since=yesterday")).param == "since"
    unknown = await both.operator.get("/v1/route_truth/con_0000000000001/dispute")
    assert (unknown.status, unknown.code) == (404, "not_found")


async def test_a_canary_must_be_a_number_and_is_told_once(world: World) -> None:
    assert (await world.operator.post("/v1/canary_numbers", {"number": "+33700000001"})).status == 201
    for number, code in (
        ("+33700000001", "duplicate_name"),
        ("0700000001", "number_not_e164"),
        ("+33", "number_not_e164"),
    ):
        refused = await world.operator.post("/v1/canary_numbers", {"number": number})
        assert refused.status >= 400 and refused.param == "number", refused.body
        assert refused.code == code or code == "number_not_e164"
    assert (await world.operator.post("/v1/canary_numbers", {"number": FR, "note": "a\nb"})).param == "note"


# -- the command ---------------------------------------------------------------------------------------------------


async def test_the_command_shows_the_same_and_writes_the_dispute(world: World, tmp_path: Path) -> None:
    async def chappe(*words: str) -> str:
        key = world.operator.key or ""
        run = partial(CliRunner().invoke, cli.app, [*words, "--url", world.base, "--key", key])
        ended = await asyncio.to_thread(run)
        assert ended.exit_code == 0, ended.output
        return str(ended.output)

    assert "Nothing was measured yet" in await chappe("show") and "Nothing is demoted" in await chappe("demotions")
    delivered(world, "20801", 400, arrive=390)
    delivered(world, "20801", 80, arrive=0, ago_s=40)
    await jobs.judge_routes(world.rt)
    shown = await chappe("show", "--demoted")
    assert "main" in shown and "20801" in shown and "demoted" in shown
    assert "are usual of it" in " ".join((await chappe("demotions")).split())
    assert "is used for 20801 again" in await chappe("lift", "main", "20801")
    assert "ended by hand" in await chappe("log")
    believed = await chappe("truth", "--connector", "main")
    assert "main: 86 of 100" in believed and "nearly the same time" in believed and "lab" not in believed
    target = tmp_path / "dispute.csv"
    await chappe("dispute", "main", "--out", str(target))
    assert target.read_text().startswith("message_id,number,place,reason")
    words = ["dispute", "main", "--out", str(tmp_path / "x.pdf"), "--key", "ck"]
    assert (await asyncio.to_thread(CliRunner().invoke, cli.app, words)).exit_code == 1
    assert not (tmp_path / "x.pdf").exists()


# -- conversions ---------------------------------------------------------------------------------------------------


async def test_a_conversion_is_told_once_however_often(world: World) -> None:
    id = await sent(world)
    path = f"/v1/messages/{id}/conversion"
    for _ in range(3):
        told = await world.acme.post(path, {"converted": True})
        assert (told.status, told.json) == (200, {"message_id": id, "converted": True})
    assert (await world.acme.post(path, {"converted": False})).status == 200
    live(world).refresh()
    [found] = (await world.operator.get("/v1/route_quality")).json["data"]
    assert found["conversion"]["sample"] == pytest.approx(1, abs=0.01)
    assert found["conversion"]["mean"] == pytest.approx(1 / 3, abs=0.01)


async def test_a_conversion_that_many_tell_at_once_is_counted_once(both: World) -> None:
    path = f"/v1/messages/{await sent(both)}/conversion"
    replies = await asyncio.gather(*(both.acme.post(path, {"converted": True}) for _ in range(6)))
    assert {reply.status for reply in replies} <= {200, 409} and any(reply.status == 200 for reply in replies)
    assert all(reply.code == "conflict" for reply in replies if reply.status == 409)
    live(both).refresh()
    [found] = (await both.operator.get("/v1/route_quality")).json["data"]
    assert found["conversion"]["sample"] == pytest.approx(1, abs=0.01)


async def test_a_conversion_is_told_of_ones_own_message_only(world: World) -> None:
    id = await sent(world)
    path = f"/v1/messages/{id}/conversion"
    assert (await world.client("rival").post(path, {"converted": False})).status == 404
    reader = await world.key(("messages:read",))
    assert (await reader.post(path, {"converted": False})).code == "scope_missing"
    assert (await world.client("acme_test").post(path, {"converted": False})).code == "scope_missing"
    assert (await world.acme.post(path, {})).param == "converted"
    assert (await world.acme.post(path, {"converted": "yes"})).param == "converted"
    live(world).refresh()
    [found] = (await world.operator.get("/v1/route_quality")).json["data"]
    assert found["conversion"] is None
    by_operator = f"{path}?account_id={(await world.acme.get('/v1/account')).json['id']}"
    assert (await world.operator.post(by_operator, {"converted": True})).status == 200


async def test_a_message_that_waits_or_is_old_has_no_conversion(world: World) -> None:
    world.links["main"].silent = True
    waiting = (await world.acme.post("/v1/messages", {"to": FR, "text": "hello"})).json["id"]
    refused = await world.acme.post(f"/v1/messages/{waiting}/conversion", {"converted": True})
    assert (refused.status, refused.code) == (409, "message_not_sent")
    world.links["main"].silent = False
    old = await sent(world)
    now = world.rt.clock.now()
    world.rt.clock.now = lambda: now + 8 * 86_400_000  # type: ignore[method-assign]
    refused = await world.acme.post(f"/v1/messages/{old}/conversion", {"converted": True})
    assert (refused.status, refused.code) == (409, "conversion_too_late")
