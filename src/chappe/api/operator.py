"""What the operator looks after: nodes, messages for nobody, receipts without a message, events not told."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from msgspec import Meta, Struct

from chappe import ids, nodes
from chappe.api.house import Call
from chappe.api.inbound import InboundOut, InboundPage, inbound_page
from chappe.api.messages import Frame
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, after, listed, maybe_rfc, paged, rfc
from chappe.errors import Refused
from chappe.messages.query import frame
from chappe.messages.store import parked_receipts
from chappe.storage import Conflict, core

resource = Resource("Operator", "What needs the eye of whoever runs the installation.", scope="admin")
_NOBODY = 0


class ParkedOut(Struct, frozen=True, kw_only=True):
    """A receipt whose message is not known (yet). It is tried again for a while, then forgotten."""

    id: Annotated[str, Meta(examples=["rcp_006h3r8k2w0g4"])]
    connector: str
    provider_id: str
    reason: str
    received_at: Time
    receipt: dict[str, Any]
    frame: Frame | None


class AsideOut(Struct, frozen=True, kw_only=True):
    """An event that a reaction failed on; `due_at` null: it is not tried again unless told."""

    reaction: str
    position: int
    kind: str
    account_id: str | None
    tries: int
    due_at: Time | None
    failed_at: Time
    error: str
    event: dict[str, Any]


class AsideList(Struct, frozen=True):
    """The newest failures first."""

    data: list[AsideOut]


class AsideLimit(Struct, forbid_unknown_fields=True):
    """How much to show."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class Retry(Struct, forbid_unknown_fields=True):
    """An event set aside, as the list names it."""

    reaction: Annotated[str, Meta(min_length=1, max_length=100)]
    position: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class NodeOut(Struct, frozen=True, kw_only=True):
    """A process that serves. `lease_left_ms` below zero: it has died, or does not reach the database."""

    name: str
    number: int
    roles: list[str]
    version: str
    started_at: Time
    lease_left_ms: int
    stats: Annotated[dict[str, Any], Meta(description="CPU, memory, rates and binds, two seconds old at most.")]


class NodeList(Struct, frozen=True):
    """The oldest first."""

    data: list[NodeOut]


def node_out(node: nodes.NodeInfo) -> NodeOut:
    return NodeOut(
        name=node.name,
        number=node.number,
        roles=list(node.roles),
        version=node.version,
        started_at=rfc(node.started_at),
        lease_left_ms=node.lease_left_ms,
        stats=node.stats,
    )


@resource.get("/v1/nodes")
async def nodes_(call: Call) -> NodeList:
    """List the nodes of this installation."""
    return NodeList([node_out(node) for node in await nodes.listing(call.rt.store) if node.roles])


@resource.get("/v1/unrouted", errors=("invalid_cursor",))
async def unrouted(call: Call, query: InboundPage) -> Listed[InboundOut]:
    """List messages from phones to numbers that no account owns."""
    return await inbound_page(call, query, _NOBODY)


@resource.get("/v1/parked_receipts", errors=("invalid_cursor",))
async def parked(call: Call, query: Page) -> Listed[ParkedOut]:
    """List receipts that fit no message."""
    table = parked_receipts
    select = sa.select(table).order_by(table.c.id.desc()).limit(query.limit + 1)
    before = after(query, "rcp")
    if before is not None:
        select = select.where(table.c.id < before)
    statement, params = core(select)
    rows, cursor = paged(await call.rt.store.scan(statement(params)), query, "rcp", lambda row: int(row[0]))
    return listed((_parked(call, row) for row in rows), cursor)


@resource.get("/v1/events/aside")
async def aside(call: Call, query: AsideLimit) -> AsideList:
    """List events that a part of the system failed on."""
    found = await call.rt.events.aside(query.limit)
    return AsideList(
        [
            AsideOut(
                reaction=item.reaction,
                position=item.position,
                kind=item.kind,
                account_id=ids.public("acc", item.account_id) if item.account_id else None,
                tries=item.tries,
                due_at=maybe_rfc(item.due_at),
                failed_at=rfc(item.failed_at),
                error=item.error,
                event=msgspec.json.decode(item.payload),
            )
            for item in found
        ]
    )


@resource.post(
    "/v1/events/aside/retry",
    example={"reaction": "webhooks.messages", "position": 4711},
    errors=("not_found",),
)
async def retry(call: Call, body: Retry) -> None:
    """Try an event again that was set aside."""
    try:
        await call.rt.events.retry(body.reaction, body.position)
    except Conflict:
        raise Refused("not_found", "There is no such event aside.") from None


def _parked(call: Call, row: tuple[Any, ...]) -> ParkedOut:
    number, connector_id, _, received_at, reason, receipt, raw = row
    told: dict[str, Any] = msgspec.json.decode(receipt)
    shown = frame(raw)
    return ParkedOut(
        id=ids.public("rcp", number),
        connector=call.house.pipeline.connector_name(connector_id),
        provider_id=str(told.get("provider_id", "")),
        reason=reason,
        received_at=rfc(received_at),
        receipt=told,
        frame=None if shown is None else Frame(**shown),
    )
