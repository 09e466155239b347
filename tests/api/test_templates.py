"""Templates by the API: written, versioned, reviewed, previewed, checked."""

from __future__ import annotations

from typing import Any

from chappe import ids
from tests.api.conftest import World

NEW: dict[str, Any] = {
    "name": "order-shipped",
    "bodies": {
        "default": "Hi {{ name }}, order {{ order }} is on its way.",
        "fr": "{{ name }}, {{ order }} est parti.",
    },
    "variables": {"name": {"example": "Ada", "max_length": 20}, "order": {"type": "code", "example": "A-1"}},
    "sender": "Acme",
    "countries": ["FR"],
    "registrations": {"IN": {"template_id": "1107160000000012345"}},
}


async def test_a_template_is_written_reviewed_and_replaced_while_the_approved_one_stays_in_use(both: World) -> None:
    world = both
    made = await world.acme.post("/v1/templates", NEW)
    assert (made.status, made.json["version"], made.json["status"]) == (201, 1, "draft"), made.body
    assert made.json["registrations"] == NEW["registrations"]
    path = f"/v1/templates/{made.json['id']}"
    review = f"/v1/template_reviews/{made.json['id']}"
    mended = await world.acme.patch(path, {"bodies": NEW["bodies"] | {"de": "{{ name }}: {{ order }}"}})
    assert (mended.json["version"], sorted(mended.json["bodies"])) == (1, ["de", "default", "fr"])

    assert (await world.acme.post(f"{review}/approve")).code == "scope_missing"
    assert (await world.operator.post(f"{review}/approve")).code == "template_state"
    assert (await world.acme.post(f"{path}/submit")).json["status"] == "review"
    assert (await world.acme.patch(path, {"sender": None})).code == "template_state"
    queue = (await world.operator.get("/v1/template_reviews")).json["data"]
    assert [one["id"] for one in queue] == [made.json["id"]]
    reason = "It does not say who writes."
    rejected = await world.operator.post(f"{review}/reject", {"reason": reason})
    assert (rejected.json["status"], rejected.json["reason"]) == ("rejected", reason)
    assert (await world.acme.patch(path, {"brand": "Acme"})).json["status"] == "draft"
    await world.acme.post(f"{path}/submit")
    live = (await world.operator.post(f"{review}/approve")).json
    assert (live["status"], live["live_version"], live["decided_by"][:4]) == ("approved", 1, "key_")

    second = (await world.acme.patch(path, {"bodies": {"default": "{{ order }} left, {{ name }}."}})).json
    assert (second["version"], second["status"], second["live_version"]) == (2, "draft", 1)
    used = await world.acme.post(f"{path}/preview", {"version": "live", "locale": "fr-CA"})
    assert (used.json["text"], used.json["locale"]) == ("Ada, A-1 est parti.", "fr")
    await world.acme.post(f"{path}/submit")
    assert (await world.operator.post(f"{review}/approve")).json["live_version"] == 2
    history = (await world.acme.get(f"{path}/versions")).json["data"]
    assert [(one["version"], one["status"]) for one in history] == [(2, "approved"), (1, "retired")]

    assert (await world.acme.delete(path)).code == "in_use"
    retired = (await world.acme.post(f"{path}/retire")).json
    assert (retired["status"], retired["live_version"]) == ("retired", None)
    assert (await world.acme.post(f"{path}/preview", {"version": "live"})).code == "template_state"
    assert (await world.acme.delete(path)).status == 204
    assert (await world.acme.get(path)).status == 404
    audit = (await world.acme.get("/v1/audit?limit=100")).json["data"]
    actions = [one["action"] for one in audit if one["kind"] == "template_version"]
    assert actions[::-1].count("approve") == 2 and "reject" in actions and "retire" in actions


async def test_a_template_belongs_to_its_account(world: World) -> None:
    made = (await world.acme.post("/v1/templates", NEW)).json
    path = f"/v1/templates/{made['id']}"
    for method, where, body in (
        ("GET", path, None),
        ("PATCH", path, {"sender": None}),
        ("DELETE", path, None),
        ("GET", f"{path}/versions", None),
        ("POST", f"{path}/preview", {}),
        ("POST", f"{path}/submit", None),
        ("POST", "/v1/lint", {"id": made["id"]}),
    ):
        assert (await world.client("rival").call(method, where, body)).code == "not_found", where
    assert (await world.client("rival").get("/v1/templates")).json["data"] == []
    assert (await world.client("rival").post("/v1/templates", NEW)).status == 201
    assert (await world.acme.post("/v1/templates", NEW)).code == "duplicate_name"
    whose = "?account_id=" + ids.public("acc", world.account_ids["acme"])
    assert len((await world.operator.get("/v1/templates" + whose)).json["data"]) == 1
    reader = await world.key(("messages:read",))
    assert (await reader.get("/v1/templates")).code == "scope_missing"
    assert (await world.client("acme_test").post("/v1/templates", NEW | {"name": "x"})).code == "scope_missing"


async def test_what_cannot_be_rendered_is_not_stored(world: World) -> None:
    doubling = "{% assign a = 'xxxxxxxx' %}" + "{% assign a = a | append: a %}" * 20
    for change, code, param, words in (
        ({"bodies": {"default": "a\n{{ nmae }}"}}, "template_invalid", "bodies.default", "Line 2, column 4"),
        ({"bodies": {"default": "{% for x in y %}{% endfor %}"}}, "template_invalid", "bodies.default", "no tag for"),
        ({"bodies": {"French": "x"}}, "template_invalid", "bodies.French", "no locale"),
        ({"variables": {"Name": {"example": "x"}}}, "template_invalid", "variables.Name", "no name"),
        (
            {"variables": NEW["variables"] | {"name": {"example": "x" * 41}}},
            "template_value",
            "variables.name.example",
            "may count 40",
        ),
        ({"bodies": {"default": doubling}}, "template_too_long", "bodies.default", "longer than"),
        ({"variables": {"name": {"type": "blob", "example": "x"}}}, "invalid_value", "variables.*.type", "blob"),
        ({"bodies": {}}, "invalid_value", "bodies", "length"),
    ):
        reply = await world.acme.post("/v1/templates", NEW | change)
        assert (reply.status, reply.code, reply.param) == (422, code, param), reply.body
        assert words in reply.json["error"]["message"]
    assert (await world.acme.get("/v1/templates")).json["data"] == []
    both_wrong = await world.acme.post("/v1/templates", NEW | {"bodies": {"default": "{{ a }}", "fr": "{{ b }}"}})
    assert [one["param"] for one in both_wrong.json["error"]["details"]] == ["bodies.default", "bodies.fr"]


async def test_a_preview_says_text_encoding_and_the_most_segments(world: World) -> None:
    made = (await world.acme.post("/v1/templates", NEW)).json
    path = f"/v1/templates/{made['id']}/preview"
    shown = (await world.acme.post(path, {"variables": {"name": "Zoê", "order": "B-2"}, "locale": "fr"})).json
    assert shown == {
        "text": "Zoê, B-2 est parti.",
        "locale": "fr",
        "encoding": "ucs2",
        "segments": 1,
        "characters": 19,
        "most_segments": 1,
    }
    for variables, param in (
        ({"name": "Zoe"}, "variables.order"),
        ({"name": "x" * 21, "order": "1"}, "variables.name"),
        ({"name": "x", "order": "1", "more": "1"}, "variables.more"),
    ):
        reply = await world.acme.post(path, {"variables": variables})
        assert (reply.status, reply.code, reply.param) == (422, "template_value", param)
