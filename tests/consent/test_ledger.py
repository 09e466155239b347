"""Nobody changes what was said unnoticed: sealed in the store, exported, and verified from either."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from chappe import accounts, consent, ids
from chappe.cli import build
from chappe.consent import Entry, Head, Proof, commitments, sealing, store
from chappe.consent.chain import GENESIS, Public, canonical, link
from chappe.consent.exporting import FORMAT, Header, Line
from chappe.consent.verifying import Verdict, verify_export
from chappe.messages import open_rooms
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Settings
from chappe.storage import Conflict, sql

ACCOUNT, OTHER = 7, 8


async def opened(url: str, folder: Path) -> Runtime:
    rt = await open_runtime(Settings(database=url, data_dir=folder, secret_key="x" * 32))
    await open_rooms(rt)
    return rt


@pytest.fixture
async def rt(store_url: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    rt = await opened(store_url, tmp_path)
    yield rt
    await rt.close()


async def said(
    rt: Runtime, count: int = 1, account_id: int = ACCOUNT, *, test: bool = False, first: int = 0
) -> list[int]:
    entries = [
        Entry(
            account_id=account_id,
            test=test,
            event="given",
            channel="sms",
            purpose="marketing",
            source="form",
            at=1_700_000_000_000 + n,
            proof=Proof(f"+336{n:08}", wording="J'accepte les offres d'Acmé \u2028 par \"SMS\".", ip="192.0.2.7"),
            brand="Shoes" if n % 2 else "",
            expires_at=1_900_000_000_000 if n % 3 else None,
        )
        for n in range(first, first + count)
    ]
    recorded = consent.record(rt, entries)
    await rt.events.write(*recorded.ops, tell=recorded.events, wake=(consent.TOPIC,))
    consent.announce(rt, recorded.stopped)
    return recorded.ids


async def exported(rt: Runtime, account_id: int = ACCOUNT, *, test: bool = False) -> list[bytes]:
    return b"".join([lines async for lines in consent.export(rt, account_id, test)]).splitlines(keepends=True)


async def only(rt: Runtime, account_id: int = ACCOUNT) -> Verdict:
    [verdict] = await consent.verify(rt, [account_id])
    return verdict


# -- in the store --------------------------------------------------------------------------------------------------


async def test_what_was_said_is_sealed_in_order_and_proves_itself_in_the_store_and_in_an_export(rt: Runtime) -> None:
    await said(rt, 1_201)
    await said(rt, 3, OTHER)
    await said(rt, 2, ACCOUNT, test=True)
    assert await sealing.seal(rt) == 1_206
    assert await sealing.seal(rt) == 0
    ticks: list[tuple[int, int]] = []
    verdicts = await consent.verify(rt, unsealed_s=0, tell=lambda done, total: ticks.append((done, total)))
    found = [(one.account, one.test, one.entries, one.proofs, one.erased, one.fault) for one in verdicts]
    acme, other = ids.public("acc", ACCOUNT), ids.public("acc", OTHER)
    assert found == [(acme, False, 1_201, 1_201, 0, None), (acme, True, 2, 2, 0, None), (other, False, 3, 3, 0, None)]
    assert ticks[-1] == (1_206, 1_206)
    end = await consent.head(rt, ACCOUNT, False)
    assert verdicts[0].head == end and end.sequence == 1_201
    lines = await exported(rt)
    assert len(lines) == 1_202
    assert verify_export(lines, end.hash) == verdicts[0]
    [empty] = await exported(rt, 99)
    header = msgspec.json.decode(empty, type=Header)
    assert (header.account, header.sequence, header.hash) == (ids.public("acc", 99), 0, GENESIS.hex())
    assert verify_export([empty]).fault is None


async def test_entries_that_a_crash_left_are_sealed_by_whoever_comes_next(store_url: str, tmp_path: Path) -> None:
    dying = await opened(store_url, tmp_path)
    await said(dying, 3)
    await sealing.seal(dying)
    await said(dying, 2, first=3)
    await dying.close()  # without having sealed them
    rt = await opened(store_url, tmp_path)
    await asyncio.sleep(0.01)
    [verdict] = await consent.verify(rt, unsealed_s=0)
    assert verdict.fault is not None and (verdict.fault.code, verdict.entries) == ("unsealed", 3)
    assert (await only(rt)).fault is None, "a minute is allowed"
    assert 0 < await sealing.lag_s(rt) < 60 and await consent.late(rt) is None
    await sealing.seal(rt)
    assert (await sealing.lag_s(rt), (await only(rt)).entries) == (0.0, 5)
    await rt.close()


async def test_an_alarm_is_due_when_nobody_seals(rt: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    await said(rt)
    now = rt.clock.now()
    monkeypatch.setattr(rt.clock, "now", lambda: now + 61_000)
    assert "is not sealed yet" in str(await consent.late(rt))
    assert (await only(rt)).fault is not None


async def test_two_who_seal_at_once_never_fork_the_chain(rt: Runtime) -> None:
    await said(rt, 700)
    await asyncio.gather(sealing.seal(rt), sealing.seal(rt), said(rt, 600, first=700), sealing.seal(rt))
    await sealing.seal(rt)
    verdict = (await consent.verify(rt, unsealed_s=0))[0]
    assert (verdict.entries, verdict.fault) == (1_300, None)
    await said(rt, 2, first=2_000)
    rows = await rt.store.scan(store.UNSEALED({"limit": 10}))
    one, other = await sealing._sealing(rt, rows[:1]), await sealing._sealing(rt, rows[1:])
    await rt.store.write(*one)
    with pytest.raises(Conflict):
        await rt.store.write(*other)  # another entry for the same place
    with pytest.raises(Conflict):
        await rt.store.write(*one)
    assert await sealing.seal(rt) == 1
    assert (await only(rt)).entries == 1_302


async def test_who_is_forgotten_leaves_the_chain_whole(rt: Runtime) -> None:
    made = await said(rt, 3)
    kept = await exported(rt)
    await rt.store.write(sql("update consent_entries set proof = null, salt = null where id = :id")({"id": made[1]}))
    verdict = await only(rt)
    assert (verdict.fault, verdict.entries, verdict.proofs, verdict.erased) == (None, 3, 2, 1)
    lines = await exported(rt)
    assert b"+33600000001" in kept[2] and b"+33600000001" not in b"".join(lines)
    assert verify_export(lines, verdict.head.hash) == verdict


# What somebody with all rights in the database might do; and where and how it shows.
TAMPERING = [
    ("update consent_entries set at = at + 1 where sequence = 3", "changed", 3),
    ("update consent_entries set event = 'withdrawn' where sequence = 3", "changed", 3),
    ("update consent_entries set expires_at = null where sequence = 3", "changed", 3),
    ("update consent_entries set commitment = hash where sequence = 3", "changed", 3),
    ("update consent_entries set hash = commitment where sequence = 3", "changed", 3),
    ("update consent_entries set proof = replace(proof, 'Acm', 'Acn') where sequence = 3", "proof", 3),
    ("update consent_entries set salt = commitment where sequence = 3", "proof", 3),
    ("update consent_entries set salt = null where sequence = 3", "proof", 3),
    ("update consent_entries set person_key = person_key + 1 where sequence = 3", "person", 3),
    ("delete from consent_entries where sequence = 3", "missing", 3),
    ("delete from consent_entries where sequence in (3, 4)", "missing", 3),
    ("delete from consent_entries where sequence = 1", "missing", 1),
    ("delete from consent_entries where sequence = 5", "cut", 5),
    ("delete from consent_entries where sequence > 0", "cut", 1),
    ("update consent_entries set sequence = -sequence where sequence = 3", "missing", 3),
    ("update consent_entries set sequence = 6 where sequence = 3", "missing", 3),
    ("delete from consent_chains where account_id = 7", "head", 5),
    ("update consent_chains set sequence = 4 where account_id = 7", "head", 4),
    ("update consent_chains set hash = (select hash from consent_entries where sequence = 4)", "head", 5),
]


async def test_whatever_is_done_to_the_tables_is_found_at_its_place(store_url: str, tmp_path: Path) -> None:
    rt = await opened(store_url, tmp_path)
    try:
        for number, (change, code, sequence) in enumerate(TAMPERING):
            await _begin_anew(rt)
            await said(rt, 5)
            await said(rt, 2, OTHER)
            assert await sealing.seal(rt) == 7
            where = (
                " and account_id = 7" if change.startswith(("update consent_entries", "delete from consent_e")) else ""
            )
            await rt.store.write(sql(change + where)())
            found = {one.account: one.fault for one in await consent.verify(rt)}
            fault = found[ids.public("acc", ACCOUNT)]
            assert fault is not None, change
            assert (fault.code, fault.sequence) == (code, sequence), (number, change, fault)
            if "(select" not in change:
                assert found[ids.public("acc", OTHER)] is None, change
    finally:
        await rt.close()


async def _begin_anew(rt: Runtime) -> None:
    """Without the triggers, as an administrator might."""
    names = (
        "no_delete",
        "no_rewriting" if rt.store.engine == "sqlite" else "fixed",
        "sequence",
        "hash",
        "salt",
        "proof",
    )
    on = "" if rt.store.engine == "sqlite" else " on consent_entries"
    for name in names:
        await rt.store.write(sql(f"drop trigger if exists consent_entries_{name}{on}")())
    for table in ("consent_entries", "consent_chains", "consents"):
        await rt.store.write(sql(f"delete from {table}")())


# -- the export alone ----------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@st.composite
def ledgers(draw: st.DrawFn) -> list[bytes]:
    """The lines of an export of a few entries, some of them of persons who were forgotten."""
    account, before, lines = ids.public("acc", draw(st.integers(0, 1 << 62))), GENESIS, []
    for sequence in range(1, draw(st.integers(3, 6)) + 1):
        proof = commitments.canonical(Proof(draw(TEXTS), wording=draw(TEXTS), ip=draw(TEXTS)))
        salt = secrets.token_bytes(16)
        entry = Public(
            account=account,
            test=False,
            sequence=sequence,
            id=ids.public("cns", sequence),
            event=draw(st.sampled_from(["given", "withdrawn"])),
            channel="sms",
            purpose="marketing",
            brand=draw(TEXTS),
            basis="express",
            source="api",
            at=draw(st.integers(0, 1 << 42)),
            expires_at=draw(st.none() | st.integers(0, 1 << 42)),
            commitment=commitments.commitment(salt, proof).hex(),
        )
        before = link(before, entry)
        forgotten = draw(st.booleans()) and sequence != 2
        kept: Any = None if forgotten else msgspec.json.decode(proof)
        lines.append(Line(entry=entry, hash=before.hex(), proof=kept, salt=None if forgotten else salt.hex()))
    header = Header(format=FORMAT, account=account, test=False, exported_at="-", sequence=len(lines), hash=before.hex())
    return [canonical(line) + b"\n" for line in (header, *lines)]


@given(ledgers(), st.data())
def test_any_changed_byte_is_found(lines: list[bytes], data: st.DataObject) -> None:
    assert verify_export(lines).fault is None
    number = data.draw(st.integers(1, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[number]) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda one: one != lines[number][place]))
    changed = lines[number][:place] + bytes([octet]) + lines[number][place + 1 :]
    whole = b"".join([*lines[:number], changed, *lines[number + 1 :]])
    verdict = verify_export(whole.splitlines(keepends=True))
    assert verdict.fault is not None and verdict.entries <= number


@given(ledgers(), st.data())
def test_what_is_left_out_moved_or_put_in_between_is_found(lines: list[bytes], data: st.DataObject) -> None:
    last = len(lines) - 1
    one = data.draw(st.integers(1, last))
    other = data.draw(st.integers(1, last).filter(lambda place: place != one))
    entries = lines.copy()
    entries[one], entries[other] = entries[other], entries[one]
    doctored = [
        lines[:one] + lines[one + 1 :],
        entries,
        [*lines[:one], lines[one], *lines[one:]],
        [*lines[: one + 1], _forged(lines[one], {"sequence": one + 1}), *lines[one + 1 :]],
        lines[:one],
        [*lines[:-1], lines[-1][:-1]],
    ]
    for what in doctored:
        assert verify_export(what).fault is not None
    assert verify_export([lines[0]]).fault is not None


@given(ledgers(), st.data())
def test_forgetting_a_proof_leaves_the_export_valid_and_half_of_it_does_not(
    lines: list[bytes], data: st.DataObject
) -> None:
    before = verify_export(lines)
    number = data.draw(st.integers(1, len(lines) - 1))
    line = msgspec.json.decode(lines[number], type=Line)
    gone = msgspec.structs.replace(line, proof=None, salt=None)
    after = verify_export([*lines[:number], canonical(gone) + b"\n", *lines[number + 1 :]])
    assert (after.fault, after.head) == (None, before.head)
    assert after.erased == before.erased + (line.proof is not None)
    half = msgspec.structs.replace(line, proof={"person": "x"}, salt=None)
    fault = verify_export([*lines[:number], canonical(half) + b"\n", *lines[number + 1 :]]).fault
    assert fault is not None and (fault.code, fault.sequence) == ("proof", number)


@given(ledgers())
def test_only_a_hash_that_somebody_kept_tells_a_ledger_that_was_written_anew(lines: list[bytes]) -> None:
    kept = verify_export(lines).head.hash
    before, anew = GENESIS, []
    for raw in lines[1:-1]:
        line = msgspec.json.decode(raw, type=Line)
        entry = msgspec.structs.replace(line.entry, at=line.entry.at + 1)
        before = link(before, entry)
        anew.append(canonical(msgspec.structs.replace(line, entry=entry, hash=before.hex())) + b"\n")
    header = msgspec.json.decode(lines[0], type=Header)
    header = msgspec.structs.replace(header, sequence=len(anew), hash=before.hex())
    doctored = [canonical(header) + b"\n", *anew]
    assert verify_export(doctored).fault is None
    fault = verify_export(doctored, kept).fault
    assert fault is not None and fault.code == "head"
    assert verify_export(lines, kept).fault is None
    middle = bytes.fromhex(msgspec.json.decode(lines[2], type=Line).hash)
    assert verify_export(lines, middle).fault is None, "an earlier end is in every later export"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"\n"],
        [b"{}\n"],
        [b"\xff\xfe\n"],
        [b'{"format":"chappe-consents/9","account":"a","test":false,"exported_at":"","sequence":0,"hash":""}\n'],
        [b"x" * 1_000_000],
    ],
)
def test_what_is_no_export_is_told_from_one(lines: list[bytes]) -> None:
    fault = verify_export(lines).fault
    assert fault is not None and fault.code == "unreadable"


def _forged(raw: bytes, change: dict[str, Any]) -> bytes:
    line = msgspec.json.decode(raw, type=Line)
    return canonical(msgspec.structs.replace(line, entry=msgspec.structs.replace(line.entry, **change))) + b"\n"


# -- the command ---------------------------------------------------------------------------------------------------


async def test_the_command_verifies_exports_and_ends_with_1_at_the_first_broken_place(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("DATABASE", store_url), ("DATA_DIR", str(tmp_path)), ("SECRET_KEY", "x" * 32)):
        monkeypatch.setenv(f"CHAPPE_{name}", value)
    rt = await opened(store_url, tmp_path)
    account = await accounts.create_account(rt, "test", slug="acme", name="Acme")
    made = await said(rt, 4, account.id)
    file = tmp_path / "ledger.jsonl"

    async def chappe(*arguments: str) -> Any:
        given = ["consent", *arguments]
        return await asyncio.to_thread(CliRunner().invoke, build(given), given)

    written = await chappe("export", "--account", "acme", "--out", str(file))
    assert written.exit_code == 0, written.output
    number, head = (await chappe("head", "--account", "acme")).output.split()
    assert number == "4"
    good = await chappe("verify", "--account", "acme")
    assert good.exit_code == 0 and f"4 entries hold, 4 with their proof.\n  head 4 {head}" in good.output
    alone = await chappe("verify", "--export", str(file), "--head", head)
    assert alone.output == good.output and alone.exit_code == 0
    later = await chappe("verify", "--export", str(file), "--head", "ab" * 32, "--json")
    assert later.exit_code == 1 and msgspec.json.decode(later.output)[0]["fault"]["code"] == "head"
    file.write_bytes(file.read_bytes().replace(b"Shoes", b"Boots", 1))
    broken = await chappe("verify", "--export", str(file))
    assert broken.exit_code == 1 and "1 entries hold, then entry 2 does not say what was sealed" in broken.output
    monkeypatch.setattr(rt.clock, "now", lambda: 0)
    await _begin_anew(rt)
    assert (await chappe("verify")).output == "No consent was ever recorded.\n"
    assert made and (await chappe("verify", "--account", "nobody")).exit_code == 1
    assert (await chappe("verify", "--export", str(file), "--head", "xyz")).exit_code == 1
    await rt.close()


assert Head() == (0, GENESIS)
