"""A refusal on its way to the customer's server."""

from __future__ import annotations

from pathlib import Path

from standardwebhooks import Webhook

from chappe import ids
from chappe.events import OptOutCreated
from tests.webhooks.conftest import populated, until


async def test_a_customer_hears_who_refused_and_what_by_a_signed_event(store_url: str, tmp_path: Path) -> None:
    world = await populated(store_url, tmp_path)
    try:
        customer, rival, tester = [await world.customer() for _ in range(3)]
        _, secret = await world.endpoint(customer.url, events=["opt_out.created"], mode="live")
        await world.endpoint(tester.url, mode="test")
        await world.endpoint(rival.url, events=["message.delivered"])
        at = world.clock.now()
        told = {"channel": "sms", "scope": "sender", "value": "Acme", "covers": "all_but_otp", "reason": "opt_out"}
        for person, test in (("+33612345678", False), ("mail:a@b.example", True)):
            await world.emit(
                OptOutCreated(
                    account_id=world.account_id,
                    occurred_at=at,
                    opt_out_id=42,
                    person=person,
                    source="keyword",
                    test=test,
                    **told,
                )
            )
        await until(lambda: customer.requests and tester.requests)
        await world.settled()
        [request], [of_test] = customer.requests, tester.requests
        event = Webhook(secret).verify(request.body, request.headers)
        assert event["type"] == "opt_out.created"
        when = event["data"]["created_at"]
        assert event["data"] == {
            "id": ids.public("opt", 42),
            "status": "opted_out",
            "person": "+33612345678",
            "to": "+33612345678",
            **told,
            "source": "keyword",
            "test": False,
            "created_at": when,
            "sequence": 0,
            "occurred_at": when,
        }
        assert (of_test.json["data"]["person"], of_test.json["data"]["to"]) == ("mail:a@b.example", None)
        assert rival.requests == []
    finally:
        await world.close()
