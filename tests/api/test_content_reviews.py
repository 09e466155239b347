"""Content policies, held messages and reviews over HTTP and on the command line."""

from __future__ import annotations

import asyncio
from typing import Any

import click
import pytest
from typer.testing import CliRunner, Result

from chappe import fraud, ids
from chappe.cli.reviews import app
from chappe.fraud.firewall import counting
from tests.api.conftest import Client, World

TEXT = "New shoes: https://shop.example.net/a"


def whose(world: World, slug: str = "acme") -> str:
    return "account_id=" + ids.public("acc", world.account_ids[slug])


async def reviewing(world: World, slug: str = "acme") -> None:
    body = {"actions": {"link_unlisted": "review"}}
    reply = await world.operator.patch(f"/v1/content/policy?{whose(world, slug)}", body)
    assert reply.status == 200, reply.body


async def send(client: Client, **more: Any) -> Any:
    return await client.post("/v1/messages", {"to": "+33612345678", "text": TEXT} | more)


async def held(world: World, slug: str = "acme", count: int = 1) -> tuple[str, list[str]]:
    """(id of the review, ids of the messages)"""
    await reviewing(world, slug)
    sent = [await send(world.client(slug)) for _ in range(count)]
    assert [one.status for one in sent] == [202] * count, sent[0].body
    assert {one.json["status"] for one in sent} == {"scheduled"}
    [review] = (await world.client(slug).get("/v1/content/held?state=open")).json["data"]
    return review["id"], [one.json["id"] for one in sent]


async def becomes(client: Client, message_id: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while (found := (await client.get(f"/v1/messages/{message_id}")).json)["status"] != status:
            await asyncio.sleep(0.05)
    shown: dict[str, Any] = found
    return shown


async def test_the_policy_in_force_is_shown_with_who_said_what(world: World) -> None:
    usual = (await world.acme.get("/v1/content/policy")).json
    assert (usual["mode"], usual["on_failure"], usual["warm_up"], usual["own"]) == ("enforce", "allow", None, None)
    everyones = {"warm_up": {"first_day": 100}, "actions": {"link_ip": "review"}}
    reply = await world.operator.patch("/v1/content_policy", everyones)
    assert reply.status == 200, reply.body
    assert reply.json["warm_up"] == {"first_day": 100, "growth": 2.0, "days": 14}
    await world.operator.patch(f"/v1/content/policy?{whose(world)}", {"no_warm_up": True, "review_first": 2})
    own = await world.acme.patch("/v1/content/policy", {"actions": {"link_ip": "block"}, "score": 30})
    assert own.status == 200, own.body
    shown = (await world.acme.get("/v1/content/policy")).json
    assert shown == own.json
    assert (shown["warm_up"], shown["review_first"], shown["score"]) == (None, 2, 30)
    assert shown["actions"] == {"link_ip": "block"}
    assert shown["operator"]["no_warm_up"] is True and shown["own"]["score"] == 30
    rival = (await world.client("rival").get("/v1/content/policy")).json
    assert (rival["actions"], rival["own"], rival["score"]) == ({"link_ip": "review"}, None, 60)
    await world.acme.patch("/v1/content/policy", {"score": None})
    assert (await world.acme.get("/v1/content/policy")).json["score"] == 60
    assert (await world.acme.delete("/v1/content/policy")).status == 204
    assert (await world.acme.get("/v1/content/policy")).json["actions"] == {"link_ip": "review"}


REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({"mode": "off"}, 403, "scope_missing", "mode"),
    ({"actions": {"link_shortener": "allow"}}, 403, "scope_missing", "actions.link_shortener"),
    ({"actions": {"nonsense": "block"}}, 422, "invalid_value", "actions"),
    ({"actions": {"check_failed": "block"}}, 422, "invalid_value", "actions"),
    ({"score": 0}, 422, "invalid_value", "score"),
    ({"growth_alarm": 9.0}, 403, "scope_missing", "growth_alarm"),
    ({"purposes": ["otp", "spam"]}, 422, "invalid_value", "purposes[1]"),
]


async def test_what_an_account_may_not_say_is_refused_and_nothing_changes(world: World) -> None:
    for body, status, code, param in REFUSED:
        reply = await world.acme.patch("/v1/content/policy", body)
        assert (reply.status, reply.code, reply.param) == (status, code, param)
    assert (await world.acme.get("/v1/content/policy")).json["own"] is None


async def test_policies_of_others_and_of_all_are_the_operators(world: World) -> None:
    assert (await world.acme.patch(f"/v1/content/policy?{whose(world, 'rival')}", {})).code == "scope_missing"
    assert (await world.acme.get("/v1/content_policy")).code == "scope_missing"
    assert (await world.client("acme_test").patch("/v1/content/policy", {"score": 10})).code == "scope_missing"


async def test_a_suspicious_text_is_refused_with_its_reason(world: World) -> None:
    reply = await send(world.acme, text="Your parcel: https://bit.ly/3x")
    assert (reply.status, reply.code, reply.param) == (403, "content_suspicious", "text")
    assert "public shortener" in reply.json["error"]["message"]


async def test_a_held_message_is_seen_approved_and_delivered(both: World) -> None:
    world = both
    review_id, [message_id, _] = await held(world, count=2)
    path = f"/v1/content_reviews/{review_id}"
    shown = (await world.operator.get(path)).json
    assert (shown["state"], shown["count"], shown["waiting"], shown["sample"]) == ("open", 2, 2, TEXT)
    assert shown["account_id"] == ids.public("acc", world.account_ids["acme"])
    [finding] = shown["findings"]
    assert (finding["code"], finding["what"]) == ("link_unlisted", "shop.example.net") and finding["advice"]
    listed = (await world.operator.get("/v1/content_reviews?state=open")).json["data"]
    assert [one["id"] for one in listed] == [review_id]
    decided = await world.operator.post(f"{path}/approve", {"days": 7, "note": "Their shop."})
    assert decided.status == 200, decided.body
    assert (decided.json["state"], decided.json["note"]) == ("approved", "Their shop.")
    await becomes(world.acme, message_id, "delivered")
    assert (await world.operator.get(path)).json["waiting"] == 0
    assert (await send(world.acme)).json["status"] == "queued"
    again = await world.operator.post(f"{path}/approve", {})
    assert (again.status, again.code) == (409, "review_state")
    log = (await world.operator.get("/v1/audit?" + whose(world))).json["data"]
    assert [line["action"] for line in log if line["kind"] == "content_review"] == ["approved"]


async def test_a_rejected_message_fails_and_the_text_is_refused_from_then_on(world: World) -> None:
    review_id, [message_id] = await held(world)
    reply = await world.operator.post(f"/v1/content_reviews/{review_id}/reject", {"note": "Not your shop."})
    assert reply.status == 200, reply.body
    message = await becomes(world.acme, message_id, "failed")
    assert message["error"]["code"] == "content_rejected" and "Not your shop." in message["error"]["detail"]
    refused = await send(world.acme)
    assert (refused.status, refused.code) == (403, "content_suspicious")
    assert "Not your shop." in refused.json["error"]["message"]
    mine = (await world.acme.get(f"/v1/content/held/{review_id}")).json
    assert (mine["state"], mine["note"]) == ("rejected", "Not your shop.")
    assert "decided_by" not in mine


async def test_an_account_sees_and_takes_back_its_own_and_no_others(world: World) -> None:
    review_id, [message_id] = await held(world)
    rival = world.client("rival")
    assert (await rival.get("/v1/content/held")).json["data"] == []
    assert (await rival.get(f"/v1/content/held/{review_id}")).status == 404
    assert (await rival.post(f"/v1/content/held/{review_id}/withdraw")).status == 404
    for client in (rival, world.acme):
        assert (await client.get(f"/v1/content_reviews/{review_id}")).code == "scope_missing"
        assert (await client.post(f"/v1/content_reviews/{review_id}/approve", {})).code == "scope_missing"
    assert (await world.client("acme_test").post(f"/v1/content/held/{review_id}/withdraw")).code == "scope_missing"
    reply = await world.acme.post(f"/v1/content/held/{review_id}/withdraw")
    assert (reply.status, reply.json["state"]) == (200, "withdrawn")
    await becomes(world.acme, message_id, "canceled")


async def test_reviews_are_listed_by_state_and_account_in_pages(world: World) -> None:
    mine, _ = await held(world)
    theirs, _ = await held(world, "rival")
    first = (await world.operator.get("/v1/content_reviews?limit=1")).json
    assert [one["id"] for one in first["data"]] == [theirs] and first["has_more"]
    second = (await world.operator.get(f"/v1/content_reviews?limit=1&cursor={first['next_cursor']}")).json
    assert [one["id"] for one in second["data"]] == [mine] and not second["has_more"]
    own = (await world.operator.get(f"/v1/content_reviews?{whose(world)}&state=open")).json["data"]
    assert [one["id"] for one in own] == [mine]
    assert (await world.operator.get("/v1/content_reviews?account_id=nobody")).status == 404
    assert (await world.operator.get("/v1/content_reviews?state=lost")).status == 422


async def test_a_test_key_is_told_but_never_held(world: World) -> None:
    await reviewing(world)
    reply = await send(world.client("acme_test"))
    assert (reply.status, reply.json["status"]) == (202, "queued")
    assert (await send(world.client("acme_test"), text="https://bit.ly/3x")).code == "content_suspicious"
    assert (await world.acme.get("/v1/content/held")).json["data"] == []


@pytest.fixture
def counted_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "EVERY_S", 0.1)


async def test_an_installation_that_observes_counts_and_lets_pass(counted_quickly: None, world: World) -> None:
    await world.operator.patch("/v1/content_policy", {"mode": "observe"})
    assert (await send(world.acme, text="Your parcel: https://bit.ly/3x")).status == 202
    async with asyncio.timeout(15):
        while not (found := (await world.acme.get("/v1/content/counts")).json["data"]):
            await asyncio.sleep(0.2)
    told = {(one["verdict"], one["code"], one["count"]) for one in found}
    assert told == {("allow", "", 1), ("would_block", "link_shortener", 1)}
    assert (await world.client("rival").get("/v1/content/counts")).json["data"] == []


async def test_a_new_account_is_warmed_up(world: World) -> None:
    await world.operator.patch("/v1/content_policy", {"warm_up": {"first_day": 2}})
    sent = [await send(world.acme, text=f"See you at {n}.") for n in range(3)]
    assert [one.status for one in sent] == [202, 202, 429]
    assert sent[2].code == "throttled" and "warm-up" in sent[2].json["error"]["message"]
    assert int(sent[2].headers["retry-after"]) > 0


async def test_reviews_are_decided_on_the_command_line(world: World) -> None:
    review_id, [message_id] = await held(world)

    async def run(*words: str, code: int = 0) -> str:
        env = {"CHAPPE_API_URL": world.base, "CHAPPE_API_KEY": world.keys["operator"]}
        told: Result = await asyncio.to_thread(CliRunner().invoke, app, list(words), env=env)
        assert told.exit_code == code, (told.output, told.exception)
        return click.unstyle(told.output)

    listed = await run("list")
    assert review_id in listed and "link_unlisted" in listed and "New shoes" in listed
    shown = await run("show", review_id)
    assert "1 came, 1 wait" in shown and TEXT in shown and "shop.example.net is not among" in shown
    assert "is approved until" in await run("approve", review_id, "--note", "Their shop.")
    await becomes(world.acme, message_id, "delivered")
    assert "Nothing waits" in await run("list")
    assert "(review_state)" in await run("approve", review_id, code=1)
    assert "is rejected until" in await run("reject", review_id)
    assert "(not_found)" in await run("show", ids.public("crv", 1), code=1)
    assert fraud.policy_of(world.rt, world.account_ids["acme"]).mode == "enforce"
