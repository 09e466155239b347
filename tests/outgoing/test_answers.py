"""What strangers answer: every shape of it is read, nothing of it harms us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.outgoing import MAX_BODY, Response, Unreachable
from chappe.outgoing.connection import MAX_ANSWER, MAX_HEAD
from tests.outgoing.conftest import LOOPS, OK, Answer, Stranger, calling, listening, saying, told

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def code_of(answer: Answer, timeout: float = 5.0) -> str:  # noqa: ASYNC109
    failure = await told(answer, timeout)
    assert isinstance(failure, Unreachable), failure
    return failure.code


@pytest.mark.parametrize(
    ("pieces", "status", "body"),
    [
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), 204, b""),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe", b"llo"), 200, b"hello"),
        (tuple(bytes([byte]) for byte in OK), 200, b"ok"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", OK), 200, b"ok"),
        ((b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3 + OK,), 200, b"ok"),
        (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nRetry-After: 9\r\n\r\n",),
            200,
            b"ok",
        ),
        ((b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 3, b"0\r\n\r\n"), 500, b"xxx"),
    ],
)
async def test_every_shape_of_an_answer_is_read(pieces: tuple[bytes, ...], status: int, body: bytes) -> None:
    response = await told(saying(*pieces))
    assert isinstance(response, Response), response
    assert (response.status, response.body) == (status, body)
    assert response.header("retry-after") is None  # a trailer is no header
    assert response.header("link") is None  # nor is what came before the answer


async def test_headers_are_found_in_any_case() -> None:
    response = await told(saying(b"HTTP/1.1 503 Later\r\nRETRY-after: 120\r\nContent-Length: 0\r\n\r\n"))
    assert isinstance(response, Response)
    assert response.header("Retry-After") == "120"


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"])
async def test_an_answer_may_end_with_its_connection(head: bytes) -> None:
    response = await told(saying(head + b"all of", b" it", close=True))
    assert isinstance(response, Response)
    assert response.body == b"all of it"


@pytest.mark.parametrize(
    "pieces",
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n",),
        (b"\x16\x03\x01\x00\xff" * 20,),
        (b"HTTP/1.1 abc OK\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",),
        (CHUNKED + b"zz\r\n",),
        (b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * MAX_HEAD,),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * MAX_HEAD,),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * MAX_HEAD,),
        (CHUNKED + b"2\r\nok\r\n0\r\n" + b"X: y\r\n" * MAX_ANSWER,),
        (CHUNKED + b"1;" + b"x" * 2 * MAX_ANSWER,),
    ],
)
async def test_what_is_no_answer_or_never_ends_is_a_fault_of_the_protocol(pieces: tuple[bytes, ...]) -> None:
    assert await code_of(saying(*pieces)) == "protocol"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        CHUNKED + b"5\r\nhello\r\n",
    ],
)
async def test_an_answer_that_breaks_off_is_none(said: bytes) -> None:
    assert await code_of(saying(said, close=True)) == "connection"


async def test_a_slow_drip_of_headers_ends_with_the_whole_time() -> None:
    async def drip(_: Stranger, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    assert await code_of(drip, 0.2) == "timeout"


async def test_a_body_of_any_length_is_cut_and_its_connection_not_kept() -> None:
    for head in (b"Content-Length: 100000000\r\n\r\n", b"\r\n"):
        endless = saying(b"HTTP/1.1 200 OK\r\n" + head + b"x" * 1_000_000)
        async with listening(endless) as (stranger, url), calling() as outgoing:
            bodies = [(await outgoing.post(url, b"", b"", 5)).body for _ in range(2)]
        assert bodies == [b"x" * MAX_BODY] * 2
        assert stranger.connections == 2


@settings(max_examples=100, deadline=None)
@given(
    cuts=st.lists(st.tuples(st.integers(0, 90), st.binary(max_size=6)), max_size=4),
    close=st.booleans(),
    loop=st.sampled_from(list(LOOPS.values())),
)
def test_whatever_comes_is_told_once_and_in_time(
    cuts: list[tuple[int, bytes]], close: bool, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """A good answer, spoilt at some places, with or without an end."""
    said = bytearray(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n5\r\nhello\r\n0\r\nZ: 1\r\n\r\n")
    for place, noise in cuts:
        said[place : place + len(noise)] = noise
    outcomes: list[Response | Unreachable] = []

    async def scenario() -> None:
        async with listening(saying(bytes(said), close=close)) as (_, url), calling() as outgoing:
            outgoing.send(outgoing.target(url), b"", b"{}", 0.05, outcomes.append)
            async with asyncio.timeout(2):
                while not outcomes:
                    await asyncio.sleep(0.002)
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())
    assert len(outcomes) == 1
