"""Wording: what a text must say by the law of its country, and whether it says so."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe import accounts, law
from chappe.messages import wording
from chappe.messages.model import REPLY, Refusal, Submission
from chappe.messages.wording import Demands, Way, demands, missing, refusal, ways_out
from chappe.templates import OPT_OUT_LINK
from tests.messages.conftest import World, world

__all__ = ["world"]

NOW = 1_800_000_000_000  # 2027-01-15
HOUR = NOW // wording.HOUR_MS


def lacking(text: str, country: str, **more: Any) -> list[str]:
    """The codes of what is surely missing in a marketing text."""
    return [one.code for one in missing(text, demands(country, "marketing", HOUR, **more)) if one.sure]


TOLD = [
    ("STOP au 36111", "number"),
    ("STOP36180", "number"),
    ("stop sms au 36 111", "number"),
    ("Stop: 36111", "number"),
    ("Sale! STOP*456*9*5#", "number"),
    ("Rabatt! Abmelden mit STOP an 72727", "number"),
    ("Скидки. СТОП на 1234", "number"),
    ("Giảm giá. Từ chối: soạn TC gửi 18001098", "number"),
    ("خصم. أرسل توقف إلى 6001", "number"),
    ("İndirim! RET yaz 4607", "number"),
    ("Rebajas. Envía BAJA al 5555", "number"),
    (f"Soldes {OPT_OUT_LINK}", "link"),
    ("Désabonnement : https://shop.example/x", "link"),
    ("STOP: shop.example/stop", "link"),
    ("https://m.example.com/o/abc", "link"),
    ("Soldes. STOP", "word"),
    ("Reply STOP to end", "word"),
    ("reply stop if you have enough", "word"),
    ("Répondez stop", "word"),
    ("Antworten Sie mit Stopp", "word"),
    ("You may unsubscribe at any time", "word"),
    ("Чтобы отписаться, позвоните нам", "word"),
    ("回复TD退订", "word"),
]


@pytest.mark.parametrize(("text", "kind"), TOLD)
def test_a_way_to_refuse_is_found_in_many_languages(text: str, kind: str) -> None:
    assert kind in {way.kind for way in ways_out(text, page="https://m.example.com/o/")}


@pytest.mark.parametrize(
    "text",
    [
        "Stop paying too much!",
        "BIG SALE MUST END SOON",
        "Order no 12345 is here",
        "Don't stop now, prices from 99",
        "Cancel any time. From 10 EUR",
        "See https://m.example.com/offers",
        "",
    ],
)
def test_ordinary_words_are_no_way_to_refuse(text: str) -> None:
    assert list(ways_out(text, page="https://m.example.com/o/")) == []


def test_more_keywords_of_an_account_count() -> None:
    assert list(ways_out("Écrivez FINI au 36111")) == []
    assert list(ways_out("Écrivez FINI au 36111", ("fini",))) == [Way("number", 21)]


@given(st.text(max_size=300))
def test_no_text_breaks_it_and_the_link_is_always_seen(text: str) -> None:
    list(ways_out(text))
    assert "link" in {way.kind for way in ways_out(text + OPT_OUT_LINK)}
    for country in ("FR", "VN", "CZ", "KE", "CN"):
        missing(text, demands(country, "marketing", HOUR))


def test_countries_ask_for_it_at_their_place_and_in_their_form() -> None:
    assert lacking("Soldes -30%", "FR") == ["opt_out_missing", "opt_out_missing"]
    assert lacking("Soldes -30%. STOP", "FR") == ["opt_out_missing"], "the charter asks for a number or a link"
    assert lacking("Soldes -30% STOP au 36111", "FR") == []
    assert lacking("[QC] Giam gia. Tu choi: soan TC gui 18001098", "VN") == []
    assert lacking("Giam gia [QC]. Tu choi: soan TC gui 18001098", "VN") == ["wording_missing"], "not at the start"
    early = "[QC] Tu choi: soan TC gui 18001098. " + "Giam gia lon. " * 8
    assert lacking(early, "VN") == ["opt_out_missing"], "not at the end"
    assert lacking("Sleva. STOP na 90111", "CZ") == ["wording_missing"]
    for mark in ("OS: ", "Obchodni sdeleni: ", "OBCHODNÍ SDĚLENÍ: "):
        assert lacking(f"{mark}Sleva. STOP na 90111", "CZ") == [], mark
    assert lacking("Half price", "SE") == [], "no rule is known"


def test_what_is_not_sure_or_not_in_force_never_counts_as_sure() -> None:
    told = missing("Hello", demands("CN", "service", HOUR))
    assert [(one.code, one.sure) for one in told] == [("wording_missing", False)]
    assert missing("Giam gia", demands("VN", "marketing", 1_500_000_000_000 // wording.HOUR_MS)) == (), "2017"
    assert missing("Half price", demands("FR", "transactional", HOUR)) == ()


def test_from_a_number_the_name_is_asked_for_where_it_is_known() -> None:
    text = "Soldes -30% STOP au 36111"
    assert lacking(text, "FR", shape="alphanumeric", brand="Acme") == []
    assert lacking(text, "FR", shape="short_code", brand="Acme") == ["sender_name_missing"]
    assert lacking(f"ACMÉ: {text}", "FR", shape="short_code", brand="Acme") == []
    assert lacking(text, "FR", shape="short_code") == []


def test_a_text_of_lately_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Demands(demands("FR", "marketing", HOUR).all)
    first = missing("Soldes, soldes", asked)
    monkeypatch.setattr(wording, "ways_out", None)
    assert missing("Soldes, soldes", asked) is first


# -- while messages are taken --------------------------------------------------------------------------------------


def asked(world: World, text: str | None, **more: Any) -> Refusal | None:
    fields: dict[str, Any] = {"account_id": world.account_id, "to": "+33612345678", "purpose": "marketing"} | more
    submission = Submission(text=text, **fields)
    return refusal(world.pipeline, submission, "FR", text, NOW, sender="Acme")


async def test_marketing_that_surely_lacks_wording_is_refused_with_the_rule_and_what_to_add(world: World) -> None:
    refused = asked(world, "Soldes -30%")
    assert refused is not None
    assert (refused.code, refused.param) == ("wording_missing", "text")
    assert refused.message.startswith("FR: The text says how to refuse further messages. (Directive 2002/58/EC")
    assert "STOP to 36111" in refused.message and "[FR.wording.opt_out.marketing.law]" in refused.message
    assert asked(world, "Soldes -30% STOP au 36111") is None
    assert asked(world, f"Soldes -30% {OPT_OUT_LINK}") is None
    for purpose in ("otp", "transactional", "service"):
        assert asked(world, "Soldes -30%", purpose=purpose) is None
    assert asked(world, None) is None, "binary"
    assert asked(world, "You will get no more.", origin=REPLY) is None


@pytest.mark.parametrize("mode", ["warn", "off"])
async def test_an_account_may_be_told_only(world: World, mode: Any) -> None:
    settings = accounts.AccountSettings(wording=mode)
    await accounts.update_account(world.rt, "test", world.account_id, settings=settings)
    assert asked(world, "Soldes -30%") is None
    submission = world.submission(text="Soldes -30%", purpose="marketing")
    told = wording.missing_in(world.pipeline, submission, "FR", submission.text, NOW, sender="Acme")
    assert [one.sure for one in told] == [True, True], "history can still say so"


async def test_words_that_account_or_operator_forbid_are_refused_whatever_the_purpose(world: World) -> None:
    await law.create_adjustment(world.rt, "test", world.account_id, kind="word", value="Casino", country="FR")
    refused = asked(world, "Le CASINO vous attend", purpose="service")
    assert refused is not None
    assert (refused.code, refused.param) == ("word_forbidden", "text")
    assert "“CASINO” is not let through" in refused.message
    assert asked(world, "Les casinos", purpose="service") is None, "another word"
    other = await accounts.create_account(world.rt, "test", slug="other", name="Other")
    assert asked(world, "Le CASINO vous attend", purpose="service", account_id=other.id) is None


async def test_a_rule_that_the_operator_waives_is_not_asked(world: World) -> None:
    for rule in ("FR.wording.opt_out.marketing.law", "FR.wording.stop_short_code.marketing.operators"):
        assert asked(world, "Soldes -30%") is not None
        await law.create_adjustment(
            world.rt, "test", world.account_id, kind="waiver", value=rule, reason="by contract", by_operator=True
        )
    assert asked(world, "Soldes -30%") is None


def test_suggestions_name_what_to_write() -> None:
    [told] = missing("Sleva. STOP na 90111", demands("CZ", "marketing", HOUR))
    assert re.search(r"Write “OS:” or “obchodní sdělení”", told.suggestion)
    [first, *_] = missing("x", demands("VN", "marketing", HOUR))
    assert first.suggestion == "Write “[QC]” or “[AD]” at the start."
