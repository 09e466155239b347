"""Configuration by the API, and lists."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chappe import ids
from chappe.storage import Unavailable
from tests.api.conftest import World, in_days
from tests.support.eventually import eventually

CONNECTOR = {
    "name": "acme-1",
    "settings": {"host": "smpp.example.com", "window": 5},
    "credentials": {"system_id": "us", "password": "sesame-42"},
}


async def test_a_connector_is_made_changed_and_deleted_and_its_password_never_shown(world: World) -> None:
    made = await world.operator.post("/v1/connectors", CONNECTOR)
    assert made.status == 201, made.body
    assert (made.json["settings"]["window"], made.json["settings"]["port"]) == (5, 2775)
    path = f"/v1/connectors/{made.json['id']}"
    await eventually(lambda: "acme-1" in world.links)
    shown = await world.operator.get(path)
    assert (shown.json["link"]["state"], shown.json["credentials"]) == ("up", {"system_id": "us"})
    changed = await world.operator.patch(path, {"settings": {"window": 9}, "status": "stopped"})
    assert (changed.json["settings"]["window"], changed.json["settings"]["host"]) == (9, "smpp.example.com")
    listed = await world.operator.get("/v1/connectors")
    assert [connector["name"] for connector in listed.json["data"]] == ["acme-1", "lab", "main"]
    audit = await world.operator.get("/v1/audit?everything=true")
    for reply in (made, shown, changed, listed, audit):
        assert b"sesame" not in reply.body
    await world.operator.post("/v1/routes", {"name": "r", "connector": "acme-1"})
    refused = await world.operator.delete(path)
    assert (refused.status, refused.code) == (409, "in_use")
    route = (await world.operator.get("/v1/routes")).json["data"][0]
    assert (await world.operator.delete(f"/v1/routes/{route['id']}")).status == 204
    assert (await world.operator.delete(path)).status == 204
    assert (await world.operator.get(path)).code == "not_found"


async def test_settings_of_a_connector_are_checked_with_their_path(world: World, subtests: pytest.Subtests) -> None:
    for change, code, param in (
        ({"settings": {"host": "h", "windw": 1}}, "unknown_field", "settings.windw"),
        ({"settings": {"host": "h", "window": "1"}}, "invalid_type", "settings.window"),
        ({"settings": {}}, "missing_field", "settings.host"),
        ({"credentials": {"system_id": "x"}}, "missing_field", "credentials.password"),
        ({"name": "a b"}, "invalid_value", "name"),
        ({"channel": "pigeon"}, "invalid_value", "channel"),
        ({"settings": {"host": "h", "burst": 3}}, "invalid_value", "settings"),
    ):
        with subtests.test(param):
            reply = await world.operator.post("/v1/connectors", CONNECTOR | change)
            assert (reply.status, reply.code, reply.param) == (422, code, param), reply.body
    assert (await world.operator.post("/v1/connectors", CONNECTOR | {"name": "main"})).code == "duplicate_name"


async def test_a_route_is_made_explained_and_changed(world: World) -> None:
    acme = ids.public("acc", world.account_ids["acme"])
    told = {"name": "otp-fr", "prefix": "+33", "connector": "main", "account_id": acme, "purposes": ["otp"]}
    made = await world.operator.post("/v1/routes", told)
    assert made.status == 201, made.body
    assert (made.json["prefix"], made.json["account_id"], made.json["purposes"]) == ("33", acme, ["otp"])
    question = {"to": "+33612345678", "purpose": "otp", "account_id": acme}
    answer = (await world.operator.post("/v1/routes/explain", question)).json
    assert answer["connectors"] == ["main"]
    assert (answer["tried"][0]["name"], answer["tried"][0]["chosen"]) == ("otp-fr", True)
    path = f"/v1/routes/{made.json['id']}"
    assert (await world.operator.patch(path, {"status": "stopped", "account_id": None})).json["account_id"] is None
    answer = (await world.operator.post("/v1/routes/explain", question)).json
    assert {tried["name"]: tried["reason"] for tried in answer["tried"]}["otp-fr"] == "the route is stopped"
    for change, code, param in (
        ({"connector": "nope"}, "connector_unknown", "connector"),
        ({"connector": "lab"}, "connector_unknown", "connector"),
        ({"fallback_connectors": ["main", "nope"]}, "connector_unknown", "fallback_connectors[1]"),
        ({"account_id": "acc_1"}, "invalid_value", "account_id"),
        ({"prefix": "x"}, "invalid_value", "prefix"),
    ):
        reply = await world.operator.patch(path, change)
        assert (reply.status, reply.code, reply.param) == (422, code, param), reply.body


async def test_a_key_is_made_used_and_revoked(world: World) -> None:
    made = await world.acme.post("/v1/keys", {"name": "shop", "scopes": ["messages:read"], "mode": "test"})
    assert made.status == 201
    client = world.client(made.json["key"])
    account = (await client.get("/v1/account")).json
    assert (account["slug"], account["mode"], account["scopes"]) == ("acme", "test", ["messages:read"])
    assert account["key_id"] == made.json["id"]
    shown = await world.acme.get(f"/v1/keys/{made.json['id']}")
    assert made.json["key"].encode() not in shown.body
    assert shown.json["last4"] == made.json["key"][-4:]
    assert (await world.acme.post(f"/v1/keys/{made.json['id']}/revoke")).json["revoked_at"]
    assert (await client.get("/v1/account")).code == "key_revoked"


async def test_a_login_is_made_changed_and_deleted(world: World) -> None:
    made = await world.acme.post("/v1/smpp_logins", {"system_id": "shop", "allowed_ips": ["192.0.2.0/24"]})
    assert (made.status, len(made.json["password"])) == (201, 8)
    path = f"/v1/smpp_logins/{made.json['id']}"
    assert "password" not in (await world.acme.get(path)).json
    changed = await world.acme.patch(path, {"max_binds": 9, "rate_per_s": None, "dialect": {"plus": True}})
    assert (changed.json["max_binds"], changed.json["dialect"]) == (9, {"plus": True})
    for change, param in (
        ({"allowed_ips": ["nowhere"]}, "allowed_ips[0]"),
        ({"password": "longer than eight"}, "password"),
        ({"max_binds": 0}, "max_binds"),
    ):
        reply = await world.acme.patch(path, change)
        assert (reply.status, reply.code, reply.param) == (422, "invalid_value", param)
    assert (await world.acme.post("/v1/smpp_logins", {"system_id": "shop"})).code == "duplicate_name"
    assert (await world.acme.delete(path)).status == 204
    assert (await world.acme.get(path)).status == 404


async def test_a_sender_is_registered_but_what_it_receives_is_the_operator_s_to_say(world: World) -> None:
    made = await world.acme.post("/v1/senders", {"address": "Shop", "countries": ["FR"]})
    assert (made.status, made.json["kind"]) == (201, "alphanumeric")
    path = f"/v1/senders/{made.json['id']}"
    assert (await world.acme.patch(path, {"inbound": True})).code == "scope_missing"
    assert (await world.acme.post("/v1/senders", {"address": "55555", "inbound": True})).code == "scope_missing"
    whose = "?account_id=" + ids.public("acc", world.account_ids["acme"])
    changed = await world.operator.patch(path + whose, {"inbound": True, "connectors": ["main"], "status": "suspended"})
    assert (changed.json["connectors"], changed.json["status"]) == (["main"], "suspended")
    assert (await world.acme.patch(path, {"status": "active"})).code == "scope_missing"
    assert (await world.acme.delete(path)).code == "scope_missing"
    assert (await world.acme.patch(path, {"countries": ["DE"]})).json["countries"] == ["DE"]
    assert (await world.acme.post("/v1/senders", {"address": "Chàppe"})).code == "sender_invalid"


async def test_an_operator_makes_an_account_and_its_first_key(world: World) -> None:
    told = {"slug": "new", "name": "New", "settings": {"rate_per_s": 5, "any_sender": True}}
    made = await world.operator.post("/v1/accounts", told)
    assert made.status == 201, made.body
    key = await world.operator.post(f"/v1/keys?account_id={made.json['id']}", {"name": "first"})
    sent = {"to": "+33612345678", "from": "New", "text": "x"}
    assert (await world.client(key.json["key"]).post("/v1/messages", sent)).status == 202
    changed = await world.operator.patch(f"/v1/accounts/{made.json['id']}", {"default_sender": "New"})
    assert (changed.json["default_sender"], changed.json["settings"]["rate_per_s"]) == ("New", 5)
    reply = await world.operator.patch(f"/v1/accounts/{made.json['id']}", {"settings": {"rate": 5}})
    assert (reply.code, reply.param) == ("unknown_field", "settings.rate")
    assert (await world.operator.delete(f"/v1/accounts/{made.json['id']}")).code == "method_not_allowed"


async def test_the_audit_says_who_changed_what(world: World) -> None:
    made = await world.acme.post("/v1/keys", {"name": "shop"})
    me = (await world.acme.get("/v1/account")).json["key_id"]
    entry = (await world.acme.get("/v1/audit?limit=1")).json["data"][0]
    assert (entry["actor"], entry["action"], entry["kind"]) == (me, "create", "api_key")
    assert entry["object"] == made.json["id"]
    assert entry["after"]["hash"] == "***"
    assert (await world.acme.get("/v1/audit?everything=true")).code == "scope_missing"


async def test_pages_of_every_kind_of_list_fit_together(both: World, subtests: pytest.Subtests) -> None:
    for n in range(5):
        await both.acme.post(
            "/v1/messages", {"to": "+33612345678", "text": f"{n}", "send_at": in_days(n + 1), "tags": ["t"]}
        )
        await both.acme.post("/v1/keys", {"name": f"k{n}"})
        await both.links["main"].inbound("33612345678", "33644600001", f"{n}")
        await both.links["main"].inbound("33612345678", "99999", f"{n}")
    for client, path in (
        (both.acme, "/v1/messages?tag=t&status=scheduled&status=sent"),
        (both.acme, "/v1/keys?"),
        (both.acme, "/v1/inbound?to=33644600001"),
        (both.acme, "/v1/audit?"),
        (both.operator, "/v1/unrouted?"),
        (both.operator, "/v1/accounts?"),
    ):
        with subtests.test(path):
            whole = (await client.get(f"{path}&limit=100")).json["data"]
            assert len(whole) >= 3
            seen: list[Any] = []
            cursor = ""
            while True:
                page = (await client.get(f"{path}&limit=2{cursor}")).json
                assert page["has_more"] == (page["next_cursor"] is not None)
                seen += page["data"]
                if not page["has_more"]:
                    break
                assert len(page["data"]) == 2
                cursor = f"&cursor={page['next_cursor']}"
            assert [row["id"] for row in seen] == [row["id"] for row in whole]


async def test_messages_are_found_by_what_is_known_of_them(both: World) -> None:
    fields = {"to": "+33612345678", "text": "x"}
    first = (await both.acme.post("/v1/messages", {**fields, "correlation_id": "c 1", "tags": ["a"]})).json
    other = (await both.acme.post("/v1/messages", {**fields, "to": "+33612345679", "text": "y"})).json
    for query, wanted in (
        ("correlation_id=c%201", [first]),
        ("tag=a", [first]),
        ("to=%2B33612345679", [other]),
        ("to=+33612345679", [other]),
        (f"created_before={first['created_at']}", []),
        (f"created_after={first['created_at']}", [other, first]),
        ("created_after=9999-01-01T00:00:00Z", []),
    ):
        found = (await both.acme.get(f"/v1/messages?{query}")).json["data"]
        assert [row["id"] for row in found] == [row["id"] for row in wanted], query


async def test_a_phone_s_message_is_shown_with_how_it_came(world: World) -> None:
    await world.links["main"].inbound("33612345678", "33644600001", "Bonjour")
    [shown] = (await world.acme.get("/v1/inbound")).json["data"]
    assert (shown["from"], shown["to"], shown["text"]) == ("+33612345678", "+33644600001", "Bonjour")
    told = (await world.acme.get(f"/v1/inbound/{shown['id']}/explain")).json
    assert told["message"] == shown
    assert told["history"][0]["kind"] == "received"
    assert (await world.client("rival").get("/v1/inbound")).json["data"] == []


async def test_a_text_is_previewed(world: World) -> None:
    shown = (await world.acme.post("/v1/preview", {"text": "“Déjà” " + "x" * 160})).json
    assert (shown["encoding"], shown["segments"]) == ("ucs2", 3)
    assert {"char": "“", "suggestion": '"'} in shown["forced_ucs2"]
    assert (shown["smart"]["segments"], shown["smart"]["saved"]) == (2, 1)
    assert (await world.acme.post("/v1/preview", {"text": ""})).json["segments"] == 0
    assert (await world.acme.post("/v1/preview", {"text": "п", "encoding": "gsm7"})).code == "encoding_impossible"


async def test_a_webhook_endpoint_lives_its_life(both: World) -> None:
    made = await both.acme.post("/v1/webhook_endpoints", {"url": "https://192.0.3.7/hook", "mode": "live"})
    assert made.status == 201, made.body
    assert made.json["secret"].startswith("whsec_")
    path = f"/v1/webhook_endpoints/{made.json['id']}"
    rotated = await both.acme.post(f"{path}/rotate")
    assert rotated.json["secret"] != made.json["secret"]
    assert (await both.acme.post(f"{path}/pause")).json["status"] == "paused"
    sent = {"to": "+33612345678", "text": "x"}
    message = (await both.acme.post("/v1/messages", sent)).json

    async def told() -> bool:
        return len((await both.acme.get(f"{path}/deliveries")).json["data"]) == 2

    await eventually(told)
    events = (await both.acme.get("/v1/events")).json["data"]
    assert [event["type"] for event in events] == ["message.delivered", "message.sent"]
    assert {event["data"]["id"] for event in events} == {message["id"]}
    assert (await both.acme.get(f"/v1/events/{events[0]['id']}")).json == events[0]
    [only] = (await both.acme.get("/v1/events?type=message.sent")).json["data"]
    assert only == events[1]
    page = (await both.acme.get("/v1/events?limit=1")).json
    rest = (await both.acme.get(f"/v1/events?limit=1&cursor={page['next_cursor']}")).json
    assert page["data"] + rest["data"] == events
    assert rest["has_more"] is False
    log = (await both.acme.get(f"{path}/deliveries?status=pending&type=message.delivered")).json["data"]
    assert len(log) == 1
    shown = (await both.acme.get(f"/v1/webhook_deliveries/{log[0]['id']}")).json
    assert shown["body"] == events[0]
    again = await both.acme.post(f"/v1/webhook_deliveries/{log[0]['id']}/replay")
    assert (again.status, again.json["origin"], again.json["event_id"]) == (202, "replay", events[0]["id"])
    assert len((await both.acme.get("/v1/events")).json["data"]) == 2, "each event shows once"
    since = {"since": message["created_at"], "only_failed": False}
    assert (await both.acme.post(f"{path}/replay", since)).json == {"replayed": 2}
    tried = (await both.acme.post(f"{path}/test", {"type": "message.failed"})).json
    assert (tried["origin"], len(tried["attempts"])) == ("test", 1)
    assert (await both.acme.post(f"{path}/resume")).json["status"] == "active"
    assert (await both.acme.patch(path, {"events": ["message.read"]})).json["events"] == ["message.read"]
    assert (await both.acme.delete(path)).status == 204
    assert (await both.acme.get(path)).status == 404


async def test_a_webhook_into_a_private_network_is_refused(world: World) -> None:
    for url, code in (("http://127.0.0.1/", "webhook_url_private"), ("ftp://x", "webhook_url_invalid")):
        reply = await world.acme.post("/v1/webhook_endpoints", {"url": url})
        assert (reply.status, reply.code, reply.param) == (422, code, "url")


async def test_the_callback_secret_is_shown_and_rotated(world: World) -> None:
    first = (await world.acme.get("/v1/webhook_callback_secret")).json["secret"]
    assert (await world.acme.get("/v1/webhook_callback_secret")).json["secret"] == first
    second = (await world.acme.post("/v1/webhook_callback_secret/rotate", {})).json["secret"]
    assert first != second


async def test_a_repeated_post_is_done_once(both: World) -> None:
    key = {"Idempotency-Key": "k"}
    first = await both.acme.post("/v1/keys", {"name": "shop"}, headers=key)
    again = await both.acme.post("/v1/keys", {"name": "shop"}, headers=key)
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert again.headers["idempotent-replay"] == "true"
    other = await both.acme.post("/v1/keys", {"name": "other"}, headers=key)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert (await both.client("rival").post("/v1/keys", {"name": "shop"}, headers=key)).status == 201
    rows = await both.rt.store.scan(_answers())
    assert all(first.json["key"] not in str(row) for row in rows), "an answer with a secret is sealed"


async def test_a_refused_post_can_be_made_again(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    assert (await world.operator.post("/v1/routes", {"name": "x", "connector": "y"}, headers=key)).status == 422
    made = CONNECTOR | {"name": "y"}
    assert (await world.operator.post("/v1/connectors", made)).status == 201
    assert (await world.operator.post("/v1/routes", {"name": "x", "connector": "y"}, headers=key)).status == 201


async def test_a_post_that_still_runs_is_not_run_twice(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    replies = await asyncio.gather(
        *(world.acme.post("/v1/smpp_logins", {"system_id": "shop"}, headers=key) for _ in range(8))
    )
    assert {reply.status for reply in replies} <= {201, 409}
    assert len({reply.json["id"] for reply in replies if reply.status == 201}) == 1
    assert all(reply.code == "idempotency_in_progress" for reply in replies if reply.status == 409)


async def test_without_its_store_nothing_is_promised(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise Unavailable("disk full")

    monkeypatch.setattr(type(world.rt.store), "write", away)
    for path, body in (
        ("/v1/messages", {"to": "+33612345678", "text": "x"}),
        ("/v1/messages/batch", {"to": ["+33612345678"], "text": "x"}),
        ("/v1/keys", {"name": "n"}),
    ):
        reply = await world.acme.post(path, body)
        assert (reply.status, reply.code) == (503, "storage_unavailable")
        assert int(reply.headers["retry-after"]) >= 1


def _answers() -> Any:
    from chappe.storage import sql

    return sql("select body from api_idempotency")()
