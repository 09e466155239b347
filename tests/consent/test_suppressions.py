"""Suppressions: added and lifted, imported as lists, ended in time, learnt from networks."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe import consent
from chappe.accounts import audit_entries
from chappe.clock import Clock
from chappe.consent import EVERYONES, Entry, Gone, Proof, Question
from chappe.consent import suppressions as rooms
from chappe.consent.suppressions import Defaults, Rows, Wanted, Whose, disconnected, jobs, model, store
from chappe.errors import Refused
from chappe.events import MessageUpdated, OptOutCreated
from chappe.jobs import TOPIC
from chappe.messages import open_rooms
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.storage import Unavailable, sql
from tests.support.eventually import eventually

ALICE, BOB = "+33612345678", "+33687654321"
MINE, TESTS, THEIRS = Whose(7, False), Whose(7, True), Whose(8, False)
EVERYONE = Whose(EVERYONES, False)
DAY_MS = 86_400_000
NOW = 1_800_000_000_000


class Later(Clock):
    """The real time, and what the test adds to it."""

    ahead_ms = 0

    def now(self) -> int:
        return super().now() + self.ahead_ms


@pytest.fixture
async def rt(store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    settings = Settings(database=store_url, data_dir=tmp_path, secret_key="x" * 32)
    rt = await open_runtime(settings, clock=Later())
    await open_rooms(rt)
    if disconnected.REACTION not in rt.events.reactions():
        consent.start_suppressions(rt)
    yield rt
    await rt.close()


async def add(rt: Runtime, *wanted: Wanted, whose: Whose = MINE, **how: Any) -> list[rooms.Added]:
    return await rooms.add(rt, whose, wanted, **{"source": "api", "actor": "key_1", **how})


async def code(rt: Runtime, person: str = ALICE, whose: Whose = MINE, **about: Any) -> str | None:
    people = consent.persons(rt)
    known = {"channel": "sms", "purpose": "marketing", "sender": "Acme", "brand": "", "country": "FR", **about}
    keys = people.key(*whose, person), people.key(EVERYONES, whose.test, person)
    [answer] = await consent.may_send(rt, [Question(*keys, at=rt.clock.now(), **{"needs_consent": False, **known})])
    return answer.code if answer else None


async def agreed(rt: Runtime, person: str = ALICE, at: int | None = None, source: Any = "form") -> None:
    told = ("given", "any", "marketing", source, rt.clock.now() if at is None else at, Proof(person))
    recorded = consent.record(rt, [Entry(*MINE, *told)])
    await rt.events.write(*recorded.ops, tell=recorded.events)


async def only(rt: Runtime, whose: Whose = MINE, **filters: Any) -> consent.Suppression:
    [found] = await rooms.search(rt, whose, **filters)
    return found


async def rows_in(rt: Runtime, table: str) -> int:
    [(count,)] = await rt.store.scan(sql(f"select count(*) from {table}")())
    return int(count)


# -- one by one ----------------------------------------------------------------------------------------------------


async def test_a_refusal_handed_in_is_in_the_ledger_stops_messages_and_is_announced_at_once(rt: Runtime) -> None:
    heard: list[int] = []
    consent.stops(rt).on_stop(heard.extend)
    [added] = await add(rt, Wanted(ALICE, note="By telephone."))
    assert added.created and heard == [consent.persons(rt).key(*MINE, ALICE)]
    found = await only(rt)
    assert (found.id, found.person, found.covers, found.reason, found.source) == (
        added.id,
        ALICE,
        "marketing",
        "opt_out",
        "api",
    )
    assert await code(rt) == "opted_out" and await code(rt, purpose="service") is None
    assert await code(rt, whose=THEIRS) is None and await code(rt, whose=TESTS) is None
    [(event, entry_id, proof)] = await rt.store.scan(sql("select event, id, proof from consent_entries")())
    assert (event, entry_id) == ("withdrawn", found.entry_id)
    assert "By telephone." in proof and "key_1" in proof


async def test_a_refusal_that_is_known_is_told_once_and_recorded_each_time(rt: Runtime) -> None:
    told: list[OptOutCreated] = []

    async def hear(_rt: Runtime, events: list[OptOutCreated]) -> list[Any]:
        told.extend(events)
        return []

    rt.events.on(OptOutCreated, "test.hear", hear)
    await rt.events.start(rt)
    [first] = await add(rt, Wanted(ALICE))
    sender = Wanted(BOB, scope="sender", value="Acme")
    [again, other, twice] = await add(rt, Wanted(ALICE, covers="all"), sender, sender)
    assert (again.id, again.created, other.created, twice) == (first.id, False, True, (other.id, False))
    await eventually(lambda: len(told) >= 2)
    assert [(one.opt_out_id, one.scope, one.reason) for one in told] == [
        (first.id, "account", "opt_out"),
        (other.id, "sender", "opt_out"),
    ]
    assert await rows_in(rt, "consent_entries") == 4
    assert await code(rt, purpose="otp") == "opted_out", "it became stricter"


async def test_who_refuses_one_sender_keeps_the_consent_to_the_others(rt: Runtime) -> None:
    await agreed(rt)
    await add(rt, Wanted(ALICE, scope="sender", value="Acme"), Wanted(ALICE, scope="country", value="DE"))
    assert await code(rt, needs_consent=True) == "opted_out"
    assert await code(rt, needs_consent=True, sender="Other") is None
    assert await code(rt, needs_consent=True, sender="Other", country="DE") == "opted_out"
    assert await rows_in(rt, "consent_entries") == 3


async def test_only_a_new_consent_or_the_operator_lifts_what_a_person_said(rt: Runtime) -> None:
    await add(rt, Wanted(ALICE))
    found = await only(rt)
    for operator, why, expected in ((False, "A slip.", "opt_out_needs_consent"), (True, " ", "missing_field")):
        with pytest.raises(Refused) as refused:
            await rooms.lift(rt, "key_1", found, operator=operator, reason=why)
        assert refused.value.code == expected
    assert await code(rt) == "opted_out"
    await rooms.lift(rt, "key_9", found, operator=True, reason="Wrong number was handed in.")
    assert await code(rt) is None
    [entry] = await audit_entries(rt, MINE.account_id)
    assert (entry.action, entry.kind, entry.after) == ("lift", "opt_out", {"reason": "Wrong number was handed in."})
    assert ALICE not in str(entry), "no number in what is never forgotten"
    await add(rt, Wanted(BOB))
    await agreed(rt, BOB, at=rt.clock.now() + 1_000)
    assert await code(rt, BOB) is None and await rooms.search(rt, MINE) == []


async def test_what_expires_or_is_of_a_list_is_the_accounts_own_wish_and_lifted_by_it(rt: Runtime) -> None:
    await add(rt, Wanted(ALICE, expires_at=rt.clock.now() + 60_000), Wanted(BOB, list_name="old"))
    assert await rows_in(rt, "consent_entries") == 0
    for person in (ALICE, BOB):
        assert await code(rt, person) == "opted_out"
        await rooms.lift(rt, "key_1", await only(rt, person=person), operator=False)
        assert await code(rt, person) is None


async def test_what_the_operator_knows_holds_for_everyone_and_only_he_lifts_it(rt: Runtime) -> None:
    await add(rt, Wanted(ALICE), whose=EVERYONE, reason="complaint", source="carrier")
    await add(rt, Wanted(BOB), reason="complaint", source="carrier")
    assert await code(rt, purpose="service") == await code(rt, whose=THEIRS) == "opted_out"
    assert await code(rt, purpose="otp") is None, "complaints leave what a person has just asked for"
    assert await rooms.search(rt, MINE, person=ALICE) == []
    for found in (await only(rt, EVERYONE), await only(rt, person=BOB)):
        with pytest.raises(Refused) as refused:
            await rooms.lift(rt, "key_1", found, operator=False, reason="Please.")
        assert refused.value.code == "scope_missing"
        await rooms.lift(rt, "key_9", found, operator=True, reason="Taken back.")
    assert await code(rt) is None and await code(rt, BOB) is None


async def test_nobody_finds_or_counts_what_is_anothers(rt: Runtime) -> None:
    [mine] = await add(rt, Wanted(ALICE))
    made = await rooms.create_list(rt, "key_1", MINE, name="old")
    for ids, test in (((8,), False), ((7,), True), ((), False)):
        with pytest.raises(Refused):
            await rooms.found_suppression(rt, ids, test, mine.id)
        with pytest.raises(Refused):
            await rooms.found_list(rt, ids, test, made.id)
    assert (await rooms.found_suppression(rt, (7,), False, mine.id)).person == ALICE
    for whose in (THEIRS, TESTS, EVERYONE):
        assert await rooms.search(rt, whose) == [] and await rooms.lists(rt, whose) == []


async def test_a_search_narrows_down_and_turns_pages(rt: Runtime) -> None:
    await add(rt, *(Wanted(f"+3361000{n:04}") for n in range(7)))
    await add(rt, Wanted(ALICE, channel="email", list_name="old"), Wanted(ALICE, scope="brand", value="Hats"))
    assert len(await rooms.search(rt, MINE)) == 9
    assert {one.list_name for one in await rooms.search(rt, MINE, list_name="old")} == {"old"}
    assert len(await rooms.search(rt, MINE, reason="opt_out")) == 8
    assert len(await rooms.search(rt, MINE, person=ALICE)) == 2
    assert (await only(rt, scope="brand")).value == "Hats"
    assert (await only(rt, channel="email", source="api")).reason == "list"
    first = await rooms.search(rt, MINE, limit=5)
    rest = await rooms.search(rt, MINE, before=first[-1].id, limit=5)
    assert [one.id for one in first + rest] == sorted((one.id for one in first + rest), reverse=True)
    assert len(rest) == 4


# -- lists ---------------------------------------------------------------------------------------------------------


async def test_a_list_is_imported_again_without_change_and_goes_as_a_whole(rt: Runtime) -> None:
    await rt.jobs.start(rt)
    await add(rt, Wanted("+33610000000", list_name=""))
    made = await rooms.create_list(rt, "key_1", MINE, name="old", covers="all_but_otp")
    other = await rooms.create_list(rt, "key_1", MINE, name="other")
    rows = [Wanted(f"+3361000{n:04}") for n in range(1_200)]
    seen: list[int] = []
    done = await rooms.import_rows(rt, "key_1", made, rows, tell=seen.append)
    assert done == (1_200, 1_200, 0) and seen == [500, 1_000, 1_200]
    assert await rooms.import_rows(rt, "key_1", made, rows) == (1_200, 0, 1_200)
    await rooms.import_rows(rt, "key_1", other, rows[:3])
    assert [(one.name, size) for one, size in await rooms.lists(rt, MINE)] == [("other", 3), ("old", 1_200)]
    assert await code(rt, "+33610001199", purpose="service") == "opted_out"
    with pytest.raises(Refused) as refused:
        await rooms.create_list(rt, "key_1", MINE, name="old")
    assert refused.value.code == "duplicate_name"
    await rooms.delete_list(rt, "key_1", made)
    await eventually(lambda: _gone(rt, "old"))
    assert await code(rt, "+33610001199") is None
    assert await code(rt, "+33610000002") == "opted_out", "the other list holds it still"
    assert await code(rt, "+33610000000") == "opted_out", "they said so themselves"
    assert (await rooms.size(rt, other)) == 3
    with pytest.raises(Refused) as refused:
        await rooms.import_rows(rt, "key_1", made, rows[:1])
    assert refused.value.code == "list_being_deleted"
    kinds = [(one.action, one.kind) for one in await audit_entries(rt, MINE.account_id)]
    assert kinds[0] == ("delete", "suppression_list") and kinds.count(("import", "suppression_list")) == 3


async def _gone(rt: Runtime, name: str) -> bool:
    return name not in [one.name for one, _ in await rooms.lists(rt, MINE)]


async def test_a_deletion_that_broke_off_goes_on_and_the_rest_forbids_meanwhile(rt: Runtime) -> None:
    made = await rooms.create_list(rt, "key_1", MINE, name="old")
    await rooms.import_rows(rt, "key_1", made, [Wanted(f"+3361000{n:04}") for n in range(700)])
    await rooms.delete_list(rt, "key_1", made)
    asked = {"account_id": 7, "test": 0, "name": "old", "limit": 500}
    await rt.store.write(store.DROP_LISTED(asked))  # and then the node ends
    [(one, size)] = await rooms.lists(rt, MINE)
    assert one.deleted_at is not None and size == 200
    with pytest.raises(Refused):
        await rooms.list_named(rt, MINE, "old")
    await rt.jobs.start(rt)
    await eventually(lambda: _gone(rt, "old"))
    assert await rows_in(rt, "suppressions") == 0


async def test_of_two_rows_about_the_same_the_stricter_holds_whatever_their_order(rt: Runtime) -> None:
    made = await rooms.create_list(rt, "key_1", MINE, name="old")
    soon, late = rt.clock.now() + 60_000, rt.clock.now() + DAY_MS
    strict, mild = Wanted(ALICE, covers="all", expires_at=soon), Wanted(ALICE, covers="marketing", expires_at=late)
    for rows in ((strict, mild), (mild, strict)):
        await rooms.import_rows(rt, "key_1", made, rows)
        found = await only(rt, list_name="old")
        assert (found.covers, found.expires_at) == ("all", late)
        await rooms.lift(rt, "key_1", found, operator=False)


async def test_a_list_says_what_its_rows_do_not(rt: Runtime) -> None:
    end = rt.clock.now() + DAY_MS
    made = await rooms.create_list(
        rt, "key_9", EVERYONE, name="33700", reason="complaint", channel="sms", expires_at=end
    )
    await rooms.import_rows(rt, "key_9", made, [Wanted(ALICE), Wanted(BOB, covers="marketing", expires_at=end + 5)])
    of = {one.person: one for one in await rooms.search(rt, EVERYONE)}
    told = [(one.channel, one.covers, one.reason, one.expires_at) for one in (of[ALICE], of[BOB])]
    assert told == [("sms", "all_but_otp", "complaint", end), ("sms", "marketing", "complaint", end + 5)]


async def test_an_export_is_imported_again_as_it_was(rt: Runtime) -> None:
    end = rt.clock.now() // 1000 * 1000 + DAY_MS
    made = await rooms.create_list(rt, "key_1", MINE, name="old")
    given = [
        Wanted(ALICE, "sms", "sender", "Acme; Söhne", "all", 'He said "no"', end),
        Wanted("mail:a@b.example", covers="marketing"),
    ]
    await rooms.import_rows(rt, "key_1", made, given)
    gone = Wanted(BOB)
    await rooms.import_rows(rt, "key_1", made, [gone])
    await rt.store.write(sql("update suppressions set person = null where person = :who")({"who": BOB}))
    written = b"".join([piece async for piece in rooms.export_csv(rt, MINE, list_name="old")])
    rows = Rows(written, rt.clock.now())
    assert sorted(rows) == sorted(given) and len(rows.faults) == 0
    assert BOB.encode() not in written, "forgotten"


# -- files ---------------------------------------------------------------------------------------------------------


def read(text: str, **how: Any) -> tuple[list[Wanted], list[tuple[int, str, str]]]:
    rows = Rows(text.encode(), NOW, **how)
    return list(rows), [fault[:3] for fault in rows.faults]


def test_a_file_is_a_table_or_a_number_a_line() -> None:
    bare, faults = read(f"{ALICE}\n+33 6 87 65 43 21\n\nmail:A@b.example\n")
    assert ([one.person for one in bare], faults) == ([ALICE, BOB, "mail:a@b.example"], [])
    table, faults = read(
        "Nom;Téléphone;covers;reason\nA;06 12 34 56 78;all;Il a appelé\n", defaults=Defaults(country="FR")
    )
    assert (table, faults) == ([Wanted(ALICE, covers="all", note="Il a appelé")], [])
    placed, faults = read(f"x,{ALICE}\n", mapping={"person": 2})
    assert ([one.person for one in placed], faults) == ([ALICE], [])
    [scoped], faults = read(f"number,scope,value,expires_at\n{ALICE},Country,fr,2027-01-31\n")
    assert (scoped.scope, scoped.value, faults) == ("country", "FR", [])
    assert scoped.expires_at == 1_801_440_000_000, "the end of that day"
    [filled], _ = read(ALICE, defaults=Defaults(scope="brand", value="Hats", covers="all", expires_at=NOW + 1))
    assert filled == Wanted(ALICE, scope="brand", value="Hats", covers="all", expires_at=NOW + 1)


def test_every_fault_of_a_file_is_told_with_its_line_and_column() -> None:
    good, faults = read(
        "person,channel,scope,value,covers,expires_at\n"
        f"{ALICE},,,,,\n"
        "12345,,,,,\n"
        f"{ALICE},fax,,,,\n"
        f"{ALICE},,sender,,,\n"
        f"{ALICE},,,Acme,,\n"
        f"{ALICE},,country,XX,,\n"
        f"{ALICE},,,,everything,\n"
        f"{ALICE},,,,,tomorrow\n"
        f"{ALICE},,,,,2001-01-01\n"
        ",sms,,,,\n"
        "mail:nobody,,,,,\n"
    )
    assert [one.person for one in good] == [ALICE]
    assert faults == [
        (3, "person", "number_not_e164"),
        (4, "channel", "invalid_value"),
        (5, "value", "missing_field"),
        (6, "value", "invalid_value"),
        (7, "value", "invalid_value"),
        (8, "covers", "invalid_value"),
        (9, "expires_at", "invalid_value"),
        (10, "expires_at", "invalid_value"),
        (11, "person", "value_missing"),
        (12, "person", "invalid_value"),
    ]
    for text, code in (("", "empty"), ("a;b\n1;2\n", "column_missing"), ("PK\x03\x04", "not_text")):
        assert [fault[2] for fault in read(text)[1]][:1] == [code], text


@given(st.binary(max_size=300))
def test_no_file_makes_reading_stumble(data: bytes) -> None:
    rows, streamed = Rows(data, NOW), Rows(io.BytesIO(data), NOW)
    found = list(rows)
    assert all(one.person for one in found)
    assert (list(streamed), list(streamed.faults)) == (found, list(rows.faults))
    assert found or len(rows.faults), "what gives no row has a reason"


@given(st.sets(st.integers(0, 100), min_size=1), st.integers(0, 5), st.integers(1, 40))
def test_a_number_is_given_up_when_enough_of_the_last_days_say_so(days: set[int], after: int, within: int) -> None:
    expected = after > 0 and len([day for day in days if max(days) - day < within]) >= after
    assert Gone(after, within).reached(days) is expected


# -- in time -------------------------------------------------------------------------------------------------------


async def test_what_has_expired_is_deleted_in_slices_and_nothing_else(rt: Runtime, monkeypatch: Any) -> None:
    monkeypatch.setattr(jobs, "SLICE", 3)
    soon = rt.clock.now() + 60_000
    await add(rt, *(Wanted(f"+3361000{n:04}", expires_at=soon) for n in range(10)))
    await add(rt, Wanted(ALICE), Wanted(BOB, expires_at=soon + 2 * DAY_MS))
    await jobs.expire(Gone(), rt)
    assert await rows_in(rt, "suppressions") == 12
    rt.clock.ahead_ms = DAY_MS  # type: ignore[attr-defined]
    await jobs.expire(Gone(), rt)
    assert {one.person for one in await rooms.search(rt, MINE)} == {ALICE, BOB}


def unknown(rt: Runtime, day: int, person: str = ALICE, **fields: Any) -> MessageUpdated:
    at = rt.clock.now() - day * DAY_MS
    told = {"account_id": 7, "state": "undelivered", "sequence": 6, "error": {"code": "unknown_subscriber"}, **fields}
    return MessageUpdated(message_id=rt.ids.next(), to=person, created_at=at, occurred_at=at, **told)


async def heard(rt: Runtime, *events: MessageUpdated) -> None:
    await rt.events.write(tell=events)


async def _days(rt: Runtime, count: int) -> bool:
    return await rows_in(rt, "unknown_subscribers") == count


async def test_a_number_that_networks_do_not_know_on_three_days_is_given_up_for_a_while(rt: Runtime) -> None:
    await rt.events.start(rt)
    await rt.jobs.start(rt)
    await heard(rt, unknown(rt, 2), unknown(rt, 2), unknown(rt, 1), unknown(rt, 2, BOB), unknown(rt, 1, BOB))
    await heard(rt, unknown(rt, 0, BOB, error={"code": "absent_subscriber"}), unknown(rt, 0, BOB, state="sent"))
    await eventually(lambda: _days(rt, 4))
    assert await code(rt) is None, "two days, three messages"
    await heard(rt, unknown(rt, 0))
    await eventually(lambda: _suppressed(rt))
    found = await only(rt)
    assert (found.person, found.reason, found.source, found.covers) == (ALICE, "disconnected", "carrier", "all")
    assert await code(rt, purpose="otp") == "opted_out" and await code(rt, whose=THEIRS) is None
    assert abs((found.expires_at or 0) - rt.clock.now() - 90 * DAY_MS) < DAY_MS
    assert await _days(rt, 2), "those of the other number"
    await rooms.lift(rt, "key_1", found, operator=False)
    await heard(rt, unknown(rt, 0))
    await eventually(lambda: _days(rt, 3))
    assert await code(rt) is None, "after that it takes as many days again"


async def _suppressed(rt: Runtime) -> bool:
    rt.store.poke(TOPIC)
    return bool(await rooms.search(rt, MINE))


async def test_the_job_that_gives_up_a_number_may_run_again_and_tells_it_once(rt: Runtime) -> None:
    told: list[Sequence[Any]] = []
    write = rt.events.write

    async def spy(*ops: Any, tell: Sequence[Any], wake: Sequence[str] = ()) -> list[Any]:
        told.append(tell)
        return await write(*ops, tell=tell, wake=wake)

    rt.events.write = spy  # type: ignore[method-assign]
    payload = [{"account_id": 7, "test": False, "person": ALICE, "at": rt.clock.now()}]
    for _ in range(2):
        await disconnected._suppress(Gone(), rt, payload)
    assert [len(one) for one in told] == [1, 0]
    assert (await only(rt)).reason == "disconnected"


async def test_days_that_count_no_more_are_forgotten(rt: Runtime) -> None:
    today = rt.clock.now() // DAY_MS
    await rt.store.write(store.ADD_DAYS([(1, today), (1, today - 29), (1, today - 30), (2, today - 90)]))
    await jobs.expire(Gone(), rt)
    assert await rows_in(rt, "unknown_subscribers") == 2


async def test_a_slice_that_cannot_be_written_leaves_whole_slices_and_the_same_call_again_ends_it(
    rt: Runtime, monkeypatch: Any
) -> None:
    """The store goes away in the middle of a call: whoever repeats it gets the answer for all."""
    monkeypatch.setattr("chappe.consent.suppressions.adding.SLICE", 4)
    write, written = rt.events.write, 0

    async def away(*ops: Any, **how: Any) -> list[Any]:
        nonlocal written
        written += 1
        if written == 2:
            raise Unavailable("away")
        return await write(*ops, **how)

    monkeypatch.setattr(rt.events, "write", away)
    wanted = [Wanted(f"+3361000{n:04}") for n in range(6)]
    with pytest.raises(Unavailable):
        await add(rt, *wanted)
    assert len(await rooms.search(rt, MINE)) == 4
    again = await add(rt, *wanted)
    assert [one.created for one in again] == [False] * 4 + [True] * 2
    assert len(await rooms.search(rt, MINE)) == 6


def test_the_defaults_of_covers_know_every_reason() -> None:
    assert set(model.COVERED) == set(consent.REASONS)
