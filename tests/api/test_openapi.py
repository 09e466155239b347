"""The document: complete, and true of what the server does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from chappe import api
from chappe.api.openapi import all_operations
from chappe.api.operations import Operation
from chappe.errors import ERRORS
from tests.api.conftest import World, open_world

OPERATIONS = all_operations(api.RESOURCES)
DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(api.document(api.RESOURCES)))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
    unsupported_method,
]


class Running:
    """A world in a thread of its own, for callers that block."""

    def __init__(self, url: str, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.world: World = self._run(open_world(url, folder))

    def stop(self) -> None:
        self._run(self.world.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


@pytest.fixture(scope="module")
def running(make_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("openapi")
    running = Running(make_sqlite(folder), folder)
    yield running
    running.stop()


@pytest.fixture
def schema(request: pytest.FixtureRequest) -> Any:
    request.node._nodeid = request.node.nodeid  # schemathesis 4.32 wants it, pytest 9.2 has it no more
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.config.generation.update(database="none")
    return schema


# by a fixture: when tests are collected, requests to all operations would take half of the time
@schemathesis.pytest.from_fixture("schema").parametrize()
@settings(
    max_examples=2,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_server_does_what_the_document_says(case: schemathesis.Case, running: Running) -> None:
    """Examples and made-up requests, right and wrong ones, to every operation."""
    headers = {"Authorization": f"Bearer {running.world.keys['operator']}"}
    response = case.call(base_url=running.world.base, headers=headers)
    case.validate_response(response, checks=CHECKS)


async def test_the_document_is_served_and_needs_no_key(world: World) -> None:
    reply = await world.client(None).get("/v1/openapi.json")
    assert (reply.status, reply.json) == (200, DOCUMENT)


def test_every_operation_is_described(subtests: pytest.Subtests) -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)
    for operation in OPERATIONS:
        with subtests.test(operation.name):
            shown = DOCUMENT["paths"][operation.template][operation.method.lower()]
            assert shown["summary"]
            assert shown["description"]
            assert all(parameter["description"] for parameter in shown["parameters"])
            statuses = {int(status) for status in shown["responses"]}
            if operation.scope is not None:
                assert statuses >= {401, 403, 500, 503}
            assert statuses >= {ERRORS[code].status for code in operation.errors}
    for schema in DOCUMENT["components"]["schemas"].values():
        assert schema["description"], schema


def test_every_request_has_an_example_that_is_valid(subtests: pytest.Subtests) -> None:
    with_body = [operation for operation in OPERATIONS if operation.body is not None]
    assert len(with_body) > 15
    for operation in with_body:
        with subtests.test(operation.name):
            shown = DOCUMENT["paths"][operation.template][operation.method.lower()]
            media = shown["requestBody"]["content"]["application/json"]
            validator = jsonschema_rs.validator_for({**media["schema"], "components": DOCUMENT["components"]})
            validator.validate(media["examples"]["usual"]["value"])


async def test_every_example_is_taken_by_the_server(world: World, subtests: pytest.Subtests) -> None:
    """Those that make something, as they are written; `acme-1` comes first, for routes lead to it."""
    making = [operation for operation in OPERATIONS if operation.example and not operation.parameters]
    await world.operator.post("/v1/senders", {"address": "Chappe"})
    for operation in sorted(making, key=_connectors_first):
        if operation.name in ("operator_retry", "price_lists_explain") or operation.tag in _OF_OTHERS:
            continue  # one speaks of an event that failed, the others of an account, a list, a balance
        with subtests.test(operation.name):
            example = dict(operation.example or {}) | _local(operation)
            reply = await world.operator.call(operation.method, operation.path, json=example)
            assert reply.status < 300, reply.body
    assert len(making) > 8


_OF_OTHERS = ("Top-ups", "Connector cards", "Account terms", "Invoicing")


def _connectors_first(operation: Operation) -> bool:
    return operation.name != "connectors_create"


def _local(operation: Operation) -> dict[str, Any]:
    """What an example cannot know of this installation."""
    if operation.name == "routes_create":
        return {"fallback_connectors": []}
    if operation.name == "accounts_create":
        return {"slug": "acme2"}
    if operation.name == "senders_create":
        return {"address": "Chappe2"}
    if operation.name == "webhook_endpoints_create":
        return {"url": "https://192.0.3.7/hook"}
    return {}
