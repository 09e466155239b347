"""Requests to customers' addresses: real servers answer, our own network does not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from chappe.outgoing import MAX_BODY, PRIVATE, Outgoing, Unreachable
from tests.outgoing.conftest import OK, calling, listening, resolve_to, saying


async def test_a_request_is_written_as_the_rfc_has_it() -> None:
    async with listening(saying(OK)) as (stranger, url), calling() as outgoing:
        await outgoing.post(url.replace("/hook", "/a b?q=ü&r=%2F[]#x".replace(" ", "%20")), b"X-Mine: 1\r\n", b"{}", 5)
    head, _, body = stranger.requests[0].partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    assert line == b"POST /a%20b?q=%C3%BC&r=%2F%5B%5D HTTP/1.1"
    assert headers[0] == b"Host: " + url.split("/")[2].encode()
    assert headers[-2:] == [b"X-Mine: 1", b"Content-Length: 2"]
    assert body == b"{}"


@pytest.mark.parametrize(
    ("url", "key", "host"),
    [
        ("https://Example.ORG/x", (True, "example.org", 443), b"example.org"),
        ("http://example.org:80/x", (False, "example.org", 80), b"example.org"),
        ("http://example.org:443/x", (False, "example.org", 443), b"example.org:443"),
        ("https://[2606:4700::1111]:8443", (True, "2606:4700::1111", 8443), b"[2606:4700::1111]:8443"),
        ("https://bücher.example/x", (True, "xn--bcher-kva.example", 443), b"xn--bcher-kva.example"),
        ("https://straße.example/x", (True, "xn--strae-oqa.example", 443), b"xn--strae-oqa.example"),
    ],
)
async def test_a_url_becomes_a_server_and_a_host_header(url: str, key: tuple[bool, str, int], host: bytes) -> None:
    async with calling() as outgoing:
        target = outgoing.target(url)
    assert (target.key.tls, target.key.host, target.key.port) == key
    assert b"\r\nHost: " + host + b"\r\n" in target.head


@pytest.fixture
async def client() -> AsyncIterator[Outgoing]:
    client = Outgoing(allow_private=True)
    yield client
    await client.close()


@pytest.fixture
async def guarded() -> AsyncIterator[Outgoing]:
    client = Outgoing()
    yield client
    await client.close()


@pytest.fixture
def requests() -> list[web.Request]:
    return []


@pytest.fixture
async def base(requests: list[web.Request]) -> AsyncIterator[str]:
    """The address of a server with a page for each way to answer."""

    async def echo(request: web.Request) -> web.Response:
        requests.append(request)
        return web.Response(status=202, body=await request.read(), headers={"X-Got": request.headers.get("X-Sent", "")})

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 8192)
            await asyncio.sleep(0.001)

    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)

    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/echo")

    app = web.Application()
    app.router.add_post("/echo", echo)
    app.router.add_post("/endless", endless)
    app.router.add_post("/dripping", dripping)
    app.router.add_post("/redirect", elsewhere)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


async def test_a_body_is_posted_and_the_answer_comes_back(
    client: Outgoing, base: str, requests: list[web.Request]
) -> None:
    response = await client.post(f"{base}/echo", b"Content-Type: application/json\r\n", b'{"a":1}', 5)
    assert (response.status, response.body) == (202, b'{"a":1}')
    assert requests[0].headers["Content-Type"] == "application/json"


async def test_a_redirect_is_an_answer_and_is_not_followed(
    client: Outgoing, base: str, requests: list[web.Request]
) -> None:
    assert (await client.post(f"{base}/redirect", b"", b"", 5)).status == 307
    assert requests == []


async def test_an_endless_answer_is_cut(client: Outgoing, base: str) -> None:
    response = await client.post(f"{base}/endless", b"", b"", 5)
    assert len(response.body) == MAX_BODY


async def test_a_dripping_answer_ends_with_the_whole_time(client: Outgoing, base: str) -> None:
    with pytest.raises(Unreachable) as refused:
        await client.post(f"{base}/dripping", b"", b"", 0.3)
    assert refused.value.code == "timeout"


async def test_a_private_server_is_never_asked(guarded: Outgoing, base: str, requests: list[web.Request]) -> None:
    port = base.rpartition(":")[2]
    # the text of some spellings looks harmless, and the system makes 127.0.0.1 of it
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]"):
        with pytest.raises(Unreachable) as refused:
            await guarded.post(f"http://{host}:{port}/echo", b"", b"", 5)
        assert refused.value.code in ("refused_address", "protocol"), host
    assert requests == []


async def test_a_name_that_resolves_to_a_private_address_is_refused(
    guarded: Outgoing, base: str, requests: list[web.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = base.rpartition(":")[2]
    answers = iter([["127.0.0.1"], ["10.0.0.1", "fd00::1"]])
    resolve_to(monkeypatch, answers)
    with pytest.raises(Unreachable, match="private address") as refused:
        await guarded.post(f"http://hook.example:{port}/echo", b"", b"", 5)
    assert refused.value.code == "refused_address"
    assert await guarded.check_url(f"https://hook.example:{port}/echo") == PRIVATE
    assert requests == []


async def test_a_name_is_resolved_once_and_the_judged_address_is_called(
    client: Outgoing, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = base.rpartition(":")[2]
    resolve_to(monkeypatch, iter([["127.0.0.1"]]))  # a second look-up would fail
    response = await client.post(f"http://hook.example:{port}/echo", b"", b"hello", 5)
    assert response.body == b"hello"


async def test_what_does_not_answer_has_a_stable_code(client: Outgoing) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(Unreachable) as refused:
            await client.post(closed, b"", b"", 5)
        assert refused.value.code == "connection"
    with pytest.raises(Unreachable) as refused:
        await client.post("http://name.invalid/", b"", b"", 5)
    assert refused.value.code in ("dns", "connection", "timeout")


async def test_plain_http_where_tls_is_expected_is_named(client: Outgoing, base: str) -> None:
    with pytest.raises(Unreachable) as refused:
        await client.post(base.replace("http:", "https:") + "/echo", b"", b"", 5)
    assert refused.value.code == "tls"


async def test_a_name_that_does_not_resolve_yet_may_be_registered(guarded: Outgoing) -> None:
    assert await guarded.check_url("https://name.invalid/hook") is None
