"""Webhook endpoints, what was posted to them, and playing it again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import ids, webhooks
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import (
    Listed,
    Page,
    Time,
    after,
    given,
    listed,
    maybe_moment,
    maybe_rfc,
    moment,
    page_of,
    paged,
    rfc,
)
from chappe.errors import Refused
from chappe.webhooks import Attempt, Delivery, Endpoint, EventType, Health, Mode, State

resource = Resource(
    "Webhook endpoints",
    "Addresses that get the account's events, signed as Standard Webhooks say.",
    scope="webhooks",
    tenant=True,
)

Url = Annotated[str, Meta(min_length=1, max_length=2048, examples=["https://example.com/hooks"])]
Types = Annotated[tuple[EventType, ...], Meta(max_length=50, description="None means all.")]
Description = Annotated[str, Meta(max_length=200)] | None
DeliveryState = Literal["pending", "delivered", "failed", "dropped"]


class NewEndpoint(Struct, forbid_unknown_fields=True, kw_only=True):
    """An address for events. A test key makes endpoints of mode `test` only."""

    url: Url
    events: Types = ()
    mode: Annotated[Mode, Meta(description="Of live traffic, of test traffic, or of both.")] = "both"
    description: Description = None


class EndpointChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change."""

    url: Url | UnsetType = UNSET
    events: Types | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    description: Description | UnsetType = UNSET


class Rotation(Struct, forbid_unknown_fields=True):
    """How long both secrets sign."""

    keep_previous_seconds: Annotated[int, Meta(ge=0, le=30 * 86_400)] = 86_400


class Trial(Struct, forbid_unknown_fields=True):
    """The type of the sample."""

    type: EventType = "message.delivered"


class Range(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which deliveries to repeat."""

    since: Annotated[str, Meta(description="RFC 3339 with an offset.", examples=["2027-01-31T09:00:00Z"])]
    until: Annotated[str, Meta(description="RFC 3339 with an offset; now if left out.")] | None = None
    type: EventType | None = None
    only_failed: bool = True


class HealthOut(Struct, frozen=True):
    """How the endpoint has been doing since its last success."""

    failures: int
    failing_since: Time | None
    last_success_at: Time | None
    last_failure_at: Time | None
    last_error: str | None


class EndpointOut(Struct, frozen=True, kw_only=True):
    """An address for events, without its secret."""

    id: Annotated[str, Meta(examples=["whe_006h3r8k2w0g4"])]
    url: str
    events: list[EventType]
    mode: Mode
    status: Literal["active", "paused"]
    paused_reason: Literal["manual", "failing", "gone"] | None
    paused_at: Time | None
    description: str | None
    health: HealthOut
    created_at: Time


class CreatedEndpoint(EndpointOut, frozen=True, kw_only=True):
    """An endpoint with a new secret, shown now and never again."""

    secret: Annotated[str, Meta(examples=["whsec_..."])]


class CallbackSecretOut(Struct, frozen=True):
    """What signs the events that go to the `callback_url` of a message."""

    secret: str


class DeliveryAttempt(Struct, frozen=True):
    """One POST; `status` null means that no answer came."""

    number: int
    at: Time
    status: int | None
    error: str | None
    duration_ms: int
    response: str | None


class DeliveryOut(Struct, frozen=True, kw_only=True):
    """One event for one address. `endpoint_id` null: it went to a message's `callback_url`."""

    id: Annotated[str, Meta(examples=["whd_006h3r8k2w0g4"])]
    event_id: str
    endpoint_id: str | None
    type: str
    origin: Literal["event", "replay", "test"]
    url: str | None
    status: DeliveryState
    tries: int
    next_try_at: Time | None
    last_status: int | None
    last_error: str | None
    created_at: Time
    finished_at: Time | None


class DeliveryDetail(DeliveryOut, frozen=True, kw_only=True):
    """A delivery with what was posted and what was answered."""

    body: dict[str, Any]
    attempts: list[DeliveryAttempt]


class Replayed(Struct, frozen=True):
    """How many events are posted again."""

    replayed: int


class DeliveryPage(Page, forbid_unknown_fields=True, kw_only=True):
    """What a delivery log can be narrowed to."""

    status: DeliveryState | None = None
    type: EventType | None = None
    event_id: Annotated[str, Meta(description="evt_...")] | None = None
    created_after: Annotated[str, Meta(description="RFC 3339 with an offset.")] | None = None
    created_before: Annotated[str, Meta(description="RFC 3339 with an offset.")] | None = None


_URL_ERRORS = ("webhook_url_invalid", "webhook_url_private", "duplicate_name")


@resource.get("/v1/webhook_endpoints", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[EndpointOut]:
    """List webhook endpoints."""
    health = await webhooks.health(call.rt, call.account_id)
    mine = webhooks.endpoints(call.rt, call.account_id)
    return page_of(mine, query, "whe", lambda e: EndpointOut(**_fields(e, health.get(e.id))), lambda e: e.id)


@resource.get("/v1/webhook_endpoints/{id:whe}")
async def get(call: Call, id: int) -> EndpointOut:
    """Show a webhook endpoint."""
    return await _shown(call, webhooks.found_endpoint(call.rt, call.account_id, id))


@resource.post(
    "/v1/webhook_endpoints",
    status=201,
    example={"url": "https://example.com/hooks", "events": ["message.delivered", "message.received"]},
    errors=_URL_ERRORS,
)
async def create(call: Call, body: NewEndpoint) -> CreatedEndpoint:
    """Make a webhook endpoint."""
    _guard(call, body.mode)
    endpoint, secret = await webhooks.create_endpoint(call.rt, call.actor, call.account_id, **given(body))
    return CreatedEndpoint(**_fields(endpoint, None), secret=secret)


@resource.patch("/v1/webhook_endpoints/{id:whe}", example={"events": ["message.delivered"]}, errors=_URL_ERRORS)
async def update(call: Call, id: int, body: EndpointChange) -> EndpointOut:
    """Change a webhook endpoint; what waits goes to the new address."""
    _guard(call, webhooks.found_endpoint(call.rt, call.account_id, id).mode)
    fields = given(body)
    _guard(call, fields.get("mode", "test"))
    return await _shown(call, await webhooks.update_endpoint(call.rt, call.actor, call.account_id, id, **fields))


@resource.delete("/v1/webhook_endpoints/{id:whe}")
async def delete(call: Call, id: int) -> None:
    """Delete a webhook endpoint; what waits for it is dropped."""
    _guarded(call, id)
    await webhooks.delete_endpoint(call.rt, call.actor, call.account_id, id)


@resource.post("/v1/webhook_endpoints/{id:whe}/rotate", example={"keep_previous_seconds": 86400})
async def rotate(call: Call, id: int, body: Rotation) -> CreatedEndpoint:
    """Give a webhook endpoint a new secret.

    For a while deliveries carry a signature of each, so that receivers can change over.
    """
    _guarded(call, id)
    endpoint, secret = await webhooks.rotate_secret(
        call.rt, call.actor, call.account_id, id, keep_previous_s=body.keep_previous_seconds
    )
    health = await webhooks.health(call.rt, call.account_id)
    return CreatedEndpoint(**_fields(endpoint, health.get(id)), secret=secret)


@resource.post("/v1/webhook_endpoints/{id:whe}/pause")
async def pause(call: Call, id: int) -> EndpointOut:
    """Post nothing more for now; events are kept for three days."""
    _guarded(call, id)
    return await _shown(call, await webhooks.pause_endpoint(call.rt, call.actor, call.account_id, id))


@resource.post("/v1/webhook_endpoints/{id:whe}/resume")
async def resume(call: Call, id: int) -> EndpointOut:
    """Post again, beginning with what waited."""
    _guarded(call, id)
    return await _shown(call, await webhooks.resume_endpoint(call.rt, call.actor, call.account_id, id))


@resource.post("/v1/webhook_endpoints/{id:whe}/test", example={"type": "message.delivered"}, errors=("conflict",))
async def test(call: Call, id: int, body: Trial) -> DeliveryDetail:
    """Post a sample event now, once, and show what was answered."""
    _guarded(call, id)
    delivery, attempt = await webhooks.try_endpoint(call.rt, call.account_id, id, body.type)
    return _detail(delivery, [attempt])


@resource.get("/v1/webhook_endpoints/{id:whe}/deliveries", errors=("invalid_cursor",))
async def deliveries(call: Call, id: int, query: DeliveryPage) -> Listed[DeliveryOut]:
    """List what was posted to an endpoint, newest first."""
    webhooks.found_endpoint(call.rt, call.account_id, id)
    return await _log(call, query, id)


@resource.post(
    "/v1/webhook_endpoints/{id:whe}/replay",
    status=202,
    example={"since": "2027-01-31T09:00:00Z", "until": "2027-01-31T10:00:00Z", "only_failed": True},
)
async def replay_range(call: Call, id: int, body: Range) -> Replayed:
    """Post the events of a range of time once more, with their ids."""
    _guarded(call, id)
    count = await webhooks.replay_range(
        call.rt,
        call.account_id,
        id,
        since=moment(body.since, "since"),
        until=maybe_moment(body.until, "until"),
        kind=body.type,
        only_failed=body.only_failed,
    )
    return Replayed(count)


@resource.get("/v1/webhook_deliveries", errors=("invalid_cursor",))
async def all_deliveries(call: Call, query: DeliveryPage) -> Listed[DeliveryOut]:
    """List all deliveries of the account, also those to a `callback_url`."""
    return await _log(call, query, None)


@resource.get("/v1/webhook_deliveries/{id:whd}")
async def delivery(call: Call, id: int) -> DeliveryDetail:
    """Show a delivery: what was posted, and each answer."""
    return _detail(*await webhooks.delivery(call.rt, call.account_id, id))


@resource.post("/v1/webhook_deliveries/{id:whd}/replay", status=202)
async def replay(call: Call, id: int) -> DeliveryOut:
    """Post the event of a delivery once more, with its id."""
    before, _ = await webhooks.delivery(call.rt, call.account_id, id)
    if call.test and before.endpoint_id:
        _guarded(call, before.endpoint_id)
    return DeliveryOut(**_line(await webhooks.replay(call.rt, call.account_id, id)))


@resource.get("/v1/webhook_callback_secret")
async def callback_secret(call: Call) -> CallbackSecretOut:
    """Show the secret that signs events for a message's `callback_url`."""
    call.caller.need_live("or read the secret of callbacks")
    return CallbackSecretOut(await webhooks.callback_secret(call.rt, call.account_id))


@resource.post("/v1/webhook_callback_secret/rotate", example={"keep_previous_seconds": 86400})
async def rotate_callback_secret(call: Call, body: Rotation) -> CallbackSecretOut:
    """Replace the secret that signs events for a message's `callback_url`."""
    call.caller.need_live("the secret of callbacks")
    secret = await webhooks.rotate_callback_secret(
        call.rt, call.actor, call.account_id, keep_previous_s=body.keep_previous_seconds
    )
    return CallbackSecretOut(secret)


def _guarded(call: Call, id: int) -> None:
    _guard(call, webhooks.found_endpoint(call.rt, call.account_id, id).mode)


def _guard(call: Call, mode: Mode) -> None:
    """A test key must not have live events sent anywhere."""
    if mode != "test":
        call.caller.need_live("endpoints of live traffic")


async def _log(call: Call, query: DeliveryPage, endpoint_id: int | None) -> Listed[DeliveryOut]:
    event_id = None
    if query.event_id is not None and (event_id := ids.parse("evt", query.event_id)) is None:
        raise Refused("invalid_value", "event_id is no id of an event.", param="event_id")
    found = await webhooks.deliveries(
        call.rt,
        call.account_id,
        endpoint_id=endpoint_id,
        state=None if query.status is None else State[query.status.upper()],
        kind=query.type,
        event_id=event_id,
        since=maybe_moment(query.created_after, "created_after"),
        until=maybe_moment(query.created_before, "created_before"),
        before_id=after(query, "whd"),
        limit=query.limit + 1,
    )
    rows, cursor = paged(found, query, "whd", lambda row: row.id)
    return listed((DeliveryOut(**_line(row)) for row in rows), cursor)


async def _shown(call: Call, endpoint: Endpoint) -> EndpointOut:
    health = await webhooks.health(call.rt, call.account_id)
    return EndpointOut(**_fields(endpoint, health.get(endpoint.id)))


def _fields(endpoint: Endpoint, health: Health | None) -> dict[str, Any]:
    return {
        "id": ids.public("whe", endpoint.id),
        "url": endpoint.url,
        "events": list(endpoint.events),
        "mode": endpoint.mode,
        "status": endpoint.status,
        "paused_reason": endpoint.paused_reason,
        "paused_at": maybe_rfc(endpoint.paused_at),
        "description": endpoint.description,
        "health": HealthOut(
            health.failures if health else 0,
            maybe_rfc(health.failing_since if health else None),
            maybe_rfc(health.last_success_at if health else None),
            maybe_rfc(health.last_failure_at if health else None),
            health.last_error if health else None,
        ),
        "created_at": rfc(endpoint.created_at),
    }


def _line(d: Delivery) -> dict[str, Any]:
    return {
        "id": ids.public("whd", d.id),
        "event_id": ids.public("evt", d.event_id),
        "endpoint_id": ids.public("whe", d.endpoint_id) if d.endpoint_id else None,
        "type": d.type,
        "origin": d.origin.word,
        "url": d.url,
        "status": d.state.word,
        "tries": d.tries,
        "next_try_at": rfc(d.due_at) if d.state is State.PENDING else None,
        "last_status": d.last_status,
        "last_error": d.last_error,
        "created_at": rfc(d.created_at),
        "finished_at": maybe_rfc(d.finished_at),
    }


def _detail(d: Delivery, attempts: list[Attempt]) -> DeliveryDetail:
    tried = [DeliveryAttempt(a.number, rfc(a.at), a.status, a.error, a.duration_ms, a.response) for a in attempts]
    return DeliveryDetail(**_line(d), body=msgspec.json.decode(d.body), attempts=tried)
