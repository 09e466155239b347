"""What is heard and what is answered, over the API."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import World, both, world

__all__ = ["both", "world"]


async def test_the_words_are_listed_with_their_sources(world: World) -> None:
    found = (await world.acme.get("/v1/opt_out_keywords?kind=stop&language=fr")).json["data"]
    words = {one["keyword"] for one in found}
    assert {"STOP", "ARRET"} <= words and "BAJA" not in words
    assert all(one["source"] and one["confidence"] and one["kind"] == "stop" for one in found)
    everywhere = (await world.acme.get("/v1/opt_out_keywords?country=DE")).json["data"]
    assert "UIT" not in {one["keyword"] for one in everywhere}


async def test_what_would_be_heard_can_be_tried(world: World) -> None:
    async def heard(**body: str) -> tuple[Any, ...]:
        reply = await world.acme.post("/v1/opt_out_keywords/check", body)
        assert reply.status == 200, reply.body
        return tuple(reply.json[name] for name in ("heard", "how", "language", "weak"))

    assert await heard(text="stop svp !", country="FR") == ("stop", "keyword", "fr", False)
    assert await heard(text="TSOP") == ("stop", "typo", None, False)
    assert await heard(text="Bitte löschen Sie meine Nummer") == ("review", "sentence", "de", False)
    assert await heard(text="oui") == ("start", "keyword", "fr", True)
    assert await heard(text="Bonjour") == (None, None, None, False)
    assert await heard(text="") == (None, None, None, False)
    made = await world.acme.post("/v1/rule_adjustments", {"kind": "keyword", "value": "Assez !", "country": "FR"})
    assert made.status == 201, made.body
    assert await heard(text="assez", country="FR") == ("stop", "own", None, False)
    assert (await heard(text="assez", country="DE"))[0] is None
    own = (await world.acme.get("/v1/opt_out_keywords?country=FR")).json["data"][0]
    assert (own["keyword"], own["own"]) == ("Assez !", True)
    rival = await world.client("rival").post("/v1/opt_out_keywords/check", {"text": "assez", "country": "FR"})
    assert rival.json["heard"] is None
    long = await world.acme.post("/v1/opt_out_keywords/check", {"text": "a" * 10_001})
    assert (long.status, long.param) == (422, "text")


async def test_an_account_answers_in_its_own_words(both: World) -> None:
    world = both
    usual = (await world.acme.post("/v1/opt_out_replies/preview", {"kind": "stop", "country": "FR"})).json
    assert usual["language"] == "fr" and usual["segments"] == 1 and "START" in usual["text"]
    made = await world.acme.post(
        "/v1/opt_out_replies", {"kind": "stop", "language": "fr", "text": "{brand} : c'est fini. {help}"}
    )
    assert made.status == 201, made.body
    number = made.json["id"]
    for kind, text in (("name", "Chez Acme"), ("contact", "aide@acme.example")):
        assert (await world.acme.post("/v1/opt_out_replies", {"kind": kind, "text": text})).status == 201
    mine = (await world.acme.post("/v1/opt_out_replies/preview", {"kind": "stop", "country": "FR"})).json
    assert mine["text"] == "Chez Acme : c'est fini. aide@acme.example"
    other = (await world.acme.post("/v1/opt_out_replies/preview", {"kind": "help", "country": "US"})).json
    assert other["text"].startswith("Chez Acme: ") and "aide@acme.example" in other["text"]
    changed = await world.acme.patch(f"/v1/opt_out_replies/{number}", {"text": "{brand} : fini."})
    assert (changed.status, changed.json["text"]) == (200, "{brand} : fini.")
    again = await world.acme.post("/v1/opt_out_replies", {"kind": "stop", "language": "fr", "text": "x"})
    assert (again.status, again.code) == (409, "conflict")
    for reply in (
        await world.client("rival").get(f"/v1/opt_out_replies/{number}"),
        await world.client("rival").patch(f"/v1/opt_out_replies/{number}", {"text": "x"}),
        await world.client("rival").delete(f"/v1/opt_out_replies/{number}"),
    ):
        assert (reply.status, reply.code) == (404, "not_found")
    assert (await world.client("rival").get("/v1/opt_out_replies")).json["data"] == []
    assert len((await world.acme.get("/v1/opt_out_replies?limit=2")).json["data"]) == 2
    assert (await world.acme.get(f"/v1/opt_out_replies/{number}")).json == changed.json
    assert (await world.acme.delete(f"/v1/opt_out_replies/{number}")).status == 204
    assert (await world.acme.get(f"/v1/opt_out_replies/{number}")).status == 404
    audit = (await world.acme.get("/v1/audit")).json["data"]
    assert [one["action"] for one in audit if one["object"] == number] == ["delete", "update", "create"]


async def test_replies_that_make_no_sense_are_refused(world: World) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"kind": "stop", "text": "{brand} {code}"}, "text"),
        ({"kind": "stop", "text": "x" * 307}, "text"),
        ({"kind": "stop", "text": ""}, "text"),
        ({"kind": "stop", "text": "x", "language": "french"}, "language"),
        ({"kind": "name", "text": "x", "language": "fr"}, "language"),
        ({"kind": "name", "text": "x" * 61}, "text"),
        ({"kind": "goodbye", "text": "x"}, "kind"),
    ]
    for body, param in cases:
        reply = await world.acme.post("/v1/opt_out_replies", body)
        assert (reply.status, reply.code, reply.param) == (422, "invalid_value", param), (body, reply.body)
    test = await world.client("acme_test").post("/v1/opt_out_replies", {"kind": "stop", "text": "x"})
    assert (test.status, test.code) == (403, "scope_missing")
    assert (await world.acme.get("/v1/opt_out_replies")).json["data"] == []
