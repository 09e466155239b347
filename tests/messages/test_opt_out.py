"""STOP, START and HELP from a phone through a real pipeline: what they change, and the one reply."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from chappe import consent, ids, law, senders
from chappe.channels import Inbound, Outgoing
from chappe.consent import Entry, Proof, Stops, replies
from chappe.events import InboundReceived
from chappe.messages import Accepted, opt_out, steps
from chappe.messages.model import Submission
from chappe.messages.replies import Replies
from chappe.storage import Unavailable, sql
from tests.messages.conftest import NOW, World

PHONE, PERSON, NUMBER = "33612345678", "+33612345678", "36111"
CONFIRMED = "Acme : vous ne recevrez plus de messages. Pour revenir, répondez START."


@pytest.fixture(autouse=True)
async def short_code(world: World) -> None:
    """French mobile numbers may carry no messages of applications."""
    await senders.create_sender(world.rt, "test", world.account_id, address=NUMBER, inbound=True)


async def agree(world: World, person: str = PERSON, brand: str = "") -> None:
    entry = Entry(world.account_id, False, "given", "sms", "marketing", "form", NOW(), Proof(person), brand)
    recorded = consent.record(world.rt, [entry])
    await world.rt.events.write(*recorded.ops, tell=recorded.events, wake=(consent.TOPIC,))


async def code(world: World, purpose: str = "marketing", sender: str = "Acme", **more: Any) -> str | None:
    """What a message to the person is refused for; it is not sent."""
    told = {
        "text": "Acme: soldes. STOP 36111",
        "purpose": purpose,
        "sender": sender,
        "dry_run": True,
        "test": False,
        **more,
    }
    # the hours of the day that it is are no matter of these tests
    [result] = await world.pipeline.accept([world.submission(send_at=_noon(world), **told)])
    return None if isinstance(result, Accepted) else result.code


def _noon(world: World) -> int:
    """The next Wednesday at 12:00 UTC."""
    day = 86_400_000
    today = world.rt.clock.now() // day
    return (today + (6 - today % 7) % 7 + 7) * day + day // 2


async def writes(world: World, text: str | None, phone: str = PHONE, number: str = NUMBER, **more: Any) -> None:
    assert await world.link.inbound(phone, number, text, **more)


async def answers(world: World, count: int) -> list[Outgoing]:
    """The replies on the wire, once there are so many."""
    parts = await world.parts(count)
    assert len(parts) == count
    return parts


def text_of(part: Outgoing) -> str:
    from chappe.text import decode

    found = decode(part.payload, part.data_coding).text
    assert found is not None
    return found


async def count(world: World, what: str) -> int:
    [(found,)] = await world.rt.store.read(sql(f"select count(*) from {what}")())
    return int(found)


async def test_stop_ends_the_sender_and_marketing_and_is_confirmed_once(world: World) -> None:
    await agree(world)
    assert await code(world) is None
    await writes(world, "Stop svp!")
    assert await code(world) == "opted_out", "from the moment it was acknowledged"
    assert await code(world, "service", NUMBER) == "opted_out"
    assert await code(world, "service") is None, "from another sender"
    assert await code(world, "otp", NUMBER) is None
    [part] = await answers(world, 1)
    assert (part.destination, part.sender, text_of(part)) == (PHONE, NUMBER, CONFIRMED)
    world.link.answer(part)
    for _ in range(3):
        await writes(world, "STOP")
    await world.pipeline.inbox.sweep()
    await world.settle()
    assert len(world.link.taken) == 1
    [note] = [step.data for step in await told(world) if step.kind == "replied"]
    assert note["kind"] == "stop" and note["message"].startswith("msg_")
    message = await world.rt.store.read(sql("select origin, purpose, state from messages")())
    assert [row[:2] for row in message] == [("reply", "service")]
    assert await count(world, "consent_replies where person is not null") == 0, "whom it went to is forgotten"


async def told(world: World) -> list[Any]:
    """The history of all messages from phones."""
    rows = await world.rt.store.read(sql("select id from inbound order by id")())
    return [step for (number,) in rows for step in await steps(world.rt, number)]


async def test_the_words_and_the_message_are_the_proof(world: World) -> None:
    await writes(world, "STOP!!")
    [(event, source, purpose, proof)] = await world.rt.store.read(
        sql("select event, source, purpose, proof from consent_entries")()
    )
    [(inbound_id,)] = await world.rt.store.read(sql("select id from inbound")())
    assert (event, source, purpose) == ("withdrawn", "keyword", "marketing")
    for part in (PERSON, "STOP!!", ids.public("inb", inbound_id), NUMBER):
        assert part in proof
    rows = await world.rt.store.read(
        sql("select scope, value, covers, channel, reason from suppressions order by scope")()
    )
    assert rows == [
        ("account", "", "marketing", "sms", "opt_out"),
        ("sender", NUMBER, "all_but_otp", "sms", "opt_out"),
    ]


async def test_the_owner_hears_the_message_and_what_it_meant(world: World) -> None:
    for text in ("STOP", "Bonjour", "aide", "Ne m'envoyez plus de messages", "start"):
        await writes(world, text)
    await world.until(lambda: len([e for e in world.heard if isinstance(e, InboundReceived)]) == 5)
    heard = {e.text: e.heard for e in world.heard if isinstance(e, InboundReceived)}
    assert heard == {
        "STOP": "stop",
        "Bonjour": None,
        "aide": "help",
        "Ne m'envoyez plus de messages": "review",
        "start": "start",
    }
    assert [step.data.get("heard") for step in await told(world) if step.kind == "received"] == [
        "stop", None, "help", "review", "start",
    ]  # fmt: skip


async def test_start_gives_back_what_stop_took(world: World) -> None:
    await agree(world)
    await writes(world, "STOP")
    await writes(world, "START")
    assert await code(world) is None
    assert await code(world, "service", NUMBER) is None
    first, second = await answers(world, 2)
    assert {text_of(first), text_of(second)} == {
        CONFIRMED,
        "Acme : vous recevrez à nouveau nos messages. Répondez STOP pour ne plus en recevoir.",
    }
    await writes(world, "STOP")
    assert await code(world) == "opted_out", "within the minute too"


async def test_start_of_somebody_who_never_agreed_is_no_opt_in(world: World) -> None:
    await writes(world, "STOP")
    assert await code(world, "service", NUMBER) == "opted_out"
    await writes(world, "START")
    assert await code(world, "service", NUMBER) is None
    assert await code(world) == "opted_out", "what is on record of marketing is a refusal still"


async def test_a_yes_is_an_opt_in_only_to_who_was_just_told_how_to_come_back(world: World) -> None:
    await agree(world)
    await writes(world, "oui")
    assert await count(world, "consent_entries") == 1
    await writes(world, "STOP")
    await writes(world, "oui")
    assert await code(world) is None
    await world.rt.store.write(sql("delete from consent_replies where kind = 'stop'")())
    await writes(world, "STOP", number=NUMBER)
    await world.rt.store.write(sql(f"update consent_replies set asked_at = {NOW() - replies.EVERY_MS - 1}")())
    await writes(world, "oui")
    assert await code(world) == "opted_out"


async def test_who_comes_back_to_one_sender_has_not_come_back_to_the_others(world: World) -> None:
    await senders.create_sender(world.rt, "test", world.account_id, address="36222", inbound=True)
    await agree(world)
    await writes(world, "STOP")
    await writes(world, "STOP", number="36222")
    await writes(world, "START", number="36222")
    assert await code(world, "marketing", "36222") is None
    assert await code(world, "service", NUMBER) == "opted_out"


async def test_help_is_answered_also_to_strangers_and_changes_nothing(world: World) -> None:
    account = world.account_id
    await replies.create_text(world.rt, "test", account, kind="contact", language="", text="acme.example/aide")
    await writes(world, "AIDE", phone="33687654321")
    [part] = await answers(world, 1)
    assert part.destination == "33687654321"
    assert text_of(part) == (
        "Acme : pour nous joindre, acme.example/aide. Répondez STOP pour ne plus recevoir de messages."
    )
    assert await count(world, "consent_entries") == await count(world, "suppressions") == 0
    await writes(world, "AIDE", phone="33687654321")
    await world.settle()
    assert len(world.link.taken) == 1, "once a day"


async def test_help_is_answered_also_to_who_refused(world: World) -> None:
    await writes(world, "STOP")
    await writes(world, "HELP")
    assert len(await answers(world, 2)) == 2


async def test_a_sentence_that_refuses_stops_marketing_until_somebody_has_read_it(world: World) -> None:
    await agree(world)
    await writes(world, "Bonjour, merci de supprimer mon numéro de vos fichiers")
    assert await code(world) == "opted_out"
    assert await code(world, "service", NUMBER) is None
    [(proof,)] = await world.rt.store.read(sql("select proof from consent_entries where event = 'withdrawn'")())
    assert "To be looked at" in proof
    await world.settle()
    assert world.link.taken == [] and await count(world, "consent_replies") == 0


async def test_a_long_message_is_read_as_a_whole(world: World) -> None:
    await agree(world)
    texts = ["Bonjour, je ne souhaite plus rec", "evoir vos messages, merci."]
    for n, text in enumerate(texts, 1):
        await writes(world, text, concat=(7, 2, n), udh=bytes((5, 0, 3, 7, 2, n)))
    assert await code(world) == "opted_out"


async def test_the_own_words_of_an_account_are_heard_by_it_alone(world: World) -> None:
    await law.create_adjustment(world.rt, "test", world.account_id, kind="keyword", value="Assez", country="FR")
    await writes(world, "ASSEZ")
    assert await code(world, "service", NUMBER) == "opted_out"
    assert consent.keywords.hear("assez", country="FR") is None


async def test_the_account_answers_in_its_own_words_in_the_language_of_the_keyword(world: World) -> None:
    for kind, language, text in (
        ("name", "", "Chez Acme"),
        ("stop", "de", "{brand}: Schade. {help}"),
        ("contact", "", "0800 1"),
    ):
        await replies.create_text(world.rt, "test", world.account_id, kind=kind, language=language, text=text)
    await writes(world, "abmelden")
    [part] = await answers(world, 1)
    assert text_of(part) == "Chez Acme: Schade. 0800 1"


async def test_machines_and_our_own_numbers_are_not_answered(world: World) -> None:
    await writes(world, "STOP", phone="36111", number="33644600001")
    await writes(world, "STOP", phone="33644600001")
    await writes(world, "STOP", phone="Bank")
    await writes(world, None, payload=b"\x00\x01")
    await world.settle()
    assert await count(world, "consent_entries") == await count(world, "consent_replies") == 0
    assert await count(world, "inbound") == 4


async def test_a_refusal_to_nobodys_number_is_heard_for_who_wrote_last_from_it(world: World) -> None:
    shared = "36999"
    await senders.create_sender(world.rt, "test", world.account_id, address=shared)
    await writes(world, "STOP", number=shared)
    assert await count(world, "consent_entries") == 0, "nobody has written to this person"
    sent = await world.send(sender=shared, purpose="transactional")
    assert sent.sender
    await writes(world, "STOP", number=shared)
    assert await code(world, "service", shared) == "opted_out"
    await world.settle()
    assert await count(world, "consent_replies") == 0, "nobody can answer from there"
    await writes(world, "START", number=shared)
    assert await code(world, "service", shared) == "opted_out"


async def test_a_reply_that_a_crash_left_is_sent_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the commit of STOP and its reply."""
    with monkeypatch.context() as patch:
        patch.setattr(Replies, "kick", lambda self: None)
        await writes(world, "STOP")
        await world.settle()
    assert world.link.taken == []
    await world.restart()
    await asyncio.gather(world.pipeline.inbox.sweep(), world.pipeline.inbox.sweep())
    [part] = await answers(world, 1)
    world.link.answer(part)
    await world.restart()
    await world.pipeline.inbox.sweep()
    await world.settle()
    assert await count(world, "messages") == 1


async def test_a_reply_whose_acceptance_was_not_noted_is_not_sent_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(self: Replies, answered: object) -> None:
        raise Unavailable("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(Replies, "_note", lost)
        await writes(world, "STOP")
        await answers(world, 1)
        await world.pipeline.inbox.drain()
    assert await count(world, "consent_replies where state = 0") == 1
    await world.restart()
    await world.pipeline.inbox.sweep()
    assert await count(world, "consent_replies where state = 1") == 1
    assert await count(world, "messages") == 1


async def test_a_reply_that_comes_too_late_is_dropped_and_said_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Replies, "kick", lambda self: None)
    await writes(world, "STOP")
    await world.rt.store.write(sql("update consent_replies set expires_at = 1")())
    await world.pipeline.inbox.sweep()
    assert await count(world, "messages") == 0
    assert [step.data["reason"] for step in await told(world) if step.kind == "not_replied"]
    await world.rt.store.write(sql("update consent_replies set asked_at = 1")())
    await world.pipeline.inbox.sweep()
    assert await count(world, "consent_replies") == 0


async def test_a_reply_that_is_refused_is_tried_a_few_times_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from chappe.messages import Refusal

    tried: list[Submission] = []

    async def refuse(submissions: list[Submission], key: object = None) -> list[Refusal]:
        tried.extend(submissions)
        return [Refusal("no_balance", "Nothing left.")]

    monkeypatch.setattr(world.pipeline, "accept", refuse)
    await writes(world, "STOP")
    await world.pipeline.inbox.drain()
    for _ in range(8):
        await world.rt.store.write(sql("update consent_replies set due_at = 1 where state = 0")())
        await world.pipeline.inbox.sweep()
    assert len(tried) == 5
    assert await count(world, f"consent_replies where state = {replies.DROPPED} and person is null") == 1


async def test_a_flood_costs_little_and_is_answered_once(world: World) -> None:
    texts = ["STOP"] * 300 + ["START", "STOP"] * 100
    done = await asyncio.gather(*(world.link.inbound(PHONE, NUMBER, text) for text in texts))
    assert all(done)
    await world.settle()
    assert await count(world, "consent_entries") < 40
    assert await code(world, "service", NUMBER) == "opted_out"
    kinds = Counter(row[0] for row in await world.rt.store.read(sql("select kind from consent_replies")()))
    assert kinds["stop"] == 1 and kinds["start"] <= 1
    assert await count(world, "inbound") == len(texts)


async def test_the_last_word_of_a_batch_holds(world: World) -> None:
    for words, expected in ((("STOP", "START"), None), (("START", "STOP"), "opted_out")):
        for text in words:
            world.link.sink.inbound(
                Inbound(world.link.connector_id, PHONE, NUMBER, NOW(), text, text.encode()), lambda stored: None
            )
        await world.settle()
        assert await code(world, "service", NUMBER) == expected, words


async def test_what_was_refused_is_announced_before_the_phone_is_acknowledged(world: World) -> None:
    heard: list[int] = []
    stops: Stops = consent.stops(world.rt)
    stops.on_stop(heard.extend)
    key = consent.persons(world.rt).key(world.account_id, False, PERSON)
    acknowledged = asyncio.get_running_loop().create_future()
    inbound = Inbound(world.link.connector_id, PHONE, NUMBER, NOW(), "STOP", b"STOP")
    world.link.sink.inbound(inbound, lambda stored: acknowledged.set_result((stored, list(heard))))
    stored, before = await acknowledged
    assert stored and key in before


async def test_who_stops_everything_by_law_is_left_alone_by_the_whole_account(world: World) -> None:
    """47 CFR 64.1200(a)(10) as of 31 January 2027."""
    day = 86_400_000
    dates = {True: 1_801_440_000_000, False: 1_801_440_000_000 - 60 * day}  # 2027-02-01
    for expected, at in dates.items():
        found = law.rules("US", at)
        assert any(rule.kind == "opt_out_scope" and rule.value == "revoke_all" for rule in found) == expected
    assert not opt_out._ends_everything(world.pipeline, "FR", law.NOTHING)
