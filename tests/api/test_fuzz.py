"""Any bytes get an answer that says what is wrong, never a 5xx."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chappe.errors import ERRORS
from tests.api.conftest import World, open_world

GOOD = {"to": "+33612345678", "text": "x", "from": "Acme"}
FIELDS = [
    *("to", "from", "text", "purpose", "encoding", "smart_encoding", "send_at", "validity_seconds", "callback_url"),
    *("correlation_id", "tags", "metadata", "dry_run", "data", "udh", "message_class", "data_coding", "protocol_id"),
    *("priority", "tlvs", "connector", "messages"),
]
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
nearly = st.builds(lambda base, change: base | change, st.just(GOOD), st.dictionaries(st.sampled_from(FIELDS), values))
batches = st.fixed_dictionaries({"messages": st.lists(nearly | values, max_size=4)}) | nearly.map(
    lambda item: item | {"to": [item["to"]]}
)
quick = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def lone(value: Any) -> bytes:
    """JSON as Python writes it: unpaired surrogates and large numbers too."""
    import json

    return json.dumps(value).encode()


class Talk:
    """Speaks ASGI with the app on one loop, without a socket in between."""

    def __init__(self, url: str, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.world: World = self.loop.run_until_complete(open_world(url, folder))

    def close(self) -> None:
        self.loop.run_until_complete(self.world.stop())
        self.loop.close()

    def post(self, path: str, body: bytes, headers: dict[bytes, bytes] | None = None) -> tuple[int, Any]:
        return self.loop.run_until_complete(self._post(path, body, headers or {}))

    async def _post(self, path: str, body: bytes, headers: dict[bytes, bytes]) -> tuple[int, Any]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: Any) -> None:
            sent.append(event)

        named = {b"authorization": f"Bearer {self.world.keys['acme']}".encode()} | headers
        path_, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": "POST",
            "path": path_,
            "raw_path": path_.encode("utf-8", "surrogatepass"),
            "query_string": query.encode("latin-1", "replace"),
            "headers": list(named.items()),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
        }
        await self.world.app(scope, receive, send)
        return sent[0]["status"], msgspec.json.decode(sent[1]["body"])


def check(status: int, told: Any) -> None:
    assert status in (202, 400, 403, 404, 413, 415, 422, 429), told
    if status >= 400:
        assert told["error"]["code"] in ERRORS
        assert told["error"]["request_id"]


def test_any_bytes_get_an_answer(sqlite_url: str, tmp_path: Path) -> None:
    talk = Talk(sqlite_url, tmp_path)

    @quick
    @given(body=st.binary(max_size=200) | values.map(lone) | nearly.map(lone), path=st.sampled_from(["", "/batch"]))
    def some_bytes(body: bytes, path: str) -> None:
        check(*talk.post("/v1/messages" + path, body))

    @quick
    @given(body=batches.map(lone))
    def some_batch(body: bytes) -> None:
        check(*talk.post("/v1/messages/batch", body))

    @quick
    @given(key=st.binary(max_size=300), kind=st.binary(max_size=40), bearer=st.binary(max_size=80))
    def some_headers(key: bytes, kind: bytes, bearer: bytes) -> None:
        body = msgspec.json.encode(GOOD | {"dry_run": True})
        check(*talk.post("/v1/messages", body, {b"idempotency-key": key}))
        check(*talk.post("/v1/messages", body, {b"content-type": kind}))
        status, told = talk.post("/v1/messages", body, {b"authorization": bearer})
        assert (status, told["error"]["code"]) == (401, "unauthenticated")

    @quick
    @given(query=st.text(max_size=60), body=st.binary(max_size=60) | values.map(lone))
    def another_address(query: str, body: bytes) -> None:
        check(*talk.post(f"/v1/preview?{query}", body))

    try:
        some_bytes()
        some_batch()
        some_headers()
        another_address()
    finally:
        talk.close()
