"""Inbound: what phones sent to an account's numbers."""

from __future__ import annotations

import base64
from typing import Annotated

from msgspec import Meta, Struct, field

from chappe import ids, messages
from chappe.api.house import Call, House
from chappe.api.messages import StepOut, step_out
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, after, listed, maybe_moment, paged, rfc
from chappe.messages import Filter, InboundMessage

resource = Resource(
    "Inbound",
    "Messages from phones to the account's senders.",
    scope="messages:read",
    tenant=True,
)


class InboundOut(Struct, frozen=True, kw_only=True):
    """A message from a phone. What is no text is in `data`."""

    id: Annotated[str, Meta(examples=["inb_006h3r8k2w0g4"])]
    status: Annotated[str, Meta(description="Always `received`.")]
    to: str
    from_: str = field(name="from")
    text: str | None
    data: Annotated[str, Meta(description="base64")] | None
    udh: Annotated[str, Meta(description="hex")] | None
    data_coding: int
    channel: str
    connector: str | None
    parts: Annotated[int, Meta(description="Of a long message; 1 for a short one.")]
    missing_parts: Annotated[int, Meta(description="Parts that never came.")]
    received_at: Time
    test: bool


class InboundExplanation(Struct, frozen=True):
    """How a message from a phone came in."""

    message: InboundOut
    history: list[StepOut]


class InboundPage(Page, forbid_unknown_fields=True, kw_only=True):
    """What a list of messages from phones can be narrowed to."""

    to: Annotated[str, Meta(max_length=40)] | None = None
    created_after: Annotated[str, Meta(description="RFC 3339 with an offset.")] | None = None
    created_before: Annotated[str, Meta(description="RFC 3339 with an offset.")] | None = None


@resource.get("/v1/inbound", errors=("invalid_cursor",))
async def list_(call: Call, query: InboundPage) -> Listed[InboundOut]:
    """List messages from phones, newest first."""
    return await inbound_page(call, query, call.account_id)


@resource.get("/v1/inbound/{id:inb}")
async def get(call: Call, id: int) -> InboundOut:
    """Show a message from a phone."""
    return inbound_out(call.house, await messages.inbound_one(call.rt, call.account_id, id))


@resource.get("/v1/inbound/{id:inb}/explain")
async def explain(call: Call, id: int) -> InboundExplanation:
    """Explain a message from a phone: the PDUs it came in, and whose it is."""
    message = await messages.inbound_one(call.rt, call.account_id, id)
    steps = await messages.steps(call.rt, id)
    return InboundExplanation(inbound_out(call.house, message), [step_out(call.house, step) for step in steps])


async def inbound_page(call: Call, query: InboundPage, account_id: int) -> Listed[InboundOut]:
    wanted = Filter(
        account_id=account_id,
        to=None if query.to is None else query.to.strip(),
        created_after=maybe_moment(query.created_after, "created_after"),
        created_before=maybe_moment(query.created_before, "created_before"),
        cursor=after(query, "inb"),
        limit=query.limit + 1,
    )
    rows, cursor = paged(await messages.inbound(call.rt, wanted), query, "inb", lambda message: message.id)
    return listed((inbound_out(call.house, message) for message in rows), cursor)


def inbound_out(house: House, m: InboundMessage) -> InboundOut:
    return InboundOut(
        id=ids.public("inb", m.id),
        status="received",
        to=m.recipient,
        from_=m.source,
        text=m.text,
        data=base64.b64encode(m.payload or b"").decode() if m.text is None else None,
        udh=bytes(m.udh).hex() or None,
        data_coding=m.data_coding,
        channel="sms",
        connector=house.pipeline.connector_name(m.connector_id) or None,
        parts=m.parts,
        missing_parts=m.missing,
        received_at=rfc(m.received_at),
        test=bool(m.test),
    )
