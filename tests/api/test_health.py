"""Health, readiness, metrics, documentation."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from chappe import api
from chappe.api.store import PROBE
from chappe.settings import Http
from tests.api.conftest import LATER, Client, World
from tests.support.eventually import eventually


async def test_a_node_that_can_work_says_so(world: World) -> None:
    anyone = world.client(None)
    assert (await anyone.get("/healthz")).json == {"status": "ok"}
    told = (await anyone.get("/readyz")).json
    assert told == {"status": "ready", "reasons": [], "node": world.rt.node.name, "roles": []}


async def test_a_node_that_cannot_says_why(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.reasons[0] = "The SMPP server is not listening."

    write = world.rt.store.write

    async def stuck(self: Any, *ops: Any, **more: Any) -> Any:
        if ops[0].statement is PROBE:
            await asyncio.sleep(1)
        return await write(*ops, **more)

    monkeypatch.setattr(type(world.rt.store), "write", stuck)
    monkeypatch.setattr("chappe.api.health.PATIENCE_S", 0.05)
    reply = await world.client(None).get("/readyz")
    assert (reply.status, reply.json["status"]) == (503, "not_ready")
    assert len(reply.json["reasons"]) == 2
    assert (await world.client(None).get("/healthz")).status == 200


async def test_a_node_that_is_no_door_still_tells_how_it_is(world: World) -> None:
    app = api.create_app(world.rt, world.pipeline, world.webhooks, probes_only=True)
    server = await api.serve(app, Http(port=0))
    try:
        client = Client(world._session, f"http://127.0.0.1:{server.port}", world.operator.key)
        assert [(await client.get(path)).status for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3
        for path in ("/v1/messages", "/v1/connectors", "/docs"):
            reply = await client.get(path)
            assert (reply.status, reply.json["error"]["code"]) == (404, "not_found")
        assert (await client.post("/v1/messages", {"to": "+33612345678", "text": "x"})).status == 404
    finally:
        await server.stop()


async def test_metrics_count_what_happens(both: World) -> None:
    await both.acme.post("/v1/messages", {"to": "+33612345678", "text": "x"})
    await both.acme.post("/v1/messages", {"to": "+33612345678", "text": "x", "send_at": LATER})
    await both.acme.post("/v1/messages", {"to": "1", "text": "x"})
    await both.acme.get("/v1/keys/key_0000000000000")

    async def delivered() -> bool:
        return len((await both.acme.get("/v1/messages?status=delivered")).json["data"]) == 1

    await eventually(delivered)
    text = (await both.client(None).get("/metrics")).body.decode()
    for line in (
        'chappe_http_requests_total{route="/v1/messages",status="202"} 2.0',
        'chappe_http_requests_total{route="/v1/messages",status="422"} 1.0',
        'chappe_http_requests_total{route="GET /v1/keys/{id}",status="404"} 1.0',
        'chappe_queue_messages{connector="main",lane="transactional",state="scheduled"} 1.0',
        'chappe_recent_messages{connector="main",state="delivered"} 1.0',
        'chappe_link_binds_up{connector="main"} 1.0',
        'chappe_link_state{connector="lab",state="up"} 1.0',
        'chappe_events_waiting{reaction="webhooks.messages"} 0.0',
        "chappe_webhook_deliveries_due 0.0",
        "process_resident_memory_bytes",
    ):
        assert line in text, line
    mean = re.search(r'chappe_submit_seconds\{connector="main",state="delivered"\} (\S+)', text)
    assert mean is not None and 0 <= float(mean[1]) < 10


async def test_metrics_are_not_for_strangers(world: World) -> None:
    behind_proxy = {"X-Forwarded-For": "198.51.100.7"}
    assert (await world.client(None).get("/metrics", headers=behind_proxy)).code == "unauthenticated"
    assert (await world.acme.get("/metrics", headers=behind_proxy)).code == "scope_missing"
    assert (await world.operator.get("/metrics", headers=behind_proxy)).status == 200


async def test_the_documentation_loads_nothing_from_elsewhere(world: World) -> None:
    page = await world.client(None).get("/docs")
    assert page.status == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    links = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert len(links) == 3
    for link in links:
        assert link.startswith("/docs/")
        reply = await world.client(None).get(link)
        assert (reply.status, len(reply.body) > 100) == (200, True)
        tag = {"If-None-Match": reply.headers["etag"]}
        assert (await world.client(None).get(link, headers=tag)).status == 304


async def test_the_catalogue_needs_no_key(world: World) -> None:
    catalogue = (await world.client(None).get("/v1/errors")).json
    assert {"number_not_e164", "internal"} <= {entry["code"] for entry in catalogue["requests"]}
    refused = await world.acme.post("/v1/messages", {})
    entry = await world.client(None).get(refused.json["error"]["docs_url"])
    assert (entry.json["code"], entry.json["status"]) == ("missing_field", 422)
    assert (await world.client(None).get("/v1/errors/absent_subscriber")).json["permanent"] is False


async def test_a_head_that_never_ends_is_cut_off(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
    with pytest.raises(ConnectionError):
        for _ in range(100):
            writer.write(b"y" * 16_384)
            await writer.drain()
            await asyncio.sleep(0.001)
    writer.close()
    assert reader is not None


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "the usual way"}])
async def test_a_stopping_server_answers_what_it_has_begun(
    world: World, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    accept, submit = world.pipeline.accept, world.pipeline.submit
    begun = asyncio.Event()

    async def slow(*args: Any) -> Any:
        begun.set()
        await asyncio.sleep(0.3)
        return await accept(*args)

    def slow_submit(*args: Any) -> None:
        begun.set()
        asyncio.get_running_loop().call_later(0.3, submit, *args)

    monkeypatch.setattr(world.pipeline, "accept", slow)
    monkeypatch.setattr(world.pipeline, "submit", slow_submit)
    call = asyncio.create_task(world.acme.post("/v1/messages", {"to": "+33612345678", "text": "x"}, headers=headers))
    await begun.wait()
    await world.server.stop()
    assert (await call).status == 202


async def test_a_taken_port_is_said_at_once(world: World) -> None:
    with pytest.raises(OSError, match="in use"):
        await api.serve(world.app, Http(port=world.server.port))
