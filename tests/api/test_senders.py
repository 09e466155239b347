"""Senders by the API: rules, registrations and their review, pools, protected names, 10DLC."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from chappe import ids, senders
from tests.api.conftest import World

PDF = base64.b64encode(b"%PDF-1.7 letter").decode()
SPAIN = "+34612345678"


def whose(world: World, slug: str) -> str:
    return "?account_id=" + ids.public("acc", world.account_ids[slug])


async def test_the_rules_of_a_country_are_shown_with_their_sources_at_any_time(world: World) -> None:
    shown = (await world.acme.get("/v1/senders/rules/es?at=2026-09-14T10:00:00Z")).json
    assert [(rule["allowed"], rule["valid_to"]) for rule in shown["rules"]] == [("yes", "2026-09-14")]
    later = (await world.acme.get("/v1/senders/rules/ES?at=2026-12-01T10:00:00Z")).json["rules"][0]
    assert (later["allowed"], later["register"], later["confidence"]) == ("register", "CNMC alias register", "H")
    assert "CNMC Circular 1/2026" in later["source"]
    words = (await world.acme.get("/v1/senders/rules/PH")).json["words"]
    assert words[0]["word"] == "TEST"
    assert (await world.acme.get("/v1/senders/rules/ZW")).json["rules"] == []
    for path, status, code in (("zz", 404, "not_found"), ("FR?at=now", 422, "invalid_value")):
        reply = await world.acme.get(f"/v1/senders/rules/{path}")
        assert (reply.status, reply.code) == (status, code)


async def test_a_sender_is_registered_reviewed_approved_and_then_sends(both: World) -> None:
    world = both
    message = {"to": SPAIN, "from": "Acme", "text": "Hola"}
    refused = await world.acme.post("/v1/messages", message)
    assert (refused.status, refused.code, refused.param) == (403, "sender_not_registered", "from")
    assert "CNMC Circular 1/2026" in refused.json["error"]["message"]
    asked = await world.acme.post("/v1/senders/check", {"address": "Acme", "country": "ES"})
    assert (asked.json["allowed"], asked.json["findings"][0]["rule"]["register"]) == (False, "CNMC alias register")

    made = await world.acme.post("/v1/sender_registrations", {"sender": "Acme", "country": "ES"})
    assert (made.status, made.json["state"]) == (201, "draft")
    path = f"/v1/sender_registrations/{made.json['id']}"
    paper = await world.acme.post(
        f"{path}/documents", {"name": "letter.pdf", "media_type": "application/pdf", "content": PDF}
    )
    assert (paper.status, paper.json["size"]) == (201, 15)
    assert (await world.acme.post(f"{path}/submit")).json["state"] == "submitted"
    queue = (await world.operator.get("/v1/sender_registrations?everything=true&state=submitted")).json["data"]
    assert [(one["sender"], one["country"], len(one["documents"])) for one in queue] == [("Acme", "ES", 1)]
    assert (await world.acme.get("/v1/sender_registrations?everything=true")).code == "scope_missing"

    review = f"/v1/sender_reviews/{made.json['id']}"
    assert (await world.acme.post(f"{review}/approve")).code == "scope_missing"
    opened = await world.operator.get(f"{review}/documents/{paper.json['id']}")
    assert opened.json["content"] == PDF
    assert (await world.operator.post(f"{review}/review")).json["state"] == "in_review"
    until = "2099-01-31T00:00:00.000Z"
    fees = {"set_up": "25", "monthly": "7.125", "currency": "EUR"}
    done = await world.operator.post(f"{review}/approve", {"reference": "R-1", "valid_until": until, "fees": fees})
    assert (done.json["state"], done.json["valid_until"], done.json["reference"]) == ("approved", until, "R-1")
    assert done.json["fees"] == {"set_up": "25.00", "monthly": "7.125", "currency": "EUR"}
    assert (await world.acme.post("/v1/messages", message)).status == 202

    history = (await world.acme.get(f"{path}/history")).json["data"]
    assert [step["action"] for step in history] == ["create", "submit", "review", "approve"]
    assert history[3]["actor"].startswith("key_") and history[3]["actor"] != history[1]["actor"]
    again = await world.operator.post(f"{review}/reject", {"reason": "late"})
    assert (again.status, again.code) == (409, "sender_registration_state")
    assert "suspend" in again.json["error"]["action"]
    soon = await world.acme.get("/v1/sender_registrations?expires_before=2100-01-01T00:00:00Z")
    assert len(soon.json["data"]) == 1
    assert (await world.operator.post(f"{review}/suspend", {"reason": "complaints"})).json["reason"] == "complaints"
    assert (await world.acme.post("/v1/messages", message)).code == "sender_not_registered"


async def test_a_registration_that_cannot_be_is_refused_by_its_field(world: World, subtests: pytest.Subtests) -> None:
    good: dict[str, Any] = {"sender": "Acme", "country": "ES"}
    for change, code, param in (
        ({"sender": "Rival"}, "sender_not_allowed", "sender"),
        ({"country": "Spain"}, "invalid_value", "country"),
        ({"operator": "x"}, "invalid_value", "operator"),
        ({"particulars": {"dlt_entity_id": "1"}}, "invalid_value", "particulars.dlt_entity_id"),
        ({"particulars": {"taxid": "1"}}, "unknown_field", "particulars.taxid"),
    ):
        with subtests.test(param):
            reply = await world.acme.post("/v1/sender_registrations", good | change)
            assert (reply.code, reply.param) == (code, param)
    made = (await world.acme.post("/v1/sender_registrations", good)).json
    assert (await world.acme.post("/v1/sender_registrations", good)).code == "duplicate_name"
    paper = {"name": "a.pdf", "media_type": "application/pdf", "content": "!"}
    reply = await world.acme.post(f"/v1/sender_registrations/{made['id']}/documents", paper)
    assert (reply.code, reply.param) == ("invalid_value", "content")
    fees = {"fees": {"set_up": "-1", "currency": "EUR"}}
    reply = await world.operator.post(f"/v1/sender_reviews/{made['id']}/approve", fees)
    assert (reply.code, reply.param) == ("invalid_value", "fees.set_up")


async def test_a_message_goes_out_from_a_pool_and_from_the_default_of_its_country(world: World) -> None:
    for address in ("ShopA", "ShopB"):
        await world.acme.post("/v1/senders", {"address": address})
    made = await world.acme.post("/v1/sender_pools", {"name": "shop", "senders": ["ShopA", "ShopB"]})
    assert (made.json["from"], made.json["senders"]) == ("pool:shop", ["ShopA", "ShopB"])

    async def sender(**more: str) -> str:
        reply = await world.acme.post("/v1/messages", {"to": "+33612345678", "text": "x"} | more)
        assert reply.status == 202, reply.body
        return str(reply.json["from"])

    first = await sender(**{"from": "pool:shop"})
    assert first in ("ShopA", "ShopB") and await sender(**{"from": "pool:shop"}) == first
    assert await sender() == "Acme"
    default = await world.acme.post("/v1/sender_defaults", {"country": "FR", "sender": "pool:shop"})
    assert default.status == 201
    assert await sender() == first
    changed = await world.acme.patch(f"/v1/sender_defaults/{default.json['id']}", {"sender": "ShopB"})
    assert changed.json["sender"] == "ShopB" and await sender() == "ShopB"
    assert (await world.acme.delete(f"/v1/sender_pools/{made.json['id']}")).status == 204
    reply = await world.acme.post("/v1/messages", {"to": "+33612345678", "text": "x", "from": "pool:shop"})
    assert (reply.status, reply.code, reply.param) == (403, "sender_not_allowed", "from")
    batch = await world.acme.post("/v1/messages/batch", {"to": ["+33612345678"], "text": "x", "from": "pool:nope"})
    assert b"sender_not_allowed" in batch.body


async def test_a_look_alike_of_a_protected_name_is_refused(world: World) -> None:
    rival = ids.public("acc", world.account_ids["rival"])
    await world.acme.post("/v1/senders", {"address": "Pay-Pal"})
    made = await world.operator.post("/v1/protected_senders", {"name": "PayPal", "account_ids": [rival]})
    assert made.status == 201, made.body
    assert [one["address"] for one in made.json["lookalikes"]] == ["Pay-Pal"]
    reply = await world.acme.post("/v1/senders", {"address": "PayPaI"})
    assert (reply.status, reply.code, reply.param) == (403, "sender_lookalike", "address")
    assert (await world.client("rival").post("/v1/senders", {"address": "PayPal"})).status == 201
    assert (await world.acme.get("/v1/protected_senders")).code == "scope_missing"
    assert (await world.operator.delete(f"/v1/protected_senders/{made.json['id']}")).status == 204
    assert (await world.acme.post("/v1/senders", {"address": "PayPaI"})).status == 201


async def test_kind_and_pace_are_the_operator_s_to_say(world: World) -> None:
    made = await world.acme.post("/v1/senders", {"address": "+18005551234"})
    assert (made.json["kind"], made.json["capabilities"]["throughput"][0]["limit"]) == ("toll_free", 3)
    path = f"/v1/senders/{made.json['id']}"
    for change in ({"overrides": {"rate_per_s": 20}}, {"kind": "long_code"}):
        assert (await world.acme.patch(path, change)).code == "scope_missing"
        assert (await world.acme.post("/v1/senders", {"address": "+18005551235"} | change)).code == "scope_missing"
    changed = await world.operator.patch(path + whose(world, "acme"), {"overrides": {"rate_per_s": 20}})
    assert changed.json["capabilities"]["throughput"][0]["limit"] == 20


async def test_a_10dlc_number_sends_once_the_registry_said_yes(world: World) -> None:
    examples = {one.path: one.example for one in _operations() if one.method == "POST"}
    brand = await world.acme.post("/v1/ten_dlc/brands", examples["/v1/ten_dlc/brands"])
    campaign = await world.acme.post("/v1/ten_dlc/campaigns", examples["/v1/ten_dlc/campaigns"])
    assert (brand.status, campaign.status) == (201, 201)
    number = {"address": "+12025550123", "campaign": "codes"}
    assert (await world.acme.post("/v1/senders", number)).json["campaign"] == "codes"
    message = {"to": "+12025550199", "from": "+12025550123", "text": "x"}
    assert (await world.acme.post("/v1/messages", message)).code == "sender_not_registered"
    yes = {"identity_status": "VERIFIED", "registry_id": "BABC123"}
    assert (await world.acme.patch(f"/v1/ten_dlc/registry/brands/{brand.json['id']}", yes)).code == "scope_missing"
    assert (await world.operator.patch(f"/v1/ten_dlc/registry/brands/{brand.json['id']}", yes)).status == 200
    active = {"status": "ACTIVE", "carriers": {"att": "registered"}}
    reply = await world.operator.patch(f"/v1/ten_dlc/registry/campaigns/{campaign.json['id']}", active)
    assert (reply.json["status"], reply.json["senders"]) == ("ACTIVE", ["+12025550123"])
    assert (await world.acme.post("/v1/messages", message)).status == 202


async def test_a_test_key_changes_no_sender(world: World) -> None:
    client = world.client("acme_test")
    for path, body in (
        ("/v1/sender_registrations", {"sender": "Acme", "country": "ES"}),
        ("/v1/sender_pools", {"name": "x", "senders": ["Acme"]}),
        ("/v1/sender_defaults", {"country": "FR", "sender": "Acme"}),
    ):
        assert (await client.post(path, body)).code == "scope_missing"
    assert not senders.book(world.rt).pools


def _operations() -> list[Any]:
    from chappe.api import ten_dlc

    return ten_dlc.resource.operations
