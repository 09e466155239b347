from __future__ import annotations

from collections.abc import Callable

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from chappe import webhooks
from chappe.errors import Refused
from chappe.webhooks import EVENT_TYPES, State, log
from tests.webhooks.conftest import DAY, Request, World, until


def failing(status: int = 500) -> Callable[[Request], web.Response]:
    return lambda _: web.Response(status=status, text="no")


async def count(world: World, number: int) -> bool:
    return len(await world.log(limit=500)) == number


async def test_the_log_is_filtered_and_paged_latest_first(world: World) -> None:
    customer, other = await world.customer(), await world.customer(failing())
    endpoint, _ = await world.endpoint(customer.url)
    second, _ = await world.endpoint(other.url, events=["message.failed"])
    for number in range(5):
        await world.deliver(number)
        await world.deliver(number + 10, state="failed")
    await until(lambda: count(world, 15))
    await until(lambda: world.sender.in_hand == 0)
    every = await world.log()
    assert [row.id for row in every] == sorted((row.id for row in every), reverse=True)
    assert len(await world.log(endpoint_id=endpoint.id)) == 10
    assert len(await world.log(endpoint_id=second.id, state=State.PENDING)) == 5
    assert await world.log(endpoint_id=second.id, state=State.DELIVERED) == []
    assert len(await world.log(kind="message.failed")) == 10
    assert await world.log(until=every[-1].created_at) == []
    assert len(await world.log(since=every[-1].created_at)) == 15
    assert {row.id for row in await world.log(event_id=every[0].event_id)} <= {row.id for row in every}
    pages, cursor = [], None
    while page := await world.log(limit=4, before_id=cursor):
        pages += page
        cursor = page[-1].id
    assert [row.id for row in pages] == [row.id for row in every]  # some are tried again meanwhile


async def test_one_delivery_is_played_again_with_the_same_event(lite: World) -> None:
    customer = await lite.customer()
    _, secret = await lite.endpoint(customer.url)
    await lite.deliver()
    await lite.settled()
    first = await lite.last()
    again = await webhooks.replay(lite.rt, lite.account_id, first.id)
    assert (again.id != first.id, again.event_id, again.origin.word) == (True, first.event_id, "replay")
    await until(lambda: len(customer.requests) == 2)
    await lite.settled()
    assert customer.requests[0].body == customer.requests[1].body
    assert len(set(customer.ids)) == 1
    Webhook(secret).verify(customer.requests[1].body, customer.requests[1].headers)


async def test_a_callback_is_played_again_at_its_own_url(lite: World) -> None:
    customer = await lite.customer()
    await lite.deliver(callback_url=customer.url)
    await lite.settled()
    await webhooks.replay(lite.rt, lite.account_id, (await lite.last()).id)
    await until(lambda: len(customer.requests) == 2)


async def test_what_was_for_a_deleted_endpoint_is_not_played_again(lite: World) -> None:
    customer = await lite.customer()
    endpoint, _ = await lite.endpoint(customer.url)
    await lite.deliver()
    await lite.settled()
    await webhooks.delete_endpoint(lite.rt, "test", lite.account_id, endpoint.id)
    with pytest.raises(Refused, match="no such webhook endpoint"):
        await webhooks.replay(lite.rt, lite.account_id, (await lite.last()).id)


async def test_a_range_is_played_again_in_slices_each_event_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SLICE", 3)
    customer, other = await world.customer(), await world.customer()
    endpoint, _ = await world.endpoint(customer.url)
    await world.endpoint(other.url)
    for number in range(10):
        await world.deliver(number)
    await until(lambda: len(customer.requests) == 10)
    await world.settled()
    start = min(row.created_at for row in await world.log())
    args = (world.rt, world.account_id, endpoint.id)
    assert await webhooks.replay_range(*args, since=start) == 0  # none has failed
    assert await webhooks.replay_range(*args, since=start, kind="message.read", only_failed=False) == 0
    assert await webhooks.replay_range(*args, since=start + DAY * 1000, only_failed=False) == 0
    world.clock.ahead_s += 1
    assert await webhooks.replay_range(*args, since=start, only_failed=False) == 10
    await until(lambda: len(customer.requests) == 20)
    await world.settled()
    assert sorted(customer.ids[:10]) == sorted(customer.ids[10:])
    assert len(other.requests) == 10
    world.clock.ahead_s += 1
    assert await webhooks.replay_range(*args, since=start, only_failed=False) == 10  # replays are not played again


async def test_a_range_of_the_failed_leaves_the_others_alone(lite: World) -> None:
    customer = await lite.customer()
    endpoint, _ = await lite.endpoint(customer.url)
    await lite.deliver(1)
    await lite.settled()
    start = (await lite.last()).created_at
    customer.answer = failing()
    await lite.deliver(2)
    await until(lambda: len(customer.requests) == 2)
    await until(lambda: lite.sender.in_hand == 0)
    lite.later(3 * DAY + 1)
    await lite.settled()
    customer.answer = lambda _: web.Response()
    lite.later(60)
    assert await webhooks.replay_range(lite.rt, lite.account_id, endpoint.id, since=start) == 1
    await until(lambda: len(customer.requests) == 3)
    assert customer.requests[2].json["data"]["id"].endswith("2")


@pytest.mark.parametrize("kind", EVENT_TYPES)
async def test_a_sample_of_every_type_can_be_tried(lite: World, kind: str) -> None:
    customer = await lite.customer()
    endpoint, secret = await lite.endpoint(customer.url, events=["message.read"])
    delivery, attempt = await webhooks.try_endpoint(lite.rt, lite.account_id, endpoint.id, kind)
    [request] = customer.requests
    told = Webhook(secret).verify(request.body, request.headers)
    assert told["type"] == kind
    assert {"id", "status", "sequence", "occurred_at"} <= told["data"].keys()
    assert (attempt.status, attempt.response) == (200, "ok")
    assert await lite.last() == delivery
    assert (await webhooks.delivery(lite.rt, lite.account_id, delivery.id))[1] == [attempt]


async def test_a_trial_that_fails_says_why_and_is_not_repeated(lite: World) -> None:
    customer = await lite.customer(failing(401))
    endpoint, _ = await lite.endpoint(customer.url)
    await webhooks.pause_endpoint(lite.rt, "test", lite.account_id, endpoint.id)
    delivery, attempt = await webhooks.try_endpoint(lite.rt, lite.account_id, endpoint.id)
    assert (delivery.state.word, delivery.last_status, delivery.origin.word) == ("failed", 401, "test")
    assert (attempt.status, attempt.error, attempt.response) == (401, "http_401", "no")
    assert await webhooks.health(lite.rt, lite.account_id) == {}
    with pytest.raises(Refused) as refused:
        await webhooks.try_endpoint(lite.rt, lite.account_id, endpoint.id, "message.lost")
    assert refused.value.param == "type"
