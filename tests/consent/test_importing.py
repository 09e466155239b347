"""Consents from a table: read to the end, told by line, recorded once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chappe import consent
from chappe.consent import Question, importing
from chappe.errors import Refused
from chappe.messages import open_rooms
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.storage import sql

ACCOUNT, NOW = 7, 1_800_000_000_000
TEXT = "I agree to get offers."


@pytest.fixture
async def rt(store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    rt = await open_runtime(Settings(database=store_url, data_dir=tmp_path, secret_key="x" * 32))
    await open_rooms(rt)
    yield rt
    await rt.close()


def reading(data: bytes, **more: Any) -> importing.Reading:
    given = {"account_id": ACCOUNT, "test": False, "actor": "key_1", "now": NOW, **more}
    return importing.Reading(data, **given)


async def allowed(rt: Runtime, person: str) -> str:
    people = consent.persons(rt)
    keys = people.key(ACCOUNT, False, person), people.key(consent.EVERYONES, False, person)
    question = Question(*keys, "sms", "marketing", "", "", "FR", rt.clock.now())
    answer = (await consent.may_send(rt, [question]))[0]
    return "yes" if answer is None else answer.code


async def count(rt: Runtime) -> int:
    return int((await rt.store.read(sql("select count(*) from consent_entries")()))[0][0])


def test_columns_are_found_by_what_others_call_them() -> None:
    data = (
        "Mobile;Opt-in date;Consent text;Version;IP address;Source;Type of consent;Status\n"
        "0612345678;2026-05-01;Oui aux offres;v2;2001:DB8::1;https://acme.example/form;written;opt-in\n"
        "+44 7400 123456;2026-05-01T10:00:00+02:00;Oui;;;;;unsubscribed\n"
    ).encode("cp1252")
    found = reading(data, country="FR")
    [(line, _, first), (_, _, second)] = list(found)
    assert not len(found.faults) and line == 2
    assert (first.proof.person, first.channel, first.event, first.basis) == ("+33612345678", "sms", "given", "written")
    assert (first.at, first.source, first.proof.actor) == (1_777_593_600_000, "import", "key_1")
    assert (first.proof.ip, first.proof.reference) == ("2001:db8::1", "https://acme.example/form")
    assert (first.proof.wording, first.proof.wording_version) == ("Oui aux offres", "v2")
    assert (second.event, second.at, second.proof.person) == ("withdrawn", 1_777_622_400_000, "+447400123456")


def test_every_fault_is_told_by_its_line_and_column() -> None:
    rows = [
        ("12", "2026-01-01", TEXT, "", "", "person", "number_not_e164"),
        ("+33612345678", "soon", TEXT, "", "", "at", "invalid_value"),
        ("+33612345678", "2026-01-01 10:00:00", TEXT, "", "", "at", "invalid_value"),
        ("+33612345678", "2031-01-01", TEXT, "", "", "at", "invalid_value"),
        ("+33612345678", "1066-10-14", TEXT, "", "", "at", "invalid_value"),
        ("+33612345678", "2026-01-01", "", "", "", "wording", "missing_field"),
        ("+33612345678", "2026-01-01", "", "soft opt-in", "", "reference", "missing_field"),
        ("+33612345678", "2026-01-01", TEXT, "hope", "", "basis", "invalid_value"),
        ("+33612345678", "2026-01-01", TEXT, "", "maybe", "event", "invalid_value"),
        ("", "2026-01-01", TEXT, "", "", "person", "value_missing"),
        ("+33612345678", "", TEXT, "", "", "at", "value_missing"),
        ("a@b@c", "2026-01-01", TEXT, "", "", "person", "invalid_value"),
        ("alias:two words", "2026-01-01", TEXT, "", "", "person", "invalid_value"),
        ("+33612345678", "2026-01-01", "x" * 4_001, "", "", "wording", "invalid_value"),
    ]
    cells = [",".join(f'"{cell}"' for cell in row[:5]) for row in rows]
    data = "\n".join(["person,at,wording,basis,event", *cells]).encode()
    found = reading(data)
    assert list(found) == []
    assert [(one.line, one.column, one.code) for one in found.faults] == [
        (line, row[5], row[6]) for line, row in enumerate(rows, 2)
    ]
    assert found.rows == len(rows)


def test_a_file_without_the_columns_says_which_it_has() -> None:
    found = reading(b"who,when\n+33612345678,2026-01-01\n")
    assert list(found) == []
    assert [(one.column, one.code) for one in found.faults] == [("person", "column_missing"), ("at", "column_missing")]
    mapped = reading(
        b"who,when,what\n+33612345678,2026-01-01,yes\n",
        mapping=importing.places(["person=who", "at=2", "wording=what"]),
    )
    assert [entry.proof.wording for _, _, entry in mapped] == ["yes"]
    with pytest.raises(Refused, match="There is no column"):
        importing.places(["colour=3"])


async def test_an_import_is_recorded_once_however_often_it_comes(rt: Runtime) -> None:
    rows = [f"+336{n:08},2026-01-01T00:00:{n % 60:02}Z,{TEXT}" for n in range(1_100)]
    rows.append(rows[0])
    data = ("to,at,wording\n" + "\n".join(rows)).encode()
    ticks: list[int] = []
    assert importing.check(reading(data)) == 1_101
    first = await importing.apply(rt, reading(data), ticks.append)
    assert first == (1_100, 1) and ticks == [500, 1_000, 1_101]
    assert await importing.apply(rt, reading(data)) == (0, 1_101)
    assert await count(rt) == 1_100
    assert await allowed(rt, "+33600000042") == "yes"
    await consent.seal(rt)
    verdict = (await consent.verify(rt, [ACCOUNT], unsealed_s=0))[0]
    assert (verdict.entries, verdict.proofs, verdict.fault) == (1_100, 1_100, None)


async def test_an_import_that_was_cut_short_goes_on_where_it_ended(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ("to,at,wording\n" + "\n".join(f"+336{n:08},2026-01-01,{TEXT}" for n in range(1_200))).encode()
    real, calls = rt.events.write, 0

    async def dying(*ops: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return await real(*ops, **more)

    monkeypatch.setattr(rt.events, "write", dying)
    with pytest.raises(KeyboardInterrupt):
        await importing.apply(rt, reading(data))
    assert await count(rt) == 1_000
    assert await importing.apply(rt, reading(data)) == (200, 1_000)


async def test_what_was_withdrawn_elsewhere_stops_messages_here_and_old_consents_lift_nothing(rt: Runtime) -> None:
    head = "to,at,event,wording\n"
    heard: list[int] = []
    consent.stops(rt).on_stop(heard.extend)
    gone = f"{head}+33612345678,2026-03-01,withdrawn,\n".encode()
    assert await importing.apply(rt, reading(gone)) == (1, 0)
    assert await allowed(rt, "+33612345678") == "opted_out"
    assert set(heard) == {consent.persons(rt).key(ACCOUNT, False, "+33612345678")}
    for at in ("2026-01-01", "2026-05-01"):
        await importing.apply(rt, reading(f"{head}+33612345678,{at},given,{TEXT}\n".encode()))
        assert await allowed(rt, "+33612345678") == "opted_out", "a list is no word of the person"
