"""The connections of the client: kept, counted, repeated once, judged again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from chappe.outgoing import Outgoing, Unreachable, client, origin
from tests.outgoing.conftest import OK, Stranger, calling, listening, resolve_to, saying


async def test_connections_are_kept_and_no_more_are_opened_than_needed() -> None:
    async with listening(saying(OK)) as (stranger, url), calling() as outgoing:
        for _ in range(5):
            await asyncio.gather(*(outgoing.post(url, b"", b"", 5) for _ in range(4)))
        assert stranger.connections == 4
        await asyncio.gather(*(outgoing.post(url, b"", b"", 5) for _ in range(300)))
        assert stranger.connections <= origin.MAX_CONNECTIONS_A_HOST


async def test_a_connection_that_the_server_ends_is_not_used_again() -> None:
    answer = saying(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    async with listening(answer) as (stranger, url), calling() as outgoing:
        for _ in range(3):
            await outgoing.post(url, b"", b"", 5)
        assert stranger.connections == 3


async def test_bytes_that_nobody_asked_for_end_a_connection() -> None:
    async with listening(saying(OK + OK)) as (stranger, url), calling() as outgoing:
        for _ in range(3):
            assert (await outgoing.post(url, b"", b"", 5)).body == b"ok"
        assert stranger.connections == 3


async def test_a_request_on_a_connection_that_had_died_is_made_once_more() -> None:
    async def second_dies(stranger: Stranger, writer: asyncio.StreamWriter) -> None:
        if len(stranger.requests) == 2:
            writer.transport.abort()
        else:
            writer.write(OK)

    async with listening(second_dies) as (stranger, url), calling() as outgoing:
        for _ in range(3):
            assert (await outgoing.post(url, b"", b"x", 5)).body == b"ok"
        assert len(stranger.requests) == 4
        assert stranger.connections == 2


async def test_it_is_made_once_more_only_and_never_on_a_fresh_connection() -> None:
    async def first_alone(stranger: Stranger, writer: asyncio.StreamWriter) -> None:
        if len(stranger.requests) == 1:
            writer.write(OK)
        else:
            writer.transport.abort()

    async with listening(first_alone) as (stranger, url), calling() as outgoing:
        await outgoing.post(url, b"", b"", 5)
        for requests in (3, 4):  # the first is repeated on a fresh connection; the second begins on one
            with pytest.raises(Unreachable) as refused:
                await outgoing.post(url, b"", b"", 5)
            assert refused.value.code == "connection"
            assert len(stranger.requests) == requests


async def test_it_is_not_made_again_when_the_answer_had_begun() -> None:
    async def second_breaks_off(stranger: Stranger, writer: asyncio.StreamWriter) -> None:
        if len(stranger.requests) == 1:
            writer.write(OK)
        else:
            writer.write(b"HTTP/1.1 200")
            writer.close()

    async with listening(second_breaks_off) as (stranger, url), calling() as outgoing:
        await outgoing.post(url, b"", b"", 5)
        with pytest.raises(Unreachable):
            await outgoing.post(url, b"", b"", 5)
        assert len(stranger.requests) == 2


async def test_idle_connections_are_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "KEEP_S", 0.1)
    async with listening(saying(OK)) as (stranger, url), calling() as outgoing:
        await outgoing.post(url, b"", b"", 5)
        assert len(stranger.open) == 1
        async with asyncio.timeout(2):
            while stranger.open:
                await asyncio.sleep(0.02)
        assert (await outgoing.post(url, b"", b"", 5)).status == 200


async def test_an_idle_connection_makes_room_for_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_CONNECTIONS", 3)
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(listening(saying(OK))) for _ in range(5)]
        outgoing = await stack.enter_async_context(calling())
        for _ in range(2):
            for _, url in servers:
                assert (await outgoing.post(url, b"", b"", 5)).status == 200
        await asyncio.sleep(0.05)
        assert sum(len(stranger.open) for stranger, _ in servers) <= 3


async def test_who_finds_no_room_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_CONNECTIONS", 1)

    async def slowly(_: Stranger, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(OK)

    async with listening(slowly) as (_, one), listening(saying(OK)) as (_, two), calling() as outgoing:
        responses = await asyncio.gather(*(outgoing.post(url, b"", b"", 5) for url in (one, two, one, two)))
    assert [response.status for response in responses] == [200] * 4


async def test_more_than_may_wait_for_one_server_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "MAX_WAITING_A_HOST", 10)
    async with listening(saying(OK)) as (_, url), calling() as outgoing:
        outcomes = await asyncio.gather(*(outgoing.post(url, b"", b"", 5) for _ in range(12)), return_exceptions=True)
    assert [isinstance(outcome, Unreachable) for outcome in outcomes] == [False] * 10 + [True] * 2


async def test_a_slow_server_delays_no_other() -> None:
    async def never(_: Stranger, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with listening(never) as (_, slow), listening(saying(OK)) as (_, quick), calling() as outgoing:
        late = [asyncio.create_task(outgoing.post(slow, b"", b"", 0.4)) for _ in range(200)]
        await asyncio.sleep(0.05)
        started = asyncio.get_running_loop().time()
        for _ in range(20):
            await outgoing.post(quick, b"", b"", 5)
        assert asyncio.get_running_loop().time() - started < 0.3
        outcomes = await asyncio.gather(*late, return_exceptions=True)
        assert {outcome.code for outcome in outcomes if isinstance(outcome, Unreachable)} == {"timeout"}
        assert len(outcomes) == 200


async def test_the_next_address_is_tried_when_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(saying(OK)) as (_, url), calling() as outgoing:
        resolve_to(monkeypatch, iter([["127.0.0.2", "127.0.0.1"]]))  # nobody listens at the first
        place = url.replace("127.0.0.1", "two.example")
        assert (await outgoing.post(place, b"", b"", 5)).status == 200
        assert (await outgoing.post(place, b"", b"", 5)).status == 200


async def test_a_name_is_judged_again_when_its_address_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: a good address at first, a private one when the connection is made anew."""
    monkeypatch.setattr(origin, "LOOK_UP_S", 0.0)
    monkeypatch.setattr(origin, "is_public", lambda address: address == "127.0.0.1")
    answer = saying(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    async with listening(answer) as (stranger, url):
        outgoing = Outgoing()
        resolve_to(monkeypatch, iter([["127.0.0.1", "10.0.0.1"], ["127.0.0.2", "::1"]]))
        place = url.replace("127.0.0.1", "rebind.example")
        assert (await outgoing.post(place, b"", b"", 5)).status == 200
        with pytest.raises(Unreachable) as refused:
            await outgoing.post(place, b"", b"", 5)
        assert refused.value.code == "refused_address"
        assert len(stranger.requests) == 1
        await outgoing.close()


async def test_closing_tells_all_who_wait() -> None:
    async def never(_: Stranger, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with listening(never) as (_, url):
        outgoing = Outgoing(allow_private=True)
        waiting = [asyncio.create_task(outgoing.post(url, b"", b"", 5)) for _ in range(100)]
        await asyncio.sleep(0.05)
        await outgoing.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {outcome.code for outcome in outcomes if isinstance(outcome, Unreachable)} == {"connection"}
        with pytest.raises(Unreachable):
            await outgoing.post(url, b"", b"", 5)
