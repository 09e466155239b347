"""Look-ups over HTTP: single ones, batches, what they cost, and the operator's sources."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import msgspec
import pytest

from chappe.api.lookups import _cell
from chappe.lookups import decimal
from tests.api.conftest import Client, World

FR = "+33612345678"
SOURCE = {
    "name": "hlr",
    "kind": "template",
    "cost": "0.0045",
    # nobody listens there: what is asked is unavailable
    "settings": {
        "url": "http://127.0.0.1:1/hlr/{number}?key={secret.key}",
        "find": {"reachable": "/state", "current": "/net"},
    },
    "credentials": {"secrets": {"key": "sesame-42"}},
}


async def batch_ended(client: Client, id: str) -> Any:
    async with asyncio.timeout(20):
        while (job := (await client.get(f"/v1/lookups/jobs/{id}")).json)["status"] in ("queued", "running"):
            await asyncio.sleep(0.02)
    return job


async def test_a_number_is_looked_up_with_who_said_what(world: World) -> None:
    found = await world.acme.get(f"/v1/lookups/{FR}?fields=validity,line_type")
    assert found.status == 200, found.body
    told = found.json
    assert (told["number"], told["country"], told["time_zones"]) == (FR, "FR", ["Europe/Paris"])
    assert (told["valid"], told["line_type"], told["reachable"], told["cost"]) == (True, "mobile", None, [])
    assert told["evidence"]["line_type"]["source"] == "plan"
    national = await world.acme.get("/v1/lookups/0612345678?country=FR")
    assert (national.json["number"], national.json["given"]) == (FR, "0612345678")


async def test_an_operator_is_told_by_code_and_name(world: World) -> None:
    told = (await world.acme.get("/v1/lookups/+33637000001")).json
    assert told["original_operator"] is not None and told["original_operator"]["country"] == "FR"
    assert told["original_operator"]["name"] and told["evidence"]["original_operator"]["source"] == "ranges"
    assert (told["current_operator"], told["ported"]) == (None, None)  # nobody knows whether it was ported


async def test_a_number_that_cannot_exist_is_an_answer_and_what_is_no_number_is_refused(world: World) -> None:
    short = (await world.acme.get("/v1/lookups/+3361")).json
    assert (short["valid"], short["invalid_reason"]["code"]) == (False, "number_too_short")
    for path, code, param in (
        ("/v1/lookups/abc", "number_not_e164", "number"),
        ("/v1/lookups/0612345678", "number_not_e164", "number"),
        (f"/v1/lookups/{FR}?fields=colour", "invalid_value", "fields[0]"),
        (f"/v1/lookups/{FR}?country=ZZ", "invalid_value", "country"),
        (f"/v1/lookups/{FR}?max_age=-1", "invalid_value", "max_age"),
    ):
        refused = await world.acme.get(path)
        assert (refused.status, refused.code, refused.param) == (422, code, param), path


async def test_look_ups_need_their_scope_and_sources_the_operators(world: World) -> None:
    sender = await world.key(("messages:send",))
    assert (await sender.get(f"/v1/lookups/{FR}")).code == "scope_missing"
    assert (await sender.post("/v1/lookups", {"numbers": [FR]})).code == "scope_missing"
    assert (await world.acme.get("/v1/lookup_sources")).code == "scope_missing"


async def test_a_batch_is_worked_off_and_downloaded_as_csv_and_json_lines(both: World) -> None:
    numbers = [FR, "+3361", "=cmd()", "+447911123456"]
    made = await both.acme.post("/v1/lookups", {"numbers": numbers, "fields": ["line_type"]})
    assert (made.status, made.json["status"], made.json["total"]) == (202, "queued", 4)
    job = await batch_ended(both.acme, made.json["id"])
    assert (job["status"], job["done"], job["invalid"], job["fields"]) == ("finished", 4, 2, ["line_type"])
    lines = await both.acme.get(f"/v1/lookups/jobs/{job['id']}/results")
    assert lines.headers["content-type"].startswith("application/jsonl")
    told = [msgspec.json.decode(line) for line in lines.body.splitlines()]
    assert [one["given"] for one in told] == numbers
    assert [one["line_type"] for one in told] == ["mobile", None, None, "mobile"]
    table = await both.acme.get(f"/v1/lookups/jobs/{job['id']}/results?format=csv")
    assert "attachment" in table.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert [row["given"] for row in rows] == [FR, "+3361", "'=cmd()", "+447911123456"]
    assert (rows[0]["line_type"], rows[0]["valid"], rows[1]["invalid_reason"]) == ("mobile", "true", "number_too_short")
    listed = (await both.acme.get("/v1/lookups/jobs")).json["data"]
    assert [one["id"] for one in listed] == [job["id"]]
    ended = await both.acme.post(f"/v1/lookups/jobs/{job['id']}/cancel")
    assert (ended.status, ended.code) == (409, "job_ended")


async def test_another_account_sees_no_batch_of_this_one(world: World) -> None:
    id = (await world.acme.post("/v1/lookups", {"numbers": [FR]})).json["id"]
    rival = world.client("rival")
    for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel")):
        assert (await rival.call(method, f"/v1/lookups/jobs/{id}{path}")).status == 404
    assert (await rival.get("/v1/lookups/jobs")).json["data"] == []


async def test_a_batch_comes_as_csv_with_its_options_in_the_query(world: World) -> None:
    text = b"name;portable\nAda;06 12 34 56 78\nBob;+447911123456\n"
    sent = {"Content-Type": "text/csv; charset=utf-8", "Idempotency-Key": "one"}
    path = "/v1/lookups?country=FR&fields=validity,line_type"
    made = await world.acme.post(path, data=text, headers=sent)
    assert (made.status, made.json["total"], made.json["fields"]) == (202, 2, ["validity", "line_type"])
    again = await world.acme.post(path, data=text, headers=sent)
    assert (again.json["id"], again.headers["idempotent-replay"]) == (made.json["id"], "true")
    other = await world.acme.post(path + "&column=name", data=text, headers=sent)
    assert other.code == "idempotency_key_reused"
    job = await batch_ended(world.acme, made.json["id"])
    assert (job["done"], job["invalid"]) == (2, 0)
    broken = await world.acme.post("/v1/lookups", data=b"a,b\n1,2\n", headers={"Content-Type": "text/csv"})
    assert (broken.status, broken.code) == (422, "csv_invalid") and broken.json["error"]["details"]
    wrong = await world.acme.post("/v1/lookups", data=b"x", headers={"Content-Type": "text/html"})
    assert wrong.code == "unsupported_media_type"


async def test_a_dry_run_tells_the_price_and_makes_no_batch(world: World) -> None:
    assert (await world.operator.post("/v1/lookup_sources", SOURCE)).status == 201
    body = {"numbers": [FR, FR, "+3361"], "fields": ["reachability"], "dry_run": True}
    told = (await world.acme.post("/v1/lookups", body)).json
    cost = [{"amount": "0.0045", "currency": "EUR"}]
    assert told["estimate"] == {"known": 1, "invalid": 1, "least": cost, "most": cost}
    assert (told["id"], told["status"], told["dry_run"]) == (None, None, True)
    test = (await world.client("acme_test").post("/v1/lookups", body)).json
    assert test["estimate"]["most"] == []  # a test key asks nobody
    assert (await world.acme.get("/v1/lookups/jobs")).json["data"] == []


async def test_a_source_is_made_changed_and_deleted_and_its_secret_never_shown(world: World) -> None:
    made = await world.operator.post("/v1/lookup_sources", SOURCE)
    assert made.status == 201, made.body
    assert (made.json["cost"], made.json["gives"]) == ("0.0045", ["operator", "reachability"])
    path = f"/v1/lookup_sources/{made.json['id']}"
    changed = await world.operator.patch(path, {"position": 7, "cache": {"absent_s": 60}, "cost": "0.01"})
    assert (changed.json["position"], changed.json["cache"]["absent_s"]) == (7, 60)
    assert (changed.json["cost"], changed.json["cache"]["answer_s"]) == ("0.01", 604_800)
    taken = await world.operator.post("/v1/lookup_sources", SOURCE)
    assert (taken.status, taken.code) == (409, "duplicate_name")
    asked = await world.acme.get(f"/v1/lookups/{FR}?fields=reachability")
    assert (asked.status, asked.json["reachable"]) == (200, None)
    assert [(one["source"], one["outcome"]) for one in asked.json["asked"]] == [("hlr", "unavailable")]
    shown = await world.operator.get(path)
    assert shown.json["has_credentials"] and shown.json["last_error"]
    listed, audit = (
        await world.operator.get("/v1/lookup_sources"),
        await world.operator.get("/v1/audit?everything=true"),
    )
    for reply in (made, changed, shown, listed, audit, asked):
        assert b"sesame-42" not in reply.body
    assert (await world.operator.delete(path)).status == 204
    assert (await world.operator.get(path)).status == 404
    wrong = await world.operator.post("/v1/lookup_sources", SOURCE | {"settings": {"find": {}}})
    assert wrong.param is not None and wrong.param.startswith("settings")


async def test_what_was_spent_is_told_by_day(world: World) -> None:
    assert (await world.acme.get("/v1/lookup_costs?since=2027-01-01&until=2027-01-31")).json == {"data": []}
    assert (await world.acme.get("/v1/lookup_costs?since=yesterday")).code == "invalid_value"


@pytest.mark.parametrize(("micros", "text"), [(0, "0"), (4_500, "0.0045"), (1_000_000, "1"), (-12, "-0.000012")])
def test_money_is_written_without_loss(micros: int, text: str) -> None:
    assert decimal(micros) == text


@pytest.mark.parametrize("text", ["=1+1", "@x", "-1", "+cmd|x", "\tx"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert _cell(text) == "'" + text
