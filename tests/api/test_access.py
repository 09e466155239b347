"""Who may do what, and how errors look from outside."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from chappe import accounts, api, snapshots
from chappe.api.openapi import all_operations
from chappe.api.operations import Operation
from chappe.runtime import open_runtime
from chappe.storage import Unavailable
from tests.api.conftest import LATER, Client, World
from tests.api.test_invoices import Books

SOME_ID = "0000000000000"
WORD_OF = {"word": "nothing", "country": "FR", "number": "+33612345678"}


def concrete(operation: Operation, **numbers: str) -> str:
    """The path of an operation with ids filled in."""
    path = operation.template
    for name, kind in operation.parameters:
        path = path.replace("{" + name + "}", numbers.get(kind, WORD_OF.get(kind, f"{kind}_{SOME_ID}")))
    return path


OPERATIONS = [operation for operation in all_operations(api.RESOURCES) if operation.scope is not None]
ONE = [operation for operation in OPERATIONS if operation.parameters and operation.name != "lookups_look_up"]


async def test_no_address_answers_without_a_known_key(
    world: World, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "LOOK_EVERY_S", 0.0)  # each unknown key waits for a look: here are hundreds
    revoked, _ = await _revoked(world)
    for operation in OPERATIONS:
        with subtests.test(operation.name):
            answers = []
            for header in (
                None,
                "",
                "Bearer",
                "Bearer nonsense",
                "Bearer ck_live_" + "x" * 43,
                "Basic eDp5",
                "Bearer é",
            ):
                headers = {} if header is None else {"Authorization": header}
                reply = await world.client(None).call(
                    operation.method, concrete(operation), json=operation.example, headers=headers
                )
                assert reply.headers["www-authenticate"] == "Bearer"
                error = reply.json["error"] | {"request_id": ""}
                answers.append((reply.status, reply.code, error))
            assert answers == [answers[0]] * len(answers)
            assert answers[0][:2] == (401, "unauthenticated")
            reply = await revoked.call(operation.method, concrete(operation), json=operation.example)
            assert (reply.status, reply.code) == (401, "key_revoked")


async def _revoked(world: World) -> tuple[Client, int]:
    account_id = world.account_ids["acme"]
    key, secret = await accounts.create_key(world.rt, "test", account_id, name="old", scopes=accounts.ACCOUNT_SCOPES)
    await accounts.revoke_key(world.rt, "test", account_id, key.id)
    return world.client(secret), key.id


async def test_every_address_needs_its_scope(world: World, subtests: pytest.Subtests) -> None:
    every = [*accounts.ACCOUNT_SCOPES, "accounts", "connectors", "routes"]
    for scope in {operation.scope for operation in OPERATIONS}:
        lacking = await world.key([name for name in every if name != scope], account="house")
        for operation in (operation for operation in OPERATIONS if operation.scope == scope):
            with subtests.test(operation.name):
                reply = await lacking.call(operation.method, concrete(operation), json=operation.example)
                assert (reply.status, reply.code) == (403, "scope_missing")


async def test_a_suspended_account_is_told_so(world: World) -> None:
    await accounts.update_account(world.rt, "test", world.account_ids["acme"], status="suspended")
    for reply in (await world.acme.post("/v1/messages", {}), await world.acme.get("/v1/messages")):
        assert (reply.status, reply.code) == (403, "account_suspended")
    assert (await world.client("rival").get("/v1/messages")).status == 200


async def furnish(world: World, who: str) -> dict[str, str]:
    """One object of each kind in an account, by the kind of its id."""
    account_id = world.account_ids[who]
    client = world.client(who)
    operator, whose = world.operator, f"?account_id={_account(world, who)}"
    made: dict[str, Any] = {}
    to = "33644600001" if who == "acme" else "33644600002"
    if who != "acme":
        fields = {"address": to, "inbound": True}
        assert (await operator.post(f"/v1/senders{whose}", fields)).status == 201
    sent = await client.post("/v1/messages", {"to": "+33612345678", "text": "x", "send_at": LATER})
    made["msg"] = sent.json["id"]
    await world.links["main"].inbound("33612345678", to, "Bonjour")
    made["inb"] = (await client.get("/v1/inbound")).json["data"][0]["id"]
    made["key"] = (await client.post("/v1/keys", {"name": "other"})).json["id"]
    made["smp"] = (await client.post("/v1/smpp_logins", {"system_id": f"{who}1"})).json["id"]
    made["snd"] = (await client.get("/v1/senders")).json["data"][0]["id"]
    made |= await furnish_senders(client, who)
    made["lkj"] = (await client.post("/v1/lookups", {"numbers": ["+33612345678"]})).json["id"]
    await eventually_finished(client, made["lkj"])
    endpoint = await client.post("/v1/webhook_endpoints", {"url": f"https://192.0.3.7/{who}"})
    assert endpoint.status == 201, endpoint.body
    made["whe"] = endpoint.json["id"]
    await client.post(f"/v1/messages/{made['msg']}/cancel")
    async with asyncio.timeout(20):
        while not (log := (await client.get("/v1/webhook_deliveries")).json["data"]):
            await asyncio.sleep(0.02)
    made["whd"], made["evt"] = log[0]["id"], log[0]["event_id"]
    assert account_id
    made |= await furnish_people(world, who)
    invoice = await (await Books(world, who).open()).invoice()
    credit = {"invoice_id": invoice["id"], "reason": "A gift"}
    credited = await operator.post("/v1/credit_notes", credit)
    assert credited.status in (200, 201), credited.body
    made["inv"], made["crn"] = invoice["id"], credited.json["id"]
    allowed = await client.post("/v1/content/domains", {"domain": f"{who}.example.com"})
    made["cdm"] = allowed.json["id"]
    asked = await client.post("/v1/rule_adjustments", {"kind": "word", "value": who})
    made["rad"] = asked.json["id"]
    template = {"name": "welcome", "bodies": {"default": "Welcome to {{ shop }}."}}
    written = await client.post("/v1/templates", template | {"variables": {"shop": {"example": "Acme"}}})
    assert written.status == 201, written.body
    made["tpl"] = written.json["id"]
    return made


async def furnish_people(world: World, who: str) -> dict[str, str]:
    """What an account has of persons: a consent, an opt-out, an erasure; a text under review, a reply of its own."""
    client = world.client(who)
    agreed = {"to": "+31612345678", "wording": "Offers of Acme by SMS", "source": "form"}
    consents = await client.post("/v1/consents", {"consents": [agreed]})
    assert consents.status < 300, consents.body
    refused = await client.post("/v1/opt_outs", {"opt_outs": [{"to": "+31612345679"}]})
    assert refused.status < 300, refused.body
    erased = await client.post("/v1/people/erase", {"person": "+31612345677", "reason": "asked"})
    assert erased.status < 300, erased.body
    reply = await client.post("/v1/opt_out_replies", {"kind": "name", "text": "Acme shoes"})
    assert reply.status == 201, reply.body
    strict = await client.patch("/v1/content/policy", {"actions": {"link_unlisted": "review"}})
    assert strict.status == 200, strict.body
    sent = await client.post("/v1/messages", {"to": "+33612345678", "text": "New shoes: https://shop.example.net/a"})
    assert sent.status == 202, sent.body
    [held] = (await client.get("/v1/content/held?state=open")).json["data"]
    listed = await client.post("/v1/suppression_lists", {"name": "old"})
    assert listed.status == 201, listed.body
    return {
        "sul": listed.json["id"],
        "cns": consents.json["data"][0]["id"],
        "opt": refused.json["data"][0]["id"],
        "ers": erased.json["id"],
        "rpl": reply.json["id"],
        "crv": held["id"],
    }


async def eventually_finished(client: Client, job: str) -> None:
    async with asyncio.timeout(20):
        while (await client.get(f"/v1/lookups/jobs/{job}")).json["status"] != "finished":
            await asyncio.sleep(0.02)


async def furnish_senders(client: Client, who: str) -> dict[str, str]:
    """What belongs to a sender."""
    brand: dict[str, Any] = {
        "entity_type": "NON_PROFIT",
        "display_name": who,
        "company_name": who,
        "ein": "123456789",
        "country": "US",
        "email": "ops@example.com",
        "vertical": "NGO",
    }
    words = f"What {who} sends to people who asked for it on its site."
    campaign = {"use_case": "CHARITY", "description": words, "message_flow": words, "samples": [words]}
    paper = {"name": "letter.pdf", "media_type": "application/pdf", "content": "JVBERi0xLjQK"}
    made = {}
    for kind, path, body in (
        ("srg", "/v1/sender_registrations", {"sender": who.title(), "country": "ES"}),
        ("spl", "/v1/sender_pools", {"name": who, "senders": [who.title()]}),
        ("sdf", "/v1/sender_defaults", {"country": "BE", "sender": who.title()}),
        ("tdb", "/v1/ten_dlc/brands", {"reference": who, "details": brand}),
        ("tdc", "/v1/ten_dlc/campaigns", {"brand": who, "reference": who, "details": campaign}),
    ):
        reply = await client.post(path, body)
        assert reply.status == 201, reply.body
        made[kind] = reply.json["id"]
    made["sdc"] = (await client.post(f"/v1/sender_registrations/{made['srg']}/documents", paper)).json["id"]
    return made


def _account(world: World, who: str) -> str:
    from chappe import ids

    return ids.public("acc", world.account_ids[who])


async def test_no_account_sees_or_touches_what_is_another_s(world: World, subtests: pytest.Subtests) -> None:
    """Every operation of the API: with another account's ids it is 404, in lists nothing of it shows."""
    mine, theirs = await furnish(world, "acme"), await furnish(world, "rival")
    tenants = [operation for operation in OPERATIONS if operation.tenant]
    kinds = {kind for operation in tenants for _, kind in operation.parameters if kind not in WORD_OF}
    assert kinds == theirs.keys(), "a new kind of object: furnish it"
    secrets = [value.encode() for value in theirs.values()]
    for operation in tenants:
        with subtests.test(operation.name):
            reply = await world.acme.call(operation.method, concrete(operation, **theirs), json=operation.example)
            if any(kind in theirs for _, kind in operation.parameters):
                assert (reply.status, reply.code) == (404, "not_found"), reply.body
            else:
                assert reply.status < 300, reply.body
            assert not any(secret in reply.body for secret in secrets)
            whose = "?account_id=" + _account(world, "rival")
            reply = await world.acme.call(
                operation.method, concrete(operation, **theirs) + whose, json=operation.example
            )
            assert (reply.status, reply.code) == (403, "scope_missing")
    reading = [operation for operation in tenants if operation.parameters and operation.method == "GET"]
    for operation in reading:
        for ids_, who in ((mine, "acme"), (theirs, "rival")):
            reply = await world.client(who).get(concrete(operation, **ids_))
            assert reply.status == 200, (operation.name, reply.body)
            whose = "?account_id=" + _account(world, who)
            seen = await world.operator.get(concrete(operation, **ids_) + whose)
            if operation.media:
                assert seen.body == reply.body
            else:
                assert seen.json.keys() == reply.json.keys()


async def test_ids_that_are_none_are_not_found(world: World, subtests: pytest.Subtests) -> None:
    for operation in ONE:
        with subtests.test(operation.name):
            for wrong in ("0", "x_y", "msg_0000000000000", "%00", "%E9", "msg_" + "z" * 13, "a" * 1_000):
                if wrong == "0" and any(kind == "number" for _, kind in operation.parameters):
                    continue  # the version before the first
                path = operation.template
                for name, _ in operation.parameters:
                    path = path.replace("{" + name + "}", wrong)
                reply = await world.operator.call(operation.method, path, json=operation.example)
                assert (reply.status, reply.code) == (404, "not_found"), reply.body


async def test_addresses_and_methods_that_are_none_have_the_same_shape(world: World) -> None:
    for path in ("/", "/v2/messages", "/v1", "/v1/messages/x/y/z", "/docs/other.js", "/v1/%2e%2e/keys", "//"):
        reply = await world.acme.get(path)
        assert (reply.status, reply.code) == (404, "not_found"), path
    assert (await world.acme.get("/v1/messages/batch")).code == "method_not_allowed"
    assert (await world.acme.post("/v1/messages/", {"to": "+33612345678", "text": "x"})).status == 202
    for method, path in (("PUT", "/v1/messages"), ("DELETE", "/v1/keys"), ("POST", "/healthz"), ("PATCH", "/docs")):
        reply = await world.acme.call(method, path)
        assert (reply.status, reply.code) == (405, "method_not_allowed")
        assert "GET" in reply.headers["allow"]


async def test_unknown_parameters_are_refused(world: World) -> None:
    reply = await world.acme.get("/v1/messages?stauts=sent")
    assert (reply.code, reply.param) == ("unknown_field", "stauts")
    assert reply.json["error"]["action"] == "Did you mean status?"
    for path, code, param in (
        ("/v1/messages?limit=0", "invalid_value", "limit"),
        ("/v1/messages?limit=x", "invalid_type", "limit"),
        ("/v1/messages?limit=1&limit=2", "invalid_type", "limit"),
        ("/v1/messages?status=sent&status=lost", "invalid_value", "status[1]"),
        ("/v1/messages?cursor=abc", "invalid_cursor", "cursor"),
        ("/v1/messages?created_after=yesterday", "invalid_value", "created_after"),
        ("/v1/messages?to=12", "number_too_short", "to"),
        ("/v1/messages?to=%00", "invalid_value", "to"),
        ("/v1/account?x=1", "unknown_field", "x"),
    ):
        reply = await world.acme.get(path)
        assert (reply.status, reply.code, reply.param) == (422, code, param), (path, reply.body)


async def test_what_nobody_foresaw_is_told_with_its_request_id_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret detail")

    def broken_at_once(*_: Any) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(world.pipeline, "accept", broken)
    monkeypatch.setattr(world.pipeline, "submit", broken_at_once)
    monkeypatch.setattr("chappe.messages.listed", broken)
    message = {"to": "+33612345678", "text": "x"}
    for reply in (
        await world.acme.post("/v1/messages", message),
        await world.acme.post("/v1/messages", message, headers={"Idempotency-Key": "a"}),
        await world.acme.get("/v1/messages"),
    ):
        assert (reply.status, reply.code) == (500, "internal")
        assert b"secret" not in reply.body


@pytest.mark.parametrize("how", ["scope", "mode"])
async def test_a_key_never_grants_more_than_it_has(world: World, how: str) -> None:
    client = await world.key(["keys"], mode="test" if how == "mode" else "live")
    told = {"name": "n", "scopes": ["keys"]} if how == "mode" else {"name": "n", "scopes": ["admin"]}
    assert (await client.post("/v1/keys", told)).code == "scope_missing"


async def test_a_test_key_changes_nothing_that_live_traffic_uses(world: World) -> None:
    client = await world.key([*accounts.ACCOUNT_SCOPES, "admin"], mode="test", account="house")
    connector = {"name": "x", "settings": {"host": "h"}, "credentials": {"system_id": "a", "password": "b"}}
    for path, body in (
        ("/v1/connectors", connector),
        ("/v1/routes", {"name": "x", "connector": "main"}),
        ("/v1/accounts", {"slug": "x", "name": "x"}),
        ("/v1/senders", {"address": "X"}),
        ("/v1/smpp_logins", {"system_id": "x"}),
        ("/v1/webhook_endpoints", {"url": "https://192.0.3.7/"}),
        ("/v1/keys", {"name": "x"}),
    ):
        assert (await client.post(path, body)).code == "scope_missing", path
    assert (await client.post("/v1/smpp_logins", {"system_id": "x", "mode": "test"})).status == 201


@pytest.fixture
def nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process learns of the others it has asked for."""
    monkeypatch.setattr(snapshots, "WATCH_EVERY_S", 60.0)


@pytest.mark.usefixtures("nobody_watches")
async def test_a_key_of_another_process_works_at_once(both: World) -> None:
    node = await open_runtime(both.rt.settings)
    await accounts.start(node)
    try:
        for name in ("one", "two"):
            _, secret = await accounts.create_key(node, "test", both.account_ids["acme"], name=name)
            assert (await both.client(secret).get("/v1/messages")).status == 200
            sent = await both.client(secret).post("/v1/messages", {"to": "+33612345678", "text": "x"})
            assert sent.status == 202
    finally:
        await node.close()


@pytest.mark.usefixtures("nobody_watches")
async def test_a_flood_of_wrong_keys_costs_few_reads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    read = world.rt.store.read

    async def counted(op: Any) -> Any:
        nonlocal reads
        reads += op.statement is snapshots._VERSIONS
        return await read(op)

    monkeypatch.setattr(world.rt.store, "read", counted)
    started = time.monotonic()

    async def knock(stranger: int) -> None:
        for turn in range(6):
            reply = await world.client(f"ck_live_{stranger:04}{turn}" + "x" * 38).get("/v1/messages")
            assert (reply.status, reply.code) == (401, "unauthenticated")

    await asyncio.gather(*(knock(stranger) for stranger in range(40)))
    assert 1 < reads <= 2 + (time.monotonic() - started) / snapshots.LOOK_EVERY_S < 120


async def test_while_the_store_is_away_strangers_stay_out_and_known_keys_get_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_op: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(world.rt.store, "read", away)
    reply = await world.client("ck_live_" + "x" * 43).get("/v1/account")
    assert (reply.status, reply.code) == (401, "unauthenticated")
    assert (await world.acme.get("/v1/account")).status == 200
