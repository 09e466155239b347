"""Opt-outs and suppression lists, by the API and the command line."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import openpyxl
from typer.testing import CliRunner

from chappe import consent, ids
from chappe.cli import build
from chappe.consent import EVERYONES, Question
from tests.api.conftest import Client, Reply, World, both, world

__all__ = ["both", "world"]

ALICE, BOB = "+33612345678", "+33687654321"
CSV = {"Content-Type": "text/csv"}


async def listed(client: Client, **query: Any) -> list[dict[str, Any]]:
    reply = await client.get(f"/v1/opt_outs?{urlencode(query)}")
    assert reply.status == 200, reply.body
    data: list[dict[str, Any]] = reply.json["data"]
    return data


async def put(client: Client, *items: dict[str, Any], query: str = "", **more: Any) -> Reply:
    return await client.post(f"/v1/opt_outs{query}", {"opt_outs": list(items), **more})


async def upload(client: Client, list_id: str, data: bytes, kind: str = "text/csv", **query: Any) -> Reply:
    path = f"/v1/suppression_lists/{list_id}/import?{urlencode(query, doseq=True)}"
    return await client.call("POST", path, data=data, headers={"Content-Type": kind})


async def refused(world: World, person: str, who: str = "acme") -> bool:
    people, account_id = consent.persons(world.rt), world.account_ids[who]
    keys = people.key(account_id, False, person), people.key(EVERYONES, False, person)
    question = Question(*keys, "sms", "marketing", "Acme", "", "FR", world.rt.clock.now(), needs_consent=False)
    return (await consent.may_send(world.rt, [question])) != [None]


async def test_refusals_are_recorded_shown_and_not_lifted_by_the_account(both: World) -> None:
    world = both
    made = await put(
        world.acme,
        {"to": "+33 6 12 34 56 78", "note": "By telephone."},
        {"person": "mail:A@b.example", "channel": "email", "scope": "brand", "value": "Hats", "covers": "all"},
    )
    assert made.status == 200, made.body
    assert [(one["index"], one["status"]) for one in made.json["data"]] == [(0, "created"), (1, "created")]
    first = made.json["data"][0]["id"]
    shown = (await world.acme.get(f"/v1/opt_outs/{first}")).json
    assert (shown["person"], shown["to"], shown["reason"], shown["source"]) == (ALICE, ALICE, "opt_out", "api")
    assert (shown["covers"], shown["list"], shown["everyone"], shown["test"]) == ("marketing", None, False, False)
    proof = (await world.acme.get(f"/v1/consents/{shown['consent_id']}")).json
    assert (proof["event"], proof["proof"]["note"], proof["source"]) == ("withdrawn", "By telephone.", "api")
    again = await put(world.acme, {"to": ALICE})
    assert again.json["data"] == [{"index": 0, "id": first, "status": "known"}]
    lift = await world.acme.delete(f"/v1/opt_outs/{first}")
    assert (lift.status, lift.code) == (409, "opt_out_needs_consent")
    assert "/v1/consents" in lift.json["error"]["action"]
    acme = ids.public("acc", world.account_ids["acme"])
    silent = await world.operator.delete(f"/v1/opt_outs/{first}?account_id={acme}")
    assert (silent.status, silent.code, silent.param) == (422, "missing_field", "reason")
    assert await refused(world, ALICE)
    said = await world.operator.delete(f"/v1/opt_outs/{first}?account_id={acme}&reason=A+slip")
    assert said.status == 204 and not await refused(world, ALICE)
    [mail] = await listed(world.acme)
    assert (mail["person"], mail["to"], mail["value"]) == ("mail:a@b.example", None, "Hats")
    [entry] = [one for one in (await world.acme.get("/v1/audit")).json["data"] if one["object"] == first]
    assert (entry["action"], entry["after"]) == ("lift", {"reason": "A slip"})


async def test_each_item_is_answered_and_good_ones_are_recorded_beside_bad_ones(world: World) -> None:
    bad: list[tuple[dict[str, Any], str, str]] = [
        ({"to": "12"}, "number_not_e164", "to"),
        ({"person": "mail:nobody"}, "invalid_value", "person"),
        ({}, "missing_field", "to"),
        ({"to": ALICE, "person": ALICE}, "missing_field", "to"),
        ({"to": ALICE, "scope": "sender"}, "missing_field", "value"),
        ({"to": ALICE, "value": "Acme"}, "invalid_value", "value"),
        ({"to": ALICE, "scope": "country", "value": "XX"}, "invalid_value", "value"),
        ({"to": ALICE, "expires_at": "2001-01-01"}, "invalid_value", "expires_at"),
        ({"to": ALICE, "list": "nowhere"}, "not_found", "list"),
    ]
    reply = await put(world.acme, *(item for item, *_ in bad), {"to": BOB})
    assert (reply.status, reply.json["accepted"], reply.json["refused"]) == (200, 1, len(bad))
    assert [(one["error"]["code"], one["error"]["param"]) for one in reply.json["data"][:-1]] == [
        (code, param) for _, code, param in bad
    ]
    assert [one["person"] for one in await listed(world.acme)] == [BOB]
    none = await put(world.acme, bad[0][0], bad[4][0])
    assert (none.status, none.code, none.param) == (422, "number_not_e164", "opt_outs[0].to")
    assert [one["param"] for one in none.json["error"]["details"]] == ["opt_outs[0].to", "opt_outs[1].value"]
    for body, param in (({"to": ALICE, "scope": "world"}, "opt_outs[0].scope"), ({"too": ALICE}, "opt_outs[0].too")):
        shape = await put(world.acme, body)
        assert (shape.status, shape.param) == (422, param), shape.body
    assert (await put(world.acme)).status == 422
    assert (await put(world.client(None), {"to": BOB})).status == 401
    reader = await world.key(["messages:read"])
    assert (await put(reader, {"to": ALICE})).code == "scope_missing" and len(await listed(reader)) == 1


async def test_tenants_and_test_keys_neither_see_nor_lift_each_others(both: World) -> None:
    world = both
    mine = (await put(world.acme, {"to": ALICE, "expires_at": "2099-01-01"})).json["data"][0]["id"]
    sul = (await world.acme.post("/v1/suppression_lists", {"name": "old"})).json["id"]
    for who in ("rival", "acme_test"):
        other = world.client(who)
        assert await listed(other) == [] and await listed(other, person=ALICE) == []
        assert (await other.get("/v1/suppression_lists")).json["data"] == []
        for method, path in (
            ("GET", f"/v1/opt_outs/{mine}"),
            ("DELETE", f"/v1/opt_outs/{mine}"),
            ("GET", f"/v1/suppression_lists/{sul}"),
            ("DELETE", f"/v1/suppression_lists/{sul}"),
        ):
            assert (await other.call(method, path)).status == 404, (who, method, path)
        assert (await upload(other, sul, BOB.encode())).status == 404
        named = await put(other, {"to": BOB, "list": "old"})
        assert (named.status, named.code) == (404, "not_found")
        assert b"person,channel" in (await other.get("/v1/opt_outs/export")).body
        assert ALICE.encode() not in (await other.get("/v1/opt_outs/export")).body
    assert not await refused(world, ALICE, "rival")
    assert (await world.acme.delete(f"/v1/opt_outs/{mine}")).status == 204, "its own wish"
    assert await listed(world.acme) == []


async def test_the_operator_forbids_all_accounts_and_nobody_else_does(both: World) -> None:
    world = both
    denied: list[Reply] = [
        await put(world.acme, {"to": ALICE}, everyone=True),
        await put(world.acme, {"to": ALICE}, reason="complaint"),
        await world.acme.get("/v1/opt_outs?everyone=true"),
        await world.acme.get("/v1/opt_outs/export?everyone=true"),
        await world.acme.get("/v1/suppression_lists?everyone=true"),
        await world.acme.post("/v1/suppression_lists", {"name": "x", "everyone": True}),
        await world.acme.post("/v1/suppression_lists", {"name": "x", "reason": "complaint"}),
    ]
    assert {(one.status, one.code) for one in denied} == {(403, "scope_missing")}
    made = await put(world.operator, {"to": ALICE}, everyone=True, reason="disconnected")
    assert made.status == 200, made.body
    number = made.json["data"][0]["id"]
    [shown] = await listed(world.operator, everyone="true")
    assert (shown["everyone"], shown["covers"], shown["source"], shown["consent_id"]) == (True, "all", "carrier", None)
    assert await refused(world, ALICE) and await refused(world, ALICE, "rival")
    assert await listed(world.acme) == []
    assert (await world.acme.get(f"/v1/opt_outs/{number}")).status == 404
    assert (await world.acme.delete(f"/v1/opt_outs/{number}")).status == 404
    sul = (
        await world.operator.post("/v1/suppression_lists", {"name": "33700", "reason": "complaint", "everyone": True})
    ).json
    assert (sul["reason"], sul["covers"], sul["everyone"]) == ("complaint", "all_but_otp", True)
    assert (await upload(world.operator, sul["id"], f"{BOB}\n".encode())).json["added"] == 1
    assert await refused(world, BOB, "rival")
    acme = ids.public("acc", world.account_ids["acme"])
    body = {"name": "complaints", "reason": "complaint"}
    for_acme = (await world.operator.post(f"/v1/suppression_lists?account_id={acme}", body)).json["id"]
    for reply in (
        await upload(world.acme, for_acme, f"{BOB}\n".encode()),
        await world.acme.delete(f"/v1/suppression_lists/{for_acme}"),
    ):
        assert (reply.status, reply.code) == (403, "scope_missing"), reply.body
    [answered] = (await put(world.acme, {"to": BOB}, {"to": ALICE, "list": "complaints"})).json["data"][1:]
    assert answered["error"]["code"] == "scope_missing"
    assert (await world.operator.delete(f"/v1/opt_outs/{number}?reason=In+use+again")).status == 204
    assert not await refused(world, ALICE)


async def test_a_file_is_imported_whole_or_not_at_all(both: World) -> None:
    world = both
    made = await world.acme.post("/v1/suppression_lists", {"name": "old", "note": "Left us.", "covers": "all"})
    assert made.status == 201, made.body
    sul = made.json["id"]
    faulty = await upload(world.acme, sul, f"number,covers\n{ALICE},\n12,\n{BOB},most\n".encode())
    assert (faulty.status, faulty.code) == (422, "csv_invalid")
    assert [one["param"] for one in faulty.json["error"]["details"]] == ["line 3", "line 4"]
    assert await listed(world.acme) == []
    dry = await upload(world.acme, sul, f"{ALICE}\n{BOB}\n".encode(), dry_run="true")
    assert dry.json == {"rows": 2, "added": 0, "known": 0, "dry_run": True} and await listed(world.acme) == []
    done = await upload(world.acme, sul, b"06 12 34 56 78\n", country="FR", note="From the shop.")
    assert done.json == {"rows": 1, "added": 1, "known": 0, "dry_run": False}
    assert (await upload(world.acme, sul, ALICE.encode())).json["known"] == 1
    sheet = openpyxl.Workbook()
    sheet.active.append(["Mobile", "Until"])  # type: ignore[union-attr]
    sheet.active.append([33687654321, "2099-01-31"])  # type: ignore[union-attr]
    raw = io.BytesIO()
    sheet.save(raw)
    xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    told = await upload(world.acme, sul, raw.getvalue(), xlsx)
    assert (told.status, told.code) == (422, "csv_invalid"), "a number without its plus"
    told = await upload(world.acme, sul, raw.getvalue(), xlsx, country="FR", column="person=Mobile")
    assert told.json["added"] == 1, told.body
    many = await world.acme.post(f"/v1/suppression_lists/{sul}/import", {"to": [BOB, "12"]})
    assert (many.code, many.json["error"]["details"][0]["param"]) == ("csv_invalid", "to[1]")
    many = await world.acme.post(f"/v1/suppression_lists/{sul}/import", {"to": [BOB, "mail:a@b.example"]})
    assert (many.json["added"], many.json["known"]) == (1, 1)
    shown = (await world.acme.get(f"/v1/suppression_lists/{sul}")).json
    assert (shown["size"], shown["status"], shown["note"]) == (3, "active", "Left us.") and shown["imported_at"]
    of = {one["person"]: one for one in await listed(world.acme, list="old")}
    assert {one["covers"] for one in of.values()} == {"all"} and of[ALICE]["note"] == "From the shop."
    assert {one["reason"] for one in of.values()} == {"list"}
    exported = (await world.acme.get("/v1/opt_outs/export?list=old")).body
    assert exported.count(b"\n") == 4 and (await upload(world.acme, sul, exported)).json["added"] == 0
    for query in ({"column": "who=1"}, {"country": "XX"}, {"scope": "brand"}, {"expires_at": "2001-01-01"}):
        reply = await upload(world.acme, sul, ALICE.encode(), **query)
        assert reply.status == 422 and reply.param in (*query, "value"), reply.body
    assert (await world.acme.post("/v1/suppression_lists", {"name": "old"})).code == "duplicate_name"


async def test_a_deleted_list_takes_nothing_more(world: World) -> None:
    sul = (await world.acme.post("/v1/suppression_lists", {"name": "old"})).json["id"]
    await upload(world.acme, sul, ALICE.encode())
    for _ in range(2):
        assert (await world.acme.delete(f"/v1/suppression_lists/{sul}")).status in (204, 404)
    late = await upload(world.acme, sul, BOB.encode())
    assert late.code in ("list_being_deleted", "not_found")


async def test_the_command_line_imports_shows_exports_and_lifts(world: World, tmp_path: Path) -> None:
    async def run(*line: str, who: str = "acme", answer: str = "") -> tuple[int, str]:
        environment = {"CHAPPE_API_URL": world.base, "CHAPPE_API_KEY": world.keys[who], "COLUMNS": "200"}
        arguments = ["opt-outs", *line]
        app = build(arguments)
        done = await asyncio.to_thread(lambda: CliRunner().invoke(app, arguments, env=environment, input=answer))
        return done.exit_code, done.output

    file = tmp_path / "numbers.txt"
    file.write_text(f"{ALICE}\n12\n{BOB}\nabc\n")
    status, said = await run("import", str(file), "--list", "old")
    assert status == 1 and f"{file}:2: person:" in said and f"{file}:4: person:" in said and "2 faults" in said
    assert (await world.acme.get("/v1/suppression_lists")).json["data"] == []
    file.write_text("".join(f"+3361{n:07}\n" for n in range(10_500)) + f"{ALICE}\n")
    assert "10,501 rows, no fault" in (await run("import", str(file), "--list", "old", "--dry-run"))[1]
    status, said = await run("import", str(file), "--list", "old", "--covers", "all", "--expires", "2099-01-31")
    assert status == 0 and "old: 10,501 rows, 10,501 of them new." in said, said
    again = await run("import", str(file), "--list", "old", "--expires", "2099-01-31")
    assert "10,501 rows, 0 of them new." in again[1]
    status, said = await run("lists")
    assert "10,501" in said and "From numbers.txt." in said
    status, said = await run("list", "--person", ALICE)
    assert ALICE in said and "all" in said and "2099-02-01" in said
    number = said.split("opt_")[1].split()[0]
    assert "is lifted" in (await run("remove", f"opt_{number}"))[1] and not await refused(world, ALICE)
    status, said = await run("add", BOB, "12", "--note", "By telephone.")
    assert status == 1 and "created" in said and "12: " in said
    status, said = await run("export", "--reason", "opt_out", "--out", str(tmp_path / "out.csv"))
    assert status == 0 and (tmp_path / "out.csv").read_text().splitlines()[1].startswith(
        f"{BOB},any,account,,marketing"
    )
    status, said = await run("import", str(file), "--everyone", "--reason", "disconnected", who="operator")
    assert status == 0 and "disconnected: 10,501 rows" in said, said
    assert await refused(world, ALICE, "rival")
    status, said = await run("import", str(file), "--everyone", "--reason", "disconnected")
    assert status == 1 and "scope" in said
    assert (await run("remove", "--list", "old", answer="n\n"))[0] == 1
    assert "is being deleted" in (await run("remove", "--list", "old", "--yes"))[1]
    assert (await run("remove"))[0] == (await run("import", str(file)))[0] == 1
