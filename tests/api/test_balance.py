"""Balance, holds, ledger, top-ups, usage and margins by the API."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from chappe import accounts, ids
from chappe.billing import reports
from chappe.billing.ledger import store as ledger
from tests.api.conftest import Client, World
from tests.billing.reports.town import Town

EUR = 1_000_000


@pytest.fixture
async def town(world: World) -> Town:
    """acme has a balance in euro, rival one in dollars; the operator's own account is not billed."""
    town = Town(world.rt.store, ago=0)
    await town.open(world.account_ids["acme"])
    await town.open(world.account_ids["rival"], "USD", credit=ledger.NO_LIMIT)
    return town


def public(world: World, slug: str) -> str:
    return ids.public("acc", world.account_ids[slug])


def payment(world: World, slug: str = "acme", **more: Any) -> dict[str, Any]:
    return {"account_id": public(world, slug), "amount": "25.50", "currency": "EUR", "reference": "bank 7"} | more


def table(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode())))


async def test_an_account_is_topped_up_sends_and_sees_its_balance(world: World, town: Town) -> None:
    made = await world.operator.post("/v1/top_ups", payment(world))
    assert (made.status, made.json["kind"], made.json["wallet"], made.json["bank"]) == (
        201,
        "top_up",
        "25.50",
        "-25.50",
    )
    acme = world.account_ids["acme"]
    held = await town.accept(acme, 72_500)
    await town.settle(await town.accept(acme, 40_000))
    shown = await world.acme.get("/v1/balance")
    assert shown.json == {
        "account_id": public(world, "acme"),
        "billed": True,
        "currency": "EUR",
        "available": "25.3875",
        "wallet": "25.3875",
        "held": "0.0725",
        "credit_limit": "0.00",
        "spent": {"today": "0.04", "this_month": "0.04"},
    }
    [hold] = (await world.acme.get("/v1/balance/holds")).json["data"]
    assert (hold["message_id"], hold["status"], hold["amount"]) == (ids.public("msg", held.id), "queued", "0.0725")
    rival = (await world.client("rival").get("/v1/balance")).json
    assert (rival["currency"], rival["credit_limit"], rival["available"]) == ("USD", None, None)
    assert (await world.client("rival").get("/v1/balance/holds")).json["data"] == []
    free = (await world.operator.get("/v1/balance")).json
    assert (free["billed"], free["currency"], free["available"], free["wallet"]) == (False, None, None, "0.00")
    of_acme = await world.operator.get(f"/v1/balance?account_id={public(world, 'acme')}")
    assert of_acme.json == shown.json


async def test_nobody_sees_or_moves_the_money_of_others(world: World, town: Town, subtests: pytest.Subtests) -> None:
    await world.operator.post("/v1/top_ups", payment(world))
    whose = f"?account_id={public(world, 'acme')}"
    rival = world.client("rival")
    for path in ("/v1/balance", "/v1/balance/holds", "/v1/ledger_entries", "/v1/usage"):
        with subtests.test(path):
            assert (await rival.get(path + whose)).code == "scope_missing"
            assert (await (await world.key(["messages:read"])).get(path)).code == "scope_missing"
    for path in ("/v1/top_ups", "/v1/withdrawals", "/v1/adjustments"):
        with subtests.test(path):
            assert (await world.acme.post(path, payment(world, reason="free money"))).code == "scope_missing"
    assert (await world.acme.get("/v1/margins")).code == "scope_missing"
    test_key = await world.key(["admin"], account="house", mode="test")
    assert (await test_key.post("/v1/top_ups", payment(world, reference="b"))).code == "scope_missing"
    entries = (await rival.get("/v1/ledger_entries")).json["data"]
    assert entries == []


async def test_bookings_that_cannot_be_are_refused_by_their_field(
    world: World, town: Town, subtests: pytest.Subtests
) -> None:
    for change, status, code, param in (
        ({"amount": "0"}, 422, "invalid_value", "amount"),
        ({"amount": "-1"}, 422, "invalid_value", "amount"),
        ({"amount": "1.0000001"}, 422, "invalid_value", "amount"),
        ({"currency": "USD"}, 422, "currency_mismatch", "currency"),
        ({"account_id": "acc_0000000000000"}, 404, "not_found", "account_id"),
        ({"account_id": public(world, "house")}, 409, "account_not_billed", "account_id"),
        ({"reference": ""}, 422, "invalid_value", "reference"),
        ({"note": "x"}, 422, "unknown_field", "note"),
    ):
        with subtests.test(code=code, **change):
            reply = await world.operator.post("/v1/top_ups", payment(world) | change)
            assert (reply.status, reply.code, reply.param) == (status, code, param)
    reply = await world.operator.post("/v1/withdrawals", payment(world))
    assert (reply.status, reply.code, reply.param) == (409, "balance_too_low", "amount")
    assert (await world.operator.post("/v1/adjustments", payment(world))).code == "missing_field"
    assert (await world.acme.get("/v1/ledger_entries")).json["data"] == []


async def test_a_payment_is_booked_once_however_often_it_is_sent_and_taken_back_once(world: World, town: Town) -> None:
    first = await world.operator.post("/v1/top_ups", payment(world))
    again = await world.operator.post("/v1/top_ups", payment(world))
    assert (again.status, again.json) == (201, first.json)
    assert (await world.operator.post("/v1/top_ups", payment(world, amount="26"))).code == "reference_reused"
    path = f"/v1/ledger_entries/{first.json['id']}/reverse"
    assert (await world.acme.post(path, {"reason": "mine"})).code == "scope_missing"
    back = await world.operator.post(path, {"reason": "wrong account"})
    assert (back.status, back.json["reverses"], back.json["wallet"]) == (201, first.json["id"], "-25.50")
    assert (await world.operator.post(path, {"reason": "wrong account"})).code == "entry_reversed"
    assert (await world.acme.get("/v1/balance")).json["wallet"] == "0.00"
    audited = await accounts.audit_entries(world.rt, world.account_ids["acme"], limit=2)
    assert [entry.kind for entry in audited] == ["ledger_entry"] * 2


async def test_entries_are_listed_by_kind_and_time_and_as_csv_without_costs_for_customers(
    world: World, town: Town
) -> None:
    acme = world.account_ids["acme"]
    await world.operator.post("/v1/top_ups", payment(world, reference="=1+1"))
    await town.settle(await town.accept(acme, 10, cost=4))
    page = (await world.acme.get("/v1/ledger_entries?limit=2")).json
    assert [one["kind"] for one in page["data"]] == ["settle", "hold"] and page["has_more"]
    rest = (await world.acme.get(f"/v1/ledger_entries?limit=2&cursor={page['next_cursor']}")).json
    assert [one["kind"] for one in rest["data"]] == ["top_up"] and not rest["has_more"]
    assert rest["data"][0]["cost"] is None
    assert (await world.acme.get("/v1/ledger_entries?kind=cost")).json["data"] == []
    whose = f"account_id={public(world, 'acme')}"
    [cost] = (await world.operator.get(f"/v1/ledger_entries?kind=cost&{whose}")).json["data"]
    assert (cost["cost"], cost["payable"], cost["currency"]) == ("-0.000004", "0.000004", "USD")
    assert (await world.acme.get("/v1/ledger_entries?since=2020-01-01")).code == "invalid_value"
    assert (await world.acme.get("/v1/ledger_entries?until=2020-01-01T00:00:00Z")).json["data"] == []

    sheet = await world.acme.get("/v1/ledger_entries?format=csv")
    assert sheet.headers["content-type"].startswith("text/csv")
    head, *rows = table(sheet.body)
    assert [row[head.index("kind")] for row in rows] == ["settle", "hold", "top_up"]
    assert rows[-1][head.index("reference")] == "'=1+1"  # no spreadsheet computes it
    assert rows[-1][head.index("bank")] == "-25.50"
    assert len(table((await world.operator.get(f"/v1/ledger_entries?format=csv&{whose}")).body)) == 5


async def _used(world: World, town: Town) -> tuple[Client, Client]:
    main = next(route for route in (await world.operator.get("/v1/connectors")).json["data"] if route["name"] == "main")
    number = ids.parse("con", main["id"]) or 0
    acme, rival = world.account_ids["acme"], world.account_ids["rival"]
    await town.top_up(acme, EUR)
    await town.settle(await town.accept(acme, 30_000, cost=12_000, connector_id=number, tags=("=spring",)))
    await reports.roll_up(world.rt)
    await town.settle(await town.accept(acme, 30_000, cost=12_000, connector_id=number))
    await town.settle(await town.accept(rival, 99, cost=1, connector_id=number))
    return world.acme, world.operator


async def test_usage_is_the_accounts_own_and_says_nothing_of_suppliers(world: World, town: Town) -> None:
    acme, operator = await _used(world, town)
    shown = (await acme.get("/v1/usage")).json
    assert (shown["group_by"], shown["truncated"]) == (["day"], False)
    [line] = shown["data"]
    day = line.pop("day")
    assert shown["until"] == day and shown["since"] < day
    assert line == {
        "messages": 2,
        "segments": 2,
        "delivered": 2,
        "failed": 0,
        "charged": "0.06",
        "currency": "EUR",
    }
    by = (await acme.get("/v1/usage?group_by=country,operator&group_by=sender,purpose")).json["data"]
    assert [(one["country"], one["operator"], one["sender"], one["purpose"]) for one in by] == [
        ("FR", "20801", "Acme", "otp")
    ]
    assert "connector" not in by[0]
    assert (await acme.get("/v1/usage?group_by=connector")).code == "scope_missing"
    whose = f"account_id={public(world, 'acme')}"
    assert (await operator.get(f"/v1/usage?group_by=connector&{whose}")).json["data"][0]["connector"] == "main"
    assert table((await acme.get("/v1/usage?group_by=tag&format=csv")).body) == [
        ["tag", "messages", "segments", "delivered", "failed", "charged", "currency"],
        ["'=spring", "1", "1", "1", "0", "0.03", "EUR"],
    ]
    assert (await acme.get("/v1/usage?until=2026-01-31&since=2026-01-01")).json["data"] == []
    for query, code in (
        ("group_by=tag,country", "invalid_value"),
        ("group_by=cost", "invalid_value"),
        ("since=2026-02-30", "invalid_value"),
        ("since=2026-02-02&until=2026-02-01", "invalid_value"),
        ("since=2020-01-01", "report_too_large"),
    ):
        assert (await acme.get(f"/v1/usage?{query}")).code == code, query


async def test_margins_tell_what_is_earned_and_where_a_rate_of_exchange_is_missing(world: World, town: Town) -> None:
    _, operator = await _used(world, town)
    shown = (await operator.get("/v1/margins?group_by=account")).json
    lines = {line["account"]: line for line in shown["data"]}
    mine = lines[public(world, "acme")]
    assert (mine["messages"], mine["delivered"]) == (2, 2)
    assert mine["revenue"] == [{"amount": "0.06", "currency": "EUR"}]
    assert mine["cost"] == [{"amount": "0.024", "currency": "USD"}]
    base = mine["base"]
    assert (base["currency"], base["revenue"], base["margin"], base["unknown"]) == ("EUR", "0.06", None, ["USD"])
    [line] = (await operator.get("/v1/margins")).json["data"]
    assert (line["connector"], line["messages"]) == ("main", 3)
    head, *rows = table((await operator.get("/v1/margins?group_by=country,operator&format=csv")).body)
    assert head[:3] == ["country", "operator", "messages"] and rows[0][:3] == ["FR", "20801", "3"]
    assert rows[0][head.index("revenue")] == "0.06 EUR + 0.000099 USD"
