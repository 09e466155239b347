"""A person is forgotten: nothing of them is left but hashes, and no message reaches them any more."""

from __future__ import annotations

from typing import Any

import pytest

from chappe import consent, messages, privacy
from chappe.consent.sealing import seal
from chappe.consent.verifying import verify
from chappe.errors import Refused
from chappe.messages import Refusal
from chappe.privacy import erasing
from chappe.storage import Unavailable, sql
from chappe.storage.schema import metadata
from tests.privacy.conftest import ALICE, BOB, DIGITS, HERE, NOW, World, world

__all__ = ["world"]


async def traces(world: World, digits: str = DIGITS) -> set[str]:
    """Every table that has the number in any column of any row."""
    found = set()
    for name in metadata.tables:
        for row in await world.rt.store.scan(sql(f"select * from {name}")()):
            told = " ".join(bytes(v).decode("latin-1") if isinstance(v, bytes | memoryview) else str(v) for v in row)
            if digits in told or digits[2:] in told or "Hello" in told:
                found.add(name)
    return found


async def test_an_erasure_leaves_no_trace_in_any_table(world: World) -> None:
    mine = await world.furnish(world.acme, number=HERE)
    await world.pending(world.acme, ALICE, mine["message"])
    assert {"messages", "history", "inbound", "consent_entries", "webhook_attempts", "lookup_chunks"} <= await traces(
        world
    )
    erasure = await world.erase()
    assert await traces(world) >= {"erasures"}
    first = await world.run(erasure)
    assert first.status == "waiting" and first.counts.pop("event") >= 2
    assert first.counts == {
        "message": 1,
        "inbound": 1,
        "consent_entry": 2,
        "consent": 1,
        "suppression": 1,
        "reply": 1,
        "lookup": 1,
        "lookup_answer": 1,
        "smpp_delivery": 1,
        "webhook_delivery": 2,
    }
    second = await world.run(erasure)
    assert second.status == "finished" and {**second.counts, **first.counts} == second.counts
    assert await traces(world) == set()
    assert await world.run(erasure) == second, "a job that comes again does nothing"


async def test_statistics_money_and_ledger_stay_right(world: World) -> None:
    mine = await world.furnish(world.acme, number=HERE)
    await world.furnish(world.acme, BOB)
    await seal(world.rt)
    before = await verify(world.rt)
    erasure = await world.erase()
    await world.run(erasure)
    message = await messages.get(world.rt, world.acme, mine["message"])
    key = consent.persons(world.rt).key(world.acme, False, ALICE)
    assert message.recipient == privacy.alias(key) and consent.key_of_gone(message.recipient) == key
    assert (message.state.word, message.country, message.tags) == ("delivered", "FR", '["shop"]')
    assert (message.text, message.metadata, message.correlation_id) == (None, None, None)
    [sent] = await world.inbound(world.acme)
    assert (sent.source, sent.recipient, sent.text) == (message.recipient, f"+{HERE}", None)
    [after] = await verify(world.rt)
    assert [one.fault for one in before] == [None] and after.fault is None
    assert (after.entries, after.proofs, after.erased) == (4, 2, 2)
    assert after.head == before[0].head


async def test_who_is_forgotten_is_refused_from_that_moment(world: World) -> None:
    await world.said(world.acme, "given")
    await world.erase()
    for purpose in ("marketing", "transactional", "otp"):
        [told] = await world.house.accept([world.pipes.submission(purpose=purpose)])
        assert isinstance(told, Refusal) and told.code == "opted_out", purpose
    [other] = await world.house.accept([world.pipes.submission(account_id=world.rival, sender="Rival")])
    assert not isinstance(other, Refusal), "another account's word is not this one's"
    rows = await world.rt.store.scan(sql("select person, reason, covers, scope, note from suppressions")())
    assert (None, "erased", "all", "account", "") in [tuple(row) for row in rows]


async def test_a_refusal_still_holds_when_nobody_knows_whose_it_is(world: World) -> None:
    await world.said(world.acme, "withdrawn")
    erasure = await world.erase(suppress=False)
    await world.run(erasure)
    [told] = await world.house.accept([world.pipes.submission(purpose="marketing")])
    assert isinstance(told, Refusal) and told.code == "opted_out"
    [told] = await world.house.accept([world.pipes.submission(purpose="otp")])
    assert not isinstance(told, Refusal)


async def test_a_consent_without_its_proof_is_none(world: World) -> None:
    await world.said(world.acme, "given")
    await world.run(await world.erase(suppress=False))
    [told] = await world.house.accept([world.pipes.submission(purpose="marketing")])
    assert isinstance(told, Refusal) and told.code == "consent_missing"


async def test_what_waits_is_taken_back_and_what_is_under_way_is_erased_when_it_is_final(world: World) -> None:
    pipes = world.pipes
    sent = await pipes.send()
    provider_id = pipes.link.answer((await pipes.parts(1))[0])
    await pipes.becomes(sent.id, "sent")
    later = await pipes.send(send_at=NOW() + 86_400_000)
    erasure = await world.erase()
    first = await world.run(erasure)
    assert (first.status, first.counts["canceled"], first.counts["message"]) == ("waiting", 1, 1)
    assert await pipes.state(later.id) == "canceled"
    second = await world.run(erasure)
    assert second.status == "waiting", "its receipt is matched by the number"
    assert await pipes.link.receipt(provider_id, destination=DIGITS)
    await pipes.becomes(sent.id, "delivered")
    third = await world.run(erasure)
    assert (third.status, third.counts["message"]) == ("finished", 2)
    assert await traces(world) == set()


async def test_a_message_that_never_becomes_final_does_not_hold_it_up_for_ever(world: World) -> None:
    sent = await world.pipes.send()
    world.pipes.link.answer((await world.pipes.parts(1))[0])
    await world.pipes.becomes(sent.id, "sent")
    erasure = await world.erase()
    assert (await world.run(erasure)).status == (await world.run(erasure)).status == "waiting"
    world.rt.clock.now = lambda: NOW() + erasing.PATIENCE_MS + 1  # type: ignore[method-assign]
    assert (await world.run(erasure)).status == "finished"
    assert (await messages.get(world.rt, None, sent.id)).recipient.startswith("erased:")


async def test_what_comes_after_the_request_is_left_alone(world: World) -> None:
    erasure = await world.erase(suppress=False)
    mine = await world.furnish(world.acme, number=HERE)
    later = await world.pipes.send(send_at=NOW() + 86_400_000)
    for _ in range(2):
        done = await world.run(erasure)
    assert done.status == "finished"
    assert {kind: done.counts.get(kind, 0) for kind in ("message", "inbound", "webhook_delivery", "canceled")} == {
        "message": 0,
        "inbound": 0,
        "webhook_delivery": 0,
        "canceled": 0,
    }
    assert (await messages.get(world.rt, None, mine["message"])).recipient == ALICE
    assert await world.pipes.state(later.id) == "scheduled"
    assert [one.source for one in await world.inbound(world.acme)] == [ALICE]


async def test_other_accounts_and_other_persons_keep_what_they_have(world: World) -> None:
    await world.furnish(world.acme, number=HERE)
    await world.furnish(world.acme, BOB)
    await world.furnish(world.rival, number="33644600002")
    theirs, bobs = await world.exported(world.rival), await world.exported(world.acme, BOB)
    erasure = await world.erase()
    for _ in range(2):
        await world.run(erasure)

    def what(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        return {kind: records for kind, records in found.items() if kind not in ("export", "end")}

    assert what(await world.exported(world.rival)) == what(theirs)
    assert what(await world.exported(world.acme, BOB)) == what(bobs)
    with pytest.raises(Refused) as refused:
        await privacy.erasure(world.rt, world.rival, erasure.id)
    assert refused.value.code == "not_found"
    assert await privacy.erasures(world.rt, world.rival) == []
    assert [one.id for one in await privacy.erasures(world.rt, world.acme)] == [erasure.id]


async def test_the_operator_has_somebody_forgotten_everywhere(world: World) -> None:
    await world.furnish(world.acme, number=HERE)
    await world.furnish(world.rival, number="33644600002")
    assert await world.pipes.link.receipt("unheard-of", destination=f"00{DIGITS}", raw=DIGITS.encode())
    assert await world.pipes.link.inbound(DIGITS, "33600000000", "Is anybody there?", raw=DIGITS.encode())
    await world.pipes.settle()
    erasure = await privacy.erase(world.rt, None, ALICE, reason="an order of a court", actor="test")
    for _ in range(2):
        erasure = await world.run(erasure)
    assert erasure.status == "finished" and erasure.counts["message"] == 2 and erasure.counts["inbound"] == 3
    assert await traces(world) == set()
    for account_id, sender in ((world.acme, "Acme"), (world.rival, "Rival")):
        [told] = await world.house.accept([world.pipes.submission(account_id=account_id, sender=sender)])
        assert isinstance(told, Refusal) and told.code == "opted_out"


async def test_parts_of_a_long_message_that_wait_for_the_others_go_too(world: World) -> None:
    await world.pipes.link.inbound(DIGITS, HERE, "half", concat=(7, 2, 1), raw=DIGITS.encode())
    await world.pipes.settle()
    assert await world.count("inbound_parts") == 1
    await world.run(await world.erase(world.rival))
    assert await world.count("inbound_parts") == 1
    await world.run(await world.erase())
    assert await world.count("inbound_parts") == 0


async def test_a_crash_at_any_unit_loses_nothing_and_counts_nothing_twice(world: World) -> None:
    mine = await world.furnish(world.acme, number=HERE)
    await world.pending(world.acme, ALICE, mine["message"])
    await world.pipes.send(send_at=NOW() + 86_400_000)
    erasure = await world.erase()
    write, crashes, done = world.rt.store.write, 0, None

    async def broken(*ops: Any, **options: Any) -> list[Any]:
        nonlocal left
        left -= 1
        if left < 0:
            raise Unavailable("killed")
        return await write(*ops, **options)

    while done is None:
        left = crashes % 4
        world.rt.store.write = broken  # type: ignore[method-assign]
        try:
            done = await erasing.run(world.house, {"erasure": erasure.id})
        except Unavailable:
            crashes += 1
        finally:
            world.rt.store.write = write  # type: ignore[method-assign]
    await world.rt.store.write(*done)
    last = await world.run(erasure)
    assert crashes > 4
    assert last.status == "finished"
    counts = dict(last.counts)
    assert counts.pop("webhook_delivery") == 2 and counts.pop("event") >= 2
    canceled = counts.pop("canceled", 0)
    assert canceled <= 1, "it is canceled in a unit of its own"
    assert counts == {
        "message": 2,
        "inbound": 1,
        "consent_entry": 2,
        "consent": 1,
        "suppression": 1,
        "reply": 1,
        "lookup": 1,
        "lookup_answer": 1,
        "smpp_delivery": 1,
    }
    assert await traces(world) == set()


async def test_who_asks_twice_gets_the_same_erasure_and_a_reason_names_nobody(world: World) -> None:
    first = await world.erase()
    assert (await world.erase()).id == first.id
    assert (await world.erase(world.rival)).id != first.id
    for _ in range(2):
        await world.run(first)
    assert (await world.erase()).id != first.id, "it may be asked again when it is over"
    for reason in (f"request of {ALICE}", "he called from 06 12 34 56 78"):
        with pytest.raises(Refused) as refused:
            await privacy.erase(world.rt, world.acme, ALICE, reason=reason, actor="test")
        assert refused.value.param == "reason"
    audit = await world.rt.store.scan(sql("select object, \"after\" from audit_log where kind = 'erasure'")())
    assert len(audit) == 3 and not any(DIGITS in str(row) for row in audit)
