"""What real traffic books: the audit proves it, also of a reseller, a refused message and a full queue."""

from __future__ import annotations

from typing import Any

from chappe import ids
from chappe.billing import rating, reports
from chappe.billing.ledger.audit import Report, audit
from chappe.messages.model import FINAL
from tests.api.conftest import Client, World
from tests.support.eventually import eventually

FRANCE = "+3361234{:04}"


async def made(client: Client, path: str, **body: Any) -> dict[str, Any]:
    reply = await client.post(path, body)
    assert reply.status in (200, 201), reply.body
    return dict(reply.json)


async def a_list(world: World, name: str, price: str, **fields: Any) -> str:
    listed = await made(world.operator, "/v1/price_lists", name=name, currency="EUR", **({"kind": "customer"} | fields))
    path = f"/v1/price_lists/{listed['id']}/rates"
    seen = await made(world.operator, f"{path}/preview", rows=[{"country": "FR", "amount": price}])
    await made(world.operator, f"{path}/import", preview_digest=seen["preview_digest"])
    return str(listed["id"])


async def terms(world: World, slug: str, listed: str, **fields: Any) -> str:
    account = ids.public("acc", world.account_ids[slug])
    await made(world.operator, "/v1/account_terms", account_id=account, currency="EUR", price_list_id=listed, **fields)
    return account


async def send(client: Client, numbers: range) -> list[int]:
    return [
        (await client.post("/v1/messages", {"to": FRANCE.format(n), "text": "x" * (1 + n % 2 * 200)})).status
        for n in numbers
    ]


async def audited(world: World) -> Report:
    book = rating.book(world.rt)
    return await audit(
        world.rt.store, now=world.rt.clock.now, final=[int(s) for s in FINAL], reseller_of=book.reseller_of
    )


async def test_the_money_of_every_message_is_accounted_for(both: World) -> None:
    world, operator = both, both.operator
    supply = await a_list(world, "supply", "0.02", kind="supplier")
    await made(operator, "/v1/connector_cards", connector="main", price_list_id=supply)
    rival = await terms(world, "rival", await a_list(world, "wholesale", "0.03"), credit_limit="100")
    own = await a_list(world, "resale", "0.05", account_id=rival, charge_on="delivered")
    acme = await terms(world, "acme", own, reseller_id=rival)
    booking = {"account_id": acme, "amount": "0.55", "currency": "EUR", "reference": "bank 1"}
    await made(operator, "/v1/top_ups", **booking)

    # one part and two by turns, at 0.05: the money lasts for eleven
    assert await send(world.acme, range(10)) == [*[202] * 7, 402, 202, 402]
    assert await send(world.client("rival"), range(10, 14)) == [202] * 4
    await eventually(lambda: _settled(world))
    assert (await audited(world)).differences == []

    world.links["main"].silent = True
    assert await send(world.client("rival"), range(20, 23)) == [202] * 3
    report = await audited(world)
    assert report.differences == [] and report.books["EUR"]["held"] > 0
    holds = (await world.client("rival").get("/v1/balance/holds")).json["data"]
    assert len(holds) == 3
    await world.client("rival").post(f"/v1/messages/{holds[0]['message_id']}/cancel")
    await reports.roll_up(world.rt)
    assert (await audited(world)).differences == []

    [margin] = (await operator.get("/v1/margins?group_by=account")).json["data"]
    assert margin["account"] == rival  # it stands for its customer
    usage = (await world.acme.get("/v1/usage")).json["data"][0]
    spent = (await world.acme.get("/v1/balance")).json
    assert (usage["charged"], spent["spent"]["today"], spent["available"]) == ("0.55", "0.55", "0.00")


async def _settled(world: World) -> bool:
    report = await audited(world)
    return not report.differences and report.books.get("EUR", {}).get("held") == 0
