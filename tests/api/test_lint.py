"""Lint by the API: by the senders, rules, domains and prices of whoever asks."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import World
from tests.api.test_templates import NEW

BODY: dict[str, Any] = {name: value for name, value in NEW.items() if name != "name"}


async def lint(world: World, body: dict[str, Any], who: str = "acme") -> dict[str, Any]:
    reply = await world.client(who).post("/v1/lint", body)
    assert reply.status == 200, reply.body
    told: dict[str, Any] = reply.json
    return told


def codes(told: dict[str, Any], *severities: str) -> list[str]:
    return [one["code"] for one in told["findings"] if one["severity"] in (severities or ("error", "warning"))]


async def test_a_template_is_checked_before_it_is_written_and_after(world: World) -> None:
    clean = await lint(world, BODY)
    assert (clean["errors"], clean["warnings"]) == (0, 0), clean
    assert codes(clean, "info").count("segments") == 2 and "price" in codes(clean, "info")
    wrong = await lint(world, BODY | {"bodies": {"default": "It’s {{ name }"}, "sender": "Stranger", "locales": ["de"]})
    assert [(one["code"], one["line"], one["column"]) for one in wrong["findings"]] == [
        ("sender_not_allowed", None, None),
        ("locale_missing", None, None),
        ("template_invalid", 1, 6),
    ]
    assert wrong["errors"] == 2
    made = (await world.acme.post("/v1/templates", NEW)).json
    assert await lint(world, {"id": made["id"]}) == clean
    stranger = await world.client("rival").post("/v1/lint", {"id": made["id"]})
    assert (stranger.status, stranger.code) == (404, "not_found")


async def test_a_plain_text_is_checked_as_it_stands(world: World) -> None:
    told = await lint(
        world, {"text": "Soldes : https://bit.ly/x", "purpose": "marketing", "sender": "Acme", "countries": ["FR"]}
    )
    assert sorted(codes(told, "error")) == ["link_shortener", "opt_out_missing", "opt_out_missing"], "law and charter"
    assert "STOP to 36111" in next(one["suggestion"] for one in told["findings"] if one["code"] == "opt_out_missing")
    link = {"text": "Soldes {opt_out_link}", "purpose": "marketing", "sender": "Acme", "countries": ["FR"]}
    assert codes(await lint(world, link), "error") == ["opt_out_link_unavailable"], "there is no public_url"


async def test_the_account_s_own_rules_and_domains_count_and_nobody_else_s(world: World) -> None:
    word = {"kind": "word", "value": "casino", "country": "FR"}
    assert (await world.acme.post("/v1/rule_adjustments", word)).status == 201
    body = {"text": "Le casino vous attend", "countries": ["FR"], "sender": "Acme"}
    assert codes(await lint(world, body)) == ["word_forbidden"]
    assert "word_forbidden" not in codes(await lint(world, body, "rival"))


async def test_what_makes_no_sense_names_the_field(world: World) -> None:
    for body, code, param in (
        ({}, "missing_field", "bodies"),
        ({"text": "x", "bodies": {"default": "x"}}, "text_ambiguous", "text"),
        ({"bodies": {"default": ""}}, "invalid_value", "bodies.default"),
        ({"text": "x", "countries": ["France"]}, "invalid_value", "countries[0]"),
        ({"id": "tpl_nothing"}, "not_found", "id"),
        ({"txt": "x"}, "unknown_field", "txt"),
    ):
        reply = await world.acme.post("/v1/lint", body)
        assert (reply.code, reply.param) == (code, param), reply.body
    assert (await world.client(None).post("/v1/lint", {"text": "x"})).status == 401
    reader = await world.key(("messages:read",))
    assert (await reader.post("/v1/lint", {"text": "x"})).code == "scope_missing"
