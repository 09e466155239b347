"""Requests to customers' addresses: real servers answer, our own network does not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web

from chappe.outgoing import INVALID, MAX_BODY, PRIVATE, Outgoing, Unreachable, check_url, is_public


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "193.0.6.139", "2606:4700::1111", "2a00:1450:4001::1", "100.63.0.1", "172.32.0.1"]
)
def test_public_addresses_pass(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.9.9.9",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "1.2.3",
        "localhost",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "fec0::1",
        "100::1",
        "3fff::1",
        "5f00::1",
        "2606:4700::1111%1",
    ],
)
def test_all_other_addresses_are_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://example.org/hook?a=1#b", None),
        ("http://example.org:8080", None),
        ("https://8.8.8.8/x", None),
        ("https://[2606:4700::1111]/x", None),
        ("https://bücher.example/x", None),
        ("ftp://example.org/", INVALID),
        ("file:///etc/passwd", INVALID),
        ("example.org/x", INVALID),
        ("https://", INVALID),
        ("https://user:secret@example.org/", INVALID),
        ("https://example.org:0/", INVALID),
        ("https://example.org:99999/", INVALID),
        ("https://exam ple.org/", INVALID),
        ("https://example.org/\r\nX: y", INVALID),
        ("https://[::1/", INVALID),
        ("https://example.org/" + "x" * 2048, INVALID),
        ("http://127.0.0.1/", PRIVATE),
        ("http://169.254.169.254/latest/meta-data", PRIVATE),
        ("http://[::1]:9/", PRIVATE),
        ("http://[::ffff:10.0.0.1]/", PRIVATE),
        ("http://localhost/", PRIVATE),
        ("http://LOCALHOST./", PRIVATE),
        ("http://db.internal/", PRIVATE),
        ("http://printer.local/", PRIVATE),
    ],
)
def test_urls_are_judged_by_their_text(url: str, code: str | None) -> None:
    assert check_url(url) == code


def test_an_operator_may_allow_private_urls_but_no_invalid_ones() -> None:
    assert check_url("http://127.0.0.1:8080/x", allow_private=True) is None
    assert check_url("gopher://127.0.0.1/", allow_private=True) == INVALID


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
    response = await client.post(f"{base}/echo", b'{"a":1}', {"Content-Type": "application/json"}, 5)
    assert (response.status, response.body) == (202, b'{"a":1}')
    assert 0 < response.elapsed < 5
    assert requests[0].headers["Content-Type"] == "application/json"


async def test_a_redirect_is_an_answer_and_is_not_followed(
    client: Outgoing, base: str, requests: list[web.Request]
) -> None:
    assert (await client.post(f"{base}/redirect", b"", {}, 5)).status == 307
    assert requests == []


async def test_an_endless_answer_is_cut(client: Outgoing, base: str) -> None:
    response = await client.post(f"{base}/endless", b"", {}, 5)
    assert len(response.body) == MAX_BODY


async def test_a_dripping_answer_ends_with_the_whole_time(client: Outgoing, base: str) -> None:
    with pytest.raises(Unreachable) as refused:
        await client.post(f"{base}/dripping", b"", {}, 0.3)
    assert refused.value.code == "timeout"


async def test_a_private_server_is_never_asked(guarded: Outgoing, base: str, requests: list[web.Request]) -> None:
    port = base.rpartition(":")[2]
    # the text of some spellings looks harmless, and the system makes 127.0.0.1 of it
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]"):
        with pytest.raises(Unreachable) as refused:
            await guarded.post(f"http://{host}:{port}/echo", b"", {}, 5)
        assert refused.value.code in ("refused_address", "protocol"), host
    assert requests == []


async def test_a_name_that_resolves_to_a_private_address_is_refused(
    guarded: Outgoing, base: str, requests: list[web.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(base.rpartition(":")[2])
    answers = iter([["127.0.0.1"], ["10.0.0.1", "fd00::1"]])
    _resolve_to(monkeypatch, answers, port)
    with pytest.raises(Unreachable, match="private address") as refused:
        await guarded.post(f"http://hook.example:{port}/echo", b"", {}, 5)
    assert refused.value.code == "refused_address"
    assert await guarded.check_url(f"https://hook.example:{port}/echo") == PRIVATE
    assert requests == []


async def test_a_name_is_resolved_once_and_the_judged_address_is_called(
    client: Outgoing, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(base.rpartition(":")[2])
    _resolve_to(monkeypatch, iter([["127.0.0.1"]]), port)  # a second look-up would fail
    response = await client.post(f"http://hook.example:{port}/echo", b"hello", {}, 5)
    assert response.body == b"hello"


async def test_what_does_not_answer_has_a_stable_code(client: Outgoing) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(Unreachable) as refused:
            await client.post(closed, b"", {}, 5)
        assert refused.value.code == "connection"
    with pytest.raises(Unreachable) as refused:
        await client.post("http://name.invalid/", b"", {}, 5)
    assert refused.value.code in ("dns", "connection", "timeout")


async def test_plain_http_where_tls_is_expected_is_named(client: Outgoing, base: str) -> None:
    with pytest.raises(Unreachable) as refused:
        await client.post(base.replace("http:", "https:") + "/echo", b"", {}, 5)
    assert refused.value.code == "tls"


async def test_a_header_that_would_break_the_request_is_refused(client: Outgoing, base: str) -> None:
    with pytest.raises(Unreachable) as refused:
        await client.post(f"{base}/echo", b"", {"X-Sent": "a\r\nX-Evil: b"}, 5)
    assert refused.value.code == "protocol"


async def test_a_name_that_does_not_resolve_yet_may_be_registered(guarded: Outgoing) -> None:
    assert await guarded.check_url("https://name.invalid/hook") is None


def _resolve_to(monkeypatch: pytest.MonkeyPatch, answers: Iterator[list[str]], port: int) -> None:
    """Let the system's resolver give these addresses: the one thing about DNS that a test cannot have for real."""

    async def getaddrinfo(_host: str, _port: int, **_options: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in next(answers)
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
