"""Messages that wait for a reviewer: let go, failed, taken back, whatever happens meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from chappe import fraud
from chappe.errors import Refused
from chappe.fraud import Layer, Review
from chappe.messages import change, explain, get, query, review_store, reviews, store
from chappe.messages.content import content_again, content_verdict
from chappe.messages.model import Refusal, Submission, Wire
from chappe.numbers import parse
from chappe.storage import sql
from tests.messages.conftest import World

TEXT = "New shoes: https://shop.example.net/a"
HOUR = 3_600_000
_DUE = sql("select due_at from queue where message_id = :id")
_SOON = sql("update messages set send_at = :now where id = :id")


async def policy(world: World, **said: Any) -> None:
    known = fraud.policies(world.rt)
    await fraud.set_layer(world.rt, "test", known, world.account_id, Layer(**said), by_operator=True)


async def reviewing(world: World) -> None:
    await policy(world, actions={"link_unlisted": "review"})


async def held(world: World, count: int = 1, **fields: Any) -> list[int]:
    """Messages that were accepted for later when the policy was milder, and are held now that their time has come."""
    later = world.rt.clock.now() + HOUR
    taken = [await world.send(text=f"{TEXT}{n}", send_at=later, **fields) for n in range(count)]
    await reviewing(world)
    now, rows, due = world.rt.clock.now(), [], []
    for one in taken:
        message = await get(world.rt, None, one.id)
        verdict = content_again(world.pipeline, message, now)
        assert isinstance(verdict, fraud.Held)
        rows.append((message.id, message.account_id, verdict))
        due.append((message.id, reviews.held_until(message.expires_at)))
    await world.rt.store.write(*fraud.hold(rows, now, world.rt.ids), store.POSTPONE(due, expect=len(due)))
    return [one.id for one in taken]


async def soon(world: World, ids: list[int]) -> None:
    """The customer wanted them now."""
    for one in ids:
        await world.rt.store.write(_SOON({"id": one, "now": world.rt.clock.now()}))


async def opened(world: World) -> Review:
    [review] = await fraud.reviews(world.rt, world.account_id, "open", 1 << 62, 10)
    return review


async def due_at(world: World, message_id: int) -> int | None:
    rows = await world.rt.store.read(_DUE({"id": message_id}))
    return rows[0][0] if rows else None


async def test_what_was_approved_leaves_and_history_says_who_decided(world: World) -> None:
    ids = await held(world, 3)
    await soon(world, ids)
    review = await opened(world)
    assert (review.count, review.sender, await fraud.waiting(world.rt, review)) == (3, "Acme", 3)
    await reviews.decide(world.pipeline, "key_1", review, "approved")
    parts = await world.parts(3)
    assert sorted(part.message_id for part in parts) == sorted(ids)
    assert await fraud.waiting(world.rt, review) == 0
    told = [step.data for step in (await explain(world.rt, None, ids[0])).steps if step.kind == "reviewed"]
    assert told == [{"review": "approved", "by": "key_1"}]


async def test_nothing_lets_a_held_message_go_but_a_decision(world: World) -> None:
    [message_id] = await held(world)
    message = await get(world.rt, None, message_id)
    due = await due_at(world, message_id)
    assert due is not None and due > message.expires_at
    await reviews.settle(world.pipeline)
    await reviews.tidy(world.pipeline)
    assert await due_at(world, message_id) == due
    assert await fraud.in_review(world.rt, message_id) == ((await opened(world)).id, "open")


async def test_what_is_approved_before_its_time_waits_for_it(world: World) -> None:
    [message_id] = await held(world)
    message = await get(world.rt, None, message_id)
    await reviews.decide(world.pipeline, "key_1", await opened(world), "approved")
    assert await due_at(world, message_id) == message.send_at
    assert await world.state(message_id) == "scheduled"


async def test_what_was_rejected_fails_with_the_reason_and_is_told(world: World) -> None:
    ids = await held(world, 2)
    await reviews.decide(world.pipeline, "key_1", await opened(world), "rejected", note="Not your shop.")
    for one in ids:
        message = await get(world.rt, None, one)
        assert message.state.word == "failed"
        assert message.error is not None and '"content_rejected"' in message.error and "Not your shop." in message.error
        await world.until(lambda one=one: world.states(one) == ["failed"])
        assert await due_at(world, one) is None
    again = content_again(world.pipeline, message, world.rt.clock.now())
    assert isinstance(again, Refusal) and again.code == "content_suspicious" and "Not your shop." in again.message


async def test_an_approval_is_taken_back_for_what_has_not_left(world: World) -> None:
    ids = await held(world, 2)
    review = await reviews.decide(world.pipeline, "key_1", await opened(world), "approved")
    await soon(world, ids[:1])
    await world.rt.store.write(review_store.RELEASE_HELD([(ids[0], world.rt.clock.now())]))
    await world.parts(1)
    await reviews.decide(world.pipeline, "key_2", review, "rejected")
    assert await world.state(ids[1]) == "failed"
    assert await world.state(ids[0]) == "queued"  # it is on the wire
    world.link.answer(world.link.taken[0])
    await world.settle()
    assert await world.state(ids[0]) == "sent"


async def test_a_decision_is_carried_out_in_slices_however_often_it_breaks_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await held(world, 5)
    monkeypatch.setattr(reviews, "SLICE", 2)
    review = await opened(world)
    await reviews.decide(world.pipeline, "key_1", review, "rejected")
    assert await fraud.waiting(world.rt, review) == 3  # the process dies here: the rest is still written down
    monkeypatch.setattr(reviews, "MOST_SLICES", 1)
    await reviews.settle(world.pipeline)
    assert await fraud.waiting(world.rt, review) == 1
    await reviews.settle(world.pipeline)
    await reviews.settle(world.pipeline)
    assert [await world.state(one) for one in ids] == ["failed"] * 5
    for one in ids:
        steps = [step.kind for step in (await explain(world.rt, None, one)).steps]
        assert steps.count("reviewed") == steps.count("failed") == 1
    assert [one.id for one in await fraud.unsettled(world.rt, 10)] == [review.id]  # until no node is late any more
    monkeypatch.setattr(reviews, "LATE_MS", -1)
    await reviews.settle(world.pipeline)
    assert await fraud.unsettled(world.rt, 10) == []


async def test_a_node_that_hears_late_of_a_decision_holds_nothing_for_ever(world: World) -> None:
    await held(world)
    review = await opened(world)
    await reviews.decide(world.pipeline, "key_1", review, "approved")
    late = await world.send(text=TEXT, send_at=world.rt.clock.now() + HOUR)
    why = fraud.Held(review.digest, review.sender, "FR", "transactional", TEXT, ())
    await world.rt.store.write(*fraud.hold([(late.id, world.account_id, why)], world.rt.clock.now(), world.rt.ids))
    assert await fraud.waiting(world.rt, review) == 1
    await reviews.settle(world.pipeline)
    assert await fraud.waiting(world.rt, review) == 0


async def test_what_the_account_takes_back_is_canceled(world: World) -> None:
    ids = await held(world, 2)
    review = await reviews.decide(world.pipeline, "key_1", await opened(world), "withdrawn")
    assert [await world.state(one) for one in ids] == ["canceled", "canceled"]
    await reviewing(world)
    message = await get(world.rt, None, ids[0])
    assert isinstance(content_again(world.pipeline, message, world.rt.clock.now()), fraud.Held)
    with pytest.raises(Refused) as refused:
        await reviews.decide(world.pipeline, "key_1", review, "withdrawn")
    assert refused.value.code == "review_state"


async def test_a_message_that_its_customer_canceled_stays_canceled_and_its_review_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one, other] = await held(world, 2)
    await change.cancel(world.pipeline, world.account_id, one, "key_1")
    review = await opened(world)
    await change.cancel(world.pipeline, world.account_id, other, "key_1")
    await reviews.tidy(world.pipeline)
    assert (await fraud.found_review(world.rt, review.id)).state == "open"
    monkeypatch.setattr(reviews, "LATE_MS", -1)
    await reviews.tidy(world.pipeline)
    ended = await fraud.found_review(world.rt, review.id)
    assert ended.state == "expired"
    await reviews.decide(world.pipeline, "key_1", ended, "approved")
    await reviews.settle(world.pipeline)
    assert [await world.state(n) for n in (one, other)] == ["canceled", "canceled"]


async def test_of_two_who_decide_the_second_is_told(world: World) -> None:
    await held(world)
    review = await opened(world)
    await reviews.decide(world.pipeline, "key_1", review, "approved")
    with pytest.raises(Refused) as refused:
        await reviews.decide(world.pipeline, "key_2", review, "rejected")
    assert refused.value.code == "conflict"


# -- what accept asks ----------------------------------------------------------------------------------------------


def verdict(world: World, text: str | None = TEXT, **fields: Any) -> Any:
    submission: Submission = world.submission(text=text, purpose="marketing", **fields)
    return content_verdict(world.pipeline, submission, parse("+33612345678"), "Acme", text, world.rt.clock.now())


async def test_a_refusal_says_what_is_wrong_and_what_to_do(world: World) -> None:
    refusal = verdict(world, "Your parcel: https://bit.ly/3x")
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.param, refusal.final) == ("content_suspicious", "text", True)
    assert refusal.message.startswith("bit.ly is a public shortener") and refusal.message.endswith("of your own.")


async def test_a_verdict_is_held_noted_or_none(world: World) -> None:
    await reviewing(world)
    told = verdict(world)
    assert isinstance(told, fraud.Held)
    assert told.told == {"action": "review", "findings": ["link_unlisted"]}
    noted = verdict(world, test=True)
    assert isinstance(noted, fraud.Noted)
    assert noted.told == {"action": "allow", "findings": ["link_unlisted"], "would": "review"}
    assert verdict(world, "See you at noon.") is None
    assert verdict(world, origin="reply") is None
    await policy(world, mode="observe", actions={"link_unlisted": "block"})
    noted = verdict(world)
    assert isinstance(noted, fraud.Noted) and noted.would == "block"


async def test_octets_that_are_a_text_are_read(world: World) -> None:
    text = "Your parcel: https://bit.ly/3x"
    for coding, charset in ((8, "utf-16-be"), (3, "latin-1"), (0, "ascii")):
        for udh in (b"", bytes.fromhex("0500030a0201")):
            wire = Wire(data=text.encode(charset), data_coding=coding, udh=udh)
            assert isinstance(verdict(world, None, wire=wire), Refusal), (coding, udh)
    assert verdict(world, None, wire=Wire(data=text.encode(), data_coding=4)) is None


async def test_a_message_is_held_when_it_is_accepted_and_leaves_when_it_is_approved(world: World) -> None:
    await reviewing(world)
    accepted = await world.send(text=TEXT)
    assert accepted.state.word == "scheduled"
    due = await due_at(world, accepted.id)
    assert due == reviews.held_until(accepted.expires_at)
    steps = (await query.explain(world.rt, None, accepted.id)).steps
    assert steps[0].data is not None and steps[0].data["content"]["findings"] == ["link_unlisted"]
    await reviews.decide(world.pipeline, "key_1", await opened(world), "approved")
    [part] = await world.parts(1)
    assert part.message_id == accepted.id
