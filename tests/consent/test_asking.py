"""What a person said decides who may write to them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from chappe import consent
from chappe.consent import Entry, Forbidden, No, Proof, Question, store
from chappe.messages import open_rooms
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings

ALICE, BOB = "+33612345678", "+33687654321"
ACCOUNT = 7


@pytest.fixture
async def rt(store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    rt = await open_runtime(Settings(database=store_url, data_dir=tmp_path, secret_key="x" * 32))
    await open_rooms(rt)
    yield rt
    await rt.close()


async def said(rt: Runtime, event: str = "withdrawn", person: str = ALICE, **told: object) -> None:
    given = {"channel": "sms", "purpose": "marketing", "source": "api", "at": rt.clock.now(), **told}
    forbidden = given.pop("forbidden", None)
    entry = Entry(account_id=ACCOUNT, test=False, event=event, proof=Proof(person), **given)  # type: ignore[arg-type]
    recorded = consent.record(rt, [entry], None if forbidden is None else [forbidden])  # type: ignore[list-item]
    await rt.events.write(*recorded.ops, tell=recorded.events, wake=(consent.TOPIC,))
    consent.announce(rt, recorded.stopped)


async def asked(rt: Runtime, person: str = ALICE, **about: object) -> No | None:
    people = consent.persons(rt)
    known = {"channel": "sms", "purpose": "marketing", "sender": "Acme", "brand": "", "country": "FR", **about}
    account_id = known.pop("account_id", ACCOUNT)
    keys = people.key(account_id, False, person), people.key(consent.EVERYONES, False, person)  # type: ignore[arg-type]
    question = Question(*keys, at=rt.clock.now(), **known)  # type: ignore[arg-type]
    return (await consent.may_send(rt, [question]))[0]


async def code(rt: Runtime, person: str = ALICE, **about: object) -> str | None:
    answer = await asked(rt, person, **about)
    return answer.code if answer else None


async def test_marketing_needs_a_proof_and_other_messages_do_not(rt: Runtime) -> None:
    assert await code(rt) == "consent_missing"
    assert await code(rt, purpose="transactional") is None
    assert await code(rt, needs_consent=False) is None
    await said(rt, "given")
    assert await code(rt) is None
    assert await code(rt, BOB) == "consent_missing"
    assert await code(rt, account_id=8) == "consent_missing"
    assert await code(rt, channel="email") == "consent_missing"


async def test_a_refusal_stops_marketing_and_what_it_covers(rt: Runtime) -> None:
    await said(rt, "given")
    await said(rt, forbidden=[Forbidden("sender", "Acme", "all_but_otp"), Forbidden("account", "", "marketing")])
    assert await code(rt) == await code(rt, sender="Other") == await code(rt, needs_consent=False) == "opted_out"
    assert await code(rt, purpose="service") == "opted_out"
    assert await code(rt, purpose="service", sender="Other") is None
    assert await code(rt, purpose="otp") is None
    assert await code(rt, account_id=8, needs_consent=False) is None


async def test_a_refusal_of_one_brand_leaves_the_others(rt: Runtime) -> None:
    await said(rt, "given")
    await said(rt, brand="Shoes")
    assert await code(rt, brand="Shoes") == "opted_out"
    assert await code(rt, brand="Hats") is None
    await said(rt, "given", brand="Shoes")
    assert await code(rt, brand="Shoes") is None


async def test_only_an_explicit_opt_in_that_comes_later_lifts_a_refusal(rt: Runtime) -> None:
    await said(rt)
    await said(rt, "given", source="import", at=rt.clock.now() + 1)
    assert await code(rt) == "opted_out", "a list that is imported again is no word of the person"
    await said(rt, "given", at=rt.clock.now() - 10_000)
    assert await code(rt) == "opted_out", "what was said before the refusal does not undo it"
    await said(rt, "given", at=rt.clock.now() + 10)
    assert await code(rt) is None


async def test_a_refusal_of_everything_withdraws_what_single_brands_were_given(rt: Runtime) -> None:
    await said(rt, "given", brand="Shoes")
    await said(rt, channel="any")
    await said(rt, "given", brand="Hats", at=rt.clock.now() + 10)
    assert await code(rt, brand="Hats") is None
    assert await code(rt, brand="Shoes") == "opted_out"


async def test_implied_consent_expires(rt: Runtime) -> None:
    await said(rt, "given", basis="implied", expires_at=rt.clock.now() - 1)
    assert await code(rt) == "consent_missing"


async def test_what_the_operator_forbids_holds_for_all_accounts(rt: Runtime) -> None:
    key = consent.persons(rt).key(consent.EVERYONES, False, ALICE)
    what = ("any", "account", "", "all", "disconnected", "carrier", "", "")
    row = (rt.ids.next(), key, consent.EVERYONES, 0, ALICE, *what, rt.clock.now(), None, None)
    await rt.store.write(*consent.suppress([row]))
    assert await code(rt, purpose="otp") == await code(rt, purpose="otp", account_id=8) == "opted_out"
    await said(rt, "given")
    assert await code(rt) == "opted_out", "no word of the person makes a number reachable"


async def test_what_is_suppressed_twice_becomes_stricter_never_milder(rt: Runtime) -> None:
    key = consent.persons(rt).key(ACCOUNT, False, ALICE)

    async def suppress(covers: str, expires_at: int | None) -> None:
        what = ("any", "account", "", covers, "list", "import", "L", "")
        row = (rt.ids.next(), key, ACCOUNT, 0, ALICE, *what, rt.clock.now(), expires_at, None)
        await rt.store.write(*consent.suppress([row]))

    await suppress("marketing", rt.clock.now() - 1)
    assert await code(rt, purpose="otp") is None
    await suppress("all", None)
    await suppress("marketing", rt.clock.now() - 1)
    assert await code(rt, purpose="otp") == "opted_out"


async def test_ten_thousand_are_answered_in_one_call(rt: Runtime) -> None:
    people, now = consent.persons(rt), rt.clock.now()
    questions = [
        Question(
            people.key(ACCOUNT, 0, f"+336{n:08}"),
            people.key(0, 0, f"+336{n:08}"),
            "sms",
            "marketing",
            "",
            "",
            "FR",
            now,
        )
        for n in range(10_000)
    ]
    await said(rt, "given", person="+33600000007")
    answers = await consent.may_send(rt, questions)
    assert [n for n, answer in enumerate(answers) if answer is None] == [7]


async def test_entries_are_never_changed_and_a_proof_may_only_be_forgotten(rt: Runtime) -> None:
    from chappe.storage import StoreError, sql

    await said(rt, "given")
    for change in (
        "update consent_entries set at = 1",
        "update consent_entries set proof = '{}'",
        "delete from consent_entries",
    ):
        with pytest.raises((StoreError, Exception), match="append-only"):
            await rt.store.write(sql(change)())
    await rt.store.write(sql("update consent_entries set sequence = 1")())
    with pytest.raises((StoreError, Exception), match="append-only"):
        await rt.store.write(sql("update consent_entries set sequence = 2")())
    await rt.store.write(sql("update consent_entries set proof = null, salt = null")())


def test_a_mark_tells_who_refused_since() -> None:
    stops = consent.Stops()
    heard: list[int] = []
    stops.on_stop(heard.extend)
    before = stops.mark()
    assert not stops.since(before, [1])
    stops.add([1])
    after = stops.mark()
    assert stops.since(before, [1]) and not stops.since(before, [2]) and not stops.since(after, [1])
    assert heard == [1]
    stops.add(range(60_000))
    assert stops.since(before, [-5]), "so many that the first are forgotten: then everybody is asked again"
    assert not stops.since(stops.mark(), [1])


def test_what_is_asked_of_every_message_is_found_by_the_persons_key(sqlite_url: str) -> None:
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as db:
        told = db.execute("explain query plan " + store.ASK.sqlite, {"people": "[1]", "marketing": "[1]"}).fetchall()
    searched = [row[3] for row in told if row[3].startswith(("SEARCH", "SCAN")) and "json_each" not in row[3]]
    assert searched == [
        "SEARCH suppressions USING INDEX suppressions_person (person_key=?)",
        "SEARCH consents USING PRIMARY KEY (person_key=?)",
    ]
