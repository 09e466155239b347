"""Consents by the API: recorded one by one or many, listed, proved, asked for, imported."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import openpyxl
import pytest
from typer.testing import CliRunner

from chappe import ids
from chappe.api.price_lists import XLSX
from chappe.cli import build
from chappe.consent import verify_export
from tests.api.conftest import Client, Reply, World, both, world

__all__ = ["both", "world"]

ALICE, BOB = "+33612345678", "+33687654321"
TEXT = "I agree to get offers of Acme by text message."


async def record(client: Client, *consents: dict[str, Any]) -> Reply:
    return await client.post("/v1/consents", {"consents": list(consents)})


async def listed(client: Client, query: str = "") -> list[dict[str, Any]]:
    reply = await client.get(f"/v1/consents{query}")
    assert reply.status == 200, reply.body
    return list(reply.json["data"])


async def allowed(client: Client, *recipients: str, **more: Any) -> list[str]:
    reply = await client.post("/v1/consents/check", {"recipients": list(recipients), **more})
    assert reply.status == 200, reply.body
    assert [one["to"] for one in reply.json["data"]] == list(recipients)
    assert all(one["allowed"] == (one["code"] is None) == (one["reason"] is None) for one in reply.json["data"])
    return [one["code"] or "yes" for one in reply.json["data"]]


async def upload(world: World, path: str, data: bytes, kind: str = "text/csv") -> Reply:
    headers = {"Authorization": f"Bearer {world.keys['acme']}", "Content-Type": kind}
    async with (
        aiohttp.ClientSession() as session,
        session.post(world.base + path, data=data, headers=headers) as answer,
    ):
        return Reply(answer.status, await answer.read(), dict(answer.headers))


async def test_a_consent_is_recorded_with_its_proof_and_stands_in_a_ledger_that_proves_itself(both: World) -> None:
    acme = both.acme
    proof = {"wording": TEXT, "wording_version": "2", "ip": "192.0.2.7", "reference": "https://acme.example/form"}
    made = await record(acme, {"to": "06 12 34 56 78".replace("0", "+33 ", 1), "source": "form", **proof})
    assert made.status == 200 and made.json["recorded"] == 1, made.body
    number = made.json["data"][0]["id"]
    [one] = await listed(acme)
    assert one == one | {"id": number, "person": ALICE, "channel": "sms", "purpose": "marketing", "brand": None}
    assert (one["state"], one["basis"], one["source"], one["expires_at"]) == ("given", "express", "form", None)
    await acme.get("/v1/consents/ledger/head")
    entry = (await acme.get(f"/v1/consents/{number}")).json
    shown = {name: value for name, value in entry["proof"].items() if name != "actor"}
    assert shown == {"person": ALICE, "note": None, **proof}
    assert entry["proof"]["actor"].startswith("key_") and entry["sequence"] == 1 and len(entry["hash"]) == 64
    withdrawn = await record(acme, {"person": ALICE, "event": "withdrawn", "note": "by telephone"})
    assert (await listed(acme))[0]["id"] == withdrawn.json["data"][0]["id"]
    end = (await acme.get("/v1/consents/ledger/head")).json
    ledger = await acme.get("/v1/consents/ledger")
    assert ledger.headers["content-type"] == "application/jsonl"
    verdict = verify_export(ledger.body.splitlines(keepends=True), bytes.fromhex(end["hash"]))
    assert (verdict.entries, verdict.proofs, verdict.fault, end["sequence"]) == (2, 2, None, 2)
    told = msgspec.json.decode(ledger.body.splitlines()[1])
    assert (told["entry"]["id"], told["proof"]["wording"], told["salt"]) == (number, TEXT, entry["salt"])


async def test_messages_may_go_as_long_as_the_person_agrees(both: World) -> None:
    acme = both.acme
    noon = {"at": "2027-06-01T10:00:00Z"}
    assert await allowed(acme, ALICE, BOB, "12", **noon) == ["consent_missing", "consent_missing", "number_not_e164"]
    await record(acme, {"person": ALICE, "wording": TEXT})
    assert await allowed(acme, ALICE, "0033 6 87 65 43 21", **noon) == ["yes", "consent_missing"]
    assert await allowed(acme, ALICE, at="2027-06-01T23:00:00Z") == ["quiet_hours"]
    await record(acme, {"person": ALICE, "event": "withdrawn"})
    assert await allowed(acme, ALICE, **noon) == ["opted_out"]
    await record(acme, {"person": ALICE, "wording": TEXT})
    assert await allowed(acme, ALICE, **noon) == ["yes"], "who asks for messages again gets them"
    many = [f"+336{n:08}" for n in range(10_000)]
    assert set(await allowed(both.operator, *many, **noon)) == {"consent_missing"}
    assert await allowed(acme, ALICE, purpose="transactional") == ["yes"]
    sent = await acme.post("/v1/messages", {"to": BOB, "text": "Offers", "purpose": "marketing"})
    assert (sent.status, sent.code) == (403, "consent_missing"), "what is sent is asked the same"


async def test_each_of_many_is_answered_and_the_faulty_ones_keep_nobody_out(world: World) -> None:
    good = {"person": ALICE, "wording": TEXT}
    bad: list[tuple[dict[str, Any], str, str]] = [
        ({"wording": TEXT}, "missing_field", "person"),
        (good | {"to": ALICE}, "invalid_value", "to"),
        ({"to": "+331", "wording": TEXT}, "number_too_short", "to"),
        ({"person": "mail:nobody", "wording": TEXT}, "invalid_value", "person"),
        ({"person": "a b@c", "wording": TEXT}, "invalid_value", "person"),
        ({"person": ALICE}, "missing_field", "wording"),
        (good | {"basis": "soft_opt_in", "wording": ""}, "missing_field", "reference"),
        (good | {"basis": "hope"}, "invalid_value", "basis"),
        (good | {"at": "2099-01-01T00:00:00Z"}, "invalid_value", "at"),
        (good | {"at": "yesterday"}, "invalid_value", "at"),
        (good | {"at": "2026-05-01T00:00:00Z", "expires_at": "2026-04-01T00:00:00Z"}, "invalid_value", "expires_at"),
        (good | {"ip": "300.1.1.1"}, "invalid_value", "ip"),
        (good | {"source": "keyword"}, "invalid_value", "source"),
        (good | {"channel": "fax"}, "invalid_value", "channel"),
        (good | {"colour": "red"}, "unknown_field", "colour"),
        (good | {"brand": "a\nb"}, "invalid_value", "brand"),
        (good | {"wording": "x" * 4_001}, "invalid_value", "wording"),
    ]
    sent = [good] + [one for one, _, _ in bad] + [good | {"person": f"+336{n:08}"} for n in range(300)]
    reply = await record(world.acme, *sent)
    assert reply.status == 200 and (reply.json["recorded"], reply.json["refused"]) == (301, len(bad)), reply.body
    items = reply.json["data"]
    assert [item["index"] for item in items] == list(range(len(sent)))
    for item, (one, code, param) in zip(items[1:], bad, strict=False):
        assert (item["error"]["code"], item["error"]["param"]) == (code, param), one
    assert all(item["id"].startswith("cns_") for item in [items[0], *items[len(bad) + 1 :]])
    assert len(await listed(world.acme, "?limit=500")) == 301
    alone = await record(world.acme, *(one for one, _, _ in bad))
    assert (alone.status, alone.code, alone.param) == (422, "missing_field", "consents[0].person")
    assert [one["param"] for one in alone.json["error"]["details"]][:3] == [
        "consents[0].person",
        "consents[1].to",
        "consents[2].to",
    ]
    for body, code in (({"consents": []}, "batch_empty"), ({"consents": [{}] * 10_001}, "batch_too_large")):
        refused = await world.acme.post("/v1/consents", body)
        assert (refused.code, refused.param) == (code, "consents")


async def test_of_several_words_of_one_person_in_a_request_the_last_counts(both: World) -> None:
    given, withdrawn = {"person": ALICE, "wording": TEXT}, {"person": ALICE, "event": "withdrawn"}
    made = (await record(both.acme, given, given | {"person": BOB}, withdrawn)).json["data"]
    assert [one["state"] for one in await listed(both.acme, "?person=%2B33612345678")] == ["withdrawn"]
    assert [(await both.acme.get(f"/v1/consents/{one['id']}")).json["event"] for one in made] == [
        "given",
        "given",
        "withdrawn",
    ]
    await record(both.acme, withdrawn, given)
    [one] = await listed(both.acme, "?person=%2B33612345678")
    assert one["state"] == "given"


async def test_consents_are_listed_page_by_page_and_by_what_they_say(both: World) -> None:
    acme = both.acme
    for brand in ("", "Hats", "Shoes"):
        for channel in ("sms", "whatsapp"):
            await record(acme, {"person": ALICE, "wording": TEXT, "brand": brand, "channel": channel})
    await record(acme, {"person": ALICE, "event": "withdrawn", "channel": "any"})  # one entry says it of all of them
    implied = {"basis": "implied", "reference": "order 7", "at": "2026-01-01T00:00:00Z"}
    await record(acme, {"person": "Bob@Example.com", "expires_at": "2026-02-01T00:00:00Z", **implied})
    await record(acme, {"person": BOB, "wording": TEXT, "purpose": "service"})
    found, cursor = [], ""
    while True:
        page = (await acme.get(f"/v1/consents?limit=2{cursor}")).json
        found += page["data"]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == await listed(acme) and len(found) == 9
    assert len({(one["person"], one["channel"], one["purpose"], one["brand"]) for one in found}) == 9
    assert [one["person"] for one in found][:2] == [BOB, "mail:bob@example.com"]
    states = {state: len(await listed(acme, f"?state={state}")) for state in ("given", "withdrawn", "expired")}
    assert states == {"given": 1, "withdrawn": 7, "expired": 1}
    assert len(await listed(acme, "?person=%2B33612345678&channel=sms")) == 3
    assert [one["brand"] for one in await listed(acme, "?brand=Hats&channel=whatsapp")] == ["Hats"]
    assert [one["purpose"] for one in await listed(acme, "?purpose=service")] == ["service"]
    for query, code in (
        ("cursor=x", "invalid_cursor"),
        ("cursor=WzFd", "invalid_cursor"),
        ("person=12", "number_not_e164"),
    ):
        assert (await acme.get(f"/v1/consents?{query}")).code == code


async def test_nobody_sees_what_was_said_to_others_nor_what_test_keys_say(world: World) -> None:
    made = await record(world.acme, {"person": ALICE, "wording": TEXT})
    number = made.json["data"][0]["id"]
    for other in ("rival", "acme_test", "operator"):
        client = world.client(other)
        assert await listed(client) == []
        assert (await client.get(f"/v1/consents/{number}")).status == 404
        assert (await client.get("/v1/consents/ledger")).body.count(b"\n") == 1
        assert (await client.get("/v1/consents/ledger/head")).json["sequence"] == 0
        assert await allowed(client, ALICE, at="2027-06-01T10:00:00Z") == ["consent_missing"]
    acme = f"account_id={ids.public('acc', world.account_ids['acme'])}"
    assert (await world.operator.get(f"/v1/consents/{number}?{acme}")).status == 200
    assert (await world.client("rival").get(f"/v1/consents?{acme}")).status == 403
    reader = await world.key(["messages:read"])
    assert (await reader.get(f"/v1/consents/{number}")).status == 200
    assert (await record(reader, {"person": ALICE, "wording": TEXT})).code == "scope_missing"
    await record(world.client("acme_test"), {"person": BOB, "wording": TEXT})
    assert [one["person"] for one in await listed(world.client("acme_test"))] == [BOB]


async def test_a_table_is_checked_whole_and_then_recorded_once(world: World) -> None:
    path = "/v1/consents/import"
    good = f"to,at,wording\n{ALICE},2026-09-01,{TEXT}\n{BOB},2026-09-01,{TEXT}\n".encode()
    bad = good + b"+331,2026-09-01,x\n+33612345678,never,x\n"
    refused = await upload(world, path, bad)
    assert (refused.status, refused.code) == (422, "csv_invalid")
    assert [one["param"] for one in refused.json["error"]["details"]] == ["line 4, person", "line 5, at"]
    assert await listed(world.acme) == [], "nothing is half applied"
    dry = (await upload(world, f"{path}?dry_run=true", bad)).json
    assert (dry["rows"], dry["good"], dry["recorded"], dry["dry_run"]) == (4, 2, 0, True)
    assert [(one["line"], one["column"], one["code"]) for one in dry["faults"]] == [
        (4, "person", "number_too_short"),
        (5, "at", "invalid_value"),
    ]
    assert dry["fault_counts"] == {"invalid_value": 1, "number_too_short": 1} and await listed(world.acme) == []
    some = (await upload(world, f"{path}?skip_faulty=true", bad)).json
    assert (some["recorded"], some["known"], len(some["faults"])) == (2, 0, 2)
    again = (await world.acme.post(path, {"csv": good.decode()})).json
    assert (again["recorded"], again["known"]) == (0, 2)
    assert {one["source"] for one in await listed(world.acme)} == {"import"}
    unknown = await upload(world, f"{path}?column=colour=3", good)
    assert (unknown.code, unknown.param) == ("invalid_value", "column")


async def test_a_workbook_is_a_table_too(world: World) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (("Phone", "Date", "Text"), (ALICE, "2026-09-01", TEXT)):
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    done = await upload(world, "/v1/consents/import", data.getvalue(), XLSX)
    assert done.status == 200 and done.json["recorded"] == 1, done.body
    assert (await upload(world, "/v1/consents/import", b"PK\x03\x04 no workbook", XLSX)).code == "csv_invalid"


async def test_the_command_imports_a_file_in_pieces_and_only_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chappe.cli.consent._PIECE", 200)
    file = tmp_path / "consents.csv"
    rows = [f"06{n:08};2026-09-01;{TEXT}" for n in range(10_000_000, 10_000_500)]
    file.write_text("\n".join(["Phone;Date;Text", *rows]))

    async def chappe(*arguments: str) -> Any:
        given = ["consent", "import", *arguments, "--url", world.base, "--key", world.keys["acme"]]
        return await asyncio.to_thread(CliRunner().invoke, build(given), given)

    refused = await chappe(str(file))
    assert refused.exit_code == 1 and "line 2: person: Write the number with +" in refused.output
    assert "and 400 more" in refused.output and await listed(world.acme) == []
    tried = await chappe(str(file), "--country", "FR", "--dry-run")
    assert tried.output == "500 of 500 rows are good; nothing was recorded.\n"
    done = await chappe(str(file), "--country", "FR")
    assert (done.exit_code, done.output) == (0, "500 consents are recorded.\n")
    again = await chappe(str(file), "--country", "FR")
    assert again.output == "0 consents are recorded, 500 were in the ledger already.\n"
    assert len(await listed(world.acme, "?limit=500")) == 500
