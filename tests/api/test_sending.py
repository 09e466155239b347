"""Handing messages in, one and many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from chappe import accounts
from chappe.messages.store import messages as table
from chappe.storage import core
from tests.api.conftest import LATER, Reply, World, in_days
from tests.support.eventually import eventually

GOOD = {"to": "+33612345678", "text": "Bonjour"}


async def stored(world: World) -> int:
    statement, params = core(sa.select(sa.func.count()).select_from(table))
    return int((await world.rt.store.scan(statement(params)))[0][0])


async def test_a_message_is_taken_and_can_be_followed_to_the_phone(both: World) -> None:
    told = {**GOOD, "tags": ["a", "a", "b"], "metadata": {"n": 1}, "correlation_id": "c-1", "purpose": "otp"}
    reply = await both.acme.post("/v1/messages", told)
    assert reply.status == 202, reply.body
    sent = reply.json
    assert (sent["status"], sent["to"], sent["from"], sent["country"]) == ("queued", "+33612345678", "Acme", "FR")
    assert (sent["encoding"], sent["segments"], sent["characters"], sent["connector"]) == ("gsm7", 1, 7, "main")
    assert (sent["tags"], sent["metadata"], sent["dry_run"]) == (["a", "b"], {"n": 1}, False)

    async def delivered() -> bool:
        shown = (await both.acme.get(f"/v1/messages/{sent['id']}")).json
        return bool(shown["status"] == "delivered")

    await eventually(delivered)
    shown = (await both.acme.get(f"/v1/messages/{sent['id']}")).json
    same = sent.keys() - {"status", "sent_at", "final_at", "changes", "forced_ucs2", "dry_run", "held_by"}
    assert {name: shown[name] for name in same} == {name: sent[name] for name in same}
    told_all = (await both.acme.get(f"/v1/messages/{sent['id']}/explain")).json
    assert [step["kind"] for step in told_all["history"]] == ["accepted", "answered", "receipt"]
    assert told_all["attempts"][0]["parts"][0]["state"] == "delivered"
    assert told_all["history"][0]["data"]["connector"] == "main"


BAD = [
    ({"to": "12"}, 422, "number_not_e164", "to"),
    ({"to": ""}, 422, "number_empty", "to"),
    ({"to": "+331"}, 422, "number_too_short", "to"),
    ({"to": "+33112345678"}, 422, "number_not_mobile", "to"),
    ({"to": 33612345678}, 422, "invalid_type", "to"),
    ({"to": None}, 422, "invalid_type", "to"),
    ({"text": ""}, 422, "text_empty", "text"),
    ({"text": "x" * 5_000}, 422, "text_too_long", "text"),
    ({"text": "x" * 60_000}, 422, "invalid_value", "text"),
    ({"text": "a\0b"}, 422, "invalid_value", "text"),
    ({"text": None}, 422, "missing_field", "text"),
    ({"from": "Nobody"}, 403, "sender_not_allowed", "from"),
    ({"text": "Привет", "encoding": "gsm7"}, 422, "encoding_impossible", "encoding"),
    ({"encoding": "utf8"}, 422, "invalid_value", "encoding"),
    ({"send_at": "tomorrow"}, 422, "send_at_invalid", "send_at"),
    ({"send_at": "2020-01-01T00:00:00Z"}, 422, "send_at_past", "send_at"),
    ({"send_at": "9999-12-31T23:59:59Z"}, 422, "send_at_too_far", "send_at"),
    ({"send_at": "2027-01-31T09:00:00"}, 422, "send_at_invalid", "send_at"),
    ({"validity_seconds": 1}, 422, "validity_invalid", "validity_seconds"),
    ({"validity_seconds": 0}, 422, "validity_invalid", "validity_seconds"),
    ({"validity_seconds": 10**9}, 422, "validity_invalid", "validity_seconds"),
    ({"callback_url": "http://127.0.0.1/"}, 422, "webhook_url_private", "callback_url"),
    ({"callback_url": "gopher://x"}, 422, "webhook_url_invalid", "callback_url"),
    ({"connector": "nope"}, 422, "connector_unknown", "connector"),
    ({"connector": "lab"}, 422, "connector_unknown", "connector"),
    ({"data": "AAEC"}, 422, "data_invalid", "data"),
    ({"text": None, "data": "%%%"}, 422, "data_invalid", "data"),
    ({"text": None, "data": "AAEC", "udh": "zz"}, 422, "udh_invalid", "udh"),
    ({"udh": "050003010101"}, 422, "data_invalid", "udh"),
    ({"protocol_id": 64}, 403, "content_blocked", "data"),
    ({"tlvs": [{"tag": "0x0424", "hex": "00"}]}, 422, "tlv_invalid", "tlvs[0].tag"),
    ({"tlvs": [{"tag": "99999", "hex": "00"}]}, 422, "tlv_invalid", "tlvs[0].tag"),
    ({"tlvs": [{"tag": "0x1400", "hex": "0"}]}, 422, "invalid_value", "tlvs[0].hex"),
    ({"tags": ["a\0"]}, 422, "invalid_value", "tags[0]"),
    ({"metadata": {"a": {"b": 1}}}, 422, "invalid_type", "metadata.*"),
    ({"purpose": "spam"}, 422, "invalid_value", "purpose"),
    ({"priority": 9}, 422, "invalid_value", "priority"),
    ({"txet": "x"}, 422, "unknown_field", "txet"),
    ({"time_zone": "Europe/Lyons"}, 422, "time_zone_unknown", "time_zone"),
    ({"time_zone": "../../etc/passwd"}, 422, "time_zone_unknown", "time_zone"),
    ({"time_zone": "Europe"}, 422, "time_zone_unknown", "time_zone"),
    ({"quiet_hours": "ignore"}, 422, "invalid_value", "quiet_hours"),
    ({"template": {"name": "none"}}, 422, "text_ambiguous", "template"),
    ({"text": None, "data": "AAEC", "template": {"name": "none"}}, 422, "text_ambiguous", "template"),
    ({"text": None, "udh": "050003010101", "template": {"name": "none"}}, 422, "data_invalid", "udh"),
    ({"text": None, "template": {}}, 422, "missing_field", "template.id"),
    ({"text": None, "template": {"id": "tpl_x", "name": "none"}}, 422, "missing_field", "template.id"),
    ({"text": None, "template": {"id": "tpl_x"}}, 422, "template_unknown", "template.id"),
    ({"text": None, "template": {"name": "none"}}, 422, "template_unknown", "template.name"),
    ({"text": None, "template": {"name": "none", "vars": {}}}, 422, "unknown_field", "template.vars"),
    ({"text": None, "template": {"name": "x", "variables": {"a": [1]}}}, 422, "invalid_type", "template.variables.*"),
]


async def test_bad_input_gets_a_stable_code_with_the_field(world: World, subtests: pytest.Subtests) -> None:
    for change, status, code, param in BAD:
        body = {name: value for name, value in (GOOD | change).items() if value is not None or name == "to"}
        with subtests.test(str(change)[:60]):
            reply = await world.acme.post("/v1/messages", body)
            assert (reply.status, reply.code, reply.param) == (status, code, param), reply.body
    assert await stored(world) == 0


async def test_an_unknown_field_is_told_with_the_one_that_was_meant(world: World) -> None:
    reply = await world.acme.post("/v1/messages", {**GOOD, "sendat": "x"})
    assert reply.json["error"]["action"] == "Did you mean send_at?"


async def test_what_is_no_json_object_is_refused(world: World, subtests: pytest.Subtests) -> None:
    for body in (b"", b"{", b"nul", b'{"to": "\xff"}', b"\xef\xbb\xbf{}", b'{"to": "\\ud800"}', b"\0", b"[]"):
        with subtests.test(repr(body)):
            reply = await world.acme.post("/v1/messages", data=body)
            wanted = (422, "invalid_type") if body == b"[]" else (400, "invalid_json")
            assert (reply.status, reply.code) == wanted


async def test_deeply_nested_json_is_refused(world: World) -> None:
    reply = await world.acme.post("/v1/messages", data=b'{"metadata":' + b"[" * 50_000)
    assert reply.status in (400, 422)
    assert (await world.acme.post("/v1/messages", GOOD)).status == 202


async def test_a_large_body_is_refused(world: World, subtests: pytest.Subtests) -> None:
    body = b" " * 300_000

    async def pieces() -> Any:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    for address in ("/v1/messages", "/v1/keys"):
        for chunked in (False, True):
            with subtests.test(f"{address} {chunked}"):
                reply = await world.acme.post(address, data=pieces() if chunked else body)
                assert (reply.status, reply.code) == (413, "body_too_large")


async def test_a_form_is_not_understood(world: World) -> None:
    for path in ("/v1/messages", "/v1/keys"):
        reply = await world.acme.call("POST", path, headers={"Content-Type": "text/plain"}, data=b"to=1")
        assert reply.code == "unsupported_media_type"


async def test_a_dry_run_writes_nothing(world: World) -> None:
    reply = await world.acme.post("/v1/messages", {**GOOD, "text": "Привет €", "dry_run": True})
    sent = reply.json
    assert (reply.status, sent["id"], sent["dry_run"], sent["encoding"]) == (202, None, True, "ucs2")
    assert sent["forced_ucs2"] == ["П", "р", "и", "в", "е", "т"]
    assert await stored(world) == 0


async def test_smart_encoding_lists_what_it_changed(world: World) -> None:
    sent = (await world.acme.post("/v1/messages", {**GOOD, "text": "“Oui” — déjà…", "smart_encoding": True})).json
    assert sent["encoding"] == "gsm7"
    assert {change["original"] for change in sent["changes"]} >= {"“", "—"}
    assert sent["options"] == {"smart_encoding": True}


async def test_binary_goes_out_as_it_is(world: World) -> None:
    told = {"to": GOOD["to"], "data": "AAEC/w==", "udh": "06050415811581", "tlvs": [{"tag": "0x1400", "hex": "0a0B"}]}
    reply = await world.acme.post("/v1/messages", told)
    assert reply.status == 202, reply.body
    await eventually(lambda: bool(world.links["main"].taken))
    [part] = world.links["main"].taken
    assert (part.payload, part.udh, part.tlvs) == (b"\0\1\2\xff", bytes.fromhex("06050415811581"), ((0x1400, b"\n\v"),))
    shown = (await world.acme.get(f"/v1/messages/{reply.json['id']}")).json
    assert (shown["options"]["data"], shown["options"]["udh"]) == ("AAEC/w==", "06050415811581")
    assert shown["options"]["tlvs"] == [{"tag": "0x1400", "hex": "0a0b"}]


async def test_a_scheduled_message_waits_and_can_be_canceled_once(world: World) -> None:
    sent = (await world.acme.post("/v1/messages", {**GOOD, "send_at": in_days(30, offset_hours=1)})).json
    assert (sent["status"], sent["send_at"][10:]) == ("scheduled", "T08:00:00.000Z")
    canceled = await world.acme.post(f"/v1/messages/{sent['id']}/cancel")
    assert (canceled.status, canceled.json["status"]) == (200, "canceled")
    assert canceled.json["error"]["code"] == "canceled_by_customer"
    again = await world.acme.post(f"/v1/messages/{sent['id']}/cancel")
    assert (again.status, again.code) == (409, "not_cancelable")


async def test_a_test_key_reaches_the_test_connector_only(world: World) -> None:
    reply = await world.client("acme_test").post("/v1/messages", GOOD)
    assert (reply.json["connector"], reply.json["test"]) == ("lab", True)
    await eventually(lambda: bool(world.links["lab"].taken))
    assert world.links["main"].taken == []


async def test_a_test_key_cannot_cancel_a_live_message(world: World) -> None:
    sent = (await world.acme.post("/v1/messages", {**GOOD, "send_at": LATER})).json
    assert (await world.client("acme_test").post(f"/v1/messages/{sent['id']}/cancel")).code == "scope_missing"


# -- many ----------------------------------------------------------------------------------------------------------


async def test_each_item_of_a_batch_is_taken_or_refused_by_itself(world: World) -> None:
    items = [GOOD, {"to": 5, "text": "x"}, {**GOOD, "to": "+33112345678"}, {**GOOD, "typo": 1}, {**GOOD, "text": "b"}]
    reply = await world.acme.post("/v1/messages/batch", {"messages": items})
    told = reply.json
    assert (reply.status, told["accepted"], told["refused"]) == (202, 2, 3)
    assert [item["index"] for item in told["data"]] == [0, 1, 2, 3, 4]
    assert [item.get("error", {}).get("code") for item in told["data"]] == [
        None,
        "invalid_type",
        "number_not_mobile",
        "unknown_field",
        None,
    ]
    assert told["data"][0].keys() == {"index", "id", "status"}
    assert told["data"][1]["error"]["param"] == "to"
    assert await stored(world) == 2


async def test_one_text_goes_to_many(world: World) -> None:
    to = [f"+336{n:08d}" for n in range(12_345_000, 12_345_450)]
    reply = await world.acme.post("/v1/messages/batch", {"to": to, "text": "Bonjour", "tags": ["many"]})
    assert reply.json["accepted"] == 450
    await eventually(lambda: len(world.links["main"].taken) == 450)
    page = (await world.acme.get("/v1/messages?tag=many&limit=500")).json
    assert [message["to"] for message in page["data"]] == to[::-1]
    assert page["has_more"] is False


async def test_a_batch_of_which_nothing_was_taken_is_an_error(world: World) -> None:
    reply = await world.acme.post("/v1/messages/batch", {"to": ["1", "2"], "text": "x"})
    assert (reply.status, reply.json["error"]["code"]) == (422, "number_not_e164")
    assert reply.json["error"]["param"] == "messages[0].to"
    assert [detail["param"] for detail in reply.json["error"]["details"]] == ["messages[0].to", "messages[1].to"]
    assert (reply.json["accepted"], reply.json["refused"], len(reply.json["data"])) == (0, 2, 2)


WRONG_BATCHES: list[tuple[Any, int, str]] = [
    ({"messages": []}, 422, "batch_empty"),
    ({"to": [], "text": "x"}, 422, "batch_empty"),
    ({}, 422, "missing_field"),
    ({"to": ["+33612345678"], "messages": [GOOD]}, 422, "missing_field"),
    ({"messages": [GOOD], "text": "shared"}, 422, "unknown_field"),
    ({"to": ["+33612345678"] * 1_001, "text": "x"}, 413, "batch_too_large"),
    ({"to": "+33612345678", "text": "x"}, 422, "invalid_type"),
    ([GOOD], 422, "invalid_type"),
]


async def test_a_batch_that_is_wrong_as_a_whole_is_refused(world: World, subtests: pytest.Subtests) -> None:
    for body, status, code in WRONG_BATCHES:
        with subtests.test(str(body)[:60]):
            reply = await world.acme.post("/v1/messages/batch", body)
            assert (reply.status, reply.code) == (status, code)
    assert await stored(world) == 0


# -- by template ---------------------------------------------------------------------------------------------------

TEMPLATE: dict[str, Any] = {
    "name": "order-shipped",
    "bodies": {"default": "{{ name }}, {{ order }} left.", "fr": "{{ name }}, {{ order }} est parti."},
    "variables": {"name": {"example": "Ada", "max_length": 20}, "order": {"type": "code", "example": "A-1"}},
    "purpose": "service",
    "registrations": {"IN": {"template_id": "1107160000000012345", "entity_id": "1101234567890123456"}},
}


async def approved(world: World, who: str = "acme", **change: Any) -> str:
    """The id of an approved template."""
    made = (await world.client(who).post("/v1/templates", TEMPLATE | change)).json["id"]
    await world.client(who).post(f"/v1/templates/{made}/submit")
    assert (await world.operator.post(f"/v1/template_reviews/{made}/approve")).status == 200
    return str(made)


async def test_a_template_is_sent_in_the_language_asked_for_and_history_says_which(both: World) -> None:
    world = both
    made = await approved(world)
    use = {"id": made, "locale": "fr-CA", "variables": {"name": "Zoe", "order": "B-2"}}
    reply = await world.acme.post("/v1/messages", {"to": GOOD["to"], "template": use})
    assert reply.status == 202, reply.body
    assert (reply.json["text"], reply.json["purpose"]) == ("Zoe, B-2 est parti.", "service")
    told = (await world.acme.get(f"/v1/messages/{reply.json['id']}/explain")).json
    assert told["history"][0]["data"]["template"] == "order-shipped@1/fr"
    named = {"name": "order-shipped", "variables": {"name": "Zoe", "order": "B-2"}}
    plain = await world.acme.post("/v1/messages", {"to": GOOD["to"], "template": named, "purpose": "marketing"})
    assert (plain.code, plain.param) == ("invalid_value", "purpose")
    lacking = await world.acme.post("/v1/messages", {"to": GOOD["to"], "template": {"id": made}})
    assert (lacking.status, lacking.code, lacking.param) == (
        422,
        "template_variable_missing",
        "template.variables.name",
    )
    stranger = await world.client("rival").post("/v1/messages", {"to": GOOD["to"], "template": use})
    assert (stranger.code, stranger.param) == ("template_unknown", "template.id")
    assert await stored(world) == 1
    await world.acme.post(f"/v1/templates/{made}/retire")
    retired = await world.acme.post("/v1/messages", {"to": GOOD["to"], "template": use})
    assert (retired.status, retired.code) == (403, "template_not_approved")


async def test_india_gets_the_ids_of_the_registration_and_the_caller_s_own_come_first(world: World) -> None:
    made = await approved(world)
    use = {"id": made, "variables": {"name": "Asha", "order": "B-2"}}
    body = {"to": "+919876543210", "from": "33644600001", "template": use}
    first = await world.acme.post("/v1/messages", body)
    assert first.status == 202, first.body
    own = [{"tag": "0x1401", "hex": "3939"}]
    reply = await world.acme.post("/v1/messages", body | {"tlvs": own})
    assert reply.json["options"]["tlvs"] == [
        {"tag": "0x1401", "hex": "3939"},
        {"tag": "0x1400", "hex": b"1101234567890123456".hex()},
    ]
    await eventually(lambda: len(world.links["main"].taken) == 2)
    assert world.links["main"].taken[0].tlvs == ((0x1400, b"1101234567890123456"), (0x1401, b"1107160000000012345"))
    smart = await world.acme.post("/v1/messages", body | {"smart_encoding": True})
    assert (smart.code, smart.param) == ("invalid_value", "smart_encoding"), "the register compares letters"
    bare = await approved(world, name="bare", registrations={})
    refused = await world.acme.post("/v1/messages", body | {"template": use | {"id": bare}})
    assert (refused.status, refused.code, refused.param) == (403, "template_not_registered", "template")


async def test_one_template_goes_to_many_with_values_of_their_own(both: World) -> None:
    await approved(both)
    body = {
        "template": {"name": "order-shipped", "variables": {"order": "A-0"}},
        "to": [
            {"to": "+33612345601", "variables": {"name": "Ann"}, "correlation_id": "c-1"},
            {"to": "+33612345602", "variables": {"name": "Bob", "order": "B-2"}, "locale": "fr"},
            "+33612345603",
            {"to": "12", "variables": {"name": "Eve"}},
        ],
    }
    told = (await both.acme.post("/v1/messages/batch", body)).json
    assert (told["accepted"], told["refused"]) == (2, 2), told
    assert [(one.get("error") or {}).get("param") for one in told["data"]] == [
        None,
        None,
        "template.variables.name",
        "to",
    ]
    shown = [(await both.acme.get(f"/v1/messages/{one['id']}")).json for one in told["data"][:2]]
    assert [(one["text"], one["correlation_id"]) for one in shown] == [
        ("Ann, A-0 left.", "c-1"),
        ("Bob, B-2 est parti.", None),
    ]


async def test_values_without_a_template_are_refused(world: World) -> None:
    told = await world.acme.post(
        "/v1/messages/batch", {"text": "x", "to": [{"to": GOOD["to"], "variables": {"name": "Ann"}}]}
    )
    assert (told.code, told.param) == ("missing_field", "messages[0].template")
    plain = await world.acme.post("/v1/messages/batch", {"text": "x", "to": [{"to": GOOD["to"]}]})
    assert plain.json["accepted"] == 1
    wrong = await world.acme.post("/v1/messages/batch", {"text": "x", "to": [{"to": GOOD["to"], "name": "Ann"}]})
    assert (wrong.status, wrong.code, wrong.param) == (422, "unknown_field", "to[0].name")


async def test_marketing_says_how_to_stop(world: World) -> None:
    settings = accounts.AccountSettings(consent="elsewhere")
    await accounts.update_account(world.rt, "test", world.account_ids["acme"], settings=settings)
    body = {**GOOD, "text": "Soldes -30%", "purpose": "marketing"}
    refused = await world.acme.post("/v1/messages", body)
    assert (refused.status, refused.code, refused.param) == (403, "wording_missing", "text")
    assert "STOP to 36111" in refused.json["error"]["message"]
    made = await approved(world, bodies={"default": "{{ name }}{{ order }}: -30%"}, purpose="marketing")
    use = {"id": made, "variables": {"name": "Zoe", "order": "1"}}
    assert (await world.acme.post("/v1/messages", {"to": GOOD["to"], "template": use})).code == "wording_missing"
    assert (await world.acme.post("/v1/messages", body | {"text": "Soldes -30% STOP au 36111"})).status == 202
    assert (await world.acme.post("/v1/messages", body | {"purpose": "service"})).status == 202
    assert await stored(world) == 2


async def test_where_a_recipient_lives_is_kept_with_the_message(world: World) -> None:
    reply = await world.acme.post("/v1/messages", {**GOOD, "time_zone": "Indian/Reunion", "quiet_hours": "refuse"})
    assert reply.status == 202, reply.body
    assert reply.json["options"] == {"time_zone": "Indian/Reunion"}
    assert (await world.acme.get(f"/v1/messages/{reply.json['id']}")).json["options"] == reply.json["options"]


# -- again ---------------------------------------------------------------------------------------------------------


def replayed(reply: Reply) -> bool:
    return reply.headers.get("idempotent-replay") == "true"


async def test_a_repeated_call_gets_the_same_answer_and_sends_nothing(both: World) -> None:
    key = {"Idempotency-Key": "order 17"}
    body = {**GOOD, "text": "Déjà “vu”", "smart_encoding": True, "send_at": LATER}
    first = await both.acme.post("/v1/messages", body, headers=key)
    again = await both.acme.post("/v1/messages", body, headers=key)
    assert (first.status, again.status) == (202, 202)
    assert not replayed(first)
    assert replayed(again)
    assert again.json == first.json
    assert await stored(both) == 1


async def test_a_repeated_call_is_told_what_it_was_told_also_after_delivery(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    first = await world.acme.post("/v1/messages", GOOD, headers=key)

    async def delivered() -> bool:
        return bool((await world.acme.get(f"/v1/messages/{first.json['id']}")).json["status"] == "delivered")

    await eventually(delivered)
    again = await world.acme.post("/v1/messages", GOOD, headers=key)
    assert again.json == first.json


async def test_a_refusal_is_repeated_too(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    replies = [await world.acme.post("/v1/messages", {**GOOD, "from": "Nobody"}, headers=key) for _ in range(2)]
    assert [reply.code for reply in replies] == ["sender_not_allowed"] * 2
    assert [replayed(reply) for reply in replies] == [False, True]


async def test_a_repeated_batch_gets_the_same_answer(both: World) -> None:
    key = {"Idempotency-Key": "k"}
    body = {"messages": [GOOD, {"to": "1", "text": "x"}, {**GOOD, "send_at": LATER}, {"to": 1}]}
    first = await both.acme.post("/v1/messages/batch", body, headers=key)
    again = await both.acme.post("/v1/messages/batch", body, headers=key)
    assert again.json == first.json
    assert [item.get("status") for item in first.json["data"]] == ["queued", None, "scheduled", None]
    assert replayed(again)
    assert await stored(both) == 2


@pytest.mark.parametrize(
    "other",
    [
        lambda world, key: world.acme.post("/v1/messages", {**GOOD, "text": "other"}, headers=key),
        lambda world, key: world.acme.post("/v1/messages/batch", {"messages": [GOOD]}, headers=key),
        lambda world, key: world.client("acme_test").post("/v1/messages", GOOD, headers=key),
    ],
    ids=["text", "address", "mode"],
)
async def test_a_key_cannot_be_used_for_something_else(world: World, other: Callable[..., Any]) -> None:
    key = {"Idempotency-Key": "k"}
    assert (await world.acme.post("/v1/messages", GOOD, headers=key)).status == 202
    reply = await other(world, key)
    assert (reply.status, reply.code) == (422, "idempotency_key_reused")
    assert await stored(world) == 1


async def test_keys_of_two_accounts_are_two_keys(world: World) -> None:
    key = {"Idempotency-Key": "k"}
    replies = [await world.client(name).post("/v1/messages", GOOD, headers=key) for name in ("acme", "rival")]
    assert [reply.status for reply in replies] == [202, 202]
    assert not replayed(replies[1])


async def test_a_hasty_repetition_is_told_to_wait_or_gets_the_answer(both: World) -> None:
    key = {"Idempotency-Key": "k"}
    replies = await asyncio.gather(*(both.acme.post("/v1/messages", GOOD, headers=key) for _ in range(20)))
    statuses = {reply.status for reply in replies}
    assert statuses <= {202, 409}
    assert len({reply.json["id"] for reply in replies if reply.status == 202}) == 1
    for reply in replies:
        if reply.status == 409:
            assert (reply.code, reply.headers["retry-after"]) == ("idempotency_in_progress", "1")
    assert await stored(both) == 1


async def test_a_key_that_cannot_be_written_is_refused(world: World) -> None:
    for address in ("/v1/messages", "/v1/keys"):
        for key in ("", "x" * 256, "é", "a\tb"):
            reply = await world.acme.post(address, {**GOOD, "name": "k"}, headers={"Idempotency-Key": key})
            assert (reply.status, reply.code) == (422, "idempotency_key_invalid")


# -- how fast ------------------------------------------------------------------------------------------------------


async def test_an_account_sends_no_faster_than_it_may(world: World) -> None:
    settings = accounts.AccountSettings(rate_per_s=2)
    await accounts.update_account(world.rt, "test", world.account_ids["acme"], settings=settings)
    replies = [await world.acme.post("/v1/messages", GOOD | {"text": f"{n}"}) for n in range(4)]
    assert [reply.status for reply in replies[:3]] == [202, 202, 429]
    assert (replies[2].code, replies[2].headers["retry-after"]) == ("rate_limited", "1")
    assert (await world.client("rival").post("/v1/messages", GOOD)).status == 202


async def test_a_batch_is_paid_for_afterwards(world: World) -> None:
    settings = accounts.AccountSettings(rate_per_s=10)
    await accounts.update_account(world.rt, "test", world.account_ids["acme"], settings=settings)
    batch = {"to": [f"+336{n:08d}" for n in range(12_345_000, 12_345_100)], "text": "x"}
    assert (await world.acme.post("/v1/messages/batch", batch)).status == 202
    reply = await world.acme.post("/v1/messages", GOOD)
    assert (reply.code, reply.headers["retry-after"]) == ("rate_limited", "10")


async def test_a_character_that_no_store_keeps_spoils_one_item_only(both: World) -> None:
    items = [GOOD, {**GOOD, "correlation_id": "a\0"}, {**GOOD, "text": "\\u0000 spelt out"}]
    told = (await both.acme.post("/v1/messages/batch", {"messages": items})).json
    assert [item.get("error", {}).get("param") for item in told["data"]] == [None, "correlation_id", None]
