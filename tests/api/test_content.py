"""Content checks and the domains of accounts over HTTP."""

from __future__ import annotations

import pytest

from chappe import ids
from tests.api.conftest import World


async def checked(world: World, text: str, key: str = "acme", **more: object) -> list[str]:
    reply = await world.client(key).post("/v1/content/check", {"text": text} | more)
    assert reply.status == 200, reply.body
    return [one["code"] for one in reply.json["findings"]]


async def test_a_text_is_checked_and_every_finding_explained(world: World) -> None:
    text = "Your parcel: https://bit.ly/3x"
    reply = await world.acme.post("/v1/content/check", {"text": text, "from": "Acme", "country": "GB"})
    assert reply.json["action"] == "block"
    (one,) = reply.json["findings"]
    assert (one["code"], one["action"], one["what"]) == ("link_shortener", "block", "bit.ly")
    assert text[one["start"] : one["end"]] == "https://bit.ly/3x"
    assert one["message"].startswith("bit.ly is a public shortener") and one["advice"]
    lenient = {"text": text, "policy": {"actions": {"link_shortener": "allow"}}}
    assert (await world.acme.post("/v1/content/check", lenient)).json["action"] == "allow"


async def test_codes_are_listed_with_what_usually_becomes_of_them(world: World) -> None:
    listed = (await world.acme.get("/v1/content/codes")).json["data"]
    assert {"code": "link_ip", "action": "block"}.items() <= next(c for c in listed if c["code"] == "link_ip").items()


async def test_a_policy_with_an_unknown_code_is_refused(world: World) -> None:
    reply = await world.acme.post("/v1/content/check", {"text": "x", "policy": {"actions": {"nonsense": "allow"}}})
    assert (reply.status, reply.code, reply.param) == (422, "invalid_value", "policy.actions")


async def test_a_domain_is_added_counts_at_once_for_its_account_alone_and_is_audited(both: World) -> None:
    world = both
    text = "See https://shop.bücher.example.com/x"
    assert await checked(world, text) == ["link_unlisted"]
    made = await world.acme.post("/v1/content/domains", {"domain": "Bücher.example.com", "note": "shop"})
    assert made.status == 201, made.body
    assert (made.json["domain"], made.json["status"]) == ("xn--bcher-kva.example.com", "active")
    assert await checked(world, text) == []
    assert await checked(world, text, "rival") == ["link_unlisted"]
    path = f"/v1/content/domains/{made.json['id']}"
    assert (await world.acme.get(path)).json == made.json
    assert (await world.acme.get("/v1/content/domains")).json["data"] == [made.json]
    rival = world.client("rival")
    assert (await rival.get("/v1/content/domains")).json["data"] == []
    for method in ("GET", "PATCH", "DELETE"):
        body = {"note": "mine"} if method == "PATCH" else None
        assert (await rival.call(method, path, body)).status == 404
    twice = await world.acme.post("/v1/content/domains", {"domain": "bücher.example.com."})
    assert (twice.status, twice.code, twice.param) == (409, "duplicate_name", "domain")
    assert (await world.acme.patch(path, {"note": "books"})).json["note"] == "books"
    assert (await world.acme.delete(path)).status == 204
    assert await checked(world, text) == ["link_unlisted"]
    acme = ids.public("acc", world.account_ids["acme"])
    log = (await world.operator.get("/v1/audit?account_id=" + acme)).json["data"]
    assert [line["action"] for line in log if line["kind"] == "content_domain"] == ["delete", "update", "create"]


async def test_a_domain_that_looks_like_a_protected_name_counts_when_the_operator_says_so(world: World) -> None:
    made = await world.operator.post("/v1/protected_senders", {"name": "PayPal"})
    assert made.status == 201, made.body
    text = "See https://paypa1-login.com/x"
    assert await checked(world, text) == ["link_lookalike", "link_unlisted"]
    added = (await world.acme.post("/v1/content/domains", {"domain": "paypa1-login.com"})).json
    assert added["status"] == "review"
    assert await checked(world, text) == ["link_lookalike", "link_unlisted"]
    path = f"/v1/content/domains/{added['id']}"
    own = await world.acme.patch(path, {"status": "active"})
    assert (own.status, own.code) == (403, "scope_missing")
    whose = "?account_id=" + ids.public("acc", world.account_ids["acme"])
    assert (await world.operator.patch(path + whose, {"status": "active"})).json["status"] == "active"
    assert await checked(world, text) == []
    shortener = (await world.acme.post("/v1/content/domains", {"domain": "bit.ly"})).json
    assert shortener["status"] == "review" and await checked(world, "bit.ly/x") == ["link_shortener"]


@pytest.mark.parametrize("domain", ["co.uk", "https://example.com", "10.0.0.1", "example", "a..b.com", "exa mple.com"])
async def test_what_nobody_can_have_registered_is_refused(world: World, domain: str) -> None:
    reply = await world.acme.post("/v1/content/domains", {"domain": domain})
    assert (reply.status, reply.code, reply.param) == (422, "invalid_value", "domain")


async def test_keys_need_the_scopes_and_test_keys_change_nothing(world: World) -> None:
    reader = await world.key(["messages:read"])
    assert (await reader.post("/v1/content/check", {"text": "x"})).code == "scope_missing"
    sender = await world.key(["messages:send"])
    assert (await sender.post("/v1/content/check", {"text": "x"})).json == {"action": "allow", "findings": []}
    assert (await sender.get("/v1/content/domains")).code == "scope_missing"
    tester = await world.key(["senders"], mode="test")
    assert (await tester.post("/v1/content/domains", {"domain": "example.com"})).status == 403
