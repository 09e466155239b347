"""A person sees everything that an account holds of them, and nothing of others."""

from __future__ import annotations

from chappe import privacy
from tests.privacy.conftest import ALICE, BOB, DIGITS, HERE, World, world

__all__ = ["world"]


async def test_everything_held_of_a_person_is_shown_and_nothing_else(world: World) -> None:
    mine = await world.furnish(world.acme, number=HERE)
    await world.pending(world.acme, ALICE, mine["message"])
    await world.furnish(world.acme, BOB)
    await world.furnish(world.rival)
    found = await world.exported(world.acme)
    [end] = found.pop("end")
    [begin] = found.pop("export")
    assert begin["person"] == ALICE
    assert end["counts"] == {kind: len(records) for kind, records in found.items()}
    assert len(found["event"]) >= 2, "those of the test's own reactions are pruned now and then"
    assert {**end["counts"], "event": 2} == {
        "message": 1,
        "inbound": 1,
        "consent_entry": 2,
        "consent": 1,
        "suppression": 1,
        "reply": 1,
        "lookup": 1,
        "event": 2,
        "smpp_delivery": 1,
        "webhook_delivery": 2,
    }
    [message], [written] = found["message"], found["inbound"]
    assert (message["text"], message["to"], message["status"]) == (f"Hello {ALICE}", ALICE, "delivered")
    assert message["metadata"] == {"name": "Alice"} and message["correlation_id"] == "order 7"
    assert [step["kind"] for step in message["steps"]] == ["accepted", "answered", "receipt"]
    assert (written["from"], written["text"]) == (ALICE, f"Call me at {ALICE}")
    assert {entry["event"]: entry["proof"]["ip"] for entry in found["consent_entry"]} == {
        "given": "192.0.2.7",
        "withdrawn": "192.0.2.7",
    }
    assert all(entry["salt"] and entry["commitment"] for entry in found["consent_entry"])
    assert found["suppression"][0]["reason"] == "opt_out"
    assert found["lookup"][0]["given"] == f"0{DIGITS[2:]}"
    account = {record["account_id"] for records in found.values() for record in records}
    assert len(account) == 1
    counted = await privacy.count(world.rt, world.acme, False, ALICE)
    assert {**counted, "event": 2} == {**end["counts"], "event": 2}
    assert await privacy.count(world.rt, world.acme, True, ALICE) == {}, "no test key brought anything in"


async def test_the_operator_sees_all_accounts_and_what_is_nobodys(world: World) -> None:
    await world.furnish(world.acme, number=HERE)
    await world.furnish(world.rival)
    assert await world.pipes.link.receipt("unheard-of", destination=f"00{DIGITS}", raw=b"x")
    assert await world.pipes.link.inbound(DIGITS, "33600000000", "Is anybody there?")
    await world.pipes.settle()
    found = await world.exported(None)
    assert len(found["message"]) == 2 and len({one["account_id"] for one in found["message"]}) == 2
    assert [one["text"] for one in found["inbound"] if one["account_id"] is None] == ["Is anybody there?"]
    assert len(found["parked_receipt"]) == 1
    assert len(found["lookup_answer"]) == 1


async def test_of_nobody_there_is_nothing(world: World) -> None:
    await world.furnish(world.acme, number=HERE)
    for person in ("+33612345679", "+3361234567", "mail:alice@example.com", 'alias:"%_'):
        found = await world.exported(None, person)
        assert found.pop("end") == [{"kind": "end", "counts": {}}]
        assert list(found) == ["export"]
