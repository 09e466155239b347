"""A message's day, on both stores, with a supplier whose every word the test decides."""

from __future__ import annotations

import asyncio

import pytest

from chappe import accounts, connectors, messages
from chappe.batching import Full
from chappe.channels import SendError, Verdict
from chappe.errors import Refused
from chappe.messages import Filter, IdempotencyKey, KeyReused, Refusal, Replay, Wire, store, sweep
from chappe.messages.accept import Call
from chappe.messages.model import decode_json
from chappe.storage import Op, Unavailable, sql
from tests.messages.conftest import NOW, World

THREE_PARTS = "x" * 400


def refused(code: str, verdict: Verdict, **more: object) -> SendError:
    return SendError(code, verdict, supplier="0x00000008 ESME_RSYSERR", **more)  # type: ignore[arg-type]


async def test_a_message_is_sent_and_delivered(world: World) -> None:
    accepted = await world.send()
    [part] = await world.parts(1)
    assert (part.destination, part.sender, part.payload) == ("33612345678", "Acme", b"Bonjour")
    provider_id = world.link.answer(part)
    await world.becomes(accepted.id, "sent")
    assert await world.link.receipt(provider_id)
    assert await world.state(accepted.id) == "delivered"
    await world.until(lambda: world.states(accepted.id) == ["sent", "delivered"])
    explained = await messages.explain(world.rt, world.account_id, accepted.id)
    assert [step.kind for step in explained.steps] == ["accepted", "answered", "receipt"]
    assert await world.rt.store.read(store.BACKLOG()) == []


async def test_a_long_message_is_delivered_when_all_its_parts_are(world: World) -> None:
    accepted = await world.send(text=THREE_PARTS)
    assert accepted.segments == 3
    parts = await world.parts(3)
    names = [world.link.answer(part) for part in parts]
    await world.becomes(accepted.id, "sent")
    await world.link.receipt(names[2])
    await world.link.receipt(names[0])
    assert await world.state(accepted.id) == "sent"
    await world.link.receipt(names[1])
    assert await world.state(accepted.id) == "delivered"


async def test_a_long_message_is_undelivered_when_one_part_is(world: World) -> None:
    accepted = await world.send(text=THREE_PARTS)
    names = [world.link.answer(part) for part in await world.parts(3)]
    await world.settle()
    await asyncio.gather(world.link.receipt(names[0]), world.link.receipt(names[1], "undelivered"))
    assert await world.state(accepted.id) == "undelivered"


async def test_a_receipt_that_comes_before_its_answer_is_matched(world: World) -> None:
    accepted = await world.send()
    [part] = await world.parts(1)
    assert await world.link.receipt("early-1")
    assert await world.state(accepted.id) == "queued"
    world.link.answer(part, id="early-1")
    await world.becomes(accepted.id, "delivered")
    assert await world.rt.store.read(store.PARKED_SINCE({"after": 0, "limit": 10})) == []


async def test_a_repeated_receipt_changes_nothing_and_is_told_once(world: World) -> None:
    accepted = await world.send()
    provider_id = world.link.answer((await world.parts(1))[0])
    await world.settle()
    for _ in range(3):
        assert await world.link.receipt(provider_id)
    await world.until(lambda: "delivered" in world.states(accepted.id))
    await asyncio.sleep(0.05)
    assert world.states(accepted.id) == ["sent", "delivered"]


async def test_an_unknown_receipt_is_acknowledged_and_kept_visible(world: World) -> None:
    assert await world.link.receipt("never-heard-of", raw=b"\x00frame")
    [row] = await world.rt.store.read(store.PARKED_SINCE({"after": 0, "limit": 10}))
    assert row[2] == "never-heard-of"
    assert row[4] == "unknown id"
    assert bytes(row[6]) == b"\x00frame"


async def test_a_receipt_for_another_number_is_not_believed(world: World) -> None:
    accepted = await world.send()
    provider_id = world.link.answer((await world.parts(1))[0])
    await world.settle()
    assert await world.link.receipt(provider_id, destination="33699999999")
    assert await world.state(accepted.id) == "sent"
    [row] = await world.rt.store.read(store.PARKED_SINCE({"after": 0, "limit": 10}))
    assert row[4] == "another number or time"
    assert await world.link.receipt(provider_id, destination="0612345678")
    assert await world.state(accepted.id) == "delivered"


async def test_ids_of_two_suppliers_do_not_meet(world: World) -> None:
    first = await world.send()
    second = await world.send(wire=Wire(connector="spare"))
    world.link.answer((await world.parts(1))[0], id="77")
    world.links["spare"].answer((await world.parts(1, "spare"))[0], id="77")
    await world.settle()
    await world.links["spare"].receipt("77")
    assert await world.state(first.id) == "sent"
    assert await world.state(second.id) == "delivered"


@pytest.mark.parametrize("closed", ["expired", "undelivered"])
async def test_a_late_delivery_lifts_what_was_closed(world: World, closed: str) -> None:
    accepted = await world.send()
    provider_id = world.link.answer((await world.parts(1))[0])
    await world.settle()
    await world.link.receipt(provider_id, closed)
    assert await world.state(accepted.id) == closed
    await world.link.receipt(provider_id)
    assert await world.state(accepted.id) == "delivered"
    await world.link.receipt(provider_id, "undelivered")
    assert await world.state(accepted.id) == "delivered"


async def test_the_last_of_several_receipts_in_one_batch_counts(world: World) -> None:
    accepted = await world.send()
    provider_id = world.link.answer((await world.parts(1))[0])
    await world.settle()
    await asyncio.gather(*(world.link.receipt(provider_id, state) for state in ("enroute", "undelivered", "delivered")))
    assert await world.state(accepted.id) == "delivered"
    explained = await messages.explain(world.rt, world.account_id, accepted.id)
    assert [part.state for part in explained.parts] == ["delivered"]


async def test_intermediate_news_is_history_only(world: World) -> None:
    accepted = await world.send()
    provider_id = world.link.answer((await world.parts(1))[0])
    await world.settle()
    for state in ("enroute", "accepted", "unknown"):
        await world.link.receipt(provider_id, state)
    assert await world.state(accepted.id) == "sent"
    explained = await messages.explain(world.rt, world.account_id, accepted.id)
    told = [step.data["state"] for step in explained.steps if step.kind == "receipt" and step.data]
    assert told == ["enroute", "accepted", "unknown"]


async def test_a_message_whose_receipt_never_comes_is_unconfirmed(world: World) -> None:
    accepted = await world.send(validity_s=5)
    world.link.answer((await world.parts(1))[0], id="slow")
    await world.becomes(accepted.id, "sent")
    await world.rt.store.write(store.SETTLE_PARTS([]))
    await age(world, "update parts set deadline = 1")
    await sweep.give_up_waiting(world.pipeline)
    assert await world.state(accepted.id) == "unconfirmed"
    await world.link.receipt("slow")
    assert await world.state(accepted.id) == "delivered"


async def test_a_permanent_refusal_fails_at_once(world: World) -> None:
    accepted = await world.send()
    world.link.answer((await world.parts(1))[0], error=refused("destination_rejected", Verdict.PERMANENT))
    await world.becomes(accepted.id, "failed")
    message = await messages.get(world.rt, world.account_id, accepted.id)
    assert message.error is not None
    told = decode_json(message.error)
    assert told["code"] == "destination_rejected"
    assert told["permanent"] is True
    assert told["supplier"] == "0x00000008 ESME_RSYSERR"


async def test_a_passing_error_is_retried_then_the_next_connector_is_tried(world: World) -> None:
    accepted = await world.send()
    again = refused("supplier_error", Verdict.RETRY, tries=2, retry_after_s=0.01)
    world.link.answer((await world.parts(1))[0], error=again)
    world.link.answer((await world.parts(2))[1], error=again)
    [part] = await world.parts(1, "spare")
    assert part.attempt == 2
    provider_id = world.links["spare"].answer(part)
    await world.becomes(accepted.id, "sent")
    await world.links["spare"].receipt(provider_id)
    assert await world.state(accepted.id) == "delivered"


async def test_when_no_connector_takes_it_a_message_fails_with_the_last_error(world: World) -> None:
    accepted = await world.send()
    world.link.answer((await world.parts(1))[0], error=refused("sender_rejected", Verdict.NEXT))
    [part] = await world.parts(1, "spare")
    world.links["spare"].answer(part, error=refused("supplier_rejected", Verdict.NEXT))
    await world.becomes(accepted.id, "failed")
    await asyncio.sleep(0.05)
    assert len(world.link.taken) == 1


async def test_throttling_uses_up_no_tries(world: World) -> None:
    accepted = await world.send()
    for n in range(8):
        part = (await world.parts(n + 1))[n]
        world.link.answer(part, error=refused("throttled", Verdict.THROTTLE, retry_after_s=0.001))
    world.link.answer((await world.parts(9))[8])
    await world.becomes(accepted.id, "sent")


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.THROTTLE])  # a throttled try does not count
async def test_only_the_missing_parts_are_sent_again(world: World, verdict: Verdict) -> None:
    accepted = await world.send(text=THREE_PARTS)
    parts = await world.parts(3)
    world.link.answer(parts[0])
    world.link.answer(parts[1], error=refused("supplier_error", verdict, retry_after_s=0.01))
    world.link.answer(parts[2])
    again = (await world.parts(4))[3]
    assert (again.part, again.parts, again.udh, again.payload) == (2, 3, parts[1].udh, parts[1].payload)
    world.link.answer(again)
    await world.becomes(accepted.id, "sent")


async def test_a_lost_answer_holds_an_otp(world: World) -> None:
    accepted = await world.send(purpose="otp")
    world.link.answer((await world.parts(1))[0], error=refused("in_doubt", Verdict.UNKNOWN))
    await world.becomes(accepted.id, "sending")
    await asyncio.sleep(0.05)
    assert len(world.link.taken) == 1
    await age(world, "update parts set deadline = 1")
    await sweep.give_up_waiting(world.pipeline)
    assert await world.state(accepted.id) == "unconfirmed"


async def test_a_lost_answer_sends_other_purposes_again_but_not_for_ever(world: World) -> None:
    accepted = await world.send(purpose="transactional")
    for n in range(3):
        part = (await world.parts(n + 1))[n]
        world.link.answer(part, error=refused("in_doubt", Verdict.UNKNOWN))
    await world.becomes(accepted.id, "sending")
    await asyncio.sleep(0.05)
    assert len(world.link.taken) == 3
    explained = await messages.explain(world.rt, world.account_id, accepted.id)
    assert [s.kind for s in explained.steps].count("in_doubt") == 3


async def test_a_receipt_settles_the_part_in_doubt_that_it_must_mean(world: World) -> None:
    accepted = await world.send(purpose="otp")
    world.link.answer((await world.parts(1))[0], error=refused("in_doubt", Verdict.UNKNOWN))
    await world.becomes(accepted.id, "sending")
    await world.link.receipt("an-id-we-never-got", destination="33612345678")
    await sweep.match_parked(world.pipeline)
    await world.becomes(accepted.id, "delivered")


async def test_what_a_dead_process_had_on_the_wire_is_in_doubt(world: World) -> None:
    otp = await world.send(purpose="otp")
    service = await world.send(purpose="service")
    waiting = [await world.send(to=f"+3361234{n:04}") for n in range(20)]
    await world.parts(10)
    await world.restart()
    await world.becomes(otp.id, "sending")
    parts = await world.parts(10)
    again = {part.message_id for part in parts}
    assert otp.id not in again
    assert service.id in again
    doubts = 0
    for accepted in [otp, service, *waiting]:
        steps = (await messages.explain(world.rt, world.account_id, accepted.id)).steps
        doubts += sum(step.kind == "in_doubt" for step in steps)
    assert doubts == 10


@pytest.mark.parametrize("claimed", [False, True])
async def test_a_commit_that_was_taken_for_a_failure_leaves_nothing_stuck(world: World, claimed: bool) -> None:
    write = world.rt.store.write

    async def commits_and_fails(*ops: Op, **more: object) -> list[object]:
        results = await write(*ops, **more)  # type: ignore[arg-type]
        if ops[0].statement is (store.CLAIM if claimed else store.ADD_MESSAGES) and results[0]:
            world.rt.store.write = write  # type: ignore[method-assign]
            raise Unavailable("the connection broke", unknown=True)
        return results

    world.link.window = 0 if claimed else 10
    world.rt.store.write = commits_and_fails  # type: ignore[method-assign]
    if claimed:
        await world.send(purpose="otp")
        world.link.window = 10
        world.pipeline.dispatcher.wake_all()
        await world.until(lambda: world.rt.store.write == write)
    else:
        with pytest.raises(Unavailable):
            await world.send(purpose="otp")
    assert await sweep.return_unclaimed(world.pipeline) == 0
    world.rt.clock.now = lambda: NOW() + 20_000  # type: ignore[method-assign]
    assert await sweep.return_unclaimed(world.pipeline) == 1
    [part] = await world.parts(1)
    assert await sweep.return_unclaimed(world.pipeline) == 0  # it is on the wire now
    world.link.answer(part)
    await world.becomes(part.message_id, "sent")
    assert not world.pipeline.dispatcher.aloft


async def test_a_long_message_half_written_when_the_link_goes_is_finished_later(world: World) -> None:
    world.link.window = 1
    accepted = await world.send(text=THREE_PARTS)
    [first] = await world.parts(1)
    desk = world.pipeline.dispatcher.desks[world.link.connector_id]
    desk.status.state = "down"
    desk.wake()
    await world.until(lambda: not desk._unwritten)
    world.link.answer(first)
    await world.settle()
    world.link.window = 10
    desk.status.state = "up"
    world.pipeline.dispatcher.wake_all()
    again = (await world.parts(3))[1:]
    assert [part.part for part in again] == [2, 3]
    for part in again:
        world.link.answer(part)
    await world.becomes(accepted.id, "sent")


async def test_lanes_leave_in_their_order(world: World) -> None:
    elsewhere = accounts.AccountSettings(consent="elsewhere")
    await accounts.update_account(world.rt, "test", world.account_id, settings=elsewhere)
    offer = {"purpose": "marketing", "text": "Acme: half price. Reply STOP to end."}
    world.link.window = 1
    first = await world.send(to="+31612340000", **offer)
    bulk = [await world.send(to=f"+3161234{n:04}", **offer) for n in range(1, 4)]
    service = await world.send(purpose="service", to="+33612349998")
    otp = await world.send(purpose="otp", to="+33612349999")
    for n in range(6):
        world.link.answer((await world.parts(n + 1))[n])
    assert [p.message_id for p in world.link.taken] == [first.id, otp.id, service.id, *(b.id for b in bulk)]


async def test_never_more_on_the_wire_than_the_window(world: World) -> None:
    for n in range(40):
        await world.send(to=f"+3361234{n:04}", text=THREE_PARTS if n % 3 else "short")
    await asyncio.sleep(0.05)
    assert len(world.link.taken) - world.link.answered == world.link.window
    total = sum(3 if n % 3 else 1 for n in range(40))
    for n in range(total):
        world.link.answer((await world.parts(n + 1))[n])
    await world.settle()
    assert await world.rt.store.read(store.BACKLOG()) == []


async def test_a_scheduled_message_waits_for_its_time(world: World) -> None:
    accepted = await world.send(send_at=NOW() + 1500)
    assert await world.state(accepted.id) == "scheduled"
    assert not world.link.taken
    await world.parts(1)
    assert NOW() >= (accepted.send_at or 0)
    assert await world.state(accepted.id) == "queued"


async def test_a_waiting_message_can_be_taken_back(world: World) -> None:
    accepted = await world.send(send_at=NOW() + 3_600_000)
    await messages.cancel(world.pipeline, world.account_id, accepted.id, "test")
    assert await world.state(accepted.id) == "canceled"
    await world.until(lambda: world.states(accepted.id) == ["canceled"])
    with pytest.raises(Refused, match="canceled") as caught:
        await messages.cancel(world.pipeline, world.account_id, accepted.id, "test")
    assert caught.value.code == "not_cancelable"


async def test_a_message_on_the_wire_cannot_be_taken_back(world: World) -> None:
    accepted = await world.send()
    await world.parts(1)
    with pytest.raises(Refused) as caught:
        await messages.cancel(world.pipeline, world.account_id, accepted.id, "test")
    assert caught.value.code == "not_cancelable"
    with pytest.raises(Refused) as caught:
        await messages.cancel(world.pipeline, world.account_id + 1, accepted.id, "test")
    assert caught.value.code == "not_found"


async def test_the_text_of_a_waiting_message_can_be_replaced(world: World) -> None:
    accepted = await world.send(send_at=NOW() + 1200)
    await messages.replace(world.pipeline, world.account_id, accepted.id, text="Au revoir", changes={}, actor="test")
    [part] = await world.parts(1)
    assert part.payload == b"Au revoir"


async def test_a_message_that_cannot_leave_in_time_expires(world: World) -> None:
    world.link.window = 0
    accepted = await world.send(validity_s=5)
    await age(world, "update queue set expires_at = 1")
    await sweep.expire(world.pipeline)
    assert await world.state(accepted.id) == "expired"
    world.link.window = 10
    world.pipeline.dispatcher.wake_all()
    await asyncio.sleep(0.05)
    assert not world.link.taken


async def test_messages_leave_a_connector_that_stays_down(world: World) -> None:
    world.link.window = 0
    accepted = await world.send()
    desk = world.pipeline.dispatcher.desks[world.link.connector_id]
    desk.status.state = "down"
    desk.status.since = NOW() - 60_000
    await sweep.rescue(world.pipeline)
    [part] = await world.parts(1, "spare")
    assert part.message_id == accepted.id
    steps = (await messages.explain(world.rt, world.account_id, accepted.id)).steps
    assert [s.kind for s in steps] == ["accepted", "rerouted"]


async def test_a_fresh_message_takes_the_fallback_of_a_connector_that_is_down(world: World) -> None:
    world.pipeline.dispatcher.desks[world.link.connector_id].status.state = "down"
    await world.send()
    await world.parts(1, "spare")


async def test_messages_of_a_stopped_connector_move_on(world: World) -> None:
    world.link.window = 0
    await world.send()
    await connectors.update_connector(world.rt, "test", world.link.connector_id, status="stopped")
    await asyncio.sleep(0.05)
    await sweep.rescue(world.pipeline)
    await world.parts(1, "spare")


# -- accepting -----------------------------------------------------------------------------------------------------


async def test_a_refused_item_leaves_its_neighbours_alone(world: World) -> None:
    items = [
        world.submission(),
        world.submission(to="not a number"),
        world.submission(sender="Ministry"),
        world.submission(text=""),
        world.submission(text="x" * 5000),
        world.submission(text="émoji 🙂", wire=Wire(encoding="gsm7")),
        world.submission(to="+33140000000"),
        world.submission(send_at=NOW() - 3_600_000),
        world.submission(send_at=NOW() + 3 * 365 * 86_400_000),
        world.submission(validity_s=1),
        world.submission(wire=Wire(connector="nowhere")),
        world.submission(wire=Wire(protocol_id=0x40)),
        world.submission(account_id=1),
        world.submission(test=True),
        world.submission(to="+33612345679"),
    ]
    results = await world.pipeline.accept(items)
    codes = [r.code if isinstance(r, Refusal) else "ok" for r in results]
    assert codes == [
        "ok",
        "number_not_e164",
        "sender_not_allowed",
        "text_empty",
        "text_too_long",
        "encoding_impossible",
        "number_not_mobile",
        "send_at_past",
        "send_at_too_far",
        "validity_invalid",
        "connector_unknown",
        "content_blocked",
        "account_suspended",
        "no_route",
        "ok",
    ]
    params = [r.param for r in results if isinstance(r, Refusal)]
    assert params[:3] == ["to", "from", "text"]
    await world.parts(2)


async def test_a_dry_run_writes_nothing(world: World) -> None:
    accepted = await world.send(dry_run=True, text="Déjà vu — €5")
    assert accepted.encoding == "ucs2"
    assert accepted.forced == ("—",)
    assert await messages.listed(world.rt, Filter(account_id=world.account_id)) == []
    await asyncio.sleep(0.02)
    assert not world.link.taken


async def test_a_repeated_key_gets_the_first_answer(world: World) -> None:
    key = IdempotencyKey(world.account_id, "order-1", "digest")
    items = [world.submission(), world.submission(to="x")]
    first = await world.pipeline.accept(items, key)
    with pytest.raises(Replay) as replay:
        await world.pipeline.accept(items, key)
    assert not isinstance(first[0], Refusal)
    assert replay.value.results[0] == first[0].id
    assert replay.value.results[1][0] == "number_not_e164"
    with pytest.raises(KeyReused):
        await world.pipeline.accept(items, IdempotencyKey(world.account_id, "order-1", "another"))
    assert len(await messages.listed(world.rt, Filter(account_id=world.account_id))) == 1


async def test_the_same_key_at_the_same_time_sends_once(world: World) -> None:
    key = IdempotencyKey(world.account_id, "twice", "digest")
    calls = [world.pipeline.accept([world.submission()], key) for _ in range(5)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(r, list) for r in results) == 1
    assert sum(isinstance(r, Replay) for r in results) == 4
    assert len(await messages.listed(world.rt, Filter(account_id=world.account_id))) == 1


async def test_a_big_batch_that_broke_off_goes_on_where_it_stopped(world: World) -> None:
    key = IdempotencyKey(world.account_id, "big", "digest")
    items = [world.submission(to=f"+3361{n:07}") for n in range(450)]
    await world.pipeline.acceptor._calls.put(Call(items[:200], IdempotencyKey(world.account_id, "big\x1f0", "digest")))
    results = await world.pipeline.accept(items, key)
    assert len(results) == 450
    assert len({r if isinstance(r, int) else r.id for r in results}) == 450  # type: ignore[union-attr]
    rows = await messages.listed(world.rt, Filter(account_id=world.account_id, limit=500))
    assert len(rows) == 450


async def test_a_batch_that_the_store_fails_in_the_middle_tells_each_item(world: World) -> None:
    write = world.rt.store.write
    calls = 0

    async def second_fails(*ops: Op, **more: object) -> list[object]:
        nonlocal calls
        calls += ops[0].statement is store.ADD_MESSAGES
        if calls == 2:
            raise Unavailable("the database is away")
        return await write(*ops, **more)  # type: ignore[arg-type]

    world.link.window = 0
    world.rt.store.write = second_fails  # type: ignore[method-assign]
    results = await world.pipeline.accept([world.submission(to=f"+3361{n:07}") for n in range(500)])
    codes = [r.code if isinstance(r, Refusal) else "ok" for r in results]
    assert codes == ["ok"] * 200 + ["storage_unavailable"] * 300


async def test_the_same_text_over_and_over_is_a_loop(world: World) -> None:
    results = await world.pipeline.accept([world.submission() for _ in range(150)])
    codes = [r.code for r in results if isinstance(r, Refusal)]
    assert set(codes) == {"loop_detected"}
    assert len(codes) == 50


async def test_nothing_is_accepted_or_acknowledged_while_the_store_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = await world.send()
    provider_id = world.link.answer((await world.parts(1))[0])
    await world.becomes(accepted.id, "sent")

    async def away(*_ops: object, **_more: object) -> list[object]:
        raise Unavailable("the database is away")

    write = world.rt.store.write
    world.rt.store.write = away  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await world.send(to="+33612345670")
    assert await world.link.receipt(provider_id) is False
    assert await world.link.inbound("33612345678", "33644600001", "STOP") is False
    assert len(world.link.taken) == 1
    world.rt.store.write = write  # type: ignore[method-assign]
    await world.send(to="+33612345671")
    assert await world.link.receipt(provider_id) is True
    assert await world.state(accepted.id) == "delivered"


async def test_an_answer_survives_an_outage_of_the_store(world: World) -> None:
    accepted = await world.send()
    [part] = await world.parts(1)
    write = world.rt.store.write
    failures = 2

    async def shaky(*ops: object, **more: object) -> list[object]:
        nonlocal failures
        if failures:
            failures -= 1
            raise Unavailable("the database is away")
        return await write(*ops, **more)  # type: ignore[arg-type]

    world.rt.store.write = shaky  # type: ignore[method-assign]
    world.link.answer(part)
    await world.becomes(accepted.id, "sent")


async def test_a_full_queue_refuses_and_takes_again_when_it_has_emptied(world: World) -> None:
    world.rt.settings.limits.queue = 3
    for n in range(3):
        await world.send(to=f"+3361234{n:04}")
    with pytest.raises(Full):
        await world.send()
    for part in await world.parts(3):
        world.link.answer(part)
    await world.settle()
    await sweep.measure(world.pipeline)
    await world.send()


# -- what phones send ----------------------------------------------------------------------------------------------


async def test_a_reply_is_stored_and_told_to_the_owner_of_the_number(world: World) -> None:
    assert await world.link.inbound("33612345678", "33644600001", "Mer\0ci\0")  # padded, as some handsets do
    [stored] = await messages.inbound(world.rt, Filter(account_id=world.account_id))
    assert (stored.source, stored.recipient, stored.text) == ("+33612345678", "+33644600001", "Merci")
    await world.until(lambda: world.heard)
    assert world.heard[0].account_id == world.account_id


async def test_a_message_to_nobodys_number_stays_visible(world: World) -> None:
    assert await world.link.inbound("33612345678", "38383", "VOTE 1")
    assert await messages.inbound(world.rt, Filter(account_id=world.account_id)) == []
    [stored] = await messages.inbound(world.rt, Filter(account_id=0))
    assert stored.text == "VOTE 1"


async def test_a_long_reply_is_put_together_in_any_order(world: World) -> None:
    texts = ["Un ", "deux ", "trois"]
    for sequence in (3, 1, 1, 2):
        text = texts[sequence - 1]
        udh = bytes([5, 0, 3, 9, 3, sequence])
        assert await world.link.inbound(
            "33612345678", "33644600001", text, udh=udh, concat=(9, 3, sequence), data_coding=0
        )
    await world.settle()
    [stored] = await messages.inbound(world.rt, Filter(account_id=world.account_id))
    assert (stored.text, stored.parts, stored.missing) == ("Un deux trois", 3, 0)


async def test_a_long_reply_with_a_lost_part_is_delivered_late(world: World) -> None:
    await world.link.inbound(
        "33612345678", "33644600001", "Un ", udh=bytes([5, 0, 3, 9, 2, 1]), concat=(9, 2, 1), data_coding=0
    )
    await world.pipeline.inbox.sweep()
    assert await messages.inbound(world.rt, Filter(account_id=world.account_id)) == []
    await age(world, "update inbound_parts set received_at = 1")
    await world.pipeline.inbox.sweep()
    [stored] = await messages.inbound(world.rt, Filter(account_id=world.account_id))
    assert (stored.text, stored.parts, stored.missing) == ("Un ", 1, 1)


# -- looking -------------------------------------------------------------------------------------------------------


async def test_lists_are_filtered_and_paged(world: World) -> None:
    world.link.window = 0
    made = [await world.send(to=f"+3361234{n:04}", tags=("even",) if n % 2 == 0 else ()) for n in range(6)]
    everything = [m.id for m in await messages.listed(world.rt, Filter(account_id=world.account_id))]
    assert everything == [m.id for m in reversed(made)]
    page = await messages.listed(world.rt, Filter(account_id=world.account_id, limit=2, cursor=made[4].id))
    assert [m.id for m in page] == [made[3].id, made[2].id]
    even = await messages.listed(world.rt, Filter(account_id=world.account_id, tag="even"))
    assert [m.id for m in even] == [made[4].id, made[2].id, made[0].id]
    one = await messages.listed(world.rt, Filter(account_id=world.account_id, to="+33612340003"))
    assert [m.id for m in one] == [made[3].id]
    assert await messages.listed(world.rt, Filter(account_id=world.account_id + 1)) == []
    queued = Filter(account_id=world.account_id, states=(messages.State.QUEUED,))
    assert len(await messages.listed(world.rt, queued)) == 6


async def age(world: World, statement: str) -> None:
    """Make rows older than they are."""
    await world.rt.store.write(sql(statement)())
