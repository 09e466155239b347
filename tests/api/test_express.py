"""The short way of a single message and the usual way say the same, on one connection, in order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from chappe.api import express
from tests.api.conftest import World


class Wire:
    """A connection on which requests are written by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str | None) -> None:
        self._reader, self.writer, self._key = reader, writer, key

    def request(self, body: bytes, *more: str, path: str = "/v1/messages", key: str | None = None) -> bytes:
        lines = [f"POST {path} HTTP/1.1", "Host: chappe", f"Authorization: Bearer {key or self._key}", *more]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await self._reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, json.loads(body)


@pytest.fixture
async def wire(world: World) -> Wire:
    return Wire(*await asyncio.open_connection("127.0.0.1", world.server.port), world.acme.key)


def message(text: str, **more: Any) -> bytes:
    return json.dumps({"to": "+33612345678", "text": text} | more).encode()


async def test_requests_behind_one_another_are_answered_in_their_order(wire: Wire) -> None:
    stream = b"".join(
        (
            wire.request(message("one")),
            wire.request(message("two")),
            wire.request(message("three"), "Idempotency-Key: three"),
            wire.request(message("")),
            wire.request(message("four")),
        )
    )
    wire.writer.write(stream)
    said = [await wire.answer() for _ in range(5)]
    assert [(status, body.get("text")) for status, _, body in said] == [
        (202, "one"),
        (202, "two"),
        (202, "three"),
        (422, None),
        (202, "four"),
    ]
    assert len({headers["x-request-id"] for _, headers, _ in said}) == 5


async def test_a_body_may_come_in_pieces(wire: Wire) -> None:
    raw = wire.request(message("in pieces"))
    for at in range(0, len(raw), 40):
        wire.writer.write(raw[at : at + 40])
        await wire.writer.drain()
        await asyncio.sleep(0)
    status, headers, body = await wire.answer()
    assert (status, body["text"], headers["content-type"]) == (202, "in pieces", "application/json")


@pytest.mark.parametrize(
    ("body", "more", "code"),
    [
        (b"{", (), "invalid_json"),
        (b'{"to": 7, "text": "x"}', (), "invalid_type"),
        (message("x", to="+33"), (), "number_too_short"),
        (message("x"), ("Content-Type: text/plain",), "unsupported_media_type"),
        (message("x", metadata={"note": "y" * express.LONGEST}), (), None),
    ],
)
async def test_both_ways_refuse_alike(wire: Wire, body: bytes, more: tuple[str, ...], code: str | None) -> None:
    wire.writer.write(wire.request(body, *more) + wire.request(body, *more, "Idempotency-Key: usual"))
    (status, _, short), (usual_status, _, usual) = [await wire.answer() for _ in range(2)]
    assert status == usual_status
    for said in (short, usual):
        if said.get("error"):
            said["error"].pop("request_id")
    if code is None:
        assert status in (202, 422)
    else:
        assert short["error"]["code"] == code
    if status >= 400:
        assert short == usual


async def test_an_unknown_key_is_refused_and_the_connection_goes_on(wire: Wire) -> None:
    wire.writer.write(wire.request(message("x"), key="ck_live_unknown") + wire.request(message("y")))
    assert [(await wire.answer())[0] for _ in range(2)] == [401, 202]


async def test_who_asks_to_close_is_closed(wire: Wire) -> None:
    wire.writer.write(wire.request(message("bye"), "Connection: close"))
    status, headers, _ = await wire.answer()
    assert (status, headers["connection"]) == (202, "close")
    assert await wire._reader.read() == b""


async def test_a_caller_that_hangs_up_costs_nobody_anything(wire: Wire, world: World) -> None:
    wire.writer.write(wire.request(message("gone")) + wire.request(message("gone too")))
    wire.writer.transport.abort()
    assert (await world.acme.post("/v1/messages", {"to": "+33612345678", "text": "x"})).status == 202
