"""What was heard takes effect in one unit, whoever else hears the same; replies fit one segment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chappe import consent
from chappe.clock import FakeClock
from chappe.consent import Heard, Heeded, Lately, Question, keywords, replies
from chappe.consent.heeding import REPEATED_S
from chappe.consent.replies.texts import defaults
from chappe.events import OptOutCreated
from chappe.messages import open_rooms
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.storage import Row, sql
from chappe.text import encode

ALICE = "+33612345678"
ACCOUNT = 7


@pytest.fixture
async def rt(store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    settings = Settings(database=store_url, data_dir=tmp_path, secret_key="x" * 32)
    rt = await open_runtime(settings, clock=FakeClock())
    await open_rooms(rt)
    yield rt
    await rt.close()


def heard(rt: Runtime, text: str = "STOP", **more: object) -> Heard:
    told: dict[str, object] = {"sender": "36111", "brand": "", "country": "FR", "person": ALICE, **more}
    meaning = keywords.hear(text, country=str(told["country"]))
    assert meaning is not None
    return Heard(ACCOUNT, False, text=text, inbound_id=rt.ids.next(), meaning=meaning, **told)  # type: ignore[arg-type]


async def write(rt: Runtime, heeded: Heeded) -> None:
    await rt.events.write(*heeded.ops, tell=heeded.events, wake=(consent.TOPIC,))
    consent.announce(rt, heeded.stopped)
    heeded.committed()


async def say(rt: Runtime, *said: Heard, lately: Lately | None = None) -> Heeded:
    heeded = await consent.heed(rt, said, lately or Lately(rt))
    await write(rt, heeded)
    return heeded


async def refused(rt: Runtime, purpose: str = "marketing", sender: str = "36111", brand: str = "") -> bool:
    people = consent.persons(rt)
    keys = people.key(ACCOUNT, False, ALICE), people.key(consent.EVERYONES, False, ALICE)
    now = rt.clock.now()
    question = Question(*keys, "sms", purpose, sender, brand, "FR", now, needs_consent=False)
    [answer] = await consent.may_send(rt, [question])
    return answer is not None


async def rows(rt: Runtime, query: str) -> list[Row]:
    return await rt.store.read(sql(query)())


async def test_nothing_heard_is_nothing_written(rt: Runtime) -> None:
    heeded = await consent.heed(rt, [], Lately(rt))
    assert (heeded.ops, heeded.kinds, heeded.replies) == ([], [], False)


async def test_a_refusal_tells_whom_it_concerns(rt: Runtime) -> None:
    heeded = await say(rt, heard(rt, brand="Shoes"))
    told = {(event.scope, event.value, event.covers) for event in heeded.events}
    assert told == {("sender", "36111", "all_but_otp"), ("account", "", "marketing"), ("brand", "Shoes", "marketing")}
    assert all(isinstance(event, OptOutCreated) and event.source == "keyword" for event in heeded.events)
    key = consent.persons(rt).key(ACCOUNT, False, ALICE)
    assert set(heeded.stopped) == {key} and heeded.kinds == ["stop"] and heeded.replies


async def test_where_the_law_says_so_one_refusal_ends_everything_but_passwords(rt: Runtime) -> None:
    await say(rt, heard(rt, revoke_all=False))
    assert not await refused(rt, "transactional", "36222")
    await say(rt, heard(rt, revoke_all=True))
    assert await refused(rt, "transactional", "36222")
    assert not await refused(rt, "otp", "36111")
    rt.clock.advance(1)  # type: ignore[attr-defined]
    await say(rt, heard(rt, "START"))
    assert not await refused(rt, "transactional", "36222") and not await refused(rt)


async def test_two_nodes_that_hear_the_same_write_one_reply(rt: Runtime) -> None:
    first, second = heard(rt), heard(rt)
    here, there = [await consent.heed(rt, [one], Lately(rt)) for one in (first, second)]
    assert here.replies and there.replies, "neither has seen the other"
    await write(rt, here)
    await write(rt, there)
    assert await rows(rt, "select inbound_id from consent_replies") == [(first.inbound_id,)]


async def test_a_person_is_answered_once_a_day_by_each_sender_and_of_each_kind(rt: Runtime) -> None:
    await say(rt, heard(rt), heard(rt), heard(rt, "aide"), heard(rt, sender="36222"))
    found = sorted(await rows(rt, "select sender, kind from consent_replies"))
    assert found == [("36111", "help"), ("36111", "stop"), ("36222", "stop")]
    first = await rows(rt, "select inbound_id from consent_replies where sender = '36222'")
    rt.clock.advance(23 * 3600)  # type: ignore[attr-defined]
    assert not (await say(rt, heard(rt, sender="36222"))).replies
    rt.clock.advance(3600)  # type: ignore[attr-defined]
    assert (await say(rt, heard(rt, sender="36222"))).replies
    assert await rows(rt, "select inbound_id from consent_replies where sender = '36222'") != first


async def test_a_repeated_word_is_written_down_once_a_minute_while_it_holds(rt: Runtime) -> None:
    lately = Lately(rt)

    async def entries() -> int:
        return len(await rows(rt, "select id from consent_entries"))

    for _ in range(5):
        await say(rt, heard(rt), lately=lately)
    assert await entries() == 1
    await rt.store.write(sql("delete from suppressions")())  # whoever lifted it, wherever
    await say(rt, heard(rt), lately=lately)
    assert await entries() == 2 and await refused(rt)
    rt.clock.advance(REPEATED_S)  # type: ignore[attr-defined]
    await say(rt, heard(rt), lately=lately)
    assert await entries() == 3
    unwritten = await consent.heed(rt, [heard(rt, person="+33687654321")], lately)
    assert (await consent.heed(rt, [heard(rt, person="+33687654321")], lately)).ops, "it was never committed"
    await write(rt, unwritten)


async def test_the_words_of_a_batch_take_effect_in_their_order(rt: Runtime) -> None:
    await say(rt, *(heard(rt, word) for word in ("STOP", "START", "STOP", "START")))
    assert not await refused(rt)
    await say(rt, *(heard(rt, word) for word in ("START", "STOP") * 100))
    assert await refused(rt)
    assert len(await rows(rt, "select id from consent_entries")) < 20


async def test_who_starts_has_agreed_if_they_had_before_or_the_account_takes_it_so(rt: Runtime) -> None:
    async def state() -> list[Row]:
        return await rows(rt, "select purpose, brand, state from consents where state = 'given' order by purpose")

    await say(rt, heard(rt, "START"))
    assert await state() == [("service", "", "given")]
    rt.clock.advance(REPEATED_S)  # type: ignore[attr-defined]
    await say(rt, heard(rt, "START", opts_in=True))
    assert await state() == [("marketing", "", "given"), ("service", "", "given")]
    await say(rt, heard(rt))
    assert ("marketing", "", "given") not in await state()
    await say(rt, heard(rt, "START"))
    assert ("marketing", "", "given") in await state()


async def test_a_yes_that_answers_nothing_is_nothing(rt: Runtime) -> None:
    assert (await say(rt, heard(rt, "oui"))).kinds == [None]
    assert await rows(rt, "select id from consent_entries") == []
    assert (await say(rt, heard(rt), heard(rt, "oui"))).kinds == ["stop", "start"]


async def test_a_text_that_no_database_can_keep_is_kept_as_far_as_it_goes(rt: Runtime) -> None:
    await say(rt, heard(rt, "STOP \ud800")._replace(text="STOP \ud800" + "x" * 5_000))
    [(proof,)] = await rows(rt, "select proof from consent_entries")
    assert "STOP ?" in proof and len(proof) < 2_500


# -- texts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "country", "kind"), sorted(defaults()))
def test_every_reply_fits_one_segment_and_names_who_answers(language: str, country: str, kind: str) -> None:
    assert "{brand}" in defaults()[language, country, kind]
    contact = "" if kind == "help_bare" else "+33 1 23 45 67 89"
    brand = "Boutique Acme"
    text = replies.compose("help" if kind == "help_bare" else kind, language, country, brand=brand, contact=contact)  # type: ignore[arg-type]
    made = encode(text)
    assert made.segments == 1 and brand in text and "{" not in text
    assert contact in text or kind != "help"
    expected = "ucs2" if language in ("ar", "bg", "ru", "uk", "zh") else "gsm7"
    assert made.encoding == expected, made.forced


def test_the_texts_of_north_america_say_what_is_asked_there() -> None:
    contact = "help@acme.example"
    text = replies.compose("help", "en", "US", brand="Acme Alerts", contact=contact)
    for asked in ("Acme Alerts", contact, "Msg&data rates may apply", "Msg frequency varies", "STOP"):
        assert asked in text
    both = replies.compose("stop", "fr", "CA", brand="Acme", contact=contact)
    assert "no more messages" in both and "plus de messages" in both
    assert replies.compose("stop", "en", "CA", brand="Acme") == replies.compose("stop", "fr", "CA", brand="Acme")


def test_a_long_name_is_cut_and_a_text_of_the_account_is_not() -> None:
    name = "A very long name of a business with branches in every town of the country and abroad"
    cut = replies.compose("stop", "en", "US", brand=name)
    assert encode(cut).segments == 1 and cut.startswith("A very long name")
    own = {("stop", ""): "{brand}: bye"}
    assert replies.compose("stop", "en", "US", brand=name, own=own) == f"{name}: bye"
    own[("stop", "fr")] = "{brand} : au revoir"
    assert replies.compose("stop", "fr", "FR", brand="Acme", own=own) == "Acme : au revoir"


def test_the_language_is_that_of_the_word_else_of_the_country_else_english() -> None:
    assert replies.language_of("de", "FR") == "de"
    assert replies.language_of("", "FR") == "fr"
    assert replies.language_of("", "NG") == replies.language_of("xx", "") == "en"
