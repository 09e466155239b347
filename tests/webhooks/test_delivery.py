from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from chappe import webhooks
from chappe.errors import Refused
from chappe.events import TOPIC, InboundReceived
from chappe.storage import Conflict, Unavailable, sql
from chappe.webhooks import sender, store
from tests.webhooks.conftest import DAY, HOUR, Customer, Request, World, open_world, populated, until


def failing(status: int = 500, **headers: str) -> Callable[[Request], web.Response]:
    return lambda _: web.Response(status=status, text="no", headers=headers)


def sent(customer: Customer, count: int) -> bool:
    return len(customer.requests) == count


async def test_a_delivered_message_reaches_the_endpoint_signed(world: World) -> None:
    customer = await world.customer()
    endpoint, secret = await world.endpoint(customer.url)
    await world.deliver(message_id=42, tags=["a"], metadata={"order": 7})
    await world.settled()
    [request] = customer.requests
    told = Webhook(secret).verify(request.body, request.headers)  # an implementation that is not ours
    assert told["id"] == request.headers["webhook-id"]
    assert told["type"] == "message.delivered"
    data = told["data"]
    assert (data["id"], data["status"], data["to"]) == ("msg_000000000001a", "delivered", "+33612345678")
    assert (data["sequence"], data["tags"], data["metadata"]) == (7, ["a"], {"order": 7})
    row, [attempt] = await webhooks.delivery(world.rt, world.account_id, (await world.last()).id)
    assert (row.endpoint_id, row.state.word, row.tries, row.last_status) == (endpoint.id, "delivered", 1, 200)
    assert row.body.encode() == request.body
    assert (attempt.number, attempt.status, attempt.response) == (1, 200, "ok")
    assert (await webhooks.health(world.rt, world.account_id))[endpoint.id].failures == 0


async def test_a_failed_delivery_comes_again_with_the_same_id_until_it_is_taken(world: World) -> None:
    customer = await world.customer(failing(503))
    _, secret = await world.endpoint(customer.url)
    await world.deliver()
    for tries, wait in ((1, 7), (2, 40)):
        await world.tried(tries)
        world.later(wait)
        await until(partial(sent, customer, tries + 1))
    customer.answer = lambda _: web.Response(status=204)
    await world.tried(3)
    world.later(200)
    await world.settled()
    assert len(set(customer.ids)) == 1
    assert len({request.headers["webhook-timestamp"] for request in customer.requests}) == 4
    row, attempts = await webhooks.delivery(world.rt, world.account_id, (await world.last()).id)
    assert [attempt.status for attempt in attempts] == [503, 503, 503, 204]
    assert (row.state.word, row.tries, row.last_status, row.last_error) == ("delivered", 4, 204, None)
    now = world.clock.now() / 1000
    webhooks.verify(secret, customer.requests[-1].headers, customer.requests[-1].body, now)


async def test_no_retry_comes_before_its_time(lite: World) -> None:
    customer = await lite.customer(failing())
    await lite.endpoint(customer.url)
    await lite.deliver()
    await lite.tried(1)
    for _ in range(5):
        lite.later(0.5)
        await asyncio.sleep(0.02)
    assert len(customer.requests) == 1
    row = await lite.last()
    assert 4_000 <= row.due_at - row.created_at <= 7_000


async def test_retry_after_is_honoured_by_the_delivery_and_its_lane(lite: World) -> None:
    customer = await lite.customer(failing(429, **{"Retry-After": "900"}))
    await lite.endpoint(customer.url)
    await lite.deliver(1)
    row = await lite.tried(1)
    assert 899_000 <= row.due_at - row.created_at <= 910_000
    await lite.deliver(2)
    lite.later(60)
    await asyncio.sleep(0.2)
    assert len(customer.requests) == 1


async def test_what_is_not_committed_is_not_posted(world: World) -> None:
    customer = await world.customer()
    await world.endpoint(customer.url)
    impossible = sql("update nodes set name = name where node = -1")
    with pytest.raises(Conflict):
        await world.rt.events.write(impossible(expect=1), tell=[world.news(n) for n in range(40)])
    await world.deliver(99)
    await until(lambda: len(customer.requests) == 1)
    await world.settled()
    assert customer.requests[0].json["data"]["id"] == "msg_0000000000033"
    assert len(await world.log()) == 1
    await until(lambda: world.sender.in_hand == 0)
    assert world.sender._sender._coming == 0


async def test_news_by_the_outbox_are_posted_like_any_other(world: World) -> None:
    customer = await world.customer()
    await world.endpoint(customer.url)
    await world.rt.store.write(*world.rt.events.emit([world.news(n) for n in range(3)]), wake=(TOPIC,))
    await until(lambda: len(customer.requests) == 3)
    await world.settled()


async def test_it_is_given_up_after_three_days(lite: World) -> None:
    customer = await lite.customer(failing())
    endpoint, _ = await lite.endpoint(customer.url)
    await lite.deliver()
    for tries in range(1, 40):
        row = await lite.tried(tries)
        if row.state.word != "pending":
            break
        lite.later((row.due_at - lite.clock.now()) / 1000 + 0.1)
    assert (row.state.word, row.last_error) == ("failed", "http_500")
    assert row.finished_at is not None
    assert row.finished_at - row.created_at <= 3 * DAY * 1000
    assert 15 <= len(customer.requests) <= 22
    assert (await webhooks.health(lite.rt, lite.account_id))[endpoint.id].failures == len(customer.requests)


async def test_what_is_too_old_is_not_posted_any_more(lite: World) -> None:
    customer = await lite.customer(failing())
    await lite.endpoint(customer.url)
    await lite.deliver()
    await lite.tried(1)
    lite.later(3 * DAY + HOUR)
    await lite.settled()
    assert (await lite.last()).last_error == "expired"
    assert len(customer.requests) == 1


async def test_a_redirect_is_a_failure_and_not_followed(lite: World) -> None:
    elsewhere = await lite.customer()
    customer = await lite.customer(failing(302, Location=elsewhere.url))
    await lite.endpoint(customer.url)
    await lite.deliver()
    await lite.tried(1)
    assert (await lite.last()).last_error == "http_302"
    assert elsewhere.requests == []


async def test_a_server_that_does_not_answer_is_a_failure_that_says_so(lite: World) -> None:
    async def never(_: Request) -> web.Response:
        await asyncio.sleep(30)
        raise AssertionError

    silent = await lite.customer(never)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refusing = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    await lite.endpoint(silent.url)
    await lite.endpoint(refusing)
    await lite.deliver()

    async def both_tried() -> bool:
        return [row.tries for row in await lite.log()] == [1, 1]

    await until(both_tried)
    errors = {(row.last_error or "").partition(":")[0] for row in await lite.log()}
    assert errors == {"timeout", "connection"}


async def test_an_answer_is_kept_in_the_log_up_to_a_kilobyte(world: World) -> None:
    customer = await world.customer(lambda _: web.Response(status=500, body=b"\x00\xff" + b"x" * 50_000))
    await world.endpoint(customer.url)
    await world.deliver()
    await world.tried(1)
    _, [attempt] = await webhooks.delivery(world.rt, world.account_id, (await world.last()).id)
    assert attempt.response is not None
    assert attempt.response.startswith("\ufffd\ufffdxxx")
    assert len(attempt.response) == 1_024


async def test_events_go_to_those_who_asked_for_them(lite: World) -> None:
    every, some, tests = [await lite.customer() for _ in range(3)]
    await lite.endpoint(every.url, mode="live")
    await lite.endpoint(some.url, events=["message.failed", "message.received"])
    await lite.endpoint(tests.url, mode="test")
    await lite.deliver(1)
    await lite.deliver(2, state="queued")
    await lite.deliver(3, state="failed", test=True)
    await lite.emit(
        InboundReceived(
            account_id=lite.account_id,
            occurred_at=lite.clock.now(),
            inbound_id=9,
            to="12345",
            sender="+33612345678",
            text="STOP",
        )
    )
    await until(lambda: len(some.requests) == 2)
    await lite.settled()
    told = [sorted(request.json["type"] for request in each.requests) for each in (every, some, tests)]
    assert told == [
        ["message.delivered", "message.received"],
        ["message.failed", "message.received"],
        ["message.failed"],
    ]
    received = next(r.json for r in some.requests if r.json["type"] == "message.received")
    assert received["data"]["from"] == "+33612345678"
    assert received["data"]["id"] == "inb_0000000000009"


async def test_events_that_nobody_wants_stay_out_of_the_outbox(lite: World) -> None:
    customer = await lite.customer()
    await lite.endpoint(customer.url, events=["message.failed"])
    wanted = lite.rt.events.emit
    assert wanted([lite.news(1)]) == []
    assert wanted([lite.news(1, state="queued", callback_url=customer.url)]) == []
    assert len(wanted([lite.news(1, callback_url=customer.url)])) == 1
    assert len(wanted([lite.news(1, state="failed")])) == 1


async def test_a_callback_url_is_told_and_signed_with_the_accounts_own_secret(lite: World) -> None:
    customer = await lite.customer()
    await lite.deliver(callback_url=f"{customer.url}?mine=1")
    await lite.settled()
    [request] = customer.requests
    secret = await webhooks.callback_secret(lite.rt, lite.account_id)
    Webhook(secret).verify(request.body, request.headers)
    row = await lite.last()
    assert (row.endpoint_id, row.url) == (0, f"{customer.url}?mine=1")
    assert secret != await webhooks.callback_secret(lite.rt, lite.other_id)
    replaced = await webhooks.rotate_callback_secret(lite.rt, "test", lite.account_id)
    await lite.deliver(callback_url=customer.url)
    await until(lambda: len(customer.requests) == 2)
    for each in (secret, replaced):
        Webhook(each).verify(customer.requests[1].body, customer.requests[1].headers)


async def test_a_callback_url_that_is_gone_is_not_asked_again(lite: World) -> None:
    customer = await lite.customer(failing(410))
    await lite.deliver(callback_url=customer.url)
    await lite.settled()
    assert (await lite.last()).state.word == "failed"


async def test_while_a_secret_is_rotated_both_sign_and_then_only_the_new_one(lite: World) -> None:
    customer = await lite.customer()
    endpoint, old = await lite.endpoint(customer.url)
    _, new = await webhooks.rotate_secret(lite.rt, "test", lite.account_id, endpoint.id, keep_previous_s=3_600)
    await lite.deliver(1)
    await until(lambda: len(customer.requests) == 1)
    Webhook(old).verify(customer.requests[0].body, customer.requests[0].headers)
    Webhook(new).verify(customer.requests[0].body, customer.requests[0].headers)
    lite.later(3_601)
    await lite.deliver(2)
    await until(lambda: len(customer.requests) == 2)
    now = lite.clock.now() / 1000
    webhooks.verify(new, customer.requests[1].headers, customer.requests[1].body, now)
    with pytest.raises(webhooks.BadSignature):
        webhooks.verify(old, customer.requests[1].headers, customer.requests[1].body, now)


async def test_a_new_url_holds_for_what_waits_already(lite: World) -> None:
    wrong, right = await lite.customer(failing(404)), await lite.customer()
    endpoint, _ = await lite.endpoint(wrong.url)
    await lite.deliver()
    await lite.tried(1)
    await webhooks.update_endpoint(lite.rt, "test", lite.account_id, endpoint.id, url=right.url)
    lite.later(10)
    await lite.settled()
    assert right.ids == wrong.ids


# -- fairness, load -----------------------------------------------------------------------------------------------


async def test_many_events_go_out_over_few_connections_and_each_once(world: World) -> None:
    customer = await world.customer()
    await world.endpoint(customer.url)
    for start in range(0, 1_500, 250):
        await world.emit(*(world.news(start + n) for n in range(250)))
    await until(lambda: len(customer.requests) >= 1_500, 30)
    await until(lambda: world.sender.in_hand == 0)
    assert len({request.json["data"]["id"] for request in customer.requests}) == len(customer.requests) == 1_500
    assert len(customer.connections) <= 32
    assert world.sender.in_flight == 0
    assert await world.leased() == 0


async def test_slow_and_dead_endpoints_delay_nobody_else(world: World) -> None:
    async def slowly(_: Request) -> web.Response:
        await asyncio.sleep(1.5)
        return web.Response()

    slow = [await world.customer(slowly) for _ in range(10)]
    dead, quick = await world.customer(failing()), await world.customer()
    for customer in (*slow, dead):
        await world.endpoint(customer.url, events=["message.sent"])
    await world.endpoint(quick.url, events=["message.delivered"])
    await world.emit(*(world.news(n, state="sent") for n in range(60)))
    await until(lambda: all(customer.requests for customer in slow))
    started = asyncio.get_running_loop().time()
    await world.emit(*(world.news(n) for n in range(100)))
    await until(lambda: len(quick.requests) == 100)
    assert asyncio.get_running_loop().time() - started < 1.0
    assert sum(len(customer.requests) for customer in slow) < 600  # they were still at it
    assert len(dead.requests) < 60  # and the dead one was not asked for each


async def test_a_dead_endpoint_is_only_probed_and_gets_all_when_it_comes_back(lite: World) -> None:
    customer = await lite.customer(failing(502))
    await lite.endpoint(customer.url)
    await lite.emit(*(lite.news(n) for n in range(300)))
    await until(lambda: lite.sender.in_flight == 0 and len(customer.requests) >= 3)
    await asyncio.sleep(0.1)
    assert len(customer.requests) <= 64
    customer.answer = lambda _: web.Response()
    for _ in range(6):
        lite.later(40)
        await asyncio.sleep(0.2)
    await lite.settled()
    assert {row.state.word for row in await lite.log(limit=500)} == {"delivered"}
    assert len({*customer.ids}) == 300


# -- crashes ------------------------------------------------------------------------------------------------------


async def test_what_a_dead_process_had_posted_but_not_recorded_is_posted_again(
    store_url: str, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await world.customer()
    await world.endpoint(customer.url)

    async def away(*_: Any) -> None:
        raise Unavailable("the process dies here")

    monkeypatch.setattr(world.sender._sender._recorder, "_write", away)
    await world.deliver()
    await until(lambda: len(customer.requests) == 1)
    await until(lambda: world.sender.in_hand == 0)
    assert (await world.last()).state.word == "pending"
    assert await world.leased() == 1
    successor = await open_world(store_url, tmp_path)
    try:
        await asyncio.sleep(0.3)
        assert len(customer.requests) == 1  # the lease of the dead one holds
        await _end_leases(successor)
        successor.later(0)
        await until(lambda: len(customer.requests) == 2)
        await world.settled()
    finally:
        await successor.close()
    assert len(set(customer.ids)) == 1


async def test_within_ten_seconds_another_process_posts_what_a_killed_one_had_in_hand(
    store_url: str, tmp_path: Path
) -> None:
    async def never(_: Request) -> web.Response:
        await asyncio.sleep(30)
        raise AssertionError

    first = await populated(store_url, tmp_path)
    customer = await first.customer(never)
    await first.endpoint(customer.url)
    await first.emit(*(first.news(n) for n in range(100)))
    await until(lambda: len(customer.requests) == 32)
    for task in first.sender._sender._tasks:  # it does nothing more, as when it is killed
        task.cancel()
    customer.answer = lambda _: web.Response()
    customer.requests.clear()
    assert await first.leased() == 100
    lease_s, tenth_s = store.LEASE_MS / 1000, 1.0
    assert lease_s + sender.POLL_S + tenth_s <= 10
    await first.rt.store.write(  # all but the last second of the lease has gone by
        sql("update webhook_deliveries set lease_until = lease_until - :by::bigint")({"by": store.LEASE_MS - 1_000})
    )
    second = await open_world(store_url, tmp_path)
    try:
        await until(lambda: len(customer.requests) == 100, 1 + sender.POLL_S + tenth_s)
        assert len(set(customer.ids)) == 100
    finally:
        await second.close()
        await first.close()


async def test_what_takes_longer_than_a_lease_is_kept(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2 * sender.RENEW_S * 1000 < store.LEASE_MS  # one renewal may fail
    monkeypatch.setattr(sender, "RENEW_S", 0.1)
    world = await populated(store_url, tmp_path)
    gate = asyncio.Event()

    async def waiting(_: Request) -> web.Response:
        await gate.wait()
        return web.Response()

    customer = await world.customer(waiting)
    await world.endpoint(customer.url)
    await world.emit(*(world.news(n) for n in range(40)))
    await until(lambda: len(customer.requests) == 32)
    await world.rt.store.write(sql("update webhook_deliveries set lease_until = db_now() + 500")())
    left = sql("select min(lease_until - db_now()) from webhook_deliveries")

    async def renewed() -> bool:
        return bool((await world.rt.store.scan(left()))[0][0] > store.LEASE_MS - 2_000)

    await until(renewed, 2)
    gate.set()
    await world.settled()
    assert len(customer.requests) == 40
    await world.close()


async def test_what_a_process_has_not_begun_is_sent_by_the_next_one(store_url: str, tmp_path: Path) -> None:
    first = await populated(store_url, tmp_path, sending=False)
    customer = await first.customer()
    await first.endpoint(customer.url)
    await first.deliver()
    await until(first.log)
    second = await open_world(store_url, tmp_path)
    try:
        await until(lambda: len(customer.requests) == 1)
    finally:
        await second.close()
        await first.close()


async def test_two_senders_share_the_work_and_post_nothing_twice(postgres_url: str, tmp_path: Path) -> None:
    first = await populated(postgres_url, tmp_path)  # one process owns the writer of a SQLite file
    second = await open_world(postgres_url, tmp_path)
    try:
        customer = await first.customer()
        await first.endpoint(customer.url)
        for start in range(0, 1_000, 100):
            await first.emit(*(first.news(start + n) for n in range(100)))
        await until(lambda: len(customer.requests) >= 1_000, 20)
        await until(lambda: first.sender.in_hand + second.sender.in_hand == 0)
    finally:
        await second.close()
        await first.close()
    assert len(set(customer.ids)) == len(customer.requests) == 1_000


async def _end_leases(world: World) -> None:
    await world.rt.store.write(sql("update webhook_deliveries set lease_until = db_now()")())


async def test_stopping_gives_back_what_has_not_been_posted(lite: World) -> None:
    gate = asyncio.Event()

    async def waiting(_: Request) -> web.Response:
        await gate.wait()
        return web.Response()

    customer = await lite.customer(waiting)
    await lite.endpoint(customer.url)
    await lite.emit(*(lite.news(n) for n in range(100)))
    await until(lambda: len(customer.requests) == 32)
    asyncio.get_running_loop().call_later(0.1, gate.set)
    await lite.sender.stop()
    states = [row.state.word for row in await lite.log()]
    assert (states.count("delivered"), states.count("pending")) == (32, 68)
    assert await lite.leased() == 0


# -- strangers' networks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:9/x", "webhook_url_private"),
        ("https://10.1.2.3/", "webhook_url_private"),
        ("https://[::1]/", "webhook_url_private"),
        ("http://169.254.169.254/latest", "webhook_url_private"),
        ("http://localhost/", "webhook_url_private"),
        ("ftp://example.com/", "webhook_url_invalid"),
        ("https://user:pass@example.com/", "webhook_url_invalid"),
        ("nonsense", "webhook_url_invalid"),
    ],
)
async def test_a_private_or_unusable_address_is_refused_at_once(strict: World, url: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        await strict.endpoint(url)
    assert (refused.value.code, refused.value.param) == (code, "url")


async def test_a_name_that_turns_to_a_private_address_later_is_not_connected_to(
    strict: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await strict.customer()
    port = int(customer.url.split(":")[2].split("/")[0])
    address = ["93.184.215.14"]

    async def resolve(host: str, asked: Any, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address[0], port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    await strict.endpoint(f"http://rebind.example:{port}/hook")
    address[0] = "127.0.0.1"
    await strict.deliver()
    await strict.tried(1)
    assert ((await strict.last()).last_error or "").startswith("refused_address")
    assert customer.requests == []


async def test_a_callback_into_a_private_network_is_refused_at_the_connection(strict: World) -> None:
    customer = await strict.customer()
    await strict.deliver(callback_url=customer.url)
    await strict.tried(1)
    assert ((await strict.last()).last_error or "").startswith("refused_address")
    assert customer.requests == []


async def test_the_body_is_json_that_was_signed_byte_for_byte(lite: World) -> None:
    customer = await lite.customer()
    await lite.endpoint(customer.url)
    await lite.deliver(text='é€😀 "quoted" \u0000 end', metadata={"ключ": [1, None]})
    await lite.settled()
    told = json.loads(customer.requests[0].body)
    assert told["data"]["text"] == 'é€😀 "quoted" \u0000 end'
    assert told["data"]["metadata"] == {"ключ": [1, None]}
    assert customer.requests[0].headers["content-type"] == "application/json"
