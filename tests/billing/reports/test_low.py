"""A low balance on its way to the customer's server."""

from __future__ import annotations

from pathlib import Path

from standardwebhooks import Webhook

from chappe import ids
from chappe.billing.reports import low
from tests.billing.reports.town import Town
from tests.webhooks.conftest import populated, until

EUR = 1_000_000


async def test_a_customer_hears_once_that_the_balance_is_low(store_url: str, tmp_path: Path) -> None:
    world = await populated(store_url, tmp_path)
    try:
        town = Town(world.rt.store, ago=0)
        await town.open(world.account_id, credit=EUR)
        await town.open(world.other_id, "USD")
        customer, rival, tester = [await world.customer() for _ in range(3)]
        _, secret = await world.endpoint(customer.url, events=["balance.low"])
        await world.endpoint(tester.url, mode="test")
        await world.endpoint(rival.url, events=["message.delivered"])
        await town.top_up(world.account_id, 10 * EUR)
        await town.accept(world.account_id, 9 * EUR)
        for _ in range(3):
            await low.look(world.rt, lambda account_id: 5 * EUR if account_id == world.account_id else None)
        await until(lambda: customer.requests)
        await world.settled()
        [request] = customer.requests
        told = Webhook(secret).verify(request.body, request.headers)
        assert told["type"] == "balance.low"
        assert told["data"] | {"occurred_at": ""} == {
            "id": ids.public("acc", world.account_id),
            "status": "low",
            "currency": "EUR",
            "available": "2.00",
            "threshold": "5.00",
            "wallet": "1.00",
            "credit_limit": "1.00",
            "sequence": 0,
            "occurred_at": "",
        }
        assert rival.requests == tester.requests == []
    finally:
        await world.close()
