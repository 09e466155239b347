"""Prices, terms and rates of exchange by the API: what the operator sets, and what a customer reads of it."""

from __future__ import annotations

import io
import json
from typing import Any, get_args

import aiohttp
import openpyxl

from chappe import accounts, ids, numbers, senders
from chappe.billing import rating
from chappe.billing.rating.reading import PURPOSES
from tests.api.conftest import Client, Reply, World

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILE = b"country,operator,price\nFR,Orange,0.0725\nBE,,0.06\n"


async def desk_of(world: World) -> Client:
    """Who may set prices, and nothing else."""
    return await world.key(["rates"], account="house")


async def upload(world: World, client: Client, path: str, data: bytes, kind: str = "text/csv") -> Reply:
    headers = {"Authorization": f"Bearer {client.key}", "Content-Type": kind}
    async with (
        aiohttp.ClientSession() as session,
        session.post(world.base + path, data=data, headers=headers) as answer,
    ):
        return Reply(answer.status, await answer.read(), dict(answer.headers))


async def made(client: Client, path: str, **body: Any) -> dict[str, Any]:
    reply = await client.post(path, body)
    assert reply.status == 201, reply.body
    return dict(reply.json)


async def priced(world: World, desk: Client, listed: dict[str, Any], data: bytes) -> dict[str, Any]:
    """Preview and import."""
    path = f"/v1/price_lists/{listed['id']}/rates"
    seen = await upload(world, desk, f"{path}/preview", data)
    assert seen.status == 200 and seen.json["faults"] == [], seen.body
    done = await desk.post(f"{path}/import", {"preview_digest": seen.json["preview_digest"], "note": "first"})
    assert done.status == 200, done.body
    return dict(done.json)


def acc(world: World, slug: str) -> str:
    return ids.public("acc", world.account_ids[slug])


async def test_a_list_is_made_looked_at_imported_exported_and_undone(both: World) -> None:
    desk = await desk_of(both)
    listed = await made(desk, "/v1/price_lists", name="standard", kind="customer", currency="EUR")
    assert (listed["version"], listed["rows"], listed["conditions"]["tiering"]) == (0, 0, "marginal")
    path = f"/v1/price_lists/{listed['id']}"
    done = await priced(both, desk, listed, FILE)
    rows = 1 + len(numbers.operators().of_brand("FR", "Orange"))
    assert (done["version"], done["rows"]) == (1, rows)

    sheet = openpyxl.Workbook()
    for row in (["Land", "Neuer Preis"], ["BE", 0.066]):
        sheet.active.append(row)
    file = io.BytesIO()
    sheet.save(file)
    query = "mode=merge&valid_from=2027-01-01T00:00:00Z&column=amount=Neuer%20Preis"
    seen = (await upload(both, desk, f"{path}/rates/preview?{query}", file.getvalue(), XLSX)).json
    assert (seen["added"], seen["changed"], seen["removed"]) == (0, 1, 0)
    [change] = seen["changes"]
    assert (change["old"], change["new"], change["percent"]) == ("0.06 a segment", "0.066 a segment", "10.00")
    assert (change["valid_from"], change["valid_to"]) == ("2027-01-01T00:00:00.000Z", None)
    assert (await desk.post(f"{path}/rates/import", {"preview_digest": seen["preview_digest"]})).json["version"] == 2

    exported = (await desk.get(f"{path}/export")).body
    again = (await upload(both, desk, f"{path}/rates/preview", exported)).json
    assert (again["added"], again["changed"], again["removed"], again["faults"]) == (0, 0, 0, [])
    belgium = (await desk.get(f"{path}/rates?country=BE")).json["data"]
    assert [(row["amount"], row["valid_to"]) for row in belgium] == [
        ("0.06", "2027-01-01T00:00:00.000Z"),
        ("0.066", None),
    ]
    page = (await desk.get(f"{path}/rates?limit={rows}")).json
    rest = (await desk.get(f"{path}/rates?limit={rows}&cursor={page['next_cursor']}")).json
    assert (len(page["data"]), page["has_more"], len(rest["data"]), rest["has_more"]) == (rows, True, 1, False)
    assert (await desk.get(f"{path}/rates?cursor=nonsense")).code == "invalid_cursor"

    restored = await desk.post(f"{path}/restore", {"version": 1})
    assert (restored.json["version"], restored.json["rows"]) == (3, rows)
    told = (await desk.get(f"{path}/versions")).json["data"]
    assert [(one["version"], one["note"]) for one in told] == [(3, "version 1 again"), (2, ""), (1, "first")]
    assert told[0]["actor"].startswith("key_")


async def test_a_faulty_file_changes_nothing_and_says_what_is_wrong(world: World) -> None:
    desk = await desk_of(world)
    listed = await made(desk, "/v1/price_lists", name="standard", kind="customer", currency="EUR")
    await priced(world, desk, listed, FILE)
    path = f"/v1/price_lists/{listed['id']}/rates"
    bad = b"country,operator,price,currency\nFR,20899,0.05,\nFR,,-1,\nBE,,1,USD\nBE,,,\nIT,,1,\nIT,,2,\n"
    seen = (await upload(world, desk, f"{path}/preview", bad)).json
    assert seen["preview_digest"] is None
    assert [(one["line"], one["code"]) for one in seen["faults"]] == [
        (2, "operator_unknown"),
        (3, "price_negative"),
        (4, "currency_differs"),
        (5, "price_missing"),
        (7, "rates_overlap"),
    ]
    assert seen["fault_counts"]["price_missing"] == 1
    torn = (await upload(world, desk, f"{path}/preview", b"PK\x03\x04 torn", XLSX)).json
    assert [one["code"] for one in torn["faults"]] == ["sheet_unreadable"]
    refused = await desk.post(f"{path}/import", {"preview_digest": "0" * 64})
    assert (refused.status, refused.code) == (409, "preview_outdated")
    reply = await desk.post(f"{path}/preview", {"rows": [{"land": "FR"}]})
    assert (reply.code, reply.param) == ("unknown_field", "rows[0].land")
    reply = await upload(world, desk, f"{path}/preview?column=land=1", FILE)
    assert (reply.code, reply.param) == ("invalid_value", "column")
    assert (await desk.get(f"/v1/price_lists/{listed['id']}")).json["version"] == 1


async def test_what_a_message_costs_whom_is_explained(both: World) -> None:
    desk = await desk_of(both)
    supply = await made(desk, "/v1/price_lists", name="supply", kind="supplier", currency="USD", charge_on="delivered")
    standard = await made(desk, "/v1/price_lists", name="standard", kind="customer", currency="EUR")
    await priced(both, desk, supply, b"country,price\nFR,0.05\n")
    await priced(both, desk, standard, b"country,plus,per\nFR,0.02,message\n")
    card = await made(desk, "/v1/connector_cards", connector="main", price_list_id=supply["id"])
    assert (card["connector"], card["price_list"]) == ("main", "supply")
    agreed = {"account_id": acc(both, "acme"), "currency": "EUR", "price_list_id": standard["id"]}
    await made(desk, "/v1/account_terms", **agreed)
    question = {"account_id": acc(both, "acme"), "connector": "main", "country": "FR", "segments": 2}
    question |= {"at": "2026-11-21T10:00:00Z"}
    assert (await desk.post("/v1/price_lists/explain", question)).json["refused"] == "fx_rate_missing"

    rates = b"Date,USD,JPY\n2026-11-20,1.25,160\n"
    added = await upload(both, desk, "/v1/fx_rates", rates)
    assert (added.status, added.json["rates"], added.json["last_day"]) == (201, 2, "2026-11-20")
    told = (await desk.post("/v1/price_lists/explain", question)).json
    assert (told["price"], told["cost"], told["cost_currency"], told["refused"]) == ("0.10", "0.10", "USD", None)
    assert "cost 0.08 EUR + 1 message x 0.02 EUR = 0.10 EUR, charged when the supplier takes it." in told["explanation"]
    unknown = await desk.post("/v1/price_lists/explain", question | {"connector": "nobody"})
    assert (unknown.code, unknown.param) == ("connector_unknown", "connector")
    assert (await desk.delete(f"/v1/price_lists/{supply['id']}")).code == "in_use"
    assert (await desk.delete(f"/v1/connector_cards/{card['id']}")).status == 204
    assert (await desk.delete(f"/v1/price_lists/{supply['id']}")).status == 204


async def test_terms_are_agreed_shown_and_changed(world: World) -> None:
    desk = await desk_of(world)
    standard = await made(desk, "/v1/price_lists", name="standard", kind="customer", currency="EUR")
    body = {
        "account_id": acc(world, "acme"),
        "currency": "EUR",
        "price_list_id": standard["id"],
        "credit_limit": "250.5",
        "low_balance": "-10",
        "caps": [{"per_day": "100", "country": "FR"}],
        "conditions": {
            "tiers": [{"country": "FR", "from_messages": 1000, "discount_percent": "2.5"}],
            "fees": [{"kind": "sender_name", "amount": "9.99", "country": "FR", "valid_from": "2027-01-01T00:00:00Z"}],
        },
        "particulars": {"legal_name": "Łódź SARL", "address": ["1 rue X"], "country": "FR", "vat_percent": "20"},
    }
    terms = await made(desk, "/v1/account_terms", **body)
    assert (terms["credit_limit"], terms["low_balance"]) == ("250.50", "-10.00")
    assert terms["caps"] == [{"per_day": "100.00", "country": "FR"}]
    assert terms["conditions"]["tiers"][0]["discount_percent"] == "2.5"
    assert terms["conditions"]["fees"][0]["valid_from"] == "2027-01-01T00:00:00.000Z"
    assert (terms["particulars"]["legal_name"], terms["particulars"]["vat_percent"]) == ("Łódź SARL", "20")
    path = f"/v1/account_terms/{terms['id']}"
    changed = (await desk.patch(path, {"credit_limit": None, "allow_loss": True})).json
    assert (changed["credit_limit"], changed["allow_loss"], changed["caps"]) == (None, True, terms["caps"])
    assert (await desk.post("/v1/account_terms", body)).code == "duplicate_name"
    for wrong, param in (
        ({"price_list_id": "prl_nonsense"}, "price_list_id"),
        ({"reseller_id": acc(world, "rival")}, "reseller_id"),
        (
            {"conditions": {"tiers": [{"from_messages": 1, "discount_percent": "900"}]}},
            "conditions.tiers[0].discount_percent",
        ),
        ({"conditions": {"tiers": [{"from_messages": 1, "amount": "9999999"}]}}, "conditions.tiers[0].amount"),
        ({"conditions": {"tiers": [{"from_messages": 1}]}}, "conditions.tiers[0]"),
        (
            {"conditions": {"fees": [{"kind": "monthly", "amount": "1", "valid_to": "soon"}]}},
            "conditions.fees[0].valid_to",
        ),
    ):
        reply = await desk.patch(path, wrong)
        assert (reply.status, reply.code, reply.param) == (422, "invalid_value", param)
    assert (await desk.patch(path, {"currency": "USD"})).code == "unknown_field"


async def test_a_customer_reads_its_own_prices_and_nothing_of_costs_or_others(both: World) -> None:
    desk = await desk_of(both)
    supply = await made(desk, "/v1/price_lists", name="supply-secret", kind="supplier", currency="EUR")
    await priced(both, desk, supply, b"country,price\nFR,0.031313\n")
    await made(desk, "/v1/connector_cards", connector="main", price_list_id=supply["id"])
    for slug, price in (("acme", b"0.07"), ("rival", b"0.0444")):
        listed = await made(desk, "/v1/price_lists", name=f"for-{slug}", kind="customer", currency="EUR")
        past = b"country,price,plus,valid_from,valid_to\nFR,0.0999,,2020-01-01,2021-01-01\nBE,,0.02,,\nFR," + price
        await priced(both, desk, listed, past + b",,2021-01-01,\n")
        agreed = {"account_id": acc(both, slug), "currency": "EUR", "price_list_id": listed["id"]}
        await made(desk, "/v1/account_terms", **agreed)
    reader = await both.key(["billing"])
    told = (await reader.get("/v1/prices")).json
    assert (told["currency"], told["charge_on"], told["has_more"]) == ("EUR", "submit", False)
    shown = [(row["country"], row["amount"], row["plus"], row["served"]) for row in told["data"]]
    assert shown == [("BE", None, "0.02", True), ("FR", "0.07", None, True)]
    assert [row["country"] for row in (await reader.get("/v1/prices?country=FR")).json["data"]] == ["FR"]
    exported = (await reader.get("/v1/prices/export")).body.decode()
    assert exported.splitlines()[2].startswith("FR,,,sms,,,segment,0.07,,,0.00,EUR,2021-01-01T00:00:00.000Z,")
    for text in (json.dumps(told), exported):
        assert not any(secret in text for secret in ("0.0313", "supply", "main", "0.0444", "rival", "0.0999", "for-"))
    # nobody else's, and no other address
    assert (await reader.get(f"/v1/prices?account_id={acc(both, 'rival')}")).code == "scope_missing"
    for path in ("price_lists", f"price_lists/{supply['id']}", "connector_cards", "account_terms", "fx_rates"):
        assert (await reader.get(f"/v1/{path}")).code == "scope_missing", path
    for path in ("rates", "export", "versions"):
        assert (await both.acme.get(f"/v1/price_lists/{supply['id']}/{path}")).code == "scope_missing", path
    seen = await both.operator.get(f"/v1/prices?account_id={acc(both, 'rival')}&country=FR")
    assert [row["amount"] for row in seen.json["data"]] == ["0.0444"]
    unbilled = await both.key(["billing"], account="house")
    assert (await unbilled.get("/v1/prices")).json == {
        "currency": None,
        "charge_on": None,
        "data": [],
        "next_cursor": None,
        "has_more": False,
    }


async def test_rates_of_exchange_are_added_listed_and_refused(world: World) -> None:
    desk = await desk_of(world)
    one = {"base": "EUR", "quote": "USD", "day": "2026-11-20", "rate": "1.0823", "source": "desk"}
    assert (await desk.post("/v1/fx_rates", {"rates": [one, one | {"day": "2026-11-19"}]})).status == 201
    page = (await desk.get("/v1/fx_rates?limit=1")).json
    assert (page["data"], page["has_more"]) == ([one], True)
    rest = (await desk.get(f"/v1/fx_rates?limit=1&cursor={page['next_cursor']}")).json
    assert (rest["data"], rest["has_more"]) == ([one | {"day": "2026-11-19"}], False)
    assert len((await desk.get("/v1/fx_rates?since=2026-11-20&quote=USD")).json["data"]) == 1
    for wrong, param in (
        ({"quote": "EUR"}, "rates[0].quote"),
        ({"day": "2026-02-30"}, "rates[0].day"),
        ({"rate": "0.0"}, "rates[0].rate"),
    ):
        reply = await desk.post("/v1/fx_rates", {"rates": [one | wrong]})
        assert (reply.code, reply.param) == ("invalid_value", param)
    reply = await upload(
        world, desk, "/v1/fx_rates", b"day,base,quote,rate\n2026-11-21,EUR,USD,1\n2026-11-22,EUR,USD,x\n"
    )
    assert (reply.status, reply.code) == (422, "csv_invalid")
    assert reply.json["error"]["details"][0]["param"] == "line 3"
    assert len((await desk.get("/v1/fx_rates")).json["data"]) == 2


def test_the_words_of_rates_are_those_of_senders_and_accounts() -> None:
    assert set(rating.SENDER_KINDS) == set(get_args(senders.Kind))
    assert set(PURPOSES) == set(get_args(accounts.Purpose))


async def test_a_test_key_sets_no_prices(world: World) -> None:
    trial = await world.key(["rates"], account="house", mode="test")
    reply = await trial.post("/v1/price_lists", {"name": "x", "kind": "customer", "currency": "EUR"})
    assert reply.code == "scope_missing"


async def test_the_same_idempotency_key_with_other_options_is_another_request(world: World) -> None:
    listed = await made(world.operator, "/v1/price_lists", name="standard", kind="customer", currency="EUR")
    path = f"/v1/price_lists/{listed['id']}/rates/preview"
    body, key = {"rows": [{"country": "FR", "amount": "1"}]}, {"Idempotency-Key": "k"}
    first = await world.operator.post(f"{path}?mode=merge", body, headers=key)
    again = await world.operator.post(f"{path}?mode=merge", body, headers=key)
    assert (first.json, again.headers["idempotent-replay"]) == (again.json, "true")
    other = await world.operator.post(f"{path}?mode=replace", body, headers=key)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
