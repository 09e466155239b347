from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from chappe import accounts, webhooks
from chappe.errors import Refused
from chappe.webhooks import jobs
from tests.webhooks.conftest import DAY, HOUR, Request, World, open_world, until


def failing(status: int = 500) -> Callable[[Request], web.Response]:
    return lambda _: web.Response(status=status)


async def test_changes_are_audited_and_no_secret_is_in_the_audit(lite: World) -> None:
    rt, mine = lite.rt, lite.account_id
    endpoint, secret = await lite.endpoint("https://example.com/a")
    await webhooks.update_endpoint(rt, "key_1", mine, endpoint.id, events=["message.read"], description="mine")
    _, second = await webhooks.rotate_secret(rt, "key_1", mine, endpoint.id)
    await webhooks.pause_endpoint(rt, "key_1", mine, endpoint.id)
    await webhooks.resume_endpoint(rt, "key_1", mine, endpoint.id)
    await webhooks.delete_endpoint(rt, "key_1", mine, endpoint.id)
    assert webhooks.endpoints(rt, mine) == ()
    entries = [e for e in await accounts.audit_entries(rt, mine) if e.kind == "webhook_endpoint"]
    assert [e.action for e in reversed(entries)] == ["create", "update", "rotate", "pause", "resume", "delete"]
    told = str(entries)
    assert secret not in told
    assert second not in told
    assert endpoint.secret not in told
    assert secret not in str(endpoint)


async def test_another_node_sees_a_new_endpoint_soon(store_url: str, tmp_path: Path, world: World) -> None:
    other = await open_world(store_url, tmp_path, sending=False)
    try:
        endpoint, _ = await world.endpoint("https://example.com/a")
        await until(lambda: webhooks.endpoints(other.rt, world.account_id) == [endpoint])
    finally:
        await other.close()


async def test_what_belongs_to_another_account_does_not_exist(lite: World) -> None:
    customer = await lite.customer()
    endpoint, _ = await lite.endpoint(customer.url)
    await lite.deliver()
    await lite.settled()
    delivery, rt, stranger = await lite.last(), lite.rt, lite.other_id
    for attempt in (
        webhooks.update_endpoint(rt, "x", stranger, endpoint.id, mode="test"),
        webhooks.rotate_secret(rt, "x", stranger, endpoint.id),
        webhooks.pause_endpoint(rt, "x", stranger, endpoint.id),
        webhooks.resume_endpoint(rt, "x", stranger, endpoint.id),
        webhooks.delete_endpoint(rt, "x", stranger, endpoint.id),
        webhooks.try_endpoint(rt, stranger, endpoint.id),
        webhooks.deliveries(rt, stranger, endpoint_id=endpoint.id),
        webhooks.delivery(rt, stranger, delivery.id),
        webhooks.replay(rt, stranger, delivery.id),
        webhooks.replay_range(rt, stranger, endpoint.id, since=0),
    ):
        with pytest.raises(Refused) as refused:
            await attempt
        assert (refused.value.code, refused.value.status) == ("not_found", 404)
    assert await lite.log(stranger) == []
    assert webhooks.endpoints(rt, stranger) == ()
    await lite.deliver(account_id=stranger)
    await asyncio.sleep(0.1)
    assert len(customer.requests) == 1


async def test_bad_fields_are_refused_by_name(lite: World) -> None:
    await lite.endpoint("https://example.com/a")
    for fields, code, param in (
        ({"url": "https://example.com/a"}, "duplicate_name", "url"),
        ({"url": "https://example.com/b", "events": ["message.sent", "nonsense"]}, "invalid_value", "events[1]"),
        ({"url": "https://example.com/b", "mode": "dry"}, "invalid_value", "mode"),
        ({"url": "https://example.com/b", "description": "x" * 201}, "invalid_value", "description"),
        ({"url": "https://example.com/" + "x" * 2_100}, "webhook_url_invalid", "url"),
    ):
        with pytest.raises(Refused) as refused:
            await lite.endpoint(**fields)
        assert (refused.value.code, refused.value.param) == (code, param)


async def test_two_accounts_may_use_the_same_url(lite: World) -> None:
    await lite.endpoint("https://example.com/a")
    await webhooks.create_endpoint(lite.rt, "test", lite.other_id, url="https://example.com/a")


async def test_a_paused_endpoint_keeps_its_events_and_gets_them_when_resumed(world: World) -> None:
    customer = await world.customer(failing())
    endpoint, _ = await world.endpoint(customer.url)
    await world.deliver(1)
    await world.tried(1)
    await webhooks.pause_endpoint(world.rt, "test", world.account_id, endpoint.id)
    await world.deliver(2)
    await until(lambda: logged(world, 2))
    world.later(HOUR)
    await asyncio.sleep(0.2)
    assert len(customer.requests) == 1
    assert await world.leased() == 0
    customer.answer = lambda _: web.Response()
    resumed = await webhooks.resume_endpoint(world.rt, "test", world.account_id, endpoint.id)
    assert (resumed.status, resumed.paused_reason, resumed.paused_at) == ("active", None, None)
    await world.settled()
    assert sorted(r.json["data"]["id"][-1] for r in customer.requests) == ["1", "1", "2"]


async def logged(world: World, count: int) -> bool:
    return len(await world.log()) == count


async def test_resuming_makes_due_what_would_have_waited_for_hours(lite: World) -> None:
    customer = await lite.customer(failing())
    endpoint, _ = await lite.endpoint(customer.url)
    await lite.deliver()
    for tries in range(1, 6):
        row = await lite.tried(tries)
        lite.later((row.due_at - lite.clock.now()) / 1000 + 0.1)
    assert (await lite.tried(6)).due_at > lite.clock.now() + 2 * HOUR * 1000
    await webhooks.pause_endpoint(lite.rt, "test", lite.account_id, endpoint.id)
    customer.answer = lambda _: web.Response()
    await webhooks.resume_endpoint(lite.rt, "test", lite.account_id, endpoint.id)
    await lite.settled()
    assert (await webhooks.health(lite.rt, lite.account_id))[endpoint.id].failures == 0


async def test_an_endpoint_dead_for_a_day_is_paused_and_the_others_are_told(world: World) -> None:
    dead, witness, deaf = await world.customer(failing(503)), await world.customer(), await world.customer()
    endpoint, _ = await world.endpoint(dead.url)
    await world.endpoint(witness.url, events=["webhook_endpoint.paused"], mode="test")
    await world.endpoint(deaf.url, events=["message.read"])
    for number in range(4):
        await world.deliver(number)
    await until(lambda: failures(world, endpoint.id, 1))
    world.later(DAY - HOUR)
    await until(lambda: failures(world, endpoint.id, 4))
    for _ in range(3):
        world.later(HOUR / 4)
        await asyncio.sleep(0.1)
    await jobs.pause_dead(world.rt)
    await asyncio.sleep(0.1)
    assert not _paused(world, endpoint.id)
    world.later(HOUR)
    await until(lambda: failures(world, endpoint.id, 10))
    await jobs.pause_dead(world.rt)
    await until(lambda: _paused(world, endpoint.id))
    paused = webhooks.found_endpoint(world.rt, world.account_id, endpoint.id)
    assert paused.paused_reason == "failing"
    await until(lambda: witness.requests)
    told = witness.requests[0].json
    assert told["type"] == "webhook_endpoint.paused"
    assert (told["data"]["url"], told["data"]["reason"]) == (dead.url, "failing")
    assert told["data"]["failures"] >= 10
    assert deaf.requests == []
    entries = await accounts.audit_entries(world.rt, world.account_id)
    assert (entries[0].action, entries[0].actor) == ("pause", "system:webhooks")
    asked = len(dead.requests)
    world.later(HOUR)
    await asyncio.sleep(0.1)
    assert len(dead.requests) == asked
    await jobs.pause_dead(world.rt)
    await asyncio.sleep(0.2)
    assert len(witness.requests) == 1


async def failures(world: World, endpoint_id: int, least: int) -> bool:
    known = (await webhooks.health(world.rt, world.account_id)).get(endpoint_id)
    if known is None or known.failures < least:
        world.later(31)  # past the longest pause of a failing lane
        return False
    return True


def _paused(world: World, endpoint_id: int) -> bool:
    return webhooks.found_endpoint(world.rt, world.account_id, endpoint_id).status == "paused"


async def test_an_endpoint_that_works_now_and_then_is_not_dead(lite: World) -> None:
    customer = await lite.customer(failing())
    endpoint, _ = await lite.endpoint(customer.url)
    for number in range(4):
        await lite.deliver(number)
    for _ in range(20):
        lite.later(HOUR)
        await asyncio.sleep(0.03)
    customer.answer = lambda _: web.Response()
    await lite.deliver(99)

    def came() -> bool:
        lite.later(31)  # past the longest pause of a failing lane
        return any(request.json["data"]["id"].endswith("33") for request in customer.requests)

    await until(came)
    customer.answer = failing()
    await lite.deliver(100)
    lite.later(DAY / 2)
    await asyncio.sleep(0.1)
    await jobs.pause_dead(lite.rt)
    await asyncio.sleep(0.1)
    assert not _paused(lite, endpoint.id)


async def test_an_endpoint_that_is_gone_is_paused_at_once(lite: World) -> None:
    customer = await lite.customer(failing(410))
    endpoint, _ = await lite.endpoint(customer.url)
    await lite.deliver()
    await until(lambda: _paused(lite, endpoint.id))
    assert webhooks.found_endpoint(lite.rt, lite.account_id, endpoint.id).paused_reason == "gone"
    assert (await lite.last()).state.word == "pending"


async def test_what_waits_for_a_deleted_endpoint_is_dropped_and_its_log_stays(world: World) -> None:
    customer = await world.customer(failing())
    endpoint, _ = await world.endpoint(customer.url)
    await world.deliver()
    await world.tried(1)
    await webhooks.delete_endpoint(world.rt, "test", world.account_id, endpoint.id)
    world.later(60)
    await asyncio.sleep(0.1)
    assert len(customer.requests) == 1
    await jobs.expire(world.rt)
    row, attempts = await webhooks.delivery(world.rt, world.account_id, (await world.last()).id)
    assert (row.state.word, len(attempts)) == ("dropped", 1)
    assert await world.log(endpoint_id=endpoint.id) == [row]


async def test_what_waits_behind_a_paused_endpoint_expires_after_three_days(world: World) -> None:
    endpoint, _ = await world.endpoint("https://example.com/")
    await webhooks.pause_endpoint(world.rt, "test", world.account_id, endpoint.id)
    await world.deliver(1)
    await until(lambda: logged(world, 1))
    world.later(2 * DAY)
    await world.deliver(2)
    await until(lambda: logged(world, 2))
    world.later(DAY + HOUR)
    await jobs.expire(world.rt)
    assert [(row.state.word, row.last_error) for row in await world.log()] == [("pending", None), ("failed", "expired")]


async def test_the_log_is_removed_when_its_time_is_over(world: World) -> None:
    customer = await world.customer()
    endpoint, _ = await world.endpoint(customer.url)
    await world.deliver(1)
    await world.settled()
    old = await world.last()
    await webhooks.pause_endpoint(world.rt, "test", world.account_id, endpoint.id)
    await world.deliver(2)
    await until(lambda: logged(world, 2))
    world.clock.ahead_s += 29 * DAY
    await jobs.prune(world.rt)
    assert len(await world.log()) == 2
    world.clock.ahead_s += 2 * DAY
    await jobs.prune(world.rt)
    assert [row.state.word for row in await world.log()] == ["pending"]  # what is not finished is never removed
    assert await world.rt.store.read(webhooks.store.ATTEMPTS({"delivery_id": old.id})) == []


async def test_a_secret_that_this_secret_key_cannot_open_stops_nobody_else(lite: World) -> None:
    good = await lite.customer()
    await lite.endpoint(good.url)
    lost, _ = await lite.endpoint("https://example.com/lost")
    change = accounts.Change(lite.rt, "test")
    change.update(webhooks.ENDPOINTS, lost, msgspec.structs.replace(lost, secret="v1:" + "A" * 60))
    await change.commit()
    await lite.deliver()
    await until(lambda: good.requests)
    await asyncio.sleep(0.1)
    lost_rows = await lite.log(endpoint_id=lost.id)
    assert [(row.state.word, row.tries) for row in lost_rows] == [("pending", 0)]
    assert lite.sender.in_hand == 0
    with pytest.raises(Refused, match="cannot be opened"):
        await webhooks.try_endpoint(lite.rt, lite.account_id, lost.id)
    await webhooks.rotate_secret(lite.rt, "test", lite.account_id, lost.id)
    assert webhooks.book(lite.rt).keys(lite.account_id, lost.id) is not None
